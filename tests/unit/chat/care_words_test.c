#include "unit/support/unit.h"

#include <stdlib.h>
#include <time.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "chat/care_words.h"

#define NOON_MS 1795262400000 /* 2026-11-21T12:00:00Z */
#define HOUR_MS 3600000

/* clang-format off */
#define TEXT(literal) {literal, sizeof(literal) - 1}
/* clang-format on */

static const struct agent nina = {.id = TEXT("65f0c0ffee65f0c0ffee00aa"),
                                  .name = TEXT("Nina"),
                                  .company = TEXT("Zimax Bikes"),
                                  .personality = TEXT("calm and exact"),
                                  .info = TEXT("We sell bikes. Returns within 30 days."),
                                  .prompts = TEXT("[\"Be brief.\",7,\"  \",\"Offer a test ride.\"]")};

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new("test");
    return setenv("TZ", "UTC", 1);
}

static int tear_down(void **state)
{
    (void)state;
    arena = arena_free(arena);
    return 0;
}

static void has(struct str text, const char *part)
{
    if (str_find(text, str_c(part)) < 0)
        fail_msg("\"%s\" is not in: %.*s", part, STR_ARG(text));
}

static void has_not(struct str text, const char *part)
{
    if (str_find(text, str_c(part)) >= 0)
        fail_msg("\"%s\" is in: %.*s", part, STR_ARG(text));
}

static void the_demo_agent_is_sigma(void **state)
{
    (void)state;
    assert_str(care_demo.name, "Sigma");
    assert_str(care_demo.company, "Zero to Hero");
    assert_str(care_demo.personality, "motivational, strategic, and sharp-witted");
    assert_true(care_demo.info.n > 100);
    assert_int_equal(cJSON_GetArraySize(json_parse(arena, care_demo.prompts, NULL)), 3);
    assert_str(json_str(json_parse(arena, care_demo.meta, NULL), "voice"), CARE_DEMO_VOICE);
    struct agent copy = care_demo, other = care_demo;
    other.id = STR("65f0c0ffee65f0c0ffee00aa");
    assert_true(care_is_demo(&copy));
    assert_false(care_is_demo(&other));
    assert_false(care_is_demo(&nina));
    struct str welcome = care_welcome_live(&copy, arena);
    has(welcome, "Sigma");
    assert_true(str_find_char(welcome, '\n') < 0);
    assert_true(str_eq(care_welcome_rest(&copy, NOON_MS, 3, arena), welcome));
}

static void welcomes_name_the_agent_and_the_time_of_day(void **state)
{
    (void)state;
    assert_str(care_welcome_live(&nina, arena), "Hi, I'm Nina. How can I help you today?");
    has(care_welcome_rest(&nina, NOON_MS - 1, 0, arena), " Morning! I'm Nina from Zimax Bikes. ");
    has(care_welcome_rest(&nina, NOON_MS, 0, arena), " Afternoon! ");
    has(care_welcome_rest(&nina, NOON_MS + 5 * HOUR_MS - 1, 0, arena), " Afternoon! ");
    has(care_welcome_rest(&nina, NOON_MS + 5 * HOUR_MS, 0, arena), " Evening! ");
    has(care_welcome_rest(&nina, NOON_MS + 12 * HOUR_MS, 0, arena), " Morning! ");
    struct str first = care_welcome_rest(&nina, NOON_MS, 0, arena);
    size_t different = 0;
    for (uint64_t seed = 1; seed < 20; seed++)
        different += !str_eq(care_welcome_rest(&nina, NOON_MS, seed, arena), first);
    assert_int_equal(different, 19);
    assert_true(str_eq(care_welcome_rest(&nina, NOON_MS, 20, arena), first));
    assert_true(care_welcome_rest(&nina, NOON_MS, UINT64_MAX, arena).n > 0);
    struct agent alone = {.name = STR("Bo")};
    has(care_welcome_rest(&alone, NOON_MS, 0, arena), " I'm Bo. ");
}

static void titles_have_the_local_date(void **state)
{
    (void)state;
    assert_str(care_title_live(&nina, NOON_MS, arena), "Chat with Nina at 11/21/2026");
    assert_str(care_title_rest(NOON_MS, arena), "Chat from 11/21/2026");
    assert_str(care_title_rest(1767225600000, arena), "Chat from 1/1/2026");
    setenv("TZ", "XYZ8", 1); /* eight hours behind UTC */
    tzset();
    assert_str(care_title_rest(1767225600000, arena), "Chat from 12/31/2025");
    setenv("TZ", "UTC", 1);
    tzset();
}

