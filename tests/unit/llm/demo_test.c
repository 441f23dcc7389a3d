#include "base/clock.h"
#include "base/json.h"
#include "llm/demo/demo.h"
#include "unit/llm/llm_fixture.h"

struct demo_test {
    struct llm *llm;
    struct arena *arena;
    void (*body)(struct demo_test *t);
};

static void demo_main(void *arg)
{
    struct demo_test *t = arg;
    t->arena = arena_new("test");
    t->body(t);
    arena_free(t->arena);
}

static void with_demo(const struct llm_demo_config *config, void (*body)(struct demo_test *t))
{
    struct demo_test t = {.llm = llm_demo_new(config), .body = body};
    run_task(demo_main, &t);
    llm_free(t.llm);
}

static void ask(struct demo_test *t, const struct llm_request *rq, struct told *told)
{
    struct err e = {0};
    struct llm_stream *s = llm_open(t->llm, rq, t->arena, NULL, &e);
    if (!s)
        fail_msg("%s", e.text);
    told_read(told, s);
    llm_close(s);
}

static const struct llm_message question[] = {{LLM_SYSTEM, {"Be brief.", 9}},
                                              {LLM_USER, {"What is 1+1?", 12}},
                                              {LLM_ASSISTANT, {"2", 1}},
                                              {LLM_USER, {"echo one two three", 18}}};

static void words_body(struct demo_test *t)
{
    struct told told;
    ask(t, &(struct llm_request){.messages = question, .nmessages = 4, .stream = true}, &told);
    assert_int_equal(told.end, 0);
    assert_string_equal(buf_cstr(&told.text), "one two three");
    assert_string_equal(told.finish, "stop");
    assert_int_equal(told.events, 1 + 3 + 1 + 1); /* role, words, finish, usage */
    assert_int_equal(told.usage.completion_tokens, 1 + 1 + 2);
    assert_true(told.usage.prompt_tokens > 16);
    struct str lines = buf_str(&told.raw), line;
    size_t n = 0;
    while (str_split(&lines, '\n', &line) && line.n) {
        const cJSON *chunk = json_parse(t->arena, line, NULL);
        assert_non_null(chunk);
        assert_true(str_eqc(json_str(chunk, "object"), "chat.completion.chunk"));
        assert_true(str_eqc(json_str(chunk, "model"), "demo"));
        assert_true(str_starts(json_str(chunk, "id"), STR("chatcmpl-")));
        assert_true(json_num(chunk, "created", 0) > 0);
        assert_int_equal(cJSON_GetArraySize(json_get(chunk, "choices")), 1);
        n++;
    }
    assert_int_equal(n, 5); /* the usage chunk was not asked for */
    told_free(&told);
}

static void the_demo_streams_word_by_word(void **state)
{
    (void)state;
    with_demo(NULL, words_body);
}

static void from_text_body(struct demo_test *t)
{
    struct told told;
    struct llm_message ask_hours = {LLM_USER, STR("When do you open?")};
    ask(t,
        &(struct llm_request){.messages = &ask_hours,
                              .nmessages = 1,
                              .text = STR("We sell bikes. We open at nine."),
                              .model = STR("named")},
        &told);
    assert_string_equal(buf_cstr(&told.text), "We open at nine.");
    assert_non_null(strstr(buf_cstr(&told.raw), "\"model\":\"named\""));
    told_free(&told);
}

static void the_demo_answers_from_a_text(void **state)
{
    (void)state;
    with_demo(NULL, from_text_body);
}

static void care_body(struct demo_test *t)
{
    struct told told;
    struct llm_message ask_refund = {LLM_USER, STR("I want a refund for order 55123")};
    struct llm_request rq = {.messages = &ask_refund,
                             .nmessages = 1,
                             .text = STR("We sell bikes. Refunds take five days."),
                             .speaker = STR(" Nina "),
                             .company = STR("Zimax Bikes"),
                             .intent = STR("cancellation")};
    ask(t, &rq, &told);
    assert_string_equal(buf_cstr(&told.text), "We will find a way to settle that. Refunds take five days. I have noted "
                                              "55123. Would you rather have a refund or an exchange?");
    told_free(&told);
    ask_refund.content = STR("hello");
    ask(t, &rq, &told);
    assert_string_equal(buf_cstr(&told.text), "Hello, this is Nina from Zimax Bikes. What can I do for you?");
    told_free(&told);
}

static void the_demo_stands_in_for_an_agent(void **state)
{
    (void)state;
    with_demo(NULL, care_body);
}

