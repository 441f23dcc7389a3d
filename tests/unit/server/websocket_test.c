#include "unit/support/ws_client.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "loop/task.h"
#include "net/conn.h"
#include "server/websocket.h"

static struct live_server live;

/* What the doors saw. */
static struct {
    atomic_int opened, closed, drained, handled, cancelled, at_once, refused;
    atomic_int close_code;
    char reason[128], param[32];
    struct websocket *kept, *sockets[8];
    atomic_int nsockets;
} seen;

struct echo_user {
    int messages;
};

static void on_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    live_assert(!websocket_is_open(ws));
    live_assert(websocket_send(ws, WS_TEXT, STR("too late")) == -1);
    str_copy(seen.reason, sizeof seen.reason, reason);
    atomic_store(&seen.close_code, code);
    atomic_fetch_add(&seen.closed, 1);
}

static void echo_opened(struct websocket *ws, struct http_request *rq)
{
    live_assert(websocket_ctx(ws) == &live);
    live_assert(websocket_route(ws) == rq->route);
    live_assert(((struct echo_user *)websocket_user(ws))->messages == 0);
    struct str hello = http_request_query(rq, STR("hello"));
    if (hello.n)
        websocket_send(ws, WS_TEXT, hello);
    atomic_fetch_add(&seen.opened, 1);
}

static void count_reply(struct websocket *ws)
{
    char text[64];
    int n = ((struct echo_user *)websocket_user(ws))->messages;
    snprintf(text, sizeof text, "%d from %.*s", n, STR_ARG(websocket_address(ws)));
    websocket_send(ws, WS_TEXT, str_c(text));
}

static void echo(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    struct echo_user *user = websocket_user(ws);
    user->messages++;
    if (str_eqc(data, "count"))
        count_reply(ws);
    else if (str_eqc(data, "close"))
        websocket_close(ws, 4000, STR("bye"));
    else if (str_eqc(data, "keep"))
        seen.kept = websocket_ref(ws);
    else
        websocket_send(ws, opcode, data);
}

/* Messages of one socket, handled in order and never two at a time, each with a wait in the middle. */
static void handle_serial(struct websocket *ws, struct arena *arena, struct str data)
{
    struct err e;
    live_assert(atomic_fetch_add(&seen.at_once, 1) == 0);
    int wait = str_eqc(data, "forever") ? task_sleep(1000000, &e) : task_yield(&e);
    atomic_fetch_sub(&seen.at_once, 1);
    atomic_fetch_add(&seen.handled, 1);
    if (wait < 0) {
        live_assert(e.code == ERR_CANCELLED);
        atomic_fetch_add(&seen.cancelled, 1);
        return;
    }
    live_assert(data.p[data.n] == 0);
    struct str text = arena_printf(arena, "did %.*s", STR_ARG(data));
    websocket_send(ws, WS_TEXT, text);
    if (str_eqc(data, "quit"))
        websocket_close(ws, WS_NORMAL, STR(""));
}

static void serial(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    (void)opcode;
    websocket_serial(ws, data, handle_serial);
}

/* Sends more than the socket may hold. */
static void flood(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    static char filler[MIB(1)];
    (void)opcode;
    (void)data;
    for (int i = 0; i < 40; i++)
        if (websocket_send(ws, WS_BINARY, str_n(filler, sizeof filler)) < 0)
            atomic_fetch_add(&seen.refused, 1);
}

static void flood_drained(struct websocket *ws)
{
    live_assert(websocket_queued(ws) <= CONN_LOW_MARK);
    atomic_fetch_add(&seen.drained, 1);
}

static void group_opened(struct websocket *ws, struct http_request *rq)
{
    (void)rq;
    seen.sockets[seen.nsockets] = websocket_ref(ws);
    atomic_fetch_add(&seen.nsockets, 1);
}

static void group_message(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    (void)ws;
    struct blob *frame = websocket_encode(opcode, data);
    for (int i = 0; i < seen.nsockets; i++)
        websocket_send_frame(seen.sockets[i], frame);
    blob_unref(frame);
}

