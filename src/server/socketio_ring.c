/* Events that a socket's client may not have yet, and how they get out of here: confirmed by a heartbeat that was sent
 * behind them, or named by the offset of a client that came back. */
#include "base/mem.h"
#include "server/socketio_impl.h"

#include <stdlib.h>

#define CONFIRM_EVERY    1000 /* ms: no heartbeat is sent for confirmation sooner after the last */
#define CONFIRM_MESSAGES 64   /* unless so many left behind it */
#define CAPACITY_MIN     8

struct extras {
    unsigned n;
    struct blob *attachments[];
};

struct kept {
    struct blob *frame;
    struct extras *extras; /* NULL: no attachments */
    uint64_t mark;
};

struct sio_ring {
    uint64_t dropped; /* mark of the latest event that found no more room here, 0 when its client is known to have it */
    size_t bytes;
    uint32_t count, cap, head; /* cap: a power of two */
    struct kept kept[];
};

static struct kept *kept_at(struct sio_ring *ring, uint32_t i)
{
    return &ring->kept[(ring->head + i) & (ring->cap - 1)];
}

static size_t kept_bytes(const struct kept *kept)
{
    size_t bytes = kept->frame->n;
    for (unsigned i = 0; kept->extras && i < kept->extras->n; i++)
        bytes += kept->extras->attachments[i]->n;
    return bytes;
}

static void pop(struct sio_ring *ring)
{
    struct kept *kept = kept_at(ring, 0);
    ring->bytes -= kept_bytes(kept);
    blob_unref(kept->frame);
    for (unsigned i = 0; kept->extras && i < kept->extras->n; i++)
        blob_unref(kept->extras->attachments[i]);
    free(kept->extras);
    ring->head = (ring->head + 1) & (ring->cap - 1);
    ring->count--;
}

static void free_if_empty(struct sio_socket *s)
{
    if (s->ring && s->ring->count == 0 && s->ring->dropped == 0) {
        free(s->ring);
        s->ring = NULL;
    }
}

static void make_room(struct sio_socket *s)
{
    struct sio_ring *old = s->ring;
    uint32_t cap = old ? old->cap * 2 : CAPACITY_MIN;
    if (old && old->count < old->cap)
        return;
    struct sio_ring *ring = mem_alloc(sizeof *ring + cap * sizeof(struct kept));
    *ring = (struct sio_ring){.cap = cap};
    if (old) {
        ring->dropped = old->dropped;
        ring->bytes = old->bytes;
        ring->count = old->count;
        for (uint32_t i = 0; i < old->count; i++)
            ring->kept[i] = *kept_at(old, i);
    }
    free(old);
    s->ring = ring;
}

static struct extras *keep_attachments(const struct sio_parcel *parcel)
{
    unsigned n = parcel->nattachments;
    if (n == 0)
        return NULL;
    struct extras *extras = mem_alloc(sizeof *extras + n * sizeof(struct blob *));
    extras->n = n;
    for (unsigned i = 0; i < n; i++)
        extras->attachments[i] = blob_ref(parcel->attachments[i]);
    return extras;
}

/* A lost client that will never get an event of its own has no use for the others. */
static void drop_oldest(struct sio_socket *s)
{
    s->ring->dropped = kept_at(s->ring, 0)->mark;
    s->hopeless |= s->ring->dropped == SIO_UNSENT;
    pop(s->ring);
}

void sio_ring_push(struct sio_socket *s, const struct sio_parcel *parcel, uint64_t mark)
{
    if (s->hopeless)
        return;
    if (s->ring && s->ring->count == LIMIT_SIO_REPLAY)
        drop_oldest(s);
    make_room(s);
    struct kept *kept = kept_at(s->ring, s->ring->count++);
    *kept = (struct kept){blob_ref(parcel->frame), keep_attachments(parcel), mark};
    s->ring->bytes += kept_bytes(kept);
    s->seq++;
    while (s->ring->bytes > LIMIT_SIO_REPLAY_BYTES)
        drop_oldest(s);
    if (s->hopeless) {
        sio_ring_free(s);
        sio_socket_give_up(s);
    }
}

