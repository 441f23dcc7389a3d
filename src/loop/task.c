#include "loop/task.h"

#include "base/log.h"
#include "base/sanitize.h"
#include "loop/loop_impl.h"
#include "loop/stack.h"

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Boost.Context's C entry points (boost/context/detail/fcontext.hpp is C++; the symbols are plain C). */
typedef void *fcontext_t;
struct transfer {
    fcontext_t from;
    void *data;
};
extern struct transfer jump_fcontext(fcontext_t to, void *data);
extern fcontext_t make_fcontext(void *top, size_t size, void (*fn)(struct transfer));

#define DEFERS 16

struct task {
    struct task_stack *stack; /* first: the fault handler reads it */
    struct list link;         /* ready queue */
    struct loop *loop;
    const char *name;
    task_fn *fn;
    void *arg;
    fcontext_t context; /* where the task continues */
    fcontext_t resumer; /* where the one that resumed it continues */
    struct task *below; /* the task that runs again when this one parks: it spawned this one */
    struct task_deadline *deadlines;
    const char *request_id;
    unsigned shields;
    unsigned ndefers;
    bool parked, woken, cancelled, done;
    struct {
        void (*release)(void *arg);
        void *arg;
    } defers[DEFERS];
#ifdef WITH_ASAN
    void *fake_stack;
    const void *resumer_bottom;
    size_t resumer_size;
#endif
#ifdef WITH_TSAN
    void *fiber, *resumer_fiber;
#endif
};

/* The two halves of a switch as the sanitizers want to hear of it. */
static void before_resume(struct task *task, void **own_fake_stack)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(own_fake_stack, task->stack->base, task->stack->size);
#endif
#ifdef WITH_TSAN
    task->resumer_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(task->fiber, 0);
#endif
    (void)task;
    (void)own_fake_stack;
}

static void after_resume(void *own_fake_stack)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(own_fake_stack, NULL, NULL);
#endif
    (void)own_fake_stack;
}

static void before_leave(struct task *task)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(task->done ? NULL : &task->fake_stack, task->resumer_bottom, task->resumer_size);
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(task->resumer_fiber, 0);
#endif
    (void)task;
}

static void after_enter(struct task *task)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(task->fake_stack, &task->resumer_bottom, &task->resumer_size);
#endif
    (void)task;
}

static void run_defers(struct task *task)
{
    while (task->ndefers) {
        task->ndefers--;
        task->defers[task->ndefers].release(task->defers[task->ndefers].arg);
    }
}

static void entry(struct transfer from)
{
    struct task *task = from.data;
    task->resumer = from.from;
    after_enter(task);
    task->fn(task->arg);
    run_defers(task);
    task->done = true;
    before_leave(task);
    jump_fcontext(task->resumer, NULL);
    __builtin_unreachable();
}

static void finish(struct task *task)
{
    struct loop *loop = task->loop;
#ifdef WITH_TSAN
    __tsan_destroy_fiber(task->fiber);
#endif
    loop->tasks--;
    stack_give(loop, task->stack); /* the task's record lies in it: gone now */
}

/* Switches to the task; returns when it parks or ends. True when it ended. */
static bool resume(struct task *task)
{
    struct loop *loop = task->loop;
    const char *request_id = log_request_id;
    void *fake_stack = NULL;
    task->below = loop->running;
    task->parked = false;
    loop->running = task;
    log_request_id = task->request_id;
    before_resume(task, &fake_stack);
    struct transfer back = jump_fcontext(task->context, task);
    after_resume(fake_stack);
    task->request_id = log_request_id;
    log_request_id = request_id;
    loop->running = task->below;
    if (task->done) {
        finish(task);
        return true;
    }
    task->context = back.from;
    return false;
}

struct task *task_spawn(const char *name, task_fn *fn, void *arg)
{
    struct loop *loop = loop_self();
    struct task_stack *stack = stack_take(loop);
    if (!stack)
        die("no memory for the stack of task \"%s\"", name);
    /* The record sits above the stack proper, aligned as the ABI wants the top of a stack. */
    char *top = (char *)stack - sizeof(struct task);
    top -= (uintptr_t)top & 63;
    struct task *task = (struct task *)(void *)top;
    memset(task, 0, offsetof(struct task, defers));
#ifdef WITH_ASAN
    task->fake_stack = NULL;
    /* The last owner's entry() never returned: its red zones are still marked. */
    __asan_unpoison_memory_region(stack->base, (size_t)(top - stack->base));
#endif
    task->stack = stack;
    list_init(&task->link);
    task->loop = loop;
    task->name = name;
    task->fn = fn;
    task->arg = arg;
    task->request_id = log_request_id;
    task->context = make_fcontext(top, (size_t)(top - stack->base), entry);
#ifdef WITH_TSAN
    task->fiber = __tsan_create_fiber(0);
#endif
    loop->tasks++;
    return resume(task) ? NULL : task;
}

struct task *task_self(void)
{
    struct loop *loop = loop_self();
    return loop ? loop->running : NULL;
}

/* The running task, for calls that make no sense outside of one. */
static struct task *here(void)
{
    struct task *task = task_self();
    if (!task)
        die("a task's call outside of any task");
    return task;
}

