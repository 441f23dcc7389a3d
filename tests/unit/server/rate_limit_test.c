#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/proxy.h"
#include "server/rate_limit.h"

#include <pthread.h>

static struct in6_addr address(const char *text)
{
    struct in6_addr addr;
    assert_int_equal(proxy_parse_address(str_c(text), &addr), 0);
    return addr;
}

static struct rate_verdict take(struct rate_limit *rl, const char *text, uint64_t now)
{
    struct in6_addr addr = address(text);
    return rate_limit_take(rl, &addr, now);
}

static void the_limit_holds_within_a_window(void **state)
{
    (void)state;
    struct rate_limit *rl = rate_limit_new(3, 10000);
    for (uint64_t i = 1; i <= 3; i++) {
        struct rate_verdict v = take(rl, "1.2.3.4", 5000);
        assert_true(v.allowed);
        assert_int_equal(v.remaining, 3 - i);
        assert_int_equal(v.reset, 10);
    }
    struct rate_verdict v = take(rl, "1.2.3.4", 12001);
    assert_false(v.allowed);
    assert_int_equal(v.remaining, 0);
    assert_int_equal(v.reset, 3);
    assert_true(take(rl, "1.2.3.5", 12001).allowed);
    assert_false(take(rl, "1.2.3.4", 14999).allowed);
    v = take(rl, "1.2.3.4", 15000);
    assert_true(v.allowed);
    assert_int_equal(v.remaining, 2);
    rate_limit_free(rl);
}

static void an_ipv6_client_is_its_network(void **state)
{
    (void)state;
    struct rate_limit *rl = rate_limit_new(1, 1000);
    assert_true(take(rl, "2001:db8:1:2::1", 0).allowed);
    assert_false(take(rl, "2001:db8:1:2:ffff::9", 0).allowed);
    assert_true(take(rl, "2001:db8:1:3::1", 0).allowed);
    assert_int_equal(rate_limit_clients(rl), 2);
    rate_limit_free(rl);
}

static void a_clock_that_lags_does_not_open_a_window(void **state)
{
    (void)state;
    struct rate_limit *rl = rate_limit_new(1, 1000);
    assert_true(take(rl, "1.2.3.4", 100).allowed);
    assert_false(take(rl, "1.2.3.4", 98).allowed);
    rate_limit_free(rl);
}

