/* Where sentences are cut, and what of them is spoken. */
#include "unit/support/unit.h"

#include "base/macros.h"
#include "base/utf8.h"
#include "chat/voice_output.h"
#include "chat/voice_script_impl.h"

#define MOST 120

/* The text cut to its end: "one|two|". */
static void cut_all(const char *text, size_t most, struct buf *out)
{
    buf_clear(out);
    for (struct str rest = str_c(text); rest.n;) {
        size_t n = voice_sentence(rest, most, true);
        assert_in_range(n, 1, rest.n);
        buf_add(out, rest.p, n);
        buf_byte(out, '|');
        rest = str_from(rest, n);
    }
}

static const struct {
    const char *text, *cut;
} all[] = {
    {"Hello. How are you?", "Hello. |How are you?|"},
    {"Hello", "Hello|"},
    {"Wait! What?! Yes.", "Wait! |What?! |Yes.|"},
    {"Mr. Smith met Dr. Jones. They spoke.", "Mr. Smith met Dr. Jones. |They spoke.|"},
    {"It costs 3.14 euros. Buy it.", "It costs 3.14 euros. |Buy it.|"},
    {"We like fruit, e.g. apples. They are red.", "We like fruit, e.g. apples. |They are red.|"},
    {"J. R. R. Tolkien wrote it. I read it.", "J. R. R. Tolkien wrote it. |I read it.|"},
    {"So did I. Then he left.", "So did I. |Then he left.|"},
    {"He said \"Go.\" She went.", "He said \"Go.\" |She went.|"},
    {"(It is so.) Yes.", "(It is so.) |Yes.|"},
    {"**Stop.** Now.", "**Stop.** |Now.|"},
    {"Well... maybe. Well... Maybe.", "Well... maybe. |Well... |Maybe.|"},
    {"1. Open it. 2. Close it.", "1. Open it. |2. Close it.|"},
    {"See www.example.com/a.b for more. Bye.", "See www.example.com/a.b for more. |Bye.|"},
    {"Title\n\nText here\nMore", "Title\n\n|Text here\n|More|"},
    {"\n\n Hello.\nYou", "\n\n Hello.\n|You|"},
    {"\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81",
     "\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82|\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81|"},
    {"\xE3\x80\x8C\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82\xE3\x80\x8D\xE3\x81\xA8",
     "\xE3\x80\x8C\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82\xE3\x80\x8D|\xE3\x81\xA8|"},
    {"   ", "   |"},
};

static void test_cuts(void **state)
{
    struct buf out = BUF_INIT(KIB(4));
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        cut_all(all[i].text, MOST, &out);
        assert_str(buf_str(&out), all[i].cut);
    }
    buf_free(&out);
}

/* As it comes, character by character, the text is cut in the same places as when all of it is there. */
static void test_the_same_as_it_comes(void **state)
{
    struct buf want = BUF_INIT(KIB(4)), got = BUF_INIT(KIB(4));
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        struct str text = str_c(all[i].text);
        size_t from = 0;
        cut_all(all[i].text, MOST, &want);
        buf_clear(&got);
        for (size_t have = 1; have <= text.n; have++) {
            size_t n;
            if (utf8_whole(text.p, have) < have)
                continue; /* text comes in whole characters */
            while (from < have && (n = voice_sentence(str_n(text.p + from, have - from), MOST, have == text.n)) > 0) {
                buf_add(&got, text.p + from, n);
                buf_byte(&got, '|');
                from += n;
            }
        }
        assert_int_equal(from, text.n);
        /* White space that comes later belongs to the sentence behind. */
        struct buf a = BUF_INIT(KIB(4)), b = BUF_INIT(KIB(4));
        for (size_t k = 0; k < want.len; k++)
            if (!memchr(" \n", buf_str(&want).p[k], 2))
                buf_byte(&a, buf_str(&want).p[k]);
        for (size_t k = 0; k < got.len; k++)
            if (!memchr(" \n", buf_str(&got).p[k], 2))
                buf_byte(&b, buf_str(&got).p[k]);
        assert_string_equal(buf_cstr(&b), buf_cstr(&a));
        buf_free(&a);
        buf_free(&b);
    }
    buf_free(&want);
    buf_free(&got);
}

static void test_what_is_not_known_yet(void **state)
{
    (void)state;
    assert_int_equal(voice_sentence(STR("Hello"), MOST, false), 0);
    assert_int_equal(voice_sentence(STR("Hello."), MOST, false), 0);
    assert_int_equal(voice_sentence(STR("Hello. "), MOST, false), 0);
    assert_int_equal(voice_sentence(STR("Hello. Y"), MOST, false), 7);
    assert_int_equal(voice_sentence(STR("Hello! "), MOST, false), 7);
    assert_int_equal(voice_sentence(STR("Hello\n"), MOST, false), 6);
    assert_int_equal(voice_sentence(STR(""), MOST, false), 0);
    assert_int_equal(voice_sentence(STR(""), MOST, true), 0);
}