const char *task_name(const struct task *task)
{
    return task->name;
}

struct loop *task_loop(const struct task *task)
{
    return task->loop;
}

bool task_room(void)
{
    const struct loop *loop = loop_self();
    return loop->tasks < TASK_LIMIT && (loop->stacks || stack_room());
}

unsigned task_count(void)
{
    return loop_self()->tasks;
}

/* Whether the wait must end at once: 0, or -1 with the reason. */
static int interrupted(const struct task *task, struct err *e)
{
    if (task->shields)
        return 0;
    if (task->cancelled)
        return err_set(e, ERR_CANCELLED, NULL);
    for (const struct task_deadline *d = task->deadlines; d; d = d->outer)
        if (d->passed)
            return err_set(e, ERR_TIMEOUT, NULL);
    return 0;
}

static void leave(struct task *task)
{
    task->parked = true;
    before_leave(task);
    struct transfer from = jump_fcontext(task->resumer, NULL);
    task->resumer = from.from;
    after_enter(task);
}

int task_park(struct err *e)
{
    struct task *task = here();
    if (interrupted(task, e) < 0)
        return -1;
    if (!task->woken)
        leave(task);
    task->woken = false;
    return interrupted(task, e);
}

void task_wake(struct task *task)
{
    task->woken = true;
    if (task->parked && list_empty(&task->link))
        list_push_back(&task->loop->ready, &task->link);
}

void task_cancel(struct task *task)
{
    task->cancelled = true;
    task_wake(task);
}

bool task_cancelled(void)
{
    return here()->cancelled;
}

void task_shield(void)
{
    here()->shields++;
}

void task_unshield(void)
{
    here()->shields--;
}

void task_defer(void (*release)(void *arg), void *arg)
{
    struct task *task = here();
    if (task->ndefers == DEFERS)
        die("task \"%s\" defers too much", task->name);
    task->defers[task->ndefers].release = release;
    task->defers[task->ndefers].arg = arg;
    task->ndefers++;
}

void task_undefer(void)
{
    here()->ndefers--;
}

static void deadline_passed(struct timer *timer)
{
    struct task_deadline *deadline = container_of(timer, struct task_deadline, timer);
    deadline->passed = true;
    task_wake(deadline->task);
}

void task_deadline_begin(struct task_deadline *deadline, uint64_t ms)
{
    struct task *task = here();
    *deadline = (struct task_deadline){.timer.fn = deadline_passed, .task = task, .outer = task->deadlines};
    task->deadlines = deadline;
    timer_start(task->loop, &deadline->timer, ms);
}

void task_deadline_end(struct task_deadline *deadline)
{
    timer_stop(deadline->task->loop, &deadline->timer);
    deadline->task->deadlines = deadline->outer;
}

struct sleeper {
    struct timer timer;
    struct task *task;
    bool done;
};

static void sleep_over(struct timer *timer)
{
    struct sleeper *sleeper = container_of(timer, struct sleeper, timer);
    sleeper->done = true;
    task_wake(sleeper->task);
}

int task_sleep(uint64_t ms, struct err *e)
{
    struct sleeper sleeper = {.timer.fn = sleep_over, .task = here()};
    int result = 0;
    timer_start(sleeper.task->loop, &sleeper.timer, ms);
    while (!sleeper.done && result == 0)
        result = task_park(e);
    timer_stop(sleeper.task->loop, &sleeper.timer);
    return result;
}

int task_yield(struct err *e)
{
    return task_sleep(0, e);
}

struct waiter {
    struct list link;
    struct task *task;
    bool called;
};

void waitlist_init(struct waitlist *list)
{
    list_init(&list->tasks);
}

int waitlist_wait(struct waitlist *list, struct err *e)
{
    struct waiter waiter = {.task = here()};
    int result = 0;
    list_push_back(&list->tasks, &waiter.link);
    while (!waiter.called && result == 0)
        result = task_park(e);
    /* Called and cancelled at once: the place in line must not be lost with us. */
    if (result < 0 && waiter.called)
        waitlist_wake_one(list);
    list_remove(&waiter.link);
    return result;
}

bool waitlist_wake_one(struct waitlist *list)
{
    struct list *first = list_pop_front(&list->tasks);
    if (!first)
        return false;
    struct waiter *waiter = container_of(first, struct waiter, link);
    waiter->called = true;
    task_wake(waiter->task);
    return true;
}

void waitlist_wake_all(struct waitlist *list)
{
    while (waitlist_wake_one(list))
        ;
}

void tasks_init(struct loop *loop)
{
    list_init(&loop->ready);
}

void tasks_run(struct loop *loop)
{
    struct list *first;
    while ((first = list_pop_front(&loop->ready)))
        resume(container_of(first, struct task, link));
}

void tasks_free(struct loop *loop)
{
    if (loop->tasks)
        log_error("loop", "tasks_left", F_INT("tasks", loop->tasks));
    while (loop->stacks) {
        struct task_stack *stack = loop->stacks;
        loop->stacks = stack->next;
        stack_unmap(stack);
    }
}
