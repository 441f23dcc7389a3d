#include "speech/media_source.h"

#define JUNK_MAX  KIB(8)  /* bytes in front of the first MPEG frame, left over from a cut tag */
#define BOXES_MAX KIB(64) /* of MP4 in which its index or its data must begin */

static unsigned be32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return (unsigned)b[0] << 24 | (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3];
}

/* ---- ID3 ---- */

static void skip_tags(struct media_source *s)
{
    for (;;) {
        struct str head = media_source_peek(s, 10);
        if (head.n < 10 || !str_starts(head, STR("ID3")))
            return;
        unsigned raw = be32(head.p + 6); /* 7 bits per byte */
        size_t size = (raw & 0x7f) | (raw >> 1 & 0x3f80) | (raw >> 2 & 0x1fc000) | (raw >> 3 & 0xfe00000);
        bool footer = head.p[5] & 0x10;
        media_source_skip(s, 10 + size + (footer ? 10 : 0));
    }
}

/* ---- MPEG audio ---- */

/* Bytes of the frame that this header begins, 0 when it is none. */
static size_t mp3_frame(unsigned head)
{
    static const unsigned short kbits[2][15] = {
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}, /* MPEG 1 */
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},     /* MPEG 2, 2.5 */
    };
    static const unsigned hertz[4][3] = {{11025, 12000, 8000}, {0, 0, 0}, {22050, 24000, 16000}, {44100, 48000, 32000}};
    unsigned version = head >> 19 & 3, layer = head >> 17 & 3, bitrate = head >> 12 & 15, rate = head >> 10 & 3;
    if (head >> 21 != 0x7ff || version == 1 || layer != 1 || bitrate == 0 || bitrate == 15 || rate == 3)
        return 0;
    unsigned low = version != 3;
    return (low ? 72000u : 144000u) * kbits[low][bitrate] / hertz[version][rate] + (head >> 9 & 1);
}

static size_t adts_frame(struct str at)
{
    unsigned head = be32(at.p);
    if ((head & 0xfff60000) != 0xfff00000 || (head >> 10 & 15) > 12)
        return 0;
    size_t length = (head & 3) << 11 | (unsigned)(unsigned char)at.p[4] << 3 | (unsigned char)at.p[5] >> 5;
    return length > 7 ? length : 0;
}

static size_t frame_at(struct str at, enum media_container kind)
{
    if (at.n < 7)
        return 0;
    return kind == CONTAINER_MP3 ? mp3_frame(be32(at.p)) : adts_frame(at);
}

/* Two frames in a row, or one that ends with the input. */
static bool frames_begin(struct media_source *s, size_t skip, enum media_container kind)
{
    size_t length = frame_at(str_from(media_source_peek(s, skip + 7), skip), kind);
    if (!length)
        return false;
    struct str next = str_from(media_source_peek(s, skip + length + 7), skip + length);
    return next.n < 7 ? s->ended : frame_at(next, kind) > 0;
}

static enum media_container sniff_frames(struct media_source *s)
{
    if (frames_begin(s, 0, CONTAINER_AAC))
        return CONTAINER_AAC;
    for (size_t skip = 0; skip < JUNK_MAX; skip++) {
        if (frames_begin(s, skip, CONTAINER_MP3)) {
            media_source_skip(s, skip);
            return CONTAINER_MP3;
        }
        if (media_source_peek(s, skip + 7).n < skip + 7)
            break;
    }
    return CONTAINER_UNKNOWN;
}

/* ---- MP4 ---- */

static bool box_is(struct str box, const char *type)
{
    return box.n >= 8 && memcmp(box.p + 4, type, 4) == 0;
}

static bool is_mp4(struct str head)
{
    static const char *const first[] = {"ftyp", "styp", "moov", "mdat", "free", "skip", "wide"};
    for (size_t i = 0; i < COUNT(first); i++)
        if (box_is(head, first[i]))
            return true;
    return false;
}

/* Walks the outermost boxes until the index (moov) or the data (mdat). */
static enum media_container sniff_mp4(struct media_source *s)
{
    size_t at = 0;
    while (at < BOXES_MAX) {
        struct str box = str_from(media_source_peek(s, at + 8), at);
        if (box_is(box, "moov"))
            return CONTAINER_MP4;
        size_t size = box.n >= 8 ? be32(box.p) : 0;
        if (size < 8 || box_is(box, "mdat")) /* also sizes of 64 bits and "to the end" */
            break;
        at += size;
    }
    return CONTAINER_MP4_LATE;
}

enum media_container media_sniff(struct media_source *s)
{
    skip_tags(s);
    struct str head = media_source_peek(s, 12);
    if (str_starts(head, STR("\x1a\x45\xdf\xa3")))
        return CONTAINER_MATROSKA;
    if (str_starts(head, STR("OggS")))
        return CONTAINER_OGG;
    if (str_starts(head, STR("fLaC")))
        return CONTAINER_FLAC;
    if (head.n >= 12 && (str_starts(head, STR("RIFF")) || str_starts(head, STR("RF64"))) &&
        memcmp(head.p + 8, "WAVE", 4) == 0)
        return CONTAINER_WAV;
    if (is_mp4(head))
        return sniff_mp4(s);
    return sniff_frames(s);
}
