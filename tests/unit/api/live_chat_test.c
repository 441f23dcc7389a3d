/* The chat dialect on Socket.IO: conversations, messages, and what goes wrong with them. */
#include "unit/api/live_client.h"

#include "base/clock.h"
#include "base/rand.h"

/* ---- one client ---- */

/* The text with every id and time replaced, so that what is left can be compared. */
static char *without_ids(const char *text)
{
    struct buf out = BUF_INIT(MIB(1));
    while (*text) {
        size_t n = strspn(text, "0123456789abcdef-");
        bool time = strlen(text) >= ISO_LEN && text[4] == '-' && text[10] == 'T' && text[ISO_LEN - 1] == 'Z';
        if (n == UUID_LEN || time) {
            buf_lit(&out, "*");
            text += n == UUID_LEN ? UUID_LEN : ISO_LEN;
            continue;
        }
        buf_byte(&out, *text++);
    }
    char *plain = str_dup(buf_str(&out));
    buf_free(&out);
    return plain;
}

static void expect_exactly(struct sioc *c, const char *text)
{
    char *got = sioc_read(c), *plain = without_ids(got);
    assert_string_equal(plain, text);
    free(plain);
    free(got);
}

#define START "42[\"stream_start\",{\"messageId\":\"*\",\"conversationId\":\"*\"}]"
#define CHUNK(s, last)                                                                                                 \
    "42[\"stream_chunk\",{\"id\":\"*\",\"messageId\":\"*\",\"conversationId\":\"*\",\"content\":\"" s                  \
    "\",\"isComplete\":" last "}]"

static void the_sample_of_the_contract(void **state)
{
    (void)state;
    struct sioc c;
    sioc_dial(&c, 0, "", "", "");
    sioc_await_connected(&c);
    sioc_send_text(&c, "42[\"stream_chat\",{\"message\":\"hold\",\"stream\":true}]");
    expect_exactly(&c, START);
    expect_exactly(&c, CHUNK("one ", "false"));
    puppet_release(env.puppet);
    char *text = sioc_read(&c);
    if (strstr(text, "\"isComplete\":false")) { /* what the model said last, when its end took a while */
        free(text);
        text = sioc_read(&c);
    }
    char *plain = without_ids(text);
    assert_string_equal(plain, CHUNK("one two", "true"));
    free(plain);
    free(text);
    expect_exactly(
        &c, "42[\"stream_complete\",{\"messageId\":\"*\",\"conversationId\":\"*\",\"conversation\":{\"id\":\"*\","
            "\"title\":\"hold\",\"messages\":[{\"id\":\"*\",\"content\":\"hold\",\"role\":\"user\",\"timestamp\":\"*\","
            "\"conversationId\":\"*\",\"status\":\"complete\"},{\"id\":\"*\",\"content\":\"one two\",\"role\":"
            "\"assistant\",\"timestamp\":\"*\",\"conversationId\":\"*\",\"status\":\"complete\"}],\"createdAt\":\"*\","
            "\"updatedAt\":\"*\"},\"finishReason\":\"stop\"}]");
    sioc_close(&c);
}

static void ids_that_clients_make_up_are_created(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    for (size_t loop = 0; loop < 2; loop++) {
        char id[32];
        env_id_at(loop, id);
        sioc_say(&c, id, "hello");
        struct reply_seen r = reply_seen_read(&c, false);
        assert_string_equal(r.text, "hello");
        assert_string_equal(r.conversation_id, id);
        reply_seen_free(&r);
    }
    sioc_close(&c);
}

static void turns_wait_in_line(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    sioc_say(&c, "line", "hold");
    sioc_say(&c, "line", "second");
    sioc_say(&c, "line", "third");
    puppet_release(env.puppet);
    sioc_expect_reply(&c, "one two");
    sioc_expect_reply(&c, "second");
    sioc_expect_reply(&c, "third");
    sioc_close(&c);
}

