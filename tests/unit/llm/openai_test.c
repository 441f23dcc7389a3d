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

/* Opens, reads all, closes. */
static void ask(struct llm_fixture *t, const struct llm_request *rq, struct told *told)
{
    struct err e = {0};
    struct llm_stream *s = llm_open(t->llm, rq, t->arena, NULL, &e);
    if (!s)
        fail_msg("%s", e.text);
    told_read(told, s);
    llm_close(s);
}

static const struct llm_request relay = {.body = {"{\"messages\":[],\"model\":\"x\"}", 27}, .stream = true};

static void hidden_usage_body(struct llm_fixture *t)
{
    struct told told;
    ask(t, &relay, &told);
    assert_int_equal(told.end, 0);
    assert_int_equal(told.usage.completion_tokens, 2);
    assert_null(strstr(buf_cstr(&told.raw), "\"choices\":[]"));
    assert_non_null(strstr(buf_cstr(&told.raw), CHUNK("\"content\":\"Hel\"", "null") "\n"));
    told_free(&told);
    struct llm_request asking = relay;
    asking.body = STR("{\"messages\":[],\"stream_options\":{\"include_usage\":true}}");
    ask(t, &asking, &told);
    assert_non_null(strstr(buf_cstr(&told.raw), USAGE_CHUNK));
    told_free(&told);
}

static void usage_is_shown_only_to_who_asked(void **state)
{
    (void)state;
    LLM_PLAY(NULL, hidden_usage_body, {.bytes = HELLO_STREAM, .after = SCRIPT_CLOSE});
}

static void whole_body(struct llm_fixture *t)
{
    struct told told;
    struct llm_request rq = relay;
    rq.stream = false;
    ask(t, &rq, &told);
    assert_int_equal(told.end, 0);
    assert_int_equal(told.events, 3);
    assert_string_equal(buf_cstr(&told.text), "Hi");
    assert_string_equal(told.finish, "stop");
    assert_int_equal(told.usage.prompt_tokens, 9);
    assert_false(json_bool(sent_body(t, 0), "stream", true));
    told_free(&told);
}

#define WHOLE                                                                                                          \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nConnection: close\r\n\r\n"                    \
    "{\"object\":\"chat.completion\",\n\"choices\":[{\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],"   \
    "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}"

static void a_relay_may_want_the_whole_reply(void **state)
{
    (void)state;
    LLM_PLAY(NULL, whole_body, {.bytes = WHOLE, .after = SCRIPT_CLOSE});
}

static void unstreamed_body(struct llm_fixture *t)
{
    struct told told;
    ask(t, &chat, &told);
    assert_int_equal(told.end, 0);
    assert_string_equal(buf_cstr(&told.text), "Hi");
    assert_string_equal(told.finish, "stop");
    assert_non_null(strstr(buf_cstr(&told.raw), "\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"}"));
    told_free(&told);
}

static void a_service_that_does_not_stream_is_understood(void **state)
{
    (void)state;
    LLM_PLAY(NULL, unstreamed_body, {.bytes = WHOLE, .after = SCRIPT_CLOSE});
}

static void lenient_body(struct llm_fixture *t)
{
    struct told told;
    ask(t, &chat, &told);
    assert_int_equal(told.end, 0);
    assert_string_equal(buf_cstr(&told.text), "Hel\xc3\xa9");
    assert_string_equal(told.finish, "stop");
    told_free(&told);
}

static void crlf_comments_and_a_missing_done_are_fine(void **state)
{
    (void)state;
    LLM_PLAY(NULL, lenient_body,
             {.bytes = SSE_HEAD
              ": ping\r\n\r\ndata:" CHUNK("\"content\":\"Hel\"", "null") "\r\n\r\n: x\r\nevent: y\r\ndata: " CHUNK(
                  "\"content\":\"\xc3\xa9\"", "null") "\r\n\r\ndata: " CHUNK("", "\"stop\""),
              .split = 1,
              .after = SCRIPT_CLOSE});
}

static void cut_body(struct llm_fixture *t)
{
    struct told told;
    ask(t, &chat, &told);
    assert_int_equal(told.end, -1);
    assert_int_equal(told.e.code, ERR_UPSTREAM);
    assert_string_equal(buf_cstr(&told.text), "Hel");
    told_free(&told);
}

static void a_cut_stream_is_an_error(void **state)
{
    (void)state;
    LLM_PLAY(NULL, cut_body, {.bytes = SSE_HEAD DATA(CHUNK("\"content\":\"Hel\"", "null")), .after = SCRIPT_CLOSE});
    LLM_PLAY(NULL, cut_body,
             {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" DATA(
                  CHUNK("\"content\":\"Hel\"", "null")),
              .after = SCRIPT_CLOSE});
}

