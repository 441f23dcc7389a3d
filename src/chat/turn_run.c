/* The life of one turn: history, model, text into the room, outcome into the store. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "chat/turn_impl.h"
#include "llm/tokens.h"

#include <stdlib.h>

#define SAVE_AFTER_MS 500
#define LATE_EVERY_MS 200
#define LATE_LIMIT    256 /* replies of one loop that wait for the store: bounds what a long outage holds in memory */

static void turn_enter(struct turn *turn, enum turn_state next)
{
    if (next <= turn->state)
        die("turn: state %d after %d", (int)next, (int)turn->state);
    turn->state = next;
}

static struct room_event about_reply(const struct turn *turn, enum room_event_type type)
{
    return (struct room_event){.type = type,
                               .conversation_id = turn->conversation_id,
                               .message_id = turn->reply_id,
                               .origin = turn->origin,
                               .at_us = turn->reply_at_us,
                               .usage = turn->usage,
                               .model_used = turn->model_used};
}

static void emit(struct turn *turn, const struct room_event *event)
{
    room_append(turn->view, room_event_new(event));
}

static int save(struct turn *turn, struct str text, enum message_status status, struct err *e)
{
    struct message_change change = {
        .to = {.conversation_id = turn->conversation_id, .id = turn->reply_id, .content = text, .status = status},
        .set = MESSAGE_SET_CONTENT | MESSAGE_SET_STATUS,
        .touch_us = clock_wall_us(),
    };
    return store_message_update(turn->chat->config.store, &change, e);
}

/* A store in trouble does not stop the reply; the end of the turn tells whether it could be kept. */
static void save_main(void *arg)
{
    struct turn *turn = arg;
    struct err e;
    size_t saved = turn->reply.len;
    char *text = str_dup(buf_str(&turn->reply)); /* the reply grows meanwhile */
    if (save(turn, str_n(text, saved), MESSAGE_STREAMING, &e) < 0)
        log_warn("chat", "reply_not_saved", F_STR("conversation", turn->conversation_id), F_ERR(&e));
    free(text);
    if (turn->reply.len > saved && turn->state == TURN_STREAMING)
        timer_start(turn->view->at->loop, &turn->save, SAVE_AFTER_MS);
    turn->saving = false;
    task_wake(turn->task);
}

static void save_due(struct timer *timer)
{
    struct turn *turn = container_of(timer, struct turn, save);
    turn->saving = true;
    task_spawn("turn_save", save_main, turn);
}

/* A crash must not lose more than about half a second of text; and no word waits for the disk. */
static void save_soon(struct turn *turn)
{
    if (turn->saving || timer_running(&turn->save))
        return;
    turn->save.fn = save_due;
    timer_start(turn->view->at->loop, &turn->save, SAVE_AFTER_MS);
}

static void end_saving(struct turn *turn)
{
    timer_stop(turn->view->at->loop, &turn->save);
    while (turn->saving)
        task_park(NULL);
}

/* 0, or -1 when the reply is as long as a reply may be. */
static int say(struct turn *turn, struct str text)
{
    if (text.n == 0)
        return 0;
    if (turn->state < TURN_STREAMING) {
        turn_enter(turn, TURN_STREAMING);
        metric_observe(turn->chat->metrics.first_token, clock_mono_ns() - turn->started_ns);
    }
    if (buf_str_add(&turn->reply, text) < 0) {
        turn->finish = STR("length");
        return -1;
    }
    struct room_event delta = about_reply(turn, ROOM_DELTA);
    delta.text = text;
    emit(turn, &delta);
    save_soon(turn);
    return 0;
}

static int stream(struct turn *turn, struct llm_stream *s, struct err *e)
{
    struct llm_event event;
    int more;
    while ((more = llm_next(s, &event, e)) == 1) {
        if (event.type == LLM_DELTA && say(turn, event.text) < 0)
            return 0;
        if (event.type == LLM_FINISH)
            turn->finish = arena_str(turn->arena, event.finish);
        if (event.usage.prompt_tokens >= 0 || event.usage.completion_tokens >= 0)
            turn->usage = event.usage;
    }
    return more;
}

