/* The chat dialect (002) on Socket.IO, in one namespace with customer care (003: care_live_impl.h). On each loop a
 * conversation that clients there have joined has one live_room: it follows the room's log once, translates each event
 * once, and hands the frame to its members. Private to api/. */
#ifndef API_LIVE_IMPL_H
#define API_LIVE_IMPL_H

#include "api/api_impl.h"
#include "api/snapshot.h"
#include "base/list.h"
#include "base/map.h"
#include "loop/task.h"
#include "server/socketio.h"

#define LIVE_CONVERSATIONS 64     /* that one socket may be in: invalid request */
#define LIVE_CONVERSATION  MIB(4) /* text of a conversation in stream_complete: older messages are left out */

/* One loop's rooms; api->rooms[index of the loop]. */
struct live_loop {
    struct api *api;
    struct map rooms;    /* conversation id -> struct live_room */
    struct list errands; /* rooms that wait for a worker: live_room.errand */
    unsigned workers;
    struct map care_lines; /* conversation id -> struct care_line */
    struct map care_users; /* user id -> struct care_user, of those who have turns in them */
};

enum live_state {
    LIVE_JOINING, /* the log is not followed yet */
    LIVE_OPEN,    /* events are taken as they come */
    LIVE_WAITING, /* an errand reads the store; events stay in the log until it is done */
    LIVE_OVER,    /* the conversation was deleted: no member any more */
};

struct live_room {
    struct live_loop *at;
    struct str id;
    struct room_follower follower;
    uint64_t epoch;
    enum live_state state;
    struct waitlist opened;
    struct list members; /* live_member.in_room */
    unsigned pins;       /* reasons to stay besides members */
    bool reading, again; /* live_room_read is on the stack; it shall look once more */
    char space[32];      /* where the conversation belongs; "": it does not exist, as far as is known */
    struct list errand;
    void (*run)(struct live_room *room); /* the errand */
    struct room_event *held;             /* taken from the log, not dealt with yet: what the errand is about */
    struct snapshot_told *told;          /* after a lag: what `resynced` members know from a snapshot */
    /* The reply being written, as far as the log was read. */
    struct {
        struct str id;      /* .p NULL: none */
        uint64_t mark;      /* map_hash(id) */
        size_t sent;        /* bytes of its text that the last chunk had */
        bool fixed;         /* no model writes it: it is told in one piece */
        bool ended;         /* the last chunk is out, stream_complete not yet */
        bool due;           /* there is text that no chunk had */
        struct blob *chunk; /* the newest chunk, and how much text it has */
        size_t chunk_end;
    } reply;
    struct timer tick; /* for the next chunk */
    uint64_t next_ms;  /* not before this */
};

/* A socket in a conversation. Between two loops (recovery) it has no room. */
struct live_member {
    struct list in_room, in_socket;
    struct live_room *room;
    struct sio_socket *socket;
    struct str id;           /* the conversation */
    bool delta;              /* chunks carry what is new */
    bool implicit;           /* joined by stream_chat alone */
    bool ended;              /* of `reply` the last chunk was told, stream_complete not yet */
    bool resynced;           /* knows what room->told says */
    uint64_t reply;          /* mark of the running reply it was told of; 0: none */
    uint64_t last;           /* mark of the last one */
    size_t told;             /* bytes of its text */
    uint64_t skip;           /* it knows the log's events up to this offset */
    struct room_cursor from; /* without a room: what it was told last; epoch 0: nobody knows */
};

/* State of a socket: sio_user. */
struct live_socket {
    struct list members; /* live_member.in_socket */
    size_t n;
    bool has_token;           /* showed the API token, or a user's */
    char *jwt;                /* what was shown as a user's token, good or not; NULL: none */
    struct care_member *care; /* NULL until it had to do with customer care */
    bool lost_some;           /* something did not reach it: it cannot be recovered */
    bool over;
};

/* ---- live_json.c: frames for many sockets; each returns one reference ---- */

/* Every event but DELTA and NOTICE; of an ended reply its last chunk. For room_event_encoded. */
struct blob *live_event_frame(const struct room_event *event);
struct live_chunk {
    struct str conversation_id, message_id;
    struct str content, delta; /* .p NULL: left out */
    bool complete;
};
struct blob *live_chunk_frame(const struct live_chunk *chunk);
struct blob *live_start_frame(struct str conversation_id, struct str message_id);
/* stream_complete; the conversation's messages as they shall be told. */
struct blob *live_complete_frame(const struct conversation *c, struct str message_id, struct str finish);
/* stream_error, of a reply. */
struct blob *live_error_frame(struct str conversation_id, struct str message_id, struct str text, struct str code);
/* conversation_deleted. */
struct blob *live_deleted_frame(struct str conversation_id);
/* The text of an ended reply. */
struct str live_ended_text(const struct room_event *event);

