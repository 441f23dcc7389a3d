/* A socket's conversations: joining and leaving, and moving with the socket to another loop. */
#include "api/live_impl.h"

#include "base/mem.h"

#include <stdlib.h>

struct live_loop *live_here(const struct sio_socket *s)
{
    struct api *api = sio_owner(s);
    return &api->rooms[loop_index(loop_self())];
}

const void *live_origin(const struct sio_socket *s)
{
    return (const void *)(uintptr_t)sio_serial_number(s);
}

struct live_member *live_member_find(struct sio_socket *s, struct str id)
{
    const struct live_socket *state = sio_user(s);
    list_each(entry, &state->members) {
        struct live_member *member = container_of(entry, struct live_member, in_socket);
        if (str_eq(member->id, id))
            return member;
    }
    return NULL;
}

static bool is_own(const struct live_member *member, const struct room_event *event)
{
    bool somebodys = event->type == ROOM_MESSAGE || event->type == ROOM_TYPING || event->type == ROOM_READ;
    return somebodys && event->origin == live_origin(member->socket);
}

bool live_member_wants(const struct live_member *member, const struct room_event *event)
{
    if (event->offset <= member->skip || is_own(member, event))
        return false;
    return !member->resynced || !snapshot_has(member->room->told, event);
}

void live_send(struct live_member *member, struct blob *frame)
{
    struct live_socket *state = sio_user(member->socket);
    if (sio_emit_frame(member->socket, frame, false) < 0)
        state->lost_some = true;
}

static struct live_member *member_new(struct sio_socket *s, struct str id)
{
    struct live_member *member = mem_zalloc(sizeof *member);
    member->socket = s;
    member->id = str_n(str_dup(id), id.n);
    list_init(&member->in_room);
    list_init(&member->in_socket);
    return member;
}

/* Of no socket's list any more. */
static void member_free(struct live_member *member)
{
    live_room_remove(member);
    free((char *)member->id.p);
    free(member);
}

void live_leave(struct live_member *member)
{
    struct live_socket *state = sio_user(member->socket);
    list_remove(&member->in_socket);
    state->n--;
    member_free(member);
}

/* ---- joining ---- */

/* Room for one more: a conversation that was joined by talking in it alone gives way to a new one. */
static int make_place(struct sio_socket *s, const struct live_join *join, struct err *e)
{
    const struct live_socket *state = sio_user(s);
    if (state->n < LIVE_CONVERSATIONS)
        return 0;
    list_each(entry, &state->members) {
        struct live_member *member = container_of(entry, struct live_member, in_socket);
        if (!join->implicit || !member->implicit || member->reply)
            continue;
        live_leave(member);
        return 0;
    }
    return err_set(e, ERR_INVALID_REQUEST, "Leave a conversation first: a client is in at most %d", LIVE_CONVERSATIONS);
}

/* The room, pinned, once it is clear that the socket may be in it. */
static struct live_room *enter(struct sio_socket *s, struct str id, struct err *e)
{
    for (;;) {
        struct live_room *room = live_room_get(live_here(s), id, e);
        if (!room)
            return NULL;
        int result = live_room_admit(room, s, e);
        if (result == 0 && room->state != LIVE_OVER)
            return room;
        live_room_unpin(room);
        if (result < 0)
            return NULL;
    }
}

static void set_wishes(struct live_member *member, const struct live_join *join)
{
    member->implicit &= join->implicit;
    if (join->text != LIVE_AS_BEFORE)
        member->delta = join->text == LIVE_DELTA;
}

int live_join(struct sio_socket *s, const struct live_join *join, struct err *e)
{
    struct live_socket *state = sio_user(s);
    struct live_member *member = live_member_find(s, join->id);
    if (member) {
        set_wishes(member, join);
        return 0;
    }
    struct live_room *room = enter(s, join->id, e);
    if (!room)
        return -1;
    int result = state->over ? err_set(e, ERR_CANCELLED, NULL) : make_place(s, join, e);
    if (result == 0) {
        member = member_new(s, join->id);
        member->implicit = true;
        set_wishes(member, join);
        list_push_back(&state->members, &member->in_socket);
        state->n++;
        live_room_add(room, member);
        live_reply_tell(member);
    }
    live_room_unpin(room);
    return result < 0 ? -1 : 1;
}

