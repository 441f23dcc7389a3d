/* What the files of this folder share; nobody else includes it. Everything here belongs to one loop and is touched by
 * its thread only, unless said. */
#ifndef SERVER_IMPL_H
#define SERVER_IMPL_H

#include "base/map.h"
#include "base/metrics.h"
#include "loop/timer.h"
#include "net/conn.h"
#include "net/listener.h"
#include "server/access_log.h"
#include "server/proxy.h"
#include "server/rate_limit.h"
#include "server/server.h"

#include <pthread.h>
#include <stdatomic.h>

struct sse_stream; /* sse.c */
struct router;     /* router.c */
struct route;

#define SERVER_LOOPS 256
#define SERVER_PORTS 16

struct server {
    struct server_config config; /* as given to server_new; loops have their own copy, see server_loop.config */
    struct router *router;
    atomic_size_t nloops;
    int (*steer)(void *arg, const struct http_head *head); /* NULL: every loop serves what comes to it */
    void *steer_arg;
    void (*on_body)(struct http_request *rq); /* may be NULL */
    pthread_mutex_t lock;                     /* guards loops[] and nloops while they come, config, addresses */
    struct server_loop *loops[SERVER_LOOPS];
    atomic_size_t connections, websockets;
    struct map addresses;                 /* address -> struct address_count, only while a limit is set */
    struct metric *http_gauge, *ws_gauge; /* open connections by kind */
    struct metric *refused;               /* connections answered 503 */
    struct rate_limit *rate_limit;
    struct access_log *access_log; /* NULL: off */
};

/* The server on one loop. */
struct server_loop {
    struct server *server;
    struct loop *loop;
    struct server_config config; /* this loop's copy: no lock to read it; replaced by server_reconfigure */
    struct list conns;           /* http_conn.link: every open connection, upgraded ones too */
    size_t nconns;
    atomic_size_t arriving; /* on their way from other loops, counted by these */
    struct server_port {
        struct server_loop *sl;
        struct listener *listener;
        struct tls_context *tls;
    } ports[SERVER_PORTS];
    size_t nports;
    atomic_bool draining; /* this loop's thread sets it */

    struct access_log_writer *access_log; /* NULL: off */
    struct trust_proxy trust;             /* its networks are the configuration's */

    uint64_t date_until; /* loop_now_ms() up to which date holds */
    char date[30];
    uint64_t next_id;  /* of requests */
    char id_prefix[9]; /* random: ids of two processes do not meet */
};

enum http_state {
    HC_IDLE,     /* nothing of the next request has arrived */
    HC_HEAD,     /* part of a head is kept */
    HC_BODY,     /* head parsed, exchange made, body coming in */
    HC_RUNNING,  /* the handler runs; further input waits */
    HC_SKIP,     /* answered early: what is left of the body is read and dropped */
    HC_FINISH,   /* conn_finish was called: the last reply is on its way */
    HC_UPGRADED, /* a WebSocket: conn.ops, timer and owner are websocket.c's */
};

/* One accepted connection: about 450 bytes, all that an idle one owns. */
struct http_conn {
    struct conn conn; /* first: container_of(c, struct http_conn, conn) */
    struct list link; /* server_loop.conns */
    struct server_loop *sl;
    struct timer timer; /* the one time-out of the state at hand; after an upgrade free for the new owner */
    uint32_t since;     /* low bits of loop_now_ms() when the state was entered */
    uint32_t seen;      /* bytes of an incomplete head already looked at */
    union {
        struct http_exchange *x; /* the request being read or answered: HC_BODY, HC_RUNNING */
        void *owner;             /* HC_UPGRADED: what http_conn_upgrade got */
    };
    uint64_t skip; /* HC_SKIP: bytes left */
    enum http_state state;
    bool in_read; /* on_read is on the stack: it goes on with the next request by itself */
    bool counted; /* in server.addresses */
    bool refused; /* one too many: not in server.connections */
    bool steered; /* it came here for the request whose head is in front */
};

struct reply_header {
    struct reply_header *next;
    struct str name, value;
};

/* A request and its reply; lives in rq.arena. rq.conn is NULL once the client is gone or the reply complete. */
struct http_exchange {
    struct http_request rq; /* first: http_exchange(rq) leads here */
    struct server_loop *sl;
    struct route *matched;        /* NULL: none yet */
    struct task *task;            /* the running handler */
    struct reply_header *headers; /* newest first */
    size_t headers_size;          /* bytes they will take in the head */
    struct str lines;             /* whole header lines: CORS, rate limit */
    struct proxy_client client;
    char *body; /* as far as it has arrived; malloc'd, NULL when it came at once: then it lies in the arena */
    size_t body_len, body_cap;
    struct http_chunked chunked;
    const struct http_deferred *deferred; /* the reply follows from a callback */
    struct sse_stream *sse;               /* sse.c's; its memory is rq.arena's, its clean-up an arena_own */
    uint64_t start_ns;
    uint64_t sent; /* bytes of the reply's body */
    uint64_t length;
    unsigned refs;     /* the connection until the reply is complete, the handler's task, whoever is on the stack */
    int status;        /* 0 until the reply began */
    bool keep_alive;   /* the connection goes on after this reply */
    bool streaming;    /* http_stream_begin was called, http_stream_end not yet */
    bool chunks;       /* the stream is chunked: false for HTTP/1.0, and when `sized` */
    bool sized;        /* its body is to have `length` bytes */
    bool complete;     /* the whole reply is queued, or the client gone */
    bool needs_client; /* the end of the client's input cancels the handler */
};

