/* The handshake over HTTP and what is refused. */
#include "unit/support/eio_env.h"

#define FOREIGN "Origin: https://evil.example\r\n"
#define FRIEND  "Origin: http://localhost:3000\r\n"

static const char *const origins[] = {"http://localhost:*"};

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env.config.allow_v3 = false;
    env.config.cookie = "io";
    env.server_config.cors_origins = origins;
    env.server_config.ncors_origins = COUNT(origins);
    env_start();
    return 0;
}

static int setup_production(void **state)
{
    (void)state;
    env_defaults();
    env.config.allow_v3 = false;
    env.server_config.production = true;
    env.server_config.cors_origins = origins;
    env.server_config.ncors_origins = COUNT(origins);
    env_start();
    return 0;
}

static void tells_everything_in_the_open_packet(void **state)
{
    (void)state;
    struct client c;
    char want[256], sid[21];
    client_open(&c, env.port);
    eio_request(&c, "GET", "EIO=4&transport=polling&t=abc", "User-Agent: me\r\n", STR(""));
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 200);
    take_sid(sid, r.body);
    snprintf(want, sizeof want,
             "0{\"sid\":\"%s\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":20000,"
             "\"maxPayload\":1000000}",
             sid);
    assert_string_equal(r.body, want);
    assert_str(reply_header(&r, "Content-Type"), "text/plain; charset=UTF-8");
    assert_str(reply_header(&r, "Cache-Control"), "no-store");
    snprintf(want, sizeof want, "io=%s; Path=/; HttpOnly; SameSite=Lax", sid);
    assert_str(reply_header(&r, "Set-Cookie"), want);
    reply_free(&r);
    await_count(&seen.opened, 1);
    assert_string_equal(seen.address, "127.0.0.1");
    assert_string_equal(seen.agent, "me");
    assert_int_equal(eio_count(env.eio), 1);
    client_close(&c);
}

static void sets_the_cookie_once(void **state)
{
    (void)state;
    struct poller p;
    poller_open_with(&p, 4, "&greet=1");
    poller_ask(&p);
    struct reply r = reply_read(&p.get);
    assert_string_equal(r.body, "4welcome");
    assert_null(reply_header(&r, "Set-Cookie").p);
    assert_str(reply_header(&r, "Cache-Control"), "no-store");
    reply_free(&r);
    poller_close(&p);
}

static void ids_differ(void **state)
{
    (void)state;
    struct poller a, b;
    poller_open(&a);
    poller_open(&b);
    assert_string_not_equal(a.sid, b.sid);
    for (size_t i = 0; i < 20; i++)
        assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", a.sid[i]));
    assert_int_equal(eio_count(env.eio), 2);
    poller_close(&a);
    poller_close(&b);
}

struct refusal {
    const char *method, *query, *headers;
    int status;
    const char *body;
};

#define CODE_0 "{\"code\":0,\"message\":\"Transport unknown\"}"
#define CODE_1 "{\"code\":1,\"message\":\"Session ID unknown\"}"
#define CODE_2 "{\"code\":2,\"message\":\"Bad handshake method\"}"
#define CODE_3 "{\"code\":3,\"message\":\"Bad request\"}"
#define CODE_4 "{\"code\":4,\"message\":\"Forbidden\"}"
#define CODE_5 "{\"code\":5,\"message\":\"Unsupported protocol version\"}"

