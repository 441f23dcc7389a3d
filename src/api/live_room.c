/* A conversation on one loop: the log read once for all sockets there. What needs the store is an errand: the log is
 * not read meanwhile, so that nothing is told out of order. */
#include "api/live_impl.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

#define WORKERS  32  /* errands of one loop at a time: what many conversations ask of the store at once */
#define AGAIN_MS 200 /* before a store in trouble is asked again */

/* ---- coming and going ---- */

static void forget(struct live_room *room)
{
    if (map_get(&room->at->rooms, room->id) == room)
        map_remove(&room->at->rooms, room->id);
}

static void room_free(struct live_room *room)
{
    forget(room);
    room_leave(&room->follower);
    timer_stop(loop_self(), &room->tick);
    live_reply_set(room, STR_NONE);
    free(room->told);
    free((char *)room->id.p);
    free(room);
}

void live_room_unpin(struct live_room *room)
{
    room->pins--; /* the analyzer miscounts: NOLINT(clang-analyzer-unix.Malloc) */
    if (room->pins == 0 && list_empty(&room->members))
        room_free(room);
}

static void on_news(struct room_follower *follower)
{
    live_room_read(container_of(follower, struct live_room, follower));
}

static struct live_room *room_new(struct live_loop *at, struct str id)
{
    struct live_room *room = mem_zalloc(sizeof *room);
    room->at = at;
    room->id = str_n(str_dup(id), id.n);
    room->follower.notify = on_news;
    room->state = LIVE_JOINING;
    room->pins = 1;
    waitlist_init(&room->opened);
    list_init(&room->members);
    list_init(&room->errand);
    map_put(&at->rooms, room->id, room);
    return room;
}

/* Others may wait for it, so it does not end with the first who asked. */
static struct live_room *room_open(struct live_loop *at, struct str id, struct err *e)
{
    struct live_room *room = room_new(at, id);
    struct arena *arena = arena_new("live_room");
    struct room_join join;
    task_shield();
    int result = room_follow(at->api->chat, room->id, &room->follower, NULL, arena, &join, e);
    task_unshield();
    room->state = result < 0 ? LIVE_OVER : LIVE_OPEN;
    if (result == 0) {
        room->epoch = join.now.epoch;
        live_reply_set(room, join.running_id);
    } else {
        forget(room);
    }
    waitlist_wake_all(&room->opened);
    arena_free(arena);
    if (result == 0)
        return room;
    live_room_unpin(room);
    return NULL;
}

struct live_room *live_room_get(struct live_loop *at, struct str id, struct err *e)
{
    for (;;) {
        struct live_room *room = map_get(&at->rooms, id);
        if (!room)
            return room_open(at, id, e);
        int result = 0;
        room->pins++;
        while (result == 0 && room->state == LIVE_JOINING)
            result = waitlist_wait(&room->opened, e);
        if (result == 0 && room->state != LIVE_OVER)
            return room;
        live_room_unpin(room);
        if (result < 0)
            return NULL;
    }
}

void live_room_add(struct live_room *room, struct live_member *member)
{
    member->room = room;
    list_push_back(&room->members, &member->in_room);
}

void live_room_remove(struct live_member *member)
{
    struct live_room *room = member->room;
    if (!room)
        return;
    list_remove(&member->in_room);
    member->room = NULL;
    room->pins++;
    live_room_unpin(room);
}

/* ---- who may be in it ---- */

/* 0: room->space is set, or there is no such conversation; -1: it is somebody's, or cannot be known. */
static int find_space(struct live_room *room, struct err *e)
{
    struct arena *arena = arena_new("live_room");
    struct conversation found;
    struct err why;
    int result = store_conversation_get(chat_store(room->at->api->chat), arena, room->id, &found, &why);
    if (result == 0 && found.owner.n == 0)
        str_copy(room->space, sizeof room->space, found.space);
    else if (result == 0)
        result = err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    else if (why.code == ERR_CONVERSATION_NOT_FOUND)
        result = 0;
    else if (e)
        *e = why;
    arena_free(arena);
    return result;
}

