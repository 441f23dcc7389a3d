#include "server/engineio_impl.h"

#include <zlib.h>

#define GZIP_MAX MIB(1) /* more would hold up the loop */

/* ---- Replies ---- */

/* `q=0`, `q=0.000`: not at all. */
static bool is_refusal(struct str weight)
{
    if (!str_starts(weight, STR("q=")))
        return false;
    for (size_t i = 2; i < weight.n; i++)
        if (weight.p[i] != '0' && weight.p[i] != '.')
            return false;
    return true;
}

static bool takes_gzip(struct str accept_encoding)
{
    struct str coding, name;
    while (accept_encoding.n && str_split(&accept_encoding, ',', &coding)) {
        str_split(&coding, ';', &name);
        if (str_ieq(str_trim(name), STR("gzip")))
            return !is_refusal(str_trim(coding));
    }
    return false;
}

/* At most GZIP_MAX. -1: it does not get smaller. */
static int gzip(struct buf *out, struct str in)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n};
    char *to = buf_reserve(out, in.n);
    if (!to || deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -1;
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)in.n;
    int done = deflate(&z, Z_FINISH);
    buf_commit(out, in.n - z.avail_out);
    deflateEnd(&z);
    return done == Z_STREAM_END ? 0 : -1;
}

static void reply(struct http_request *rq, struct eio_session *s, struct str type, struct str body)
{
    struct buf packed = BUF_INIT(body.n);
    bool worth_it = s->shard->server->config.compression && body.n >= EIO_GZIP_MIN && body.n <= GZIP_MAX;
    http_reply_header(rq, STR("Cache-Control"), STR("no-store"));
    if (worth_it && takes_gzip(http_request_header(rq, STR("accept-encoding"))) && gzip(&packed, body) == 0) {
        http_reply_header(rq, STR("Content-Encoding"), STR("gzip"));
        body = buf_str(&packed);
    }
    http_reply(rq, 200, type, body);
    buf_free(&packed);
}

static enum eio_form form_of(const struct eio_session *s)
{
    if (s->version == EIO_V4)
        return EIO_FORM_V4;
    for (uint32_t i = 0; i < s->nitems && !s->b64; i++)
        if (s->items[i].binary)
            return EIO_FORM_V3_B2;
    return EIO_FORM_V3;
}

static void reply_packets(struct http_request *rq, struct eio_session *s, enum eio_form form, struct buf *body)
{
    bool octets = form == EIO_FORM_V3_B2;
    reply(rq, s, octets ? STR("application/octet-stream") : STR("text/plain; charset=UTF-8"), buf_str(body));
    buf_free(body);
}

void eio_answer_poll(struct eio_session *s)
{
    static const struct eio_packet noop = {.type = EIO_NOOP, .data = {"", 0}};
    struct http_request *rq = s->poll;
    struct buf body = BUF_INIT(s->queued * 2 + KIB(1)); /* with base64 and lengths: each item brings its cost */
    enum eio_form form = form_of(s);
    for (uint32_t i = 0; i < s->nitems; i++) {
        struct eio_packet packet = eio_item_packet(&s->items[i]);
        eio_payload_put(&body, form, &packet);
    }
    if (!s->nitems)
        eio_payload_put(&body, form, &noop);
    eio_drop_queue(s);
    s->poll = NULL;
    reply_packets(rq, s, form, &body);
    eio_check_drained(s);
}

static void reply_ok(struct http_request *rq)
{
    http_reply_header(rq, STR("Cache-Control"), STR("no-store"));
    http_reply(rq, 200, STR("text/html"), STR("ok"));
}

void eio_answer_post(struct eio_session *s)
{
    struct http_request *rq = s->post;
    s->post = NULL;
    reply_ok(rq);
}

/* ---- Beginning ---- */

static struct str cookie_for(const struct eio_session *s, struct http_request *rq, const char *name)
{
    return arena_printf(rq->arena, "%s=%s; Path=/; HttpOnly; SameSite=Lax", name, s->sid);
}

void eio_poll_open(const struct eio_ask *ask, struct http_request *rq)
{
    struct eio_packet packet = {.type = EIO_OPEN};
    struct buf open = BUF_INIT(KIB(1)), body = BUF_INIT(KIB(1));
    const char *cookie = ask->shard->server->config.cookie;
    if (!eio_may_begin(ask->shard, rq))
        return;
    struct eio_session *s = eio_session_new(ask->shard, rq, ask->version);
    s->b64 = eio_wants_b64(rq);
    eio_put_open(s, &open);
    packet.data = str_from(buf_str(&open), 1);
    enum eio_form form = form_of(s);
    eio_payload_put(&body, form, &packet);
    if (cookie && cookie[0])
        http_reply_header(rq, STR("Set-Cookie"), cookie_for(s, rq, cookie));
    reply_packets(rq, s, form, &body);
    buf_free(&open);
    eio_begin(s);
    eio_opened(s, rq);
}

