#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/server_impl.h"

#include <stdlib.h>

#define BODY_FIRST KIB(16) /* memory for a body that does not come at once; doubles as the bytes arrive */

void exchange_unref(struct http_exchange *x)
{
    if (--x->refs)
        return;
    free(x->body);
    arena_free(x->rq.arena);
}

/* ---- Making one ---- */

static bool id_is_sane(struct str id)
{
    if (id.n == 0 || id.n > 64)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                  c == '-';
        if (!ok)
            return false;
    }
    return true;
}

static const char *request_id(struct http_exchange *x)
{
    struct str given = x->rq.head ? http_header(x->rq.head, STR("x-request-id")) : STR_NONE;
    if (id_is_sane(given))
        return arena_cstr(x->rq.arena, given);
    char *id = arena_alloc(x->rq.arena, 8 + 1 + 20 + 1), digits[20];
    struct buf number = {.data = digits, .cap = sizeof digits, .max = sizeof digits};
    buf_add_u64(&number, x->sl->next_id++);
    memcpy(id, x->sl->id_prefix, 8);
    id[8] = '-';
    memcpy(id + 9, digits, number.len);
    id[9 + number.len] = 0;
    return id;
}

static struct http_head *copy_head(struct arena *a, const struct http_head *head, struct str bytes)
{
    size_t size = offsetof(struct http_head, headers) + head->nheaders * sizeof head->headers[0];
    struct http_head *copy = arena_alloc(a, size);
    char *text = arena_alloc(a, bytes.n);
    memcpy(copy, head, size);
    memcpy(text, bytes.p, bytes.n);
    http_head_rebase(copy, bytes.p, text);
    return copy;
}

struct http_exchange *exchange_new(struct http_conn *hc, const struct http_head *head, struct str bytes)
{
    struct arena *a = arena_new("http_request");
    struct http_exchange *x = arena_zalloc(a, sizeof *x);
    x->sl = hc->sl;
    x->start_ns = clock_mono_ns();
    x->refs = 1;
    x->rq.arena = a;
    x->rq.conn = hc;
    x->rq.method = HTTP_OTHER;
    x->rq.path = x->rq.query = x->rq.origin = x->rq.body = STR("");
    if (head) {
        x->rq.head = copy_head(a, head, bytes);
        x->rq.method = head->method;
        x->rq.query = x->rq.head->query;
        x->keep_alive = head->keep_alive;
    }
    x->rq.id = request_id(x);
    filters_identify(x, &hc->conn);
    hc->x = x;
    return x;
}

/* ---- From the head to the body ---- */

static bool has_escaped_slash(struct str path)
{
    for (size_t i = 0; i + 2 < path.n; i++)
        if (path.p[i] == '%' && path.p[i + 1] == '2' && (path.p[i + 2] | 0x20) == 'f')
            return true;
    return false;
}

static int decode_path(struct http_request *rq, struct err *e)
{
    struct str path = rq->head->path;
    if (memchr(path.p, '%', path.n)) {
        struct buf out = {.data = arena_alloc(rq->arena, path.n + 1), .cap = path.n + 1, .max = path.n + 1};
        /* An escaped slash would make two segments of one. */
        if (has_escaped_slash(path) || http_path_decode(&out, path, false) < 0)
            return err_set(e, ERR_INVALID_REQUEST, "Malformed request path");
        path = buf_str(&out);
    }
    rq->path = path;
    if (str_starts(path, STR("/api/v1/")))
        rq->path = arena_printf(rq->arena, "/api/%.*s", STR_ARG(str_from(path, 8)));
    return 0;
}

static void reply_not_found(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_FOUND, NULL);
    http_reply_error(rq, &e);
}

