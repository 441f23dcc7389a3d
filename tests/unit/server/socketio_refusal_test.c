/* Clients that come back, on one loop, and cannot have their socket again; ceilings; who has no recovery at all. */
#include "unit/support/sio_recovery.h"

static int setup_forgetful(void **state)
{
    (void)state;
    env_defaults();
    env.config.recovery = 40;
    env_start();
    return 0;
}

static int setup_without(void **state)
{
    (void)state;
    env_defaults();
    env_start();
    return 0;
}

/* ---- What does not fit ---- */

static void expect_new(const char *offset_json, const char *what)
{
    struct sioc c, again;
    char offset[64], text[256];
    int closed = atomic_load(&seen.closed);
    kept_begin(&c, "{\"recovery\":true}");
    kept_emit(1);
    sioc_expect_number(&c, 1, offset);
    sioc_vanish(&c);
    sioc_open(&again);
    if (offset_json)
        snprintf(text, sizeof text, "40{\"pid\":\"%s\",\"offset\":%s}", c.pid, offset_json);
    else
        snprintf(text, sizeof text, "40{\"pid\":\"%s\",\"offset\":\"%.7s%s\"}", c.pid, offset, what);
    sioc_send(&again, text);
    sioc_not_recovered(&again, &c, "");
    await_closed(closed + 1, "transport close");
    sioc_send(&again, "41");
    await_closed(closed + 2, "client namespace disconnect");
    sioc_free(&again);
    live_do(&env.lives[0], kept_let_go);
}

static void wrong_offsets(void **state)
{
    (void)state;
    static const char *const offsets[] = {"\"\"",      "\"1\"",  "1",       "true", "[]",
                                          "{\"a\":1}", "\".1\"", "\"1.1\"", "1e99", "\"\\u0031\""};
    for (size_t i = 0; i < COUNT(offsets); i++)
        expect_new(offsets[i], NULL);
    static const char *const numbers[] = {"2", "", "-1", "1 ", "18446744073709551615", "99999999999999999999999"};
    for (size_t i = 0; i < COUNT(numbers); i++)
        expect_new(NULL, numbers[i]);
}

static void offsets_of_the_past(void **state)
{
    (void)state;
    struct sioc c, again;
    char first[64], offset[64];
    kept_begin(&c, "{\"recovery\":true}");
    kept_emit(2);
    sioc_expect_number(&c, 1, first);
    sioc_expect_number(&c, 2, offset);
    take_heartbeat(&c); /* it has both: they are gone here */
    sioc_vanish(&c);
    sioc_come_back(&again, &c, first);
    sioc_not_recovered(&again, &c, "");
    await_closed(1, "transport close");
    sioc_free(&again);
}

static void wrong_pids(void **state)
{
    (void)state;
    static const char *const auths[] = {"{\"pid\":1}",
                                        "{\"pid\":null}",
                                        "{\"pid\":\"\"}",
                                        "{\"pid\":[]}",
                                        "{\"pid\":\"AAAAAAAAAAAAAAAAAAAA\"}",
                                        "{\"pid\":\"____________________\"}",
                                        "{\"pid\":\"!!!!!!!!!!!!!!!!!!!!\"}",
                                        "{\"pid\":\"\\u0041AAAAAAAAAAAAAAAAAAA\",\"offset\":\"1\"}",
                                        "{\"offset\":\"x.1\"}"};
    struct sioc c;
    for (size_t i = 0; i < COUNT(auths); i++) {
        char text[256];
        snprintf(text, sizeof text, "40%s", auths[i]);
        sioc_open(&c);
        sioc_send(&c, text);
        sioc_connected(&c, "");
        sioc_vanish(&c);
    }
    assert_int_equal(atomic_load(&seen.connects), COUNT(auths));
}

static void the_wrong_namespace(void **state)
{
    (void)state;
    struct sioc c, again, other;
    kept_begin(&c, "");
    sioc_vanish(&c);
    sioc_open(&again);
    sioc_show(&again, "/custom,", c.pid, NULL);
    sioc_not_recovered(&again, &c, "/custom");
    sioc_show(&again, "", c.pid, NULL); /* it was left alone */
    other = again;
    sioc_recovered(&other, &c, "");
    sioc_free(&c);
}

