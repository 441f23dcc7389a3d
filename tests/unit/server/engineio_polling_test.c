/* Long-polling, protocols 4 and 3. */
#include "unit/support/eio_env.h"

#include <zlib.h>

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env.config.max_payload = KIB(100);
    env.config.compression = true;
    env_start();
    return 0;
}

static void describes_itself(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_post(&p, "4a\x1e"
                    "4!describe");
    poller_expect(&p, "4a\x1e"
                      "42 messages, protocol 4, polling, sent 1, loop 0");
    poller_close(&p);
}

static void echoes_packets_in_order(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_post(&p, "4test1\x1e"
                    "4test2\x1e"
                    "4test3");
    poller_expect(&p, "4test1\x1e"
                      "4test2\x1e"
                      "4test3");
    poller_post(&p, "4");
    poller_expect(&p, "4");
    poller_post(&p, "4\xe2\x82\xac\xf0\x9f\x98\x80");
    poller_expect(&p, "4\xe2\x82\xac\xf0\x9f\x98\x80");
    poller_close(&p);
}

static void echoes_binary(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_post(&p, "bAQIDBA==\x1e"
                    "4x\x1e"
                    "b");
    poller_expect(&p, "bAQIDBA==\x1e"
                      "4x\x1e"
                      "b");
    poller_close(&p);
}

/* One poll gets what one turn of the loop had to say. */
static void answers_a_held_poll(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    for (int i = 0; i < 3; i++) {
        poller_hold(&p);
        poller_post(&p, "4one\x1e"
                        "4two");
        expect_reply(&p.get, 200,
                     "4one\x1e"
                     "4two");
    }
    poller_ask(&p);
    poller_post(&p, "6\x1e"
                    "5\x1e"
                    "0"); /* have no meaning here */
    poller_post(&p, "4x");
    expect_reply(&p.get, 200, "4x");
    assert_true(atomic_load(&seen.closed) == 0);
    poller_close(&p);
}

static void post_is_answered_ok(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_send(&p, "4a");
    struct reply r = reply_read(&p.post);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "ok");
    assert_str(reply_header(&r, "Content-Type"), "text/html");
    assert_str(reply_header(&r, "Content-Length"), "2");
    reply_free(&r);
    poller_close(&p);
}

static void a_second_poll_ends_the_session(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_hold(&p);
    eio_request(&p.post, "GET", p.query, "", STR(""));
    expect_reply(&p.post, 400, "{\"code\":3,\"message\":\"Bad request\"}");
    expect_reply(&p.get, 200, "1");
    await_closed(1, EIO_TRANSPORT_ERROR);
    poller_expect_unknown(&p);
    poller_close(&p);
}

static void a_paused_post_is_held(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_send(&p, "4!pause\x1e"
                    "4behind");
    await_count(&seen.messages, 2);
    poller_expect(&p, "4behind");
    on_its_loop(its_resume);
    expect_reply(&p.post, 200, "ok");
    poller_post(&p, "4!describe");
    poller_expect(&p, "43 messages, protocol 4, polling, sent 1, loop 0");
    poller_close(&p);
}

static void a_second_post_ends_the_session(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_send(&p, "4!pause");
    await_count(&seen.messages, 1);
    eio_request(&p.get, "POST", p.query, "", STR("4x"));
    expect_reply(&p.get, 400, "{\"code\":3,\"message\":\"Bad request\"}");
    expect_reply(&p.post, 200, "ok");
    await_closed(1, EIO_TRANSPORT_ERROR);
    assert_int_equal(atomic_load(&seen.messages), 1);
    poller_expect_unknown(&p);
    poller_close(&p);
}

static void an_aborted_poll_ends_the_session(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_hold(&p);
    client_close(&p.get);
    await_closed(1, EIO_TRANSPORT_ERROR);
    client_open(&p.get, env.port);
    poller_expect_unknown(&p);
    poller_close(&p);
}

static void an_aborted_post_ends_the_session(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_send(&p, "4!pause");
    await_count(&seen.messages, 1);
    poller_ask(&p);
    client_close(&p.post);
    expect_reply(&p.get, 200, "1");
    await_closed(1, EIO_TRANSPORT_ERROR);
    poller_close(&p);
}

static void half_a_message_is_none(void **state)
{
    (void)state;
    struct poller p;
    char head[256];
    poller_open(&p);
    snprintf(head, sizeof head, "POST /engine.io/?%s HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n4half", p.query);
    client_send(&p.post, str_c(head));
    client_close(&p.post); /* nobody knows what it still meant to say */
    await_closed(1, EIO_TRANSPORT_ERROR);
    poller_expect_unknown(&p);
    assert_int_equal(atomic_load(&seen.messages), 0);
    poller_close(&p);
}

