/* Clients that come back, on one loop: what they missed, and when they cannot have their socket again. */
#include "unit/support/sio_env.h"

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env.config.recovery = 600000;
    env_start();
    return 0;
}

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

static void await_closed(int n, const char *reason)
{
    await_count(&seen.closed, n);
    assert_string_equal(atomic_load(&seen.reason), reason);
}

/* A client with a socket that the server keeps a reference to. */
static void begin(struct sioc *c, const char *auth)
{
    sioc_begin_on(c, 0, auth);
    sioc_ask(c, "[\"keep\"]");
}

static void let_go(struct live_server *live)
{
    (void)live;
    seen.kept = sio_unref(seen.kept);
}

static int recovery_teardown(void **state)
{
    live_do(&env.lives[0], let_go);
    return env_teardown(state);
}

static int emit_times;

static void do_emit_numbers(struct live_server *live)
{
    (void)live;
    emit_numbers(seen.kept, emit_times);
}

/* To the kept socket, connected or not. */
static void emit(int n)
{
    emit_times = n;
    live_do(&env.lives[0], do_emit_numbers);
}

static void come_back(struct sioc *again, const struct sioc *c, const char *offset)
{
    sioc_open(again);
    sioc_show(again, "", c->pid, offset);
}

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
        come_back(&again, &c, NULL);
        sioc_recovered(&again, &c, "");
        assert_int_equal(sio_count(env.sio), 1);
        assert_int_equal(sio_count_lost(env.sio), 0);
        await_count(&seen.recovered, i);
        await_count(&seen.drained, i);
    }
    char want[200];
    snprintf(want, sizeof want, "430[\"%s\",\"/\",0,0,\"127.0.0.1\"]", c.sid);
    sioc_send(&c, "420[\"me\"]"); /* the marks are of the connection it has now */
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
    emit(3);
    sioc_expect_number(&c, 1, offset);
    sioc_expect_number(&c, 2, last);
    sioc_expect_number(&c, 3, last);
    sioc_vanish(&c);
    emit(2);
    come_back(&again, &c, offset); /* has 1 */
    for (int n = 2; n <= 5; n++)
        sioc_expect_number(&again, n, last);
    sioc_recovered(&again, &c, "");
    emit(1);
    sioc_expect_number(&c, 6, offset);
    sioc_vanish(&c);
    come_back(&again, &c, last); /* has 5 */
    sioc_expect_number(&again, 6, offset);
    sioc_recovered(&again, &c, "");
    sioc_vanish(&c);
    emit(1);
    come_back(&again, &c, offset); /* has 6 */
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
    live_do(&env.lives[0], let_go);
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
    begin(&c, "{\"recovery\":\"true\"}");
    emit(1);
    sioc_expect_number(&c, 1, NULL);
    sioc_free(&c);
}

/* Reads until a heartbeat came, which is answered. */
static void take_heartbeat(struct sioc *c)
{
    struct ws_event event;
    struct buf text = BUF_INIT(KIB(1));
    assert_true(wsc_next(&c->ws, &event, &text));
    assert_str(buf_str(&text), "2");
    wsc_text(&c->ws, "3");
    buf_free(&text);
    sioc_ask(c, "[\"leave\",\"x\"]"); /* behind it: it was seen */
}

