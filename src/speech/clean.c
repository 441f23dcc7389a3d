#include "speech/clean.h"

#include "base/library.h"
#include "base/mem.h"

#include <math.h>
#include <pthread.h>
#include <speex/speex_preprocess.h>
#include <stdlib.h>

#define LIBRARY "libspeexdsp.so.1"
#define PACKAGE "libspeexdsp1"

#define BACKGROUND 150.0f   /* how loud a quiet one is made, as a mean of samples */
#define LOUDEST    20000.0f /* nothing is made louder */
#define FORGOTTEN  0.9977f  /* per frame: the loudest sample counts 1 dB less each second */
#define RISE       1.028f   /* per frame: 12 dB in a second */
#define EARLY      10       /* frames in which it may rise faster */
#define SPAN       50       /* frames: the background is the quietest of the last one to two times as many */

#define FUNCTIONS(X)                                                                                                   \
    X(speex_preprocess_state_init)                                                                                     \
    X(speex_preprocess_state_destroy)                                                                                  \
    X(speex_preprocess_run)                                                                                            \
    X(speex_preprocess_ctl)

struct functions {
#define X(name) __typeof__(&name) name;
    FUNCTIONS(X)
#undef X
};

#define X(name) {#name, offsetof(struct functions, name)},
static const struct library_function table[] = {FUNCTIONS(X)};
#undef X

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static struct functions speex; /* written once, before the first stream is made */
static enum { UNTRIED, LOADED, MISSING } library = UNTRIED;

struct clean {
    SpeexPreprocessState *speex;
    size_t frame;     /* samples */
    size_t at;        /* in the two frames, which lie behind this struct: */
    size_t stale;     /* samples on their way that nobody said */
    int16_t *passing; /* up to `at` the next frame, then what is still due of the one that is clean */
    int16_t *newest;  /* a ring of samples as they came */
    unsigned frames;
    float gain, most;          /* of the last frame; allowed */
    float peak;                /* of late */
    float least, least_before; /* level of the quietest frame of this span, and the one before */
};

/* ---- loading ---- */

static bool load(const char *folder)
{
    struct functions found;
    struct err e;
    void *handle = library_open(folder, LIBRARY, PACKAGE, &e);
    if (!handle || library_resolve(handle, LIBRARY, table, COUNT(table), &found, &e) < 0)
        return false;
    speex = found;
    return true;
}

bool clean_load(const char *folder)
{
    pthread_mutex_lock(&loading);
    if (library == UNTRIED)
        library = load(folder) ? LOADED : MISSING;
    bool loaded = library == LOADED;
    pthread_mutex_unlock(&loading);
    return loaded;
}

/* ---- making one ---- */

static void set(struct clean *c, int request, spx_int32_t value)
{
    speex.speex_preprocess_ctl(c->speex, request, &value);
}

/* The library's own gain control is not used: it moves while somebody speaks, which cost more words than it won. */
static void settle(struct clean *c, enum clean_strength strength)
{
    set(c, SPEEX_PREPROCESS_SET_DENOISE, 1);
    set(c, SPEEX_PREPROCESS_SET_NOISE_SUPPRESS, strength == CLEAN_FAR ? -25 : -15);
    set(c, SPEEX_PREPROCESS_SET_AGC, 0);
    set(c, SPEEX_PREPROCESS_SET_DEREVERB, 0);
}

struct clean *clean_new(enum clean_strength strength, unsigned rate)
{
    if (strength == CLEAN_NONE || !clean_load(NULL))
        return NULL;
    size_t frame = rate / 50 & ~(size_t)15; /* the library's transform is slow for lengths with large factors */
    struct clean *c = mem_zalloc(sizeof *c + 2 * frame * sizeof *c->passing);
    c->frame = frame;
    c->passing = (int16_t *)(c + 1);
    c->newest = c->passing + frame;
    c->speex = speex.speex_preprocess_state_init((int)frame, (int)rate);
    settle(c, strength);
    c->gain = 1;
    c->most = strength == CLEAN_FAR ? 31.6f : 10; /* 30 dB, 20 dB */
    c->least = c->least_before = INFINITY;
    return c;
}

/* ---- gain ---- */

static void measure(struct clean *c, float *level, float *peak)
{
    float power = 0;
    *peak = 1;
    for (size_t i = 0; i < c->frame; i++) {
        float x = c->passing[i];
        power += x * x;
        *peak = MAX(*peak, fabsf(x));
    }
    *level = sqrtf(power / (float)c->frame);
}

/* The gain follows the background, which says how sensitive the microphone is, and stays where it is while somebody
 * speaks, unless that is too loud for it. */
static float next_gain(struct clean *c)
{
    float level, peak;
    measure(c, &level, &peak);
    c->peak = MAX(peak, c->peak * FORGOTTEN);
    if (c->frames++ % SPAN == 0) {
        c->least_before = c->least;
        c->least = level;
    }
    c->least = MIN(c->least, level);
    float wanted = BACKGROUND / MAX(MIN(c->least, c->least_before), 0.1f);
    if (c->frames > EARLY)
        wanted = MAX(MIN(wanted, c->gain * RISE), c->gain / RISE);
    wanted = MIN(wanted, LOUDEST / c->peak);
    return MAX(1, MIN(wanted, c->most));
}

/* The library takes what is quieter than some 25 for noise, whatever the background: what is quiet is raised before. */
static void raise_frame(struct clean *c)
{
    float gain = c->gain, next = next_gain(c), step = (next - gain) / (float)c->frame;
    for (size_t i = 0; i < c->frame && (gain > 1 || next > 1); i++) {
        float raised = (float)c->passing[i] * (gain + step * (float)i);
        c->passing[i] = (int16_t)lrintf(MAX(-32768, MIN(32767, raised)));
    }
    c->gain = next;
}

/* ---- the stream ---- */

void clean_push(struct clean *c, int16_t *samples, size_t n)
{
    for (size_t i = 0; c && i < n; i++) {
        int16_t due = c->passing[c->at];
        c->passing[c->at] = c->newest[c->at] = samples[i];
        samples[i] = c->stale ? 0 : due;
        c->stale -= c->stale > 0;
        if (++c->at == c->frame) {
            raise_frame(c);
            speex.speex_preprocess_run(c->speex, c->passing);
            c->at = 0;
        }
    }
}

size_t clean_delay(const struct clean *c)
{
    return c ? 2 * c->frame : 0; /* one is collected, and the library holds another half done */
}

/* With silence the library would believe for seconds that the background is gone. So it gets the last 20 ms again,
 * backwards and then forwards. */
void clean_flush(struct clean *c, int16_t *samples)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->frame; i++) {
        samples[i] = c->newest[(c->at + c->frame - 1 - i) % c->frame];
        samples[c->frame + i] = c->newest[(c->at + i) % c->frame];
    }
    clean_push(c, samples, clean_delay(c));
    c->stale = clean_delay(c);
}

struct clean *clean_free(struct clean *c)
{
    if (c)
        speex.speex_preprocess_state_destroy(c->speex);
    free(c);
    return NULL;
}
