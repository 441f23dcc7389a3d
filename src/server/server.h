/* The inbound side put together: routes, listeners on every loop, limits, CORS, rate limit, access log. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/http.h"

struct server;
struct loop;
struct tls_context;
struct trust_proxy;

/* Filled by app/ from the configuration; strings and lists outlive the server. Times in milliseconds, 0 = off unless
 * said. */
struct server_config {
    const char *const *cors_origins; /* exact origins, or "http://localhost:*", or "*" */
    size_t ncors_origins;
    bool production;
    const struct trust_proxy *trust_proxy; /* whose X-Forwarded-* headers count (config/trust.h); NULL: nobody's */
    size_t max_connections, max_connections_per_address; /* 0: unlimited */
    unsigned header_timeout, body_timeout, idle_timeout, write_timeout;
    unsigned websocket_ping, websocket_pong;
    bool websocket_compression, websocket_context;
    bool slow_consumer_drops;
    unsigned sse_heartbeat;
    uint64_t rate_limit, rate_window; /* requests per window and client under /api/ and /v1/; 0: off */
    enum { ACCESS_OFF, ACCESS_COMBINED, ACCESS_JSON } access_log;
    const char *access_log_file; /* NULL or "-": stdout */
    /* Who may come in: 0, or -1 with the error to answer. Called for routes with a dialect, before the body is read. */
    int (*admit)(void *arg, const struct http_request *rq, struct err *e);
    void *admit_arg;
    /* The JSON body of every error, in the shape of the path's dialect (NOT_FOUND: no such path). NULL:
     * {"error":text,"message":text,"code":NAME}. */
    void (*error_body)(void *arg, struct str path, const struct err *e, struct buf *out);
    void *error_arg;
};

struct server *server_new(const struct server_config *config);
/* Adds a door's table (static, outlives the server); ctx reaches its handlers. Before server_listen. Conflicting rows
 * die: a programming error. */
void server_routes(struct server *s, const struct http_route *routes, size_t n, void *ctx);
/* Which loop must serve a request, by its index; -1: the one it came to. Asked when a head has arrived, before anything
 * is done with it; the connection moves there first, as it is. Before server_listen; one at most. */
void server_steer(struct server *s, int (*steer)(void *arg, const struct http_head *head), void *arg);
/* Called for every request that was let in and has a body, before that is read; when it replies, the body is dropped.
 * Before server_listen; one at most. */
void server_on_body(struct server *s, void (*on_body)(struct http_request *rq));
/* All rows added so far, for /openapi.json and tests. */
size_t server_route_count(const struct server *s);
const struct http_route *server_route_at(const struct server *s, size_t i);

/* Opens a listener on this loop, and the access log with the first; call on each loop's thread (or before it runs).
 * With port 0 the first call picks one and *port tells it. */
int server_listen(struct server *s, struct loop *loop, const char *host, uint16_t *port, struct tls_context *tls,
                  struct err *e);
/* Re-reads what may change while running (CORS, limits, timeouts, rate limit). Any thread. */
void server_reconfigure(struct server *s, const struct server_config *config);

/* Stops accepting on this loop, closes idle connections, tells WebSockets 1000 "Server shutting down", lets running
 * requests end. Loop thread only. server_idle: whether nothing is left on this loop. server_abort closes the rest. */
void server_drain(struct server *s, struct loop *loop);
bool server_idle(struct server *s, struct loop *loop);
void server_abort(struct server *s, struct loop *loop);
/* After all loops ended; each was drained or aborted and ran until server_idle before. */
struct server *server_free(struct server *s);

/* Open connections of all kinds (HTTP and WebSocket) and of WebSockets alone, all loops. */
size_t server_connections(const struct server *s);
size_t server_websockets(const struct server *s);

#endif
