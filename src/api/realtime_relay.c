/* Realtime voice by OpenAI or Azure OpenAI: /api/realtime (dialect 001), where the session is set up here and its front
 * end's own names are added, and /v1/realtime, which passes everything as it is. */
#include "api/realtime_relay_impl.h"

#include "base/limits.h"
#include "base/log.h"
#include "net/conn.h"

#define EARLY_MAX   MIB(1) /* bytes kept for an upstream that is not open yet; then the client is not read */
#define HELD_MAX    REALTIME_LOOK_MAX
#define START_LIMIT 9000  /* ms until the upstream's first event: its front end gives up after 10 s */
#define FRESH       5000  /* ms in which an upstream that closes has refused the session */
#define PING        30000 /* ms of silence; and as long again for the answer */

struct relay_session {
    struct websocket *ws;
    struct realtime_relay *relay;
    struct ws_client *up; /* once it is open, until it is closed; it holds a reference to ws */
    struct task *opening;
    struct realtime_wish *wish; /* until the opening task ends */
    struct timer timer;         /* the first event must have come, then: the session is over */
    uint64_t began_ms, opened_ms;
    struct buf kept; /* the client's frames until the upstream is open; then of its first message, until it is known */
    struct realtime_audio audio;
    struct realtime_look look;
    bool v1;
    bool admitted; /* the upstream's first message was no error */
    bool refusing; /* it is one, which has not come whole yet */
    bool over;     /* nothing is relayed any more */
};

static struct relay_session *session_of(struct websocket *ws)
{
    return websocket_user(ws);
}

/* ---- The end ---- */

static void leave_upstream(struct relay_session *s, uint16_t code)
{
    s->over = true;
    timer_stop(loop_self(), &s->timer);
    buf_free(&s->kept);
    realtime_look_end(&s->look);
    if (s->opening)
        task_cancel(s->opening);
    if (s->up)
        ws_client_close(s->up, code, STR(""));
}

/* An error event, unless the upstream broke off inside of a message, then the close frame. */
static void tell(struct relay_session *s, const struct realtime_refusal *refusal)
{
    struct buf event = BUF_INIT(KIB(2));
    realtime_put_error(refusal, &event);
    websocket_send(s->ws, WS_TEXT, buf_str(&event));
    buf_free(&event);
    websocket_close(s->ws, refusal->close_code, str_c(refusal->text));
}

static void refuse(struct relay_session *s, const struct realtime_refusal *refusal)
{
    if (s->over)
        return;
    metric_inc(s->relay->refused);
    log_info("realtime", "refused", F_C("ws", websocket_id(s->ws)), F_C("code", refusal->code));
    leave_upstream(s, WS_NORMAL);
    tell(s, refusal);
}

static void refuse_err(struct relay_session *s, const struct err *e)
{
    struct realtime_refusal refusal;
    realtime_refusal_of(&refusal, e);
    refuse(s, &refusal);
}

static void on_time(struct timer *timer)
{
    struct relay_session *s = container_of(timer, struct relay_session, timer);
    struct realtime_refusal refusal;
    struct err e;
    if (!s->admitted) {
        err_set(&e, ERR_TIMEOUT, NULL);
        refuse_err(s, &e);
        return;
    }
    realtime_refusal_close(&refusal, WS_GOING_AWAY, STR("invalid_request_error.session_expired"));
    leave_upstream(s, WS_NORMAL);
    tell(s, &refusal);
}

/* ---- From the upstream to the client ---- */

static void pass(struct relay_session *s, enum ws_opcode opcode, bool fin, struct str data)
{
    websocket_send_fragment(s->ws, opcode, fin, data);
    if (UNLIKELY(websocket_queued(s->ws) > CONN_HIGH_MARK) && s->up)
        ws_client_pause(s->up, true);
}

/* What is to be sent beside a message that was passed. */
static void send_beside(struct relay_session *s, struct str text)
{
    struct str parts[3];
    size_t n = text.n ? realtime_beside(&s->look, text, parts) : 0;
    if (n)
        websocket_send_parts(s->ws, WS_TEXT, parts, n);
}

