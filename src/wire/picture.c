#include "base/limits.h"
#include "wire/picture_impl.h"

static const struct kind {
    const char *signature;
    size_t n;
    const char *ending, *media_type;
    int (*read)(struct picture_reader *r);
} kinds[PICTURE_TYPES] = {
    [PICTURE_PNG] = {"\x89PNG\r\n\x1a\n", 8, "png", "image/png", picture_png},
    [PICTURE_JPEG] = {"\xff\xd8", 2, "jpg", "image/jpeg", picture_jpeg},
    [PICTURE_GIF] = {"GIF8", 4, "gif", "image/gif", picture_gif},
};

enum picture_type picture_type_of(struct str bytes)
{
    enum picture_type type = 0;
    while (type < PICTURE_TYPES && !str_starts(bytes, str_n(kinds[type].signature, kinds[type].n)))
        type++;
    return type;
}

const char *picture_ending(enum picture_type type)
{
    return kinds[type].ending;
}

const char *picture_media_type(enum picture_type type)
{
    return kinds[type].media_type;
}

int picture_take(struct picture_reader *r, size_t n, struct str *piece)
{
    if (r->rest.n < n)
        return picture_broken(r);
    *piece = str_n(r->rest.p, n);
    r->rest = str_from(r->rest, n);
    return 0;
}

int picture_keep_bytes(struct picture_reader *r, struct str bytes)
{
    if (r->kept && buf_str_add(r->kept, bytes) < 0)
        return err_set(r->e, ERR_INVALID_REQUEST, "The picture is too large");
    return 0;
}

int picture_count(struct picture_reader *r)
{
    return ++r->parts > LIMIT_PICTURE_PARTS ? picture_broken(r) : 0;
}

int picture_size(struct picture_reader *r, unsigned width, unsigned height)
{
    if (width == 0 || height == 0)
        return picture_broken(r);
    if (width > LIMIT_PICTURE_SIDE || height > LIMIT_PICTURE_SIDE || (size_t)width * height > LIMIT_PICTURE_PIXELS)
        return err_set(r->e, ERR_INVALID_REQUEST, "The picture is too large: at most %d x %d pixels",
                       LIMIT_PICTURE_SIDE, LIMIT_PICTURE_SIDE);
    r->out->width = width;
    r->out->height = height;
    return 0;
}

unsigned picture_u16(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

unsigned picture_u32(const char *p)
{
    return picture_u16(p) << 16 | picture_u16(p + 2);
}

int picture_read(struct str bytes, struct picture *out, struct buf *kept, struct err *e)
{
    struct picture read = {.type = picture_type_of(bytes)};
    struct picture_reader r = {.rest = bytes, .kept = kept, .out = &read, .e = e};
    struct str signature = STR_NONE;
    if (read.type == PICTURE_TYPES)
        return err_set(e, ERR_INVALID_REQUEST, "The file is no picture of a known kind");
    if (picture_take(&r, kinds[read.type].n, &signature) < 0 || picture_keep_bytes(&r, signature) < 0 ||
        kinds[read.type].read(&r) < 0)
        return -1;
    *out = read;
    return 0;
}