static void without_offsets_when_confirmed(void **state)
{
    (void)state;
    struct sioc c, again;
    char offset[64];
    begin(&c, "");
    emit(2);
    sioc_expect_number(&c, 1, NULL);
    sioc_expect_number(&c, 2, NULL);
    take_heartbeat(&c); /* it comes behind the events for this alone */
    sioc_vanish(&c);
    emit(2);
    come_back(&again, &c, NULL);
    sioc_expect_number(&again, 3, offset);
    sioc_expect_number(&again, 4, offset);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

static void many_unconfirmed_ask_at_once(void **state)
{
    (void)state;
    struct sioc c, again;
    begin(&c, "");
    emit(64);
    for (int n = 1; n <= 64; n++)
        sioc_expect_number(&c, n, NULL);
    take_heartbeat(&c);
    sioc_vanish(&c);
    come_back(&again, &c, NULL);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

/* The answer to a heartbeat says nothing about what left behind that: another one follows. */
static void each_event_gets_its_heartbeat(void **state)
{
    (void)state;
    struct sioc c, again;
    begin(&c, "");
    emit(1);
    sioc_expect_number(&c, 1, NULL);
    struct ws_event event;
    assert_true(wsc_next(&c.ws, &event, NULL)); /* the heartbeat */
    emit(1);
    sioc_expect_number(&c, 2, NULL);
    wsc_text(&c.ws, "3");
    take_heartbeat(&c);
    sioc_vanish(&c);
    come_back(&again, &c, NULL);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

static void without_offsets_when_unconfirmed(void **state)
{
    (void)state;
    struct sioc c, again;
    begin(&c, "");
    c.silent = true;
    emit(1);
    sioc_expect_number(&c, 1, NULL);
    sioc_vanish(&c);
    come_back(&again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    await_closed(1, "transport close");
    sioc_free(&again);
}

static void rooms_are_kept(void **state)
{
    (void)state;
    struct sioc c, again, other;
    char offset[64];
    begin(&c, "{\"recovery\":true}");
    sioc_ask(&c, "[\"join\",\"room\"]");
    emit(1);
    sioc_expect_number(&c, 1, offset);
    sioc_vanish(&c);
    sioc_begin(&other);
    sioc_send(&other, "42[\"cast\",\"room\",1]");
    sioc_send(&other, "451-[\"cast\",\"room\",{\"_placeholder\":true,\"num\":0}]");
    wsc_send(&other.ws, WS_BINARY, STR("missed"));
    sioc_ask(&other, "[\"leave\",\"room\"]");
    come_back(&again, &c, offset);
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
    begin(&c, "");
    atomic_store(&seen.block, true);
    sioc_send(&c, "42[\"block\",1]");
    sioc_send(&c, "423[\"slow\",2]");
    sioc_ask(&c, "[\"leave\",\"x\"]");
    sioc_vanish(&c);
    atomic_store(&seen.block, false);
    await_count(&seen.handled, 2);
    come_back(&again, &c, NULL);
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
    begin(&c, "");
    sioc_send(&c, "42[\"ask\",0]");
    sioc_expect(&c, "420[\"question\",0]");
    sioc_vanish(&c);
    await_count(&seen.cancelled, 1); /* which is told: "answered" waits in the ring */
    live_do(&env.lives[0], do_unrecoverable);
    await_count(&seen.cancelled, 2);
    come_back(&again, &c, NULL);
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

/* ---- The old connection is still there, as far as the server knows ---- */

static void taking_a_live_connection_over(void **state)
{
    (void)state;
    struct sioc c, first, again, side;
    char offset[64];
    begin(&c, "{\"recovery\":true}");
    first = c;
    sioc_send(&c, "40/custom");
    sioc_connected(&c, "/custom");
    side = c;
    memcpy(c.sid, first.sid, sizeof c.sid);
    memcpy(c.pid, first.pid, sizeof c.pid);
    emit(2);
    sioc_expect_number(&c, 1, offset);
    first = c;
    come_back(&again, &c, offset);
    sioc_expect_number(&again, 2, offset);
    sioc_recovered(&again, &c, "");
    sioc_expect_number(&first, 2, offset);
    sioc_expect_end(&first);
    assert_int_equal(atomic_load(&seen.closed), 0);
    sioc_show(&c, "/custom,", side.pid, NULL);
    again = c;
    sioc_recovered(&again, &side, "/custom");
    emit(1);
    sioc_expect_number(&c, 3, offset);
    assert_int_equal(sio_count(env.sio), 2);
    assert_int_equal(sio_count_lost(env.sio), 0);
    sioc_free(&c);
}

static void a_live_one_that_does_not_fit(void **state)
{
    (void)state;
    struct sioc c, again;
    begin(&c, "");
    c.silent = true;
    emit(1);
    sioc_expect_number(&c, 1, NULL);
    come_back(&again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    sioc_expect_end(&c);
    await_closed(1, "forced close");
    sioc_free(&again);
}

/* ---- What does not fit ---- */

static void expect_new(const char *offset_json, const char *what)
{
    struct sioc c, again;
    char offset[64], text[256];
    int closed = atomic_load(&seen.closed);
    begin(&c, "{\"recovery\":true}");
    emit(1);
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
    live_do(&env.lives[0], let_go);
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
    begin(&c, "{\"recovery\":true}");
    emit(2);
    sioc_expect_number(&c, 1, first);
    sioc_expect_number(&c, 2, offset);
    take_heartbeat(&c); /* it has both: they are gone here */
    sioc_vanish(&c);
    come_back(&again, &c, first);
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
    begin(&c, "");
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
    begin(&c, "");
    sioc_begin(&d);
    sioc_free(&c);
    await_closed(1, "transport close");
    sioc_free(&d);
    await_closed(2, "transport close");
    assert_int_equal(sio_count_lost(env.sio), 0);
    come_back(&again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    sioc_free(&again);
    await_closed(3, "transport close");
    assert_int_equal(atomic_load(&seen.recovered), 0);
}

static void the_owner_may_say_no(void **state)
{
    (void)state;
    struct sioc c, again;
    begin(&c, "");
    sioc_vanish(&c);
    atomic_store(&seen.no_recovery, true);
    come_back(&again, &c, NULL);
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
        come_back(&again, &c, NULL);
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
    begin(&c, "");
    sioc_vanish(&c);
    live_do(&env.lives[0], do_disconnect);
    await_closed(1, "server namespace disconnect");
    come_back(&again, &c, NULL);
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
    for (int i = 0; i < emit_times; i++)
        live_assert(sio_emit(seen.kept, &emit) == 0);
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
    begin(&c, "");
    sioc_vanish(&c);
    emit(LIMIT_SIO_REPLAY);
    assert_int_equal(sio_count_lost(env.sio), 1);
    come_back(&again, &c, NULL);
    char offset[64];
    for (int n = 1; n <= LIMIT_SIO_REPLAY; n++)
        sioc_expect_number(&again, n, offset);
    sioc_recovered(&again, &c, "");
    sioc_vanish(&c);
    emit(1); /* the oldest goes, which the client has */
    come_back(&again, &c, offset);
    sioc_expect_number(&again, LIMIT_SIO_REPLAY + 1, offset);
    sioc_recovered(&again, &c, "");
    sioc_vanish(&c);
    emit(LIMIT_SIO_REPLAY + 1);
    live_do(&env.lives[0], do_emit_in_vain);
    await_closed(1, "transport close");
    come_back(&again, &c, offset);
    sioc_not_recovered(&again, &c, "");
    sioc_free(&again);
}

static void too_much_for_a_lost_one(void **state)
{
    (void)state;
    struct sioc c, again;
    begin(&c, "");
    sioc_vanish(&c);
    emit_times = 3;
    live_do(&env.lives[0], do_emit_big);
    assert_int_equal(atomic_load(&seen.closed), 0);
    emit_times = 1;
    come_back(&again, &c, NULL);
    for (int i = 0; i < 3; i++) {
        char *got = sioc_take(&again);
        assert_memory_equal(got, "451-[\"big\",", 11);
        free(got);
        struct ws_event event;
        assert_true(wsc_next(&again.ws, &event, NULL));
        assert_int_equal(event.opcode, WS_BINARY);
    }
    sioc_recovered(&again, &c, "");
    sioc_ask(&c, "[\"leave\",\"x\"]");
    sioc_free(&c);
}

/* A connected client whose ring is full goes on; recovery is possible from where the ring begins. */
static void too_many_for_a_connected_one(void **state)
{
    (void)state;
    struct sioc c, again;
    char first[64], offset[64];
    begin(&c, "{\"recovery\":true}");
    c.silent = true;
    emit(LIMIT_SIO_REPLAY + 10);
    for (int n = 1; n <= LIMIT_SIO_REPLAY + 10; n++)
        sioc_expect_number(&c, n, n <= 10 ? first : offset);
    sioc_vanish(&c);
    come_back(&again, &c, first); /* has 10 */
    for (int n = 11; n <= LIMIT_SIO_REPLAY + 10; n++)
        sioc_expect_number(&again, n, offset);
    again.silent = true;
    sioc_recovered(&again, &c, "");
    emit(1);
    sioc_expect_number(&c, LIMIT_SIO_REPLAY + 11, offset);
    sioc_vanish(&c);
    come_back(&again, &c, first);
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
    begin(&c, "");
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
    begin(&c, "");
    live_do(&env.lives[0], do_drain);
    await_closed(1, "server shutting down");
    come_back(&again, &c, NULL); /* nothing is recovered any more, nothing waits for it */
    sioc_not_recovered(&again, &c, "");
    sioc_free(&again);
    await_closed(2, "transport close");
    sioc_free(&c);
    await_closed(3, "transport close");
    assert_int_equal(sio_count_lost(env.sio), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, recovery_teardown)
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
        TEST(taking_a_live_connection_over),
        TEST(a_live_one_that_does_not_fit),
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