static void admit(struct relay_session *s)
{
    struct str rest = buf_str(&s->kept), data;
    enum ws_opcode opcode;
    bool fin;
    uint64_t spent = loop_now_ms(loop_self()) - s->began_ms;
    s->admitted = true;
    timer_start(loop_self(), &s->timer, s->relay->config->max_session - MIN(spent, s->relay->config->max_session));
    while (realtime_kept(&rest, &opcode, &fin, &data))
        pass(s, opcode, fin, data);
    buf_free(&s->kept);
}

/* The first message waits until its name is known: an error there is a refusal, told in our words. */
static void first_message(struct relay_session *s, enum ws_opcode opcode, bool fin, struct str data)
{
    struct realtime_refusal refusal;
    struct str text = realtime_look_at(&s->look, opcode, fin, data);
    s->refusing |= s->look.kind == REALTIME_ERROR;
    if (s->refusing) {
        if (!fin && s->look.kind == REALTIME_ERROR)
            return;
        realtime_refusal_event(&refusal, text);
        refuse(s, &refusal);
        return;
    }
    realtime_keep(&s->kept, opcode, fin, data);
    if (s->look.kind == REALTIME_UNDECIDED && s->kept.len <= HELD_MAX)
        return;
    admit(s);
    if (!s->v1)
        send_beside(s, text);
}

static void up_frame(struct ws_client *up, enum ws_opcode opcode, bool fin, struct str data)
{
    struct relay_session *s = session_of(ws_client_user(up));
    if (UNLIKELY(s->over))
        return;
    if (UNLIKELY(!s->admitted)) {
        first_message(s, opcode, fin, data);
        return;
    }
    pass(s, opcode, fin, data);
    if (!s->v1)
        send_beside(s, realtime_look_at(&s->look, opcode, fin, data));
}

static void up_drained(struct ws_client *up)
{
    websocket_pause(ws_client_user(up), false);
}

/* An upstream that is there and soon gone has refused. */
static bool is_refusal(const struct relay_session *s, uint16_t code)
{
    return !s->admitted || (code != WS_NORMAL && loop_now_ms(loop_self()) - s->opened_ms < FRESH);
}

static void up_closed(struct ws_client *up, uint16_t code, struct str reason)
{
    struct websocket *ws = ws_client_user(up);
    struct relay_session *s = session_of(ws);
    struct realtime_refusal refusal;
    s->up = NULL;
    if (!s->over) {
        realtime_refusal_close(&refusal, code, reason);
        if (is_refusal(s, code)) {
            refusal.close_code = WS_INTERNAL;
            refuse(s, &refusal);
        } else {
            leave_upstream(s, WS_NORMAL);
            websocket_close(ws, refusal.close_code, code == WS_NORMAL ? STR("") : str_c(refusal.text));
        }
    }
    websocket_unref(ws);
}

static const struct ws_client_ops up_ops = {.on_frame = up_frame, .on_drained = up_drained, .on_closed = up_closed};

/* ---- From the client to the upstream ---- */

static void to_upstream(struct relay_session *s, enum ws_opcode opcode, bool fin, struct str data)
{
    if (LIKELY(s->up)) {
        ws_client_send(s->up, opcode, fin, data);
        if (UNLIKELY(ws_client_queued(s->up) > CONN_HIGH_MARK))
            websocket_pause(s->ws, true);
        return;
    }
    realtime_keep(&s->kept, opcode, fin, data);
    if (s->kept.len > EARLY_MAX)
        websocket_pause(s->ws, true);
}

static void client_frame(struct websocket *ws, enum ws_opcode opcode, bool fin, struct str data)
{
    struct relay_session *s = session_of(ws);
    bool begins = opcode != WS_CONTINUATION;
    bool raw = !s->v1 && (begins ? opcode == WS_BINARY : s->audio.under_way);
    if (s->over)
        return;
    if (!raw) {
        to_upstream(s, opcode, fin, data);
        return;
    }
    struct buf text = BUF_INIT(SIZE_MAX);
    realtime_audio_text(&s->audio, begins, fin, data, &text);
    to_upstream(s, begins ? WS_TEXT : WS_CONTINUATION, fin, buf_str(&text));
    buf_free(&text);
}

static void client_drained(struct websocket *ws)
{
    struct relay_session *s = session_of(ws);
    if (s->up)
        ws_client_pause(s->up, false);
}

static void client_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    struct relay_session *s = session_of(ws);
    (void)reason;
    metric_dec(s->relay->open);
    if (!s->over)
        leave_upstream(s, code == WS_GOING_AWAY ? code : WS_NORMAL);
}

