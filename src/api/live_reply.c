/* A reply while it is written. A chunk carries all of its text so far (or, for members that asked, what is new since
 * their last one), so one at most every CHUNK_MS is enough, and a member that does not keep up, or is lost, can do
 * without all but the next. */
#include "api/live_impl.h"

#include "base/mem.h"

#include <stdlib.h>

#define CHUNK_MS    10
#define CHUNK_BYTES KIB(1) /* of text lengthen the pause by a millisecond: at most a MiB a second for each client */

void live_reply_set(struct live_room *room, struct str id)
{
    free((char *)room->reply.id.p);
    blob_unref(room->reply.chunk);
    memset(&room->reply, 0, sizeof room->reply);
    timer_stop(loop_self(), &room->tick);
    if (!id.p)
        return;
    room->reply.id = str_n(str_dup(id), id.n);
    room->reply.mark = map_hash(id);
}

/* The running reply's text, STR_NONE when the log is ahead of us and has another one, or none. */
static struct str running_text(const struct live_room *room)
{
    struct str id = STR_NONE, text = room_running(&room->follower, &id);
    bool ours = text.p && room->reply.id.p && !room->reply.ended && !room->reply.fixed && str_eq(id, room->reply.id);
    return ours ? text : STR_NONE;
}

/* ---- chunks ---- */

/* One text for many members: what most of them get is encoded once. */
struct batch {
    struct str conversation_id, message_id, text;
    struct room_event *end; /* the reply's, for its last chunk; NULL: it goes on */
    struct live_room *room; /* has the chunk; while it goes on */
    size_t step_from;       /* members that had this much share `step` */
    struct blob *step, *failure;
};

static struct batch batch_running(struct live_room *room, size_t step_from)
{
    return (struct batch){.conversation_id = room->id,
                          .message_id = room->reply.id,
                          .text = running_text(room),
                          .room = room,
                          .step_from = step_from};
}

static struct batch batch_ended(struct room_event *end, size_t step_from)
{
    return (struct batch){.conversation_id = end->conversation_id,
                          .message_id = end->message_id,
                          .text = live_ended_text(end),
                          .end = end,
                          .step_from = step_from};
}

static void batch_free(struct batch *batch)
{
    blob_unref(batch->step);
    blob_unref(batch->failure);
}

static struct blob *encode(const struct batch *batch, bool whole, size_t from)
{
    return live_chunk_frame(&(struct live_chunk){.conversation_id = batch->conversation_id,
                                                 .message_id = batch->message_id,
                                                 .content = whole || batch->end ? batch->text : STR_NONE,
                                                 .delta = whole ? STR_NONE : str_from(batch->text, from),
                                                 .complete = batch->end != NULL});
}

static struct blob *whole_frame(struct batch *batch)
{
    if (batch->end)
        return room_event_encoded(batch->end, ROOM_AS_SOCKETIO, live_event_frame);
    struct live_room *room = batch->room;
    if (!room->reply.chunk || room->reply.chunk_end != batch->text.n) {
        blob_unref(room->reply.chunk);
        room->reply.chunk = encode(batch, true, 0);
        room->reply.chunk_end = batch->text.n;
    }
    return room->reply.chunk;
}

static struct blob *step_frame(struct batch *batch)
{
    if (!batch->step)
        batch->step = encode(batch, false, batch->step_from);
    return batch->step;
}

static void tell(struct live_member *member, struct batch *batch)
{
    struct blob *own = NULL, *frame;
    if (!member->delta)
        frame = whole_frame(batch);
    else if (member->told == batch->step_from)
        frame = step_frame(batch);
    else
        frame = own = encode(batch, false, member->told);
    /* A chunk that does not arrive is made up for by the next; not so the last. */
    if (batch->end)
        live_send(member, frame);
    else if (sio_emit_frame(member->socket, frame, false) == 0)
        member->told = batch->text.n;
    blob_unref(own);
}

static bool is_behind(const struct live_member *member, struct str text)
{
    return text.p && member->reply && member->reply == member->room->reply.mark && !member->ended &&
           member->told < text.n && sio_writable(member->socket);
}

static void send_chunk(struct live_room *room)
{
    struct batch batch = batch_running(room, room->reply.sent);
    room->reply.due = false;
    if (!batch.text.p)
        return;
    list_each(entry, &room->members) {
        struct live_member *member = container_of(entry, struct live_member, in_room);
        if (is_behind(member, batch.text))
            tell(member, &batch);
    }
    batch_free(&batch);
    room->reply.sent = batch.text.n;
    room->next_ms = loop_now_ms(loop_self()) + CHUNK_MS + batch.text.n / CHUNK_BYTES;
}

