/* What store.c does for every driver, with a driver made for the purpose. */
#include "store/store_driver.h"
#include "unit/support/run_task.h"

#include <pthread.h>
#include <stdlib.h>

struct fake {
    struct store base;
    pthread_t caller; /* of the last operation */
    unsigned calls;
    bool fail;
    struct store_append append;
};

static int fake_get(void *conn, struct arena *a, const struct str *in, struct conversation *out, struct err *e)
{
    struct fake *fake = conn;
    fake->caller = pthread_self();
    fake->calls++;
    out->title = arena_str(a, *in);
    return fake->fail ? err_set(e, ERR_STORE_UNAVAILABLE, NULL) : 0;
}

static int fake_append(void *conn, struct arena *a, const struct store_append *in, struct store_appended *out,
                       struct err *e)
{
    struct fake *fake = conn;
    (void)a;
    (void)e;
    fake->calls++;
    fake->append = *in;
    out->n = in->n;
    return 0;
}

static void fake_close(struct store *st)
{
    container_of(st, struct fake, base)->calls = 1000;
}

static const struct store_ops blocking = {
    .name = "blocking", .caps = STORE_BLOCKS, .close = fake_close, .conversation_get = fake_get, .append = fake_append};
static const struct store_ops direct = {
    .name = "direct", .close = fake_close, .conversation_get = fake_get, .append = fake_append};

static void get_in_task(void *arg)
{
    struct fake *fake = arg;
    struct arena *a = arena_new("test");
    struct conversation got = {0};
    assert_int_equal(store_conversation_get(&fake->base, a, STR("c"), &got, NULL), 0);
    assert_true(str_eqc(got.title, "c"));
    arena_free(a);
}

static void blocking_drivers_run_on_the_pool(void **state)
{
    struct fake fake = {.base.ops = &blocking};
    (void)state;
    run_task(get_in_task, &fake);
    assert_int_equal(fake.calls, 1);
    assert_false(pthread_equal(fake.caller, pthread_self()));
}

static void other_drivers_run_in_the_task(void **state)
{
    struct fake fake = {.base.ops = &direct};
    (void)state;
    run_task(get_in_task, &fake);
    assert_int_equal(fake.calls, 1);
    assert_true(pthread_equal(fake.caller, pthread_self()));
}

static void a_cancelled(void *arg)
{
    struct fake *fake = arg;
    struct arena *a = arena_new("test");
    struct err e;
    task_cancel(task_self());
    struct conversation got = {.title = STR("before")};
    int result = store_conversation_get(&fake->base, a, STR("c"), &got, &e);
    assert_true(result == 0 || e.code == ERR_CANCELLED);
    assert_true(fake->calls == (result == 0));
    assert_true(str_eqc(got.title, result == 0 ? "c" : "before"));
    arena_free(a);
}

static void a_cancelled_call_did_not_happen_or_did(void **state)
{
    struct fake fake = {.base.ops = &blocking};
    (void)state;
    run_task(a_cancelled, &fake);
}

static void failures_leave_the_result_alone(void **state)
{
    struct fake fake = {.base.ops = &direct, .fail = true};
    struct arena *a = arena_new("test");
    struct conversation got = {.title = STR("before")};
    struct err e;
    (void)state;
    assert_int_equal(store_conversation_get(&fake.base, a, STR("c"), &got, &e), -1);
    assert_int_equal(e.code, ERR_STORE_UNAVAILABLE);
    assert_true(str_eqc(got.title, "before"));
    assert_null(store_close(&fake.base));
    assert_int_equal(fake.calls, 1000);
    assert_null(store_close(NULL));
    arena_free(a);
}

static void requests_are_completed(void **state)
{
    struct fake fake = {.base.ops = &direct};
    struct arena *a = arena_new("test");
    struct message messages[2] = {{.role = STR("user")}, {.role = STR("user"), .id = STR("mine"), .created_us = 7}};
    struct store_append append = {.mode = APPEND_NEW, .messages = messages, .n = 2};
    struct store_appended out;
    (void)state;
    assert_int_equal(store_append(&fake.base, a, &append, &out, NULL), 0);
    const struct store_append *got = &fake.append;
    assert_int_equal(got->conversation.id.n, 36);
    assert_int_equal(got->conversation.id.p[14], '7');
    assert_true(got->conversation.created_us > 0);
    assert_true(str_eq(got->messages[0].conversation_id, got->conversation.id));
    assert_int_equal(got->messages[0].id.n, 36);
    assert_true(got->messages[0].created_us > 0);
    assert_true(str_eqc(got->messages[1].id, "mine"));
    assert_int_equal(got->messages[1].created_us, 7);
    assert_int_equal(append.messages[0].id.n, 0);
    arena_free(a);
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(*(const char *const *)a, *(const char *const *)b, 36);
}

static void made_ids_differ_and_sort_by_time(void **state)
{
    enum { IDS = 500 };
    struct fake fake = {.base.ops = &direct};
    struct arena *a = arena_new("test");
    const char *ids[IDS], *sorted[IDS];
    (void)state;
    for (int i = 0; i < IDS; i++) {
        struct store_append append = {.mode = APPEND_NEW};
        struct store_appended out;
        assert_int_equal(store_append(&fake.base, a, &append, &out, NULL), 0);
        ids[i] = sorted[i] = fake.append.conversation.id.p;
    }
    qsort(sorted, IDS, sizeof sorted[0], by_bytes);
    for (int i = 1; i < IDS; i++)
        assert_true(memcmp(sorted[i - 1], sorted[i], 36) < 0);
    /* The first 18 digits are the time, to a quarter of a microsecond. */
    for (int i = 1; i < IDS; i++)
        assert_true(memcmp(ids[i - 1], ids[i], 18) <= 0);
    arena_free(a);
}

static void operations_have_names_and_kinds(void **state)
{
    (void)state;
    assert_string_equal(store_op_name(STORE_OP_append), "append");
    assert_true(store_op_writes(STORE_OP_append));
    assert_false(store_op_writes(STORE_OP_message_list));
    assert_true(store_op_writes(STORE_OP_processed_purge));
}

static int open_fake(const struct store_config *config, struct store **out, struct err *e)
{
    (void)config;
    (void)out;
    return err_set(e, ERR_NOT_CONFIGURED, "no");
}

/* The metrics that every call counts are made by the first store_open. */
static int setup(void **state)
{
    static const struct store_ops closed = {.name = "closed", .open = open_fake};
    struct store *none = NULL;
    (void)state;
    return store_open(&closed, &(struct store_config){0}, &none, NULL) < 0 && !none ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_thread_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocking_drivers_run_on_the_pool),
        cmocka_unit_test(other_drivers_run_in_the_task),
        cmocka_unit_test(a_cancelled_call_did_not_happen_or_did),
        cmocka_unit_test(failures_leave_the_result_alone),
        cmocka_unit_test(requests_are_completed),
        cmocka_unit_test(made_ids_differ_and_sort_by_time),
        cmocka_unit_test(operations_have_names_and_kinds),
    };
    return cmocka_run_group_tests_name("store", tests, setup, teardown);
}
