/* WebSockets, from the start and as upgrades, protocols 4 and 3. */
#include "unit/support/eio_env.h"

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env.config.max_payload = KIB(100);
    env_start();
    return 0;
}

static int setup_late(void **state)
{
    (void)state;
    env_defaults();
    env.config.open_delay = 20;
    env_start();
    return 0;
}

static int setup_impatient(void **state)
{
    (void)state;
    env_defaults();
    env.config.upgrade_timeout = 150;
    env_start();
    return 0;
}

/* The server's close frame, answered; then the end. */
static void expect_closed(struct ws_client *c, uint16_t code)
{
    wsc_expect_close(c, code, NULL);
    wsc_send_close(c, 0, "");
    wsc_expect_end(c);
}

/* ---- From the start ---- */

static void opens_with_the_open_packet(void **state)
{
    (void)state;
    struct ws_client c;
    char want[256];
    wsc_engine(&c, "EIO=4&transport=websocket");
    await_count(&seen.opened, 1);
    snprintf(want, sizeof want,
             "0{\"sid\":\"%.20s\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":102400}",
             eio_sid(atomic_load(&seen.last)).p);
    wsc_expect_text(&c, want);
    assert_string_equal(seen.address, "127.0.0.1");
    wsc_text(&c, "4!describe");
    wsc_expect_text(&c, "41 messages, protocol 4, websocket, sent 0, loop 0");
    wsc_free(&c);
    await_closed(1, EIO_TRANSPORT_CLOSE);
}

static void echoes(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "&greet=1");
    wsc_expect_text(&c, "4welcome");
    wsc_text(&c, "4hello");
    wsc_expect_text(&c, "4hello");
    wsc_text(&c, "4");
    wsc_expect_text(&c, "4");
    wsc_send(&c, WS_BINARY, STR("\1\2\3\4"));
    wsc_expect(&c, WS_BINARY, STR("\1\2\3\4"));
    wsc_send(&c, WS_BINARY, STR(""));
    wsc_expect(&c, WS_BINARY, STR(""));
    wsc_text(&c, "bAQIDBA=="); /* clients without binary support */
    wsc_expect(&c, WS_BINARY, STR("\1\2\3\4"));
    wsc_text(&c, "4with \x1e inside");
    wsc_expect_text(&c, "4with \x1e inside");
    wsc_send_close(&c, 1001, "leaving");
    wsc_expect_close(&c, 1001, NULL);
    await_closed(1, EIO_TRANSPORT_CLOSE);
    wsc_free(&c);
}

static void binary_in_base64_for_who_asks(void **state)
{
    (void)state;
    struct ws_client c;
    for (int version = 3; version <= 4; version++) {
        wsc_begin(&c, version, "&b64=1");
        wsc_text(&c, version == 3 ? "b4AQIDBA==" : "bAQIDBA==");
        wsc_expect_text(&c, version == 3 ? "b4AQIDBA==" : "bAQIDBA==");
        wsc_free(&c);
    }
}

static void protocol_3(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 3, "&greet=1");
    wsc_expect_text(&c, "4welcome");
    wsc_text(&c, "4hello");
    wsc_expect_text(&c, "4hello");
    wsc_send(&c, WS_BINARY, STR("\4\1\2\3"));
    wsc_expect(&c, WS_BINARY, STR("\4\1\2\3"));
    wsc_text(&c, "2");
    wsc_expect_text(&c, "3");
    wsc_text(&c, "4!describe");
    wsc_expect_text(&c, "43 messages, protocol 3, websocket, sent 3, loop 0");
    wsc_send(&c, WS_BINARY, STR("\1\2\3"));
    expect_closed(&c, WS_NO_STATUS);
    await_closed(1, EIO_PARSE_ERROR);
    wsc_free(&c);
}

static void protocol_errors_close_without_a_code(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum eio_end end;
    } cases[] = {
        {"abc", EIO_PARSE_ERROR},   {"", EIO_PARSE_ERROR},           {"b%", EIO_PARSE_ERROR},
        {"2", EIO_TRANSPORT_ERROR}, {"2probe", EIO_TRANSPORT_ERROR}, {"1", EIO_TRANSPORT_CLOSE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ws_client c;
        wsc_begin(&c, 4, "");
        wsc_text(&c, cases[i].text);
        wsc_text(&c, "4not heard");
        expect_closed(&c, WS_NO_STATUS);
        await_closed((int)i + 1, cases[i].end);
        wsc_free(&c);
    }
    assert_int_equal(atomic_load(&seen.messages), 0);
}

