#include "net/conn_impl.h"

#include "base/mem.h"

#include <stdlib.h>

/* Where a connection goes; conn.poll.data meanwhile. */
struct conn_trip {
    struct loop *to;
    void (*arrived)(struct conn *c);
};

/* What conn_pool_hold counts for it: the counting goes to the other thread's pool. */
static ptrdiff_t held(const struct conn *c)
{
    size_t sum = c->kept_cap;
    for (const struct out_segment *segment = c->out; segment; segment = segment->next)
        sum += sizeof *segment + segment->cap;
    return (ptrdiff_t)sum;
}

/* Each loop reads its clock on its own: to this one, progress must not lie in the future. */
static uint32_t not_after(uint32_t ms, uint32_t now)
{
    return (int32_t)(now - ms) < 0 ? now : ms;
}

static void arrive(void *arg)
{
    struct conn *c = arg;
    struct conn_trip trip = *(struct conn_trip *)c->poll.data;
    free(c->poll.data);
    uint32_t now = (uint32_t)loop_now_ms(trip.to);
    conn_pool_hold(conn_pool(), held(c));
    c->loop = trip.to;
    c->moving = false;
    c->mask = 0;
    c->last_input_ms = not_after(c->last_input_ms, now);
    c->last_output_ms = not_after(c->last_output_ms, now);
    if (uv_poll_init(loop_uv(c->loop), &c->poll, c->fd) < 0) {
        conn_let_go(c, CONN_END_ERROR);
        trip.arrived(c);
        conn_closed(c);
        return;
    }
    conn_update_poll(c);
    trip.arrived(c);
    if (conn_is_here(c)) {
        c->again = true;
        loop_at_end(c->loop, &c->turn);
    }
}

/* A loop closes its handles after it has run its ends, so the old loop holds nothing of the connection any more. */
static void departed(uv_handle_t *handle)
{
    struct conn *c = container_of(handle, struct conn, poll);
    struct conn_trip *trip = c->poll.data;
    loop_post(trip->to, arrive, c);
}

void conn_depart(struct conn *c)
{
    conn_pool_hold(conn_pool(), -held(c));
    uv_close((uv_handle_t *)&c->poll, departed);
}

void conn_move(struct conn *c, struct loop *to, void (*arrived)(struct conn *c))
{
    struct conn_trip *trip = mem_alloc(sizeof *trip);
    *trip = (struct conn_trip){to, arrived};
    c->poll.data = trip;
    c->moving = true;
    if (!c->in_read)
        conn_depart(c);
}
