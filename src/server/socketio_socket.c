/* The record of a socket: from CONNECT until nobody holds it any more. */
#include "base/mem.h"
#include "base/rand.h"
#include "server/socketio_impl.h"
#include "wire/base64.h"

#include <stdlib.h>

static atomic_uint_fast64_t last_number;

static char *sid_of(struct sio_socket *s)
{
    return (char *)s + s->tail;
}

/* A random name of SIO_ID_LEN characters; loop -1: names no loop. */
static void put_id(char *to, int loop)
{
    unsigned char bytes[SIO_ID_BYTES];
    struct buf text = BUF_INIT(SIO_ID_LEN);
    rand_bytes(bytes, sizeof bytes);
    if (loop >= 0) {
        bytes[0] = (unsigned char)(loop & 0xFF);
        bytes[1] = (unsigned char)(loop >> 8);
    }
    base64_put(&text, str_n(bytes, sizeof bytes), true);
    memcpy(to, buf_str(&text).p, SIO_ID_LEN);
    buf_free(&text);
}

/* Clients of Engine.IO 3 derive the id from the session's: `/nsp#id`. */
static size_t old_sid(char *to, const struct sio_namespace *ns, struct str session)
{
    size_t prefix = strcmp(ns->name, "/") == 0 ? 0 : strlen(ns->name) + 1;
    if (to) {
        memcpy(to, ns->name, prefix ? prefix - 1 : 0);
        memcpy(to + prefix, session.p, session.n);
        if (prefix)
            to[prefix - 1] = '#';
    }
    return prefix + session.n;
}

struct sio_socket *sio_socket_new(struct sio_client *c, size_t index)
{
    const struct sio_server *server = sio_client_server(c);
    const struct sio_namespace *ns = &server->namespaces[index];
    bool old = eio_version(c->session) == EIO_V3;
    size_t sid_len = old ? old_sid(NULL, ns, eio_sid(c->session)) : SIO_ID_LEN;
    size_t pid_len = !old && server->config.recovery ? SIO_ID_LEN : 0;
    size_t tail = offsetof(struct sio_socket, user) + ns->user_size;
    struct sio_socket *s = mem_zalloc(tail + sid_len + pid_len + 2);
    s->ns = ns;
    s->at = c->at;
    s->client = c;
    s->refs = 1;
    s->tail = (uint32_t)tail;
    s->sid_len = (uint16_t)sid_len;
    s->pid_len = (uint8_t)pid_len;
    s->number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
    str_copy(s->address, sizeof s->address, eio_address(c->session));
    list_init(&s->in_hall);
    list_init(&s->in_lost);
    list_init(&s->memberships);
    list_init(&s->questions);
    if (old)
        old_sid(sid_of(s), ns, eio_sid(c->session));
    else
        put_id(sid_of(s), -1);
    if (pid_len)
        put_id(sid_of(s) + sid_len + 1, (int)c->at->index);
    return s;
}

void sio_socket_enroll(struct sio_socket *s)
{
    list_push_back(&sio_hall(s)->sockets, &s->in_hall);
    if (s->pid_len)
        map_put(&s->at->pids, sio_pid(s), s);
}

void sio_socket_strike(struct sio_socket *s)
{
    list_remove(&s->in_hall);
    if (s->pid_len && map_get(&s->at->pids, sio_pid(s)) == s)
        map_remove(&s->at->pids, sio_pid(s));
}

void sio_socket_attach(struct sio_socket *s, struct sio_client *c)
{
    size_t index = sio_ns_index(s);
    s->client = c;
    s->state = SIO_STATE_CONNECTED;
    str_copy(s->address, sizeof s->address, eio_address(c->session));
    c->sockets[index] = s;
    c->ended &= ~(UINT64_C(1) << index);
    atomic_fetch_add_explicit(&s->at->connected, 1, memory_order_relaxed);
    timer_stop(eio_loop(c->session), &c->deadline);
    if (s->paused)
        sio_client_pause(c, true);
}

