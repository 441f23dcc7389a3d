#include "net/conn_impl.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_MS    2000
#define LINGER_BYTES MIB(64)

static void on_poll(uv_poll_t *poll, int status, int events);

void conn_update_poll(struct conn *c)
{
    int mask = 0;
    if (!c->eof && (c->reading || c->finishing))
        mask |= UV_READABLE;
    if (c->want_write)
        mask |= UV_WRITABLE;
    if (mask == c->mask || !conn_is_here(c))
        return;
    c->mask = (uint8_t)mask;
    if (mask)
        uv_poll_start(&c->poll, mask, on_poll);
    else
        uv_poll_stop(&c->poll);
}

static void on_poll_closed(uv_handle_t *handle)
{
    conn_closed(container_of(handle, struct conn, poll));
}

void conn_closed(struct conn *c)
{
    close(c->fd);
    c->ops->on_closed(c, (enum conn_end)c->end);
}

static void drop_kept(struct conn *c)
{
    if (!c->kept)
        return;
    conn_pool_hold(conn_pool(), -(ptrdiff_t)c->kept_cap);
    free(c->kept);
    c->kept = NULL;
    c->kept_len = c->kept_cap = 0;
}

/* All but the handle. */
void conn_let_go(struct conn *c, enum conn_end why)
{
    c->closing = true;
    c->end = (uint8_t)why;
    conn_drop_output(c);
    drop_kept(c);
    if (c->linger) {
        timer_stop(c->loop, &c->linger->timer);
        free(c->linger);
        c->linger = NULL;
    }
    c->tls = tls_drop(c->tls);
    waitlist_wake_all(&c->drain_waiters);
}

void conn_end(struct conn *c, enum conn_end why)
{
    if (c->closing)
        return;
    conn_let_go(c, why);
    uv_close((uv_handle_t *)&c->poll, on_poll_closed);
}

static void keep(struct conn *c, const char *p, size_t n)
{
    if (n == 0) {
        drop_kept(c);
        return;
    }
    if (n > c->kept_cap) {
        drop_kept(c);
        c->kept_cap = (uint32_t)n;
        c->kept = mem_alloc(n);
        conn_pool_hold(conn_pool(), (ptrdiff_t)n);
    }
    memcpy(c->kept, p, n);
    c->kept_len = (uint32_t)n;
}

/* Hands input to the owner; p lies in the thread's input buffer. */
static void consume(struct conn *c, char *p, size_t n)
{
    const struct conn_ops *ops;
    c->in_read = true;
    do {
        ops = c->ops;
        size_t used = ops->on_read(c, p, n);
        p += used;
        n -= used;
    } while (ops != c->ops && n && c->reading && conn_is_open(c) && !c->moving);
    c->in_read = false;
    if (!conn_is_open(c))
        n = 0;
    if (!c->closing)
        keep(c, p, n);
    if (c->moving)
        conn_depart(c);
    else if (c->queued)
        conn_flush(c);
}

static void peer_finished(struct conn *c)
{
    c->eof = true;
    conn_update_poll(c);
    if (c->finishing ? !c->queued : !c->ops->on_eof)
        conn_end(c, c->finishing ? CONN_END_LOCAL : CONN_END_PEER);
    else if (!c->finishing)
        c->ops->on_eof(c);
}

/* The peer still sends while we say good-bye: closing with unread input would reset the connection and take our last
 * words from it. */
static void discard(struct conn *c, size_t n)
{
    if (!c->linger)
        return;
    if (n >= c->linger->left)
        conn_end(c, CONN_END_LOCAL);
    else
        c->linger->left -= n;
}

