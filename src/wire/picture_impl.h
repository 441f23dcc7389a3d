/* What the readers of pictures share. Private to wire/. */
#ifndef WIRE_PICTURE_IMPL_H
#define WIRE_PICTURE_IMPL_H

#include "wire/picture.h"

struct picture_reader {
    struct str rest;  /* behind what was read */
    struct buf *kept; /* or NULL */
    struct picture *out;
    struct err *e;
    unsigned parts;
};

static inline int picture_broken(struct picture_reader *r)
{
    return err_set(r->e, ERR_INVALID_REQUEST, "The picture is broken");
}
/* Takes n bytes off. -1: there are fewer. */
int picture_take(struct picture_reader *r, size_t n, struct str *piece);
int picture_keep_bytes(struct picture_reader *r, struct str bytes);
/* Counts one more chunk, segment or block. */
int picture_count(struct picture_reader *r);
/* Checks the size and notes it. */
int picture_size(struct picture_reader *r, unsigned width, unsigned height);

unsigned picture_u16(const char *p); /* most significant byte first */
unsigned picture_u32(const char *p);

/* Each reads all behind the signature, which was kept. */
int picture_png(struct picture_reader *r);
int picture_jpeg(struct picture_reader *r);
int picture_gif(struct picture_reader *r);

#endif
