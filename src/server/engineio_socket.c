#include "server/engineio_impl.h"

#include "base/log.h"
#include "base/mem.h"
#include "wire/base64.h"

#include <stdlib.h>

#define SILENTLY STR("") /* Engine.IO closes without a reason */

static struct eio_link *link_of(struct websocket *ws)
{
    return websocket_user(ws);
}

/* The session has done with this WebSocket. */
static void let_go(struct websocket *ws, uint16_t code, struct str reason)
{
    link_of(ws)->session = NULL;
    websocket_close(ws, code, reason);
}

/* ---- Sending ---- */

int eio_socket_binary(struct eio_session *s, struct str data)
{
    static const char message[] = {EIO_MESSAGE};
    bool v3 = s->version == EIO_V3;
    if (!s->b64)
        return websocket_send_parts(s->ws, WS_BINARY, (struct str[]){{message, v3}, data}, 2);
    struct buf text = BUF_INIT(data.n * 2 + 4);
    base64_put(&text, data, false);
    int result = websocket_send_parts(s->ws, WS_TEXT, (struct str[]){v3 ? STR("b4") : STR("b"), buf_str(&text)}, 2);
    buf_free(&text);
    return result;
}

void eio_socket_begin(struct eio_session *s)
{
    struct buf open = BUF_INIT(KIB(1));
    s->opening = false;
    eio_put_open(s, &open);
    websocket_send(s->ws, WS_TEXT, buf_str(&open));
    buf_free(&open);
    eio_flush(s);
    if (s->state != EIO_RUNNING)
        return;
    eio_begin(s);
    eio_check_drained(s);
}

/* ---- A WebSocket that probes while the session goes on polling ---- */

static void drop_probe(struct eio_session *s)
{
    struct eio_probe *probe = s->probe;
    if (!probe)
        return;
    s->probe = NULL;
    timer_stop(s->shard->loop, &probe->timer);
    free(probe);
}

static void end_probe(struct eio_session *s)
{
    let_go(s->probe->ws, WS_NO_STATUS, SILENTLY);
    drop_probe(s);
}

/* The client waits for its poll to end before it changes over. */
static void end_poll(struct eio_session *s)
{
    if (!s->poll)
        return;
    if (!s->nitems)
        eio_queue(s, EIO_NOOP, false, NULL);
    eio_answer_poll(s);
}

static void wait_for_client(struct eio_probe *probe)
{
    struct loop *loop = probe->session->shard->loop;
    uint64_t now = loop_now_ms(loop), left = probe->until > now ? probe->until - now : 0;
    timer_start(loop, &probe->timer, MIN(left, (uint64_t)EIO_NOOP_EVERY));
}

static void on_probe_timer(struct timer *timer)
{
    struct eio_probe *probe = container_of(timer, struct eio_probe, timer);
    struct eio_session *s = probe->session;
    if (loop_now_ms(s->shard->loop) >= probe->until) {
        end_probe(s);
        return;
    }
    wait_for_client(probe);
    end_poll(s);
}

static void start_probe(struct eio_session *s, struct websocket *ws, struct http_request *rq)
{
    struct loop *loop = s->shard->loop;
    unsigned patience = s->shard->server->config.upgrade_timeout;
    struct eio_probe *probe = mem_zalloc(sizeof *probe);
    *probe = (struct eio_probe){.session = s, .ws = ws, .b64 = eio_wants_b64(rq)};
    probe->until = loop_now_ms(loop) + patience;
    probe->timer.fn = on_probe_timer;
    timer_start(loop, &probe->timer, patience);
    s->probe = probe;
    link_of(ws)->session = s;
}

/* From here on everything takes the WebSocket: no request is held any more, not even by a pause. */
static void change_over(struct eio_session *s)
{
    metric_dec(eio_gauge(s));
    s->ws = s->probe->ws;
    s->b64 = s->probe->b64;
    s->socket = true;
    drop_probe(s);
    metric_inc(eio_gauge(s));
    metric_inc(eio_metrics()->upgrades);
    log_debug("eio", "upgraded", F_STR("session", eio_log_id(s)), F_C("ws", websocket_id(s->ws)));
    eio_flush(s);
    if (s->poll)
        eio_answer_poll(s);
    if (s->post)
        eio_answer_post(s);
    if (s->paused)
        websocket_pause(s->ws, true);
    eio_check_drained(s);
}

/* As change_over for a session that is over: its client, which polls no more, gets the last packets and the end. */
static void say_farewell(struct eio_session *s)
{
    struct websocket *ws = s->probe->ws;
    s->ws = ws;
    s->b64 = s->probe->b64;
    drop_probe(s);
    eio_flush(s);
    s->ws = NULL;
    let_go(ws, WS_NO_STATUS, SILENTLY);
    s->state = EIO_OVER;
    eio_make_due(s);
}

