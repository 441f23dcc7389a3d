#include "client/fetch.h"

#include "base/clock.h"
#include "base/limits.h"
#include "unit/client/run_client.h"
#include "unit/client/script_server.h"

#define OK_HEAD  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
#define OK_HELLO OK_HEAD "Content-Length: 5\r\n\r\nhello"

/* One server, one upstream, one test body in a task. */
struct fixture {
    struct script_server server;
    struct upstream *upstream;
    void (*body)(struct fixture *t);
};

static void fixture_body(void *arg)
{
    struct fixture *t = arg;
    t->body(t);
}

static struct upstream_config quick(const char *url)
{
    return (struct upstream_config){.name = "test",
                                    .base_url = url,
                                    .connect_timeout = 5000,
                                    .first_byte_timeout = 5000,
                                    .total_timeout = 20000,
                                    .concurrency = 8,
                                    .queue = 8,
                                    .queue_timeout = 5000};
}

static void play(const struct script_step *steps, size_t n, const struct upstream_config *config,
                 void (*body)(struct fixture *t))
{
    struct fixture *t = calloc(1, sizeof *t);
    script_start(&t->server, steps, n);
    struct upstream_config c = config ? *config : quick(NULL);
    if (!c.base_url)
        c.base_url = t->server.url;
    t->upstream = upstream_new(&c);
    t->body = body;
    run_client(fixture_body, t);
    script_stop(&t->server);
    upstream_free(t->upstream);
    free(t);
}

#define PLAY(config, body, ...)                                                                                        \
    do {                                                                                                               \
        static const struct script_step script[] = {__VA_ARGS__};                                                      \
        play(script, COUNT(script), (config), (body));                                                                 \
    } while (0)

static const struct fetch_request get = {.method = "GET", .path = {"/x", 2}, .idempotent = true};

static void expect_body(struct fetch *f, const char *text)
{
    struct buf body = BUF_INIT(LIMIT_UPSTREAM_BODY);
    struct err e = {0};
    assert_int_equal(fetch_read_all(f, &body, LIMIT_UPSTREAM_BODY, &e), 0);
    assert_string_equal(buf_cstr(&body), text);
    buf_free(&body);
}

static void body_get(struct fixture *t)
{
    struct err e = {0};
    for (int i = 0; i < 3; i++) {
        struct fetch *f = fetch_open(t->upstream, &get, &e);
        assert_non_null(f);
        assert_int_equal(fetch_status(f), 200);
        assert_true(str_eqc(fetch_header(f, "content-type"), "text/plain"));
        assert_null(fetch_header(f, "absent").p);
        expect_body(f, "hello");
        assert_null(fetch_close(f));
    }
    assert_int_equal(script_count(&t->server, &t->server.nconnections), 1);
    assert_non_null(strstr(t->server.requests[0], "GET /x HTTP/1.1\r\n"));
    assert_null(strcasestr(t->server.requests[0], "accept-encoding"));
}

static void get_reuses_its_connection(void **state)
{
    (void)state;
    PLAY(NULL, body_get, {.bytes = OK_HELLO});
}

static void get_survives_any_split(void **state)
{
    (void)state;
    PLAY(NULL, body_get, {.bytes = OK_HELLO, .split = 1});
}

static void interim_body(struct fixture *t)
{
    struct err e = {0};
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_status(f), 200);
    assert_null(fetch_header(f, "x-early").p);
    assert_true(str_eqc(fetch_header(f, "x-final"), "2"));
    expect_body(f, "ab");
    fetch_close(f);
}

static void interim_replies_and_trailers_are_not_the_reply(void **state)
{
    (void)state;
    PLAY(NULL, interim_body,
         {.bytes = "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-Final: 2\r\nTransfer-Encoding: "
                   "chunked\r\n"
                   "\r\n2\r\nab\r\n0\r\nX-Trailer: 3\r\n\r\n"});
}

