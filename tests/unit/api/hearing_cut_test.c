/* Long audio in segments: at pauses, at the quietest moment, and never a sample lost. */
#include "unit/support/unit.h"

#include "api/hearing_cut.h"

#include <math.h>
#include <stdlib.h>

#define RATE 16000

static struct hearing_cutter cutter;
static struct hearing_segment segment;

static void begin(unsigned min_ms, unsigned max_ms)
{
    hearing_cut_init(&cutter, &(struct hearing_cut_config){.rate = RATE, .min_ms = min_ms, .max_ms = max_ms});
}

/* Something with the pulse of a voice: harmonics of 120 Hz that come and go like syllables. */
static void put_voice(struct buf *out, double seconds, double level)
{
    for (size_t i = 0; i < (size_t)(RATE * seconds); i++) {
        double t = (double)i / RATE, sum = 0, envelope = 0.6 + 0.4 * sin(2 * M_PI * 4 * t);
        for (int k = 1; k < 20; k++)
            sum += sin(2 * M_PI * 120 * k * t) / k;
        int16_t sample = (int16_t)(level * envelope * sum);
        buf_add(out, &sample, sizeof sample);
    }
}

static void put_silence(struct buf *out, double seconds)
{
    put_voice(out, seconds, 0);
}

/* Hands over pieces of odd sizes; how many segments came before the end, and the sum of all. */
static size_t run(struct str pcm, size_t *bytes)
{
    size_t n = 0;
    *bytes = 0;
    while (pcm.n > 0) {
        size_t piece = MIN(pcm.n, (size_t)1001);
        hearing_cut_add(&cutter, str_n(pcm.p, piece));
        pcm = str_from(pcm, piece);
        while (hearing_cut_next(&cutter, false, &segment)) {
            n++;
            *bytes += segment.pcm.n;
        }
    }
    return n;
}

static void a_pause_ends_a_segment(void **state)
{
    (void)state;
    struct buf pcm = BUF_INIT(MIB(4));
    size_t bytes;
    put_silence(&pcm, 1);
    put_voice(&pcm, 3, 3000);
    put_silence(&pcm, 2);
    put_voice(&pcm, 2, 3000);
    put_silence(&pcm, 0.1);
    begin(1000, 20000);
    assert_int_equal(run(buf_str(&pcm), &bytes), 1);
    assert_true(hearing_cut_next(&cutter, true, &segment));
    assert_false(segment.silent);
    assert_int_equal(segment.end_ms, 8100);
    assert_true(segment.start_ms > 5500 && segment.start_ms < 6300);
    assert_int_equal(bytes + segment.pcm.n, pcm.len);
    assert_false(hearing_cut_next(&cutter, true, &segment));
    assert_int_equal(hearing_cut_ms(&cutter), 8100);
    hearing_cut_free(&cutter);
    buf_free(&pcm);
}

static void times_are_those_of_the_voice(void **state)
{
    (void)state;
    struct buf pcm = BUF_INIT(MIB(4));
    put_silence(&pcm, 1);
    put_voice(&pcm, 3, 3000);
    put_silence(&pcm, 2);
    begin(1000, 20000);
    hearing_cut_add(&cutter, buf_str(&pcm));
    assert_true(hearing_cut_next(&cutter, false, &segment));
    if (segment.start_ms < 700 || segment.start_ms > 1300 || segment.end_ms < 3700 || segment.end_ms > 4400)
        fail_msg("%d to %d ms", (int)segment.start_ms, (int)segment.end_ms);
    assert_false(segment.silent);
    assert_false(hearing_cut_next(&cutter, false, &segment));
    assert_true(hearing_cut_next(&cutter, true, &segment));
    assert_true(segment.silent);
    hearing_cut_free(&cutter);
    buf_free(&pcm);
}

static void a_short_segment_goes_on(void **state)
{
    (void)state;
    struct buf pcm = BUF_INIT(MIB(4));
    size_t bytes;
    for (int i = 0; i < 3; i++) {
        put_voice(&pcm, 2, 3000);
        put_silence(&pcm, 1);
    }
    begin(20000, 50000);
    assert_int_equal(run(buf_str(&pcm), &bytes), 0);
    assert_true(hearing_cut_next(&cutter, true, &segment));
    assert_int_equal(segment.pcm.n, pcm.len);
    hearing_cut_free(&cutter);
    buf_free(&pcm);
}

static void without_a_pause_the_quietest_moment(void **state)
{
    (void)state;
    struct buf pcm = BUF_INIT(MIB(4));
    size_t bytes;
    put_voice(&pcm, 8, 3000);
    put_silence(&pcm, 0.1);
    put_voice(&pcm, 8, 3000);
    begin(5000, 10000);
    assert_int_equal(run(buf_str(&pcm), &bytes), 1);
    double at = (double)bytes / sizeof(int16_t) / RATE;
    if (at < 8 || at > 8.1)
        fail_msg("cut at %.3f s", at);
    assert_true(hearing_cut_next(&cutter, true, &segment));
    assert_int_equal(bytes + segment.pcm.n, pcm.len);
    assert_int_equal(segment.start_ms, (int)(at * 1000));
    assert_false(segment.silent);
    hearing_cut_free(&cutter);
    buf_free(&pcm);
}

static void no_voice_is_no_silence(void **state)
{
    (void)state;
    struct buf pcm = BUF_INIT(MIB(4));
    begin(1000, 2000);
    for (int i = 0; i < RATE * 5; i++) {
        int16_t sample = (int16_t)(8000 * sin(2 * M_PI * 440 * i / RATE));
        buf_add(&pcm, &sample, sizeof sample);
    }
    size_t bytes, n = run(buf_str(&pcm), &bytes);
    assert_true(n >= 2);
    assert_true(hearing_cut_next(&cutter, true, &segment));
    assert_false(segment.silent);
    assert_int_equal(bytes + segment.pcm.n, pcm.len);
    hearing_cut_free(&cutter);
    buf_free(&pcm);
}

static void nothing_and_half_a_sample(void **state)
{
    (void)state;
    begin(1000, 2000);
    assert_false(hearing_cut_next(&cutter, true, &segment));
    hearing_cut_add(&cutter, STR("x"));
    assert_false(hearing_cut_next(&cutter, true, &segment));
    assert_int_equal(hearing_cut_ms(&cutter), 0);
    hearing_cut_free(&cutter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pause_ends_a_segment),  cmocka_unit_test(times_are_those_of_the_voice),
        cmocka_unit_test(a_short_segment_goes_on), cmocka_unit_test(without_a_pause_the_quietest_moment),
        cmocka_unit_test(no_voice_is_no_silence),  cmocka_unit_test(nothing_and_half_a_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
