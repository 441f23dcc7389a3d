/* Tasks: stackful coroutines pinned to one loop. Code that waits is written top to bottom; a wait parks the task, never
 * the thread. Stacks are small (TASK_STACK): nothing that recurses on its input runs on one.
 *
 * Every wait returns 0, or -1 with CANCELLED or TIMEOUT. A cancelled task's further waits fail at once, so it runs to
 * its end; task_shield lets clean-up wait all the same. */
#ifndef LOOP_TASK_H
#define LOOP_TASK_H

#include "base/sanitize.h"
#include "loop/loop.h"
#include "loop/timer.h"

#define TASK_STACK KIB(64) /* usable bytes; a guard page lies below */
#ifdef WITH_TSAN
#define TASK_LIMIT 1024 /* ThreadSanitizer keeps 2 MiB for each, and has room for 8128 in all */
#else
#define TASK_LIMIT 16384 /* tasks of one loop; task_room tells */
#endif

struct task;
typedef void task_fn(void *arg);

/* Starts fn(arg) on the calling thread's loop and runs it at once, until it first waits or ends; `name` is a literal
 * for messages. Returns NULL when it ended already. Calling it from inside a task is fine. */
struct task *task_spawn(const char *name, task_fn *fn, void *arg);
/* The running task, NULL outside of any. */
struct task *task_self(void);
const char *task_name(const struct task *task);
struct loop *task_loop(const struct task *task);
/* Whether the calling thread's loop may start another task (TASK_LIMIT, and what the system maps for the whole
 * process): ask before taking on new work from outside. */
bool task_room(void);
/* Tasks alive on the calling thread's loop. */
unsigned task_count(void);

/* Parks the running task until task_wake, task_cancel or a deadline. A wake that came before counts; a wake may also be
 * left over from an earlier wait: call in a loop that tests what you wait for. */
int task_park(struct err *e);
/* Makes a parked task run soon (before the loop blocks). Loop thread only. */
void task_wake(struct task *task);
/* Loop thread only; harmless twice. */
void task_cancel(struct task *task);
bool task_cancelled(void);

/* Between the two, waits of the running task do not fail for cancellation or outer deadlines. Nests. */
void task_shield(void);
void task_unshield(void);

/* Runs release(arg) when the running task ends, latest first, on every way out. At most 16 at a time.
 * task_undefer takes back the newest one without running it. */
void task_defer(void (*release)(void *arg), void *arg);
void task_undefer(void);

/* Waits between begin and end fail with TIMEOUT once ms have passed. The nearest of nested deadlines counts. */
struct task_deadline {
    struct timer timer;
    struct task *task;
    struct task_deadline *outer;
    bool passed;
};
void task_deadline_begin(struct task_deadline *deadline, uint64_t ms);
void task_deadline_end(struct task_deadline *deadline);

int task_sleep(uint64_t ms, struct err *e);
/* Lets the other ready tasks and the loop's events go first. */
int task_yield(struct err *e);

/* Tasks waiting in line, first come first served. Zero-initialise with waitlist_init. */
struct waitlist {
    struct list tasks;
};
void waitlist_init(struct waitlist *list);
int waitlist_wait(struct waitlist *list, struct err *e);
/* Wakes the first in line; false when nobody waits. */
bool waitlist_wake_one(struct waitlist *list);
void waitlist_wake_all(struct waitlist *list);

/* Runs fn(arg) on a worker thread (libuv's pool, UV_THREADPOOL_SIZE threads) and parks the running task until it is
 * done: fn may block, and arg may live on the task's stack. 0 when fn ran; -1 when the task was cancelled before it
 * started, then fn never runs. Once started it is waited for, cancelled or not. */
int pool_call(void (*fn)(void *arg), void *arg, struct err *e);

/* Runs fn(arg) in a task of another loop and parks the caller until it ends; on the same loop, simply calls it. The
 * callee gets the caller's cancellation. Returns what fn returned; fn reports errors through arg. */
int loop_call(struct loop *loop, const char *name, int (*fn)(void *arg), void *arg);

#endif
