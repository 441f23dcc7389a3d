#include "unit/support/unit.h"

#include "base/buf.h"
#include "speech/local/flite.h"
#include "speech/vad.h"

#include <math.h>

#define RATE 16000

/* ---- sound, made the same way each time ---- */

struct noise {
    uint64_t seed;
    double slow[3];
};

/* Evenly spread between -1 and 1, variance 1/3. */
static double white(struct noise *n)
{
    n->seed = n->seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(int32_t)(n->seed >> 32) / 2147483648.0;
}

/* Less of it the higher it is, like most that hums and rushes in a room. */
static double pink(struct noise *n)
{
    double x = white(n);
    n->slow[0] = 0.99765 * n->slow[0] + x * 0.0990460;
    n->slow[1] = 0.96300 * n->slow[1] + x * 0.2965164;
    n->slow[2] = 0.57000 * n->slow[2] + x * 1.0526913;
    return (n->slow[0] + n->slow[1] + n->slow[2] + x * 0.1848) / 1.4;
}

static void add_sample(struct buf *pcm, double x)
{
    int16_t sample = x > 32767 ? 32767 : x < -32768 ? -32768 : (int16_t)lrint(x);
    assert_int_equal(buf_add(pcm, &sample, sizeof sample), 0);
}

static int16_t sample_at(const struct buf *pcm, size_t i)
{
    int16_t sample;
    memcpy(&sample, buf_str(pcm).p + 2 * i, sizeof sample);
    return sample;
}

static void add_silence(struct buf *pcm, double seconds)
{
    for (int i = 0; i < (int)(RATE * seconds); i++)
        add_sample(pcm, 0);
}

struct span {
    size_t from, to; /* samples */
};

/* Appends a spoken sentence; where it is heard, without the voice's own silence. */
static struct span add_speech(struct buf *pcm, enum local_voice voice, const char *text, double gain)
{
    struct buf spoken = BUF_INIT(MIB(4));
    struct err e = {0};
    size_t base = pcm->len / 2;
    if (flite_load(NULL, voice, &e) < 0 || flite_speak(voice, text, 1, &spoken, &e) < 0)
        fail_msg("%s", e.text);
    size_t n = spoken.len / 2;
    struct span heard = {0, n};
    while (heard.from < n && abs(sample_at(&spoken, heard.from)) < 800)
        heard.from++;
    while (heard.to > heard.from && abs(sample_at(&spoken, heard.to - 1)) < 800)
        heard.to--;
    for (size_t i = 0; i < n; i++)
        add_sample(pcm, gain * sample_at(&spoken, i));
    buf_free(&spoken);
    return (struct span){base + heard.from, base + heard.to};
}

/* Noise `below` dB under the speech in those spans. */
static void add_noise(struct buf *pcm, double (*kind)(struct noise *n), const struct span *spans, size_t n,
                      double below)
{
    double sum = 0, samples = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = spans[i].from; k < spans[i].to; k++) {
            sum += pow(sample_at(pcm, k), 2);
            samples++;
        }
    double rms = sqrt(sum / samples) * pow(10, -below / 20);
    struct noise noise = {.seed = 1};
    struct buf mixed = BUF_INIT(MIB(16));
    for (size_t i = 0; i < pcm->len / 2; i++)
        add_sample(&mixed, sample_at(pcm, i) + rms * sqrt(3) * kind(&noise));
    buf_free(pcm);
    *pcm = mixed;
}

/* ---- what is found in it ---- */

#define FOUND_MAX 64

struct found {
    size_t n;
    struct vad_event events[FOUND_MAX];
};

static struct found find(const struct buf *pcm, unsigned rate, const struct vad_config *config, size_t piece)
{
    struct vad v;
    struct found found = {0};
    size_t n = pcm->len / 2;
    int16_t *samples = malloc(pcm->len ? pcm->len : 1); /* so that the sanitizer sees its ends */
    memcpy(samples, buf_str(pcm).p, pcm->len);
    vad_init(&v, rate, config);
    for (size_t at = 0; at < n;) {
        struct vad_event event;
        size_t given = MIN(piece, n - at), taken = vad_push(&v, samples + at, given, &event);
        assert_true(taken == given || event.type != VAD_NONE);
        at += taken;
        if (event.type != VAD_NONE && found.n < FOUND_MAX)
            found.events[found.n++] = event;
    }
    free(samples);
    return found;
}

