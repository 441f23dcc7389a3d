/* What can go wrong is told, in every dialect's shape: a model that fails, a store that is not there, too many turns, a
 * server that shuts down. */
#include "unit/api/api_env.h"

#define AIMCS         "/aimcs/api/chat"
#define CONVERSATIONS "/conversations/api/chat"
#define ASK(word)     "{\"message\":\"" word "\"}"
#define RELAY(word)   "{\"messages\":[{\"role\":\"user\",\"content\":\"" word "\"}]}"
#define STREAM(word)  "{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"" word "\"}]}"
#define APOLOGY       "I apologize, but I encountered an error while processing your request. Please try again."
#define NO_STORE      "Database temporarily unavailable. Please try again."

static void a_model_that_refuses(void **state)
{
    (void)state;
    struct ws_client aimcs, pichat;
    env_expect(env_post(AIMCS, ASK("fail")), 200, "\"message\":\"Echo (AI failed): fail\",");
    env_expect(env_post(AIMCS, ASK("fail")), 200, "\"error\":\"upstream says no\"");
    env_expect(env_post(CONVERSATIONS, ASK("fail")), 200, "\"content\":\"" APOLOGY "\"");
    env_expect(env_post("/api/chat", RELAY("fail")), 200, "data: {\"error\":{\"message\":\"upstream says no\"}}\n\n");
    env_expect(env_post("/v1/chat/completions", STREAM("fail")), 502, "{\"error\":{\"message\":\"upstream says no\"}}");
    env_expect(env_post("/v1/chat/completions", RELAY("fail")), 502, "{\"error\":{\"message\":\"upstream says no\"}}");
    env_socket(&aimcs, 0, "/ws/audio");
    wsc_text(&aimcs, "{\"type\":\"chat\",\"message\":\"fail\"}");
    wsc_expect_part(&aimcs, "\"message\":\"Echo (AI failed): fail\",\"aiUsed\":false");
    wsc_text(&aimcs, "{\"type\":\"text_message\",\"text\":\"fail\"}");
    wsc_expect_part(&aimcs, "\"error\":\"upstream says no\"");
    wsc_free(&aimcs);
    env_socket(&pichat, 1, "/ws");
    wsc_text(&pichat, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"fail\"}");
    wsc_expect_text(&pichat, "{\"type\":\"ERROR\",\"error\":\"upstream says no\"}");
    wsc_free(&pichat);
}

static void a_model_that_is_too_slow_or_busy(void **state)
{
    (void)state;
    env_expect(env_post(AIMCS, ASK("timeout")), 200, "\"error\":\"Timed out\"");
    env_expect(env_post(CONVERSATIONS, ASK("timeout")), 200, "\"status\":\"failed\"");
    env_expect(env_post("/api/chat", RELAY("timeout")), 200, "data: {\"error\":\"Timed out\"}\n\n");
    env_expect(env_post("/v1/chat/completions", STREAM("timeout")), 504, "\"type\":\"server_error\"");
    struct reply r = env_post("/v1/chat/completions", RELAY("busy"));
    assert_int_equal(r.status, 503);
    assert_str(reply_header(&r, "Retry-After"), "2");
    reply_free(&r);
    r = env_post("/api/chat", RELAY("busy"));
    assert_int_equal(r.status, 503);
    assert_string_equal(r.body, "The server is busy. Please try again.");
    assert_str(reply_header(&r, "Retry-After"), "2");
    assert_str(reply_header(&r, "Content-Type"), "text/plain; charset=utf-8");
    reply_free(&r);
}