static int ask(struct turn *turn, struct llm *llm, struct err *e)
{
    struct llm_message *messages;
    size_t n;
    if (history_load(turn, &messages, &n, e) < 0)
        return -1;
    const struct chat_surface *surface = turn->surface;
    const struct turn_manner *manner = &turn->manner;
    struct llm_request rq = {.messages = messages,
                             .nmessages = n,
                             .model = manner->model,
                             .max_tokens = manner->max_tokens,
                             .temperature = manner->temperature,
                             .stream = true,
                             .text = manner->knowledge,
                             .speaker = manner->speaker,
                             .company = manner->company,
                             .intent = manner->intent};
    struct llm_stream *s = llm_open(llm, &rq, turn->arena, NULL, e);
    if (!s)
        return -1;
    turn->model_used = true;
    turn->model = rq.model.n ? rq.model : str_c(llm_default_model(llm));
    turn->prompt_estimate = history_cost(messages, n);
    int result = stream(turn, s, e);
    llm_close(s);
    if (result == 0 && turn->reply.len == 0 && surface->empty_text)
        say(turn, str_c(surface->empty_text));
    return result;
}

static int reply(struct turn *turn, struct err *e)
{
    struct chat_config *config = &turn->chat->config;
    if (turn->stopped) /* while it waited */
        return err_set(e, ERR_CANCELLED, NULL);
    if (config->llm)
        return ask(turn, config->llm, e);
    if (!turn->surface->needs_model)
        return config->responder ? ask(turn, config->responder, e)
                                 : err_set(e, ERR_NOT_CONFIGURED, "No model is configured");
    say(turn, str_c(turn->surface->no_model_text));
    return 0;
}

static void finish_event(struct turn *turn, enum message_status status, const struct err *failure)
{
    struct room_event event = about_reply(turn, failure ? ROOM_REPLY_FAILED : ROOM_REPLY_FINISHED);
    event.finish = turn->finish;
    event.status = failure ? MESSAGE_FAILED : status;
    metric_inc(turn->chat->metrics.turns[event.status]);
    if (failure) {
        event.text = str_c(failure->text);
        event.code = str_c(err_name(failure->code));
        event.whole = buf_str(&turn->reply);
    } else {
        event.text = buf_str(&turn->reply);
    }
    emit(turn, &event);
}

static void record_usage(const struct turn *turn)
{
    if (!turn->model_used)
        return;
    int64_t in = turn->usage.prompt_tokens, out = turn->usage.completion_tokens;
    chat_count_usage(turn->chat,
                     &(struct usage){
                         .conversation_id = turn->conversation_id,
                         .message_id = turn->reply_id,
                         .model = turn->model,
                         .prompt_tokens = in >= 0 ? in : (int64_t)turn->prompt_estimate,
                         .completion_tokens = out >= 0 ? out : (int64_t)tokens_estimate(buf_str(&turn->reply)),
                     });
}

/* The outcome is stored before anybody hears of it. */
/* A reply that everybody saw and the store would not take. */
struct late_reply {
    struct chat *chat;
    struct chat_loop *at;
    struct arena *arena;
    struct message reply;
};

static int late_save(const struct late_reply *late, struct err *e)
{
    struct message_change change = {.to = late->reply, .set = MESSAGE_SET_CONTENT | MESSAGE_SET_STATUS};
    return store_message_update(late->chat->config.store, &change, e);
}

/* Offered again until the store takes it, or the server leaves: then the next start marks it as interrupted. */
static void late_main(void *arg)
{
    struct late_reply *late = arg;
    struct err e = {.code = ERR_STORE_UNAVAILABLE};
    log_request_id = NULL; /* the request that began it ends before */
    while (e.code == ERR_STORE_UNAVAILABLE && task_sleep(LATE_EVERY_MS, NULL) == 0 &&
           !atomic_load_explicit(&late->chat->draining, memory_order_acquire))
        if (late_save(late, &e) == 0)
            e.code = ERR_NONE;
    if (e.code == ERR_NONE)
        log_info("chat", "reply_stored_late", F_STR("conversation", late->reply.conversation_id));
    late->at->late--;
    arena_free(late->arena);
}

