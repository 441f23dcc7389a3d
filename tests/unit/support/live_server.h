/* A server on a loop of its own thread, and a blocking client to talk to it over loopback. */
#ifndef TEST_LIVE_SERVER_H
#define TEST_LIVE_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/loop.h"
#include "server/server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* For the server's thread, where cmocka's assertions must not be used. */
#define live_assert(condition) ((condition) ? (void)0 : die("%s:%d: %s", __FILE__, __LINE__, #condition))

#define CLIENT_PATIENCE 20000 /* ms without a byte before a test gives up */

struct live_server {
    struct server *server;
    struct loop *loop;
    pthread_t thread;
    uint16_t port;
    sem_t done; /* of a posted call */
    atomic_bool idle;
};

static inline void *live_thread(void *arg)
{
    struct live_server *live = arg;
    loop_run(live->loop);
    return NULL;
}

static inline void live_start(struct live_server *live, const struct server_config *config,
                              const struct http_route *routes, size_t n)
{
    struct err e;
    *live = (struct live_server){.loop = loop_new(0), .server = server_new(config)};
    sem_init(&live->done, 0, 0);
    server_routes(live->server, routes, n, live);
    if (server_listen(live->server, live->loop, "127.0.0.1", &live->port, NULL, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(pthread_create(&live->thread, NULL, live_thread, live), 0);
}

/* Runs fn on the server's thread and waits for it. */
struct live_call {
    void (*fn)(struct live_server *live);
    struct live_server *live;
};

static inline void live_run_call(void *arg)
{
    struct live_call *call = arg;
    call->fn(call->live);
    sem_post(&call->live->done);
}

static inline void live_do(struct live_server *live, void (*fn)(struct live_server *live))
{
    struct live_call call = {fn, live};
    loop_post(live->loop, live_run_call, &call);
    while (sem_wait(&live->done) < 0)
        continue;
}

static inline void live_drain(struct live_server *live)
{
    server_drain(live->server, live->loop);
}

static inline void live_abort(struct live_server *live)
{
    server_abort(live->server, live->loop);
}

static inline void live_ask_idle(struct live_server *live)
{
    live->idle = server_idle(live->server, live->loop);
}

static inline void live_wait_idle(struct live_server *live)
{
    for (live->idle = false; !live->idle; usleep(500))
        live_do(live, live_ask_idle);
}

static inline void live_stop(struct live_server *live)
{
    live_do(live, live_drain);
    live_do(live, live_abort);
    live_wait_idle(live);
    loop_stop(live->loop);
    pthread_join(live->thread, NULL);
    loop_free(live->loop);
    server_free(live->server);
    sem_destroy(&live->done);
}

/* Waits until *counter is at least n. */
static inline void await_count(const atomic_int *counter, int n)
{
    for (int waited = 0; atomic_load(counter) < n; waited++) {
        if (waited > CLIENT_PATIENCE)
            fail_msg("waited in vain for %d, there is %d", n, atomic_load(counter));
        usleep(1000);
    }
}

struct client {
    int fd;
    struct buf in;
};

static inline void client_open(struct client *c, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .in = BUF_INIT(MIB(256))};
    assert_true(c->fd >= 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    buf_free(&c->in);
}

static inline void client_send(struct client *c, struct str bytes)
{
    while (bytes.n) {
        ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        assert_true(n > 0);
        bytes = str_from(bytes, (size_t)n);
    }
}

/* Waits for more input: false at the end of the stream. */
static inline bool client_fill(struct client *c)
{
    struct pollfd ready = {.fd = c->fd, .events = POLLIN};
    if (poll(&ready, 1, CLIENT_PATIENCE) != 1)
        fail_msg("nothing arrived; there is: %.*s", (int)MIN(c->in.len, 200), buf_str(&c->in).p);
    char *to = buf_reserve(&c->in, KIB(64));
    ssize_t n = recv(c->fd, to, KIB(64), 0);
    if (n > 0)
        buf_commit(&c->in, (size_t)n);
    return n > 0;
}

/* Takes everything up to and with `mark` off the input into a NUL-terminated copy (malloc'd). */
static inline char *client_until(struct client *c, const char *mark)
{
    ptrdiff_t at;
    while ((at = str_find(buf_str(&c->in), str_c(mark))) < 0)
        if (!client_fill(c))
            fail_msg("the stream ended before %s: %.*s", mark, (int)c->in.len, buf_str(&c->in).p);
    size_t n = (size_t)at + strlen(mark);
    char *text = str_dup(str_n(buf_str(&c->in).p, n));
    buf_consume(&c->in, n);
    return text;
}

/* Whether the peer closes without sending more. */
static inline bool client_at_end(struct client *c)
{
    return c->in.len == 0 && !client_fill(c);
}

#endif
