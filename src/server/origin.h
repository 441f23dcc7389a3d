/* Which browser origins may read our answers and open our sockets. Pure. */
#ifndef SERVER_ORIGIN_H
#define SERVER_ORIGIN_H

#include "base/str.h"

/* Whether the pattern names the origin (scheme://host[:port], compared without case). A pattern is an origin,
 * "scheme://host:*" for any port and none, or "*" for every well-formed origin and "null". */
bool origin_matches(struct str pattern, struct str origin);
bool origin_allowed(const char *const *patterns, size_t n, struct str origin);
/* Whether the origin is the very host the request was sent to (the Host header): a page of our own. Default ports may
 * be missing on either side. */
bool origin_is_host(struct str origin, struct str host);

#endif
