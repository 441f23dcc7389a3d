#include "unit/support/run_task.h"
#include "unit/support/unit.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/serial.h"

/* An owner whose record is freed with the last reference, as an account of what happened. */
struct owner {
    struct serial *slot;
    unsigned refs;
    bool *freed;
    struct buf done; /* what was handled, separated by blanks */
    unsigned pauses, resumes, at_once, cancelled;
    bool paused;
};

static void ref(void *arg)
{
    ((struct owner *)arg)->refs++;
}

static void unref(void *arg)
{
    struct owner *owner = arg;
    if (--owner->refs)
        return;
    assert_null(owner->slot);
    *owner->freed = true;
    buf_free(&owner->done);
    free(owner);
}

static void on_pause(void *arg, bool pause)
{
    struct owner *owner = arg;
    assert_true(owner->paused != pause);
    owner->paused = pause;
    if (pause)
        owner->pauses++;
    else
        owner->resumes++;
}

static const char *log_id(void *arg)
{
    (void)arg;
    return "the owner";
}

static const struct serial_ops ops = {
    .name = "test_mail", .ref = ref, .unref = unref, .pause = on_pause, .log_id = log_id};
static const struct serial_ops bare = {.name = "test_mail", .ref = ref, .unref = unref};

static struct owner *owner_new(bool *freed)
{
    struct owner *owner = mem_zalloc(sizeof *owner);
    owner->refs = 1;
    owner->freed = freed;
    buf_init(&owner->done, MIB(1));
    *freed = false;
    return owner;
}

/* Waits in the middle, unless it is told not to; "stop" ends all mail. */
static void handle(void *arg, struct arena *arena, struct str data)
{
    struct owner *owner = arg;
    struct err e;
    assert_int_equal(owner->at_once++, 0);
    assert_non_null(task_self());
    assert_int_equal(data.p[data.n], 0);
    assert_str(arena_str(arena, data), data.p);
    if (str_eqc(data, "stop"))
        serial_stop(&owner->slot);
    int waited = str_eqc(data, "quick") ? 0 : task_yield(&e);
    owner->at_once--;
    if (waited == 0)
        buf_addf(&owner->done, "%.*s ", STR_ARG(data));
    else
        owner->cancelled++;
}

static void handle_other(void *arg, struct arena *arena, struct str data)
{
    struct owner *owner = arg;
    (void)arena;
    assert_string_equal(log_request_id, "the owner");
    buf_addf(&owner->done, "(%.*s) ", STR_ARG(data));
}

static void post(struct owner *owner, const char *text)
{
    assert_true(serial_post(&owner->slot, &ops, owner, str_c(text), handle));
}

static void yields(int n)
{
    while (n--)
        assert_int_equal(task_yield(NULL), 0);
}

/* Until the slot is empty again. */
static void settle(struct owner *owner)
{
    while (owner->slot)
        yields(1);
}

static void body_order(void *arg)
{
    bool freed;
    struct owner *owner = owner_new(&freed);
    (void)arg;
    char word[16];
    for (int i = 0; i < 10; i++) {
        snprintf(word, sizeof word, "%d", i);
        post(owner, word); /* copied: the array is used again */
        assert_non_null(owner->slot);
        assert_int_equal(owner->refs, 2);
    }
    assert_true(serial_post(&owner->slot, &ops, owner, STR(""), handle_other));
    const struct str parts[] = {STR("in "), STR(""), STR("parts")};
    assert_true(serial_post_parts(&owner->slot, &ops, owner, parts, COUNT(parts), handle_other));
    assert_true(serial_post_parts(&owner->slot, &ops, owner, NULL, 0, handle));
    unsigned before = task_count();
    settle(owner);
    assert_int_equal(task_count(), before - 1);
    assert_str(buf_str(&owner->done), "0 1 2 3 4 5 6 7 8 9 () (in parts)  ");
    assert_int_equal(owner->refs, 1);
    assert_int_equal(owner->pauses, 0);
    unref(owner);
    assert_true(freed);
}

static void mail_is_handled_in_order_one_at_a_time(void **state)
{
    (void)state;
    run_task(body_order, NULL);
}

static void body_quick(void *arg)
{
    bool freed;
    struct owner *owner = owner_new(&freed);
    (void)arg;
    unsigned before = task_count();
    const char *id = log_request_id;
    post(owner, "quick"); /* handled before this returns: no task is left */
    assert_null(owner->slot);
    assert_int_equal(task_count(), before);
    assert_int_equal(owner->refs, 1);
    assert_ptr_equal(log_request_id, id);
    assert_str(buf_str(&owner->done), "quick ");
    unref(owner);
}

static void what_does_not_wait_leaves_no_task(void **state)
{
    (void)state;
    run_task(body_quick, NULL);
}

