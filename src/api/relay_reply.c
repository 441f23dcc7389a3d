#include "api/relay_reply.h"

#include "server/sse.h"

static int send_data(struct http_request *rq, struct str data, struct err *e)
{
    return sse_send(rq, STR(""), STR(""), data, e);
}

static void send_failure(struct http_request *rq, struct str said, const struct relay_door *door, const struct err *e)
{
    struct jw w = reply_writer(rq, KIB(8));
    if (!said.n)
        door->put_failure(&w, e);
    send_data(rq, said.n ? said : buf_str(w.out), NULL);
    sse_finish(rq);
}

void relay_reply_failure(struct http_request *rq, struct str said, const struct relay_door *door, const struct err *e)
{
    sse_begin(rq);
    send_failure(rq, said, door, e);
}

static void stream(struct http_request *rq, struct relay *relay, const struct relay_door *door)
{
    struct str raw;
    struct err e;
    int more;
    sse_begin(rq);
    while ((more = relay_next(relay, &raw, &e)) == 1)
        if (send_data(rq, raw, &e) < 0)
            return;
    if (more < 0) {
        send_failure(rq, raw, door, &e);
    } else if (send_data(rq, STR("[DONE]"), &e) == 0) {
        sse_finish(rq);
    }
}

static void whole(struct http_request *rq, struct relay *relay, const struct relay_door *door)
{
    struct str raw;
    struct err e;
    int more = relay_next(relay, &raw, &e);
    if (more == 1) {
        http_reply_json(rq, 200, raw);
        return;
    }
    if (more == 0)
        err_set(&e, ERR_UPSTREAM, NULL);
    door->refuse(rq, more < 0 ? raw : STR_NONE, &e);
}

void relay_reply(struct http_request *rq, const struct relay_request *request, const struct relay_door *door)
{
    struct str refusal = STR_NONE;
    struct err e;
    http_needs_client(rq); /* when it leaves, the upstream call ends at once */
    struct relay *relay = relay_open(api_of(rq)->chat, request, rq->arena, &refusal, &e);
    if (!relay) {
        door->refuse(rq, refusal, &e);
        return;
    }
    (request->stream ? stream : whole)(rq, relay, door);
    relay_close(relay);
}
