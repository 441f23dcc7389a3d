#include "wire/ws_impl.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>

#define LEVEL     3
#define MEM_LEVEL 4  /* 8 KiB of hash and pending output instead of 128 */
#define POOL_BITS 12 /* messages are small: a 4 KiB window finds nearly all that a larger one would */
#define CHUNK     4096

struct ws_deflate {
    int bits;      /* window of what we compress */
    bool keep_out; /* context takeover of what we compress, and of what the peer does */
    bool keep_in;
    z_stream *out, *in; /* only with context takeover */
};

/* Streams of one thread that messages without context borrow. */
struct pool {
    z_stream *out[POOL_BITS + 1]; /* by window bits */
    z_stream *in;
};

static _Thread_local struct pool *pool;
static pthread_key_t pool_key;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static z_stream *deflate_free(z_stream *z)
{
    if (z)
        deflateEnd(z);
    free(z);
    return NULL;
}

static z_stream *inflate_free(z_stream *z)
{
    if (z)
        inflateEnd(z);
    free(z);
    return NULL;
}

static void pool_free(void *ptr)
{
    struct pool *p = ptr;
    for (size_t i = 0; i < COUNT(p->out); i++)
        deflate_free(p->out[i]);
    inflate_free(p->in);
    free(p);
}

static void pool_key_create(void)
{
    if (pthread_key_create(&pool_key, pool_free) != 0)
        die("pthread_key_create failed");
}

static struct pool *pool_of_thread(void)
{
    if (!pool) {
        pthread_once(&pool_once, pool_key_create);
        pool = mem_zalloc(sizeof *pool);
        pthread_setspecific(pool_key, pool);
    }
    return pool;
}