static void relay_body(struct demo_test *t)
{
    struct told told;
    struct llm_request rq = {.stream = true};
    rq.body =
        STR("{\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"echo\"},"
            "{\"type\":\"image_url\"},{\"type\":\"text\",\"text\":\"parts \\u00e9\"}]}],\"tools\":[{}],"
            "\"stream_options\":{\"include_usage\":true}}");
    ask(t, &rq, &told);
    assert_string_equal(buf_cstr(&told.text), "parts \xc3\xa9");
    assert_non_null(strstr(buf_cstr(&told.raw), "\"model\":\"m1\",\"choices\":[],\"usage\":{\"prompt_tokens\":"));
    told_free(&told);
    rq.body = STR("{\"messages\":[{\"role\":\"user\",\"content\":\"echo one two three\"}],\"max_tokens\":2}");
    ask(t, &rq, &told);
    assert_string_equal(buf_cstr(&told.text), "one two ");
    assert_string_equal(told.finish, "length");
    assert_non_null(strstr(buf_cstr(&told.raw), "\"finish_reason\":\"length\""));
    told_free(&told);
    rq.stream = false;
    ask(t, &rq, &told);
    assert_int_equal(told.events, 3);
    assert_string_equal(buf_cstr(&told.text), "one two");
    const cJSON *whole = json_parse(t->arena, str_trim(buf_str(&told.raw)), NULL);
    assert_true(str_eqc(json_str(whole, "object"), "chat.completion"));
    const cJSON *choice = cJSON_GetArrayItem(json_get(whole, "choices"), 0);
    assert_true(str_eqc(json_str(choice, "finish_reason"), "length"));
    assert_true(str_eqc(json_str(json_get(choice, "message"), "content"), "one two"));
    assert_int_equal((int)json_num(json_get(whole, "usage"), "completion_tokens", 0), 2);
    told_free(&told);
}

static void the_demo_serves_relays(void **state)
{
    (void)state;
    with_demo(NULL, relay_body);
}

static void refuses_body(struct demo_test *t)
{
    static const char *const bodies[] = {"{}", "{\"messages\":[]}", "{\"messages\":7}", "[", "7"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct err e = {0};
        struct llm_request rq = {.body = str_c(bodies[i]), .stream = true};
        assert_null(llm_open(t->llm, &rq, t->arena, NULL, &e));
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
    }
    struct told told;
    struct llm_request odd = {.body = STR("{\"messages\":[7,{\"role\":\"user\"},{\"role\":\"user\",\"content\":[1]}]}"),
                              .stream = true};
    ask(t, &odd, &told);
    assert_non_null(strstr(buf_cstr(&told.text), "empty message"));
    told_free(&told);
}

static void the_demo_refuses_what_is_no_conversation(void **state)
{
    (void)state;
    with_demo(NULL, refuses_body);
}

static void pace_body(struct demo_test *t)
{
    struct told told;
    uint64_t began = clock_mono_ms();
    ask(t, &(struct llm_request){.messages = question, .nmessages = 4}, &told);
    assert_true(clock_mono_ms() - began >= 3 * 12);
    told_free(&told);
}

static void the_demo_keeps_its_pace(void **state)
{
    (void)state;
    with_demo(&(struct llm_demo_config){.words_per_second = 100, .chunk_delay_ms = 2}, pace_body);
}

static void cancelled_reader(void *arg)
{
    struct demo_test *t = arg;
    struct told told;
    ask(t, &(struct llm_request){.messages = question, .nmessages = 4}, &told);
    assert_int_equal(told.end, -1);
    assert_int_equal(told.e.code, ERR_CANCELLED);
    told_free(&told);
    t->body = NULL;
}

static void cancel_body(struct demo_test *t)
{
    task_cancel(task_spawn("reader", cancelled_reader, t));
    while (t->body)
        task_yield(NULL);
}

static void the_demo_can_be_cancelled(void **state)
{
    (void)state;
    with_demo(&(struct llm_demo_config){.chunk_delay_ms = 60000}, cancel_body);
}

static void models_body(struct demo_test *t)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e = {0};
    assert_int_equal(llm_models(t->llm, &out, &e), 0);
    assert_string_equal(buf_cstr(&out), "{\"object\":\"list\",\"data\":[{\"id\":\"mini\",\"object\":\"model\","
                                        "\"created\":0,\"owned_by\":\"parley\"}]}");
    assert_int_equal(llm_ping(t->llm, &e), 0);
    assert_string_equal(llm_name(t->llm), "demo");
    buf_free(&out);
}

static void the_demo_lists_itself(void **state)
{
    (void)state;
    with_demo(&(struct llm_demo_config){.model = "mini"}, models_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_demo_streams_word_by_word), cmocka_unit_test(the_demo_answers_from_a_text),
        cmocka_unit_test(the_demo_serves_relays),        cmocka_unit_test(the_demo_refuses_what_is_no_conversation),
        cmocka_unit_test(the_demo_keeps_its_pace),       cmocka_unit_test(the_demo_can_be_cancelled),
        cmocka_unit_test(the_demo_lists_itself),         cmocka_unit_test(the_demo_stands_in_for_an_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
