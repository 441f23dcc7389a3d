/* Conversations and their messages as doors read and change them. Everything returned lives in the arena. */
#ifndef CHAT_CONVERSATION_H
#define CHAT_CONVERSATION_H

#include "chat/chat.h"

/* Who asks: an anonymous client of a dialect, or a user. Conversations of other spaces or owners are not found. */
struct chat_scope {
    const char *space;
    struct str owner;
};

struct conversation {
    struct store_conversation info;
    struct store_message *messages; /* oldest first */
    size_t nmessages;
};

/* The documented title: the first 50 UTF-16 units of the message, "..." behind when it is longer. */
struct str conversation_title(struct arena *arena, struct str text);

int conversation_create(struct chat *chat, const struct chat_scope *scope, struct str id, struct str title,
                        struct arena *arena, struct conversation *out, struct err *e);
int conversation_get(struct chat *chat, const struct chat_scope *scope, struct str id, bool with_messages,
                     struct arena *arena, struct conversation *out, struct err *e);
/* Calls each(arg, conversation) with every conversation of the scope, newest change first (or newest created first),
 * with its messages when asked for. The conversation is valid during the call; a negative return ends the walk. */
struct conversation_walk {
    bool with_messages, by_created;
    struct str cursor; /* start behind it; empty: from the newest */
    size_t limit;      /* 0: all */
    int (*each)(void *arg, const struct conversation *conversation);
    void *arg;
};
int conversation_walk(struct chat *chat, const struct chat_scope *scope, const struct conversation_walk *walk,
                      struct err *e);
int conversation_retitle(struct chat *chat, const struct chat_scope *scope, struct str id, struct str title,
                         struct arena *arena, struct conversation *out, struct err *e);
/* Cancels its running turn, tells its followers, deletes it and its messages. */
int conversation_delete(struct chat *chat, const struct chat_scope *scope, struct str id, struct err *e);

#endif
