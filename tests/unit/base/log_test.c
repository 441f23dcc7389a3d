#include "unit/support/unit.h"

#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "unit/support/child.h"

#include <pthread.h>

static struct child child;

/* Runs fn with stderr caught; the text without the leading ts= field of its only line. */
static const char *caught(void (*fn)(void))
{
    child_run(&child, fn);
    assert_int_equal(child.status, 0);
    return child.err;
}

static const char *behind_ts(const char *line)
{
    assert_memory_equal(line, "ts=2", 4);
    assert_int_equal(line[27], ' ');
    return line + 28;
}

static void text_lines(void)
{
    log_setup(LOG_INFO, LOG_TEXT);
    log_debug("test", "hidden", F_NONE);
    log_info("net", "listening", F_STR("host", STR("127.0.0.1")), F_INT("port", 8080), F_NONE);
    log_error("x", "odd", F_C("empty", ""), F_C("q", "a b"), F_C("e", "a=b"), F_C("nl", "a\nb"), F_INT("n", -5),
              F_C("null", NULL), F_STR("bad", STR("\xFF")), F_INT("min", INT64_MIN));
}

static void text_is_one_line_per_event(void **state)
{
    (void)state;
    const char *out = behind_ts(caught(text_lines));
    const char *first = "level=info area=net event=listening host=127.0.0.1 port=8080\n";
    assert_memory_equal(out, first, strlen(first));
    assert_string_equal(behind_ts(out + strlen(first)),
                        "level=error area=x event=odd empty=\"\" q=\"a b\" e=\"a=b\" nl=\"a\\nb\" n=-5 null=0 "
                        "bad=\xEF\xBF\xBD min=-9223372036854775808\n");
}

static void json_lines(void)
{
    log_setup(LOG_DEBUG, LOG_JSON);
    log_request_id = "req-1";
    struct err e;
    err_set(&e, ERR_TIMEOUT, "too \"slow\"");
    log_warn("llm", "failed", F_ERR(&e), F_INT("ms", 12));
}

static void json_lines_parse(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    const cJSON *line = json_parse(a, str_c(caught(json_lines)), NULL);
    assert_non_null(line);
    assert_str(json_str(line, "level"), "warn");
    assert_str(json_str(line, "area"), "llm");
    assert_str(json_str(line, "event"), "failed");
    assert_str(json_str(line, "request"), "req-1");
    assert_str(json_str(line, "error"), "too \"slow\"");
    assert_true(json_num(line, "ms", 0) == 12);
    assert_int_equal(json_str(line, "ts").n, 24);
    arena_free(a);
}

static enum log_format format;

static void long_line(void)
{
    static char big[100000];
    for (size_t i = 0; i + 2 < sizeof big; i += 2)
        memcpy(big + i, i % 4 ? "\x01\x02" : "\xC3\xA9", 2);
    log_setup(LOG_INFO, format);
    log_info("test", "long", F_C("one", big), F_C("two", big), F_INT("three", 3), F_C("four", "4"));
}

static void long_values_are_cut_and_the_line_stays_whole(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    format = LOG_JSON;
    const char *out = caught(long_line);
    const cJSON *line = json_parse(a, str_c(out), NULL);
    assert_non_null(line);
    assert_true(json_str(line, "one").n > 2000);
    assert_true(strlen(out) <= KIB(16));
    format = LOG_TEXT;
    out = caught(long_line);
    assert_true(utf8_valid(str_c(out)));
    assert_true(strlen(out) <= KIB(16));
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
    assert_non_null(strstr(out, " one=\""));
    arena_free(a);
}

static void levels_have_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum log_level level;
    } names[] = {{"debug", LOG_DEBUG}, {"INFO", LOG_INFO}, {"warn", LOG_WARN},  {"Warning", LOG_WARN},
                 {"error", LOG_ERROR}, {"off", LOG_OFF},   {"silent", LOG_OFF}, {"none", LOG_OFF}};
    for (size_t i = 0; i < COUNT(names); i++) {
        enum log_level level = LOG_DEBUG;
        assert_int_equal(log_level_parse(str_c(names[i].name), &level), 0);
        assert_int_equal(level, names[i].level);
    }
    enum log_level level = LOG_WARN;
    assert_int_equal(log_level_parse(STR("loud"), &level), -1);
    assert_int_equal(log_level_parse(STR(""), &level), -1);
    assert_int_equal(level, LOG_WARN);
}

static void silent(void)
{
    log_setup(LOG_OFF, LOG_TEXT);
    log_error("test", "unheard", F_NONE);
}

static void off_is_silent(void **state)
{
    (void)state;
    assert_string_equal(caught(silent), "");
    log_setup(LOG_WARN, LOG_TEXT);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARN));
}

static void *chatter(void *arg)
{
    for (int i = 0; i < 40; i++)
        log_info("thread", "line", F_C("who", arg), F_INT("i", i));
    return NULL;
}

static void threads_log(void)
{
    log_setup(LOG_INFO, LOG_TEXT);
    static char names[][2] = {"a", "b", "c"};
    pthread_t threads[COUNT(names)];
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, chatter, names[i]);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
}

static void lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    struct str rest = str_c(caught(threads_log)), line;
    size_t lines = 0;
    while (str_split(&rest, '\n', &line)) {
        if (!line.n)
            continue;
        lines++;
        assert_true(str_starts(line, STR("ts=")));
        assert_int_equal(str_find(str_from(line, 1), STR("ts=")), -1);
        assert_true(str_find(line, STR(" area=thread event=line who=")) > 0);
    }
    assert_int_equal(lines, 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_one_line_per_event),
        cmocka_unit_test(json_lines_parse),
        cmocka_unit_test(long_values_are_cut_and_the_line_stays_whole),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(off_is_silent),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
