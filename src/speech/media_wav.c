/* RIFF WAVE by hand: FFmpeg's demuxer reads 128 KiB of PCM ahead, in case it is some other codec in disguise. */
#include "speech/media_source.h"

#define CHUNK_MAX  MIB(1) /* of chunks that are skipped; audio editors keep pictures there */
#define EXTENSIBLE 0xfffe /* the tag is in the extension */
#define UNKNOWN    0xffffffff

static unsigned le(const char *p, int bytes)
{
    unsigned value = 0;
    for (int i = bytes; i-- > 0;)
        value = value << 8 | (unsigned char)p[i];
    return value;
}

static bool read_format(struct media_source *s, struct media_wav *wav, unsigned size)
{
    struct str at = media_source_peek(s, size);
    if (size < 16 || at.n < size)
        return false;
    wav->tag = le(at.p, 2);
    wav->channels = le(at.p + 2, 2);
    wav->rate = le(at.p + 4, 4);
    wav->bits = le(at.p + 14, 2);
    if (wav->tag == EXTENSIBLE && size >= 26)
        wav->tag = le(at.p + 24, 2);
    return true;
}

bool media_wav_begin(struct media_source *s, struct media_wav *wav)
{
    *wav = (struct media_wav){0};
    media_source_skip(s, 12);
    for (;;) {
        struct str chunk = media_source_peek(s, 8);
        if (chunk.n < 8)
            return false;
        unsigned size = le(chunk.p + 4, 4);
        bool data = memcmp(chunk.p, "data", 4) == 0, format = memcmp(chunk.p, "fmt ", 4) == 0;
        media_source_skip(s, 8);
        if (data) /* streams are written before their size is known */
            wav->bytes = size == 0 || size == UNKNOWN ? UINT64_MAX : size;
        if (data)
            return wav->tag != 0;
        if (size > CHUNK_MAX || (format && !read_format(s, wav, size)))
            return false;
        media_source_skip(s, size + (size & 1));
    }
}
