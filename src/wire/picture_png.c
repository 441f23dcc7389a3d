/* PNG (https://www.w3.org/TR/png-3/): chunks with checksums, IHDR first, IEND last. */
#include "base/macros.h"
#include "wire/picture_impl.h"

#include <zlib.h>

#define CHUNK_MAX 0x7fffffffU

struct png {
    struct picture_reader *r;
    unsigned colour;
    bool palette, data, data_over;
};

struct chunk {
    struct str type, data;
    struct str whole; /* with its length and checksum */
};

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static int take_chunk(struct picture_reader *r, struct chunk *chunk)
{
    struct str all = r->rest, head, sum;
    if (picture_count(r) < 0 || picture_take(r, 8, &head) < 0)
        return -1;
    unsigned n = picture_u32(head.p);
    chunk->type = str_from(head, 4);
    for (size_t i = 0; i < 4; i++)
        if (!is_letter(chunk->type.p[i]))
            return picture_broken(r);
    if (n > CHUNK_MAX || picture_take(r, n, &chunk->data) < 0 || picture_take(r, 4, &sum) < 0)
        return picture_broken(r);
    chunk->whole = str_n(all.p, (size_t)n + 12);
    uLong crc = crc32_z(0, (const Bytef *)chunk->type.p, (z_size_t)n + 4);
    return crc == picture_u32(sum.p) ? 0 : picture_broken(r);
}

/* Which depths a kind of colour may have: bit n stands for n bits. */
static unsigned depths_of(unsigned colour)
{
    static const unsigned depths[] = {0x10116, 0, 0x10100, 0x116, 0x10100, 0, 0x10100};
    return colour < COUNT(depths) ? depths[colour] : 0;
}

static int read_header(struct png *png)
{
    struct chunk chunk;
    struct picture_reader *r = png->r;
    if (take_chunk(r, &chunk) < 0)
        return -1;
    if (!str_eqc(chunk.type, "IHDR") || chunk.data.n != 13)
        return picture_broken(r);
    const char *p = chunk.data.p;
    unsigned depth = (unsigned char)p[8];
    png->colour = (unsigned char)p[9];
    if (depth > 16 || !(depths_of(png->colour) >> depth & 1) || p[10] || p[11] || (unsigned char)p[12] > 1)
        return picture_broken(r);
    if (picture_size(r, picture_u32(p), picture_u32(p + 4)) < 0)
        return -1;
    return picture_keep_bytes(r, chunk.whole);
}

/* Those that change how the picture looks; none of them is compressed. */
static bool is_needed(struct str type)
{
    static const char *const needed[] = {"PLTE", "IDAT", "tRNS", "gAMA", "cHRM", "sRGB", "cICP", "pHYS", "IEND"};
    for (size_t i = 0; i < COUNT(needed); i++)
        if (str_eqc(type, needed[i]))
            return true;
    return false;
}

static int check_palette(struct png *png, const struct chunk *chunk)
{
    bool allowed = !png->palette && !png->data && png->colour != 0 && png->colour != 4;
    png->palette = true;
    return allowed && chunk->data.n && chunk->data.n <= 768 && chunk->data.n % 3 == 0 ? 0 : picture_broken(png->r);
}

static int check_data(struct png *png)
{
    if (png->data_over || (png->colour == 3 && !png->palette))
        return picture_broken(png->r);
    png->data = true;
    return 0;
}

/* 1: it was the last. */
static int read_chunk(struct png *png)
{
    struct chunk chunk;
    struct picture_reader *r = png->r;
    if (take_chunk(r, &chunk) < 0)
        return -1;
    bool critical = !(chunk.type.p[0] & 0x20), data = str_eqc(chunk.type, "IDAT"), end = str_eqc(chunk.type, "IEND");
    if (critical && !is_needed(chunk.type))
        return picture_broken(r);
    if ((str_eqc(chunk.type, "PLTE") && check_palette(png, &chunk) < 0) || (data && check_data(png) < 0))
        return -1;
    png->data_over |= png->data && !data;
    if (end && (!png->data || chunk.data.n || r->rest.n))
        return picture_broken(r);
    if (is_needed(chunk.type) && picture_keep_bytes(r, chunk.whole) < 0)
        return -1;
    return end;
}

int picture_png(struct picture_reader *r)
{
    struct png png = {.r = r};
    int end = read_header(&png);
    while (end == 0)
        end = read_chunk(&png);
    r->out->frames = 1;
    return end < 0 ? -1 : 0;
}
