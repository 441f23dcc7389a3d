#include "unit/support/child.h"
#include "unit/support/unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "speech/clean.h"
#include "speech/local/flite.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#define RATE 16000

/* ---- sound ---- */

struct sound {
    int16_t *samples;
    size_t n, from, to; /* of which the voice is in from … to */
};

static double white(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(int32_t)(*seed >> 32) / 2147483648.0;
}

static struct sound silence(unsigned rate, unsigned ms)
{
    size_t n = (size_t)rate * ms / 1000;
    return (struct sound){.samples = mem_zalloc(n * sizeof(int16_t)), .n = n};
}

static void add_noise(struct sound *s, double loud)
{
    uint64_t seed = 1;
    for (size_t i = 0; i < s->n; i++)
        s->samples[i] = (int16_t)lrint(s->samples[i] + white(&seed) * loud);
}

/* 2 s without anything, a sentence three times, 1 s. */
static struct sound speech(double gain)
{
    static const char text[] = "hello how are you today. what time does the store open tomorrow.";
    struct buf spoken = BUF_INIT(MIB(4));
    struct err e = {0};
    if (flite_load(NULL, VOICE_SLT, &e) < 0 || flite_speak(VOICE_SLT, text, 1, &spoken, &e) < 0)
        fail_msg("%s", e.text);
    size_t n = spoken.len / sizeof(int16_t);
    struct sound s = silence(RATE, 3000 + (unsigned)(3 * n * 1000 / RATE) + 1);
    s.from = 2 * RATE;
    s.to = s.from + 3 * n;
    for (size_t i = 0; i < 3 * n; i++) {
        int16_t sample;
        memcpy(&sample, buf_str(&spoken).p + i % n * sizeof sample, sizeof sample);
        s.samples[s.from + i] = (int16_t)lrint(sample * gain);
    }
    buf_free(&spoken);
    return s;
}

static double level(const struct sound *s, size_t from, size_t to)
{
    double power = 1e-9;
    for (size_t i = from; i < to; i++)
        power += (double)s->samples[i] * s->samples[i];
    return 10 * log10(power / (double)(to - from));
}

static void clean(struct sound *s, enum clean_strength strength, unsigned rate)
{
    struct clean *c = clean_new(strength, rate);
    assert_non_null(c);
    clean_push(c, s->samples, s->n);
    clean_free(c);
}

static struct sound copy(const struct sound *s)
{
    struct sound to = *s;
    to.samples = mem_alloc(s->n * sizeof *s->samples);
    memcpy(to.samples, s->samples, s->n * sizeof *s->samples);
    return to;
}

/* ---- what becomes of it ---- */

/* Noise is measured behind the speech, and beside it: whatever the gain, there is more between the two. */
static void test_noise_goes_and_speech_stays(void **state)
{
    static const struct {
        enum clean_strength strength;
        double less, speech;
    } cases[] = {{CLEAN_NEAR, 12, 2}, {CLEAN_FAR, 20, 2}};
    struct sound noisy = speech(1);
    (void)state;
    add_noise(&noisy, 300);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sound cleaned = copy(&noisy);
        clean(&cleaned, cases[i].strength, RATE);
        size_t behind = noisy.n - RATE * 7 / 10;
        double noise = level(&cleaned, behind, noisy.n) - level(&noisy, behind, noisy.n);
        double voice = level(&cleaned, noisy.from, noisy.to) - level(&noisy, noisy.from, noisy.to);
        print_message("noise %+.1f dB, speech %+.1f dB\n", noise, voice);
        assert_true(voice - noise >= cases[i].less);
        assert_true(fabs(voice) <= cases[i].speech);
        free(cleaned.samples);
    }
    free(noisy.samples);
}

