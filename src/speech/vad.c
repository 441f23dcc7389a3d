#include "speech/vad.h"

#include <math.h>
#include <string.h>

#define FRAME_MS       10
#define WINDOW_MS      32
#define LOW_RATE       8000 /* or a little more: the input's rate divided by a whole number */
#define PITCH_MIN_HZ   70   /* voices */
#define PITCH_MAX_HZ   400
#define BAND_FIRST_HZ  150.0f /* middles of the bands, evenly spaced on a logarithmic scale */
#define BAND_LAST_HZ   3300.0f
#define FULL_SCALE     (32768.0f * 32768.0f)
#define SILENT         (FULL_SCALE * 1e-7f) /* -70 dB: a band that is quieter counts as this loud */
#define NOISE_CAP      (FULL_SCALE * 1e-6f) /* the background is at most thought to be this loud at first … */
#define NOISE_CAP_RISE 1.26f /* … and so much louder with every frame, until it was heard for a while */
#define LEAST_FRAMES   80    /* the quietest moment is looked for over this many to twice as many */
#define PRESENT        4.0f  /* times the quietest moment: then something is there besides background */
#define MARGIN_DB      2.5f  /* by which the background itself goes up and down */
#define ONSET_FRAMES   6     /* score that begins speech: 1 per frame that sounds like it, -1 for another */

static void band_init(struct vad_band *band, float hz, float width, float rate)
{
    const float pi = 3.14159265f;
    float w = 2 * pi * hz / rate, alpha = sinf(w) * sinhf(logf(2) / 2 * width * w / sinf(w));
    *band =
        (struct vad_band){.b = alpha / (1 + alpha), .a1 = -2 * cosf(w) / (1 + alpha), .a2 = (1 - alpha) / (1 + alpha)};
}

void vad_configure(struct vad *v, const struct vad_config *config)
{
    v->config = config ? *config : VAD_DEFAULTS;
    if (!(v->config.threshold > 0))
        v->config.threshold = 0.5;
    v->config.silence_ms = MAX(v->config.silence_ms, 2u * FRAME_MS);
}

void vad_init(struct vad *v, unsigned rate, const struct vad_config *config)
{
    memset(v, 0, sizeof *v);
    vad_configure(v, config);
    v->rate = rate;
    v->frame = rate * FRAME_MS / 1000;
    v->factor = MAX(rate / LOW_RATE, 1u);
    v->span = MIN(rate / v->factor * WINDOW_MS / 1000, (unsigned)VAD_WINDOW);
    float octaves = log2f(BAND_LAST_HZ / BAND_FIRST_HZ) / (VAD_BANDS - 1), low_rate = (float)rate / (float)v->factor;
    for (int i = 0; i < VAD_BANDS; i++)
        band_init(&v->bands[i], BAND_FIRST_HZ * exp2f(octaves * (float)i), octaves, low_rate);
}

/* Two zeros at 0 Hz: takes away offset, hum and rumble. */
static float high_pass(struct vad *v, float x)
{
    for (int i = 0; i < 2; i++) {
        float y = x - v->high_x[i] + 0.93f * v->high_y[i];
        v->high_x[i] = x;
        v->high_y[i] = y;
        x = y;
    }
    return x;
}

/* Moves the frame's samples into the window. */
static void window_shift(struct vad *v)
{
    memmove(v->window, v->window + v->nfresh, (v->span - v->nfresh) * sizeof *v->window);
    memcpy(v->window + v->span - v->nfresh, v->fresh, v->nfresh * sizeof *v->fresh);
    v->fill = MIN(v->fill + v->nfresh, v->span);
}

/* The strongest resemblance of the window to itself a pitch period later, 0 to 1. */
static float periodicity(const struct vad *v)
{
    unsigned rate = v->rate / v->factor;
    unsigned shortest = rate / PITCH_MAX_HZ, longest = MIN(rate / PITCH_MIN_HZ, v->span / 2);
    unsigned n = v->span - longest;
    const float *late = v->window + longest;
    float best = 0, own = 1e-9f;
    for (unsigned i = 0; i < n; i++)
        own += late[i] * late[i];
    for (unsigned lag = shortest; lag <= longest; lag++) {
        const float *early = late - lag;
        float product = 0, other = 1e-9f;
        for (unsigned i = 0; i < n; i++) {
            product += late[i] * early[i];
            other += early[i] * early[i];
        }
        best = MAX(best, product / sqrtf(own * other));
    }
    return best;
}