static void a_model_that_breaks_off(void **state)
{
    (void)state;
    struct ws_client c;
    struct reply r = env_post("/api/chat", RELAY("break"));
    assert_string_equal(r.body, "data: {\"choices\":[{\"delta\":{\"content\":\"one \"}}]}\n\n"
                                "data: {\"error\":\"cut off\"}\n\n");
    reply_free(&r);
    r = env_post("/v1/chat/completions", STREAM("break"));
    assert_non_null(strstr(r.body, "data: {\"error\":{\"message\":\"cut off\",\"type\":\"server_error\","));
    assert_null(strstr(r.body, "[DONE]"));
    reply_free(&r);
    env_expect(env_post(CONVERSATIONS, ASK("break")), 200, "\"content\":\"one \",\"role\":\"assistant\"");
    env_expect(env_post(AIMCS, ASK("break")), 200, "\"error\":\"cut off\"");
    env_socket(&c, 0, "/ws");
    wsc_text(&c, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"break\",\"message\":{\"id\":\"m-1\"}}");
    wsc_expect_part(&c, "\"content\":\"one \"");
    wsc_expect_part(&c, "\"error\":\"cut off\"");
    /* Asked again: what was said, and that it failed. */
    wsc_text(&c, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"break\",\"message\":{\"id\":\"m-1\"}}");
    wsc_expect_part(&c, "\"content\":\"one \"");
    wsc_expect_part(&c, "{\"type\":\"ERROR\",");
    wsc_free(&c);
}

static void without_a_model(void **state)
{
    (void)state;
    env_start(&(struct env_options){.no_model = true});
    env_expect(env_post(AIMCS, ASK("hello")), 200, "\"message\":\"Echo: hello\"");
    env_expect(env_post(CONVERSATIONS, ASK("hello")), 200, "\"content\":\"This is a demo response.");
    struct reply r = env_post("/api/chat", RELAY("hello"));
    assert_int_equal(r.status, 500);
    assert_string_equal(r.body, "OpenAI API key not configured");
    reply_free(&r);
    env_expect(env_post("/v1/chat/completions", RELAY("hello")), 500, "\"code\":\"NOT_CONFIGURED\"");
    struct ws_client c;
    env_socket(&c, 0, "/ws"); /* no responder either */
    wsc_text(&c, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"hello\"}");
    wsc_expect_part(&c, "{\"type\":\"ERROR\",\"error\":\"No model is configured\"}");
    wsc_free(&c);
    env_stop();
}

/* Commands of a socket, and what each answers while the store is not there. */
struct told {
    const char *sent, *answer;
};

static void check_told(const char *path, const struct told *told, size_t n)
{
    struct ws_client c;
    for (size_t loop = 0; loop < 2; loop++) {
        env_socket(&c, loop, path);
        for (size_t i = 0; i < n; i++) {
            wsc_text(&c, told[i].sent);
            wsc_expect_part(&c, told[i].answer);
        }
        wsc_free(&c);
    }
}

static const struct told aimcs_told[] = {
    {"{\"type\":\"chat\",\"message\":\"x\"}", "{\"type\":\"error\",\"message\":\"" NO_STORE "\",\"code\":\"STORE_"},
    {"{\"type\":\"text_message\",\"text\":\"x\"}", "\"code\":\"STORE_UNAVAILABLE\",\"timestamp\":\""},
    {"{\"type\":\"resume\",\"conversationId\":\"c\"}", "\"code\":\"STORE_UNAVAILABLE\""},
};
#define PICHAT_NO_STORE "{\"type\":\"ERROR\",\"error\":\"" NO_STORE "\",\"code\":\"STORE_UNAVAILABLE\"}"
static const struct told pichat_told[] = {
    {"{\"type\":\"GET_CHATS\"}", PICHAT_NO_STORE},
    {"{\"type\":\"CREATE_CHAT\"}", PICHAT_NO_STORE},
    {"{\"type\":\"GET_CHAT_HISTORY\",\"chatId\":\"c\"}", PICHAT_NO_STORE},
    {"{\"type\":\"DELETE_CHAT\",\"chatId\":\"c\"}", PICHAT_NO_STORE},
    {"{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"x\"}", PICHAT_NO_STORE},
    {"{\"type\":\"CANCEL_MESSAGE\",\"chatId\":\"c\"}", PICHAT_NO_STORE},
    {"{\"type\":\"resume\",\"chatId\":\"c\"}", PICHAT_NO_STORE},
};