/* ---- The beginning ---- */

static void upstream_is_open(struct relay_session *s, struct ws_client *up)
{
    struct str rest = buf_str(&s->kept), data;
    enum ws_opcode opcode;
    bool fin;
    unsigned limit = s->relay->config->upstream.first_byte_timeout;
    uint64_t spent = loop_now_ms(loop_self()) - s->began_ms, left = START_LIMIT - MIN(spent, START_LIMIT);
    s->opened_ms = loop_now_ms(loop_self());
    timer_start(loop_self(), &s->timer, limit ? MIN(limit, left) : left);
    s->up = up;
    while (realtime_kept(&rest, &opcode, &fin, &data))
        ws_client_send(up, opcode, fin, data);
    buf_free(&s->kept);
    websocket_pause(s->ws, ws_client_queued(up) > CONN_HIGH_MARK);
}

static struct ws_client *open_upstream(struct relay_session *s, struct err *e)
{
    struct ws_client_request request = {.upstream = s->relay->upstream,
                                        .path = s->wish->path,
                                        .headers = s->wish->headers,
                                        .nheaders = s->wish->nheaders,
                                        .key = str_c(s->relay->config->api_key),
                                        .max_message = LIMIT_WS_MESSAGE_LARGE,
                                        .ping = PING,
                                        .pong = PING,
                                        .ops = &up_ops,
                                        .user = s->ws};
    return ws_client_open(&request, s->wish->arena, NULL, e);
}

static void opening_main(void *arg)
{
    struct relay_session *s = arg;
    struct websocket *ws = websocket_ref(s->ws);
    struct err e;
    struct ws_client *up = open_upstream(s, &e);
    s->opening = NULL;
    arena_free(s->wish->arena);
    s->wish = NULL;
    if (!up) {
        refuse_err(s, &e);
        websocket_unref(ws);
    } else if (s->over) {
        ws_client_close(up, WS_NORMAL, STR("")); /* ws is unreferenced when that is done */
    } else {
        upstream_is_open(s, up);
    }
}

static void not_configured(struct websocket *ws)
{
    struct relay_session *s = session_of(ws);
    s->over = true;
    metric_inc(s->relay->refused);
    websocket_close(ws, WS_INTERNAL, STR("OpenAI API key not configured"));
}

static void on_open(struct websocket *ws, struct http_request *rq)
{
    struct realtime_relay *relay = ((struct api *)websocket_ctx(ws))->realtime;
    struct relay_session *s = session_of(ws);
    struct err e;
    *s = (struct relay_session){.ws = ws,
                                .relay = relay,
                                .timer.fn = on_time,
                                .began_ms = loop_now_ms(loop_self()),
                                .kept = BUF_INIT(SIZE_MAX),
                                .look.beta = relay->beta,
                                .v1 = str_starts(rq->path, STR("/v1/"))};
    metric_inc(relay->open);
    if (!relay->upstream) {
        not_configured(ws);
        return;
    }
    if (!task_room()) {
        err_set(&e, ERR_OVERLOADED, NULL);
        refuse_err(s, &e);
        return;
    }
    if (!s->v1) {
        struct buf update = BUF_INIT(KIB(16));
        realtime_put_session(relay, &update);
        realtime_keep(&s->kept, WS_TEXT, true, buf_str(&update));
        buf_free(&update);
    }
    timer_start(loop_self(), &s->timer, START_LIMIT);
    s->wish = realtime_wish_new(relay, rq, s->v1);
    s->opening = task_spawn("realtime_opening", opening_main, s);
}

static const struct websocket_ops socket_ops = {
    .max_message = LIMIT_WS_MESSAGE_LARGE,
    .user_size = sizeof(struct relay_session),
    .drain_code = WS_GOING_AWAY,
    .subprotocol = realtime_subprotocol,
    .on_open = on_open,
    .on_frame = client_frame,
    .on_drained = client_drained,
    .on_closed = client_closed,
};

static const struct http_route routes[] = {
    {HTTP_GET, "/api/realtime", realtime_needs_websocket, &socket_ops, 0, "openai", "WebSocket of realtime voice"},
    {HTTP_GET, "/v1/realtime", realtime_needs_websocket, &socket_ops, 0, "openai", "WebSocket of realtime voice"},
};

const struct door door_realtime_relay = {routes, COUNT(routes), NULL};
