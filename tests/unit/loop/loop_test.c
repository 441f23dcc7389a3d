#include "unit/support/unit.h"

#include "base/macros.h"
#include "loop/loop.h"
#include "loop/task.h"
#include "loop/timer.h"
#include "unit/support/child.h"

#include <pthread.h>
#include <stdatomic.h>

static void stop_self(void *arg)
{
    *(struct loop **)arg = loop_self();
    loop_stop(loop_self());
}

static void a_loop_knows_itself(void **state)
{
    (void)state;
    struct loop *loop = loop_new(3), *seen = NULL;
    assert_int_equal(loop_index(loop), 3);
    assert_null(loop_self());
    assert_null(task_self());
    loop_post(loop, stop_self, &seen);
    loop_run(loop);
    assert_ptr_equal(seen, loop);
    assert_null(loop_self());
    assert_null(loop_free(loop));
    assert_null(loop_free(NULL));
}

static void may_run_again_after_stop(void **state)
{
    (void)state;
    struct loop *loop = loop_new(0), *seen = NULL;
    loop_post(loop, stop_self, &seen);
    loop_run(loop);
    loop_stop(loop); /* before the run: that run returns at once */
    loop_run(loop);
    loop_post(loop, stop_self, &seen);
    loop_run(loop);
    loop_free(loop);
    assert_non_null(seen);
}

enum { POSTERS = 4, POSTS = 5000 };

static struct {
    struct loop *loop;
    pthread_t owner;
    int next[POSTERS];
    int total, wrong;
} inbox;

struct letter {
    int poster, number;
};

static void receive(void *arg)
{
    struct letter *letter = arg;
    inbox.wrong += !pthread_equal(pthread_self(), inbox.owner) || loop_self() != inbox.loop;
    inbox.wrong += inbox.next[letter->poster]++ != letter->number;
    free(letter);
    if (++inbox.total == POSTERS * POSTS)
        loop_stop(inbox.loop);
}

static void *poster(void *arg)
{
    for (int i = 0; i < POSTS; i++) {
        struct letter *letter = malloc(sizeof *letter);
        *letter = (struct letter){*(int *)arg, i};
        loop_post(inbox.loop, receive, letter);
    }
    return NULL;
}

static void posts_arrive_on_the_thread_in_each_senders_order(void **state)
{
    (void)state;
    pthread_t threads[POSTERS];
    int numbers[POSTERS];
    inbox.loop = loop_new(0);
    inbox.owner = pthread_self();
    for (int i = 0; i < POSTERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, poster, &numbers[i]), 0);
    }
    loop_run(inbox.loop);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    loop_free(inbox.loop);
    assert_int_equal(inbox.wrong, 0);
    assert_int_equal(inbox.total, POSTERS * POSTS);
}

static int hops;

static void hop(void *arg)
{
    if (++hops < 1000)
        loop_post(arg, hop, arg);
    else
        loop_stop(arg);
}

static void a_post_may_post(void **state)
{
    (void)state;
    struct loop *loop = loop_new(0);
    loop_post(loop, hop, loop);
    loop_run(loop);
    loop_free(loop);
    assert_int_equal(hops, 1000);
}

static void bump(void *arg)
{
    (*(int *)arg)++;
}

static void what_was_posted_runs_before_the_loop_is_freed(void **state)
{
    (void)state;
    struct loop *loop = loop_new(0);
    int ran = 0;
    loop_post(loop, bump, &ran);
    loop_post(loop, bump, &ran);
    loop_free(loop);
    assert_int_equal(ran, 2);
}

static void *run(void *arg)
{
    loop_run(arg);
    return NULL;
}

static atomic_int pongs;
static struct loop *sides[2];

static void ping(void *arg)
{
    int left = atomic_fetch_sub(&pongs, 1);
    if (left > 0)
        loop_post(sides[left & 1], ping, arg);
    else if (left == 0) {
        loop_stop(sides[0]);
        loop_stop(sides[1]);
    }
}

