/* The opening handshake of outgoing WebSockets (RFC 6455 4). */
#include "client/ws_client_impl.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "client/refusal.h"
#include "client/retry.h"
#include "client/upstream_impl.h"
#include "net/connect.h"
#include "wire/base64.h"
#include "wire/http.h"
#include "wire/url.h"

#define REFUSAL_MAX KIB(16) /* of its body */
#define REFUSAL_MS  1000    /* for it, once its head is there */

enum opening_phase {
    OPENING_HEAD,    /* the reply's head is awaited */
    OPENING_REFUSED, /* it was no 101: its body is read */
    OPENING_GOOD,    /* it was one, and right; reading is paused behind it */
    OPENING_WRONG,   /* the reply cannot be understood or obeyed: err */
};

struct ws_opening {
    struct ws_client *ws;
    const struct ws_client_request *rq;
    struct task *task;
    enum opening_phase phase;
    bool over; /* nothing more is awaited */
    bool lost; /* the connection is gone */
    struct err err;
    char accept[29]; /* what the reply must say */
    int status;      /* of the refusal */
    unsigned retry_after_ms;
    enum http_body framing;
    uint64_t left; /* of its body, with HTTP_BODY_LENGTH */
    struct http_chunked chunked;
    struct buf body;
};

static void over(struct ws_opening *o)
{
    o->over = true;
    task_wake(o->task);
}

void ws_opening_lost(struct ws_opening *o)
{
    o->lost = true;
    over(o);
}

/* ---- The reply ---- */

static bool names_token(const struct http_reply_head *head, struct str name, struct str token)
{
    for (size_t i = 0; i < head->nheaders; i++)
        if (str_ieq(head->headers[i].name, name) && str_list_has(head->headers[i].value, token))
            return true;
    return false;
}

static bool was_offered(struct str protocols, struct str chosen)
{
    struct str piece;
    while (chosen.n && str_split(&protocols, ',', &piece))
        if (str_eq(str_trim(piece), chosen))
            return true;
    return false;
}

/* What is wrong with a 101; NULL when nothing is. */
static const char *check_101(struct ws_opening *o, const struct http_reply_head *head)
{
    unsigned protocols = http_reply_field_count(head, STR("sec-websocket-protocol"));
    struct str protocol = http_reply_field(head, STR("sec-websocket-protocol"));
    if (head->minor != 1 || !str_ieq(http_reply_field(head, STR("upgrade")), STR("websocket")) ||
        !names_token(head, STR("connection"), STR("upgrade")))
        return "it did not upgrade to WebSocket";
    if (http_reply_field_count(head, STR("sec-websocket-accept")) != 1 ||
        !str_eqc(http_reply_field(head, STR("sec-websocket-accept")), o->accept))
        return "Sec-WebSocket-Accept is wrong";
    if (http_reply_field(head, STR("sec-websocket-extensions")).n)
        return "an extension that was not offered";
    if (protocols > 1 || (protocols && !was_offered(o->rq->protocols, protocol)))
        return "a protocol that was not offered";
    if (protocols)
        o->ws->protocol = str_dup(protocol);
    return NULL;
}

static void wrong(struct ws_opening *o, const char *why)
{
    err_set(&o->err, ERR_UPSTREAM, "%s answered the WebSocket handshake wrongly: %s", upstream_name(o->rq->upstream),
            why);
    o->phase = OPENING_WRONG;
    over(o);
}

static void refused(struct ws_opening *o, const struct http_reply_head *head)
{
    struct retry_reply reply = {head->status, STR_NONE, http_reply_field(head, STR("retry-after-ms")),
                                http_reply_field(head, STR("retry-after"))};
    int64_t asked = retry_asked_ms(&reply, clock_wall_ms());
    o->phase = OPENING_REFUSED;
    o->status = head->status;
    o->retry_after_ms = asked > 0 ? (unsigned)MIN(asked, INT32_MAX) : 0;
    o->framing = head->body;
    o->left = head->body == HTTP_BODY_LENGTH ? head->length : head->until_close ? UINT64_MAX : 0;
    o->chunked = (struct http_chunked){.max_body = UINT64_MAX};
    task_wake(o->task);
    if (o->framing != HTTP_BODY_CHUNKED && o->left == 0)
        over(o);
}