void live_closed(struct sio_socket *s, const char *reason)
{
    (void)reason;
    struct live_socket *state = sio_user(s);
    struct list *entry;
    state->over = true;
    while (state->members.next && (entry = list_pop_front(&state->members)))
        member_free(container_of(entry, struct live_member, in_socket));
    state->n = 0;
}

/* ---- moving with a recovered socket ---- */

bool live_can_recover(struct sio_socket *s)
{
    const struct live_socket *state = sio_user(s);
    return !state->lost_some;
}

/* The place in the log up to which the member was told everything. */
static struct room_cursor place_of(const struct live_member *member)
{
    const struct live_room *room = member->room;
    bool resyncing = room->state == LIVE_WAITING && !room->held;
    if (resyncing || member->resynced)
        return (struct room_cursor){0};
    uint64_t read = room->follower.next - 1 - (room->held != NULL);
    return (struct room_cursor){room->epoch, MAX(read, member->skip)};
}

void live_depart(struct sio_socket *s)
{
    const struct live_socket *state = sio_user(s);
    list_each(entry, &state->members) {
        struct live_member *member = container_of(entry, struct live_member, in_socket);
        member->from = place_of(member);
        live_room_remove(member);
    }
}

/* One event that this loop's room has behind it already. 1: it ends the membership. May wait. */
static int replay(struct live_member *member, struct room_event *event, struct err *e)
{
    bool ends = event->type == ROOM_REPLY_FINISHED || event->type == ROOM_REPLY_FAILED;
    if (event->type == ROOM_DELTA || event->type == ROOM_TYPING || event->type == ROOM_NOTICE ||
        event->type == ROOM_PRIORITY || is_own(member, event))
        return 0;
    if (!ends) {
        live_send(member, room_event_encoded(event, ROOM_AS_SOCKETIO, live_event_frame));
        if (event->type == ROOM_REPLY_STARTED)
            live_reply_told(member, event->message_id);
        return event->type == ROOM_DELETED;
    }
    if (member->reply != map_hash(event->message_id))
        return 0;
    if (!member->ended)
        live_reply_last_chunk(member, event);
    struct blob *frame = live_load_complete(live_here(member->socket), event, e);
    if (!frame)
        return -1;
    live_reply_over(member, frame);
    blob_unref(frame);
    return 0;
}

static void ignore(struct room_follower *follower)
{
    (void)follower;
}

/* What lies between the member's place and the room's. 0; 1: the conversation was deleted; -1: it cannot be told. */
static int replay_all(struct live_member *member, const struct live_room *room, struct err *e)
{
    struct room_follower tail = {.notify = ignore};
    struct room_join join;
    struct arena *arena = arena_new("live_replay");
    int result = room_follow(room->at->api->chat, room->id, &tail, &member->from, arena, &join, e);
    if (result == 0 && !join.replayed)
        result = err_set(e, ERR_CONFLICT, "The log does not reach back");
    while (result == 0 && tail.next < room->follower.next) {
        struct room_event *event = room_next(&tail);
        if (!event) {
            result = err_set(e, ERR_CONFLICT, "The log went on without us");
            break;
        }
        room_event_ref(event);
        result = replay(member, event, e);
        room_event_unref(event);
    }
    room_leave(&tail);
    arena_free(arena);
    return result;
}

static int arrive(struct live_member *member, struct err *e)
{
    struct live_room *room = enter(member->socket, member->id, e);
    if (!room)
        return -1;
    int result = 0;
    if (member->from.epoch != room->epoch)
        result = err_set(e, ERR_CONFLICT, "The log is another one");
    else if (member->from.offset + 1 < room->follower.next)
        result = replay_all(member, room, e);
    if (result == 0) { /* nothing waited since the two places were compared */
        member->skip = MAX(member->from.offset, room->follower.next - 1);
        live_room_add(room, member);
    }
    live_room_unpin(room);
    return result;
}

int live_arrive(struct sio_socket *s, struct err *e)
{
    struct live_socket *state = sio_user(s);
    struct list waiting, *entry;
    int result = 0;
    list_init(&waiting);
    list_splice(&waiting, &state->members);
    while ((entry = list_pop_front(&waiting))) {
        struct live_member *member = container_of(entry, struct live_member, in_socket);
        int one = result < 0 ? result : arrive(member, e);
        if (one < 0)
            result = -1;
        if (one == 0 && !state->over) {
            list_push_back(&state->members, &member->in_socket);
            continue;
        }
        member_free(member);
        state->n -= !state->over;
    }
    return state->over ? err_set(e, ERR_CANCELLED, NULL) : result;
}