static const struct websocket_ops echo_ops = {
    .user_size = sizeof(struct echo_user), .on_open = echo_opened, .on_message = echo, .on_closed = on_closed};
static const struct websocket_ops small_ops = {
    .max_message = 1000, .on_message = echo, .on_closed = on_closed, .user_size = sizeof(struct echo_user)};
static const struct websocket_ops serial_ops = {.on_message = serial, .on_closed = on_closed};
static const struct websocket_ops flood_ops = {
    .on_message = flood, .on_drained = flood_drained, .on_closed = on_closed};
static const struct websocket_ops group_ops = {.on_open = group_opened, .on_message = group_message};

static void plain_page(struct http_request *rq)
{
    http_reply_text(rq, 200, STR("a page"));
}

static const struct http_route routes[] = {
    {.method = HTTP_GET, .path = "/echo", .handler = plain_page, .websocket = &echo_ops},
    {.method = HTTP_GET, .path = "/small", .websocket = &small_ops},
    {.method = HTTP_GET, .path = "/serial", .websocket = &serial_ops},
    {.method = HTTP_GET, .path = "/flood", .websocket = &flood_ops},
    {.method = HTTP_GET, .path = "/group", .websocket = &group_ops},
};

static const char *const origins[] = {"http://localhost:*"};

static struct server_config config;

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    config = (struct server_config){
        .cors_origins = origins,
        .ncors_origins = COUNT(origins),
        .header_timeout = 60000,
        .body_timeout = 60000,
        .idle_timeout = 60000,
        .write_timeout = 60000,
        .websocket_ping = 60000,
        .websocket_pong = 60000,
    };
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
    for (int i = 0; i < seen.nsockets; i++)
        websocket_unref(seen.sockets[i]);
    seen.nsockets = 0;
}

static int teardown(void **state)
{
    (void)state;
    live_do(&live, release_kept);
    live_stop(&live);
    return 0;
}

/* ---- The handshake ---- */

static void an_upgrade_is_answered(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    assert_non_null(strstr(c.head, "\r\nSec-WebSocket-Accept: " WS_ACCEPT "\r\n"));
    assert_non_null(strstr(c.head, "\r\nUpgrade: websocket\r\n"));
    assert_non_null(strstr(c.head, "\r\nConnection: Upgrade\r\n"));
    assert_null(strstr(c.head, "Extensions"));
    await_count(&seen.opened, 1);
    assert_int_equal(server_websockets(live.server), 1);
    assert_int_equal(server_connections(live.server), 1);
    wsc_free(&c);
    await_count(&seen.closed, 1);
    live_wait_idle(&live);
    assert_int_equal(server_websockets(live.server), 0);
}

static void check_refused(const char *headers, const char *status, const char *header)
{
    struct ws_client c;
    wsc_try(&c, live.port, "/echo", headers);
    if (strncmp(c.head, status, strlen(status)) != 0)
        fail_msg("%s was answered %s", headers, c.head);
    if (header && !strstr(c.head, header))
        fail_msg("no %s in %s", header, c.head);
    wsc_free(&c);
}

static void wrong_upgrades_are_refused(void **state)
{
    (void)state;
    start();
    check_refused("Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " WS_KEY "\r\n", "HTTP/1.1 426 ",
                  "\r\nSec-WebSocket-Version: 13\r\n");
    check_refused("Sec-WebSocket-Key: " WS_KEY "\r\n", "HTTP/1.1 426 ", NULL);
    check_refused("Sec-WebSocket-Version: 13\r\n", "HTTP/1.1 400 ", NULL);
    check_refused("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n", "HTTP/1.1 400 ", NULL);
    check_refused(WS_USUAL "Origin: https://evil.example\r\n", "HTTP/1.1 403 ", NULL);
    check_refused(WS_USUAL "Origin: null\r\n", "HTTP/1.1 403 ", NULL);
    assert_int_equal(seen.opened, 0);
}

