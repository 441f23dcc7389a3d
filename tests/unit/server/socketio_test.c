/* Namespaces, packets and the rules about them, acknowledgements, attachments, on one loop. */
#include "unit/support/sio_env.h"

#include "loop/serial.h"

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env_start();
    return 0;
}

static int setup_impatient(void **state)
{
    (void)state;
    env_defaults();
    env.config.connect_timeout = 30;
    env_start();
    return 0;
}

/* ---- Namespaces ---- */

static void connects(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open_with(&c, "EIO=4&mark=7");
    sioc_send(&c, "40");
    sioc_connected(&c, "");
    assert_string_not_equal(c.sid, c.esid);
    assert_int_equal(sio_count(env.sio), 1);
    char want[200];
    snprintf(want, sizeof want, "430[\"%s\",\"/\",0,\"seven\",\"127.0.0.1\"]", c.sid);
    sioc_send(&c, "420[\"me\"]");
    sioc_expect(&c, want);
    sioc_free(&c);
    await_closed(1, "transport close");
    assert_int_equal(sio_count(env.sio), 0);
}

static void several_namespaces_share_a_connection(void **state)
{
    (void)state;
    struct sioc c;
    char first[21];
    sioc_begin(&c);
    memcpy(first, c.sid, sizeof first);
    sioc_send(&c, "40/custom");
    sioc_connected(&c, "/custom");
    assert_string_not_equal(c.sid, first);
    sioc_send(&c, "40/bare,");
    sioc_connected(&c, "/bare");
    sioc_send(&c, "42/bare,[\"nobody listens\"]");
    sioc_send(&c, "42/custom,[\"echo\",1]");
    sioc_expect(&c, "42/custom,[\"echo\",1]");
    sioc_send(&c, "42[\"echo\",2]");
    sioc_expect(&c, "42[\"echo\",2]");
    sioc_free(&c);
    await_count(&seen.closed, 2);
}

static void auth_reaches_the_owner(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c);
    sioc_send(&c, "40{\"greet\":1,\"token\":\"\\u00e4\"}");
    sioc_connected(&c, "");
    sioc_expect(&c, "42[\"auth\",{\"greet\":1,\"token\":\"\\u00e4\"}]");
    sioc_free(&c);
    await_closed(1, "transport close");
}

static void refusals_leave_the_engine_open(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c);
    for (int i = 0; i < 3; i++) {
        sioc_send(&c, "40{\"refuse\":1}");
        sioc_expect(&c, "44{\"message\":\"Not \\\"you\\\"\",\"data\":{\"code\":\"UNAUTHORIZED\"}}");
        sioc_send(&c, "40/custom,{\"refuse\":1}");
        sioc_expect(&c, "44/custom,{\"message\":\"Not \\\"you\\\"\",\"data\":{\"code\":\"UNAUTHORIZED\"}}");
        sioc_send(&c, "40/random");
        sioc_expect(&c, "44/random,{\"message\":\"Invalid namespace\"}");
        sioc_send(&c, "40/random?x=1,{}");
        sioc_expect(&c, "44/random?x=1,{\"message\":\"Invalid namespace\"}");
    }
    assert_int_equal(sio_count(env.sio), 0);
    sioc_send(&c, "40");
    sioc_connected(&c, "");
    assert_int_equal(atomic_load(&seen.connects), 7);
    sioc_free(&c);
    await_closed(1, "transport close");
}

static void disconnecting_leaves_the_engine_open(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_send(&c, "40/custom");
    sioc_connected(&c, "/custom");
    sioc_send(&c, "41/custom");
    await_closed(1, "client namespace disconnect");
    sioc_send(&c, "42[\"echo\"]");
    sioc_expect(&c, "42[\"echo\"]");
    sioc_send(&c, "41");
    await_closed(2, "client namespace disconnect");
    sioc_send(&c, "40/custom,{\"greet\":2}");
    sioc_connected(&c, "/custom");
    sioc_expect(&c, "42/custom,[\"auth\",{\"greet\":2}]");
    sioc_send(&c, "40");
    sioc_connected(&c, "");
    sioc_free(&c);
    await_count(&seen.closed, 4);
}