/* ---- live_room.c ---- */

/* The room of this loop, pinned, made when there is none. May wait. */
struct live_room *live_room_get(struct live_loop *at, struct str id, struct err *e);
void live_room_unpin(struct live_room *room);
/* Whether the socket may be in this conversation: 0, -1 CONVERSATION_NOT_FOUND or why it cannot be known. May wait. A
 * conversation that does not exist yet is nobody's. */
int live_room_admit(struct live_room *room, struct sio_socket *s, struct err *e);
/* Adds and removes; the member is the socket's. */
void live_room_add(struct live_room *room, struct live_member *member);
void live_room_remove(struct live_member *member);
/* Takes what is new in the log. */
void live_room_read(struct live_room *room);
/* Lets `run` be called in a task, which sets the state to LIVE_OPEN when it needs to wait no more; no event is taken
 * until then. */
void live_room_errand(struct live_room *room, void (*run)(struct live_room *room));
/* The conversation as stream_complete has it, after the reply told by `event` ended. NULL with *e. May wait. */
struct blob *live_load_complete(struct live_loop *at, const struct room_event *event, struct err *e);

/* ---- live_member.c ---- */

/* The loop the caller is on. */
struct live_loop *live_here(const struct sio_socket *s);
/* Marks what the socket does in a log: room_event.origin. */
const void *live_origin(const struct sio_socket *s);
struct live_member *live_member_find(struct sio_socket *s, struct str id);
/* Joins: 1 when it was not in it before, 0 when it was; tells it of the running reply. May wait. */
struct live_join {
    struct str id;
    bool implicit;
    enum { LIVE_AS_BEFORE, LIVE_WHOLE, LIVE_DELTA } text;
};
int live_join(struct sio_socket *s, const struct live_join *join, struct err *e);
void live_leave(struct live_member *member);
/* Whether the event is news to this member, and not its own doing. */
bool live_member_wants(const struct live_member *member, const struct room_event *event);
/* Sends an event; notes when it will not arrive. */
void live_send(struct live_member *member, struct blob *frame);
bool live_can_recover(struct sio_socket *s);
void live_depart(struct sio_socket *s);
int live_arrive(struct sio_socket *s, struct err *e);
void live_closed(struct sio_socket *s, const char *reason);

/* ---- live_reply.c: one reply being written, told to each member at its own pace ---- */

void live_reply_set(struct live_room *room, struct str id); /* STR_NONE: there is none */
void live_reply_start(struct live_room *room, struct room_event *event);
void live_reply_grow(struct live_room *room, const struct room_event *event);
/* All that is new was read: sends a chunk, now or when its time has come. */
void live_reply_due(struct live_room *room);
/* Sends the last chunk and lets an errand send stream_complete. */
void live_reply_end(struct live_room *room, struct room_event *event);
/* The member was told that this reply begins. */
void live_reply_told(struct live_member *member, struct str message_id);
/* Tells a new member what is being written. */
void live_reply_tell(struct live_member *member);
/* The member reads again. */
void live_reply_catch_up(struct live_member *member);
/* The last chunk of an ended reply, to one member that was told of its beginning. */
void live_reply_last_chunk(struct live_member *member, struct room_event *event);
/* stream_complete, or why there is none, to one member. */
void live_reply_over(struct live_member *member, struct blob *frame);

/* ---- live_events.c: what clients send ---- */

#define LIVE_ROWS 9
extern const struct sio_row live_rows[LIVE_ROWS];
void live_unknown_event(struct sio_message *m);
/* Sends an event with these arguments, JSON. */
void live_tell(struct sio_socket *s, struct str name, struct str args);
/* The acknowledgement, when one was asked for: of a failure {"ok":false,"error":text,"code":NAME}. */
void live_ack(const struct sio_message *m, struct str json);
void live_ack_failure(const struct sio_message *m, const struct err *e);
/* What went wrong inside is for the log, not for the client. */
struct str live_public_text(const struct err *e);

/* ---- live.c ---- */

extern const struct sio_namespace live_namespaces[];
extern const size_t live_namespace_count;
struct live_loop *live_loops_new(struct api *api, size_t nloops);
struct live_loop *live_loops_free(struct live_loop *loops, size_t nloops);
/* Whether the chat dialect is open to the client. */
bool live_may_chat(struct sio_socket *s);
/* The token that the request shows: sio_config.remember. */
struct blob *live_remember(void *api, const struct http_request *rq);

#endif
