#include "unit/support/unit.h"

#include "base/clock.h"
#include "base/macros.h"
#include "loop/timer.h"
#include "unit/support/run_task.h"

enum { MANY = 2000 };

struct probe {
    struct timer timer;
    uint64_t asked;
    int fired;
};

static struct probe probes[MANY];
static uint64_t last_due;
static int fired, out_of_order, early;

static void on_probe(struct timer *timer)
{
    struct probe *probe = container_of(timer, struct probe, timer);
    probe->fired++;
    fired++;
    out_of_order += timer->due < last_due;
    last_due = timer->due;
    early += loop_now_ms(loop_self()) < timer->due || clock_mono_ms() < probe->asked;
    assert_false(timer_running(timer));
}

static void reset(void)
{
    memset(probes, 0, sizeof probes);
    for (size_t i = 0; i < MANY; i++)
        probes[i].timer.fn = on_probe;
    last_due = 0;
    fired = out_of_order = early = 0;
}

static void start(size_t i, uint64_t ms)
{
    probes[i].asked = loop_now_ms(loop_self()) + ms;
    timer_start(loop_self(), &probes[i].timer, ms);
}

static void await(const int *count, int want)
{
    while (*count < want)
        assert_int_equal(task_yield(NULL), 0);
}

static void order_body(void *arg)
{
    (void)arg;
    reset();
    uint32_t lottery = 5;
    for (size_t i = 0; i < MANY; i++) {
        lottery = lottery * 1664525 + 1013904223;
        start(i, (lottery >> 16) % 60);
        assert_true(timer_running(&probes[i].timer));
    }
    await(&fired, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(probes[i].fired, 1);
    assert_int_equal(out_of_order, 0);
    assert_int_equal(early, 0);
}

static void timers_fire_once_in_order_and_never_early(void **state)
{
    (void)state;
    run_task(order_body, NULL);
}

static void stop_body(void *arg)
{
    (void)arg;
    reset();
    struct loop *loop = loop_self();
    for (size_t i = 0; i < MANY; i++)
        start(i, 5 + i * 7 % 31);
    for (size_t i = 0; i < MANY; i += 3) {
        timer_stop(loop, &probes[i].timer);
        timer_stop(loop, &probes[i].timer);
        assert_false(timer_running(&probes[i].timer));
    }
    for (size_t i = 1; i < MANY; i += 3)
        start(i, 40 - i % 13); /* restarted: only the new time counts */
    await(&fired, MANY - (MANY + 2) / 3);
    assert_int_equal(task_sleep(50, NULL), 0);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(probes[i].fired, i % 3 != 0);
    assert_int_equal(out_of_order, 0);
    assert_int_equal(early, 0);
    timer_stop(loop, &probes[1].timer);
}

static void stopped_timers_do_not_fire_restarted_ones_fire_late(void **state)
{
    (void)state;
    run_task(stop_body, NULL);
}

/* Any mix of starts, restarts and stops leaves the heap in order: what fires last is due last. */
static void mix_body(void *arg)
{
    (void)arg;
    reset();
    uint32_t lottery = 11;
    for (int round = 0; round < 30000; round++) {
        lottery = lottery * 1664525 + 1013904223;
        size_t i = (lottery >> 8) % MANY;
        if (lottery >> 30)
            start(i, (lottery >> 16) % 50);
        else
            timer_stop(loop_self(), &probes[i].timer);
    }
    int running = 0;
    for (size_t i = 0; i < MANY; i++)
        running += timer_running(&probes[i].timer);
    assert_true(running > MANY / 2);
    await(&fired, running);
    for (size_t i = 0; i < MANY; i++)
        assert_false(timer_running(&probes[i].timer));
    assert_int_equal(out_of_order, 0);
    assert_int_equal(early, 0);
}

static void any_mix_keeps_the_order(void **state)
{
    (void)state;
    run_task(mix_body, NULL);
}

static int again;

static void on_again(struct timer *timer)
{
    again++;
    timer_start(loop_self(), timer, 0);
}

static void greedy_body(void *arg)
{
    (void)arg;
    struct timer greedy = {.fn = on_again};
    timer_start(loop_self(), &greedy, 0);
    await(&again, 10); /* the task runs all the same */
    timer_stop(loop_self(), &greedy);
    int seen = again;
    assert_int_equal(task_sleep(5, NULL), 0);
    assert_int_equal(again, seen);
}

static void a_timer_that_starts_itself_lets_others_go_on(void **state)
{
    (void)state;
    run_task(greedy_body, NULL);
}

static struct probe *victim;

static void on_killer(struct timer *timer)
{
    (void)timer;
    timer_stop(loop_self(), &victim->timer);
    fired++;
}

static void kill_body(void *arg)
{
    (void)arg;
    reset();
    struct timer killer = {.fn = on_killer};
    victim = &probes[0];
    timer_start(loop_self(), &killer, 1);
    start(0, 2);
    assert_true(clock_mono_ms() > 0);
    uint64_t until = clock_mono_ms() + 10; /* both are due when the loop gets to them */
    while (clock_mono_ms() < until)
        ;
    assert_int_equal(task_sleep(20, NULL), 0);
    assert_int_equal(fired, 1);
    assert_int_equal(victim->fired, 0);
}

static void a_timer_may_stop_one_that_is_due_too(void **state)
{
    (void)state;
    run_task(kill_body, NULL);
}

static void free_early(void *arg)
{
    struct timer *timer = arg;
    timer_start(loop_self(), timer, 100000);
    timer_start(loop_self(), timer, 200000);
}

static void a_loop_may_end_with_timers_running(void **state)
{
    (void)state;
    static struct timer timer = {.fn = on_again};
    run_task(free_early, &timer);
    assert_true(timer_running(&timer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_once_in_order_and_never_early),
        cmocka_unit_test(stopped_timers_do_not_fire_restarted_ones_fire_late),
        cmocka_unit_test(any_mix_keeps_the_order),
        cmocka_unit_test(a_timer_that_starts_itself_lets_others_go_on),
        cmocka_unit_test(a_timer_may_stop_one_that_is_due_too),
        cmocka_unit_test(a_loop_may_end_with_timers_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
