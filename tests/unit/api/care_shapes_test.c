/* JSON of customer care: messages and conversations as the front end reads them. */
#include "unit/support/unit.h"

#include "api/care_impl.h"
#include "chat/intent.h"

static struct arena *arena;
static struct buf out;

static int setup(void **state)
{
    (void)state;
    arena = arena_new("test");
    buf_init(&out, MIB(1));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&out);
    arena_free(arena);
    return 0;
}

#define SHAPE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static const cJSON *parsed(void)
{
    struct err e;
    const cJSON *tree = json_parse(arena, buf_str(&out), &e);
    if (!tree)
        fail_msg("%s: %s", e.text, buf_cstr(&out));
    return tree;
}

static struct care_view view_of(const struct message *messages, size_t n)
{
    return (struct care_view){
        .conversation = {.id = STR("65f0c0ffee65f0c0ffee00aa"),
                         .owner = STR("65f0c0ffee65f0c0ffee0001"),
                         .title = STR("A \"title\""),
                         .created_us = 1700000000123456,
                         .updated_us = 1700000060000000,
                         .messages = messages,
                         .nmessages = n},
        .figures = {.messages = 2,
                    .user_messages = 1,
                    .first_user_us = 1700000000000000,
                    .last_us = 1700000042900000,
                    .intents = INTENT_QUESTION | INTENT_CANCELLATION},
    };
}

static const cJSON *shape(const struct care_view *view, bool system)
{
    struct jw w = jw_begin(&out);
    put_care_conversation(&w, view, system, arena);
    assert_true(jw_ok(&w));
    return parsed();
}

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        (literal), sizeof(literal) - 1                                                                                 \
    }
static const struct message said[] = {
    {.id = TEXT("m0"), .role = TEXT("system"), .content = TEXT("You are Ada."), .created_us = 1700000000000000},
    {.id = TEXT("m1"), .role = TEXT("user"), .content = TEXT("How?\n"), .created_us = 1700000001002000},
    {.id = TEXT("m2"), .role = TEXT("assistant"), .content = TEXT("So."), .created_us = 1700000002000000},
};

static void a_conversation_has_all_that_the_front_end_reads(void **state)
{
    (void)state;
    struct care_view view = view_of(said, COUNT(said));
    const cJSON *c = shape(&view, false), *metadata = json_get(c, "metadata"), *analytics = json_get(c, "analytics");
    assert_str(json_str(c, "_id"), "65f0c0ffee65f0c0ffee00aa");
    assert_str(json_str(c, "id"), "65f0c0ffee65f0c0ffee00aa");
    assert_str(json_str(c, "userId"), "65f0c0ffee65f0c0ffee0001");
    assert_null(json_get(c, "agentId"));
    assert_str(json_str(c, "title"), "A \"title\"");
    assert_str(json_str(c, "status"), "active");
    assert_str(json_str(c, "priority"), "normal");
    assert_str(json_str(c, "createdAt"), "2023-11-14T22:13:20.123Z");
    assert_str(json_str(c, "updatedAt"), "2023-11-14T22:14:20.000Z");
    assert_int_equal((int)json_num(c, "__v", -1), 0);
    assert_str(json_str(metadata, "created"), "2023-11-14T22:13:20.123Z");
    assert_str(json_str(metadata, "updated"), "2023-11-14T22:14:20.000Z");
    assert_str(json_str(metadata, "sentiment"), "pending");
    assert_int_equal((int)json_num(metadata, "duration", -1), 42);
    assert_int_equal(cJSON_GetArraySize(json_get(metadata, "intents")), 2);
    assert_string_equal(cJSON_GetArrayItem(json_get(metadata, "intents"), 0)->valuestring, "question");
    assert_string_equal(cJSON_GetArrayItem(json_get(metadata, "intents"), 1)->valuestring, "cancellation");
    assert_int_equal((int)json_num(analytics, "messageCount", -1), 2);
    assert_int_equal((int)json_num(analytics, "duration", -1), 42);
    assert_str(json_str(analytics, "sentiment"), "pending");
}

static void system_messages_are_shown_when_asked_for(void **state)
{
    (void)state;
    struct care_view view = view_of(said, COUNT(said));
    assert_int_equal(cJSON_GetArraySize(json_get(shape(&view, false), "messages")), 2);
    buf_clear(&out);
    assert_int_equal(cJSON_GetArraySize(json_get(shape(&view, true), "messages")), 3);
}

