#include "speech/local/flite.h"

#include "base/library.h"

#include <flite/flite.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define LIBRARY "libflite.so.1"
#define PACKAGE "libflite1"

/* Every function of the library that is called here. */
#define FLITE_FUNCTIONS(X)                                                                                             \
    X(delete_utterance)                                                                                                \
    X(feat_set_float)                                                                                                  \
    X(flite_init)                                                                                                      \
    X(new_utterance)                                                                                                   \
    X(utt_init)                                                                                                        \
    X(utt_set_input_text)                                                                                              \
    X(utt_synth)                                                                                                       \
    X(utt_wave)

struct functions {
#define X(name) __typeof__(&name) name;
    FLITE_FUNCTIONS(X)
#undef X
};

static const struct library_function table[] = {
#define X(name) {#name, offsetof(struct functions, name)},
    FLITE_FUNCTIONS(X)
#undef X
};

struct registration {
    cst_voice *(*make)(const char *folder);
};

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static struct functions flite; /* written before the first voice is published */
static bool loaded;
static _Atomic(cst_voice *) voices[LOCAL_VOICES];

static int load_library(const char *folder, struct err *e)
{
    void *library = library_open(folder, LIBRARY, PACKAGE, e);
    if (!library)
        return -1;
    if (loaded)
        return 0;
    if (library_resolve(library, LIBRARY, table, COUNT(table), &flite, e) < 0)
        return -1;
    flite.flite_init();
    loaded = true;
    return 0;
}

static int load_voice(const char *folder, enum local_voice voice, struct err *e)
{
    char name[64], symbol[64];
    struct registration registration;
    snprintf(name, sizeof name, "libflite_cmu_us_%s.so.1", local_voice_name(voice));
    snprintf(symbol, sizeof symbol, "register_cmu_us_%s", local_voice_name(voice));
    const struct library_function wanted = {symbol, offsetof(struct registration, make)};
    void *library = library_open(folder, name, PACKAGE, e);
    if (!library || library_resolve(library, name, &wanted, 1, &registration, e) < 0)
        return -1;
    if (!atomic_load(&voices[voice]))
        atomic_store(&voices[voice], registration.make(NULL));
    return atomic_load(&voices[voice]) ? 0 : err_set(e, ERR_INTERNAL_ERROR, NULL);
}

int flite_load(const char *folder, enum local_voice voice, struct err *e)
{
    if (!folder && atomic_load(&voices[voice]))
        return 0;
    pthread_mutex_lock(&loading);
    int result = load_library(folder, e);
    if (result == 0)
        result = load_voice(folder, voice, e);
    pthread_mutex_unlock(&loading);
    return result;
}

int flite_speak(enum local_voice voice, const char *text, double speed, struct buf *out, struct err *e)
{
    int result = -1;
    cst_utterance *utterance = flite.new_utterance();
    flite.utt_set_input_text(utterance, text);
    flite.utt_init(utterance, atomic_load(&voices[voice]));
    flite.feat_set_float(utterance->features, "duration_stretch", (float)(1 / speed));
    if (flite.utt_synth(utterance)) {
        const cst_wave *wave = flite.utt_wave(utterance);
        if (wave && wave->sample_rate == FLITE_RATE && wave->num_samples >= 0)
            result = buf_add(out, wave->samples, (size_t)wave->num_samples * sizeof *wave->samples);
    }
    flite.delete_utterance(utterance);
    return result == 0 ? 0 : err_set(e, ERR_INTERNAL_ERROR, "This text cannot be spoken");
}
