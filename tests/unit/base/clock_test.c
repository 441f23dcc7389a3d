#include "unit/support/unit.h"

#include "base/clock.h"
#include "base/macros.h"

#include <time.h>

static const char *iso(int64_t ms)
{
    static char out[ISO_LEN + 1];
    memset(out, '#', sizeof out);
    clock_iso(out, ms);
    return out;
}

static void iso_is_what_javascript_writes(void **state)
{
    (void)state;
    assert_string_equal(iso(0), "1970-01-01T00:00:00.000Z");
    assert_string_equal(iso(1), "1970-01-01T00:00:00.001Z");
    assert_string_equal(iso(951827696789), "2000-02-29T12:34:56.789Z");
    assert_string_equal(iso(1795244413463), "2026-11-21T07:00:13.463Z");
    assert_string_equal(iso(1795244413999), "2026-11-21T07:00:13.999Z");
    assert_string_equal(iso(1795244414000), "2026-11-21T07:00:14.000Z");
    assert_string_equal(iso(1795244413001), "2026-11-21T07:00:13.001Z");
}

static void times_that_cannot_be_said_give_the_nearest_end(void **state)
{
    (void)state;
    assert_string_equal(iso(-1), "1970-01-01T00:00:00.000Z");
    assert_string_equal(iso(-1500), "1970-01-01T00:00:00.000Z");
    assert_string_equal(iso(INT64_MIN), "1970-01-01T00:00:00.000Z");
    assert_string_equal(iso(INT64_MAX), "9999-12-31T23:59:59.999Z");
    char date[30];
    clock_http_date(date, INT64_MAX);
    assert_string_equal(date, "Fri, 31 Dec 9999 23:59:59 GMT");
    clock_http_date(date, -1);
    assert_string_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void iso_is_read_back(void **state)
{
    (void)state;
    const int64_t times[] = {0, 999, 951827696789, 1795244413463, 253402300799999};
    for (size_t i = 0; i < COUNT(times); i++) {
        int64_t back = -1;
        assert_int_equal(clock_iso_parse(iso(times[i]), ISO_LEN, &back), 0);
        assert_int_equal(back, times[i]);
    }
    int64_t back;
    assert_int_equal(clock_iso_parse("2026-11-21T07:00:13Z", 20, &back), 0);
    assert_int_equal(back, 1795244413000);
    assert_int_equal(clock_iso_parse("2026-11-21T07:00:13.463", 23, &back), 0);
    assert_int_equal(back, 1795244413463);
    assert_int_equal(clock_iso_parse("2026-11-21T07:00:13", 19, &back), 0);
    assert_int_equal(back, 1795244413000);
    assert_int_equal(clock_iso_parse("2016-12-31T23:59:60Z", 20, &back), 0); /* a leap second */
    assert_string_equal(iso(back), "2017-01-01T00:00:00.000Z");
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-11-21",
        "2026-11-21 07:00:13Z",
        "2026-11-21T07:00:1",
        "2026-11-21T07:00:13.4Z",
        "2026-11-21T07:00:13.",
        "2026-11-21T07:00:13.4634Z",
        "2026-11-21T07:00:13+01:00",
        "2026-11-21T07:00:13ZZ",
        "2026-13-21T07:00:13Z",
        "2026-00-21T07:00:13Z",
        "2026-11-31T07:00:13Z",
        "2025-02-29T07:00:13Z",
        "2026-11-21T24:00:13Z",
        "2026-11-21T07:60:13Z",
        "2026-11-21T07:00:61Z",
        "1969-11-21T07:00:13Z",
        "-026-11-21T07:00:13Z",
        "2026-11-+1T07:00:13Z",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t out = 42;
        assert_int_equal(clock_iso_parse(bad[i], strlen(bad[i]), &out), -1);
        assert_int_equal(out, 42);
    }
    int64_t out;
    assert_int_equal(clock_iso_parse("2026-11-21T07:00:13.463Z", 22, &out), -1); /* the slice ends inside */
}

static void http_dates_are_imf_fixdates(void **state)
{
    (void)state;
    char date[30];
    clock_http_date(date, 784111777000); /* the example of RFC 9110 */
    assert_string_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    clock_http_date(date, 1795244413463);
    assert_string_equal(date, "Sat, 21 Nov 2026 07:00:13 GMT");
}

static void every_day_of_two_years_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 731; day++) {
        time_t t = (time_t)(1704067200 + day * 86400 + day * 61); /* 2024 is a leap year */
        struct tm tm;
        char want[40], got[30];
        gmtime_r(&t, &tm);
        strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        clock_http_date(got, (int64_t)t * 1000 + 5);
        assert_string_equal(got, want);
        strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.005Z", &tm);
        assert_string_equal(iso((int64_t)t * 1000 + 5), want);
    }
}

static void clocks_go_forward_and_agree(void **state)
{
    (void)state;
    uint64_t ns = clock_mono_ns(), ms = clock_mono_ms();
    assert_true(ms >= ns / 1000000);
    assert_true(clock_mono_ns() >= ns);
    int64_t us = clock_wall_us(), wall = clock_wall_ms();
    assert_true(wall >= us / 1000 && wall - us / 1000 < 60000);
    assert_true(wall > INT64_C(1700000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iso_is_what_javascript_writes),
        cmocka_unit_test(times_that_cannot_be_said_give_the_nearest_end),
        cmocka_unit_test(iso_is_read_back),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(http_dates_are_imf_fixdates),
        cmocka_unit_test(every_day_of_two_years_agrees_with_the_c_library),
        cmocka_unit_test(clocks_go_forward_and_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
