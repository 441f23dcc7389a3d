/* What the Engine.IO files share; nobody else includes it.
 *
 * Who owns what. A session is freed by eio_forget alone, which only the loop itself calls: in the shard's turn, from
 * the session's timer, in eio_loop_end. So callbacks may do anything to their session, and whoever has one on the stack
 * goes on with it, but looks at its state first.
 * Ending is in two steps: eio_close notes it, the turn does it (tells the transports, on_closed, frees). Replies to
 * held requests are made in the turn as well, so that a burst of messages is one reply.
 * Transports own themselves: the session and a WebSocket point at each other (eio_link), as the session and its held
 * requests do (rq->user). Whichever ends first cuts both pointers. */
#ifndef ENGINEIO_IMPL_H
#define ENGINEIO_IMPL_H

#include "server/engineio.h"
#include "server/server_impl.h"

#include <stdalign.h>

#define EIO_SID        20    /* characters */
#define EIO_NOOP_EVERY 100   /* ms between the noops that end polls while a WebSocket probes */
#define EIO_LINGER     30000 /* ms the last packets of an ended session wait for its client's polls */

/* The server on one loop. */
struct eio_shard {
    struct eio_server *server;
    struct loop *loop;      /* NULL before the first request */
    struct server_loop *sl; /* likewise: its configuration */
    struct map sessions;    /* by id */
    struct list all;        /* eio_session.link */
    struct list due;        /* eio_session.due: those the turn looks at */
    struct loop_end turn;
    bool draining;
};

struct eio_server {
    struct eio_config config;
    const struct eio_ops *ops;
    void *owner;
    atomic_size_t count;
    size_t nloops;
    struct eio_shard *shards[];
};

/* A packet that waits for a poll, or for the WebSocket to begin. */
struct eio_item {
    struct blob *blob;  /* text: made by eio_frame; binary: the bytes; NULL: no data */
    enum eio_type type; /* EIO_MESSAGE whenever there is a blob */
    bool binary;
};
#define EIO_ITEM_COST                                                                                                  \
    (sizeof(struct eio_item) + sizeof(struct blob)) /* counts towards the limit, so that tiny do too */

enum eio_state {
    EIO_RUNNING,
    EIO_ENDED,     /* eio_close was called: the turn does the rest */
    EIO_LINGERING, /* on_closed was called; the last packets wait for polls */
    EIO_OVER,      /* nothing more: the turn frees it */
};

/* A WebSocket that may become the transport. */
struct eio_probe {
    struct eio_session *session;
    struct websocket *ws;
    struct timer timer;
    uint64_t until; /* loop_now_ms() at which it has taken too long */
    bool b64;
};

/* One client. Behind the owner's bytes lies the client's address as text. */
struct eio_session {
    struct list link, due;
    struct eio_shard *shard;
    struct websocket *ws;      /* NULL: polling, or it is gone */
    struct eio_probe *probe;   /* NULL: none */
    struct http_request *poll; /* the GET that is held */
    struct eio_coming *coming; /* the POST whose body is on its way */
    struct http_request *post; /* the POST that is held while paused: only polling, too */
    struct eio_item *items;    /* NULL while nothing waits */
    uint32_t nitems, items_cap;
    size_t queued;             /* bytes of the items, with their cost */
    uint64_t sent;             /* messages */
    uint64_t sent_before_beat; /* those in front of the last heartbeat */
    uint64_t beat_at;          /* loop_now_ms() when it left */
    struct timer timer;        /* heartbeat; before: open_delay; after: EIO_LINGER */
    uint32_t heard_at;         /* protocol 3: low bits of loop_now_ms() of the last packet */
    char sid[EIO_SID + 1];
    uint8_t version, state, end; /* enum eio_version, eio_state, eio_end */
    bool socket : 1;             /* the transport is a WebSocket */
    bool opening : 1;            /* whose open packet was not sent yet */
    bool b64 : 1;                /* the client takes binary as base64 only */
    bool beating : 1;            /* a heartbeat is not answered yet */
    bool extended : 1;           /* and its time was prolonged once */
    bool paused : 1;
    bool full : 1; /* eio_writable was false: on_drained is owed */
    alignas(max_align_t) char user[];
};

/* For logs: too little of the id to use it, enough to tell sessions apart. */
static inline struct str eio_log_id(const struct eio_session *s)
{
    return str_n(s->sid, 6);
}

/* A POST that is not there to its end; lies in its request's arena, which ends whatever becomes of it. */
struct eio_coming {
    struct eio_session *session; /* NULL once one of the two is over, or the body is there */
};

/* In a WebSocket's record. */
struct eio_link {
    struct eio_session *session; /* NULL: it has no business here any more */
};

/* ---- engineio.c: registry ---- */