static void allowed_origins_and_own_pages_come_in(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open_with(&c, live.port, "/echo", WS_USUAL "Origin: http://localhost:5173\r\n");
    wsc_free(&c);
    wsc_open_with(&c, live.port, "/echo", WS_USUAL "Origin: http://127.0.0.1\r\n");
    wsc_free(&c);
}

static void other_upgrades_are_ordinary_requests(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, live.port);
    client_send(&c, STR("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"));
    free(client_until(&c, "a page"));
    client_close(&c);
}

static void the_request_is_there_on_open(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo?hello=h%C3%A4");
    wsc_expect_text(&c, "h\xc3\xa4");
    wsc_free(&c);
}

static void frames_may_follow_the_upgrade_at_once(void **state)
{
    (void)state;
    start();
    struct ws_client c = {0};
    struct buf out = BUF_INIT(KIB(4));
    client_open(&c.tcp, live.port);
    ws_reader_init(&c.reader, false, MIB(1));
    buf_lit(&out, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" WS_USUAL "\r\n");
    ws_frame_put(&out, WS_TEXT, STR("early"), true);
    ws_frame_put(&out, WS_TEXT, STR("count"), true);
    client_send(&c.tcp, buf_str(&out));
    buf_free(&out);
    c.head = client_until(&c.tcp, "\r\n\r\n");
    wsc_expect_text(&c, "early");
    wsc_expect_text(&c, "2 from 127.0.0.1");
    wsc_free(&c);
}

/* ---- Messages ---- */

static void messages_of_every_size_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 4081, 4082, 4083, 65535, 65536, 70000, MIB(1), MIB(4)};
    start();
    struct ws_client c;
    char *data = malloc(MIB(4));
    for (size_t i = 0; i < MIB(4); i++)
        data[i] = (char)('a' + i % 23);
    wsc_open(&c, live.port, "/echo");
    for (size_t i = 0; i < COUNT(sizes); i++) {
        wsc_send(&c, i % 2 ? WS_BINARY : WS_TEXT, str_n(data, sizes[i]));
        wsc_expect(&c, i % 2 ? WS_BINARY : WS_TEXT, str_n(data, sizes[i]));
    }
    free(data);
    wsc_free(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(conn_memory(), 0);
}

static void any_split_of_bytes_will_do(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    struct buf out = BUF_INIT(KIB(4));
    wsc_open(&c, live.port, "/echo");
    ws_frame_put(&out, WS_TEXT, STR("gr\xc3\xbc\xc3\x9f"), true);
    ws_frame_put(&out, WS_PING, STR("p"), true);
    ws_frame_put(&out, WS_BINARY, STR("two"), true);
    for (size_t i = 0; i < out.len; i++) {
        client_send(&c.tcp, str_n(buf_str(&out).p + i, 1));
        usleep(100); /* so that most bytes arrive alone; the result must not depend on it */
    }
    buf_free(&out);
    wsc_expect_text(&c, "gr\xc3\xbc\xc3\x9f");
    wsc_expect(&c, WS_PONG, STR("p"));
    wsc_expect(&c, WS_BINARY, STR("two"));
    wsc_free(&c);
}

static void fragments_make_one_message(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    /* masked with zeros, so the payload stands as it is */
    client_send(&c.tcp, str_n("\x01\x82\0\0\0\0He\x89\x81\0\0\0\0x\x00\x81\0\0\0\0l\x80\x82\0\0\0\0lo", 30));
    wsc_expect(&c, WS_PONG, STR("x"));
    wsc_expect_text(&c, "Hello");
    wsc_free(&c);
}

static void pings_are_answered_and_pongs_ignored(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    wsc_send(&c, WS_PONG, STR("nobody asked"));
    wsc_send(&c, WS_PING, STR("are you there"));
    wsc_send(&c, WS_PING, STR(""));
    wsc_expect(&c, WS_PONG, STR("are you there"));
    wsc_expect(&c, WS_PONG, STR(""));
    wsc_free(&c);
}

