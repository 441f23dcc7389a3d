/* A turn: one user message in, one reply out. It belongs to the conversation, not to the client that asked: it runs to
 * its end, is stored as it grows, and everybody sees it in the room's log. One turn at a time runs in a conversation;
 * later ones wait in order. */
#ifndef CHAT_TURN_H
#define CHAT_TURN_H

#include "chat/chat.h"
#include "chat/room.h"

/* What a dialect's turns have in common: a door keeps one, filled at start. */
struct chat_surface {
    const char *space;   /* which conversations: "chat" "aimcs" "pichat" "care" */
    const char *model;   /* "" or NULL: the driver's default */
    const char *persona; /* system message, "" for none */
    double temperature;  /* negative: not sent */
    int max_tokens;      /* 0: not sent */
    bool needs_model;    /* without a model: the reply is no_model_text; otherwise the embedded responder answers */
    const char *no_model_text;
    const char *empty_text;   /* what the reply of a model that says nothing becomes; NULL: it stays empty */
    const char *failure_text; /* what becomes the stored reply when the model fails before saying anything; NULL: the
                               * reply stays empty and is left out of the history */
};

/* How one turn is answered, where the surface's ways are not meant: by an agent of a user's. */
struct turn_manner {
    struct str persona;   /* system message; empty: the surface's */
    struct str model;     /* empty: the surface's */
    double temperature;   /* negative: the surface's */
    int max_tokens;       /* 0: the surface's */
    unsigned history;     /* how many earlier messages are sent at most; 0: as many as the budget holds */
    struct str knowledge; /* what the embedded responder answers from (companyInfo) … */
    struct str speaker, company, intent; /* … in whose name, and about what: see struct llm_request */
};

struct turn_request {
    const struct chat_surface *surface; /* outlives the turn */
    struct str conversation_id;         /* empty: a new conversation with a new id */
    struct str owner;                   /* user id, empty for anonymous */
    bool create;                        /* an unknown id is created; otherwise CONVERSATION_NOT_FOUND */
    struct str text;                    /* blank: INVALID_REQUEST "Message is required" */
    struct str client_id;               /* the client's id for this message, empty: none. Repeated: no second turn */
    struct str user_id, reply_id;       /* ids for the message and the reply, empty: made here */
    struct str user_meta;               /* JSON object kept with the user's message */
    const struct turn_manner *manner;   /* NULL: the surface's */
    const void *origin;                 /* see struct room_event */
};

/* Strings live in the arena given to turn_start. */
struct turn_ticket {
    struct str conversation_id, user_message_id, reply_id;
    int64_t user_at_us, user_seq;
    bool created;            /* the conversation */
    bool duplicate;          /* client_id was seen before: the ids are those of the first time */
    struct room_cursor from; /* follow from here to see every event of this turn */
};

/* Stores the user message (durably) and starts or queues the turn. -1: INVALID_REQUEST, CONVERSATION_NOT_FOUND,
 * TOO_MANY_TURNS, STORE_UNAVAILABLE, SHUTTING_DOWN. */
int turn_start(struct chat *chat, const struct turn_request *request, struct arena *arena, struct turn_ticket *ticket,
               struct err *e);

struct turn_result {
    struct str text;            /* the stored reply */
    enum message_status status; /* MESSAGE_COMPLETE, _INTERRUPTED (cancelled, or cut by a crash) or _FAILED */
    struct str finish;          /* "stop", "length", "cancelled" … */
    struct str error;           /* why it failed, for the client; empty otherwise */
    struct llm_usage usage;
    bool model_used; /* a real or demo model answered (aiUsed) */
};

/* Parks until the ticket's turn is over. -1 when the wait was cancelled (the turn goes on). */
int turn_wait(struct chat *chat, const struct turn_ticket *ticket, struct arena *arena, struct turn_result *result,
              struct err *e);

/* Cancels the running turn of the conversation; what was said is stored as interrupted. 1 when there was one, 0 when
 * not (also when all is said and only being stored). */
int turn_cancel(struct chat *chat, struct str conversation_id, struct err *e);

#endif