void sio_socket_detach(struct sio_socket *s)
{
    struct sio_client *c = s->client;
    if (s->state == SIO_STATE_LOST) {
        list_remove(&s->in_lost);
        atomic_fetch_sub_explicit(&s->at->nlost, 1, memory_order_relaxed);
    } else if (c && s->state == SIO_STATE_CONNECTED) {
        c->sockets[sio_ns_index(s)] = NULL;
        s->client = NULL;
        atomic_fetch_sub_explicit(&s->at->connected, 1, memory_order_relaxed);
        if (s->paused)
            sio_client_pause(c, false);
        sio_questions_cancel(s);
    }
}

void sio_socket_over(struct sio_socket *s, const char *reason)
{
    bool opening = s->state == SIO_STATE_OPENING;
    if (s->state == SIO_STATE_OVER)
        return;
    sio_socket_detach(s);
    sio_socket_strike(s);
    sio_leave_all(s);
    sio_forget_away(s);
    s->state = SIO_STATE_OVER;
    s->client = NULL;
    sio_ring_free(s);
    serial_stop(&s->serial);
    if (s->mover)
        task_wake(s->mover);
    if (!opening && s->ns->on_closed)
        s->ns->on_closed(s, reason);
    sio_unref(s);
}

void sio_socket_welcome(struct sio_socket *s)
{
    struct sio_client *c = s->client;
    struct buf *text = sio_scratch(c->at);
    bool old = eio_version(c->session) == EIO_V3;
    sio_connect_put(text, str_c(s->ns->name), old ? STR("") : sio_sid(s), sio_pid(s));
    sio_client_send(c, text);
}

/* The packet, and the end. */
static void disconnect(struct sio_socket *s)
{
    static const char reason[] = "server namespace disconnect";
    struct sio_client *c = s->client; /* connected, then */
    if (c) {
        struct buf *text = sio_scratch(c->at);
        sio_disconnect_put(text, str_c(s->ns->name));
        sio_client_send(c, text);
        c->ended |= UINT64_C(1) << sio_ns_index(s);
    }
    sio_socket_over(s, reason);
}

void sio_disconnect(struct sio_socket *s, bool close)
{
    struct sio_client *c = s->client;
    if (s->state == SIO_STATE_OPENING)
        return;
    if (!close || !c) {
        disconnect(s);
        return;
    }
    for (size_t i = 0; i < sio_client_server(c)->n; i++)
        if (c->sockets[i])
            disconnect(c->sockets[i]);
    eio_close(c->session, EIO_FORCED);
}

void *sio_user(struct sio_socket *s)
{
    return s->user;
}

struct sio_server *sio_server_of(const struct sio_socket *s)
{
    return s->at->server;
}

void *sio_owner(const struct sio_socket *s)
{
    return s->at->server->owner;
}

struct str sio_sid(const struct sio_socket *s)
{
    return str_n((const char *)s + s->tail, s->sid_len);
}

struct str sio_nsp(const struct sio_socket *s)
{
    return str_c(s->ns->name);
}

struct str sio_address(const struct sio_socket *s)
{
    return str_c(s->address);
}

struct str sio_remembered(const struct sio_socket *s)
{
    const struct blob *remembered = s->client ? s->client->remembered : NULL;
    return remembered ? blob_str(remembered) : STR_NONE;
}

uint64_t sio_serial_number(const struct sio_socket *s)
{
    return s->number;
}

bool sio_is_open(const struct sio_socket *s)
{
    return s->state != SIO_STATE_OVER;
}

bool sio_is_connected(const struct sio_socket *s)
{
    return s->state == SIO_STATE_CONNECTED;
}

bool sio_writable(const struct sio_socket *s)
{
    return s->state == SIO_STATE_CONNECTED && !s->flushing && eio_writable(s->client->session);
}

struct sio_socket *sio_ref(struct sio_socket *s)
{
    s->refs++;
    return s;
}

struct sio_socket *sio_unref(struct sio_socket *s)
{
    if (!s)
        return NULL;
    if (--s->refs > 0) {
        if (s->mover)
            task_wake(s->mover);
        return NULL;
    }
    free(s->skip);
    free(s);
    return NULL;
}
