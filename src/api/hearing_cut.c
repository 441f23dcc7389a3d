#include "api/hearing_cut.h"

#define SILENCE_MS 500
#define SEARCH_MS  5000 /* at the end of what is too long, for the quietest moment */
#define MOMENT_MS  20
#define SILENT     50 /* root mean square of samples: what nobody hears, and recognizers make words of */

static const int16_t *samples_of(const struct hearing_cutter *c)
{
    return (const int16_t *)(const void *)buf_str(&c->pcm).p;
}

static size_t samples_in(const struct hearing_cutter *c, unsigned ms)
{
    return (size_t)c->config.rate * ms / 1000;
}

void hearing_cut_init(struct hearing_cutter *c, const struct hearing_cut_config *config)
{
    *c = (struct hearing_cutter){.config = *config, .pcm = BUF_INIT(SIZE_MAX)};
    vad_init(&c->vad, config->rate, &(struct vad_config){.threshold = 0.5, .silence_ms = SILENCE_MS});
}

void hearing_cut_free(struct hearing_cutter *c)
{
    buf_free(&c->pcm);
}

static void drop_handed(struct hearing_cutter *c)
{
    buf_consume(&c->pcm, c->handed * sizeof(int16_t));
    c->base += c->handed;
    c->looked -= c->handed;
    if (c->handed) {
        c->voice = vad_speaking(&c->vad);
        c->begin = c->end = c->base;
    }
    c->handed = 0;
}

void hearing_cut_add(struct hearing_cutter *c, struct str pcm)
{
    drop_handed(c);
    buf_str_add(&c->pcm, pcm);
}

uint64_t hearing_cut_ms(const struct hearing_cutter *c)
{
    return (c->base + c->pcm.len / sizeof(int16_t)) * 1000 / c->config.rate;
}

static uint64_t energy(const int16_t *samples, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (uint64_t)(samples[i] * samples[i]);
    return sum;
}

/* Samples up to the quietest moment near the end of the first n. */
static size_t quietest(const struct hearing_cutter *c, size_t n)
{
    size_t moment = samples_in(c, MOMENT_MS), search = MIN(samples_in(c, SEARCH_MS), n / 2), best = n;
    uint64_t least = UINT64_MAX;
    for (size_t at = n - search; at + moment <= n; at += moment) {
        uint64_t e = energy(samples_of(c) + at, moment);
        if (e < least) {
            least = e;
            best = at + moment / 2;
        }
    }
    return best;
}

static bool hand_out(struct hearing_cutter *c, size_t n, struct hearing_segment *segment)
{
    uint64_t stop = c->base + n;
    bool open = vad_speaking(&c->vad) || c->end <= c->begin || c->end > stop;
    uint64_t begin = c->voice ? c->begin : c->base, end = c->voice && !open ? c->end : stop;
    *segment =
        (struct hearing_segment){.pcm = str_n(buf_str(&c->pcm).p, n * sizeof(int16_t)),
                                 .start_ms = begin * 1000 / c->config.rate,
                                 .end_ms = end * 1000 / c->config.rate,
                                 .silent = !c->voice && energy(samples_of(c), n) < (uint64_t)SILENT * SILENT * n};
    c->handed = n;
    return true;
}

/* What the detector says about the samples up to `looked`. True at a pause that ends the segment. */
static bool follow(struct hearing_cutter *c, const struct vad_event *event)
{
    uint64_t silence = samples_in(c, SILENCE_MS);
    if (event->type == VAD_SPEECH_STARTED && !c->voice) {
        c->voice = true;
        c->begin = MAX(event->at, c->base);
    } else if (event->type == VAD_SPEECH_STOPPED) {
        c->end = event->at > silence ? event->at - silence : 0;
        return c->looked >= samples_in(c, c->config.min_ms);
    }
    return false;
}

bool hearing_cut_next(struct hearing_cutter *c, bool last, struct hearing_segment *segment)
{
    drop_handed(c);
    size_t there = c->pcm.len / sizeof(int16_t), most = samples_in(c, c->config.max_ms), end = MIN(there, most);
    while (c->looked < end) {
        struct vad_event event = {VAD_NONE, 0};
        c->looked += vad_push(&c->vad, samples_of(c) + c->looked, end - c->looked, &event);
        if (follow(c, &event))
            return hand_out(c, c->looked, segment);
    }
    if (there >= most)
        return hand_out(c, quietest(c, most), segment);
    return last && there > 0 && hand_out(c, there, segment);
}
