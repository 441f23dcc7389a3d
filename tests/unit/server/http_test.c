#include "unit/support/unit.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "loop/task.h"
#include "net/conn.h"
#include "unit/support/http_client.h"

static struct live_server live;
static struct client c;

/* ---- Handlers ---- */

static void hello(struct http_request *rq)
{
    http_reply_json(rq, 200, STR("{\"hello\":true}"));
}

static void echo(struct http_request *rq)
{
    live_assert(rq->body.p[rq->body.n] == 0);
    http_reply(rq, 200, http_request_header(rq, STR("content-type")), rq->body);
}

static void item(struct http_request *rq)
{
    struct str q = http_request_query(rq, STR("q"));
    struct str text = arena_printf(rq->arena, "%.*s|%.*s|%.*s|%.*s|%d", STR_ARG(rq->path), STR_ARG(rq->params[0]),
                                   STR_ARG(q), STR_ARG(rq->address), http_request_is_json(rq));
    http_reply_header(rq, STR("X-First"), STR("1"));
    http_reply_header(rq, STR("X-Second"), text);
    http_reply_text(rq, 201, text);
}

static void request_id(struct http_request *rq)
{
    live_assert(strcmp(rq->id, log_request_id) == 0);
    http_reply_text(rq, 200, str_c(log_request_id));
}

static void later(struct http_request *rq)
{
    struct err e;
    live_assert(task_sleep(20, &e) == 0);
    live_assert(log_request_id && strcmp(rq->id, log_request_id) == 0);
    http_reply_text(rq, 200, rq->query);
}

static void fails(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_TOO_MANY_TURNS, "Wait \"a\" bit");
    e.retry_after_ms = 1500;
    http_reply_error(rq, &e);
}

static void forgets(struct http_request *rq)
{
    (void)rq;
}

static void twice(struct http_request *rq)
{
    http_reply_text(rq, 200, STR("first"));
    http_reply_text(rq, 200, STR("second"));
    live_assert(http_replied(rq));
}

static void big(struct http_request *rq)
{
    struct buf out = BUF_INIT(MIB(4));
    struct jw w = jw_begin(&out);
    jw_arr(&w);
    for (int i = 0; i < 100000; i++)
        jw_int(&w, i);
    jw_end_arr(&w);
    http_reply_jw(rq, 200, &w);
    live_assert(out.data == NULL);
}

static void too_big(struct http_request *rq)
{
    struct buf out = BUF_INIT(10);
    struct jw w = jw_begin(&out);
    jw_str(&w, STR("longer than ten bytes"));
    http_reply_jw(rq, 200, &w);
}

static void long_headers(struct http_request *rq)
{
    char *value = arena_alloc(rq->arena, 6000);
    memset(value, 'v', 6000);
    http_reply_header(rq, STR("X-Long"), str_n(value, 6000));
    http_reply_text(rq, 200, STR("ok"));
}

static void empty(struct http_request *rq)
{
    http_reply(rq, 204, STR(""), STR("must not be sent"));
}

static const struct http_route routes[] = {
    {HTTP_GET, "/hello", hello, NULL, 0, NULL, ""},
    {HTTP_POST, "/echo", echo, NULL, KIB(300), NULL, ""},
    {HTTP_POST, "/any", echo, NULL, KIB(300) | HTTP_ANY_TYPE, NULL, ""},
    {HTTP_GET, "/api/items/:id", item, NULL, 0, NULL, ""},
    {HTTP_POST, "/api/items/:id", item, NULL, 0, NULL, ""},
    {HTTP_GET, "/id", request_id, NULL, 0, NULL, ""},
    {HTTP_GET, "/later", later, NULL, 0, NULL, ""},
    {HTTP_GET, "/fails", fails, NULL, 0, NULL, ""},
    {HTTP_GET, "/forgets", forgets, NULL, 0, NULL, ""},
    {HTTP_GET, "/twice", twice, NULL, 0, NULL, ""},
    {HTTP_GET, "/big", big, NULL, 0, NULL, ""},
    {HTTP_GET, "/too-big", too_big, NULL, 0, NULL, ""},
    {HTTP_GET, "/long-headers", long_headers, NULL, 0, NULL, ""},
    {HTTP_DELETE, "/empty", empty, NULL, 0, NULL, ""},
    {HTTP_POST, "/private", hello, NULL, 0, "chat", ""},
};

