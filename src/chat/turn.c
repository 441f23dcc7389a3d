/* Beginning, waiting for and cancelling turns. What a turn does once it runs: turn_run.c. */
#include "chat/turn.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "chat/conversation.h"
#include "chat/turn_impl.h"

struct begin {
    struct chat *chat;
    const struct turn_request *request;
    struct arena *arena;
    struct turn_ticket *ticket;
    struct err *e;
};

static int check_request(struct chat *chat, const struct turn_request *rq, struct err *e)
{
    if (str_trim(rq->text).n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "Message is required");
    if (rq->text.n > LIMIT_MESSAGE_TEXT)
        return err_set(e, ERR_INVALID_REQUEST, "Message is longer than %zu bytes", (size_t)LIMIT_MESSAGE_TEXT);
    if (rq->conversation_id.n > LIMIT_ID || rq->client_id.n > LIMIT_ID)
        return err_set(e, ERR_INVALID_REQUEST, "An id is longer than %d bytes", LIMIT_ID);
    if (!utf8_valid(rq->text) || !utf8_valid(rq->conversation_id) || !utf8_valid(rq->client_id))
        return err_set(e, ERR_INVALID_REQUEST, "Text is not valid UTF-8");
    if (atomic_load_explicit(&chat->draining, memory_order_acquire))
        return err_set(e, ERR_SHUTTING_DOWN, NULL);
    return 0;
}

static struct str new_id(struct arena *arena, struct str given)
{
    if (given.n)
        return arena_str(arena, given);
    char id[UUID_LEN + 1];
    rand_uuid(id);
    return arena_str(arena, str_n(id, UUID_LEN));
}

static int store_begin(const struct begin *b, struct str conversation_id, struct store_appended *done)
{
    const struct turn_request *rq = b->request;
    int64_t now = clock_wall_us();
    struct turn_begin begin = {
        .conversation = {.id = conversation_id,
                         .space = str_c(rq->surface->space),
                         .owner = rq->owner,
                         .title = conversation_title(b->arena, rq->text),
                         .created_us = now,
                         .updated_us = now},
        .create = rq->create || rq->conversation_id.n == 0,
        .user = {.id = rq->user_id,
                 .role = STR("user"),
                 .content = rq->text,
                 .client_id = rq->client_id,
                 .meta = rq->user_meta,
                 .created_us = now},
        .reply = {.id = rq->reply_id, .role = STR("assistant"), .created_us = now},
    };
    return store_turn_begin(b->chat->config.store, b->arena, &begin, done, b->e);
}

static struct turn_manner manner_of(const struct turn_request *rq, struct arena *arena)
{
    static const struct turn_manner none = {.temperature = -1};
    const struct turn_manner *own = rq->manner ? rq->manner : &none;
    const struct chat_surface *surface = rq->surface;
    return (struct turn_manner){
        .persona = own->persona.n ? arena_str(arena, own->persona) : str_c(surface->persona),
        .model = own->model.n ? arena_str(arena, own->model) : str_c(surface->model),
        .temperature = own->temperature >= 0 ? own->temperature : surface->temperature,
        .max_tokens = own->max_tokens ? own->max_tokens : surface->max_tokens,
        .history = own->history,
        .knowledge = arena_str(arena, own->knowledge),
        .speaker = arena_str(arena, own->speaker),
        .company = arena_str(arena, own->company),
        .intent = arena_str(arena, own->intent),
    };
}

static struct turn *turn_new(const struct begin *b, struct room_view *view, const struct store_appended *done)
{
    struct arena *arena = arena_new("turn");
    struct turn *turn = arena_zalloc(arena, sizeof *turn);
    *turn = (struct turn){
        .chat = b->chat,
        .view = view,
        .arena = arena,
        .surface = b->request->surface,
        .conversation_id = arena_str(arena, done->conversation.id),
        .user_message_id = arena_str(arena, done->messages[0].id),
        .reply_id = arena_str(arena, done->messages[1].id),
        .user_text = arena_str(arena, b->request->text),
        .manner = manner_of(b->request, arena),
        .user_seq = done->messages[0].seq,
        .reply_at_us = done->messages[1].created_us,
        .origin = b->request->origin,
        .begin = room_now(view),
        .request_id = log_request_id ? arena_cstr(arena, str_c(log_request_id)) : NULL,
        .usage = {-1, -1},
        .reply = BUF_INIT(LIMIT_REPLY_TEXT),
    };
    list_init(&turn->link);
    list_init(&turn->at_loop);
    return turn;
}

