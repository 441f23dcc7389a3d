#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "server/proxy.h"

static struct proxy_client client;

static void resolve(const char *trust_text, const char *peer_text, const char *headers)
{
    struct arena *a = arena_new("test");
    struct trust_proxy trust = {0};
    struct http_head head;
    struct in6_addr peer;
    struct err e;
    if (*trust_text)
        assert_int_equal(trust_parse(a, str_c(trust_text), &trust, &e), 0);
    assert_int_equal(proxy_parse_address(str_c(peer_text), &peer), 0);
    struct str text = arena_printf(a, "GET / HTTP/1.1\r\nHost: here\r\n%s\r\n", headers);
    if (http_head_parse(&head, text, 0, &e) <= 0)
        fail_msg("%s", e.text);
    proxy_resolve(&trust, &peer, false, &head, &client);
    if (str_eq(client.host, STR("here")))
        client.host = STR("here");
    else if (str_eq(client.host, STR("there")))
        client.host = STR("there");
    arena_free(a);
}

static void check(const char *trust, const char *peer, const char *headers, const char *expected)
{
    resolve(trust, peer, headers);
    if (strcmp(client.address, expected) != 0)
        fail_msg("trust %s peer %s %s: %s, not %s", trust, peer, headers, client.address, expected);
}

static void strangers_are_not_believed(void **state)
{
    (void)state;
    const char *headers = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: there\r\n";
    resolve("", "9.9.9.9", headers);
    assert_string_equal(client.address, "9.9.9.9");
    assert_false(client.secure);
    assert_true(str_eqc(client.host, "here"));
    resolve("10.0.0.0/8", "9.9.9.9", headers);
    assert_string_equal(client.address, "9.9.9.9");
    assert_false(client.secure);
}

static void trusted_peers_tell_scheme_and_host(void **state)
{
    (void)state;
    resolve("loopback", "127.0.0.1",
            "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: there, x\r\n");
    assert_string_equal(client.address, "1.1.1.1");
    assert_true(client.secure);
    assert_true(str_eqc(client.host, "there"));
}

static void the_rightmost_untrusted_address_wins(void **state)
{
    (void)state;
    check("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 2.2.2.2, 10.1.1.1\r\n", "2.2.2.2");
    check("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 2.2.2.2\r\n", "2.2.2.2");
    check("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 3.3.3.3\r\n", "3.3.3.3");
    check("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 3.3.3.3\r\nX-Forwarded-For: 10.9.9.9\r\n", "3.3.3.3");
    check("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 10.2.2.2, 10.1.1.1\r\n", "10.2.2.2");
    check("10.0.0.0/8", "10.0.0.1", "", "10.0.0.1");
}

static void hops_count_from_the_right(void **state)
{
    (void)state;
    const char *headers = "X-Forwarded-For: 6.6.6.6, 2.2.2.2, 3.3.3.3\r\n";
    check("1", "9.9.9.9", headers, "3.3.3.3");
    check("2", "9.9.9.9", headers, "2.2.2.2");
    check("3", "9.9.9.9", headers, "6.6.6.6");
    check("5", "9.9.9.9", headers, "6.6.6.6");
    check("1", "9.9.9.9", "", "9.9.9.9");
}

static void what_is_no_address_ends_the_search(void **state)
{
    (void)state;
    check("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 1.1.1.1, unknown\r\n", "10.0.0.1");
    check("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 1.1.1.1, evil, 10.3.3.3\r\n", "10.3.3.3");
    check("1", "9.9.9.9", "X-Forwarded-For: ,\r\n", "9.9.9.9");
}

static void ipv6_is_understood(void **state)
{
    (void)state;
    check("fd00::/8", "fd00::1", "X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7");
    check("fd00::/8, ::1", "::1", "X-Forwarded-For: \"x\", [2001:db8::7]:443, fd00::2\r\n", "2001:db8::7");
    check("loopback", "::1", "X-Forwarded-For: 1.2.3.4:5678\r\n", "1.2.3.4");
    check("127.0.0.1", "127.0.0.1", "X-Forwarded-For: ::ffff:1.2.3.4\r\n", "1.2.3.4");
}

static void addresses_are_parsed_strictly(void **state)
{
    (void)state;
    struct in6_addr addr;
    char text[CONN_ADDRESS_MAX];
    assert_int_equal(proxy_parse_address(STR(" [::1] "), &addr), 0);
    proxy_format_address(&addr, text);
    assert_string_equal(text, "::1");
    static const char *const bad[] = {
        "",          "[",     "[]",        "[::1",      "[::1]x", "1.2.3",
        "1.2.3.4.5", "::1::", "localhost", "1.2.3.4/8", "a:1",    "12345678901234567890123456789012345678901234567890"};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (proxy_parse_address(str_c(bad[i]), &addr) == 0)
            fail_msg("%s was taken", bad[i]);
    assert_int_equal(proxy_parse_address(str_n("1.2.3.4\0x", 9), &addr), -1);
}

static void own_tls_counts_without_any_proxy(void **state)
{
    (void)state;
    struct in6_addr peer = IN6ADDR_LOOPBACK_INIT;
    proxy_resolve(&(struct trust_proxy){0}, &peer, true, NULL, &client);
    assert_true(client.secure);
    assert_string_equal(client.address, "::1");
    assert_int_equal(client.host.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_not_believed),           cmocka_unit_test(trusted_peers_tell_scheme_and_host),
        cmocka_unit_test(the_rightmost_untrusted_address_wins), cmocka_unit_test(hops_count_from_the_right),
        cmocka_unit_test(what_is_no_address_ends_the_search),   cmocka_unit_test(ipv6_is_understood),
        cmocka_unit_test(addresses_are_parsed_strictly),        cmocka_unit_test(own_tls_counts_without_any_proxy),
    };
    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