/* In the order in which things are looked at: whatever is wrong behind the first fault does not count. */
static const struct refusal refusals[] = {
    {"GET", "", "", 400, CODE_0},
    {"GET", "EIO=4", "", 400, CODE_0},
    {"GET", "EIO=4&transport=", "", 400, CODE_0},
    {"GET", "EIO=4&transport=abc", "", 400, CODE_0},
    {"GET", "EIO=4&transport=webtransport", "", 400, CODE_0},
    {"GET", "EIO=4&transport=__proto__", "", 400, CODE_0},
    {"GET", "EIO=4&transport=polling&j=0", "", 400, CODE_0},
    {"GET", "transport=abc&sid=nope", "Origin: \xc3\xa9\r\n", 400, CODE_0},
    {"PUT", "EIO=4&transport=abc&sid=nope", "", 400, CODE_0},
    {"GET", "EIO=4&transport=polling", "Origin: http://h\xc3\xa9.example\r\n", 400, CODE_3},
    {"GET", "EIO=4&transport=polling&sid=nope", "Origin: http://h\xe9.example\r\n", 400, CODE_3},
    {"GET", "EIO=4&transport=polling&sid=nope", "", 400, CODE_1},
    {"GET", "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA", "", 400, CODE_1},
    {"POST", "EIO=4&transport=polling&sid=nope", "", 400, CODE_1},
    {"PUT", "transport=polling&sid=nope", "", 400, CODE_1},
    {"GET", "EIO=4&transport=websocket&sid=nope", "", 400, CODE_1},
    {"GET", "transport=polling", "", 400, CODE_5},
    {"GET", "EIO=3&transport=polling", "", 400, CODE_5},
    {"GET", "EIO=abc&transport=polling", "", 400, CODE_5},
    {"GET", "EIO=5&transport=polling", "", 400, CODE_5},
    {"POST", "EIO=3&transport=polling", "", 400, CODE_2},
    {"POST", "EIO=4&transport=polling", "", 400, CODE_2},
    {"PUT", "EIO=4&transport=polling", "", 400, CODE_2},
    {"PATCH", "EIO=4&transport=polling&sid=", "", 400, CODE_2},
    {"DELETE", "EIO=4&transport=websocket", "", 400, CODE_2},
    {"GET", "EIO=4&transport=websocket", "", 400, CODE_3},
};

static void expect_refusal(const struct refusal *want, const char *query)
{
    struct client c;
    client_open(&c, env.port);
    eio_request(&c, want->method, query, want->headers, STR(""));
    struct reply r = reply_read(&c);
    if (r.status != want->status || strcmp(r.body, want->body) != 0)
        fail_msg("%s ?%s: %d %s", want->method, query, r.status, r.body);
    assert_str(reply_header(&r, "Content-Type"), "application/json");
    assert_null(reply_header(&r, "Set-Cookie").p);
    reply_free(&r);
    client_close(&c);
}

static void refuses_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++)
        expect_refusal(&refusals[i], refusals[i].query);
    assert_int_equal(atomic_load(&seen.opened), 0);
    assert_int_equal(eio_count(env.eio), 0);
}

static void refuses_another_transport_for_a_session(void **state)
{
    (void)state;
    struct poller p;
    struct ws_client ws;
    char sid[21], query[96];
    poller_open(&p);
    snprintf(query, sizeof query, "EIO=4&transport=websocket&sid=%s", p.sid);
    expect_refusal(&(struct refusal){"GET", "", "", 400, CODE_3}, query);
    snprintf(query, sizeof query, "EIO=3&transport=polling&sid=%s", p.sid);
    expect_refusal(&(struct refusal){"GET", "", "", 400, CODE_3}, query);
    snprintf(query, sizeof query, "EIO=3&transport=websocket&sid=%s", p.sid);
    wsc_engine_with(&ws, query, WS_USUAL);
    assert_memory_equal(ws.head, "HTTP/1.1 400 ", 13);
    wsc_free(&ws);

    wsc_engine(&ws, "EIO=4&transport=websocket");
    wsc_take_open(&ws, sid);
    snprintf(query, sizeof query, "EIO=4&transport=polling&sid=%s", sid);
    expect_refusal(&(struct refusal){"GET", "", "", 400, CODE_3}, query);
    expect_refusal(&(struct refusal){"POST", "", "", 400, CODE_3}, query);
    snprintf(query, sizeof query, "EIO=4&transport=websocket&sid=%s", sid);
    expect_refusal(&(struct refusal){"GET", "", "", 400, CODE_3}, query);
    wsc_text(&ws, "4still there");
    wsc_expect_text(&ws, "4still there");
    wsc_free(&ws);
    poller_post(&p, "4still there");
    poller_expect(&p, "4still there");
    poller_close(&p);
}

static void other_methods_of_a_session_fail(void **state)
{
    (void)state;
    static const char *const methods[] = {"PUT", "PATCH", "DELETE", "HEAD"};
    struct poller p;
    poller_open(&p);
    for (size_t i = 0; i < COUNT(methods); i++) {
        eio_request(&p.post, methods[i], p.query, "", STR(""));
        struct reply r = reply_read_for(&p.post, methods[i]);
        assert_int_equal(r.status, 500);
        reply_free(&r);
    }
    poller_post(&p, "4a");
    poller_expect(&p, "4a");
    poller_close(&p);
}