#define MID_ERROR "{\"error\":{\"message\":\"It broke " KEY "\",\"type\":\"server_error\"}}"

static void mid_error_body(struct llm_fixture *t)
{
    struct told told;
    ask(t, &chat, &told);
    assert_int_equal(told.end, -1);
    assert_int_equal(told.e.code, ERR_UPSTREAM);
    assert_string_equal(told.e.text, "It broke ***");
    assert_string_equal(buf_cstr(&told.text), "Hel");
    assert_true(str_ends(buf_str(&told.raw), STR(MID_ERROR)));
    told_free(&told);
}

static void an_error_event_ends_the_stream(void **state)
{
    (void)state;
    LLM_PLAY(NULL, mid_error_body,
             {.bytes = SSE_HEAD DATA(CHUNK("\"content\":\"Hel\"", "null")) DATA(MID_ERROR) DATA("[DONE]"),
              .after = SCRIPT_CLOSE});
}

static void tools_body(struct llm_fixture *t)
{
    struct told told;
    ask(t, &relay, &told);
    assert_int_equal(told.end, 0);
    assert_int_equal(told.tools, 3);
    assert_string_equal(told.finish, "tool_calls");
    assert_int_equal(buf_str(&told.text).n, 0);
    assert_non_null(strstr(buf_cstr(&told.raw), "\"index\":1,\"function\":{\"arguments\":\"{\\\"b\\\":1}\"}"));
    told_free(&told);
}

#define TOOL(index, rest) DATA(CHUNK("\"tool_calls\":[{\"index\":" index "," rest "}]", "null"))

static void tool_calls_are_passed_on(void **state)
{
    (void)state;
    LLM_PLAY(NULL, tools_body,
             {.bytes = SSE_HEAD TOOL("0", "\"id\":\"c9\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}")
                  TOOL("1", "\"function\":{\"arguments\":\"{\\\"b\\\":1}\"}")
                      TOOL("0", "\"function\":{\"arguments\":\"{}\"}") DATA(CHUNK("", "\"tool_calls\"")) DATA("[DONE]"),
              .after = SCRIPT_CLOSE});
}

/* Opens and expects the refusal. */
static struct str refused(struct llm_fixture *t, int status, struct err *e)
{
    struct str refusal = STR_NONE;
    *e = (struct err){0};
    assert_null(llm_open(t->llm, &chat, t->arena, &refusal, e));
    assert_int_equal(e->status, status);
    assert_null(strstr(e->text, KEY));
    assert_true(str_find(refusal, STR(KEY)) < 0);
    return refusal;
}

static void refused_body(struct llm_fixture *t)
{
    struct err e;
    struct str refusal = refused(t, 401, &e);
    assert_string_equal(e.text, "Incorrect API key provided: ***");
    assert_true(str_eqc(
        refusal, "{ \"error\": {\"message\":\"Incorrect API key provided: ***\",\"code\":\"invalid_api_key\"} }"));
    refused(t, 502, &e);
    assert_string_equal(e.text, "The service answered with status 502");
    refused(t, 429, &e);
    assert_int_equal(e.retry_after_ms, 61000);
    refused(t, 502, &e); /* a redirect is not followed */
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 4);
}

#define REFUSAL(line, headers, body)                                                                                   \
    {                                                                                                                  \
        .bytes = "HTTP/1.1 " line "\r\nx-should-retry: false\r\n" headers "Connection: close\r\n\r\n" body,            \
        .after = SCRIPT_CLOSE                                                                                          \
    }

