/* GET /api/conversations/:id/events: a conversation's log as server-sent events, resumable with Last-Event-ID; and
 * cancelling its running turn. */
#include "api/care_impl.h"
#include "api/private.h"
#include "api/snapshot.h"
#include "api/socket.h"
#include "auth/token.h"
#include "base/limits.h"
#include "server/sse.h"
#include "wire/sse.h"

#include <stdlib.h>

struct event_stream {
    struct room_follower follower;
    struct task *task;
    struct http_request *rq;
    struct str id;
    struct chat_scope scope;    /* whose conversation it is */
    struct snapshot_told *told; /* by the last reset; NULL: the log was replayed from the client's place */
};

static void on_news(struct room_follower *follower)
{
    task_wake(container_of(follower, struct event_stream, follower)->task);
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

/* ---- whose log it is ---- */

static int find_private(struct http_request *rq, struct chat_scope *scope)
{
    struct conversation found;
    struct user user;
    struct err e;
    if (care_enter(rq, &user) < 0)
        return -1;
    *scope = (struct chat_scope){.space = CARE_SPACE, .owner = user.id};
    if (conversation_get(api_of(rq)->chat, scope, rq->params[0], 0, rq->arena, &found, &e) == 0)
        return 0;
    http_reply_error(rq, &e);
    return -1;
}

/* A user's own conversation, or any anonymous one whose dialect the client may come to. 0, or -1 after answering. */
static int find(struct http_request *rq, struct chat_scope *scope)
{
    struct conversation found;
    struct err e;
    if (private_is(rq, rq->params[0]))
        return find_private(rq, scope);
    struct api *api = api_of(rq);
    *scope = (struct chat_scope){0};
    if (conversation_get(api->chat, scope, rq->params[0], 0, rq->arena, &found, &e) == 0) {
        if (admit_space(api, admit_has_token(rq), found.space))
            return 0;
        err_set(&e, ERR_CONVERSATION_NOT_FOUND, NULL);
    }
    http_reply_error(rq, &e);
    return -1;
}

/* ---- the stream ---- */

static struct chat *chat_of(const struct event_stream *s)
{
    return api_of(s->rq)->chat;
}

static void begin(struct event_stream *s)
{
    if (!http_replied(s->rq))
        sse_begin(s->rq);
}

static bool is_private(const struct event_stream *s)
{
    return s->scope.owner.n > 0;
}

/* The conversation as its dialect has it; the messages are the snapshot's. */
static int put_snapshot(struct event_stream *s, struct jw *w, const struct conversation *snapshot, struct arena *arena,
                        struct err *e)
{
    struct care_view view;
    if (!is_private(s)) {
        put_conversation(w, snapshot);
        return 0;
    }
    if (care_get(api_of(s->rq)->care, s->scope.owner, s->id, 0, false, arena, &view, e) < 0)
        return -1;
    view.conversation.messages = snapshot->messages;
    view.conversation.nmessages = snapshot->nmessages;
    put_care_conversation(w, &view, false, arena);
    return 0;
}

static int send_reset(struct event_stream *s, const struct room_join *join, struct arena *arena, struct err *e)
{
    char id[ROOM_CURSOR_MAX];
    struct conversation conversation;
    if (snapshot_load(chat_of(s), &s->scope, s->id, join, arena, &conversation, e) < 0)
        return -1;
    free(s->told);
    s->told = snapshot_told_new(&conversation);
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&out);
    jw_obj(&w);
    jw_key(&w, "conversation");
    int result = put_snapshot(s, &w, &conversation, arena, e);
    put_running(&w, join);
    jw_end_obj(&w);
    room_cursor_print(id, join->now);
    if (result == 0) {
        begin(s);
        result = sse_send(s->rq, str_c(id), STR("reset"), buf_str(&out), e);
    }
    buf_free(&out);
    return result;
}

