/* The pure parts of the openai driver: request bodies, chunks, refusals, targets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "client/refusal.h"
#include "llm/openai/chunk.h"
#include "llm/openai/request.h"
#include "llm/openai/target.h"

static const struct llm_message hi[] = {{LLM_USER, {"Hi", 2}}};

static void built(const struct llm_request *rq, const struct request_options *options, const char *expected)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e = {0};
    bool asked;
    assert_int_equal(request_build(&out, rq, options, &asked, &e), 0);
    assert_string_equal(buf_cstr(&out), expected);
    buf_free(&out);
}

static void turns_are_built_for_their_model(void **state)
{
    (void)state;
    struct llm_request rq = {.messages = hi, .nmessages = 1, .max_tokens = 9, .temperature = 0.7, .user = STR("u1")};
    built(&rq, &(struct request_options){.model = STR("gpt-4o"), .stream_options = true},
          "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":9,"
          "\"temperature\":0.7,\"user\":\"u1\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    built(&rq, &(struct request_options){.model = STR("o4-mini")},
          "{\"model\":\"o4-mini\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_completion_tokens\":9,"
          "\"user\":\"u1\",\"stream\":true}");
    rq = (struct llm_request){.messages = hi, .nmessages = 1, .max_tokens = 5, .temperature = -1};
    built(&rq, &(struct request_options){.model = STR("llama"), .max_completion_tokens = true},
          "{\"model\":\"llama\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_completion_tokens\":5,"
          "\"stream\":true}");
    assert_true(request_reasoning_model(STR("gpt-5-mini")));
    assert_true(request_reasoning_model(STR("o1")));
    assert_false(request_reasoning_model(STR("gpt-4o")));
    assert_false(request_reasoning_model(STR("")));
}

static void relays_keep_what_they_do_not_know(void **state)
{
    (void)state;
    struct llm_request rq = {.body =
                                 STR(" {\"model\":\"a\", \"messages\":[{\"x\":[1, 2.50]}],\"future\":\"\\u00e9\\n\","
                                     "\"stream\":false,\"max_tokens\":7,\"temperature\":0} "),
                             .stream = true};
    built(&rq, &(struct request_options){.stream_options = true},
          "{\"model\":\"a\",\"messages\":[{\"x\":[1, 2.50]}],\"future\":\"\\u00e9\\n\",\"max_tokens\":7,"
          "\"temperature\":0,\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    built(&rq, &(struct request_options){.model = STR("b")},
          "{\"messages\":[{\"x\":[1, 2.50]}],\"future\":\"\\u00e9\\n\",\"max_tokens\":7,\"temperature\":0,"
          "\"model\":\"b\",\"stream\":true}");
    rq = (struct llm_request){.body = STR("{\"stream\":true,\"mod\\u0065l\":\"x\",\"n\":2}"), .stream = false};
    built(&rq, &(struct request_options){.model = STR("b"), .stream_options = true},
          "{\"n\":2,\"model\":\"b\",\"stream\":false}");
    rq = (struct llm_request){.body = STR("{}"), .stream = true};
    built(&rq, &(struct request_options){.stream_options = false}, "{\"stream\":true}");
}

static void stream_options_are_merged(void **state)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e = {0};
    bool asked = true;
    (void)state;
    struct llm_request rq = {
        .body = STR("{\"stream_options\":{\"include_obfuscation\":false,\"x\":\"y\",\"include_usage\":false}}"),
        .stream = true};
    struct request_options options = {.stream_options = true};
    assert_int_equal(request_build(&out, &rq, &options, &asked, &e), 0);
    assert_false(asked);
    assert_string_equal(
        buf_cstr(&out),
        "{\"stream\":true,\"stream_options\":{\"include_obfuscation\":false,\"x\":\"y\",\"include_usage\":true}}");
    buf_clear(&out);
    rq.body = STR("{\"stream_options\":{\"include_usage\":true}}");
    options.stream_options = false;
    assert_int_equal(request_build(&out, &rq, &options, &asked, &e), 0);
    assert_true(asked);
    assert_string_equal(buf_cstr(&out), "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    buf_clear(&out);
    rq.body = STR("[1]");
    assert_int_equal(request_build(&out, &rq, &options, &asked, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    rq.body = STR("{");
    assert_int_equal(request_build(&out, &rq, &options, &asked, &e), -1);
    buf_free(&out);
}

static void chunks_become_events(void **state)
{
    struct chunk c;
    struct err e = {0};
    (void)state;
    chunk_init(&c);
    struct str json = STR("{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\\u00e9\\n\"},"
                          "\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}");
    assert_int_equal(chunk_read(&c, json, &e), 0);
    assert_int_equal(c.count, 3);
    assert_int_equal(c.events[0].type, LLM_DELTA);
    assert_true(str_eqc(c.events[0].text, "a\xc3\xa9\n"));
    assert_true(str_eq(c.events[0].raw, json));
    assert_int_equal(c.events[1].type, LLM_FINISH);
    assert_true(str_eqc(c.events[1].finish, "length"));
    assert_int_equal(c.events[1].raw.n, 0);
    assert_int_equal(c.events[2].type, LLM_USAGE);
    assert_int_equal(c.events[2].usage.completion_tokens, 2);
    assert_false(chunk_only_usage(&c));
    chunk_free(&c);
}

static enum llm_event_type first_type(const char *json)
{
    struct chunk c;
    struct err e = {0};
    chunk_init(&c);
    assert_int_equal(chunk_read(&c, str_c(json), &e), 0);
    enum llm_event_type type = c.events[0].type;
    chunk_free(&c);
    return type;
}

static void odd_chunks_are_understood(void **state)
{
    (void)state;
    /* Azure's first, role only, empty delta, null content, ignored members, second choice, usage null. */
    assert_int_equal(first_type("{\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}"), LLM_OTHER);
    assert_int_equal(first_type("{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}"), LLM_OTHER);
    assert_int_equal(first_type("{\"choices\":[{\"delta\":{},\"finish_reason\":null}],\"usage\":null}"), LLM_OTHER);
    assert_int_equal(first_type("{\"choices\":[{\"delta\":{\"content\":null,\"reasoning_content\":\"x\"}}]}"),
                     LLM_OTHER);
    assert_int_equal(first_type("{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"}}]}"), LLM_OTHER);
    assert_int_equal(first_type("{\"choices\":[{\"delta\":{\"content\":null,\"tool_calls\":[{\"index\":0}]}}]}"),
                     LLM_TOOL_CALL);
    assert_int_equal(first_type("{\"choices\":[{\"delta\":{\"function_call\":{\"name\":\"f\"}}}]}"), LLM_TOOL_CALL);
    assert_int_equal(first_type("{\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\"}]}"), LLM_FINISH);
    assert_int_equal(first_type("{\"choices\":[],\"usage\":{\"prompt_tokens\":3}}"), LLM_USAGE);
    assert_int_equal(first_type("{\"error\":null,\"choices\":[{\"delta\":{\"content\":\"x\"}}]}"), LLM_DELTA);
    assert_int_equal(first_type("{}"), LLM_OTHER);
}