static bool may_be_in(const struct live_room *room, struct sio_socket *s)
{
    const struct live_socket *state = sio_user(s);
    return !room->space[0] || admit_space(room->at->api, state->has_token, str_c(room->space));
}

int live_room_admit(struct live_room *room, struct sio_socket *s, struct err *e)
{
    if (!room->space[0] && find_space(room, e) < 0)
        return -1;
    return may_be_in(room, s) ? 0 : err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
}

/* ---- errands ---- */

static void run_errand(struct live_room *room)
{
    room->run(room);
    live_room_read(room);
    live_room_unpin(room);
}

static void worker_main(void *arg)
{
    struct live_loop *at = arg;
    struct list *first;
    log_request_id = NULL; /* the socket that began it may be gone before */
    while ((first = list_pop_front(&at->errands)))
        run_errand(container_of(first, struct live_room, errand));
    at->workers--;
}

void live_room_errand(struct live_room *room, void (*run)(struct live_room *room))
{
    struct live_loop *at = room->at;
    room->state = LIVE_WAITING;
    room->run = run;
    room->pins++;
    list_push_back(&at->errands, &room->errand);
    if (at->workers == 0 || (at->workers < WORKERS && task_room())) {
        at->workers++;
        task_spawn("live_room", worker_main, at);
    }
}

struct blob *live_load_complete(struct live_loop *at, const struct room_event *event, struct err *e)
{
    struct arena *arena = arena_new("live_room");
    struct chat_scope anonymous = {0};
    struct conversation c;
    struct blob *frame = NULL;
    if (conversation_get(at->api->chat, &anonymous, event->conversation_id, STORE_ALL, arena, &c, e) == 0)
        frame = live_complete_frame(&c, event->message_id, event->finish.n ? event->finish : STR("error"));
    arena_free(arena);
    return frame;
}

/* ---- what the log says ---- */

static void take(struct live_room *room, struct room_event *event);

static void take_held(struct live_room *room)
{
    struct room_event *event = room->held;
    room->held = NULL;
    room->state = LIVE_OPEN;
    take(room, event);
    room_event_unref(event);
}

static void remove_all(struct live_room *room, bool (*stays)(const struct live_room *room, struct sio_socket *s))
{
    list_each_safe(entry, &room->members) {
        struct live_member *member = container_of(entry, struct live_member, in_room);
        if (!stays || !stays(room, member->socket))
            live_leave(member);
    }
}

/* The first event of a conversation that did not exist when it was joined: now it may be anybody's. */
static void check_space(struct live_room *room)
{
    struct err e;
    int result;
    while ((result = find_space(room, &e)) < 0 && e.code != ERR_CONVERSATION_NOT_FOUND && !list_empty(&room->members))
        task_sleep(AGAIN_MS, NULL);
    remove_all(room, result < 0 ? NULL : may_be_in);
    take_held(room);
}

static void hold(struct live_room *room, struct room_event *event, void (*run)(struct live_room *room))
{
    room->held = room_event_ref(event);
    live_room_errand(room, run);
}

/* To all who do not know it yet and are not its cause. */
static void relay(struct live_room *room, struct room_event *event, bool is_volatile)
{
    struct blob *frame = room_event_encoded(event, ROOM_AS_SOCKETIO, live_event_frame);
    list_each(entry, &room->members) {
        struct live_member *member = container_of(entry, struct live_member, in_room);
        if (!live_member_wants(member, event))
            continue;
        if (is_volatile)
            sio_emit_frame(member->socket, frame, true);
        else
            live_send(member, frame);
    }
}

static void end_deleted(struct live_room *room, struct room_event *event)
{
    relay(room, event, false);
    remove_all(room, NULL);
    room->state = LIVE_OVER;
    forget(room);
}

