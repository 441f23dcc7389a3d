/* Requests per client and window, shared by all loops. A client is an IPv4 address or an IPv6 /64. Its window begins
 * with its first request and lasts window_ms. Memory is bounded, to RATE_LIMIT_CLIENTS windows (base/tally.h). All
 * functions: any thread. */
#ifndef SERVER_RATE_LIMIT_H
#define SERVER_RATE_LIMIT_H

#include "base/buf.h"
#include "base/err.h"

#include <netinet/in.h>

#define RATE_LIMIT_CLIENTS 131072

struct rate_limit;

struct rate_verdict {
    bool allowed;
    uint64_t limit, remaining;
    unsigned reset; /* seconds until the window ends, at least 1 */
};

/* limit 0: off, everything is allowed. */
struct rate_limit *rate_limit_new(uint64_t limit, uint64_t window_ms);
struct rate_limit *rate_limit_free(struct rate_limit *rl); /* takes NULL, returns NULL */
/* Changes the limit; windows that run keep their count and end by the new length. */
void rate_limit_set(struct rate_limit *rl, uint64_t limit, uint64_t window_ms);
bool rate_limit_is_on(const struct rate_limit *rl);

/* Whether the limit concerns this path: /api/… and /v1/…, but not the requests of a Socket.IO session. */
bool rate_limit_covers(struct str path);
/* Counts one request. now_ms: any monotonic clock, the same for all calls. */
struct rate_verdict rate_limit_take(struct rate_limit *rl, const struct in6_addr *client, uint64_t now_ms);
/* RateLimit-Limit, -Remaining, -Reset, and Retry-After when refused. -1 past the ceiling. */
int rate_limit_put(struct buf *out, const struct rate_verdict *verdict);
/* The error to answer when refused: 429 RATE_LIMIT_EXCEEDED. Its Retry-After comes from rate_limit_put, so *e carries
 * none. Returns -1. */
int rate_limit_refuse(struct err *e);
/* Clients remembered now. */
size_t rate_limit_clients(struct rate_limit *rl);

#endif
