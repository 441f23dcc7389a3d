/* Threads of one's own for work that computes for long: they run at a lower priority than the loops, and no more work
 * waits for them than is set here, so neither the loops nor those who share libuv's pool (pool_call) wait for it. */
#ifndef LOOP_WORKERS_H
#define LOOP_WORKERS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct workers;

struct workers_config {
    const char *name; /* a literal, of the threads: at most 15 bytes */
    unsigned threads; /* 0: as many as the machine has cores */
    size_t waiting;   /* calls that may wait for a thread, beside those that run; at least 1 */
    uint64_t wait_ms; /* how long one may wait; 0: as long as it takes */
};

/* Starts the threads. Any thread. */
struct workers *workers_new(const struct workers_config *config);
/* Ends them. No call may be under way; blocks. Takes NULL, returns NULL. */
struct workers *workers_free(struct workers *workers);

/* Runs fn(arg) on one of the threads, first come first served, and parks the running task until it is done: fn may
 * compute and block, and arg may live on the task's stack. 0 when fn ran. -1 when it never did and never will:
 * OVERLOADED (too many wait, or it waited too long), CANCELLED or TIMEOUT of the task before it began. Once begun it is
 * waited for, cancelled or not. */
int workers_call(struct workers *workers, void (*fn)(void *arg), void *arg, struct err *e);

/* Calls that wait for a thread now. Any thread. */
size_t workers_waiting(struct workers *workers);

#endif
