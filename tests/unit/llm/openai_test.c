#include "base/json.h"
#include "unit/llm/llm_fixture.h"

static const struct llm_message hello[] = {{LLM_SYSTEM, {"Be \"kind\".", 10}}, {LLM_USER, {"Hi", 2}}};
static const struct llm_request chat = {
    .messages = hello, .nmessages = 2, .temperature = 0.5, .max_tokens = 50, .stream = true};

static const cJSON *sent_body(struct llm_fixture *t, size_t n)
{
    const char *body = strstr(t->server.requests[n], "\r\n\r\n") + 4;
    cJSON *json = json_parse(t->arena, str_c(body), NULL);
    assert_non_null(json);
    return json;
}

static void streams_body(struct llm_fixture *t)
{
    struct err e = {0};
    struct told told;
    struct llm_stream *s = llm_open(t->llm, &chat, t->arena, NULL, &e);
    assert_non_null(s);
    told_read(&told, s);
    assert_int_equal(told.end, 0);
    assert_string_equal(buf_cstr(&told.text), "Hello");
    assert_string_equal(told.finish, "stop");
    assert_int_equal(told.usage.prompt_tokens, 9);
    assert_int_equal(told.usage.completion_tokens, 2);
    assert_int_equal(told.events, 5);
    told_free(&told);
    assert_null(llm_close(s));
    assert_non_null(strstr(t->server.requests[0], "POST /chat/completions HTTP/1.1\r\n"));
    assert_non_null(strstr(t->server.requests[0], "\r\nAuthorization: Bearer " KEY "\r\n"));
    const cJSON *body = sent_body(t, 0);
    assert_true(str_eqc(json_str(body, "model"), "gpt-test"));
    assert_true(json_bool(body, "stream", false));
    assert_true(json_bool(json_get(body, "stream_options"), "include_usage", false));
    assert_int_equal((int)json_num(body, "max_tokens", 0), 50);
    assert_int_equal((int)(json_num(body, "temperature", 0) * 10), 5);
    const cJSON *messages = json_get(body, "messages");
    assert_int_equal(cJSON_GetArraySize(messages), 2);
    assert_true(str_eqc(json_str(cJSON_GetArrayItem(messages, 0), "content"), "Be \"kind\"."));
}

static void a_turn_streams(void **state)
{
    (void)state;
    LLM_PLAY(NULL, streams_body, {.bytes = HELLO_STREAM, .after = SCRIPT_CLOSE});
}

static void a_stream_survives_any_split(void **state)
{
    (void)state;
    LLM_PLAY(NULL, streams_body, {.bytes = HELLO_STREAM, .split = 1, .after = SCRIPT_CLOSE});
}

static int setup(void **state)
{
    (void)state;
    client_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_streams),
        cmocka_unit_test(a_stream_survives_any_split),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