static void acknowledgements_tell_the_ids(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    char *json = sioc_ask(&c, "[\"stream_chat\",{\"message\":\"hello\",\"conversationId\":\"ack\"}]");
    char *reply = json_member(json, "messageId"), *user = json_member(json, "userMessageId");
    assert_true(json_true(json, "ok") && json_true(json, "created") && reply && user);
    assert_false(json_true(json, "duplicate"));
    free(json);
    struct reply r = env_get("/api/conversations/ack");
    assert_non_null(strstr(r.body, reply));
    assert_non_null(strstr(r.body, user));
    reply_free(&r);
    free(reply);
    free(user);
    json = sioc_ask(&c, "[\"stream_chat\",{\"message\":\" \"}]");
    assert_string_equal(json, "{\"ok\":false,\"error\":\"Message is required\",\"code\":\"INVALID_REQUEST\"}");
    free(json);
    json = sioc_ask(&c, "[\"start_conversation\",{}]");
    assert_false(json_true(json, "ok"));
    free(json);
    sioc_close(&c);
}

static void arguments_that_are_none(void **state)
{
    (void)state;
    static const char *const chats[] = {"",
                                        ",null",
                                        ",5",
                                        ",\"text\"",
                                        ",[]",
                                        ",{}",
                                        ",{\"message\":5}",
                                        ",{\"message\":\" \\n\"}",
                                        ",{\"message\":\"x\",\"conversationId\":5}"};
    static const char *const others[] = {
        "[\"join_conversation\"]",
        "[\"join_conversation\",\"\"]",
        "[\"join_conversation\",{\"conversationId\":7}]",
        "[\"leave_conversation\",null]",
        "[\"typing_start\",{}]",
        "[\"typing_stop\",[]]",
        "[\"message_read\",{\"conversationId\":\"x\"}]",
        "[\"cancel_stream\",{\"conversationId\":{}}]",
    };
    struct sioc c;
    sioc_open(&c, 0);
    for (size_t i = 0; i < COUNT(chats); i++) {
        sioc_send_text(&c, "42[\"stream_chat\"%s]", chats[i]);
        sioc_expect_part(&c, "stream_error", "\"code\":\"INVALID_REQUEST\"");
        sioc_expect_part(&c, "error", "\"code\":\"INVALID_REQUEST\"");
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        sioc_send_text(&c, "42%s", others[i]);
        sioc_expect_part(&c, "error", "\"code\":\"INVALID_REQUEST\"");
    }
    char id[LIMIT_ID + 2];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = 0;
    sioc_send_text(&c, "42[\"join_conversation\",\"%s\"]", id);
    sioc_expect_part(&c, "error", "INVALID_REQUEST");
    sioc_say(&c, id, "hello");
    sioc_expect_part(&c, "stream_error", "INVALID_REQUEST");
    sioc_expect_part(&c, "error", "INVALID_REQUEST");
    id[LIMIT_ID] = 0;
    sioc_join_id(&c, id);
    env_expect(env_get("/api/conversations"), 200, "[]");
    sioc_close(&c);
}

static void a_client_is_in_so_many_conversations(void **state)
{
    (void)state;
    struct sioc c;
    char id[32], event[128];
    sioc_open(&c, 0);
    for (int i = 0; i < 63; i++) {
        snprintf(id, sizeof id, "many-%d", i);
        sioc_join_id(&c, id);
    }
    sioc_say(&c, "talked", "hello"); /* the 64th, joined by talking alone */
    sioc_expect_reply(&c, "hello");
    sioc_send_text(&c, "42[\"join_conversation\",\"one too many\"]");
    sioc_expect_part(&c, "error", "Leave a conversation first");
    sioc_say(&c, "next", "hello"); /* takes its place */
    sioc_expect_reply(&c, "hello");
    snprintf(event, sizeof event, "[\"leave_conversation\",{\"conversationId\":\"many-7\"}]");
    sioc_ask_ok(&c, event);
    sioc_ask_ok(&c, event); /* twice does no harm */
    sioc_join_id(&c, "one too many");
    sioc_close(&c);
}

/* ---- several clients ---- */

