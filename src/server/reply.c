#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/security_headers.h"
#include "server/server_impl.h"

#include <stdlib.h>

#define JSON_TYPE STR("application/json; charset=utf-8")

static char *put(char *at, struct str s)
{
    if (s.n)
        memcpy(at, s.p, s.n);
    return at + s.n;
}
#define PUT(at, literal) put((at), STR(literal))

static char *put_u64(char *at, uint64_t value)
{
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return put(at, str_n(digits + n, sizeof digits - n));
}

static struct str date_now(struct server_loop *sl)
{
    uint64_t now = loop_now_ms(sl->loop);
    if (now >= sl->date_until) {
        int64_t wall = clock_wall_ms();
        clock_http_date(sl->date, wall);
        sl->date_until = now + (uint64_t)(1000 - wall % 1000);
    }
    return str_n(sl->date, sizeof sl->date - 1);
}

/* What the reply's head says. */
struct reply_head {
    struct str status, type, id, security;
    bool has_length, chunked, close, keep_alive;
    uint64_t length;
};

/* At least the bytes put_head writes. */
static size_t head_size(const struct http_exchange *x, const struct reply_head *h)
{
    return 200 + h->status.n + h->type.n + h->id.n + h->security.n + x->lines.n + x->headers_size;
}

static char *put_head(char *at, struct http_exchange *x, const struct reply_head *h)
{
    at = PUT(at, "HTTP/1.1 ");
    at = put(at, h->status);
    at = PUT(at, "\r\nDate: ");
    at = put(at, date_now(x->sl));
    if (h->type.n) {
        at = PUT(at, "\r\nContent-Type: ");
        at = put(at, h->type);
    }
    if (h->has_length) {
        at = PUT(at, "\r\nContent-Length: ");
        at = put_u64(at, h->length);
    }
    if (h->chunked)
        at = PUT(at, "\r\nTransfer-Encoding: chunked");
    if (h->close)
        at = PUT(at, "\r\nConnection: close");
    else if (h->keep_alive)
        at = PUT(at, "\r\nConnection: keep-alive");
    at = PUT(at, "\r\nX-Request-Id: ");
    at = put(at, h->id);
    at = PUT(at, "\r\n");
    at = put(at, h->security);
    at = put(at, x->lines);
    for (const struct reply_header *header = x->headers; header; header = header->next) {
        at = put(at, header->name);
        at = PUT(at, ": ");
        at = put(at, header->value);
        at = PUT(at, "\r\n");
    }
    return PUT(at, "\r\n");
}

/* Body that was not read must not be taken for the next request: a short rest is skipped, else the connection ends. */
static void decide_keep_alive(struct http_exchange *x)
{
    uint64_t left = exchange_body_left(x);
    bool waits_for_100 = left && x->rq.head && x->rq.head->expect_continue;
    if (left > KIB(64) || waits_for_100 || x->sl->draining)
        x->keep_alive = false;
}

static struct reply_head reply_begin(struct http_exchange *x, int status, struct str type)
{
    decide_keep_alive(x);
    x->status = status;
    bool page = type.n >= 9 && memcmp(type.p, "text/html", 9) == 0;
    return (struct reply_head){
        .status = str_c(http_status_line(status)),
        .type = type,
        .id = str_c(x->rq.id),
        .security = security_headers(x->rq.secure, page),
        .close = !x->keep_alive,
        .keep_alive = x->rq.head && x->rq.head->minor == 0,
    };
}

static bool may_begin(struct http_exchange *x)
{
    if (x->status && x->rq.conn)
        log_error("server", "second_reply", F_STR("path", x->rq.path), F_INT("status", x->status));
    return !x->status && x->rq.conn;
}

