#include "speech/clean.h"

#include "base/mem.h"
#include "speech/library.h"

#include <pthread.h>
#include <speex/speex_preprocess.h>
#include <stdlib.h>

#define LIBRARY "libspeexdsp.so.1"
#define PACKAGE "libspeexdsp1"

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

/* ---- a stream ---- */

static void set(struct clean *c, int request, spx_int32_t value)
{
    speex.speex_preprocess_ctl(c->speex, request, &value);
}

/* A library built without floating point knows no gain control: -1, and the noise alone is taken down. Its level is set
 * by SET_AGC_TARGET, as the type that SET_AGC_LEVEL takes depends on how the library was built. */
static void settle(struct clean *c, enum clean_strength strength)
{
    bool far = strength == CLEAN_FAR;
    set(c, SPEEX_PREPROCESS_SET_DENOISE, 1);
    set(c, SPEEX_PREPROCESS_SET_NOISE_SUPPRESS, far ? -25 : -15);
    set(c, SPEEX_PREPROCESS_SET_DEREVERB, 0);
    set(c, SPEEX_PREPROCESS_SET_AGC, far);
    if (!far)
        return;
    set(c, SPEEX_PREPROCESS_SET_AGC_TARGET, 8000);
    set(c, SPEEX_PREPROCESS_SET_AGC_MAX_GAIN, 30);
    set(c, SPEEX_PREPROCESS_SET_AGC_INCREMENT, 12);
    set(c, SPEEX_PREPROCESS_SET_AGC_DECREMENT, -40);
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
    return c;
}

void clean_push(struct clean *c, int16_t *samples, size_t n)
{
    for (size_t i = 0; c && i < n; i++) {
        int16_t due = c->passing[c->at];
        c->passing[c->at] = c->newest[c->at] = samples[i];
        samples[i] = c->stale ? 0 : due;
        c->stale -= c->stale > 0;
        if (++c->at == c->frame) {
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