static void what_is_urgent_has_priority(void **state)
{
    (void)state;
    struct care_view view = view_of(NULL, 0);
    view.high_priority = true;
    view.company = STR("Netflix");
    view.conversation.agent_id = STR("65f0c0ffee65f0c0ffee0002");
    view.conversation.status = STR("completed");
    view.figures.sentiment = SENTIMENT_URGENT;
    const cJSON *c = shape(&view, false);
    assert_str(json_str(c, "priority"), "high");
    assert_str(json_str(c, "status"), "completed");
    assert_str(json_str(c, "agentId"), "65f0c0ffee65f0c0ffee0002");
    assert_str(json_str(json_get(c, "metadata"), "priority"), "high");
    assert_str(json_str(json_get(c, "metadata"), "company"), "Netflix");
    assert_str(json_str(json_get(c, "metadata"), "sentiment"), "urgent");
}

static void check_custom(const char *custom, const char *key, const char *value)
{
    struct care_view view = view_of(NULL, 0);
    buf_clear(&out);
    view.custom = str_c(custom);
    const cJSON *found = json_get(json_get(shape(&view, false), "metadata"), key);
    char *text = found ? cJSON_PrintUnformatted(found) : NULL;
    if (strcmp(text ? text : "none", value) != 0)
        fail_msg("%s of %s: %s in place of %s", key, custom, text ? text : "none", value);
    cJSON_free(text);
}

static void a_clients_own_metadata_is_kept_beside_the_servers(void **state)
{
    (void)state;
    check_custom("{\"ticket\":\"T-1\\n\\\"x\\\"\",\"tags\":[1,{\"a\":null}]}", "ticket", "\"T-1\\n\\\"x\\\"\"");
    check_custom("{\"ticket\":1,\"tags\":[1,{\"a\":null}]}", "tags", "[1,{\"a\":null}]");
    check_custom("{ \"on\" : true }", "on", "true");
    check_custom("{\"k\\u0065y\":2}", "key", "2");
    check_custom("{\"duration\":999,\"a\":1}", "duration", "42");
    check_custom("{\"sentiment\":\"positive\"}", "sentiment", "\"pending\"");
    check_custom("not json", "duration", "42");
    check_custom("[1]", "duration", "42");
    check_custom("", "duration", "42");
}

static const cJSON *shape_message(const struct message *m)
{
    struct jw w = jw_begin(&out);
    put_care_message(&w, m, arena);
    assert_true(jw_ok(&w));
    return parsed();
}

static void a_message_says_what_is_known_of_it(void **state)
{
    (void)state;
    struct message_facts facts = {.sentiment = SENTIMENT_NEGATIVE,
                                  .intents = INTENT_QUESTION | INTENT_CANCELLATION,
                                  .confidence = 0.75,
                                  .audio_url = STR("/audio/1-x-blob")};
    struct message m = said[1];
    m.meta = message_facts_meta(&facts, arena);
    const cJSON *shown = shape_message(&m), *metadata = json_get(shown, "metadata");
    assert_str(json_str(shown, "_id"), "m1");
    assert_str(json_str(shown, "role"), "user");
    assert_str(json_str(shown, "content"), "How?\n");
    assert_str(json_str(shown, "timestamp"), "2023-11-14T22:13:21.002Z");
    assert_str(json_str(shown, "audioUrl"), "/audio/1-x-blob");
    assert_str(json_str(metadata, "sentiment"), "negative");
    assert_str(json_str(metadata, "intent"), "cancellation");
    assert_true(json_num(metadata, "confidence", 0) == 0.75);
}

static void a_message_nobody_looked_at_has_no_metadata(void **state)
{
    (void)state;
    const cJSON *shown = shape_message(&said[2]);
    assert_null(json_get(shown, "audioUrl"));
    assert_null(json_get(shown, "metadata"));
    assert_str(json_str(shown, "status"), "complete");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHAPE_TEST(a_conversation_has_all_that_the_front_end_reads),
        SHAPE_TEST(system_messages_are_shown_when_asked_for),
        SHAPE_TEST(what_is_urgent_has_priority),
        SHAPE_TEST(a_clients_own_metadata_is_kept_beside_the_servers),
        SHAPE_TEST(a_message_says_what_is_known_of_it),
        SHAPE_TEST(a_message_nobody_looked_at_has_no_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
