/* Realtime voice served by parley itself, on /api/realtime (dialect 001) and /v1/realtime. */
#include "api/realtime_impl.h"

#include "api/realtime_secret.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/loop.h"
#include "net/conn.h"

/* ---- the end ---- */

static void stop(struct realtime *rt)
{
    timer_stop(loop_self(), &rt->expiry);
    rt->voice = voice_close(rt->voice);
    rt->in = resampler_free(rt->in);
    rt->out = resampler_free(rt->out);
}

void realtime_end(struct realtime *rt, const struct realtime_error *e, uint16_t code, const char *reason)
{
    realtime_send_error(rt, e, STR(""));
    websocket_close(rt->ws, code, str_n(reason, MIN(strlen(reason), (size_t)100)));
}

static void on_expiry(struct timer *timer)
{
    struct realtime *rt = container_of(timer, struct realtime, expiry);
    struct realtime_error e;
    unsigned seconds = rt->api->config.realtime.max_session / 1000;
    bool minutes = seconds % 60 == 0;
    unsigned n = minutes ? seconds / 60 : seconds;
    realtime_refuse(&e, "session_expired", NULL, "Your session hit the maximum duration of %u %s%s.", n,
                    minutes ? "minute" : "second", n == 1 ? "" : "s");
    realtime_end(rt, &e, WS_GOING_AWAY, e.text);
    stop(rt);
}

static void on_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    struct realtime *rt = websocket_user(ws);
    (void)reason;
    if (!rt->ws)
        return;
    log_debug("realtime", "closed", F_C("session", rt->id), F_INT("code", code));
    stop(rt);
    realtime_session_free(&rt->session);
}

/* ---- back-pressure ---- */

void realtime_mind_queue(struct realtime *rt)
{
    if (rt->paused || !rt->voice || websocket_queued(rt->ws) <= CONN_HIGH_MARK)
        return;
    rt->paused = true;
    voice_pause(rt->voice, true);
}

static void on_drained(struct websocket *ws)
{
    struct realtime *rt = websocket_user(ws);
    if (!rt->paused || !rt->voice)
        return;
    rt->paused = false;
    voice_pause(rt->voice, false);
}

/* ---- the beginning ---- */

static bool offers(const struct http_request *rq, struct str protocol)
{
    return str_list_has(http_request_header(rq, STR("sec-websocket-protocol")), protocol);
}

static bool wants_beta(const struct http_request *rq)
{
    return str_list_has(http_request_header(rq, STR("openai-beta")), STR("realtime=v1")) ||
           offers(rq, STR("openai-beta.realtime-v1"));
}

static void greet(struct realtime *rt)
{
    struct buf out;
    realtime_send_session(rt, true);
    if (!rt->beta || rt->session.transcription)
        return;
    struct jw w = realtime_event(&out, "conversation.created");
    jw_key(&w, "conversation");
    jw_obj(&w);
    jw_kstr(&w, "id", str_c(rt->conversation));
    jw_kstr(&w, "object", STR("realtime.conversation"));
    jw_end_obj(&w);
    realtime_send(rt, &w);
}

static void refuse_call(struct realtime *rt)
{
    struct realtime_error e;
    realtime_refuse(&e, "unsupported_parameter", "call_id", "There are no calls here that a session could join.");
    realtime_end(rt, &e, 4000, "invalid_request_error.unsupported_parameter");
}

static void refuse_key(struct realtime *rt)
{
    struct realtime_error e;
    realtime_refuse(&e, "invalid_api_key", NULL, "The client secret is not valid, or not any more.");
    realtime_end(rt, &e, 3000, "invalid_request_error.invalid_api_key");
}

/* As the query says, or the client secret that it is bound to. False when that is none: where anybody may come, nobody
 * has looked at it yet. */
static bool set_up(struct realtime *rt, struct http_request *rq)
{
    struct buf json = BUF_INIT(REALTIME_SECRET_SESSION);
    struct str key = realtime_shown_key(rq), bound = STR(""), model = http_request_query(rq, STR("model"));
    bool is_secret = str_starts(key, STR("ek_"));
    bool valid = is_secret && realtime_secret_open(rt->api, key, clock_wall_ms() / 1000, &json) == 0;
    if (valid)
        bound = buf_str(&json);
    struct realtime_error error;
    struct realtime_reader session = {bound.n ? json_parse(rq->arena, bound, NULL) : NULL, "session", &error};
    struct str bound_model = json_str(session.obj, "model"), type = json_str(session.obj, "type");
    bool transcription = str_eqc(http_request_query(rq, STR("intent")), "transcription");
    if (bound_model.n)
        model = bound_model;
    else if (!model.n || model.n > 256)
        model = realtime_default_model(rt->api);
    realtime_session_init(rt, model, session.obj ? str_eqc(type, "transcription") : transcription);
    struct realtime_session changed = rt->session;
    if (session.obj && realtime_session_read(&changed, &session) == 0)
        realtime_session_adopt(rt, &changed);
    buf_free(&json);
    return valid || !is_secret;
}

static void begin(struct realtime *rt)
{
    static const struct voice_ops ops = {realtime_voice_event};
    const struct api_config *config = &rt->api->config;
    struct voice_settings settings = realtime_voice_settings(rt, &rt->session);
    rt->voice = voice_new(config->chat, &config->voice, &settings, &ops, rt);
    if (config->realtime.max_session)
        timer_start(loop_self(), &rt->expiry, config->realtime.max_session);
    log_debug("realtime", "opened", F_C("session", rt->id), F_C("ws", websocket_id(rt->ws)));
    greet(rt);
}

static void on_open(struct websocket *ws, struct http_request *rq)
{
    struct realtime *rt = websocket_user(ws);
    rt->api = rq->ctx;
    rt->ws = ws;
    rt->front_end = str_starts(rq->path, STR("/api/"));
    rt->beta = wants_beta(rq);
    rt->expiry.fn = on_expiry;
    rt->expires_at = (clock_wall_ms() + (int64_t)rt->api->config.realtime.max_session) / 1000;
    realtime_id(rt->id, "sess_");
    realtime_id(rt->conversation, "conv_");
    bool welcome = set_up(rt, rq);
    if (http_request_query(rq, STR("call_id")).p)
        refuse_call(rt);
    else if (!welcome)
        refuse_key(rt);
    else
        begin(rt);
}

static void on_message(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    realtime_on_message(websocket_user(ws), opcode, data);
}

static const struct websocket_ops socket_ops = {
    .max_message = REALTIME_MESSAGE_MAX,
    .user_size = sizeof(struct realtime),
    .drain_code = WS_GOING_AWAY,
    .subprotocol = realtime_subprotocol,
    .on_open = on_open,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static const struct http_route routes[] = {
    {HTTP_GET, "/api/realtime", realtime_needs_websocket, &socket_ops, 0, "openai", "WebSocket of realtime voice"},
    {HTTP_GET, "/v1/realtime", realtime_needs_websocket, &socket_ops, 0, "openai", "WebSocket of realtime voice"},
    {HTTP_POST, "/v1/realtime/client_secrets", realtime_secret_post, NULL, 0, "openai",
     "Keys for browsers that open a realtime session"},
};

const struct door door_realtime_local = {routes, COUNT(routes), NULL};
