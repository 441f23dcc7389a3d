/* Heartbeats, slow clients, shared frames, the server's end, sessions on two loops. */
#include "unit/support/eio_env.h"

#include "base/clock.h"

static void start_with(unsigned interval, unsigned timeout)
{
    env_defaults();
    env.config.ping_interval = interval;
    env.config.ping_timeout = timeout;
    env_start();
}

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env_start();
    return 0;
}

/* ---- Heartbeat ---- */

static int setup_beating(void **state)
{
    (void)state;
    start_with(30, 20000);
    return 0;
}

static int setup_strict(void **state)
{
    (void)state;
    start_with(50, 400);
    return 0;
}

static int setup_patient(void **state)
{
    (void)state;
    start_with(30, 1000);
    return 0;
}

static void beats_for_pollers(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    for (int i = 0; i < 3; i++) {
        poller_expect(&p, "2");
        poller_post(&p, "3");
        await_count(&seen.confirmed, i + 1);
    }
    assert_int_equal(atomic_load(&seen.closed), 0);
    poller_close(&p);
}

static void beats_on_websockets(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "");
    for (int i = 0; i < 3; i++) {
        wsc_expect_text(&c, "2");
        wsc_text(&c, "3");
        await_count(&seen.confirmed, i + 1);
    }
    wsc_text(&c, "3"); /* too many do no harm */
    wsc_text(&c, "3");
    wsc_expect_text(&c, "2");
    assert_int_equal(atomic_load(&seen.closed), 0);
    wsc_free(&c);
}

static void a_heartbeat_goes_along(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client c;
    char query[96];
    poller_open(&p);
    poller_expect(&p, "2");
    snprintf(query, sizeof query, "EIO=4&transport=websocket&sid=%s", p.sid);
    wsc_engine(&c, query);
    wsc_text(&c, "5");
    wsc_text(&c, "3"); /* asked over the poll, answered here */
    wsc_expect_text(&c, "2");
    assert_int_equal(atomic_load(&seen.confirmed), 1);
    wsc_free(&c);
    poller_close(&p);
}

static void pollers_that_do_not_answer(void **state)
{
    (void)state;
    struct poller p, q;
    poller_open(&p);
    poller_open_with(&q, 3, "");
    poller_ask(&q);
    poller_expect(&p, "2");
    poller_expect(&p, "1");
    expect_reply(&q.get, 200, "1:1");
    await_closed(2, EIO_PING_TIMEOUT);
    poller_expect_unknown(&p);
    poller_close(&p);
    poller_open(&p); /* and one that does not poll at all */
    await_closed(3, EIO_PING_TIMEOUT);
    poller_expect_unknown(&p);
    poller_close(&p);
    poller_close(&q);
}

static void websockets_that_do_not_answer(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "");
    wsc_expect_text(&c, "2");
    wsc_expect_close(&c, WS_NO_STATUS, NULL);
    wsc_free(&c);
    await_closed(1, EIO_PING_TIMEOUT);
    wsc_begin(&c, 3, "");
    wsc_text(&c, "2");
    wsc_expect_text(&c, "3");
    wsc_expect_close(&c, WS_NO_STATUS, NULL);
    wsc_free(&c);
    await_closed(2, EIO_PING_TIMEOUT);
}

static void protocol_3_stays_while_it_asks(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 3, "");
    uint64_t begun = clock_mono_ms();
    while (clock_mono_ms() - begun < 900) { /* twice the limit */
        wsc_text(&c, "2");
        wsc_expect_text(&c, "3");
    }
    assert_int_equal(atomic_load(&seen.closed), 0);
    wsc_free(&c);
}

/* Traffic shows that the client is there, but only once: it still has to answer. */
static void other_packets_prolong_the_wait_once(void **state)
{
    (void)state;
    struct ws_client c;
    struct ws_event event;
    struct buf text = BUF_INIT(KIB(1));
    wsc_begin(&c, 4, "");
    wsc_expect_text(&c, "2");
    usleep(200000);
    uint64_t said = clock_mono_ms();
    do {
        wsc_text(&c, "4x");
        assert_true(wsc_next(&c, &event, &text));
    } while (event.opcode == WS_TEXT && str_eqc(buf_str(&text), "4x"));
    assert_int_equal(event.opcode, WS_CLOSE);
    assert_true(clock_mono_ms() - said >= 1000);
    await_closed(1, EIO_PING_TIMEOUT);
    buf_free(&text);
    wsc_free(&c);
}

