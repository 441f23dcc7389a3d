#include "api/snapshot.h"

#include "base/map.h"
#include "base/mem.h"

/* The store may know more than the log told up to the join. A reply under way is shown as it was then, one that began
 * later as empty: their events from there on follow. */
static void rewind_replies(struct conversation *c, const struct room_join *join, struct arena *arena)
{
    struct message *copy = arena_alloc(arena, (c->nmessages + 1) * sizeof *copy);
    for (size_t i = 0; i < c->nmessages; i++) {
        copy[i] = c->messages[i];
        bool running = join->running_id.p && str_eq(copy[i].id, join->running_id);
        if (running || copy[i].status == MESSAGE_STREAMING) {
            copy[i].content = running ? join->running_text : STR("");
            copy[i].status = MESSAGE_STREAMING;
        }
    }
    c->messages = copy;
}

int snapshot_load(struct chat *chat, const struct chat_scope *scope, struct str id, const struct room_join *join,
                  struct arena *arena, struct conversation *out, struct err *e)
{
    if (conversation_get(chat, scope, id, STORE_ALL, arena, out, e) < 0)
        return -1;
    rewind_replies(out, join, arena);
    return 0;
}

struct snapshot_told *snapshot_told_new(const struct conversation *snapshot)
{
    size_t n = MIN(snapshot->nmessages, (size_t)SNAPSHOT_RECENT);
    const struct message *recent = snapshot->messages + (snapshot->nmessages - n);
    struct snapshot_told *told = mem_alloc(sizeof *told + n * sizeof told->marks[0]);
    told->n = n;
    for (size_t i = 0; i < n; i++)
        told->marks[i] = (map_hash(recent[i].id) & ~UINT64_C(1)) | (recent[i].status != MESSAGE_STREAMING);
    return told;
}

bool snapshot_has(const struct snapshot_told *told, const struct room_event *event)
{
    bool reply = event->type == ROOM_REPLY_STARTED || event->type == ROOM_DELTA || event->type == ROOM_REPLY_FINISHED ||
                 event->type == ROOM_REPLY_FAILED;
    if (!told || (!reply && event->type != ROOM_MESSAGE))
        return false;
    uint64_t ended = map_hash(event->message_id) | 1;
    for (size_t i = told->n; i-- > 0;)
        if ((told->marks[i] | 1) == ended)
            return !reply || (told->marks[i] & 1);
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
