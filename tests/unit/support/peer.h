/* A TCP server of a test's own: every connection is served by a function in a thread of its own, with blocking calls.
 * What it meets must not end in cmocka's assertions, which are for the test's thread. */
#ifndef TEST_PEER_H
#define TEST_PEER_H

#include "unit/support/unit.h"

#include "base/err.h"
#include "base/macros.h"
#include "loop/task.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define peer_assert(condition) ((condition) ? (void)0 : die("%s:%d: %s", __FILE__, __LINE__, #condition))

#define PEER_CONNECTIONS 64

struct peer;
typedef void peer_fn(struct peer *p, int fd); /* need not close fd */

struct peer {
    peer_fn *serve;
    void *arg;
    int listener;
    uint16_t port;
    pthread_t acceptor, threads[PEER_CONNECTIONS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int fds[PEER_CONNECTIONS]; /* -1 once it was served */
    size_t nthreads, served;
    bool stopping;
};

struct peer_connection {
    struct peer *peer;
    size_t index;
};

static inline void *peer_serve(void *arg)
{
    struct peer_connection connection = *(struct peer_connection *)arg;
    struct peer *p = connection.peer;
    free(arg);
    p->serve(p, p->fds[connection.index]);
    pthread_mutex_lock(&p->lock);
    close(p->fds[connection.index]);
    p->fds[connection.index] = -1;
    p->served++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static inline void *peer_accept(void *arg)
{
    struct peer *p = arg;
    for (;;) {
        int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
        pthread_mutex_lock(&p->lock);
        if (fd < 0 || p->stopping || p->nthreads == PEER_CONNECTIONS) {
            pthread_mutex_unlock(&p->lock);
            if (fd >= 0)
                close(fd);
            return NULL;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct peer_connection *connection = malloc(sizeof *connection);
        *connection = (struct peer_connection){p, p->nthreads};
        p->fds[p->nthreads] = fd;
        pthread_create(&p->threads[p->nthreads], NULL, peer_serve, connection);
        p->nthreads++;
        pthread_mutex_unlock(&p->lock);
    }
}

/* family: AF_INET (127.0.0.1) or AF_INET6 (::1); port 0: any free one. False when the address cannot be had. */
static inline bool peer_listen(struct peer *p, int family, uint16_t port, int backlog)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    int on = 1;
    p->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const void *address = family == AF_INET ? (void *)&v4 : (void *)&v6;
    if (bind(p->listener, address, family == AF_INET ? sizeof v4 : sizeof v6) < 0 || listen(p->listener, backlog) < 0 ||
        getsockname(p->listener, (struct sockaddr *)&bound, &size) < 0) {
        close(p->listener);
        return false;
    }
    p->port = ntohs(family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                                      : ((struct sockaddr_in6 *)&bound)->sin6_port);
    return true;
}

static inline void peer_start_on(struct peer *p, int family, peer_fn *serve, void *arg)
{
    *p = (struct peer){.serve = serve, .arg = arg};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    if (!peer_listen(p, family, 0, 64))
        fail_msg("cannot listen on the loopback address");
    pthread_create(&p->acceptor, NULL, peer_accept, p);
}

static inline void peer_start(struct peer *p, peer_fn *serve, void *arg)
{
    peer_start_on(p, AF_INET, serve, arg);
}

/* Ends the connections that are still served. */
static inline void peer_stop(struct peer *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    for (size_t i = 0; i < p->nthreads; i++)
        if (p->fds[i] >= 0)
            shutdown(p->fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&p->lock);
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->acceptor, NULL);
    for (size_t i = 0; i < p->nthreads; i++)
        pthread_join(p->threads[i], NULL);
    close(p->listener);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
}

struct peer_wait {
    struct peer *peer;
    const size_t *counter;
    size_t n;
};

static inline void peer_wait_job(void *arg)
{
    struct peer_wait *wait = arg;
    pthread_mutex_lock(&wait->peer->lock);
    while (*wait->counter < wait->n)
        pthread_cond_wait(&wait->peer->changed, &wait->peer->lock);
    pthread_mutex_unlock(&wait->peer->lock);
}

/* From a task: parks until so many connections were served to their end. */
static inline void peer_await_served(struct peer *p, size_t n)
{
    struct peer_wait wait = {p, &p->served, n};
    pool_call(peer_wait_job, &wait, NULL);
}

/* Outside of tasks: until every connection it accepted was served. */
static inline void peer_await_idle(struct peer *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->served < p->nthreads)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

/* ---- For those who serve ---- */

/* False when the other side is gone. */
static inline bool peer_send(int fd, struct str bytes)
{
    while (bytes.n) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes = str_from(bytes, (size_t)n);
    }
    return true;
}

/* Reads through the empty line that ends a head into text (terminated), byte by byte so that nothing behind it is
 * taken. False when the connection ends before. */
static inline bool peer_read_head(int fd, char *text, size_t size)
{
    size_t n = 0;
    while (n + 1 < size && recv(fd, text + n, 1, 0) == 1) {
        text[++n] = 0;
        if (n >= 4 && memcmp(text + n - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

/* Until the other side closes. */
static inline void peer_drain(int fd)
{
    char bytes[4096];
    while (recv(fd, bytes, sizeof bytes, 0) > 0)
        ;
}

/* ---- A listener that accepts nobody, so that connecting to it hangs ---- */

struct deaf {
    struct peer peer;
    int fill[3];
};

static inline void deaf_start(struct deaf *d)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *d = (struct deaf){0};
    if (!peer_listen(&d->peer, AF_INET, 0, 0))
        fail_msg("cannot listen on the loopback address");
    to.sin_port = htons(d->peer.port);
    for (size_t i = 0; i < COUNT(d->fill); i++) {
        d->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        peer_assert(connect(d->fill[i], (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS);
    }
}

static inline void deaf_stop(struct deaf *d)
{
    for (size_t i = 0; i < COUNT(d->fill); i++)
        close(d->fill[i]);
    close(d->peer.listener);
}

/* ---- An HTTP proxy that opens tunnels to a port of this machine, whatever name it is asked for ---- */

struct proxy_peer {
    struct peer peer;
    uint16_t to;
    char request[2048]; /* the last one's head */
    atomic_int tunnels;
};

struct proxy_half {
    int from, to;
};

static inline void *proxy_pump(void *arg)
{
    struct proxy_half *half = arg;
    char bytes[16384];
    ssize_t n;
    while ((n = recv(half->from, bytes, sizeof bytes, 0)) > 0 && peer_send(half->to, str_n(bytes, (size_t)n)))
        ;
    shutdown(half->to, SHUT_WR);
    return NULL;
}

static inline void proxy_serve(struct peer *p, int fd)
{
    struct proxy_peer *proxy = p->arg;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(proxy->to), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (!peer_read_head(fd, proxy->request, sizeof proxy->request))
        return;
    int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(out, (struct sockaddr *)&to, sizeof to) == 0 &&
        peer_send(fd, STR("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"))) {
        pthread_t thread;
        struct proxy_half there = {fd, out}, back = {out, fd};
        atomic_fetch_add(&proxy->tunnels, 1);
        pthread_create(&thread, NULL, proxy_pump, &there);
        proxy_pump(&back);
        shutdown(fd, SHUT_RD);
        pthread_join(thread, NULL);
    }
    close(out);
}

static inline void proxy_peer_start(struct proxy_peer *proxy, uint16_t to)
{
    memset(proxy, 0, sizeof *proxy);
    proxy->to = to;
    peer_start(&proxy->peer, proxy_serve, proxy);
}

#endif
