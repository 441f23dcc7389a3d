/* Clients that come back, on one loop: what they missed, and what of the old connection is left. */
#include "unit/support/sio_recovery.h"

/* ---- What works ---- */

static void the_quiet(void **state)
{
    (void)state;
    struct sioc c, again;
    sioc_open_with(&c, "EIO=4&mark=7");
    sioc_send(&c, "40");
    sioc_connected(&c, "");
    sioc_ask(&c, "[\"keep\"]");
    for (int i = 1; i <= 3; i++) {
        sioc_vanish(&c);
        assert_int_equal(sio_count(env.sio), 0);
        sioc_come_back(&again, &c, NULL);
        sioc_recovered(&again, &c, "");
        assert_int_equal(sio_count(env.sio), 1);
        assert_int_equal(sio_count_lost(env.sio), 0);
        await_count(&seen.recovered, i);
        await_count(&seen.drained, i);
    }
    char want[200];
    snprintf(want, sizeof want, "430[\"%s\",\"/\",0,\"\",\"127.0.0.1\"]", c.sid);
    sioc_send(&c, "420[\"me\"]"); /* what is remembered is of the connection it has now */
    sioc_expect(&c, want);
    assert_int_equal(atomic_load(&seen.connects), 1);
    assert_int_equal(atomic_load(&seen.closed), 0);
    sioc_send(&c, "41");
    await_closed(1, "client namespace disconnect");
    sioc_free(&c);
}

static void with_offsets_by(const char *query, const char *auth)
{
    struct sioc c, again;
    char offset[64], last[64], connect[256];
    sioc_open_with(&c, query);
    snprintf(connect, sizeof connect, "40%s", auth);
    sioc_send(&c, connect);
    sioc_connected(&c, "");
    sioc_ask(&c, "[\"keep\"]");
    kept_emit(3);
    sioc_expect_number(&c, 1, offset);
    sioc_expect_number(&c, 2, last);
    sioc_expect_number(&c, 3, last);
    sioc_vanish(&c);
    kept_emit(2);
    sioc_come_back(&again, &c, offset); /* has 1 */
    for (int n = 2; n <= 5; n++)
        sioc_expect_number(&again, n, last);
    sioc_recovered(&again, &c, "");
    kept_emit(1);
    sioc_expect_number(&c, 6, offset);
    sioc_vanish(&c);
    sioc_come_back(&again, &c, last); /* has 5 */
    sioc_expect_number(&again, 6, offset);
    sioc_recovered(&again, &c, "");
    sioc_vanish(&c);
    kept_emit(1);
    sioc_come_back(&again, &c, offset); /* has 6 */
    sioc_expect_number(&again, 7, offset);
    sioc_recovered(&again, &c, "");
    sioc_send(&c, "42[\"echo\",\"x\"]");
    char *echo = sioc_take(&c);
    assert_memory_equal(echo, "42[\"echo\",\"x\",\"", 15);
    free(echo);
    sioc_send(&c, "421[\"ack\",\"x\"]");
    sioc_expect(&c, "431[\"x\"]"); /* no offset here */
    sioc_send(&c, "42[\"ask\",0]");
    sioc_expect(&c, "420[\"question\",0]");
    sioc_free(&c);
    live_do(&env.lives[0], kept_let_go);
}

static void with_offsets(void **state)
{
    (void)state;
    with_offsets_by("EIO=4", "{\"recovery\":true}");
    with_offsets_by("EIO=4&recovery=1", "");
    with_offsets_by("EIO=4&recovery=true", "{\"recovery\":false}");
    with_offsets_by("EIO=4", "{\"pid\":\"never seen\"}");
}

static void nobody_else_gets_offsets(void **state)
{
    (void)state;
    struct sioc c;
    kept_begin(&c, "{\"recovery\":\"true\"}");
    kept_emit(1);
    sioc_expect_number(&c, 1, NULL);
    sioc_free(&c);
}

