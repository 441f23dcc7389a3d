/* Figures of conversations: what they count, what is kept of them, and that both ways to them agree. */
#include "unit/support/unit.h"

#include "base/rand.h"
#include "chat/analytics.h"
#include "chat/company.h"
#include "chat/intent.h"

#include <math.h>

static struct message said(const char *role, const char *text, const char *meta, int64_t second)
{
    return (struct message){
        .role = str_c(role), .content = str_c(text), .meta = str_c(meta), .created_us = second * 1000000};
}

static struct analytics count(const struct message *messages, size_t n)
{
    struct arena *arena = arena_new("test");
    struct analytics a = {0};
    for (size_t i = 0; i < n; i++)
        analytics_add(&a, &messages[i], arena);
    arena_free(arena);
    return a;
}

static void what_counts(void **state)
{
    (void)state;
    const struct message messages[] = {
        said("system", "You speak for Netflix.", "", 1),
        said("assistant", "Hello", "", 2),
        said("user", "Where is my order?", "{\"sentiment\":\"negative\"}", 10),
        said("assistant", "It is on its way.", "{\"audioUrl\":\"/audio/x.mp3\"}", 12),
        said("user", "thanks", "{\"sentiment\":\"positive\",\"intent\":\"general\",\"intents\":[\"general\"]}", 20),
        said("assistant", "You are welcome.", "", 25),
        said("system", "A note", "", 99),
    };
    struct analytics a = count(messages, 7);
    assert_int_equal(a.counted, 7);
    assert_int_equal(a.messages, 5);
    assert_int_equal(a.user_messages, 2);
    assert_int_equal(a.first_user_us, 10000000);
    assert_int_equal(a.last_us, 25000000);
    assert_int_equal(analytics_duration(&a), 15);
    assert_int_equal(a.intents, INTENT_QUESTION | INTENT_PURCHASE | INTENT_GENERAL);
    assert_string_equal(company_stats_name(a.companies), "netflix");
    assert_int_equal(a.sentiment, SENTIMENT_POSITIVE);
    assert_int_equal(a.judged, 2);
    assert_true(fabs(analytics_satisfaction(&a) - 3.5) < 1e-9);
    assert_false(analytics_is_urgent(&a));
}

static void nothing_said_yet(void **state)
{
    (void)state;
    const struct message messages[] = {said("system", "x", "", 1), said("assistant", "Hello", "", 50)};
    struct analytics a = count(messages, 2);
    assert_int_equal(analytics_duration(&a), 0);
    assert_true(analytics_satisfaction(&a) == 0);
    assert_int_equal(a.sentiment, SENTIMENT_UNKNOWN);
    a = count(NULL, 0);
    assert_int_equal(analytics_duration(&a), 0);
}

/* Clocks may be set back. */
static void time_never_runs_backwards(void **state)
{
    (void)state;
    const struct message messages[] = {said("user", "a", "", 100), said("assistant", "b", "", 40)};
    struct analytics a = count(messages, 2);
    assert_int_equal(analytics_duration(&a), 0);
}

static void the_last_judgement_counts(void **state)
{
    (void)state;
    const struct message messages[] = {said("user", "a", "{\"sentiment\":\"neutral\"}", 1),
                                       said("user", "b", "{\"sentiment\":\"URGENT\"}", 2),
                                       said("user", "c", "{\"sentiment\":\"furious\"}", 3), said("user", "d", "", 4)};
    struct analytics a = count(messages, 4);
    assert_true(analytics_is_urgent(&a));
    assert_int_equal(a.judged, 2);
    assert_int_equal(a.points, 4);
    assert_true(fabs(analytics_satisfaction(&a) - 2) < 1e-9);
}

static void facts_survive_being_stored(void **state)
{
    (void)state;
    struct arena *arena = arena_new("test");
    struct message_facts facts = {SENTIMENT_URGENT, INTENT_SUPPORT | INTENT_CANCELLATION, 0.7500001,
                                  STR("/audio/\"a\".mp3")};
    struct message m = {.role = STR("user"), .meta = message_facts_meta(&facts, arena)};
    assert_str(m.meta,
               "{\"sentiment\":\"urgent\",\"intent\":\"cancellation\",\"intents\":[\"support\",\"cancellation\"],"
               "\"confidence\":0.75,\"audioUrl\":\"/audio/\\\"a\\\".mp3\"}");
    struct message_facts read = message_facts(&m, arena);
    assert_int_equal(read.sentiment, facts.sentiment);
    assert_int_equal(read.intents, facts.intents);
    assert_true(read.confidence > 0.74 && read.confidence < 0.76);
    assert_true(str_eq(read.audio_url, facts.audio_url));
    facts = (struct message_facts){.confidence = -1};
    assert_str(message_facts_meta(&facts, arena), "");
    arena_free(arena);
}

