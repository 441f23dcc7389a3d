/* {"type":"resume"} on the raw sockets: what was missed, then every event of the conversation. */
#include "api/snapshot.h"
#include "api/socket.h"

static bool push_events(struct socket_follower *f)
{
    struct room_event *event;
    while (websocket_queued(f->ws) < CONN_HIGH_MARK && (event = room_next(&f->room))) {
        if (!snapshot_has(f->extra, event))
            websocket_send_frame(f->ws, room_event_encoded(event, ROOM_AS_SOCKET, event_as_frame));
        if (event->type == ROOM_DELETED)
            return false;
    }
    if (!f->room.lagged)
        return true;
    websocket_close(f->ws, WS_TRY_LATER, STR("Slow consumer"));
    return false;
}

static struct jw begin(struct buf *out, const char *type, struct str id, struct room_cursor cursor)
{
    char text[ROOM_CURSOR_MAX];
    buf_init(out, SIZE_MAX / 2);
    struct jw w = jw_begin(out);
    room_cursor_print(text, cursor);
    jw_obj(&w);
    jw_kstr(&w, "type", str_c(type));
    jw_kstr(&w, "conversationId", id);
    jw_kstr(&w, "lastEventId", str_c(text));
    return w;
}

static void send_resumed(struct websocket *ws, struct str id, const struct room_join *join)
{
    struct buf out;
    struct jw w = begin(&out, "resumed", id, join->now);
    jw_kint(&w, "replayed", (int64_t)join->missed);
    jw_end_obj(&w);
    socket_send_jw(ws, &w);
}

static void send_reset(struct websocket *ws, const struct conversation *c, const struct room_join *join)
{
    struct buf out;
    struct jw w = begin(&out, "reset", c->id, join->now);
    jw_key(&w, "messages");
    jw_arr(&w);
    for (size_t i = 0; i < c->nmessages; i++)
        put_message(&w, &c->messages[i]);
    jw_end_arr(&w);
    put_running(&w, join);
    jw_end_obj(&w);
    socket_send_jw(ws, &w);
}

static void stop_following(struct websocket *ws, struct str id)
{
    struct socket_state *state = websocket_user(ws);
    list_each_safe(entry, &state->followers) {
        struct socket_follower *f = container_of(entry, struct socket_follower, link);
        if (f->push == push_events && str_eq(f->scoped_id, id))
            socket_unfollow(f);
    }
}

static const struct chat_scope anonymous = {0};

static int find(struct socket_message *m, struct str id, struct err *e)
{
    const struct socket_state *state = websocket_user(m->ws);
    struct api *api = socket_api(m->ws);
    struct conversation found;
    if (conversation_get(api->chat, &anonymous, id, 0, m->arena, &found, e) < 0)
        return -1;
    return admit_space(api, state->has_token, found.space) ? 0 : err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
}

static int answer(struct socket_message *m, struct socket_follower *f, const struct room_join *join, struct err *e)
{
    struct conversation c;
    if (join->replayed) {
        send_resumed(m->ws, f->scoped_id, join);
        return 0;
    }
    if (snapshot_load(socket_api(m->ws)->chat, &anonymous, f->scoped_id, join, m->arena, &c, e) < 0)
        return -1;
    f->extra = snapshot_told_new(&c);
    send_reset(m->ws, &c, join);
    return 0;
}

/* 0, or -1 with why not. */
static int follow(struct socket_message *m, struct str id, const struct room_cursor *from, struct err *e)
{
    struct room_join join;
    struct socket_follower *f = socket_follow(m->ws, id, from, m->arena, &join, e);
    if (!f)
        return -1;
    if (answer(m, f, &join, e) < 0) {
        socket_unfollow(f);
        return -1;
    }
    socket_follow_start(f, push_events);
    return 0;
}

void socket_resume(struct socket_message *m, struct str conversation_id, struct str last_id)
{
    struct room_cursor cursor;
    struct err e;
    bool has_cursor = room_cursor_parse(last_id, &cursor) == 0;
    if (find(m, conversation_id, &e) < 0) {
        socket_fail(m->ws, &e);
        return;
    }
    stop_following(m->ws, conversation_id);
    if (follow(m, conversation_id, has_cursor ? &cursor : NULL, &e) < 0)
        socket_fail(m->ws, &e);
}