static void save_late(struct turn *turn, enum message_status status)
{
    struct chat_loop *at = turn->view->at;
    bool leaving = turn->stopped && strcmp(turn->stopped, "interrupted") == 0; /* chat_abort */
    if (leaving || at->late == LATE_LIMIT || !task_room())
        return;
    struct arena *arena = arena_new("late_reply");
    struct late_reply *late = arena_alloc(arena, sizeof *late);
    *late = (struct late_reply){.chat = turn->chat,
                                .at = at,
                                .arena = arena,
                                .reply = {.conversation_id = arena_str(arena, turn->conversation_id),
                                          .id = arena_str(arena, turn->reply_id),
                                          .content = arena_str(arena, buf_str(&turn->reply)),
                                          .status = status}};
    at->late++;
    task_spawn("late_reply", late_main, late);
}

static void conclude(struct turn *turn, const struct err *failure)
{
    enum message_status status = MESSAGE_COMPLETE;
    if (turn->stopped) {
        status = MESSAGE_INTERRUPTED;
        turn->finish = str_c(turn->stopped);
        failure = NULL;
    } else if (failure) {
        status = MESSAGE_FAILED;
        if (turn->reply.len == 0 && turn->surface->failure_text)
            buf_str_add(&turn->reply, str_c(turn->surface->failure_text));
    } else if (turn->finish.n == 0) {
        turn->finish = STR("stop");
    }
    struct err e;
    turn_enter(turn, TURN_ENDING);
    end_saving(turn);
    if (save(turn, buf_str(&turn->reply), status, &e) < 0 && e.code != ERR_MESSAGE_NOT_FOUND) {
        log_error("chat", "reply_not_stored", F_STR("conversation", turn->conversation_id), F_ERR(&e));
        if (e.code == ERR_STORE_UNAVAILABLE)
            save_late(turn, status);
        failure = &e;
    }
    finish_event(turn, status, failure);
    record_usage(turn);
}

static void leave_queue(struct turn *turn)
{
    struct room_view *view = turn->view;
    log_request_id = NULL;
    list_remove(&turn->link);
    list_remove(&turn->at_loop);
    view->home->nturns--;
    view->at->busy--;
    metric_dec(turn->chat->metrics.turns_running);
    buf_free(&turn->reply);
    arena_free(turn->arena);
    if (list_empty(&view->home->turns))
        waitlist_wake_all(&view->home->no_turns);
    turns_next(view);
    room_unpin(view);
}

static void turn_main(void *arg)
{
    struct turn *turn = arg;
    turn->task = task_self();
    turn->started_ns = clock_mono_ns();
    log_request_id = turn->request_id;
    turn_enter(turn, TURN_THINKING);
    if (turn->stopped)
        task_cancel(turn->task);
    struct room_event started = about_reply(turn, ROOM_REPLY_STARTED);
    emit(turn, &started);
    struct err e = {0};
    int result = reply(turn, &e);
    if (result < 0 && e.code != ERR_CANCELLED)
        log_warn("chat", "turn_failed", F_STR("conversation", turn->conversation_id), F_C("code", err_name(e.code)),
                 F_ERR(&e));
    task_shield(); /* the outcome is kept also when the turn was cancelled */
    conclude(turn, result < 0 ? &e : NULL);
    leave_queue(turn);
    task_unshield();
}

void turns_next(struct room_view *view)
{
    struct list *first = view->home->turns.next;
    if (first == &view->home->turns)
        return;
    struct turn *turn = container_of(first, struct turn, link);
    if (turn->state == TURN_WAITING && !turn->task)
        task_spawn("turn", turn_main, turn);
}

void turn_stop(struct turn *turn, const char *why)
{
    if (!turn->stopped)
        turn->stopped = why;
    if (turn->task)
        task_cancel(turn->task);
}

void turns_stop(struct room_view *view, const char *why)
{
    list_each(entry, &view->home->turns)
        turn_stop(container_of(entry, struct turn, link), why);
}

void turns_wait(struct room_view *view)
{
    while (!list_empty(&view->home->turns))
        waitlist_wait(&view->home->no_turns, NULL);
}

struct turn *turn_find(struct room_view *view, struct str reply_id)
{
    list_each(entry, &view->home->turns) {
        struct turn *turn = container_of(entry, struct turn, link);
        if (str_eq(turn->reply_id, reply_id))
            return turn;
    }
    return NULL;
}