static void the_server_disconnects(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_send(&c, "40/custom");
    sioc_connected(&c, "/custom");
    sioc_send(&c, "42[\"bye\"]");
    sioc_expect(&c, "41");
    await_closed(1, "server namespace disconnect");
    sioc_send(&c, "42[\"echo\",\"on its way when that left\"]");
    sioc_send(&c, "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]");
    wsc_send(&c.ws, WS_BINARY, STR("likewise"));
    sioc_send(&c, "430[]");
    sioc_send(&c, "41");
    sioc_send(&c, "42/custom,[\"echo\",1]");
    sioc_expect(&c, "42/custom,[\"echo\",1]");
    sioc_send(&c, "40");
    sioc_connected(&c, "");
    sioc_send(&c, "42/custom,[\"bye\",true]");
    char *one = sioc_take(&c), *two = sioc_take(&c);
    assert_string_equal(one, "41");
    assert_string_equal(two, "41/custom,");
    free(one);
    free(two);
    sioc_expect_end(&c);
    await_closed(3, "server namespace disconnect");
}

static void an_owner_may_disconnect_at_once(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c);
    sioc_send(&c, "40{\"leave\":1}");
    sioc_connected(&c, "");
    sioc_expect(&c, "41");
    await_closed(1, "server namespace disconnect");
    sioc_free(&c);
}

static void who_never_connects_is_sent_away(void **state)
{
    (void)state;
    struct sioc idle, refused, good;
    sioc_open(&idle);
    sioc_open(&refused);
    sioc_begin(&good);
    sioc_send(&refused, "40/random");
    sioc_expect(&refused, "44/random,{\"message\":\"Invalid namespace\"}");
    sioc_expect_end(&idle);
    sioc_expect_end(&refused);
    sioc_send(&good, "42[\"echo\"]");
    sioc_expect(&good, "42[\"echo\"]");
    sioc_send(&good, "41");
    await_closed(1, "client namespace disconnect");
    sioc_send(&good, "40");
    sioc_connected(&good, "");
    sioc_free(&good);
    await_count(&seen.closed, 2);
}

/* ---- Violations: each ends the whole connection ---- */

static void expect_violation(const char *what, bool connected)
{
    struct sioc c;
    int closed = atomic_load(&seen.closed);
    sioc_open(&c);
    if (connected) {
        sioc_send(&c, "40");
        sioc_connected(&c, "");
    }
    sioc_send(&c, what);
    sioc_expect_end(&c);
    if (connected)
        await_closed(closed + 1, "parse error");
}

static void violations(void **state)
{
    (void)state;
    static const char *const first[] = {"42[\"echo\"]", "41", "431[]", "40[]",   "40\"x\"",    "40{", "4abc", "4",
                                        "47",           "49", "44{}",  "40null", "40/custom,1"};
    static const char *const then[] = {"40",
                                       "40{}",
                                       "4abc",
                                       "42{}",
                                       "42abc[]",
                                       "42[]",
                                       "42[null]",
                                       "42[\"connect\"]",
                                       "42[\"disconnecting\",1]",
                                       "42[\"echo\"",
                                       "42/custom,[\"echo\"]",
                                       "43/custom,1[]",
                                       "41/custom",
                                       "42/random,[\"echo\"]",
                                       "43[]",
                                       "431{}",
                                       "44{\"message\":\"x\"}",
                                       "41{}",
                                       "45[\"echo\"]",
                                       "450-[\"echo\"]",
                                       "451-[\"echo\"]",
                                       "4511-[\"echo\",{\"_placeholder\":true,\"num\":0}]",
                                       "452-[\"echo\",{\"_placeholder\":true,\"num\":0}]",
                                       "451-[\"echo\",{\"_placeholder\":true,\"num\":1}]",
                                       "45999999999999999999-[\"echo\"]",
                                       "4299999999999999999999[\"echo\"]",
                                       "bAQID"};
    for (size_t i = 0; i < COUNT(first); i++)
        expect_violation(first[i], false);
    for (size_t i = 0; i < COUNT(then); i++)
        expect_violation(then[i], true);
    assert_int_equal(atomic_load(&seen.closed), COUNT(then));
}

