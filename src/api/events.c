/* GET /api/conversations/:id/events: a conversation's log as server-sent events, resumable with Last-Event-ID; and
 * cancelling its running turn. */
#include "api/api_impl.h"
#include "api/private.h"
#include "api/snapshot.h"
#include "api/socket.h"
#include "base/limits.h"
#include "server/sse.h"
#include "wire/sse.h"

struct follower_task {
    struct room_follower follower;
    struct task *task;
    struct http_request *rq;
    struct str id;
    struct snapshot *snapshot; /* sent last; NULL: the log was replayed from the client's place */
};

static void on_news(struct room_follower *follower)
{
    task_wake(container_of(follower, struct follower_task, follower)->task);
}

static struct blob *event_as_sse(const struct room_event *event)
{
    char id[ROOM_CURSOR_MAX];
    struct buf data = BUF_INIT(LIMIT_REPLY_TEXT * 8), out = BUF_INIT(LIMIT_REPLY_TEXT * 8 + KIB(1));
    struct jw w = jw_begin(&data);
    room_cursor_print(id, (struct room_cursor){event->epoch, event->offset});
    jw_obj(&w);
    put_event(&w, event);
    jw_end_obj(&w);
    sse_put(&out, str_c(id), str_c(event_name(event)), buf_str(&data));
    struct blob *blob = blob_new(buf_str(&out));
    buf_free(&data);
    buf_free(&out);
    return blob;
}

/* The log of any anonymous conversation whose dialect the client may come to. */
static const struct chat_scope scope = {0};

/* 0, or -1 after answering. */
static int find(struct http_request *rq)
{
    struct conversation found;
    struct err e;
    if (private_refused(rq, rq->params[0]))
        return -1;
    struct api *api = api_of(rq);
    if (conversation_get(api->chat, &scope, rq->params[0], 0, rq->arena, &found, &e) == 0) {
        if (admit_space(api, admit_has_token(rq), found.space))
            return 0;
        err_set(&e, ERR_CONVERSATION_NOT_FOUND, NULL);
    }
    http_reply_error(rq, &e);
    return -1;
}

static int send_reset(struct follower_task *l, const struct room_join *join, struct err *e)
{
    struct http_request *rq = l->rq;
    char id[ROOM_CURSOR_MAX];
    if (!l->snapshot)
        l->snapshot = arena_zalloc(rq->arena, sizeof *l->snapshot);
    if (snapshot_load(api_of(rq)->chat, &scope, l->id, join, rq->arena, l->snapshot, e) < 0)
        return -1;
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&out);
    jw_obj(&w);
    jw_key(&w, "conversation");
    put_conversation(&w, &l->snapshot->conversation);
    put_running(&w, join);
    jw_end_obj(&w);
    room_cursor_print(id, join->now);
    int result = sse_send(rq, str_c(id), STR("reset"), buf_str(&out), e);
    buf_free(&out);
    return result;
}

/* A reader too slow for the log starts anew from the store. */
static int catch_up(struct follower_task *l, struct err *e)
{
    struct room_join join;
    room_leave(&l->follower);
    if (room_follow(api_of(l->rq)->chat, l->id, &l->follower, NULL, l->rq->arena, &join, e) < 0)
        return -1;
    return send_reset(l, &join, e);
}

/* The log has no end, so the stream gets one when the server shuts down; a reply being written is told to its end. */
static bool is_last_call(const struct follower_task *l)
{
    struct str running;
    return http_draining(l->rq) && !l->follower.lagged && !room_running(&l->follower, &running).p;
}

static int forward(struct follower_task *l, struct err *e)
{
    for (;;) {
        struct room_event *event;
        while ((event = room_next(&l->follower))) {
            if (l->snapshot && snapshot_has(l->snapshot, event))
                continue;
            bool last = event->type == ROOM_DELETED;
            if (sse_send_blob(l->rq, room_event_encoded(event, ROOM_AS_SSE, event_as_sse), e) < 0)
                return -1;
            if (last)
                return 0;
        }
        if (is_last_call(l))
            return 0;
        if (l->follower.lagged ? catch_up(l, e) < 0 : task_park(e) < 0)
            return -1;
    }
}

static int follow_log(struct follower_task *l, struct err *e)
{
    struct room_cursor cursor;
    struct room_join join;
    bool resumes = room_cursor_parse(sse_last_id(l->rq), &cursor) == 0;
    if (room_follow(api_of(l->rq)->chat, l->id, &l->follower, resumes ? &cursor : NULL, l->rq->arena, &join, e) < 0)
        return -1;
    if (!join.replayed && send_reset(l, &join, e) < 0)
        return -1;
    return forward(l, e);
}

static void get_events(struct http_request *rq)
{
    struct err e;
    if (find(rq) < 0)
        return;
    sse_begin(rq);
    struct follower_task l = {.follower.notify = on_news, .task = task_self(), .rq = rq, .id = rq->params[0]};
    follow_log(&l, &e);
    room_leave(&l.follower);
    sse_finish(rq);
}

static void post_cancel(struct http_request *rq)
{
    struct err e;
    if (find(rq) < 0)
        return;
    int cancelled = turn_cancel(api_of(rq)->chat, rq->params[0], &e);
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    jw_kbool(&w, "cancelled", cancelled == 1);
    jw_kstr(&w, "conversationId", rq->params[0]);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/api/conversations/:id/events", get_events, NULL, 0, "chat",
     "The conversation's log as server-sent events; resumes behind Last-Event-ID"},
    {HTTP_POST, "/api/conversations/:id/cancel", post_cancel, NULL, 0, "chat",
     "Cancels the running turn; what was said so far is kept"},
};

const struct door door_events = {routes, COUNT(routes)};
