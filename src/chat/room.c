/* Rooms at home, their copies on other loops, and how followers join. A copy is made by asking the home loop to
 * subscribe this loop; the home answers with what it has and from then on posts every event. Posts between two loops
 * keep their order, so a copy never misses or repeats one. */
#include "chat/chat_impl.h"

#include "base/mem.h"
#include "base/rand.h"

#include <stdlib.h>

struct subscription {
    struct chat_loop *home, *copy;
    char *id;
    size_t id_len;
};

static void subscription_free(struct subscription *sub)
{
    free(sub->id);
    free(sub);
}

/* Not asked of the loop: what was posted may run when that is freed already. */
static size_t index_of(const struct chat_loop *at)
{
    return (size_t)(at - at->chat->loops);
}

static struct subscription *subscription_new(struct room_view *copy)
{
    struct subscription *sub = mem_zalloc(sizeof *sub);
    *sub = (struct subscription){.home = chat_home_loop(copy->at->chat, copy->id),
                                 .copy = copy->at,
                                 .id = str_dup(copy->id),
                                 .id_len = copy->id.n};
    return sub;
}

/* What the home sends to a new copy. */
struct snapshot {
    struct subscription *sub;
    uint64_t epoch, first, next;
    struct room_event **events;
    char *running_id;
    size_t running_id_len;
    struct buf running_text;
};

static void unsubscribe(void *arg)
{
    struct subscription *sub = arg;
    struct room_view *view = room_view_find(sub->home, str_n(sub->id, sub->id_len));
    size_t index = index_of(sub->copy);
    if (view && view->home->subscribed[index]) {
        view->home->subscribed[index] = false;
        view->home->nsubscribers--;
        room_view_settle(view);
    }
    subscription_free(sub);
}

static void end_view(struct room_view *view)
{
    if (!view->home && !view->syncing) {
        struct subscription *sub = subscription_new(view);
        loop_post(sub->home->loop, unsubscribe, sub);
    }
    room_view_free(view);
}

static bool is_idle(const struct room_view *view)
{
    return !view->nfollowers && !view->pins && !view->syncing && !view->notify.queued &&
           (!view->home || (view->home->nsubscribers == 0 && view->home->nturns == 0));
}

static void idle_over(struct timer *timer)
{
    struct room_view *view = container_of(timer, struct room_view, idle);
    if (is_idle(view))
        end_view(view);
}

void room_view_settle(struct room_view *view)
{
    if (!is_idle(view)) {
        timer_stop(view->at->loop, &view->idle);
    } else if (view->next == 1 && !view->used) {
        end_view(view); /* made for a conversation that turned out not to exist, say */
    } else if (!timer_running(&view->idle)) {
        view->idle.fn = idle_over;
        timer_start(view->at->loop, &view->idle, view->at->chat->config.room_keep);
    }
}

static struct room_view *home_view(struct chat *chat, struct str id)
{
    struct chat_loop *here = chat_here(chat);
    struct room_view *view = room_view_find(here, id);
    if (view)
        return view;
    view = room_view_new(here, id);
    /* 48 random bits: a client's cursor of an earlier life of this room cannot fit by accident. */
    view->epoch = (rand_u64() >> 16) | 1;
    view->home = mem_zalloc(sizeof *view->home + chat->config.nloops * sizeof(bool));
    list_init(&view->home->turns);
    waitlist_init(&view->home->no_turns);
    list_init(&view->home->lock_line);
    return view;
}

struct room_view *room_pin(struct chat *chat, struct str conversation_id)
{
    struct room_view *view = home_view(chat, conversation_id);
    view->pins++;
    room_view_settle(view);
    return view;
}

void room_unpin(struct room_view *view)
{
    view->pins--;
    room_view_settle(view);
}

struct lock_waiter {
    struct list link;
    struct task *task;
    bool granted;
};

int room_lock(struct room_view *view, struct err *e)
{
    struct room_home *home = view->home;
    struct lock_waiter waiter = {.task = task_self()};
    int result = 0;
    if (!home->locked) {
        home->locked = true;
        return 0;
    }
    list_push_back(&home->lock_line, &waiter.link);
    while (!waiter.granted && result == 0)
        result = task_park(e);
    list_remove(&waiter.link);
    return waiter.granted ? 0 : -1; /* granted and cancelled at once: the next wait will tell */
}

void room_unlock(struct room_view *view)
{
    struct list *first = list_pop_front(&view->home->lock_line);
    if (!first) {
        view->home->locked = false;
        return;
    }
    struct lock_waiter *next = container_of(first, struct lock_waiter, link);
    next->granted = true;
    task_wake(next->task);
}

struct room_cursor room_now(const struct room_view *view)
{
    return (struct room_cursor){view->epoch, view->next - 1};
}

struct delivery {
    struct chat_loop *copy;
    struct room_event *event;
};

static void deliver(void *arg)
{
    struct delivery *delivery = arg;
    struct room_view *view = room_view_find(delivery->copy, delivery->event->conversation_id);
    /* A copy that is gone, or that asked anew and gets this event with the home's answer. */
    if (view && !view->syncing)
        room_view_push(view, delivery->event);
    else
        room_event_unref(delivery->event);
    free(delivery);
}

void room_append(struct room_view *view, struct room_event *event)
{
    struct chat *chat = view->at->chat;
    event->epoch = view->epoch;
    event->offset = view->next;
    for (size_t i = 0; view->home->nsubscribers && i < chat->config.nloops; i++) {
        if (!view->home->subscribed[i])
            continue;
        struct delivery *delivery = mem_alloc(sizeof *delivery);
        *delivery = (struct delivery){&chat->loops[i], room_event_ref(event)};
        loop_post(chat->loops[i].loop, deliver, delivery);
    }
    room_view_push(view, event);
}

