#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/breaker.h"
#include "client/retry.h"
#include "client/upstream.h"

static void breaker_opens_after_failures_in_a_row(void **state)
{
    struct breaker b = {.limit = 3, .open_ms = 100};
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(breaker_admit(&b, 0));
        breaker_failure(&b, 0);
    }
    breaker_success(&b); /* counts start again */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(b.state, BREAKER_CLOSED);
        breaker_failure(&b, 10);
    }
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_false(breaker_admit(&b, 109));
    assert_int_equal(breaker_wait_ms(&b, 30), 80);
}

static void breaker_lets_one_try(void **state)
{
    struct breaker b = {.limit = 1, .open_ms = 100};
    (void)state;
    breaker_failure(&b, 0);
    assert_true(breaker_ready(&b, 100));
    assert_true(breaker_admit(&b, 100));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_false(breaker_admit(&b, 101));
    assert_true(breaker_wait_ms(&b, 101) > 0);
    breaker_failure(&b, 120);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_false(breaker_ready(&b, 219));
    assert_true(breaker_admit(&b, 220));
    breaker_abandon(&b, 230); /* told nothing: the next may try at once */
    assert_true(breaker_admit(&b, 230));
    breaker_success(&b);
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(breaker_wait_ms(&b, 231), 0);
}

static void late_failures_do_not_keep_it_open(void **state)
{
    struct breaker b = {.limit = 1, .open_ms = 100};
    (void)state;
    breaker_failure(&b, 0);
    breaker_failure(&b, 90); /* of a call let through before */
    assert_true(breaker_ready(&b, 100));
    breaker_abandon(&b, 100);
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void breaker_without_a_limit_never_opens(void **state)
{
    struct breaker b = {0};
    (void)state;
    for (int i = 0; i < 100; i++)
        breaker_failure(&b, 0);
    assert_true(breaker_admit(&b, 0));
}

static bool wanted(int status, const char *should)
{
    struct retry_reply reply = {.status = status, .should_retry = str_c(should)};
    return retry_wanted(&reply);
}

static void which_replies_are_tried_again(void **state)
{
    static const int yes[] = {408, 409, 429, 500, 502, 503, 504, 529}, no[] = {200, 400, 401, 403, 404, 413, 422, 499};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        assert_true(wanted(yes[i], NULL));
        assert_false(wanted(yes[i], "false"));
        assert_false(wanted(no[i], NULL));
    }
    assert_true(wanted(400, "true"));
    assert_false(wanted(200, "true"));
    assert_true(wanted(500, "maybe"));
}

static int64_t asked(const char *ms, const char *after)
{
    struct retry_reply reply = {.status = 429, .retry_after_ms = str_c(ms), .retry_after = str_c(after)};
    return retry_asked_ms(&reply, 1795244413000); /* Sat, 21 Nov 2026 07:00:13 GMT */
}

static void what_the_headers_ask_for(void **state)
{
    (void)state;
    assert_int_equal(asked(NULL, NULL), -1);
    assert_int_equal(asked("350", NULL), 350);
    assert_int_equal(asked("12.7", "9"), 12);
    assert_int_equal(asked("soon", "2"), 2000);
    assert_int_equal(asked(NULL, " 1.5 "), 1500);
    assert_int_equal(asked(NULL, "0"), 0);
    assert_int_equal(asked(NULL, "-1"), -1);
    assert_int_equal(asked(NULL, "nan"), -1);
    assert_int_equal(asked(NULL, "1e300"), 86400000);
    assert_int_equal(asked(NULL, "Sat, 21 Nov 2026 07:00:20 GMT"), 7000);
    assert_int_equal(asked(NULL, "Sat, 21 Nov 2026 06:00:00 GMT"), 0);
    assert_int_equal(asked(NULL, "no date"), -1);
}

static void backoff_doubles_up_to_eight_seconds(void **state)
{
    static const unsigned full[] = {500, 1000, 2000, 4000, 8000, 8000, 8000};
    (void)state;
    for (unsigned i = 0; i < 7; i++)
        for (int k = 0; k < 200; k++) {
            unsigned ms = retry_backoff_ms(i);
            assert_in_range(ms, full[i] * 3 / 4, full[i]);
        }
}

int main(void)
{
    if (client_setup(NULL) < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(breaker_opens_after_failures_in_a_row), cmocka_unit_test(breaker_lets_one_try),
        cmocka_unit_test(late_failures_do_not_keep_it_open),     cmocka_unit_test(breaker_without_a_limit_never_opens),
        cmocka_unit_test(which_replies_are_tried_again),         cmocka_unit_test(what_the_headers_ask_for),
        cmocka_unit_test(backoff_doubles_up_to_eight_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
