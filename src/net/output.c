#include "net/conn_impl.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define KEPT_SEGMENTS 1024 /* free ones a thread keeps: 4 MiB, once so many were in use: a broadcast takes one each */
#define IOV           64

static struct out_segment *segment_new(struct conn *c, size_t cap)
{
    struct conn_pool *pool = conn_pool();
    struct out_segment *segment = NULL;
    if (cap == SEGMENT_SPACE && pool->free) {
        segment = pool->free;
        pool->free = segment->next;
        pool->nfree--;
    } else {
        segment = mem_alloc(sizeof *segment + cap);
    }
    *segment = (struct out_segment){.data = segment->space, .cap = cap};
    conn_pool_hold(pool, (ptrdiff_t)(sizeof *segment + cap));
    if (c->out)
        c->out_last->next = segment;
    else
        c->out = segment;
    c->out_last = segment;
    return segment;
}

static void segment_drop(struct conn *c)
{
    struct conn_pool *pool = conn_pool();
    struct out_segment *segment = c->out;
    c->out = segment->next;
    if (!c->out)
        c->out_last = NULL;
    conn_pool_hold(pool, -(ptrdiff_t)(sizeof *segment + segment->cap));
    blob_unref(segment->blob);
    if (segment->cap == SEGMENT_SPACE && pool->nfree < KEPT_SEGMENTS) {
        segment->next = pool->free;
        pool->free = segment;
        pool->nfree++;
    } else {
        free(segment);
    }
}

void conn_drop_output(struct conn *c)
{
    while (c->out)
        segment_drop(c);
    c->queued = 0;
}

static size_t room(const struct conn *c)
{
    const struct out_segment *last = c->out_last;
    return last && !last->blob ? (size_t)(last->space + last->cap - (last->data + last->left)) : 0;
}

/* Sending waits for the end of the turn, so that several writes leave in one system call. */
static void added(struct conn *c, size_t n)
{
    if (!c->queued)
        c->last_output_ms = (uint32_t)loop_now_ms(c->loop);
    c->queued += n;
    if (c->queued > CONN_HIGH_MARK)
        c->over_high = true;
    if (!c->in_read && !c->want_write)
        loop_at_end(c->loop, &c->turn);
}

char *conn_reserve(struct conn *c, size_t n)
{
    if (!conn_is_open(c))
        return conn_pool()->scratch;
    if (room(c) < n)
        segment_new(c, SEGMENT_SPACE);
    struct out_segment *last = c->out_last;
    return last->space + (last->data + last->left - last->space);
}

void conn_commit(struct conn *c, size_t n)
{
    if (!conn_is_open(c))
        return;
    c->out_last->left += n;
    added(c, n);
}

void conn_write(struct conn *c, struct str bytes)
{
    if (!conn_is_open(c) || bytes.n == 0)
        return;
    size_t total = bytes.n;
    while (bytes.n) {
        if (room(c) == 0)
            segment_new(c, MAX(bytes.n, SEGMENT_SPACE));
        struct out_segment *last = c->out_last;
        size_t n = MIN(bytes.n, room(c));
        memcpy(last->space + (last->data + last->left - last->space), bytes.p, n);
        last->left += n;
        bytes = str_from(bytes, n);
    }
    added(c, total);
}

void conn_write_blob(struct conn *c, struct blob *blob)
{
    if (!conn_is_open(c) || blob->n == 0)
        return;
    if (blob->n <= room(c)) {
        conn_write(c, blob_str(blob));
        return;
    }
    struct out_segment *segment = segment_new(c, 0);
    segment->data = blob->data;
    segment->left = blob->n;
    segment->blob = blob_ref(blob);
    added(c, blob->n);
}

static void sent(struct conn *c, size_t n)
{
    count(&conn_pool()->bytes_out, n);
    c->last_output_ms = (uint32_t)loop_now_ms(c->loop);
    c->queued -= n;
    while (c->out && n >= c->out->left) {
        n -= c->out->left;
        segment_drop(c);
    }
    if (c->out && n) {
        c->out->data += n;
        c->out->left -= n;
    }
}

enum send_result { SEND_FAILED, SEND_FULL, SEND_WAITS_FOR_INPUT, SEND_SOME };

static enum send_result send_plain(struct conn *c)
{
    struct iovec iov[IOV];
    struct msghdr message = {.msg_iov = iov};
    for (struct out_segment *s = c->out; s && message.msg_iovlen < IOV; s = s->next)
        iov[message.msg_iovlen++] = (struct iovec){(char *)(uintptr_t)s->data, s->left};
    ssize_t n;
    do
        n = message.msg_iovlen == 1 ? send(c->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL)
                                    : sendmsg(c->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? SEND_FULL : SEND_FAILED;
    sent(c, (size_t)n);
    return SEND_SOME;
}

static enum send_result send_tls(struct conn *c)
{
    if (c->out->left == 0) {
        sent(c, 0);
        return SEND_SOME;
    }
    ssize_t n = tls_write(c->tls, c->out->data, c->out->left);
    if (n > 0) {
        sent(c, (size_t)n);
        return SEND_SOME;
    }
    if (n == TLS_WANT_READ) /* in the middle of a handshake: what reads next flushes */
        return SEND_WAITS_FOR_INPUT;
    return n == TLS_WANT_WRITE ? SEND_FULL : SEND_FAILED;
}

static void drained(struct conn *c)
{
    c->over_high = false;
    waitlist_wake_all(&c->drain_waiters);
    if (c->ops->on_drained && conn_is_open(c))
        c->ops->on_drained(c);
}

void conn_flush(struct conn *c)
{
    enum send_result result = SEND_SOME;
    while (result == SEND_SOME && c->queued && !c->closing)
        result = c->tls ? send_tls(c) : send_plain(c);
    if (c->closing)
        return;
    if (result == SEND_FAILED) {
        conn_end(c, CONN_END_PEER);
        return;
    }
    if (!c->queued)
        conn_drop_output(c); /* a segment that was reserved and not used */
    c->want_write = result == SEND_FULL;
    conn_update_poll(c);
    if (c->over_high && c->queued <= CONN_LOW_MARK)
        drained(c);
    if (c->finishing && !c->queued && !c->closing)
        conn_all_sent(c);
}

int conn_wait_drained(struct conn *c, struct err *e)
{
    if (c->queued > CONN_HIGH_MARK && conn_is_open(c) && !c->want_write)
        conn_flush(c);
    while (c->queued > CONN_HIGH_MARK && conn_is_open(c))
        if (waitlist_wait(&c->drain_waiters, e) < 0)
            return -1;
    return conn_is_open(c) ? 0 : err_set(e, ERR_CANCELLED, NULL);
}
