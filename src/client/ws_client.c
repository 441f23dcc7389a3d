#include "client/ws_client_impl.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "client/upstream_impl.h"

#include <stdlib.h>

#define IN_PLACE_MAX  KIB(4) /* what conn_reserve gives */
#define CONTROL_MAX   125
#define CLOSE_TIMEOUT 5000 /* ms for the peer's close frame after ours, or for the last output, at most */

/* Those with a connection, for the end of the thread. */
static _Thread_local struct list sockets;

static struct list *own_sockets(void)
{
    if (!sockets.next)
        list_init(&sockets);
    return &sockets;
}

void *ws_client_user(const struct ws_client *ws)
{
    return ws->user;
}

struct str ws_client_protocol(const struct ws_client *ws)
{
    return str_c(ws->protocol ? ws->protocol : "");
}

bool ws_client_is_open(const struct ws_client *ws)
{
    return ws->state == WSC_OPEN;
}

struct ws_client *ws_client_ref(struct ws_client *ws)
{
    atomic_fetch_add_explicit(&ws->refs, 1, memory_order_relaxed);
    return ws;
}

struct ws_client *ws_client_unref(struct ws_client *ws)
{
    if (ws && atomic_fetch_sub_explicit(&ws->refs, 1, memory_order_acq_rel) == 1) {
        free(ws->protocol);
        free(ws);
    }
    return NULL;
}

/* ---- Sending ---- */

/* Masked while it is copied into the connection's output, in pieces that lie there without gaps. */
static void queue_frame(struct conn *c, enum ws_opcode opcode, bool fin, struct str data)
{
    uint8_t key[4];
    size_t at = MIN(data.n, IN_PLACE_MAX - WS_HEADER_MAX);
    rand_bytes(key, sizeof key);
    uint8_t *to = (uint8_t *)conn_reserve(c, WS_HEADER_MAX + at);
    size_t header = ws_header(to, opcode, fin, false, data.n, key);
    ws_mask_copy(to + header, data.p, at, key, 0);
    conn_commit(c, header + at);
    for (size_t n; at < data.n; at += n) {
        n = MIN(data.n - at, IN_PLACE_MAX);
        ws_mask_copy((uint8_t *)conn_reserve(c, n), data.p + at, n, key, at);
        conn_commit(c, n);
    }
}

/* Whether the frame may follow those before. */
static bool fits(const struct ws_client *ws, enum ws_opcode opcode, bool fin, size_t n)
{
    if (opcode == WS_PING || opcode == WS_PONG)
        return fin && n <= CONTROL_MAX;
    return opcode <= WS_BINARY && (opcode == WS_CONTINUATION) == ws->in_message;
}

int ws_client_send(struct ws_client *ws, enum ws_opcode opcode, bool fin, struct str data)
{
    if (ws->state != WSC_OPEN || !conn_is_open(&ws->conn) || !fits(ws, opcode, fin, data.n))
        return -1;
    if (UNLIKELY(conn_queued(&ws->conn) > LIMIT_WS_QUEUE)) {
        log_warn("client", "websocket_slow", F_C("upstream", upstream_name(ws->upstream)));
        ws_client_close(ws, WS_TRY_LATER, STR("Slow consumer"));
        return -1;
    }
    if (opcode <= WS_BINARY)
        ws->in_message = !fin;
    queue_frame(&ws->conn, opcode, fin, data);
    return 0;
}

static void put_close(struct ws_client *ws, uint16_t code, struct str reason)
{
    struct buf out = BUF_INIT(WS_HEADER_MAX + CONTROL_MAX);
    if (ws_close_put(&out, code == WS_NO_STATUS ? 0 : code, reason, true) == 0)
        conn_write(&ws->conn, buf_str(&out));
    buf_free(&out);
}

size_t ws_client_queued(const struct ws_client *ws)
{
    return conn_queued(&ws->conn);
}

int ws_client_wait_drained(struct ws_client *ws, struct err *e)
{
    if (ws->state != WSC_OPEN)
        return err_set(e, ERR_CANCELLED, NULL);
    return conn_wait_drained(&ws->conn, e);
}