static void test_long_ones(void **state)
{
    struct buf out = BUF_INIT(KIB(4));
    (void)state;
    cut_all("one two three, four five six seven", 20, &out);
    assert_str(buf_str(&out), "one two three, |four five six seven|");
    cut_all("one two three four five six seven", 20, &out);
    assert_str(buf_str(&out), "one two three four |five six seven|");
    cut_all("abcdefghijklmnopqrstuvwxyz", 20, &out);
    assert_str(buf_str(&out), "abcdefghijklmnopqrst|uvwxyz|");
    cut_all("\xE4\xBD\xA0\xE5\xA5\xBD\xE4\xBD\xA0\xE5\xA5\xBD", 7, &out);
    assert_str(buf_str(&out), "\xE4\xBD\xA0\xE5\xA5\xBD|\xE4\xBD\xA0\xE5\xA5\xBD|");
    assert_int_equal(voice_sentence(STR("one two three four five"), 20, false), 19);
    buf_free(&out);
}

/* Whatever the bytes are, all of them come out, in pieces that are not longer than they may be. */
static void test_any_text(void **state)
{
    static const char signs[] = ".!? \n\"'*ab1,)\xE3\x80\x82(-I";
    uint64_t seed = 7;
    char text[300];
    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct voice_script script = {0};
        struct buf said = BUF_INIT(KIB(8));
        for (size_t i = 0; i < sizeof text; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[i] = signs[(seed >> 33) % (sizeof signs - 1)];
        }
        for (struct str rest = str_n(text, 1 + (size_t)(seed >> 40) % sizeof text); rest.n;) {
            char *own = str_dup(rest); /* so that a byte too many is seen */
            size_t n = voice_sentence(str_n(own, rest.n), 40, round % 2);
            assert_in_range(n, 0, rest.n);
            voice_script_add(&script, str_n(own, n), &said);
            free(own);
            if (n == 0)
                break;
            rest = str_from(rest, n);
        }
        buf_free(&said);
    }
}

/* ---- what is spoken ---- */

static const struct {
    const char *text, *said; /* NULL: nothing */
} scripts[] = {
    {"Hello there. ", "Hello there."},
    {"This is **very** _important_ and `code`.", "This is very important and code."},
    {"## A heading\n", "A heading"},
    {"- an item\n", "an item"},
    {"> - quoted\n", "quoted"},
    {"1. Open it.", "1. Open it."},
    {"- [ ] buy milk", "buy milk"},
    {"See [the manual](https://example.com/a_b?c=d \"Title\") first.", "See the manual first."},
    {"![A cat](cat.png) sits", "A cat sits"},
    {"Go to https://example.com/a/b.html. Now", "Go to . Now"},
    {"Go to <https://example.com> now", "Go to now"},
    {"one<br>two</b>", "one two"},
    {"a < b and c > d", "a < b and c > d"},
    {"2 * 3 = 6 and 5*3", "2 * 3 = 6 and 5*3"},
    {"snake_case and ~5 and ~~gone~~", "snake case and ~5 and gone"},
    {"Great \xF0\x9F\x98\x80\xF0\x9F\x91\x8D\xEF\xB8\x8F job!", "Great job!"},
    {"\xF0\x9F\x98\x80", NULL},
    {"---\n", NULL},
    {"|---|---|\n", NULL},
    {"| a | b |\n", "a b"},
    {"...", NULL},
    {"", NULL},
    {" \n", NULL},
    {"\\*not bold\\*", "*not bold*"},
    {"\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82", "\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82"},
    {"\xE3\x80\x82", NULL},
    {"It's 5 \xE2\x82\xAC \xE2\x80\x93 caf\xC3\xA9.", "It's 5 \xE2\x82\xAC \xE2\x80\x93 caf\xC3\xA9."},
};

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct voice_script script = {0};
        struct buf said = BUF_INIT(KIB(4));
        bool speakable = voice_script_add(&script, str_c(scripts[i].text), &said);
        assert_str(buf_str(&said), scripts[i].said ? scripts[i].said : "");
        assert_true(speakable == (scripts[i].said != NULL));
        buf_free(&said);
    }
}

static void test_blocks_of_code_are_not_read(void **state)
{
    static const char *const lines[] = {"Look:\n", "```python\n", "print(1)\n", "x = 2\n", "```\n", "Done."};
    struct voice_script script = {0};
    struct buf said = BUF_INIT(KIB(4));
    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++)
        voice_script_add(&script, str_c(lines[i]), &said);
    assert_str(buf_str(&said), "Look:Done.");
    buf_free(&said);
}

static void test_an_address_that_was_cut_is_not_read(void **state)
{
    struct voice_script script = {0};
    struct buf said = BUF_INIT(KIB(4));
    (void)state;
    assert_true(voice_script_add(&script, STR("See [this](https://example.com/a/ver"), &said));
    assert_true(voice_script_add(&script, STR("y/long/one) and go."), &said));
    assert_str(buf_str(&said), "See thisand go.");
    buf_free(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_the_same_as_it_comes),
        cmocka_unit_test(test_what_is_not_known_yet),
        cmocka_unit_test(test_long_ones),
        cmocka_unit_test(test_any_text),
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_blocks_of_code_are_not_read),
        cmocka_unit_test(test_an_address_that_was_cut_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