static void a_store_that_is_not_there(void **state)
{
    (void)state;
    atomic_store(&gate.reads_fail, true);
    atomic_store(&gate.writes_fail, true);
#define UNAVAILABLE "{\"error\":\"" NO_STORE "\",\"message\":\"" NO_STORE "\",\"code\":\"STORE_UNAVAILABLE\"}"
    env_expect(env_post(AIMCS, ASK("x")), 503, UNAVAILABLE);
    env_expect(env_post(CONVERSATIONS, ASK("x")), 503, UNAVAILABLE);
    env_expect(env_get("/api/conversations"), 503, UNAVAILABLE);
    env_expect(env_get("/api/conversations/c"), 503, UNAVAILABLE);
    env_expect(env_post("/api/conversations", "{\"title\":\"x\"}"), 503, UNAVAILABLE);
    env_expect(env_request("PUT", "/api/conversations/c", "", "{\"title\":\"x\"}"), 503, UNAVAILABLE);
    env_expect(env_request("DELETE", "/api/conversations/c", "", ""), 503, UNAVAILABLE);
    env_expect(env_get("/api/conversations/c/events"), 503, UNAVAILABLE);
    env_expect(env_post("/api/conversations/c/cancel", ""), 503, UNAVAILABLE);
    env_expect(env_get("/health/ready"), 503, UNAVAILABLE);
    env_expect(env_get("/health/live"), 200, "live");
    env_expect(env_post("/api/chat", RELAY("x")), 200, "[DONE]"); /* needs no store */
    env_expect(env_post("/v1/chat/completions", RELAY("x")), 200, "\"content\":\"x\"");
    check_told("/ws/audio", aimcs_told, COUNT(aimcs_told));
    check_told("/ws", pichat_told, COUNT(pichat_told));
    gate_open();
    env_expect(env_post(CONVERSATIONS, ASK("x")), 200, "\"content\":\"x\"");
    env_expect(env_get("/health/ready"), 200, "ready");
}

/* The store goes away while a reply is written: the client hears that it could not be kept. */
static void a_reply_that_cannot_be_kept(void **state)
{
    (void)state;
    struct client c;
    struct ws_client pichat;
    const char body[] = ASK("hold");
    struct buf out = BUF_INIT(KIB(4));
    buf_addf(&out, "POST " CONVERSATIONS " HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", sizeof body - 1,
             body);
    client_open(&c, env.ports[0]);
    client_send(&c, buf_str(&out));
    buf_free(&out);
    env_socket(&pichat, 1, "/ws");
    wsc_text(&pichat, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"hold\"}");
    wsc_expect_part(&pichat, "\"content\":\"one \"");
    await_count(&env.puppet->held, 2);
    atomic_store(&gate.writes_fail, true);
    puppet_release(env.puppet);
    puppet_release(env.puppet);
    struct reply r = reply_read(&c);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "STORE_UNAVAILABLE"));
    wsc_expect_part(&pichat, "\"content\":\"two\"");
    wsc_expect_part(&pichat, "{\"type\":\"ERROR\",\"error\":\"" NO_STORE "\"}");
    reply_free(&r);
    client_close(&c);
    wsc_free(&pichat);
}

static void too_many_turns(void **state)
{
    (void)state;
    struct ws_client c, other;
    int refused = 0;
    env_socket(&c, 0, "/ws");
    env_socket(&other, 1, "/ws/audio");
    wsc_text(&c, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"hold\"}");
    wsc_expect_part(&c, "\"content\":\"one \"");
    for (int i = 1; i < LIMIT_TURN_QUEUE; i++)
        wsc_text(&c, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"x\"}");
    for (int i = 0; i < 3; i++)
        wsc_text(&c, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"x\"}");
    for (; refused < 3; refused++)
        wsc_expect_part(&c, "\"code\":\"TOO_MANY_TURNS\"");
    puppet_release(env.puppet);
    wsc_expect_part(&c, "\"content\":\"two\"");
    for (int i = 0, ends = 0; ends < LIMIT_TURN_QUEUE; i++) {
        char *text = wsc_read(&c);
        ends += strstr(text, "\"end\":true") != NULL;
        free(text);
    }
    wsc_text(&other, "{\"type\":\"ping\"}");
    wsc_expect_part(&other, "pong");
    wsc_free(&c);
    wsc_free(&other);
}

