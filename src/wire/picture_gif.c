/* GIF (https://www.w3.org/Graphics/GIF/spec-gif89a.txt): blocks, each followed by sub-blocks, up to a trailer. */
#include "base/limits.h"
#include "base/macros.h"
#include "wire/picture_impl.h"

#define AREA_MAX (8 * (size_t)LIMIT_PICTURE_PIXELS) /* pixels of all frames */

enum { EXTENSION = 0x21, IMAGE = 0x2c, TRAILER = 0x3b, GRAPHIC_CONTROL = 0xf9, APPLICATION = 0xff };

struct gif {
    struct picture_reader *r;
    size_t area;
};

static unsigned u16(const char *p)
{
    return (unsigned)(unsigned char)p[1] << 8 | (unsigned char)p[0];
}

/* The colours that follow when the flags say so. */
static int skip_table(struct picture_reader *r, char flags)
{
    struct str table;
    return flags & 0x80 ? picture_take(r, (size_t)6 << (flags & 7), &table) : 0;
}

static int skip_blocks(struct picture_reader *r)
{
    struct str length, data;
    do {
        if (picture_take(r, 1, &length) < 0 || picture_take(r, (unsigned char)length.p[0], &data) < 0)
            return -1;
    } while (data.n);
    return 0;
}

static int read_image(struct gif *g)
{
    struct picture_reader *r = g->r;
    struct str head, code;
    if (picture_take(r, 9, &head) < 0)
        return -1;
    unsigned width = u16(head.p + 4), height = u16(head.p + 6);
    if (!width || !height || u16(head.p) + width > LIMIT_PICTURE_SIDE || u16(head.p + 2) + height > LIMIT_PICTURE_SIDE)
        return picture_broken(r);
    g->area += (size_t)width * height;
    if (++r->out->frames > LIMIT_PICTURE_FRAMES || g->area > AREA_MAX)
        return err_set(r->e, ERR_INVALID_REQUEST, "The animation is too long");
    if (skip_table(r, head.p[8]) < 0 || picture_take(r, 1, &code) < 0)
        return -1;
    return code.p[0] < 1 || code.p[0] > 11 ? picture_broken(r) : skip_blocks(r);
}

/* How a frame follows the last one, and how often all are shown; no texts. */
static bool is_needed(unsigned label, struct str data)
{
    return label == GRAPHIC_CONTROL || (label == APPLICATION && str_starts(data, STR("\x0bNETSCAPE2.0")));
}

/* 1: the end. */
static int read_block(struct gif *g)
{
    struct picture_reader *r = g->r;
    struct str block = r->rest, intro, label;
    bool needed = true;
    int result = 0;
    if (picture_count(r) < 0 || picture_take(r, 1, &intro) < 0)
        return -1;
    switch ((unsigned char)intro.p[0]) {
    case TRAILER:
        result = r->out->frames && !r->rest.n ? 1 : picture_broken(r);
        break;
    case IMAGE:
        result = read_image(g);
        break;
    case EXTENSION:
        if (picture_take(r, 1, &label) < 0)
            return -1;
        needed = is_needed((unsigned char)label.p[0], r->rest);
        result = skip_blocks(r);
        break;
    default:
        return picture_broken(r);
    }
    if (result >= 0 && needed && picture_keep_bytes(r, str_n(block.p, block.n - r->rest.n)) < 0)
        return -1;
    return result;
}

int picture_gif(struct picture_reader *r)
{
    struct gif g = {.r = r};
    struct str all = r->rest, head;
    int end = 0;
    if (picture_take(r, 9, &head) < 0 || (head.p[0] != '7' && head.p[0] != '9') || head.p[1] != 'a')
        return picture_broken(r);
    if (picture_size(r, u16(head.p + 2), u16(head.p + 4)) < 0 || skip_table(r, head.p[6]) < 0 ||
        picture_keep_bytes(r, str_n(all.p, all.n - r->rest.n)) < 0)
        return -1;
    while (end == 0)
        end = read_block(&g);
    return end < 0 ? -1 : 0;
}
