#include "server/websocket_impl.h"

#include "base/log.h"
#include "base/mem.h"
#include "loop/serial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct conn_ops ops;

void *websocket_user(struct websocket *ws)
{
    return ws->user;
}

void *websocket_ctx(struct websocket *ws)
{
    return ws->ctx;
}

const struct http_route *websocket_route(struct websocket *ws)
{
    return ws->route;
}

const char *websocket_id(struct websocket *ws)
{
    return (const char *)ws + ws->tail;
}

struct str websocket_address(struct websocket *ws)
{
    return str_c(websocket_id(ws) + strlen(websocket_id(ws)) + 1);
}

bool websocket_is_open(const struct websocket *ws)
{
    return ws->state == WS_STATE_OPEN;
}

struct websocket *websocket_ref(struct websocket *ws)
{
    atomic_fetch_add_explicit(&ws->refs, 1, memory_order_relaxed);
    return ws;
}

struct websocket *websocket_unref(struct websocket *ws)
{
    if (ws && atomic_fetch_sub_explicit(&ws->refs, 1, memory_order_acq_rel) == 1)
        free(ws);
    return NULL;
}

static atomic_uint_fast64_t last_id;

struct websocket *websocket_new(struct http_conn *hc, struct http_request *rq, const struct http_route *route)
{
    char id[32];
    ws_metrics(); /* so that they show before the first message */
    size_t id_size = (size_t)snprintf(id, sizeof id, "ws-%" PRIuFAST64, atomic_fetch_add(&last_id, 1) + 1) + 1;
    size_t tail = sizeof(struct websocket) + route->websocket->user_size;
    struct websocket *ws = mem_zalloc(tail + id_size + rq->address.n + 1);
    ws->hc = hc;
    ws->route = route;
    ws->ctx = rq->ctx;
    ws->tail = (uint32_t)tail;
    atomic_init(&ws->refs, 1);
    memcpy((char *)ws + tail, id, id_size);
    if (rq->address.n)
        memcpy((char *)ws + tail + id_size, rq->address.p, rq->address.n);
    size_t max = route->websocket->max_message;
    ws_reader_init(&ws->reader, true, max ? max : LIMIT_WS_MESSAGE);
    return ws;
}

/* ---- Closing ---- */

static void restart_timer(struct websocket *ws, uint64_t ms)
{
    timer_start(ws->hc->conn.loop, &ws->hc->timer, ms);
}

/* Once, with what is known about the end. The door may call anything here, so everything else comes before. */
static void tell_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    if (ws->told)
        return;
    ws->told = true;
    ws_count_close(code);
    log_debug("ws", "closed", F_C("ws", websocket_id(ws)), F_INT("code", code));
    if (ws->route->websocket->on_closed)
        ws->route->websocket->on_closed(ws, code, reason);
}

void websocket_put_close(struct websocket *ws, uint16_t code, struct str reason)
{
    uint8_t frame[WS_HEADER_MAX + 125];
    struct buf out = BUF_INIT(sizeof frame);
    if (ws_close_put(&out, code == WS_NO_STATUS ? 0 : code, reason, false) == 0)
        conn_write(ws_conn(ws), buf_str(&out));
    buf_free(&out);
}

/* Nothing is read or sent from here on; the connection ends once the queue is out. */
static void finish(struct websocket *ws, uint16_t code, struct str reason)
{
    ws->state = WS_STATE_CLOSED;
    serial_stop(&ws->serial);
    conn_finish(ws_conn(ws));
    restart_timer(ws, WS_CLOSE_TIMEOUT);
    tell_closed(ws, ws->close_code ? ws->close_code : code, reason);
}

/* The peer has as long as for a pong, but no longer than is worth waiting for. */
static unsigned close_timeout(const struct websocket *ws)
{
    unsigned pong = ws->hc->sl->config.websocket_pong;
    return pong ? MIN(pong, WS_CLOSE_TIMEOUT) : WS_CLOSE_TIMEOUT;
}

void websocket_close(struct websocket *ws, uint16_t code, struct str reason)
{
    if (ws->state != WS_STATE_OPEN)
        return;
    ws->state = WS_STATE_CLOSING;
    ws->close_code = code;
    websocket_put_close(ws, code, reason);
    serial_stop(&ws->serial);
    websocket_hold(ws, WS_PAUSE_ANY, false);
    restart_timer(ws, close_timeout(ws));
}

void websocket_drain(void *owner)
{
    const struct websocket *ws = owner;
    uint16_t code = ws->route->websocket->drain_code;
    websocket_close(owner, code ? code : WS_NORMAL, STR("Server shutting down"));
}

static void on_conn_closed(struct conn *c, enum conn_end why)
{
    struct http_conn *hc = container_of(c, struct http_conn, conn);
    struct websocket *ws = hc->owner;
    (void)why;
    ws->state = WS_STATE_CLOSED;
    timer_stop(c->loop, &hc->timer);
    serial_stop(&ws->serial);
    ws_reader_free(&ws->reader);
    ws->reader.deflate = ws_deflate_free(ws->reader.deflate);
    tell_closed(ws, ws->close_code ? ws->close_code : WS_ABNORMAL, STR(""));
    ws->hc = NULL;
    http_conn_release(hc);
    websocket_unref(ws);
}

/* ---- Reading ---- */

static void peer_closed(struct websocket *ws, const struct ws_event *event)
{
    if (ws->state == WS_STATE_OPEN)
        websocket_put_close(ws, event->close_code, STR(""));
    finish(ws, event->close_code, event->data);
}

