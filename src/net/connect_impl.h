/* What the files about outgoing connections share; nobody else includes it. */
#ifndef NET_CONNECT_IMPL_H
#define NET_CONNECT_IMPL_H

#include "net/connect.h"
#include "wire/url.h"

#define HOST_SIZE 256

/* ---- dial.c ---- */

#define ADDRESSES_MAX 16

struct addresses {
    size_t n;
    struct sockaddr_storage list[ADDRESSES_MAX];
};

/* A socket on its way to be a connection, watched for the task that made it. */
struct dialed {
    uv_poll_t poll; /* so it lives until libuv let it go */
    struct task *task;
    int fd;
    int events; /* seen since the task last looked; the watching stops with the first */
};

/* Connects to one of the addresses. `who` is whom errors speak of. */
struct dialed *dial_any(const struct addresses *to, const char *who, struct err *e);
/* The same for a name or an address. */
struct dialed *dial(const char *host, uint16_t port, const char *who, struct err *e);
/* Parks until the socket has one of the events (UV_READABLE, UV_WRITABLE). */
int dialed_wait(struct dialed *d, int events, struct err *e);
/* Ends the watching and hands out the descriptor. */
int dialed_release(struct dialed *d);
/* Closes it. Takes NULL, returns NULL. */
struct dialed *dialed_drop(struct dialed *d);

/* ---- tunnel.c ---- */

/* Whether the host is reached directly. */
bool proxy_excepts(const char *no_proxy, const char *host);
/* Takes the proxy's URL apart: NOT_CONFIGURED when it is not of the http kind. Errors speak of `name`. */
int proxy_parse(struct url *out, const char *proxy, const char *name, struct err *e);
/* Has the proxy at the other end of d connect to the target. */
int tunnel_open(struct dialed *d, const struct url *proxy, const struct connect_target *target, struct err *e);

#endif
