#include "base/buf.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void grow(struct buf *b, size_t need)
{
    if (need > SIZE_MAX / 2)
        die("buffer of %zu bytes asked", need);
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap *= 2;
    char *data = mem_alloc(cap);
    if (b->len)
        memcpy(data, b->data + b->head, b->len);
    free(b->data);
    b->data = data;
    b->cap = cap;
    b->head = 0;
}

/* Room for n more bytes, whatever the ceiling says. */
static char *make_room(struct buf *b, size_t n)
{
    size_t need = b->len + n;
    if (b->head + need > b->cap || !b->data) {
        /* Moving is worth it only when at least half of the memory is already consumed: then each byte moves once for
         * each byte that left. Otherwise the memory grows, also when the bytes would just fit. */
        if (b->data && need <= b->cap && b->head >= b->cap / 2) {
            memmove(b->data, b->data + b->head, b->len);
            b->head = 0;
        } else {
            grow(b, MAX(need, b->head ? b->cap + 1 : 0));
        }
    }
    return b->data + b->head + b->len;
}

char *buf_reserve(struct buf *b, size_t n)
{
    return n > b->max - b->len ? NULL : make_room(b, n);
}

int buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return 0;
    char *to = buf_reserve(b, n);
    if (!to)
        return -1;
    memcpy(to, p, n);
    b->len += n;
    return 0;
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    int result = -1;
    if (n >= 0 && (size_t)n < sizeof small) {
        result = buf_add(b, small, (size_t)n);
    } else if (n >= 0 && (size_t)n <= b->max - b->len) {
        vsnprintf(make_room(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
        result = 0;
    }
    va_end(again);
    return result;
}

int buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return buf_add(b, digits + at, sizeof digits - at);
}

void buf_consume(struct buf *b, size_t n)
{
    b->head += n;
    b->len -= n;
    if (b->len == 0)
        b->head = 0;
}

void buf_clear(struct buf *b)
{
    b->head = b->len = 0;
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

const char *buf_cstr(struct buf *b)
{
    if (b->head + b->len + 1 > b->cap)
        grow(b, b->len + 1);
    b->data[b->head + b->len] = 0;
    return b->data + b->head;
}