void sio_ring_confirmed(struct sio_socket *s, uint64_t n)
{
    struct sio_ring *ring = s->ring;
    if (!ring)
        return;
    if (ring->dropped <= n)
        ring->dropped = 0;
    while (ring->count && kept_at(ring, 0)->mark <= n)
        pop(ring);
    free_if_empty(s);
}

uint64_t sio_ring_count(const struct sio_socket *s)
{
    return s->ring ? s->ring->count : 0;
}

bool sio_ring_reaches(const struct sio_socket *s, uint64_t seq)
{
    return seq <= s->seq && s->seq - seq <= sio_ring_count(s);
}

bool sio_ring_all_confirmed(const struct sio_socket *s)
{
    return !s->ring || (!s->ring->dropped && (!s->ring->count || kept_at(s->ring, 0)->mark == SIO_UNSENT));
}

void sio_ring_drop_until(struct sio_socket *s, uint64_t seq)
{
    struct sio_ring *ring = s->ring;
    if (!ring)
        return;
    ring->dropped = 0;
    while (ring->count && s->seq - ring->count < seq)
        pop(ring);
    free_if_empty(s);
}

void sio_ring_replay(struct sio_socket *s)
{
    struct sio_ring *ring = s->ring;
    for (uint32_t i = 0; ring && i < ring->count; i++) {
        struct kept *kept = kept_at(ring, i);
        struct sio_parcel parcel = {.frame = kept->frame};
        if (kept->extras) {
            parcel.attachments = kept->extras->attachments;
            parcel.nattachments = kept->extras->n;
        }
        kept->mark = SIO_UNSENT;
        if (sio_send_parcel(s, &parcel, s->seq - ring->count + i + 1) == 0)
            kept->mark = eio_sent(s->client->session);
    }
}

void sio_ring_withhold(struct sio_socket *s)
{
    for (uint32_t i = 0; s->ring && i < s->ring->count; i++)
        kept_at(s->ring, i)->mark = SIO_UNSENT;
}

void sio_ring_free(struct sio_socket *s)
{
    while (s->ring && s->ring->count)
        pop(s->ring);
    free(s->ring);
    s->ring = NULL;
}

/* ---- Confirmation ---- */

static bool is_unconfirmed(const struct sio_client *c)
{
    for (size_t i = 0; i < sio_client_server(c)->n; i++)
        if (c->sockets[i] && c->sockets[i]->ring)
            return true;
    return false;
}

static void ask_soon(struct sio_client *c)
{
    struct sio_loop *at = c->at;
    if (list_empty(&c->unconfirmed))
        list_push_back(&at->unconfirmed, &c->unconfirmed);
    if (!timer_running(&at->confirm))
        timer_start(at->loop, &at->confirm, CONFIRM_EVERY);
}

static void ask_now(struct sio_client *c)
{
    list_remove(&c->unconfirmed);
    c->asked = eio_sent(c->session);
    eio_confirm(c->session);
}

void sio_confirm(struct sio_client *c)
{
    if (eio_heartbeat_age(c->session) >= CONFIRM_EVERY || eio_sent(c->session) - c->asked >= CONFIRM_MESSAGES)
        ask_now(c);
    else
        ask_soon(c);
}

void sio_confirm_tick(struct timer *timer)
{
    struct sio_loop *at = container_of(timer, struct sio_loop, confirm);
    struct list *first;
    while ((first = list_pop_front(&at->unconfirmed))) {
        struct sio_client *c = container_of(first, struct sio_client, unconfirmed);
        if (is_unconfirmed(c))
            ask_now(c);
    }
}

static void confirmed(struct sio_socket *s, uint64_t n)
{
    sio_ring_confirmed(s, n);
    if (n < s->welcomed)
        return;
    s->replayed = false;
    if (s->flushing)
        eio_close(s->client->session, EIO_FORCED);
}

/* A heartbeat that was on its way already says nothing about what left behind it. */
void sio_client_confirmed(struct sio_client *c, uint64_t n)
{
    for (size_t i = 0; i < sio_client_server(c)->n; i++)
        if (c->sockets[i])
            confirmed(c->sockets[i], n);
    if (is_unconfirmed(c))
        ask_soon(c);
}