static void too_many_turns_over_http_and_on_the_other_socket(void **state)
{
    (void)state;
    struct ws_client c;
    char body[256];
    struct reply r = env_post(CONVERSATIONS, ASK("begin"));
    char *id = json_member(r.body, "conversation.id");
    reply_free(&r);
    /* A conversation of dialect 000 is filled from its socket; 002 has only its own requests. */
    env_socket(&c, 0, "/ws/audio");
    wsc_text(&c, "{\"type\":\"chat\",\"message\":\"hold\",\"conversationId\":\"a-1\"}");
    await_count(&env.puppet->held, 1);
    for (int i = 0; i < LIMIT_TURN_QUEUE; i++)
        wsc_text(&c, "{\"type\":\"chat\",\"message\":\"x\",\"conversationId\":\"a-1\"}");
    wsc_expect_part(&c, "\"code\":\"TOO_MANY_TURNS\"");
    env_expect(env_post(AIMCS, "{\"message\":\"x\",\"conversationId\":\"a-1\"}"), 429, "\"code\":\"TOO_MANY_TURNS\"");
    puppet_release(env.puppet);
    for (int i = 0; i < LIMIT_TURN_QUEUE; i++)
        wsc_expect_part(&c, "chat_response");
    wsc_free(&c);
    snprintf(body, sizeof body, "{\"message\":\"x\",\"conversationId\":\"%s\"}", id);
    env_expect(env_post(CONVERSATIONS, body), 200, "\"content\":\"x\"");
    free(id);
}

/* Between the drain and the closing of a socket, its commands are refused. */
static void shutting_down(void **state)
{
    (void)state;
    struct ws_client aimcs, pichat;
    env_socket(&aimcs, 0, "/ws/audio");
    env_socket(&pichat, 1, "/ws");
    chat_drain(env.chat);
    api_set_ready(env.api, false);
    env_expect(env_post(AIMCS, ASK("x")), 503, "\"code\":\"SHUTTING_DOWN\"");
    env_expect(env_post(CONVERSATIONS, ASK("x")), 503, "\"code\":\"SHUTTING_DOWN\"");
    env_expect(env_get("/health/ready"), 503, "\"code\":\"SHUTTING_DOWN\"");
    wsc_text(&aimcs, "{\"type\":\"chat\",\"message\":\"x\"}");
    wsc_expect_part(&aimcs, "\"code\":\"SHUTTING_DOWN\"");
    wsc_text(&pichat, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"c\",\"content\":\"x\"}");
    wsc_expect_part(&pichat, "{\"type\":\"ERROR\",\"error\":\"Server shutting down\",\"code\":\"SHUTTING_DOWN\"}");
    env_on_both(env_drain);
    wsc_expect_close(&aimcs, 1000, "Server shutting down");
    wsc_expect_close(&pichat, 1000, "Server shutting down");
    wsc_free(&aimcs);
    wsc_free(&pichat);
}

static void messages_that_are_too_long(void **state)
{
    (void)state;
    struct ws_client c;
    struct buf body = BUF_INIT(MIB(8));
    buf_lit(&body, "{\"type\":\"chat\",\"message\":\"");
    for (size_t i = 0; i <= LIMIT_MESSAGE_TEXT; i++)
        buf_byte(&body, 'x');
    buf_lit(&body, "\"}");
    env_socket(&c, 0, "/ws/audio");
    wsc_text(&c, buf_cstr(&body));
    wsc_expect_part(&c, "{\"type\":\"error\",\"message\":\"Message is longer than 1048576 bytes\"");
    wsc_free(&c);
    env_expect(env_post(AIMCS, buf_cstr(&body)), 400, "Message is longer than 1048576 bytes");
    env_expect(env_post(CONVERSATIONS, buf_cstr(&body)), 400, "Message is longer than 1048576 bytes");
    buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(a_model_that_refuses),
        ENV_TEST(a_model_that_is_too_slow_or_busy),
        ENV_TEST(a_model_that_breaks_off),
        cmocka_unit_test(without_a_model),
        ENV_TEST(a_store_that_is_not_there),
        ENV_TEST(a_reply_that_cannot_be_kept),
        ENV_TEST(too_many_turns),
        ENV_TEST(too_many_turns_over_http_and_on_the_other_socket),
        ENV_TEST(shutting_down),
        ENV_TEST(messages_that_are_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