static const struct {
    enum local_voice voice;
    const char *text;
} lines[] = {
    {VOICE_SLT, "Hello, how are you today?"},
    {VOICE_RMS, "Please help me with my account."},
    {VOICE_AWB, "Can you tell me where the station is?"},
    {VOICE_KAL16, "I want to buy a new computer."},
    {VOICE_SLT, "Thank you for your help."},
};

#define LINES (sizeof lines / sizeof lines[0])

static struct buf conversation(struct span spans[LINES], double lead, double gain)
{
    struct buf pcm = BUF_INIT(MIB(16));
    add_silence(&pcm, lead);
    for (size_t i = 0; i < LINES; i++) {
        spans[i] = add_speech(&pcm, lines[i].voice, lines[i].text, gain);
        add_silence(&pcm, 1.5);
    }
    return pcm;
}

/* Each line is found once: not much after it begins, and to its end but for a last breath. */
static void check_lines(const struct found *found, const struct span spans[LINES], const struct vad_config *c, int line)
{
    if (found->n != 2 * LINES)
        fail_msg("line %d: %zu events", line, found->n);
    for (size_t i = 0; i < LINES; i++) {
        const struct vad_event *start = &found->events[2 * i], *stop = start + 1;
        assert_int_equal(start->type, VAD_SPEECH_STARTED);
        assert_int_equal(stop->type, VAD_SPEECH_STOPPED);
        double from = ((double)start->at - (double)spans[i].from) / RATE * 1000 + c->prefix_padding_ms;
        double to = ((double)stop->at - (double)spans[i].to) / RATE * 1000 - c->silence_ms;
        if ((start->at > 0 && from < -150) || from > 200 || to < -350 || to > 200)
            fail_msg("line %d, sentence %zu: begins %.0f ms late, ends %.0f ms late", line, i, from, to);
    }
}

static void test_clean_speech(void **state)
{
    (void)state;
    struct span spans[LINES];
    struct vad_config c = VAD_DEFAULTS;
    for (double gain = 0.05; gain <= 1; gain *= 4) {
        struct buf pcm = conversation(spans, 1, gain);
        struct found found = find(&pcm, RATE, NULL, 320);
        check_lines(&found, spans, &c, __LINE__);
        buf_free(&pcm);
    }
}

static void test_noisy_speech(void **state)
{
    (void)state;
    struct span spans[LINES];
    struct vad_config c = VAD_DEFAULTS;
    for (int kind = 0; kind < 2; kind++)
        for (double below = 25; below >= 12; below -= 6.5) {
            struct buf pcm = conversation(spans, 1, 0.4);
            add_noise(&pcm, kind ? pink : white, spans, LINES, below);
            struct found found = find(&pcm, RATE, NULL, 320);
            check_lines(&found, spans, &c, __LINE__);
            buf_free(&pcm);
        }
}

static void test_speech_from_the_first_sample(void **state)
{
    (void)state;
    struct buf pcm = BUF_INIT(MIB(4));
    struct span span = add_speech(&pcm, VOICE_RMS, "Now is the time.", 0.5);
    buf_consume(&pcm, span.from * 2);
    struct found found = find(&pcm, RATE, NULL, 160);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.events[0].type, VAD_SPEECH_STARTED);
    assert_int_equal(found.events[0].at, 0);
    buf_free(&pcm);
}

static void test_settings(void **state)
{
    (void)state;
    struct span spans[LINES];
    struct buf pcm = conversation(spans, 1, 0.4);
    struct vad_config c = {.threshold = 0.5, .prefix_padding_ms = 0, .silence_ms = 1000};
    struct found found = find(&pcm, RATE, &c, 320);
    check_lines(&found, spans, &c, __LINE__);
    c.silence_ms = 2500; /* longer than the pauses: it is all one speech, whose end is not reached */
    found = find(&pcm, RATE, &c, 320);
    assert_int_equal(found.n, 1);
    c = (struct vad_config){.threshold = 0.999, .silence_ms = 500}; /* nothing is as clear as that */
    assert_int_equal(find(&pcm, RATE, &c, 320).n, 0);
    buf_free(&pcm);
}

