/* A loop in a thread of its own, so that a test can use plain blocking sockets beside it. */
#ifndef TEST_LOOP_THREAD_H
#define TEST_LOOP_THREAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "loop/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct loop_thread {
    struct loop *loop;
    pthread_t thread;
};

static inline void *loop_thread_main(void *arg)
{
    loop_run(arg);
    return NULL;
}

static inline void loop_thread_start(struct loop_thread *t)
{
    t->loop = loop_new(0);
    assert_int_equal(pthread_create(&t->thread, NULL, loop_thread_main, t->loop), 0);
}

struct on_loop {
    void (*fn)(void *arg);
    void *arg;
    sem_t done;
};

static inline void on_loop_run(void *arg)
{
    struct on_loop *call = arg;
    call->fn(call->arg);
    sem_post(&call->done);
}

/* Runs fn(arg) on the loop's thread and returns when it did. */
static inline void on_loop(struct loop_thread *t, void (*fn)(void *arg), void *arg)
{
    struct on_loop call = {.fn = fn, .arg = arg};
    sem_init(&call.done, 0, 0);
    loop_post(t->loop, on_loop_run, &call);
    while (sem_wait(&call.done) < 0)
        ;
    sem_destroy(&call.done);
}

/* Everything on the loop must be closed or closing. */
static inline void loop_thread_stop(struct loop_thread *t)
{
    loop_stop(t->loop);
    pthread_join(t->thread, NULL);
    loop_free(t->loop);
}

/* ---- Blocking clients ---- */

static inline int client_connect(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* False when the peer closed meanwhile. */
static inline bool client_try_send(int fd, struct str bytes)
{
    while (bytes.n) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n < 0)
            return false;
        bytes = str_from(bytes, (size_t)n);
    }
    return true;
}

static inline void client_send(int fd, struct str bytes)
{
    assert_true(client_try_send(fd, bytes));
}

/* Reads exactly n bytes. */
static inline void client_expect(int fd, struct str bytes)
{
    char *got = mem_alloc(bytes.n + 1);
    size_t have = 0;
    while (have < bytes.n) {
        ssize_t n = recv(fd, got + have, bytes.n - have, 0);
        assert_true(n > 0);
        have += (size_t)n;
    }
    assert_memory_equal(got, bytes.p, bytes.n);
    free(got);
}

/* Everything until the peer's FIN, terminated; free() it. *reset when the connection was reset instead. */
static inline char *client_read_all(int fd, size_t *len, bool *reset)
{
    size_t cap = KIB(64), n = 0;
    char *all = mem_alloc(cap);
    ssize_t got;
    while ((got = recv(fd, all + n, cap - n - 1, 0)) > 0) {
        n += (size_t)got;
        if (cap - n < KIB(32))
            all = mem_realloc(all, cap *= 2);
    }
    if (reset)
        *reset = got < 0;
    all[n] = 0;
    if (len)
        *len = n;
    return all;
}

static inline void client_expect_eof(int fd)
{
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), 0);
}

/* Closes with a reset instead of a FIN. */
static inline void client_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

#endif
