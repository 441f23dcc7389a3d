/* What doors with a protocol of their own on top need of a WebSocket: parts, pauses, ceilings, heartbeats, refusals. */
#include "unit/support/unit.h"

#include "base/log.h"
#include "loop/task.h"
#include "net/conn.h"
#include "server/websocket.h"
#include "unit/support/http_client.h"
#include "unit/support/ws_client.h"

static struct live_server live;
static struct server_config config;
static char filler[KIB(80)];

static struct {
    atomic_int opened, closed, messages, handled, close_code;
    char reason[64];
    struct websocket *kept;
} seen;

static void on_open(struct websocket *ws, struct http_request *rq)
{
    struct str max = http_request_query(rq, STR("max"));
    uint64_t n;
    if (str_u64(max, &n) == 0)
        websocket_set_max(ws, (size_t)n);
    if (!seen.kept)
        seen.kept = websocket_ref(ws);
    atomic_fetch_add(&seen.opened, 1);
}

static void on_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    (void)ws;
    str_copy(seen.reason, sizeof seen.reason, reason);
    atomic_store(&seen.close_code, code);
    atomic_fetch_add(&seen.closed, 1);
}

/* "a,b,c": a message in parts of that many bytes. */
static void send_sizes(struct websocket *ws, enum ws_opcode opcode, struct str sizes)
{
    struct str parts[8], size;
    size_t n = 0, at = 0;
    for (uint64_t bytes; sizes.n && str_split(&sizes, ',', &size); at += parts[n++].n) {
        live_assert(str_u64(size, &bytes) == 0 && n < COUNT(parts));
        parts[n] = bytes ? str_n(filler + at, (size_t)bytes) : STR_NONE;
    }
    live_assert(websocket_send_parts(ws, opcode, parts, n) == 0);
}

static void send_at_once(struct websocket *ws)
{
    live_assert(websocket_send(ws, WS_TEXT, STR("at once")) == 0 && websocket_queued(ws) == 9);
    websocket_flush(ws);
    live_assert(websocket_queued(ws) == 0);
}

static void on_message(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    atomic_fetch_add(&seen.messages, 1);
    if (data.n && data.p[0] == '=')
        send_sizes(ws, opcode, str_from(data, 1));
    else if (str_eqc(data, "pause"))
        websocket_pause(ws, true);
    else if (str_eqc(data, "flush"))
        send_at_once(ws);
    else if (str_eqc(data, "leave"))
        websocket_close(ws, WS_NO_STATUS, STR(""));
    else
        websocket_send(ws, opcode, data);
}

static bool may_open(struct http_request *rq)
{
    struct err e;
    struct str how = http_request_query(rq, STR("refuse"));
    if (str_eqc(how, "json"))
        http_reply_json(rq, 400, STR("{\"code\":1}"));
    if (str_eqc(how, "close")) {
        http_reply_close(rq);
        err_set(&e, ERR_FORBIDDEN, "Not you");
        http_reply_error(rq, &e);
    }
    return !how.n;
}

static void handle(struct websocket *ws, struct arena *arena, struct str data)
{
    (void)arena;
    live_assert(task_yield(NULL) == 0);
    if (str_eqc(data, "pause"))
        websocket_pause(ws, true);
    atomic_fetch_add(&seen.handled, 1);
}

static void on_serial(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    (void)opcode;
    atomic_fetch_add(&seen.messages, 1);
    websocket_serial(ws, data, handle);
}

static void page(struct http_request *rq)
{
    http_reply_text(rq, 200, STR("a page"));
}

static const struct websocket_ops plain_ops = {
    .max_message = 100, .on_open = on_open, .on_message = on_message, .on_closed = on_closed};
static const struct websocket_ops quiet_ops = {
    .no_ping = true, .may_open = may_open, .on_open = on_open, .on_message = on_message, .on_closed = on_closed};
static const struct websocket_ops serial_ops = {.on_open = on_open, .on_message = on_serial, .on_closed = on_closed};

static const struct http_route routes[] = {
    {.method = HTTP_GET, .path = "/plain", .websocket = &plain_ops},
    {.method = HTTP_GET, .path = "/quiet", .handler = page, .websocket = &quiet_ops},
    {.method = HTTP_GET, .path = "/serial", .websocket = &serial_ops},
};

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_OFF, LOG_TEXT);
    memset(&seen, 0, sizeof seen);
    for (size_t i = 0; i < sizeof filler; i++)
        filler[i] = (char)('a' + i % 23);
    config = (struct server_config){.idle_timeout = 60000, .websocket_ping = 60000, .websocket_pong = 60000};
    return 0;
}

