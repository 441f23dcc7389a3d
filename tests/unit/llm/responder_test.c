#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/utf8.h"
#include "llm/demo/rank.h"
#include "llm/demo/responder.h"
#include "llm/demo/sum.h"
#include "llm/demo/words.h"
#include "llm/tokens.h"

static const char company[] =
    "Zimax Bikes sells and repairs bicycles in Lisbon. Our shop opens at 9 in the morning and closes at 7 in the "
    "evening, Monday to Saturday. Returns are accepted within 30 days with the receipt!\n"
    "Shipping inside Portugal is free for orders above 50 euros\n"
    "We offer a two year warranty on every frame. Call us at 555 0100 for repairs of electric bikes.";

static void ask(const char *question, const char *text, const char *expected)
{
    struct buf out = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
    struct responder_input in = {
        .question = str_c(question), .text = str_c(text), .turns = 1, .wall_ms = 1795244413463};
    responder_reply(&in, &out);
    responder_reply(&in, &again);
    if (!strstr(buf_cstr(&out), expected))
        fail_msg("\"%s\" was answered: %s", question, buf_cstr(&out));
    assert_string_equal(buf_cstr(&out), buf_cstr(&again));
    buf_free(&out);
    buf_free(&again);
}

static void small_things(void **state)
{
    (void)state;
    ask("Hello!", "", "Hello!");
    ask("echo  Good day, sir", "", "Good day, sir");
    ask("Please count the words: one two three", "", "3 words");
    ask("How many words are in \"it's a trap\"?", "", "3 words");
    ask("What is 2 + 3 * 4?", "", "2 + 3 * 4 = 14.");
    ask("(1 + 2) * -3", "", "= -9.");
    ask("calculate 1,000 / 8", "", "= 125.");
    ask("7/2", "", "= 3.5.");
    ask("what day is it today?", "", "Saturday, 21 November 2026, 07:00 UTC");
    ask("Who are you?", "", "responder built into this server");
    ask("thank you", "", "welcome");
    ask("   ", "", "empty message");
    ask("Which tram goes to the zoo?", "", "\"Which tram goes to the zoo?\"");
    ask("Which tram goes to the zoo?", "", "tram, goes and zoo");
}

static void answers_come_from_the_text(void **state)
{
    (void)state;
    ask("When do you open?", company, "opens at 9");
    ask("Can I return a bike I bought?", company, "Returns are accepted within 30 days");
    ask("how much is shipping", company, "Shipping inside Portugal is free for orders above 50 euros.");
    ask("Is there a warranty?", company, "two year warranty");
    ask("Do you ship orders to Portugal?", company, "Shipping inside Portugal");
    ask("What about quantum physics?", company, "nothing on that");
    ask("What about quantum physics?", company, "I can tell you about");
    ask("Hello", company, "How can I help you");
}

static void sums(void **state)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"2+2", 4},          {"2 ^ 3 ^ 2", 512}, {"-2 ^ 2", -4}, {"10 % 4", 2},       {"3 x 4", 12},
                {"(2+3)*(4-1)", 15}, {"1.5*2", 3},       {"2*-3", -6},   {"see (3+4) ok", 7}, {"8/4/2", 1}};
    static const char *const bad[] = {
        "", "5", "5 +", "1/0", "(1+2", "abc", "a2+b", "+", "()", "- -", "((((((((((((((((((((((((((((((((((((((1+1"};
    struct str expression;
    double value;
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(sum_find(str_c(good[i].text), &expression, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(sum_find(str_c(bad[i]), &expression, &value) && expression.n == strlen(bad[i]));
}

static void stem_is(const char *a, const char *b)
{
    char x[WORD_MAX], y[WORD_MAX];
    word_stem(x, str_c(a));
    word_stem(y, str_c(b));
    assert_string_equal(x, y);
}

static void words_lose_their_endings(void **state)
{
    (void)state;
    stem_is("Shipping", "shipped");
    stem_is("shipping", "ship");
    stem_is("deliveries", "delivery");
    stem_is("returns", "Returned");
    stem_is("prices", "pricing");
    stem_is("glass", "glasses");
    assert_true(word_is_stop(STR("The")));
    assert_true(word_is_stop(STR("a")));
    assert_true(word_is_stop(STR("YOURS")));
    assert_true(word_is_stop(STR("what's")));
    assert_true(word_is_stop(STR("i'd")));
    assert_false(word_is_stop(STR("tram")));
    assert_int_equal(word_count(STR("one, two; it's  \xc3\xa9t\xc3\xa9 - 4")), 5);
}

static void sentences_end_where_they_should(void **state)
{
    static const char *const expected[] = {"It costs 3.50 euros.", "Cheap!", "Line without a stop", "Last?"};
    struct str rest = STR("  It costs 3.50 euros. Cheap!\nLine without a stop\r\n\n Last?"), sentence;
    (void)state;
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(sentence_next(&rest, &sentence));
        assert_true(str_eqc(sentence, expected[i]));
    }
    assert_false(sentence_next(&rest, &sentence));
}

static void odd_input_is_bounded(void **state)
{
    (void)state;
    struct buf question = BUF_INIT(1 << 20), text = BUF_INIT(1 << 21), out = BUF_INIT(1 << 20);
    while (question.len < (1 << 19))
        buf_lit(&question, "\xe6\x97\xa5(((");
    while (text.len < (1 << 20))
        buf_lit(&text, "\xe6\x97\xa5\xe6\x9c\xac word. ");
    struct responder_input in = {.question = buf_str(&question), .text = buf_str(&text), .turns = 3};
    responder_reply(&in, &out);
    assert_true(out.len > 0 && out.len < 4096);
    assert_true(utf8_valid(buf_str(&out)));
    buf_clear(&out);
    in.text = STR("");
    responder_reply(&in, &out);
    assert_true(out.len > 0 && out.len < 4096);
    assert_true(utf8_valid(buf_str(&out)));
    buf_free(&question);
    buf_free(&text);
    buf_free(&out);
}

static void tokens_are_estimated(void **state)
{
    (void)state;
    assert_int_equal(tokens_estimate(STR("")), 0);
    assert_int_equal(tokens_estimate(STR("a")), 1);
    assert_int_equal(tokens_estimate(STR("The quick brown fox jumps.")), 7);
    assert_int_equal(tokens_estimate(STR("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e")), 3);
    assert_int_equal(tokens_estimate(STR("\xf0\x9f\x98\x80")), 2);
    assert_int_equal(tokens_estimate(STR("\x80\x80\x80\x80\x80")), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_things),
        cmocka_unit_test(answers_come_from_the_text),
        cmocka_unit_test(sums),
        cmocka_unit_test(words_lose_their_endings),
        cmocka_unit_test(sentences_end_where_they_should),
        cmocka_unit_test(odd_input_is_bounded),
        cmocka_unit_test(tokens_are_estimated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
