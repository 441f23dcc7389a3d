#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "server/origin.h"

static void check(const char *pattern, const char *origin, bool expected)
{
    if (origin_matches(str_c(pattern), str_c(origin)) != expected)
        fail_msg("%s %s %s", pattern, expected ? "must match" : "must not match", origin);
}

static void patterns_match_exactly_what_they_name(void **state)
{
    (void)state;
    check("https://aimcs.net", "https://aimcs.net", true);
    check("https://aimcs.net", "HTTPS://AIMCS.NET", true);
    check("https://aimcs.net", "http://aimcs.net", false);
    check("https://aimcs.net", "https://aimcs.net:444", false);
    check("https://aimcs.net", "https://aimcs.net.evil.example", false);
    check("https://aimcs.net", "https://evil.example/https://aimcs.net", false);
    check("https://aimcs.net", "", false);
    check("", "", false);
    check("null", "null", false);
}

static void any_port_means_digits_or_none(void **state)
{
    (void)state;
    check("http://localhost:*", "http://localhost:5173", true);
    check("http://localhost:*", "http://localhost", true);
    check("http://127.0.0.1:*", "http://127.0.0.1:3000", true);
    check("http://localhost:*", "https://localhost:5173", false);
    check("http://localhost:*", "http://localhost:", false);
    check("http://localhost:*", "http://localhost:80x", false);
    check("http://localhost:*", "http://localhost.evil.example", false);
    check("http://localhost:*", "http://localhost:1@evil.example", false);
    check("http://localhost:*", "http://localhos", false);
}

static void star_takes_every_well_formed_origin(void **state)
{
    (void)state;
    check("*", "https://anything.example:8443", true);
    check("*", "http://[2001:db8::1]:80", true);
    check("*", "chrome-extension://abcdef", true);
    check("*", "null", true);
    check("*", "", false);
    check("*", "nonsense", false);
    check("*", "https://a b", false);
    check("*", "https://a/b", false);
    check("*", "://a", false);
    check("*", "https://", false);
    assert_false(origin_matches(STR("*"), str_n("http://a\0b", 10)));
}

static void long_origins_are_refused(void **state)
{
    (void)state;
    char text[300] = "https://";
    memset(text + 8, 'a', 290);
    assert_false(origin_matches(STR("*"), str_n(text, 298)));
    assert_true(origin_matches(STR("*"), str_n(text, 255)));
}

static void lists_allow_what_any_member_allows(void **state)
{
    (void)state;
    static const char *const list[] = {"https://one.example", "http://localhost:*"};
    assert_true(origin_allowed(list, COUNT(list), STR("http://localhost:1")));
    assert_true(origin_allowed(list, COUNT(list), STR("https://one.example")));
    assert_false(origin_allowed(list, COUNT(list), STR("https://two.example")));
    assert_false(origin_allowed(NULL, 0, STR("https://one.example")));
}

static void own_pages_are_recognised(void **state)
{
    (void)state;
    assert_true(origin_is_host(STR("http://127.0.0.1:8080"), STR("127.0.0.1:8080")));
    assert_true(origin_is_host(STR("https://chat.example"), STR("chat.example")));
    assert_true(origin_is_host(STR("https://Chat.example"), STR("chat.example:443")));
    assert_true(origin_is_host(STR("http://chat.example:80"), STR("chat.example")));
    assert_false(origin_is_host(STR("https://chat.example"), STR("chat.example:80")));
    assert_false(origin_is_host(STR("https://evil.example"), STR("chat.example")));
    assert_false(origin_is_host(STR("null"), STR("null")));
    assert_false(origin_is_host(STR("https://chat.example"), STR("")));
    assert_false(origin_is_host(STR("file://chat.example"), STR("chat.example")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_exactly_what_they_name), cmocka_unit_test(any_port_means_digits_or_none),
        cmocka_unit_test(star_takes_every_well_formed_origin),   cmocka_unit_test(long_origins_are_refused),
        cmocka_unit_test(lists_allow_what_any_member_allows),    cmocka_unit_test(own_pages_are_recognised),
    };
    return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
