#include "unit/support/run_task.h"

#include "base/json.h"
#include "server/access_log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define WHEN INT64_C(1795244413463) /* 2026-11-21T07:00:13.463Z */

static struct buf out = BUF_INIT(MIB(1));

static int clear(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

static struct access_entry sample(void)
{
    return (struct access_entry){
        .address = STR("192.0.2.1"),
        .method = STR("GET"),
        .target = STR("/api/conversations?limit=5"),
        .minor = 1,
        .status = 200,
        .bytes = 123,
        .referer = STR("http://localhost:5173/"),
        .user_agent = STR("Mozilla/5.0 (X11)"),
        .id = STR("r-1"),
        .micros = 412,
    };
}

static const char *format(enum access_format format, const struct access_entry *entry)
{
    buf_clear(&out);
    assert_int_equal(access_log_format(&out, format, entry, WHEN), 0);
    assert_int_equal(buf_str(&out).p[out.len - 1], '\n');
    return buf_cstr(&out);
}

static void combined_is_what_apache_writes(void **state)
{
    (void)state;
    struct access_entry entry = sample();
    assert_string_equal(format(ACCESS_FORMAT_COMBINED, &entry),
                        "192.0.2.1 - - [21/Nov/2026:07:00:13 +0000] \"GET /api/conversations?limit=5 HTTP/1.1\" 200 "
                        "123 \"http://localhost:5173/\" \"Mozilla/5.0 (X11)\"\n");
    entry = (struct access_entry){.address = STR("::1"), .status = 400};
    assert_string_equal(format(ACCESS_FORMAT_COMBINED, &entry),
                        "::1 - - [21/Nov/2026:07:00:13 +0000] \"-\" 400 - \"-\" \"-\"\n");
}

static void json_reads_back(void **state)
{
    (void)state;
    struct access_entry entry = sample();
    entry.user_agent = STR("a\"b\\c\n\x7f\xc3\xa4");
    struct arena *a = arena_new("test");
    struct err e;
    cJSON *tree = json_parse(a, str_c(format(ACCESS_FORMAT_JSON, &entry)), &e);
    assert_non_null(tree);
    assert_true(str_eqc(json_str(tree, "ts"), "2026-11-21T07:00:13.463Z"));
    assert_true(str_eqc(json_str(tree, "address"), "192.0.2.1"));
    assert_true(str_eqc(json_str(tree, "method"), "GET"));
    assert_true(str_eqc(json_str(tree, "target"), "/api/conversations?limit=5"));
    assert_true(str_eqc(json_str(tree, "id"), "r-1"));
    assert_true(str_eqc(json_str(tree, "user_agent"), "a\"b\\c\n\x7f\xc3\x83\xc2\xa4"));
    assert_int_equal((int)json_num(tree, "status", 0), 200);
    assert_int_equal((int)json_num(tree, "bytes", 0), 123);
    assert_int_equal((int)json_num(tree, "us", 0), 412);
    arena_free(a);
}

static void lines_cannot_be_forged(void **state)
{
    (void)state;
    struct access_entry entry = sample();
    entry.user_agent = STR("x\" 200\n1.1.1.1 - - \x01\xff\\");
    const char *line = format(ACCESS_FORMAT_COMBINED, &entry);
    assert_non_null(strstr(line, "\"x\\\" 200\\x0a1.1.1.1 - - \\x01\\xff\\\\\"\n"));
    assert_ptr_equal(strchr(line, '\n'), line + out.len - 1);
}

static void credentials_are_masked(void **state)
{
    (void)state;
    struct access_entry entry = sample();
    entry.target = STR("/ws?token=s3cret&chat=1&API_KEY=s3cret&tok%65n=s3cret&tokens=5&token");
    entry.referer = STR("http://x/?a=b&access_token=s3cret");
    const char *line = format(ACCESS_FORMAT_COMBINED, &entry);
    assert_null(strstr(line, "s3cret"));
    assert_non_null(strstr(line, "GET /ws?token=***&chat=1&API_KEY=***&tok%65n=***&tokens=5&token HTTP/1.1"));
    assert_non_null(strstr(line, "\"http://x/?a=b&access_token=***\""));
    assert_null(strstr(format(ACCESS_FORMAT_JSON, &entry), "s3cret"));
}

static void long_values_are_cut(void **state)
{
    (void)state;
    static char text[20000];
    memset(text, 1, sizeof text);
    struct access_entry entry = sample();
    entry.address = entry.method = entry.target = entry.referer = entry.user_agent = entry.id =
        str_n(text, sizeof text);
    format(ACCESS_FORMAT_COMBINED, &entry);
    assert_in_range(out.len, 2000, ACCESS_LINE_MAX);
    format(ACCESS_FORMAT_JSON, &entry);
    assert_in_range(out.len, 2000, ACCESS_LINE_MAX);
    text[0] = '?';
    format(ACCESS_FORMAT_COMBINED, &entry);
    assert_in_range(out.len, 2000, ACCESS_LINE_MAX);
}

static size_t read_all(const char *path, char *to, size_t cap)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, to, cap - 1);
    close(fd);
    assert_true(n >= 0);
    to[n] = 0;
    return (size_t)n;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