static void too_large_a_message(void **state)
{
    (void)state;
    struct ws_client c;
    struct buf text = BUF_INIT(KIB(101));
    memset(buf_reserve(&text, KIB(100) + 1), '4', KIB(100) + 1);
    buf_commit(&text, KIB(100));
    wsc_begin(&c, 4, "");
    wsc_send(&c, WS_TEXT, buf_str(&text));
    wsc_expect(&c, WS_TEXT, buf_str(&text));
    buf_byte(&text, '4');
    wsc_send(&c, WS_TEXT, buf_str(&text));
    wsc_expect_close(&c, WS_TOO_BIG, NULL);
    await_closed(1, EIO_TRANSPORT_ERROR);
    buf_free(&text);
    wsc_free(&c);
}

static void the_owner_closes(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "");
    wsc_text(&c, "4!farewell");
    wsc_text(&c, "4not heard");
    wsc_expect_text(&c, "4farewell");
    expect_closed(&c, WS_NO_STATUS);
    await_closed(1, EIO_FORCED);
    assert_int_equal(atomic_load(&seen.messages), 1);
    wsc_free(&c);
}

static void the_owner_closes_at_once(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "&leave=1&greet=1");
    wsc_expect_text(&c, "4welcome");
    expect_closed(&c, WS_NO_STATUS);
    await_closed(1, EIO_FORCED);
    wsc_free(&c);
}

static void pauses(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "");
    wsc_text(&c, "4!pause");
    await_count(&seen.messages, 1);
    wsc_text(&c, "4waits");
    wsc_text(&c, "4too");
    live_do(&env.lives[0], live_ask_idle); /* any turn of the loop */
    assert_int_equal(atomic_load(&seen.messages), 1);
    on_its_loop(its_resume);
    wsc_expect_text(&c, "4waits");
    wsc_expect_text(&c, "4too");
    wsc_free(&c);
}

static void a_broken_connection(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "");
    client_close(&c.tcp);
    await_closed(1, EIO_TRANSPORT_CLOSE);
    wsc_free(&c);
}

/* ---- Late open packets ---- */

static void messages_wait_for_the_open_packet(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "&greet=1");
    wsc_expect_text(&c, "4welcome");
    wsc_text(&c, "4hello");
    wsc_expect_text(&c, "4hello");
    await_count(&seen.drained, 1);
    wsc_free(&c);
}

static void nobody_waits_for_the_open_packet(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_engine(&c, "EIO=4&transport=websocket&greet=1");
    wsc_free(&c);
    await_closed(1, EIO_TRANSPORT_CLOSE);
    wsc_begin(&c, 4, "&leave=1&greet=1"); /* ended before: everything still comes in order */
    wsc_expect_text(&c, "4welcome");
    expect_closed(&c, WS_NO_STATUS);
    wsc_free(&c);
    wsc_engine(&c, "EIO=4&transport=websocket");
    wsc_text(&c, "4early");
    char sid[21];
    wsc_take_open(&c, sid);
    wsc_expect_text(&c, "4early");
    wsc_free(&c);
}

/* ---- Upgrade ---- */

static void probe_open(struct ws_client *c, const struct poller *p, const char *more)
{
    char query[128];
    snprintf(query, sizeof query, "EIO=%c&transport=websocket&sid=%s%s", p->query[4], p->sid, more);
    wsc_engine(c, query);
}

static void expect_mismatch(struct poller *p)
{
    poller_ask(p);
    expect_reply(&p->get, 400, "{\"code\":3,\"message\":\"Bad request\"}");
    poller_send(p, "4x");
    expect_reply(&p->post, 400, "{\"code\":3,\"message\":\"Bad request\"}");
}

