/* The product core: conversations, turns and rooms, for every dialect at once. It knows nothing of HTTP, sockets or a
 * dialect's JSON. All calls are made from tasks; each conversation lives on one loop (its home), chosen by its id. */
#ifndef CHAT_CHAT_H
#define CHAT_CHAT_H

#include "base/arena.h"
#include "base/err.h"
#include "llm/llm.h"
#include "loop/task.h"
#include "store/store.h"

struct chat;

struct chat_config {
    struct store *store;
    struct llm *llm;       /* NULL: no model is configured */
    struct llm *responder; /* the embedded one, which answers where no model is configured; NULL: nobody does */
    struct loop *const *loops;
    size_t nloops;
    unsigned history_tokens; /* budget of the history sent to the model */
    unsigned room_keep;      /* ms an idle room keeps its log for those who reconnect */
};

/* The loops must not run yet. config is copied; what it points to outlives the chat. */
struct chat *chat_new(const struct chat_config *config);
/* After all loops ended. Takes NULL, returns NULL. */
struct chat *chat_free(struct chat *chat);

/* Marks replies that a crash cut off as interrupted, with the text they had. Call once, before serving. Returns how
 * many there were, -1 on error. */
int chat_recover(struct chat *chat, struct err *e);

/* Whether a model is configured (LLM_PROVIDER=demo said outright counts). */
bool chat_has_model(const struct chat *chat);
/* Who answers: the configured model, else the embedded responder, else NULL. */
struct llm *chat_answerer(const struct chat *chat);
struct store *chat_store(struct chat *chat);
/* The loop on which the conversation lives. */
struct loop *chat_home(struct chat *chat, struct str conversation_id);

/* Draining: new turns are refused (SHUTTING_DOWN). chat_busy: turns still running on this loop. chat_abort cancels
 * them; their replies are stored as interrupted. Each on the loop's thread. */
void chat_drain(struct chat *chat);
size_t chat_busy(struct chat *chat);
void chat_abort(struct chat *chat);
/* On each loop's thread, once no loop has a task any more and before the first loop is freed: forgets its rooms. Those
 * who still follow, do not any longer (room_leave is harmless). */
void chat_loop_end(struct chat *chat);

#endif