static int admit(void *arg, const struct http_request *rq, struct err *e)
{
    live_assert(arg == &live && rq->body.n == 0);
    if (str_eqc(http_request_header(rq, STR("authorization")), "Bearer yes"))
        return 0;
    return err_set(e, ERR_UNAUTHORIZED, NULL);
}

static const char *const origins[] = {"http://localhost:*"};

static int setup(void **state)
{
    struct server_config config = {
        .admit = admit, .admit_arg = &live, .cors_origins = origins, .ncors_origins = COUNT(origins)};
    (void)state;
    log_setup(LOG_OFF, LOG_TEXT);
    live_start(&live, &config, routes, COUNT(routes));
    client_open(&c, live.port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(&c);
    live_stop(&live);
    return 0;
}

#define H "Host: test\r\n"

static void check(const char *request, int status, const char *body)
{
    struct reply r = ask(&c, request);
    assert_int_equal(r.status, status);
    assert_string_equal(r.body, body);
    reply_free(&r);
}

/* ---- Plain requests ---- */

static void answers_with_the_usual_headers(void **state)
{
    (void)state;
    struct reply r = ask(&c, "GET /hello HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "{\"hello\":true}");
    assert_str(reply_header(&r, "Content-Type"), "application/json; charset=utf-8");
    assert_str(reply_header(&r, "X-Content-Type-Options"), "nosniff");
    assert_str(reply_header(&r, "Vary"), "Origin");
    assert_int_equal(reply_header(&r, "Date").n, 29);
    assert_true(reply_header(&r, "X-Request-Id").n > 8);
    assert_null(reply_header(&r, "Connection").p);
    reply_free(&r);
}

static void keeps_the_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        check("GET /hello HTTP/1.1\r\n" H "\r\n", 200, "{\"hello\":true}");
    assert_int_equal(server_connections(live.server), 1);
}

static void closes_when_asked_to(void **state)
{
    (void)state;
    struct reply r = ask(&c, "GET /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    assert_str(reply_header(&r, "Connection"), "close");
    assert_true(client_at_end(&c));
    reply_free(&r);
    client_close(&c);
    client_open(&c, live.port);
    r = ask(&c, "GET /hello HTTP/1.0\r\n\r\n");
    assert_str(reply_header(&r, "Connection"), "close");
    assert_true(client_at_end(&c));
    reply_free(&r);
    client_close(&c);
    client_open(&c, live.port);
    for (int i = 0; i < 2; i++) {
        r = ask(&c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_str(reply_header(&r, "Connection"), "keep-alive");
        reply_free(&r);
    }
}

static void fills_in_the_request(void **state)
{
    (void)state;
    check("GET /api/items/a%20%C3%A4?q=x+y%26 HTTP/1.1\r\n" H "\r\n", 201,
          "/api/items/a \xC3\xA4|a \xC3\xA4|x y&|127.0.0.1|1");
    check("GET /api/v1/items/7 HTTP/1.1\r\n" H "Content-Type: image/png\r\n\r\n", 201, "/api/items/7|7||127.0.0.1|0");
    check("GET /api/v1/items/%37?q HTTP/1.1\r\n" H "Content-Type: application/json; charset=x\r\n\r\n", 201,
          "/api/items/7|7||127.0.0.1|1");
    struct reply r = ask(&c, "POST /api/items/9 HTTP/1.1\r\n" H "Content-Type: application/problem+json\r\n\r\n");
    assert_string_equal(r.body, "/api/items/9|9||127.0.0.1|1");
    assert_str(reply_header(&r, "X-First"), "1");
    assert_str(reply_header(&r, "X-Second"), r.body);
    reply_free(&r);
}

static void refuses_paths_that_cannot_be_decoded(void **state)
{
    (void)state;
    static const char *const paths[] = {"/api/items/%",   "/api/items/%zz",   "/api/items/%00",
                                        "/api/items/%FF", "/api/items/a%2Fb", "/api/items/a%2fb"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        char request[128];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" H "\r\n", paths[i]);
        struct reply r = ask(&c, request);
        assert_int_equal(r.status, 400);
        assert_non_null(strstr(r.body, "\"code\":\"INVALID_REQUEST\""));
        reply_free(&r);
    }
}

static void request_ids_are_the_clients_when_sane(void **state)
{
    (void)state;
    check("GET /id HTTP/1.1\r\n" H "X-Request-Id: abc-DEF_1.2\r\n\r\n", 200, "abc-DEF_1.2");
    static const char *const bad[] = {"", "has space", "a\"b",
                                      "0123456789012345678901234567890123456789012345678901234567890123x"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char request[256];
        snprintf(request, sizeof request, "GET /id HTTP/1.1\r\n" H "X-Request-Id: %s\r\n\r\n", bad[i]);
        struct reply r = ask(&c, request);
        assert_string_not_equal(r.body, bad[i]);
        assert_true(r.body_len >= 10);
        assert_str(reply_header(&r, "X-Request-Id"), r.body);
        reply_free(&r);
    }
}

static void head_has_the_length_and_no_body(void **state)
{
    (void)state;
    struct reply r = ask(&c, "HEAD /hello HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 200);
    assert_str(reply_header(&r, "Content-Length"), "14");
    reply_free(&r);
    check("GET /hello HTTP/1.1\r\n" H "\r\n", 200, "{\"hello\":true}");
}

static void no_content_has_no_length(void **state)
{
    (void)state;
    struct reply r = ask(&c, "DELETE /empty HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 204);
    assert_null(reply_header(&r, "Content-Length").p);
    assert_null(reply_header(&r, "Content-Type").p);
    reply_free(&r);
    check("GET /hello HTTP/1.1\r\n" H "\r\n", 200, "{\"hello\":true}");
}

/* ---- Errors ---- */

static void unknown_paths_and_methods(void **state)
{
    (void)state;
    check("GET /nope?x=1 HTTP/1.1\r\n" H "\r\n", 404,
          "{\"error\":\"Not found\",\"message\":\"Not found\",\"code\":\"NOT_FOUND\"}");
    struct reply r = ask(&c, "PUT /api/items/1 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n{}");
    assert_int_equal(r.status, 405);
    assert_str(reply_header(&r, "Allow"), "GET, HEAD, POST, OPTIONS");
    assert_string_equal(
        r.body,
        "{\"error\":\"Method not allowed\",\"message\":\"Method not allowed\",\"code\":\"METHOD_NOT_ALLOWED\"}");
    reply_free(&r);
    r = ask(&c, "BREW /hello HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 405);
    reply_free(&r);
    check("GET /hello HTTP/1.1\r\n" H "\r\n", 200, "{\"hello\":true}");
}

static void options_tell_what_is_allowed(void **state)
{
    (void)state;
    struct reply r = ask(&c, "OPTIONS /echo HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 204);
    assert_str(reply_header(&r, "Allow"), "POST, OPTIONS");
    reply_free(&r);
    r = ask(&c, "OPTIONS * HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 204);
    assert_true(reply_header(&r, "Allow").n > 0);
    reply_free(&r);
    r = ask(&c, "OPTIONS /nope HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 404);
    reply_free(&r);
}

static void preflights_are_answered_before_routing(void **state)
{
    (void)state;
    struct reply r = ask(&c, "OPTIONS /nope HTTP/1.1\r\n" H "Origin: http://localhost:5173\r\n"
                             "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-a,x-b\r\n\r\n");
    assert_int_equal(r.status, 204);
    assert_str(reply_header(&r, "Access-Control-Allow-Origin"), "http://localhost:5173");
    assert_str(reply_header(&r, "Access-Control-Allow-Headers"), "x-a,x-b");
    reply_free(&r);
    r = ask(&c, "OPTIONS /hello HTTP/1.1\r\n" H "Origin: http://evil.test\r\n"
                "Access-Control-Request-Method: POST\r\n\r\n");
    assert_int_equal(r.status, 204);
    assert_null(reply_header(&r, "Access-Control-Allow-Origin").p);
    reply_free(&r);
    r = ask(&c, "GET /hello HTTP/1.1\r\n" H "Origin: http://localhost:3000\r\n\r\n");
    assert_str(reply_header(&r, "Access-Control-Allow-Origin"), "http://localhost:3000");
    assert_str(reply_header(&r, "Vary"), "Origin");
    reply_free(&r);
}

static void errors_carry_text_code_and_retry(void **state)
{
    (void)state;
    struct reply r = ask(&c, "GET /fails HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 429);
    assert_str(reply_header(&r, "Retry-After"), "2");
    assert_string_equal(
        r.body, "{\"error\":\"Wait \\\"a\\\" bit\",\"message\":\"Wait \\\"a\\\" bit\",\"code\":\"TOO_MANY_TURNS\"}");
    reply_free(&r);
}

static void every_request_gets_exactly_one_reply(void **state)
{
    (void)state;
    struct reply r = ask(&c, "GET /forgets HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 500);
    assert_non_null(strstr(r.body, "INTERNAL_ERROR"));
    reply_free(&r);
    check("GET /twice HTTP/1.1\r\n" H "\r\n", 200, "first");
    r = ask(&c, "GET /too-big HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 500);
    reply_free(&r);
    check("GET /hello HTTP/1.1\r\n" H "\r\n", 200, "{\"hello\":true}");
}

static void large_replies_and_heads(void **state)
{
    (void)state;
    struct reply r = ask(&c, "GET /big HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 200);
    assert_true(r.body_len > 500000);
    assert_string_equal(r.body + r.body_len - 7, ",99999]");
    reply_free(&r);
    r = ask(&c, "GET /long-headers HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(reply_header(&r, "X-Long").n, 6000);
    assert_string_equal(r.body, "ok");
    reply_free(&r);
}

static void what_is_no_http_is_refused_in_json(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "garbage\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n" H H "\r\n",
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct reply r = ask(&c, bad[i]);
        assert_int_equal(r.status, 400);
        assert_str(reply_header(&r, "Connection"), "close");
        assert_non_null(strstr(r.body, "\"code\":\"INVALID_REQUEST\""));
        assert_true(client_at_end(&c));
        reply_free(&r);
        client_close(&c);
        client_open(&c, live.port);
    }
}

/* ---- Bodies ---- */

static void bodies_arrive_whole(void **state)
{
    (void)state;
    check("POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", 200, "hello");
    check("POST /echo HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 200, "");
    check("POST /echo HTTP/1.1\r\n" H "\r\n", 200, "");
    check("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
          "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: z\r\n\r\n",
          200, "hello");
    check("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "");
}

static void bodies_survive_any_split(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\nhello world",
        "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(requests); i++) {
        for (const char *p = requests[i]; *p; p++)
            client_send(&c, str_n(p, 1));
        struct reply r = reply_read(&c);
        assert_string_equal(r.body, "hello world");
        reply_free(&r);
    }
}

static void large_bodies_grow_as_they_arrive(void **state)
{
    (void)state;
    size_t n = KIB(300);
    char *body = mem_alloc(n);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + i % 23);
    for (int chunked = 0; chunked < 2; chunked++) {
        char head[128];
        if (chunked)
            snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
        else
            snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n", n);
        client_send(&c, str_c(head));
        client_send(&c, str_n(body, n));
        if (chunked)
            client_send(&c, STR("\r\n0\r\n\r\n"));
        struct reply r = reply_read(&c);
        assert_int_equal(r.body_len, n);
        assert_memory_equal(r.body, body, n);
        reply_free(&r);
    }
    free(body);
}

static void expect_continue_is_answered_when_the_body_is_wanted(void **state)
{
    (void)state;
    struct reply r = ask(&c, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_int_equal(r.status, 100);
    reply_free(&r);
    check("abc", 200, "abc");
    r = ask(&c, "POST /nope HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_int_equal(r.status, 404);
    assert_str(reply_header(&r, "Connection"), "close");
    assert_true(client_at_end(&c));
    reply_free(&r);
}

static void bodies_over_the_limit_are_413(void **state)
{
    (void)state;
    struct reply r = ask(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 307201\r\n\r\n");
    assert_int_equal(r.status, 413);
    assert_str(reply_header(&r, "Connection"), "close");
    assert_non_null(strstr(r.body, "BODY_TOO_LARGE"));
    assert_true(client_at_end(&c));
    reply_free(&r);
    client_close(&c);
    client_open(&c, live.port);
    char *junk = mem_zalloc(MIB(2));
    client_send(&c, STR("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n200000\r\n"));
    client_send(&c, str_n(junk, MIB(2))); /* all of it is sent before the reply is read */
    r = reply_read(&c);
    assert_int_equal(r.status, 413);
    assert_true(client_at_end(&c));
    reply_free(&r);
    free(junk);
}

static void bodies_of_another_kind_are_415(void **state)
{
    (void)state;
    struct reply r = ask(&c, "POST /echo HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc");
    assert_int_equal(r.status, 415);
    reply_free(&r);
    r = ask(&c, "POST /echo HTTP/1.1\r\n" H "Content-Type: image/png\r\nContent-Length: 3\r\n\r\nabc");
    assert_int_equal(r.status, 415);
    reply_free(&r);
    r = ask(&c, "POST /echo HTTP/1.1\r\n" H "Expect: the-unexpected\r\nContent-Length: 3\r\n\r\nabc");
    assert_int_equal(r.status, 417);
    reply_free(&r);
    check("POST /echo HTTP/1.1\r\n" H "Content-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", 200, "abc");
}

static void a_route_may_take_every_kind_of_body(void **state)
{
    (void)state;
    check("POST /any HTTP/1.1\r\n" H "Content-Type: image/png\r\nContent-Length: 3\r\n\r\nabc", 200, "abc");
    check("POST /any HTTP/1.1\r\n" H "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 3\r\n\r\nabc",
          200, "abc");
    struct reply r = ask(&c, "POST /any HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc");
    assert_int_equal(r.status, 415);
    reply_free(&r);
    r = ask(&c, "POST /any HTTP/1.1\r\n" H "Content-Type: image/png\r\nContent-Length: 307201\r\n\r\n");
    assert_int_equal(r.status, 413);
    reply_free(&r);
}

static void a_short_body_nobody_wants_is_skipped(void **state)
{
    (void)state;
    struct reply r = ask(&c, "POST /private HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n12345");
    assert_int_equal(r.status, 401);
    assert_null(reply_header(&r, "Connection").p);
    reply_free(&r);
    client_send(&c, STR("67890"));
    check("POST /private HTTP/1.1\r\n" H "Authorization: Bearer yes\r\nContent-Length: 2\r\n\r\n{}", 200,
          "{\"hello\":true}");
    r = ask(&c, "POST /private HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n");
    assert_int_equal(r.status, 401);
    assert_str(reply_header(&r, "Connection"), "close");
    reply_free(&r);
}

/* ---- Pipelining ---- */

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct buf all = BUF_INIT(MIB(1));
    for (int i = 0; i < 200; i++)
        buf_addf(&all, i % 20 ? "GET /api/items/%d HTTP/1.1\r\n" H "\r\n" : "GET /later?%d HTTP/1.1\r\n" H "\r\n", i);
    client_send(&c, buf_str(&all));
    for (int i = 0; i < 200; i++) {
        char want[64];
        struct reply r = reply_read(&c);
        snprintf(want, sizeof want, i % 20 ? "/api/items/%d|%d||127.0.0.1|1" : "%d", i, i);
        assert_string_equal(r.body, want);
        reply_free(&r);
    }
    buf_free(&all);
}

static void many_pipelined_requests_wait_in_the_socket(void **state)
{
    (void)state;
    struct buf all = BUF_INIT(MIB(4));
    char pad[900];
    memset(pad, 'p', sizeof pad);
    client_send(&c, STR("GET /later?first HTTP/1.1\r\n" H "\r\n"));
    for (int i = 0; i < 300; i++)
        buf_addf(&all, "GET /hello?%d HTTP/1.1\r\n" H "X-Pad: %.*s\r\n\r\n", i, (int)sizeof pad, pad);
    client_send(&c, buf_str(&all));
    struct reply r = reply_read(&c);
    assert_string_equal(r.body, "first");
    reply_free(&r);
    for (int i = 0; i < 300; i++)
        check("", 200, "{\"hello\":true}");
    buf_free(&all);
}

static void requests_before_the_clients_end_are_answered(void **state)
{
    (void)state;
    client_send(&c, STR("GET /hello HTTP/1.1\r\n" H "\r\nGET /hello HTTP/1.1\r\n" H "\r\n"));
    shutdown(c.fd, SHUT_WR);
    check("", 200, "{\"hello\":true}");
    check("", 200, "{\"hello\":true}");
    assert_true(client_at_end(&c));
}

/* ---- Afterwards ---- */

static void requests_are_counted(void **state)
{
    (void)state;
    check("GET /hello HTTP/1.1\r\n" H "\r\n", 200, "{\"hello\":true}");
    struct buf out = BUF_INIT(MIB(1));
    assert_int_equal(metrics_render(&out), 0);
    const char *text = buf_cstr(&out);
    assert_non_null(strstr(text, "http_route=\"/hello\""));
    assert_non_null(strstr(text, "parley_connections{kind=\"http\"} 1\n"));
    assert_non_null(strstr(text, "parley_network_sent_bytes"));
    buf_free(&out);
}

static void thousands_of_connections_leave_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct client many[100];
        for (size_t i = 0; i < COUNT(many); i++) {
            client_open(&many[i], live.port);
            client_send(&many[i], i % 3 ? STR("GET /hello HTTP/1.1\r\n" H "\r\n") : STR("POST /ec"));
        }
        for (size_t i = 0; i < COUNT(many); i++) {
            if (i % 3) {
                struct reply r = reply_read(&many[i]);
                assert_int_equal(r.status, 200);
                reply_free(&r);
            }
            client_close(&many[i]);
        }
    }
    while (server_connections(live.server) != 1)
        live_do(&live, live_ask_idle);
    assert_int_equal(conn_memory(), 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(answers_with_the_usual_headers),
        CASE(keeps_the_connection),
        CASE(closes_when_asked_to),
        CASE(fills_in_the_request),
        CASE(refuses_paths_that_cannot_be_decoded),
        CASE(request_ids_are_the_clients_when_sane),
        CASE(head_has_the_length_and_no_body),
        CASE(no_content_has_no_length),
        CASE(unknown_paths_and_methods),
        CASE(options_tell_what_is_allowed),
        CASE(preflights_are_answered_before_routing),
        CASE(errors_carry_text_code_and_retry),
        CASE(every_request_gets_exactly_one_reply),
        CASE(large_replies_and_heads),
        CASE(what_is_no_http_is_refused_in_json),
        CASE(bodies_arrive_whole),
        CASE(bodies_survive_any_split),
        CASE(large_bodies_grow_as_they_arrive),
        CASE(expect_continue_is_answered_when_the_body_is_wanted),
        CASE(bodies_over_the_limit_are_413),
        CASE(bodies_of_another_kind_are_415),
        CASE(a_route_may_take_every_kind_of_body),
        CASE(a_short_body_nobody_wants_is_skipped),
        CASE(pipelined_requests_are_answered_in_order),
        CASE(many_pipelined_requests_wait_in_the_socket),
        CASE(requests_before_the_clients_end_are_answered),
        CASE(requests_are_counted),
        CASE(thousands_of_connections_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
