/* WebSockets of doors that pass messages on: frames come and go one by one. */
#include "unit/support/unit.h"

#include "base/log.h"
#include "net/conn.h"
#include "server/websocket.h"
#include "unit/support/ws_client.h"

static struct live_server live;
static struct server_config config;
static char big[KIB(300)];

static struct {
    atomic_int frames, closed, close_code, refused, drained;
    struct websocket *kept;
} seen;

static void on_open(struct websocket *ws, struct http_request *rq)
{
    (void)rq;
    seen.kept = websocket_ref(ws);
}

static void on_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    (void)ws, (void)reason;
    atomic_store(&seen.close_code, code);
    atomic_fetch_add(&seen.closed, 1);
}

static void on_drained(struct websocket *ws)
{
    (void)ws;
    atomic_fetch_add(&seen.drained, 1);
}

/* Back to whom it came from. */
static void echo(struct websocket *ws, enum ws_opcode opcode, bool fin, struct str data)
{
    live_assert(websocket_send_fragment(ws, opcode, fin, data) == 0);
    atomic_fetch_add(&seen.frames, 1);
}

/* Each frame brings the kernel's buffers and our queue closer to their ceilings. */
static void flood(struct websocket *ws, enum ws_opcode opcode, bool fin, struct str data)
{
    (void)data, (void)fin;
    int sent = 0;
    while (sent < 60 && websocket_send_fragment(ws, sent ? WS_CONTINUATION : opcode, false, str_n(big, KIB(256))) == 0)
        sent++;
    atomic_fetch_add(&seen.refused, 60 - sent);
}

static void pause_after(struct websocket *ws, enum ws_opcode opcode, bool fin, struct str data)
{
    atomic_fetch_add(&seen.frames, 1);
    websocket_send_fragment(ws, opcode, fin, data);
    if (str_eqc(data, "pause"))
        websocket_pause(ws, true);
}

/* A message answered by one in fragments, between which only control frames have a place. */
static void fragments(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    struct blob *frame = websocket_encode(WS_TEXT, STR("shared"));
    live_assert(websocket_send_fragment(ws, WS_CONTINUATION, true, data) == -1);
    live_assert(websocket_send_fragment(ws, WS_PING, true, data) == -1);
    live_assert(websocket_send_fragment(ws, opcode, false, data) == 0);
    live_assert(websocket_send_fragment(ws, opcode, false, data) == -1);
    live_assert(websocket_send(ws, WS_TEXT, STR("x")) == -1);
    live_assert(websocket_send_frame(ws, frame) == -1);
    live_assert(websocket_send(ws, WS_PING, STR("between")) == 0);
    live_assert(websocket_send_fragment(ws, WS_CONTINUATION, false, STR("")) == 0);
    live_assert(websocket_send_fragment(ws, WS_CONTINUATION, true, str_n(big, KIB(5))) == 0);
    live_assert(websocket_send_frame(ws, frame) == 0);
    blob_unref(frame);
}

#define RELAY(frame_handler)                                                                                           \
    {                                                                                                                  \
        .max_message = MIB(1), .on_open = on_open, .on_frame = (frame_handler), .on_drained = on_drained,              \
        .on_closed = on_closed                                                                                         \
    }
static const struct websocket_ops echo_ops = RELAY(echo);
static const struct websocket_ops flood_ops = RELAY(flood);
static const struct websocket_ops pause_ops = RELAY(pause_after);
static const struct websocket_ops message_ops = {.on_open = on_open, .on_message = fragments, .on_closed = on_closed};

static const struct http_route routes[] = {
    {.method = HTTP_GET, .path = "/echo", .websocket = &echo_ops},
    {.method = HTTP_GET, .path = "/flood", .websocket = &flood_ops},
    {.method = HTTP_GET, .path = "/pause", .websocket = &pause_ops},
    {.method = HTTP_GET, .path = "/messages", .websocket = &message_ops},
};

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_OFF, LOG_TEXT);
    memset(&seen, 0, sizeof seen);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)('a' + i % 23);
    config = (struct server_config){.idle_timeout = 60000, .websocket_ping = 60000, .websocket_pong = 60000};
    return 0;
}

static void release_kept(struct live_server *unused)
{
    (void)unused;
    seen.kept = websocket_unref(seen.kept);
}