static void upgrades(void **state)
{
    (void)state;
    struct metric *upgrades = metric_counter("parley_engineio_upgrades_total", "", NULL);
    struct metric *polling = metric_gauge("parley_engineio_sessions", "", "transport=\"polling\"");
    struct metric *sockets = metric_gauge("parley_engineio_sessions", "", "transport=\"websocket\"");
    int64_t before = metric_value(upgrades), polling_before = metric_value(polling),
            sockets_before = metric_value(sockets);
    struct poller p;
    struct ws_client c;
    poller_open(&p);
    poller_post(&p, "4before");
    poller_expect(&p, "4before");
    poller_ask(&p);
    probe_open(&c, &p, "");
    wsc_text(&c, "2probe");
    wsc_expect_text(&c, "3probe");
    expect_reply(&p.get, 200, "6");
    poller_expect(&p, "6"); /* again, however often the client polls */
    poller_expect(&p, "6");
    poller_post(&p, "4during");
    poller_expect(&p, "4during");
    poller_post(&p, "4buffered\x1e"
                    "bAQI=");
    wsc_text(&c, "5");
    wsc_expect_text(&c, "4buffered");
    wsc_expect(&c, WS_BINARY, STR("\1\2"));
    expect_mismatch(&p);
    wsc_text(&c, "4after");
    wsc_expect_text(&c, "4after");
    wsc_text(&c, "4!describe");
    wsc_expect_text(&c, "46 messages, protocol 4, websocket, sent 5, loop 0");
    assert_int_equal(metric_value(upgrades), before + 1);
    assert_int_equal(metric_value(polling), polling_before);
    assert_int_equal(metric_value(sockets), sockets_before + 1);
    assert_int_equal(atomic_load(&seen.opened), 1);
    wsc_free(&c);
    await_closed(1, EIO_TRANSPORT_CLOSE);
    assert_int_equal(metric_value(sockets), sockets_before);
    poller_close(&p);
}

static void a_poll_is_held_when_it_changes_over(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client c;
    poller_open(&p);
    probe_open(&c, &p, "");
    poller_hold(&p);
    wsc_text(&c, "5"); /* without asking first */
    expect_reply(&p.get, 200, "6");
    wsc_text(&c, "4x");
    wsc_expect_text(&c, "4x");
    poller_close(&p);
    wsc_text(&c, "4y");
    wsc_expect_text(&c, "4y");
    wsc_free(&c);
}

static void protocol_3_upgrades(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client c;
    poller_open_with(&p, 3, "");
    poller_ask(&p);
    probe_open(&c, &p, "&b64=1");
    wsc_text(&c, "2probe");
    wsc_expect_text(&c, "3probe");
    expect_reply(&p.get, 200, "1:6");
    poller_post(&p, "10:b4AQIDBA==");
    wsc_text(&c, "5");
    wsc_expect_text(&c, "b4AQIDBA==");
    wsc_text(&c, "2");
    wsc_expect_text(&c, "3");
    wsc_free(&c);
    poller_close(&p);
}

static void what_a_probe_may_not_say(void **state)
{
    (void)state;
    static const char *const texts[] = {"4hello", "2", "2prob", "3", "1", "6", "abc", ""};
    struct poller p;
    poller_open(&p);
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct ws_client c;
        probe_open(&c, &p, "");
        if (i % 2) {
            wsc_text(&c, "2probe");
            wsc_expect_text(&c, "3probe");
        }
        wsc_text(&c, texts[i]);
        wsc_text(&c, "5"); /* too late */
        expect_closed(&c, WS_NO_STATUS);
        wsc_free(&c);
        poller_post(&p, "4polling goes on");
        poller_expect(&p, "4polling goes on");
    }
    assert_int_equal(atomic_load(&seen.closed), 0);
    poller_close(&p);
}

static void a_probe_may_leave(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client c;
    poller_open(&p);
    for (int i = 0; i < 4; i++) {
        probe_open(&c, &p, "");
        if (i % 2) {
            wsc_text(&c, "2probe");
            wsc_expect_text(&c, "3probe");
        }
        if (i / 2)
            wsc_send_close(&c, 1000, "");
        wsc_free(&c);
        poller_post(&p, "4x");
        poller_expect(&p, "4x");
        while (server_websockets(env.server))
            usleep(500);
    }
    probe_open(&c, &p, "");
    wsc_text(&c, "5");
    wsc_text(&c, "4y");
    wsc_expect_text(&c, "4y");
    wsc_free(&c);
    poller_close(&p);
}