static void install(void *arg)
{
    struct snapshot *snapshot = arg;
    struct subscription *sub = snapshot->sub;
    struct room_view *view = room_view_find(sub->copy, str_n(sub->id, sub->id_len));
    uint64_t count = snapshot->next - snapshot->first;
    if (view && view->syncing) {
        view->epoch = snapshot->epoch;
        view->first = view->next = snapshot->first;
        for (uint64_t i = 0; i < count; i++)
            room_view_push(view, snapshot->events[i]);
        free((char *)view->running.id.p);
        view->running.id = snapshot->running_id ? str_n(snapshot->running_id, snapshot->running_id_len) : STR_NONE;
        buf_free(&view->running.text);
        view->running.text = snapshot->running_text;
        view->syncing = false;
        waitlist_wake_all(&view->synced);
        room_view_settle(view);
    } else {
        for (uint64_t i = 0; i < count; i++)
            room_event_unref(snapshot->events[i]);
        free(snapshot->running_id);
        buf_free(&snapshot->running_text);
    }
    free(snapshot->events);
    subscription_free(sub);
    free(snapshot);
}

static void subscribe(void *arg)
{
    struct subscription *sub = arg;
    if (sub->home->ended) {
        subscription_free(sub);
        return;
    }
    struct room_view *view = home_view(sub->home->chat, str_n(sub->id, sub->id_len));
    size_t index = index_of(sub->copy);
    if (!view->home->subscribed[index]) {
        view->home->subscribed[index] = true;
        view->home->nsubscribers++;
    }
    view->used = true;
    room_view_settle(view);
    struct snapshot *snapshot = mem_zalloc(sizeof *snapshot);
    *snapshot = (struct snapshot){.sub = sub, .epoch = view->epoch, .first = view->first, .next = view->next};
    snapshot->events = mem_array((size_t)(view->next - view->first) + 1, sizeof(struct room_event *));
    for (uint64_t at = view->first; at < view->next; at++)
        snapshot->events[at - view->first] = room_event_ref(view->ring[at & (view->ring_cap - 1)]);
    buf_init(&snapshot->running_text, view->running.text.max);
    if (view->running.id.p) {
        snapshot->running_id = str_dup(view->running.id);
        snapshot->running_id_len = view->running.id.n;
        buf_str_add(&snapshot->running_text, buf_str(&view->running.text));
    }
    loop_post(sub->copy->loop, install, snapshot);
}

/* The view of the calling loop, pinned; parks while a copy is being made. */
static struct room_view *view_here(struct chat *chat, struct str id, struct err *e)
{
    struct chat_loop *here = chat_here(chat);
    if (chat_home_loop(chat, id) == here)
        return room_pin(chat, id);
    struct room_view *view = room_view_find(here, id);
    if (!view) {
        view = room_view_new(here, id);
        view->syncing = true;
        struct subscription *sub = subscription_new(view);
        loop_post(sub->home->loop, subscribe, sub);
    }
    view->pins++;
    room_view_settle(view);
    while (view->syncing) {
        if (waitlist_wait(&view->synced, e) < 0) {
            room_unpin(view);
            return NULL;
        }
    }
    return view;
}

int room_follow(struct chat *chat, struct str conversation_id, struct room_follower *follower,
                const struct room_cursor *from, struct arena *arena, struct room_join *join, struct err *e)
{
    struct room_view *view = view_here(chat, conversation_id, e);
    if (!view)
        return -1;
    follower->view = view;
    follower->lagged = false;
    follower->next = view->next;
    *join = (struct room_join){.now = room_now(view)};
    if (from && from->epoch == view->epoch && from->offset + 1 >= view->first && from->offset < view->next) {
        follower->next = from->offset + 1;
        join->replayed = true;
        join->missed = view->next - follower->next;
    }
    if (view->running.id.p) {
        join->running_id = arena_str(arena, view->running.id);
        join->running_text = arena_str(arena, buf_str(&view->running.text));
    }
    list_push_back(&view->followers, &follower->link);
    view->nfollowers++;
    view->used = true;
    if (join->missed)
        loop_at_end(view->at->loop, &view->notify);
    room_unpin(view);
    return 0;
}

/* A passing event on its way to the home loop. */
struct passing {
    struct chat_loop *home;
    struct room_event *event;
};

static void pass(void *arg)
{
    struct passing *passing = arg;
    struct room_view *view = room_view_find(passing->home, passing->event->conversation_id);
    if (view && (view->nfollowers || view->home->nsubscribers))
        room_append(view, passing->event);
    else
        room_event_unref(passing->event);
    free(passing);
}

void room_pass(struct chat *chat, struct room_event *event)
{
    struct passing *passing = mem_alloc(sizeof *passing);
    *passing = (struct passing){chat_home_loop(chat, event->conversation_id), event};
    if (passing->home == chat_here(chat))
        pass(passing);
    else
        loop_post(passing->home->loop, pass, passing);
}

void room_typing(struct chat *chat, struct str conversation_id, const void *origin, struct str user_id,
                 struct str user_name, bool typing)
{
    room_pass(chat, room_event_new(&(struct room_event){.type = ROOM_TYPING,
                                                        .conversation_id = conversation_id,
                                                        .origin = origin,
                                                        .user_id = user_id,
                                                        .user_name = user_name,
                                                        .text = typing ? STR("1") : STR("0")}));
}

void room_read(struct chat *chat, struct str conversation_id, const void *origin, struct str user_id,
               struct str message_id)
{
    room_pass(chat, room_event_new(&(struct room_event){.type = ROOM_READ,
                                                        .conversation_id = conversation_id,
                                                        .origin = origin,
                                                        .user_id = user_id,
                                                        .message_id = message_id}));
}
