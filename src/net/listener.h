/* Listening sockets. Every loop opens its own on the same address (SO_REUSEPORT), so the kernel spreads connections. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/conn.h"

struct listener;

/* Listens on host:port (host: IPv4 or IPv6 text, "localhost", "0.0.0.0", "::"; port 0: any free one). on_accept gets
 * each connection's descriptor, non-blocking, TCP_NODELAY set, and owns it. When descriptors run out, accepting pauses
 * and goes on by itself. NULL with *e naming host and port. */
struct listener *listener_open(struct loop *loop, const char *host, uint16_t port,
                               void (*on_accept)(void *arg, int fd, const struct sockaddr_in6 *peer), void *arg,
                               struct err *e);
/* The port it listens on (for port 0). */
uint16_t listener_port(const struct listener *l);
/* Stops accepting; loop thread only. Takes NULL, returns NULL. */
struct listener *listener_close(struct listener *l);

#endif
