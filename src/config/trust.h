/* TRUST_PROXY: whose X-Forwarded-* headers count. */
#ifndef CONFIG_TRUST_H
#define CONFIG_TRUST_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>

struct trust_network {
    unsigned char addr[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;          /* of the 128 */
};

/* All zero: trust nobody. */
struct trust_proxy {
    unsigned hops; /* this many proxies stand in front, whatever their addresses */
    struct trust_network *networks;
    size_t count;
};

/* "false", a number of hops (0..16), or a comma list of addresses, networks (10.0.0.0/8) and the names loopback,
 * linklocal, uniquelocal. What is allocated lives in the arena. -1 with the reason; *out untouched then. */
int trust_parse(struct arena *a, struct str text, struct trust_proxy *out, struct err *e);

/* Whether the address (text, IPv4 or IPv6, no port) lies in one of the networks. Hops are the caller's to count. */
bool trust_has(const struct trust_proxy *trust, struct str address);

/* Whether the text names an address of this machine's loopback network, or "localhost". */
bool address_is_loopback(struct str address);

#endif
