#include "unit/support/unit.h"

#include "base/log.h"
#include "base/mem.h"
#include "loop/task.h"
#include "server/server_impl.h"
#include "unit/support/http_client.h"

#include <fcntl.h>

static struct live_server live;
static struct client c;
static atomic_int started, ended, cancelled;
static atomic_size_t pieces;
static struct task *parked;
static struct http_conn *slow; /* of the request that `large` answers */
static char log_file[] = "/tmp/parley-access-XXXXXX";

/* ---- Handlers ---- */

static void count_end(void *arg)
{
    (void)arg;
    ended++;
}

static void words(struct http_request *rq)
{
    struct err e;
    http_stream_begin(rq, 200, STR("text/plain"));
    live_assert(http_replied(rq));
    static const char *const list[] = {"one ", "two ", "", "three"};
    for (size_t i = 0; i < COUNT(list); i++) {
        live_assert(http_stream_write(rq, str_c(list[i]), &e) == 0);
        live_assert(task_sleep(1, &e) == 0);
    }
    http_stream_end(rq);
    live_assert(http_stream_write(rq, STR("late"), &e) == -1 && e.code == ERR_CANCELLED);
}

#define PIECE KIB(100)

static void large(struct http_request *rq)
{
    struct err e;
    struct blob *blob = blob_alloc(PIECE);
    memset(blob->data, 'L', PIECE);
    task_defer(count_end, NULL);
    slow = rq->conn;
    http_stream_begin(rq, 200, STR("application/octet-stream"));
    int result = 0;
    for (int i = 0; i < 200 && result == 0; i++) {
        result = i % 2 ? http_stream_blob(rq, blob, &e) : http_stream_write(rq, blob_str(blob), &e);
        pieces += result == 0;
    }
    if (result == 0)
        http_stream_end(rq);
    else
        cancelled += e.code == ERR_CANCELLED;
    live_assert(atomic_load(&blob->refs) >= 1);
    blob_unref(blob);
}

static void waits(struct http_request *rq)
{
    struct err e;
    task_defer(count_end, NULL);
    parked = task_self();
    started++;
    if (str_eqc(rq->query, "stream")) {
        http_stream_begin(rq, 200, STR("text/plain"));
        http_stream_write(rq, STR("begun"), &e);
    }
    if (str_eqc(rq->query, "needs"))
        http_needs_client(rq);
    int result = task_park(&e);
    cancelled += result < 0 && e.code == ERR_CANCELLED;
    live_assert(result < 0 || rq->conn);
    http_reply_text(rq, 200, STR("woken"));
}

static void cut(struct http_request *rq)
{
    struct err e;
    http_stream_begin(rq, 200, STR("text/plain"));
    http_stream_write(rq, STR("half a "), &e);
}

/* /sized?8: whatever it is said to have, the body gets eight bytes. */
static void sized(struct http_request *rq)
{
    struct err e;
    uint64_t length = 0;
    str_u64(rq->query, &length);
    http_stream_begin_sized(rq, 200, STR("text/plain"), length);
    http_stream_write(rq, STR("one "), &e);
    http_stream_write(rq, STR("more"), &e);
    http_stream_end(rq);
}

static void replies_early(struct http_request *rq)
{
    struct err e;
    http_reply_text(rq, 200, STR("early"));
    live_assert(rq->conn == NULL);
    live_assert(task_sleep(30, &e) == 0);
    ended++;
}

static const struct http_route routes[] = {
    {HTTP_GET, "/words", words, NULL, 0, NULL, ""},         {HTTP_GET, "/large", large, NULL, 0, NULL, ""},
    {HTTP_GET, "/waits", waits, NULL, 0, NULL, ""},         {HTTP_GET, "/cut", cut, NULL, 0, NULL, ""},
    {HTTP_GET, "/early", replies_early, NULL, 0, NULL, ""}, {HTTP_GET, "/sized", sized, NULL, 0, NULL, ""},
};

static int setup(void **state)
{
    struct server_config config = {.access_log = ACCESS_COMBINED, .access_log_file = log_file};
    (void)state;
    started = ended = cancelled = 0;
    pieces = 0;
    slow = NULL;
    log_setup(LOG_OFF, LOG_TEXT);
    close(open(log_file, O_CREAT | O_TRUNC | O_WRONLY, 0600));
    live_start(&live, &config, routes, COUNT(routes));
    client_open(&c, live.port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(&c);
    live_stop(&live);
    return 0;
}

static char *access_lines(void)
{
    int fd = open(log_file, O_RDONLY);
    char *text = mem_zalloc(KIB(64));
    assert_true(fd >= 0);
    assert_true(read(fd, text, KIB(64) - 1) >= 0);
    close(fd);
    return text;
}

#define H "Host: test\r\n"

/* ---- Streams ---- */

static void streams_in_chunks(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct reply r = ask(&c, "GET /words HTTP/1.1\r\n" H "\r\n");
        assert_int_equal(r.status, 200);
        assert_str(reply_header(&r, "Transfer-Encoding"), "chunked");
        assert_string_equal(r.body, "one two three");
        reply_free(&r);
    }
}

