#include "unit/support/fake_speech.h"
#include "unit/support/run_task.h"
#include "unit/support/unit.h"

#include "chat/voice_output.h"
#include "speech/local/local.h"

static const struct voice_speaking speaking = {.voice = {"nova", 4},
                                               .language = {"en-US", 5},
                                               .instructions = {"calmly", 6},
                                               .speed = 1.5,
                                               .format = SPEECH_PCM,
                                               .rate = 8000};
static const struct fake_said plain[] = {{.ms = 250}};

struct mouth {
    struct fake_tts tts;
    struct voice_output *out;
};

static void mouth_open(struct mouth *m, const struct voice_speaking *how, const struct fake_said *scripts, size_t n)
{
    fake_tts_init(&m->tts, scripts, n);
    m->out = voice_output_new(&m->tts.base, how);
}

static void mouth_close(struct mouth *m)
{
    m->out = voice_output_free(m->out);
    while (task_count() > 1)
        task_yield(NULL);
    assert_int_equal(atomic_load(&m->tts.open), 0);
}

static void settle(void)
{
    for (int i = 0; i < 50; i++)
        task_yield(NULL);
}

static int16_t sample(struct str audio)
{
    int16_t value;
    assert_true(audio.n >= sizeof value);
    memcpy(&value, audio.p, sizeof value);
    return value;
}

/* Reads one sentence: 250 ms in pieces of 100. */
static void expect_sentence(struct mouth *m, size_t from, size_t to, int16_t value)
{
    struct voice_piece piece;
    for (size_t at = 0; at < 4000; at += piece.audio.n) {
        assert_int_equal(voice_output_next(m->out, &piece, NULL), 1);
        assert_int_equal(piece.from, from);
        assert_int_equal(piece.to, to);
        assert_true(piece.first == (at == 0));
        assert_int_equal(sample(piece.audio), value);
    }
}

static void sentences(void *arg)
{
    struct voice_piece piece;
    struct mouth m;
    (void)arg;
    mouth_open(&m, &speaking, plain, 1);
    voice_output_say(m.out, STR("Hel"));
    voice_output_say(m.out, STR("lo **you**"));
    assert_int_equal(atomic_load(&m.tts.opened), 0);
    voice_output_say(m.out, STR("! \xF0\x9F\x98\x80! How"));
    settle();
    assert_string_equal(m.tts.texts[0], "Hello you!");
    assert_int_equal(atomic_load(&m.tts.opened), 1);
    expect_sentence(&m, 0, 15, 1000);
    voice_output_say(m.out, STR(" are you?"));
    voice_output_finish(m.out);
    voice_output_finish(m.out);
    voice_output_say(m.out, STR("Too late."));
    expect_sentence(&m, 21, 33, 2000);
    assert_string_equal(m.tts.texts[1], "How are you?");
    assert_int_equal(voice_output_next(m.out, &piece, NULL), 0);
    assert_int_equal(voice_output_next(m.out, &piece, NULL), 0);
    assert_string_equal(m.tts.voice, "nova");
    assert_string_equal(m.tts.language, "en-US");
    assert_string_equal(m.tts.instructions, "calmly");
    assert_true(m.tts.speed == 1.5);
    assert_int_equal(m.tts.format, SPEECH_PCM);
    assert_int_equal(task_count(), 1);
    mouth_close(&m);
}

static void test_sentence_by_sentence(void **state)
{
    (void)state;
    run_task(sentences, NULL);
}

static void nothing(void *arg)
{
    static const char *const texts[] = {"", " \n", "\xF0\x9F\x98\x80", "```c\nint x;\n```\n", "https://example.com/"};
    struct voice_piece piece;
    (void)arg;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct mouth m;
        mouth_open(&m, &speaking, plain, 1);
        voice_output_say(m.out, str_c(texts[i]));
        voice_output_finish(m.out);
        assert_int_equal(voice_output_next(m.out, &piece, NULL), 0);
        assert_int_equal(atomic_load(&m.tts.opened), 0);
        mouth_close(&m);
    }
}

static void test_what_cannot_be_said_is_silence(void **state)
{
    (void)state;
    run_task(nothing, NULL);
}

/* Whoever waits for the first words does not wait for the end of a very long sentence. */
static void long_first(void *arg)
{
    struct voice_piece piece;
    struct mouth m;
    (void)arg;
    mouth_open(&m, &speaking, plain, 1);
    for (int i = 0; i < 60; i++)
        voice_output_say(m.out, STR("word "));
    assert_int_equal(voice_output_next(m.out, &piece, NULL), 1);
    assert_int_equal(piece.from, 0);
    assert_in_range(piece.to, 150, 200);
    mouth_close(&m);
}

static void test_a_long_first_sentence_is_cut(void **state)
{
    (void)state;
    run_task(long_first, NULL);
}

static void ahead(void *arg)
{
    static const struct fake_said endless[] = {{.ms = 60000}};
    struct voice_speaking how = speaking;
    struct voice_piece piece;
    struct mouth m;
    (void)arg;
    for (how.ahead_ms = 0; how.ahead_ms <= 1000; how.ahead_ms += 500) {
        mouth_open(&m, &how, endless, 1);
        voice_output_say(m.out, STR("One.\nTwo.\n"));
        unsigned most = how.ahead_ms ? how.ahead_ms : 4000;
        for (int i = 0; i < 3; i++)
            settle();
        assert_in_range(atomic_load(&m.tts.made_ms), most, most + 100);
        for (int i = 0; i < 5; i++)
            assert_int_equal(voice_output_next(m.out, &piece, NULL), 1);
        settle();
        assert_in_range(atomic_load(&m.tts.made_ms), most + 500, most + 600);
        mouth_close(&m);
    }
}