/* Returns how many bytes of p are done with. */
static size_t read_head(struct ws_opening *o, struct str in)
{
    struct http_reply_head head;
    size_t used = 0;
    ptrdiff_t n;
    /* Interim replies come in front of the one that counts. */
    do {
        n = http_reply_head_parse(&head, str_from(in, used), NULL);
        used += n > 0 ? (size_t)n : 0;
    } while (n > 0 && head.status < 200 && head.status != 101 && used < in.n);
    if (n < 0) {
        wrong(o, "it does not speak HTTP/1.1");
    } else if (n > 0 && head.status == 101) {
        const char *why = check_101(o, &head);
        if (why) {
            wrong(o, why);
        } else {
            o->phase = OPENING_GOOD;
            over(o);
        }
    } else if (n > 0 && head.status >= 200) {
        refused(o, &head);
    }
    return used;
}

/* As much as is of use is kept; then, or at its end, no more is awaited. */
static void keep_body(struct ws_opening *o, struct str piece)
{
    size_t room = o->body.max - o->body.len;
    buf_add(&o->body, piece.p, MIN(piece.n, room));
    if (piece.n >= room)
        over(o);
}

static size_t read_body(struct ws_opening *o, struct str in)
{
    struct str piece, rest = in;
    int got = 1;
    if (o->framing != HTTP_BODY_CHUNKED) {
        piece = (struct str){in.p, (size_t)MIN(o->left, (uint64_t)in.n)};
        o->left -= o->framing == HTTP_BODY_LENGTH ? piece.n : 0;
        keep_body(o, piece);
        if (o->left == 0)
            over(o);
        return in.n;
    }
    while (!o->over && (got = http_chunked_next(&o->chunked, &rest, &piece, NULL)) == 1)
        keep_body(o, piece);
    if (got == 2 || got < 0)
        over(o);
    return o->over ? in.n : in.n - rest.n;
}

static size_t on_read(struct conn *c, char *p, size_t n)
{
    struct ws_client *ws = container_of(c, struct ws_client, conn);
    struct ws_opening *o = ws->opening;
    struct str in = {p, n};
    size_t used = 0;
    if (o->phase == OPENING_HEAD)
        used = read_head(o, in);
    if (o->phase == OPENING_REFUSED && !o->over && used < n)
        used += read_body(o, str_from(in, used));
    if (o->over)
        conn_pause(c);
    if (o->phase == OPENING_GOOD)
        c->ops = &ws_client_conn_ops; /* what is left is for them */
    return used;
}

static const struct conn_ops opening_conn_ops = {.on_read = on_read, .on_closed = ws_client_conn_closed};

/* ---- The request ---- */

struct place {
    struct url url;
    bool tls;
    uint16_t port;
};

/* From the request's URL, or the upstream's and the path; both in *text, which the parts refer to. */
static int find_place(struct place *place, struct buf *text, const struct ws_client_request *rq, struct err *e)
{
    struct url *u = &place->url;
    bool valid =
        rq->url.n ? buf_str_add(text, rq->url) == 0
                  : buf_str_add(text, str_c(upstream_base_url(rq->upstream))) == 0 && buf_str_add(text, rq->path) == 0;
    valid = valid && url_split(u, buf_str(text)) == 0;
    place->tls = valid && (str_ieq(u->scheme, STR("wss")) || str_ieq(u->scheme, STR("https")));
    if (!valid || (!place->tls && !str_ieq(u->scheme, STR("ws")) && !str_ieq(u->scheme, STR("http"))))
        return err_set(e, ERR_INVALID_REQUEST, "The URL for the WebSocket to %s is not valid",
                       upstream_name(rq->upstream));
    place->port = u->port ? u->port : place->tls ? 443 : 80;
    return 0;
}

static bool has_header(const struct ws_client_request *rq, struct str name)
{
    for (size_t i = 0; i < rq->nheaders; i++)
        if (str_ieq(str_c(rq->headers[i].name), name))
            return true;
    return false;
}

