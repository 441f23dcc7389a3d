#include "unit/support/unit.h"

#include "base/macros.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "speech/local/text.h"
#include "speech/local/voices.h"

static void check_plain(const char *text, const char *want, int line)
{
    struct buf out = BUF_INIT(KIB(4));
    assert_int_equal(text_plain(str_c(text), &out), 0);
    if (!str_eqc(buf_str(&out), want))
        fail_msg("line %d: \"%s\" became \"%s\"", line, text, buf_cstr(&out));
    buf_free(&out);
}
#define assert_plain(text, want) check_plain((text), (want), __LINE__)

static void test_plain(void **state)
{
    (void)state;
    assert_plain("Hello, world!", "Hello, world!");
    assert_plain("  two\t spaces ", "two spaces ");
    assert_plain("Café, naïve, Žluťoučký kůň, Ærø, Straße, Ngô Đình Diệm",
                 "Cafe, naive, Zlutoucky kun, Aero, Strasse, Ngo Dinh Diem");
    assert_plain("e\xCC\x81t\xCC\x81", "et");                            /* letters with marks of their own */
    assert_plain("\xE2\x80\x9CIt\xE2\x80\x99s\xE2\x80\x9D", "\"It's\""); /* typographic quotes */
    assert_plain("yes\xE2\x80\x94no", "yes, no");
    assert_plain("wait\xE2\x80\xA6 what", "wait... what");
    assert_plain("Привет, мир", "privet, mir");
    assert_plain("Καλημέρα", "kalimera");
    assert_plain("ＡＢＣ１？＊", "ABC1? ");
    assert_plain("20 °C × 3 ± ½", "20 degrees C times 3 plus or minus one half ");
    assert_plain("€5.20, £3 and ¥1,000.", "5.20 euros , 3 pounds and 1,000 yen .");
    assert_plain("a € b", "a euros b");
    assert_plain("**bold** _it_ `code` # head #1", "bold it code head number 1");
    assert_plain("[link](x)", "link (x)");
    assert_plain("hi \xF0\x9F\x98\x80 there", "hi there");
    assert_plain("\xF0\x9F\x98\x80\xF0\x9F\x8E\x89", "");
    assert_plain("你好。", ". ");
    assert_plain("nul\x01\x7F"
                 "bell",
                 "nul bell");
}

static void test_lines(void **state)
{
    (void)state;
    assert_plain("a line that\ngoes on", "a line that goes on");
    assert_plain("Title\nThe text", "Title. The text");
    assert_plain("Buy:\n- milk\n- bread\n", "Buy: - milk. - bread. ");
    assert_plain("one\n\ntwo.\nThree", "one. two. Three");
    assert_plain("end?\r\nNext", "end? Next");
}

static void test_ceiling(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(8);
    assert_int_equal(text_plain(STR("½½½½"), &out), -1);
    buf_free(&out);
}

static void test_speakable(void **state)
{
    (void)state;
    assert_true(text_speakable(STR("... a")));
    assert_true(text_speakable(STR("5")));
    assert_true(text_speakable(STR("$")));
    assert_false(text_speakable(STR("")));
    assert_false(text_speakable(STR(" .,;:!?'\"()-")));
}

/* The pieces of the text, joined with '|'. */
static void check_pieces(const char *text, size_t max, const char *want, int line)
{
    struct buf out = BUF_INIT(KIB(8));
    struct str rest = str_c(text);
    while (rest.n) {
        size_t n = text_piece(rest, max);
        assert_in_range(n, 1, rest.n);
        if (out.len)
            buf_byte(&out, '|');
        buf_add(&out, rest.p, n);
        rest = str_from(rest, n);
    }
    if (!str_eqc(buf_str(&out), want))
        fail_msg("line %d: %s", line, buf_cstr(&out));
    buf_free(&out);
}
#define assert_pieces(text, max, want) check_pieces((text), (max), (want), __LINE__)

