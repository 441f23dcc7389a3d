#include "unit/support/unit.h"

#include "base/log.h"
#include "base/mem.h"
#include "config/trust.h"
#include "loop/task.h"
#include "net/conn.h"
#include "unit/support/http_client.h"

static struct live_server live;
static struct client c;

static void hello(struct http_request *rq)
{
    http_reply_text(rq, 200, STR("hello"));
}

static void slow(struct http_request *rq)
{
    struct err e;
    if (task_sleep(150, &e) == 0)
        http_reply_text(rq, 200, STR("slow"));
}

static void huge(struct http_request *rq)
{
    static char bytes[MIB(16)];
    http_reply(rq, 200, STR("application/octet-stream"), str_n(bytes, sizeof bytes));
}

static const struct http_route routes[] = {
    {HTTP_GET, "/hello", hello, NULL, 0, NULL, ""},     {HTTP_POST, "/hello", hello, NULL, 0, NULL, ""},
    {HTTP_GET, "/slow", slow, NULL, 0, NULL, ""},       {HTTP_GET, "/huge", huge, NULL, 0, NULL, ""},
    {HTTP_GET, "/api/hello", hello, NULL, 0, NULL, ""},
};

static void start(const struct server_config *config)
{
    log_setup(LOG_OFF, LOG_TEXT);
    live_start(&live, config, routes, COUNT(routes));
    client_open(&c, live.port);
}

static void stop(void)
{
    client_close(&c);
    live_stop(&live);
}

#define H     "Host: test\r\n"
#define HELLO "GET /hello HTTP/1.1\r\n" H "\r\n"

static void check(struct client *client, const char *request, int status)
{
    struct reply r = ask(client, request);
    assert_int_equal(r.status, status);
    reply_free(&r);
}

/* ---- Time-outs ---- */

static void an_idle_connection_is_closed(void **state)
{
    (void)state;
    start(&(struct server_config){.idle_timeout = 40});
    assert_true(client_at_end(&c)); /* nothing was ever sent */
    client_close(&c);
    client_open(&c, live.port);
    for (int i = 0; i < 5; i++)
        check(&c, HELLO, 200);
    assert_true(client_at_end(&c));
    stop();
}

static void being_idle_begins_when_the_reply_is_out(void **state)
{
    (void)state;
    start(&(struct server_config){.idle_timeout = 40, .write_timeout = 60000});
    struct reply r = ask(&c, "GET /huge HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.body_len, MIB(16));
    assert_true(client_at_end(&c));
    reply_free(&r);
    stop();
}

static void a_slow_head_is_408(void **state)
{
    (void)state;
    start(&(struct server_config){.header_timeout = 60, .idle_timeout = 60000});
    check(&c, HELLO, 200); /* a running idle time-out must not hide the shorter one */
    client_send(&c, STR("GET /hel"));
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 408);
    assert_str(reply_header(&r, "Connection"), "close");
    assert_non_null(strstr(r.body, "REQUEST_TIMEOUT"));
    assert_true(client_at_end(&c));
    reply_free(&r);
    stop();
}

static void dribbling_does_not_extend_the_head(void **state)
{
    (void)state;
    start(&(struct server_config){.header_timeout = 60});
    int sent = 0;
    struct pollfd ready = {.fd = c.fd, .events = POLLIN};
    client_send(&c, STR("GET /hello HTTP/1.1\r\nX-A: "));
    for (; poll(&ready, 1, 5) == 0; sent++)
        client_send(&c, STR("x"));
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 408);
    assert_true(sent > 0);
    reply_free(&r);
    stop();
}

static void a_stuck_body_is_408(void **state)
{
    (void)state;
    start(&(struct server_config){.body_timeout = 50});
    client_send(&c, STR("POST /hello HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n"));
    for (int i = 0; i < 5; i++) { /* progress extends it */
        struct pollfd ready = {.fd = c.fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 20), 0);
        client_send(&c, STR("x"));
    }
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 408);
    assert_true(client_at_end(&c));
    reply_free(&r);
    stop();
}

static void a_body_nobody_wants_is_not_waited_for(void **state)
{
    (void)state;
    start(&(struct server_config){.body_timeout = 40});
    client_send(&c, STR("POST /nope HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc"));
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 404);
    assert_true(client_at_end(&c));
    reply_free(&r);
    stop();
}