/* -1 when it is too long, or the URL's user information is malformed. */
static int put_request(struct buf *out, const struct place *place, const struct ws_client_request *rq, struct str key)
{
    const struct url *u = &place->url;
    bool query_only = str_starts(u->target, STR("?")) || u->target.n == 0;
    buf_addf(out, "GET %s", query_only ? "/" : "");
    buf_str_add(out, u->target);
    buf_addf(out, u->ipv6 ? " HTTP/1.1\r\nHost: [%.*s]" : " HTTP/1.1\r\nHost: %.*s", STR_ARG(u->host));
    if (u->port && u->port != (place->tls ? 443 : 80))
        buf_addf(out, ":%u", u->port);
    buf_lit(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
    buf_str_add(out, key);
    if (rq->protocols.n) {
        buf_lit(out, "\r\nSec-WebSocket-Protocol: ");
        buf_str_add(out, rq->protocols);
    }
    if (!has_header(rq, STR("user-agent")))
        buf_lit(out, "\r\nUser-Agent: parley");
    if (u->user.p && !has_header(rq, STR("authorization"))) {
        buf_lit(out, "\r\nAuthorization: ");
        if (url_basic_auth(out, u->user) < 0)
            return -1;
    }
    for (size_t i = 0; i < rq->nheaders; i++) {
        buf_addf(out, "\r\n%s: ", rq->headers[i].name);
        buf_str_add(out, rq->headers[i].value);
    }
    buf_lit(out, "\r\n\r\n");
    return out->len > LIMIT_HTTP_HEAD ? -1 : 0;
}

/* Sends the request and knows what its answer must say. */
static int send_request(struct ws_opening *o, const struct place *place, struct err *e)
{
    struct buf out = BUF_INIT(SIZE_MAX), key = BUF_INIT(24);
    uint8_t nonce[16];
    rand_bytes(nonce, sizeof nonce);
    base64_put(&key, str_n(nonce, sizeof nonce), false);
    int result = ws_accept(o->accept, buf_str(&key));
    if (result == 0)
        result = put_request(&out, place, o->rq, buf_str(&key));
    if (result == 0)
        conn_write(&o->ws->conn, buf_str(&out));
    else
        err_set(e, ERR_INVALID_REQUEST, "The request for the WebSocket to %s is not valid",
                upstream_name(o->rq->upstream));
    buf_free(&key);
    buf_free(&out);
    return result;
}

/* ---- The course of it ---- */

static int connect_to(struct ws_opening *o, const struct place *place, struct err *e)
{
    const struct upstream_config *config = &o->rq->upstream->config;
    struct connect_target target = {.name = config->name,
                                    .host = place->url.host,
                                    .port = place->port,
                                    .proxy = config->proxy,
                                    .no_proxy = config->no_proxy,
                                    .timeout = o->rq->timeout ? 0 : config->connect_timeout};
    if (place->tls && !(target.tls = upstream_tls(o->rq->upstream)))
        return err_set(e, ERR_UPSTREAM_UNREACHABLE, "The certificate of %s cannot be verified", config->name);
    return conn_connect(&o->ws->conn, &target, &opening_conn_ops, e);
}

static bool head_known(const struct ws_opening *o)
{
    return o->over || o->phase != OPENING_HEAD;
}

static bool all_known(const struct ws_opening *o)
{
    return o->over;
}

static int wait_until(struct ws_opening *o, bool (*known)(const struct ws_opening *o), unsigned limit, struct err *e)
{
    struct task_deadline deadline;
    int result = 0;
    if (limit)
        task_deadline_begin(&deadline, limit);
    while (!known(o) && result == 0)
        result = task_park(e);
    if (limit)
        task_deadline_end(&deadline);
    return result;
}

/* Of the body of a refusal, what comes in time will do. */
static int await_reply(struct ws_opening *o, struct err *e)
{
    if (wait_until(o, head_known, o->rq->timeout ? 0 : o->rq->upstream->config.first_byte_timeout, e) < 0)
        return -1;
    if (wait_until(o, all_known, REFUSAL_MS, e) < 0 && e->code != ERR_TIMEOUT)
        return -1;
    return 0;
}

/* What the reply means. */
static int conclude(struct ws_opening *o, struct err *e)
{
    const char *name = upstream_name(o->rq->upstream);
    switch (o->phase) {
    case OPENING_GOOD:
        if (!o->lost)
            return 0;
        break;
    case OPENING_HEAD:
        break;
    case OPENING_WRONG:
        *e = o->err;
        return -1;
    case OPENING_REFUSED:
        refusal_error(buf_str(&o->body), o->status, o->rq->key, e);
        e->retry_after_ms = (int)o->retry_after_ms;
        return -1;
    }
    return err_set(e, ERR_UPSTREAM_UNREACHABLE, "%s cannot be reached: it closed the connection", name);
}

static int course(struct ws_opening *o, const struct place *place, struct err *e)
{
    if (connect_to(o, place, e) < 0) {
        o->lost = true;
        ws_client_unref(o->ws); /* the reference the connection would have had */
        return -1;
    }
    return send_request(o, place, e) < 0 || await_reply(o, e) < 0 || conclude(o, e) < 0 ? -1 : 0;
}

static int within_limit(struct ws_opening *o, const struct place *place, struct err *e)
{
    struct task_deadline deadline;
    if (o->rq->timeout)
        task_deadline_begin(&deadline, o->rq->timeout);
    int result = course(o, place, e);
    if (o->rq->timeout)
        task_deadline_end(&deadline);
    if (result < 0 && e->code == ERR_TIMEOUT)
        err_set(e, ERR_TIMEOUT, "%s did not answer in time", upstream_name(o->rq->upstream));
    return result;
}

/* One attempt: the socket, or NULL with *e, and *status when it was refused. */
static struct ws_client *attempt(const struct ws_client_request *rq, const struct place *place, struct arena *arena,
                                 struct str *refusal, int *status, struct err *e)
{
    struct ws_client *ws = ws_client_new(rq);
    struct ws_opening o = {.ws = ws_client_ref(ws), .rq = rq, .task = task_self(), .body = BUF_INIT(REFUSAL_MAX)};
    ws->opening = &o;
    int result = within_limit(&o, place, e);
    bool refused_it = o.phase == OPENING_REFUSED && e->code == ERR_UPSTREAM;
    *status = refused_it ? o.status : 0;
    if (refused_it && refusal)
        *refusal = refusal_line(arena, buf_str(&o.body), rq->key, REFUSAL_MAX);
    buf_free(&o.body);
    ws->opening = NULL;
    if (result == 0) {
        ws_client_opened(ws);
    } else if (!o.lost) {
        ws->told = true; /* the owner never hears of it */
        ws_client_abort(ws);
    }
    ws_client_unref(o.ws);
    return result == 0 ? ws : NULL;
}

/* Tells the breaker what an attempt told about the upstream. */
static enum outcome judge(struct breaker *breaker, const struct ws_client *ws, int status, const struct err *e)
{
    uint64_t now = loop_now_ms(loop_self());
    bool ours = e->code == ERR_CANCELLED || e->code == ERR_NOT_CONFIGURED || e->code == ERR_INVALID_REQUEST;
    if (ws || (status && status < 500))
        breaker_success(breaker);
    else if (ours)
        breaker_abandon(breaker, now);
    else
        breaker_failure(breaker, now);
    if (ws)
        return OUTCOME_OK;
    if (status && status < 500)
        return OUTCOME_REFUSED;
    return e->code == ERR_UPSTREAM ? OUTCOME_FAILED : upstream_outcome(e);
}

/* Within the upstream's places. */
static struct ws_client *open_within(struct upstream_local *local, const struct ws_client_request *rq,
                                     const struct place *place, struct arena *arena, struct str *refusal, struct err *e)
{
    struct upstream *u = rq->upstream;
    uint64_t began = clock_mono_ns();
    int status;
    if (!breaker_admit(&local->breaker, loop_now_ms(loop_self()))) {
        upstream_refuse(local, e);
        metric_inc(u->calls[OUTCOME_OVERLOADED]);
        return NULL;
    }
    struct ws_client *ws = attempt(rq, place, arena, refusal, &status, e);
    metric_inc(u->calls[judge(&local->breaker, ws, status, e)]);
    if (ws || status)
        metric_observe(u->first_byte, clock_mono_ns() - began);
    return ws;
}

static struct ws_client *open_socket(const struct ws_client_request *rq, const struct place *place, struct arena *arena,
                                     struct str *refusal, struct err *e)
{
    struct upstream_local *local = upstream_local(rq->upstream);
    if ((upstream_ready(rq->upstream) ? upstream_enter(local, e) : upstream_refuse(local, e)) < 0) {
        metric_inc(rq->upstream->calls[upstream_outcome(e)]);
        return NULL;
    }
    struct ws_client *ws = open_within(local, rq, place, arena, refusal, e);
    upstream_leave(local);
    return ws;
}

struct ws_client *ws_client_open(const struct ws_client_request *rq, struct arena *arena, struct str *refusal,
                                 struct err *e)
{
    struct buf url = BUF_INIT(LIMIT_HTTP_TARGET);
    struct place place;
    struct err scratch = {0};
    struct ws_client *ws = NULL;
    if (!e)
        e = &scratch;
    *e = scratch;
    if (refusal)
        *refusal = STR("");
    if (!headers_clean(rq->headers, rq->nheaders, rq->path) ||
        !headers_clean(&(struct fetch_header){"", rq->protocols}, 1, rq->url))
        err_set(e, ERR_INVALID_REQUEST, "A request header has a control character");
    else if (find_place(&place, &url, rq, e) == 0)
        ws = open_socket(rq, &place, arena, refusal, e);
    buf_free(&url);
    return ws;
}