/* What is quiet is raised as far as allowed, what is loud is not, and neither while it is heard. */
static void test_a_quiet_voice_is_raised(void **state)
{
    static const struct {
        double gain, near, far; /* dB */
    } cases[] = {{0.0316, 20, 30}, {0.1, 20, 21}, {1, 1, 1}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sound quiet = speech(cases[i].gain);
        add_noise(&quiet, 3);
        struct sound near = copy(&quiet), far = copy(&quiet);
        clean(&near, CLEAN_NEAR, RATE);
        clean(&far, CLEAN_FAR, RATE);
        size_t third = (quiet.to - quiet.from) / 3;
        double before = level(&quiet, quiet.from, quiet.from + third);
        double after_near = level(&near, quiet.from, quiet.from + third) - before;
        double after_far = level(&far, quiet.from, quiet.from + third) - before;
        double later = level(&far, quiet.to - third, quiet.to) - before;
        print_message("%.1f dB: near %+.1f, far %+.1f, then %+.1f\n", before, after_near, after_far, later);
        free(quiet.samples);
        free(near.samples);
        free(far.samples);
        assert_true(fabs(after_near - cases[i].near) < 2);
        assert_true(fabs(after_far - cases[i].far) < 2);
        assert_true(fabs(later - after_far) < 2);
    }
}

static void test_silence_stays_silence(void **state)
{
    (void)state;
    for (int strength = CLEAN_NEAR; strength <= CLEAN_FAR; strength++) {
        struct sound s = silence(RATE, 5000);
        clean(&s, (enum clean_strength)strength, RATE);
        for (size_t i = 0; i < s.n; i++)
            assert_in_range(s.samples[i] + 1, 0, 2);
        free(s.samples);
    }
}

/* Nothing overflows, however loud it is. */
static void test_the_loudest_sound(void **state)
{
    struct sound s = silence(RATE, 3000), square = silence(RATE, 3000);
    (void)state;
    add_noise(&s, 32767);
    for (size_t i = 0; i < square.n; i++)
        square.samples[i] = i / 37 % 2 ? 32767 : -32768;
    clean(&s, CLEAN_FAR, RATE);
    clean(&square, CLEAN_FAR, RATE);
    free(s.samples);
    free(square.samples);
}

/* ---- the stream ---- */

static void test_slices_make_no_difference(void **state)
{
    static const size_t sizes[] = {1, 7, 160, 319, 320, 321, 640, 5000};
    struct sound whole = speech(0.3), sliced = copy(&whole);
    (void)state;
    add_noise(&whole, 100);
    memcpy(sliced.samples, whole.samples, whole.n * sizeof *whole.samples);
    clean(&whole, CLEAN_FAR, RATE);
    struct clean *c = clean_new(CLEAN_FAR, RATE);
    for (size_t at = 0, i = 0; at < sliced.n; i++) {
        size_t n = MIN(sizes[i % COUNT(sizes)], sliced.n - at);
        clean_push(c, sliced.samples + at, n);
        at += n;
    }
    clean_free(c);
    assert_memory_equal(whole.samples, sliced.samples, whole.n * sizeof *whole.samples);
    free(whole.samples);
    free(sliced.samples);
}

/* Where a buzz begins in it. */
static size_t first_loud(const struct sound *s)
{
    size_t i = 0;
    while (i < s->n && abs(s->samples[i]) < 4000)
        i++;
    return i;
}

static void add_buzz(struct sound *s, size_t from, size_t to, size_t period)
{
    for (size_t i = from; i < to; i++)
        s->samples[i] = (int16_t)(12000 * ((double)((i - from) % period) / (double)period * 2 - 1));
}

static void test_rates_and_their_delay(void **state)
{
    static const unsigned rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 47999, 48000};
    (void)state;
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct sound s = silence(rates[i], 2000);
        struct clean *c = clean_new(CLEAN_NEAR, rates[i]);
        size_t delay = clean_delay(c);
        assert_in_range(delay, rates[i] / 26 - 32, rates[i] / 25);
        assert_true(delay <= CLEAN_DELAY_MAX);
        add_buzz(&s, rates[i], s.n, rates[i] / 150);
        clean_push(c, s.samples, s.n);
        size_t at = first_loud(&s);
        print_message("%u Hz: %zu samples late, said to be %zu\n", rates[i], at - rates[i], delay);
        assert_in_range(at, rates[i] + delay - rates[i] / 200, rates[i] + delay + rates[i] / 200);
        clean_free(c);
        free(s.samples);
    }
}