static void two_posts_at_a_time(void **state)
{
    (void)state;
    struct poller p;
    struct client second;
    char head[256];
    poller_open(&p);
    snprintf(head, sizeof head,
             "POST /engine.io/?%s HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", p.query);
    client_send(&p.post, str_c(head));
    free(client_until(&p.post, "100 Continue\r\n\r\n")); /* it was noticed */
    client_open(&second, env.port);
    eio_request(&second, "POST", p.query, "", STR("4second"));
    expect_reply(&second, 400, "{\"code\":3,\"message\":\"Bad request\"}");
    await_closed(1, EIO_TRANSPORT_ERROR);
    client_send(&p.post, STR("4half"));
    expect_reply(&p.post, 400, "{\"code\":1,\"message\":\"Session ID unknown\"}");
    client_close(&second);
    poller_close(&p);
}

static void the_client_closes(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_hold(&p);
    poller_post(&p, "1");
    expect_reply(&p.get, 200, "6");
    await_closed(1, EIO_TRANSPORT_CLOSE);
    poller_expect_unknown(&p);
    poller_send(&p, "4x");
    expect_reply(&p.post, 400, "{\"code\":1,\"message\":\"Session ID unknown\"}");
    poller_close(&p);
}

static void nothing_is_delivered_behind_a_close(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_post(&p, "4a\x1e"
                    "1\x1e"
                    "4b");
    await_closed(1, EIO_TRANSPORT_CLOSE);
    assert_int_equal(atomic_load(&seen.messages), 1);
    poller_expect_unknown(&p);
    poller_close(&p);
}

/* What came before what is no packet was delivered; then it ends. */
static void what_is_no_packet_ends_the_session(void **state)
{
    (void)state;
    static const char *const bodies[] = {"abc", "", "7", "b!", "4a\x1e", "4\xff"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct poller p;
        poller_open(&p);
        poller_ask(&p);
        poller_send(&p, bodies[i]);
        expect_reply(&p.post, 400, "{\"code\":3,\"message\":\"Bad request\"}");
        struct reply r = reply_read(&p.get);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.body[r.body_len - 1], '1');
        reply_free(&r);
        await_closed((int)i + 1, EIO_PARSE_ERROR);
        poller_expect_unknown(&p);
        poller_close(&p);
    }
    assert_int_equal(atomic_load(&seen.messages), 1);
}

static void who_may_ping(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_send(&p, "2");
    expect_reply(&p.post, 400, NULL);
    await_closed(1, EIO_TRANSPORT_ERROR);
    poller_close(&p);
    poller_open_with(&p, 3, "");
    poller_send(&p, "1:3");
    expect_reply(&p.post, 400, NULL);
    await_closed(2, EIO_TRANSPORT_ERROR);
    poller_close(&p);
}

static void octets_are_not_protocol_4(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_ask(&p);
    eio_request(&p.post, "POST", p.query, "Content-Type: application/octet-stream; x=y\r\n", STR("4a"));
    expect_reply(&p.post, 400, "{\"code\":3,\"message\":\"Bad request\"}");
    expect_reply(&p.get, 200, "1");
    await_closed(1, EIO_TRANSPORT_ERROR);
    assert_int_equal(atomic_load(&seen.messages), 0);
    poller_close(&p);
}

static void a_body_has_a_ceiling(void **state)
{
    (void)state;
    struct poller p;
    struct buf body = BUF_INIT(KIB(101));
    poller_open(&p);
    memset(buf_reserve(&body, KIB(100) + 1), '4', KIB(100) + 1);
    buf_commit(&body, KIB(100));
    eio_request(&p.post, "POST", p.query, "", buf_str(&body));
    expect_reply(&p.post, 200, "ok");
    poller_expect(&p, buf_cstr(&body));
    buf_byte(&body, '4');
    eio_request(&p.post, "POST", p.query, "", buf_str(&body));
    struct reply r = reply_read(&p.post);
    assert_int_equal(r.status, 413);
    assert_non_null(strstr(r.body, "BODY_TOO_LARGE"));
    reply_free(&r);
    client_close(&p.post); /* its body was not read */
    client_open(&p.post, env.port);
    poller_post(&p, "4still there");
    poller_expect(&p, "4still there");
    buf_free(&body);
    poller_close(&p);
}

/* ---- The owner closes ---- */