static void post_body(struct fixture *t)
{
    struct err e = {0};
    struct fetch_header headers[] = {{"Content-Type", STR("application/json")}, {"X-Test", STR("a b")}};
    char body[] = "{\"a\":1}";
    struct fetch_request rq = {.method = "POST", .path = STR("/p?q=1"), .headers = headers, .nheaders = 2};
    rq.body = str_c(body);
    struct fetch *f = fetch_open(t->upstream, &rq, &e);
    memset(body, 'z', sizeof body - 1);
    expect_body(f, "hello");
    fetch_close(f);
    const char *seen = t->server.requests[0];
    assert_non_null(strstr(seen, "POST /p?q=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(seen, "X-Test: a b\r\n"));
    assert_non_null(strstr(seen, "\r\n\r\n{\"a\":1}"));
    assert_null(strcasestr(seen, "expect:"));
    /* The pooled handle forgets the last method. */
    f = fetch_open(t->upstream, &get, &e);
    expect_body(f, "hello");
    fetch_close(f);
    assert_non_null(strstr(t->server.requests[1], "GET /x "));
    assert_null(strcasestr(t->server.requests[1], "content-length"));
    struct fetch_request delete = {.method = "DELETE", .path = STR("/d")};
    f = fetch_open(t->upstream, &delete, &e);
    fetch_close(f);
    assert_non_null(strstr(t->server.requests[2], "DELETE /d "));
}

static void post_sends_headers_and_body(void **state)
{
    (void)state;
    PLAY(NULL, post_body, {.bytes = OK_HELLO});
}

static void injection_body(struct fixture *t)
{
    struct err e = {0};
    struct fetch_header header = {"X-Test", STR("a\r\nEvil: 1")};
    struct fetch_request rq = {.method = "GET", .path = STR("/"), .headers = &header, .nheaders = 1};
    assert_null(fetch_open(t->upstream, &rq, &e));
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    rq = (struct fetch_request){.method = "GET", .path = STR("/a b\r\n")};
    assert_null(fetch_open(t->upstream, &rq, &e));
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 0);
}

static void header_injection_is_refused(void **state)
{
    (void)state;
    PLAY(NULL, injection_body, {.bytes = OK_HELLO});
}

static void retried_body(struct fixture *t)
{
    struct err e = {0};
    uint64_t began = clock_mono_ms();
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_status(f), 200);
    expect_body(f, "hello");
    fetch_close(f);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 3);
    assert_true(clock_mono_ms() - began >= 20);
    assert_true(clock_mono_ms() - began < 1100); /* the headers' waits, not the backoff's: at least 1,125 ms */
}

#define RETRYING                                                                                                       \
    {                                                                                                                  \
        .name = "test", .first_byte_timeout = 5000, .total_timeout = 20000, .connect_timeout = 5000, .retries = 2      \
    }

static void refusals_are_retried_as_the_headers_say(void **state)
{
    (void)state;
    struct upstream_config config = RETRYING;
    PLAY(&config, retried_body,
         {.bytes = "HTTP/1.1 429 Too Many Requests\r\nretry-after-ms: 10.5\r\nContent-Length: 2\r\n\r\n{}"},
         {.bytes = "HTTP/1.1 503 Busy\r\nRetry-After: 0.01\r\nContent-Length: 0\r\n\r\n"}, {.bytes = OK_HELLO});
}

/* The refusal reaches the caller, unread body included, after one request. */
static void stands_body(struct fixture *t)
{
    struct err e = {0};
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_non_null(f);
    assert_int_equal(fetch_status(f), 429);
    struct buf body = BUF_INIT(1000);
    assert_int_equal(fetch_read_all(f, &body, 1000, &e), 0);
    assert_true(body.len > 0);
    buf_free(&body);
    fetch_close(f);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 1);
}

static void insufficient_quota_is_not_retried(void **state)
{
    (void)state;
    struct upstream_config config = RETRYING;
    PLAY(&config, stands_body,
         {.bytes = "HTTP/1.1 429 No\r\nretry-after-ms: 1\r\nContent-Length: 43\r\n\r\n"
                   "{\"error\":{\"code\":\"insufficient_quota\"}}    ",
          .split = 1},
         {.bytes = OK_HELLO});
}

