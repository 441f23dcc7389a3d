/* Coming back to another loop: a task there asks the loop that has the socket to let it go. Nobody else may hold the
 * record then, so that only one thread ever knows it. Broadcasts that either loop delivers meanwhile are sorted out by
 * their numbers: what the old loop delivered is in the socket's ring, the new one collects from before the socket left
 * and hands over what is newer. */
#include "base/mem.h"
#include "server/socketio_impl.h"

#include <stdlib.h>

#define WAIT_ALONE 2000 /* ms that handlers have for their end, and as much again once they are cancelled */
#define BUSY_PAUSE 2    /* ms between looks at a socket that is on its way for an earlier connection */
#define LOOKS      2500 /* at any loop */

struct sio_arrival {
    struct sio_loop *at;
    struct sio_client *client; /* NULL once it is gone */
    size_t ns;
    struct arena *arena; /* of the ticket's texts and the auth */
    struct sio_ticket ticket;
    struct json_value auth;
    unsigned where; /* index of the loop to ask */

    struct list collecting; /* in sio_loop.collecting */
    struct sio_cast **casts;
    size_t ncasts, casts_cap;
    bool too_many;
    uint64_t *seen; /* of our loop when the collecting began */

    struct sio_socket *socket; /* what the other loop gave, or what was found on ours */
    struct buf rooms;
    bool elsewhere; /* it did not have it, but wrote in `where` who should */
    bool busy;      /* it is on its way for somebody else: a connection of the same client that broke already */
    bool found;     /* on our loop: nothing moved */
};

/* ---- Where sockets are ---- */

struct news {
    struct sio_loop *home;
    unsigned where;
    bool over;
    char pid[SIO_ID_LEN];
};

static void note_away(struct sio_loop *home, struct str pid, unsigned where)
{
    struct sio_away *away = map_get(&home->away, pid);
    if (!away) {
        away = mem_alloc(sizeof *away);
        memcpy(away->pid, pid.p, SIO_ID_LEN);
        map_put(&home->away, str_n(away->pid, SIO_ID_LEN), away);
    }
    away->where = where;
}

static void take_news(void *arg)
{
    struct news *news = arg;
    struct str pid = str_n(news->pid, SIO_ID_LEN);
    if (news->over)
        free(map_remove(&news->home->away, pid));
    else if (map_get(&news->home->away, pid))
        note_away(news->home, pid, news->where);
    free(news);
}

static void send_news(const struct sio_socket *s, bool over)
{
    struct sio_server *server = s->at->server;
    int index = s->pid_len ? sio_pid_loop(server, sio_pid(s)) : -1;
    if (index < 0 || (unsigned)index == s->at->index || s->at->draining)
        return;
    struct sio_loop *home = server->loops[index];
    struct news *news = mem_alloc(sizeof *news);
    *news = (struct news){.home = home, .where = s->at->index, .over = over};
    memcpy(news->pid, sio_pid(s).p, SIO_ID_LEN);
    loop_post(home->loop, take_news, news);
}

void sio_forget_away(const struct sio_socket *s)
{
    send_news(s, true);
}

/* ---- On the old loop ---- */

