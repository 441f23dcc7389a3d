/* Requests and replies as handlers see them. A handler runs in a task of the connection's loop; it may wait. When the
 * client goes away meanwhile, the task is cancelled (see http_needs_client). */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include "base/arena.h"
#include "base/blob.h"
#include "base/json.h"
#include "wire/http.h"

struct http_conn;
struct http_request;
struct websocket_ops;

#define HTTP_PARAMS 4
/* In max_body: bodies of any Content-Type come to the handler. Others are JSON, or refused with 415. */
#define HTTP_ANY_TYPE ((size_t)1 << 40)

/* One row of a door's table. */
struct http_route {
    enum http_method method;
    const char *path; /* "/api/conversations/:id/events"; also answers under /api/v1/… when it starts with /api/ */
    void (*handler)(struct http_request *rq); /* NULL when only a WebSocket lives here */
    const struct websocket_ops *websocket;    /* for GET with Upgrade: websocket, or NULL */
    size_t max_body;                          /* 0: LIMIT_HTTP_BODY; HTTP_ANY_TYPE may be added */
    const char *dialect; /* "aimcs" "openai" "chat" "pichat" "care", NULL: always open (health, documentation) */
    const char *summary; /* one line for /openapi.json */
};

struct http_request {
    struct arena *arena; /* freed when the reply is complete */
    struct http_head *head;
    enum http_method method; /* HEAD arrives as HTTP_HEAD on GET routes: its body is dropped for the handler */
    struct str path;         /* decoded, with /api/v1 reduced to /api */
    struct str query;
    struct str params[HTTP_PARAMS]; /* values of the route's :names, decoded */
    struct str body;                /* the whole body, NUL behind it */
    const char *id;                 /* X-Request-Id, the client's when it is sane, else made here */
    struct str address;             /* the client's, after TRUST_PROXY */
    struct str origin;              /* Origin header when it is allowed, else empty */
    bool secure;                    /* https, after TRUST_PROXY */
    const struct http_route *route;
    void *ctx;  /* of the routes' owner: what router_add got */
    void *user; /* the handler's own */
    struct http_conn *conn;
};

/* Values of headers and query parameters; the parameter is decoded into the arena, .p NULL when absent. */
struct str http_request_header(const struct http_request *rq, struct str lower_name);
struct str http_request_query(struct http_request *rq, struct str name);
/* Whether the body's Content-Type is JSON, absent, or one of those that curl -d and simple browser requests send in its
 * place (form-urlencoded, text/plain, octet-stream): then the body itself decides. */
bool http_request_is_json(const struct http_request *rq);

/* Adds a header to the coming reply; name and value must outlive it (literal or arena). Before the reply begins. */
void http_reply_header(struct http_request *rq, struct str name, struct str value);
/* The whole reply. Exactly one reply per request: a handler that returns without one answers 500. */
void http_reply(struct http_request *rq, int status, struct str content_type, struct str body);
void http_reply_text(struct http_request *rq, int status, struct str body);
/* Content-Type: application/json; charset=utf-8. http_reply_jw takes what a writer put into its buffer and frees it. */
void http_reply_json(struct http_request *rq, int status, struct str body);
void http_reply_jw(struct http_request *rq, int status, struct jw *w);
/* {"error":text,"message":text,"code":NAME} with e->status and Retry-After when e says so. */
void http_reply_error(struct http_request *rq, const struct err *e);

/* A reply in pieces (chunked, or until close for HTTP/1.0). begin sends the head with the first flush; write queues and
 * parks while the client reads slowly, so a slow reader slows its source: -1 CANCELLED once the client is gone. */
void http_stream_begin(struct http_request *rq, int status, struct str content_type);
/* The same when it is known how long the body gets: with Content-Length. The connection is cut when it gets another. */
void http_stream_begin_sized(struct http_request *rq, int status, struct str content_type, uint64_t length);
int http_stream_write(struct http_request *rq, struct str bytes, struct err *e);
int http_stream_blob(struct http_request *rq, struct blob *blob, struct err *e);
/* Ends the body in order. A handler that returns without it cuts the connection, so that the client sees the failure.
 */
void http_stream_end(struct http_request *rq);
/* Whether a reply (or its head) was already begun. */
bool http_replied(const struct http_request *rq);
/* Whether the server shuts down: a reply without an end of its own should end now. When that begins, the task of a
 * reply that sse_begin began is woken. */
bool http_draining(const struct http_request *rq);
/* The connection ends after the reply to come. */
void http_reply_close(struct http_request *rq);

/* The handler returns without a reply and without a task to wait in: the reply follows from a callback on the loop,
 * with http_reply… as ever, which may be long after (polling for news). Until then the end of the client's side counts
 * as its going away. The last thing a handler does. The callbacks never come from inside it, and not after the reply;
 * a reply made outside of the handler takes rq with it. */
struct http_deferred {
    void (*gone)(struct http_request *rq);  /* the client went away: rq is dead when this returns */
    void (*drain)(struct http_request *rq); /* the server shuts down: reply soon; NULL: nothing to do */
};
void http_defer(struct http_request *rq, const struct http_deferred *ops);
/* A client that ends its side of the connection may still read: its handler goes on and the reply is sent; only a reset
 * or a failed write cancels. After this call the end of its side cancels too: for work that is worth nothing without
 * its client. Event streams do so by themselves. */
void http_needs_client(struct http_request *rq);

#endif
