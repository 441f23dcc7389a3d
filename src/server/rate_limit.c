#include "server/rate_limit.h"

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SHARDS      16 /* a power of two: loops seldom meet at one lock */
#define SHARD_LIMIT (RATE_LIMIT_CLIENTS / SHARDS)
#define KEY_LEN     sizeof(struct in6_addr)

struct client {
    struct list order; /* in shard.order, by the start of the window */
    unsigned char key[KEY_LEN];
    uint64_t start, count;
};

struct shard {
    pthread_mutex_t lock;
    struct map clients;
    struct list order; /* oldest window first */
};

struct rate_limit {
    _Atomic uint64_t limit, window_ms;
    struct shard shards[SHARDS];
};

struct rate_limit *rate_limit_new(uint64_t limit, uint64_t window_ms)
{
    struct rate_limit *rl = mem_zalloc(sizeof *rl);
    rate_limit_set(rl, limit, window_ms);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&rl->shards[i].lock, NULL);
        list_init(&rl->shards[i].order);
    }
    return rl;
}

static void forget(struct shard *shard, struct client *client)
{
    map_remove(&shard->clients, str_n(client->key, KEY_LEN));
    list_remove(&client->order);
    free(client);
}

struct rate_limit *rate_limit_free(struct rate_limit *rl)
{
    for (size_t i = 0; rl && i < SHARDS; i++) {
        struct shard *shard = &rl->shards[i];
        while (!list_empty(&shard->order))
            forget(shard, container_of(shard->order.next, struct client, order));
        map_free(&shard->clients);
        pthread_mutex_destroy(&shard->lock);
    }
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

/* Loops read the clock at different moments, so a window may seem to begin in the future. */
static uint64_t elapsed(const struct client *client, uint64_t now_ms)
{
    return now_ms > client->start ? now_ms - client->start : 0;
}

static void expire(struct shard *shard, uint64_t now_ms, uint64_t window_ms)
{
    while (!list_empty(&shard->order)) {
        struct client *oldest = container_of(shard->order.next, struct client, order);
        if (elapsed(oldest, now_ms) < window_ms && shard->clients.count < SHARD_LIMIT)
            return;
        forget(shard, oldest);
    }
}

static struct client *remember(struct shard *shard, const unsigned char key[KEY_LEN], uint64_t now_ms)
{
    struct client *client = mem_zalloc(sizeof *client);
    memcpy(client->key, key, KEY_LEN);
    client->start = now_ms;
    list_push_back(&shard->order, &client->order);
    map_put(&shard->clients, str_n(client->key, KEY_LEN), client);
    return client;
}

struct rate_verdict rate_limit_take(struct rate_limit *rl, const struct in6_addr *addr, uint64_t now_ms)
{
    uint64_t limit = atomic_load(&rl->limit), window_ms = atomic_load(&rl->window_ms);
    if (!limit)
        return (struct rate_verdict){.allowed = true, .reset = 1};
    unsigned char key[KEY_LEN];
    memcpy(key, addr, KEY_LEN);
    if (!IN6_IS_ADDR_V4MAPPED(addr))
        memset(key + 8, 0, 8);
    uint64_t hash = map_hash(str_n(key, KEY_LEN));
    struct shard *shard = &rl->shards[hash >> 60];

    pthread_mutex_lock(&shard->lock);
    struct client *client = map_get(&shard->clients, str_n(key, KEY_LEN));
    if (client && elapsed(client, now_ms) >= window_ms) {
        forget(shard, client);
        client = NULL;
    }
    if (!client) {
        expire(shard, now_ms, window_ms);
        client = remember(shard, key, now_ms);
    }
    uint64_t used = client->count < limit ? ++client->count : limit + 1;
    uint64_t left_ms = window_ms - elapsed(client, now_ms);
    pthread_mutex_unlock(&shard->lock);

    uint64_t seconds = (left_ms + 999) / 1000;
    return (struct rate_verdict){
        .allowed = used <= limit,
        .limit = limit,
        .remaining = used <= limit ? limit - used : 0,
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
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&rl->shards[i].lock);
        count += rl->shards[i].clients.count;
        pthread_mutex_unlock(&rl->shards[i].lock);
    }
    return count;
}
