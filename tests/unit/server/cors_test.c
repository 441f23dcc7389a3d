#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/cors.h"

static struct http_head head;
static struct buf out = BUF_INIT(KIB(64));

static const struct http_head *parse(const char *text)
{
    struct err e;
    if (http_head_parse(&head, str_c(text), 0, &e) <= 0)
        fail_msg("%s", e.text);
    return &head;
}

static int clear(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

#define HOST "Host: x\r\n"

static void replies_reflect_the_allowed_origin(void **state)
{
    (void)state;
    assert_int_equal(cors_put(&out, STR("http://localhost:5173")), 0);
    assert_string_equal(buf_cstr(&out),
                        "Access-Control-Allow-Origin: http://localhost:5173\r\n"
                        "Access-Control-Allow-Credentials: true\r\n"
                        "Access-Control-Expose-Headers: Link, X-Next-Cursor, X-Request-Id, RateLimit-Limit, "
                        "RateLimit-Remaining, RateLimit-Reset, Retry-After\r\n");
}

static void others_get_nothing(void **state)
{
    (void)state;
    assert_int_equal(cors_put(&out, STR("")), 0);
    assert_int_equal(out.len, 0);
}

static void preflights_are_recognised(void **state)
{
    (void)state;
    assert_true(cors_is_preflight(
        parse("OPTIONS / HTTP/1.1\r\n" HOST "Origin: http://a\r\nAccess-Control-Request-Method: POST\r\n\r\n")));
    assert_false(cors_is_preflight(parse("OPTIONS / HTTP/1.1\r\n" HOST "Origin: http://a\r\n\r\n")));
    assert_false(cors_is_preflight(parse("OPTIONS / HTTP/1.1\r\n" HOST "Access-Control-Request-Method: POST\r\n\r\n")));
    assert_false(cors_is_preflight(
        parse("GET / HTTP/1.1\r\n" HOST "Origin: http://a\r\nAccess-Control-Request-Method: POST\r\n\r\n")));
}

static void preflights_echo_the_headers_asked_for(void **state)
{
    (void)state;
    parse("OPTIONS / HTTP/1.1\r\n" HOST "Origin: http://a\r\nAccess-Control-Request-Method: POST\r\n"
          "Access-Control-Request-Headers: cache-control,content-type\r\n\r\n");
    assert_int_equal(cors_put_preflight(&out, STR("http://a"), &head), 0);
    assert_string_equal(buf_cstr(&out),
                        "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"
                        "Access-Control-Allow-Origin: http://a\r\n"
                        "Access-Control-Allow-Credentials: true\r\n"
                        "Access-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
                        "Access-Control-Max-Age: 7200\r\n"
                        "Access-Control-Allow-Headers: cache-control,content-type\r\n");
}

static void preflights_of_other_origins_only_vary(void **state)
{
    (void)state;
    parse("OPTIONS / HTTP/1.1\r\n" HOST "Origin: http://b\r\nAccess-Control-Request-Method: POST\r\n"
          "Access-Control-Request-Headers: x\r\n\r\n");
    assert_int_equal(cors_put_preflight(&out, STR(""), &head), 0);
    assert_string_equal(buf_cstr(&out),
                        "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n");
}

static void private_network_is_answered_when_asked(void **state)
{
    (void)state;
    parse("OPTIONS / HTTP/1.1\r\n" HOST "Origin: http://a\r\nAccess-Control-Request-Method: GET\r\n"
          "Access-Control-Request-Private-Network: true\r\n\r\n");
    assert_int_equal(cors_put_preflight(&out, STR("http://a"), &head), 0);
    assert_non_null(strstr(buf_cstr(&out), "Access-Control-Allow-Private-Network: true\r\n"));
    assert_null(strstr(buf_cstr(&out), "Allow-Headers"));
}

static void a_full_buffer_is_reported(void **state)
{
    (void)state;
    struct buf small = BUF_INIT(60);
    assert_int_equal(cors_put(&small, STR("http://a")), -1);
    buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(replies_reflect_the_allowed_origin, clear),
        cmocka_unit_test_teardown(others_get_nothing, clear),
        cmocka_unit_test_teardown(preflights_are_recognised, clear),
        cmocka_unit_test_teardown(preflights_echo_the_headers_asked_for, clear),
        cmocka_unit_test_teardown(preflights_of_other_origins_only_vary, clear),
        cmocka_unit_test_teardown(private_network_is_answered_when_asked, clear),
        cmocka_unit_test(a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests_name("cors", tests, NULL, NULL);
}