static void take(struct live_room *room, struct room_event *event)
{
    switch (event->type) {
    case ROOM_MESSAGE:
    case ROOM_READ:
        relay(room, event, false);
        break;
    case ROOM_TYPING:
        relay(room, event, true);
        break;
    case ROOM_REPLY_STARTED:
        live_reply_start(room, event);
        break;
    case ROOM_DELTA:
        live_reply_grow(room, event);
        break;
    case ROOM_REPLY_FINISHED:
    case ROOM_REPLY_FAILED:
        live_reply_end(room, event);
        break;
    case ROOM_DELETED:
        end_deleted(room, event);
        break;
    case ROOM_PRIORITY: /* customer care's own sockets hear of it elsewhere */
    case ROOM_NOTICE:
    case ROOM_EVENT_TYPES:
        break;
    }
}

/* ---- after a lag ---- */

static void tell_snapshot(struct live_room *room, struct conversation *c)
{
    struct str message_id = room->reply.id.p ? room->reply.id : STR("");
    for (size_t i = c->nmessages; i-- > 0 && !message_id.n;)
        if (str_eqc(c->messages[i].role, "assistant") && c->messages[i].status != MESSAGE_STREAMING)
            message_id = c->messages[i].id;
    struct blob *frame = live_complete_frame(c, message_id, STR("resynced"));
    list_each(entry, &room->members) {
        struct live_member *member = container_of(entry, struct live_member, in_room);
        live_reply_over(member, frame);
        member->resynced = true;
    }
    blob_unref(frame);
    free(room->told);
    room->told = snapshot_told_new(c);
}

/* What the log has now, and the conversation to go with it. */
static int load_snapshot(struct live_room *room, struct room_join *join, struct arena *arena, struct conversation *c,
                         struct err *e)
{
    struct chat_scope anonymous = {0};
    struct str id = STR_NONE, text = room_running(&room->follower, &id);
    room_skip(&room->follower);
    *join = (struct room_join){.running_id = text.p ? arena_str(arena, id) : STR_NONE,
                               .running_text = text.p ? arena_str(arena, text) : STR_NONE};
    return snapshot_load(room->at->api->chat, &anonymous, room->id, join, arena, c, e);
}

static void tell_anew(struct live_room *room, const struct room_join *join, struct conversation *c)
{
    tell_snapshot(room, c);
    live_reply_set(room, join->running_id);
    list_each(entry, &room->members)
        live_reply_tell(container_of(entry, struct live_member, in_room));
}

static void tell_gone(struct live_room *room)
{
    struct blob *frame = live_deleted_frame(room->id);
    list_each(entry, &room->members)
        live_send(container_of(entry, struct live_member, in_room), frame);
    blob_unref(frame);
    remove_all(room, NULL);
    forget(room);
}

/* While an errand waited, the log went on without us: the conversation is told anew. */
static void resync(struct live_room *room)
{
    struct err e;
    int result = -1;
    bool gone = false;
    while (result < 0 && !gone && !list_empty(&room->members)) {
        struct arena *arena = arena_new("live_room");
        struct room_join join;
        struct conversation c;
        result = load_snapshot(room, &join, arena, &c, &e);
        gone = result < 0 && e.code == ERR_CONVERSATION_NOT_FOUND;
        if (result == 0)
            tell_anew(room, &join, &c);
        else if (gone)
            tell_gone(room);
        else
            task_sleep(AGAIN_MS, NULL);
        arena_free(arena);
    }
    if (result < 0) { /* there is nobody to tell */
        struct str id = STR_NONE;
        room_running(&room->follower, &id);
        live_reply_set(room, id);
        room_skip(&room->follower);
    }
    room->state = gone ? LIVE_OVER : LIVE_OPEN;
}

static void read_on(struct live_room *room)
{
    struct room_event *event;
    while (room->state == LIVE_OPEN && (event = room_next(&room->follower))) {
        if (room->space[0])
            take(room, event);
        else
            hold(room, event, check_space);
    }
    if (room->state != LIVE_OPEN)
        return;
    if (room->follower.lagged)
        live_room_errand(room, resync);
    else
        live_reply_due(room);
}

void live_room_read(struct live_room *room)
{
    room->again = true;
    if (room->reading)
        return;
    room->reading = true;
    room->pins++;
    while (room->again) {
        room->again = false;
        read_on(room);
    }
    room->reading = false;
    live_room_unpin(room);
}
