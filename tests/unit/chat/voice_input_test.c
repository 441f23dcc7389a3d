#include "unit/chat/voice_input_env.h"

static const struct fake_heard hello[] = {{.final = " hello there ", .confidence = 0.9}};

/* ---- voice activity ---- */

static void quiet(void *arg)
{
    struct ear ear;
    (void)arg;
    ear_open(&ear, &listening, hello, 1);
    ear_sound(&ear, SILENCE, 2000);
    ear_sound(&ear, NOISE, 3000);
    assert_int_equal(task_count(), 1);
    assert_int_equal(voice_input_pending_ms(ear.in), 0);
    assert_int_equal(voice_input_commit(ear.in), 0);
    assert_int_equal(voice_input_clear(ear.in), 0);
    assert_false(voice_input_speaking(ear.in));
    settle();
    ear_expect(&ear, "");
    assert_int_equal(atomic_load(&ear.stt.opened), 0);
    ear_close(&ear);
}

static void test_silence_and_noise_are_no_utterance(void **state)
{
    (void)state;
    run_task(quiet, NULL);
}

static void two(void *arg)
{
    static const struct fake_heard scripts[] = {{.final = " hello there ", .confidence = 0.9}, {.final = ""}};
    struct ear ear;
    (void)arg;
    ear_open(&ear, &listening, scripts, 2);
    ear_sound(&ear, SILENCE, 1000);
    ear_sound(&ear, VOICE, 800);
    ear_expect(&ear, "started 1");
    assert_in_range(ear.started_ms, 600, 760);
    assert_true(voice_input_speaking(ear.in));
    assert_in_range(voice_input_pending_ms(ear.in), 1000, 1200);
    assert_int_equal(voice_input_busy(ear.in), 0);
    ear_sound(&ear, SILENCE, 500);
    ear_await_outcomes(&ear, 1);
    ear_expect(&ear, "stopped 1|final 1 hello there");
    assert_in_range(ear.stopped_ms, 1800, 2200);
    assert_true(ear.last.confidence == 0.9);
    assert_int_equal(ear.last.audio_ms, ear.stopped_ms - ear.started_ms);
    assert_int_equal(ear.stt.last_bytes, ear.last.audio_ms * RATE / 1000 * 2);
    assert_int_equal(ear.stt.rate, RATE);
    assert_string_equal(ear.stt.language, "en-US");
    assert_string_equal(ear.stt.prompt, "parley");
    assert_false(voice_input_speaking(ear.in));
    assert_int_equal(voice_input_busy(ear.in), 0);
    settle();
    assert_int_equal(task_count(), 1);
    ear_sound(&ear, VOICE, 800);
    ear_sound(&ear, SILENCE, 500);
    ear_await_outcomes(&ear, 2);
    ear_expect(&ear, "started 2|stopped 2|final 2 ");
    ear_close(&ear);
}

static void test_two_utterances(void **state)
{
    (void)state;
    run_task(two, NULL);
}

/* The prefix is no voice, the silence at the end is none, and what was cut off before does not count. */
static void voiced(void *arg)
{
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    how.silence_ms = 400;
    ear_open(&ear, &how, hello, 1);
    ear_sound(&ear, SILENCE, 600);
    assert_int_equal(voice_input_voiced_ms(ear.in), 0);
    ear_sound(&ear, VOICE, 620);
    assert_in_range(voice_input_voiced_ms(ear.in), 570, 650);
    assert_int_equal(voice_input_commit(ear.in), 1);
    assert_int_equal(voice_input_voiced_ms(ear.in), 0);
    ear_sound(&ear, VOICE, 620);
    assert_in_range(voice_input_voiced_ms(ear.in), 500, 620);
    ear_sound(&ear, SILENCE, 200);
    assert_in_range(voice_input_voiced_ms(ear.in), 500, 700);
    ear_sound(&ear, SILENCE, 400);
    assert_int_equal(voice_input_voiced_ms(ear.in), 0);
    ear_close(&ear);
}

static void test_how_long_the_voice_was_heard(void **state)
{
    (void)state;
    run_task(voiced, NULL);
}