static void the_owner_closes_between_polls(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_post(&p, "4!farewell\x1e"
                    "4not heard");
    await_closed(1, EIO_FORCED);
    assert_int_equal(eio_count(env.eio), 0);
    poller_send(&p, "4too late");
    expect_reply(&p.post, 400, "{\"code\":1,\"message\":\"Session ID unknown\"}");
    poller_expect(&p, "4farewell"); /* alone: clients take note of a close packet before they look at messages */
    poller_expect(&p, "1");
    poller_expect_unknown(&p);
    assert_int_equal(atomic_load(&seen.messages), 1);
    poller_close(&p);
}

static void the_owner_closes_during_a_poll(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p);
    poller_hold(&p);
    poller_post(&p, "4!farewell");
    expect_reply(&p.get, 200, "4farewell");
    await_closed(1, EIO_FORCED);
    poller_expect(&p, "1");
    poller_expect_unknown(&p);
    poller_close(&p);
    poller_open(&p);
    poller_hold(&p);
    poller_post(&p, "4!close");
    expect_reply(&p.get, 200, "1");
    await_closed(2, EIO_FORCED);
    poller_expect_unknown(&p);
    poller_close(&p);
}

static void the_owner_closes_at_once(void **state)
{
    (void)state;
    struct poller p;
    poller_open_with(&p, 4, "&leave=1&greet=1");
    await_closed(1, EIO_FORCED);
    poller_expect(&p, "4welcome");
    poller_expect(&p, "1");
    poller_expect_unknown(&p);
    poller_close(&p);
}

static void what_lingers_goes_with_the_server(void **state)
{
    (void)state;
    struct poller p, q;
    poller_open(&p);
    poller_post(&p, "4!close");
    await_closed(1, EIO_FORCED);
    poller_open(&q);
    poller_post(&q, "4!farewell");
    await_closed(2, EIO_FORCED);
    live_do(&env.lives[0], env_eio_drain);
    poller_expect_unknown(&p);
    poller_close(&p);
    poller_close(&q);
}

/* ---- Compression ---- */

static void expect_gzip(struct reply *r, const char *want)
{
    char out[8192];
    z_stream z = {.next_in = (Bytef *)r->body, .avail_in = (uInt)r->body_len};
    z.next_out = (Bytef *)out;
    z.avail_out = sizeof out;
    assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(sizeof out - z.avail_out, strlen(want));
    assert_memory_equal(out, want, strlen(want));
    inflateEnd(&z);
}

static struct reply poll_with(struct poller *p, const char *text, const char *headers)
{
    poller_post(p, text);
    eio_request(&p->get, "GET", p->query, headers, STR(""));
    struct reply r = reply_read(&p->get);
    assert_int_equal(r.status, 200);
    assert_str(reply_header(&r, "Content-Type"), "text/plain; charset=UTF-8");
    return r;
}

static void long_replies_are_compressed(void **state)
{
    (void)state;
    static const char *const refusing[] = {"", "Accept-Encoding: br, deflate\r\n", "Accept-Encoding: gzip;q=0\r\n",
                                           "Accept-Encoding: gzip; q=0.00, br\r\n"};
    static const char *const taking[] = {"Accept-Encoding: gzip\r\n", "Accept-Encoding: br, GZIP ;q=0.5\r\n"};
    char text[2000] = "4", limit[EIO_GZIP_MIN];
    struct poller p;
    memset(text + 1, 'a', sizeof text - 2);
    memset(limit, '4', sizeof limit - 1);
    limit[sizeof limit - 1] = 0;
    poller_open(&p);
    for (size_t i = 0; i < COUNT(refusing); i++) {
        struct reply r = poll_with(&p, text, refusing[i]);
        assert_null(reply_header(&r, "Content-Encoding").p);
        assert_string_equal(r.body, text);
        reply_free(&r);
    }
    for (size_t i = 0; i < COUNT(taking); i++) {
        struct reply r = poll_with(&p, text, taking[i]);
        assert_str(reply_header(&r, "Content-Encoding"), "gzip");
        assert_true(r.body_len < 100);
        expect_gzip(&r, text);
        reply_free(&r);
    }
    struct reply r = poll_with(&p, limit, taking[0]); /* one byte too short */
    assert_null(reply_header(&r, "Content-Encoding").p);
    reply_free(&r);
    poller_close(&p);
}

/* ---- Protocol 3 ---- */

