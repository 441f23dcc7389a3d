#include "unit/support/unit.h"

#include "base/macros.h"
#include "base/mem.h"
#include "speech/resample.h"

#include <math.h>

/* A sine of 0.5 of full scale. */
static struct buf sine(unsigned rate, double hz, double seconds)
{
    struct buf pcm = BUF_INIT(MIB(16));
    for (size_t i = 0; i < (size_t)(rate * seconds); i++) {
        int16_t sample = (int16_t)lrint(16384 * sin(2 * M_PI * hz * (double)i / rate));
        assert_int_equal(buf_add(&pcm, &sample, sizeof sample), 0);
    }
    return pcm;
}

static int16_t sample_at(struct str pcm, size_t i)
{
    int16_t sample;
    memcpy(&sample, pcm.p + i * sizeof sample, sizeof sample);
    return sample;
}

/* In pieces of `piece` samples. */
static struct buf resample(unsigned from, unsigned to, struct str pcm, size_t piece)
{
    struct resampler *r = resampler_new(from, to);
    struct buf out = BUF_INIT(MIB(64));
    for (; pcm.n; pcm = str_from(pcm, 2 * piece))
        assert_int_equal(resampler_push(r, str_n(pcm.p, MIN(pcm.n, 2 * piece)), &out), 0);
    assert_int_equal(resampler_finish(r, &out), 0);
    resampler_free(r);
    return out;
}

/* Amplitude of the wave at hz in the middle of the PCM, and everything else that is there. */
static void measure(struct str pcm, unsigned rate, double hz, double *wave, double *rest)
{
    size_t n = pcm.n / 2, first = n / 5, last = n - first;
    double cc = 0, cs = 0, ss = 0, xc = 0, xs = 0;
    for (size_t i = first; i < last; i++) {
        double c = cos(2 * M_PI * hz * (double)i / rate), s = sin(2 * M_PI * hz * (double)i / rate);
        double x = sample_at(pcm, i);
        cc += c * c;
        cs += c * s;
        ss += s * s;
        xc += x * c;
        xs += x * s;
    }
    double determinant = cc * ss - cs * cs; /* least squares: x = a c + b s + rest */
    double a = (xc * ss - xs * cs) / determinant, b = (xs * cc - xc * cs) / determinant, sum = 0;
    for (size_t i = first; i < last; i++) {
        double w = 2 * M_PI * hz * (double)i / rate, left = sample_at(pcm, i) - a * cos(w) - b * sin(w);
        sum += left * left;
    }
    *wave = hypot(a, b);
    *rest = sqrt(2 * sum / (double)(last - first));
}

static double db(double amplitude)
{
    return 20 * log10(amplitude / 16384 + 1e-9);
}

static const unsigned rates[][2] = {{16000, 24000}, {24000, 16000}, {48000, 16000}, {44100, 16000}, {16000, 44100},
                                    {16000, 48000}, {8000, 16000},  {16000, 8000},  {11025, 16000}, {16000, 22050},
                                    {48000, 8000},  {8000, 48000},  {16001, 15999}};

static void test_waves_keep_their_pitch(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rates); i++)
        for (double share = 0.02; share < 0.42; share += 0.1) {
            double hz = share * MIN(rates[i][0], rates[i][1]), wave, rest;
            struct buf in = sine(rates[i][0], hz, 0.5), out = resample(rates[i][0], rates[i][1], buf_str(&in), 480);
            measure(buf_str(&out), rates[i][1], hz, &wave, &rest);
            if (fabs(db(wave)) > 0.1 || db(rest) > -70)
                fail_msg("%u to %u, %.0f Hz: %.2f dB, with %.1f dB of something else", rates[i][0], rates[i][1], hz,
                         db(wave), db(rest));
            buf_free(&in);
            buf_free(&out);
        }
}

static void test_what_does_not_fit_is_gone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rates); i++)
        for (double share = 1.01; share < 0.48 * rates[i][0] / (0.5 * rates[i][1]); share += 0.13) {
            double hz = share * rates[i][1] / 2, wave, rest;
            struct buf in = sine(rates[i][0], hz, 0.5), out = resample(rates[i][0], rates[i][1], buf_str(&in), 480);
            measure(buf_str(&out), rates[i][1], 100, &wave, &rest);
            if (db(rest) > -70 || db(wave) > -70)
                fail_msg("%u to %u: %.0f Hz comes out at %.1f dB", rates[i][0], rates[i][1], hz, db(rest));
            buf_free(&in);
            buf_free(&out);
        }
}

static void test_length_and_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 160, 1024, 5000};
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct buf in = sine(rates[i][0], 300, 0.1234);
        struct buf whole = resample(rates[i][0], rates[i][1], buf_str(&in), SIZE_MAX / 4);
        size_t n = in.len / 2;
        assert_int_equal(whole.len / 2, (n * rates[i][1] + rates[i][0] - 1) / rates[i][0]);
        for (size_t k = 0; k < COUNT(pieces); k++) {
            struct buf out = resample(rates[i][0], rates[i][1], buf_str(&in), pieces[k]);
            assert_int_equal(out.len, whole.len);
            assert_memory_equal(buf_str(&out).p, buf_str(&whole).p, whole.len);
            buf_free(&out);
        }
        buf_free(&in);
        buf_free(&whole);
    }
}

static void test_equal_rates_and_loud_edges(void **state)
{
    (void)state;
    struct buf in = sine(16000, 300, 0.05), out = resample(16000, 16000, buf_str(&in), 100);
    assert_int_equal(out.len, in.len);
    assert_memory_equal(buf_str(&out).p, buf_str(&in).p, in.len);
    buf_free(&in);
    buf_free(&out);
    /* A full-scale square wave overshoots when its band is limited: it must not wrap around. */
    struct buf square = BUF_INIT(KIB(64));
    for (int i = 0; i < 16000; i++) {
        int16_t sample = i / 40 % 2 ? INT16_MAX : INT16_MIN;
        buf_add(&square, &sample, sizeof sample);
    }
    out = resample(16000, 24000, buf_str(&square), 160);
    for (size_t i = 30; i + 30 < out.len / 2; i++) {
        int side = (i * 2 / 3) / 40 % 2 ? 1 : -1;
        if (i % 60 > 6 && i % 60 < 54)
            assert_true(sample_at(buf_str(&out), i) * side > 20000);
    }
    buf_free(&square);
    buf_free(&out);
}

static void test_again_and_ceiling(void **state)
{
    (void)state;
    struct buf in = sine(16000, 440, 0.1), first = BUF_INIT(MIB(1)), second = BUF_INIT(MIB(1));
    struct resampler *r = resampler_new(16000, 24000);
    resampler_push(r, buf_str(&in), &first);
    resampler_finish(r, &first);
    resampler_push(r, buf_str(&in), &second);
    resampler_finish(r, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(buf_str(&first).p, buf_str(&second).p, first.len);
    struct buf small = BUF_INIT(100);
    assert_int_equal(resampler_push(r, buf_str(&in), &small), -1);
    resampler_free(r);
    buf_free(&in);
    buf_free(&first);
    buf_free(&second);
    buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waves_keep_their_pitch), cmocka_unit_test(test_what_does_not_fit_is_gone),
        cmocka_unit_test(test_length_and_pieces),      cmocka_unit_test(test_equal_rates_and_loud_edges),
        cmocka_unit_test(test_again_and_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
