/* libcurl's multi handle of one loop, driven by its sockets and timers. Private to this folder. */
#ifndef CLIENT_MULTI_H
#define CLIENT_MULTI_H

#include "base/list.h"
#include "loop/loop.h"

#include "client/libcurl.h"

struct upstream;
struct upstream_local;

/* One transfer on the multi handle. Its easy handle's CURLOPT_PRIVATE must point here. */
struct transfer {
    CURL *easy;
    struct list link;
    bool running;
    /* Called once on the loop's stack when libcurl is through with it; the easy handle left the multi already. Not
     * called after multi_remove. */
    void (*done)(struct transfer *transfer, CURLcode result);
};

/* Starts it on the calling thread's loop; nothing runs before the calling task parks. */
void multi_add(struct transfer *transfer);
/* Stops it at once: an unfinished HTTP/1 connection is closed, an HTTP/2 stream reset. Harmless when not running. */
void multi_remove(struct transfer *transfer);

/* The calling thread's state of upstream number `id`, made by the first call. */
struct upstream_local *multi_local(unsigned id, struct upstream_local *(*make)(struct upstream *u), struct upstream *u);

#endif
