/* What the files of this folder share about an upstream; nobody else includes it. */
#ifndef CLIENT_UPSTREAM_IMPL_H
#define CLIENT_UPSTREAM_IMPL_H

#include "base/list.h"
#include "base/metrics.h"
#include "client/breaker.h"
#include "client/upstream.h"

#include "client/libcurl.h"
#include <openssl/x509.h>
#include <pthread.h>

struct fetch_header;
struct tls_client;

/* How a call ended, as far as its status and headers: the label of a counter. */
enum outcome {
    OUTCOME_OK,          /* below 400 */
    OUTCOME_REFUSED,     /* 4xx */
    OUTCOME_FAILED,      /* 5xx */
    OUTCOME_UNREACHABLE, /* no reply at all */
    OUTCOME_TIMEOUT,
    OUTCOME_CANCELLED,
    OUTCOME_OVERLOADED, /* the queue or the breaker said no */
    OUTCOMES
};

struct upstream {
    struct upstream_config config; /* strings owned */
    unsigned id;
    X509_STORE *trust; /* libcurl's; NULL when nothing speaks TLS */
    pthread_mutex_t tls_lock;
    struct tls_client *tls; /* upstream_tls made it */
    struct metric *calls[OUTCOMES];
    struct metric *first_byte, *in_flight, *waiting, *retries, *cut, *breakers_open, *websockets;
};

/* An upstream on one loop. */
struct upstream_local {
    struct upstream *upstream;
    struct breaker breaker;
    unsigned running;
    unsigned waiting;
    struct list line; /* calls waiting for a place, first come first served */
    CURL *idle[32];   /* easy handles with this upstream's options set */
    unsigned nidle;
};

struct upstream_local *upstream_local(struct upstream *u);
void upstream_local_free(struct upstream_local *local);

/* Takes one of the places, waiting in line within the configured bounds: 0, or -1 with OVERLOADED or CANCELLED. Each
 * place taken is given back with upstream_leave. */
int upstream_enter(struct upstream_local *local, struct err *e);
void upstream_leave(struct upstream_local *local);

/* The breaker says no: sets OVERLOADED with retry_after_ms, returns -1. */
int upstream_refuse(struct upstream_local *local, struct err *e);
/* What a call that failed with this error counts as. */
enum outcome upstream_outcome(const struct err *e);

/* TLS for connections of our own (net/connect.h), with the upstream's trust. NULL when its CA file cannot be used. Any
 * thread. */
struct tls_client *upstream_tls(struct upstream *u);

/* Header injection is refused here, whoever made the values: whether they and the path can be put into a request. In
 * fetch.c. */
bool headers_clean(const struct fetch_header *headers, size_t n, struct str path);

/* An easy handle with the upstream's options (not the call's). Given back after it left the multi handle. */
CURL *upstream_easy(struct upstream_local *local);
void upstream_easy_return(struct upstream_local *local, CURL *easy);

/* Body and header bytes; arg is what CURLOPT_WRITEDATA and CURLOPT_HEADERDATA say. In fetch.c. */
size_t fetch_on_body(char *bytes, size_t size, size_t n, void *arg);
size_t fetch_on_header(char *line, size_t size, size_t n, void *arg);

/* Ends this thread's WebSockets (client_thread_end). In ws_client.c. */
void ws_client_end_all(void);

#endif
