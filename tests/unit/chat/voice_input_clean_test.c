#include "unit/chat/voice_input_env.h"
#include "unit/support/child.h"

#include <math.h>

#define SAMPLES(ms) ((size_t)RATE / 1000 * (ms))
#define DELAY_MS    ((size_t)40)

static const struct fake_heard hello[] = {{.final = "hello"}};

static struct voice_listening cleaned(enum clean_strength strength, bool detect)
{
    struct voice_listening how = listening;
    how.clean = strength;
    how.detect = detect;
    return how;
}

static double level(const struct buf *pcm, size_t from, size_t to)
{
    double power = 1e-9;
    assert_true(from < to && to * sizeof(int16_t) <= pcm->len);
    for (size_t i = from; i < to; i++) {
        int16_t sample;
        memcpy(&sample, buf_str(pcm).p + i * sizeof sample, sizeof sample);
        power += (double)sample * sample;
    }
    return 10 * log10(power / (double)(to - from));
}

/* A voice in noise, and what recognition got of it. */
struct scene {
    enum clean_strength strength;
    uint64_t started_ms, stopped_ms, audio_ms;
    double noise, voice; /* dB */
};

static void add_scene(struct buf *pcm)
{
    struct buf voice = BUF_INIT(MIB(1));
    fake_noise(pcm, RATE, 4000);
    fake_voice(&voice, RATE, 1000);
    int16_t *at = (int16_t *)(void *)(buf_str(pcm).p + SAMPLES(2000) * sizeof(int16_t));
    const int16_t *add = (const int16_t *)(const void *)buf_str(&voice).p;
    for (size_t i = 0; i < SAMPLES(1000); i++)
        at[i] = (int16_t)(at[i] + add[i]);
    buf_free(&voice);
}

static void play(void *arg)
{
    struct scene *scene = arg;
    struct voice_listening how = cleaned(scene->strength, true);
    struct buf pcm = BUF_INIT(MIB(1)), got = BUF_INIT(MIB(1));
    struct ear ear;
    ear_open(&ear, &how, hello, 1);
    ear.stt.audio = &got;
    add_scene(&pcm);
    ear_feed(&ear, &pcm);
    ear_await_outcomes(&ear, 1);
    ear_expect(&ear, "started 1|stopped 1|final 1 hello");
    scene->started_ms = ear.started_ms;
    scene->stopped_ms = ear.stopped_ms;
    scene->audio_ms = ear.last.audio_ms;
    assert_int_equal(got.len / sizeof(int16_t), SAMPLES(scene->audio_ms));
    scene->noise = level(&got, 0, SAMPLES(200));
    scene->voice = level(&got, SAMPLES(400), SAMPLES(1200));
    ear_close(&ear);
    buf_free(&got);
}

static void test_recognition_hears_less_noise(void **state)
{
    struct scene none = {.strength = CLEAN_NONE}, near = {.strength = CLEAN_NEAR}, far = {.strength = CLEAN_FAR};
    (void)state;
    run_task(play, &none);
    run_task(play, &near);
    run_task(play, &far);
    print_message("noise and voice: %.1f %.1f, near %.1f %.1f, far %.1f %.1f dB\n", none.noise, none.voice, near.noise,
                  near.voice, far.noise, far.voice);
    assert_true(near.noise < none.noise - 8);
    assert_true(fabs(near.voice - none.voice) < 3);
    assert_true(far.voice - far.noise > none.voice - none.noise + 8);
    /* what is cleaned makes no difference to where an utterance is found */
    assert_int_equal(near.started_ms, none.started_ms);
    assert_int_equal(near.stopped_ms, none.stopped_ms);
    assert_int_equal(far.started_ms, none.started_ms);
    assert_int_equal(far.audio_ms, none.audio_ms);
}

static void play_without_library(void)
{
    struct scene none = {.strength = CLEAN_NONE}, far = {.strength = CLEAN_FAR};
    bool loaded = clean_load("/nowhere");
    run_task(play, &none);
    run_task(play, &far);
    bool same = far.noise == none.noise && far.voice == none.voice && far.audio_ms == none.audio_ms;
    _exit(!loaded && same ? 0 : 1);
}

/* Before the library is loaded here. */
static void test_without_the_library_it_is_as_it_came(void **state)
{
    struct child child;
    (void)state;
    child_run(&child, play_without_library);
    assert_true(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 0);
    assert_non_null(strstr(child.err, "library_missing"));
}