static void file_body(void *arg)
{
    (void)arg;
    static char text[MIB(1)];
    char path[] = "/tmp/access_log_test_XXXXXX";
    close(mkstemp(path));
    struct err e;
    struct access_log *log = access_log_open(path, ACCESS_FORMAT_COMBINED, &e);
    assert_non_null(log);
    struct access_log_writer *w = access_log_writer_new(log, loop_self());
    struct access_entry entry = sample();
    access_log_add(w, &entry);
    assert_int_equal(read_all(path, text, sizeof text), 0);
    while (!read_all(path, text, sizeof text)) /* the timer writes it */
        task_sleep(10, &e);
    assert_int_equal(count_lines(text), 1);
    for (int i = 0; i < 1000; i++)
        access_log_add(w, &entry);
    assert_true(read_all(path, text, sizeof text) > KIB(64)); /* so does the size */

    assert_int_equal(unlink(path), 0);
    access_log_flush(w);
    assert_int_equal(access_log_reopen(log, &e), 0);
    access_log_add(w, &entry);
    access_log_writer_free(w);
    access_log_close(log);
    read_all(path, text, sizeof text);
    assert_int_equal(count_lines(text), 1);
    unlink(path);
}

static void lines_reach_the_file(void **state)
{
    (void)state;
    run_task(file_body, NULL);
}

static void pipe_body(void *arg)
{
    (void)arg;
    static char text[MIB(2)];
    int ends[2];
    char path[64];
    struct err e;
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    struct access_log *log = access_log_open(path, ACCESS_FORMAT_COMBINED, &e);
    assert_non_null(log);
    struct access_log_writer *w = access_log_writer_new(log, loop_self());
    struct access_entry entry = sample();
    size_t added = 20000; /* nobody reads: this must not block, and not grow without end */
    for (size_t i = 0; i < added; i++)
        access_log_add(w, &entry);
    assert_true(access_log_lost(log) > 0);
    size_t have = 0;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (;;) {
        ssize_t n = read(ends[0], text + have, sizeof text - 1 - have);
        if (n <= 0) {
            size_t before = have;
            access_log_flush(w);
            n = read(ends[0], text + have, sizeof text - 1 - have);
            if (n <= 0 && have == before)
                break;
        }
        have += (size_t)n;
    }
    text[have] = 0;
    assert_int_equal(count_lines(text), added - access_log_lost(log));
    access_log_writer_free(w);
    access_log_close(log);
    close(ends[0]);
    close(ends[1]);
}

static void a_reader_that_stops_loses_lines(void **state)
{
    (void)state;
    run_task(pipe_body, NULL);
}

static void a_bad_path_is_named(void **state)
{
    (void)state;
    struct err e;
    assert_null(access_log_open("/nonexistent/access.log", ACCESS_FORMAT_JSON, &e));
    assert_non_null(strstr(e.text, "/nonexistent/access.log"));
    struct access_log *log = access_log_open(NULL, ACCESS_FORMAT_JSON, &e);
    assert_non_null(log);
    access_log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(combined_is_what_apache_writes, clear),
        cmocka_unit_test_teardown(json_reads_back, clear),
        cmocka_unit_test_teardown(lines_cannot_be_forged, clear),
        cmocka_unit_test_teardown(credentials_are_masked, clear),
        cmocka_unit_test_teardown(long_values_are_cut, clear),
        cmocka_unit_test(lines_reach_the_file),
        cmocka_unit_test(a_reader_that_stops_loses_lines),
        cmocka_unit_test(a_bad_path_is_named),
    };
    return cmocka_run_group_tests_name("access_log", tests, NULL, NULL);
}
