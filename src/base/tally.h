/* Counts per key and window of time, shared by all threads: what a rate limit counts with. A key's window begins with
 * the first thing it counts and lasts window_ms. Memory is bounded: finished windows go, and past the ceiling the
 * oldest window gives way. All functions: any thread. */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H

#include "base/str.h"

#include <netinet/in.h>

#define TALLY_KEY sizeof(struct in6_addr)

struct tally;

/* How many may be counted in a window. A window that runs keeps its count and ends by the length it is asked with. */
struct tally_rule {
    uint64_t limit, window_ms; /* both at least 1 */
};

struct tally_result {
    bool allowed;
    uint64_t remaining; /* of the limit */
    uint64_t left_ms;   /* until the window ends, at most window_ms */
};

/* max_keys: remembered at a time, at least 16. */
struct tally *tally_new(size_t max_keys);
struct tally *tally_free(struct tally *tally); /* takes NULL, returns NULL */
/* Counts one, unless the limit is reached. now_ms: any monotonic clock, the same for all calls. */
struct tally_result tally_take(struct tally *tally, const unsigned char key[TALLY_KEY], struct tally_rule rule,
                               uint64_t now_ms);
/* Keys remembered now. */
size_t tally_keys(struct tally *tally);

/* The key of an address: IPv4 (mapped) as a whole, of IPv6 the network, /64, which is one client's. */
void tally_address(unsigned char key[TALLY_KEY], const struct in6_addr *address);

#endif