static z_stream *deflate_new(int bits)
{
    z_stream *z = mem_zalloc(sizeof *z);
    if (deflateInit2(z, LEVEL, Z_DEFLATED, -bits, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        die("deflateInit2 failed");
    return z;
}

/* A window of 15 bits reads whatever window the peer chose. */
static z_stream *inflate_new(void)
{
    z_stream *z = mem_zalloc(sizeof *z);
    if (inflateInit2(z, -15) != Z_OK)
        die("inflateInit2 failed");
    return z;
}

struct ws_deflate *ws_deflate_new(const struct ws_deflate_params *params, bool server)
{
    struct ws_deflate *d = mem_zalloc(sizeof *d);
    d->bits = server ? params->server_max_window_bits : params->client_max_window_bits;
    d->keep_out = !(server ? params->server_no_context_takeover : params->client_no_context_takeover);
    d->keep_in = !(server ? params->client_no_context_takeover : params->server_no_context_takeover);
    return d;
}

struct ws_deflate *ws_deflate_free(struct ws_deflate *d)
{
    if (!d)
        return NULL;
    deflate_free(d->out);
    inflate_free(d->in);
    free(d);
    return NULL;
}

static z_stream *deflate_stream(struct ws_deflate *d)
{
    if (d->keep_out)
        return d->out ? d->out : (d->out = deflate_new(d->bits));
    z_stream **slot = &pool_of_thread()->out[MIN(d->bits, POOL_BITS)];
    if (!*slot)
        *slot = deflate_new(MIN(d->bits, POOL_BITS));
    return *slot;
}

static z_stream *inflate_stream(struct ws_deflate *d)
{
    z_stream **slot = d->keep_in ? &d->in : &pool_of_thread()->in;
    if (!*slot)
        *slot = inflate_new();
    return *slot;
}

/* All input and a flush into out; -1 past the ceiling. */
static int deflate_all(z_stream *z, struct str message, struct buf *out)
{
    z->next_in = (Bytef *)(uintptr_t)message.p;
    z->avail_in = (uInt)message.n;
    do {
        size_t room = MIN(out->max - out->len, MAX(message.n / 2, (size_t)CHUNK));
        char *to = room ? buf_reserve(out, room) : NULL;
        if (!to)
            return -1;
        z->next_out = (Bytef *)to;
        z->avail_out = (uInt)room;
        deflate(z, Z_SYNC_FLUSH);
        buf_commit(out, room - z->avail_out);
    } while (z->avail_out == 0);
    return 0;
}

int ws_deflate_message(struct ws_deflate *d, struct str message, struct buf *out)
{
    static const char tail[] = {0, 0, (char)0xFF, (char)0xFF};
    if (message.n > UINT32_MAX / 2)
        return -1;
    z_stream *z = deflate_stream(d);
    size_t before = out->len, ceiling = out->max;
    out->max = ceiling > SIZE_MAX - sizeof tail - 1 ? ceiling : ceiling + sizeof tail + 1;
    int done = deflate_all(z, message, out);
    out->max = ceiling;
    size_t n = out->len - before;
    /* zlib writes no second flush block when nothing came since the last: an empty stored block's header says it. */
    if (done == 0 && n >= sizeof tail && str_ends(buf_str(out), str_n(tail, sizeof tail)))
        out->len -= sizeof tail;
    else if (done == 0 && n == 0)
        done = buf_byte(out, 0);
    if (done < 0 || out->len > ceiling) {
        out->len = before;
        done = -1;
    }
    /* After a failure the peer lacks what the window holds: begin anew, which every decompressor follows. */
    if (done < 0 || !d->keep_out)
        deflateReset(z);
    return done;
}

/* Whether there is more output, once out is full. */
static uint16_t inflate_past_ceiling(z_stream *z)
{
    Bytef byte;
    z->next_out = &byte;
    z->avail_out = 1;
    int got = inflate(z, Z_SYNC_FLUSH);
    if (z->avail_out == 0)
        return WS_TOO_BIG;
    if (got == Z_STREAM_END)
        inflateReset(z);
    return got == Z_OK || got == Z_BUF_ERROR || got == Z_STREAM_END ? 0 : WS_BAD_DATA;
}

/* One stretch of compressed bytes. A block marked final ends zlib's stream: RFC 7692 lets the message go on behind it.
 */
static uint16_t inflate_piece(z_stream *z, struct str piece, struct buf *out)
{
    z->next_in = (Bytef *)(uintptr_t)piece.p;
    z->avail_in = (uInt)piece.n;
    for (;;) {
        size_t room = MIN(out->max - out->len, MAX(out->len, (size_t)CHUNK));
        if (room == 0) {
            uint16_t code = inflate_past_ceiling(z);
            if (code || z->avail_in == 0)
                return code;
            continue;
        }
        z->next_out = (Bytef *)buf_reserve(out, room);
        z->avail_out = (uInt)room;
        int got = inflate(z, Z_SYNC_FLUSH);
        buf_commit(out, room - z->avail_out);
        if (got == Z_STREAM_END)
            inflateReset(z);
        else if (got != Z_OK && got != Z_BUF_ERROR)
            return WS_BAD_DATA;
        if (z->avail_in == 0 && z->avail_out)
            return 0;
    }
}

uint16_t ws_inflate_message(struct ws_deflate *d, struct str compressed, struct buf *out)
{
    /* Some peers send nothing at all for an empty message instead of the one byte that RFC 7692 7.2.3.6 asks for. */
    if (compressed.n == 0)
        return 0;
    z_stream *z = inflate_stream(d);
    uint16_t code = compressed.n > UINT32_MAX / 2 ? WS_TOO_BIG : inflate_piece(z, compressed, out);
    if (!code)
        code = inflate_piece(z, STR("\0\0\xFF\xFF"), out);
    /* data_type: 128 when all was decoded up to the end of a block, else the message was cut short. */
    if (!code && !(z->data_type & 128))
        code = WS_BAD_DATA;
    if (code || !d->keep_in)
        inflateReset(z);
    return code;
}