static void a_reader_that_stops_is_cut_off(void **state)
{
    (void)state;
    start(&(struct server_config){.write_timeout = 60, .idle_timeout = 60000});
    client_send(&c, STR("GET /huge HTTP/1.1\r\n" H "\r\n"));
    assert_true(client_fill(&c));
    while (server_connections(live.server))
        live_do(&live, live_ask_idle);
    assert_int_equal(conn_memory(), 0);
    stop();
}

static void check_stuck(struct live_server *l)
{
    l->idle = conn_memory() > MIB(1);
}

static void who_does_not_read_gets_no_more_replies_queued(void **state)
{
    (void)state;
    start(&(struct server_config){0});
    for (int i = 0; i < 8; i++)
        client_send(&c, STR("GET /huge HTTP/1.1\r\n" H "\r\n"));
    for (live.idle = false; !live.idle;)
        live_do(&live, check_stuck);
    assert_true(conn_memory() < MIB(17));
    for (int i = 0; i < 8; i++) {
        struct reply r = reply_read(&c);
        assert_int_equal(r.body_len, MIB(16));
        assert_true(conn_memory() < MIB(17));
        reply_free(&r);
    }
    check(&c, HELLO, 200);
    stop();
}

static void a_slow_handler_is_not_cut_off(void **state)
{
    (void)state;
    start(&(struct server_config){.write_timeout = 30, .idle_timeout = 30, .header_timeout = 30, .body_timeout = 30});
    struct reply r = ask(&c, "GET /slow HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "slow");
    reply_free(&r);
    stop();
}

/* ---- Numbers ---- */

static void too_many_connections_are_503(void **state)
{
    (void)state;
    struct client second, third;
    start(&(struct server_config){.max_connections = 2});
    check(&c, HELLO, 200);
    client_open(&second, live.port);
    check(&second, HELLO, 200);
    client_open(&third, live.port);
    struct reply r = reply_read(&third);
    assert_int_equal(r.status, 503);
    assert_str(reply_header(&r, "Connection"), "close");
    assert_str(reply_header(&r, "Retry-After"), "1");
    assert_non_null(strstr(r.body, "OVERLOADED"));
    assert_true(client_at_end(&third));
    reply_free(&r);
    client_close(&third);
    client_close(&second);
    while (server_connections(live.server) != 1)
        live_do(&live, live_ask_idle);
    client_open(&second, live.port);
    check(&second, HELLO, 200);
    client_close(&second);
    stop();
}

static void too_many_of_one_address_are_503(void **state)
{
    (void)state;
    struct client second;
    start(&(struct server_config){.max_connections_per_address = 1});
    check(&c, HELLO, 200);
    for (int i = 0; i < 3; i++) {
        client_open(&second, live.port);
        struct reply r = reply_read(&second);
        assert_int_equal(r.status, 503);
        reply_free(&r);
        client_close(&second);
    }
    client_close(&c);
    while (server_connections(live.server))
        live_do(&live, live_ask_idle);
    client_open(&c, live.port);
    check(&c, HELLO, 200);
    stop();
}

static void no_address_counts_behind_a_trusted_proxy(void **state)
{
    (void)state;
    struct client second;
    struct trust_proxy trust = {.hops = 1};
    start(&(struct server_config){.max_connections_per_address = 1, .trust_proxy = &trust});
    client_open(&second, live.port);
    check(&second, HELLO, 200);
    client_close(&second);
    stop();
}

/* ThreadSanitizer has no memory for so many tasks; what this shows has nothing to do with threads. */
#ifndef __SANITIZE_THREAD__
static void park(void *arg)
{
    struct err e;
    (void)arg;
    live_assert(task_park(&e) == 0);
}

static struct task **crowd;
static size_t crowded;

static void fill_tasks(struct live_server *l)
{
    (void)l;
    while (task_room())
        crowd[crowded++] = task_spawn("crowd", park, NULL);
}

static void wake_tasks(struct live_server *l)
{
    (void)l;
    while (crowded)
        task_wake(crowd[--crowded]);
}

static void without_room_for_a_task_it_is_503(void **state)
{
    (void)state;
    start(&(struct server_config){0});
    crowd = mem_array(TASK_LIMIT, sizeof *crowd);
    live_do(&live, fill_tasks);
    struct reply r = ask(&c, HELLO);
    assert_int_equal(r.status, 503);
    assert_str(reply_header(&r, "Retry-After"), "1");
    assert_null(reply_header(&r, "Connection").p);
    reply_free(&r);
    live_do(&live, wake_tasks);
    check(&c, HELLO, 200);
    free(crowd);
    stop();
}
#endif

static void the_rate_is_limited_per_client(void **state)
{
    (void)state;
    start(&(struct server_config){.rate_limit = 2, .rate_window = 900000});
    struct reply r = ask(&c, "GET /api/hello HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 200);
    assert_str(reply_header(&r, "RateLimit-Limit"), "2");
    assert_str(reply_header(&r, "RateLimit-Remaining"), "1");
    assert_str(reply_header(&r, "Vary"), "Origin");
    reply_free(&r);
    check(&c, "GET /api/v1/hello HTTP/1.1\r\n" H "\r\n", 200);
    r = ask(&c, "GET /api/hello HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 429);
    assert_true(reply_header(&r, "Retry-After").n > 0);
    assert_non_null(strstr(r.body, "RATE_LIMIT_EXCEEDED"));
    reply_free(&r);
    check(&c, HELLO, 200); /* not under /api/ */
    struct server_config wider = {.rate_limit = 100, .rate_window = 900000};
    server_reconfigure(live.server, &wider);
    live_do(&live, live_ask_idle);
    check(&c, "GET /api/hello HTTP/1.1\r\n" H "\r\n", 200);
    stop();
}

static void settings_change_while_running(void **state)
{
    (void)state;
    static const char *const origins[] = {"https://app.test"};
    start(&(struct server_config){.idle_timeout = 60000});
    struct reply r = ask(&c, "GET /hello HTTP/1.1\r\n" H "Origin: https://app.test\r\n\r\n");
    assert_null(reply_header(&r, "Access-Control-Allow-Origin").p);
    reply_free(&r);
    struct server_config changed = {.idle_timeout = 30, .cors_origins = origins, .ncors_origins = 1};
    server_reconfigure(live.server, &changed);
    live_do(&live, live_ask_idle);
    r = ask(&c, "GET /hello HTTP/1.1\r\n" H "Origin: https://app.test\r\n\r\n");
    assert_str(reply_header(&r, "Access-Control-Allow-Origin"), "https://app.test");
    reply_free(&r);
    assert_true(client_at_end(&c));
    stop();
}

static void trusted_proxies_name_the_client(void **state)
{
    (void)state;
    struct trust_proxy trust = {.hops = 1};
    start(&(struct server_config){.rate_limit = 1, .rate_window = 900000, .trust_proxy = &trust});
    check(&c, "GET /api/hello HTTP/1.1\r\n" H "X-Forwarded-For: 192.0.2.1\r\n\r\n", 200);
    check(&c, "GET /api/hello HTTP/1.1\r\n" H "X-Forwarded-For: 192.0.2.2\r\n\r\n", 200);
    check(&c, "GET /api/hello HTTP/1.1\r\n" H "X-Forwarded-For: 192.0.2.1\r\n\r\n", 429);
    struct reply r = ask(&c, "GET /hello HTTP/1.1\r\n" H "X-Forwarded-Proto: https\r\n\r\n");
    assert_true(reply_header(&r, "Strict-Transport-Security").n > 0);
    reply_free(&r);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(being_idle_begins_when_the_reply_is_out),
        cmocka_unit_test(a_slow_head_is_408),
        cmocka_unit_test(dribbling_does_not_extend_the_head),
        cmocka_unit_test(a_stuck_body_is_408),
        cmocka_unit_test(a_body_nobody_wants_is_not_waited_for),
        cmocka_unit_test(a_reader_that_stops_is_cut_off),
        cmocka_unit_test(who_does_not_read_gets_no_more_replies_queued),
        cmocka_unit_test(a_slow_handler_is_not_cut_off),
        cmocka_unit_test(too_many_connections_are_503),
        cmocka_unit_test(too_many_of_one_address_are_503),
        cmocka_unit_test(no_address_counts_behind_a_trusted_proxy),
#ifndef __SANITIZE_THREAD__
        cmocka_unit_test(without_room_for_a_task_it_is_503),
#endif
        cmocka_unit_test(the_rate_is_limited_per_client),
        cmocka_unit_test(settings_change_while_running),
        cmocka_unit_test(trusted_proxies_name_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
