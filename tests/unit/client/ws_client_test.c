/* Outgoing WebSockets against the project's own server. */
#include "unit/support/ca.h"
#include "unit/support/peer.h"
#include "unit/support/temp_dir.h"

#include "base/log.h"
#include "base/metrics.h"
#include "net/conn.h"
#include "net/tls.h"
#include "server/server.h"
#include "server/websocket.h"
#include "unit/client/ws_sock.h"

#include <semaphore.h>
#include <stdatomic.h>

/* ---- The server, on a loop of its own ---- */

static struct {
    struct server *server;
    struct loop *loop;
    pthread_t thread;
    uint16_t port;
    sem_t done;
    atomic_bool idle;
} live;

static struct {
    atomic_int opened, closed, close_code, messages;
    char reason[64], query[128], auth[128];
} seen;

static void on_open(struct websocket *ws, struct http_request *rq)
{
    (void)ws;
    str_copy(seen.query, sizeof seen.query, rq->head->query);
    str_copy(seen.auth, sizeof seen.auth, http_request_header(rq, STR("authorization")));
    atomic_fetch_add(&seen.opened, 1);
}

static void on_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    (void)ws;
    str_copy(seen.reason, sizeof seen.reason, reason);
    atomic_store(&seen.close_code, code);
    atomic_fetch_add(&seen.closed, 1);
}

static void echo(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    atomic_fetch_add(&seen.messages, 1);
    if (str_eqc(data, "leave"))
        websocket_close(ws, 4001, STR("as you wish"));
    else
        websocket_send(ws, opcode, data);
}

/* Reads no more than it can answer. */
static void echo_frame(struct websocket *ws, enum ws_opcode opcode, bool fin, struct str data)
{
    peer_assert(websocket_send_fragment(ws, opcode, fin, data) == 0);
    if (websocket_queued(ws) > CONN_HIGH_MARK)
        websocket_pause(ws, true);
}

static void echo_drained(struct websocket *ws)
{
    websocket_pause(ws, false);
}

/* "1000": so many messages of 10 KB. */
static void flood(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    static char bytes[10000];
    uint64_t n;
    (void)opcode;
    if (str_u64(data, &n) == 0)
        while (n-- && websocket_send(ws, WS_BINARY, str_n(bytes, sizeof bytes)) == 0)
            ;
    websocket_send(ws, WS_TEXT, STR("end"));
}

static const struct websocket_ops echo_ops = {
    .max_message = MIB(4), .on_open = on_open, .on_message = echo, .on_closed = on_closed};
static const struct websocket_ops frame_ops = {.max_message = MIB(64),
                                               .on_open = on_open,
                                               .on_frame = echo_frame,
                                               .on_drained = echo_drained,
                                               .on_closed = on_closed};
static const struct websocket_ops flood_ops = {.on_open = on_open, .on_message = flood, .on_closed = on_closed};

static const struct http_route routes[] = {
    {.method = HTTP_GET, .path = "/echo", .websocket = &echo_ops},
    {.method = HTTP_GET, .path = "/v1/echo", .websocket = &echo_ops},
    {.method = HTTP_GET, .path = "/frames", .websocket = &frame_ops},
    {.method = HTTP_GET, .path = "/flood", .websocket = &flood_ops},
};

static void *run_server(void *arg)
{
    loop_run(arg);
    return NULL;
}