static void start(void)
{
    live_start(&live, &config, routes, COUNT(routes));
}

static void release_kept(struct live_server *unused)
{
    (void)unused;
    seen.kept = websocket_unref(seen.kept);
}

static int teardown(void **state)
{
    (void)state;
    live_do(&live, release_kept);
    live_stop(&live);
    return 0;
}

static void resume_kept(struct live_server *unused)
{
    (void)unused;
    websocket_pause(seen.kept, false);
}

/* ---- Sending ---- */

static void check_sizes(struct ws_client *c, const char *sizes, size_t total)
{
    wsc_text(c, sizes);
    wsc_expect(c, WS_TEXT, str_n(filler, total));
}

static void parts_make_one_message(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/plain");
    check_sizes(&c, "=", 0);
    check_sizes(&c, "=0", 0);
    check_sizes(&c, "=0,0", 0);
    check_sizes(&c, "=3", 3);
    check_sizes(&c, "=1,0,2,0", 3);
    check_sizes(&c, "=100,25,1", 126);
    check_sizes(&c, "=4000,82", 4082);
    check_sizes(&c, "=4000,83", 4083);
    check_sizes(&c, "=1,65534,1,1", 65537);
    check_sizes(&c, "=5000,0,5000,0,5000", 15000);
    wsc_free(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(conn_memory(), 0);
}

static void compressed_sockets_take_parts_too(void **state)
{
    (void)state;
    struct ws_deflate_params params;
    config.websocket_compression = config.websocket_context = true;
    start();
    struct ws_client c;
    wsc_open_with(&c, live.port, "/plain", WS_USUAL "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    struct str value = str_c(strstr(c.head, "Sec-WebSocket-Extensions: ") + strlen("Sec-WebSocket-Extensions: "));
    value.n = strcspn(value.p, "\r");
    assert_int_equal(ws_deflate_answer(value, &params), 0);
    c.reader.deflate = c.deflate = ws_deflate_new(&params, false);
    check_sizes(&c, "=10,10", 20);
    check_sizes(&c, "=200,0,200", 400);
    check_sizes(&c, "=400", 400);
    check_sizes(&c, "=30000,30000,1", 60001);
    wsc_free(&c);
}

static void frames_tell_their_payload(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct blob *frame = websocket_encode(WS_TEXT, str_n(filler, sizes[i]));
        assert_true(str_eq(websocket_payload(frame), str_n(filler, sizes[i])));
        blob_unref(frame);
    }
    start();
}

static void output_can_leave_at_once(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/quiet");
    wsc_text(&c, "flush");
    wsc_expect_text(&c, "at once");
    wsc_free(&c);
}

/* ---- Reading ---- */

static void a_socket_may_have_its_own_ceiling(void **state)
{
    (void)state;
    start();
    struct ws_client more, less;
    wsc_open(&more, live.port, "/plain?max=70000");
    wsc_send(&more, WS_BINARY, str_n(filler, 70000));
    wsc_expect(&more, WS_BINARY, str_n(filler, 70000));
    wsc_send(&more, WS_BINARY, str_n(filler, 70001));
    wsc_expect_close(&more, WS_TOO_BIG, NULL);
    wsc_open(&less, live.port, "/plain?max=9");
    wsc_send(&less, WS_BINARY, str_n(filler, 9));
    wsc_expect(&less, WS_BINARY, str_n(filler, 9));
    wsc_send(&less, WS_BINARY, str_n(filler, 10));
    wsc_expect_close(&less, WS_TOO_BIG, NULL);
    wsc_free(&more);
    wsc_free(&less);
}

static void a_pause_holds_messages_back(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/quiet");
    wsc_text(&c, "pause");
    wsc_text(&c, "one");
    await_count(&seen.messages, 1);
    wsc_text(&c, "two");
    for (int i = 0; i < 3; i++)
        live_do(&live, live_ask_idle); /* rounds of the loop, in which nothing is read */
    assert_int_equal(seen.messages, 1);
    live_do(&live, resume_kept);
    wsc_expect_text(&c, "one");
    wsc_expect_text(&c, "two");
    wsc_free(&c);
}

static void close_kept(struct live_server *unused)
{
    (void)unused;
    websocket_close(seen.kept, 4001, STR(""));
    websocket_pause(seen.kept, true);
}

static void a_paused_socket_still_closes_in_order(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/quiet");
    wsc_text(&c, "pause");
    await_count(&seen.messages, 1);
    live_do(&live, close_kept);
    wsc_expect_close(&c, 4001, "");
    wsc_send_close(&c, 4001, "read");
    wsc_expect_end(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(seen.close_code, 4001);
    assert_string_equal(seen.reason, "read"); /* and not closed because time ran out */
    live_do(&live, resume_kept);              /* harmless on what is left of it */
    wsc_free(&c);
}

static void the_doors_pause_outlasts_the_tasks(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    struct buf out = BUF_INIT(MIB(1));
    wsc_open(&c, live.port, "/serial");
    for (int i = 0; i < 100; i++) /* more than may wait: the task pauses too, and resumes in the middle */
        ws_frame_put(&out, WS_TEXT, i ? STR("more") : STR("pause"), true);
    client_send(&c.tcp, buf_str(&out));
    await_count(&seen.handled, 60);
    int messages;
    do {
        messages = seen.messages;
        for (int i = 0; i < 10; i++)
            live_do(&live, live_ask_idle);
    } while (messages != seen.messages || seen.handled != messages);
    assert_in_range(messages, 60, 99);
    live_do(&live, resume_kept);
    await_count(&seen.handled, 100);
    buf_free(&out);
    wsc_free(&c);
}

/* ---- Coming and going ---- */

static void a_door_may_refuse_in_its_own_words(void **state)
{
    (void)state;
    start();
    struct ws_client c = {0};
    client_open(&c.tcp, live.port);
    /* Before anything else is looked at: this one has neither version nor key. */
    wsc_request(&c, "/quiet?refuse=json", "");
    struct reply r = reply_read(&c.tcp);
    assert_int_equal(r.status, 400);
    assert_string_equal(r.body, "{\"code\":1}");
    reply_free(&r);
    wsc_request(&c, "/quiet?refuse=json", WS_USUAL); /* the connection went on */
    r = reply_read(&c.tcp);
    assert_int_equal(r.status, 400);
    reply_free(&r);
    /* Who wants no upgrade is not asked about one. */
    r = ask(&c.tcp, "GET /quiet?refuse=json HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_string_equal(r.body, "a page");
    reply_free(&r);
    wsc_request(&c, "/quiet?refuse=close", WS_USUAL);
    r = reply_read(&c.tcp);
    assert_int_equal(r.status, 403);
    assert_str(reply_header(&r, "Connection"), "close");
    reply_free(&r);
    assert_true(client_at_end(&c.tcp));
    wsc_free(&c);
    assert_int_equal(seen.opened, 0);
    wsc_open(&c, live.port, "/quiet");
    wsc_text(&c, "hello");
    wsc_expect_text(&c, "hello");
    wsc_free(&c);
}

static void a_door_with_a_heartbeat_sends_no_pings(void **state)
{
    (void)state;
    config.websocket_ping = 10;
    config.websocket_pong = 1000;
    start();
    struct ws_client quiet, plain;
    wsc_open(&quiet, live.port, "/quiet");
    wsc_open(&plain, live.port, "/plain");
    for (int i = 0; i < 5; i++) {
        wsc_expect(&plain, WS_PING, STR(""));
        wsc_send(&plain, WS_PONG, STR(""));
    }
    wsc_text(&quiet, "still here");
    wsc_expect_text(&quiet, "still here");
    assert_int_equal(seen.closed, 0);
    /* Closing has its time limit all the same. */
    wsc_text(&quiet, "leave");
    wsc_expect_close(&quiet, WS_NO_STATUS, "");
    wsc_expect_end(&quiet);
    wsc_free(&quiet);
    wsc_free(&plain);
}

static void a_close_frame_may_be_empty(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/quiet");
    wsc_text(&c, "leave");
    wsc_expect_close(&c, WS_NO_STATUS, "");
    wsc_send_close(&c, 0, "");
    wsc_expect_end(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(seen.close_code, WS_NO_STATUS);
    wsc_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_make_one_message, setup, teardown),
        cmocka_unit_test_setup_teardown(compressed_sockets_take_parts_too, setup, teardown),
        cmocka_unit_test_setup_teardown(frames_tell_their_payload, setup, teardown),
        cmocka_unit_test_setup_teardown(output_can_leave_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_socket_may_have_its_own_ceiling, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_holds_messages_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paused_socket_still_closes_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(the_doors_pause_outlasts_the_tasks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_door_may_refuse_in_its_own_words, setup, teardown),
        cmocka_unit_test_setup_teardown(a_door_with_a_heartbeat_sends_no_pings, setup, teardown),
        cmocka_unit_test_setup_teardown(a_close_frame_may_be_empty, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
