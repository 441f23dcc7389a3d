#include "unit/support/run_task.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int steps;

static void bump(void *arg)
{
    *(int *)arg += 1;
}

static void sleep_body(void *arg)
{
    struct err e;
    uint64_t start = clock_mono_ms();
    assert_int_equal(task_sleep(20, &e), 0);
    assert_true(clock_mono_ms() - start >= 20);
    *(int *)arg = 1;
}

static void sleeps_at_least_as_long_as_asked(void **state)
{
    (void)state;
    int ran = 0;
    run_task(sleep_body, &ran);
    assert_int_equal(ran, 1);
}

struct waits {
    int (*wait)(struct err *e);
    struct loop *other;
    int result;
    struct err e;
    int cleaned;
};

static void waits_main(void *arg)
{
    struct waits *w = arg;
    task_defer(bump, &w->cleaned);
    w->result = w->wait(&w->e);
}

static int wait_park(struct err *e)
{
    return task_park(e);
}

static int wait_sleep(struct err *e)
{
    return task_sleep(100000, e);
}

static struct waitlist line;

static int wait_line(struct err *e)
{
    return waitlist_wait(&line, e);
}

static void never(void *arg)
{
    (void)arg;
    steps += 1000;
}

static void block(void *arg)
{
    pthread_mutex_t *gate = arg;
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int wait_pool_queued(struct err *e)
{
    return pool_call(never, NULL, e);
}

static void cancel_each_body(void *arg)
{
    (void)arg;
    int (*const waits[])(struct err *) = {wait_park, wait_sleep, wait_line};
    waitlist_init(&line);
    for (size_t i = 0; i < COUNT(waits); i++) {
        struct waits w = {.wait = waits[i], .result = 7};
        struct task *task = task_spawn("waits", waits_main, &w);
        assert_non_null(task);
        task_cancel(task);
        task_cancel(task);
        assert_int_equal(w.cleaned, 0);
        while (!w.cleaned)
            assert_int_equal(task_yield(NULL), 0);
        assert_int_equal(w.result, -1);
        assert_int_equal(w.e.code, ERR_CANCELLED);
    }
    assert_true(list_empty(&line.tasks));
}

static void cancel_ends_every_wait_and_cleans_up(void **state)
{
    (void)state;
    run_task(cancel_each_body, NULL);
}

static void pool_holder(void *arg)
{
    bump(arg);
    assert_int_equal(pool_call(block, &gate, NULL), 0);
    bump(arg);
}

static void pool_cancel_body(void *arg)
{
    (void)arg;
    int held[8] = {0};
    pthread_mutex_lock(&gate);
    for (size_t i = 0; i < COUNT(held); i++) /* more than the pool has threads */
        task_spawn("holder", pool_holder, &held[i]);
    struct waits w = {.wait = wait_pool_queued, .result = 7};
    struct task *task = task_spawn("queued", waits_main, &w);
    task_cancel(task);
    while (!w.cleaned)
        assert_int_equal(task_yield(NULL), 0);
    assert_int_equal(w.result, -1);
    assert_int_equal(w.e.code, ERR_CANCELLED);
    pthread_mutex_unlock(&gate);
    for (size_t i = 0; i < COUNT(held); i++)
        while (held[i] != 2)
            assert_int_equal(task_yield(NULL), 0);
    assert_int_equal(steps, 0);
}

static void cancelled_work_in_the_queue_never_runs(void **state)
{
    (void)state;
    run_task(pool_cancel_body, NULL);
}

static void started_holder(void *arg)
{
    struct waits *w = arg;
    w->result = pool_call(block, &gate, &w->e);
    w->cleaned = 1;
}

static void pool_started_body(void *arg)
{
    (void)arg;
    struct waits w = {.result = 7};
    pthread_mutex_lock(&gate);
    struct task *task = task_spawn("started", started_holder, &w);
    assert_int_equal(task_sleep(20, NULL), 0);
    task_cancel(task);
    assert_int_equal(task_sleep(20, NULL), 0);
    assert_int_equal(w.cleaned, 0);
    pthread_mutex_unlock(&gate);
    while (!w.cleaned)
        assert_int_equal(task_yield(NULL), 0);
    assert_int_equal(w.result, 0);
}

static void started_work_is_waited_for(void **state)
{
    (void)state;
    run_task(pool_started_body, NULL);
}

static void deadline_body(void *arg)
{
    (void)arg;
    struct err e;
    struct task_deadline outer, inner;
    task_deadline_begin(&outer, 10);
    task_deadline_begin(&inner, 100000);
    assert_int_equal(task_sleep(100000, &e), -1);
    assert_int_equal(e.code, ERR_TIMEOUT);
    task_shield();
    assert_int_equal(task_sleep(1, &e), 0);
    task_unshield();
    task_deadline_end(&inner);
    assert_int_equal(task_park(&e), -1);
    task_deadline_end(&outer);
    assert_int_equal(task_sleep(1, &e), 0);
}

static void nearest_deadline_counts(void **state)
{
    (void)state;
    run_task(deadline_body, NULL);
}

static void wake_before_park_body(void *arg)
{
    (void)arg;
    struct err e;
    task_wake(task_self());
    assert_int_equal(task_park(&e), 0);
}

static void wake_before_park_counts(void **state)
{
    (void)state;
    run_task(wake_before_park_body, NULL);
}

static char order[8];

static void in_line(void *arg)
{
    assert_int_equal(waitlist_wait(&line, NULL), 0);
    strncat(order, arg, 2);
}

static void line_body(void *arg)
{
    (void)arg;
    waitlist_init(&line);
    struct waits w = {.wait = wait_line};
    task_spawn("a", in_line, "a");
    struct task *cancelled = task_spawn("b", waits_main, &w);
    task_spawn("c", in_line, "c");
    waitlist_wake_one(&line);
    waitlist_wake_one(&line);
    task_cancel(cancelled); /* called and cancelled: c must get the place */
    while (strlen(order) < 2)
        assert_int_equal(task_yield(NULL), 0);
    assert_string_equal(order, "ac");
    assert_false(waitlist_wake_one(&line));
}

static void line_keeps_order_and_loses_no_place(void **state)
{
    (void)state;
    run_task(line_body, NULL);
}

static void nested_inner(void *arg)
{
    bump(arg);
    assert_int_equal(task_sleep(1, NULL), 0);
    bump(arg);
}

static void nested_body(void *arg)
{
    (void)arg;
    enum { MANY = 200 };
    int counts[MANY] = {0};
    for (int i = 0; i < MANY; i++)
        task_spawn("nested", nested_inner, &counts[i]);
    assert_int_equal(task_count(), MANY + 1);
    for (int i = 0; i < MANY; i++)
        while (counts[i] != 2)
            assert_int_equal(task_yield(NULL), 0);
    assert_int_equal(task_count(), 1);
}

static void tasks_start_tasks(void **state)
{
    (void)state;
    run_task(nested_body, NULL);
}

static void *other_thread(void *arg)
{
    loop_run(arg);
    return NULL;
}

struct remote {
    struct loop *expected;
    int result;
};

static int remote_fn(void *arg)
{
    struct remote *r = arg;
    assert_ptr_equal(loop_self(), r->expected);
    r->result = task_sleep(1, NULL);
    return 42;
}

static int remote_forever(void *arg)
{
    struct remote *r = arg;
    struct err e;
    r->result = task_sleep(100000, &e);
    return e.code == ERR_CANCELLED ? 1 : 2;
}

static void remote_caller(void *arg)
{
    struct waits *w = arg;
    struct remote r = {0};
    w->result = loop_call(w->other, "forever", remote_forever, &r);
    assert_int_equal(r.result, -1);
    w->cleaned = 1;
}

static void remote_body(void *arg)
{
    struct remote r = {.expected = arg};
    assert_int_equal(loop_call(arg, "remote", remote_fn, &r), 42);
    assert_int_equal(r.result, 0);
    r.expected = loop_self();
    assert_int_equal(loop_call(loop_self(), "local", remote_fn, &r), 42);
    struct waits w = {.other = arg};
    struct task *task = task_spawn("caller", remote_caller, &w);
    assert_int_equal(task_sleep(10, NULL), 0);
    task_cancel(task);
    while (!w.cleaned)
        assert_int_equal(task_yield(NULL), 0);
    assert_int_equal(w.result, 1);
}

static void calls_into_another_loop(void **state)
{
    (void)state;
    struct loop *other = loop_new(1);
    pthread_t thread;
    pthread_create(&thread, NULL, other_thread, other);
    run_task(remote_body, other);
    loop_stop(other);
    pthread_join(thread, NULL);
    loop_free(other);
}

static void note_defer(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static int remote_defers(void *arg)
{
    task_defer(note_defer, arg);
    return task_sleep(1, NULL);
}

/* The callee's clean-up may use what lives on the caller's stack: it must be over when the caller goes on. */
static void remote_defer_body(void *arg)
{
    for (int i = 0; i < 200; i++) {
        atomic_int cleaned = 0;
        assert_int_equal(loop_call(arg, "defers", remote_defers, &cleaned), 0);
        assert_int_equal(atomic_load(&cleaned), 1);
    }
}

static void a_call_returns_after_the_callees_clean_up(void **state)
{
    (void)state;
    struct loop *other = loop_new(1);
    pthread_t thread;
    pthread_create(&thread, NULL, other_thread, other);
    run_task(remote_defer_body, other);
    loop_stop(other);
    pthread_join(thread, NULL);
    loop_free(other);
}

static int dive(volatile int depth)
{
    volatile char room[512];
    room[0] = (char)depth;
    return depth > 1000000 ? 0 : dive(depth + 1) + room[0];
}

static void overflow_body(void *arg)
{
    *(int *)arg = dive(0);
}

static void overflow_names_the_task(void **state)
{
    (void)state;
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        /* A program of its own: cmocka handles SIGSEGV in this one. */
        execl("/proc/self/exe", "task_test", "overflow", (char *)NULL);
        _exit(0);
    }
    close(out[1]);
    char text[16384] = {0};
    size_t n = 0;
    ssize_t got;
    while ((got = read(out[0], text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    int status;
    waitpid(child, &status, 0);
    close(out[0]);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_non_null(strstr(text, "task \"test\" overflowed its stack"));
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "overflow") == 0) {
        int value = 0;
        run_task(overflow_body, &value);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleeps_at_least_as_long_as_asked),
        cmocka_unit_test(cancel_ends_every_wait_and_cleans_up),
        cmocka_unit_test(cancelled_work_in_the_queue_never_runs),
        cmocka_unit_test(started_work_is_waited_for),
        cmocka_unit_test(nearest_deadline_counts),
        cmocka_unit_test(wake_before_park_counts),
        cmocka_unit_test(line_keeps_order_and_loses_no_place),
        cmocka_unit_test(tasks_start_tasks),
        cmocka_unit_test(calls_into_another_loop),
        cmocka_unit_test(a_call_returns_after_the_callees_clean_up),
        cmocka_unit_test(overflow_names_the_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