static void test_pieces(void **state)
{
    (void)state;
    assert_pieces("One. Two! Three?", 100, "One.| Two!| Three?");
    assert_pieces("He said \"Stop!\" Then he left.", 100, "He said \"Stop!\"| Then he left.");
    assert_pieces("Dr. Smith met Mr. J. Doe at 3.30 p.m. sharp, e.g. there.", 100,
                  "Dr. Smith met Mr. J. Doe at 3.30 p.m. sharp, e.g. there.");
    assert_pieces("It was I. He left.", 100, "It was I.| He left.");
    assert_pieces("Wait... what? No", 100, "Wait... what?| No");
    assert_pieces("a long clause, then another one without an end", 30,
                  "a long clause,| then another one without an |end");
    assert_pieces("no comma in this one at all", 10, "no comma |in this |one at all");
    assert_pieces("abcdefghijklmnop", 5, "abcde|fghij|klmno|p");
    assert_pieces("call 555 1234 today", 18, "call 555 |1234 |today"); /* figures take longer */
    assert_int_equal(text_piece(STR(""), 10), 0);
}

/* Whatever comes in, plain ASCII comes out, and its pieces are all of it. */
static void test_any_text(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        struct buf in = BUF_INIT(KIB(4)), out = BUF_INIT(KIB(64));
        for (int i = 0; i < 60; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            uint32_t kind = (uint32_t)(seed >> 60), value = (uint32_t)(seed >> 32) & 0xFFFFF;
            uint32_t point = kind < 8 ? value % 128 : kind < 13 ? value % 0x2400 : value % 0x30000;
            char one[4];
            buf_add(&in, one, utf8_put(one, point));
        }
        assert_true(utf8_valid(buf_str(&in)));
        assert_int_equal(text_plain(buf_str(&in), &out), 0);
        struct str rest = buf_str(&out);
        for (size_t i = 0; i < rest.n; i++)
            assert_in_range(rest.p[i], ' ', '~');
        for (size_t n; rest.n; rest = str_from(rest, n)) {
            n = text_piece(rest, 1 + (size_t)round % 50);
            assert_in_range(n, 1, rest.n);
        }
        buf_free(&in);
        buf_free(&out);
    }
}

static void test_voices(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum local_voice voice;
    } rows[] = {
        {"slt", VOICE_SLT},
        {"KAL16", VOICE_KAL16},
        {"alloy", VOICE_SLT},
        {"ash", VOICE_RMS},
        {"ballad", VOICE_AWB},
        {"coral", VOICE_SLT},
        {"echo", VOICE_RMS},
        {"fable", VOICE_AWB},
        {"onyx", VOICE_RMS},
        {"nova", VOICE_SLT},
        {"sage", VOICE_SLT},
        {"shimmer", VOICE_SLT},
        {"verse", VOICE_AWB},
        {"marin", VOICE_SLT},
        {"cedar", VOICE_RMS},
        {"en-US-JennyNeural", VOICE_SLT},
        {"en-US-GuyNeural", VOICE_RMS},
        {"en-GB-RyanNeural", VOICE_AWB},
        {"en-US-AndrewMultilingualNeural", VOICE_RMS},
        {"en-US-Andrew:DragonHDLatestNeural", VOICE_RMS},
        {"en-US-OnyxTurboMultilingualNeural", VOICE_RMS},
        {"de-DE-KatjaNeural", VOICE_SLT},
        {"", LOCAL_VOICES},
        {"nobody", LOCAL_VOICES},
        {"en-US-Jenny", LOCAL_VOICES},
        {"Neural", LOCAL_VOICES},
        {"-Neural", LOCAL_VOICES},
        {"--Neural", LOCAL_VOICES},
        {"en-US-Neural", LOCAL_VOICES},
        {"x-y-z-Neural", LOCAL_VOICES},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (local_voice_find(str_c(rows[i].name)) != rows[i].voice)
            fail_msg("%s: %d", rows[i].name, (int)local_voice_find(str_c(rows[i].name)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),     cmocka_unit_test(test_lines),  cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_speakable), cmocka_unit_test(test_pieces), cmocka_unit_test(test_any_text),
        cmocka_unit_test(test_voices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
