#include "client/multi.h"

#include "base/mem.h"
#include "client/upstream_impl.h"
#include "loop/timer.h"

#include <signal.h>
#include <stdlib.h>

#define IDLE_CONNECTIONS 256L

struct multi {
    CURLM *curl;
    struct loop *loop;
    struct timer timer;
    struct loop_end kick;
    struct list running;
    bool acting; /* inside libcurl */
    bool ended;  /* client_thread_end ran while the kick was queued */
    struct upstream_local **locals;
    unsigned nlocals;
};

/* One socket of libcurl's as libuv watches it. */
struct watch {
    uv_poll_t poll;
    struct multi *multi;
    curl_socket_t fd;
};

static _Thread_local struct multi *self;

/* Tells what is through. Only here, never inside a libcurl callback: done() may start and stop transfers. */
static void reap(struct multi *m)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(m->curl, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode result = msg->data.result;
        void *private = NULL;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
        struct transfer *transfer = private;
        multi_remove(transfer);
        transfer->done(transfer, result);
    }
}

static void act(struct multi *m, curl_socket_t fd, int flags)
{
    int running;
    m->acting = true;
    curl_multi_socket_action(m->curl, fd, flags, &running);
    m->acting = false;
    reap(m);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    int flags = 0;
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(watch->multi, watch->fd, flags);
}

static void watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct multi *m = arg;
    struct watch *watch = socket_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            curl_multi_assign(m->curl, fd, NULL);
            uv_close((uv_handle_t *)&watch->poll, watch_closed);
        }
        return 0;
    }
    if (!watch) {
        watch = mem_zalloc(sizeof *watch);
        watch->multi = m;
        watch->fd = fd;
        if (uv_poll_init(loop_uv(m->loop), &watch->poll, fd) < 0) {
            free(watch);
            return -1;
        }
        watch->poll.data = watch;
        curl_multi_assign(m->curl, fd, watch);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&watch->poll, events, on_poll) < 0 ? -1 : 0;
}

static void on_timer(struct timer *timer)
{
    act(container_of(timer, struct multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void on_kick(struct loop_end *end)
{
    struct multi *m = container_of(end, struct multi, kick);
    if (m->ended)
        free(m);
    else
        act(m, CURL_SOCKET_TIMEOUT, 0);
}

/* "At once" asked for by a task (a new or unpaused transfer) is done before the loop blocks, on the loop's own stack;
 * asked for by libcurl itself, it waits for the next turn of the loop, so that it can never starve it. */
static int on_timeout(CURLM *curl, long ms, void *arg)
{
    struct multi *m = arg;
    (void)curl;
    if (ms == 0 && !m->acting)
        loop_at_end(m->loop, &m->kick);
    else if (ms >= 0)
        timer_start(m->loop, &m->timer, (uint64_t)ms);
    else
        timer_stop(m->loop, &m->timer);
    return 0;
}

static struct multi *multi_self(void)
{
    if (self)
        return self;
    struct multi *m = mem_zalloc(sizeof *m);
    m->curl = curl_multi_init();
    if (!m->curl)
        die("cannot make a libcurl handle");
    m->loop = loop_self();
    m->timer.fn = on_timer;
    m->kick.fn = on_kick;
    list_init(&m->running);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
    self = m;
    return m;
}

void multi_add(struct transfer *transfer)
{
    struct multi *m = multi_self();
    transfer->running = true;
    list_push_back(&m->running, &transfer->link);
    curl_multi_add_handle(m->curl, transfer->easy);
}

void multi_remove(struct transfer *transfer)
{
    if (!transfer->running)
        return;
    transfer->running = false;
    list_remove(&transfer->link);
    curl_multi_remove_handle(self->curl, transfer->easy);
}

struct upstream_local *multi_local(unsigned id, struct upstream_local *(*make)(struct upstream *u), struct upstream *u)
{
    struct multi *m = multi_self();
    if (id >= m->nlocals) {
        unsigned n = id + 8;
        m->locals = mem_realloc(m->locals, n * sizeof *m->locals);
        memset(m->locals + m->nlocals, 0, (n - m->nlocals) * sizeof *m->locals);
        m->nlocals = n;
    }
    if (!m->locals[id])
        m->locals[id] = make(u);
    return m->locals[id];
}

int client_setup(struct err *e)
{
    /* OpenSSL writes with write(2): a peer that is gone must be an error, not a signal. */
    signal(SIGPIPE, SIG_IGN);
    return libcurl_load(e);
}

void client_thread_end(void)
{
    struct multi *m = self;
    if (!m)
        return;
    ws_client_end_all();
    while (!list_empty(&m->running)) {
        struct transfer *transfer = container_of(m->running.next, struct transfer, link);
        multi_remove(transfer);
        transfer->done(transfer, CURLE_ABORTED_BY_CALLBACK);
    }
    for (unsigned i = 0; i < m->nlocals; i++)
        upstream_local_free(m->locals[i]);
    free(m->locals);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, NULL);
    curl_multi_cleanup(m->curl);
    timer_stop(m->loop, &m->timer);
    self = NULL;
    m->ended = true;
    if (!m->kick.queued)
        free(m);
}