/* What was flushed is the end of what was said; nothing of it comes again. */
static void test_flush(void **state)
{
    struct sound s = silence(RATE, 2000);
    int16_t end[CLEAN_DELAY_MAX];
    (void)state;
    for (int odd = 0; odd < 2; odd++) {
        struct clean *c = clean_new(CLEAN_NEAR, RATE);
        size_t n = s.n - (odd ? 123 : 0), delay = clean_delay(c);
        memset(s.samples, 0, s.n * sizeof *s.samples);
        add_buzz(&s, n - delay, n, RATE / 150);
        clean_push(c, s.samples, n);
        struct sound rest = {.samples = end, .n = delay};
        clean_flush(c, end);
        assert_true(level(&rest, 0, delay) > level(&s, 0, n) + 20);
        struct sound after = silence(RATE, 100);
        clean_push(c, after.samples, after.n);
        for (size_t i = 0; i < delay; i++)
            assert_int_equal(after.samples[i], 0);
        free(after.samples);
        clean_free(c);
    }
    free(s.samples);
}

static struct sound shared; /* what all threads clean a copy of */

static void *clean_copy(void *arg)
{
    struct sound *mine = arg;
    for (int i = 0; i < 3; i++) {
        free(mine->samples);
        *mine = copy(&shared);
        clean(mine, CLEAN_FAR, RATE);
    }
    return NULL;
}

static void test_threads_do_not_meet(void **state)
{
    struct sound copies[4] = {0};
    pthread_t threads[COUNT(copies)];
    (void)state;
    shared = silence(RATE, 2000);
    add_noise(&shared, 400);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, clean_copy, &copies[i]), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < COUNT(copies); i++) {
        assert_memory_equal(copies[i].samples, copies[0].samples, shared.n * sizeof(int16_t));
        if (i)
            free(copies[i].samples);
    }
    free(copies[0].samples);
    free(shared.samples);
}

static void test_none(void **state)
{
    int16_t samples[] = {1, -2, 3};
    (void)state;
    assert_null(clean_new(CLEAN_NONE, RATE));
    clean_push(NULL, samples, COUNT(samples));
    clean_flush(NULL, samples);
    assert_int_equal(clean_delay(NULL), 0);
    assert_int_equal(samples[0] * samples[1] * samples[2], -6);
    assert_null(clean_free(NULL));
}

/* ---- no library ---- */

static void without_library(void)
{
    bool loaded = clean_load("/nowhere");
    for (int i = 0; i < 5; i++)
        loaded = loaded || clean_new(CLEAN_FAR, RATE);
    if (loaded)
        _exit(1);
}

/* First of all: what is loaded stays. */
static void test_a_missing_library(void **state)
{
    struct child child;
    (void)state;
    child_run(&child, without_library);
    assert_true(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 0);
    char *first = strstr(child.err, "library_missing");
    assert_non_null(first);
    assert_non_null(strstr(child.err, "libspeexdsp.so.1"));
    assert_null(strstr(first + 1, "library_missing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_missing_library),
        cmocka_unit_test(test_threads_do_not_meet),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_noise_goes_and_speech_stays),
        cmocka_unit_test(test_a_quiet_voice_is_raised),
        cmocka_unit_test(test_silence_stays_silence),
        cmocka_unit_test(test_the_loudest_sound),
        cmocka_unit_test(test_slices_make_no_difference),
        cmocka_unit_test(test_rates_and_their_delay),
        cmocka_unit_test(test_flush),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
