#include "speech/g711.h"

#define ULAW_BIAS 132 /* makes every segment of mu-law begin at a power of two */
#define ULAW_MAX  (32767 - ULAW_BIAS)
#define ALAW_FLIP 0x55 /* A-law goes over the wire with every other bit turned */

/* Place of the highest bit that is set. */
static int top_bit(unsigned value)
{
    int bit = 0;
    while (value >>= 1)
        bit++;
    return bit;
}

static int from_ulaw(uint8_t byte)
{
    unsigned bits = (uint8_t)~byte;
    int magnitude = (int)(((bits & 15u) << 3 | 0x84u) << (bits >> 4 & 7u)) - ULAW_BIAS;
    return bits & 0x80 ? -magnitude : magnitude;
}

static uint8_t to_ulaw(int sample)
{
    unsigned sign = sample < 0 ? 0x80 : 0;
    unsigned magnitude = (unsigned)MIN(sample < 0 ? -sample : sample, ULAW_MAX) + ULAW_BIAS;
    unsigned segment = (unsigned)top_bit(magnitude) - 7;
    return (uint8_t) ~(sign | segment << 4 | (magnitude >> (segment + 3) & 15u));
}

static int from_alaw(uint8_t byte)
{
    unsigned bits = byte ^ ALAW_FLIP, segment = bits >> 4 & 7u;
    unsigned step = (bits & 15u) << 4 | 8u;
    int magnitude = (int)(segment ? (step | 0x100u) << (segment - 1) : step);
    return bits & 0x80 ? magnitude : -magnitude;
}

static uint8_t to_alaw(int sample)
{
    unsigned sign = sample < 0 ? 0 : 0x80;
    unsigned magnitude = (unsigned)(sample < 0 ? -(sample + 1) : sample);
    unsigned segment = magnitude < 256 ? 0 : (unsigned)top_bit(magnitude) - 7;
    unsigned step = magnitude >> (segment ? segment + 3 : 4) & 15u;
    return (uint8_t)((sign | segment << 4 | step) ^ ALAW_FLIP);
}

int g711_decode(struct buf *out, struct str bytes, enum g711 law)
{
    uint8_t *to = (uint8_t *)buf_reserve(out, bytes.n * 2);
    if (!to)
        return -1;
    for (size_t i = 0; i < bytes.n; i++) {
        uint8_t byte = (uint8_t)bytes.p[i];
        unsigned sample = (unsigned)(law == G711_ULAW ? from_ulaw(byte) : from_alaw(byte));
        *to++ = (uint8_t)(sample & 0xFF);
        *to++ = (uint8_t)(sample >> 8 & 0xFF);
    }
    buf_commit(out, bytes.n * 2);
    return 0;
}

int g711_encode(struct buf *out, struct str pcm, enum g711 law)
{
    size_t n = pcm.n / 2;
    uint8_t *to = (uint8_t *)buf_reserve(out, n);
    const uint8_t *in = (const uint8_t *)pcm.p;
    if (!to)
        return -1;
    for (size_t i = 0; i < n; i++, in += 2) {
        int sample = (int16_t)(uint16_t)(in[0] | in[1] << 8);
        *to++ = law == G711_ULAW ? to_ulaw(sample) : to_alaw(sample);
    }
    buf_commit(out, n);
    return 0;
}