static void error_is(const char *json, const char *text)
{
    struct chunk c;
    struct err e = {0};
    chunk_init(&c);
    assert_int_equal(chunk_read(&c, str_c(json), &e), -1);
    assert_int_equal(e.code, ERR_UPSTREAM);
    assert_string_equal(e.text, text);
    assert_int_equal(chunk_read_whole(&c, str_c(json), &e), -1);
    chunk_free(&c);
}

static void error_events_are_errors(void **state)
{
    (void)state;
    error_is("{\"error\":{\"message\":\"No\\nmore\",\"code\":null}}", "No more");
    error_is("{\"error\":{\"code\":503,\"message\":\"Loading model\"}}", "Loading model");
    error_is("{\"error\":\"Unauthorized\"}", "Unauthorized");
    error_is("{\"object\":\"error\",\"message\":\"bare\",\"code\":40}", "bare");
    error_is("{\"error\":{}}", "The service reported an error");
    error_is("{\"error\":7}", "The service reported an error");
    error_is("[1]", "The model's service sent a stream event that is no JSON object");
    error_is("{\"choices\":", "The model's service sent a stream event that is no JSON object");
    error_is("<html>", "The model's service sent a stream event that is no JSON object");
}

static void whole_replies_are_read(void **state)
{
    struct chunk c;
    struct err e = {0};
    (void)state;
    chunk_init(&c);
    assert_int_equal(
        chunk_read_whole(&c,
                         STR("{\"choices\":[{\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],"
                             "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}"),
                         &e),
        0);
    assert_int_equal(c.count, 3);
    assert_int_equal(c.events[0].type, LLM_WHOLE);
    assert_true(str_eqc(c.events[0].text, "Hi"));
    assert_int_equal(c.events[2].usage.prompt_tokens, 9);
    assert_int_equal(chunk_read_whole(&c, STR("{\"choices\":[{\"message\":{\"content\":null}}]}"), &e), 0);
    assert_int_equal(c.events[0].text.n, 0);
    chunk_free(&c);
}

static void refusals_are_normalised(void **state)
{
    struct err e = {0};
    (void)state;
    assert_int_equal(refusal_error(STR("{\"error\":{\"message\":\"Bad model\"}}"), 404, STR(""), &e), -1);
    assert_int_equal(e.status, 404);
    assert_string_equal(e.text, "Bad model");
    refusal_error(STR("{\"detail\":\"Not Found\"}"), 404, STR(""), &e);
    assert_string_equal(e.text, "Not Found");
    refusal_error(STR("<html><h1>502 Bad Gateway</h1></html>"), 502, STR(""), &e);
    assert_string_equal(e.text, "The service answered with status 502");
    refusal_error(STR(""), 500, STR(""), &e);
    assert_int_equal(e.status, 500);
    char text[2000] = "{\"error\":\"";
    memset(text + 10, 'a', 1900);
    strncat(text, "\"}", 3);
    refusal_error(str_c(text), 400, STR(""), &e);
    assert_int_equal(strlen(e.text), 240);
}

