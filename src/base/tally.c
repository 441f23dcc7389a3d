#include "base/tally.h"

#include "base/list.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

#define SHARDS 16 /* a power of two: threads seldom meet at one lock */

struct window {
    struct list order; /* in shard.order, by its start */
    unsigned char key[TALLY_KEY];
    uint64_t start, count;
};

struct shard {
    pthread_mutex_t lock;
    struct map windows;
    struct list order; /* oldest first */
};

struct tally {
    size_t max; /* windows of a shard */
    struct shard shards[SHARDS];
};

struct tally *tally_new(size_t max_keys)
{
    struct tally *tally = mem_zalloc(sizeof *tally);
    tally->max = MAX(max_keys / SHARDS, (size_t)1);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&tally->shards[i].lock, NULL);
        list_init(&tally->shards[i].order);
    }
    return tally;
}

static void forget(struct shard *shard, struct window *window)
{
    map_remove(&shard->windows, str_n(window->key, TALLY_KEY));
    list_remove(&window->order);
    free(window);
}

struct tally *tally_free(struct tally *tally)
{
    for (size_t i = 0; tally && i < SHARDS; i++) {
        struct shard *shard = &tally->shards[i];
        while (!list_empty(&shard->order))
            forget(shard, container_of(shard->order.next, struct window, order));
        map_free(&shard->windows);
        pthread_mutex_destroy(&shard->lock);
    }
    free(tally);
    return NULL;
}

/* Threads read the clock at different moments, so a window may seem to begin in the future. */
static uint64_t elapsed(const struct window *window, uint64_t now_ms)
{
    return now_ms > window->start ? now_ms - window->start : 0;
}

static void expire(struct shard *shard, size_t max, uint64_t now_ms, uint64_t window_ms)
{
    while (!list_empty(&shard->order)) {
        struct window *oldest = container_of(shard->order.next, struct window, order);
        if (elapsed(oldest, now_ms) < window_ms && shard->windows.count < max)
            return;
        forget(shard, oldest);
    }
}

static struct window *begin(struct shard *shard, const unsigned char key[TALLY_KEY], uint64_t now_ms)
{
    struct window *window = mem_zalloc(sizeof *window);
    memcpy(window->key, key, TALLY_KEY);
    window->start = now_ms;
    list_push_back(&shard->order, &window->order);
    map_put(&shard->windows, str_n(window->key, TALLY_KEY), window);
    return window;
}

struct tally_result tally_take(struct tally *tally, const unsigned char key[TALLY_KEY], struct tally_rule rule,
                               uint64_t now_ms)
{
    struct shard *shard = &tally->shards[map_hash(str_n(key, TALLY_KEY)) >> 60];
    pthread_mutex_lock(&shard->lock);
    struct window *window = map_get(&shard->windows, str_n(key, TALLY_KEY));
    if (window && elapsed(window, now_ms) >= rule.window_ms) {
        forget(shard, window);
        window = NULL;
    }
    if (!window) {
        expire(shard, tally->max, now_ms, rule.window_ms);
        window = begin(shard, key, now_ms);
    }
    bool allowed = window->count < rule.limit;
    window->count += allowed;
    struct tally_result result = {.allowed = allowed,
                                  .remaining = window->count < rule.limit ? rule.limit - window->count : 0,
                                  .left_ms = rule.window_ms - elapsed(window, now_ms)};
    pthread_mutex_unlock(&shard->lock);
    return result;
}

size_t tally_keys(struct tally *tally)
{
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&tally->shards[i].lock);
        count += tally->shards[i].windows.count;
        pthread_mutex_unlock(&tally->shards[i].lock);
    }
    return count;
}

void tally_address(unsigned char key[TALLY_KEY], const struct in6_addr *address)
{
    memcpy(key, address, TALLY_KEY);
    if (!IN6_IS_ADDR_V4MAPPED(address))
        memset(key + 8, 0, 8);
}