void http_reply(struct http_request *rq, int status, struct str type, struct str body)
{
    struct http_exchange *x = http_exchange(rq);
    if (!may_begin(x))
        return;
    struct conn *c = &rq->conn->conn;
    struct reply_head h = reply_begin(x, status, type);
    h.has_length = status != 204 && status != 304;
    h.length = body.n;
    if (rq->method == HTTP_HEAD || !h.has_length)
        body.n = 0;
    x->sent = body.n;
    size_t size = head_size(x, &h);
    if (size + body.n <= KIB(4)) {
        char *start = conn_reserve(c, size + body.n), *end = put_head(start, x, &h);
        if (body.n)
            end = put(end, body);
        conn_commit(c, (size_t)(end - start));
    } else {
        char *head = mem_alloc(size);
        conn_write(c, str_n(head, (size_t)(put_head(head, x, &h) - head)));
        conn_write(c, body);
        free(head);
    }
    exchange_complete(x);
}

void http_reply_text(struct http_request *rq, int status, struct str body)
{
    http_reply(rq, status, STR("text/plain; charset=utf-8"), body);
}

void http_reply_json(struct http_request *rq, int status, struct str body)
{
    http_reply(rq, status, JSON_TYPE, body);
}

void http_reply_jw(struct http_request *rq, int status, struct jw *w)
{
    struct err e;
    if (jw_ok(w)) {
        http_reply(rq, status, JSON_TYPE, buf_str(w->out));
    } else {
        err_set(&e, ERR_INTERNAL_ERROR, "The reply is too large");
        http_reply_error(rq, &e);
    }
    buf_free(w->out);
}

void http_reply_header(struct http_request *rq, struct str name, struct str value)
{
    struct http_exchange *x = http_exchange(rq);
    struct reply_header *header = arena_alloc(rq->arena, sizeof *header);
    *header = (struct reply_header){x->headers, name, value};
    x->headers = header;
    x->headers_size += name.n + value.n + 4;
}

void http_reply_close(struct http_request *rq)
{
    http_exchange(rq)->keep_alive = false;
}

static void put_error(struct buf *out, const struct err *e)
{
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "error", str_c(e->text));
    jw_kstr(&w, "message", str_c(e->text));
    jw_kstr(&w, "code", str_c(err_name(e->code)));
    jw_end_obj(&w);
}

void http_reply_error(struct http_request *rq, const struct err *e)
{
    const struct server_config *config = &http_exchange(rq)->sl->config;
    struct buf out = BUF_INIT(LIMIT_HTTP_TARGET * 6 + KIB(4));
    struct err said = *e;
    if (!said.text[0])
        str_copy(said.text, sizeof said.text, str_c(err_text(e->code)));
    if (config->error_body)
        config->error_body(config->error_arg, rq->path, &said, &out);
    else
        put_error(&out, &said);
    if (e->retry_after_ms > 0)
        http_reply_header(rq, STR("Retry-After"), arena_printf(rq->arena, "%d", (e->retry_after_ms - 1) / 1000 + 1));
    int status = e->status ? e->status : err_status(e->code);
    if (status == 401)
        http_reply_header(rq, STR("WWW-Authenticate"), STR("Bearer"));
    http_reply_json(rq, status, buf_str(&out));
    buf_free(&out);
}

static void begin_stream(struct http_exchange *x, const struct reply_head *h)
{
    struct conn *c = &x->rq.conn->conn;
    size_t size = head_size(x, h);
    x->streaming = true;
    if (size <= KIB(4)) {
        char *start = conn_reserve(c, size);
        conn_commit(c, (size_t)(put_head(start, x, h) - start));
    } else {
        char *head = mem_alloc(size);
        conn_write(c, str_n(head, (size_t)(put_head(head, x, h) - head)));
        free(head);
    }
}

void http_stream_begin(struct http_request *rq, int status, struct str type)
{
    struct http_exchange *x = http_exchange(rq);
    if (!may_begin(x))
        return;
    x->chunks = rq->head->minor > 0;
    if (!x->chunks)
        x->keep_alive = false;
    struct reply_head h = reply_begin(x, status, type);
    h.chunked = x->chunks;
    begin_stream(x, &h);
}

void http_stream_begin_sized(struct http_request *rq, int status, struct str type, uint64_t length)
{
    struct http_exchange *x = http_exchange(rq);
    if (!may_begin(x))
        return;
    struct reply_head h = reply_begin(x, status, type);
    x->sized = h.has_length = true;
    x->length = h.length = length;
    begin_stream(x, &h);
}
