/* Requests that belong to a loop: their connections go there first. "loop=N" in the query says whose it is. */
#include "unit/support/unit.h"

#include "base/log.h"
#include "loop/task.h"
#include "net/conn.h"
#include "net/tls.h"
#include "server/websocket.h"
#include "unit/support/certificate.h"
#include "unit/support/http_client.h"
#include "unit/support/temp_dir.h"
#include "unit/support/ws_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

static struct server *server;
static struct live_server lives[2]; /* both with the same server */
static struct tls_context *tls;
static uint16_t port;
static atomic_int asked, polls, gone;
static struct http_request *poller;
static sem_t gate;

static int steer(void *arg, const struct http_head *head)
{
    live_assert(arg == lives);
    atomic_fetch_add(&asked, 1);
    ptrdiff_t at = str_find(head->query, STR("loop="));
    uint64_t index;
    return at >= 0 && str_u64(str_n(head->query.p + at + 5, 1), &index) == 0 ? (int)index : -1;
}

static void say_where(struct http_request *rq)
{
    http_reply_text(rq, 200, arena_printf(rq->arena, "%u %zu", loop_index(loop_self()), rq->body.n));
}

static void where(struct http_request *rq)
{
    struct err e;
    live_assert(task_yield(&e) == 0);
    say_where(rq);
}

static void on_gone(struct http_request *rq)
{
    live_assert(rq == poller);
    poller = NULL;
    atomic_fetch_add(&gone, 1);
}

static void poll_it(struct http_request *rq)
{
    static const struct http_deferred ops = {.gone = on_gone, .drain = say_where};
    poller = rq;
    http_defer(rq, &ops);
    atomic_fetch_add(&polls, 1);
}

static void on_message(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%u:%.*s", loop_index(loop_self()), STR_ARG(data));
    websocket_send(ws, opcode, str_n(text, (size_t)n));
}

static const struct websocket_ops socket_ops = {.on_message = on_message};

static const struct http_route routes[] = {
    {HTTP_GET, "/where", where, NULL, 0, NULL, ""},        {HTTP_GET, "/at-once", say_where, NULL, 0, NULL, ""},
    {HTTP_POST, "/where", where, NULL, MIB(4), NULL, ""},  {HTTP_GET, "/poll", poll_it, NULL, 0, NULL, ""},
    {HTTP_GET, "/socket", NULL, &socket_ops, 0, NULL, ""},
};

static const struct server_config config = {.max_connections_per_address = 1000,
                                            .header_timeout = 60000,
                                            .body_timeout = 60000,
                                            .idle_timeout = 60000,
                                            .write_timeout = 60000};

static void start(int loops)
{
    struct err e;
    log_setup(LOG_OFF, LOG_TEXT);
    port = 0;
    asked = polls = gone = 0;
    server = server_new(&config);
    server_routes(server, routes, COUNT(routes), NULL);
    server_steer(server, steer, lives);
    sem_init(&gate, 0, 0);
    for (int i = 0; i < loops; i++) {
        lives[i] = (struct live_server){.server = server, .loop = loop_new((unsigned)i)};
        sem_init(&lives[i].done, 0, 0);
        assert_int_equal(server_listen(server, lives[i].loop, "127.0.0.1", &port, tls, &e), 0);
        assert_int_equal(pthread_create(&lives[i].thread, NULL, live_thread, &lives[i]), 0);
    }
}

static void stop(int loops)
{
    for (int i = 0; i < loops; i++)
        live_do(&lives[i], live_abort);
    for (int i = 0; i < loops; i++)
        live_wait_idle(&lives[i]);
    assert_int_equal(server_connections(server), 0);
    assert_int_equal(conn_memory(), 0);
    for (int i = 0; i < loops; i++) {
        loop_stop(lives[i].loop);
        pthread_join(lives[i].thread, NULL);
        loop_free(lives[i].loop);
        sem_destroy(&lives[i].done);
    }
    server_free(server);
    sem_destroy(&gate);
}

