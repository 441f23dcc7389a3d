#include "api/livekit_impl.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

#define KEPT 1024 /* retries come within minutes */

struct livekit_events {
    pthread_mutex_t lock;
    struct map seen; /* of ids below */
    char ids[KEPT][LIMIT_ID + 1];
    size_t next; /* the oldest one, written over first */
};

struct livekit_events *livekit_events_new(void)
{
    struct livekit_events *events = mem_zalloc(sizeof *events);
    pthread_mutex_init(&events->lock, NULL);
    return events;
}

struct livekit_events *livekit_events_free(struct livekit_events *events)
{
    if (!events)
        return NULL;
    map_free(&events->seen);
    pthread_mutex_destroy(&events->lock);
    free(events);
    return NULL;
}

static void keep(struct livekit_events *events, struct str id)
{
    char *place = events->ids[events->next];
    if (*place)
        map_remove(&events->seen, str_c(place));
    memcpy(place, id.p, id.n);
    place[id.n] = 0;
    map_put(&events->seen, str_n(place, id.n), place);
    events->next = (events->next + 1) % KEPT;
}

bool livekit_events_add(struct livekit_events *events, struct str id)
{
    if (!id.n || id.n > LIMIT_ID || memchr(id.p, 0, id.n))
        return true;
    pthread_mutex_lock(&events->lock);
    bool first = !map_get(&events->seen, id);
    if (first)
        keep(events, id);
    pthread_mutex_unlock(&events->lock);
    return first;
}