static void meta_of_another_make_is_no_harm(void **state)
{
    (void)state;
    static const char *const metas[] = {"",
                                        "null",
                                        "[]",
                                        "{",
                                        "\"x\"",
                                        "{\"sentiment\":7}",
                                        "{\"intents\":{}}",
                                        "{\"intents\":[1,null,\"no\"]}",
                                        "{\"audioUrl\":[]}",
                                        "{\"confidence\":\"high\"}"};
    struct arena *arena = arena_new("test");
    for (size_t i = 0; i < COUNT(metas); i++) {
        struct message m = said("user", "x", metas[i], 1);
        struct message_facts facts = message_facts(&m, arena);
        assert_int_equal(facts.sentiment, SENTIMENT_UNKNOWN);
        assert_int_equal(facts.intents, 0);
        assert_true(facts.confidence < 0);
        assert_int_equal(facts.audio_url.n, 0);
    }
    arena_free(arena);
}

static struct str text_of(const struct analytics *a, struct arena *arena)
{
    struct buf out = BUF_INIT(KIB(4));
    struct jw w = jw_begin(&out);
    analytics_put(&w, a);
    assert_true(jw_ok(&w));
    struct str text = arena_str(arena, buf_str(&out));
    buf_free(&out);
    return text;
}

static void kept_figures_of_another_make_are_none(void **state)
{
    (void)state;
    static const char *const kept[] = {
        "null", "[]", "{}", "{\"v\":0,\"counted\":5}", "{\"counted\":5}", "{\"v\":999,\"counted\":5}"};
    struct arena *arena = arena_new("test");
    for (size_t i = 0; i < COUNT(kept); i++)
        assert_int_equal(analytics_read(json_parse(arena, str_c(kept[i]), NULL)).counted, 0);
    assert_int_equal(analytics_read(NULL).counted, 0);
    struct analytics odd =
        analytics_read(json_parse(arena,
                                  STR("{\"v\":1,\"counted\":-3,\"messages\":1e300,\"points\":0.5,\"judged\":\"x\","
                                      "\"intents\":4294967295,\"sentiment\":\"none\"}"),
                                  NULL));
    assert_int_equal(odd.counted, 0);
    assert_int_equal(odd.messages, 0);
    assert_int_equal(odd.points, 0);
    assert_int_equal(odd.judged, 0);
    assert_int_equal(odd.sentiment, SENTIMENT_UNKNOWN);
    arena_free(arena);
}

static struct message any_message(int64_t second)
{
    static const char *const roles[] = {"user", "assistant", "system"};
    static const char *const texts[] = {"hello", "How do I cancel?", "my Amazon parcel", "pizza hut and uber", "",
                                        "ok"};
    static const char *const metas[] = {"", "{\"sentiment\":\"positive\"}",
                                        "{\"sentiment\":\"urgent\",\"intent\":\"support\"}",
                                        "{\"sentiment\":\"negative\",\"confidence\":0.5}", "{}"};
    return said(roles[rand_below(3)], texts[rand_below(COUNT(texts))], metas[rand_below(COUNT(metas))], second);
}

/* Counting on from what was kept, wherever that stopped, comes to the same as counting all. */
static void kept_and_counted_on_is_a_recount(void **state)
{
    (void)state;
    struct message messages[40];
    for (int round = 0; round < 300; round++) {
        struct arena *arena = arena_new("test");
        size_t n = (size_t)rand_below(COUNT(messages) + 1), cut = n ? (size_t)rand_below(n + 1) : 0;
        for (size_t i = 0; i < n; i++)
            messages[i] = any_message((int64_t)i + (int64_t)rand_below(3));
        struct analytics whole = count(messages, n), part = count(messages, cut);
        struct analytics read = analytics_read(json_parse(arena, text_of(&part, arena), NULL));
        for (size_t i = cut; i < n; i++)
            analytics_add(&read, &messages[i], arena);
        struct str want = text_of(&whole, arena), got = text_of(&read, arena);
        assert_true(str_eq(got, want));
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_counts),
        cmocka_unit_test(nothing_said_yet),
        cmocka_unit_test(time_never_runs_backwards),
        cmocka_unit_test(the_last_judgement_counts),
        cmocka_unit_test(facts_survive_being_stored),
        cmocka_unit_test(meta_of_another_make_is_no_harm),
        cmocka_unit_test(kept_figures_of_another_make_are_none),
        cmocka_unit_test(kept_and_counted_on_is_a_recount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
