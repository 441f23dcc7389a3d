#include "unit/support/live_server.h"

#include "base/clock.h"
#include "loop/task.h"
#include "net/conn.h"
#include "server/sse.h"

static struct live_server live;
static atomic_int ended, sent;
static struct err last;

static void three(struct http_request *rq)
{
    struct err e;
    sse_begin(rq);
    sse_send(rq, STR("7"), STR("delta"), STR("one"), &e);
    sse_send(rq, STR(""), STR(""), STR("two\nlines"), &e);
    struct blob *both = blob_new(STR("data: three\n\ndata: four\n\n"));
    sse_send_blob(rq, both, &e);
    blob_unref(both);
    sse_finish(rq);
    atomic_fetch_add(&ended, 1);
}

/* Stays open until the client goes away. */
static void quiet(struct http_request *rq)
{
    struct err e;
    sse_begin(rq);
    task_sleep(1000000, &e);
    live_assert(e.code == ERR_CANCELLED);
    atomic_fetch_add(&ended, 1);
}

static void busy(struct http_request *rq)
{
    struct err e;
    sse_begin(rq);
    for (int i = 0; i < 100; i++) {
        task_sleep(5, &e);
        if (sse_send(rq, STR(""), STR(""), STR("x"), &e) < 0)
            break;
    }
    sse_finish(rq);
}

/* Far more than a connection may queue. */
static void endless(struct http_request *rq)
{
    static char piece[KIB(64)];
    memset(piece, 'e', sizeof piece);
    sse_begin(rq);
    while (sse_send(rq, STR(""), STR(""), str_n(piece, sizeof piece), &last) == 0)
        atomic_fetch_add(&sent, 1);
    atomic_fetch_add(&ended, 1);
}

static void resume(struct http_request *rq)
{
    struct err e;
    struct str id = sse_last_id(rq);
    sse_begin(rq);
    sse_send(rq, STR(""), STR(""), id.p ? id : STR("(none)"), &e);
    sse_finish(rq);
}

static const struct http_route routes[] = {
    {.method = HTTP_GET, .path = "/three", .handler = three},
    {.method = HTTP_GET, .path = "/quiet", .handler = quiet},
    {.method = HTTP_GET, .path = "/endless", .handler = endless},
    {.method = HTTP_GET, .path = "/resume", .handler = resume},
    {.method = HTTP_GET, .path = "/busy", .handler = busy},
};

static struct server_config config;

static int setup(void **state)
{
    (void)state;
    ended = sent = 0;
    config = (struct server_config){.idle_timeout = 60000, .header_timeout = 60000, .sse_heartbeat = 60000};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

static void ask(struct client *c, const char *path, const char *headers)
{
    struct buf out = BUF_INIT(KIB(1));
    client_open(c, live.port);
    buf_addf(&out, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, headers);
    client_send(c, buf_str(&out));
    buf_free(&out);
}

static void start(void)
{
    live_start(&live, &config, routes, COUNT(routes));
}

static void skip_to(struct client *c, const char *mark)
{
    free(client_until(c, mark));
}

static void events_arrive_framed(void **state)
{
    (void)state;
    start();
    struct client c;
    ask(&c, "/three", "");
    char *head = client_until(&c, "\r\n\r\n");
    assert_non_null(strstr(head, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(head, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(head, "\r\nCache-Control: no-cache\r\n"));
    assert_non_null(strstr(head, "\r\nX-Accel-Buffering: no\r\n"));
    free(head);
    char *body = client_until(&c, "\r\n0\r\n\r\n");
    assert_non_null(strstr(body, "id: 7\n"));
    assert_non_null(strstr(body, "event: delta\n"));
    assert_non_null(strstr(body, "data: one\n\n"));
    assert_non_null(strstr(body, "data: two\ndata: lines\n\n"));
    assert_non_null(strstr(body, "data: three\n\ndata: four\n\n"));
    free(body);
    client_close(&c);
}

static void the_head_comes_before_the_first_event(void **state)
{
    (void)state;
    start();
    struct client c;
    ask(&c, "/quiet", "");
    skip_to(&c, "\r\n\r\n");
    client_close(&c);
    await_count(&ended, 1);
}

static void quiet_streams_beat(void **state)
{
    (void)state;
    config.sse_heartbeat = 20;
    start();
    struct client c;
    ask(&c, "/quiet", "");
    skip_to(&c, "\r\n\r\n");
    for (int i = 0; i < 3; i++)
        skip_to(&c, ": ping\n\n");
    client_close(&c);
    await_count(&ended, 1);
}

static void busy_streams_do_not(void **state)
{
    (void)state;
    config.sse_heartbeat = 5000;
    start();
    struct client c;
    ask(&c, "/busy", "");
    char *all = client_until(&c, "\r\n0\r\n\r\n");
    assert_null(strstr(all, ": ping"));
    free(all);
    client_close(&c);
}

static void check_last_id(const char *path, const char *headers, const char *expected)
{
    struct client c;
    ask(&c, path, headers);
    char *all = client_until(&c, "\n\n");
    char line[64];
    snprintf(line, sizeof line, "data: %s\n", expected);
    if (!strstr(all, line))
        fail_msg("%s", all);
    free(all);
    client_close(&c);
}

static void the_last_id_comes_from_header_or_query(void **state)
{
    (void)state;
    start();
    check_last_id("/resume", "Last-Event-ID: 3-17\r\n", "3-17");
    check_last_id("/resume?lastEventId=3-18", "", "3-18");
    check_last_id("/resume?lastEventId=3-18", "Last-Event-ID: 3-17\r\n", "3-17");
    check_last_id("/resume", "", "(none)");
}

static void a_slow_reader_slows_the_source(void **state)
{
    (void)state;
    start();
    struct client c;
    ask(&c, "/endless", "");
    skip_to(&c, "\r\n\r\n");
    int before = -1; /* until the source stands still */
    for (int same = 0; same < 20; usleep(5000)) {
        int now = sent;
        same = now == before ? same + 1 : 0;
        before = now;
    }
    assert_true(before > 0);
    assert_in_range(conn_memory(), KIB(64), MIB(1));
    for (size_t taken = 0; taken < MIB(32); buf_clear(&c.in)) {
        assert_true(client_fill(&c));
        taken += c.in.len;
    }
    assert_true(sent > before);
    client_close(&c);
    await_count(&ended, 1);
    assert_int_equal(last.code, ERR_CANCELLED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(events_arrive_framed), CASE(the_head_comes_before_the_first_event),  CASE(quiet_streams_beat),
        CASE(busy_streams_do_not),  CASE(the_last_id_comes_from_header_or_query), CASE(a_slow_reader_slows_the_source),
    };
    return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}
