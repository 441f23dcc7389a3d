/* Clients that go away while their request waits: for the store, for a room on another loop, for a reply. Nothing must
 * be touched that is gone, nothing be left behind. */
#include "unit/api/api_env.h"

#define CALLS_MAX 40 /* more than any command makes */

/* Whether something arrives on the socket, or a call waits at the gate. */
static bool answered_first(struct ws_client *c)
{
    for (;;) {
        struct pollfd ready = {.fd = c->tcp.fd, .events = POLLIN};
        if (atomic_load(&gate.stopped))
            return false;
        if (c->tcp.in.len || poll(&ready, 1, 1) == 1)
            return true;
    }
}

/* One command, with the client leaving at its n-th call of the store: whether there was one before the answer. */
static bool leave_at_call(const char *path, size_t loop, const char *command, int n)
{
    struct ws_client c;
    env_socket(&c, loop, path);
    env_await_turns();
    gate_stop_at(n);
    wsc_text(&c, command);
    bool stopped = !answered_first(&c);
    wsc_free(&c);
    if (stopped) /* a call that waits on somebody else's behalf, say a turn's, does not end with the socket */
        env_await_no_sockets();
    gate_open();
    env_await_no_sockets();
    env_await_turns();
    return stopped;
}

static void leave_everywhere(const char *path, const char *const *commands, size_t ncommands)
{
    for (size_t i = 0; i < ncommands; i++)
        for (size_t loop = 0; loop < 2; loop++) {
            int n = 1;
            while (n < CALLS_MAX && leave_at_call(path, loop, commands[i], n))
                n++;
            assert_true(n > 1 && n < CALLS_MAX);
        }
}

static void fill(const char *space_path, const char *command)
{
    struct ws_client c;
    env_socket(&c, 0, space_path);
    wsc_text(&c, command);
    wsc_expect_part(&c, "\"");
    wsc_free(&c);
    env_await_no_sockets();
    env_await_turns();
}

static void sockets_of_dialect_004(void **state)
{
    static const char *const commands[] = {
        "{\"type\":\"GET_CHATS\"}",
        "{\"type\":\"CREATE_CHAT\"}",
        "{\"type\":\"GET_CHAT_HISTORY\",\"chatId\":\"c-1\"}",
        "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c-1\",\"content\":\"x\"}",
        "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c-2\",\"content\":\"x\"}",
        "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c-3\",\"content\":\"words 20\",\"message\":{\"id\":\"m\"}}",
        "{\"type\":\"resume\",\"chatId\":\"c-1\"}",
        "{\"type\":\"resume\",\"chatId\":\"c-1\",\"lastEventId\":\"1-1\"}",
        "{\"type\":\"CANCEL_MESSAGE\",\"chatId\":\"c-1\"}",
    };
    (void)state;
    fill("/ws", "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c-1\",\"content\":\"words 20\"}");
    leave_everywhere("/ws", commands, COUNT(commands));
    env_expect(env_get("/health/ready"), 200, "ready");
}

static void deleting(void **state)
{
    (void)state;
    for (size_t loop = 0; loop < 2; loop++)
        for (int n = 1; n <= 3; n++) {
            fill("/ws", "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"d\",\"content\":\"words 20\"}");
            leave_at_call("/ws", loop, "{\"type\":\"DELETE_CHAT\",\"chatId\":\"d\"}", n);
        }
}

static void sockets_of_dialect_000(void **state)
{
    static const char *const commands[] = {
        "{\"type\":\"chat\",\"message\":\"x\"}",
        "{\"type\":\"text_message\",\"text\":\"x\",\"conversationId\":\"a-1\"}",
        "{\"type\":\"resume\",\"conversationId\":\"a-1\"}",
    };
    (void)state;
    fill("/ws/audio", "{\"type\":\"chat\",\"message\":\"x\",\"conversationId\":\"a-1\"}");
    leave_everywhere("/ws/audio", commands, COUNT(commands));
}

/* Requests over HTTP: the same, told apart by whether the reply began. */
static bool drop_at_call(const char *request, int n)
{
    struct client c;
    client_open(&c, env.ports[n & 1]);
    env_await_turns();
    gate_stop_at(n);
    client_send(&c, str_c(request));
    struct pollfd ready = {.fd = c.fd, .events = POLLIN};
    while (!atomic_load(&gate.stopped) && poll(&ready, 1, 1) == 0)
        continue;
    bool stopped = atomic_load(&gate.stopped);
    /* Gone for good: who only stops sending still gets the reply. */
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    client_close(&c);
    while (server_connections(env.server))
        usleep(500);
    gate_open();
    env_await_quiet();
    return stopped;
}

static void requests(void **state)
{
    static const char *const texts[] = {
        "POST /conversations/api/chat HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n{\"message\":\"x\"}",
        "POST /aimcs/api/chat HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n{\"message\":\"x\"}",
        "GET /api/conversations HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /api/conversations/c-1 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /api/conversations/c-1/events HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /api/conversations/c-1/cancel HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /health/ready HTTP/1.1\r\nHost: h\r\n\r\n",
    };
    (void)state;
    fill("/ws", "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c-1\",\"content\":\"words 20\"}");
    for (size_t i = 0; i < COUNT(texts); i++) {
        int n = 1;
        while (n < CALLS_MAX && drop_at_call(texts[i], n))
            n++;
        assert_true(n > 1 && n < CALLS_MAX);
    }
}

/* ---- a room whose home does not answer yet ---- */

static sem_t go_on;

static void block(void *arg)
{
    (void)arg;
    while (sem_wait(&go_on) < 0)
        continue;
}