/* Waits until the registry and we are the only ones that hold the socket. */
static bool wait_alone(struct sio_socket *s)
{
    struct task_deadline deadline;
    s->mover = task_self();
    task_deadline_begin(&deadline, WAIT_ALONE);
    while (s->state == SIO_STATE_MOVING && s->refs > 2 && task_park(NULL) == 0)
        ;
    task_deadline_end(&deadline);
    s->mover = NULL;
    return s->state == SIO_STATE_MOVING && s->refs == 2;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Until every broadcast that the new loop has seen before its collecting began was delivered here too: what a loop
 * posted to us before it answers has arrived when the answer does. */
static bool catch_up(struct sio_loop *at, const struct sio_arrival *a)
{
    for (size_t i = 0; i < at->server->nloops; i++) {
        if (i == at->index || at->seen[i] >= a->seen[i])
            continue;
        loop_call(at->server->loops[i]->loop, "socketio_catch_up", nothing, NULL);
        if (task_cancelled())
            return false;
        at->seen[i] = MAX(at->seen[i], a->seen[i]);
    }
    return true;
}

static bool let_go(struct sio_loop *at, struct sio_socket *s, struct sio_arrival *a)
{
    bool alone = wait_alone(s);
    if (!alone && s->state == SIO_STATE_MOVING) {
        serial_stop(&s->serial);
        alone = wait_alone(s);
    }
    if (!alone || at->draining)
        return false;
    if (s->ns->on_depart)
        s->ns->on_depart(s);
    return wait_alone(s) && catch_up(at, a) && s->state == SIO_STATE_MOVING && s->refs == 2 && !at->draining &&
           sio_ticket_fits(&a->ticket, s);
}

/* What the socket has of every loop's broadcasts: what was delivered here, or before it came here. */
static void note_seen(const struct sio_loop *at, struct sio_socket *s)
{
    size_t n = at->server->nloops;
    uint64_t *before = s->skip;
    s->skip = mem_alloc(n * sizeof *s->skip);
    for (size_t i = 0; i < n; i++)
        s->skip[i] = before ? MAX(at->seen[i], before[i]) : at->seen[i];
    free(before);
}

/* Out of everything that belongs to this loop. */
static void leave(struct sio_loop *at, struct sio_socket *s, struct sio_arrival *a)
{
    buf_init(&a->rooms, SIZE_MAX / 2);
    sio_rooms_pack(s, &a->rooms);
    sio_socket_strike(s);
    if (sio_pid_loop(at->server, sio_pid(s)) == (int)at->index)
        note_away(at, sio_pid(s), a->at->index);
    note_seen(at, s);
    s->stamp = 0;
    s->at = a->at;
    a->socket = s;
}

bool sio_is_moving(const struct sio_loop *at, struct str pid, const struct sio_arrival *before)
{
    const struct sio_socket *s = map_get(&at->pids, pid);
    if (s)
        return s->state == SIO_STATE_MOVING;
    list_each(it, &at->collecting) {
        const struct sio_arrival *other = container_of(it, struct sio_arrival, collecting);
        if (other == before)
            return false;
        if (str_eq(other->ticket.pid, pid))
            return true;
    }
    return false;
}

/* On its way for somebody else; or it left this loop, and the one that made its pid has not heard yet where to: that
 * loop is asked again. */
static bool is_unsettled(const struct sio_loop *at, struct sio_arrival *a, const struct sio_arrival *before)
{
    unsigned home = (unsigned)sio_pid_loop(at->server, a->ticket.pid);
    a->busy = sio_is_moving(at, a->ticket.pid, before);
    if (a->busy || map_get(&at->pids, a->ticket.pid) || at->index == home)
        return a->busy;
    a->busy = true;
    a->where = home;
    return true;
}

static int depart(void *arg)
{
    struct sio_arrival *a = arg;
    struct sio_loop *at = sio_here(a->at->server);
    const struct sio_away *away = map_get(&at->away, a->ticket.pid);
    a->elsewhere = away != NULL;
    if (away) {
        a->where = away->where;
        return 0;
    }
    if (is_unsettled(at, a, NULL))
        return 0;
    struct sio_socket *s = sio_claim(at, a->ns, &a->ticket);
    if (!s)
        return 0;
    sio_ref(s);
    s->why = (uint8_t)(s->state == SIO_STATE_LOST ? s->why : EIO_FORCED);
    sio_take_from_client(s);
    if (let_go(at, s, a))
        leave(at, s, a);
    else
        sio_socket_over(s, eio_end_name((enum eio_end)s->why));
    sio_unref(s);
    return 0;
}

/* ---- On the new loop ---- */

void sio_collect(struct sio_loop *at, struct sio_cast *cast)
{
    list_each(it, &at->collecting) {
        struct sio_arrival *a = container_of(it, struct sio_arrival, collecting);
        if (a->ncasts == LIMIT_SIO_REPLAY) {
            a->too_many = true;
            continue;
        }
        if (a->ncasts == a->casts_cap) {
            a->casts_cap = a->casts_cap ? 2 * a->casts_cap : 16;
            a->casts = mem_realloc(a->casts, a->casts_cap * sizeof *a->casts);
        }
        a->casts[a->ncasts++] = sio_cast_ref(cast);
    }
}

/* The socket is here, or was when somebody said so. */
static void fetch_here(struct sio_arrival *a)
{
    struct sio_loop *at = a->at;
    const struct sio_away *away = map_get(&at->away, a->ticket.pid);
    a->busy = false;
    a->elsewhere = away && !map_get(&at->pids, a->ticket.pid);
    if (a->elsewhere)
        a->where = away->where;
    if (a->elsewhere || is_unsettled(at, a, a))
        return;
    struct sio_socket *s = sio_claim(at, a->ns, &a->ticket);
    a->found = s != NULL;
    if (!s)
        return;
    s->why = (uint8_t)(s->state == SIO_STATE_LOST ? s->why : EIO_FORCED);
    sio_take_from_client(s);
    a->socket = s;
}

static void fetch_there(struct sio_arrival *a)
{
    struct sio_server *server = a->at->server;
    struct loop *loop = atomic_load_explicit(&server->loops[a->where]->loop, memory_order_acquire);
    a->busy = a->elsewhere = false;
    if (loop)
        loop_call(loop, "socketio_depart", depart, a);
}

static void drop_casts(struct sio_arrival *a)
{
    for (size_t i = 0; i < a->ncasts; i++)
        sio_cast_unref(a->casts[i]);
    a->ncasts = 0;
}

/* What was delivered before we ask, the socket got where it was. */
static void collect_from_here(struct sio_arrival *a)
{
    drop_casts(a);
    a->too_many = false;
    memcpy(a->seen, a->at->seen, a->at->server->nloops * sizeof *a->seen);
}

static void fetch(struct sio_arrival *a)
{
    int looks = 0;
    do {
        collect_from_here(a);
        if (a->where == a->at->index)
            fetch_here(a);
        else
            fetch_there(a);
        if (a->busy && task_sleep(BUSY_PAUSE, NULL) < 0)
            return;
    } while ((a->busy || a->elsewhere) && a->client && looks++ < LOOKS);
}

static void settle_in(struct sio_arrival *a, struct sio_socket *s)
{
    struct sio_loop *at = a->at;
    sio_socket_enroll(s);
    sio_rooms_unpack(s, &a->rooms);
    list_remove(&a->collecting);
    for (size_t i = 0; i < a->ncasts; i++)
        sio_cast_late(a->casts[i], s);
    free(map_remove(&at->away, sio_pid(s))); /* when it comes home */
    send_news(s, false);
}

/* Whether the socket can go on here. */
static bool arrive_with(struct sio_arrival *a, struct sio_socket *s)
{
    struct err e;
    if (a->found)
        return true;
    settle_in(a, s);
    if (a->too_many || a->at->draining || (s->ns->on_arrive && s->ns->on_arrive(s, &e) < 0) || a->at->draining)
        sio_socket_over(s, eio_end_name((enum eio_end)s->why));
    else if (s->state == SIO_STATE_MOVING && s->hopeless)
        sio_socket_over(s, eio_end_name((enum eio_end)s->why));
    return s->state == SIO_STATE_MOVING;
}

static void arrival_free(struct sio_arrival *a)
{
    list_remove(&a->collecting);
    drop_casts(a);
    free(a->casts);
    free(a->seen);
    buf_free(&a->rooms);
    arena_free(a->arena);
    free(a);
}

static void arrive(void *arg)
{
    struct sio_arrival *a = arg;
    fetch(a);
    struct sio_socket *s = a->socket ? sio_ref(a->socket) : NULL;
    bool here = s && arrive_with(a, s);
    struct sio_client *c = a->client;
    if (c)
        c->arrival = NULL;
    if (here && c && eio_is_open(c->session))
        sio_resume(c, s, &a->ticket);
    else if (here)
        sio_socket_lose(s, (enum eio_end)s->why);
    else if (c && eio_is_open(c->session))
        sio_client_open(c, a->ns, &a->auth, a->ticket.offsets);
    if (c) {
        sio_release_held(c);
        sio_client_pause(c, false);
    }
    sio_unref(s);
    arrival_free(a);
}

void sio_arrive(struct sio_client *c, size_t ns, const struct sio_ticket *ticket, const struct json_value *auth,
                unsigned where)
{
    struct sio_loop *at = c->at;
    if (!task_room()) {
        sio_client_open(c, ns, auth, ticket->offsets);
        return;
    }
    struct sio_arrival *a = mem_zalloc(sizeof *a);
    a->at = at;
    a->client = c;
    a->ns = ns;
    a->where = where;
    a->arena = arena_new("socketio_arrival");
    a->ticket = *ticket;
    a->ticket.pid = arena_str(a->arena, ticket->pid);
    a->ticket.offset = arena_str(a->arena, ticket->offset);
    a->auth = *auth;
    a->auth.raw = arena_str(a->arena, auth->raw);
    a->seen = mem_alloc(at->server->nloops * sizeof *a->seen);
    list_push_back(&at->collecting, &a->collecting);
    c->arrival = a;
    sio_client_pause(c, true);
    task_spawn("socketio_arrive", arrive, a);
}

void sio_arrival_abandon(struct sio_client *c)
{
    c->arrival->client = NULL;
    c->arrival = NULL;
}
