#include "unit/support/unit.h"

#include <stdio.h>

#include "base/macros.h"
#include "chat/intent.h"
#include "chat/word.h"

static void finds(const char *text, unsigned expected)
{
    unsigned found = intents_of(str_c(text));
    if (found != expected)
        fail_msg("\"%s\" has intents %#x, not %#x", text, found, expected);
}

static void every_word_of_the_contract_counts(void **state)
{
    static const struct {
        const char *word;
        enum intent intent;
    } words[] = {{"how", INTENT_QUESTION},       {"what", INTENT_QUESTION},       {"where", INTENT_QUESTION},
                 {"when", INTENT_QUESTION},      {"why", INTENT_QUESTION},        {"who", INTENT_QUESTION},
                 {"help", INTENT_SUPPORT},       {"assist", INTENT_SUPPORT},      {"support", INTENT_SUPPORT},
                 {"buy", INTENT_PURCHASE},       {"purchase", INTENT_PURCHASE},   {"order", INTENT_PURCHASE},
                 {"book", INTENT_PURCHASE},      {"cancel", INTENT_CANCELLATION}, {"refund", INTENT_CANCELLATION},
                 {"return", INTENT_CANCELLATION}};
    (void)state;
    for (size_t i = 0; i < COUNT(words); i++) {
        char text[64];
        finds(words[i].word, words[i].intent);
        for (size_t k = 0; k <= strlen(words[i].word); k++)
            text[k] = (char)(words[i].word[k] >= 'a' ? words[i].word[k] - 32 : 0);
        finds(text, words[i].intent);
        for (const char *format = "(!)"; *format; format++) {
            snprintf(text, sizeof text, "%c%s%c", *format, words[i].word, *format);
            finds(text, words[i].intent);
        }
        snprintf(text, sizeof text, "%sx x%s", words[i].word, words[i].word);
        finds(text, INTENT_GENERAL);
    }
}

static void only_whole_words_count(void **state)
{
    (void)state;
    finds("", INTENT_GENERAL);
    finds("I ordered it, cancelling the refunds and returned bookings", INTENT_GENERAL);
    finds("somehow whatever showhow helpful", INTENT_GENERAL);
    finds("how_to", INTENT_GENERAL);
    finds("how-to", INTENT_QUESTION);
    finds("how's it going? what's up", INTENT_QUESTION);
    finds("caf\xc3\xa9how how\xc3\xa9", INTENT_GENERAL);
    finds("\xe2\x80\x9chelp\xe2\x80\x9d", INTENT_SUPPORT);
    finds("order\xe2\x80\xa6", INTENT_PURCHASE);
    finds("\xf0\x9f\x98\x80help\xf0\x9f\x98\x80", INTENT_SUPPORT);
    finds("buy\xc2\xa0it", INTENT_PURCHASE);
    finds("\xff\xfehelp", INTENT_GENERAL);
}

static void a_text_can_have_several(void **state)
{
    (void)state;
    unsigned all = intents_of(STR("Help! How can I cancel my order?"));
    assert_int_equal(all, INTENT_SUPPORT | INTENT_QUESTION | INTENT_CANCELLATION | INTENT_PURCHASE);
    assert_int_equal(intent_main(all), INTENT_CANCELLATION);
    assert_int_equal(intent_main(all & ~(unsigned)INTENT_CANCELLATION), INTENT_PURCHASE);
    assert_int_equal(intent_main(INTENT_SUPPORT | INTENT_QUESTION), INTENT_SUPPORT);
    assert_int_equal(intent_main(INTENT_QUESTION), INTENT_QUESTION);
    assert_int_equal(intent_main(INTENT_GENERAL), INTENT_GENERAL);
    assert_int_equal(intent_main(0), INTENT_GENERAL);
}

static void names_go_both_ways(void **state)
{
    static const char *const names[INTENTS] = {"question", "support", "purchase", "cancellation", "general"};
    (void)state;
    for (unsigned i = 0; i < INTENTS; i++) {
        assert_string_equal(intent_name((enum intent)(1U << i)), names[i]);
        assert_int_equal(intent_find(str_c(names[i])), 1U << i);
    }
    assert_int_equal(intent_find(STR("")), 0);
    assert_int_equal(intent_find(STR("Question")), 0);
    assert_int_equal(intent_find(STR("questions")), 0);
}

static void words_of_any_script_are_found(void **state)
{
    static const char *const expected[] = {"caf\xc3\xa9", "\xd0\xbc\xd0\xb8\xd1\x80", "it", "s",
                                           "n_1",         "\xe6\x97\xa5\xe6\x9c\xac"};
    struct str rest = STR(" caf\xc3\xa9\xe2\x80\x94\xd0\xbc\xd0\xb8\xd1\x80, it's \xe2\x9d\xa4 n_1 "
                          "\xe6\x97\xa5\xe6\x9c\xac\xe3\x80\x82"),
               word;
    (void)state;
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(word_take(&rest, &word));
        assert_str(word, expected[i]);
    }
    assert_false(word_take(&rest, &word));
    struct str cut = STR("\xe6\x97");
    assert_int_equal(word_char_next(&cut), 0xE6);
    assert_int_equal(cut.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_of_the_contract_counts), cmocka_unit_test(only_whole_words_count),
        cmocka_unit_test(a_text_can_have_several),           cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(words_of_any_script_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