/* What is no voice starts no speech, however loud it is and from the first sample on. */
static void test_noise(void **state)
{
    (void)state;
    for (int kind = 0; kind < 6; kind++)
        for (double level = 1; level < 10000; level *= 10) {
            struct buf pcm = BUF_INIT(MIB(4));
            struct noise noise = {.seed = (uint64_t)kind};
            for (int i = 0; i < 20 * RATE; i++) {
                double t = (double)i / RATE, door = exp(-fmod(t, 1.3) * 60), x = pink(&noise), y = white(&noise);
                double hum = sin(2 * M_PI * 50 * t) + 0.4 * sin(2 * M_PI * 150 * t);
                double sounds[] = {0, y, x, hum + 0.01 * y, y * door, x * (1 + 0.6 * sin(2 * M_PI * 0.3 * t))};
                add_sample(&pcm, level * sounds[kind]);
            }
            if (find(&pcm, RATE, NULL, 320).n)
                fail_msg("sound %d at %.0f is taken for speech", kind, level);
            buf_free(&pcm);
        }
}

/* Events do not depend on how the audio is cut. */
static void test_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 160, 333, 4096};
    struct span spans[LINES];
    struct buf pcm = conversation(spans, 0.3, 0.4);
    struct found whole = find(&pcm, RATE, NULL, SIZE_MAX);
    assert_int_equal(whole.n, 2 * LINES);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct found found = find(&pcm, RATE, NULL, pieces[i]);
        assert_int_equal(found.n, whole.n);
        for (size_t k = 0; k < whole.n; k++) {
            assert_int_equal(found.events[k].type, whole.events[k].type);
            assert_int_equal(found.events[k].at, whole.events[k].at);
        }
    }
    buf_free(&pcm);
}

/* A voice as pulses through a formant, at any rate. */
static void test_rates(void **state)
{
    (void)state;
    static const unsigned rates[] = {8000, 11025, 12000, 15999, 16000, 22050, 24000, 44100, 48000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct buf pcm = BUF_INIT(MIB(4));
        unsigned rate = rates[i];
        for (unsigned k = 0; k < 3 * rate; k++) {
            double t = (double)k / rate, since = fmod(t, 1 / 120.0);
            add_sample(&pcm, t > 1 && t < 2 ? 12000 * exp(-since * 300) * sin(2 * M_PI * 700 * since) : 0);
        }
        struct found found = find(&pcm, rate, NULL, 500);
        assert_int_equal(found.n, 2);
        assert_true(fabs((double)found.events[0].at / rate - 0.7) < 0.1);
        assert_true(fabs((double)found.events[1].at / rate - 2.5) < 0.2);
        buf_free(&pcm);
    }
}

/* Whatever bytes come: events take turns and go forwards, and the struct stays sane. */
static void test_any_audio(void **state)
{
    (void)state;
    struct noise noise = {.seed = 3};
    for (int round = 0; round < 60; round++) {
        struct buf pcm = BUF_INIT(MIB(1));
        double level = 32767, period = 100;
        for (int i = 0; i < 30000; i++) {
            if (i % 997 == 0) {
                level = 32767 * fabs(white(&noise));
                period = 20 + 300 * fabs(white(&noise));
            }
            add_sample(&pcm, round % 3 == 0 ? 40000 * white(&noise) : level * exp(-fmod(i, period) / 20));
        }
        struct vad_config c = {.threshold = 0.1 * (round % 11),
                               .prefix_padding_ms = (unsigned)round * 40,
                               .silence_ms = (unsigned)round * 9};
        struct found found = find(&pcm, 8000 + 678 * (unsigned)round, &c, 1 + (size_t)round * 13);
        uint64_t before = 0;
        for (size_t k = 0; k < found.n; k++) {
            assert_int_equal(found.events[k].type, k % 2 ? VAD_SPEECH_STOPPED : VAD_SPEECH_STARTED);
            assert_in_range(found.events[k].at, before, 30000);
            before = found.events[k].at;
        }
        buf_free(&pcm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_speech),
        cmocka_unit_test(test_noisy_speech),
        cmocka_unit_test(test_speech_from_the_first_sample),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_any_audio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
