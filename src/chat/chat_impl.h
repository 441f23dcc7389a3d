/* What the files of chat/ share about the running product: state per loop, rooms at home and copied, turns. */
#ifndef CHAT_CHAT_IMPL_H
#define CHAT_CHAT_IMPL_H

#include "base/buf.h"
#include "base/map.h"
#include "base/metrics.h"
#include "chat/chat.h"
#include "chat/room.h"

/* One loop's part: only that loop's thread touches it. */
struct chat_loop {
    struct chat *chat;
    struct loop *loop;
    struct map views; /* conversation id -> struct room_view */
    size_t busy;      /* turns running or waiting */
    struct list turns;
    struct list works;
    unsigned late; /* replies waiting for a store in trouble */
    bool ended;    /* chat_loop_end was called */
};

/* Work of a task that goes on when nobody waits for it any more: counted as busy until it ends, cancelled by
 * chat_abort. Embedded in the task's own record; both calls on the task's loop, by the task. */
struct chat_work {
    struct list link;
    struct chat_loop *at;
    struct task *task;
};
void chat_work_begin(struct chat *chat, struct chat_work *work);
void chat_work_end(struct chat_work *work);

struct chat_metrics {
    struct metric *turns_running, *first_token, *rooms;
    struct metric *turns[MESSAGE_FAILED + 1]; /* by outcome */
    struct metric *tokens_in, *tokens_out;
};

struct chat {
    struct chat_config config;
    atomic_bool draining;
    struct chat_metrics metrics;
    struct chat_loop *loops; /* config.nloops of them */
};

/* Records what a model's answer cost; token counts that are not known (negative) count as 0. */
void chat_count_usage(struct chat *chat, const struct usage *usage);

struct chat_loop *chat_here(struct chat *chat);
struct chat_loop *chat_home_loop(struct chat *chat, struct str conversation_id);

/* The log as one loop sees it. At home it also has `home`. */
struct room_view {
    struct chat_loop *at;
    struct str id;
    uint64_t epoch;
    uint64_t first, next; /* offsets of the oldest event kept and of the next to come; the first ever is 1 */
    struct room_event **ring;
    size_t ring_cap; /* power of two */
    size_t bytes;
    struct {
        struct str id; /* .p NULL: no reply is being written */
        struct buf text;
    } running;
    struct list followers;
    size_t nfollowers;
    bool used; /* somebody followed: its epoch is known outside */
    struct loop_end notify;
    struct timer idle;
    unsigned pins; /* reasons to stay besides followers: calls under way, turns */
    bool syncing;  /* copy: the home has not answered yet */
    struct waitlist synced;
    struct room_home *home;
};

struct room_home {
    struct list turns; /* struct turn, the running one first */
    size_t nturns;     /* those and the ones being stored */
    struct waitlist no_turns;
    bool locked;
    struct list lock_line; /* tasks that wait for the lock, in order */
    size_t nsubscribers;
    bool subscribed[]; /* by loop index: has a copy */
};

/* Home loop only: the view, made when absent, pinned; room_unpin lets it go. */
struct room_view *room_pin(struct chat *chat, struct str conversation_id);
void room_unpin(struct room_view *view);
/* Whoever begins turns or deletes the conversation holds the room's lock meanwhile: so turns queue in the order in
 * which the store has their messages, and none begins in a conversation that is going away. First come, first served.
 */
int room_lock(struct room_view *view, struct err *e);
void room_unlock(struct room_view *view);
/* Home loop only: numbers the event, puts it into the log and sends it to the copies. Takes over the reference. */
void room_append(struct room_view *view, struct room_event *event);
/* Any loop: brings a passing event to its conversation's home, where it is appended if anybody follows. Takes over the
 * reference. */
void room_pass(struct chat *chat, struct room_event *event);
struct room_cursor room_now(const struct room_view *view);

/* An event to be: strings are copied into one allocation. */
struct room_event *room_event_new(const struct room_event *fields);
size_t room_event_size(const struct room_event *event);

/* Both kinds of view. */
struct room_view *room_view_new(struct chat_loop *at, struct str id);
void room_view_free(struct room_view *view);
void room_view_push(struct room_view *view, struct room_event *event);
struct room_view *room_view_find(struct chat_loop *at, struct str id);
/* Starts or stops the timer that ends an idle view. A view that never meant anything to anybody ends at once: it must
 * not be touched afterwards. */
void room_view_settle(struct room_view *view);

#endif