static void body_pause(void *arg)
{
    bool freed;
    struct owner *owner = owner_new(&freed);
    (void)arg;
    /* One is with its handler, SERIAL_WAITING may wait. */
    for (int i = 0; i < 1 + SERIAL_WAITING; i++)
        post(owner, "m");
    assert_false(owner->paused);
    post(owner, "m");
    assert_true(owner->paused);
    post(owner, "m"); /* what was read already still comes */
    settle(owner);
    assert_int_equal(owner->pauses, 1);
    assert_int_equal(owner->resumes, 1);
    assert_int_equal(owner->done.len, (SERIAL_WAITING + 3) * 2);
    /* By bytes. */
    char *big = mem_zalloc(SERIAL_BYTES);
    memset(big, 'x', SERIAL_BYTES - 1);
    post(owner, "first");
    assert_true(serial_post(&owner->slot, &ops, owner, str_n(big, SERIAL_BYTES), handle_other));
    assert_false(owner->paused);
    post(owner, "m");
    assert_true(owner->paused);
    free(big);
    settle(owner);
    assert_false(owner->paused);
    assert_int_equal(owner->resumes, 2);
    /* Who does not care is not asked. */
    for (int i = 0; i < 3 * SERIAL_WAITING; i++)
        assert_true(serial_post(&owner->slot, &bare, owner, STR("m"), handle));
    settle(owner);
    assert_int_equal(owner->pauses, 2);
    unref(owner);
}

static void too_much_mail_pauses_the_owner(void **state)
{
    (void)state;
    run_task(body_pause, NULL);
}

static void body_stop(void *arg)
{
    bool freed;
    struct owner *owner = owner_new(&freed);
    (void)arg;
    serial_stop(&owner->slot);
    for (int i = 0; i < 2 + SERIAL_WAITING; i++)
        post(owner, "dropped");
    assert_true(owner->paused);
    serial_stop(&owner->slot);
    assert_null(owner->slot);
    assert_false(owner->paused);
    serial_stop(&owner->slot);
    assert_int_equal(owner->refs, 2); /* the handler still ends */
    while (owner->refs > 1)
        yields(1);
    assert_int_equal(owner->cancelled, 1);
    assert_int_equal(owner->done.len, 0);
    post(owner, "again");
    settle(owner);
    assert_str(buf_str(&owner->done), "again ");
    unref(owner);
    assert_true(freed);
}

static void stopping_drops_and_cancels(void **state)
{
    (void)state;
    run_task(body_stop, NULL);
}

static void body_stop_inside(void *arg)
{
    bool freed;
    struct owner *owner = owner_new(&freed);
    (void)arg;
    post(owner, "one");
    post(owner, "stop");
    post(owner, "dropped");
    settle(owner);
    while (owner->refs > 1)
        yields(1);
    assert_str(buf_str(&owner->done), "one ");
    assert_int_equal(owner->cancelled, 1);
    /* The task may hold the last reference. */
    post(owner, "last");
    unref(owner);
    assert_false(freed);
    while (!freed)
        yields(1);
}

static void a_handler_may_stop_its_own_mail(void **state)
{
    (void)state;
    run_task(body_stop_inside, NULL);
}

static void wait_long(void *arg)
{
    (void)arg;
    task_sleep(1000000, NULL);
}

static void body_no_room(void *arg)
{
    bool freed;
    struct owner *owner = owner_new(&freed);
    (void)arg;
    struct task **tasks = mem_array(TASK_LIMIT, sizeof *tasks);
    size_t n = 0;
    post(owner, "before");
    while (task_room() && n < TASK_LIMIT)
        tasks[n++] = task_spawn("filler", wait_long, NULL);
    assert_true(serial_post(&owner->slot, &ops, owner, STR("behind"), handle)); /* needs no task of its own */
    struct owner *other = owner_new(&freed);
    assert_false(serial_post(&other->slot, &ops, other, STR("none"), handle));
    assert_int_equal(other->refs, 1);
    for (size_t i = 0; i < n; i++)
        task_cancel(tasks[i]);
    settle(owner);
    assert_str(buf_str(&owner->done), "before behind ");
    free(tasks);
    unref(other);
    unref(owner);
}

static void a_full_loop_says_so(void **state)
{
    (void)state;
    run_task(body_no_room, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_is_handled_in_order_one_at_a_time), cmocka_unit_test(what_does_not_wait_leaves_no_task),
        cmocka_unit_test(too_much_mail_pauses_the_owner),         cmocka_unit_test(stopping_drops_and_cancels),
        cmocka_unit_test(a_handler_may_stop_its_own_mail),        cmocka_unit_test(a_full_loop_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