/* Rooms in memory, asked of loop 1. */
static long rooms(void)
{
    struct client c;
    client_open(&c, env.ports[1]);
    struct reply r = ask(&c, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
    const char *at = strstr(r.body, "\nparley_rooms ");
    assert_non_null(at);
    long n = strtol(at + 14, NULL, 10);
    reply_free(&r);
    client_close(&c);
    return n;
}

static void await_more_rooms(long than)
{
    for (int waited = 0; rooms() <= than; waited++)
        if (waited > CLIENT_PATIENCE)
            fail_msg("no room is asked for");
}

/* While loop 0 does nothing, a socket of loop 1 follows a room that lives there. */
static void follow_while_blocked(const char *command, bool leave)
{
    struct ws_client c;
    env_socket(&c, 1, "/ws");
    wsc_text(&c, "{\"type\":\"GET_CHATS\"}");
    wsc_expect_part(&c, "CHAT_LIST");
    long before = rooms();
    loop_post(env.lives[0].loop, block, NULL);
    wsc_text(&c, command);
    await_more_rooms(before);
    if (leave) {
        wsc_free(&c);
        env_await_no_sockets();
        sem_post(&go_on);
    } else {
        sem_post(&go_on);
        wsc_expect_part(&c, "\"type\":\"reset\"");
        wsc_free(&c);
        env_await_no_sockets();
    }
    env_await_turns();
}

static void a_room_that_is_long_in_coming(void **state)
{
    (void)state;
    char id[32], command[256];
    sem_init(&go_on, 0, 0);
    for (int round = 0; round < 6; round++) {
        env_id_at(0, id);
        snprintf(command, sizeof command, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"%s\",\"content\":\"x\"}", id);
        fill("/ws", command);
        snprintf(command, sizeof command, "{\"type\":\"resume\",\"chatId\":\"%s\"}", id);
        follow_while_blocked(command, round & 1);
    }
    sem_destroy(&go_on);
}

/* A socket that is gone before its own opening was finished: the notices' room lives on one of the loops. */
static void leaving_while_the_opening_waits(void **state)
{
    (void)state;
    sem_init(&go_on, 0, 0);
    for (size_t loop = 0; loop < 2; loop++) {
        struct ws_client c;
        loop_post(env.lives[!loop].loop, block, NULL);
        for (int i = 0; i < 3; i++) {
            wsc_open(&c, env.ports[loop], "/ws");
            wsc_text(&c, "{\"type\":\"GET_CHATS\"}");
            wsc_free(&c);
        }
        env_await_no_sockets();
        sem_post(&go_on);
        env_await_quiet();
    }
    sem_destroy(&go_on);
}

/* ---- replies ---- */

static void leaving_in_mid_reply(void **state)
{
    (void)state;
    struct ws_client a, b;
    env_socket(&a, 0, "/ws");
    env_socket(&b, 1, "/ws/audio");
    wsc_text(&a, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"r\",\"content\":\"hold\"}");
    wsc_expect_part(&a, "\"content\":\"one \"");
    wsc_text(&a, "{\"type\":\"resume\",\"chatId\":\"r\"}");
    wsc_text(&b, "{\"type\":\"chat\",\"message\":\"hold\",\"conversationId\":\"s\"}");
    await_count(&env.puppet->held, 2);
    wsc_free(&a);
    wsc_free(&b);
    env_await_no_sockets();
    puppet_release(env.puppet);
    puppet_release(env.puppet);
    env_await_turns();
    env_socket(&a, 1, "/ws"); /* the turn was the conversation's, not the socket's */
    wsc_text(&a, "{\"type\":\"GET_CHAT_HISTORY\",\"chatId\":\"r\"}");
    wsc_expect_part(&a, "\"content\":\"one two\"");
    wsc_free(&a);
}

/* The same message sent again while its reply is being written: one reply, whole, on each socket. */
static void sending_again_in_mid_reply(void **state)
{
    static const char message[] =
        "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"r\",\"content\":\"hold\",\"message\":{\"id\":\"m\"}}";
    (void)state;
    struct ws_client a, b;
    env_socket(&a, 0, "/ws");
    env_socket(&b, 1, "/ws");
    wsc_text(&a, message);
    wsc_expect_part(&a, "\"content\":\"one \"");
    wsc_text(&a, message);
    wsc_text(&a, "{\"type\":\"GET_CHATS\"}");
    wsc_expect_part(&a, "CHAT_LIST");
    wsc_text(&b, message);
    wsc_expect_part(&b, "\"content\":\"one \"");
    puppet_release(env.puppet);
    struct ws_client *const both[] = {&a, &b};
    for (size_t i = 0; i < 2; i++) {
        wsc_expect_part(both[i], "\"content\":\"two\"");
        wsc_expect_part(both[i], "\"end\":true");
        wsc_text(both[i], message); /* and once more when it is over */
        wsc_expect_part(both[i], "\"content\":\"one two\"");
        wsc_expect_part(both[i], "\"end\":true");
        wsc_text(both[i], "{\"type\":\"nothing\"}");
        wsc_expect_part(both[i], "Unknown action: nothing");
        wsc_free(both[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(sockets_of_dialect_004),        ENV_TEST(deleting),
        ENV_TEST(sockets_of_dialect_000),        ENV_TEST(requests),
        ENV_TEST(a_room_that_is_long_in_coming), ENV_TEST(leaving_while_the_opening_waits),
        ENV_TEST(leaving_in_mid_reply),          ENV_TEST(sending_again_in_mid_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
