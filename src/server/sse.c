#include "server/sse.h"

#include "server/server_impl.h"
#include "wire/sse.h"

/* Lives in the request's arena. */
struct sse_stream {
    struct http_request *rq;
    struct loop *loop;
    struct timer timer;
    uint64_t sent_ms;
};

static void on_heartbeat(struct timer *timer)
{
    struct sse_stream *sse = container_of(timer, struct sse_stream, timer);
    struct http_exchange *x = http_exchange(sse->rq);
    uint64_t every = x->sl->config.sse_heartbeat, quiet = loop_now_ms(sse->loop) - sse->sent_ms;
    if (!every || !sse->rq->conn)
        return;
    if (quiet < every) {
        timer_start(sse->loop, &sse->timer, every - quiet);
        return;
    }
    /* What waits for a slow reader keeps the connection busy enough. */
    if (!conn_queued(&sse->rq->conn->conn) && http_stream_put(sse->rq, STR(": ping\n\n")) < 0)
        return;
    timer_start(sse->loop, &sse->timer, every);
}

static void stop(void *arg)
{
    struct sse_stream *sse = arg;
    timer_stop(sse->loop, &sse->timer);
}

void sse_begin(struct http_request *rq)
{
    struct http_exchange *x = http_exchange(rq);
    http_reply_header(rq, STR("Cache-Control"), STR("no-cache"));
    http_reply_header(rq, STR("X-Accel-Buffering"), STR("no"));
    http_stream_begin(rq, 200, STR("text/event-stream"));
    struct sse_stream *sse = arena_zalloc(rq->arena, sizeof *sse);
    *sse = (struct sse_stream){
        .rq = rq,
        .loop = x->sl->loop,
        .timer = {.fn = on_heartbeat},
        .sent_ms = loop_now_ms(x->sl->loop),
    };
    x->sse = sse;
    x->needs_client = true;
    arena_own(rq->arena, sse, stop);
    if (rq->conn && x->sl->config.sse_heartbeat)
        timer_start(sse->loop, &sse->timer, x->sl->config.sse_heartbeat);
}

static void note_sent(struct http_request *rq)
{
    struct sse_stream *sse = http_exchange(rq)->sse;
    sse->sent_ms = loop_now_ms(sse->loop);
}

int sse_send(struct http_request *rq, struct str id, struct str event, struct str data, struct err *e)
{
    /* A token fits the stack; what may not, or has several lines, gets memory of its own. */
    char small[KIB(2)];
    struct buf out = BUF_INIT(SIZE_MAX / 4);
    bool lines = str_find_char(data, '\n') >= 0 || str_find_char(data, '\r') >= 0;
    bool fits = !lines && id.n + event.n + data.n + 32 < sizeof small;
    if (fits)
        out = (struct buf){.data = small, .cap = sizeof small, .max = sizeof small};
    if (sse_put(&out, id, event, data) < 0) {
        if (!fits)
            buf_free(&out);
        return err_set(e, ERR_INTERNAL_ERROR, NULL);
    }
    note_sent(rq);
    int result = http_stream_write(rq, buf_str(&out), e);
    if (!fits)
        buf_free(&out);
    return result;
}

int sse_send_blob(struct http_request *rq, struct blob *events, struct err *e)
{
    note_sent(rq);
    return http_stream_blob(rq, events, e);
}

void sse_finish(struct http_request *rq)
{
    stop(http_exchange(rq)->sse);
    http_stream_end(rq);
}

struct str sse_last_id(struct http_request *rq)
{
    struct str id = http_request_header(rq, STR("last-event-id"));
    return id.p ? id : http_request_query(rq, STR("lastEventId"));
}
