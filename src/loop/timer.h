/* One-shot timers of a loop, kept in a heap: 32 bytes each, so every connection can own some. */
#ifndef LOOP_TIMER_H
#define LOOP_TIMER_H

#include "loop/loop.h"

/* Zero-initialise; `fn` must be set before the first start. Not moved or freed while it runs. */
struct timer {
    uint64_t due; /* loop_now_ms() at which it fires */
    void (*fn)(struct timer *timer);
    uint32_t at; /* place in the heap, 1-based; 0: not running */
};

/* Starts or restarts; fires once, not before ms have passed since loop_now_ms(), on the loop's thread. Timers fire in
 * the order in which they are due. */
void timer_start(struct loop *loop, struct timer *timer, uint64_t ms);
/* Harmless when it does not run. */
void timer_stop(struct loop *loop, struct timer *timer);
static inline bool timer_running(const struct timer *timer)
{
    return timer->at != 0;
}

#endif