static void release(void)
{
    live_do(&live, release_kept);
}

static int teardown(void **state)
{
    (void)state;
    release();
    live_stop(&live);
    return 0;
}

static void start(void)
{
    live_start(&live, &config, routes, COUNT(routes));
}

static void resume_kept(struct live_server *unused)
{
    (void)unused;
    websocket_pause(seen.kept, false);
}

/* ---- A client that sends and reads frames ---- */

static void send_frame(struct ws_client *c, uint8_t first, struct str data)
{
    uint8_t header[WS_HEADER_MAX], key[4] = {7, 77, 177, 0};
    struct buf out = BUF_INIT(MIB(2));
    size_t n = ws_header(header, WS_TEXT, true, false, data.n, key);
    header[0] = first;
    buf_add(&out, header, n);
    buf_str_add(&out, data);
    ws_mask((uint8_t *)out.data + n, data.n, key, 0);
    client_send(&c->tcp, buf_str(&out));
    buf_free(&out);
}

/* The next frame has this first byte and data. */
static void expect_frame(struct ws_client *c, uint8_t first, struct str data)
{
    uint8_t header[WS_HEADER_MAX];
    size_t n = ws_header(header, WS_TEXT, true, false, data.n, NULL);
    header[0] = first;
    while (c->tcp.in.len < n + data.n)
        if (!client_fill(&c->tcp))
            fail_msg("the stream ended");
    assert_memory_equal(buf_str(&c->tcp.in).p, header, n);
    assert_memory_equal(buf_str(&c->tcp.in).p + n, data.p, data.n);
    buf_consume(&c->tcp.in, n + data.n);
}

/* Takes the next frame, or what is there of it, which goes on with big[*at]; true when the message is over. */
static bool take_frame(struct ws_client *c, size_t *at)
{
    struct ws_event event;
    struct err e = {0};
    for (;;) {
        struct str in = buf_str(&c->tcp.in);
        size_t had = in.n;
        int got = ws_next_frame(&c->reader, &in, &event, &e);
        if (got > 0) {
            if (event.opcode == WS_CLOSE)
                fail_msg("close frame %d", event.close_code);
            assert_memory_equal(event.data.p, big + *at, event.data.n);
            *at += event.data.n;
        }
        buf_consume(&c->tcp.in, had - in.n);
        if (got > 0)
            return event.fin;
        if (got < 0 || !client_fill(&c->tcp))
            fail_msg("no frame: %s", e.text);
    }
}

static void frames_pass_as_they_are(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    send_frame(&c, 0x01, STR("one \xE2"));
    expect_frame(&c, 0x01, STR("one \xE2"));
    send_frame(&c, 0x89, STR("ping"));
    expect_frame(&c, 0x8A, STR("ping"));
    send_frame(&c, 0x00, STR(""));
    expect_frame(&c, 0x00, STR(""));
    send_frame(&c, 0x80, STR("\x82\xAC two"));
    expect_frame(&c, 0x80, STR("\x82\xAC two"));
    send_frame(&c, 0x82, str_n(big, WS_FRAME_WHOLE));
    expect_frame(&c, 0x82, str_n(big, WS_FRAME_WHOLE));
    assert_int_equal(seen.frames, 4);
    wsc_free(&c);
    await_count(&seen.closed, 1);
    assert_int_equal(conn_memory(), 0);
}

/* Nothing is collected: what is there of a long frame comes back while the rest is not sent yet. */
static void a_long_frame_passes_as_it_comes(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    uint8_t header[WS_HEADER_MAX], key[4] = {0};
    wsc_open(&c, live.port, "/echo");
    client_send(&c.tcp, str_n(header, ws_header(header, WS_TEXT, true, false, KIB(300), key)));
    client_send(&c.tcp, str_n(big, KIB(2)));
    expect_frame(&c, 0x01, str_n(big, KIB(2)));
    client_send(&c.tcp, str_n(big + KIB(2), 1));
    expect_frame(&c, 0x00, str_n(big + KIB(2), 1));
    client_send(&c.tcp, str_n(big + KIB(2) + 1, KIB(298) - 1));
    c.reader.opcode = WS_TEXT; /* expect_frame took the message's beginning off the input */
    c.reader.passing = true;
    size_t have = KIB(2) + 1;
    for (bool fin = false; !fin;)
        fin = take_frame(&c, &have);
    assert_int_equal(have, KIB(300));
    wsc_free(&c);
}

