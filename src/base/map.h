/* Hash map from byte strings to pointers, for keys that strangers may choose (seeded hash). Keys are not copied:
 * each must stay valid, unchanged, until it is removed. Values must not be NULL. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_slot {
    struct str key;
    void *value; /* NULL: free */
    uint64_t hash;
};

struct map {
    struct map_slot *slots;
    size_t cap; /* 0 or a power of two */
    size_t count;
};

/* Seeded 64-bit hash, the same within one process. */
uint64_t map_hash(struct str key);

void *map_get(const struct map *m, struct str key);
/* Adds or replaces; returns the value that was there, or NULL. On replacing, the new key pointer is kept. */
void *map_put(struct map *m, struct str key, void *value);
/* Returns the value removed, or NULL. */
void *map_remove(struct map *m, struct str key);
/* Frees the table, not the values; the map is empty and usable again. */
void map_free(struct map *m);

/* for each slot in use; the map must not change meanwhile. */
#define map_each(it, m)                                                                                                \
    for (struct map_slot *it = (m)->slots; it && it < (m)->slots + (m)->cap; it++)                                     \
        if (it->value)

#endif
