/* Voice activity and another sample rate: the first 6 bytes choose rates and settings, the rest is audio. Events take
 * turns and go forwards, and do not depend on how the audio is cut; nor does what the resampler makes of it. */
#include "fuzz.h"

#include "speech/resample.h"
#include "speech/vad.h"

#define EVENTS_MAX 256

struct events {
    size_t n;
    struct vad_event all[EVENTS_MAX];
};

static void watch(struct str audio, unsigned rate, const struct vad_config *config, size_t piece, struct events *events)
{
    struct vad v;
    uint64_t pushed = 0;
    vad_init(&v, rate, config);
    events->n = 0;
    while (audio.n) {
        struct vad_event event;
        struct str part = fuzz_piece(&audio, 2 * piece);
        for (size_t at = 0, n = part.n / 2; at < n;) {
            size_t taken = vad_push(&v, (const int16_t *)(const void *)part.p + at, n - at, &event);
            at += taken;
            pushed += taken;
            CHECK(taken > 0 && at <= n);
            CHECK(event.type != VAD_NONE || at == n);
            if (event.type == VAD_NONE)
                continue;
            CHECK(event.at <= pushed);
            CHECK((event.type == VAD_SPEECH_STARTED) == vad_speaking(&v));
            if (events->n < EVENTS_MAX)
                events->all[events->n++] = event;
        }
        free((void *)(uintptr_t)part.p);
    }
}

static void resample(struct str audio, unsigned from, unsigned to, size_t piece, struct buf *out)
{
    struct resampler *r = resampler_new(from, to);
    while (audio.n) {
        struct str part = fuzz_piece(&audio, 2 * piece);
        CHECK(resampler_push(r, part, out) == 0);
        free((void *)(uintptr_t)part.p);
    }
    CHECK(resampler_finish(r, out) == 0);
    resampler_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct events whole, cut;
    if (size < 6 || size > KIB(32))
        return 0;
    unsigned from = 8000 + data[0] * 157u, to = 8000 + data[1] * 157u;
    size_t piece = 1 + data[2];
    struct vad_config config = {data[3] / 255.0, data[4] * 4u, data[5] * 8u};
    struct str audio = str_n(data + 6, (size - 6) & ~(size_t)1);
    watch(audio, from, &config, SIZE_MAX / 2, &whole);
    watch(audio, from, &config, piece, &cut);
    CHECK(whole.n == cut.n);
    for (size_t i = 0; i < whole.n; i++) {
        CHECK(whole.all[i].type == (i % 2 ? VAD_SPEECH_STOPPED : VAD_SPEECH_STARTED));
        CHECK(whole.all[i].type == cut.all[i].type && whole.all[i].at == cut.all[i].at);
        CHECK(i == 0 || whole.all[i].at >= whole.all[i - 1].at);
    }
    struct buf all = BUF_INIT(MIB(1)), pieces = BUF_INIT(MIB(1));
    resample(audio, from, to, SIZE_MAX / 2, &all);
    resample(audio, from, to, piece, &pieces);
    CHECK(from == to || all.len / 2 == (audio.n / 2 * to + from - 1) / from);
    CHECK(str_eq(buf_str(&all), buf_str(&pieces)));
    buf_free(&all);
    buf_free(&pieces);
    return 0;
}