static void the_others_see_what_the_sender_wrote(void **state)
{
    (void)state;
    struct sioc sender, readers[2];
    char id[32];
    env_id_at(0, id);
    sioc_open(&sender, 1);
    for (size_t i = 0; i < 2; i++) {
        sioc_open(&readers[i], i);
        sioc_join_id(&readers[i], id);
    }
    sioc_say(&sender, id, "words 200");
    struct reply_seen first = reply_seen_read(&sender, false); /* fails on a new_message */
    for (size_t i = 0; i < 2; i++) {
        struct told message = sioc_expect(&readers[i], "new_message");
        char *text = without_ids(message.payload), wanted[256];
        snprintf(wanted, sizeof wanted,
                 "{\"id\":\"*\",\"content\":\"words 200\",\"role\":\"user\",\"timestamp\":\"*\",\"conversationId\":"
                 "\"%s\",\"status\":\"complete\"}",
                 id);
        assert_string_equal(text, wanted);
        free(text);
        told_free(&message);
        struct reply_seen r = reply_seen_read(&readers[i], false);
        assert_string_equal(r.text, first.text);
        assert_string_equal(r.complete, first.complete);
        reply_seen_free(&r);
        sioc_close(&readers[i]);
    }
    reply_seen_free(&first);
    sioc_close(&sender);
}

static void messages_of_other_doors_arrive(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 1);
    sioc_say(&c, "rest", "hello");
    sioc_expect_reply(&c, "hello");
    env_expect(env_post("/api/chat", "{\"message\":\"by REST\",\"conversationId\":\"rest\"}"), 200, "by REST");
    sioc_expect_part(&c, "new_message", "by REST");
    sioc_expect_reply(&c, "by REST");
    env_expect(env_request("DELETE", "/api/conversations/rest", "", ""), 200, "deleted");
    sioc_expect_part(&c, "conversation_deleted", "{\"conversationId\":\"rest\"}");
    sioc_say(&c, "rest", "anew"); /* under the same id */
    sioc_expect_reply(&c, "anew");
    sioc_close(&c);
}

static void typing_and_reading_reach_the_others(void **state)
{
    (void)state;
    struct sioc ann, bob;
    char wanted[256], id[32];
    env_id_at(0, id);
    sioc_open(&ann, 0);
    sioc_open(&bob, 1);
    sioc_join_id(&ann, id);
    sioc_join_id(&bob, id);
    sioc_send_text(&ann, "42[\"typing_start\",{\"conversationId\":\"%s\",\"userName\":\"Ann\"}]", id);
    snprintf(wanted, sizeof wanted, "{\"userId\":\"%s\",\"userName\":\"Ann\",\"isTyping\":true}", ann.sid);
    sioc_expect_part(&bob, "user_typing", wanted);
    sioc_send_text(&ann, "42[\"typing_stop\",\"%s\"]", id);
    snprintf(wanted, sizeof wanted, "{\"userId\":\"%s\",\"userName\":\"Anonymous\",\"isTyping\":false}", ann.sid);
    sioc_expect_part(&bob, "user_typing", wanted);
    sioc_send_text(&ann, "42[\"message_read\",{\"conversationId\":\"%s\",\"messageId\":\"m1\"}]", id);
    snprintf(wanted, sizeof wanted, "{\"messageId\":\"m1\",\"status\":\"read\",\"readBy\":\"%s\"}", ann.sid);
    sioc_expect_part(&bob, "message_status", wanted);
    sioc_send_text(&bob, "42[\"typing_start\",\"%s\"]", id);
    sioc_expect_part(&ann, "user_typing", bob.sid); /* and nothing of its own before */
    sioc_close(&ann);
    sioc_close(&bob);
}

static void who_left_hears_nothing_more(void **state)
{
    (void)state;
    struct sioc ann, bob;
    sioc_open(&ann, 0);
    sioc_open(&bob, 0);
    sioc_join_id(&bob, "left");
    sioc_ask_ok(&bob, "[\"leave_conversation\",\"left\"]");
    sioc_say(&ann, "left", "hello");
    sioc_expect_reply(&ann, "hello");
    sioc_join_id(&bob, "left");
    sioc_say(&ann, "left", "again");
    sioc_expect_part(&bob, "new_message", "again");
    sioc_close(&ann);
    sioc_close(&bob);
}

/* ---- failures ---- */