static void text_between_attachments(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_send(&c, "40/custom");
    sioc_connected(&c, "/custom");
    sioc_send(&c, "452-[\"echo\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    wsc_send(&c.ws, WS_BINARY, STR("one"));
    sioc_send(&c, "42[\"echo\"]");
    sioc_expect_end(&c);
    await_closed(2, "parse error");
}

/* ---- Events ---- */

static void events(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_send(&c, "42[\"echo\"]");
    sioc_expect(&c, "42[\"echo\"]");
    sioc_send(&c, "42[ \"echo\" , 1 , {\"a\":[null]} , \"\\u00e9\" ]");
    sioc_expect(&c, "42[\"echo\",1 , {\"a\":[null]} , \"\\u00e9\"]");
    sioc_send(&c, "42[\"\\u0065cho\",1]");
    sioc_expect(&c, "42[\"echo\",1]");
    sioc_send(&c, "42[\"echo\\u0000\",1]");
    sioc_expect(&c, "42[\"other\",\"echo\\u0000\",1]");
    sioc_send(&c, "42[\"ech\"]");
    sioc_expect(&c, "42[\"other\",\"ech\"]");
    sioc_send(&c, "42[\"\"]");
    sioc_expect(&c, "42[\"other\",\"\"]");
    sioc_send(&c, "42[12,true]");
    sioc_expect(&c, "42[\"other\",\"12\",true]");
    sioc_send(&c, "42[\"slow\",1]");
    sioc_send(&c, "42[\"slow\",2]");
    sioc_send(&c, "4218446744073709551615[\"slow\",3]");
    sioc_expect(&c, "42[\"slow\",1]");
    sioc_expect(&c, "42[\"slow\",2]");
    sioc_expect(&c, "42[\"slow\",3]");
    sioc_expect(&c, "4318446744073709551615[\"slow\"]");
    sioc_free(&c);
    await_closed(1, "transport close");
}

static void acknowledgements(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_send(&c, "40/custom");
    sioc_connected(&c, "/custom");
    sioc_send(&c, "420[\"ack\"]");
    sioc_expect(&c, "430[]");
    sioc_send(&c, "4213[\"ack\",1,{}]");
    sioc_expect(&c, "4313[1,{}]");
    sioc_send(&c, "42/custom,13[\"ack\",\"a\"]");
    sioc_expect(&c, "43/custom,13[\"a\"]");
    sioc_send(&c, "451-14[\"ack\",{\"_placeholder\":true,\"num\":0}]");
    wsc_send(&c.ws, WS_BINARY, STR("\0\1"));
    sioc_expect(&c, "461-14[{\"_placeholder\":true,\"num\":0}]");
    sioc_expect_bytes(&c, STR("\0\1"));
    sioc_free(&c);
    await_count(&seen.closed, 2);
}

static void questions(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_send(&c, "42[\"ask\",0,\"x\"]");
    sioc_expect(&c, "420[\"question\",0,\"x\"]");
    sioc_send(&c, "42[\"ask\",60000]");
    sioc_expect(&c, "421[\"question\",60000]");
    sioc_send(&c, "437[\"unknown\"]");
    sioc_send(&c, "431[\"second\",2]");
    sioc_expect(&c, "42[\"answered\",\"\",\"second\",2]");
    sioc_send(&c, "431[\"once more\"]");
    sioc_send(&c, "430[]");
    sioc_expect(&c, "42[\"answered\",\"\"]");
    sioc_send(&c, "42[\"ask\",1]");
    sioc_expect(&c, "422[\"question\",1]");
    sioc_expect(&c, "42[\"answered\",\"TIMEOUT\"]");
    sioc_send(&c, "432[\"late\"]");
    sioc_send(&c, "451-[\"ask\",60000,{\"_placeholder\":true,\"num\":0}]");
    wsc_send(&c.ws, WS_BINARY, STR("why"));
    sioc_expect(&c, "451-3[\"question\",60000,{\"_placeholder\":true,\"num\":0}]");
    sioc_expect_bytes(&c, STR("why"));
    sioc_send(&c, "461-3[{\"_placeholder\":true,\"num\":0}]");
    wsc_send(&c.ws, WS_BINARY, STR("because"));
    sioc_expect(&c, "451-[\"answered\",\"\",{\"_placeholder\":true,\"num\":0}]");
    sioc_expect_bytes(&c, STR("because"));
    sioc_free(&c);
    await_closed(1, "transport close");
    assert_int_equal(atomic_load(&seen.cancelled), 0);
}

static void questions_end_with_their_client(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_send(&c, "42[\"ask\",0]");
    sioc_send(&c, "42[\"ask\",60000]");
    sioc_expect(&c, "420[\"question\",0]");
    sioc_expect(&c, "421[\"question\",60000]");
    sioc_free(&c);
    await_count(&seen.cancelled, 2);
    await_closed(1, "transport close");
}

static void ask_the_gone(struct live_server *live)
{
    (void)live;
    int before = atomic_load(&seen.cancelled);
    sio_ask(seen.kept, &(struct sio_emit){.name = STR("question"), .args = STR("")}, 1, env_answered, &env);
    live_assert(atomic_load(&seen.cancelled) == before); /* not from inside */
}

static void let_go(struct live_server *live)
{
    (void)live;
    seen.kept = sio_unref(seen.kept);
}

static void references_outlive_the_client(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_ask(&c, "[\"keep\"]");
    sioc_free(&c);
    await_closed(1, "transport close");
    live_do(&env.lives[0], ask_the_gone);
    await_count(&seen.cancelled, 1);
    assert_false(sio_is_open(seen.kept));
    live_do(&env.lives[0], let_go);
}

/* ---- Attachments ---- */

static void ten_attachments(void **state)
{
    (void)state;
    struct sioc c;
    struct buf text = BUF_INIT(KIB(4));
    sioc_begin(&c);
    for (int round = 0; round < 2; round++) {
        const char *name = round ? "slow" : "echo";
        buf_clear(&text);
        buf_addf(&text, "4510-[\"%s\"", name);
        for (int i = 9; i >= 0; i--)
            buf_addf(&text, ",{\"_placeholder\":true,\"num\":%d}", i);
        buf_byte(&text, ']');
        sioc_send(&c, buf_cstr(&text));
        for (int i = 0; i < 10; i++)
            wsc_send(&c.ws, WS_BINARY, str_n("0123456789", (size_t)i));
        sioc_expect(&c, buf_cstr(&text));
        for (int i = 0; i < 10; i++)
            sioc_expect_bytes(&c, str_n("0123456789", (size_t)i));
    }
    buf_free(&text);
    sioc_free(&c);
    await_closed(1, "transport close");
}

static void attachments_are_owned_by_their_packet(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_send(&c, "452-[\"echo\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    wsc_send(&c.ws, WS_BINARY, STR("one"));
    sioc_free(&c); /* in the middle */
    await_closed(1, "transport close");
}

static void large_messages(void **state)
{
    (void)state;
    struct sioc c;
    struct buf text = BUF_INIT(MIB(2));
    sioc_begin(&c);
    size_t room = env.config.engine.max_payload - strlen("42[\"slow\",\"\"]");
    buf_lit(&text, "42[\"slow\",\"");
    memset(buf_reserve(&text, room), 'x', room);
    buf_commit(&text, room);
    buf_lit(&text, "\"]");
    sioc_send(&c, buf_cstr(&text));
    sioc_expect(&c, buf_cstr(&text));
    buf_clear(&text);
    memset(buf_reserve(&text, env.config.engine.max_payload), 'b', env.config.engine.max_payload);
    buf_commit(&text, env.config.engine.max_payload);
    for (int i = 0; i < 2; i++) {
        const char *event =
            i ? "451-[\"slow\",{\"_placeholder\":true,\"num\":0}]" : "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]";
        sioc_send(&c, event);
        wsc_send(&c.ws, WS_BINARY, buf_str(&text));
        sioc_expect(&c, event);
        sioc_expect_bytes(&c, buf_str(&text));
    }
    buf_free(&text);
    sioc_free(&c);
    await_closed(1, "transport close");
}

/* More than the serial task lets wait: the client is slowed, nothing is lost. */
static void many_messages_wait(void **state)
{
    (void)state;
    struct sioc c;
    enum { MANY = 1000 };
    char text[64];
    sioc_begin(&c);
    atomic_store(&seen.block, true);
    sioc_send(&c, "42[\"block\"]");
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "42[\"slow\",%d]", i);
        sioc_send(&c, text);
    }
    atomic_store(&seen.block, false);
    sioc_expect(&c, "42[\"block\"]");
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "42[\"slow\",%d]", i);
        sioc_expect(&c, text);
    }
    sioc_free(&c);
    await_closed(1, "transport close");
}