static void start(struct tls_context *tls)
{
    static const struct server_config config = {.idle_timeout = 60000};
    struct err e;
    memset(&seen, 0, sizeof seen);
    live.port = 0;
    live.loop = loop_new(0);
    live.server = server_new(&config);
    sem_init(&live.done, 0, 0);
    server_routes(live.server, routes, COUNT(routes), NULL);
    if (server_listen(live.server, live.loop, "127.0.0.1", &live.port, tls, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(pthread_create(&live.thread, NULL, run_server, live.loop), 0);
}

static void ask_server(void *arg)
{
    (void)arg;
    server_drain(live.server, live.loop);
    server_abort(live.server, live.loop);
    atomic_store(&live.idle, server_idle(live.server, live.loop));
    sem_post(&live.done);
}

static void stop(void)
{
    for (atomic_store(&live.idle, false); !atomic_load(&live.idle); usleep(500)) {
        loop_post(live.loop, ask_server, NULL);
        while (sem_wait(&live.done) < 0)
            ;
    }
    loop_stop(live.loop);
    pthread_join(live.thread, NULL);
    loop_free(live.loop);
    server_free(live.server);
    sem_destroy(&live.done);
}

/* ---- The client ---- */

static struct upstream_config config;
static char base_url[128];
static struct upstream *upstream;

static void run(void (*body)(void *arg), void *arg)
{
    upstream = upstream_new(&config);
    run_client(body, arg);
    upstream = upstream_free(upstream);
}

static void point_to(const char *scheme, const char *host, uint16_t port)
{
    snprintf(base_url, sizeof base_url, "%s://%s:%u", scheme, host, port);
    config = (struct upstream_config){
        .name = "test", .base_url = base_url, .connect_timeout = 20000, .first_byte_timeout = 20000};
}

static struct ws_client_request ask(const char *path)
{
    return (struct ws_client_request){.upstream = upstream, .path = str_c(path)};
}

static char big[MIB(1)];

/* ---- Messages ---- */

static void body_messages(void *arg)
{
    static const size_t sizes[] = {0,    1,     2,     125,   126,   4082,   4083,  4096,
                                   8178, 16384, 65535, 65536, 70000, 262144, MIB(1)};
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/echo"), false);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        enum ws_opcode opcode = i % 2 ? WS_TEXT : WS_BINARY;
        char want[64];
        snprintf(want, sizeof want, "%c%zu:", opcode == WS_TEXT ? 'T' : 'B', sizes[i]);
        assert_int_equal(ws_client_send(s.ws, opcode, true, str_n(big, sizes[i])), 0);
        sock_await_messages(&s, (int)i + 1);
        assert_memory_equal(buf_cstr(&s.log), want, strlen(want));
        assert_true(str_eq(buf_str(&s.message), str_n(big, sizes[i])));
        buf_clear(&s.log);
    }
    sock_close(&s);
}

static void messages_of_every_size_come_back(void **state)
{
    (void)state;
    start(NULL);
    point_to("http", "127.0.0.1", live.port);
    run(body_messages, NULL);
    stop();
    assert_int_equal(seen.close_code, WS_NORMAL);
    assert_string_equal(seen.reason, "done");
    assert_int_equal(conn_memory(), 0);
}

static void body_fragments(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/frames"), true);
    assert_int_equal(ws_client_send(s.ws, WS_CONTINUATION, true, STR("x")), -1);
    assert_int_equal(ws_client_send(s.ws, WS_CLOSE, true, STR("")), -1);
    assert_int_equal(ws_client_send(s.ws, WS_PING, false, STR("")), -1);
    assert_int_equal(ws_client_send(s.ws, WS_PING, true, str_n(big, 126)), -1);
    assert_int_equal(ws_client_send(s.ws, WS_TEXT, false, STR("one")), 0);
    assert_int_equal(ws_client_send(s.ws, WS_TEXT, true, STR("two")), -1);
    assert_int_equal(ws_client_send(s.ws, WS_BINARY, false, STR("two")), -1);
    assert_int_equal(ws_client_send(s.ws, WS_PING, true, str_n(big, 125)), 0);
    assert_int_equal(ws_client_send(s.ws, WS_CONTINUATION, false, STR("")), 0);
    assert_int_equal(ws_client_send(s.ws, WS_CONTINUATION, true, STR("two")), 0);
    assert_int_equal(ws_client_send(s.ws, WS_BINARY, true, str_n(big, 16384)), 0);
    sock_await_log(&s, "T+3:one -+0: -3:two B16384: ");
    sock_close(&s);
}

static void frames_pass_as_they_are(void **state)
{
    (void)state;
    start(NULL);
    point_to("ws", "127.0.0.1", live.port);
    run(body_fragments, NULL);
    stop();
}

/* Much more than the queues hold, there and back. */
#define MUCH MIB(40)

struct pump {
    struct sock *sock;
    bool done;
};

static void feed(void *arg)
{
    struct pump *pump = arg;
    struct ws_client *ws = ws_client_ref(pump->sock->ws);
    size_t highest = 0;
    for (size_t sent = 0; sent < MUCH; sent += KIB(40)) {
        assert_int_equal(ws_client_wait_drained(ws, NULL), 0);
        bool last = sent + KIB(40) >= MUCH;
        assert_int_equal(ws_client_send(ws, sent ? WS_CONTINUATION : WS_BINARY, last, str_n(big, KIB(40))), 0);
        highest = MAX(highest, ws_client_queued(ws));
    }
    assert_true(highest > CONN_HIGH_MARK && highest <= CONN_HIGH_MARK + KIB(41));
    ws_client_unref(ws);
    pump->done = true;
    task_wake(pump->sock->task);
}

static void body_much(void *arg)
{
    struct sock s;
    struct pump pump = {.sock = &s};
    (void)arg;
    struct ws_client_request rq = ask("/frames");
    rq.max_message = MIB(64);
    sock_open(&s, rq, true);
    s.quiet = true;
    task_spawn("feed", feed, &pump);
    while (s.messages == 0 || !pump.done)
        assert_int_equal(task_park(NULL), 0);
    assert_int_equal(s.bytes, (MUCH + KIB(40) - 1) / KIB(40) * KIB(40));
    assert_true(s.drained > 0);
    sock_close(&s);
}

static void much_goes_both_ways(void **state)
{
    (void)state;
    start(NULL);
    point_to("http", "127.0.0.1", live.port);
    run(body_much, NULL);
    stop();
}

/* ---- Pauses ---- */

static void body_pause(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/flood"), false);
    s.quiet = true;
    ws_client_pause(s.ws, true);
    sock_text(&s, "700");
    /* The server has sent all it has, as far as our side takes it. */
    for (int i = 0; i < 50; i++)
        assert_int_equal(task_sleep(1, NULL), 0);
    assert_int_equal(s.messages, 0);
    ws_client_pause(s.ws, false);
    sock_await_messages(&s, 701);
    assert_string_equal(buf_cstr(&s.message), "end");
    sock_close(&s);
}

static void pause_now(struct sock *s)
{
    ws_client_pause(s->ws, true);
}

/* In a callback: the next message waits, although it is at hand. */
static void body_pause_inside(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/flood"), false);
    s.then = pause_now;
    s.quiet = true;
    sock_text(&s, "3");
    for (int i = 1; i <= 4; i++) {
        sock_await_messages(&s, i);
        assert_int_equal(task_sleep(1, NULL), 0);
        assert_int_equal(s.messages, i);
        ws_client_pause(s.ws, false);
    }
    /* A paused socket that closes is read all the same. */
    ws_client_pause(s.ws, true);
    sock_close(&s);
}

static void reading_can_be_paused(void **state)
{
    (void)state;
    start(NULL);
    point_to("http", "127.0.0.1", live.port);
    run(body_pause, NULL);
    run(body_pause_inside, NULL);
    stop();
}

/* ---- Ends ---- */

static void body_left(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/echo"), false);
    sock_text(&s, "leave");
    sock_await_closed(&s, 4001, "as you wish");
    assert_int_equal(s.messages, 0);
    sock_free(&s);
}

static void the_peer_may_close(void **state)
{
    (void)state;
    start(NULL);
    point_to("http", "127.0.0.1", live.port);
    run(body_left, NULL);
    stop();
    assert_int_equal(seen.close_code, 4001);
}

static void abort_now(struct sock *s)
{
    ws_client_abort(s->ws);
    assert_int_equal(s->closed, 0);
    assert_false(ws_client_is_open(s->ws));
}

static void body_abort(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/flood"), false);
    s.then = abort_now;
    sock_text(&s, "5");
    sock_await_closed(&s, WS_ABNORMAL, "");
    assert_int_equal(s.messages, 1);
    ws_client_abort(s.ws);
    sock_free(&s);
}

static void close_now(struct sock *s)
{
    ws_client_close(s->ws, 4002, STR("enough"));
}

static void body_close_inside(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/flood"), false);
    s.then = close_now;
    sock_text(&s, "5");
    sock_await_closed(&s, 4002, NULL);
    assert_int_equal(s.messages, 1);
    sock_free(&s);
}

static void a_callback_may_end_it(void **state)
{
    (void)state;
    start(NULL);
    point_to("http", "127.0.0.1", live.port);
    run(body_abort, NULL);
    run(body_close_inside, NULL);
    stop();
}

/* The test's record outlives the loop, whose end is told to the socket. */
static struct sock left_open;

static void body_leave_open(void *arg)
{
    (void)arg;
    sock_open(&left_open, ask("/echo"), false);
}

static void body_leave_closing(void *arg)
{
    (void)arg;
    sock_open(&left_open, ask("/echo"), false);
    ws_client_close(left_open.ws, 4003, STR(""));
}

static void a_thread_that_ends_takes_its_sockets_along(void **state)
{
    (void)state;
    start(NULL);
    point_to("http", "127.0.0.1", live.port);
    run(body_leave_open, NULL);
    assert_int_equal(left_open.closed, 1);
    assert_int_equal(left_open.code, WS_GOING_AWAY);
    sock_free(&left_open);
    run(body_leave_closing, NULL);
    assert_int_equal(left_open.closed, 1);
    sock_free(&left_open);
    stop();
    assert_int_equal(conn_memory(), 0);
}

/* ---- Places, URLs ---- */

static struct metric *gauge(void)
{
    return metric_gauge("parley_upstream_websockets", "Open WebSockets to upstream services", "upstream=\"test\"");
}

static struct metric *calls(const char *outcome)
{
    char labels[64];
    snprintf(labels, sizeof labels, "upstream=\"test\",outcome=\"%s\"", outcome);
    return metric_counter("parley_upstream_calls_total", "Calls to upstream services by outcome", labels);
}

/* Open sockets take no place. */
static void body_many(void *arg)
{
    struct sock s[5];
    int64_t before = metric_value(calls("ok"));
    (void)arg;
    for (size_t i = 0; i < COUNT(s); i++)
        sock_open(&s[i], ask("/echo"), false);
    assert_int_equal(metric_value(gauge()), COUNT(s));
    assert_int_equal(metric_value(calls("ok")), before + (int64_t)COUNT(s));
    for (size_t i = 0; i < COUNT(s); i++) {
        sock_text(&s[i], "hello");
        sock_await_log(&s[i], "T5:hello ");
    }
    for (size_t i = 0; i < COUNT(s); i++)
        sock_close(&s[i]);
    assert_int_equal(metric_value(gauge()), 0);
}

static void open_sockets_take_no_place(void **state)
{
    (void)state;
    start(NULL);
    point_to("http", "127.0.0.1", live.port);
    config.concurrency = 1;
    run(body_many, NULL);
    stop();
}

static void body_urls(void *arg)
{
    struct sock s;
    char url[64];
    const struct fetch_header headers[] = {{"authorization", STR("Bearer mine")}};
    (void)arg;
    sock_open(&s, ask("/echo?model=a%20b&x"), false);
    assert_string_equal(seen.query, "model=a%20b&x");
    assert_string_equal(seen.auth, "Basic dTpwQA==");
    sock_close(&s);
    struct ws_client_request rq = ask("/frames");
    snprintf(url, sizeof url, "WS://u:p@127.0.0.1:%u/v1/echo", live.port);
    rq.url = str_c(url);
    rq.headers = headers;
    rq.nheaders = 1;
    sock_open(&s, rq, false);
    assert_string_equal(seen.auth, "Bearer mine");
    sock_text(&s, "hi");
    sock_await_log(&s, "T2:hi ");
    sock_close(&s);
}

static void urls_lead_to_their_place(void **state)
{
    char host[64];
    (void)state;
    start(NULL);
    snprintf(host, sizeof host, "u:p%%40@127.0.0.1");
    point_to("http", host, live.port);
    snprintf(base_url + strlen(base_url), sizeof base_url - strlen(base_url), "/v1/");
    run(body_urls, NULL);
    stop();
}

/* ---- TLS ---- */

static struct ca ca;
static char dir[TEMP_DIR_MAX], ca_file[128], certificate_file[128], key_file[128];

static void body_hello(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/echo"), false);
    sock_text(&s, "hello");
    sock_await_log(&s, "T5:hello ");
    assert_int_equal(ws_client_send(s.ws, WS_BINARY, true, str_n(big, KIB(300))), 0);
    sock_await_messages(&s, 2);
    assert_true(str_eq(buf_str(&s.message), str_n(big, KIB(300))));
    sock_close(&s);
}

static void body_distrusted(void *arg)
{
    struct sock s;
    struct err e = {0};
    (void)arg;
    assert_int_equal(sock_try(&s, ask("/echo"), false, &e), -1);
    assert_int_equal(e.code, ERR_UPSTREAM_UNREACHABLE);
    assert_string_equal(e.text, "The certificate of test cannot be verified");
}

static void tls_needs_trust(void **state)
{
    struct err e;
    (void)state;
    ca_issue(&ca, certificate_file, key_file, "IP:127.0.0.1,DNS:upstream.example", 3600);
    struct tls_context *tls = tls_new(certificate_file, key_file, &e);
    assert_non_null(tls);
    start(tls);
    point_to("https", "127.0.0.1", live.port);
    config.ca_file = ca_file;
    run(body_hello, NULL);
    run(body_much, NULL);
    config.ca_file = NULL;
    run(body_distrusted, NULL);
    config.ca_file = "/nonexistent";
    run(body_distrusted, NULL);
    point_to("wss", "localhost", live.port); /* not whom the certificate names */
    config.ca_file = ca_file;
    run(body_distrusted, NULL);
    stop();
    tls_free(tls);
}

/* Each on its own thread and loop, all with the same upstream. */
static void *run_hellos(void *arg)
{
    for (int i = 0; i < 5; i++)
        run_client(body_hello, arg);
    return NULL;
}

static void threads_share_an_upstream(void **state)
{
    pthread_t threads[3];
    struct err e;
    (void)state;
    ca_issue(&ca, certificate_file, key_file, "IP:127.0.0.1", 3600);
    struct tls_context *tls = tls_new(certificate_file, key_file, &e);
    start(tls);
    point_to("https", "127.0.0.1", live.port);
    config.ca_file = ca_file;
    upstream = upstream_new(&config);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, run_hellos, NULL);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    upstream = upstream_free(upstream);
    assert_int_equal(seen.opened, 15);
    stop();
    tls_free(tls);
}

