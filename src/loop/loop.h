/* One event loop per thread, on libuv. Everything that belongs to a loop (connections, timers, tasks) is touched only
 * by its thread; other threads reach it with loop_post and loop_call. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/err.h"
#include "base/list.h"

#include <stdint.h>
#include <uv.h>

struct loop;

/* Makes a loop; `index` numbers the server's loops from 0. The thread that calls loop_run becomes its thread. */
struct loop *loop_new(unsigned index);
/* Runs until loop_stop. Call from one thread only; loop_self() answers this loop meanwhile. */
void loop_run(struct loop *loop);
/* Any thread. loop_run returns soon after, leaving handles as they are. */
void loop_stop(struct loop *loop);
/* After loop_run returned: closes what is left, runs what was posted, frees. Takes NULL, returns NULL. */
struct loop *loop_free(struct loop *loop);

/* The loop of the calling thread, NULL on other threads. */
struct loop *loop_self(void);
unsigned loop_index(const struct loop *loop);
uv_loop_t *loop_uv(struct loop *loop);
/* Monotonic milliseconds, read once per iteration. */
uint64_t loop_now_ms(struct loop *loop);

/* Runs fn(arg) on the loop's thread, soon, in the order of posting by each thread. Any thread, also its own. */
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Work to do once before the loop next blocks, after the ready tasks ran: flushing output, say. Loop thread only;
 * scheduling again before it ran is harmless. Zero-initialise; `fn` must be set. */
struct loop_end {
    struct loop_end *next;
    void (*fn)(struct loop_end *end);
    bool queued;
};
void loop_at_end(struct loop *loop, struct loop_end *end);

#endif