static void protocol_3_counts_lengths(void **state)
{
    (void)state;
    struct poller p;
    char want[256];
    client_open(&p.get, env.port);
    eio_request(&p.get, "GET", "transport=polling", "", STR("")); /* 3 is what is meant when nothing is said */
    struct reply r = reply_read(&p.get);
    assert_int_equal(r.status, 200);
    take_sid(p.sid, r.body);
    snprintf(want, sizeof want,
             "0{\"sid\":\"%s\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":20000,"
             "\"maxPayload\":102400}",
             p.sid);
    char *behind;
    assert_int_equal(strtoul(r.body, &behind, 10), strlen(want));
    assert_int_equal(*behind, ':');
    assert_string_equal(behind + 1, want);
    reply_free(&r);
    client_close(&p.get);

    poller_open_with(&p, 3, "");
    poller_post(&p, "6:4hello3:4\xf0\x9f\x98\x80"
                    "10:b4AQIDBA==");
    poller_ask(&p);
    r = reply_read(&p.get); /* binary, and the client did not say that it cannot */
    assert_str(reply_header(&r, "Content-Type"), "application/octet-stream");
    static const char octets[] = "\0\6\xff"
                                 "4hello"
                                 "\0\5\xff"
                                 "4\xf0\x9f\x98\x80"
                                 "\1\5\xff"
                                 "\4\1\2\3\4";
    assert_int_equal(r.body_len, sizeof octets - 1);
    assert_memory_equal(r.body, octets, sizeof octets - 1);
    reply_free(&r);
    poller_post(&p, "6:4again");
    poller_expect(&p, "6:4again");
    poller_close(&p);
}

static void protocol_3_in_base64(void **state)
{
    (void)state;
    struct poller p;
    poller_open_with(&p, 3, "&b64=1");
    poller_post(&p, "2:4a10:b4AQIDBA==2:4b");
    poller_ask(&p);
    struct reply r = reply_read(&p.get);
    assert_str(reply_header(&r, "Content-Type"), "text/plain; charset=UTF-8");
    assert_string_equal(r.body, "2:4a10:b4AQIDBA==2:4b");
    reply_free(&r);
    poller_close(&p);
}

static void protocol_3_in_octets(void **state)
{
    (void)state;
    struct poller p;
    poller_open_with(&p, 3, "");
    eio_request(&p.post, "POST", p.query, "Content-Type: application/octet-stream\r\n",
                STR("\1\5\xff\4\1\2\3\4\0\3\xff"
                    "4hi"));
    expect_reply(&p.post, 200, "ok");
    poller_ask(&p);
    struct reply r = reply_read(&p.get);
    assert_int_equal(r.body_len, 14);
    assert_memory_equal(r.body,
                        "\1\5\xff\4\1\2\3\4\0\3\xff"
                        "4hi",
                        14);
    reply_free(&r);
    poller_close(&p);
}

static void protocol_3_pings(void **state)
{
    (void)state;
    struct poller p;
    poller_open_with(&p, 3, "");
    poller_ask(&p);
    for (int i = 0; i < 3; i++) {
        poller_post(&p, "1:2");
        expect_reply(&p.get, 200, "1:3");
        poller_ask(&p);
    }
    poller_post(&p, "1:1");
    expect_reply(&p.get, 200, "1:6");
    await_closed(1, EIO_TRANSPORT_CLOSE);
    poller_close(&p);
}

static void protocol_3_takes_no_other_lengths(void **state)
{
    (void)state;
    static const char *const bodies[] = {"4hello", "3:4", "99:4a", ":4a", "2:4a2:4"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct poller p;
        poller_open_with(&p, 3, "");
        poller_send(&p, bodies[i]);
        expect_reply(&p.post, 400, NULL);
        await_closed((int)i + 1, EIO_PARSE_ERROR);
        poller_close(&p);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, env_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(describes_itself),
        TEST(echoes_packets_in_order),
        TEST(echoes_binary),
        TEST(answers_a_held_poll),
        TEST(post_is_answered_ok),
        TEST(a_second_poll_ends_the_session),
        TEST(a_paused_post_is_held),
        TEST(a_second_post_ends_the_session),
        TEST(an_aborted_poll_ends_the_session),
        TEST(an_aborted_post_ends_the_session),
        TEST(half_a_message_is_none),
        TEST(two_posts_at_a_time),
        TEST(the_client_closes),
        TEST(nothing_is_delivered_behind_a_close),
        TEST(what_is_no_packet_ends_the_session),
        TEST(who_may_ping),
        TEST(octets_are_not_protocol_4),
        TEST(a_body_has_a_ceiling),
        TEST(the_owner_closes_between_polls),
        TEST(the_owner_closes_during_a_poll),
        TEST(the_owner_closes_at_once),
        TEST(what_lingers_goes_with_the_server),
        TEST(long_replies_are_compressed),
        TEST(protocol_3_counts_lengths),
        TEST(protocol_3_in_base64),
        TEST(protocol_3_in_octets),
        TEST(protocol_3_pings),
        TEST(protocol_3_takes_no_other_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
