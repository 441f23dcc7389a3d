/* What the files of this folder share; nobody else includes it. */
#ifndef LOOP_IMPL_H
#define LOOP_IMPL_H

#include "loop/loop.h"
#include "loop/task.h"
#include "loop/timer.h"

#include <stdatomic.h>

struct post;

struct timer_slot {
    uint64_t due;
    struct timer *timer;
};

struct task_stack;

struct loop {
    uv_loop_t uv;
    unsigned index;
    uv_async_t async;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t timer;
    _Atomic(struct post *) posts; /* newest first */
    atomic_bool stop;

    struct loop_end *ends, **ends_tail;

    struct timer_slot *heap; /* heap[1] is the next to fire */
    uint32_t heap_len, heap_cap;
    uint64_t uv_due; /* when the uv timer is set to fire; 0: stopped */
    bool firing;     /* due timers are being called */

    struct list ready; /* tasks to run before blocking */
    struct task *running;
    unsigned tasks;
    struct task_stack *stacks; /* free ones */
    unsigned free_stacks;
};

void timers_init(struct loop *loop);
void timers_free(struct loop *loop);
void tasks_init(struct loop *loop);
/* Runs every ready task, also those that become ready meanwhile. */
void tasks_run(struct loop *loop);
void tasks_free(struct loop *loop);
/* Sets up this thread's alternate signal stack, on which an overflow of a task's stack is reported; takes it down. */
void tasks_thread_begin(void);
void tasks_thread_end(void);

#endif
