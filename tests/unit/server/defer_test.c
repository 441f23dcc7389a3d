/* Requests whose handlers return first and whose replies follow from callbacks. */
#include "unit/support/unit.h"

#include "base/log.h"
#include "loop/task.h"
#include "loop/timer.h"
#include "unit/support/http_client.h"

static struct live_server live;
static struct client c;
#define WRITE_TIMEOUT 10

static atomic_int held, gone_seen, drained_seen, tasks, ticks;
static struct http_request *waiting[8]; /* the loop's thread only, newest last */
static size_t nwaiting;

static void forget(struct http_request *rq)
{
    size_t i = 0;
    while (i < nwaiting && waiting[i] != rq)
        i++;
    live_assert(i < nwaiting);
    for (nwaiting--; i < nwaiting; i++)
        waiting[i] = waiting[i + 1];
}

static void on_gone(struct http_request *rq)
{
    live_assert(rq->user == &live && !rq->conn);
    forget(rq);
    http_reply_text(rq, 200, STR("nobody reads this"));
    atomic_fetch_add(&gone_seen, 1);
}

static void on_drain(struct http_request *rq)
{
    forget(rq);
    atomic_fetch_add(&drained_seen, 1);
    http_reply_text(rq, 503, STR("going"));
}

static const struct http_deferred with_drain = {.gone = on_gone, .drain = on_drain};
static const struct http_deferred without_drain = {.gone = on_gone};

static void defer(struct http_request *rq, const struct http_deferred *ops)
{
    rq->user = &live;
    http_defer(rq, ops);
    waiting[nwaiting++] = rq;
    atomic_fetch_add(&held, 1);
}

static void poll_it(struct http_request *rq)
{
    defer(rq, &with_drain);
}

static void poll_on(struct http_request *rq)
{
    defer(rq, &without_drain);
}

/* Waits before it defers: what happens meanwhile is told afterwards. */
static void poll_later(struct http_request *rq)
{
    atomic_fetch_add(&tasks, 1);
    task_shield();
    while (atomic_load(&tasks) > 0)
        task_sleep(1, NULL);
    task_unshield();
    defer(rq, &with_drain);
}

static void at_once(struct http_request *rq)
{
    http_defer(rq, &with_drain);
    http_reply_text(rq, 200, STR("already"));
}

static void last_words(struct http_request *rq)
{
    http_reply_close(rq);
    http_reply_text(rq, 200, STR("bye"));
}

static const struct http_route routes[] = {
    {HTTP_GET, "/poll", poll_it, NULL, 0, NULL, ""},    {HTTP_POST, "/poll", poll_it, NULL, 0, NULL, ""},
    {HTTP_GET, "/on", poll_on, NULL, 0, NULL, ""},      {HTTP_GET, "/later", poll_later, NULL, 0, NULL, ""},
    {HTTP_GET, "/at-once", at_once, NULL, 0, NULL, ""}, {HTTP_GET, "/last", last_words, NULL, 0, NULL, ""},
};

static int setup(void **state)
{
    struct server_config config = {
        .idle_timeout = 60000, .header_timeout = 60000, .body_timeout = 60000, .write_timeout = WRITE_TIMEOUT};
    (void)state;
    log_setup(LOG_OFF, LOG_TEXT);
    nwaiting = 0;
    held = gone_seen = drained_seen = tasks = ticks = 0;
    live_start(&live, &config, routes, COUNT(routes));
    client_open(&c, live.port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(&c);
    live_stop(&live);
    assert_int_equal(nwaiting, 0);
    return 0;
}

#define REQUEST(method, path) method " " path " HTTP/1.1\r\nHost: test\r\n\r\n"

static void send_text(struct client *to, const char *text)
{
    client_send(to, str_c(text));
}

/* ---- What callbacks do ---- */

static void answer_all(struct live_server *l)
{
    (void)l;
    live_assert(!task_self());
    while (nwaiting) {
        struct http_request *rq = waiting[0];
        forget(rq);
        http_reply_header(rq, STR("X-Late"), STR("yes"));
        http_reply_text(rq, 200, rq->method == HTTP_POST ? rq->body : rq->query);
    }
}

static void fail_all(struct live_server *l)
{
    struct err e;
    (void)l;
    err_set(&e, ERR_TOO_MANY_TURNS, "Not now");
    while (nwaiting) {
        struct http_request *rq = waiting[0];
        forget(rq);
        http_reply_error(rq, &e);
    }
}

static void close_all(struct live_server *l)
{
    (void)l;
    while (nwaiting) {
        struct http_request *rq = waiting[0];
        forget(rq);
        http_reply_close(rq);
        http_reply_text(rq, 200, STR("the last"));
    }
}

static void count_tasks(struct live_server *l)
{
    (void)l;
    atomic_store(&tasks, (int)task_count());
}

/* Each tick is as long as the write time-out. */
static void on_tick(struct timer *timer)
{
    if (atomic_fetch_add(&ticks, 1) < 10)
        timer_start(live.loop, timer, WRITE_TIMEOUT);
}

static void start_clock(struct live_server *l)
{
    static struct timer timer;
    timer = (struct timer){.fn = on_tick};
    timer_start(l->loop, &timer, WRITE_TIMEOUT);
}

static void expect(struct client *from, int status, const char *body)
{
    struct reply r = reply_read(from);
    assert_int_equal(r.status, status);
    assert_string_equal(r.body, body);
    reply_free(&r);
}

/* ---- Tests ---- */

static void the_reply_comes_from_a_callback(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++) {
        send_text(&c, REQUEST("GET", "/poll?n=1"));
        await_count(&held, i);
        live_do(&live, count_tasks);
        assert_int_equal(tasks, 0);
        live_do(&live, answer_all);
        struct reply r = reply_read(&c);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, "n=1");
        assert_str(reply_header(&r, "X-Late"), "yes");
        reply_free(&r);
    }
    send_text(&c, REQUEST("HEAD", "/poll?n=2"));
    await_count(&held, 4);
    live_do(&live, answer_all);
    struct reply r = reply_read_for(&c, "HEAD");
    assert_str(reply_header(&r, "Content-Length"), "3");
    reply_free(&r);
    send_text(&c,
              "POST /poll HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n[1,");
    send_text(&c, "2]");
    await_count(&held, 5);
    live_do(&live, answer_all);
    expect(&c, 200, "[1,2]");
    assert_int_equal(gone_seen, 0);
}

