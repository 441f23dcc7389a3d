/* Files kept in memory: read whole, told apart by validators, refused when they are none. */
#include "unit/support/unit.h"

#include "base/mem.h"
#include "server/static_file.h"
#include "unit/support/http_client.h"
#include "unit/support/temp_dir.h"

#include <fcntl.h>
#include <sys/stat.h>

static char dir[TEMP_DIR_MAX], path[256];
static struct static_file *file;

static void get(struct http_request *rq)
{
    static_file_reply(rq, file, STR("text/plain"));
}

static const struct http_route routes[] = {{HTTP_GET, "/file", get, NULL, 0, NULL, ""}};

static void write_file(const char *text, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    while (n) {
        ssize_t written = write(fd, text, n);
        assert_true(written > 0);
        text += written;
        n -= (size_t)written;
    }
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    temp_dir_make(dir);
    snprintf(path, sizeof path, "%s/file", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file = static_file_free(file);
    temp_dir_remove(dir);
    return 0;
}

static void what_is_no_file(void **state)
{
    (void)state;
    struct err e;
    char below[300];
    assert_null(static_file_read(path, &e));
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_null(static_file_read(dir, &e));
    assert_int_equal(e.code, ERR_NOT_FOUND);
    write_file("x", 1);
    snprintf(below, sizeof below, "%s/below", path);
    assert_null(static_file_read(below, &e));
    assert_int_equal(e.code, ERR_NOT_FOUND);
    char *large = mem_zalloc(STATIC_FILE_MAX + 1);
    write_file(large, STATIC_FILE_MAX + 1);
    assert_null(static_file_read(path, &e));
    assert_int_equal(e.code, ERR_INTERNAL_ERROR);
    write_file(large, STATIC_FILE_MAX);
    file = static_file_read(path, &e);
    assert_non_null(file);
    assert_int_equal(file->content->n, STATIC_FILE_MAX);
    free(large);
}

static struct reply request_file(struct live_server *live, const char *method, const char *header)
{
    struct client c;
    struct buf out = BUF_INIT(KIB(4));
    client_open(&c, live->port);
    buf_addf(&out, "%s /file HTTP/1.1\r\nHost: h\r\n%s\r\n", method, header);
    client_send(&c, buf_str(&out));
    buf_free(&out);
    struct reply r = reply_read_for(&c, method);
    client_close(&c);
    return r;
}

static void expect(struct live_server *live, const char *method, const char *header, int status, const char *body)
{
    struct reply r = request_file(live, method, header);
    assert_int_equal(r.status, status);
    assert_string_equal(r.body, body);
    assert_non_null(strstr(r.head, file->etag));
    assert_non_null(strstr(r.head, "Cache-Control: public, max-age=0"));
    reply_free(&r);
}

static void validators_save_the_second_answer(void **state)
{
    (void)state;
    struct err e;
    struct live_server live;
    char header[256];
    write_file("hello", 5);
    file = static_file_read(path, &e);
    assert_non_null(file);
    live_start(&live, &(struct server_config){.idle_timeout = 60000}, routes, COUNT(routes));
    expect(&live, "GET", "", 200, "hello");
    expect(&live, "HEAD", "", 200, "");
    expect(&live, "GET", "If-None-Match: \"other\"\r\n", 200, "hello");
    expect(&live, "GET", "If-None-Match: *\r\n", 304, "");
    snprintf(header, sizeof header, "If-None-Match: \"other\" , W/%s\r\n", file->etag);
    expect(&live, "GET", header, 304, "");
    expect(&live, "HEAD", header, 304, "");
    live_stop(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(validators_save_the_second_answer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