static void check_violation(const char *path, struct str bytes, uint16_t code)
{
    struct ws_client c;
    int before = seen.closed;
    wsc_open(&c, live.port, path);
    client_send(&c.tcp, bytes);
    wsc_expect_close(&c, code, NULL);
    wsc_expect_end(&c);
    await_count(&seen.closed, before + 1);
    assert_int_equal(seen.close_code, code);
    assert_true(strlen(seen.reason) > 0);
    wsc_free(&c);
}

static void violations_are_told_by_their_code(void **state)
{
    (void)state;
    start();
    check_violation("/echo", str_n("\x81\x02hi", 4), WS_PROTOCOL_ERROR);
    check_violation("/echo", str_n("\xc1\x80\0\0\0\0", 6), WS_PROTOCOL_ERROR);
    check_violation("/echo", str_n("\x83\x80\0\0\0\0", 6), WS_PROTOCOL_ERROR);
    check_violation("/echo", str_n("\x81\x81\0\0\0\0\xff", 7), WS_BAD_DATA);
    check_violation("/small", str_n("\x82\xfe\x03\xe9\0\0\0\0", 8), WS_TOO_BIG);
    check_violation("/echo", str_n("\x88\x81\0\0\0\0x", 7), WS_PROTOCOL_ERROR);
}

/* ---- Closing ---- */

