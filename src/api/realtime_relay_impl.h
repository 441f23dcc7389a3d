/* What the files of the realtime relay share. Private to them.
 *
 * A session is a browser's or an SDK's socket with an upstream socket behind it. Frames pass as they come, each way;
 * what is looked at is the upstream's first message, and on /api/realtime the names of its events. */
#ifndef API_REALTIME_RELAY_IMPL_H
#define API_REALTIME_RELAY_IMPL_H

#include "api/api_impl.h"
#include "base/metrics.h"
#include "client/ws_client.h"
#include "server/websocket.h"

struct realtime_relay {
    const struct api_realtime *config;
    struct upstream *upstream; /* NULL: nobody is there, or nobody we have the key of */
    bool beta;                 /* the upstream speaks the preview form: other names, another session object */
    struct metric *open, *refused;
};

/* ---- where to, and how to speak there: realtime_relay_upstream.c ---- */

/* What one client wishes of the upstream: made while its request is there, used by the task that opens the socket. */
struct realtime_wish {
    struct arena *arena; /* holds this record too */
    struct str path;
    struct fetch_header headers[4];
    size_t nheaders;
};
/* rq's model, intent, call_id and OpenAI-Beta, when it came to /v1/realtime; never its token. */
struct realtime_wish *realtime_wish_new(const struct realtime_relay *relay, struct http_request *rq, bool v1);
/* The session's first frame on /api/realtime. */
void realtime_put_session(const struct realtime_relay *relay, struct buf *out);

/* ---- frames kept for later, and raw audio as text: realtime_relay_frame.c ---- */

/* Appends the frame, with its type and place in its message. */
void realtime_keep(struct buf *frames, enum ws_opcode opcode, bool fin, struct str data);
/* Takes the first frame off *rest; false when there is none. */
bool realtime_kept(struct str *rest, enum ws_opcode *opcode, bool *fin, struct str *data);

/* Raw audio in frames becomes an input_audio_buffer.append of as many frames. */
struct realtime_audio {
    bool under_way; /* a binary message has begun */
    uint8_t carried;
    char carry[3]; /* bytes that do not make four characters yet */
};
/* The text of the frame that takes this one's place; begins: it is the first of its message. */
void realtime_audio_text(struct realtime_audio *audio, bool begins, bool fin, struct str data, struct buf *out);

/* ---- what an event is: realtime_relay_event.c ---- */

#define REALTIME_LOOK_MAX KIB(256) /* of a message in several frames; a longer one is not looked at */

enum realtime_kind {
    REALTIME_UNDECIDED, /* the name has not come yet */
    REALTIME_PLAIN,     /* nothing to us */
    REALTIME_ERROR,     /* "error" */
    REALTIME_DONE,      /* "response.done" */
    REALTIME_RENAMED,   /* has another name beside its own */
};

/* The upstream's message under way. Zero-initialise; realtime_look_end frees. */
struct realtime_look {
    struct buf text; /* the message so far, unless it is one frame or plain */
    size_t again_at; /* its length at which the name is worth looking for again */
    enum realtime_kind kind;
    bool beta;
};
/* The message's next frame. Once it is over, and not plain: its text, valid until the next call; else STR_NONE. */
struct str realtime_look_at(struct realtime_look *look, enum ws_opcode opcode, bool fin, struct str data);
void realtime_look_end(struct realtime_look *look);
/* The event that is sent beside a message of those kinds, in n <= 3 parts; 0: none. */
size_t realtime_beside(const struct realtime_look *look, struct str text, struct str parts[3]);
/* Finds the value of `type` among the members of the object at the start of the text: 1, 0 when the text ends before,
 * -1 when there is none. */
int realtime_event_type(struct str text, struct str *type);

/* ---- why a session failed, in our words: realtime_relay_refusal.c ---- */

struct realtime_refusal {
    char type[64], code[64]; /* of the error event */
    const char *text;
    uint16_t close_code;
};
/* From a failure to open the upstream's socket. */
void realtime_refusal_of(struct realtime_refusal *out, const struct err *e);
/* From an error event of the upstream's: its type and code, none of its text. */
void realtime_refusal_event(struct realtime_refusal *out, struct str event);
/* From its close frame, whose reason may be "type.code". */
void realtime_refusal_close(struct realtime_refusal *out, uint16_t code, struct str reason);
/* {"type":"error",…} */
void realtime_put_error(const struct realtime_refusal *refusal, struct buf *out);

#endif
