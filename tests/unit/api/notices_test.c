/* Notices reach every open /ws socket, on all loops, and nobody else; no client can name their room. */
#include "unit/api/api_env.h"

#include "chat/notice.h"

#define SOCKETS 6

static void send_notices(struct live_server *live)
{
    (void)live;
    notice_send(env.chat, &(struct notice){.space = "pichat",
                                           .kind = NOTICE_MESSAGE,
                                           .trace_id = STR("t-1"),
                                           .text = STR("Is the oven \"on\"?"),
                                           .end = true});
}

static struct str reply_text;
static const char *reply_space = "pichat";
static atomic_int replies_over;

static void reply_main(void *arg)
{
    struct err e;
    (void)arg;
    live_assert(notice_reply(env.chat, reply_space, STR("t-1"), reply_text, &e) == 0);
    atomic_fetch_add(&replies_over, 1);
}

static void send_reply(struct live_server *live)
{
    (void)live;
    task_spawn("test", reply_main, NULL);
}

/* The socket's command is answered: it follows the notices by then, as its opening came before. */
/* What is still on its way from another loop may come first. */
static void await_ready(struct ws_client *c)
{
    bool ready = false;
    wsc_text(c, "{\"type\":\"GET_CHATS\"}");
    while (!ready) {
        char *text = wsc_read(c);
        ready = strstr(text, "CHAT_LIST") != NULL;
        free(text);
    }
}

static void open_all(struct ws_client sockets[SOCKETS])
{
    for (size_t i = 0; i < SOCKETS; i++)
        env_socket(&sockets[i], i % 2, "/ws");
    for (size_t i = 0; i < SOCKETS; i++)
        await_ready(&sockets[i]);
}

static void every_socket_on_both_loops_hears_them(void **state)
{
    (void)state;
    struct ws_client sockets[SOCKETS], other;
    open_all(sockets);
    env_socket(&other, 0, "/ws/audio");
    for (size_t loop = 0; loop < 2; loop++) {
        live_do(&env.lives[loop], send_notices);
        for (size_t i = 0; i < SOCKETS; i++)
            wsc_expect_text(&sockets[i], "{\"type\":\"FIRST_MESSAGE\",\"content\":\"Is the oven \\\"on\\\"?\","
                                         "\"traceId\":\"t-1\",\"end\":true}");
    }
    wsc_text(&other, "{\"type\":\"ping\"}");
    wsc_expect_part(&other, "pong");
    wsc_free(&other);
    for (size_t i = 0; i < SOCKETS; i++)
        wsc_free(&sockets[i]);
}

static void expect_reply(struct ws_client *c, const char *text, bool end)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "{\"type\":\"MESSAGE\",\"content\":\"%s\",\"traceId\":\"t-1\",\"end\":%s}", text,
             end ? "true" : "false");
    wsc_expect_text(c, wanted);
}

static void replies_come_in_pieces_of_eight_characters(void **state)
{
    (void)state;
    struct ws_client sockets[SOCKETS];
    open_all(sockets);
    reply_text = STR("12345678Gr\xC3\xBC\xC3\x9F"
                     "e, \xF0\x9F\x94\xA5"
                     "ab");
    live_do(&env.lives[1], send_reply);
    for (size_t i = 0; i < SOCKETS; i++) {
        expect_reply(&sockets[i], "12345678", false);
        expect_reply(&sockets[i],
                     "Gr\xC3\xBC\xC3\x9F"
                     "e, \xF0\x9F\x94\xA5",
                     false);
        expect_reply(&sockets[i], "ab", true);
    }
    reply_text = STR("12345678");
    live_do(&env.lives[0], send_reply);
    for (size_t i = 0; i < SOCKETS; i++)
        expect_reply(&sockets[i], "12345678", true);
    reply_text = STR("");
    live_do(&env.lives[0], send_reply);
    for (size_t i = 0; i < SOCKETS; i++)
        expect_reply(&sockets[i], "", true);
    for (size_t i = 0; i < SOCKETS; i++)
        wsc_free(&sockets[i]);
}

static void pieces_keep_their_pace(void **state)
{
    (void)state;
    struct ws_client c;
    struct timespec from, to;
    env_socket(&c, 0, "/ws");
    await_ready(&c);
    reply_text = STR("1234567890123456789012345678901234567890"); /* five pieces, four waits */
    clock_gettime(CLOCK_MONOTONIC, &from);
    live_do(&env.lives[1], send_reply);
    for (int i = 0; i < 5; i++)
        wsc_expect_part(&c, i == 4 ? "\"end\":true" : "\"end\":false");
    clock_gettime(CLOCK_MONOTONIC, &to);
    int64_t ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
    assert_true(ms >= 4 * NOTICE_PACE_MS - 10); /* timers count whole milliseconds */
    wsc_free(&c);
}