static void refusals_say_why_without_the_key(void **state)
{
    (void)state;
    LLM_PLAY(NULL, refused_body,
             REFUSAL("401 No", "",
                     "{ \"error\":\r\n {\"message\":\"Incorrect API key provided: " KEY
                     "\",\"code\":\"invalid_api_key\"}\n }"),
             REFUSAL("502 Bad", "Content-Type: text/html\r\n", "<html>\n<h1>Bad Gateway</h1></html>"),
             REFUSAL("429 Slow", "Retry-After: 61\r\n", "{\"error\":{\"message\":\"Slow down\"}}"),
             REFUSAL("302 Found", "Location: http://127.0.0.1:1/\r\n", ""));
}

static void retried_body(struct llm_fixture *t)
{
    struct told told;
    ask(t, &chat, &told);
    assert_string_equal(buf_cstr(&told.text), "Hello");
    told_free(&told);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 2);
    assert_string_equal(strstr(t->server.requests[0], "\r\n\r\n"), strstr(t->server.requests[1], "\r\n\r\n"));
}

static void a_429_is_tried_again(void **state)
{
    (void)state;
    LLM_PLAY(NULL, retried_body, {.bytes = "HTTP/1.1 429 No\r\nretry-after-ms: 3\r\nContent-Length: 2\r\n\r\n{}"},
             {.bytes = HELLO_STREAM, .after = SCRIPT_CLOSE});
}

struct reader {
    struct llm_fixture *t;
    struct told told;
    struct task *waits;
    bool ended;
};

static void read_in_task(void *arg)
{
    struct reader *r = arg;
    struct llm_stream *s = llm_open(r->t->llm, &chat, r->t->arena, NULL, &r->told.e);
    if (s) {
        told_read(&r->told, s);
        llm_close(s);
    }
    r->ended = true;
    if (r->waits)
        task_wake(r->waits);
}

static void cancelled_body(struct llm_fixture *t)
{
    struct reader r = {.t = t};
    struct task *task = task_spawn("reader", read_in_task, &r);
    script_await(&t->server, &t->server.nrequests, 1);
    task_cancel(task);
    script_await(&t->server, &t->server.eofs, 1);
    r.waits = task_self();
    while (!r.ended)
        task_park(NULL);
    assert_int_equal(r.told.e.code, ERR_CANCELLED);
    told_free(&r.told);
}

static void cancelling_closes_the_upstream_connection(void **state)
{
    (void)state;
    LLM_PLAY(NULL, cancelled_body,
             {.bytes = SSE_HEAD DATA(CHUNK("\"content\":\"Hel\"", "null")), .after = SCRIPT_HANG});
}

static void closed_body(struct llm_fixture *t)
{
    struct llm_event event;
    struct llm_stream *s = llm_open(t->llm, &chat, t->arena, NULL, NULL);
    assert_int_equal(llm_next(s, &event, NULL), 1);
    llm_close(s);
    script_await(&t->server, &t->server.eofs, 1);
}

static void closing_early_closes_the_connection(void **state)
{
    (void)state;
    LLM_PLAY(NULL, closed_body, {.bytes = SSE_HEAD DATA(CHUNK("\"content\":\"Hel\"", "null")), .after = SCRIPT_HANG});
}

static void reused_body(struct llm_fixture *t)
{
    for (int i = 0; i < 4; i++) {
        struct told told;
        ask(t, &chat, &told);
        assert_int_equal(told.end, 0);
        told_free(&told);
    }
    assert_int_equal(script_count(&t->server, &t->server.nconnections), 1);
}

static void a_read_stream_gives_its_connection_back(void **state)
{
    (void)state;
    LLM_PLAY(NULL, reused_body,
             {.bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "46\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n\r\n"
                       "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"});
}

