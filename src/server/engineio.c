#include "server/engineio_impl.h"

#include "base/mem.h"
#include "base/rand.h"
#include "wire/base64.h"

#include <stdlib.h>

#define SID_BYTES 15 /* the last one tells the loop, hidden behind the first */

/* An idle session must be small: there are many. */
_Static_assert(offsetof(struct eio_session, user) <= 256, "a session's record has grown");

static void on_turn(struct loop_end *end);

/* ---- Server ---- */

struct eio_server *eio_new(const struct eio_config *config, const struct eio_ops *ops, void *owner, size_t nloops)
{
    if (nloops > SERVER_LOOPS)
        die("more than %d loops", SERVER_LOOPS);
    struct eio_server *server = mem_zalloc(sizeof *server + nloops * sizeof(struct eio_shard *));
    server->config = *config;
    server->ops = ops;
    server->owner = owner;
    server->nloops = nloops;
    for (size_t i = 0; i < nloops; i++) {
        struct eio_shard *shard = mem_zalloc(sizeof *shard);
        shard->server = server;
        shard->turn.fn = on_turn;
        list_init(&shard->all);
        list_init(&shard->due);
        server->shards[i] = shard;
    }
    eio_metrics(); /* so that they show before the first session */
    return server;
}

struct eio_server *eio_free(struct eio_server *server)
{
    if (!server)
        return NULL;
    for (size_t i = 0; i < server->nloops; i++)
        free(server->shards[i]);
    free(server);
    return NULL;
}

struct eio_shard *eio_shard_here(struct eio_server *server)
{
    struct loop *loop = loop_self();
    if (!loop || loop_index(loop) >= server->nloops)
        die("an Engine.IO server is used on a loop it was not made for");
    struct eio_shard *shard = server->shards[loop_index(loop)];
    shard->loop = loop;
    return shard;
}

static void on_turn(struct loop_end *end)
{
    struct eio_shard *shard = container_of(end, struct eio_shard, turn);
    for (struct list *it; (it = list_pop_front(&shard->due));)
        eio_serve(container_of(it, struct eio_session, due));
}

void eio_make_due(struct eio_session *s)
{
    if (list_empty(&s->due))
        list_push_back(&s->shard->due, &s->due);
    loop_at_end(s->shard->loop, &s->shard->turn);
}

void eio_drain(struct eio_server *server)
{
    struct eio_shard *shard = eio_shard_here(server);
    shard->draining = true;
    list_each_safe(it, &shard->all) {
        struct eio_session *s = container_of(it, struct eio_session, link);
        if (s->state == EIO_LINGERING)
            eio_forget(s);
        else if (!s->socket)
            eio_close(s, EIO_SHUTDOWN);
    }
}

void eio_loop_end(struct eio_server *server)
{
    struct eio_shard *shard = eio_shard_here(server);
    shard->draining = true;
    for (struct list *it; (it = list_pop_front(&shard->all));) {
        struct eio_session *s = container_of(it, struct eio_session, link);
        eio_close(s, EIO_SHUTDOWN);
        if (s->state == EIO_ENDED)
            eio_finish(s);
        else
            eio_forget(s);
    }
    map_free(&shard->sessions);
}

size_t eio_count(const struct eio_server *server)
{
    return atomic_load(&server->count);
}

/* ---- Ids ---- */

static void make_sid(struct eio_session *s, unsigned index)
{
    unsigned char bytes[SID_BYTES];
    struct buf out = {.data = s->sid, .cap = sizeof s->sid, .max = EIO_SID};
    rand_bytes(bytes, SID_BYTES - 1);
    bytes[SID_BYTES - 1] = (unsigned char)(bytes[0] ^ index);
    base64_put(&out, str_n(bytes, SID_BYTES), true);
}

struct str eio_query_sid(struct str query)
{
    struct str piece;
    while (query.n && str_split(&query, '&', &piece))
        if (str_starts(piece, STR("sid=")))
            return str_from(piece, 4);
    return STR_NONE;
}

int eio_steer(const struct eio_server *server, struct str query)
{
    char bytes[SID_BYTES];
    struct buf out = {.data = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    struct str sid = eio_query_sid(query);
    if (sid.n != EIO_SID || base64_decode(&out, sid) < 0 || out.len != SID_BYTES)
        return -1;
    int index = (unsigned char)(bytes[SID_BYTES - 1] ^ bytes[0]);
    return (size_t)index < server->nloops ? index : -1;
}

struct eio_session *eio_find(const struct eio_shard *shard, struct str sid)
{
    return sid.n == EIO_SID ? map_get(&shard->sessions, sid) : NULL;
}

/* ---- Sessions ---- */

struct eio_session *eio_session_new(struct eio_shard *shard, struct http_request *rq, enum eio_version version)
{
    struct eio_server *server = shard->server;
    size_t user_size = server->ops->user_size;
    struct eio_session *s = mem_zalloc(sizeof *s + user_size + rq->address.n + 1);
    shard->sl = http_exchange(rq)->sl;
    s->shard = shard;
    s->version = (uint8_t)version;
    s->timer.fn = eio_on_timer;
    s->beat_at = loop_now_ms(shard->loop);
    list_init(&s->due);
    list_push_back(&shard->all, &s->link);
    if (rq->address.n)
        memcpy(s->user + user_size, rq->address.p, rq->address.n);
    make_sid(s, loop_index(shard->loop));
    map_put(&shard->sessions, eio_sid(s), s);
    atomic_fetch_add(&server->count, 1);
    metric_inc(eio_metrics()->opened);
    return s;
}

void eio_forget(struct eio_session *s)
{
    if (s->coming)
        s->coming->session = NULL;
    if (s->probe)
        eio_socket_end(s);
    timer_stop(s->shard->loop, &s->timer);
    list_remove(&s->link);
    list_remove(&s->due);
    map_remove(&s->shard->sessions, eio_sid(s));
    eio_drop_queue(s);
    free(s);
}

void *eio_user(struct eio_session *s)
{
    return s->user;
}

void *eio_owner(struct eio_session *s)
{
    return s->shard->server->owner;
}

struct loop *eio_loop(const struct eio_session *s)
{
    return s->shard->loop;
}

struct str eio_sid(const struct eio_session *s)
{
    return str_n(s->sid, EIO_SID);
}

struct str eio_address(const struct eio_session *s)
{
    return str_c(s->user + s->shard->server->ops->user_size);
}

enum eio_version eio_version(const struct eio_session *s)
{
    return (enum eio_version)s->version;
}

bool eio_is_open(const struct eio_session *s)
{
    return s->state == EIO_RUNNING;
}

bool eio_on_websocket(const struct eio_session *s)
{
    return s->socket;
}