static void should_retry_false_and_long_waits_stand(void **state)
{
    (void)state;
    struct upstream_config config = RETRYING;
    PLAY(&config, stands_body, {.bytes = "HTTP/1.1 429 No\r\nx-should-retry: false\r\nContent-Length: 2\r\n\r\n{}"},
         {.bytes = OK_HELLO});
    PLAY(&config, stands_body, {.bytes = "HTTP/1.1 429 No\r\nRetry-After: 61\r\nContent-Length: 2\r\n\r\n{}"},
         {.bytes = OK_HELLO});
}

static void told_to_retry_body(struct fixture *t)
{
    struct err e = {0};
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_status(f), 200);
    fetch_close(f);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 2);
}

static void should_retry_true_wins_over_the_status(void **state)
{
    (void)state;
    struct upstream_config config = RETRYING;
    PLAY(&config, told_to_retry_body,
         {.bytes = "HTTP/1.1 400 Bad\r\nx-should-retry: true\r\nretry-after-ms: 1\r\nContent-Length: 0\r\n\r\n"},
         {.bytes = OK_HELLO});
}

static void given_up_body(struct fixture *t)
{
    struct err e = {0};
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_status(f), 500);
    assert_int_equal(fetch_retry_after_ms(f), 1);
    fetch_close(f);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 3);
}

static void the_last_refusal_stands(void **state)
{
    (void)state;
    struct upstream_config config = RETRYING;
    PLAY(&config, given_up_body, {.bytes = "HTTP/1.1 500 No\r\nretry-after-ms: 1\r\nContent-Length: 0\r\n\r\n"});
}

static void unreachable_body(struct fixture *t)
{
    struct err e = {0};
    assert_null(fetch_open(t->upstream, &get, &e));
    assert_int_equal(e.code, ERR_UPSTREAM_UNREACHABLE);
    assert_non_null(strstr(e.text, "test"));
}

static void nobody_listens(void **state)
{
    (void)state;
    struct upstream_config config = quick("http://127.0.0.1:1");
    PLAY(&config, unreachable_body, {.bytes = OK_HELLO});
}

static void dropped_body(struct fixture *t)
{
    struct err e = {0};
    struct fetch_request careful = get;
    careful.idempotent = false;
    assert_null(fetch_open(t->upstream, &careful, &e));
    assert_int_equal(e.code, ERR_UPSTREAM_UNREACHABLE);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 1);
    struct fetch *f = fetch_open(t->upstream, &get, &e); /* one more drop, then the answer */
    assert_non_null(f);
    expect_body(f, "hello");
    fetch_close(f);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 3);
}

static void a_dropped_request_is_repeated_only_when_harmless(void **state)
{
    (void)state;
    struct upstream_config config = RETRYING;
    PLAY(&config, dropped_body, {.bytes = "", .after = SCRIPT_CLOSE}, {.bytes = "", .after = SCRIPT_CLOSE},
         {.bytes = OK_HELLO});
}

static void silent_body(struct fixture *t)
{
    struct err e = {0};
    assert_null(fetch_open(t->upstream, &get, &e));
    assert_int_equal(e.code, ERR_TIMEOUT);
    script_await(&t->server, &t->server.eofs, 1);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 1);
}

static void silence_before_the_first_byte_times_out(void **state)
{
    (void)state;
    struct upstream_config config = RETRYING;
    config.first_byte_timeout = 30;
    PLAY(&config, silent_body, {.bytes = "", .after = SCRIPT_HANG});
}

static void stalled_body(struct fixture *t)
{
    struct err e = {0};
    struct str piece;
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_read(f, &piece, &e), 1);
    assert_true(str_eqc(piece, "some"));
    assert_int_equal(fetch_read(f, &piece, &e), -1);
    assert_int_equal(e.code, ERR_TIMEOUT);
    script_await(&t->server, &t->server.eofs, 1);
    fetch_close(f);
}