static void one_probe_at_a_time(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client first, second;
    poller_open(&p);
    probe_open(&first, &p, "");
    probe_open(&second, &p, "");
    expect_closed(&second, WS_NO_STATUS);
    wsc_free(&second);
    wsc_text(&first, "2probe");
    wsc_expect_text(&first, "3probe");
    probe_open(&second, &p, "");
    expect_closed(&second, WS_NO_STATUS);
    wsc_free(&second);
    wsc_text(&first, "5");
    wsc_text(&first, "4x");
    wsc_expect_text(&first, "4x");
    probe_open(&second, &p, ""); /* and after the upgrade */
    expect_closed(&second, WS_NO_STATUS);
    wsc_free(&second);
    wsc_text(&first, "4y");
    wsc_expect_text(&first, "4y");
    wsc_free(&first);
    poller_close(&p);
}

static void a_probe_has_its_time(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client c;
    poller_open(&p);
    for (int i = 0; i < 2; i++) {
        probe_open(&c, &p, "");
        if (i) {
            wsc_text(&c, "2probe");
            wsc_expect_text(&c, "3probe");
        }
        expect_closed(&c, WS_NO_STATUS);
        wsc_free(&c);
        poller_post(&p, "4polling goes on");
        poller_expect(&p, "4polling goes on");
    }
    assert_int_equal(atomic_load(&seen.closed), 0);
    poller_close(&p);
}

static void a_session_ends_while_it_is_probed(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client c;
    static const char *const bodies[] = {"1", "4!close", "abc"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        poller_open(&p);
        probe_open(&c, &p, "");
        wsc_text(&c, "2probe");
        wsc_expect_text(&c, "3probe");
        poller_send(&p, bodies[i]);
        await_count(&seen.closed, (int)i + 1);
        wsc_text(&c, "5");
        expect_closed(&c, WS_NO_STATUS);
        wsc_free(&c);
        poller_close(&p);
    }
}

static void its_close(struct live_server *live)
{
    (void)live;
    eio_close(atomic_load(&seen.last), EIO_FORCED);
}

/* The pause goes over to the WebSocket; the POST that was held for it is let go. */
static void a_paused_session_upgrades(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client c;
    for (int i = 0; i < 2; i++) {
        int before = atomic_load(&seen.messages);
        poller_open(&p);
        poller_send(&p, "4!pause");
        await_count(&seen.messages, before + 1);
        probe_open(&c, &p, "");
        wsc_text(&c, "5");
        wsc_text(&c, "4waits");
        expect_reply(&p.post, 200, "ok");
        poller_close(&p);
        live_do(&env.lives[0], live_ask_idle);
        assert_int_equal(atomic_load(&seen.messages), before + 1);
        if (i == 0) {
            on_its_loop(its_resume);
            wsc_expect_text(&c, "4waits");
            wsc_free(&c);
            await_closed(1, EIO_TRANSPORT_CLOSE);
        }
    }
    on_its_loop(its_close);
    expect_closed(&c, WS_NO_STATUS);
    await_closed(2, EIO_FORCED);
    wsc_free(&c);
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, env_teardown)
#define LATE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_late, env_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opens_with_the_open_packet),
        TEST(echoes),
        TEST(binary_in_base64_for_who_asks),
        TEST(protocol_3),
        TEST(protocol_errors_close_without_a_code),
        TEST(too_large_a_message),
        TEST(the_owner_closes),
        TEST(the_owner_closes_at_once),
        TEST(pauses),
        TEST(a_broken_connection),
        LATE_TEST(messages_wait_for_the_open_packet),
        LATE_TEST(nobody_waits_for_the_open_packet),
        TEST(upgrades),
        TEST(a_poll_is_held_when_it_changes_over),
        TEST(protocol_3_upgrades),
        TEST(what_a_probe_may_not_say),
        TEST(a_probe_may_leave),
        TEST(one_probe_at_a_time),
        cmocka_unit_test_setup_teardown(a_probe_has_its_time, setup_impatient, env_teardown),
        TEST(a_session_ends_while_it_is_probed),
        TEST(a_paused_session_upgrades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