static void a_models_title_is_cleaned(void **state)
{
    static const struct {
        const char *answer, *title;
    } answers[] = {{"\"Late Parcel Refund\"", "Late Parcel Refund"},
                   {"'Customer's order'", "Customers order"},
                   {"\xe2\x80\x9cLate parcel\xe2\x80\x9d", "Late parcel"},
                   {"\n  Late   parcel \t refund.\nSecond line", "Late parcel refund"},
                   {"Title: \"Late parcel\"", "Late parcel"},
                   {"**Late parcel**", "Late parcel"},
                   {"# title: Late parcel", "Late parcel"},
                   {"Order 7:30", "Order 7:30"},
                   {"\"'\"", ""},
                   {" \r\n\t", ""},
                   {"title:", ""},
                   {"", ""}};
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++)
        assert_str(care_title_clean(str_c(answers[i].answer), arena), answers[i].title);
    assert_str(care_title_clean((struct str){"a\0b\x1f", 4}, arena), "a b");
    struct buf longer = BUF_INIT(MIB(1));
    while (longer.len < KIB(20))
        buf_lit(&longer, "'\xe6\x97\xa5\xe6\x9c\xac\xe2\x80\x9c");
    struct str title = care_title_clean(buf_str(&longer), arena);
    assert_true(title.n > LIMIT_TITLE / 4 && title.n <= LIMIT_TITLE);
    assert_true(utf8_valid(title));
    buf_clear(&longer);
    while (longer.len < KIB(20))
        buf_lit(&longer, "\xe6\x97\xa5\xe6\x9c\xac");
    title = care_title_clean(buf_str(&longer), arena);
    assert_true(title.n > LIMIT_TITLE - 4 && title.n <= LIMIT_TITLE);
    assert_true(utf8_valid(title));
    buf_free(&longer);
}

static void a_prompt_says_who_speaks_and_what_it_knows(void **state)
{
    (void)state;
    struct str prompt = care_prompt(&nina, NULL, false, arena);
    has(prompt, "You are Nina, who answers the customers of Zimax Bikes.");
    has(prompt, "calm and exact");
    has(prompt, "Returns within 30 days.");
    has(prompt, "- Be brief.\n- Offer a test ride.\n");
    has_not(prompt, "full authority");
    has_not(prompt, "in a hurry");
    has(care_prompt(&nina, NULL, true, arena), "in a hurry");
    struct agent odd = {.prompts = STR("[[[")};
    has(care_prompt(&odd, NULL, false, arena), "customer care agent");
    odd.prompts = STR("{\"a\":\"b\"}");
    has_not(care_prompt(&odd, NULL, false, arena), "- b\n- b");
}

static void only_its_own_company_is_spoken_for(void **state)
{
    (void)state;
    const struct company *amazon = company_find(STR("amazon"));
    struct agent agent = nina;
    has(care_prompt(&agent, amazon, false, arena), "The customer speaks of Amazon. You do not speak for that company");
    has_not(care_prompt(&agent, amazon, false, arena), "Amazon Support");
    agent.company = STR("Amazon Prime");
    has(care_prompt(&agent, amazon, false, arena), "You are Amazon Support.");
    agent.company = STR("");
    has(care_prompt(&agent, amazon, false, arena),
        "In this conversation you stand for Amazon. You are Amazon Support.");
    has(care_prompt(&care_demo, amazon, false, arena), "You are Amazon Support.");
    has_not(care_prompt(&care_demo, NULL, false, arena), "Support");
}

static void the_owners_options_are_kept(void **state)
{
    (void)state;
    struct agent agent = nina;
    agent.meta = STR("{\"responseStyle\":\"formal\"}");
    has(care_prompt(&agent, NULL, false, arena), "formally");
    agent.meta = STR("{\"systemPrompt\":\"Talk like a pirate.\"}");
    assert_str(care_prompt(&agent, NULL, false, arena), "Talk like a pirate.");
    struct str urgent = care_prompt(&agent, company_find(STR("amazon")), true, arena);
    assert_true(str_starts(urgent, STR("Talk like a pirate.\n")));
    has(urgent, "in a hurry");
    has_not(urgent, "Nina");
}

static void the_questions_to_a_model_are_clear(void **state)
{
    (void)state;
    has(str_c(care_prompt_title), "3 to 6 words");
    static const char *const words[] = {"positive", "negative", "urgent", "neutral", "one of these four words"};
    for (size_t i = 0; i < COUNT(words); i++)
        has(str_c(care_prompt_sentiment), words[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_demo_agent_is_sigma, set_up, tear_down),
        cmocka_unit_test_setup_teardown(welcomes_name_the_agent_and_the_time_of_day, set_up, tear_down),
        cmocka_unit_test_setup_teardown(titles_have_the_local_date, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_models_title_is_cleaned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_prompt_says_who_speaks_and_what_it_knows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_its_own_company_is_spoken_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_owners_options_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_questions_to_a_model_are_clear, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