static void a_draining_server_hurries(void **state)
{
    (void)state;
    struct ws_client c;
    env_socket(&c, 0, "/ws");
    await_ready(&c);
    chat_drain(env.chat);
    reply_text = STR("all of this in one piece");
    live_do(&env.lives[0], send_reply);
    expect_reply(&c, "all of this in one piece", true);
    wsc_free(&c);
}

static void other_spaces_hear_nothing(void **state)
{
    (void)state;
    struct ws_client c;
    env_socket(&c, 0, "/ws");
    await_ready(&c);
    int over = atomic_load(&replies_over);
    reply_space = "care";
    reply_text = STR("x");
    live_do(&env.lives[0], send_reply);
    await_count(&replies_over, over + 1);
    reply_space = "pichat";
    live_do(&env.lives[0], send_notices);
    wsc_expect_part(&c, "FIRST_MESSAGE");
    wsc_free(&c);
}

/* Sockets come and go while notices are under way, from both loops. */
static void sockets_may_leave_at_any_time(void **state)
{
    (void)state;
    int over = atomic_load(&replies_over);
    reply_text = STR("12345678901234567890");
    for (int round = 0; round < 30; round++) {
        struct ws_client a, b;
        wsc_open(&a, env.ports[0], "/ws");
        live_do(&env.lives[round % 2], send_notices);
        wsc_open(&b, env.ports[1], "/ws");
        live_do(&env.lives[round % 2], send_reply);
        live_do(&env.lives[(round + 1) % 2], send_notices);
        wsc_free(&a);
        wsc_free(&b);
    }
    env_await_no_sockets();
    await_count(&replies_over, over + 30);
    struct ws_client last;
    env_socket(&last, 1, "/ws");
    await_ready(&last);
    wsc_free(&last);
}

static void the_room_cannot_be_named(void **state)
{
    (void)state;
    struct ws_client c;
    env_socket(&c, 0, "/ws");
    wsc_text(&c, "{\"type\":\"resume\",\"chatId\":\"\\u00ffpichat\"}");
    wsc_expect_part(&c, "CONVERSATION_NOT_FOUND");
    wsc_text(&c, "{\"type\":\"resume\",\"chatId\":\"\xFFpichat\"}"); /* no text message at all */
    wsc_expect_close(&c, 1007, NULL);
    wsc_free(&c);
    env_socket(&c, 0, "/ws");
    wsc_send(&c, WS_BINARY, STR("{\"type\":\"SEND_MESSAGE\",\"chatId\":\"\xFFpichat\",\"content\":\"x\"}"));
    wsc_expect_part(&c, "\"type\":\"error\"");
    wsc_free(&c);
}

/* More than the socket's queue takes: it misses some, and goes on with the newest. */
static void a_slow_socket_does_not_hold_up_the_others(void **state)
{
    (void)state;
    static char large[100001];
    struct ws_client slow, quick;
    memset(large, 'x', sizeof large - 1);
    env_socket(&slow, 0, "/ws");
    env_socket(&quick, 1, "/ws");
    await_ready(&slow);
    await_ready(&quick);
    chat_drain(env.chat); /* in one piece */
    reply_text = str_c(large);
    for (int i = 0; i < 300; i++) {
        live_do(&env.lives[1], send_reply);
        wsc_expect_part(&quick, "MESSAGE");
    }
    reply_text = STR("the end");
    live_do(&env.lives[1], send_reply);
    wsc_expect_part(&quick, "the end");
    int heard = 0;
    for (bool over = false; !over; heard++) {
        char *text = wsc_read(&slow);
        over = strstr(text, "the end") != NULL;
        free(text);
    }
    assert_true(heard > 1 && heard <= 301);
    wsc_free(&slow);
    wsc_free(&quick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(every_socket_on_both_loops_hears_them),
        ENV_TEST(replies_come_in_pieces_of_eight_characters),
        ENV_TEST(pieces_keep_their_pace),
        ENV_TEST(a_draining_server_hurries),
        ENV_TEST(other_spaces_hear_nothing),
        ENV_TEST(sockets_may_leave_at_any_time),
        ENV_TEST(the_room_cannot_be_named),
        ENV_TEST(a_slow_socket_does_not_hold_up_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