static void the_slash_belongs_to_the_path(void **state)
{
    (void)state;
    struct client c;
    struct ws_client ws;
    client_open(&c, env.port);
    client_send(&c, STR("GET /engine.io?EIO=4&transport=polling HTTP/1.1\r\nHost: t\r\n\r\n"));
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 404);
    assert_non_null(strstr(r.body, "NOT_FOUND"));
    reply_free(&r);
    client_close(&c);
    wsc_try(&ws, env.port, "/engine.io?EIO=4&transport=websocket", WS_USUAL);
    assert_memory_equal(ws.head, "HTTP/1.1 404 ", 13);
    wsc_free(&ws);
}

static void refuses_websockets_with_the_bare_message(void **state)
{
    (void)state;
    static const struct {
        const char *query, *headers, *message;
    } cases[] = {
        {"EIO=4", "", "Transport unknown"},
        {"EIO=4&transport=abc", "", "Transport unknown"},
        {"EIO=4&transport=polling", "", "Bad request"},
        {"EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAA", "", "Session ID unknown"},
        {"EIO=4&transport=websocket", "Origin: http://h\xc3\xa9.example\r\n", "Bad request"},
        {"EIO=3&transport=websocket", "", "Unsupported protocol version"},
        {"transport=websocket", "", "Unsupported protocol version"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char path[128], headers[256];
        struct client c;
        client_open(&c, env.port);
        snprintf(path, sizeof path, "GET /engine.io/?%s HTTP/1.1\r\n", cases[i].query);
        snprintf(headers, sizeof headers, "Host: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" WS_USUAL "%s\r\n",
                 cases[i].headers);
        client_send(&c, str_c(path));
        client_send(&c, str_c(headers));
        struct reply r = reply_read(&c);
        assert_int_equal(r.status, 400);
        assert_string_equal(r.body, cases[i].message);
        assert_str(reply_header(&r, "Connection"), "close");
        assert_str(reply_header(&r, "Content-Type"), "text/html");
        assert_true(client_at_end(&c));
        reply_free(&r);
        client_close(&c);
    }
    assert_int_equal(atomic_load(&seen.opened), 0);
}

static void cross_origin(void **state)
{
    (void)state;
    struct client c;
    client_open(&c, env.port);
    eio_request(&c, "GET", "EIO=4&transport=polling", FRIEND, STR(""));
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 200);
    assert_str(reply_header(&r, "Access-Control-Allow-Origin"), "http://localhost:3000");
    assert_str(reply_header(&r, "Access-Control-Allow-Credentials"), "true");
    assert_str(reply_header(&r, "Vary"), "Origin");
    reply_free(&r);
    eio_request(&c, "GET", "EIO=4&transport=abc", FRIEND, STR(""));
    r = reply_read(&c);
    assert_int_equal(r.status, 400);
    assert_str(reply_header(&r, "Access-Control-Allow-Origin"), "http://localhost:3000");
    reply_free(&r);
    /* Development: the browser refuses by itself. */
    eio_request(&c, "GET", "EIO=4&transport=polling", FOREIGN, STR(""));
    r = reply_read(&c);
    assert_int_equal(r.status, 200);
    assert_null(reply_header(&r, "Access-Control-Allow-Origin").p);
    reply_free(&r);
    client_close(&c);
}

static void preflight(void **state)
{
    (void)state;
    struct client c;
    client_open(&c, env.port);
    eio_request(&c, "OPTIONS", "EIO=4&transport=polling",
                FRIEND "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-a, content-type\r\n",
                STR(""));
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 204);
    assert_str(reply_header(&r, "Access-Control-Allow-Origin"), "http://localhost:3000");
    assert_true(str_find(reply_header(&r, "Access-Control-Allow-Methods"), STR("POST")) >= 0);
    assert_str(reply_header(&r, "Access-Control-Allow-Headers"), "x-a, content-type");
    reply_free(&r);
    eio_request(&c, "OPTIONS", "EIO=4&transport=polling", FOREIGN "Access-Control-Request-Method: POST\r\n", STR(""));
    r = reply_read(&c);
    assert_int_equal(r.status, 204);
    assert_null(reply_header(&r, "Access-Control-Allow-Origin").p);
    reply_free(&r);
    eio_request(&c, "OPTIONS", "EIO=4&transport=polling", "", STR(""));
    r = reply_read(&c);
    assert_int_equal(r.status, 204);
    reply_free(&r);
    assert_int_equal(eio_count(env.eio), 0);
    client_close(&c);
}