static void off_allows_everything_and_remembers_nothing(void **state)
{
    (void)state;
    struct rate_limit *rl = rate_limit_new(0, 1000);
    struct buf out = BUF_INIT(1000);
    assert_false(rate_limit_is_on(rl));
    struct rate_verdict v = take(rl, "1.2.3.4", 0);
    assert_true(v.allowed);
    assert_int_equal(rate_limit_put(&out, &v), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(rate_limit_clients(rl), 0);
    rate_limit_set(rl, 1, 1000);
    assert_true(rate_limit_is_on(rl));
    assert_true(take(rl, "1.2.3.4", 0).allowed);
    assert_false(take(rl, "1.2.3.4", 0).allowed);
    rate_limit_set(rl, 3, 1000);
    assert_true(take(rl, "1.2.3.4", 0).allowed);
    rate_limit_free(rl);
}

static void memory_is_bounded_and_the_oldest_goes(void **state)
{
    (void)state;
    struct rate_limit *rl = rate_limit_new(1, 1000000);
    struct in6_addr first = address("2001:db8::1");
    assert_true(rate_limit_take(rl, &first, 0).allowed);
    assert_false(rate_limit_take(rl, &first, 0).allowed);
    for (uint32_t i = 0; i < 2 * RATE_LIMIT_CLIENTS; i++) {
        struct in6_addr addr = {.s6_addr = {0x20, 2}};
        memcpy(addr.s6_addr + 4, &i, sizeof i);
        assert_true(rate_limit_take(rl, &addr, 1 + i / 1000).allowed);
    }
    assert_true(rate_limit_clients(rl) <= RATE_LIMIT_CLIENTS);
    assert_true(rate_limit_take(rl, &first, 1000).allowed);
    rate_limit_free(rl);
}

static void finished_windows_are_forgotten(void **state)
{
    (void)state;
    struct rate_limit *rl = rate_limit_new(5, 10);
    for (uint32_t i = 0; i < 100000; i++) {
        struct in6_addr addr = {.s6_addr = {0x20, 2}};
        memcpy(addr.s6_addr + 4, &i, sizeof i);
        rate_limit_take(rl, &addr, i);
    }
    assert_true(rate_limit_clients(rl) <= 16 * 11);
    rate_limit_free(rl);
}

static void headers_tell_the_state(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(1000);
    struct rate_verdict v = {.allowed = true, .limit = 100, .remaining = 7, .reset = 60};
    assert_int_equal(rate_limit_put(&out, &v), 0);
    assert_string_equal(buf_cstr(&out), "RateLimit-Limit: 100\r\nRateLimit-Remaining: 7\r\nRateLimit-Reset: 60\r\n");
    buf_clear(&out);
    v = (struct rate_verdict){.allowed = false, .limit = 100, .reset = 1};
    assert_int_equal(rate_limit_put(&out, &v), 0);
    assert_string_equal(buf_cstr(&out),
                        "RateLimit-Limit: 100\r\nRateLimit-Remaining: 0\r\nRateLimit-Reset: 1\r\nRetry-After: 1\r\n");
    buf_free(&out);
    struct buf small = BUF_INIT(20);
    assert_int_equal(rate_limit_put(&small, &v), -1);
    buf_free(&small);
    struct err e;
    assert_int_equal(rate_limit_refuse(&e), -1);
    assert_int_equal(e.status, 429);
    assert_string_equal(e.text, "Too many requests from this IP");
    assert_string_equal(err_name(e.code), "RATE_LIMIT_EXCEEDED");
}

static void only_api_paths_are_covered(void **state)
{
    (void)state;
    assert_true(rate_limit_covers(STR("/api/chat")));
    assert_true(rate_limit_covers(STR("/v1/models")));
    assert_false(rate_limit_covers(STR("/health")));
    assert_false(rate_limit_covers(STR("/apis")));
    assert_false(rate_limit_covers(STR("/api/socket.io/")));
    assert_false(rate_limit_covers(STR("/")));
}

struct crowd {
    struct rate_limit *rl;
    uint64_t allowed;
};

static void *push(void *arg)
{
    struct crowd *crowd = arg;
    struct in6_addr addr = address("1.2.3.4");
    for (int i = 0; i < 20000; i++)
        crowd->allowed += rate_limit_take(crowd->rl, &addr, 7).allowed;
    return NULL;
}

static void loops_share_one_count(void **state)
{
    (void)state;
    struct rate_limit *rl = rate_limit_new(30000, 1000);
    struct crowd crowd[4];
    pthread_t threads[4];
    uint64_t allowed = 0;
    for (int i = 0; i < 4; i++) {
        crowd[i] = (struct crowd){rl, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, push, &crowd[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        allowed += crowd[i].allowed;
    }
    assert_int_equal(allowed, 30000);
    rate_limit_free(rl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_holds_within_a_window),
        cmocka_unit_test(an_ipv6_client_is_its_network),
        cmocka_unit_test(a_clock_that_lags_does_not_open_a_window),
        cmocka_unit_test(off_allows_everything_and_remembers_nothing),
        cmocka_unit_test(memory_is_bounded_and_the_oldest_goes),
        cmocka_unit_test(finished_windows_are_forgotten),
        cmocka_unit_test(headers_tell_the_state),
        cmocka_unit_test(only_api_paths_are_covered),
        cmocka_unit_test(loops_share_one_count),
    };
    return cmocka_run_group_tests_name("rate_limit", tests, NULL, NULL);
}