static void fill_ticket(const struct begin *b, const struct store_appended *done, struct room_cursor from)
{
    *b->ticket = (struct turn_ticket){
        .conversation_id = arena_str(b->arena, done->conversation.id),
        .user_message_id = arena_str(b->arena, done->messages[0].id),
        .reply_id = done->n > 1 ? arena_str(b->arena, done->messages[1].id) : STR_NONE,
        .user_at_us = done->messages[0].created_us,
        .user_seq = done->messages[0].seq,
        .created = done->created,
        .duplicate = done->duplicate,
        .from = from,
    };
}

static void enqueue(const struct begin *b, struct room_view *view, const struct store_appended *done)
{
    struct turn *turn = turn_new(b, view, done);
    fill_ticket(b, done, turn->begin);
    room_append(view, room_event_new(&(struct room_event){.type = ROOM_MESSAGE,
                                                          .conversation_id = turn->conversation_id,
                                                          .message_id = turn->user_message_id,
                                                          .client_id = b->request->client_id,
                                                          .text = turn->user_text,
                                                          .origin = turn->origin,
                                                          .at_us = done->messages[0].created_us}));
    list_push_back(&view->home->turns, &turn->link);
    list_push_back(&view->at->turns, &turn->at_loop);
    view->at->busy++;
    metric_inc(b->chat->metrics.turns_running);
    turns_next(view);
}

/* Under the room's lock: 1 when a turn was queued, 0 when there was one with that client_id. */
static int begin_locked(const struct begin *b, struct room_view *view)
{
    struct store_appended done;
    if (store_begin(b, b->request->conversation_id, &done) < 0)
        return -1;
    if (done.duplicate) {
        struct turn *first = done.n > 1 ? turn_find(view, done.messages[1].id) : NULL;
        fill_ticket(b, &done, first ? first->begin : room_now(view));
        return 0;
    }
    enqueue(b, view, &done);
    return 1;
}

/* On the home loop. */
static int begin_at_home(void *arg)
{
    const struct begin *b = arg;
    struct room_view *view = room_pin(b->chat, b->request->conversation_id);
    int queued = -1;
    if (view->home->nturns >= LIMIT_TURN_QUEUE) {
        err_set(b->e, ERR_TOO_MANY_TURNS, NULL);
        goto out;
    }
    view->home->nturns++;
    if (room_lock(view, b->e) == 0) {
        queued = begin_locked(b, view);
        room_unlock(view);
    }
    if (queued == 1)
        return 0; /* the turn keeps the pin and its place */
    view->home->nturns--;
out:
    room_unpin(view);
    return queued;
}

int turn_start(struct chat *chat, const struct turn_request *request, struct arena *arena, struct turn_ticket *ticket,
               struct err *e)
{
    if (check_request(chat, request, e) < 0)
        return -1;
    struct turn_request with_id = *request;
    struct begin begin = {chat, &with_id, arena, ticket, e};
    /* The home of a new conversation is chosen by its id, so the id comes first. */
    with_id.conversation_id = new_id(arena, request->conversation_id);
    with_id.create = request->create || request->conversation_id.n == 0;
    return loop_call(chat_home(chat, with_id.conversation_id), "turn_start", begin_at_home, &begin);
}

/* ---- waiting for the outcome ---- */

struct watcher {
    struct room_follower follower;
    struct task *task;
};

static void watcher_notify(struct room_follower *follower)
{
    task_wake(container_of(follower, struct watcher, follower)->task);
}

static void result_of_event(const struct room_event *event, struct arena *arena, struct turn_result *result)
{
    bool finished = event->type == ROOM_REPLY_FINISHED;
    *result = (struct turn_result){
        .text = arena_str(arena, finished ? event->text : event->whole),
        .status = event->status,
        .finish = arena_str(arena, event->finish),
        .error = arena_str(arena, finished ? STR("") : event->text),
        .usage = event->usage,
        .model_used = event->model_used,
    };
}