static void on_tick(struct timer *timer)
{
    send_chunk(container_of(timer, struct live_room, tick));
}

void live_reply_due(struct live_room *room)
{
    if (!room->reply.due || timer_running(&room->tick))
        return;
    uint64_t now = loop_now_ms(loop_self());
    if (now >= room->next_ms) {
        send_chunk(room);
        return;
    }
    room->tick.fn = on_tick;
    timer_start(loop_self(), &room->tick, room->next_ms - now);
}

void live_reply_catch_up(struct live_member *member)
{
    struct batch batch = batch_running(member->room, SIZE_MAX);
    if (is_behind(member, batch.text))
        tell(member, &batch);
}

/* ---- from beginning to end ---- */

void live_reply_told(struct live_member *member, struct str message_id)
{
    member->reply = member->last = map_hash(message_id);
    member->told = 0;
    member->ended = false;
}

void live_reply_tell(struct live_member *member)
{
    struct live_room *room = member->room;
    if (!room->reply.id.p || room->reply.ended)
        return;
    struct blob *frame = live_start_frame(room->id, room->reply.id);
    live_reply_told(member, room->reply.id);
    live_send(member, frame);
    blob_unref(frame);
    live_reply_catch_up(member);
}

void live_reply_start(struct live_room *room, struct room_event *event)
{
    struct blob *frame = room_event_encoded(event, ROOM_AS_SOCKETIO, live_event_frame);
    live_reply_set(room, event->message_id);
    room->next_ms = 0;
    list_each(entry, &room->members) {
        struct live_member *member = container_of(entry, struct live_member, in_room);
        if (!live_member_wants(member, event))
            continue;
        live_reply_told(member, room->reply.id);
        live_send(member, frame);
    }
}

void live_reply_grow(struct live_room *room, const struct room_event *event)
{
    if (!room->reply.id.p || !str_eq(event->message_id, room->reply.id))
        return;
    room->reply.due = event->model_used;
    room->reply.fixed = !event->model_used;
}

/* A reply that failed before it said anything is an apology instead: no failure for the client. */
static bool is_broken(const struct live_member *member, const struct room_event *event)
{
    const struct api *api = sio_owner(member->socket);
    return event->type == ROOM_REPLY_FAILED && !str_eqc(event->whole, api->chat_surface.failure_text);
}

static void send_last(struct live_member *member, struct batch *batch)
{
    const struct room_event *event = batch->end;
    tell(member, batch);
    member->ended = true;
    if (!is_broken(member, event))
        return;
    if (!batch->failure)
        batch->failure = live_error_frame(event->conversation_id, event->message_id, event->text, event->code);
    live_send(member, batch->failure);
}

void live_reply_last_chunk(struct live_member *member, struct room_event *event)
{
    struct batch batch = batch_ended(event, SIZE_MAX);
    send_last(member, &batch);
    batch_free(&batch);
}

void live_reply_over(struct live_member *member, struct blob *frame)
{
    live_send(member, frame);
    member->reply = 0;
    member->ended = false;
}

/* The errand at the end of a reply. */
static void complete(struct live_room *room)
{
    struct err e;
    struct room_event *event = room->held;
    struct blob *frame = live_load_complete(room->at, event, &e);
    if (!frame)
        frame = live_error_frame(event->conversation_id, event->message_id, str_c(e.text), str_c(err_name(e.code)));
    list_each(entry, &room->members) {
        struct live_member *member = container_of(entry, struct live_member, in_room);
        if (member->ended)
            live_reply_over(member, frame);
    }
    blob_unref(frame);
    live_reply_set(room, STR_NONE);
    room->held = NULL;
    room_event_unref(event);
    room->state = LIVE_OPEN;
}

void live_reply_end(struct live_room *room, struct room_event *event)
{
    uint64_t mark = map_hash(event->message_id);
    size_t listeners = 0;
    if (mark != room->reply.mark)
        return;
    struct batch batch = batch_ended(event, room->reply.sent);
    list_each(entry, &room->members) {
        struct live_member *member = container_of(entry, struct live_member, in_room);
        if (member->reply != mark)
            continue;
        if (!member->ended)
            send_last(member, &batch);
        listeners++;
    }
    batch_free(&batch);
    if (listeners == 0) {
        live_reply_set(room, STR_NONE);
        return;
    }
    room->reply.ended = true;
    room->held = room_event_ref(event);
    live_room_errand(room, complete);
}
