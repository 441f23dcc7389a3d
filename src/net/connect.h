/* Outgoing connections: from a name to an open struct conn, plain or TLS, directly or through an HTTP proxy. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include "net/conn.h"
#include "net/tls.h"

/* Where to and how. All of it may be gone after the call. */
struct connect_target {
    const char *name; /* who it is, for errors */
    struct str host;  /* a name, or an address without brackets */
    uint16_t port;
    struct tls_client *tls; /* NULL: plain */
    /* As libcurl takes them, so that both ways out of the process obey the same settings: http://user:pass@host:port,
     * of which scheme, user information and port (1080) may be left out; and hosts reached without it, separated by
     * commas: names (with what ends in them), addresses, networks, or "*" alone. NULL or "": none. Whatever the target
     * speaks, the way through the proxy is a tunnel (CONNECT). */
    const char *proxy, *no_proxy;
    unsigned timeout; /* ms for everything; 0: none but the task's own deadlines */
};

/* From a task: looks the name up, tries its addresses in order (the families in turn; the next one also when the one
 * before takes longer than 250 ms), goes through the proxy, shakes hands. 0: c is open on the task's loop, and no
 * callback comes before the task next waits. -1 with *e: UPSTREAM_UNREACHABLE, TIMEOUT, CANCELLED, NOT_CONFIGURED (a
 * proxy of another kind); then c is not open and nothing is called for it. A cancelled task leaves nothing behind; a
 * lookup under way ends by itself. Texts name `name` and never what the proxy's URL says. */
int conn_connect(struct conn *c, const struct connect_target *target, const struct conn_ops *ops, struct err *e);

#endif