static void a_stalled_stream_times_out(void **state)
{
    (void)state;
    struct upstream_config config = RETRYING;
    config.first_byte_timeout = 50;
    PLAY(&config, stalled_body, {.bytes = OK_HEAD "Content-Length: 100\r\n\r\nsome", .after = SCRIPT_HANG});
    config.first_byte_timeout = 5000;
    config.total_timeout = 60;
    PLAY(&config, stalled_body, {.bytes = OK_HEAD "Content-Length: 100\r\n\r\nsome", .after = SCRIPT_HANG});
}

static void cut_body(struct fixture *t)
{
    struct err e = {0};
    struct str piece;
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_read(f, &piece, &e), 1);
    assert_int_equal(fetch_read(f, &piece, &e), -1);
    assert_int_equal(e.code, ERR_UPSTREAM);
    assert_int_equal(fetch_read(f, &piece, &e), -1); /* and ever after */
    fetch_close(f);
}

static void a_cut_body_is_an_error(void **state)
{
    (void)state;
    PLAY(NULL, cut_body, {.bytes = OK_HEAD "Content-Length: 100\r\n\r\nsome", .after = SCRIPT_CLOSE});
    PLAY(NULL, cut_body, {.bytes = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", .after = SCRIPT_CLOSE});
}

/* A call in a task of its own. */
struct call {
    struct fixture *t;
    struct err e;
    int status;
    bool ended, read;
    struct task *waits; /* for it to end */
};

static void call_main(void *arg)
{
    struct call *call = arg;
    struct str piece;
    struct fetch *f = fetch_open(call->t->upstream, &get, &call->e);
    if (f) {
        call->status = fetch_status(f);
        while (call->read && fetch_read(f, &piece, &call->e) > 0)
            ;
    }
    fetch_close(f);
    call->ended = true;
    if (call->waits)
        task_wake(call->waits);
}

static void call_await(struct call *call)
{
    call->waits = task_self();
    while (!call->ended)
        task_park(NULL);
}

static void cancelled_body(struct fixture *t)
{
    for (size_t i = 0; i < 2; i++) {
        struct call call = {.t = t, .read = true};
        struct task *task = task_spawn("call", call_main, &call);
        script_await(&t->server, &t->server.nrequests, i + 1);
        task_cancel(task);
        call_await(&call);
        assert_int_equal(call.e.code, ERR_CANCELLED);
        script_await(&t->server, &t->server.eofs, i + 1); /* the server sees it at once */
    }
}

static void cancelling_closes_the_connection(void **state)
{
    (void)state;
    PLAY(NULL, cancelled_body, {.bytes = "", .after = SCRIPT_HANG},
         {.bytes = OK_HEAD "Content-Length: 100\r\n\r\nsome", .after = SCRIPT_HANG});
}

static void cancelled_backoff_body(struct fixture *t)
{
    struct call call = {.t = t};
    uint64_t began = clock_mono_ms();
    struct task *task = task_spawn("call", call_main, &call);
    script_await(&t->server, &t->server.nrequests, 1);
    task_sleep(20, NULL); /* into the wait that Retry-After asks for; earlier is fine too */
    task_cancel(task);
    call_await(&call);
    assert_int_equal(call.e.code, ERR_CANCELLED);
    assert_true(clock_mono_ms() - began < 10000);
}

static void the_wait_for_a_retry_can_be_cancelled(void **state)
{
    (void)state;
    struct upstream_config config = RETRYING;
    config.total_timeout = 600000;
    PLAY(&config, cancelled_backoff_body, {.bytes = "HTTP/1.1 503 No\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"});
}

static void queue_body(struct fixture *t)
{
    struct call calls[3] = {{.t = t, .read = true}, {.t = t, .read = true}, {.t = t}};
    task_spawn("first", call_main, &calls[0]);
    script_await(&t->server, &t->server.nrequests, 1);
    struct task *second = task_spawn("second", call_main, &calls[1]);
    task_spawn("third", call_main, &calls[2]); /* the line holds one */
    assert_true(calls[2].ended);
    assert_int_equal(calls[2].e.code, ERR_OVERLOADED);
    assert_int_equal(calls[2].e.status, 503);
    assert_true(calls[2].e.retry_after_ms > 0);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 1);
    script_release(&t->server);
    call_await(&calls[0]);
    assert_int_equal(calls[0].status, 200);
    script_await(&t->server, &t->server.nrequests, 2);
    script_release(&t->server);
    call_await(&calls[1]);
    assert_int_equal(calls[1].status, 200);
    (void)second;
    /* A cancelled waiter leaves its place in line, and no place is lost. */
    struct call held = {.t = t, .read = true}, waiter = {.t = t};
    task_spawn("held", call_main, &held);
    script_await(&t->server, &t->server.nrequests, 3);
    struct task *waiting = task_spawn("waiter", call_main, &waiter);
    task_cancel(waiting);
    call_await(&waiter);
    assert_int_equal(waiter.e.code, ERR_CANCELLED);
    script_release(&t->server);
    call_await(&held);
    struct call again = {.t = t, .read = true};
    task_spawn("again", call_main, &again);
    script_release(&t->server);
    call_await(&again);
    assert_int_equal(again.status, 200);
}

static void calls_beyond_the_limit_wait_in_line(void **state)
{
    (void)state;
    struct upstream_config config = quick(NULL);
    config.concurrency = 1;
    config.queue = 1;
    PLAY(&config, queue_body, {.bytes = OK_HEAD "Content-Length: 4\r\n\r\nab", .late = "cd"});
}

static void queue_timeout_body(struct fixture *t)
{
    struct call held = {.t = t, .read = true}, waiter = {.t = t};
    task_spawn("held", call_main, &held);
    script_await(&t->server, &t->server.nrequests, 1);
    task_spawn("waiter", call_main, &waiter);
    call_await(&waiter);
    assert_int_equal(waiter.e.code, ERR_OVERLOADED);
    assert_true(waiter.e.retry_after_ms > 0);
    script_release(&t->server);
    call_await(&held);
    assert_int_equal(held.status, 200);
}

static void waiting_in_line_is_bounded_in_time(void **state)
{
    (void)state;
    struct upstream_config config = quick(NULL);
    config.concurrency = 1;
    config.queue_timeout = 20;
    PLAY(&config, queue_timeout_body, {.bytes = OK_HEAD "Content-Length: 4\r\n\r\nab", .late = "cd"});
}

static void breaker_body(struct fixture *t)
{
    struct err e = {0};
    for (int i = 0; i < 2; i++)
        fetch_close(fetch_open(t->upstream, &get, &e));
    assert_false(upstream_ready(t->upstream));
    e = (struct err){0};
    assert_null(fetch_open(t->upstream, &get, &e));
    assert_int_equal(e.code, ERR_OVERLOADED);
    assert_true(e.retry_after_ms > 0 && e.retry_after_ms <= 60);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 2);
    while (!upstream_ready(t->upstream))
        task_sleep(5, NULL);
    struct fetch *f = fetch_open(t->upstream, &get, &e); /* the one that may try */
    assert_int_equal(fetch_status(f), 200);
    fetch_close(f);
    f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_status(f), 200);
    fetch_close(f);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 4);
}