static void nobody_answers_while_paused(void **state)
{
    (void)state;
    struct ws_client v3, v4;
    uint64_t begun = clock_mono_ms();
    wsc_begin(&v3, 3, "");
    wsc_text(&v3, "4!pause");
    await_count(&seen.messages, 1);
    wsc_begin(&v4, 4, "");
    wsc_text(&v4, "4!pause");
    await_count(&seen.messages, 2);
    while (clock_mono_ms() - begun < 900) /* twice the limit */
        live_do(&env.lives[0], live_ask_idle);
    assert_int_equal(atomic_load(&seen.closed), 0);
    on_its_loop(its_resume);
    wsc_expect_text(&v4, "2");
    wsc_expect_close(&v4, WS_NO_STATUS, NULL);
    await_closed(1, EIO_PING_TIMEOUT);
    wsc_free(&v3);
    wsc_free(&v4);
}

/* ---- Confirmation ---- */

static void its_confirm_twice(struct live_server *live)
{
    struct eio_session *s = atomic_load(&seen.last);
    its_confirm(live);
    live_assert(eio_heartbeat_age(s) == 0);
    eio_confirm(s);
}

static void an_answer_confirms_what_was_before(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "");
    wsc_text(&c, "4a");
    wsc_text(&c, "4b");
    wsc_text(&c, "4!confirm");
    wsc_text(&c, "4c");
    wsc_expect_text(&c, "4a");
    wsc_expect_text(&c, "4b");
    wsc_expect_text(&c, "2");
    wsc_expect_text(&c, "4c");
    assert_int_equal(atomic_load(&seen.confirmed), 0);
    wsc_text(&c, "3");
    await_count(&seen.confirmed, 1);
    assert_int_equal(atomic_load(&seen.confirmed_up_to), 2);
    on_its_loop(its_confirm_twice);
    wsc_expect_text(&c, "2");
    wsc_text(&c, "3");
    await_count(&seen.confirmed, 2);
    assert_int_equal(atomic_load(&seen.confirmed_up_to), 3);
    wsc_text(&c, "4d"); /* there was one heartbeat only */
    wsc_expect_text(&c, "4d");
    wsc_free(&c);
}

static void a_poller_confirms(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_post(&p, "4a\x1e"
                    "4!confirm\x1e"
                    "bAQ==");
    poller_expect(&p, "4a\x1e"
                      "2\x1e"
                      "bAQ==");
    poller_post(&p, "3");
    await_count(&seen.confirmed, 1);
    assert_int_equal(atomic_load(&seen.confirmed_up_to), 1);
    poller_close(&p);
}

static void protocol_3_confirms_nothing(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 3, "");
    wsc_text(&c, "4!confirm");
    wsc_text(&c, "4a");
    wsc_expect_text(&c, "4a");
    wsc_free(&c);
}

/* ---- Slow clients ---- */

static int setup_dropping(void **state)
{
    (void)state;
    env_defaults();
    env.server_config.slow_consumer_drops = true;
    env_start();
    return 0;
}

static void a_poller_that_does_not_poll(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_post(&p, "4!flood 200");
    await_closed(1, EIO_SLOW);
    assert_true(atomic_load(&seen.refused) > 0);
    poller_expect_unknown(&p);
    poller_close(&p);
}

static void a_websocket_that_does_not_read(void **state)
{
    (void)state;
    struct ws_client c;
    struct ws_event event = {.opcode = WS_TEXT};
    wsc_begin(&c, 4, "");
    wsc_text(&c, "4!flood 200");
    await_closed(1, EIO_SLOW);
    while (event.opcode == WS_TEXT)
        assert_true(wsc_next(&c, &event, NULL));
    assert_int_equal(event.opcode, WS_CLOSE);
    assert_int_equal(event.close_code, WS_TRY_LATER);
    wsc_free(&c);
}