static void loops_talk_by_posting(void **state)
{
    (void)state;
    pthread_t threads[2];
    atomic_store(&pongs, 2000);
    for (unsigned i = 0; i < 2; i++)
        sides[i] = loop_new(i);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, sides[i]), 0);
    loop_post(sides[0], ping, NULL);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 2; i++)
        loop_free(sides[i]);
    assert_int_equal(atomic_load(&pongs), -1);
}

static struct {
    struct loop_end first, second, again;
    char order[16];
    size_t n;
    struct task *task;
} ends;

static void note(char c)
{
    ends.order[ends.n++] = c;
}

static void on_first(struct loop_end *end)
{
    assert_ptr_equal(end, &ends.first);
    note('1');
    if (ends.n < 8) {
        loop_at_end(loop_self(), &ends.again);
        task_wake(ends.task); /* made ready by an end: runs before the next end */
    }
}

static void on_second(struct loop_end *end)
{
    (void)end;
    note('2');
}

static void on_again(struct loop_end *end)
{
    (void)end;
    note('a');
    loop_stop(loop_self());
}

static void ready_task(void *arg)
{
    (void)arg;
    assert_int_equal(task_park(NULL), 0);
    note('t');
    assert_int_equal(task_park(NULL), 0);
    note('u');
}

static void schedule_ends(void *arg)
{
    (void)arg;
    ends.task = task_spawn("ready", ready_task, NULL);
    loop_at_end(loop_self(), &ends.first);
    loop_at_end(loop_self(), &ends.second);
    loop_at_end(loop_self(), &ends.first); /* once is enough */
    task_wake(ends.task);
}

static void ends_run_once_after_the_ready_tasks(void **state)
{
    (void)state;
    struct loop *loop = loop_new(0);
    ends.first.fn = on_first;
    ends.second.fn = on_second;
    ends.again.fn = on_again;
    loop_post(loop, schedule_ends, NULL);
    loop_run(loop);
    loop_free(loop);
    assert_string_equal(ends.order, "t1u2a");
    assert_false(ends.first.queued);
}

static void on_time(struct timer *timer)
{
    (void)timer;
    loop_stop(loop_self());
}

static void start_timer(void *arg)
{
    timer_start(loop_self(), arg, 20);
}

static void time_stands_still_within_an_iteration(void **state)
{
    (void)state;
    struct loop *loop = loop_new(0);
    struct timer timer = {.fn = on_time};
    uint64_t before = loop_now_ms(loop);
    loop_post(loop, start_timer, &timer);
    loop_run(loop);
    assert_true(loop_now_ms(loop) >= before + 20);
    loop_free(loop);
}

static void left_over(void *arg)
{
    (void)arg;
    task_park(NULL);
}

static void leave_a_task(void *arg)
{
    task_spawn("left", left_over, NULL);
    loop_stop(arg);
}

static void end_with_a_task(void)
{
    struct loop *loop = loop_new(0);
    loop_post(loop, leave_a_task, loop);
    loop_run(loop);
    loop_free(loop);
    _exit(0);
}

static void wait_outside(void)
{
    task_park(NULL);
}

static void misuse_is_reported(void **state)
{
    (void)state;
    static struct child child;
    child_run(&child, end_with_a_task);
    assert_non_null(strstr(child.err, "level=error area=loop event=tasks_left tasks=1"));
    child_run(&child, wait_outside);
    assert_true(child_aborted(&child));
    assert_non_null(strstr(child.err, "outside of any task"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_knows_itself),
        cmocka_unit_test(may_run_again_after_stop),
        cmocka_unit_test(posts_arrive_on_the_thread_in_each_senders_order),
        cmocka_unit_test(a_post_may_post),
        cmocka_unit_test(what_was_posted_runs_before_the_loop_is_freed),
        cmocka_unit_test(loops_talk_by_posting),
        cmocka_unit_test(ends_run_once_after_the_ready_tasks),
        cmocka_unit_test(time_stands_still_within_an_iteration),
        cmocka_unit_test(misuse_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
