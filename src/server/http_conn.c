#include "base/mem.h"
#include "server/server_impl.h"

#include <stdlib.h>

#define PIPELINE_MAX KIB(64) /* waiting input of later requests: beyond it reading stops */

static void on_timer(struct timer *timer);

/* ---- State and its time-out ---- */

/* What is left of a limit; -1: there is none. */
static int64_t rest(unsigned limit, uint32_t spent)
{
    if (!limit)
        return -1;
    return spent >= limit ? 0 : (int64_t)limit - spent;
}

/* Between requests, or before the first: a handshake is given the time of a head. The last reply may still be on its
 * way to a slow reader: then its progress counts, and being idle begins when it is out. */
static int64_t idle_left(const struct http_conn *hc, uint32_t in_state, uint32_t sent)
{
    const struct server_config *config = &hc->sl->config;
    if (!conn_is_ready(&hc->conn))
        return rest(config->header_timeout, in_state);
    if (!conn_queued(&hc->conn))
        return rest(config->idle_timeout, MIN(in_state, sent));
    int64_t write = rest(config->write_timeout, sent), idle = rest(config->idle_timeout, 0);
    return write < 0 || (idle >= 0 && idle < write) ? idle : write;
}

/* Milliseconds until the state at hand must end; 0: now; -1: no limit. Looking again later is always right. */
static int64_t time_left(const struct http_conn *hc)
{
    const struct server_config *config = &hc->sl->config;
    uint32_t in_state = (uint32_t)loop_now_ms(hc->sl->loop) - hc->since, sent = conn_output_age(&hc->conn);
    switch (hc->state) {
    case HC_IDLE:
        return idle_left(hc, in_state, sent);
    case HC_HEAD:
        return rest(config->header_timeout, in_state);
    case HC_BODY:
    case HC_SKIP:
        return rest(config->body_timeout, MIN(in_state, conn_input_age(&hc->conn)));
    case HC_RUNNING:
    case HC_FINISH:
        return rest(config->write_timeout, conn_queued(&hc->conn) ? sent : 0);
    case HC_UPGRADED:
        return -1;
    }
    return -1;
}

/* One timer for all states. It may fire too early, never too late: entering a state restarts it only when it would
 * come too late, so that a request on a busy connection does not touch the heap. */
static void arm(struct http_conn *hc)
{
    int64_t left = time_left(hc);
    if (left < 0)
        return;
    uint64_t due = loop_now_ms(hc->sl->loop) + (uint64_t)left;
    if (!timer_running(&hc->timer) || hc->timer.due > due + 1)
        timer_start(hc->sl->loop, &hc->timer, (uint64_t)left);
}

void http_conn_enter(struct http_conn *hc, enum http_state next)
{
    hc->state = next;
    hc->since = (uint32_t)loop_now_ms(hc->sl->loop);
    arm(hc);
}

void http_conn_next(struct http_conn *hc)
{
    if (!hc->sl->draining && !conn_input_over(&hc->conn)) {
        http_conn_enter(hc, HC_IDLE);
        return;
    }
    http_conn_enter(hc, HC_FINISH);
    conn_finish(&hc->conn);
}

static void refuse(struct http_conn *hc, const struct err *e)
{
    struct http_exchange *x = hc->state == HC_BODY ? hc->x : exchange_new(hc, NULL, STR(""));
    x->keep_alive = false;
    http_reply_error(&x->rq, e);
}

static void timed_out(struct http_conn *hc)
{
    struct err e;
    switch (hc->state) {
    case HC_IDLE:
        if (conn_queued(&hc->conn) || !conn_is_ready(&hc->conn)) {
            conn_close_timeout(&hc->conn);
            break;
        }
        http_conn_enter(hc, HC_FINISH);
        conn_finish(&hc->conn);
        break;
    case HC_HEAD:
    case HC_BODY:
        err_set(&e, ERR_REQUEST_TIMEOUT, NULL);
        refuse(hc, &e);
        break;
    case HC_SKIP:
    case HC_RUNNING:
    case HC_FINISH:
        conn_close_timeout(&hc->conn);
        break;
    case HC_UPGRADED:
        break;
    }
}

static void on_timer(struct timer *timer)
{
    struct http_conn *hc = container_of(timer, struct http_conn, timer);
    if (time_left(hc) == 0)
        timed_out(hc);
    else
        arm(hc);
}

/* ---- Going where the request belongs ---- */

/* On the other loop. The head in front is parsed again, from the input that came along. */
static void on_arrived(struct conn *c)
{
    struct http_conn *hc = container_of(c, struct http_conn, conn);
    struct server_loop *sl = hc->sl;
    list_push_back(&sl->conns, &hc->link);
    sl->nconns++;
    atomic_fetch_sub(&sl->arriving, 1);
    http_conn_enter(hc, hc->state);
    if (sl->draining)
        conn_close(c);
}

static bool steer_away(struct http_conn *hc, const struct http_head *head)
{
    struct server_loop *from = hc->sl, *to = hc->steered ? NULL : server_steered(from, head);
    if (!to)
        return false;
    timer_stop(from->loop, &hc->timer);
    list_remove(&hc->link);
    from->nconns--;
    hc->sl = to;
    hc->steered = true;
    conn_move(&hc->conn, to->loop, on_arrived);
    return true;
}

/* ---- Input ---- */