static void messages_are_dropped_for_pollers(void **state)
{
    (void)state;
    struct metric *dropped = metric_counter("parley_engineio_dropped_total", "", NULL);
    int64_t before = metric_value(dropped);
    struct poller p;
    poller_open(&p);
    poller_post(&p, "4!flood 200");
    int refused = atomic_load(&seen.refused);
    assert_in_range(refused, 200 - 129, 200 - 120);
    assert_int_equal(metric_value(dropped) - before, refused);
    assert_int_equal(atomic_load(&seen.writable), 0);
    poller_ask(&p);
    struct reply r = reply_read(&p.get);
    assert_int_equal(r.body_len, (size_t)(200 - refused) * (KIB(64) + 2) - 1);
    reply_free(&r);
    assert_int_equal(atomic_load(&seen.drained), 1);
    poller_post(&p, "4x");
    poller_expect(&p, "4x");
    assert_int_equal(atomic_load(&seen.drained), 1);
    poller_close(&p);
}

static void messages_are_dropped_for_websockets(void **state)
{
    (void)state;
    struct ws_client c;
    wsc_begin(&c, 4, "");
    wsc_text(&c, "4!flood 200");
    await_count(&seen.messages, 1);
    live_do(&env.lives[0], live_ask_idle); /* behind the handler */
    for (int i = atomic_load(&seen.refused); i < 200; i++) {
        struct ws_event event;
        assert_true(wsc_next(&c, &event, NULL));
        assert_int_equal(event.data.n, KIB(64) + 1);
    }
    await_count(&seen.drained, 1);
    wsc_text(&c, "4x");
    wsc_expect_text(&c, "4x");
    assert_true(atomic_load(&seen.refused) > 0);
    wsc_free(&c);
}

static void says_when_a_client_keeps_up_again(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client c;
    poller_open(&p);
    poller_post(&p, "4!flood 2");
    assert_int_equal(atomic_load(&seen.writable), 1);
    poller_post(&p, "4!flood 3");
    assert_int_equal(atomic_load(&seen.writable), 0);
    assert_int_equal(atomic_load(&seen.drained), 0);
    poller_ask(&p);
    struct reply r = reply_read(&p.get);
    assert_int_equal(r.body_len, 5 * (KIB(64) + 2) - 1);
    reply_free(&r);
    await_count(&seen.drained, 1);

    /* What waits goes over to the WebSocket, and with it what is owed. */
    poller_post(&p, "4!flood 10");
    char query[96];
    snprintf(query, sizeof query, "EIO=4&transport=websocket&sid=%s", p.sid);
    wsc_engine(&c, query);
    wsc_text(&c, "5");
    for (int i = 0; i < 10; i++) {
        struct ws_event event;
        assert_true(wsc_next(&c, &event, NULL));
        assert_int_equal(event.data.n, KIB(64) + 1);
    }
    await_count(&seen.drained, 2);
    assert_int_equal(atomic_load(&seen.refused), 0);
    wsc_free(&c);
    poller_close(&p);
}

/* ---- Frames ---- */

static void send_frame_to_all(struct live_server *live)
{
    (void)live;
    struct blob *frame = eio_frame((struct str[]){STR("2[\"all\","), STR("1]")}, 2);
    struct blob *separated = eio_frame((struct str[]){STR("\x1e")}, 1);
    live_assert(str_eqc(eio_frame_text(frame), "2[\"all\",1]"));
    for (size_t i = 0; i < COUNT(seen.all); i++) {
        struct eio_session *s = seen.all[i];
        if (!s)
            continue;
        live_assert(eio_send_frame(s, frame) == 0);
        bool fits = eio_on_websocket(s) || eio_version(s) == EIO_V3;
        live_assert(eio_send_frame(s, separated) == (fits ? 0 : -1));
        live_assert(eio_sent(s) == (fits ? 2 : 1));
    }
    blob_unref(frame);
    blob_unref(separated);
}

static void one_frame_for_everybody(void **state)
{
    (void)state;
    struct poller p4, p3;
    struct ws_client w4, w3;
    poller_open(&p4);
    poller_open_with(&p3, 3, "");
    wsc_begin(&w4, 4, "");
    wsc_begin(&w3, 3, "");
    poller_hold(&p4);
    live_do(&env.lives[0], send_frame_to_all);
    expect_reply(&p4.get, 200, "42[\"all\",1]");
    poller_expect(&p3, "11:42[\"all\",1]2:4\x1e");
    wsc_expect_text(&w4, "42[\"all\",1]");
    wsc_expect_text(&w3, "42[\"all\",1]");
    wsc_expect_text(&w4, "4\x1e");
    wsc_free(&w4);
    wsc_free(&w3);
    poller_close(&p4);
    poller_close(&p3);
}

/* ---- The end of the server ---- */

