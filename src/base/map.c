#include "base/map.h"

#include "base/mem.h"
#include "base/rand.h"

#include <pthread.h>
#include <stdlib.h>

/* SipHash-1-3 (Aumasson, Bernstein): enough against flooding, quick on short keys. */
static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    rand_bytes(seed, sizeof seed);
}

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = ROTL(v[1], 13) ^ v[0];
    v[0] = ROTL(v[0], 32);
    v[2] += v[3];
    v[3] = ROTL(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTL(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTL(v[1], 17) ^ v[2];
    v[2] = ROTL(v[2], 32);
}

uint64_t map_hash(struct str key)
{
    pthread_once(&seeded, make_seed);
    uint64_t v[4] = {seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573)};
    size_t whole = key.n & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word;
        memcpy(&word, key.p + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)key.n << 56;
    for (size_t i = whole; i < key.n; i++)
        last |= (uint64_t)(unsigned char)key.p[i] << 8 * (i - whole);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xFF;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct map_slot *find(const struct map *m, struct str key, uint64_t hash)
{
    size_t mask = m->cap - 1, at = hash & mask;
    while (m->slots[at].value && (m->slots[at].hash != hash || !str_eq(m->slots[at].key, key)))
        at = (at + 1) & mask;
    return &m->slots[at];
}

static void resize(struct map *m, size_t cap)
{
    struct map bigger = {.slots = mem_array(cap, sizeof *m->slots), .cap = cap, .count = m->count};
    map_each(slot, m)
        *find(&bigger, slot->key, slot->hash) = *slot;
    free(m->slots);
    *m = bigger;
}

void *map_get(const struct map *m, struct str key)
{
    return m->count ? find(m, key, map_hash(key))->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
    if ((m->count + 1) * 4 > m->cap * 3)
        resize(m, m->cap ? m->cap * 2 : 8);
    uint64_t hash = map_hash(key);
    struct map_slot *slot = find(m, key, hash);
    void *old = slot->value;
    if (!old)
        m->count++;
    *slot = (struct map_slot){key, value, hash};
    return old;
}

void *map_remove(struct map *m, struct str key)
{
    if (!m->count)
        return NULL;
    struct map_slot *slot = find(m, key, map_hash(key));
    void *old = slot->value;
    if (!old)
        return NULL;
    /* Close the gap: move back each follower of the run that would not be found across it. */
    size_t mask = m->cap - 1, gap = (size_t)(slot - m->slots);
    for (size_t at = (gap + 1) & mask; m->slots[at].value; at = (at + 1) & mask) {
        size_t home = m->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            m->slots[gap] = m->slots[at];
            gap = at;
        }
    }
    m->slots[gap].value = NULL;
    m->count--;
    return old;
}

void map_free(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}