static void got_data(struct websocket *ws, const struct ws_event *event)
{
    const struct websocket_ops *door = ws->route->websocket;
    if (ws->state != WS_STATE_OPEN)
        return;
    if (event->fin)
        metric_inc(ws_metrics()->messages_in);
    metric_add(ws_metrics()->bytes_in, (int64_t)event->data.n);
    if (door->on_frame)
        door->on_frame(ws, event->opcode, event->fin, event->data);
    else
        door->on_message(ws, event->opcode, event->data);
}

static void got_event(struct websocket *ws, const struct ws_event *event)
{
    switch (event->opcode) {
    case WS_CONTINUATION:
    case WS_TEXT:
    case WS_BINARY:
        got_data(ws, event);
        break;
    case WS_PING:
        if (ws->state == WS_STATE_OPEN)
            websocket_send(ws, WS_PONG, event->data);
        break;
    case WS_CLOSE:
        peer_closed(ws, event);
        break;
    case WS_PONG:
        break;
    }
}

static void broken(struct websocket *ws, const struct err *e)
{
    log_debug("ws", "protocol_error", F_C("ws", websocket_id(ws)), F_ERR(e));
    if (ws->state == WS_STATE_OPEN)
        websocket_put_close(ws, ws->reader.error, str_c(e->text));
    finish(ws, ws->reader.error, str_c(e->text));
}

/* The door's callbacks may close the socket; the record lives until on_conn_closed, which never runs inside. */
static size_t on_read(struct conn *c, char *p, size_t n)
{
    struct websocket *ws = container_of(c, struct http_conn, conn)->owner;
    struct str in = {p, n};
    bool frames = ws->route->websocket->on_frame;
    ws->pinged = false;
    const char *outer_id = log_request_id;
    log_request_id = websocket_id(ws);
    while (ws->state != WS_STATE_CLOSED && !ws->paused) {
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
    log_request_id = outer_id;
    return ws->state == WS_STATE_CLOSED ? n : n - in.n;
}

void websocket_set_max(struct websocket *ws, size_t max_message)
{
    ws->reader.max_message = max_message;
}

/* Whoever wants to pause, but once the socket closes it is read for the peer's close frame. */
void websocket_hold(struct websocket *ws, unsigned why, bool pause)
{
    if (!ws->hc || (pause && ws->state != WS_STATE_OPEN))
        return;
    bool was = ws->paused;
    ws->paused = (pause ? ws->paused | why : ws->paused & ~why) & WS_PAUSE_ANY;
    if (was == (ws->paused != 0))
        return;
    if (pause)
        conn_pause(ws_conn(ws));
    else
        conn_resume(ws_conn(ws));
}

void websocket_pause(struct websocket *ws, bool pause)
{
    websocket_hold(ws, WS_PAUSE_DOOR, pause);
}

static void on_drained(struct conn *c)
{
    struct websocket *ws = container_of(c, struct http_conn, conn)->owner;
    if (ws->state == WS_STATE_OPEN && ws->route->websocket->on_drained)
        ws->route->websocket->on_drained(ws);
}

static const struct conn_ops ops = {.on_read = on_read, .on_drained = on_drained, .on_closed = on_conn_closed};

/* ---- Keep-alive ---- */

/* Without a limit for the answer, or while we do not read answers, the ping only keeps the way open: it fails when the
 * peer is gone. */
static void send_ping(struct websocket *ws)
{
    const struct server_config *config = &ws->hc->sl->config;
    bool sent = websocket_send(ws, WS_PING, STR("")) == 0;
    if (ws->state != WS_STATE_OPEN) /* a slow consumer: its closing runs the timer now */
        return;
    ws->pinged = sent && config->websocket_pong && !ws->paused;
    ws->pinged_at = (uint32_t)loop_now_ms(ws->hc->conn.loop);
    restart_timer(ws, ws->pinged ? MIN(config->websocket_pong, config->websocket_ping) : config->websocket_ping);
}

/* A peer that takes our output is alive, however long our ping waits in the queue. */
static bool takes_output(struct websocket *ws, unsigned pong_ms)
{
    return websocket_queued(ws) && conn_output_age(ws_conn(ws)) < pong_ms;
}

static void await_pong(struct websocket *ws, const struct server_config *config)
{
    uint32_t waited = (uint32_t)loop_now_ms(ws->hc->conn.loop) - ws->pinged_at;
    if (waited < config->websocket_pong)
        restart_timer(ws, config->websocket_pong - waited);
    else if (takes_output(ws, config->websocket_pong))
        restart_timer(ws, config->websocket_ping);
    else
        conn_close_timeout(&ws->hc->conn);
}

/* Re-armed lazily: input only notes the time. */
static void on_timer(struct timer *timer)
{
    struct http_conn *hc = container_of(timer, struct http_conn, timer);
    struct websocket *ws = hc->owner;
    const struct server_config *config = &hc->sl->config;
    if (ws->state != WS_STATE_OPEN) {
        conn_close_timeout(&hc->conn);
        return;
    }
    if (!config->websocket_ping)
        return;
    uint32_t idle = conn_input_age(&hc->conn);
    if (ws->paused || (!ws->pinged && idle >= config->websocket_ping))
        send_ping(ws);
    else if (ws->pinged)
        await_pong(ws, config);
    else
        restart_timer(ws, config->websocket_ping - idle);
}

void websocket_start(struct websocket *ws)
{
    struct http_conn *hc = ws->hc;
    http_conn_upgrade(hc, &ops, ws);
    hc->timer.fn = on_timer;
    if (hc->sl->config.websocket_ping && !ws->route->websocket->no_ping)
        restart_timer(ws, hc->sl->config.websocket_ping);
}
