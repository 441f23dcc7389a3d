#include "server/server_impl.h"

#include <stdio.h>

#define SMALL 2048 /* chunks up to here are put together in place */

static struct conn *stream_conn(struct http_exchange *x)
{
    return x->streaming && x->rq.conn && conn_is_open(&x->rq.conn->conn) ? &x->rq.conn->conn : NULL;
}

static size_t put_size(char *at, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    char digits[16];
    size_t len = 0;
    do {
        digits[len++] = hex[n & 15];
        n >>= 4;
    } while (n);
    for (size_t i = 0; i < len; i++)
        at[i] = digits[len - 1 - i];
    at[len] = '\r';
    at[len + 1] = '\n';
    return len + 2;
}

static void put_small(struct conn *c, struct str bytes)
{
    char *at = conn_reserve(c, bytes.n + 20);
    size_t n = put_size(at, bytes.n);
    memcpy(at + n, bytes.p, bytes.n);
    n += bytes.n;
    at[n] = '\r';
    at[n + 1] = '\n';
    conn_commit(c, n + 2);
}

/* One chunk around bytes or, when there is one, a blob. */
static void put_chunk(struct http_exchange *x, struct conn *c, struct str bytes, struct blob *blob)
{
    x->sent += bytes.n;
    bool too_long = x->sized && x->sent > x->length; /* it would be read as the next reply */
    if (bytes.n == 0 || x->rq.method == HTTP_HEAD || too_long)
        return;
    if (x->chunks && bytes.n <= SMALL) {
        put_small(c, bytes);
        return;
    }
    if (x->chunks) {
        char *at = conn_reserve(c, 20);
        conn_commit(c, put_size(at, bytes.n));
    }
    if (blob)
        conn_write_blob(c, blob);
    else
        conn_write(c, bytes);
    if (x->chunks)
        conn_write(c, STR("\r\n"));
}

static int stream_write(struct http_request *rq, struct str bytes, struct blob *blob, struct err *e)
{
    struct http_exchange *x = http_exchange(rq);
    struct conn *c = stream_conn(x);
    if (!c)
        return err_set(e, ERR_CANCELLED, NULL);
    put_chunk(x, c, bytes, blob);
    return conn_wait_drained(c, e);
}

int http_stream_write(struct http_request *rq, struct str bytes, struct err *e)
{
    return stream_write(rq, bytes, NULL, e);
}

int http_stream_blob(struct http_request *rq, struct blob *blob, struct err *e)
{
    return stream_write(rq, blob_str(blob), blob, e);
}

int http_stream_put(struct http_request *rq, struct str bytes)
{
    struct http_exchange *x = http_exchange(rq);
    struct conn *c = stream_conn(x);
    if (!c)
        return -1;
    put_chunk(x, c, bytes, NULL);
    return 0;
}

void http_stream_end(struct http_request *rq)
{
    struct http_exchange *x = http_exchange(rq);
    struct conn *c = stream_conn(x);
    x->streaming = false;
    if (!c || (x->sized && x->sent != x->length))
        return;
    if (x->chunks && rq->method != HTTP_HEAD)
        conn_write(c, STR("0\r\n\r\n"));
    exchange_complete(x);
}

bool http_replied(const struct http_request *rq)
{
    return container_of(rq, const struct http_exchange, rq)->status != 0;
}

bool http_draining(const struct http_request *rq)
{
    return container_of(rq, const struct http_exchange, rq)->sl->draining;
}

void http_needs_client(struct http_request *rq)
{
    http_exchange(rq)->needs_client = true;
    if (rq->conn && rq->conn->conn.eof)
        http_conn_gone(rq->conn);
}
