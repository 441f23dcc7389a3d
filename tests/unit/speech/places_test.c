#include "unit/speech/local_env.h"
#include "unit/support/loop_thread.h"

#include "speech/places.h"

#include <stdatomic.h>

struct visitor {
    struct places *places;
    struct waitlist *leave;
    uint64_t patience;
    bool in, out;
    int result;
    struct err e;
};

static void visit(void *arg)
{
    struct visitor *v = arg;
    v->result = places_take(v->places, v->patience, "All full", &v->e);
    v->out = v->result < 0;
    if (v->result < 0)
        return;
    v->in = true;
    waitlist_wait(v->leave, NULL);
    places_give(v->places);
    v->out = true;
}

static void first_come(void *arg)
{
    bool *ok = arg;
    struct places places;
    struct waitlist leave;
    struct crowd crowd;
    struct visitor v[5] = {0};
    places_init(&places, 2);
    waitlist_init(&leave);
    crowd_begin(&crowd);
    for (size_t i = 0; i < 5; i++) {
        v[i] = (struct visitor){.places = &places, .leave = &leave, .patience = 600000};
        crowd_add(&crowd, visit, &v[i]);
    }
    *ok = v[0].in && v[1].in && !v[2].in && !v[3].in && !v[4].in;
    waitlist_wake_one(&leave);
    while (!v[2].in)
        task_yield(NULL);
    *ok = *ok && v[0].out && !v[1].out && !v[3].in && !v[4].in;
    for (unsigned i = 0; i < 4; i++)
        while (!waitlist_wake_one(&leave))
            task_yield(NULL);
    crowd_end(&crowd);
    *ok = *ok && v[3].in && v[4].in && places.free == 2;
    places_destroy(&places);
}

static void test_first_come(void **state)
{
    (void)state;
    bool ok = false;
    run_task(first_come, &ok);
    assert_true(ok);
}

struct impatient {
    struct visitor late, cancelled, deadline, after;
    unsigned free;
};

static void visit_hurried(void *arg)
{
    struct task_deadline deadline;
    task_deadline_begin(&deadline, 5);
    visit(arg);
    task_deadline_end(&deadline);
}

static void impatient(void *arg)
{
    struct impatient *t = arg;
    struct places places;
    struct waitlist leave;
    struct crowd crowd;
    struct err e;
    places_init(&places, 1);
    waitlist_init(&leave);
    crowd_begin(&crowd);
    t->late = t->cancelled = t->deadline = t->after =
        (struct visitor){.places = &places, .leave = &leave, .patience = 600000};
    t->late.patience = 5;
    if (places_take(&places, 0, "", &e) < 0)
        return;
    crowd_add(&crowd, visit, &t->late);
    crowd_add(&crowd, visit_hurried, &t->deadline);
    struct task *cancelled = crowd_add(&crowd, visit, &t->cancelled);
    task_cancel(cancelled);
    while (!t->late.out || !t->cancelled.out || !t->deadline.out)
        task_sleep(1, NULL);
    crowd_add(&crowd, visit, &t->after);
    places_give(&places);
    while (!waitlist_wake_one(&leave))
        task_yield(NULL);
    crowd_end(&crowd);
    t->free = places.free;
    places_destroy(&places);
}

static void test_impatient(void **state)
{
    (void)state;
    struct impatient t = {0};
    run_task(impatient, &t);
    assert_int_equal(t.late.e.code, ERR_OVERLOADED);
    assert_string_equal(t.late.e.text, "All full");
    assert_int_equal(t.cancelled.e.code, ERR_CANCELLED);
    assert_int_equal(t.deadline.e.code, ERR_TIMEOUT);
    assert_int_equal(t.after.result, 0);
    assert_int_equal(t.free, 1);
}

/* A place that is given while its waiter gives up is not lost. */
static void given_and_cancelled(void *arg)
{
    unsigned *free_places = arg;
    struct places places;
    struct waitlist leave;
    struct crowd crowd;
    places_init(&places, 1);
    waitlist_init(&leave);
    crowd_begin(&crowd);
    struct visitor v = {.places = &places, .leave = &leave, .patience = 600000};
    places_take(&places, 0, "", NULL);
    struct task *task = crowd_add(&crowd, visit, &v);
    places_give(&places);
    task_cancel(task);
    crowd_end(&crowd);
    *free_places = v.result < 0 ? places.free : 0;
    places_destroy(&places);
}

static void test_given_and_cancelled(void **state)
{
    (void)state;
    unsigned free_places = 0;
    run_task(given_and_cancelled, &free_places);
    assert_int_equal(free_places, 1);
}

/* Many tasks of several loops: never more inside than there are places, and everybody has been in. */
#define LOOPS   3
#define TASKS   20
#define ROUNDS  20
#define BETWEEN 2

struct busy_loop {
    struct places *places;
    atomic_uint *inside, *most, *visits;
    struct loop_thread thread;
    sem_t done;
};

static void busy_task(void *arg)
{
    struct busy_loop *b = arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (places_take(b->places, 600000, "", NULL) < 0)
            return;
        unsigned inside = atomic_fetch_add(b->inside, 1) + 1;
        if (inside > atomic_load(b->most))
            atomic_store(b->most, inside);
        atomic_fetch_add(b->visits, 1);
        task_yield(NULL);
        atomic_fetch_sub(b->inside, 1);
        places_give(b->places);
    }
}

static void busy_main(void *arg)
{
    struct busy_loop *b = arg;
    struct crowd crowd;
    crowd_begin(&crowd);
    for (int i = 0; i < TASKS; i++)
        crowd_add(&crowd, busy_task, b);
    crowd_end(&crowd);
    sem_post(&b->done);
}

static void busy_start(void *arg)
{
    task_spawn("busy", busy_main, arg);
}

static void test_several_loops(void **state)
{
    (void)state;
    struct places places;
    atomic_uint inside = 0, most = 0, visits = 0;
    struct busy_loop loops[LOOPS];
    places_init(&places, BETWEEN);
    for (size_t i = 0; i < LOOPS; i++) {
        loops[i] = (struct busy_loop){.places = &places, .inside = &inside, .most = &most, .visits = &visits};
        sem_init(&loops[i].done, 0, 0);
        loop_thread_start(&loops[i].thread);
        on_loop(&loops[i].thread, busy_start, &loops[i]);
    }
    for (size_t i = 0; i < LOOPS; i++) {
        while (sem_wait(&loops[i].done) < 0)
            ;
        sem_destroy(&loops[i].done);
    }
    for (size_t i = 0; i < LOOPS; i++)
        loop_thread_stop(&loops[i].thread);
    assert_int_equal(atomic_load(&visits), LOOPS * TASKS * ROUNDS);
    assert_in_range(atomic_load(&most), 1, BETWEEN);
    assert_int_equal(places.free, BETWEEN);
    places_destroy(&places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_come),
        cmocka_unit_test(test_impatient),
        cmocka_unit_test(test_given_and_cancelled),
        cmocka_unit_test(test_several_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
