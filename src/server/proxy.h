/* TRUST_PROXY: the client as trusted proxies in front name it. */
#ifndef SERVER_PROXY_H
#define SERVER_PROXY_H

#include "config/trust.h"
#include "net/conn.h"
#include "wire/http.h"

struct proxy_client {
    struct in6_addr addr;           /* IPv4 as mapped address */
    char address[CONN_ADDRESS_MAX]; /* the same as text */
    bool secure;
    struct str host; /* X-Forwarded-Host or Host; a slice of the head */
};

/* The client of one request. X-Forwarded-For, -Proto and -Host count only when `peer` is trusted: then the rightmost
 * address that is no trusted proxy is the client (with hops: the address so many places from the right, the peer being
 * place 0). What is no address ends the search. `tls`: this very connection is. head may be NULL. */
void proxy_resolve(const struct trust_proxy *trust, const struct in6_addr *peer, bool tls, const struct http_head *head,
                   struct proxy_client *out);
/* Address text (also IPv4 with port, and [IPv6]:port as some proxies write them) to IPv6 or mapped form; -1 if none. */
int proxy_parse_address(struct str text, struct in6_addr *out);
/* As conn_address: mapped IPv4 in dotted form. */
void proxy_format_address(const struct in6_addr *addr, char out[CONN_ADDRESS_MAX]);

#endif
