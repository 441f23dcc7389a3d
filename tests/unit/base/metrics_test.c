#include "unit/support/unit.h"

#include "base/metrics.h"
#include "unit/support/child.h"

#include <math.h>
#include <pthread.h>

static const char *rendered(void)
{
    static struct buf out = BUF_INIT(MIB(1));
    buf_clear(&out);
    assert_int_equal(metrics_render(&out), 0);
    return buf_cstr(&out);
}

static void counters_and_gauges_are_shown_by_name(void **state)
{
    (void)state;
    struct metric *b = metric_counter("t_requests_total", "Requests.", "route=\"/b\"");
    struct metric *a = metric_counter("t_requests_total", "Requests.", "route=\"/a\"");
    struct metric *g = metric_gauge("t_open", "Open.", NULL);
    metric_inc(b);
    metric_add(a, 5);
    metric_set(g, 7);
    metric_dec(g);
    metric_inc(metric_counter("t_requests_total", "Requests.", "route=\"/b\"")); /* the same metric */
    assert_int_equal(metric_value(b), 2);
    const char *text = rendered();
    assert_non_null(strstr(text,
                           "# HELP t_open Open.\n# TYPE t_open gauge\nt_open 6\n# HELP t_requests_total Requests.\n"
                           "# TYPE t_requests_total counter\nt_requests_total{route=\"/b\"} 2\n"
                           "t_requests_total{route=\"/a\"} 5\n"));
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    struct metric *h = metric_histogram("t_seconds", "Time.", "kind=\"x\"", metric_seconds, 14, 1e-9);
    metric_observe(h, 5000000);      /* exactly the first bound: counts there */
    metric_observe(h, 5000001);      /* the second */
    metric_observe(h, 900000000000); /* past all */
    const char *text = rendered();
    assert_non_null(strstr(text, "# TYPE t_seconds histogram\nt_seconds_bucket{kind=\"x\",le=\"0.005\"} 1\n"
                                 "t_seconds_bucket{kind=\"x\",le=\"0.01\"} 2\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{kind=\"x\",le=\"10\"} 2\n"
                                 "t_seconds_bucket{kind=\"x\",le=\"+Inf\"} 3\n"
                                 "t_seconds_sum{kind=\"x\"} 900.01"));
    assert_non_null(strstr(text, "\nt_seconds_count{kind=\"x\"} 3\n"));
    static const double bytes[] = {1000, 1e6};
    metric_observe(metric_histogram("t_bytes", "Size.", NULL, bytes, 2, 1), 12);
    assert_non_null(strstr(rendered(), "t_bytes_bucket{le=\"1000\"} 1\nt_bytes_bucket{le=\"1000000\"} 1\n"
                                       "t_bytes_bucket{le=\"+Inf\"} 1\nt_bytes_sum 12\nt_bytes_count 1\n"));
}

static double answer(void *arg)
{
    return *(double *)arg;
}

static void asked_gauges_may_say_anything(void **state)
{
    (void)state;
    static double values[] = {2.5, NAN, INFINITY, -INFINITY};
    metric_gauge_fn("t_asked", "Asked.", "v=\"n\"", answer, &values[0]);
    metric_gauge_fn("t_asked", "Asked.", "v=\"nan\"", answer, &values[1]);
    metric_gauge_fn("t_asked", "Asked.", "v=\"inf\"", answer, &values[2]);
    metric_gauge_fn("t_asked", "Asked.", "v=\"-inf\"", answer, &values[3]);
    const char *text = rendered();
    assert_non_null(strstr(text, "# TYPE t_asked gauge\nt_asked{v=\"n\"} 2.5\nt_asked{v=\"nan\"} NaN\n"
                                 "t_asked{v=\"inf\"} +Inf\nt_asked{v=\"-inf\"} -Inf\n"));
    values[0] = 3;
    assert_non_null(strstr(rendered(), "t_asked{v=\"n\"} 3\n"));
}

static void labels_are_escaped(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100);
    metric_label(&b, "route", STR("/a\"b\\c\nd"));
    metric_label(&b, "m", STR_NONE);
    assert_str(buf_str(&b), "route=\"/a\\\"b\\\\c\\nd\",m=\"\"");
    buf_free(&b);
}

static void long_labels_are_not_cut(void **state)
{
    (void)state;
    struct buf labels = BUF_INIT(2000);
    char value[1000];
    memset(value, 'x', sizeof value);
    metric_label(&labels, "l", str_n(value, sizeof value));
    static const double bounds[] = {1};
    metric_observe(metric_histogram("t_long", "Long.", buf_cstr(&labels), bounds, 1, 1), 1);
    assert_non_null(strstr(rendered(), "xxx\",le=\"1\"} 1\n"));
    buf_free(&labels);
}

static void a_full_buffer_is_reported(void **state)
{
    (void)state;
    metric_set(metric_gauge("t_some", "Some.", NULL), 1);
    size_t whole = strlen(rendered());
    for (size_t max = 0; max < whole; max += 1 + max / 50) {
        struct buf b = BUF_INIT(max);
        assert_int_equal(metrics_render(&b), -1);
        buf_free(&b);
    }
    struct buf b = BUF_INIT(whole);
    assert_int_equal(metrics_render(&b), 0);
    buf_free(&b);
}

static void two_kinds(void)
{
    metric_counter("t_kind", "Kind.", NULL);
    metric_gauge("t_kind", "Kind.", NULL);
}

static void one_name_has_one_kind(void **state)
{
    (void)state;
    static struct child child;
    child_run(&child, two_kinds);
    assert_true(child_aborted(&child));
    assert_non_null(strstr(child.err, "metric t_kind is registered as two kinds"));
}

enum { ROUNDS = 2000 };
static const double small[] = {1, 2};

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        metric_inc(metric_counter("t_threads_total", "Threads.", NULL));
        metric_observe(metric_histogram("t_threads", "Threads.", NULL, small, 2, 1), (uint64_t)i % 3);
    }
    return NULL;
}

static void threads_count_together_while_another_renders(void **state)
{
    (void)state;
    pthread_t threads[3];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < 20; i++)
        rendered();
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    const char *text = rendered();
    assert_non_null(strstr(text, "t_threads_total 6000\n"));
    assert_non_null(strstr(text, "t_threads_count 6000\n"));
    assert_non_null(strstr(text, "t_threads_sum 5997\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_are_shown_by_name),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(asked_gauges_may_say_anything),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(long_labels_are_not_cut),
        cmocka_unit_test(a_full_buffer_is_reported),
        cmocka_unit_test(one_name_has_one_kind),
        cmocka_unit_test(threads_count_together_while_another_renders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