static void test_synthesis_runs_ahead_so_far(void **state)
{
    (void)state;
    run_task(ahead, NULL);
}

static void failures(void *arg)
{
    static const struct fake_said scripts[][2] = {{{.refuse = ERR_OVERLOADED}},
                                                  {{.refuse = ERR_UNAUTHORIZED}},
                                                  {{.fail = ERR_UPSTREAM, .ms = 250}},
                                                  {{.ms = 100}, {.refuse = ERR_TIMEOUT}}};
    static const enum err_code told[] = {ERR_OVERLOADED, ERR_UPSTREAM, ERR_UPSTREAM, ERR_TIMEOUT};
    static const int pieces[] = {0, 0, 1, 1};
    (void)arg;
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct voice_piece piece;
        struct err e = {0};
        struct mouth m;
        mouth_open(&m, &speaking, scripts[i], 2);
        voice_output_say(m.out, STR("One.\nTwo.\n"));
        int got, n = 0;
        while ((got = voice_output_next(m.out, &piece, &e)) == 1)
            n++;
        assert_int_equal(got, -1);
        assert_int_equal(n, pieces[i]);
        assert_int_equal(e.code, told[i]);
        assert_null(strstr(e.text, FAKE_SECRET));
        voice_output_say(m.out, STR("More.\n"));
        voice_output_finish(m.out);
        assert_int_equal(voice_output_next(m.out, &piece, &e), -1);
        mouth_close(&m);
    }
    struct voice_piece piece;
    struct err e = {0};
    struct voice_output *none = voice_output_new(NULL, &speaking);
    voice_output_say(none, STR("One.\n"));
    assert_int_equal(voice_output_next(none, &piece, &e), -1);
    assert_int_equal(e.code, ERR_NOT_CONFIGURED);
    voice_output_free(none);
    assert_null(voice_output_free(NULL));
}

static void test_failures_are_told_in_own_words(void **state)
{
    (void)state;
    run_task(failures, NULL);
}

/* Given up after so many turns of the loop, wherever it is then. */
static void given_up(void *arg)
{
    static const struct fake_said scripts[][1] = {{{.ms = 250}}, {{.held = true}}, {{.stalled = true, .ms = 250}}};
    (void)arg;
    for (size_t i = 0; i < COUNT(scripts); i++) {
        for (int turns = 0; turns < 12; turns++) {
            struct mouth m;
            mouth_open(&m, &speaking, scripts[i], 1);
            if (turns > 0)
                voice_output_say(m.out, STR("One.\nTwo.\n"));
            for (int k = 1; k < turns; k++)
                task_yield(NULL);
            mouth_close(&m);
        }
    }
}

static void test_given_up_at_any_time(void **state)
{
    (void)state;
    run_task(given_up, NULL);
}

struct reader {
    struct mouth m;
    struct task *task;
    int got;
    struct err e;
};

static void read_one(void *arg)
{
    struct reader *r = arg;
    struct voice_piece piece;
    r->got = voice_output_next(r->m.out, &piece, &r->e);
    r->task = NULL;
}

static void cancelled(void *arg)
{
    static const struct fake_said held[] = {{.held = true, .ms = 100}};
    struct reader r = {.got = 2};
    struct voice_piece piece;
    (void)arg;
    mouth_open(&r.m, &speaking, held, 1);
    voice_output_say(r.m.out, STR("One.\n"));
    r.task = task_spawn("reader", read_one, &r);
    settle();
    assert_non_null(r.task);
    task_cancel(r.task);
    settle();
    assert_int_equal(r.got, -1);
    assert_int_equal(r.e.code, ERR_CANCELLED);
    fake_tts_release(&r.m.tts);
    assert_int_equal(voice_output_next(r.m.out, &piece, NULL), 1);
    mouth_close(&r.m);
}

static void test_a_reader_is_cancelled(void **state)
{
    (void)state;
    run_task(cancelled, NULL);
}

/* With the real voices. */
static void aloud(void *arg)
{
    struct tts *tts = arg;
    struct voice_speaking how = {.format = SPEECH_PCM, .rate = 24000};
    struct voice_output *out = voice_output_new(tts, &how);
    struct voice_piece piece;
    struct err e = {0};
    size_t bytes[3] = {0};
    static const size_t ends[] = {25, 51, 59};
    voice_output_say(out, STR("Hello how are you today. The weather is very nice! Bye \xF0\x9F\x98\x80"));
    voice_output_finish(out);
    int got;
    while ((got = voice_output_next(out, &piece, &e)) == 1)
        for (size_t i = 0; i < 3; i++)
            bytes[i] += piece.to == ends[i] ? piece.audio.n : 0;
    assert_string_equal(e.text, "");
    assert_int_equal(got, 0);
    for (size_t i = 0; i < 3; i++)
        assert_in_range(bytes[i] / 48, 300, 4000); /* ms */
    voice_output_free(out);
}

static void test_with_the_local_voices(void **state)
{
    struct tts *tts = tts_local_new(NULL);
    (void)state;
    run_task(aloud, tts);
    tts_free(tts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentence_by_sentence),           cmocka_unit_test(test_what_cannot_be_said_is_silence),
        cmocka_unit_test(test_a_long_first_sentence_is_cut),   cmocka_unit_test(test_synthesis_runs_ahead_so_far),
        cmocka_unit_test(test_failures_are_told_in_own_words), cmocka_unit_test(test_given_up_at_any_time),
        cmocka_unit_test(test_a_reader_is_cancelled),          cmocka_unit_test(test_with_the_local_voices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