/* ---- Closing ---- */

/* Once, with what is known about the end. The owner may call anything here, so everything else comes before. */
static void tell_closed(struct ws_client *ws, uint16_t code, struct str reason)
{
    if (ws->told)
        return;
    ws->told = true;
    metric_dec(ws->upstream->websockets);
    log_debug("client", "websocket_closed", F_C("upstream", upstream_name(ws->upstream)), F_INT("code", code));
    if (ws->ops->on_closed)
        ws->ops->on_closed(ws, code, reason);
}

/* Nothing is read or sent from here on; the connection ends once the queue is out. */
static void finish(struct ws_client *ws, uint16_t code, struct str reason)
{
    ws->state = WSC_CLOSED;
    conn_finish(&ws->conn);
    timer_start(ws->conn.loop, &ws->timer, CLOSE_TIMEOUT);
    tell_closed(ws, ws->close_code ? ws->close_code : code, reason);
}

void ws_client_close(struct ws_client *ws, uint16_t code, struct str reason)
{
    if (ws->state != WSC_OPEN)
        return;
    ws->state = WSC_CLOSING;
    ws->close_code = code;
    put_close(ws, code, reason);
    ws_client_pause(ws, false);
    /* The peer has as long as for a pong, but no longer than is worth waiting for. */
    timer_start(ws->conn.loop, &ws->timer, ws->pong ? MIN(ws->pong, CLOSE_TIMEOUT) : CLOSE_TIMEOUT);
}

void ws_client_abort(struct ws_client *ws)
{
    if (ws->state == WSC_CLOSED)
        return;
    ws->state = WSC_CLOSED;
    conn_close(&ws->conn);
}

void ws_client_conn_closed(struct conn *c, enum conn_end why)
{
    struct ws_client *ws = container_of(c, struct ws_client, conn);
    (void)why;
    ws->state = WSC_CLOSED;
    timer_stop(c->loop, &ws->timer);
    list_remove(&ws->link);
    ws_reader_free(&ws->reader);
    if (ws->opening)
        ws_opening_lost(ws->opening);
    else
        tell_closed(ws, ws->close_code ? ws->close_code : WS_ABNORMAL, STR(""));
    ws_client_unref(ws);
}

void ws_client_end_all(void)
{
    struct list *first;
    while ((first = list_pop_front(own_sockets()))) {
        struct ws_client *ws = container_of(first, struct ws_client, link);
        ws->state = WSC_CLOSED;
        conn_close(&ws->conn);
        tell_closed(ws, ws->close_code ? ws->close_code : WS_GOING_AWAY, STR(""));
    }
}

/* ---- Reading ---- */

static void got_data(struct ws_client *ws, const struct ws_event *event)
{
    if (ws->state != WSC_OPEN)
        return;
    if (ws->ops->on_frame)
        ws->ops->on_frame(ws, event->opcode, event->fin, event->data);
    else
        ws->ops->on_message(ws, event->opcode, event->data);
}

static void peer_closed(struct ws_client *ws, const struct ws_event *event)
{
    if (ws->state == WSC_OPEN)
        put_close(ws, event->close_code, STR(""));
    finish(ws, event->close_code, event->data);
}

static void got_event(struct ws_client *ws, const struct ws_event *event)
{
    switch (event->opcode) {
    case WS_CONTINUATION:
    case WS_TEXT:
    case WS_BINARY:
        got_data(ws, event);
        break;
    case WS_PING:
        ws_client_send(ws, WS_PONG, true, event->data);
        break;
    case WS_PONG:
        break;
    case WS_CLOSE:
        peer_closed(ws, event);
        break;
    }
}

static void broken(struct ws_client *ws, const struct err *e)
{
    log_debug("client", "websocket_protocol_error", F_C("upstream", upstream_name(ws->upstream)), F_ERR(e));
    if (ws->state == WSC_OPEN)
        put_close(ws, ws->reader.error, str_c(e->text));
    finish(ws, ws->reader.error, str_c(e->text));
}