static void draining_tells_pollers(void **state)
{
    (void)state;
    struct poller waiting, between;
    struct ws_client c, late;
    struct client fresh;
    poller_open(&waiting);
    poller_open(&between);
    wsc_begin(&c, 4, "");
    client_open(&fresh, env.port);
    poller_ask(&waiting);
    poller_post(&waiting, "4x");
    expect_reply(&waiting.get, 200, "4x");
    poller_hold(&waiting);
    live_do(&env.lives[0], env_eio_drain);
    expect_reply(&waiting.get, 200, "1");
    await_closed(2, EIO_SHUTDOWN);
    poller_expect_unknown(&between);
    eio_request(&fresh, "GET", "EIO=4&transport=polling", "", STR(""));
    struct reply r = reply_read(&fresh);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "SHUTTING_DOWN"));
    reply_free(&r);
    wsc_engine_with(&late, "EIO=4&transport=websocket", WS_USUAL);
    assert_memory_equal(late.head, "HTTP/1.1 503 ", 13);
    wsc_free(&late);
    wsc_text(&c, "4still served");
    wsc_expect_text(&c, "4still served");
    live_do(&env.lives[0], live_drain);
    wsc_expect_close(&c, WS_NORMAL, "Server shutting down");
    wsc_send_close(&c, WS_NORMAL, "");
    await_closed(3, EIO_SHUTDOWN);
    wsc_free(&c);
    client_close(&fresh);
    poller_close(&waiting);
    poller_close(&between);
}

static void held_requests_end_with_the_server(void **state)
{
    (void)state;
    struct poller p, q;
    poller_open(&p);
    poller_hold(&p);
    poller_open(&q);
    poller_send(&q, "4!pause");
    await_count(&seen.messages, 1);
    live_do(&env.lives[0], live_drain); /* without eio_drain */
    expect_reply(&p.get, 200, "1");
    expect_reply(&q.post, 200, "ok");
    await_closed(1, EIO_SHUTDOWN);
    poller_close(&p);
    poller_close(&q);
}

static int setup_abrupt(void **state)
{
    (void)state;
    env_defaults();
    env.abrupt = true;
    env.config.open_delay = 20000;
    env.config.ping_interval = 20000;
    env_start();
    return 0;
}

/* Polling with and without a held request, probing, lingering, a WebSocket: all are let go by env_stop. */
static void an_abrupt_end(void **state)
{
    (void)state;
    static struct poller held, between, probed, lingering;
    static struct ws_client probe, opening;
    poller_open(&held);
    poller_hold(&held);
    poller_open(&between);
    poller_post(&between, "4x");
    poller_open(&probed);
    char query[96];
    snprintf(query, sizeof query, "EIO=4&transport=websocket&sid=%s", probed.sid);
    wsc_engine(&probe, query);
    wsc_text(&probe, "2probe");
    wsc_expect_text(&probe, "3probe");
    poller_open(&lingering);
    poller_post(&lingering, "4!farewell");
    wsc_engine(&opening, "EIO=4&transport=websocket&greet=1");
    await_count(&seen.opened, 5);
    assert_int_equal(eio_count(env.eio), 4);
    env_stop();
    assert_int_equal(atomic_load(&seen.closed), 5);
    poller_close(&held);
    poller_close(&between);
    poller_close(&probed);
    poller_close(&lingering);
    wsc_free(&probe);
    wsc_free(&opening);
}

/* ---- Two loops ---- */

static int setup_two(void **state)
{
    (void)state;
    env_defaults();
    env.nloops = EIO_LOOPS;
    env.steer = true;
    env_start();
    return 0;
}