static void a_full_mailbox_stops_reading(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    sioc_send(&c, "40/custom");
    sioc_connected(&c, "/custom");
    atomic_store(&seen.block, true);
    sioc_send(&c, "42[\"block\"]");
    for (int i = 0; i < 2 * SERIAL_WAITING; i++)
        sioc_send(&c, "42/custom,[\"echo\"]");
    for (int i = 0; i < 2 * SERIAL_WAITING; i++)
        sioc_expect(&c, "42/custom,[\"echo\"]");
    for (int i = 0; i < 2 * SERIAL_WAITING; i++)
        sioc_send(&c, "42[\"slow\"]");
    sioc_send(&c, "42/custom,[\"echo\"]");
    struct pollfd answer = {.fd = c.ws.tcp.fd, .events = POLLIN};
    assert_int_equal(poll(&answer, 1, 50), 0); /* nothing, as it is not read */
    atomic_store(&seen.block, false);
    sioc_expect(&c, "42[\"block\"]");
    bool echoed = false;
    for (int i = 0; i < 2 * SERIAL_WAITING + 1; i++) {
        char *got = sioc_take(&c);
        echoed |= strcmp(got, "42/custom,[\"echo\"]") == 0;
        free(got);
    }
    assert_true(echoed);
    sioc_free(&c);
    await_count(&seen.closed, 2);
}

