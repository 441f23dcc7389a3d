#include "unit/support/run_task.h"
#include "unit/support/unit.h"

#include "loop/workers.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a call does: it says that it began, and waits until it may end. */
struct call {
    struct workers *workers;
    sem_t *began, *may_end; /* NULL: at once */
    struct task *task;
    atomic_int ran;
    int result, niceness;
    bool over;
    pthread_t thread;
    unsigned *order, place; /* order: counts those that ran */
    struct err e;
};

static void work(void *arg)
{
    struct call *call = arg;
    call->thread = pthread_self();
    call->niceness = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
    if (call->order)
        call->place = ++*call->order;
    atomic_store(&call->ran, 1);
    if (call->began)
        sem_post(call->began);
    while (call->may_end && sem_wait(call->may_end) < 0)
        ;
}

static void call_main(void *arg)
{
    struct call *call = arg;
    call->task = task_self();
    call->result = workers_call(call->workers, work, call, &call->e);
    call->over = true;
}

static void await(struct call *call)
{
    while (!call->over)
        task_yield(NULL);
}

static void ran_elsewhere(void *arg)
{
    struct call call = {.workers = arg};
    call_main(&call);
    assert_int_equal(call.result, 0);
    assert_true(call.ran);
    assert_false(pthread_equal(call.thread, pthread_self()));
    assert_int_equal(call.niceness, MIN(getpriority(PRIO_PROCESS, 0) + 10, 19));
}

static void work_runs_on_a_thread_of_lower_priority(void **state)
{
    (void)state;
    struct workers *workers = workers_new(&(struct workers_config){.name = "test", .waiting = 4});
    run_task(ran_elsewhere, workers);
    assert_int_equal(workers_waiting(workers), 0);
    assert_null(workers_free(workers));
    assert_null(workers_free(NULL));
}

/* One thread that is busy until `may_end` is posted. */
struct busy {
    struct workers *workers;
    sem_t began, may_end;
    struct call first;
};

static void busy_begin(struct busy *b, struct workers *workers)
{
    *b = (struct busy){.workers = workers};
    sem_init(&b->began, 0, 0);
    sem_init(&b->may_end, 0, 0);
    b->first = (struct call){.workers = workers, .began = &b->began, .may_end = &b->may_end};
    task_spawn("first", call_main, &b->first);
    while (sem_wait(&b->began) < 0)
        ;
}

static void busy_end(struct busy *b)
{
    sem_post(&b->may_end);
    await(&b->first);
    assert_int_equal(b->first.result, 0);
    sem_destroy(&b->began);
    sem_destroy(&b->may_end);
}

static void first_come_first_served(void *arg)
{
    struct busy b;
    struct call calls[4];
    unsigned order = 0;
    busy_begin(&b, arg);
    for (unsigned i = 0; i < 4; i++) {
        calls[i] = (struct call){.workers = arg, .order = &order};
        task_spawn("next", call_main, &calls[i]);
    }
    assert_int_equal(workers_waiting(arg), 4);
    struct call fifth = {.workers = arg};
    call_main(&fifth); /* does not wait: there is no room */
    assert_int_equal(fifth.result, -1);
    assert_int_equal(fifth.e.code, ERR_OVERLOADED);
    assert_true(fifth.e.retry_after_ms > 0);
    assert_false(fifth.ran);
    busy_end(&b);
    for (unsigned i = 0; i < 4; i++) {
        await(&calls[i]);
        assert_int_equal(calls[i].result, 0);
        assert_int_equal(calls[i].place, i + 1);
    }
}

static void no_more_wait_than_may(void **state)
{
    (void)state;
    struct workers *workers = workers_new(&(struct workers_config){.name = "test", .threads = 1, .waiting = 4});
    run_task(first_come_first_served, workers);
    workers_free(workers);
}

static void cancelled(void *arg)
{
    struct busy b;
    struct call waiting = {.workers = arg};
    busy_begin(&b, arg);
    task_spawn("waiting", call_main, &waiting);
    task_cancel(waiting.task);
    await(&waiting);
    assert_int_equal(waiting.result, -1);
    assert_int_equal(waiting.e.code, ERR_CANCELLED);
    assert_int_equal(workers_waiting(arg), 0);
    /* The one that runs works on its task's memory: its task stays until it is done. */
    task_cancel(b.first.task);
    for (unsigned i = 0; i < 100; i++)
        task_yield(NULL);
    assert_false(b.first.over);
    busy_end(&b);
    assert_false(waiting.ran);
    struct call after = {.workers = arg};
    call_main(&after);
    assert_int_equal(after.result, 0);
}

