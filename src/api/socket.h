/* What the JSON WebSocket dialects (000 on /ws/audio and /, 004 on /ws) share: commands as a table, and followers that
 * carry a room's log to one socket. Private to api/. */
#ifndef API_SOCKET_H
#define API_SOCKET_H

#include "api/api_impl.h"
#include "net/conn.h"
#include "server/websocket.h"

/* How a command runs. */
enum command_mode {
    COMMAND_NOW,      /* at once, on the loop: answers from what it has */
    COMMAND_SERIAL,   /* in the socket's task, one after the other: reads or writes the store */
    COMMAND_DETACHED, /* in a task of its own: waits for a reply while other commands go on */
};

/* A message of the client. wants[0] is "type". */
struct socket_message {
    struct websocket *ws;
    struct arena *arena; /* NULL for COMMAND_NOW */
    struct str text;     /* the whole JSON */
    const struct json_want *wants;
};

struct socket_command {
    const char *type;
    enum command_mode mode;
    void (*handle)(struct socket_message *m);
};

/* A dialect: which members it reads and what it does. */
struct socket_dialect {
    const char *const *paths; /* members to look for; paths[0] names the command */
    size_t npaths;            /* at most SOCKET_WANTS */
    const struct socket_command *commands;
    size_t ncommands;
    bool (*refused)(struct socket_message *m); /* answers what no command may look like; NULL: nothing */
    void (*unknown)(struct socket_message *m); /* no such command, or none named */
    void (*malformed)(struct websocket *ws, const struct err *e);
    void (*failed)(struct websocket *ws, const struct err *e); /* a command could not be done */
};
#define SOCKET_WANTS 12

/* State at the start of each such socket's record (websocket_user). */
struct socket_state {
    const struct socket_dialect *dialect;
    struct list followers; /* struct socket_follower */
    bool has_token;        /* the upgrade showed the API token */
    char *conversation;    /* dialect 000: what the socket's messages belong to; NULL until the first */
};

void socket_open(struct websocket *ws, const struct http_request *rq, const struct socket_dialect *dialect);
void socket_message(struct websocket *ws, enum ws_opcode opcode, struct str data);
void socket_drained(struct websocket *ws);
void socket_closed(struct websocket *ws, uint16_t code, struct str reason);

struct api *socket_api(struct websocket *ws);
/* Tells of a command that could not be done, in the dialect's shape. Harmless when the socket is closed. */
void socket_fail(struct websocket *ws, const struct err *e);
/* Sends what the writer has as one text message and frees its buffer; what became too large is told as a failure. */
void socket_send_jw(struct websocket *ws, struct jw *w);

/* {"type":"resume",…}: replays what was missed, then pushes every event of the conversation, of whichever dialect the
 * client may come to. Serial. */
void socket_resume(struct socket_message *m, struct str conversation_id, struct str last_id);

/* One socket's interest in one room. `push` sends what is new until the queue is full; it is called again when the
 * queue is short. Returning false ends the follower. */
struct socket_follower {
    struct room_follower room;
    struct list link;
    struct websocket *ws; /* referenced */
    bool (*push)(struct socket_follower *follower);
    struct str reply_id;  /* of followers that carry one reply */
    size_t sent;          /* bytes of its text that were sent */
    struct str scoped_id; /* the conversation */
    void *extra;          /* malloc'd, freed with the follower; NULL: none */
};

/* Starts to follow, in the running task. NULL with *e; when the socket closed meanwhile, CANCELLED. The caller owns the
 * follower until socket_follow_start. */
struct socket_follower *socket_follow(struct websocket *ws, struct str conversation_id, const struct room_cursor *from,
                                      struct arena *arena, struct room_join *join, struct err *e);
/* Hands the follower to its socket and pushes what is there. It may be gone when this returns. */
void socket_follow_start(struct socket_follower *follower, bool (*push)(struct socket_follower *));
void socket_unfollow(struct socket_follower *follower);

/* The JSON of an event as the raw sockets and SSE carry it: events.c. */
const char *event_name(const struct room_event *event);
/* Members of the event's data, without braces. */
void put_event(struct jw *w, const struct room_event *event);
/* The event as an encoded WebSocket frame, {"type":"event",…}. */
struct blob *event_as_frame(const struct room_event *event);

#endif
