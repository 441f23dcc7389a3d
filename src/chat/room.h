/* A room is the live log of one conversation: events numbered by (epoch, offset), kept for a while so that a follower
 * that comes late or reconnects reads what it missed and then what happens. Doors follow the log; they never talk to
 * each other. The log's home is one loop; other loops keep a copy while somebody there follows (same events, shared).
 */
#ifndef CHAT_ROOM_H
#define CHAT_ROOM_H

#include "base/blob.h"
#include "chat/chat.h"

#include <stdatomic.h>

enum room_event_type {
    ROOM_MESSAGE,        /* a user message was stored: message_id, text, client_id */
    ROOM_REPLY_STARTED,  /* message_id of the reply */
    ROOM_DELTA,          /* text to append to the reply message_id */
    ROOM_REPLY_FINISHED, /* the reply is stored: text is the whole of it, finish why it ended */
    ROOM_REPLY_FAILED,   /* code and text say why; what was said is stored (partial: `whole`) */
    ROOM_TYPING,         /* user_id, user_name; text "1" or "0" */
    ROOM_READ,           /* message_id was read by user_id */
    ROOM_DELETED,        /* the conversation is gone */
    ROOM_PRIORITY,       /* the conversation's priority changed: text "high" or "normal", code the sentiment */
    ROOM_NOTICE,         /* to a whole space, of no conversation: message_id, text, code, finish; see chat/notice.h */
    ROOM_EVENT_TYPES
};

/* Doors keep the bytes they made of an event here, so that each encoding is made once however many follow. */
enum room_encoding { ROOM_AS_SSE, ROOM_AS_SOCKET, ROOM_AS_SOCKETIO, ROOM_ENCODINGS };

/* Immutable once in the log. Strings are NUL-terminated behind their end and live as long as the event. */
struct room_event {
    atomic_uint refs;
    enum room_event_type type;
    uint64_t epoch, offset;
    int64_t at_us;      /* when the message it is about was made, microseconds since 1970 */
    const void *origin; /* whose doing it was: a door's own mark, compared only; NULL: nobody's */
    struct str conversation_id, message_id, client_id, text, finish, code, user_id, user_name;
    struct str whole;           /* REPLY_FAILED: the reply as it is stored now */
    enum message_status status; /* REPLY_FINISHED, REPLY_FAILED: of the reply */
    struct llm_usage usage;     /* REPLY_FINISHED */
    bool model_used;            /* REPLY_FINISHED: a model or the responder wrote it, not a fixed text */
    _Atomic(struct blob *) encoded[ROOM_ENCODINGS];
};

void room_event_unref(struct room_event *event);
/* The event in this encoding, made by `encode` on first use (it returns a blob with one reference). The event keeps
 * the reference: take your own with blob_ref to hold it longer. Any thread. */
struct blob *room_event_encoded(struct room_event *event, enum room_encoding as,
                                struct blob *(*encode)(const struct room_event *event));

/* A place in a log. Written "epoch-offset" in lower-case hex and decimal; offset is the last event seen. */
struct room_cursor {
    uint64_t epoch, offset;
};
#define ROOM_CURSOR_MAX 40
void room_cursor_print(char out[ROOM_CURSOR_MAX], struct room_cursor cursor);
int room_cursor_parse(struct str text, struct room_cursor *cursor);

struct room_view;

/* Somebody who follows a log, embedded in the door's own record; zero-initialise. notify runs on the follower's loop
 * whenever there is something new, outside of tasks; it then takes events with room_next, now or later. */
struct room_follower {
    struct list link;
    struct room_view *view; /* NULL: it does not follow */
    uint64_t next;          /* offset of the next event to take */
    bool lagged;            /* the log no longer has it */
    void (*notify)(struct room_follower *follower);
};

/* What a follower finds when it joins. */
struct room_join {
    struct room_cursor now;  /* the newest event; following continues behind it, or behind `from` when replayed */
    bool replayed;           /* `from` was honoured: nothing is missed. Otherwise read the conversation anew */
    uint64_t missed;         /* events that will be replayed */
    struct str running_id;   /* the reply being written, .p NULL when none */
    struct str running_text; /* what it says so far; events behind `now` continue it. In the arena */
};

/* Starts to follow on the calling loop. from NULL: only what comes from now on. Otherwise events behind *from are
 * replayed when the log still has them (join->replayed). follower->notify must be set; it is not called before
 * room_follow returned. Parks when the log's home is another loop. The conversation need not exist yet. */
int room_follow(struct chat *chat, struct str conversation_id, struct room_follower *follower,
                const struct room_cursor *from, struct arena *arena, struct room_join *join, struct err *e);
/* The next event, NULL when there is none yet or follower->lagged. Valid until the follower leaves or the loop is
 * given back; take a reference with room_event_ref to hold it longer. */
struct room_event *room_next(struct room_follower *follower);
struct room_event *room_event_ref(struct room_event *event);
/* Skips to the newest event (after a lag was told to the client). */
void room_skip(struct room_follower *follower);
/* Skips to the oldest event the log has. */
void room_skip_lost(struct room_follower *follower);
/* The reply being written as this loop knows it: its text so far, STR_NONE when it is not running. Valid until the
 * loop is given back. For followers that coalesce, or catch up after a lag. */
struct str room_running(const struct room_follower *follower, struct str *message_id);
/* Harmless when it does not follow. */
void room_leave(struct room_follower *follower);

/* A short-lived event that is not stored: typing, read marks. Any loop. Ignored when nobody follows. */
void room_typing(struct chat *chat, struct str conversation_id, const void *origin, struct str user_id,
                 struct str user_name, bool typing);
void room_read(struct chat *chat, struct str conversation_id, const void *origin, struct str user_id,
               struct str message_id);

#endif
