/* Conversations as doors read and change them (struct conversation and struct message are the store's). Everything
 * returned lives in the arena. */
#ifndef CHAT_CONVERSATION_H
#define CHAT_CONVERSATION_H

#include "chat/chat.h"

/* Who asks: an anonymous client of a dialect, or a user. Conversations of other spaces or owners are not found. */
struct chat_scope {
    const char *space; /* NULL: any; for reading only */
    struct str owner;  /* empty: anonymous */
};

/* The documented title: the first 50 UTF-16 units of the message, "..." behind when it is longer. */
struct str conversation_title(struct arena *arena, struct str text);

/* id empty: a new one. CONFLICT when it exists. */
int conversation_create(struct chat *chat, const struct chat_scope *scope, const struct conversation *conversation,
                        struct arena *arena, struct conversation *out, struct err *e);
/* messages: how many of the last ones to return in out->messages, oldest first; STORE_ALL; 0: none.
 * CONVERSATION_NOT_FOUND. */
int conversation_get(struct chat *chat, const struct chat_scope *scope, struct str id, int64_t messages,
                     struct arena *arena, struct conversation *out, struct err *e);
/* Calls each(arg, conversation) for every conversation of the scope, newest first, with its last `messages` messages.
 * What it gets is valid during the call; a negative return ends the walk and is returned. */
struct conversation_walk {
    enum conversation_order order;
    int64_t messages;
    int (*each)(void *arg, const struct conversation *conversation, struct err *e);
    void *arg;
};
int conversation_walk(struct chat *chat, const struct chat_scope *scope, const struct conversation_walk *walk,
                      struct err *e);
int conversation_retitle(struct chat *chat, const struct chat_scope *scope, struct str id, struct str title,
                         struct arena *arena, struct conversation *out, struct err *e);
/* Cancels its running turn, tells its followers, deletes it and its messages. CONVERSATION_NOT_FOUND. */
int conversation_delete(struct chat *chat, const struct chat_scope *scope, struct str id, struct err *e);

/* "complete" "streaming" "interrupted" "failed" */
const char *message_status_name(enum message_status status);

#endif