static ssize_t receive_plain(struct conn *c, char *p)
{
    ssize_t got;
    do
        got = recv(c->fd, p, READ_MAX, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? TLS_WANT_READ : TLS_FAILED;
    return got;
}

/* A TLS record holds at most 16 KiB; several are collected. What the library has decrypted already is invisible to
 * poll: then we come again. */
static ssize_t receive_tls(struct conn *c, char *p)
{
    size_t have = 0;
    while (have < READ_MAX) {
        ssize_t got = tls_read(c->tls, p + have, READ_MAX - have);
        if (got <= 0) {
            if (got == TLS_WANT_WRITE)
                c->want_write = true;
            return have ? (ssize_t)have : got;
        }
        have += (size_t)got;
    }
    c->again = true;
    loop_at_end(c->loop, &c->turn);
    return (ssize_t)have;
}

static void read_input(struct conn *c)
{
    struct conn_pool *pool = conn_pool();
    size_t had = c->kept_len;
    if (had + READ_MAX > INPUT_MAX) {
        conn_end(c, CONN_END_ERROR);
        return;
    }
    if (had)
        memcpy(pool->input, c->kept, had);
    ssize_t got = c->tls ? receive_tls(c, pool->input + had) : receive_plain(c, pool->input + had);
    if (got > 0) {
        count(&pool->bytes_in, (uint64_t)got);
        c->last_input_ms = (uint32_t)loop_now_ms(c->loop);
        if (c->finishing)
            discard(c, (size_t)got);
        else
            consume(c, pool->input, had + (size_t)got);
    } else if (got == 0) {
        peer_finished(c);
    } else if (got == TLS_FAILED) {
        conn_end(c, CONN_END_PEER);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct conn *c = container_of(poll, struct conn, poll);
    if (status < 0) {
        conn_end(c, CONN_END_PEER);
        return;
    }
    if (events & UV_WRITABLE) {
        c->want_write = false;
        conn_flush(c);
        if (c->tls && c->reading)
            events |= UV_READABLE; /* a handshake may have waited to write */
    }
    if (!conn_is_here(c) || !(events & UV_READABLE))
        return;
    read_input(c);
    if (c->tls && c->queued && conn_is_here(c))
        conn_flush(c);
    conn_update_poll(c);
}

/* Input that is at hand goes to the owner without waiting for the socket. */
static void deliver_again(struct conn *c)
{
    c->again = false;
    if (!c->reading || !conn_is_open(c))
        return;
    if (c->kept_len) {
        size_t n = c->kept_len;
        char *input = conn_pool()->input;
        memcpy(input, c->kept, n);
        consume(c, input, n);
    }
    if (c->tls && conn_is_here(c) && c->reading && !c->eof)
        read_input(c);
}

static void on_turn_end(struct loop_end *end)
{
    struct conn *c = container_of(end, struct conn, turn);
    if (!conn_is_here(c))
        return;
    if (c->again)
        deliver_again(c);
    if (conn_is_here(c) && (c->queued || c->finishing) && !c->want_write && !c->linger)
        conn_flush(c);
}

int conn_begin(struct conn *c, struct loop *loop, int fd, struct conn_tls *tls, const struct conn_ops *ops)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    uint32_t now = (uint32_t)loop_now_ms(loop);
    *c = (struct conn){.ops = ops, .loop = loop, .fd = fd, .tls = tls, .reading = true, .turn.fn = on_turn_end};
    c->last_input_ms = c->last_output_ms = now;
    waitlist_init(&c->drain_waiters);
    if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
        address_map(&c->peer, &peer);
    if (uv_poll_init(loop_uv(loop), &c->poll, fd) < 0) {
        c->tls = tls_drop(c->tls);
        close(fd);
        return -1;
    }
    conn_update_poll(c);
    return 0;
}

int conn_open(struct conn *c, struct loop *loop, int fd, struct tls_context *tls, const struct conn_ops *ops)
{
    struct conn_tls *own = tls ? tls_accept(tls, fd) : NULL;
    if (tls && !own) {
        close(fd);
        return -1;
    }
    return conn_begin(c, loop, fd, own, ops);
}

void conn_pause(struct conn *c)
{
    c->reading = false;
    conn_update_poll(c);
}

bool conn_is_ready(const struct conn *c)
{
    return !c->tls || tls_ready(c->tls);
}

void conn_resume(struct conn *c)
{
    c->reading = true;
    conn_update_poll(c);
    if ((c->kept_len || (c->tls && tls_pending(c->tls))) && conn_is_open(c)) {
        c->again = true;
        loop_at_end(c->loop, &c->turn);
    }
}

static void linger_over(struct timer *timer)
{
    struct conn_linger *linger = container_of(timer, struct conn_linger, timer);
    conn_end(linger->conn, CONN_END_LOCAL);
}

void conn_all_sent(struct conn *c)
{
    if (c->linger)
        return;
    if (c->tls)
        tls_farewell(c->tls);
    shutdown(c->fd, SHUT_WR);
    if (c->eof) {
        conn_end(c, CONN_END_LOCAL);
        return;
    }
    /* From here on the plain bytes are dropped: nobody looks into the records. */
    c->tls = tls_drop(c->tls);
    c->linger = mem_alloc(sizeof *c->linger);
    *c->linger = (struct conn_linger){.timer.fn = linger_over, .conn = c, .left = LINGER_BYTES};
    timer_start(c->loop, &c->linger->timer, LINGER_MS);
    conn_update_poll(c);
}

void conn_finish(struct conn *c)
{
    if (!conn_is_open(c))
        return;
    c->finishing = true;
    if (!c->in_read)
        drop_kept(c);
    waitlist_wake_all(&c->drain_waiters);
    loop_at_end(c->loop, &c->turn);
    conn_update_poll(c);
}

void conn_close(struct conn *c)
{
    conn_end(c, CONN_END_LOCAL);
}

void conn_close_timeout(struct conn *c)
{
    conn_end(c, CONN_END_TIMEOUT);
}

uint32_t conn_input_age(const struct conn *c)
{
    return (uint32_t)loop_now_ms(c->loop) - c->last_input_ms;
}

uint32_t conn_output_age(const struct conn *c)
{
    return (uint32_t)loop_now_ms(c->loop) - c->last_output_ms;
}
