#include "server/rate_limit.h"

#include "base/mem.h"
#include "base/tally.h"

#include <stdatomic.h>
#include <stdlib.h>

struct rate_limit {
    _Atomic uint64_t limit, window_ms;
    struct tally *clients;
};

struct rate_limit *rate_limit_new(uint64_t limit, uint64_t window_ms)
{
    struct rate_limit *rl = mem_zalloc(sizeof *rl);
    rate_limit_set(rl, limit, window_ms);
    rl->clients = tally_new(RATE_LIMIT_CLIENTS);
    return rl;
}

struct rate_limit *rate_limit_free(struct rate_limit *rl)
{
    if (rl)
        tally_free(rl->clients);
    free(rl);
    return NULL;
}

void rate_limit_set(struct rate_limit *rl, uint64_t limit, uint64_t window_ms)
{
    atomic_store(&rl->limit, limit);
    atomic_store(&rl->window_ms, window_ms ? window_ms : 1);
}

bool rate_limit_is_on(const struct rate_limit *rl)
{
    return atomic_load_explicit(&rl->limit, memory_order_relaxed) != 0;
}

bool rate_limit_covers(struct str path)
{
    /* A client that polls asks as often as there is news. */
    if (str_starts(path, STR("/api/socket.io")))
        return false;
    return str_starts(path, STR("/api/")) || str_starts(path, STR("/v1/"));
}

struct rate_verdict rate_limit_take(struct rate_limit *rl, const struct in6_addr *addr, uint64_t now_ms)
{
    struct tally_rule rule = {atomic_load(&rl->limit), atomic_load(&rl->window_ms)};
    if (!rule.limit)
        return (struct rate_verdict){.allowed = true, .reset = 1};
    unsigned char key[TALLY_KEY];
    tally_address(key, addr);
    struct tally_result result = tally_take(rl->clients, key, rule, now_ms);
    uint64_t seconds = (result.left_ms + 999) / 1000;
    return (struct rate_verdict){
        .allowed = result.allowed,
        .limit = rule.limit,
        .remaining = result.remaining,
        .reset = (unsigned)MIN(seconds, UINT32_MAX),
    };
}

static int put_number(struct buf *out, struct str name, uint64_t value)
{
    return buf_str_add(out, name) < 0 || buf_add_u64(out, value) < 0 || buf_lit(out, "\r\n") < 0 ? -1 : 0;
}

int rate_limit_put(struct buf *out, const struct rate_verdict *verdict)
{
    if (!verdict->limit)
        return 0;
    if (put_number(out, STR("RateLimit-Limit: "), verdict->limit) < 0 ||
        put_number(out, STR("RateLimit-Remaining: "), verdict->remaining) < 0 ||
        put_number(out, STR("RateLimit-Reset: "), verdict->reset) < 0)
        return -1;
    return verdict->allowed ? 0 : put_number(out, STR("Retry-After: "), verdict->reset);
}

int rate_limit_refuse(struct err *e)
{
    return err_set(e, ERR_RATE_LIMIT_EXCEEDED, NULL);
}

size_t rate_limit_clients(struct rate_limit *rl)
{
    return tally_keys(rl->clients);
}