static void too_late(void **state)
{
    (void)state;
    struct sioc c, d, again;
    kept_begin(&c, "");
    sioc_begin(&d);
    sioc_free(&c);
    await_closed(1, "transport close");
    sioc_free(&d);
    await_closed(2, "transport close");
    assert_int_equal(sio_count_lost(env.sio), 0);
    sioc_come_back(&again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    sioc_free(&again);
    await_closed(3, "transport close");
    assert_int_equal(atomic_load(&seen.recovered), 0);
}

static void the_owner_may_say_no(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    sioc_vanish(&c);
    atomic_store(&seen.no_recovery, true);
    sioc_come_back(&again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    await_closed(1, "transport close");
    sioc_free(&again);
}

static void ends_that_are_final(void **state)
{
    (void)state;
    static const char *const last[] = {"41", "42[\"bye\"]", "42[\"bye\",true]", "42{}"};
    static const char *const reasons[] = {"client namespace disconnect", "server namespace disconnect",
                                          "server namespace disconnect", "parse error"};
    for (size_t i = 0; i < COUNT(last); i++) {
        struct sioc c, again;
        int closed = atomic_load(&seen.closed);
        sioc_begin(&c);
        sioc_send(&c, last[i]);
        await_closed(closed + 1, reasons[i]);
        sioc_free(&c);
        sioc_come_back(&again, &c, NULL);
        sioc_not_recovered(&again, &c, "");
        sioc_send(&again, "41");
        await_closed(closed + 2, "client namespace disconnect");
        sioc_free(&again);
    }
}

static void do_disconnect(struct live_server *live)
{
    (void)live;
    sio_disconnect(seen.kept, true);
    live_assert(!sio_is_open(seen.kept));
}

static void a_lost_one_can_be_ended(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    sioc_vanish(&c);
    live_do(&env.lives[0], do_disconnect);
    await_closed(1, "server namespace disconnect");
    sioc_come_back(&again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    sioc_free(&again);
}

/* ---- Ceilings ---- */

static void do_emit_big(struct live_server *live)
{
    (void)live;
    static char big[LIMIT_SIO_REPLAY_BYTES / 4];
    memset(big, '1', sizeof big);
    struct blob *blob = blob_new(str_n(big, sizeof big));
    struct sio_emit emit = {
        .name = STR("big"), .args = STR("{\"_placeholder\":true,\"num\":0}"), .attachments = &blob, .nattachments = 1};
    for (int i = 1; i <= kept_times; i++)
        live_assert(sio_emit(seen.kept, &emit) == (i < 4 ? 0 : -1)); /* four are more than fit */
    blob_unref(blob);
}

static void do_emit_in_vain(struct live_server *live)
{
    (void)live;
    struct sio_emit emit = {.name = STR("n"), .args = STR("1")};
    live_assert(sio_emit(seen.kept, &emit) == -1);
    live_assert(!sio_is_connected(seen.kept));
}

static void too_many_for_a_lost_one(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    sioc_vanish(&c);
    kept_emit(LIMIT_SIO_REPLAY);
    assert_int_equal(sio_count_lost(env.sio), 1);
    sioc_come_back(&again, &c, NULL);
    char offset[64];
    for (int n = 1; n <= LIMIT_SIO_REPLAY; n++)
        sioc_expect_number(&again, n, offset);
    sioc_recovered(&again, &c, "");
    sioc_vanish(&c);
    kept_emit(1); /* the oldest goes, which the client has */
    sioc_come_back(&again, &c, offset);
    sioc_expect_number(&again, LIMIT_SIO_REPLAY + 1, offset);
    sioc_recovered(&again, &c, "");
    sioc_vanish(&c);
    kept_emit(LIMIT_SIO_REPLAY + 1);
    live_do(&env.lives[0], do_emit_in_vain);
    await_closed(1, "transport close");
    sioc_come_back(&again, &c, offset);
    sioc_not_recovered(&again, &c, "");
    sioc_free(&again);
}

static void too_much_for_a_lost_one(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    sioc_vanish(&c);
    kept_times = 3;
    live_do(&env.lives[0], do_emit_big);
    assert_int_equal(atomic_load(&seen.closed), 0);
    sioc_come_back(&again, &c, NULL);
    for (int i = 0; i < 3; i++) {
        char *got = sioc_take(&again);
        assert_memory_equal(got, "451-[\"big\",", 11);
        free(got);
        struct ws_event event;
        assert_true(wsc_next(&again.ws, &event, NULL));
        assert_int_equal(event.opcode, WS_BINARY);
    }
    sioc_recovered(&again, &c, "");
    take_heartbeat(&c);
    sioc_vanish(&c);
    kept_times = 4;
    live_do(&env.lives[0], do_emit_big);
    await_closed(1, "transport close");
}

/* A connected client whose ring is full goes on; recovery is possible from where the ring begins. */
static void too_many_for_a_connected_one(void **state)
{
    (void)state;
    struct sioc c, again;
    char first[64], offset[64];
    kept_begin(&c, "{\"recovery\":true}");
    c.silent = true;
    kept_emit(LIMIT_SIO_REPLAY + 10);
    for (int n = 1; n <= LIMIT_SIO_REPLAY + 10; n++)
        sioc_expect_number(&c, n, n <= 10 ? first : offset);
    sioc_vanish(&c);
    sioc_come_back(&again, &c, first); /* has 10 */
    for (int n = 11; n <= LIMIT_SIO_REPLAY + 10; n++)
        sioc_expect_number(&again, n, offset);
    again.silent = true;
    sioc_recovered(&again, &c, "");
    kept_emit(1);
    sioc_expect_number(&c, LIMIT_SIO_REPLAY + 11, offset);
    sioc_vanish(&c);
    sioc_come_back(&again, &c, first);
    sioc_not_recovered(&again, &c, "");
    await_closed(1, "transport close");
    sioc_free(&again);
}

/* ---- Others ---- */

static void without_recovery(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c);
    sioc_send(&c, "40{\"recovery\":true,\"pid\":\"AAAAAAAAAAAAAAAAAAAA\",\"offset\":\"x\"}");
    sioc_connected(&c, "");
    sioc_send(&c, "42[\"echo\",1]");
    sioc_expect(&c, "42[\"echo\",1]");
    sioc_free(&c);
    await_closed(1, "transport close");
    assert_int_equal(sio_count_lost(env.sio), 0);
}

static void old_clients_have_none(void **state)
{
    (void)state;
    struct sioc c, old;
    kept_begin(&c, "");
    sioc_vanish(&c);
    sioc_open_with(&old, "EIO=3&recovery=1");
    sioc_expect(&old, "40");
    sioc_send(&old, "42[\"echo\",1]");
    sioc_expect(&old, "42[\"echo\",1]");
    char text[128];
    snprintf(text, sizeof text, "40/custom,{\"pid\":\"%s\"}", c.pid);
    sioc_send(&old, text);
    sioc_expect(&old, "40/custom,");
    sioc_free(&old);
    await_closed(2, "transport close");
    assert_int_equal(sio_count_lost(env.sio), 1);
}

static void do_drain(struct live_server *live)
{
    (void)live;
    sio_drain(env.sio);
}

static void draining(void **state)
{
    (void)state;
    struct sioc lost, c, again;
    sioc_begin(&lost);
    sioc_vanish(&lost);
    kept_begin(&c, "");
    live_do(&env.lives[0], do_drain);
    await_closed(1, "server shutting down");
    sioc_come_back(&again, &c, NULL); /* nothing is recovered any more, nothing waits for it */
    sioc_not_recovered(&again, &c, "");
    sioc_free(&again);
    await_closed(2, "transport close");
    sioc_free(&c);
    await_closed(3, "transport close");
    assert_int_equal(sio_count_lost(env.sio), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, recovery_setup, recovery_teardown)
    const struct CMUnitTest tests[] = {
        TEST(wrong_offsets),
        TEST(offsets_of_the_past),
        TEST(wrong_pids),
        TEST(the_wrong_namespace),
        cmocka_unit_test_setup_teardown(too_late, setup_forgetful, recovery_teardown),
        TEST(the_owner_may_say_no),
        TEST(ends_that_are_final),
        TEST(a_lost_one_can_be_ended),
        TEST(too_many_for_a_lost_one),
        TEST(too_much_for_a_lost_one),
        TEST(too_many_for_a_connected_one),
        cmocka_unit_test_setup_teardown(without_recovery, setup_without, recovery_teardown),
        TEST(old_clients_have_none),
        TEST(draining),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
