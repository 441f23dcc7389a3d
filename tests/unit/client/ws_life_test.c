/* Outgoing WebSockets after the handshake, against scripted peers: frames on the wire, rules, ends, heartbeats. */
#include "unit/support/peer.h"

#include "base/log.h"
#include "net/conn.h"
#include "unit/client/ws_sock.h"

/* ---- The server's side, with blocking calls ---- */

static atomic_int step; /* how far a peer is; the test's task waits for it, or it for the test */

static void peer_upgrade(int fd)
{
    char request[4096], accept[29], reply[512];
    peer_assert(peer_read_head(fd, request, sizeof request));
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    peer_assert(key && ws_accept(accept, str_n(key + 19, 24)) == 0);
    snprintf(reply, sizeof reply,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
    peer_assert(peer_send(fd, str_c(reply)));
}

/* A frame with this first byte. */
static void put_frame(int fd, uint8_t first, struct str data)
{
    uint8_t header[WS_HEADER_MAX];
    size_t n = ws_header(header, WS_TEXT, true, false, data.n, NULL);
    header[0] = first;
    peer_send(fd, str_n(header, n));
    peer_send(fd, data);
}

struct frame {
    uint8_t first, key[4];
    char data[KIB(200)];
    size_t n;
};

static bool get_bytes(int fd, void *to, size_t n)
{
    for (size_t have = 0; have < n;) {
        ssize_t got = recv(fd, (char *)to + have, n - have, 0);
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

/* The client's next frame, unmasked; false at the end. */
static bool get_frame(int fd, struct frame *f)
{
    uint8_t head[2], length[8] = {0};
    if (!get_bytes(fd, head, 2))
        return false;
    peer_assert(head[1] & 0x80);
    f->first = head[0];
    f->n = head[1] & 0x7F;
    if (f->n >= 126) {
        size_t bytes = f->n == 126 ? 2 : 8;
        peer_assert(get_bytes(fd, length, bytes));
        f->n = 0;
        for (size_t i = 0; i < bytes; i++)
            f->n = f->n << 8 | length[i];
    }
    peer_assert(f->n <= sizeof f->data && get_bytes(fd, f->key, 4) && get_bytes(fd, f->data, f->n));
    ws_mask((uint8_t *)f->data, f->n, f->key, 0);
    return true;
}

static void expect_frame(int fd, uint8_t first, struct str data)
{
    static _Thread_local struct frame f;
    peer_assert(get_frame(fd, &f));
    if (f.first != first || !str_eq(str_n(f.data, f.n), data))
        die("frame %02x with %zu bytes", f.first, f.n);
}

static void expect_close(int fd, uint16_t code)
{
    static _Thread_local struct frame f;
    do
        peer_assert(get_frame(fd, &f));
    while (f.first != 0x88);
    peer_assert(f.n >= 2 && ((uint8_t)f.data[0] << 8 | (uint8_t)f.data[1]) == code);
}

static void wait_step(int n)
{
    while (atomic_load(&step) < n)
        usleep(500);
}

/* ---- The client ---- */

static struct upstream *upstream;

static void run(void (*body)(void *arg), void *arg, peer_fn *serve)
{
    struct peer peer;
    char base_url[64];
    atomic_store(&step, 0);
    peer_start(&peer, serve, NULL);
    snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", peer.port);
    struct upstream_config config = {
        .name = "test", .base_url = base_url, .connect_timeout = 20000, .first_byte_timeout = 20000};
    upstream = upstream_new(&config);
    run_client(body, arg);
    upstream_free(upstream);
    peer_stop(&peer);
    assert_int_equal(conn_memory(), 0);
}

static struct ws_client_request ask(void)
{
    return (struct ws_client_request){.upstream = upstream, .path = STR("/")};
}

static void await_step(int n)
{
    while (atomic_load(&step) < n)
        assert_int_equal(task_sleep(1, NULL), 0);
}

static char big[KIB(200)];

/* ---- Masks ---- */

static void serve_masks(struct peer *p, int fd)
{
    static struct frame one, two;
    (void)p;
    peer_upgrade(fd);
    peer_assert(get_frame(fd, &one) && get_frame(fd, &two));
    peer_assert(one.first == 0x81 && str_eq(str_n(one.data, one.n), STR("the same")));
    peer_assert(two.first == 0x81 && str_eq(str_n(two.data, two.n), STR("the same")));
    peer_assert(memcmp(one.key, two.key, 4) != 0);
    expect_frame(fd, 0x02, str_n(big, sizeof big));
    expect_frame(fd, 0x89, STR("between"));
    expect_frame(fd, 0x80, STR(""));
    expect_close(fd, 1000);
    put_frame(fd, 0x88, STR("\x03\xE8"));
    peer_drain(fd);
}

static void body_masks(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask(), false);
    sock_text(&s, "the same");
    sock_text(&s, "the same");
    assert_int_equal(ws_client_send(s.ws, WS_BINARY, false, str_n(big, sizeof big)), 0);
    assert_int_equal(ws_client_send(s.ws, WS_PING, true, STR("between")), 0);
    assert_int_equal(ws_client_send(s.ws, WS_CONTINUATION, true, STR_NONE), 0);
    sock_close(&s);
}

static void frames_are_masked_with_fresh_keys(void **state)
{
    (void)state;
    run(body_masks, NULL, serve_masks);
}

/* ---- Violations ---- */

struct violation {
    struct str bytes;
    uint16_t code;
};

static const struct violation *violation;

static void serve_violation(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    peer_send(fd, violation->bytes);
    expect_close(fd, violation->code);
    peer_drain(fd);
}

static void body_violation(void *arg)
{
    struct sock s;
    struct ws_client_request rq = ask();
    rq.max_message = 20000;
    sock_open(&s, rq, arg);
    sock_await_closed(&s, violation->code, NULL);
    assert_true(strlen(s.reason) > 0);
    sock_free(&s);
}

#define BYTES(literal)                                                                                                 \
    {                                                                                                                  \
        "" literal, sizeof(literal) - 1                                                                                \
    }

static void violations_are_told_by_their_code(void **state)
{
    static const struct violation violations[] = {
        {BYTES("\x81\x85\x01\x02\x03\x04hello"), WS_PROTOCOL_ERROR}, /* masked */
        {BYTES("\xC1\x01x"), WS_PROTOCOL_ERROR},
        {BYTES("\x83\x01x"), WS_PROTOCOL_ERROR},
        {BYTES("\x80\x01x"), WS_PROTOCOL_ERROR},
        {BYTES("\x01\x01x\x81\x01x"), WS_PROTOCOL_ERROR},
        {BYTES("\x09\x01x"), WS_PROTOCOL_ERROR},
        {BYTES("\x89\x7E"), WS_PROTOCOL_ERROR},
        {BYTES("\x81\x7E\x00\x01x"), WS_PROTOCOL_ERROR},
        {BYTES("\x88\x01x"), WS_PROTOCOL_ERROR},
        {BYTES("\x88\x02\x03\xED"), WS_PROTOCOL_ERROR},
        {BYTES("\x81\x01\xFF"), WS_BAD_DATA},
        {BYTES("\x88\x03\x03\xE8\xFF"), WS_BAD_DATA},
        {BYTES("\x82\x7E\x4E\x21"), WS_TOO_BIG},
        {BYTES("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), WS_TOO_BIG},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(violations); i++) {
        violation = &violations[i];
        run(body_violation, NULL, serve_violation);
        run(body_violation, big, serve_violation);
    }
}

/* ---- Passing on ---- */

static void serve_long_frame(struct peer *p, int fd)
{
    uint8_t header[WS_HEADER_MAX];
    (void)p;
    peer_upgrade(fd);
    peer_send(fd, str_n(header, ws_header(header, WS_BINARY, true, false, sizeof big, NULL)));
    peer_send(fd, str_n(big, 3000));
    expect_frame(fd, 0x81, STR("got it"));
    peer_send(fd, str_n(big + 3000, sizeof big - 3000));
    put_frame(fd, 0x01, STR("one"));
    put_frame(fd, 0x89, STR("ping"));
    put_frame(fd, 0x8A, STR("unasked"));
    put_frame(fd, 0x00, STR(""));
    put_frame(fd, 0x80, STR("two"));
    expect_frame(fd, 0x8A, STR("ping"));
    expect_close(fd, 1000);
    put_frame(fd, 0x88, STR(""));
    peer_drain(fd);
}

static void body_long_frame(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask(), true);
    sock_await_log(&s, "B+3000: ");
    sock_text(&s, "got it");
    while (s.messages < 2)
        assert_int_equal(task_park(NULL), 0);
    assert_int_equal(s.bytes, sizeof big + 6);
    const char *tail = strstr(buf_cstr(&s.log), "T+3:");
    assert_non_null(tail);
    assert_string_equal(tail, "T+3:one -+0: -3:two ");
    sock_close(&s);
}

static void a_long_frame_passes_as_it_comes(void **state)
{
    (void)state;
    run(body_long_frame, NULL, serve_long_frame);
}

/* ---- Ends ---- */

static void serve_close(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    put_frame(fd, 0x88, STR("\x0F\xA1leaving"));
    expect_frame(fd, 0x88, STR("\x0F\xA1"));
    peer_drain(fd);
}

static void body_closed(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask(), false);
    sock_await_closed(&s, 4001, "leaving");
    assert_false(ws_client_is_open(s.ws));
    assert_int_equal(ws_client_wait_drained(s.ws, NULL), -1);
    ws_client_abort(s.ws);
    sock_free(&s);
}

static void serve_close_without_code(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    put_frame(fd, 0x88, STR(""));
    expect_frame(fd, 0x88, STR(""));
}

static void body_closed_without_code(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask(), false);
    sock_await_closed(&s, WS_NO_STATUS, "");
    sock_free(&s);
}

static void the_peer_may_close(void **state)
{
    (void)state;
    run(body_closed, NULL, serve_close);
    run(body_closed_without_code, NULL, serve_close_without_code);
}

static void serve_half_close(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    put_frame(fd, 0x81, STR("last words"));
    shutdown(fd, SHUT_WR);
    peer_drain(fd);
}

static void serve_reset(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    put_frame(fd, 0x81, STR("last words"));
    wait_step(1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
}

static void body_lost(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask(), false);
    sock_await_messages(&s, 1);
    assert_string_equal(buf_cstr(&s.message), "last words");
    atomic_store(&step, 1);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

static void lost_connections_are_1006(void **state)
{
    (void)state;
    run(body_lost, NULL, serve_half_close);
    run(body_lost, NULL, serve_reset);
}

static void serve_farewell(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    put_frame(fd, 0x81, STR("nobody reads this"));
    expect_close(fd, 4007);
    put_frame(fd, 0x88, STR("\x0F\xA7you too"));
    peer_drain(fd);
}

/* Whoever paused it, and tries to: the answer is read. */
static void body_paused_close(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask(), false);
    ws_client_pause(s.ws, true);
    ws_client_close(s.ws, 4007, STR("bye"));
    ws_client_pause(s.ws, true);
    sock_await_closed(&s, 4007, "you too");
    assert_int_equal(s.messages, 0);
    sock_free(&s);
}

static void a_paused_socket_is_read_once_it_closes(void **state)
{
    (void)state;
    run(body_paused_close, NULL, serve_farewell);
}

/* It goes on sending, but never the close frame. */
static void serve_deaf(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    expect_close(fd, 4005);
    while (peer_send(fd, STR("\x81\x01x")))
        usleep(1000);
}

static void body_unanswered(void *arg)
{
    struct sock s;
    struct ws_client_request rq = ask();
    (void)arg;
    rq.pong = 50;
    sock_open(&s, rq, false);
    ws_client_close(s.ws, 4005, STR("bye"));
    assert_false(ws_client_is_open(s.ws));
    assert_int_equal(ws_client_send(s.ws, WS_TEXT, true, STR("x")), -1);
    assert_int_equal(ws_client_wait_drained(s.ws, NULL), -1);
    ws_client_close(s.ws, 4006, STR("again"));
    sock_await_closed(&s, 4005, "");
    assert_int_equal(s.messages, 0);
    sock_free(&s);
}

static void a_close_that_is_not_answered_ends_all_the_same(void **state)
{
    (void)state;
    run(body_unanswered, NULL, serve_deaf);
}

/* ---- Heartbeats ---- */

static void serve_pongs(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    for (int i = 0; i < 4; i++) {
        expect_frame(fd, 0x89, STR(""));
        put_frame(fd, 0x8A, STR(""));
    }
    expect_frame(fd, 0x89, STR(""));
    put_frame(fd, 0x88, STR("\x03\xE8"));
    peer_drain(fd);
}

static void body_answered_pings(void *arg)
{
    struct sock s;
    struct ws_client_request rq = ask();
    (void)arg;
    rq.ping = 10;
    rq.pong = 20000;
    sock_open(&s, rq, false);
    sock_await_closed(&s, WS_NORMAL, "");
    sock_free(&s);
}

static void serve_silence(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    expect_frame(fd, 0x89, STR(""));
    peer_drain(fd);
}

static void body_unanswered_ping(void *arg)
{
    struct sock s;
    struct ws_client_request rq = ask();
    (void)arg;
    rq.ping = 10;
    rq.pong = 50;
    sock_open(&s, rq, false);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

static void silent_peers_are_pinged_then_dropped(void **state)
{
    (void)state;
    run(body_answered_pings, NULL, serve_pongs);
    run(body_unanswered_ping, NULL, serve_silence);
}

/* Without input of ours nothing can be told about the peer: pings go on and nobody is dropped. */
static void serve_counting(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    for (int i = 0; i < 5; i++) {
        expect_frame(fd, 0x89, STR(""));
        atomic_fetch_add(&step, 1);
    }
    put_frame(fd, 0x81, STR("still here"));
    atomic_fetch_add(&step, 1);
    peer_drain(fd);
}

static void body_paused_heartbeat(void *arg)
{
    struct sock s;
    struct ws_client_request rq = ask();
    (void)arg;
    rq.ping = 10;
    rq.pong = 10;
    sock_open(&s, rq, false);
    ws_client_pause(s.ws, true);
    await_step(6);
    assert_int_equal(s.closed, 0);
    ws_client_pause(s.ws, false);
    sock_await_log(&s, "T10:still here ");
    ws_client_abort(s.ws);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

static void a_paused_socket_only_keeps_the_way_open(void **state)
{
    (void)state;
    run(body_paused_heartbeat, NULL, serve_counting);
}

/* ---- Slow peers ---- */

static void serve_slowly(struct peer *p, int fd)
{
    static struct frame f;
    (void)p;
    peer_upgrade(fd);
    wait_step(1);
    int frames = 0;
    while (get_frame(fd, &f) && f.first != 0x88)
        frames++;
    peer_assert(f.first == 0x88 && f.n > 2 && memcmp(f.data, "\x03\xF5", 2) == 0);
    atomic_store(&step, 2 + frames);
    put_frame(fd, 0x88, STR("\x03\xF5"));
    peer_drain(fd);
}

static void body_flood(void *arg)
{
    struct sock s;
    int sent = 0;
    (void)arg;
    sock_open(&s, ask(), false);
    while (ws_client_send(s.ws, WS_BINARY, true, str_n(big, KIB(100))) == 0)
        sent++;
    assert_true(sent > 80); /* 8 MiB */
    assert_false(ws_client_is_open(s.ws));
    assert_true(ws_client_queued(s.ws) > MIB(8) - KIB(100));
    atomic_store(&step, 1);
    sock_await_closed(&s, WS_TRY_LATER, NULL);
    assert_int_equal(atomic_load(&step), 2 + sent);
    sock_free(&s);
}

static void slow_peers_are_closed(void **state)
{
    (void)state;
    run(body_flood, NULL, serve_slowly);
}

static void serve_reading_on_demand(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    wait_step(1);
    if (!p->arg)
        peer_drain(fd);
    else
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
}

/* Sends until the kernel takes no more and we hold more than the mark. */
static void fill(struct sock *s)
{
    while (ws_client_queued(s->ws) <= MIB(4)) {
        assert_int_equal(ws_client_send(s->ws, WS_BINARY, true, str_n(big, sizeof big)), 0);
        for (size_t held = 0; ws_client_queued(s->ws) != held;) {
            held = ws_client_queued(s->ws);
            assert_int_equal(task_sleep(1, NULL), 0);
        }
    }
}

/* Then waits for the peer to read. */
static void body_wait(void *arg)
{
    struct sock s;
    struct err e = {0};
    (void)arg;
    sock_open(&s, ask(), false);
    fill(&s);
    int before = s.drained; /* while the kernel still took all */
    atomic_store(&step, 1);
    assert_int_equal(ws_client_wait_drained(s.ws, &e), 0);
    assert_true(ws_client_queued(s.ws) <= KIB(256));
    assert_int_equal(s.drained, before + 1);
    ws_client_abort(s.ws);
    assert_int_equal(ws_client_wait_drained(s.ws, &e), -1);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

static void senders_can_wait(void **state)
{
    (void)state;
    run(body_wait, NULL, serve_reading_on_demand);
}

static void serve_reset_on_demand(struct peer *p, int fd)
{
    p->arg = p;
    serve_reading_on_demand(p, fd);
}

static void body_wait_in_vain(void *arg)
{
    struct sock s;
    struct err e = {0};
    (void)arg;
    sock_open(&s, ask(), false);
    fill(&s);
    atomic_store(&step, 1);
    assert_int_equal(ws_client_wait_drained(s.ws, &e), -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

static void the_wait_ends_with_the_connection(void **state)
{
    (void)state;
    run(body_wait_in_vain, NULL, serve_reset_on_demand);
}

/* ---- A peer that sends too much is slowed ---- */

static void serve_flood(struct peer *p, int fd)
{
    (void)p;
    peer_upgrade(fd);
    for (int i = 0; i < 400; i++) {
        put_frame(fd, 0x82, str_n(big, KIB(100)));
        atomic_store(&step, i + 1);
    }
    peer_drain(fd);
}

static void body_flooded(void *arg)
{
    struct sock s;
    int at = 0, before;
    (void)arg;
    sock_open(&s, ask(), false);
    s.quiet = true;
    ws_client_pause(s.ws, true);
    /* Until it stands still. */
    do {
        before = at;
        assert_int_equal(task_sleep(50, NULL), 0);
        at = atomic_load(&step);
    } while (at != before || at == 0);
    assert_true(at < 400); /* 40 MB: more than the kernel takes */
    assert_int_equal(s.messages, 0);
    assert_true(conn_memory() < MIB(1));
    ws_client_pause(s.ws, false);
    sock_await_messages(&s, 400);
    ws_client_abort(s.ws);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

static void a_pause_slows_the_peer(void **state)
{
    (void)state;
    run(body_flooded, NULL, serve_flood);
}

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_OFF, LOG_TEXT);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)('a' + i % 23);
    return client_setup(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_masked_with_fresh_keys),
        cmocka_unit_test(violations_are_told_by_their_code),
        cmocka_unit_test(a_long_frame_passes_as_it_comes),
        cmocka_unit_test(the_peer_may_close),
        cmocka_unit_test(lost_connections_are_1006),
        cmocka_unit_test(a_paused_socket_is_read_once_it_closes),
        cmocka_unit_test(a_close_that_is_not_answered_ends_all_the_same),
        cmocka_unit_test(silent_peers_are_pinged_then_dropped),
        cmocka_unit_test(a_paused_socket_only_keeps_the_way_open),
        cmocka_unit_test(slow_peers_are_closed),
        cmocka_unit_test(senders_can_wait),
        cmocka_unit_test(the_wait_ends_with_the_connection),
        cmocka_unit_test(a_pause_slows_the_peer),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