/* What is heard begins with the audio from before the voice, sample by sample. */
static void prefix(void *arg)
{
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    for (how.rate = 8000; how.rate <= 48000; how.rate += 20000) {
        ear_open(&ear, &how, hello, 1);
        ear_sound(&ear, SILENCE, 730);
        ear_sound(&ear, VOICE, 600);
        ear_sound(&ear, SILENCE, 300);
        ear_await_outcomes(&ear, 1);
        assert_in_range(ear.started_ms, 330, 500);
        assert_int_equal(ear.stt.last_bytes / 2 * 1000 / how.rate, ear.last.audio_ms);
        ear_close(&ear);
    }
}

static void test_audio_before_the_voice_belongs_to_it(void **state)
{
    (void)state;
    run_task(prefix, NULL);
}

static void at_once(void *arg)
{
    struct buf pcm = BUF_INIT(MIB(4));
    struct ear ear;
    (void)arg;
    ear_open(&ear, &listening, hello, 1);
    for (int i = 0; i < 8; i++) {
        fake_voice(&pcm, RATE, 600);
        fake_silence(&pcm, RATE, 600);
    }
    buf_consume(&pcm, 1); /* samples lie where they lie */
    assert_int_equal(ear_write(&ear, str_n(buf_str(&pcm).p, pcm.len - 1), NULL), 0);
    assert_int_equal(voice_input_busy(ear.in), 8);
    ear_await_outcomes(&ear, 8);
    assert_in_range(atomic_load(&ear.stt.most_open), 1, 2);
    buf_free(&pcm);
    ear_close(&ear);
}

static void test_many_utterances_in_one_write(void **state)
{
    (void)state;
    run_task(at_once, NULL);
}

static void long_one(void *arg)
{
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    how.max_utterance_ms = 1500;
    ear_open(&ear, &how, hello, 1);
    ear_sound(&ear, VOICE, 4000);
    ear_sound(&ear, SILENCE, 500);
    ear_await_outcomes(&ear, 3);
    settle();
    ear_expect(&ear, "started 1|stopped 1|final 1 hello there|started 2|stopped 2|final 2 hello there|started 3|"
                     "stopped 3|final 3 hello there");
    assert_in_range(ear.last.audio_ms, 1000, 1500);
    ear_close(&ear);
}

static void test_an_utterance_has_a_longest_time(void **state)
{
    (void)state;
    run_task(long_one, NULL);
}

/* ---- end-pointing ---- */

static const struct fake_heard whole[] = {
    {.partials = {"i want", "i want to go home"}, .partial_ms = 300, .final = "i want to go home"}};
static const struct fake_heard broken[] = {
    {.partials = {"i want", "i want to go to the"}, .partial_ms = 300, .final = "i want to go to the"}};

/* How long it was quiet before the utterance ended. */
static uint64_t quiet_before_end(const struct fake_heard *script)
{
    struct voice_listening how = listening;
    struct ear ear;
    how.max_silence_ms = 1000;
    ear_open(&ear, &how, script, 1);
    ear_sound(&ear, VOICE, 1000);
    task_sleep(300, NULL); /* what was understood stays the same for a while */
    ear_sound(&ear, SILENCE, 1500);
    ear_await_outcomes(&ear, 1);
    uint64_t silence = ear.stopped_ms - 1000;
    assert_int_equal(ear.last.utterance, 1);
    ear_close(&ear);
    return silence;
}

static void endpoints(void *arg)
{
    (void)arg;
    assert_in_range(quiet_before_end(whole), 100, 400);
    assert_in_range(quiet_before_end(broken), 850, 1200);
    assert_in_range(quiet_before_end(hello), 100, 400);
}

static void test_silence_that_ends_depends_on_the_words(void **state)
{
    (void)state;
    run_task(endpoints, NULL);
}

static void goes_on(void *arg)
{
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    how.max_silence_ms = 1000;
    ear_open(&ear, &how, broken, 1);
    ear_sound(&ear, VOICE, 1000);
    task_sleep(300, NULL);
    ear_sound(&ear, SILENCE, 600);
    assert_true(voice_input_speaking(ear.in));
    ear_sound(&ear, VOICE, 1000);
    ear_sound(&ear, SILENCE, 1500);
    ear_await_outcomes(&ear, 1);
    ear_expect(&ear, "started 1|partial 1 i want|partial 1 i want to go to the|stopped 1|final 1 i want to go to the");
    assert_true(ear.stopped_ms > 2600);
    ear_close(&ear);
}

static void test_speech_goes_on_after_a_pause(void **state)
{
    (void)state;
    run_task(goes_on, NULL);
}