static void masked_is(const char *body, const char *expected)
{
    struct arena *a = arena_new("test");
    struct str line = refusal_line(a, str_c(body), STR("0a1b2c3d4e5f"), 200);
    assert_string_equal(line.p, expected);
    arena_free(a);
}

static void keys_are_masked(void **state)
{
    struct err e = {0};
    (void)state;
    masked_is("Incorrect API key provided: sk-proj-Abc_123-xyz. Find it", "Incorrect API key provided: *** Find it");
    masked_is("provided: my-ke**********2345!", "provided: ***!");
    masked_is("key 0a1b2c3d4e5f and x0a1b2c3d4e5fx", "key *** and x***x");
    masked_is("Authorization: Bearer eyJhbGciOi.x.y end", "Authorization: Bearer *** end");
    masked_is("task-force ask-me sk- risk-free", "task-force ask-me sk- risk-free");
    masked_is("cut 0a1b2c3d", "cut ***");
    masked_is("broken 0a1b\r\n2c3d4e5f", "broken ***");
    masked_is("{\r\n  \"a\": 1\n}\n", "{  \"a\": 1}");
    refusal_error(STR("{\"error\":\"Wrong key sk-1234567890abcdef\"}"), 401, STR(""), &e);
    assert_string_equal(e.text, "Wrong key ***");
}

static void long_refusals_are_cut_at_a_character(void **state)
{
    struct arena *a = arena_new("test");
    char body[402];
    (void)state;
    for (int i = 0; i < 200; i++)
        memcpy(body + 2 * i, "\xc3\xa9", 2);
    assert_int_equal(refusal_line(a, str_n(body, 400), STR(""), 101).n, 100);
    assert_int_equal(refusal_line(a, STR(""), STR(""), 101).n, 0);
    arena_free(a);
}

static void target_is(const struct llm_openai_config *config, const char *base, const char *chat, const char *models)
{
    struct target t;
    struct err e = {0};
    assert_int_equal(target_make(&t, config, &e), 0);
    assert_string_equal(t.base_url, base);
    assert_string_equal(t.chat_path, chat);
    assert_string_equal(t.models_path, models);
    assert_int_equal(t.key_in_api_key, config->azure);
    target_free(&t);
}

static void targets_are_what_the_service_expects(void **state)
{
    (void)state;
    target_is(&(struct llm_openai_config){.base_url = "https://api.openai.com/v1/"}, "https://api.openai.com/v1",
              "/chat/completions", "/models");
    target_is(&(struct llm_openai_config){.base_url = "http://h:1/v1/chat/completions"}, "http://h:1/v1",
              "/chat/completions", "/models");
    struct llm_openai_config azure = {.base_url = "https://x.cognitiveservices.azure.com//",
                                      .azure = true,
                                      .deployment = "o4 mini",
                                      .api_version = "2024-10-21"};
    target_is(&azure, "https://x.cognitiveservices.azure.com/openai",
              "/deployments/o4%20mini/chat/completions?api-version=2024-10-21", "/v1/models");
    azure.api_version = "v1";
    target_is(&azure, "https://x.cognitiveservices.azure.com/openai/v1", "/chat/completions", "/models");
    azure.api_version = "preview";
    azure.base_url = "https://x.openai.azure.com/openai/v1/";
    target_is(&azure, "https://x.openai.azure.com/openai/v1", "/chat/completions?api-version=preview", "/models");
    azure.api_version = NULL;
    azure.deployment = NULL;
    azure.base_url = "https://x.openai.azure.com/openai";
    target_is(&azure, "https://x.openai.azure.com/openai/v1", "/chat/completions", "/models");
}

static void unusable_targets_are_named(void **state)
{
    struct err e = {0};
    struct target t;
    (void)state;
    assert_int_equal(target_make(&t, &(struct llm_openai_config){.base_url = "api.openai.com"}, &e), -1);
    assert_int_equal(e.code, ERR_NOT_CONFIGURED);
    assert_int_equal(target_make(&t, &(struct llm_openai_config){0}, &e), -1);
    struct llm_openai_config azure = {.base_url = "https://x", .azure = true, .api_version = "2024-10-21"};
    assert_int_equal(target_make(&t, &azure, &e), -1);
    assert_non_null(strstr(e.text, "deployment"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_built_for_their_model),
        cmocka_unit_test(relays_keep_what_they_do_not_know),
        cmocka_unit_test(stream_options_are_merged),
        cmocka_unit_test(chunks_become_events),
        cmocka_unit_test(odd_chunks_are_understood),
        cmocka_unit_test(error_events_are_errors),
        cmocka_unit_test(whole_replies_are_read),
        cmocka_unit_test(refusals_are_normalised),
        cmocka_unit_test(keys_are_masked),
        cmocka_unit_test(long_refusals_are_cut_at_a_character),
        cmocka_unit_test(targets_are_what_the_service_expects),
        cmocka_unit_test(unusable_targets_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