static size_t read_head(struct http_conn *hc, const char *p, size_t n)
{
    static _Thread_local struct http_head head;
    struct err e;
    ptrdiff_t took = http_head_parse(&head, str_n(p, n), hc->seen, &e);
    if (took > 0) {
        if (hc->sl->server->steer && steer_away(hc, &head))
            return 0;
        struct str bytes = str_n(p, (size_t)took);
        hc->seen = 0;
        hc->steered = false;
        exchange_begin(hc, exchange_new(hc, &head, bytes));
        return (size_t)took;
    }
    if (took < 0) {
        refuse(hc, &e);
        return n;
    }
    hc->seen = (uint32_t)n;
    if (hc->state == HC_IDLE)
        http_conn_enter(hc, HC_HEAD);
    return 0;
}

static size_t skip_body(struct http_conn *hc, size_t n)
{
    size_t used = (size_t)MIN(hc->skip, (uint64_t)n);
    hc->skip -= used;
    if (!hc->skip)
        http_conn_next(hc);
    return used;
}

static size_t read_some(struct http_conn *hc, const char *p, size_t n)
{
    switch (hc->state) {
    case HC_IDLE:
    case HC_HEAD:
        /* Who does not read the replies gets no further request answered. */
        if (conn_queued(&hc->conn) > CONN_HIGH_MARK) {
            conn_pause(&hc->conn);
            return 0;
        }
        return read_head(hc, p, n);
    case HC_BODY:
        return exchange_body(hc, hc->x, p, n);
    case HC_SKIP:
        return skip_body(hc, n);
    case HC_RUNNING:
        if (n > PIPELINE_MAX)
            conn_pause(&hc->conn);
        return 0;
    case HC_FINISH:
        return n;
    case HC_UPGRADED:
        return 0;
    }
    return 0;
}

static size_t on_read(struct conn *c, char *p, size_t n)
{
    struct http_conn *hc = container_of(c, struct http_conn, conn);
    size_t used = 0, took = 1;
    while (used < n && took && conn_is_open(c)) {
        took = read_some(hc, p + used, n - used);
        used += took;
    }
    /* The last of the requests that came before the end of the input. */
    if (c->eof && used == n && hc->state == HC_IDLE && conn_is_open(c))
        http_conn_gone(hc);
    return used;
}

static void on_drained(struct conn *c)
{
    struct http_conn *hc = container_of(c, struct http_conn, conn);
    if (hc->state == HC_IDLE || hc->state == HC_HEAD)
        conn_resume(c);
}

void http_conn_gone(struct http_conn *hc)
{
    if (hc->state == HC_RUNNING || hc->state == HC_BODY)
        exchange_gone(hc->x);
    http_conn_enter(hc, HC_FINISH);
    conn_finish(&hc->conn); /* earlier replies may still be on their way */
}

static void on_eof(struct conn *c)
{
    struct http_conn *hc = container_of(c, struct http_conn, conn);
    if (hc->state != HC_RUNNING || hc->x->needs_client)
        http_conn_gone(hc);
}

static void on_closed(struct conn *c, enum conn_end why)
{
    struct http_conn *hc = container_of(c, struct http_conn, conn);
    (void)why;
    if ((hc->state == HC_RUNNING || hc->state == HC_BODY) && hc->x)
        exchange_gone(hc->x);
    http_conn_release(hc);
}

static const struct conn_ops http_ops = {
    .on_read = on_read, .on_eof = on_eof, .on_drained = on_drained, .on_closed = on_closed};

/* ---- Coming and going ---- */

static void refuse_connection(struct http_conn *hc)
{
    struct err e;
    metric_inc(hc->sl->server->refused);
    err_set(&e, ERR_OVERLOADED, "Too many connections");
    e.retry_after_ms = 1000;
    refuse(hc, &e);
}

void http_conn_open(struct server_port *port, int fd, const struct sockaddr_in6 *peer)
{
    struct server_loop *sl = port->sl;
    struct http_conn *hc = mem_zalloc(sizeof *hc);
    if (conn_open(&hc->conn, sl->loop, fd, port->tls, &http_ops) < 0) {
        free(hc);
        return;
    }
    hc->sl = sl;
    hc->timer.fn = on_timer;
    list_push_back(&sl->conns, &hc->link);
    sl->nconns++;
    http_conn_enter(hc, HC_IDLE);
    if (!server_count_in(hc, peer))
        refuse_connection(hc);
}

void http_conn_release(struct http_conn *hc)
{
    struct server_loop *sl = hc->sl;
    timer_stop(sl->loop, &hc->timer);
    list_remove(&hc->link);
    sl->nconns--;
    server_count_out(hc);
    free(hc);
    server_loop_idle(sl);
}

void http_conn_upgrade(struct http_conn *hc, const struct conn_ops *ops, void *owner)
{
    struct server *s = hc->sl->server;
    timer_stop(hc->sl->loop, &hc->timer);
    http_conn_enter(hc, HC_UPGRADED);
    hc->conn.ops = ops;
    hc->owner = owner;
    atomic_fetch_add(&s->websockets, 1);
    metric_inc(s->ws_gauge);
    metric_dec(s->http_gauge);
}

void http_conn_drain(struct http_conn *hc)
{
    if (hc->state == HC_UPGRADED) {
        websocket_drain(hc->owner);
    } else if (hc->state == HC_IDLE) {
        http_conn_next(hc);
    } else if (hc->state == HC_RUNNING && hc->x) {
        exchange_drain(hc->x);
    }
}