static int setup(void **state)
{
    (void)state;
    start(2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stop(2);
    return 0;
}

static void send_get(struct client *c, const char *target)
{
    struct buf out = BUF_INIT(KIB(4));
    buf_addf(&out, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
    client_send(c, buf_str(&out));
    buf_free(&out);
}

static void expect(struct client *c, int status, const char *body)
{
    struct reply r = reply_read(c);
    assert_int_equal(r.status, status);
    assert_string_equal(r.body, body);
    reply_free(&r);
}

static void check(struct client *c, const char *target, const char *body)
{
    send_get(c, target);
    expect(c, 200, body);
}

/* A new connection, on loop `at`. */
static void open_at(struct client *c, int at)
{
    client_open(c, port);
    check(c, at ? "/where?loop=1" : "/where?loop=0", at ? "1 0" : "0 0");
}

/* ---- Going there ---- */

static void requests_are_served_where_they_belong(void **state)
{
    (void)state;
    struct client c;
    client_open(&c, port);
    for (int i = 0; i < 50; i++) {
        check(&c, "/where?loop=0", "0 0");
        check(&c, "/at-once?x=1&loop=1", "1 0");
        check(&c, "/where?loop=1", "1 0");
    }
    assert_int_equal(server_connections(server), 1);
    client_close(&c);
}

static void others_stay_where_they_came(void **state)
{
    (void)state;
    for (int at = 0; at < 2; at++) {
        struct client c;
        open_at(&c, at);
        int before = asked;
        check(&c, "/where", at ? "1 0" : "0 0");
        check(&c, "/where?loop=7", at ? "1 0" : "0 0"); /* there is no such loop */
        check(&c, at ? "/where?loop=1" : "/where?loop=0", at ? "1 0" : "0 0");
        assert_int_equal(asked, before + 3);
        client_close(&c);
    }
}

/* One after the other, though all come at once: each is asked about when its turn comes. */
static void pipelined_requests_go_one_by_one(void **state)
{
    (void)state;
    static const char *const targets[] = {"/where?loop=0", "/at-once?loop=0", "/at-once?loop=1", "/where?loop=1",
                                          "/where",        "/at-once?loop=0", "/where?loop=1"};
    static const char *const bodies[] = {"0 0", "0 0", "1 0", "1 0", "1 0", "0 0", "1 0"};
    struct client c;
    client_open(&c, port);
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < COUNT(targets); i++)
            send_get(&c, targets[i]);
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < COUNT(bodies); i++)
            expect(&c, 200, bodies[i]);
    client_close(&c);
}

static void many_connections_cross(void **state)
{
    (void)state;
    struct client clients[40];
    for (size_t i = 0; i < COUNT(clients); i++)
        client_open(&clients[i], port);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < COUNT(clients); i++)
            send_get(&clients[i], (i + (size_t)round) % 2 ? "/where?loop=1" : "/at-once?loop=0");
        for (size_t i = 0; i < COUNT(clients); i++)
            expect(&clients[i], 200, (i + (size_t)round) % 2 ? "1 0" : "0 0");
        server_reconfigure(server, &config);
    }
    assert_int_equal(server_connections(server), COUNT(clients));
    for (size_t i = 0; i < COUNT(clients); i++)
        client_close(&clients[i]);
}

static void heads_may_come_in_pieces(void **state)
{
    (void)state;
    struct client c;
    open_at(&c, 0);
    struct str text = STR("GET /where?loop=1 HTTP/1.1\r\nHost: test\r\n\r\n");
    for (size_t i = 0; i < text.n; i++) {
        client_send(&c, str_n(text.p + i, 1));
        live_do(&lives[0], live_ask_idle); /* so that most bytes arrive alone; the result must not depend on it */
    }
    expect(&c, 200, "1 0");
    client_close(&c);
}

static void bodies_follow(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, KIB(70), MIB(1)};
    struct client c;
    client_open(&c, port);
    char *body = calloc(1, MIB(1)), want[32];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct buf out = BUF_INIT(MIB(2));
        buf_addf(&out, "POST /where?loop=%zu HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n", i % 2, sizes[i]);
        buf_add(&out, body, sizes[i]);
        client_send(&c, buf_str(&out));
        snprintf(want, sizeof want, "%zu %zu", i % 2, sizes[i]);
        expect(&c, 200, want);
        buf_clear(&out);
        buf_addf(&out, "POST /where?loop=%zu HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                 (i + 1) % 2);
        client_send(&c, buf_str(&out));
        client_send(&c, STR("0\r\n\r\n"));
        expect(&c, 200, i % 2 ? "0 3" : "1 3");
        buf_free(&out);
    }
    free(body);
    client_close(&c);
}

static void websockets_follow_with_their_first_frames(void **state)
{
    (void)state;
    for (int to = 0; to < 2; to++) {
        struct ws_client c = {0};
        struct buf out = BUF_INIT(KIB(4));
        open_at(&c.tcp, 1 - to);
        ws_reader_init(&c.reader, false, MIB(1));
        buf_addf(&out,
                 "GET /socket?loop=%d HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" WS_USUAL
                 "\r\n",
                 to);
        ws_frame_put(&out, WS_TEXT, STR("early"), true);
        client_send(&c.tcp, buf_str(&out));
        buf_free(&out);
        c.head = client_until(&c.tcp, "\r\n\r\n");
        wsc_expect_text(&c, to ? "1:early" : "0:early");
        assert_int_equal(server_websockets(server), 1);
        wsc_text(&c, "later");
        wsc_expect_text(&c, to ? "1:later" : "0:later");
        wsc_free(&c);
        while (server_websockets(server))
            live_do(&lives[to], live_ask_idle);
    }
}

static void polls_are_held_there(void **state)
{
    (void)state;
    struct client c;
    open_at(&c, 0);
    send_get(&c, "/poll?loop=1");
    await_count(&polls, 1);
    shutdown(c.fd, SHUT_WR);
    await_count(&gone, 1);
    client_close(&c);
}

