/* One outgoing HTTP exchange, from a task: libcurl multi on the task's loop underneath. */
#ifndef CLIENT_FETCH_H
#define CLIENT_FETCH_H

#include "base/buf.h"
#include "client/upstream.h"
#include "loop/task.h"

struct fetch;

struct fetch_header {
    const char *name;
    struct str value;
};

struct fetch_request {
    const char *method; /* "GET", "POST" … */
    struct str path;    /* appended to the base URL, with its query */
    const struct fetch_header *headers;
    size_t nheaders;
    struct str body; /* must outlive the call to fetch_open only: it is copied when a retry may need it */
    bool idempotent; /* false still retries what surely never reached the upstream, 429 and 5xx (model calls) */
    unsigned first_byte_timeout, total_timeout; /* 0: the upstream's; see upstream.h */
};

/* Sends the request and parks until the status and headers are there, retrying (connection errors, 408, 409, 429, 5xx;
 * x-should-retry, retry-after-ms and Retry-After obeyed; never insufficient_quota) with backoff and jitter. NULL with
 * *e: UPSTREAM_UNREACHABLE, TIMEOUT, OVERLOADED, CANCELLED. A reply with an error status is no failure here: look at
 * fetch_status. Cancelling the task closes the connection at once. */
struct fetch *fetch_open(struct upstream *u, const struct fetch_request *request, struct err *e);
int fetch_status(const struct fetch *f);
/* A reply header, lower-case name; STR_NONE when absent. */
struct str fetch_header(const struct fetch *f, const char *lower_name);
/* How long the reply asks to wait before another try (retry-after-ms, Retry-After), 0 when it does not say. */
unsigned fetch_retry_after_ms(const struct fetch *f);
/* Parks until body bytes are there: 1 and *piece (valid until the next call), 0 at the end, -1 with *e (UPSTREAM when
 * the body was cut). The upstream is paused while more than 256 KiB wait here. */
int fetch_read(struct fetch *f, struct str *piece, struct err *e);
/* The whole rest of the body, at most max bytes (UPSTREAM beyond), appended to out. */
int fetch_read_all(struct fetch *f, struct buf *out, size_t max, struct err *e);
/* As fetch_close for a body that was read as far as its meaning goes (a stream's [DONE]): the few bytes that end it are
 * awaited in the background, so that the connection can be used again. */
struct fetch *fetch_finish(struct fetch *f);
/* Ends the exchange; an unfinished one is closed at once. Takes NULL, returns NULL. */
struct fetch *fetch_close(struct fetch *f);

#endif
