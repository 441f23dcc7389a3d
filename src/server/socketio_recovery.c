/* Sockets whose client is gone, and clients that come back for theirs. */
#include "base/clock.h"
#include "server/socketio_impl.h"
#include "wire/base64.h"

/* ---- What a client presents ---- */

void sio_ticket_read(struct sio_ticket *ticket, const struct json_value *auth)
{
    struct json_iter it = json_iter(auth);
    struct json_value key, value;
    *ticket = (struct sio_ticket){.at_ns = clock_mono_ns()};
    while (json_each(&it, &key, &value)) {
        if (str_eqc(key.raw, "pid") && value.type == JSON_STRING && !value.escaped) {
            ticket->pid = value.raw;
            ticket->offsets = true;
        } else if (str_eqc(key.raw, "offset") && value.type != JSON_NULL) {
            ticket->has_offset = true;
            ticket->offset = value.type == JSON_STRING && !value.escaped ? value.raw : STR("");
        } else if (str_eqc(key.raw, "recovery")) {
            ticket->offsets |= value.type == JSON_TRUE;
        }
    }
}

int sio_pid_loop(const struct sio_server *server, struct str pid)
{
    struct buf bytes = BUF_INIT(SIO_ID_BYTES);
    size_t index = server->nloops;
    if (pid.n == SIO_ID_LEN && base64_decode(&bytes, pid) == 0) {
        const unsigned char *b = (const unsigned char *)buf_str(&bytes).p;
        index = b[0] | (size_t)b[1] << 8;
    }
    buf_free(&bytes);
    return index < server->nloops ? (int)index : -1;
}

/* Whether it is known which events the client has: those up to *seq. One that gets offsets, and has none or that of an
 * earlier socket (clients keep it), has got none of this socket's. */
static bool knows_place(const struct sio_ticket *ticket, const struct sio_socket *s, uint64_t *seq)
{
    enum sio_offset whose = ticket->has_offset ? sio_offset_parse(s, ticket->offset, seq) : SIO_OFFSET_OTHER;
    if (whose == SIO_OFFSET_OTHER)
        *seq = s->offsets_from;
    return whose == SIO_OFFSET_OWN || (whose == SIO_OFFSET_OTHER && s->offsets);
}

/* Without an offset nobody knows what the client has, unless it has confirmed all that was sent. */
bool sio_ticket_fits(const struct sio_ticket *ticket, const struct sio_socket *s)
{
    uint64_t seq;
    if (s->hopeless)
        return false;
    if (knows_place(ticket, s, &seq) && sio_ring_reaches(s, seq))
        return true;
    /* Clients take any text at the end of an event for an offset, so one that got none may still name something. */
    return (!ticket->has_offset || !s->offsets) && sio_ring_all_confirmed(s);
}

/* ---- Sockets without a client ---- */

void sio_expire(struct timer *timer)
{
    struct sio_loop *at = container_of(timer, struct sio_loop, expiry);
    uint64_t keep = at->server->config.recovery;
    while (!list_empty(&at->lost)) {
        struct sio_socket *s = container_of(at->lost.next, struct sio_socket, in_lost);
        uint64_t age = loop_now_ms(at->loop) - s->lost_at;
        if (!s->hopeless && age < keep) {
            timer_start(at->loop, &at->expiry, keep - age);
            return;
        }
        sio_socket_over(s, eio_end_name((enum eio_end)s->why));
    }
}

void sio_socket_give_up(struct sio_socket *s)
{
    if (s->state != SIO_STATE_LOST)
        return;
    list_remove(&s->in_lost);
    list_push_front(&s->at->lost, &s->in_lost);
    timer_start(s->at->loop, &s->at->expiry, 0);
}

static bool can_come_back(const struct sio_socket *s, enum eio_end why)
{
    return s->pid_len && !s->at->draining && !s->hopeless && why != EIO_PARSE_ERROR && why != EIO_SHUTDOWN;
}

void sio_socket_lose(struct sio_socket *s, enum eio_end why)
{
    struct sio_loop *at = s->at;
    if (!can_come_back(s, why)) {
        sio_socket_over(s, eio_end_name(why));
        return;
    }
    sio_socket_detach(s);
    s->state = SIO_STATE_LOST;
    s->why = (uint8_t)why;
    s->lost_at = loop_now_ms(at->loop);
    list_push_back(&at->lost, &s->in_lost);
    if (!timer_running(&at->expiry))
        timer_start(at->loop, &at->expiry, at->server->config.recovery);
    if (atomic_fetch_add_explicit(&at->nlost, 1, memory_order_relaxed) >= LIMIT_SIO_LOST) {
        struct sio_socket *oldest = container_of(at->lost.next, struct sio_socket, in_lost);
        sio_socket_over(oldest, eio_end_name((enum eio_end)oldest->why));
    }
}

