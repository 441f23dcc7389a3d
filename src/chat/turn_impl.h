/* A turn under way, on its conversation's home loop. Private to chat/. */
#ifndef CHAT_TURN_IMPL_H
#define CHAT_TURN_IMPL_H

#include "chat/chat_impl.h"
#include "chat/turn.h"

enum turn_state {
    TURN_WAITING,   /* behind other turns of its conversation */
    TURN_THINKING,  /* asked the model, no text yet */
    TURN_STREAMING, /* the room has seen text */
    TURN_ENDING,    /* storing the outcome */
};

struct turn {
    struct list link;    /* in the room's queue */
    struct list at_loop; /* in the loop's list */
    struct chat *chat;
    struct room_view *view; /* pinned */
    struct arena *arena;
    const struct chat_surface *surface;
    struct turn_manner manner; /* with the surface's ways where the request had none */
    struct str conversation_id, user_message_id, reply_id, user_text;
    int64_t user_seq, reply_at_us;
    const void *origin;
    struct room_cursor begin; /* the place in the log before its first event */
    enum turn_state state;
    struct task *task;   /* NULL while waiting */
    const char *stopped; /* why it was cancelled: "cancelled" "interrupted" "deleted", NULL: it was not */
    struct buf reply;
    struct timer save; /* runs when there is text that the store does not have */
    bool saving;       /* a task of its own writes the text so far */
    uint64_t started_ns;
    const char *request_id; /* of the request that began it, for the log */
    struct str finish, model;
    struct llm_usage usage;
    size_t prompt_estimate; /* tokens sent, for an upstream that does not tell */
    bool model_used;
};

/* Runs the turn at the head of the room's queue, if it does not run yet. */
void turns_next(struct room_view *view);
/* Cancels one turn, or all turns of the room; they end soon. */
void turn_stop(struct turn *turn, const char *why);
void turns_stop(struct room_view *view, const char *why);
/* Parks until the room has no turns. For shielded tasks. */
void turns_wait(struct room_view *view);
struct turn *turn_find(struct room_view *view, struct str reply_id);

/* The messages for the model: persona, as much of the history before the turn's reply as the budget allows (whole
 * messages, newest kept), the turn's own message. In the turn's arena. */
int history_load(struct turn *turn, struct llm_message **messages, size_t *n, struct err *e);
/* Estimated tokens of the messages. */
size_t history_cost(const struct llm_message *messages, size_t n);

#endif