/* A partial that changed a moment ago may change again; when it does not, the longest silence is not needed. */
static void changing(void *arg)
{
    static const struct fake_heard script[] = {{.partials = {"go home"}, .partial_ms = 1100, .final = "go home"}};
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    how.max_silence_ms = 60000;
    ear_open(&ear, &how, script, 1);
    ear_sound(&ear, VOICE, 1000);
    ear_sound(&ear, SILENCE, 100);
    ear_await_log(&ear, "partial 1 go home");
    uint64_t then = loop_now_ms(task_loop(task_self()));
    ear_sound(&ear, SILENCE, 200);
    while (str_find(buf_str(&ear.log), STR("stopped")) < 0) {
        task_sleep(20, NULL);
        ear_sound(&ear, SILENCE, 20);
    }
    assert_true(loop_now_ms(task_loop(task_self())) - then >= 150);
    assert_in_range(ear.stopped_ms, 1100, 30000);
    ear_close(&ear);
}

static void test_a_changing_partial_is_waited_for(void **state)
{
    (void)state;
    run_task(changing, NULL);
}

static void unwanted(void *arg)
{
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    how.partials = false;
    ear_open(&ear, &how, whole, 1);
    ear_sound(&ear, VOICE, 1000);
    ear_sound(&ear, SILENCE, 500);
    ear_await_outcomes(&ear, 1);
    ear_expect(&ear, "started 1|stopped 1|final 1 i want to go home");
    assert_false(ear.stt.partial);
    ear_close(&ear);
}

static void test_partials_only_when_wanted(void **state)
{
    (void)state;
    run_task(unwanted, NULL);
}

/* ---- commit and clear ---- */

static void by_hand(void *arg)
{
    struct ear ear;
    (void)arg;
    ear_open(&ear, &listening, hello, 1);
    ear_sound(&ear, VOICE, 700);
    assert_int_equal(voice_input_commit(ear.in), 1);
    assert_false(voice_input_speaking(ear.in));
    assert_int_equal(voice_input_busy(ear.in), 1);
    ear_await_outcomes(&ear, 1);
    ear_expect(&ear, "started 1|stopped 1|final 1 hello there");
    ear_sound(&ear, VOICE, 700);
    ear_expect(&ear, "started 2");
    assert_int_equal(voice_input_clear(ear.in), 2);
    assert_int_equal(voice_input_clear(ear.in), 0);
    assert_int_equal(voice_input_pending_ms(ear.in), 0);
    settle();
    assert_int_equal(task_count(), 1);
    ear_expect(&ear, "");
    ear_sound(&ear, VOICE, 700); /* who goes on begins anew */
    assert_in_range(ear.started_ms, 1400, 1700);
    ear_sound(&ear, SILENCE, 500);
    ear_await_outcomes(&ear, 2);
    ear_expect(&ear, "started 3|stopped 3|final 3 hello there");
    ear_sound(&ear, SILENCE, 400);
    assert_int_equal(voice_input_clear(ear.in), 0);
    ear_sound(&ear, VOICE, 300);
    ear_expect(&ear, "started 4");
    assert_in_range(ear.started_ms, 3000, 3100); /* what was cleared does not belong to it */
    ear_close(&ear);
}

static void test_commit_and_clear_while_somebody_speaks(void **state)
{
    (void)state;
    run_task(by_hand, NULL);
}

/* An event that is on its way does not come either. */
static void clear_untold(void *arg)
{
    struct buf pcm = BUF_INIT(MIB(1));
    struct ear ear;
    (void)arg;
    ear_open(&ear, &listening, hello, 1);
    fake_voice(&pcm, RATE, 700);
    assert_int_equal(ear_write(&ear, buf_str(&pcm), NULL), 0);
    assert_int_equal(voice_input_clear(ear.in), 1);
    settle();
    ear_expect(&ear, "");
    buf_free(&pcm);
    ear_close(&ear);
}

static void test_clear_takes_back_what_was_not_told(void **state)
{
    (void)state;
    run_task(clear_untold, NULL);
}