static void ids_tell_the_loop(void **state)
{
    (void)state;
    char query[160];
    static const char *const nobodys[] = {"",
                                          "EIO=4",
                                          "sid=",
                                          "sid=AAAA",
                                          "EIO=4&sid=AAAAAAAAAAAAAAAAAAA%",
                                          "sid=AAAAAAAAAAAAAAAAAAA=",
                                          "xsid=AAAAAAAAAAAAAAAAAAAA",
                                          "&&sid",
                                          "sid",
                                          "sid=AAAAAAAAAAAAAAAAAAAAA",
                                          "sid=AAAAAAAAAAAAAAAAAA_w" /* loop 240 */};
    for (size_t i = 0; i < COUNT(nobodys); i++)
        assert_int_equal(eio_steer(env.eio, str_c(nobodys[i])), -1);
    assert_int_equal(eio_steer(env.eio, STR("sid=AAAAAAAAAAAAAAAAAAAA")), 0);
    assert_int_equal(eio_steer(env.eio, STR("a=b&sid=AAAAAAAAAAAAAAAAAAAB&sid=AAAAAAAAAAAAAAAAAAAA")), 1);
    int seen_on[EIO_LOOPS] = {0};
    for (int i = 0; i < 40; i++) {
        struct poller p;
        poller_open(&p);
        snprintf(query, sizeof query, "t=1&%s&x=y", p.query);
        int index = eio_steer(env.eio, str_c(query));
        struct eio_session *s = atomic_load(&seen.last);
        assert_int_equal(index, loop_index(eio_loop(s)));
        seen_on[index]++;
        poller_close(&p);
    }
    assert_true(seen_on[0] > 0 && seen_on[1] > 0);
}

/* Every request comes over a connection of its own, which may begin on either loop. */
static void a_session_is_found_from_anywhere(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        struct poller p;
        struct ws_client c;
        char query[96], want[96];
        poller_open(&p);
        int home = eio_steer(env.eio, str_c(p.query));
        for (int round = 0; round < 4; round++) {
            poller_close(&p);
            client_open(&p.get, env.port);
            client_open(&p.post, env.port);
            poller_ask(&p);
            poller_post(&p, "4x");
            expect_reply(&p.get, 200, "4x");
        }
        snprintf(query, sizeof query, "EIO=4&transport=websocket&sid=%s", p.sid);
        wsc_engine(&c, query);
        wsc_text(&c, "2probe");
        wsc_expect_text(&c, "3probe");
        wsc_text(&c, "5");
        wsc_text(&c, "4!describe");
        snprintf(want, sizeof want, "45 messages, protocol 4, websocket, sent 4, loop %d", home);
        wsc_expect_text(&c, want);
        poller_close(&p);
        wsc_free(&c);
    }
}

/* One connection that carries the polls of two sessions goes back and forth. */
static void a_connection_serves_sessions_of_both_loops(void **state)
{
    (void)state;
    struct poller p[2];
    struct client c;
    poller_open(&p[0]);
    do {
        poller_open(&p[1]);
        if (eio_steer(env.eio, str_c(p[0].query)) != eio_steer(env.eio, str_c(p[1].query)))
            break;
        poller_close(&p[1]);
    } while (true);
    client_open(&c, env.port);
    for (int i = 0; i < 20; i++) {
        eio_request(&c, "POST", p[i % 2].query, "", STR("4x"));
        expect_reply(&c, 200, "ok");
        eio_request(&c, "GET", p[i % 2].query, "", STR(""));
        expect_reply(&c, 200, "4x");
    }
    assert_int_equal(atomic_load(&seen.messages), 20);
    client_close(&c);
    poller_close(&p[0]);
    poller_close(&p[1]);
}

#define WITH(name, begin) cmocka_unit_test_setup_teardown(name, begin, env_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(beats_for_pollers, setup_beating),
        WITH(beats_on_websockets, setup_beating),
        WITH(a_heartbeat_goes_along, setup_beating),
        WITH(pollers_that_do_not_answer, setup_strict),
        WITH(websockets_that_do_not_answer, setup_strict),
        WITH(protocol_3_stays_while_it_asks, setup_strict),
        WITH(other_packets_prolong_the_wait_once, setup_patient),
        WITH(nobody_answers_while_paused, setup_strict),
        WITH(an_answer_confirms_what_was_before, setup),
        WITH(a_poller_confirms, setup),
        WITH(protocol_3_confirms_nothing, setup),
        WITH(a_poller_that_does_not_poll, setup),
        WITH(a_websocket_that_does_not_read, setup),
        WITH(messages_are_dropped_for_pollers, setup_dropping),
        WITH(messages_are_dropped_for_websockets, setup_dropping),
        WITH(says_when_a_client_keeps_up_again, setup),
        WITH(one_frame_for_everybody, setup),
        WITH(draining_tells_pollers, setup),
        WITH(held_requests_end_with_the_server, setup),
        cmocka_unit_test_setup(an_abrupt_end, setup_abrupt),
        WITH(ids_tell_the_loop, setup_two),
        WITH(a_session_is_found_from_anywhere, setup_two),
        WITH(a_connection_serves_sessions_of_both_loops, setup_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
