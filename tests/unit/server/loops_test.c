/* One server on two loops: they share the port, the counters and the settings. */
#include "unit/support/unit.h"

#include "base/log.h"
#include "config/trust.h"
#include "loop/task.h"
#include "unit/support/http_client.h"

static struct server *server;
static struct live_server lives[2]; /* both with the same server */
static uint16_t port;

static void where(struct http_request *rq)
{
    struct err e;
    live_assert(task_yield(&e) == 0);
    http_reply_text(rq, 200, arena_printf(rq->arena, "%u", loop_index(loop_self())));
}

static const struct http_route routes[] = {{HTTP_GET, "/api/where", where, NULL, 0, NULL, ""}};

static const struct server_config config = {
    .rate_limit = 1000000, .rate_window = 900000, .max_connections_per_address = 1000, .idle_timeout = 60000};

static int setup(void **state)
{
    struct err e;
    (void)state;
    log_setup(LOG_OFF, LOG_TEXT);
    port = 0;
    server = server_new(&config);
    server_routes(server, routes, COUNT(routes), NULL);
    for (unsigned i = 0; i < 2; i++) {
        lives[i] = (struct live_server){.server = server, .loop = loop_new(i)};
        sem_init(&lives[i].done, 0, 0);
        assert_int_equal(server_listen(server, lives[i].loop, "127.0.0.1", &port, NULL, &e), 0);
        assert_int_equal(pthread_create(&lives[i].thread, NULL, live_thread, &lives[i]), 0);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        live_do(&lives[i], live_abort);
    for (int i = 0; i < 2; i++) {
        live_wait_idle(&lives[i]);
        loop_stop(lives[i].loop);
        pthread_join(lives[i].thread, NULL);
        loop_free(lives[i].loop);
        sem_destroy(&lives[i].done);
    }
    server_free(server);
    return 0;
}

static void both_take_connections(void **state)
{
    (void)state;
    struct client clients[64];
    int seen[2] = {0};
    for (size_t i = 0; i < COUNT(clients); i++)
        client_open(&clients[i], port);
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < COUNT(clients); i++)
            client_send(&clients[i], STR("GET /api/where HTTP/1.1\r\nHost: test\r\n\r\n"));
        for (size_t i = 0; i < COUNT(clients); i++) {
            struct reply r = reply_read(&clients[i]);
            assert_int_equal(r.status, 200);
            assert_true(r.body[0] == '0' || r.body[0] == '1');
            seen[r.body[0] - '0']++;
            reply_free(&r);
        }
        server_reconfigure(server, &config);
    }
    assert_true(seen[0] > 0 && seen[1] > 0);
    assert_int_equal(seen[0] + seen[1], 640);
    assert_int_equal(server_connections(server), COUNT(clients));
    for (size_t i = 0; i < COUNT(clients); i++)
        client_close(&clients[i]);
    while (server_connections(server))
        live_do(&lives[0], live_ask_idle);
}

static void one_can_be_drained_alone(void **state)
{
    (void)state;
    live_do(&lives[0], live_drain);
    live_wait_idle(&lives[0]);
    for (int i = 0; i < 20; i++) {
        struct client c;
        client_open(&c, port);
        struct reply r = ask(&c, "GET /api/where HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_string_equal(r.body, "1");
        reply_free(&r);
        client_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_take_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(one_can_be_drained_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