static void the_breaker_opens_and_closes_again(void **state)
{
    (void)state;
    struct upstream_config config = quick(NULL);
    config.breaker_failures = 2;
    config.breaker_open = 60;
    PLAY(&config, breaker_body, {.bytes = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"},
         {.bytes = "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n"}, {.bytes = OK_HELLO});
}

#define FLOOD MIB(16)

static void slow_reader_body(struct fixture *t)
{
    struct err e = {0};
    struct str piece;
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_non_null(f);
    /* Until the server cannot send any more: what it sent then lies in socket buffers and in at most 272 KiB here. */
    size_t before;
    do {
        before = atomic_load(&t->server.flooded);
        task_sleep(50, NULL);
    } while (atomic_load(&t->server.flooded) != before);
    assert_true(before < FLOOD);
    size_t total = 0, largest = 0;
    int more;
    while ((more = fetch_read(f, &piece, &e)) > 0) {
        total += piece.n;
        largest = MAX(largest, piece.n);
    }
    assert_int_equal(more, 0);
    assert_int_equal(total, FLOOD);
    assert_true(largest <= KIB(272));
    fetch_close(f);
}

static void a_slow_reader_slows_the_upstream(void **state)
{
    (void)state;
    PLAY(NULL, slow_reader_body, {.bytes = OK_HEAD "Content-Length: 16777216\r\n\r\n", .flood = FLOOD});
}

static void too_long_body(struct fixture *t)
{
    struct err e = {0};
    struct buf out = BUF_INIT(MIB(1));
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_read_all(f, &out, 1000, &e), -1);
    assert_int_equal(e.code, ERR_UPSTREAM);
    buf_free(&out);
    fetch_close(f);
    script_await(&t->server, &t->server.eofs, 1);
}

