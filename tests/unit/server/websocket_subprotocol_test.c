/* Subprotocols, and the code with which a door leaves when the server shuts down. */
#include "unit/support/unit.h"

#include "base/log.h"
#include "server/websocket.h"
#include "unit/support/http_client.h"
#include "unit/support/ws_client.h"

static struct live_server live;
static struct server_config config = {.idle_timeout = 60000};

static void on_message(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    websocket_send(ws, opcode, data);
}

static struct str choose(struct http_request *rq)
{
    return http_request_query(rq, STR("choose"));
}

static const struct websocket_ops plain_ops = {.on_message = on_message};
static const struct websocket_ops choosing_ops = {
    .subprotocol = choose, .drain_code = WS_GOING_AWAY, .on_message = on_message};

static const struct http_route routes[] = {
    {.method = HTTP_GET, .path = "/plain", .websocket = &plain_ops},
    {.method = HTTP_GET, .path = "/choosing", .websocket = &choosing_ops},
};

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_OFF, LOG_TEXT);
    live_start(&live, &config, routes, COUNT(routes));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

/* What the answer selects, "" for nothing. */
static void check_selected(const char *path, const char *headers, const char *selected)
{
    struct ws_client c;
    char all[512];
    snprintf(all, sizeof all, "%s%s", WS_USUAL, headers);
    wsc_open_with(&c, live.port, path, all);
    const char *found = strstr(c.head, "\r\nSec-WebSocket-Protocol: ");
    struct str value = found ? str_c(found + strlen("\r\nSec-WebSocket-Protocol: ")) : STR("");
    value.n = strcspn(value.p, "\r");
    if (!str_eqc(value, selected))
        fail_msg("%s: %.*s", path, STR_ARG(value));
    wsc_text(&c, "still works");
    wsc_expect_text(&c, "still works");
    wsc_free(&c);
}

static void one_of_the_offered_is_selected(void **state)
{
    (void)state;
    check_selected("/choosing?choose=b", "Sec-WebSocket-Protocol: a,  b , c\r\n", "b");
    check_selected("/choosing?choose=a", "Sec-WebSocket-Protocol: a\r\n", "a");
}

static void nothing_else_is_named(void **state)
{
    (void)state;
    check_selected("/plain", "Sec-WebSocket-Protocol: a, b\r\n", "");
    check_selected("/choosing", "Sec-WebSocket-Protocol: a, b\r\n", "");
    check_selected("/choosing?choose=a", "", "");
    check_selected("/choosing?choose=d", "Sec-WebSocket-Protocol: a, b\r\n", "");
    check_selected("/choosing?choose=B", "Sec-WebSocket-Protocol: a, b\r\n", "");
    check_selected("/choosing?choose=a%2C%20b", "Sec-WebSocket-Protocol: a, b\r\n", "");
}

static void drain(struct live_server *at)
{
    server_drain(at->server, at->loop);
}

static void a_door_names_its_farewell(void **state)
{
    (void)state;
    struct ws_client plain, choosing;
    wsc_open(&plain, live.port, "/plain");
    wsc_open(&choosing, live.port, "/choosing");
    live_do(&live, drain);
    wsc_expect_close(&plain, WS_NORMAL, "Server shutting down");
    wsc_expect_close(&choosing, WS_GOING_AWAY, "Server shutting down");
    wsc_free(&plain);
    wsc_free(&choosing);
}

#define WS_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WS_TEST(one_of_the_offered_is_selected),
        WS_TEST(nothing_else_is_named),
        WS_TEST(a_door_names_its_farewell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
