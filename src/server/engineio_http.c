#include "server/engineio_impl.h"

const char *eio_code_text(enum eio_code code)
{
    static const char *const texts[EIO_CODES] = {
        [EIO_CODE_TRANSPORT] = "Transport unknown", [EIO_CODE_SID] = "Session ID unknown",
        [EIO_CODE_METHOD] = "Bad handshake method", [EIO_CODE_REQUEST] = "Bad request",
        [EIO_CODE_FORBIDDEN] = "Forbidden",         [EIO_CODE_VERSION] = "Unsupported protocol version",
    };
    return code < EIO_CODES ? texts[code] : "";
}

/* ---- Checks ---- */

static bool origin_is_clean(struct str origin)
{
    for (size_t i = 0; i < origin.n; i++)
        if (origin.p[i] < ' ' || origin.p[i] > '~') /* also where char is signed: a byte above 127 is below ' ' */
            return false;
    return true;
}

static bool take_transport(struct http_request *rq, struct eio_ask *ask)
{
    struct str transport = http_request_query(rq, STR("transport"));
    ask->websocket = str_eqc(transport, "websocket");
    /* Polling with callbacks (JSONP) is for browsers that are gone. */
    return ask->websocket || (str_eqc(transport, "polling") && !http_request_query(rq, STR("j")).n);
}

/* An ended session still answers the poll that fetches its last packets. */
static bool is_there(const struct eio_session *s, bool poll)
{
    if (s->state == EIO_RUNNING)
        return !eio_is_overdue(s);
    if (!poll || s->socket || s->poll)
        return false;
    return s->state == EIO_LINGERING || (s->state == EIO_ENDED && s->end == EIO_FORCED);
}

static enum eio_code check_session(struct http_request *rq, bool upgrade, struct str sid, struct eio_ask *ask)
{
    struct eio_session *s = eio_find(ask->shard, sid);
    if (!s || !is_there(s, !upgrade && rq->method == HTTP_GET))
        return EIO_CODE_SID;
    if ((!upgrade && s->socket != ask->websocket) || eio_version(s) != ask->version)
        return EIO_CODE_REQUEST;
    ask->session = s;
    return EIO_CODES;
}

/* While developing, the browser alone decides, by the headers it misses. */
static bool origin_may_begin(struct http_request *rq)
{
    return !http_exchange(rq)->sl->config.production || filters_page_may_come(rq);
}

static enum eio_code check_new(struct http_request *rq, bool upgrade, const struct eio_ask *ask)
{
    if (rq->method != HTTP_GET)
        return EIO_CODE_METHOD;
    if (ask->websocket && !upgrade)
        return EIO_CODE_REQUEST;
    if (!upgrade && !origin_may_begin(rq))
        return EIO_CODE_FORBIDDEN;
    return ask->version == EIO_V3 && !ask->shard->server->config.allow_v3 ? EIO_CODE_VERSION : EIO_CODES;
}

enum eio_code eio_check(struct http_request *rq, bool upgrade, struct eio_ask *ask)
{
    struct str sid = eio_query_sid(rq->query);
    *ask = (struct eio_ask){.shard = eio_shard_here(rq->ctx)};
    ask->version = str_eqc(http_request_query(rq, STR("EIO")), "4") ? EIO_V4 : EIO_V3;
    if (!take_transport(rq, ask))
        return EIO_CODE_TRANSPORT;
    if (!origin_is_clean(http_request_header(rq, STR("origin"))))
        return EIO_CODE_REQUEST;
    enum eio_code wrong = sid.n ? check_session(rq, upgrade, sid, ask) : check_new(rq, upgrade, ask);
    return wrong == EIO_CODES && upgrade && !ask->websocket ? EIO_CODE_REQUEST : wrong;
}

bool eio_path_is_whole(struct http_request *rq)
{
    struct err e;
    if (str_ends(rq->path, STR("/")))
        return true;
    err_set(&e, ERR_NOT_FOUND, NULL);
    http_reply_error(rq, &e);
    return false;
}

/* Sessions that poll need no connection of their own, so the limit for connections would not hold them. */
bool eio_may_begin(const struct eio_shard *shard, struct http_request *rq)
{
    struct err e;
    size_t max = http_exchange(rq)->sl->config.max_connections;
    if (shard->draining)
        err_set(&e, ERR_SHUTTING_DOWN, NULL);
    else if (max && atomic_load(&shard->server->count) >= max)
        err_set(&e, ERR_OVERLOADED, "Too many sessions");
    else
        return true;
    e.retry_after_ms = 1000;
    http_reply_error(rq, &e);
    return false;
}

bool eio_wants_b64(struct http_request *rq)
{
    return http_request_query(rq, STR("b64")).n > 0;
}

/* ---- Answers ---- */

void eio_refuse(struct http_request *rq, enum eio_code code)
{
    metric_inc(eio_metrics()->refused[code]);
    struct str body = arena_printf(rq->arena, "{\"code\":%d,\"message\":\"%s\"}", (int)code, eio_code_text(code));
    http_reply(rq, code == EIO_CODE_FORBIDDEN ? 403 : 400, STR("application/json"), body);
}

void eio_put_open(const struct eio_session *s, struct buf *out)
{
    const struct eio_config *config = &s->shard->server->config;
    struct eio_open open = {.sid = eio_sid(s),
                            .upgrade = !s->socket,
                            .ping_interval_ms = config->ping_interval,
                            .ping_timeout_ms = config->ping_timeout,
                            .max_payload = config->max_payload};
    eio_open_put(out, &open);
}

void eio_body(struct http_request *rq)
{
    struct eio_ask ask;
    if (rq->route->handler != eio_http || rq->method != HTTP_POST)
        return;
    if (eio_check(rq, false, &ask) == EIO_CODES && ask.session && !ask.websocket)
        eio_poll_post_begins(ask.session, rq);
}

void eio_http(struct http_request *rq)
{
    struct eio_ask ask;
    if (!eio_path_is_whole(rq))
        return;
    enum eio_code code = eio_check(rq, false, &ask);
    if (code != EIO_CODES)
        eio_refuse(rq, code);
    else if (!ask.session)
        eio_poll_open(&ask, rq);
    else if (ask.websocket)
        eio_refuse(rq, EIO_CODE_REQUEST); /* it has its WebSocket, and needs no requests */
    else if (rq->method == HTTP_GET)
        eio_poll_get(ask.session, rq);
    else if (rq->method == HTTP_POST)
        eio_poll_post(ask.session, rq);
    else
        http_reply(rq, 500, STR(""), STR(""));
}