static void production_refuses_foreign_pages(void **state)
{
    (void)state;
    struct ws_client ws;
    struct client c;
    expect_refusal(&(struct refusal){"GET", "", FOREIGN, 403, CODE_4}, "EIO=4&transport=polling");
    /* Nearly everything else is looked at first. */
    expect_refusal(&(struct refusal){"GET", "", FOREIGN, 403, CODE_4}, "EIO=3&transport=polling");
    expect_refusal(&(struct refusal){"POST", "", FOREIGN, 400, CODE_2}, "EIO=4&transport=polling");
    expect_refusal(&(struct refusal){"GET", "", FOREIGN, 400, CODE_3}, "EIO=4&transport=websocket");
    wsc_engine_with(&ws, "EIO=4&transport=websocket", WS_USUAL FOREIGN);
    assert_memory_equal(ws.head, "HTTP/1.1 403 ", 13);
    wsc_free(&ws);
    assert_int_equal(atomic_load(&seen.opened), 0);
    client_open(&c, env.port);
    eio_request(&c, "GET", "EIO=4&transport=polling", FRIEND, STR(""));
    expect_reply(&c, 200, NULL);
    eio_request(&c, "GET", "EIO=4&transport=polling", "Origin: http://test\r\n", STR("")); /* Host: test */
    expect_reply(&c, 200, NULL);
    eio_request(&c, "GET", "EIO=4&transport=polling", "", STR(""));
    expect_reply(&c, 200, NULL);
    client_close(&c);
}

static int setup_few(void **state)
{
    (void)state;
    env_defaults();
    env.server_config.max_connections = 3;
    env_start();
    return 0;
}

static void sessions_are_as_many_as_connections(void **state)
{
    (void)state;
    struct client c;
    client_open(&c, env.port);
    for (int i = 0; i < 3; i++) {
        eio_request(&c, "GET", "EIO=4&transport=polling", "", STR(""));
        expect_reply(&c, 200, NULL);
    }
    eio_request(&c, "GET", "EIO=4&transport=polling", "", STR(""));
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "OVERLOADED"));
    assert_str(reply_header(&r, "Retry-After"), "1");
    reply_free(&r);
    assert_int_equal(eio_count(env.eio), 3);
    client_close(&c);
}

static void counts(void **state)
{
    (void)state;
    struct metric *refused = metric_counter("parley_engineio_refused_total", "", "code=\"1\"");
    struct metric *opened = metric_counter("parley_engineio_opened_total", "", NULL);
    struct metric *open = metric_gauge("parley_engineio_sessions", "", "transport=\"polling\"");
    struct metric *closed = metric_counter("parley_engineio_closed_total", "", "reason=\"transport close\"");
    int64_t refused_before = metric_value(refused), opened_before = metric_value(opened);
    int64_t open_before = metric_value(open), closed_before = metric_value(closed);
    struct poller p;
    poller_open(&p);
    assert_int_equal(metric_value(opened), opened_before + 1);
    assert_int_equal(metric_value(open), open_before + 1);
    poller_post(&p, "1");
    await_closed(1, EIO_TRANSPORT_CLOSE);
    assert_int_equal(metric_value(closed), closed_before + 1);
    assert_int_equal(metric_value(open), open_before);
    poller_expect_unknown(&p);
    assert_int_equal(metric_value(refused), refused_before + 1);
    poller_close(&p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, env_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_everything_in_the_open_packet),
        TEST(sets_the_cookie_once),
        TEST(ids_differ),
        TEST(refuses_in_order),
        TEST(refuses_another_transport_for_a_session),
        TEST(other_methods_of_a_session_fail),
        TEST(the_slash_belongs_to_the_path),
        TEST(refuses_websockets_with_the_bare_message),
        TEST(cross_origin),
        TEST(preflight),
        TEST(counts),
        cmocka_unit_test_setup_teardown(production_refuses_foreign_pages, setup_production, env_teardown),
        cmocka_unit_test_setup_teardown(sessions_are_as_many_as_connections, setup_few, env_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
