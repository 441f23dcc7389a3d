#include "load.h"

static struct trust_proxy trust_of(struct arena *a, const char *text)
{
    struct trust_proxy trust = {0};
    struct err e;
    if (trust_parse(a, str_c(text), &trust, &e) < 0)
        fail_msg("%s refused", text);
    return trust;
}

static void nobody_and_hops(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    struct trust_proxy none = trust_of(a, "false"), two = trust_of(a, "2");
    assert_int_equal(none.hops, 0);
    assert_int_equal(none.count, 0);
    assert_false(trust_has(&none, STR("127.0.0.1")));
    assert_int_equal(two.hops, 2);
    assert_int_equal(trust_of(a, "0").hops, 0);
    arena_free(a);
}

static void networks(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    struct trust_proxy t = trust_of(a, "10.1.0.0/16, 192.168.7.9,172.16.0.0/12 , 2001:db8::/33,loopback");
    const char *const in[] = {"10.1.0.0",  "10.1.255.255", "192.168.7.9",     "172.31.1.1", "2001:db8:7fff::1",
                              "127.8.8.8", "::1",          "::ffff:10.1.2.3", "2001:db8::"};
    const char *const out[] = {
        "10.2.0.1",    "192.168.7.8", "172.32.0.1",      "172.15.255.255", "2001:db8:8000::1", "::2",          "",
        "example.org", "10.1.0.0.1",  "::ffff:10.2.2.3", "128.0.0.1",      "10.1.0.0/16",      "10.1.0.1:8080"};
    for (size_t i = 0; i < COUNT(in); i++)
        if (!trust_has(&t, str_c(in[i])))
            fail_msg("%s should be trusted", in[i]);
    for (size_t i = 0; i < COUNT(out); i++)
        if (trust_has(&t, str_c(out[i])))
            fail_msg("%s should not be trusted", out[i]);
    struct trust_proxy all = trust_of(a, "0.0.0.0/0");
    assert_true(trust_has(&all, STR("8.8.8.8")));
    assert_false(trust_has(&all, STR("2001:db8::1")));
    struct trust_proxy private = trust_of(a, "uniquelocal,linklocal");
    assert_true(trust_has(&private, STR("192.168.200.1")));
    assert_true(trust_has(&private, STR("fdff::1")));
    assert_true(trust_has(&private, STR("169.254.1.1")));
    assert_true(trust_has(&private, STR("febf::1")));
    assert_false(trust_has(&private, STR("fec0::1")));
    arena_free(a);
}

static void refused(void **state)
{
    (void)state;
    const char *const wrong[] = {"true",       "17",          "-1",      "10.0.0.0/33", "::1/129", "10.0.0.0/",
                                 "10.0.0.0/x", "10.0.0.0/8,", "proxies", "10.0.0.256",  "/8",      "10.0.0.0/8/8"};
    struct arena *a = arena_new("test");
    struct trust_proxy trust = {.hops = 7};
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (trust_parse(a, str_c(wrong[i]), &trust, NULL) == 0)
            fail_msg("%s was taken", wrong[i]);
    struct buf many = BUF_INIT(KIB(8));
    for (int i = 0; i < 65; i++)
        buf_addf(&many, "%s10.0.0.%d", i ? "," : "", i);
    assert_int_equal(trust_parse(a, buf_str(&many), &trust, NULL), -1);
    buf_clear(&many);
    for (int i = 0; i < 63; i++)
        buf_addf(&many, "10.0.0.%d,", i);
    buf_lit(&many, "loopback"); /* two networks, one place left */
    assert_int_equal(trust_parse(a, buf_str(&many), &trust, NULL), -1);
    assert_int_equal(trust.hops, 7);
    buf_free(&many);
    arena_free(a);
}

static void loopback(void **state)
{
    (void)state;
    assert_true(address_is_loopback(STR("127.0.0.1")));
    assert_true(address_is_loopback(STR("::1")));
    assert_true(address_is_loopback(STR("LocalHost")));
    assert_false(address_is_loopback(STR("0.0.0.0")));
    assert_false(address_is_loopback(STR("::")));
    assert_false(address_is_loopback(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_and_hops),
        cmocka_unit_test(networks),
        cmocka_unit_test(refused),
        cmocka_unit_test(loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