/* The owner's callbacks may close the socket; the record lives until ws_client_conn_closed, which never runs inside. */
static size_t on_read(struct conn *c, char *p, size_t n)
{
    struct ws_client *ws = container_of(c, struct ws_client, conn);
    struct str in = {p, n};
    bool frames = ws->ops->on_frame;
    ws->pinged = false;
    while (ws->state != WSC_CLOSED && !ws->paused) {
        struct ws_event event;
        struct err e;
        int got = frames ? ws_next_frame(&ws->reader, &in, &event, &e) : ws_next(&ws->reader, &in, &event, &e);
        if (got == 0)
            break;
        if (got > 0)
            got_event(ws, &event);
        else
            broken(ws, &e);
    }
    return ws->state == WSC_CLOSED ? n : n - in.n;
}

static void on_drained(struct conn *c)
{
    struct ws_client *ws = container_of(c, struct ws_client, conn);
    if (ws->state == WSC_OPEN && ws->ops->on_drained)
        ws->ops->on_drained(ws);
}

const struct conn_ops ws_client_conn_ops = {
    .on_read = on_read, .on_drained = on_drained, .on_closed = ws_client_conn_closed};

void ws_client_pause(struct ws_client *ws, bool pause)
{
    if (ws->paused == pause || (pause && ws->state != WSC_OPEN))
        return;
    ws->paused = pause;
    if (pause)
        conn_pause(&ws->conn);
    else
        conn_resume(&ws->conn);
}

/* ---- Keep-alive ---- */

/* Without a limit for the answer, or while we do not read answers, the ping only keeps the way open. */
static void send_ping(struct ws_client *ws)
{
    if (ws_client_send(ws, WS_PING, true, STR("")) < 0)
        return;
    ws->pinged = ws->pong && !ws->paused;
    ws->pinged_at = (uint32_t)loop_now_ms(ws->conn.loop);
    timer_start(ws->conn.loop, &ws->timer, ws->pinged ? MIN(ws->pong, ws->ping) : ws->ping);
}

/* A peer that takes our output is alive, however long our ping waits in the queue. */
static void await_pong(struct ws_client *ws)
{
    uint32_t waited = (uint32_t)loop_now_ms(ws->conn.loop) - ws->pinged_at;
    if (waited < ws->pong)
        timer_start(ws->conn.loop, &ws->timer, ws->pong - waited);
    else if (conn_queued(&ws->conn) && conn_output_age(&ws->conn) < ws->pong)
        timer_start(ws->conn.loop, &ws->timer, ws->ping);
    else
        conn_close_timeout(&ws->conn);
}

/* Re-armed lazily: input only notes the time. */
static void on_timer(struct timer *timer)
{
    struct ws_client *ws = container_of(timer, struct ws_client, timer);
    uint32_t idle = conn_input_age(&ws->conn);
    if (ws->state != WSC_OPEN)
        conn_close_timeout(&ws->conn);
    else if (ws->paused || (!ws->pinged && idle >= ws->ping))
        send_ping(ws);
    else if (ws->pinged)
        await_pong(ws);
    else
        timer_start(ws->conn.loop, &ws->timer, ws->ping - idle);
}

/* ---- Beginning ---- */

struct ws_client *ws_client_new(const struct ws_client_request *rq)
{
    struct ws_client *ws = mem_zalloc(sizeof *ws);
    ws->ops = rq->ops;
    ws->user = rq->user;
    ws->upstream = rq->upstream;
    ws->ping = rq->ping;
    ws->pong = rq->pong;
    ws->timer.fn = on_timer;
    list_init(&ws->link);
    atomic_init(&ws->refs, 1);
    ws_reader_init(&ws->reader, false, rq->max_message ? rq->max_message : LIMIT_WS_MESSAGE);
    return ws;
}

void ws_client_opened(struct ws_client *ws)
{
    ws->state = WSC_OPEN;
    list_push_back(own_sockets(), &ws->link);
    metric_inc(ws->upstream->websockets);
    if (ws->ping)
        timer_start(ws->conn.loop, &ws->timer, ws->ping);
    conn_resume(&ws->conn);
}