static void what_did_not_begin_never_does(void **state)
{
    (void)state;
    struct workers *workers = workers_new(&(struct workers_config){.name = "test", .threads = 1, .waiting = 4});
    run_task(cancelled, workers);
    workers_free(workers);
}

static void late(void *arg)
{
    struct busy b;
    struct call waiting = {.workers = arg};
    busy_begin(&b, arg);
    task_spawn("waiting", call_main, &waiting);
    task_sleep(20, NULL); /* longer than it may wait */
    busy_end(&b);
    await(&waiting);
    assert_int_equal(waiting.result, -1);
    assert_int_equal(waiting.e.code, ERR_OVERLOADED);
    assert_false(waiting.ran);
}

static void what_waited_too_long_is_refused(void **state)
{
    (void)state;
    struct workers *workers =
        workers_new(&(struct workers_config){.name = "test", .threads = 1, .waiting = 4, .wait_ms = 10});
    run_task(late, workers);
    workers_free(workers);
}

/* ---- many, from two loops, some cancelled ---- */

#define CALLS 300

struct crowd {
    struct workers *workers;
    unsigned failed, done;
};

struct member {
    struct crowd *crowd;
    unsigned number;
    atomic_uint ran;
};

static void count(void *arg)
{
    atomic_fetch_add(&((struct member *)arg)->ran, 1);
}

static void member_main(void *arg)
{
    struct member *m = arg;
    struct err e = {0};
    int result = workers_call(m->crowd->workers, count, m, &e);
    bool right = result == 0 ? m->ran == 1 : e.code == ERR_CANCELLED && m->ran == 0;
    m->crowd->failed += !right;
    m->crowd->done++;
}

static void crowd_main(void *arg)
{
    struct crowd *crowd = arg;
    static _Thread_local struct member members[CALLS];
    for (unsigned i = 0; i < CALLS; i++) {
        members[i] = (struct member){.crowd = crowd, .number = i};
        task_spawn("member", member_main, &members[i]);
        if (i % 7 == 0)
            task_yield(NULL);
    }
    while (crowd->done < CALLS)
        task_yield(NULL);
}

static void *other_loop(void *arg)
{
    run_task(crowd_main, arg);
    return NULL;
}

static void loops_share_the_threads(void **state)
{
    (void)state;
    pthread_t thread;
    struct workers *workers =
        workers_new(&(struct workers_config){.name = "test", .threads = 3, .waiting = (size_t)2 * CALLS});
    struct crowd a = {.workers = workers}, b = {.workers = workers};
    assert_int_equal(pthread_create(&thread, NULL, other_loop, &b), 0);
    run_task(crowd_main, &a);
    pthread_join(thread, NULL);
    assert_int_equal(a.failed + b.failed, 0);
    assert_int_equal(a.done + b.done, 2 * CALLS);
    workers_free(workers);
}

static void cancelling(void *arg)
{
    struct crowd crowd = {.workers = arg};
    for (unsigned i = 0; i < CALLS; i++) {
        struct member m = {.crowd = &crowd, .number = i};
        struct task *task = task_spawn("member", member_main, &m);
        for (unsigned turn = 0; turn < i % 4 && crowd.done == i; turn++)
            task_yield(NULL);
        if (task && crowd.done == i)
            task_cancel(task);
        while (crowd.done == i)
            task_yield(NULL);
    }
    assert_int_equal(crowd.failed, 0);
}

static void a_cancelled_call_tells_the_truth(void **state)
{
    (void)state;
    struct workers *workers = workers_new(&(struct workers_config){.name = "test", .threads = 2, .waiting = 4});
    run_task(cancelling, workers);
    workers_free(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_on_a_thread_of_lower_priority),
        cmocka_unit_test(no_more_wait_than_may),
        cmocka_unit_test(what_did_not_begin_never_does),
        cmocka_unit_test(what_waited_too_long_is_refused),
        cmocka_unit_test(loops_share_the_threads),
        cmocka_unit_test(a_cancelled_call_tells_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
