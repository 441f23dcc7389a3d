/* Growable bytes with a ceiling. Consumed bytes leave at the front without moving the rest. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/macros.h"
#include "base/str.h"

struct buf {
    char *data; /* the first unread byte is data[head] */
    size_t head;
    size_t len; /* unread bytes from head on */
    size_t cap;
    size_t max; /* ceiling for len */
};

/* clang-format off */
#define BUF_INIT(ceiling) {.max = (ceiling)}
/* clang-format on */

static inline void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->data ? b->data + b->head : "", b->len};
}

/* Makes room for n more bytes and returns where they go, NULL past the ceiling. Follow with buf_commit. */
char *buf_reserve(struct buf *b, size_t n);
static inline void buf_commit(struct buf *b, size_t n)
{
    b->len += n;
}

/* Append. 0, or -1 past the ceiling, then nothing was added. */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
int buf_add_u64(struct buf *b, uint64_t value);
static inline int buf_str_add(struct buf *b, struct str s)
{
    return buf_add(b, s.p, s.n);
}
static inline int buf_byte(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}
#define buf_lit(b, literal) buf_add((b), ("" literal), sizeof(literal) - 1)

/* Drops n bytes from the front (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* Empties, keeps the memory. */
void buf_clear(struct buf *b);
/* Empties and frees the memory; the ceiling stays, so the buffer can be used again. */
void buf_free(struct buf *b);
/* The contents with a terminating NUL behind them (not counted in len); valid until the next change. */
const char *buf_cstr(struct buf *b);

#endif