static void azure_body(struct llm_fixture *t)
{
    struct told told;
    struct llm_request rq = chat;
    rq.model = STR("gpt-4");
    assert_string_equal(llm_name(t->llm), "azure");
    ask(t, &rq, &told);
    assert_string_equal(buf_cstr(&told.text), "Hi");
    assert_string_equal(told.finish, "content_filter");
    told_free(&told);
    const char *seen = t->server.requests[0];
    assert_non_null(
        strstr(seen, "POST /openai/deployments/o4-mini/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n"));
    assert_non_null(strstr(seen, "\r\napi-key: " KEY "\r\n"));
    assert_null(strcasestr(seen, "authorization:"));
    const cJSON *body = sent_body(t, 0);
    assert_int_equal((int)json_num(body, "max_completion_tokens", 0), 50);
    assert_null(json_get(body, "temperature"));
}

static void azure_speaks_its_own_form(void **state)
{
    (void)state;
    struct llm_openai_config config = {.azure = true, .deployment = "o4-mini", .api_version = "2024-10-21"};
    LLM_PLAY(&config, azure_body,
             {.bytes = SSE_HEAD DATA("{\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}")
                  DATA("{\"choices\":[{\"index\":0,\"content_filter_results\":{},\"delta\":{\"content\":\"Hi\"}}]}")
                      DATA("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"content_filter\"}]}")
                          DATA("[DONE]"),
              .after = SCRIPT_CLOSE});
}

static void models_body(struct llm_fixture *t)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e = {0};
    assert_int_equal(llm_models(t->llm, &out, &e), 0);
    assert_string_equal(buf_cstr(&out), "{\"object\":\"list\",\"data\":[]}");
    assert_non_null(strstr(t->server.requests[0], "GET /models HTTP/1.1\r\n"));
    assert_non_null(strstr(t->server.requests[0], "Bearer " KEY));
    buf_clear(&out);
    assert_int_equal(llm_models(t->llm, &out, &e), 0); /* a 404: the configured one */
    assert_non_null(strstr(buf_cstr(&out), "\"id\":\"gpt-test\""));
    assert_int_equal(llm_ping(t->llm, &e), -1);
    assert_int_equal(e.status, 403);
    assert_string_equal(e.text, "Not you");
    buf_free(&out);
}

static void models_are_asked_of_the_service(void **state)
{
    (void)state;
    LLM_PLAY(NULL, models_body,
             {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"object\":\"list\",\"data\":[]}"},
             {.bytes = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"},
             {.bytes = "HTTP/1.1 403 No\r\nContent-Length: 19\r\n\r\n{\"error\":\"Not you\"}"});
}

static void clean_body(struct llm_fixture *t)
{
    struct err e = {0};
    struct llm_request bad = {.body = STR("[]"), .stream = true};
    assert_null(llm_open(t->llm, &bad, t->arena, NULL, &e));
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 0);
    assert_string_equal(llm_default_model(t->llm), "gpt-test");
}

static void a_bad_relay_never_leaves(void **state)
{
    (void)state;
    LLM_PLAY(NULL, clean_body, {.bytes = HELLO_STREAM});
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(client_setup(NULL), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_streams),
        cmocka_unit_test(a_stream_survives_any_split),
        cmocka_unit_test(usage_is_shown_only_to_who_asked),
        cmocka_unit_test(a_relay_may_want_the_whole_reply),
        cmocka_unit_test(a_service_that_does_not_stream_is_understood),
        cmocka_unit_test(crlf_comments_and_a_missing_done_are_fine),
        cmocka_unit_test(a_cut_stream_is_an_error),
        cmocka_unit_test(an_error_event_ends_the_stream),
        cmocka_unit_test(tool_calls_are_passed_on),
        cmocka_unit_test(refusals_say_why_without_the_key),
        cmocka_unit_test(a_429_is_tried_again),
        cmocka_unit_test(cancelling_closes_the_upstream_connection),
        cmocka_unit_test(closing_early_closes_the_connection),
        cmocka_unit_test(a_read_stream_gives_its_connection_back),
        cmocka_unit_test(azure_speaks_its_own_form),
        cmocka_unit_test(models_are_asked_of_the_service),
        cmocka_unit_test(a_bad_relay_never_leaves),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