static void manual(void *arg)
{
    struct voice_listening how = listening;
    struct err e;
    struct ear ear;
    (void)arg;
    how.detect = false;
    how.max_utterance_ms = 2000;
    ear_open(&ear, &how, whole, 1);
    ear_sound(&ear, SILENCE, 80);
    assert_int_equal(voice_input_pending_ms(ear.in), 80);
    assert_int_equal(voice_input_commit(ear.in), 0);
    assert_int_equal(voice_input_pending_ms(ear.in), 80);
    ear_sound(&ear, VOICE, 920);
    settle();
    assert_int_equal(atomic_load(&ear.stt.bytes), RATE * 2); /* recognition is under way already */
    assert_int_equal(voice_input_busy(ear.in), 0);
    ear_expect(&ear, "");
    assert_int_equal(voice_input_commit(ear.in), 1);
    assert_int_equal(voice_input_pending_ms(ear.in), 0);
    ear_await_outcomes(&ear, 1);
    ear_expect(&ear, "partial 1 i want to go home|final 1 i want to go home");
    assert_int_equal(ear.last.audio_ms, 1000);
    ear_sound(&ear, NOISE, 2000);
    assert_int_equal(ear_write(&ear, STR("\0\0"), &e), -1);
    assert_int_equal(e.code, ERR_OVERLOADED);
    assert_int_equal(voice_input_pending_ms(ear.in), 2000);
    assert_int_equal(voice_input_clear(ear.in), 2);
    assert_int_equal(ear_write(&ear, STR("\0\0"), &e), 0);
    ear_close(&ear);
}

static void test_without_detection(void **state)
{
    (void)state;
    run_task(manual, NULL);
}

static void switching(void *arg)
{
    struct voice_listening by_voice = listening, by_commit = listening;
    struct ear ear;
    (void)arg;
    by_commit.detect = false;
    ear_open(&ear, &by_voice, hello, 1);
    ear_sound(&ear, VOICE, 700);
    voice_input_configure(ear.in, &by_commit); /* from the next utterance on */
    assert_true(voice_input_speaking(ear.in));
    ear_sound(&ear, SILENCE, 500);
    ear_await_outcomes(&ear, 1);
    ear_expect(&ear, "started 1|stopped 1|final 1 hello there");
    ear_sound(&ear, VOICE, 700);
    ear_expect(&ear, "");
    assert_true(voice_input_pending_ms(ear.in) >= 700);
    by_voice.language = STR("de-DE");
    voice_input_configure(ear.in, &by_voice);
    assert_int_equal(voice_input_pending_ms(ear.in), 0);
    ear_sound(&ear, SILENCE, 500);
    ear_sound(&ear, VOICE, 700);
    assert_in_range(ear.started_ms, 700 + 500 + 700 + 200 - 10, 700 + 500 + 700 + 500);
    ear_sound(&ear, SILENCE, 500);
    ear_await_outcomes(&ear, 2);
    ear_expect(&ear, "started 3|stopped 3|final 3 hello there");
    assert_string_equal(ear.stt.language, "de-DE");
    ear_close(&ear);
}

static void test_settings_count_from_the_next_utterance_on(void **state)
{
    (void)state;
    run_task(switching, NULL);
}

static void memory(void *arg)
{
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    how.rate = 24000;
    ear_open(&ear, &how, hello, 1);
    ear_sound(&ear, SILENCE, 1000);
    print_message("an idle input holds %zu bytes and %zu of audio\n", sizeof *ear.in, ear.in->prefix_size);
    assert_true(sizeof *ear.in < KIB(8));
    assert_int_equal(ear.in->prefix_size, 24000 * 2 * 4 / 10);
    ear_close(&ear);
}

static void test_an_idle_input_is_small(void **state)
{
    (void)state;
    run_task(memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_and_noise_are_no_utterance),
        cmocka_unit_test(test_two_utterances),
        cmocka_unit_test(test_how_long_the_voice_was_heard),
        cmocka_unit_test(test_audio_before_the_voice_belongs_to_it),
        cmocka_unit_test(test_many_utterances_in_one_write),
        cmocka_unit_test(test_an_utterance_has_a_longest_time),
        cmocka_unit_test(test_silence_that_ends_depends_on_the_words),
        cmocka_unit_test(test_speech_goes_on_after_a_pause),
        cmocka_unit_test(test_a_changing_partial_is_waited_for),
        cmocka_unit_test(test_partials_only_when_wanted),
        cmocka_unit_test(test_commit_and_clear_while_somebody_speaks),
        cmocka_unit_test(test_clear_takes_back_what_was_not_told),
        cmocka_unit_test(test_without_detection),
        cmocka_unit_test(test_settings_count_from_the_next_utterance_on),
        cmocka_unit_test(test_an_idle_input_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