/* Follows from the cursor, or with a reset when there is none or the log does not reach back to it. */
static int join_room(struct event_stream *s, const struct room_cursor *from, struct err *e)
{
    struct arena *arena = arena_new("event_stream"); /* not the request's: a slow reader joins again and again */
    struct room_join join;
    int result = room_follow(chat_of(s), s->id, &s->follower, from, arena, &join, e);
    if (result == 0 && !join.replayed)
        result = send_reset(s, &join, arena, e);
    else if (result == 0)
        begin(s);
    arena_free(arena);
    return result;
}

/* A reader too slow for the log starts anew from the store. */
static int catch_up(struct event_stream *s, struct err *e)
{
    room_leave(&s->follower);
    return join_room(s, NULL, e);
}

/* 1 when the stream is over, 0 when there is nothing more for now. */
static int send_news(struct event_stream *s, struct err *e)
{
    struct room_event *event;
    while ((event = room_next(&s->follower))) {
        if (snapshot_has(s->told, event))
            continue;
        bool last = event->type == ROOM_DELETED;
        if (sse_send_blob(s->rq, room_event_encoded(event, ROOM_AS_SSE, event_as_sse), e) < 0)
            return -1;
        if (last)
            return 1;
    }
    return 0;
}

/* The log has no end, so the stream gets one when the server shuts down; a reply being written is told to its end. */
static bool is_last_call(const struct event_stream *s)
{
    struct str running;
    return http_draining(s->rq) && !s->follower.lagged && !room_running(&s->follower, &running).p;
}

/* A private log is told for as long as the token is good that was shown: after a change of the password, no longer. */
static bool may_follow(const struct event_stream *s)
{
    return !is_private(s) ||
           care_is_token(api_of(s->rq), bearer_token(http_request_header(s->rq, STR("authorization"))));
}

/* 0 at the orderly end. */
static int follow_log(struct event_stream *s, struct err *e)
{
    struct room_cursor cursor;
    bool resumes = room_cursor_parse(sse_last_id(s->rq), &cursor) == 0;
    int over = join_room(s, resumes ? &cursor : NULL, e);
    while (over == 0) {
        over = may_follow(s) ? send_news(s, e) : 1;
        if (over == 0 && is_last_call(s))
            over = 1;
        else if (over == 0)
            over = s->follower.lagged ? catch_up(s, e) : task_park(e);
    }
    return over < 0 ? -1 : 0;
}

static void send_deleted(struct event_stream *s)
{
    struct buf data = BUF_INIT(KIB(4));
    struct jw w = jw_begin(&data);
    jw_obj(&w);
    jw_kstr(&w, "conversationId", s->id);
    jw_end_obj(&w);
    sse_send(s->rq, STR(""), STR("deleted"), buf_str(&data), NULL);
    buf_free(&data);
}

/* Before the stream began, an error is the reply. Later a stream that cannot go on is cut, so that the client comes
 * again with its place in the log; but there is nothing to come back to when the conversation is gone. */
static void end_stream(struct event_stream *s, const struct err *e)
{
    if (!http_replied(s->rq)) {
        http_reply_error(s->rq, e);
    } else if (e->code == ERR_CONVERSATION_NOT_FOUND) {
        send_deleted(s);
        sse_finish(s->rq);
    }
}

static void serve_stream(struct http_request *rq, const struct chat_scope *scope)
{
    struct event_stream s = {
        .follower.notify = on_news, .task = task_self(), .rq = rq, .id = rq->params[0], .scope = *scope};
    struct err e;
    if (follow_log(&s, &e) == 0)
        sse_finish(rq);
    else
        end_stream(&s, &e);
    room_leave(&s.follower);
    free(s.told);
}

static void get_events(struct http_request *rq)
{
    struct chat_scope scope;
    if (find(rq, &scope) < 0)
        return;
    if (rq->method == HTTP_HEAD) {
        sse_begin(rq);
        sse_finish(rq);
    } else {
        serve_stream(rq, &scope);
    }
}

static void post_cancel(struct http_request *rq)
{
    struct chat_scope scope;
    struct err e;
    if (find(rq, &scope) < 0)
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

const struct door door_events = {routes, COUNT(routes), NULL};
