#include "api/snapshot.h"

/* The reply under way is shown as it was when the room was joined: its events from there on follow. */
static void rewind_running(struct conversation *c, const struct room_join *join, struct arena *arena)
{
    struct message *copy = arena_alloc(arena, (c->nmessages + 1) * sizeof *copy);
    for (size_t i = 0; i < c->nmessages; i++) {
        copy[i] = c->messages[i];
        if (str_eq(copy[i].id, join->running_id)) {
            copy[i].content = join->running_text;
            copy[i].status = MESSAGE_STREAMING;
        }
    }
    c->messages = copy;
}

int snapshot_load(struct chat *chat, const struct chat_scope *scope, struct str id, const struct room_join *join,
                  struct arena *arena, struct snapshot *out, struct err *e)
{
    struct conversation *c = &out->conversation;
    if (conversation_get(chat, scope, id, STORE_ALL, arena, c, e) < 0)
        return -1;
    if (join->running_id.p)
        rewind_running(c, join, arena);
    out->join = *join;
    out->nrecent = MIN(c->nmessages, (size_t)SNAPSHOT_RECENT);
    out->recent = c->messages + (c->nmessages - out->nrecent);
    return 0;
}

bool snapshot_has(const struct snapshot *s, const struct room_event *event)
{
    if (event->type != ROOM_MESSAGE)
        return false;
    for (size_t i = s->nrecent; i-- > 0;)
        if (str_eq(s->recent[i].id, event->message_id))
            return true;
    return false;
}

void put_running(struct jw *w, const struct room_join *join)
{
    if (!join->running_id.p)
        return;
    jw_key(w, "running");
    jw_obj(w);
    jw_kstr(w, "messageId", join->running_id);
    jw_kstr(w, "text", join->running_text);
    jw_end_obj(w);
}