static void tls_connections_move_too(void **state)
{
    (void)state;
    char dir[TEMP_DIR_MAX], cert[TEMP_DIR_MAX + 16], key[TEMP_DIR_MAX + 16], got[1024];
    struct err e;
    temp_dir_make(dir);
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    certificate_write(cert, key, "steered");
    tls = tls_new(cert, key, &e);
    assert_non_null(tls);
    temp_dir_remove(dir);
    start(2);
    struct client c;
    client_open(&c, port);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, c.fd);
    assert_int_equal(SSL_connect(ssl), 1);
    for (int i = 0; i < 20; i++) {
        int n = snprintf(got, sizeof got, "GET /where?loop=%d HTTP/1.1\r\nHost: test\r\n\r\n", i % 2), have = 0;
        assert_int_equal(SSL_write(ssl, got, n), n);
        do {
            n = SSL_read(ssl, got + have, (int)sizeof got - 1 - have);
            assert_true(n > 0);
            have += n;
            got[have] = 0;
        } while (!strstr(got, "\r\n\r\n") || strlen(strstr(got, "\r\n\r\n")) < 7);
        assert_string_equal(strstr(got, "\r\n\r\n") + 4, i % 2 ? "1 0" : "0 0");
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    client_close(&c);
    stop(2);
    tls = tls_free(tls);
}

static void one_loop_is_not_asked_about(void **state)
{
    (void)state;
    start(1);
    struct client c;
    client_open(&c, port);
    check(&c, "/where?loop=1", "0 0");
    assert_int_equal(asked, 0);
    client_close(&c);
    stop(1);
}

/* ---- Shutting down ---- */

static void a_draining_loop_is_not_gone_to(void **state)
{
    (void)state;
    struct client c;
    open_at(&c, 1);
    live_do(&lives[0], live_drain);
    live_wait_idle(&lives[0]);
    check(&c, "/where?loop=0", "1 0");
    client_close(&c);
}

static void a_draining_loop_answers_what_it_has(void **state)
{
    (void)state;
    struct client c;
    open_at(&c, 0);
    client_send(&c, STR("GET /where?loop=1 HTTP/1.1\r\n"));
    for (int i = 0; i < 5; i++)
        live_do(&lives[0], live_ask_idle);
    live_do(&lives[0], live_drain);
    client_send(&c, STR("Host: test\r\n\r\n"));
    expect(&c, 200, "0 0");
    assert_true(client_at_end(&c));
    client_close(&c);
}

static void wait_at_gate(void *arg)
{
    (void)arg;
    while (sem_wait(&gate) < 0)
        ;
}

/* A request whose connection is on its way from loop 0 to loop 1 when this returns. */
static void send_on_its_way(struct client *c)
{
    open_at(c, 0);
    loop_post(lives[1].loop, wait_at_gate, NULL);
    int before = asked;
    send_get(c, "/where?loop=1");
    await_count(&asked, before + 1);
    live_do(&lives[0], live_ask_idle);
    assert_true(lives[0].idle);
    assert_int_equal(server_connections(server), 1);
}

static void drain_and_ask(void *arg)
{
    wait_at_gate(arg);
    server_drain(server, lives[1].loop);
    live_assert(!server_idle(server, lives[1].loop)); /* somebody comes */
}

static void one_that_arrives_at_a_draining_loop_is_closed(void **state)
{
    (void)state;
    struct client c;
    open_at(&c, 0);
    loop_post(lives[1].loop, drain_and_ask, NULL);
    int before = asked;
    send_get(&c, "/where?loop=1");
    await_count(&asked, before + 1);
    live_do(&lives[0], live_ask_idle);
    sem_post(&gate);
    char byte;
    assert_true(recv(c.fd, &byte, 1, 0) <= 0); /* a reset, since its request was not read */
    live_wait_idle(&lives[1]);
    assert_int_equal(server_connections(server), 0);
    client_close(&c);
}

static void the_client_may_go_on_the_way(void **state)
{
    (void)state;
    struct client c;
    send_on_its_way(&c);
    client_close(&c);
    sem_post(&gate);
    live_wait_idle(&lives[1]);
    assert_int_equal(server_connections(server), 0);
}

static void an_abort_waits_for_those_on_the_way(void **state)
{
    (void)state;
    struct client c;
    send_on_its_way(&c);
    live_do(&lives[0], live_abort);
    live_wait_idle(&lives[0]);
    sem_post(&gate); /* teardown aborts the other one, before or after it arrives */
    stop(2);
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_are_served_where_they_belong, setup, teardown),
        cmocka_unit_test_setup_teardown(others_stay_where_they_came, setup, teardown),
        cmocka_unit_test_setup_teardown(pipelined_requests_go_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(many_connections_cross, setup, teardown),
        cmocka_unit_test_setup_teardown(heads_may_come_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(websockets_follow_with_their_first_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(polls_are_held_there, setup, teardown),
        cmocka_unit_test(tls_connections_move_too),
        cmocka_unit_test(one_loop_is_not_asked_about),
        cmocka_unit_test_setup_teardown(a_draining_loop_is_not_gone_to, setup, teardown),
        cmocka_unit_test_setup_teardown(a_draining_loop_answers_what_it_has, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_arrives_at_a_draining_loop_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_client_may_go_on_the_way, setup, teardown),
        cmocka_unit_test_setup(an_abort_waits_for_those_on_the_way, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
