/* Where proxy trust, CORS, rate limit and access log meet a request. */
#include "base/clock.h"
#include "server/cors.h"
#include "server/origin.h"
#include "server/server_impl.h"

#define LINES_MAX 1024 /* header lines of CORS and rate limit together */

void filters_configure(struct server_loop *sl)
{
    sl->trust = sl->config.trust_proxy ? *sl->config.trust_proxy : (struct trust_proxy){0};
}

/* Appends to x->lines by way of put's buffer. */
static struct buf lines_begin(struct http_exchange *x)
{
    struct buf out = {.cap = LINES_MAX, .max = LINES_MAX};
    out.data = arena_alloc(x->rq.arena, out.cap);
    buf_str_add(&out, x->lines);
    return out;
}

static void identify_origin(struct http_exchange *x)
{
    const struct server_config *config = &x->sl->config;
    struct str origin = http_header(x->rq.head, STR("origin"));
    x->lines = STR(CORS_VARY);
    if (!origin.p || !origin_allowed(config->cors_origins, config->ncors_origins, origin))
        return;
    x->rq.origin = origin;
    struct buf out = lines_begin(x);
    x->lines = cors_put(&out, origin) < 0 ? STR(CORS_VARY) : buf_str(&out);
}

void filters_identify(struct http_exchange *x, const struct conn *c)
{
    struct proxy_client *client = &x->client;
    bool tls = conn_is_tls(c);
    if (x->sl->trust.hops || x->sl->trust.count) {
        proxy_resolve(&x->sl->trust, &c->peer.sin6_addr, tls, x->rq.head, client);
    } else {
        client->addr = c->peer.sin6_addr;
        client->secure = tls;
        conn_address(c, client->address);
    }
    x->rq.address = str_c(client->address);
    x->rq.secure = client->secure;
    if (x->rq.head)
        identify_origin(x);
}

bool filters_page_may_come(struct http_request *rq)
{
    struct str origin = http_request_header(rq, STR("origin"));
    if (!origin.n || rq->origin.n)
        return true;
    const struct http_exchange *x = http_exchange(rq);
    struct proxy_client client;
    proxy_resolve(&x->sl->trust, &rq->conn->conn.peer.sin6_addr, rq->secure, rq->head, &client);
    return origin_is_host(origin, client.host);
}

bool filters_preflight(struct http_exchange *x)
{
    if (!cors_is_preflight(x->rq.head))
        return false;
    x->lines = STR("");
    struct buf out = lines_begin(x);
    x->lines = cors_put_preflight(&out, x->rq.origin, x->rq.head) < 0 ? STR(CORS_VARY) : buf_str(&out);
    http_reply(&x->rq, 204, STR(""), STR(""));
    return true;
}

int filters_rate(struct http_exchange *x, struct err *e)
{
    struct rate_limit *rl = x->sl->server->rate_limit;
    if (!rate_limit_is_on(rl) || !rate_limit_covers(x->rq.path))
        return 0;
    struct rate_verdict verdict = rate_limit_take(rl, &x->client.addr, loop_now_ms(x->sl->loop));
    struct buf out = lines_begin(x);
    if (rate_limit_put(&out, &verdict) == 0)
        x->lines = buf_str(&out);
    return verdict.allowed ? 0 : rate_limit_refuse(e);
}

void filters_log(const struct http_exchange *x, int status, uint64_t ns)
{
    if (!x->sl->access_log)
        return;
    const struct http_head *head = x->rq.head;
    struct access_entry entry = {.address = x->rq.address,
                                 .status = status,
                                 .bytes = x->sent,
                                 .id = str_c(x->rq.id),
                                 .micros = ns / 1000,
                                 .minor = 1};
    if (head) {
        entry.method = head->method_text;
        entry.target = head->target;
        entry.minor = head->minor;
        entry.referer = http_header(head, STR("referer"));
        entry.user_agent = http_header(head, STR("user-agent"));
    }
    access_log_add(x->sl->access_log, &entry);
}