static void wrong_frames_close_the_socket(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/echo");
    send_frame(&c, 0x01, STR("begun"));
    send_frame(&c, 0x81, STR("anew"));
    expect_frame(&c, 0x01, STR("begun"));
    wsc_expect_close(&c, WS_PROTOCOL_ERROR, NULL);
    release();
    wsc_free(&c);
    wsc_open(&c, live.port, "/echo");
    send_frame(&c, 0x81, STR("\xFF"));
    wsc_expect_close(&c, WS_BAD_DATA, NULL);
    release();
    wsc_free(&c);
    wsc_open(&c, live.port, "/echo");
    send_frame(&c, 0x02, STR("a little"));
    expect_frame(&c, 0x02, STR("a little"));
    uint8_t header[WS_HEADER_MAX], key[4] = {0};
    size_t n = ws_header(header, WS_CONTINUATION, true, false, MIB(1) - 7, key);
    client_send(&c.tcp, str_n(header, n));
    wsc_expect_close(&c, WS_TOO_BIG, NULL);
    wsc_free(&c);
}

static void messages_may_be_sent_in_fragments(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/messages");
    wsc_text(&c, "hello");
    expect_frame(&c, 0x01, STR("hello"));
    expect_frame(&c, 0x89, STR("between"));
    expect_frame(&c, 0x00, STR(""));
    expect_frame(&c, 0x80, str_n(big, KIB(5)));
    expect_frame(&c, 0x81, STR("shared"));
    wsc_free(&c);
}

static void passing_is_not_compressed(void **state)
{
    (void)state;
    config.websocket_compression = true;
    start();
    struct ws_client c;
    wsc_open_with(&c, live.port, "/echo", WS_USUAL "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    assert_null(strstr(c.head, "Extensions"));
    send_frame(&c, 0x81, str_n(big, 5000));
    expect_frame(&c, 0x81, str_n(big, 5000));
    wsc_free(&c);
}

static void a_pause_holds_frames_back(void **state)
{
    (void)state;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/pause");
    send_frame(&c, 0x01, STR("pause"));
    send_frame(&c, 0x00, str_n(big, 5000));
    send_frame(&c, 0x80, STR("end"));
    expect_frame(&c, 0x01, STR("pause"));
    for (int i = 0; i < 3; i++)
        live_do(&live, live_ask_idle); /* rounds of the loop, in which nothing is read */
    assert_int_equal(seen.frames, 1);
    live_do(&live, resume_kept);
    expect_frame(&c, 0x00, str_n(big, 5000));
    expect_frame(&c, 0x80, STR("end"));
    wsc_free(&c);
}

/* A message without one of its fragments would be another one, so nothing is dropped. */
static void slow_consumers_are_closed(void **state)
{
    (void)state;
    config.slow_consumer_drops = true;
    start();
    struct ws_client c;
    wsc_open(&c, live.port, "/flood");
    send_frame(&c, 0x81, STR("go"));
    await_count(&seen.refused, 1);
    struct ws_event event = {.opcode = WS_TEXT};
    struct err e = {0};
    int ends = 0;
    while (event.opcode != WS_CLOSE) {
        struct str in = buf_str(&c.tcp.in);
        size_t had = in.n;
        int got = ws_next_frame(&c.reader, &in, &event, &e);
        ends += got > 0 && event.fin;
        buf_consume(&c.tcp.in, had - in.n);
        if (got < 0 || (got == 0 && !client_fill(&c.tcp)))
            fail_msg("no close frame: %s", e.text);
    }
    assert_int_equal(event.close_code, WS_TRY_LATER);
    assert_int_equal(ends, 1); /* the close frame: the message never ended */
    wsc_send_close(&c, WS_TRY_LATER, "");
    await_count(&seen.closed, 1);
    assert_int_equal(seen.close_code, WS_TRY_LATER);
    wsc_free(&c);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(frames_pass_as_they_are),       CASE(a_long_frame_passes_as_it_comes),
        CASE(wrong_frames_close_the_socket), CASE(messages_may_be_sent_in_fragments),
        CASE(passing_is_not_compressed),     CASE(a_pause_holds_frames_back),
        CASE(slow_consumers_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