struct lookup {
    struct chat *chat;
    const struct turn_ticket *ticket;
};

static int is_queued_at_home(void *arg)
{
    const struct lookup *lookup = arg;
    struct room_view *view = room_view_find(chat_here(lookup->chat), lookup->ticket->conversation_id);
    return view && turn_find(view, lookup->ticket->reply_id);
}

/* 1 and *result when the turn is over, 0 when it still runs. Asks the home before the store: a turn leaves the queue
 * once its outcome is stored, so what the store holds of a turn that is in no queue is final. */
static int stored_result(struct chat *chat, const struct turn_ticket *ticket, struct arena *arena,
                         struct turn_result *result, struct err *e)
{
    struct message_ref ref = {ticket->conversation_id, ticket->reply_id};
    struct message reply;
    int queued = loop_call(chat_home(chat, ticket->conversation_id), "turn_lookup", is_queued_at_home,
                           &(struct lookup){chat, ticket});
    if (store_message_get(chat->config.store, arena, &ref, &reply, e) < 0)
        return -1;
    if (queued && reply.status == MESSAGE_STREAMING)
        return 0;
    bool failed = reply.status == MESSAGE_FAILED, complete = reply.status == MESSAGE_COMPLETE;
    *result = (struct turn_result){
        .text = reply.content,
        .status = complete || failed ? reply.status : MESSAGE_INTERRUPTED,
        .finish = complete ? STR("stop")
                  : failed ? STR("")
                           : STR("interrupted"),
        .error = failed ? str_c(err_text(ERR_UPSTREAM)) : STR(""),
        .usage = {-1, -1},
        .model_used = complete,
    };
    return 1;
}

static int watch(struct chat *chat, const struct turn_ticket *ticket, struct watcher *watcher, struct arena *arena,
                 struct turn_result *result, struct err *e)
{
    for (;;) {
        struct room_event *event;
        while ((event = room_next(&watcher->follower))) {
            if (event->type == ROOM_DELETED)
                return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
            if ((event->type == ROOM_REPLY_FINISHED || event->type == ROOM_REPLY_FAILED) &&
                str_eq(event->message_id, ticket->reply_id)) {
                result_of_event(event, arena, result);
                return 0;
            }
        }
        if (watcher->follower.lagged) {
            room_skip(&watcher->follower);
            int over = stored_result(chat, ticket, arena, result, e);
            if (over)
                return over < 0 ? -1 : 0;
        } else if (task_park(e) < 0) { /* not behind a lookup: it may have used up the wake for the end */
            return -1;
        }
    }
}

int turn_wait(struct chat *chat, const struct turn_ticket *ticket, struct arena *arena, struct turn_result *result,
              struct err *e)
{
    struct watcher watcher = {.follower.notify = watcher_notify, .task = task_self()};
    struct room_join join;
    if (room_follow(chat, ticket->conversation_id, &watcher.follower, &ticket->from, arena, &join, e) < 0)
        return -1;
    /* A log that no longer reaches back to the turn's beginning, or a repeated message: its reply may be long done. */
    int over = join.replayed && !ticket->duplicate ? 0 : stored_result(chat, ticket, arena, result, e);
    int status = over ? (over < 0 ? -1 : 0) : watch(chat, ticket, &watcher, arena, result, e);
    room_leave(&watcher.follower);
    return status;
}

struct cancel {
    struct chat *chat;
    struct str id;
};

static int cancel_at_home(void *arg)
{
    struct cancel *cancel = arg;
    struct room_view *view = room_view_find(chat_here(cancel->chat), cancel->id);
    if (!view || list_empty(&view->home->turns))
        return 0;
    struct turn *turn = container_of(view->home->turns.next, struct turn, link);
    if (turn->state == TURN_ENDING)
        return 0;
    turn_stop(turn, "cancelled");
    return 1;
}

int turn_cancel(struct chat *chat, struct str conversation_id, struct err *e)
{
    (void)e;
    return loop_call(chat_home(chat, conversation_id), "turn_cancel", cancel_at_home,
                     &(struct cancel){chat, conversation_id});
}
