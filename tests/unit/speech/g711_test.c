/* G.711 against the tables of the standard and against itself. */
#include "unit/support/unit.h"

#include "speech/g711.h"

#include <math.h>

static int decode_one(uint8_t byte, enum g711 law)
{
    struct buf out = BUF_INIT(2);
    assert_int_equal(g711_decode(&out, str_n(&byte, 1), law), 0);
    int16_t sample;
    assert_int_equal(out.len, sizeof sample);
    memcpy(&sample, buf_str(&out).p, sizeof sample);
    buf_free(&out);
    return sample;
}

static uint8_t encode_one(int sample, enum g711 law)
{
    int16_t pcm = (int16_t)sample;
    struct buf out = BUF_INIT(1);
    assert_int_equal(g711_encode(&out, str_n(&pcm, sizeof pcm), law), 0);
    assert_int_equal(out.len, 1);
    uint8_t byte = (uint8_t)buf_str(&out).p[0];
    buf_free(&out);
    return byte;
}

static void known_values(void **state)
{
    (void)state;
    static const struct {
        enum g711 law;
        uint8_t byte;
        int sample;
    } cases[] = {
        {G711_ULAW, 0x00, -32124}, {G711_ULAW, 0x80, 32124}, {G711_ULAW, 0xFF, 0},     {G711_ULAW, 0x7F, 0},
        {G711_ULAW, 0xFE, 8},      {G711_ULAW, 0x7E, -8},    {G711_ULAW, 0xEF, 132},   {G711_ULAW, 0x8F, 16764},
        {G711_ALAW, 0xD5, 8},      {G711_ALAW, 0x55, -8},    {G711_ALAW, 0xAA, 32256}, {G711_ALAW, 0x2A, -32256},
        {G711_ALAW, 0xC5, 264},    {G711_ALAW, 0x80, 5504},  {G711_ALAW, 0x00, -5504},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (decode_one(cases[i].byte, cases[i].law) != cases[i].sample)
            fail_msg("case %zu: %d", i, decode_one(cases[i].byte, cases[i].law));
}

static void every_byte_comes_back(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        assert_int_equal(encode_one(decode_one((uint8_t)byte, G711_ALAW), G711_ALAW), byte);
        if (byte != 0x7F) /* zero again, with the other sign */
            assert_int_equal(encode_one(decode_one((uint8_t)byte, G711_ULAW), G711_ULAW), byte);
    }
}

/* No sample is further away than half a step of its segment; what is louder than the scale is its end. */
static void every_sample_is_near(void **state)
{
    (void)state;
    for (int sample = -32768; sample <= 32767; sample++) {
        for (int law = G711_ULAW; law <= G711_ALAW; law++) {
            int back = decode_one(encode_one(sample, (enum g711)law), (enum g711)law);
            int error = abs(back - sample), loud = abs(sample);
            if (error > MAX(loud / 31 + 8, loud - 32124))
                fail_msg("law %d: %d became %d", law, sample, back);
        }
    }
}

static void a_tone_stays_a_tone(void **state)
{
    (void)state;
    enum { N = 8000 };
    static int16_t pcm[N];
    for (int i = 0; i < N; i++)
        pcm[i] = (int16_t)lrint(8000 * sin(2 * 3.14159265358979 * 440 * i / N));
    for (int law = G711_ULAW; law <= G711_ALAW; law++) {
        struct buf coded = BUF_INIT(N), back = BUF_INIT(sizeof pcm);
        assert_int_equal(g711_encode(&coded, str_n(pcm, sizeof pcm), (enum g711)law), 0);
        assert_int_equal(g711_decode(&back, buf_str(&coded), (enum g711)law), 0);
        assert_int_equal(back.len, sizeof pcm);
        double signal = 0, noise = 0;
        for (int i = 0; i < N; i++) {
            int16_t sample;
            memcpy(&sample, buf_str(&back).p + 2 * i, 2);
            signal += (double)pcm[i] * pcm[i];
            noise += (double)(sample - pcm[i]) * (sample - pcm[i]);
        }
        assert_true(10 * log10(signal / noise) > 35);
        buf_free(&coded);
        buf_free(&back);
    }
}

static void ceilings_hold(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(3);
    assert_int_equal(g711_decode(&out, STR("ab"), G711_ULAW), -1);
    assert_int_equal(g711_encode(&out, STR("abcdefgh"), G711_ULAW), -1);
    assert_int_equal(out.len, 0);
    assert_int_equal(g711_decode(&out, STR(""), G711_ALAW), 0);
    assert_int_equal(g711_encode(&out, STR(""), G711_ALAW), 0);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),         cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(every_sample_is_near), cmocka_unit_test(a_tone_stays_a_tone),
        cmocka_unit_test(ceilings_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