static void without_offsets_when_confirmed(void **state)
{
    (void)state;
    struct sioc c, again;
    char offset[64];
    kept_begin(&c, "");
    kept_emit(2);
    sioc_expect_number(&c, 1, NULL);
    sioc_expect_number(&c, 2, NULL);
    take_heartbeat(&c); /* it comes behind the events for this alone */
    sioc_vanish(&c);
    kept_emit(2);
    sioc_come_back(&again, &c, NULL);
    sioc_expect_number(&again, 3, offset);
    sioc_expect_number(&again, 4, offset);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

static void many_unconfirmed_ask_at_once(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    kept_emit(64);
    for (int n = 1; n <= 64; n++)
        sioc_expect_number(&c, n, NULL);
    take_heartbeat(&c);
    sioc_vanish(&c);
    sioc_come_back(&again, &c, NULL);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

/* The answer to a heartbeat says nothing about what left behind that: another one follows. */
static void each_event_gets_its_heartbeat(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    kept_emit(1);
    sioc_expect_number(&c, 1, NULL);
    struct ws_event event;
    assert_true(wsc_next(&c.ws, &event, NULL)); /* the heartbeat */
    kept_emit(1);
    sioc_expect_number(&c, 2, NULL);
    wsc_text(&c.ws, "3");
    take_heartbeat(&c);
    sioc_vanish(&c);
    sioc_come_back(&again, &c, NULL);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

static void without_offsets_when_unconfirmed(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    c.silent = true;
    kept_emit(1);
    sioc_expect_number(&c, 1, NULL);
    sioc_vanish(&c);
    sioc_come_back(&again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    await_closed(1, "transport close");
    sioc_free(&again);
}

static void rooms_are_kept(void **state)
{
    (void)state;
    struct sioc c, again, other;
    char offset[64];
    kept_begin(&c, "{\"recovery\":true}");
    sioc_ask(&c, "[\"join\",\"room\"]");
    kept_emit(1);
    sioc_expect_number(&c, 1, offset);
    sioc_vanish(&c);
    sioc_begin(&other);
    sioc_send(&other, "42[\"cast\",\"room\",1]");
    sioc_send(&other, "451-[\"cast\",\"room\",{\"_placeholder\":true,\"num\":0}]");
    wsc_send(&other.ws, WS_BINARY, STR("missed"));
    sioc_ask(&other, "[\"leave\",\"room\"]");
    sioc_come_back(&again, &c, offset);
    char *got = sioc_take(&again);
    assert_memory_equal(got, "42[\"cast\",\"room\",1,\"", 20);
    free(got);
    got = sioc_take(&again);
    assert_memory_equal(got, "451-[\"cast\",\"room\",{\"_placeholder\":true,\"num\":0},\"", 50);
    free(got);
    sioc_expect_bytes(&again, STR("missed"));
    sioc_recovered(&again, &c, "");
    sioc_send(&other, "42[\"cast\",\"room\",2]");
    got = sioc_take(&c);
    assert_memory_equal(got, "42[\"cast\",\"room\",2,\"", 20);
    free(got);
    sioc_free(&c);
    sioc_free(&other);
}

/* What its handlers say while it is lost reaches it. */
static void handlers_go_on(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    atomic_store(&seen.block, true);
    sioc_send(&c, "42[\"block\",1]");
    sioc_send(&c, "423[\"slow\",2]");
    sioc_ask(&c, "[\"leave\",\"x\"]");
    sioc_vanish(&c);
    atomic_store(&seen.block, false);
    await_count(&seen.handled, 2);
    sioc_come_back(&again, &c, NULL);
    char *got = sioc_take(&again);
    assert_memory_equal(got, "42[\"block\",1,\"", 14);
    free(got);
    got = sioc_take(&again);
    assert_memory_equal(got, "42[\"slow\",2,\"", 13);
    free(got);
    sioc_recovered(&again, &c, "");
    assert_int_equal(atomic_load(&seen.cancelled), 0);
    sioc_free(&c);
}

static void do_unrecoverable(struct live_server *live)
{
    (void)live;
    live_assert(sio_is_open(seen.kept) && !sio_is_connected(seen.kept) && !sio_writable(seen.kept));
    struct sio_emit emit = {.name = STR("v"), .args = STR("1"), .is_volatile = true};
    live_assert(sio_emit(seen.kept, &emit) == -1);
    live_assert(sio_ack(seen.kept, 1, STR(""), NULL, 0) == -1);
    sio_ask(seen.kept, &emit, 0, env_answered, &env);
    struct blob *frame = sio_frame(STR("/"), STR("f\""), STR("1"));
    live_assert(sio_emit_frame(seen.kept, frame, true) == -1);
    live_assert(sio_emit_frame(seen.kept, frame, false) == 0);
    blob_unref(frame);
}

static void what_is_not_recovered(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    sioc_send(&c, "42[\"ask\",0]");
    sioc_expect(&c, "420[\"question\",0]");
    sioc_vanish(&c);
    await_count(&seen.cancelled, 1); /* which is told: "answered" waits in the ring */
    live_do(&env.lives[0], do_unrecoverable);
    await_count(&seen.cancelled, 2);
    sioc_come_back(&again, &c, NULL);
    static const char *const want[] = {"42[\"answered\",\"CANCELLED\",\"", "42[\"f\\\"\",1,\"",
                                       "42[\"answered\",\"CANCELLED\",\""};
    for (size_t i = 0; i < COUNT(want); i++) {
        char *got = sioc_take(&again);
        assert_memory_equal(got, want[i], strlen(want[i]));
        free(got);
    }
    sioc_recovered(&again, &c, "");
    sioc_send(&c, "42[\"ask\",0]");
    sioc_expect(&c, "422[\"question\",0]"); /* ids are not used again */
    sioc_free(&c);
}

/* Its queue is full: the session ends, and what is emitted before that is noticed is kept. */
static void do_choke(struct live_server *live)
{
    (void)live;
    struct buf text = BUF_INIT(2 * LIMIT_WS_QUEUE);
    size_t n = LIMIT_WS_QUEUE + 2;
    char *to = buf_reserve(&text, n);
    memset(to, '1', n);
    buf_commit(&text, n);
    live_assert(sio_ack(seen.kept, 1, buf_str(&text), NULL, 0) == 0);
    live_assert(sio_is_connected(seen.kept));
    emit_numbers(seen.kept, 2);
    live_assert(sio_is_connected(seen.kept) && !sio_writable(seen.kept));
    buf_free(&text);
}

static void slow_clients(void **state)
{
    (void)state;
    struct sioc c, again;
    char offset[64];
    kept_begin(&c, "");
    live_do(&env.lives[0], do_choke);
    await_lost(1);
    sioc_free(&c);
    sioc_come_back(&again, &c, NULL);
    sioc_expect_number(&again, 1, offset);
    sioc_expect_number(&again, 2, offset);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

/* ---- The old connection is still there, as far as the server knows ---- */

static void taking_a_live_connection_over(void **state)
{
    (void)state;
    struct sioc c, first, again, side;
    char offset[64];
    kept_begin(&c, "{\"recovery\":true}");
    first = c;
    sioc_send(&c, "40/custom");
    sioc_connected(&c, "/custom");
    side = c;
    memcpy(c.sid, first.sid, sizeof c.sid);
    memcpy(c.pid, first.pid, sizeof c.pid);
    kept_emit(2);
    sioc_expect_number(&c, 1, offset);
    first = c;
    sioc_come_back(&again, &c, offset);
    sioc_expect_number(&again, 2, offset);
    sioc_recovered(&again, &c, "");
    sioc_expect_number(&first, 2, offset);
    sioc_expect_end(&first);
    assert_int_equal(atomic_load(&seen.closed), 0);
    sioc_show(&c, "/custom,", side.pid, NULL);
    again = c;
    sioc_recovered(&again, &side, "/custom");
    kept_emit(1);
    sioc_expect_number(&c, 3, offset);
    assert_int_equal(sio_count(env.sio), 2);
    assert_int_equal(sio_count_lost(env.sio), 0);
    sioc_free(&c);
}

static void a_live_one_that_does_not_fit(void **state)
{
    (void)state;
    struct sioc c, again;
    kept_begin(&c, "");
    c.silent = true;
    kept_emit(1);
    sioc_expect_number(&c, 1, NULL);
    sioc_come_back(&again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    sioc_expect_end(&c);
    await_closed(1, "forced close");
    sioc_free(&again);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, recovery_setup, recovery_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_quiet),
        TEST(with_offsets),
        TEST(nobody_else_gets_offsets),
        TEST(without_offsets_when_confirmed),
        TEST(many_unconfirmed_ask_at_once),
        TEST(each_event_gets_its_heartbeat),
        TEST(without_offsets_when_unconfirmed),
        TEST(rooms_are_kept),
        TEST(handlers_go_on),
        TEST(what_is_not_recovered),
        TEST(slow_clients),
        TEST(taking_a_live_connection_over),
        TEST(a_live_one_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