static void a_body_too_long_is_refused(void **state)
{
    (void)state;
    PLAY(NULL, too_long_body, {.bytes = OK_HEAD "Content-Length: 16777216\r\n\r\n", .flood = FLOOD});
}

static void finish_body(struct fixture *t)
{
    struct err e = {0};
    struct str piece;
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_read(f, &piece, &e), 1);
    assert_null(fetch_finish(f));
    script_release(&t->server);
    /* There is one place: the next call waits until the last bytes are there, and the connection came back. */
    for (int i = 0; i < 3; i++) {
        f = fetch_open(t->upstream, &get, &e);
        expect_body(f, "hello");
        fetch_close(f);
    }
    assert_int_equal(script_count(&t->server, &t->server.nconnections), 1);
}

static void a_finished_stream_gives_its_connection_back(void **state)
{
    (void)state;
    struct upstream_config config = quick(NULL);
    config.concurrency = 1;
    PLAY(&config, finish_body,
         {.bytes = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n4\r\nDONE\r\n", .late = "0\r\n\r\n"},
         {.bytes = OK_HELLO});
}

static void finish_open_body(struct fixture *t)
{
    struct err e = {0};
    struct str piece;
    struct fetch *f = fetch_open(t->upstream, &get, &e);
    assert_int_equal(fetch_read(f, &piece, &e), 1);
    assert_null(fetch_finish(f)); /* left to client_thread_end */
}

static void the_end_of_the_thread_takes_what_is_open(void **state)
{
    (void)state;
    PLAY(NULL, finish_open_body, {.bytes = OK_HEAD "Content-Length: 100\r\n\r\nsome", .after = SCRIPT_HANG});
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(client_setup(NULL), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_reuses_its_connection),
        cmocka_unit_test(get_survives_any_split),
        cmocka_unit_test(interim_replies_and_trailers_are_not_the_reply),
        cmocka_unit_test(post_sends_headers_and_body),
        cmocka_unit_test(header_injection_is_refused),
        cmocka_unit_test(refusals_are_retried_as_the_headers_say),
        cmocka_unit_test(insufficient_quota_is_not_retried),
        cmocka_unit_test(should_retry_false_and_long_waits_stand),
        cmocka_unit_test(should_retry_true_wins_over_the_status),
        cmocka_unit_test(the_last_refusal_stands),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(a_dropped_request_is_repeated_only_when_harmless),
        cmocka_unit_test(silence_before_the_first_byte_times_out),
        cmocka_unit_test(a_stalled_stream_times_out),
        cmocka_unit_test(a_cut_body_is_an_error),
        cmocka_unit_test(cancelling_closes_the_connection),
        cmocka_unit_test(the_wait_for_a_retry_can_be_cancelled),
        cmocka_unit_test(calls_beyond_the_limit_wait_in_line),
        cmocka_unit_test(waiting_in_line_is_bounded_in_time),
        cmocka_unit_test(the_breaker_opens_and_closes_again),
        cmocka_unit_test(a_slow_reader_slows_the_upstream),
        cmocka_unit_test(a_body_too_long_is_refused),
        cmocka_unit_test(a_finished_stream_gives_its_connection_back),
        cmocka_unit_test(the_end_of_the_thread_takes_what_is_open),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