/* The end of it is not left in the filter; what was said before is not heard again. */
static void commits(void *arg)
{
    struct voice_listening how = cleaned(CLEAN_NEAR, false);
    struct buf got = BUF_INIT(MIB(1));
    struct ear ear;
    (void)arg;
    ear_open(&ear, &how, hello, 1);
    ear.stt.audio = &got;
    ear_sound(&ear, NOISE, 1000);
    ear_sound(&ear, VOICE, 200);
    assert_int_equal(voice_input_pending_ms(ear.in), 1200);
    assert_int_equal(voice_input_commit(ear.in), 1);
    ear_await_outcomes(&ear, 1);
    assert_int_equal(ear.last.audio_ms, 1200);
    assert_int_equal(got.len / sizeof(int16_t), SAMPLES(1200 + DELAY_MS));
    double end = level(&got, SAMPLES(1200), SAMPLES(1200 + DELAY_MS));
    print_message("voice that was held back: %.1f dB\n", end);
    assert_true(end > level(&got, SAMPLES(500), SAMPLES(1000)) + 20);
    buf_clear(&got);
    ear_sound(&ear, SILENCE, 200);
    assert_int_equal(voice_input_commit(ear.in), 2);
    ear_await_outcomes(&ear, 2);
    double rest = level(&got, 0, SAMPLES(200 + DELAY_MS));
    print_message("of the voice before: %.1f dB\n", rest);
    assert_true(rest < end - 30);
    ear_close(&ear);
    buf_free(&got);
}

static void test_a_commit_takes_the_end_along(void **state)
{
    (void)state;
    run_task(commits, NULL);
}

static void clears(void *arg)
{
    struct voice_listening how = cleaned(CLEAN_FAR, false);
    struct buf got = BUF_INIT(MIB(1));
    struct ear ear;
    (void)arg;
    ear_open(&ear, &how, hello, 1);
    ear_sound(&ear, VOICE, 210);
    assert_int_equal(voice_input_clear(ear.in), 1);
    settle();
    ear.stt.audio = &got;
    ear_sound(&ear, SILENCE, 200);
    assert_int_equal(voice_input_commit(ear.in), 2);
    ear_await_outcomes(&ear, 1);
    assert_int_equal(ear.last.utterance, 2);
    assert_true(level(&got, 0, SAMPLES(200 + DELAY_MS)) < 6);
    ear_close(&ear);
    buf_free(&got);
}

static void test_what_was_cleared_is_not_heard(void **state)
{
    (void)state;
    run_task(clears, NULL);
}

/* From the next utterance on. */
static void changes(void *arg)
{
    static const enum clean_strength strengths[] = {CLEAN_NONE, CLEAN_NEAR, CLEAN_FAR, CLEAN_NONE};
    struct voice_listening how = cleaned(CLEAN_NONE, false);
    struct buf got = BUF_INIT(MIB(1));
    struct ear ear;
    double before = 0;
    (void)arg;
    ear_open(&ear, &how, hello, 1);
    ear.stt.audio = &got;
    for (unsigned i = 0; i < COUNT(strengths); i++) {
        ear_sound(&ear, NOISE, 1000);
        if (i + 1 < COUNT(strengths)) {
            how = cleaned(strengths[i + 1], false);
            voice_input_configure(ear.in, &how);
        }
        ear_sound(&ear, NOISE, 1000);
        assert_int_equal(voice_input_commit(ear.in), i + 1);
        ear_await_outcomes(&ear, i + 1);
        double loud = level(&got, SAMPLES(1500), SAMPLES(2000));
        print_message("%d: %.1f dB\n", strengths[i], loud);
        if (i == 0)
            before = loud;
        assert_int_equal(got.len / sizeof(int16_t), SAMPLES(2000 + (strengths[i] ? DELAY_MS : 0)));
        assert_true(strengths[i] ? loud < before - 4 : fabs(loud - before) < 0.5);
        buf_clear(&got);
    }
    ear_close(&ear);
    buf_free(&got);
}

static void test_settings_count_from_the_next_utterance_on(void **state)
{
    (void)state;
    run_task(changes, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_the_library_it_is_as_it_came),
        cmocka_unit_test(test_recognition_hears_less_noise),
        cmocka_unit_test(test_a_commit_takes_the_end_along),
        cmocka_unit_test(test_what_was_cleared_is_not_heard),
        cmocka_unit_test(test_settings_count_from_the_next_utterance_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
