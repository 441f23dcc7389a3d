#include "speech/resample.h"

#include "base/mem.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#define CROSSINGS 32     /* zero crossings of the sinc on either side */
#define STEPS     256    /* table entries from one to the next; between entries, a straight line */
#define ROLL_OFF  0.925f /* the filter's middle, of the lower rate's half: its slope ends where aliases begin */
#define BETA      7.4    /* of the Kaiser window: 75 dB */
#define BLOCK     1024   /* samples taken in at a time */

/* One side of the windowed sinc; the same for all rates, which stretch it. */
static float sinc[CROSSINGS * STEPS + 2];
static pthread_once_t sinc_made = PTHREAD_ONCE_INIT;

/* Modified Bessel function of the first kind, order 0. */
static double bessel(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 40; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

static void make_sinc(void)
{
    sinc[0] = 1;
    for (int i = 1; i < CROSSINGS * STEPS; i++) {
        double x = M_PI * i / STEPS, edge = (double)i / (CROSSINGS * STEPS);
        sinc[i] = (float)(sin(x) / x * bessel(BETA * sqrt(1 - edge * edge)) / bessel(BETA));
    }
}

struct resampler {
    unsigned from, to;
    float scale;    /* of the sinc: crossings per sample of input */
    unsigned reach; /* samples of input on either side that count */
    uint64_t taken, given;
    /* The next sample out lies at input[at] plus part / to. */
    unsigned at, part;
    unsigned n;
    float input[];
};

static void begin(struct resampler *r)
{
    r->taken = r->given = 0;
    r->part = 0;
    r->at = r->n = r->reach;
    for (unsigned i = 0; i < r->n; i++)
        r->input[i] = 0; /* before the first sample */
}

struct resampler *resampler_new(unsigned from, unsigned to)
{
    pthread_once(&sinc_made, make_sinc);
    float scale = ROLL_OFF * MIN(1.0f, (float)to / (float)from);
    unsigned reach = (unsigned)ceilf(CROSSINGS / scale) + 1;
    struct resampler *r = mem_alloc(sizeof *r + (2 * reach + BLOCK) * sizeof *r->input);
    *r = (struct resampler){.from = from, .to = to, .scale = scale, .reach = reach};
    begin(r);
    return r;
}

/* The part of the sum on one side: `distance` samples from the nearest to the middle, then outwards by `step`. */
static float wing(const struct resampler *r, const float *nearest, ptrdiff_t step, float distance)
{
    float sum = 0, along = r->scale * STEPS, x = distance * along;
    while (x < CROSSINGS * STEPS) {
        int i = (int)x;
        sum += *nearest * (sinc[i] + (x - (float)i) * (sinc[i + 1] - sinc[i]));
        nearest += step;
        x += along;
    }
    return sum;
}

static int16_t to_sample(float x)
{
    return x >= 32767 ? 32767 : x <= -32768 ? -32768 : (int16_t)lrintf(x);
}

/* Tells the samples for which all input is there; at the end of the stream, no more than are due. */
static int tell(struct resampler *r, struct buf *out, bool end)
{
    while (r->at + r->reach < r->n && (!end || r->given * r->from < r->taken * r->to)) {
        float part = (float)r->part / (float)r->to;
        float sum = wing(r, r->input + r->at, -1, part) + wing(r, r->input + r->at + 1, 1, 1 - part);
        int16_t sample = to_sample(sum * r->scale);
        if (buf_add(out, &sample, sizeof sample) < 0)
            return -1;
        r->given++;
        r->part += r->from;
        r->at += r->part / r->to;
        r->part %= r->to;
    }
    return 0;
}

/* Drops the input that no sample to come needs. */
static void shift(struct resampler *r)
{
    unsigned old = r->at > r->reach ? MIN(r->at - r->reach, r->n) : 0;
    memmove(r->input, r->input + old, (r->n - old) * sizeof *r->input);
    r->n -= old;
    r->at -= old;
}

int resampler_push(struct resampler *r, struct str pcm, struct buf *out)
{
    if (r->from == r->to)
        return buf_str_add(out, pcm);
    for (size_t n = pcm.n / sizeof(int16_t), i = 0; i < n;) {
        for (unsigned taken = 0; taken < BLOCK && i < n; taken++, i++) {
            int16_t sample;
            memcpy(&sample, pcm.p + i * sizeof sample, sizeof sample);
            r->input[r->n++] = (float)sample;
            r->taken++;
        }
        if (tell(r, out, false) < 0)
            return -1;
        shift(r);
    }
    return 0;
}

int resampler_finish(struct resampler *r, struct buf *out)
{
    for (unsigned i = 0; i <= r->reach; i++)
        r->input[r->n++] = 0; /* behind the last sample */
    int result = tell(r, out, true);
    begin(r);
    return result;
}

struct resampler *resampler_free(struct resampler *r)
{
    free(r);
    return NULL;
}