/* The background of a band: its mean over the frames that are not much louder than its quietest moment of late. */
static void band_noise(struct vad *v, struct vad_band *band)
{
    if (v->frames == 1) {
        band->slow = band->least = band->next_least = band->power;
        band->noise = MIN(band->power, NOISE_CAP);
    }
    band->slow = 0.8f * band->slow + 0.2f * band->power;
    band->least = MIN(band->least, band->slow);
    band->next_least = MIN(band->next_least, band->slow);
    if (v->frames % LEAST_FRAMES == 0) {
        band->least = MIN(band->next_least, band->slow);
        band->next_least = band->slow;
    }
    band->presence = 0.2f * band->presence + (band->slow > PRESENT * band->least ? 0.8f : 0);
    float keep = MIN(0.95f, 1 - 1 / (float)(v->frames + 1));
    keep += (1 - keep) * band->presence;
    band->noise = keep * band->noise + (1 - keep) * band->power;
    if (v->frames < 40)
        band->noise = MIN(band->noise, NOISE_CAP * powf(NOISE_CAP_RISE, (float)v->frames));
}

/* How much louder than the background the bands are, on average, dB. */
static float above_background(struct vad *v)
{
    float above = 0;
    for (int i = 0; i < VAD_BANDS; i++) {
        struct vad_band *band = &v->bands[i];
        float sum = 0;
        for (unsigned k = 0; k < v->nfresh; k++) {
            float x = v->fresh[k], y = band->b * (x - band->x2) - band->a1 * band->y1 - band->a2 * band->y2;
            band->x2 = band->x1;
            band->x1 = x;
            band->y2 = band->y1;
            band->y1 = y;
            sum += y * y;
        }
        band->power = 0.5f * band->power + 0.5f * MAX(sum / (float)v->nfresh, SILENT);
        band_noise(v, band);
        float db = 10 * log10f(band->power / MAX(band->noise, SILENT)) - MARGIN_DB;
        above += db < 0 ? 0 : MIN(db, 15.0f);
    }
    return above / VAD_BANDS;
}

static float clamp01(float x)
{
    return x < 0 ? 0 : MIN(x, 1.0f);
}

/* Looks at the frame that just became complete. */
static void frame_look(struct vad *v)
{
    v->frames++;
    v->above = 0.4f * v->above + 0.6f * above_background(v);
    float loud = v->above / (v->above + 1.5f);
    float voiced = loud > 0.2f ? clamp01((periodicity(v) - 0.4f) / 0.3f) : 0;
    v->voiced = voiced > v->voiced ? 0.5f * v->voiced + 0.5f * voiced : 0.95f * v->voiced;
    v->probability = sqrtf(loud * (v->speaking ? 0.5f + 0.5f * v->voiced : v->voiced));
}

void vad_end(struct vad *v)
{
    v->stopped_at = v->pushed;
    v->speaking = false;
    v->onset = 0;
}

static void decide(struct vad *v, struct vad_event *event)
{
    bool speech = v->probability >= (float)v->config.threshold * (v->speaking ? 0.6f : 1);
    if (!v->speaking) {
        v->onset = speech ? v->onset + 1 : v->onset ? v->onset - 1 : 0;
        if (v->onset < ONSET_FRAMES)
            return;
        uint64_t back = (uint64_t)v->rate * (v->config.prefix_padding_ms + ONSET_FRAMES * FRAME_MS) / 1000;
        uint64_t at = v->pushed > back ? v->pushed - back : 0;
        *event = (struct vad_event){VAD_SPEECH_STARTED, MAX(at, v->stopped_at)};
        v->speaking = true;
        v->quiet_ms = 0;
        return;
    }
    v->quiet_ms = speech ? 0 : v->quiet_ms + FRAME_MS;
    if (v->quiet_ms < v->config.silence_ms)
        return;
    *event = (struct vad_event){VAD_SPEECH_STOPPED, v->pushed};
    vad_end(v);
}

size_t vad_push(struct vad *v, const int16_t *samples, size_t n, struct vad_event *event)
{
    event->type = VAD_NONE;
    for (size_t i = 0; i < n; i++) {
        v->pushed++;
        v->sum += (float)samples[i];
        if (++v->phase == v->factor) {
            v->fresh[v->nfresh++] = high_pass(v, v->sum / (float)v->factor);
            v->sum = 0;
            v->phase = 0;
        }
        if (v->pushed % v->frame != 0)
            continue;
        window_shift(v);
        if (v->fill == v->span) {
            frame_look(v);
            decide(v, event);
        }
        v->nfresh = 0;
        if (event->type != VAD_NONE)
            return i + 1;
    }
    return n;
}
