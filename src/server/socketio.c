/* The server: its loops, the engine below, and what a socket tells about itself. */
#include "base/mem.h"
#include "server/socketio_impl.h"

#include <stdlib.h>

#define SCRATCH_MAX  MIB(256) /* of one packet; what comes in is far below, and what goes out is ours */
#define SCRATCH_KEEP KIB(64)

struct sio_loop *sio_here(struct sio_server *server)
{
    unsigned index = loop_index(loop_self());
    if (index >= server->nloops)
        die("Socket.IO was set up for %zu loops, this is loop %u", server->nloops, index);
    struct sio_loop *at = server->loops[index];
    if (!atomic_load_explicit(&at->loop, memory_order_relaxed))
        atomic_store_explicit(&at->loop, loop_self(), memory_order_release);
    return at;
}

size_t sio_find_namespace(const struct sio_server *server, struct str name)
{
    size_t i = 0;
    while (i < server->n && !str_eqc(name, server->namespaces[i].name))
        i++;
    return i;
}

struct buf *sio_scratch(struct sio_loop *at)
{
    buf_clear(&at->scratch);
    return &at->scratch;
}

void sio_scratch_done(struct sio_loop *at)
{
    if (at->scratch.cap > SCRATCH_KEEP)
        buf_free(&at->scratch);
}

/* ---- The engine's calls ---- */

static void deadline_passed(struct timer *timer)
{
    struct sio_client *c = container_of(timer, struct sio_client, deadline);
    eio_close(c->session, EIO_FORCED);
}

static bool wants_offsets(struct http_request *rq)
{
    struct str value = http_request_query(rq, STR("recovery"));
    return str_eqc(value, "1") || str_eqc(value, "true");
}

static void on_open(struct eio_session *session, struct http_request *rq)
{
    struct sio_server *server = eio_owner(session);
    struct sio_client *c = eio_user(session);
    c->session = session;
    c->at = sio_here(server);
    c->remembered = server->config.remember ? server->config.remember(server->owner, rq) : NULL;
    c->offsets = wants_offsets(rq);
    list_init(&c->held);
    list_init(&c->unconfirmed);
    c->deadline.fn = deadline_passed;
    timer_start(eio_loop(session), &c->deadline, server->config.connect_timeout);
    if (eio_version(session) == EIO_V3) /* these clients take it for granted that they are connected to "/" */
        sio_client_connect(c, STR("/"), &(struct json_value){.type = JSON_NONE});
}

static void on_message(struct eio_session *session, bool binary, struct str data)
{
    sio_client_message(eio_user(session), binary, data);
}

static void on_confirmed(struct eio_session *session, uint64_t n)
{
    sio_client_confirmed(eio_user(session), n);
}

static void on_drained(struct eio_session *session)
{
    struct sio_client *c = eio_user(session);
    for (size_t i = 0; i < sio_client_server(c)->n; i++) {
        struct sio_socket *s = c->sockets[i];
        if (!s || !s->ns->on_drained)
            continue;
        sio_ref(s);
        s->ns->on_drained(s);
        sio_unref(s);
    }
}

static void on_closed(struct eio_session *session, enum eio_end why)
{
    struct sio_client *c = eio_user(session);
    timer_stop(eio_loop(session), &c->deadline);
    list_remove(&c->unconfirmed);
    sio_incoming_free(c);
    sio_forget_held(c);
    if (c->arrival)
        sio_arrival_abandon(c);
    for (size_t i = 0; i < sio_client_server(c)->n; i++)
        if (c->sockets[i])
            sio_socket_lose(c->sockets[i], why);
    c->remembered = blob_unref(c->remembered);
}

/* ---- The server ---- */

static void flush_answers(struct loop_end *turn)
{
    sio_answers_flush(container_of(turn, struct sio_loop, turn));
}

static struct sio_loop *loop_begin(struct sio_server *server, unsigned index)
{
    struct sio_loop *at = mem_zalloc(sizeof *at);
    at->server = server;
    at->index = index;
    at->halls = mem_zalloc(server->n * sizeof *at->halls);
    at->seen = mem_zalloc(server->nloops * sizeof *at->seen);
    for (size_t i = 0; i < server->n; i++)
        list_init(&at->halls[i].sockets);
    list_init(&at->lost);
    list_init(&at->unconfirmed);
    list_init(&at->answers);
    list_init(&at->collecting);
    at->expiry.fn = sio_expire;
    at->confirm.fn = sio_confirm_tick;
    at->turn.fn = flush_answers;
    buf_init(&at->scratch, SCRATCH_MAX);
    return at;
}

struct sio_server *sio_new(const struct sio_config *config, const struct sio_namespace *namespaces, size_t n,
                           void *owner, size_t nloops)
{
    if (n > SIO_NAMESPACES)
        die("%zu namespaces of Socket.IO", n);
    struct sio_server *server = mem_zalloc(sizeof *server + nloops * sizeof(struct sio_loop *));
    server->config = *config;
    server->namespaces = namespaces;
    server->n = n;
    server->owner = owner;
    server->nloops = nloops;
    for (size_t i = 0; i < nloops; i++)
        server->loops[i] = loop_begin(server, (unsigned)i);
    server->ops = (struct eio_ops){.user_size = sizeof(struct sio_client) + n * sizeof(struct sio_socket *),
                                   .on_open = on_open,
                                   .on_message = on_message,
                                   .on_confirmed = on_confirmed,
                                   .on_drained = on_drained,
                                   .on_closed = on_closed};
    server->engine = eio_new(&server->config.engine, &server->ops, server, nloops);
    return server;
}

struct sio_server *sio_free(struct sio_server *server)
{
    if (!server)
        return NULL;
    eio_free(server->engine);
    for (size_t i = 0; i < server->nloops; i++) {
        struct sio_loop *at = server->loops[i];
        map_free(&at->pids);
        map_free(&at->away);
        buf_free(&at->scratch);
        free(at->seen);
        free(at->halls);
        free(at);
    }
    free(server);
    return NULL;
}

struct eio_server *sio_engine(struct sio_server *server)
{
    return server->engine;
}

static void forget_lost(struct sio_loop *at)
{
    while (!list_empty(&at->lost))
        sio_socket_over(container_of(at->lost.next, struct sio_socket, in_lost), eio_end_name(EIO_SHUTDOWN));
}

void sio_drain(struct sio_server *server)
{
    struct sio_loop *at = sio_here(server);
    at->draining = true;
    forget_lost(at);
}

void sio_loop_end(struct sio_server *server)
{
    struct sio_loop *at = sio_here(server);
    at->draining = true;
    eio_loop_end(server->engine);
    forget_lost(at);
    sio_answers_flush(at);
    timer_stop(loop_self(), &at->expiry);
    timer_stop(loop_self(), &at->confirm);
    map_each(slot, &at->away)
        free(slot->value);
    map_free(&at->away);
    map_free(&at->pids);
    for (size_t i = 0; i < server->n; i++)
        map_free(&at->halls[i].rooms);
    buf_free(&at->scratch);
}

static size_t count(const struct sio_server *server, bool lost)
{
    size_t sum = 0;
    for (size_t i = 0; i < server->nloops; i++) {
        const struct sio_loop *at = server->loops[i];
        sum += atomic_load_explicit(lost ? &at->nlost : &at->connected, memory_order_relaxed);
    }
    return sum;
}

size_t sio_count(const struct sio_server *server)
{
    return count(server, false);
}

size_t sio_count_lost(const struct sio_server *server)
{
    return count(server, true);
}