/* ---- GET: fetches packets ---- */

static void poll_gone(struct http_request *rq)
{
    struct eio_session *s = rq->user;
    s->poll = NULL;
    eio_close(s, EIO_TRANSPORT_ERROR);
}

static void poll_drain(struct http_request *rq)
{
    eio_close(rq->user, EIO_SHUTDOWN);
}

static const struct http_deferred held_poll = {.gone = poll_gone, .drain = poll_drain};

/* Two polls at a time, say: the client has lost count of what it got. */
static void overlap(struct eio_session *s, struct http_request *rq)
{
    eio_close(s, EIO_TRANSPORT_ERROR);
    eio_refuse(rq, EIO_CODE_REQUEST);
}

void eio_poll_get(struct eio_session *s, struct http_request *rq)
{
    if (s->poll) {
        overlap(s, rq);
        return;
    }
    s->poll = rq;
    if (s->state == EIO_LINGERING && !s->nitems) {
        eio_queue(s, EIO_CLOSE, false, NULL);
        s->state = EIO_OVER;
        eio_make_due(s);
    }
    if (s->nitems) {
        eio_answer_poll(s);
        return;
    }
    rq->user = s;
    http_defer(rq, &held_poll);
}

/* ---- POST: brings packets ---- */

static void post_gone(struct http_request *rq)
{
    struct eio_session *s = rq->user;
    s->post = NULL;
    eio_close(s, EIO_TRANSPORT_ERROR);
}

static void post_drain(struct http_request *rq)
{
    eio_answer_post(rq->user);
}

static const struct http_deferred held_post = {.gone = post_gone, .drain = post_drain};

static bool is_octets(const struct http_request *rq)
{
    struct str rest = http_request_header(rq, STR("content-type")), type = STR("");
    str_split(&rest, ';', &type);
    return str_ieq(str_trim(type), STR("application/octet-stream"));
}

static enum eio_form form_of_post(const struct eio_session *s, const struct http_request *rq)
{
    if (s->version == EIO_V4)
        return EIO_FORM_V4;
    return is_octets(rq) ? EIO_FORM_V3_B2 : EIO_FORM_V3;
}

static void take_payload(struct eio_session *s, enum eio_form form, struct str body)
{
    struct err e;
    struct eio_payload it;
    struct eio_packet packet;
    struct buf scratch = BUF_INIT(s->shard->server->config.max_payload);
    int got = eio_payload_begin(&it, form, body, &e);
    if (got == 0)
        while ((got = eio_payload_next(&it, &scratch, &packet, &e)) == 1 && eio_take(s, &packet))
            continue;
    if (got < 0)
        eio_close(s, EIO_PARSE_ERROR);
    buf_free(&scratch);
}

static bool is_too_large(const struct eio_session *s, struct http_request *rq, uint64_t length)
{
    struct err e;
    if (length <= s->shard->server->config.max_payload)
        return false;
    err_set(&e, ERR_BODY_TOO_LARGE, NULL);
    http_reply_error(rq, &e);
    return true;
}

/* Its request is over before its body was there. */
static void coming_over(void *arg)
{
    struct eio_coming *coming = arg;
    struct eio_session *s = coming->session;
    if (!s)
        return;
    s->coming = NULL;
    eio_close(s, EIO_TRANSPORT_ERROR);
}

void eio_poll_post_begins(struct eio_session *s, struct http_request *rq)
{
    if (s->coming || s->post) {
        overlap(s, rq);
        return;
    }
    if (rq->head->body == HTTP_BODY_LENGTH && is_too_large(s, rq, rq->head->length))
        return;
    s->coming = arena_alloc(rq->arena, sizeof *s->coming);
    s->coming->session = s;
    rq->user = s->coming;
    arena_own(rq->arena, s->coming, coming_over);
}

/* The body is there. */
static void has_come(struct eio_session *s, struct http_request *rq)
{
    if (!s->coming || rq->user != s->coming)
        return;
    s->coming->session = NULL;
    s->coming = NULL;
}

void eio_poll_post(struct eio_session *s, struct http_request *rq)
{
    has_come(s, rq);
    if (s->post || s->coming) {
        overlap(s, rq);
        return;
    }
    if (is_too_large(s, rq, rq->body.n))
        return;
    if (s->version == EIO_V4 && is_octets(rq))
        eio_close(s, EIO_TRANSPORT_ERROR);
    else
        take_payload(s, form_of_post(s, rq), rq->body);
    bool bad = s->state == EIO_ENDED && (s->end == EIO_PARSE_ERROR || s->end == EIO_TRANSPORT_ERROR);
    if (bad) {
        eio_refuse(rq, EIO_CODE_REQUEST);
    } else if (s->paused && s->state == EIO_RUNNING) {
        rq->user = s;
        s->post = rq;
        http_defer(rq, &held_post);
    } else {
        reply_ok(rq);
    }
}