/* ---- Coming back ---- */

void sio_take_from_client(struct sio_socket *s)
{
    struct sio_client *old = s->client;
    sio_socket_detach(s);
    s->state = SIO_STATE_MOVING;
    if (old)
        eio_close(old->session, EIO_FORCED);
}

struct sio_socket *sio_claim(struct sio_loop *at, size_t ns, const struct sio_ticket *ticket)
{
    struct sio_socket *s = map_get(&at->pids, ticket->pid);
    bool waits = s && (s->state == SIO_STATE_LOST || s->state == SIO_STATE_CONNECTED);
    if (!waits || sio_ns_index(s) != ns || at->draining)
        return NULL; /* unknown, on its way to somebody else already, or shown at the wrong door */
    if (ticket->at_ns < s->client_ns)
        return NULL; /* held up on its way: its client has come back on a newer connection since */
    enum eio_end why = s->state == SIO_STATE_LOST ? (enum eio_end)s->why : EIO_FORCED;
    if (sio_ticket_fits(ticket, s) && (!s->ns->can_recover || s->ns->can_recover(s)))
        return s;
    sio_take_from_client(s);
    sio_socket_over(s, eio_end_name(why));
    return NULL;
}

/* The client has what its ticket says. False: it may have more. The official client keeps what is replayed aside until
 * it is welcomed, and counts it only then: one that lost its connection in between names its old place again, and still
 * has some of the replay. */
static bool find_place(struct sio_socket *s, const struct sio_ticket *ticket)
{
    uint64_t seq;
    bool known = knows_place(ticket, s, &seq) && sio_ring_reaches(s, seq);
    if (known)
        sio_ring_drop_until(s, seq);
    uint64_t from = s->seq - sio_ring_count(s);
    bool sure = !s->replayed || !known || seq != s->replay_from;
    if (!s->offsets)
        s->offsets_from = from;
    s->offsets = true;
    s->replay_from = from;
    return sure;
}

static void welcome(struct sio_socket *s)
{
    sio_socket_welcome(s);
    s->welcomed = eio_sent(s->client->session);
    eio_confirm(s->client->session); /* behind the welcome: what is confirmed before it was not counted yet */
}

/* Welcomed without a replay, the client takes in what it kept aside; when it has confirmed that, it is sent away, and
 * comes back with its true place. */
static void flush_client(struct sio_socket *s)
{
    s->flushing = true;
    sio_ring_withhold(s);
    welcome(s);
}

void sio_resume(struct sio_client *c, struct sio_socket *s, const struct sio_ticket *ticket)
{
    bool sure = find_place(s, ticket);
    sio_ref(s);
    sio_socket_attach(s, c);
    s->client_ns = ticket->at_ns;
    s->flushing = false;
    if (!sure) {
        flush_client(s);
        sio_unref(s);
        return;
    }
    s->replayed = sio_ring_count(s) > 0;
    sio_ring_replay(s);
    welcome(s);
    if (s->ns->on_connected)
        s->ns->on_connected(s, true);
    if (s->ns->on_drained && s->state == SIO_STATE_CONNECTED)
        s->ns->on_drained(s);
    sio_unref(s);
}

bool sio_recover(struct sio_client *c, size_t ns, const struct sio_ticket *ticket, const struct json_value *auth)
{
    struct sio_loop *at = c->at;
    int home = sio_pid_loop(at->server, ticket->pid);
    if (home < 0 || eio_version(c->session) == EIO_V3 || at->draining)
        return false;
    const struct sio_away *away = map_get(&at->away, ticket->pid);
    unsigned where = away ? away->where : (unsigned)home;
    bool is_here = where == at->index || map_get(&at->pids, ticket->pid);
    if (!is_here || sio_is_moving(at, ticket->pid, NULL)) {
        if (map_get(&at->pids, ticket->pid))
            where = at->index;
        sio_arrive(c, ns, ticket, auth, where);
        return true;
    }
    struct sio_socket *s = sio_claim(at, ns, ticket);
    if (!s)
        return false;
    sio_take_from_client(s);
    sio_resume(c, s, ticket);
    return true;
}
