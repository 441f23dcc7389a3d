#include "net/listener.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/conn_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG  4096
#define ACCEPTS  64  /* at once, so that running connections get their turn */
#define PAUSE_MS 100 /* when descriptors or memory ran out */

struct listener;

struct listening {
    uv_poll_t poll;
    struct listener *listener;
    int fd; /* -1: not in use */
};

struct listener {
    struct loop *loop;
    void (*on_accept)(void *arg, int fd, const struct sockaddr_in6 *peer);
    void *arg;
    struct timer pause;
    uint16_t port;
    unsigned open;               /* polls whose close callback has not come */
    struct listening sockets[2]; /* "localhost" is two addresses */
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct listener *l)
{
    for (size_t i = 0; i < COUNT(l->sockets); i++)
        if (l->sockets[i].fd >= 0)
            uv_poll_start(&l->sockets[i].poll, UV_READABLE, on_poll);
}

static void pause_over(struct timer *timer)
{
    watch(container_of(timer, struct listener, pause));
}

static void pause_accepting(struct listener *l)
{
    log_warn("net", "accept_paused", F_C("reason", strerror(errno)), F_INT("port", l->port));
    for (size_t i = 0; i < COUNT(l->sockets); i++)
        if (l->sockets[i].fd >= 0)
            uv_poll_stop(&l->sockets[i].poll);
    timer_start(l->loop, &l->pause, PAUSE_MS);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct listening *socket = container_of(poll, struct listening, poll);
    struct listener *l = socket->listener;
    (void)status, (void)events;
    for (int i = 0; i < ACCEPTS && socket->fd >= 0; i++) {
        struct sockaddr_storage from;
        struct sockaddr_in6 peer;
        socklen_t len = sizeof from;
        int fd = accept4(socket->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(l);
            else if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        address_map(&peer, &from);
        l->on_accept(l->arg, fd, &peer);
    }
}

static int address_of(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        memcpy(out, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        memcpy(out, &v6, sizeof v6);
    else
        return -1;
    return 0;
}

static int open_socket(const struct sockaddr_storage *address)
{
    bool v6 = address->ss_family == AF_INET6;
    socklen_t len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    /* "::" takes IPv4 as well. */
    if (v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, (const struct sockaddr *)address, len) < 0 || listen(fd, BACKLOG) < 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage bound;
    struct sockaddr_in6 mapped;
    socklen_t len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
        return 0;
    address_map(&mapped, &bound);
    return ntohs(mapped.sin6_port);
}

static int add_socket(struct listener *l, struct listening *socket, const char *host)
{
    struct sockaddr_storage address;
    if (address_of(host, l->port, &address) < 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = open_socket(&address);
    if (fd < 0)
        return -1;
    if (uv_poll_init(loop_uv(l->loop), &socket->poll, fd) < 0) {
        close(fd);
        errno = ENOMEM;
        return -1;
    }
    socket->fd = fd;
    socket->listener = l;
    l->port = port_of(fd);
    l->open++;
    return 0;
}

struct listener *listener_open(struct loop *loop, const char *host, uint16_t port,
                               void (*on_accept)(void *arg, int fd, const struct sockaddr_in6 *peer), void *arg,
                               struct err *e)
{
    bool both = strcmp(host, "localhost") == 0;
    struct listener *l = mem_zalloc(sizeof *l);
    *l = (struct listener){.loop = loop, .on_accept = on_accept, .arg = arg, .port = port, .pause.fn = pause_over};
    l->sockets[0].fd = l->sockets[1].fd = -1;
    if (add_socket(l, &l->sockets[0], both ? "127.0.0.1" : host) < 0) {
        err_set(e, ERR_NOT_CONFIGURED, "cannot listen on %s port %u: %s", host, (unsigned)port, strerror(errno));
        free(l);
        return NULL;
    }
    /* A machine without IPv6 has only the first; so has one where another program holds the port there. */
    if (both && add_socket(l, &l->sockets[1], "::1") < 0)
        log_debug("net", "no_ipv6_loopback", F_C("reason", strerror(errno)));
    watch(l);
    return l;
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct listener *l = container_of((uv_poll_t *)handle, struct listening, poll)->listener;
    if (--l->open == 0)
        free(l);
}

struct listener *listener_close(struct listener *l)
{
    if (!l)
        return NULL;
    timer_stop(l->loop, &l->pause);
    for (size_t i = 0; i < COUNT(l->sockets); i++) {
        struct listening *socket = &l->sockets[i];
        if (socket->fd < 0)
            continue;
        uv_poll_stop(&socket->poll);
        close(socket->fd);
        socket->fd = -1;
        uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
    }
    return NULL;
}
