/* An upstream: one base URL with its own limits, breaker and metrics, shared by all loops (state per loop, so no lock
 * on the path of a call). */
#ifndef CLIENT_UPSTREAM_H
#define CLIENT_UPSTREAM_H

#include "base/err.h"
#include "base/str.h"

struct upstream;

/* Strings are copied. Times in milliseconds. */
struct upstream_config {
    const char *name;             /* for metrics and errors: "openai" */
    const char *base_url;         /* "https://api.openai.com/v1", without a trailing slash or with */
    const char *ca_file;          /* extra CA certificates, NULL: the system's */
    const char *proxy, *no_proxy; /* NULL: none. HTTP_PROXY and so on are the configuration's business */
    /* 0: none. first_byte_timeout bounds every silence, before the first byte and between bytes; total_timeout the
     * whole exchange with its retries and body. */
    unsigned connect_timeout, first_byte_timeout, total_timeout;
    unsigned retries;          /* before the first byte only */
    unsigned concurrency;      /* calls at once per loop; 0: any number; beyond: the queue */
    unsigned queue;            /* waiting calls per loop; beyond: OVERLOADED (503) with retry_after_ms */
    unsigned queue_timeout;    /* waiting longer: OVERLOADED */
    unsigned breaker_failures; /* consecutive failures that open the breaker; 0: no breaker */
    unsigned breaker_open;     /* how long calls are then refused (OVERLOADED with retry_after_ms) before one may try */
    bool http2;
};

struct upstream *upstream_new(const struct upstream_config *config);
struct upstream *upstream_free(struct upstream *u); /* after all loops ended */
const char *upstream_name(const struct upstream *u);
const char *upstream_base_url(const struct upstream *u);
/* False while the breaker refuses calls on this loop: a pool then prefers another. */
bool upstream_ready(struct upstream *u);

/* Before the first upstream is made, from the main thread before others start: loads libcurl, ignores SIGPIPE. Again is
 * harmless. NOT_CONFIGURED when libcurl is missing. */
int client_setup(struct err *e);
/* Once per loop thread, after loop_run and before loop_free. */
void client_thread_end(void);

#endif
