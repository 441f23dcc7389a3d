#include "net/connect_impl.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEXT_MS 250 /* before the next address is tried beside the one that does not answer (RFC 8305) */

static int unreachable(struct err *e, const char *who, const char *why)
{
    return err_set(e, ERR_UPSTREAM_UNREACHABLE, "%s cannot be reached: %s", who, why);
}

/* ---- One socket ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct dialed *d = container_of(poll, struct dialed, poll);
    d->events |= status < 0 ? UV_READABLE | UV_WRITABLE : events;
    uv_poll_stop(poll);
    task_wake(d->task);
}

static void on_handle_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct dialed, poll));
}

int dialed_release(struct dialed *d)
{
    int fd = d->fd;
    uv_close((uv_handle_t *)&d->poll, on_handle_closed);
    return fd;
}

struct dialed *dialed_drop(struct dialed *d)
{
    if (d)
        close(dialed_release(d));
    return NULL;
}

int dialed_wait(struct dialed *d, int events, struct err *e)
{
    int result = 0;
    d->events = 0;
    uv_poll_start(&d->poll, events, on_poll);
    while (!d->events && result == 0)
        result = task_park(e);
    uv_poll_stop(&d->poll);
    return result;
}

static int start_connect(const struct sockaddr_storage *to)
{
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    socklen_t size = to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (connect(fd, (const struct sockaddr *)to, size) == 0 || errno == EINPROGRESS || errno == EINTR)
        return fd;
    int why = -errno;
    close(fd);
    return why;
}

/* An attempt under way; NULL with the error's number in *why. */
static struct dialed *attempt(const struct sockaddr_storage *to, int *why)
{
    int fd = start_connect(to);
    if (fd < 0) {
        *why = fd;
        return NULL;
    }
    struct dialed *d = mem_zalloc(sizeof *d);
    d->fd = fd;
    d->task = task_self();
    int result = uv_poll_init(loop_uv(task_loop(d->task)), &d->poll, fd);
    if (result < 0) {
        *why = result;
        close(fd);
        free(d);
        return NULL;
    }
    uv_poll_start(&d->poll, UV_WRITABLE, on_poll);
    return d;
}

/* ---- All addresses ---- */

struct race {
    const struct addresses *to;
    size_t next; /* the first address that was not tried */
    struct dialed *running[ADDRESSES_MAX];
    size_t nrunning;
    struct timer timer;
    struct task *task;
    bool due; /* the next address's turn has come */
    int why;  /* of the attempt that failed last */
};

static void on_due(struct timer *timer)
{
    struct race *r = container_of(timer, struct race, timer);
    r->due = true;
    task_wake(r->task);
}

/* Takes the attempts that ended off the list: the first that succeeded, or NULL. */
static struct dialed *settle(struct race *r)
{
    struct dialed *winner = NULL;
    for (size_t i = 0; i < r->nrunning && !winner;) {
        struct dialed *d = r->running[i];
        int error = 0;
        socklen_t size = sizeof error;
        if (!d->events) {
            i++;
            continue;
        }
        r->running[i] = r->running[--r->nrunning];
        if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) {
            winner = d;
        } else {
            r->why = -error;
            r->due = true;
            dialed_drop(d);
        }
    }
    return winner;
}

static void begin_next(struct race *r)
{
    struct dialed *d = attempt(&r->to->list[r->next++], &r->why);
    r->due = !d;
    if (!d)
        return;
    r->running[r->nrunning++] = d;
    timer_start(task_loop(r->task), &r->timer, NEXT_MS);
}

struct dialed *dial_any(const struct addresses *to, const char *who, struct err *e)
{
    struct race r = {.to = to, .timer.fn = on_due, .task = task_self(), .due = true, .why = UV_EADDRNOTAVAIL};
    struct dialed *winner = NULL;
    bool parked = true;
    while (parked && !(winner = settle(&r))) {
        if (r.due && r.next < to->n) {
            begin_next(&r);
        } else if (r.nrunning == 0) {
            unreachable(e, who, uv_strerror(r.why));
            break;
        } else {
            parked = task_park(e) == 0;
        }
    }
    timer_stop(task_loop(r.task), &r.timer);
    while (r.nrunning)
        dialed_drop(r.running[--r.nrunning]);
    return winner;
}

/* ---- Names ---- */

struct lookup {
    uv_getaddrinfo_t rq;
    struct task *task; /* NULL: nobody waits any more */
    struct addrinfo *found;
    int status;
    bool done;
};

static void on_found(uv_getaddrinfo_t *rq, int status, struct addrinfo *found)
{
    struct lookup *l = container_of(rq, struct lookup, rq);
    if (!l->task) {
        uv_freeaddrinfo(found);
        free(l);
        return;
    }
    l->status = status;
    l->found = found;
    l->done = true;
    task_wake(l->task);
}

/* Copies what was found, the two families in turn, beginning with the one the resolver prefers. */
static void take_addresses(struct addresses *out, const struct addrinfo *found)
{
    int preferred = found ? found->ai_family : AF_UNSPEC;
    const struct addrinfo *from[2] = {found, found};
    out->n = 0;
    for (size_t turn = 0; (from[0] || from[1]) && out->n < ADDRESSES_MAX; turn ^= 1) {
        const struct addrinfo **at = &from[turn];
        while (*at && ((*at)->ai_family == preferred) != (turn == 0))
            *at = (*at)->ai_next;
        if (!*at)
            continue;
        memcpy(&out->list[out->n++], (*at)->ai_addr, (*at)->ai_addrlen);
        *at = (*at)->ai_next;
    }
}

static int look_up(struct addresses *out, const char *host, uint16_t port, const char *who, struct err *e)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char service[8];
    int result = 0;
    snprintf(service, sizeof service, "%u", port);
    struct lookup *l = mem_zalloc(sizeof *l);
    l->task = task_self();
    if (uv_getaddrinfo(loop_uv(task_loop(l->task)), &l->rq, on_found, host, service, &hints) < 0) {
        free(l);
        return unreachable(e, who, "its name cannot be looked up");
    }
    while (!l->done && result == 0)
        result = task_park(e);
    if (!l->done) {
        l->task = NULL;
        uv_cancel((uv_req_t *)&l->rq);
        return -1;
    }
    if (result == 0 && l->status < 0)
        result = unreachable(e, who, "its name is not known");
    take_addresses(out, l->found);
    uv_freeaddrinfo(l->found);
    free(l);
    return result;
}

/* An address needs no lookup. */
static bool is_address(struct addresses *out, const char *host, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    out->n = 1;
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        memcpy(&out->list[0], &v4, sizeof v4);
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        memcpy(&out->list[0], &v6, sizeof v6);
    else
        return false;
    return true;
}

struct dialed *dial(const char *host, uint16_t port, const char *who, struct err *e)
{
    struct addresses to;
    if (!is_address(&to, host, port) && look_up(&to, host, port, who, e) < 0)
        return NULL;
    return dial_any(&to, who, e);
}