static void the_end_cancels_handlers(void **state)
{
    (void)state;
    struct sioc c;
    sioc_begin(&c);
    atomic_store(&seen.block, true);
    sioc_send(&c, "42[\"block\"]");
    sioc_send(&c, "42[\"slow\"]");
    sioc_send(&c, "42[\"echo\"]");
    sioc_expect(&c, "42[\"echo\"]");
    sioc_free(&c);
    await_closed(1, "transport close");
    await_count(&seen.cancelled, 1);
    await_count(&seen.handled, 1);
    assert_int_equal(atomic_load(&seen.handled), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, env_teardown)
    const struct CMUnitTest tests[] = {
        TEST(connects),
        TEST(several_namespaces_share_a_connection),
        TEST(auth_reaches_the_owner),
        TEST(refusals_leave_the_engine_open),
        TEST(disconnecting_leaves_the_engine_open),
        TEST(the_server_disconnects),
        TEST(an_owner_may_disconnect_at_once),
        cmocka_unit_test_setup_teardown(who_never_connects_is_sent_away, setup_impatient, env_teardown),
        TEST(violations),
        TEST(text_between_attachments),
        TEST(events),
        TEST(acknowledgements),
        TEST(questions),
        TEST(questions_end_with_their_client),
        TEST(references_outlive_the_client),
        TEST(ten_attachments),
        TEST(attachments_are_owned_by_their_packet),
        TEST(large_messages),
        TEST(many_messages_wait),
        TEST(a_full_mailbox_stops_reading),
        TEST(the_end_cancels_handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