static void errors_and_early_replies_are_replies(void **state)
{
    (void)state;
    send_text(&c, REQUEST("GET", "/poll"));
    await_count(&held, 1);
    live_do(&live, fail_all);
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 429);
    assert_non_null(strstr(r.body, "Not now"));
    reply_free(&r);
    send_text(&c, REQUEST("GET", "/at-once"));
    expect(&c, 200, "already");
}

/* The write time-out is for replies that were begun: this one waits for longer than several of them. */
static void a_long_wait_is_no_stalled_write(void **state)
{
    (void)state;
    send_text(&c, REQUEST("GET", "/poll?slow"));
    await_count(&held, 1);
    live_do(&live, start_clock);
    await_count(&ticks, 10);
    live_do(&live, answer_all);
    expect(&c, 200, "slow");
    assert_int_equal(gone_seen, 0);
}

static void pipelined_requests_wait_their_turn(void **state)
{
    (void)state;
    send_text(&c, REQUEST("GET", "/poll?1") REQUEST("GET", "/poll?2") REQUEST("GET", "/at-once"));
    await_count(&held, 1);
    live_do(&live, answer_all);
    expect(&c, 200, "1");
    await_count(&held, 2);
    live_do(&live, answer_all);
    expect(&c, 200, "2");
    expect(&c, 200, "already");
}

static void who_goes_away_is_told(void **state)
{
    (void)state;
    /* By FIN, though a handler that runs would go on. */
    send_text(&c, REQUEST("GET", "/poll"));
    await_count(&held, 1);
    shutdown(c.fd, SHUT_WR);
    await_count(&gone_seen, 1);
    assert_true(client_at_end(&c));
    /* By reset. */
    client_close(&c);
    client_open(&c, live.port);
    send_text(&c, REQUEST("GET", "/on"));
    await_count(&held, 2);
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    client_close(&c);
    await_count(&gone_seen, 2);
    /* Before the handler deferred. */
    client_open(&c, live.port);
    send_text(&c, REQUEST("GET", "/later"));
    await_count(&tasks, 1);
    shutdown(c.fd, SHUT_WR);
    live_do(&live, count_tasks); /* 1: the handler still waits; the loop has seen more input by the next round */
    live_do(&live, count_tasks);
    tasks = 0;
    await_count(&gone_seen, 3);
    assert_true(client_at_end(&c));
}

static void the_connection_may_end_after_it(void **state)
{
    (void)state;
    send_text(&c, REQUEST("GET", "/poll"));
    await_count(&held, 1);
    live_do(&live, close_all);
    struct reply r = reply_read(&c);
    assert_str(reply_header(&r, "Connection"), "close");
    reply_free(&r);
    assert_true(client_at_end(&c));
    client_close(&c);
    client_open(&c, live.port);
    send_text(&c, REQUEST("GET", "/last"));
    r = reply_read(&c);
    assert_str(reply_header(&r, "Connection"), "close");
    assert_string_equal(r.body, "bye");
    reply_free(&r);
    assert_true(client_at_end(&c));
}

static void draining_asks_for_the_reply(void **state)
{
    (void)state;
    struct client on, later;
    client_open(&on, live.port);
    client_open(&later, live.port);
    send_text(&c, REQUEST("GET", "/poll"));
    send_text(&on, REQUEST("GET", "/on?still"));
    send_text(&later, REQUEST("GET", "/later"));
    await_count(&held, 2);
    await_count(&tasks, 1);
    live_do(&live, live_drain);
    expect(&c, 503, "going");
    assert_true(client_at_end(&c));
    assert_int_equal(drained_seen, 1);
    /* One that defers after it began is asked then. */
    tasks = 0;
    expect(&later, 503, "going");
    assert_int_equal(drained_seen, 2);
    /* One that has nothing to say then may take its time. */
    live_do(&live, answer_all);
    expect(&on, 200, "still");
    assert_true(client_at_end(&on));
    live_wait_idle(&live);
    client_close(&on);
    client_close(&later);
}

static void aborting_ends_them(void **state)
{
    (void)state;
    send_text(&c, REQUEST("GET", "/on"));
    await_count(&held, 1);
    live_do(&live, live_abort);
    await_count(&gone_seen, 1);
    live_wait_idle(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_reply_comes_from_a_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_and_early_replies_are_replies, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_wait_is_no_stalled_write, setup, teardown),
        cmocka_unit_test_setup_teardown(pipelined_requests_wait_their_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(who_goes_away_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(the_connection_may_end_after_it, setup, teardown),
        cmocka_unit_test_setup_teardown(draining_asks_for_the_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(aborting_ends_them, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
