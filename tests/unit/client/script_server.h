/* An HTTP server that plays scripted bytes, on threads of its own: the nth request, whatever its connection, gets the
 * nth step (the last step again when there are no more). */
#ifndef TEST_SCRIPT_SERVER_H
#define TEST_SCRIPT_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "loop/task.h"

enum script_after {
    SCRIPT_KEEP, /* read the next request of the connection */
    SCRIPT_CLOSE,
    SCRIPT_RESET,
    SCRIPT_HANG /* say nothing more until the peer closes */
};

struct script_step {
    const char *bytes;
    size_t split; /* bytes per write; 0: all at once */
    enum script_after after;
    size_t flood;     /* then so many bytes of 'x' */
    const char *late; /* then, once script_release was called, these */
};

#define SCRIPT_CONNECTIONS 128
#define SCRIPT_REQUESTS    256

struct script_server {
    int listener;
    int port;
    char url[64];
    const struct script_step *steps;
    size_t nsteps;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t acceptor, threads[SCRIPT_CONNECTIONS];
    int sockets[SCRIPT_CONNECTIONS];
    size_t nconnections;
    char *requests[SCRIPT_REQUESTS];
    size_t nrequests;
    size_t eofs;     /* connections that the peer closed */
    size_t released; /* `late` parts allowed to go */
    atomic_size_t flooded;
    bool stopping;
};

struct script_connection {
    struct script_server *server;
    int fd;
};

static inline void script_changed(struct script_server *s, size_t *counter)
{
    pthread_mutex_lock(&s->lock);
    ++*counter;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static inline bool script_send(int fd, const char *bytes, size_t n, size_t split)
{
    for (size_t at = 0; at < n;) {
        size_t piece = split && split < n - at ? split : n - at;
        ssize_t sent = send(fd, bytes + at, piece, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += (size_t)sent;
    }
    return true;
}

/* One request, head and body (Content-Length); NULL at the end of the connection. */
static inline char *script_receive(int fd)
{
    size_t cap = 4096, n = 0;
    char *text = calloc(1, cap);
    for (;;) {
        char *end = strstr(text, "\r\n\r\n");
        if (end) {
            const char *length = strcasestr(text, "\r\ncontent-length:");
            size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
            if (n >= (size_t)(end + 4 - text) + body)
                return text;
        }
        if (n + 1 >= cap) {
            cap *= 2;
            text = realloc(text, cap);
        }
        ssize_t got = recv(fd, text + n, cap - n - 1, 0);
        if (got <= 0) {
            free(text);
            return NULL;
        }
        n += (size_t)got;
        text[n] = 0;
    }
}

static inline bool script_play(struct script_server *s, int fd, const struct script_step *step)
{
    bool ok = script_send(fd, step->bytes, strlen(step->bytes), step->split);
    char x[4096];
    memset(x, 'x', sizeof x);
    for (size_t left = step->flood; ok && left > 0;) {
        size_t n = left < sizeof x ? left : sizeof x;
        ok = script_send(fd, x, n, 0);
        left -= n;
        atomic_fetch_add(&s->flooded, n);
    }
    if (ok && step->late) {
        pthread_mutex_lock(&s->lock);
        while (!s->released && !s->stopping)
            pthread_cond_wait(&s->changed, &s->lock);
        if (s->released)
            s->released--;
        pthread_mutex_unlock(&s->lock);
        ok = script_send(fd, step->late, strlen(step->late), 0);
    }
    return ok;
}

static inline void *script_serve(void *arg)
{
    struct script_connection connection = *(struct script_connection *)arg;
    struct script_server *s = connection.server;
    int one = 1;
    free(arg);
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    enum script_after after = SCRIPT_KEEP;
    while (after == SCRIPT_KEEP) {
        char *request = script_receive(connection.fd);
        if (!request)
            break;
        pthread_mutex_lock(&s->lock);
        size_t n = s->nrequests;
        s->requests[s->nrequests++] = request;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        const struct script_step *step = &s->steps[n < s->nsteps ? n : s->nsteps - 1];
        after = step->after;
        if (!script_play(s, connection.fd, step))
            break;
    }
    char byte;
    if (after == SCRIPT_KEEP || after == SCRIPT_HANG) {
        while (recv(connection.fd, &byte, 1, 0) > 0)
            ;
        script_changed(s, &s->eofs);
    }
    if (after == SCRIPT_RESET) {
        struct linger abort = {1, 0};
        setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    }
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->nconnections; i++)
        if (s->sockets[i] == connection.fd)
            s->sockets[i] = -1;
    close(connection.fd);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static inline void *script_accept(void *arg)
{
    struct script_server *s = arg;
    for (;;) {
        int fd = accept(s->listener, NULL, NULL);
        pthread_mutex_lock(&s->lock);
        if (fd < 0 || s->stopping || s->nconnections == SCRIPT_CONNECTIONS) {
            pthread_mutex_unlock(&s->lock);
            if (fd >= 0)
                close(fd);
            return NULL;
        }
        struct script_connection *connection = malloc(sizeof *connection);
        *connection = (struct script_connection){s, fd};
        s->sockets[s->nconnections] = fd;
        pthread_create(&s->threads[s->nconnections++], NULL, script_serve, connection);
        pthread_mutex_unlock(&s->lock);
    }
}

static inline void script_start(struct script_server *s, const struct script_step *steps, size_t n)
{
    memset(s, 0, sizeof *s);
    s->steps = steps;
    s->nsteps = n;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s->listener, (struct sockaddr *)&address, length) || listen(s->listener, 64) ||
        getsockname(s->listener, (struct sockaddr *)&address, &length))
        abort();
    s->port = ntohs(address.sin_port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
    pthread_create(&s->acceptor, NULL, script_accept, s);
}

static inline void script_stop(struct script_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->changed);
    for (size_t i = 0; i < s->nconnections; i++)
        if (s->sockets[i] >= 0)
            shutdown(s->sockets[i], SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    for (size_t i = 0; i < s->nconnections; i++)
        pthread_join(s->threads[i], NULL);
    close(s->listener);
    for (size_t i = 0; i < s->nrequests; i++)
        free(s->requests[i]);
}

static inline void script_release(struct script_server *s)
{
    script_changed(s, &s->released);
}

struct script_wait {
    struct script_server *server;
    size_t *counter;
    size_t n;
};

static inline void script_wait_job(void *arg)
{
    struct script_wait *wait = arg;
    pthread_mutex_lock(&wait->server->lock);
    while (*wait->counter < wait->n)
        pthread_cond_wait(&wait->server->changed, &wait->server->lock);
    pthread_mutex_unlock(&wait->server->lock);
}

/* From a task: parks until the counter (nrequests, eofs, nconnections) reaches n. */
static inline void script_await(struct script_server *s, size_t *counter, size_t n)
{
    struct script_wait wait = {s, counter, n};
    pool_call(script_wait_job, &wait, NULL);
}

static inline size_t script_count(struct script_server *s, const size_t *counter)
{
    pthread_mutex_lock(&s->lock);
    size_t n = *counter;
    pthread_mutex_unlock(&s->lock);
    return n;
}

#endif