static void proxies_are_passed(void **state)
{
    struct proxy_peer proxy;
    struct err e;
    char url[64];
    (void)state;
    ca_issue(&ca, certificate_file, key_file, "DNS:upstream.example", 3600);
    struct tls_context *tls = tls_new(certificate_file, key_file, &e);
    start(tls);
    proxy_peer_start(&proxy, live.port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", proxy.peer.port);
    point_to("wss", "upstream.example", 8443);
    config.ca_file = ca_file;
    config.proxy = url;
    config.no_proxy = "localhost,10.0.0.0/8";
    run(body_hello, NULL);
    assert_int_equal(strncmp(proxy.request, "CONNECT upstream.example:8443 HTTP/1.1\r\n", 40), 0);
    peer_stop(&proxy.peer);
    stop();
    tls_free(tls);
    /* Also what is plain goes through a tunnel. */
    start(NULL);
    proxy_peer_start(&proxy, live.port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", proxy.peer.port);
    point_to("http", "upstream.example", 80);
    config.proxy = url;
    run(body_hello, NULL);
    assert_int_equal(proxy.tunnels, 1);
    peer_stop(&proxy.peer);
    stop();
}

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_OFF, LOG_TEXT);
    assert_int_equal(client_setup(NULL), 0);
    temp_dir_make(dir);
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", dir);
    snprintf(certificate_file, sizeof certificate_file, "%s/certificate.pem", dir);
    snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
    ca_make(&ca, ca_file);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)('a' + i % 23);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ca_free(&ca);
    temp_dir_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_every_size_come_back),
        cmocka_unit_test(frames_pass_as_they_are),
        cmocka_unit_test(much_goes_both_ways),
        cmocka_unit_test(reading_can_be_paused),
        cmocka_unit_test(the_peer_may_close),
        cmocka_unit_test(a_callback_may_end_it),
        cmocka_unit_test(a_thread_that_ends_takes_its_sockets_along),
        cmocka_unit_test(open_sockets_take_no_place),
        cmocka_unit_test(urls_lead_to_their_place),
        cmocka_unit_test(tls_needs_trust),
        cmocka_unit_test(threads_share_an_upstream),
        cmocka_unit_test(proxies_are_passed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