static void what_fails_is_told_to_the_sender(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    atomic_store(&gate.writes_fail, true);
    sioc_say(&c, "x", "hello");
    sioc_expect_part(&c, "stream_error",
                     "\"message\":\"Database temporarily unavailable. Please try again.\",\"code\":"
                     "\"STORE_UNAVAILABLE\"");
    sioc_expect_part(&c, "error", "STORE_UNAVAILABLE");
    atomic_store(&gate.writes_fail, false);
    atomic_store(&gate.reads_fail, true);
    sioc_send_text(&c, "42[\"join_conversation\",\"y\"]");
    sioc_expect_part(&c, "error", "STORE_UNAVAILABLE");
    sioc_send_text(&c, "42[\"typing_start\",\"y\"]");
    sioc_expect_part(&c, "error", "STORE_UNAVAILABLE");
    gate_open();
    chat_drain(env.chat);
    sioc_say(&c, "x", "hello");
    sioc_expect_part(&c, "stream_error", "{\"message\":\"Server shutting down\",\"code\":\"SHUTTING_DOWN\"}");
    sioc_expect_part(&c, "error", "SHUTTING_DOWN");
    sioc_close(&c);
}

static void the_line_has_an_end(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    for (int i = 0; i < LIMIT_TURN_QUEUE; i++)
        sioc_ask_ok(&c, "[\"stream_chat\",{\"message\":\"hold\",\"conversationId\":\"line\"}]");
    char *json = sioc_ask(&c, "[\"stream_chat\",{\"message\":\"hold\",\"conversationId\":\"line\"}]");
    assert_non_null(strstr(json, "TOO_MANY_TURNS"));
    free(json);
    sioc_close(&c);
}

static void a_model_that_fails_is_apologised_for(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    sioc_say(&c, "sorry", "fail");
    struct reply_seen r = reply_seen_read(&c, false);
    assert_string_equal(r.text,
                        "I apologize, but I encountered an error while processing your request. Please try again.");
    assert_int_equal(r.chunks, 1);
    assert_false(r.has_error);
    assert_non_null(strstr(r.complete, "I apologize"));
    reply_seen_free(&r);
    sioc_say(&c, "sorry", "break");
    r = reply_seen_read(&c, false);
    assert_string_equal(r.text, "one ");
    assert_true(r.has_error);
    assert_non_null(strstr(r.complete, "\"status\":\"failed\""));
    reply_seen_free(&r);
    sioc_close(&c);
}

static void without_a_model_it_is_the_demo_text_at_once(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    sioc_say(&c, "demo", "hello");
    struct reply_seen r = reply_seen_read(&c, false);
    assert_string_equal(r.text, "This is a demo response. To enable AI responses, add your OpenAI API key to the "
                                "environment variables.");
    assert_int_equal(r.chunks, 1);
    assert_false(r.has_error);
    reply_seen_free(&r);
    sioc_close(&c);
}

static void a_conversation_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    sioc_say(&c, "unread", "hold");
    sioc_expect_part(&c, "stream_start", "");
    sioc_expect_part(&c, "stream_chunk", "one ");
    atomic_store(&gate.reads_fail, true);
    puppet_release(env.puppet);
    for (bool last = false; !last;) {
        struct told t = sioc_expect(&c, "stream_chunk");
        last = json_true(t.payload, "isComplete");
        told_free(&t);
    }
    sioc_expect_part(&c, "stream_error", "STORE_UNAVAILABLE");
    gate_open();
    sioc_say(&c, "unread", "hello");
    sioc_expect_reply(&c, "hello");
    sioc_close(&c);
}

/* ---- who may come in ---- */

static void expect_refused(struct sioc *c)
{
    char *text = sioc_read(c);
    assert_string_equal(text, "44{\"message\":\"Please authenticate.\",\"data\":{\"code\":\"UNAUTHORIZED\"}}");
    free(text);
    sioc_close(c);
}