static void take_probe(struct eio_session *s, const struct eio_packet *packet)
{
    struct eio_probe *probe = s->probe;
    if (packet && packet->type == EIO_PING && str_eqc(packet->data, "probe")) {
        websocket_send(probe->ws, WS_TEXT, STR("3probe"));
        wait_for_client(probe);
        end_poll(s);
    } else if (packet && packet->type == EIO_UPGRADE) {
        s->state == EIO_LINGERING ? say_farewell(s) : change_over(s);
    } else {
        end_probe(s);
    }
}

/* ---- What the WebSocket says ---- */

static bool may_open(struct http_request *rq)
{
    struct eio_ask ask;
    if (!eio_path_is_whole(rq))
        return false;
    enum eio_code code = eio_check(rq, true, &ask);
    if (code == EIO_CODES)
        return ask.session || eio_may_begin(ask.shard, rq);
    metric_inc(eio_metrics()->refused[code]);
    http_reply_close(rq);
    http_reply(rq, 400, STR("text/html"), str_c(eio_code_text(code)));
    return false;
}

static void open_session(struct websocket *ws, struct http_request *rq, const struct eio_ask *ask)
{
    struct eio_session *s = eio_session_new(ask->shard, rq, ask->version);
    unsigned delay = ask->shard->server->config.open_delay;
    s->ws = ws;
    s->socket = true;
    s->opening = true;
    s->full = delay > 0; /* until the open packet left */
    s->b64 = eio_wants_b64(rq);
    link_of(ws)->session = s;
    if (delay)
        timer_start(ask->shard->loop, &s->timer, delay);
    else
        eio_socket_begin(s);
    eio_opened(s, rq);
}

static void on_open(struct websocket *ws, struct http_request *rq)
{
    struct eio_ask ask;
    bool in_order = eio_check(rq, true, &ask) == EIO_CODES;
    /* Clients that listen only once they are open lose what comes together with the answer to the upgrade. */
    websocket_flush(ws);
    if (!in_order || (ask.session && (ask.session->socket || ask.session->probe))) {
        websocket_close(ws, WS_NO_STATUS, SILENTLY);
        return;
    }
    websocket_set_max(ws, ask.shard->server->config.max_payload);
    if (ask.session)
        start_probe(ask.session, ws, rq);
    else
        open_session(ws, rq, &ask);
}

/* packet NULL: what came is none. */
static void take(struct eio_session *s, struct websocket *ws, const struct eio_packet *packet)
{
    if (s->ws != ws)
        take_probe(s, packet);
    else if (packet)
        eio_take(s, packet);
    else
        eio_close(s, EIO_PARSE_ERROR);
}

static void on_message(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    struct err e;
    struct eio_packet packet;
    struct eio_session *s = link_of(ws)->session;
    if (!s || (s->state != EIO_RUNNING && s->ws == ws))
        return;
    struct buf scratch = BUF_INIT(s->shard->server->config.max_payload);
    bool good = opcode == WS_TEXT ? eio_text(eio_version(s), data, &scratch, &packet, &e) == 0
                                  : eio_binary(eio_version(s), data, &packet, &e) == 0;
    take(s, ws, good ? &packet : NULL);
    buf_free(&scratch);
}

static void on_drained(struct websocket *ws)
{
    struct eio_session *s = link_of(ws)->session;
    if (s && s->ws == ws)
        eio_check_drained(s);
}

static enum eio_end end_for(const struct eio_session *s, uint16_t code)
{
    if (s->shard->draining || s->shard->sl->draining)
        return EIO_SHUTDOWN;
    if (code == WS_PROTOCOL_ERROR || code == WS_BAD_DATA || code == WS_TOO_BIG)
        return EIO_TRANSPORT_ERROR;
    return code == WS_TRY_LATER ? EIO_SLOW : EIO_TRANSPORT_CLOSE;
}

static void on_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    struct eio_session *s = link_of(ws)->session;
    (void)reason;
    if (!s)
        return;
    link_of(ws)->session = NULL;
    if (s->ws != ws) {
        drop_probe(s);
        return;
    }
    s->ws = NULL;
    eio_close(s, end_for(s, code));
}

const struct websocket_ops eio_websocket = {.user_size = sizeof(struct eio_link),
                                            .no_ping = true,
                                            .may_open = may_open,
                                            .on_open = on_open,
                                            .on_message = on_message,
                                            .on_drained = on_drained,
                                            .on_closed = on_closed};

void eio_socket_end(struct eio_session *s)
{
    struct websocket *ws = s->ws;
    if (s->probe)
        end_probe(s);
    if (!ws)
        return;
    if (s->opening && s->end != EIO_SLOW)
        eio_socket_begin(s);
    s->ws = NULL;
    if (s->end == EIO_SLOW)
        let_go(ws, WS_TRY_LATER, STR("Slow consumer"));
    else
        let_go(ws, WS_NO_STATUS, SILENTLY);
}