/* True: the request has its route. Otherwise it was answered. */
static bool find_route(struct http_exchange *x)
{
    struct err e;
    struct http_request *rq = &x->rq;
    struct router_match match = router_find(x->sl->server->router, rq->method, rq->path, rq->params);
    bool any = rq->method == HTTP_OPTIONS && str_eq(rq->head->target, STR("*"));
    if (match.route) {
        x->matched = match.route;
        rq->route = route_row(match.route);
        rq->ctx = route_ctx(match.route);
        return true;
    }
    if (!match.allow.n && !any) {
        reply_not_found(rq);
        return false;
    }
    http_reply_header(rq, STR("Allow"), any ? STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") : match.allow);
    if (rq->method == HTTP_OPTIONS) {
        http_reply(rq, 204, STR(""), STR(""));
    } else {
        err_set(&e, ERR_METHOD_NOT_ALLOWED, NULL);
        http_reply_error(rq, &e);
    }
    return false;
}

static uint64_t max_body(const struct http_exchange *x)
{
    size_t max = x->rq.route->max_body & ~HTTP_ANY_TYPE;
    return max ? max : LIMIT_HTTP_BODY;
}

static int check_body(struct http_exchange *x, struct err *e)
{
    const struct http_head *head = x->rq.head;
    if (!head->expect_continue && head->minor && http_header(head, STR("expect")).n) {
        err_set(e, ERR_INVALID_REQUEST, "Expect names something this server does not know");
        e->status = 417;
        return -1;
    }
    if (head->body == HTTP_BODY_NONE)
        return 0;
    struct str coding = http_header(head, STR("content-encoding"));
    if (coding.n && !str_ieq(coding, STR("identity")))
        return err_set(e, ERR_UNSUPPORTED_MEDIA_TYPE, "Content-Encoding %.*s is not supported",
                       (int)MIN(coding.n, (size_t)32), coding.p);
    if (!(x->rq.route->max_body & HTTP_ANY_TYPE) && !http_request_is_json(&x->rq))
        return err_set(e, ERR_UNSUPPORTED_MEDIA_TYPE, "The body must be JSON");
    if (head->body == HTTP_BODY_LENGTH && head->length > max_body(x))
        return err_set(e, ERR_BODY_TOO_LARGE, NULL);
    x->chunked.max_body = max_body(x);
    return 0;
}

/* True when the request goes on to its body; otherwise it was answered or upgraded. */
static bool let_in(struct http_conn *hc, struct http_exchange *x)
{
    struct err e;
    struct http_request *rq = &x->rq;
    const struct server_config *config = &x->sl->config;
    if (rq->method == HTTP_OPTIONS && filters_preflight(x))
        return false;
    if (decode_path(rq, &e) < 0 || filters_rate(x, &e) < 0)
        goto refuse;
    if (!find_route(x))
        return false;
    if (check_body(x, &e) < 0)
        goto refuse;
    if (config->admit && rq->route->dialect && config->admit(config->admit_arg, rq, &e) < 0)
        goto refuse;
    if (rq->head->upgrade && rq->route->websocket && rq->method == HTTP_GET && websocket_upgrade(hc, rq, rq->route))
        return false;
    if (!rq->route->handler) {
        err_set(&e, ERR_INVALID_REQUEST, "WebSocket connection required");
        e.status = 426;
        http_reply_header(rq, STR("Upgrade"), STR("websocket"));
        goto refuse;
    }
    return true;
refuse:
    http_reply_error(rq, &e);
    return false;
}

/* ---- Running ---- */

/* The handler deferred the reply and is done. What happened before it returned is told now. */
static void await_reply(struct http_exchange *x)
{
    struct http_conn *hc = x->rq.conn;
    if (hc->conn.eof)
        http_conn_gone(hc);
    else
        exchange_drain(x);
}

static void run_handler(void *arg)
{
    struct err e;
    struct http_exchange *x = arg;
    x->task = task_self();
    log_request_id = x->rq.id;
    x->rq.route->handler(&x->rq);
    x->task = NULL;
    if (!x->complete && x->deferred) {
        await_reply(x);
    } else if (!x->complete && !x->status) {
        log_error("server", "no_reply", F_STR("path", x->rq.path));
        err_set(&e, ERR_INTERNAL_ERROR, NULL);
        http_reply_error(&x->rq, &e);
    } else if (!x->complete) {
        conn_close(&x->rq.conn->conn);
    }
    exchange_unref(x);
}

static void run(struct http_conn *hc, struct http_exchange *x)
{
    struct err e;
    http_conn_enter(hc, HC_RUNNING);
    if (!task_room()) {
        err_set(&e, ERR_OVERLOADED, NULL);
        e.retry_after_ms = 1000;
        http_reply_error(&x->rq, &e);
        return;
    }
    x->refs++;
    task_spawn("http", run_handler, x);
}

/* ---- Body ---- */

uint64_t exchange_body_left(const struct http_exchange *x)
{
    if (x->rq.conn->state != HC_BODY || !x->rq.head)
        return 0;
    if (x->rq.head->body == HTTP_BODY_CHUNKED)
        return UINT64_MAX;
    return x->rq.head->body == HTTP_BODY_LENGTH ? x->rq.head->length - x->body_len : 0;
}

/* Memory follows the bytes that came, not those that were announced. */
static void body_add(struct http_exchange *x, struct str bytes, size_t at_most)
{
    size_t need = x->body_len + bytes.n + 1;
    if (need > x->body_cap) {
        size_t cap = MAX(MAX(x->body_cap * 2, need), BODY_FIRST);
        x->body_cap = MAX(MIN(cap, at_most + 1), need);
        x->body = mem_realloc(x->body, x->body_cap);
    }
    memcpy(x->body + x->body_len, bytes.p, bytes.n);
    x->body_len += bytes.n;
    x->body[x->body_len] = 0;
    x->rq.body = str_n(x->body, x->body_len);
}

static size_t length_body(struct http_conn *hc, struct http_exchange *x, const char *p, size_t n)
{
    size_t length = (size_t)x->rq.head->length;
    n = MIN(n, length - x->body_len);
    if (n == length) {
        x->rq.body = arena_str(x->rq.arena, str_n(p, n));
        x->body_len = n;
    } else {
        body_add(x, str_n(p, n), length);
    }
    if (x->body_len == length)
        run(hc, x);
    return n;
}

static size_t chunked_body(struct http_conn *hc, struct http_exchange *x, const char *p, size_t n)
{
    struct err e;
    struct str in = str_n(p, n), piece;
    int got;
    while ((got = http_chunked_next(&x->chunked, &in, &piece, &e)) == 1)
        body_add(x, piece, (size_t)x->chunked.max_body);
    if (got < 0) {
        x->keep_alive = false;
        http_reply_error(&x->rq, &e);
        return n;
    }
    if (got == 2)
        run(hc, x);
    return n - in.n;
}

size_t exchange_body(struct http_conn *hc, struct http_exchange *x, const char *p, size_t n)
{
    x->refs++;
    size_t used = x->rq.head->body == HTTP_BODY_LENGTH ? length_body(hc, x, p, n) : chunked_body(hc, x, p, n);
    exchange_unref(x);
    return used;
}

/* A body follows the head: whether it shall come. */
static bool takes_body(struct http_exchange *x)
{
    void (*on_body)(struct http_request * rq) = x->sl->server->on_body;
    if (on_body)
        on_body(&x->rq);
    return !x->status;
}

void exchange_begin(struct http_conn *hc, struct http_exchange *x)
{
    const struct http_head *head = x->rq.head;
    x->refs++;
    http_conn_enter(hc, HC_BODY);
    if (!let_in(hc, x)) {
        if (hc->state == HC_UPGRADED && !x->complete)
            exchange_complete(x);
    } else if (head->body == HTTP_BODY_NONE || (head->body == HTTP_BODY_LENGTH && head->length == 0)) {
        run(hc, x);
    } else if (takes_body(x) && head->expect_continue) {
        conn_write(&hc->conn, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    exchange_unref(x);
}

/* ---- The end ---- */

static void record(struct http_exchange *x, int status)
{
    uint64_t ns = clock_mono_ns() - x->start_ns;
    route_observe(x->sl->server->router, x->matched, x->rq.method, status, ns);
    filters_log(x, status, ns);
}

void exchange_complete(struct http_exchange *x)
{
    struct http_conn *hc = x->rq.conn;
    bool upgraded = hc->state == HC_UPGRADED;
    uint64_t left = exchange_body_left(x);
    record(x, upgraded ? 101 : x->status);
    x->complete = true;
    x->streaming = false;
    x->rq.conn = NULL;
    if (!upgraded) {
        hc->x = NULL;
        if (!x->keep_alive) {
            http_conn_enter(hc, HC_FINISH);
            conn_finish(&hc->conn);
        } else {
            hc->skip = left;
            if (left)
                http_conn_enter(hc, HC_SKIP);
            else
                http_conn_next(hc);
            conn_resume(&hc->conn); /* pipelined requests may wait */
        }
    }
    exchange_unref(x);
}

void exchange_gone(struct http_exchange *x)
{
    record(x, 499);
    x->complete = true;
    x->streaming = false;
    x->rq.conn->x = NULL;
    x->rq.conn = NULL;
    if (x->task)
        task_cancel(x->task);
    if (x->deferred)
        x->deferred->gone(&x->rq);
    exchange_unref(x);
}

void exchange_drain(struct http_exchange *x)
{
    if (!x->sl->draining)
        return;
    if (x->deferred && !x->task && x->deferred->drain)
        x->deferred->drain(&x->rq);
    else if (x->sse && x->task)
        task_wake(x->task); /* it may want to end: http_draining */
}

void http_defer(struct http_request *rq, const struct http_deferred *ops)
{
    struct http_exchange *x = http_exchange(rq);
    x->deferred = ops;
    x->needs_client = true;
}
