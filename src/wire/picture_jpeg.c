/* JPEG (ITU-T T.81): segments behind markers; the data of a scan ends at the next marker. */
#include "base/macros.h"
#include "wire/picture_impl.h"

#define SCANS_MAX 128 /* a progressive picture has ten or so; each costs its reader a pass over all of it */

enum {
    SOF_BASELINE = 0xc0,
    SOF_EXTENDED = 0xc1,
    SOF_PROGRESSIVE = 0xc2,
    DHT = 0xc4,
    RST_FIRST = 0xd0,
    RST_LAST = 0xd7,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DRI = 0xdd,
    APP_JFIF = 0xe0,
    APP_EXIF = 0xe1,
    APP_ADOBE = 0xee,
    APP_LAST = 0xef,
    COM = 0xfe,
};

struct jpeg {
    struct picture_reader *r;
    unsigned scans;
    bool frame, oriented;
};

static int take_marker(struct picture_reader *r, int *marker)
{
    struct str byte;
    if (picture_take(r, 1, &byte) < 0)
        return -1;
    if (byte.p[0] != '\xff')
        return picture_broken(r);
    while (r->rest.n && r->rest.p[0] == '\xff')
        r->rest = str_from(r->rest, 1);
    if (picture_take(r, 1, &byte) < 0)
        return -1;
    *marker = (unsigned char)byte.p[0];
    return 0;
}

static int take_segment(struct picture_reader *r, struct str *data)
{
    struct str length;
    if (picture_take(r, 2, &length) < 0)
        return -1;
    unsigned n = picture_u16(length.p);
    return n < 2 ? picture_broken(r) : picture_take(r, n - 2, data);
}

static int keep_segment(struct picture_reader *r, int marker, struct str data)
{
    const char head[4] = {'\xff', (char)marker, (char)((data.n + 2) >> 8), (char)(data.n + 2)};
    return picture_keep_bytes(r, str_n(head, sizeof head)) < 0 ? -1 : picture_keep_bytes(r, data);
}

/* ---- what stays of the applications' segments ---- */

/* Without the thumbnail. */
static int keep_jfif(struct picture_reader *r, struct str data)
{
    char jfif[14] = {0};
    if (data.n < sizeof jfif || !str_starts(data, str_n("JFIF", 5)))
        return 0;
    memcpy(jfif, data.p, sizeof jfif - 2);
    return keep_segment(r, APP_JFIF, str_n(jfif, sizeof jfif));
}

static unsigned tiff_u16(struct str tiff, size_t at)
{
    unsigned a = (unsigned char)tiff.p[at], b = (unsigned char)tiff.p[at + 1];
    return tiff.p[0] == 'I' ? b << 8 | a : a << 8 | b;
}

static size_t tiff_u32(struct str tiff, size_t at)
{
    size_t a = tiff_u16(tiff, at), b = tiff_u16(tiff, at + 2);
    return tiff.p[0] == 'I' ? b << 16 | a : a << 16 | b;
}

/* How a camera was held, 1 to 8 (CIPA DC-008, 4.6.4); 0: not said. */
static unsigned orientation_of(struct str tiff)
{
    if (tiff.n < 8 || !(str_starts(tiff, str_n("II*\0", 4)) || str_starts(tiff, str_n("MM\0*", 4))))
        return 0;
    size_t at = tiff_u32(tiff, 4);
    if (at > tiff.n || tiff.n - at < 2)
        return 0;
    size_t entries = MIN(tiff_u16(tiff, at), (tiff.n - at - 2) / 12);
    for (at += 2; entries; entries--, at += 12)
        if (tiff_u16(tiff, at) == 0x0112 && tiff_u16(tiff, at + 2) == 3)
            return tiff_u16(tiff, at + 8) <= 8 ? tiff_u16(tiff, at + 8) : 0;
    return 0;
}

/* Nothing else of it: it says where and when a photograph was taken. */
static int keep_orientation(struct jpeg *j, struct str data)
{
    char exif[] = "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0?\0\0\0\0\0\0";
    unsigned orientation = str_starts(data, str_n("Exif\0\0", 6)) ? orientation_of(str_from(data, 6)) : 0;
    if (!orientation || j->oriented)
        return 0;
    j->oriented = true;
    exif[25] = (char)orientation;
    return keep_segment(j->r, APP_EXIF, str_n(exif, sizeof exif - 1));
}

static int keep_application(struct jpeg *j, int marker, struct str data)
{
    if (marker == APP_JFIF)
        return keep_jfif(j->r, data);
    if (marker == APP_EXIF)
        return keep_orientation(j, data);
    if (marker == APP_ADOBE && data.n == 12 && str_starts(data, STR("Adobe"))) /* how its colours are meant */
        return keep_segment(j->r, marker, data);
    return 0;
}

/* ---- the picture ---- */

static int read_frame(struct jpeg *j, int marker, struct str data)
{
    struct picture_reader *r = j->r;
    if (j->frame || data.n < 6)
        return picture_broken(r);
    unsigned depth = (unsigned char)data.p[0], components = (unsigned char)data.p[5];
    if (depth != 8 || components == 0 || components > 4 || data.n != 6 + (size_t)3 * components)
        return picture_broken(r);
    j->frame = true;
    if (picture_size(r, picture_u16(data.p + 3), picture_u16(data.p + 1)) < 0)
        return -1;
    return keep_segment(r, marker, data);
}

/* Up to the next marker; a zero behind FF, or a restart, belongs to the data. */
static int read_scan(struct jpeg *j, struct str data)
{
    struct picture_reader *r = j->r;
    struct str scan = r->rest;
    if (!j->frame || ++j->scans > SCANS_MAX || keep_segment(r, SOS, data) < 0)
        return picture_broken(r);
    for (;;) {
        const char *at = r->rest.n ? memchr(r->rest.p, 0xff, r->rest.n) : NULL;
        if (!at || at + 1 == r->rest.p + r->rest.n)
            return picture_broken(r);
        unsigned next = (unsigned char)at[1];
        r->rest = str_from(r->rest, (size_t)(at - r->rest.p));
        if (next != 0 && (next < RST_FIRST || next > RST_LAST))
            break;
        r->rest = str_from(r->rest, 2);
    }
    return picture_keep_bytes(r, str_n(scan.p, scan.n - r->rest.n));
}

static int read_segment(struct jpeg *j, int marker)
{
    struct str data;
    if (take_segment(j->r, &data) < 0)
        return -1;
    switch (marker) {
    case SOF_BASELINE:
    case SOF_EXTENDED:
    case SOF_PROGRESSIVE:
        return read_frame(j, marker, data);
    case DHT:
    case DQT:
    case DRI:
        return keep_segment(j->r, marker, data);
    case SOS:
        return read_scan(j, data);
    case COM:
        return 0;
    default:
        return marker >= APP_JFIF && marker <= APP_LAST ? keep_application(j, marker, data) : picture_broken(j->r);
    }
}

/* What follows the end, telephones put there; it is not kept. */
int picture_jpeg(struct picture_reader *r)
{
    struct jpeg j = {.r = r};
    int marker = 0;
    r->out->frames = 1;
    for (;;) {
        if (picture_count(r) < 0 || take_marker(r, &marker) < 0)
            return -1;
        if (marker == EOI)
            return j.scans ? picture_keep_bytes(r, str_n("\xff\xd9", 2)) : picture_broken(r);
        if (read_segment(&j, marker) < 0)
            return -1;
    }
}