/* The running loop's. */
struct eio_shard *eio_shard_here(struct eio_server *server);
/* NULL for an unknown id. */
struct eio_session *eio_find(const struct eio_shard *shard, struct str sid);
/* The query's sid as it is; empty when there is none. Ids need no escapes. */
struct str eio_query_sid(struct str query);
struct eio_session *eio_session_new(struct eio_shard *shard, struct http_request *rq, enum eio_version version);
void eio_forget(struct eio_session *s);
/* The session wants to be looked at before the loop blocks. */
void eio_make_due(struct eio_session *s);

/* ---- engineio_session.c: life ---- */

/* The open packet is on its way: heartbeats begin. */
void eio_begin(struct eio_session *s);
/* The handshake is done with: the owner is told. */
void eio_opened(struct eio_session *s, struct http_request *rq);
/* A packet came over the transport. False: no further one counts. */
bool eio_take(struct eio_session *s, const struct eio_packet *packet);
/* What the turn does for a session. */
void eio_serve(struct eio_session *s);
/* Ends it now, its transports too. */
void eio_finish(struct eio_session *s);
void eio_on_timer(struct timer *timer);
/* The client's time to give a sign is over; the timer that says so is about to fire. */
bool eio_is_overdue(const struct eio_session *s);

/* ---- engineio_http.c: requests, and what is wrong with them ---- */

enum eio_code {
    EIO_CODE_TRANSPORT,
    EIO_CODE_SID,
    EIO_CODE_METHOD,
    EIO_CODE_REQUEST,
    EIO_CODE_FORBIDDEN,
    EIO_CODE_VERSION,
    EIO_CODES, /* none: the request is in order */
};
const char *eio_code_text(enum eio_code code);

/* What a request wants, once it is found to be in order. */
struct eio_ask {
    struct eio_shard *shard;
    struct eio_session *session; /* NULL: a new one */
    enum eio_version version;
    bool websocket; /* the transport it names */
};
enum eio_code eio_check(struct http_request *rq, bool upgrade, struct eio_ask *ask);
/* Whether the path is whole: the router takes it with and without the slash. Answers 404 otherwise. */
bool eio_path_is_whole(struct http_request *rq);
/* Answers with a code. */
void eio_refuse(struct http_request *rq, enum eio_code code);
/* Whether one more session may begin; answers 503 otherwise. */
bool eio_may_begin(const struct eio_shard *shard, struct http_request *rq);
bool eio_wants_b64(struct http_request *rq);
/* The open packet, as text. */
void eio_put_open(const struct eio_session *s, struct buf *out);

/* ---- engineio_poll.c: polling ---- */

void eio_poll_open(const struct eio_ask *ask, struct http_request *rq);
void eio_poll_get(struct eio_session *s, struct http_request *rq);
void eio_poll_post(struct eio_session *s, struct http_request *rq);
/* Its body comes, unless it is refused here. */
void eio_poll_post_begins(struct eio_session *s, struct http_request *rq);
/* Answers the held GET with what waits; with a noop behind it when nothing does. */
void eio_answer_poll(struct eio_session *s);
/* Answers the held POST. */
void eio_answer_post(struct eio_session *s);

/* ---- engineio_socket.c: WebSocket ---- */

/* The open packet leaves, and what waited behind it. */
void eio_socket_begin(struct eio_session *s);
/* Closes the WebSocket and the one that probes. */
void eio_socket_end(struct eio_session *s);
/* A binary message to the session's WebSocket. 0, or -1 when it was not queued. */
int eio_socket_binary(struct eio_session *s, struct str data);

/* ---- engineio_send.c: queue ---- */

/* A packet without data. */
void eio_send_control(struct eio_session *s, enum eio_type type);
/* Adds a packet to what waits. */
void eio_queue(struct eio_session *s, enum eio_type type, bool binary, struct blob *blob);
/* Everything that waits goes to the WebSocket. */
void eio_flush(struct eio_session *s);
void eio_drop_queue(struct eio_session *s);
/* The type and data of a packet that waits. */
struct eio_packet eio_item_packet(const struct eio_item *item);
/* Tells the owner when the client keeps up again. */
void eio_check_drained(struct eio_session *s);

/* ---- engineio_metrics.c ---- */

struct eio_metrics {
    struct metric *polling, *websocket; /* open sessions */
    struct metric *opened, *upgrades, *dropped;
    struct metric *closed[EIO_SHUTDOWN + 1]; /* by enum eio_end */
    struct metric *refused[EIO_CODES];
};
const struct eio_metrics *eio_metrics(void);
static inline struct metric *eio_gauge(const struct eio_session *s)
{
    return s->socket ? eio_metrics()->websocket : eio_metrics()->polling;
}

#endif
