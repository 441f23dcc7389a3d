/* The ring of a room and its followers, on one loop. */
#include "chat/chat_impl.h"

#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

/* Followers take what is new when they are notified, once per round of the loop. Until then a log may outgrow its
 * ceilings this many times, or the end of a large reply would push out what was said just before it. */
#define OUTGROW 8

static void drop_oldest(struct room_view *view)
{
    struct room_event *oldest = view->ring[view->first++ & (view->ring_cap - 1)];
    view->bytes -= room_event_size(oldest);
    room_event_unref(oldest);
}

/* The newest event always stays, however large: everybody must be able to see it once. */
static void trim(struct room_view *view, size_t times)
{
    while (view->next - view->first > LIMIT_ROOM_EVENTS * times ||
           (view->bytes > LIMIT_ROOM_BYTES * times && view->next - view->first > 1))
        drop_oldest(view);
}

static void notify_followers(struct loop_end *end)
{
    struct room_view *view = container_of(end, struct room_view, notify);
    view->pins++; /* a follower's notify may be the last to leave */
    /* Only the followers of this moment are called, each once: those who leave or join meanwhile do no harm. */
    struct list round;
    list_init(&round);
    list_splice(&round, &view->followers);
    struct list *entry;
    while ((entry = list_pop_front(&round))) {
        list_push_back(&view->followers, entry);
        struct room_follower *follower = container_of(entry, struct room_follower, link);
        if (follower->next < view->next)
            follower->notify(follower);
    }
    trim(view, 1);
    room_unpin(view);
}

struct room_view *room_view_new(struct chat_loop *at, struct str id)
{
    struct room_view *view = mem_zalloc(sizeof *view);
    view->at = at;
    view->id = (struct str){str_dup(id), id.n};
    view->first = view->next = 1;
    buf_init(&view->running.text, LIMIT_REPLY_TEXT);
    list_init(&view->followers);
    waitlist_init(&view->synced);
    view->notify.fn = notify_followers;
    map_put(&at->views, view->id, view);
    metric_inc(at->chat->metrics.rooms);
    return view;
}

static void free_at_end(struct loop_end *end)
{
    free(container_of(end, struct room_view, notify));
}

void room_view_free(struct room_view *view)
{
    struct chat_loop *at = view->at;
    struct list *entry;
    while ((entry = list_pop_front(&view->followers)))
        container_of(entry, struct room_follower, link)->view = NULL;
    timer_stop(at->loop, &view->idle);
    map_remove(&at->views, view->id);
    metric_dec(at->chat->metrics.rooms);
    while (view->first < view->next)
        drop_oldest(view);
    free(view->ring);
    free((char *)view->running.id.p);
    buf_free(&view->running.text);
    free(view->home);
    free((char *)view->id.p);
    if (view->notify.queued)
        view->notify.fn = free_at_end; /* the loop still holds it */
    else
        free(view);
}

struct room_view *room_view_find(struct chat_loop *at, struct str id)
{
    return map_get(&at->views, id);
}

static void make_room(struct room_view *view)
{
    size_t count = (size_t)(view->next - view->first);
    if (count < view->ring_cap)
        return;
    size_t cap = view->ring_cap ? view->ring_cap * 2 : 16;
    struct room_event **ring = mem_array(cap, sizeof(struct room_event *));
    for (uint64_t at = view->first; at < view->next; at++)
        ring[at & (cap - 1)] = view->ring[at & (view->ring_cap - 1)];
    free(view->ring);
    view->ring = ring;
    view->ring_cap = cap;
}

static void stop_running(struct room_view *view)
{
    free((char *)view->running.id.p);
    view->running.id = STR_NONE;
    buf_free(&view->running.text);
}

static void track_running(struct room_view *view, const struct room_event *event)
{
    bool about_it = str_eq(event->message_id, view->running.id);
    if (event->type == ROOM_REPLY_STARTED) {
        stop_running(view);
        view->running.id = (struct str){str_dup(event->message_id), event->message_id.n};
    } else if (event->type == ROOM_DELTA && about_it) {
        buf_str_add(&view->running.text, event->text);
    } else if ((event->type == ROOM_REPLY_FINISHED || event->type == ROOM_REPLY_FAILED) && about_it) {
        stop_running(view);
    }
}

void room_view_push(struct room_view *view, struct room_event *event)
{
    make_room(view);
    view->ring[view->next++ & (view->ring_cap - 1)] = event;
    view->bytes += room_event_size(event);
    trim(view, view->nfollowers ? OUTGROW : 1);
    track_running(view, event);
    if (view->nfollowers)
        loop_at_end(view->at->loop, &view->notify);
}

struct room_event *room_next(struct room_follower *follower)
{
    struct room_view *view = follower->view;
    if (!view || follower->next == view->next)
        return NULL;
    if (follower->next < view->first) {
        follower->lagged = true;
        return NULL;
    }
    return view->ring[follower->next++ & (view->ring_cap - 1)];
}

void room_skip(struct room_follower *follower)
{
    follower->lagged = false;
    if (follower->view)
        follower->next = follower->view->next;
}

void room_skip_lost(struct room_follower *follower)
{
    follower->lagged = false;
    if (follower->view)
        follower->next = MAX(follower->next, follower->view->first);
}

struct str room_running(const struct room_follower *follower, struct str *message_id)
{
    const struct room_view *view = follower->view;
    if (!view || !view->running.id.p)
        return STR_NONE;
    *message_id = view->running.id;
    return buf_str(&view->running.text);
}

void room_leave(struct room_follower *follower)
{
    struct room_view *view = follower->view;
    if (!view)
        return;
    follower->view = NULL;
    list_remove(&follower->link);
    view->nfollowers--;
    room_view_settle(view);
}