static void production_wants_the_token(void **state)
{
    (void)state;
    struct sioc c;
    env_start(&(struct env_options){.production = true});
    sioc_dial(&c, 0, "", "", "");
    expect_refused(&c);
    sioc_dial(&c, 0, "&token=wrong", "Authorization: Bearer wrong\r\n", "{\"token\":\"wrong\"}");
    expect_refused(&c);
    sioc_dial(&c, 0, "", "", "{\"token\":{\"a\":\"" TOKEN "\"}}");
    expect_refused(&c);
    sioc_dial(&c, 0, "&token=" TOKEN, "", "");
    sioc_await_connected(&c);
    sioc_close(&c);
    sioc_dial(&c, 1, "", "Authorization: Bearer " TOKEN "\r\n", "");
    sioc_await_connected(&c);
    sioc_close(&c);
    sioc_dial(&c, 0, "", "", "{\"token\":\"" TOKEN "\"}");
    sioc_await_connected(&c);
    sioc_say(&c, "in", "hello");
    sioc_expect_reply(&c, "hello");
    sioc_close(&c);
    struct reply r = env_get("/socket.io/?EIO=4&transport=polling&token=" TOKEN);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    env_stop();
}

/* A client of the chat dialect alone, and conversations of another. */
static void other_dialects_conversations_stay_theirs(void **state)
{
    (void)state;
    struct sioc c, all;
    struct ws_client ws;
    env_start(&(struct env_options){.production = true, .open = {"chat", "pichat"}});
    env_socket(&ws, 0, "/ws");
    sioc_dial(&c, 0, "", "", "");
    sioc_await_connected(&c);
    sioc_dial(&all, 0, "&token=" TOKEN, "", "");
    sioc_await_connected(&all);
    sioc_join_id(&c, "theirs");
    sioc_join_id(&all, "theirs");
    static const char *const chat_alone[] = {"chat"};
    api_reconfigure(env.api,
                    &(struct api_config){.api_token = TOKEN, .open_dialects = chat_alone, .nopen_dialects = 1});
    wsc_text(&ws, "{\"type\":\"SEND_MESSAGE\",\"payload\":{\"chatId\":\"theirs\",\"content\":\"secret\"}}");
    sioc_expect_part(&all, "new_message", "secret");
    sioc_expect_reply(&all, "secret");
    sioc_send_text(&c, "42[\"join_conversation\",\"theirs\"]"); /* the first it hears */
    sioc_expect_part(&c, "error", "CONVERSATION_NOT_FOUND");
    sioc_say(&c, "theirs", "hello");
    sioc_expect_part(&c, "stream_error", "CONVERSATION_NOT_FOUND");
    sioc_expect_part(&c, "error", "CONVERSATION_NOT_FOUND");
    sioc_send_text(&c, "42[\"typing_start\",\"theirs\"]");
    sioc_expect_part(&c, "error", "CONVERSATION_NOT_FOUND");
    sioc_send_text(&c, "42[\"cancel_stream\",\"theirs\"]");
    sioc_expect_part(&c, "error", "CONVERSATION_NOT_FOUND");
    wsc_free(&ws);
    sioc_close(&c);
    sioc_close(&all);
    env_stop();
}

static int no_model(void **state)
{
    (void)state;
    env_start(&(struct env_options){.no_model = true});
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(the_sample_of_the_contract),
        ENV_TEST(ids_that_clients_make_up_are_created),
        ENV_TEST(turns_wait_in_line),
        ENV_TEST(acknowledgements_tell_the_ids),
        ENV_TEST(arguments_that_are_none),
        ENV_TEST(a_client_is_in_so_many_conversations),
        ENV_TEST(the_others_see_what_the_sender_wrote),
        ENV_TEST(messages_of_other_doors_arrive),
        ENV_TEST(typing_and_reading_reach_the_others),
        ENV_TEST(who_left_hears_nothing_more),
        ENV_TEST(what_fails_is_told_to_the_sender),
        ENV_TEST(the_line_has_an_end),
        ENV_TEST(a_model_that_fails_is_apologised_for),
        cmocka_unit_test_setup_teardown(without_a_model_it_is_the_demo_text_at_once, no_model, env_teardown),
        ENV_TEST(a_conversation_that_cannot_be_read_is_an_error),
        cmocka_unit_test(production_wants_the_token),
        cmocka_unit_test(other_dialects_conversations_stay_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