static void a_close_is_echoed(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    wsc_send_close(&c, WS_GOING_AWAY, "tab closed");
    wsc_text(&c, "nobody hears this");
    wsc_expect_close(&c, WS_GOING_AWAY, "");
    wsc_expect_end(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(seen.close_code, WS_GOING_AWAY);
    assert_string_equal(seen.reason, "tab closed");
    wsc_free(&c);
    wsc_open(&c, live.port, "/echo");
    wsc_send_close(&c, 0, "");
    wsc_expect_close(&c, WS_NO_STATUS, "");
    wsc_expect_end(&c);
    await_count(&seen.closed, 2);
    assert_int_equal(seen.close_code, WS_NO_STATUS);
    wsc_free(&c);
    live_wait_idle(&live);
    assert_int_equal(seen.closed, 2);
}

static void the_door_may_close(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    wsc_text(&c, "close");
    wsc_text(&c, "too late");
    wsc_expect_close(&c, 4000, "bye");
    assert_int_equal(seen.closed, 0);
    wsc_send_close(&c, 4000, "");
    wsc_expect_end(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(seen.close_code, 4000);
    wsc_free(&c);
}

static void a_close_that_is_not_answered_ends_all_the_same(void **state)
{
    (void)state;
    config.websocket_pong = 30;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    wsc_text(&c, "close");
    wsc_expect_close(&c, 4000, "bye");
    wsc_expect_end(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(seen.close_code, 4000);
    wsc_free(&c);
}

static int64_t counted(const char *name, const char *labels)
{
    return metric_value(metric_counter(name, "", labels));
}

static void traffic_is_counted(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo"); /* registers them */
    int64_t in = counted("parley_websocket_messages_total", "direction=\"in\"");
    int64_t out = counted("parley_websocket_bytes_total", "direction=\"out\"");
    int64_t normal = counted("parley_websocket_closes_total", "class=\"normal\"");
    wsc_text(&c, "12345");
    wsc_send(&c, WS_PING, STR("not a message"));
    wsc_text(&c, "678");
    wsc_expect_text(&c, "12345");
    wsc_expect(&c, WS_PONG, STR("not a message"));
    wsc_expect_text(&c, "678");
    wsc_send_close(&c, WS_NORMAL, "");
    await_count(&seen.closed, 1);
    assert_int_equal(counted("parley_websocket_messages_total", "direction=\"in\"") - in, 2);
    assert_int_equal(counted("parley_websocket_bytes_total", "direction=\"out\"") - out, 8);
    assert_int_equal(counted("parley_websocket_closes_total", "class=\"normal\"") - normal, 1);
    wsc_free(&c);
}

static void a_lost_connection_is_1006(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    wsc_text(&c, "hello");
    wsc_expect_text(&c, "hello");
    wsc_free(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(seen.close_code, WS_ABNORMAL);
}

static char kept_text[64];

static void look_at_kept(struct live_server *unused)
{
    (void)unused;
    struct websocket *ws = seen.kept;
    snprintf(kept_text, sizeof kept_text, "%s %.*s %d %zu", websocket_id(ws), STR_ARG(websocket_address(ws)),
             websocket_is_open(ws), websocket_queued(ws));
    live_assert(websocket_send(ws, WS_TEXT, STR("x")) == -1);
    struct blob *frame = websocket_encode(WS_TEXT, STR("x"));
    live_assert(websocket_send_frame(ws, frame) == -1);
    blob_unref(frame);
    websocket_close(ws, WS_NORMAL, STR(""));
    websocket_serial(ws, STR("x"), handle_serial);
}

static void a_reference_outlives_the_connection(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    wsc_text(&c, "keep");
    wsc_text(&c, "kept");
    wsc_expect_text(&c, "kept");
    wsc_free(&c);
    await_count(&seen.closed, 1);
    live_wait_idle(&live);
    live_do(&live, look_at_kept);
    assert_true(str_starts(str_c(kept_text), STR("ws-")));
    assert_true(str_ends(str_c(kept_text), STR(" 127.0.0.1 0 0")));
    assert_int_equal(seen.handled, 0);
}

static void draining_says_good_bye(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    await_count(&seen.opened, 1);
    live_do(&live, live_drain);
    wsc_expect_close(&c, WS_NORMAL, "Server shutting down");
    wsc_send_close(&c, WS_NORMAL, "");
    wsc_expect_end(&c);
    live_wait_idle(&live);
    assert_int_equal(seen.close_code, WS_NORMAL);
    wsc_free(&c);
}

/* ---- Keep-alive ---- */

static void silent_peers_are_pinged_then_dropped(void **state)
{
    (void)state;
    config.websocket_ping = 30;
    config.websocket_pong = 30;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    for (int i = 0; i < 3; i++) {
        wsc_expect(&c, WS_PING, STR(""));
        wsc_send(&c, WS_PONG, STR(""));
    }
    wsc_expect(&c, WS_PING, STR(""));
    assert_int_equal(seen.closed, 0);
    wsc_expect_end(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(seen.close_code, WS_ABNORMAL);
    wsc_free(&c);
}

static void any_input_is_a_sign_of_life(void **state)
{
    (void)state;
    config.websocket_ping = 2000;
    config.websocket_pong = 2000;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    uint64_t until = clock_mono_ms() + 200;
    while (clock_mono_ms() < until) {
        wsc_text(&c, "x");
        wsc_expect_text(&c, "x"); /* and no ping in between */
    }
    wsc_free(&c);
}

/* ---- One after the other ---- */

static void serial_messages_keep_their_order(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    char text[32];
    wsc_open(&c, live.port, "/serial");
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "m%d", i);
        wsc_text(&c, text);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "did m%d", i);
        wsc_expect_text(&c, text);
    }
    wsc_text(&c, "quit");
    wsc_expect_text(&c, "did quit");
    wsc_expect_close(&c, WS_NORMAL, "");
    wsc_free(&c);
}

static int try_send_all(struct ws_client *c, struct str frame, int most)
{
    int sent = 0;
    for (; sent < most; sent++) {
        struct pollfd ready = {.fd = c->tcp.fd, .events = POLLOUT};
        if (poll(&ready, 1, 200) != 1)
            break;
        if (send(c->tcp.fd, frame.p, frame.n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)frame.n)
            break;
    }
    return sent;
}

static void a_busy_handler_slows_its_client(void **state)
{
    (void)state;
    config.websocket_ping = 50; /* tells that the client is gone, though nothing is read */
    start();
    struct ws_client c;
    struct buf frame = BUF_INIT(KIB(64));
    char filler[KIB(16)] = {0};
    wsc_open(&c, live.port, "/serial");
    wsc_text(&c, "forever");
    ws_frame_put(&frame, WS_BINARY, str_n(filler, sizeof filler), true);
    int sent = try_send_all(&c, buf_str(&frame), 10000);
    buf_free(&frame);
    assert_true(sent < 10000);
    assert_true(conn_memory() < MIB(1));
    wsc_free(&c);
    await_count(&seen.cancelled, 1);
    live_wait_idle(&live);
    assert_int_equal(seen.handled, 1);
}

static void the_handler_is_cancelled_with_its_socket(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/serial");
    wsc_text(&c, "forever");
    wsc_text(&c, "never handled");
    wsc_send_close(&c, WS_NORMAL, "");
    wsc_expect_close(&c, WS_NORMAL, "");
    await_count(&seen.cancelled, 1);
    wsc_free(&c);
    live_wait_idle(&live);
    assert_int_equal(seen.handled, 1);
}

/* ---- Slow readers ---- */

static void slow_consumers_are_closed(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/flood");
    wsc_text(&c, "go");
    await_count(&seen.refused, 1);
    struct ws_event event;
    int messages = 0;
    while (wsc_next(&c, &event, NULL) && event.opcode == WS_BINARY)
        messages++;
    assert_int_equal(event.opcode, WS_CLOSE);
    assert_int_equal(event.close_code, WS_TRY_LATER);
    assert_int_equal(messages + seen.refused, 40);
    wsc_send_close(&c, WS_TRY_LATER, "");
    await_count(&seen.closed, 1);
    assert_int_equal(seen.close_code, WS_TRY_LATER);
    wsc_free(&c);
}

static void or_messages_are_dropped(void **state)
{
    (void)state;
    config.slow_consumer_drops = true;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/flood");
    wsc_text(&c, "go");
    await_count(&seen.refused, 1);
    wsc_send(&c, WS_PING, STR("still there"));
    struct ws_event event;
    int messages = 0;
    while (wsc_next(&c, &event, NULL) && event.opcode == WS_BINARY)
        messages++;
    assert_int_equal(event.opcode, WS_PONG);
    assert_int_equal(messages + seen.refused, 40);
    await_count(&seen.drained, 1);
    wsc_free(&c);
}

/* ---- Shared frames, compression ---- */

static void one_frame_serves_many(void **state)
{
    (void)state;
    start();
    struct ws_client c[4];
    static char big[KIB(100)];
    memset(big, 'b', sizeof big);
    for (size_t i = 0; i < COUNT(c); i++)
        wsc_open(&c[i], live.port, "/group");
    await_count(&seen.nsockets, COUNT(c));
    wsc_text(&c[0], "short");
    wsc_send(&c[1], WS_BINARY, str_n(big, sizeof big));
    for (size_t i = 0; i < COUNT(c); i++) {
        struct ws_event event; /* the two senders race */
        bool first_short = wsc_next(&c[i], &event, NULL) && event.opcode == WS_TEXT;
        if (first_short)
            wsc_expect(&c[i], WS_BINARY, str_n(big, sizeof big));
        else
            wsc_expect_text(&c[i], "short");
    }
    for (size_t i = 0; i < COUNT(c); i++)
        wsc_free(&c[i]);
}

static void open_compressed(struct ws_client *c, const char *path)
{
    struct ws_deflate_params params;
    wsc_open_with(c, live.port, path, WS_USUAL "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    static const char name[] = "Sec-WebSocket-Extensions: ";
    char *answer = strstr(c->head, name);
    assert_non_null(answer);
    struct str value = str_c(answer + sizeof name - 1);
    value.n = (size_t)str_find_char(value, '\r');
    assert_int_equal(ws_deflate_answer(value, &params), 0);
    c->deflate = ws_deflate_new(&params, false);
    c->reader.deflate = c->deflate;
}

static void compression_is_used_when_configured(void **state)
{
    (void)state;
    config.websocket_compression = true;
    start();
    struct ws_client c;
    static char big[KIB(100)];
    memset(big, 'x', sizeof big);
    open_compressed(&c, "/echo");
    for (int i = 0; i < 3; i++) {
        wsc_send(&c, WS_TEXT, str_n(big, sizeof big));
        while (c.tcp.in.len < 2)
            client_fill(&c.tcp);
        struct str in = buf_str(&c.tcp.in);
        assert_int_equal((unsigned char)in.p[0], 0xC1);
        assert_true(((unsigned char)in.p[1] & 0x7F) <= 126); /* far shorter than it was */
        wsc_expect(&c, WS_TEXT, str_n(big, sizeof big));
    }
    wsc_text(&c, "short ones are sent as they are");
    while (c.tcp.in.len < 2)
        client_fill(&c.tcp);
    assert_int_equal((unsigned char)buf_str(&c.tcp.in).p[0], 0x81);
    wsc_expect_text(&c, "short ones are sent as they are");
    struct buf out = BUF_INIT(MIB(1)), frame = BUF_INIT(MIB(1));
    assert_int_equal(ws_deflate_message(c.deflate, str_n(big, sizeof big), &out), 0);
    static const uint8_t key[4];
    uint8_t header[WS_HEADER_MAX];
    buf_add(&frame, header, ws_header(header, WS_TEXT, true, true, out.len, key));
    buf_str_add(&frame, buf_str(&out));
    client_send(&c.tcp, buf_str(&frame));
    wsc_expect(&c, WS_TEXT, str_n(big, sizeof big));
    buf_free(&out);
    buf_free(&frame);
    wsc_free(&c);
}

static void shared_frames_reach_compressed_sockets(void **state)
{
    (void)state;
    config.websocket_compression = true;
    config.websocket_context = true;
    start();
    struct ws_client plain, packed;
    static char big[KIB(70)];
    memset(big, 'y', sizeof big);
    wsc_open(&plain, live.port, "/group");
    open_compressed(&packed, "/group");
    await_count(&seen.nsockets, 2);
    for (size_t size = 100; size <= sizeof big; size += 700) {
        wsc_send(&plain, WS_BINARY, str_n(big, size));
        wsc_expect(&plain, WS_BINARY, str_n(big, size));
        wsc_expect(&packed, WS_BINARY, str_n(big, size));
    }
    wsc_free(&plain);
    wsc_free(&packed);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_upgrade_is_answered),
        CASE(wrong_upgrades_are_refused),
        CASE(allowed_origins_and_own_pages_come_in),
        CASE(other_upgrades_are_ordinary_requests),
        CASE(the_request_is_there_on_open),
        CASE(frames_may_follow_the_upgrade_at_once),
        CASE(messages_of_every_size_come_back),
        CASE(any_split_of_bytes_will_do),
        CASE(fragments_make_one_message),
        CASE(pings_are_answered_and_pongs_ignored),
        CASE(violations_are_told_by_their_code),
        CASE(a_close_is_echoed),
        CASE(the_door_may_close),
        CASE(a_close_that_is_not_answered_ends_all_the_same),
        CASE(traffic_is_counted),
        CASE(a_lost_connection_is_1006),
        CASE(a_reference_outlives_the_connection),
        CASE(draining_says_good_bye),
        CASE(silent_peers_are_pinged_then_dropped),
        CASE(any_input_is_a_sign_of_life),
        CASE(serial_messages_keep_their_order),
        CASE(a_busy_handler_slows_its_client),
        CASE(the_handler_is_cancelled_with_its_socket),
        CASE(slow_consumers_are_closed),
        CASE(or_messages_are_dropped),
        CASE(one_frame_serves_many),
        CASE(compression_is_used_when_configured),
        CASE(shared_frames_reach_compressed_sockets),
    };
    return cmocka_run_group_tests_name("websocket", tests, NULL, NULL);
}
