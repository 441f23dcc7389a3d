#include "unit/support/unit.h"

#include "base/macros.h"
#include "base/tally.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>

static const struct tally_rule three = {.limit = 3, .window_ms = 1000};

static struct tally_result take(struct tally *tally, unsigned number, struct tally_rule rule, uint64_t now_ms)
{
    unsigned char key[TALLY_KEY] = {0};
    memcpy(key, &number, sizeof number);
    return tally_take(tally, key, rule, now_ms);
}

static void a_window_takes_its_limit(void **state)
{
    (void)state;
    struct tally *tally = tally_new(1000);
    for (unsigned i = 1; i <= 3; i++) {
        struct tally_result r = take(tally, 1, three, 500);
        assert_true(r.allowed);
        assert_int_equal(r.remaining, 3 - i);
        assert_int_equal(r.left_ms, 1000);
    }
    struct tally_result r = take(tally, 1, three, 1400);
    assert_false(r.allowed);
    assert_int_equal(r.remaining, 0);
    assert_int_equal(r.left_ms, 100);
    assert_true(take(tally, 2, three, 1400).allowed);
    assert_false(take(tally, 1, three, 1499).allowed);
    assert_true(take(tally, 1, three, 1500).allowed);
    assert_int_equal(tally_keys(tally), 2);
    assert_null(tally_free(tally));
    assert_null(tally_free(NULL));
}

static void a_rule_may_change_under_way(void **state)
{
    (void)state;
    struct tally *tally = tally_new(1000);
    take(tally, 1, three, 0);
    take(tally, 1, three, 0);
    assert_false(take(tally, 1, (struct tally_rule){.limit = 2, .window_ms = 1000}, 0).allowed);
    assert_true(take(tally, 1, three, 0).allowed);
    assert_false(take(tally, 1, three, 10).allowed);
    assert_true(take(tally, 1, (struct tally_rule){.limit = 1, .window_ms = 10}, 10).allowed);
    tally_free(tally);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct tally *tally = tally_new(160);
    for (unsigned i = 0; i < 5000; i++)
        take(tally, i, three, i / 100);
    assert_true(tally_keys(tally) <= 160);
    for (unsigned i = 0; i < 500; i++)
        take(tally, 10000 + i, three, 100000); /* the others' windows are over */
    assert_true(tally_keys(tally) <= 160);
    tally_free(tally);
}

static void an_address_is_one_client(void **state)
{
    (void)state;
    unsigned char a[TALLY_KEY], b[TALLY_KEY];
    struct in6_addr one, two;
    static const struct {
        const char *one, *two;
        bool same;
    } cases[] = {
        {"2001:db8::1", "2001:db8::ffff:1", true},
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1", true},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(inet_pton(AF_INET6, cases[i].one, &one), 1);
        assert_int_equal(inet_pton(AF_INET6, cases[i].two, &two), 1);
        tally_address(a, &one);
        tally_address(b, &two);
        assert_int_equal(memcmp(a, b, TALLY_KEY) == 0, cases[i].same);
    }
}

struct taker {
    struct tally *tally;
    unsigned allowed;
};

static void *take_many(void *arg)
{
    struct taker *taker = arg;
    struct tally_rule rule = {.limit = 1000, .window_ms = 1000};
    for (unsigned i = 0; i < 8000; i++)
        taker->allowed += take(taker->tally, i % 2, rule, i / 100).allowed;
    return NULL;
}

static void threads_share_one_count(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct taker takers[COUNT(threads)];
    unsigned allowed = 0;
    struct tally *tally = tally_new(1000);
    for (size_t i = 0; i < COUNT(threads); i++) {
        takers[i] = (struct taker){.tally = tally};
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &takers[i]), 0);
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        allowed += takers[i].allowed;
    }
    assert_int_equal(allowed, 2000);
    tally_free(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_takes_its_limit), cmocka_unit_test(a_rule_may_change_under_way),
        cmocka_unit_test(memory_is_bounded),        cmocka_unit_test(an_address_is_one_client),
        cmocka_unit_test(threads_share_one_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