static inline struct http_exchange *http_exchange(struct http_request *rq)
{
    return container_of(rq, struct http_exchange, rq);
}

/* ---- filters.c ---- */

/* Reads again what was made from sl->config. */
void filters_configure(struct server_loop *sl);
/* Fills in address, secure, origin and the CORS lines; head may be NULL. */
void filters_identify(struct http_exchange *x, const struct conn *c);
/* Whether a page with this Origin may begin what CORS does not guard: one of ours always, others as CORS allows. No
 * Origin: no browser. */
bool filters_page_may_come(struct http_request *rq);
/* Answers a preflight: true when it did. */
bool filters_preflight(struct http_exchange *x);
/* The rate limit: 0, or -1 with the error to answer. */
int filters_rate(struct http_exchange *x, struct err *e);
void filters_log(const struct http_exchange *x, int status, uint64_t ns);

/* ---- router.c ---- */

struct router_match {
    struct route *route; /* NULL: method or path unknown */
    struct str allow;    /* methods of the path, "GET, HEAD, OPTIONS"; empty: path unknown */
};
struct router *router_new(void);
struct router *router_free(struct router *r); /* takes NULL, returns NULL */
/* Dies on a second row of the same method and path. */
void router_add(struct router *r, const struct http_route *row, void *ctx);
size_t router_count(const struct router *r);
const struct http_route *router_at(const struct router *r, size_t i);
/* path: decoded; params (slices of it) are filled in. HEAD finds GET. */
struct router_match router_find(const struct router *r, enum http_method method, struct str path,
                                struct str params[HTTP_PARAMS]);
const struct http_route *route_row(const struct route *route);
void *route_ctx(const struct route *route);
/* Counts one request of the route (NULL: of none) in the metrics. Any thread. */
void route_observe(struct router *r, struct route *route, enum http_method method, int status, uint64_t ns);

/* ---- exchange.c: a request from its head to its reply ---- */

/* Becomes hc->x with one reference, the connection's. head: NULL for input that could not be parsed, else as it was
 * parsed out of `bytes` (copied). */
struct http_exchange *exchange_new(struct http_conn *hc, const struct http_head *head, struct str bytes);
/* Everything up to the body. Afterwards the request is answered, upgraded, running, or waits for its body. */
void exchange_begin(struct http_conn *hc, struct http_exchange *x);
/* Takes body from p: bytes used. Runs the handler when it is whole. */
size_t exchange_body(struct http_conn *hc, struct http_exchange *x, const char *p, size_t n);
/* How much unread body may still come: UINT64_MAX for unknown. */
uint64_t exchange_body_left(const struct http_exchange *x);
/* The reply is queued to its end: the connection goes on without this request. */
void exchange_complete(struct http_exchange *x);
/* The client went away before that. */
void exchange_gone(struct http_exchange *x);
/* The server drains: tells who holds the reply back. */
void exchange_drain(struct http_exchange *x);
void exchange_unref(struct http_exchange *x);

/* ---- http_conn.c ---- */

/* Takes over an accepted descriptor. */
void http_conn_open(struct server_port *port, int fd, const struct sockaddr_in6 *peer);
void http_conn_drain(struct http_conn *hc);
/* The only writer of hc->state. */
void http_conn_enter(struct http_conn *hc, enum http_state next);
/* All of the last request is done with: waits for the next one, or finishes while the server drains. */
void http_conn_next(struct http_conn *hc);
/* The client left: cancels what runs for it, sends what is queued, closes. */
void http_conn_gone(struct http_conn *hc);

/* ---- server.c ---- */

/* Counts the connection: false when it is one too many (then nothing was counted). */
bool server_count_in(struct http_conn *hc, const struct sockaddr_in6 *peer);
void server_count_out(struct http_conn *hc);
/* The other loop that must serve the request, NULL: this one. It waits for the connection from then on (arriving). */
struct server_loop *server_steered(struct server_loop *sl, const struct http_head *head);
/* The last connection went: a drained loop needs nothing more. */
void server_loop_idle(struct server_loop *sl);

/* ---- http_conn.c, stream.c: for the features ---- */

/* A WebSocket takes the connection over, from inside websocket_upgrade, after it queued the 101 with conn_write: the
 * ops switch (input behind the head goes to the new on_read), hc->owner is set, hc->timer stopped and left to the
 * owner, the request's arena goes when websocket_upgrade has returned. ops->on_closed must end with
 * http_conn_release. The owner's record is its own allocation, so it may outlive the connection. */
void http_conn_upgrade(struct http_conn *hc, const struct conn_ops *ops, void *owner);
/* Unlinks, uncounts and frees the record: last thing of on_closed. */
void http_conn_release(struct http_conn *hc);
/* As http_stream_write, but never parks: for timers and other callbacks. -1 when the client is gone or the stream was
 * not begun. conn_queued(&rq->conn->conn) tells whether the client reads. */
int http_stream_put(struct http_request *rq, struct str bytes);

/* ---- websocket.c ---- */

/* The request asks for an upgrade and rq->route has a websocket; admit let it in; rq->origin and rq->address are set.
 * True when it was answered: upgraded (http_conn_upgrade) or refused (http_reply_error); false: the route's handler
 * answers. Settings: hc->sl->config. */
bool websocket_upgrade(struct http_conn *hc, struct http_request *rq, const struct http_route *route);
/* server_drain: close 1000 "Server shutting down". owner as given to http_conn_upgrade. */
void websocket_drain(void *owner);

#endif
