/* A bounded number of places that streams of all loops share, first come first served. */
#ifndef SPEECH_PLACES_H
#define SPEECH_PLACES_H

#include "base/err.h"
#include "base/list.h"

#include <pthread.h>
#include <stdint.h>

struct places {
    pthread_mutex_t lock; /* held for moments */
    unsigned free;
    struct list waiting;
};

void places_init(struct places *p, unsigned n);
void places_destroy(struct places *p); /* nobody waits any more */
/* Parks the running task until there is a place, ms at most. -1 with OVERLOADED and the text `busy`, or with the wait's
 * own error. */
int places_take(struct places *p, uint64_t ms, const char *busy, struct err *e);
/* Any loop: the first in line gets it. */
void places_give(struct places *p);

#endif
