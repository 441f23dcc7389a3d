#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/http.h"

static struct buf out = BUF_INIT(64);

static void assert_out(const char *want)
{
    assert_int_equal(out.len, strlen(want));
    assert_string_equal(buf_str(&out).p, want);
}

static void status_lines(void **state)
{
    (void)state;
    assert_string_equal(http_status_line(101), "101 Switching Protocols");
    assert_string_equal(http_status_line(200), "200 OK");
    assert_string_equal(http_status_line(499), "499 Client Closed Request");
    assert_string_equal(http_status_line(505), "505 HTTP Version Not Supported");
    assert_string_equal(http_status_line(500), "500 Internal Server Error");
    assert_string_equal(http_status_line(0), "500 Internal Server Error");
}

static void every_error_has_its_status_line(void **state)
{
    (void)state;
    for (int code = ERR_NONE + 1; code < ERR_CODES; code++) {
        int status = err_status((enum err_code)code);
        uint64_t number;
        assert_int_equal(str_u64(str_n(http_status_line(status), 3), &number), 0);
        assert_int_equal(number, status);
    }
}

static void paths(void **state)
{
    (void)state;
    buf_lit(&out, "old");
    assert_int_equal(http_path_decode(&out, STR("/a+b/%41%c3%A9%2Fx"), false), 0);
    assert_out("/a+b/A\xC3\xA9/x");
    assert_int_equal(http_path_decode(&out, STR(""), true), 0);
    assert_out("");
    assert_int_equal(http_path_decode(&out, STR_NONE, true), 0);
    assert_int_equal(http_path_decode(&out, STR("a%20b"), true), 0);
    assert_out("a b");
    assert_int_equal(http_path_decode(&out, STR("%2e%2E"), true), 0);
    assert_out("..");
}

static void malformed_paths(void **state)
{
    (void)state;
    static const char *const wrong[] = {"%",   "a%4", "%4g", "%g4", "%%41",     "%00",
                                        "%2f", "a/b", "%C3", "%FF", "%ed%a0%80"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(http_path_decode(&out, str_c(wrong[i]), true), -1);
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(http_path_decode(&out, STR("a\0b"), false), -1);
}

static void path_ceiling(void **state)
{
    (void)state;
    struct buf small = BUF_INIT(4);
    assert_int_equal(http_path_decode(&small, STR("abc"), true), 0);
    assert_int_equal(http_path_decode(&small, STR("abcd"), true), -1);
    buf_free(&small);
}

static void queries(void **state)
{
    (void)state;
    struct str q = STR("a=1&b=x+y%26z&c&d=&%65%3D=6&b=second&f=%zz&g=%00");
    assert_int_equal(http_query_get(&out, q, STR("a")), 1);
    assert_out("1");
    assert_int_equal(http_query_get(&out, q, STR("b")), 1);
    assert_out("x y&z");
    assert_int_equal(http_query_get(&out, q, STR("c")), 1);
    assert_out("");
    assert_int_equal(http_query_get(&out, q, STR("d")), 1);
    assert_out("");
    assert_int_equal(http_query_get(&out, q, STR("e=")), 1);
    assert_out("6");
    assert_int_equal(http_query_get(&out, q, STR("aa")), 0);
    assert_out("6");
    assert_int_equal(http_query_get(&out, q, STR("")), 0);
    assert_int_equal(http_query_get(&out, q, STR("f")), -1);
    assert_int_equal(http_query_get(&out, q, STR("g")), 1);
    assert_int_equal(out.len, 1);
    assert_int_equal(http_query_get(&out, STR(""), STR("a")), 0);
    assert_int_equal(http_query_get(&out, STR_NONE, STR("a")), 0);
}

static void walking_queries(void **state)
{
    (void)state;
    struct str q = STR("a=1&&b+c=x%26z&d&%zz=1&=2&e=%ff&f=3");
    const char *const expected[][2] = {{"a", "1"}, {"b c", "x&z"}, {"d", ""}, {NULL}, {"", "2"}, {NULL}, {"f", "3"}};
    struct buf value = BUF_INIT(64);
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_int_equal(http_query_next(&q, &out, &value), expected[i][0] ? 1 : -1);
        if (!expected[i][0])
            continue;
        assert_out(expected[i][0]);
        assert_true(str_eqc(buf_str(&value), expected[i][1]));
    }
    assert_int_equal(http_query_next(&q, &out, &value), 0);
    assert_int_equal(http_query_next(&q, &out, &value), 0);
    buf_free(&value);
}

static int free_out(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_lines),    cmocka_unit_test(every_error_has_its_status_line),
        cmocka_unit_test(paths),           cmocka_unit_test(malformed_paths),
        cmocka_unit_test(path_ceiling),    cmocka_unit_test(queries),
        cmocka_unit_test(walking_queries),
    };
    return cmocka_run_group_tests(tests, NULL, free_out);
}