static void streams_until_close_for_http_1_0(void **state)
{
    (void)state;
    struct reply r = ask(&c, "GET /words HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_null(reply_header(&r, "Transfer-Encoding").p);
    assert_str(reply_header(&r, "Connection"), "close");
    assert_string_equal(r.body, "one two three");
    reply_free(&r);
}

static void streams_no_body_for_head(void **state)
{
    (void)state;
    struct reply r = ask(&c, "HEAD /words HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(r.status, 200);
    reply_free(&r);
    r = ask(&c, "GET /words HTTP/1.1\r\n" H "\r\n");
    assert_string_equal(r.body, "one two three");
    reply_free(&r);
}

static void check_parked(struct live_server *l)
{
    (void)l;
    live.idle = slow && conn_queued(&slow->conn) > CONN_HIGH_MARK && slow->conn.want_write;
}

static void a_slow_reader_parks_the_handler(void **state)
{
    (void)state;
    client_send(&c, STR("GET /large HTTP/1.1\r\n" H "\r\n"));
    for (live.idle = false; !live.idle;)
        live_do(&live, check_parked);
    assert_true(pieces < 200);
    assert_true(conn_memory() < CONN_HIGH_MARK + 4 * PIECE);
    struct reply r = reply_read(&c);
    assert_int_equal(r.body_len, 200 * PIECE);
    for (size_t i = 0; i < r.body_len; i += 997)
        assert_int_equal(r.body[i], 'L');
    await_count(&ended, 1);
    assert_int_equal(pieces, 200);
    assert_int_equal(cancelled, 0);
    reply_free(&r);
}

static void a_slow_reader_that_leaves_cancels_the_handler(void **state)
{
    (void)state;
    client_send(&c, STR("GET /large HTTP/1.1\r\n" H "\r\n"));
    for (live.idle = false; !live.idle;)
        live_do(&live, check_parked);
    client_close(&c);
    await_count(&ended, 1);
    assert_int_equal(cancelled, 1);
    live_wait_idle(&live);
    assert_int_equal(conn_memory(), 0);
}

static void an_unfinished_stream_is_cut(void **state)
{
    (void)state;
    client_send(&c, STR("GET /cut HTTP/1.1\r\n" H "\r\n"));
    while (client_fill(&c))
        continue;
    assert_true(str_find(buf_str(&c.in), STR("\r\n0\r\n")) < 0); /* the client can tell that something is missing */
}

static void streams_what_was_announced(void **state)
{
    (void)state;
    struct reply r = ask(&c, "GET /sized?8 HTTP/1.1\r\n" H "\r\n");
    assert_string_equal(r.body, "one more");
    assert_true(str_eqc(reply_header(&r, "Content-Length"), "8"));
    assert_null(reply_header(&r, "Transfer-Encoding").p);
    reply_free(&r);
    r = ask(&c, "HEAD /sized?8 HTTP/1.1\r\n" H "\r\n");
    assert_true(str_eqc(reply_header(&r, "Content-Length"), "8"));
    reply_free(&r);
    r = ask(&c, "GET /words HTTP/1.1\r\n" H "\r\n"); /* the connection goes on */
    assert_string_equal(r.body, "one two three");
    reply_free(&r);
}

/* Never so that the next reply could be taken for its rest, or its rest for the next reply. */
static void a_stream_of_another_length_is_cut(void **state)
{
    (void)state;
    client_send(&c, STR("GET /sized?9 HTTP/1.1\r\n" H "\r\nGET /words HTTP/1.1\r\n" H "\r\n"));
    while (client_fill(&c))
        continue;
    assert_true(str_find(buf_str(&c.in), STR("three")) < 0);
    client_close(&c);
    client_open(&c, live.port);
    client_send(&c, STR("GET /sized?4 HTTP/1.1\r\n" H "\r\nGET /words HTTP/1.1\r\n" H "\r\n"));
    while (client_fill(&c))
        continue;
    assert_true(str_find(buf_str(&c.in), STR("more")) < 0 && str_find(buf_str(&c.in), STR("three")) < 0);
}

static void a_handler_may_work_on_after_its_reply(void **state)
{
    (void)state;
    struct reply r = ask(&c, "GET /early HTTP/1.1\r\n" H "\r\n");
    assert_string_equal(r.body, "early");
    reply_free(&r);
    r = ask(&c, "GET /words HTTP/1.1\r\n" H "\r\n"); /* not held up by it */
    assert_string_equal(r.body, "one two three");
    reply_free(&r);
    client_send(&c, STR("GET /early HTTP/1.1\r\n" H "\r\n"));
    client_close(&c); /* gone while the handler still works: not cancelled, the reply was complete */
    await_count(&ended, 2);
}

/* ---- Clients that go away ---- */

static void leave(const char *request, bool reset)
{
    client_send(&c, str_c(request));
    await_count(&started, 1);
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    client_close(&c);
}

static void a_client_that_leaves_cancels_the_handler(void **state)
{
    (void)state;
    leave("GET /waits?needs HTTP/1.1\r\n" H "\r\n", false);
    await_count(&ended, 1);
    assert_int_equal(cancelled, 1);
    live_wait_idle(&live);
}

static void so_does_a_reset(void **state)
{
    (void)state;
    leave("GET /waits?stream HTTP/1.1\r\n" H "\r\n", true);
    await_count(&ended, 1);
    assert_int_equal(cancelled, 1);
    live_wait_idle(&live);
}

static void live_nothing(struct live_server *l)
{
    (void)l;
}

static void wake_parked(struct live_server *l)
{
    (void)l;
    task_wake(parked);
}

static void a_client_that_only_stops_sending_gets_its_answers(void **state)
{
    (void)state;
    client_send(&c, STR("GET /waits HTTP/1.1\r\n" H "\r\nGET /words?x=1 HTTP/1.1\r\n" H "\r\n"));
    await_count(&started, 1);
    shutdown(c.fd, SHUT_WR);
    live_do(&live, live_nothing);
    assert_int_equal(ended, 0);
    live_do(&live, wake_parked);
    struct reply r = reply_read(&c);
    assert_string_equal(r.body, "woken");
    reply_free(&r);
    r = reply_read(&c);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    assert_true(client_at_end(&c));
    assert_int_equal(cancelled, 0);
}

static void the_access_log_says_499(void **state)
{
    (void)state;
    struct reply r = ask(&c, "GET /words?x=1 HTTP/1.1\r\n" H "User-Agent: tester\r\n\r\n");
    reply_free(&r);
    leave("GET /waits?needs HTTP/1.1\r\n" H "\r\n", false);
    await_count(&ended, 1);
    live_do(&live, live_drain);
    live_wait_idle(&live);
    char *text = access_lines();
    assert_non_null(strstr(text, "\"GET /words?x=1 HTTP/1.1\" 200 13 "));
    assert_non_null(strstr(text, "\"tester\""));
    assert_non_null(strstr(text, "\"GET /waits?needs HTTP/1.1\" 499 "));
    free(text);
}

/* ---- Draining ---- */

static void draining_lets_requests_end_and_closes_the_idle(void **state)
{
    (void)state;
    struct client idle;
    client_open(&idle, live.port);
    client_send(&idle, STR("GET /words HTTP/1.1\r\n" H "\r\n"));
    struct reply r = reply_read(&idle);
    reply_free(&r);
    client_send(&c, STR("GET /waits HTTP/1.1\r\n" H "\r\n"));
    await_count(&started, 1);
    live_do(&live, live_drain);
    assert_true(client_at_end(&idle));
    client_close(&idle);
    live_do(&live, live_ask_idle);
    assert_false(live.idle);
    live_do(&live, wake_parked);
    r = reply_read(&c);
    assert_string_equal(r.body, "woken");
    assert_str(reply_header(&r, "Connection"), "close");
    assert_true(client_at_end(&c));
    reply_free(&r);
    client_close(&c);
    live_wait_idle(&live);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(live.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), -1);
    close(fd);
}

static void aborting_cancels_what_runs(void **state)
{
    (void)state;
    client_send(&c, STR("GET /waits?stream HTTP/1.1\r\n" H "\r\n"));
    await_count(&started, 1);
    live_do(&live, live_abort);
    await_count(&ended, 1);
    assert_int_equal(cancelled, 1);
    live_wait_idle(&live);
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(log_file);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(log_file);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(streams_in_chunks),
        CASE(streams_until_close_for_http_1_0),
        CASE(streams_no_body_for_head),
        CASE(a_slow_reader_parks_the_handler),
        CASE(a_slow_reader_that_leaves_cancels_the_handler),
        CASE(an_unfinished_stream_is_cut),
        CASE(streams_what_was_announced),
        CASE(a_stream_of_another_length_is_cut),
        CASE(a_handler_may_work_on_after_its_reply),
        CASE(a_client_that_leaves_cancels_the_handler),
        CASE(so_does_a_reset),
        CASE(a_client_that_only_stops_sending_gets_its_answers),
        CASE(the_access_log_says_499),
        CASE(draining_lets_requests_end_and_closes_the_idle),
        CASE(aborting_cancels_what_runs),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
