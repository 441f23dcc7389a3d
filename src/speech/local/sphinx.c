#include "speech/local/sphinx.h"

#include "base/library.h"
#include "base/log.h"
#include "base/mem.h"
#include "speech/vad.h"

#include <pocketsphinx.h>
#include <pthread.h>
#include <sphinxbase/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PACKAGE  "libpocketsphinx3"
#define MODEL    "pocketsphinx-en-us"
#define MS(n)    ((n) * (SPHINX_RATE / 1000)) /* samples */
#define PAD      MS(300)                      /* silence around the utterance */
#define STEP     MS(200)
#define PRIME    MS(1800)  /* heard before the channel is judged, padding included */
#define PRIOR    30        /* frames that the model's own idea of a channel counts for */
#define CEPSTRUM 13        /* values per frame */
#define ROWS     16        /* frames asked for at a time */
#define PAUSED   MS(1500)  /* a segment this long ends at a pause … */
#define LONGEST  MS(20000) /* … and one this long without */
#define TEXT_MAX KIB(64)
#define QUEUED   MIB(8)

#define SPHINXBASE_FUNCTIONS(X)                                                                                        \
    X(cmd_ln_free_r)                                                                                                   \
    X(cmd_ln_init)                                                                                                     \
    X(err_set_callback)                                                                                                \
    X(err_set_logfp)                                                                                                   \
    X(fe_end_utt)                                                                                                      \
    X(fe_process_frames)                                                                                               \
    X(fe_start_stream)                                                                                                 \
    X(fe_start_utt)                                                                                                    \
    X(logmath_exp)

#define POCKETSPHINX_FUNCTIONS(X)                                                                                      \
    X(ps_args)                                                                                                         \
    X(ps_end_utt)                                                                                                      \
    X(ps_free)                                                                                                         \
    X(ps_get_fe)                                                                                                       \
    X(ps_get_feat)                                                                                                     \
    X(ps_get_hyp)                                                                                                      \
    X(ps_get_in_speech)                                                                                                \
    X(ps_get_logmath)                                                                                                  \
    X(ps_init)                                                                                                         \
    X(ps_process_raw)                                                                                                  \
    X(ps_seg_frames)                                                                                                   \
    X(ps_seg_iter)                                                                                                     \
    X(ps_seg_next)                                                                                                     \
    X(ps_seg_prob)                                                                                                     \
    X(ps_seg_word)                                                                                                     \
    X(ps_start_stream)                                                                                                 \
    X(ps_start_utt)

struct functions {
#define X(name) __typeof__(&name) name;
    SPHINXBASE_FUNCTIONS(X)
    POCKETSPHINX_FUNCTIONS(X)
#undef X
};

#define X(name) {#name, offsetof(struct functions, name)},
static const struct library_function base_table[] = {SPHINXBASE_FUNCTIONS(X)};
static const struct library_function pocket_table[] = {POCKETSPHINX_FUNCTIONS(X)};
#undef X

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static struct functions sphinx; /* written once, before the first recognizer is made */
static bool loaded;

struct recognizer {
    ps_decoder_t *ps;
    float channel[CEPSTRUM]; /* the model's own idea of one */
    struct buf queue;        /* pushed, not listened to */
    bool primed, ending, padded, complete;
    bool listening; /* between ps_start_utt and ps_end_utt */

    /* A long utterance is understood in segments; text is that of the complete ones. */
    size_t segment; /* samples */
    bool speech;    /* pocketsphinx heard some in it */
    struct vad vad;
    bool voice; /* our own idea of that */
    struct buf text, shown;
    double sureness; /* of its words, times their frames */
    double frames;
};

/* ---- loading ---- */

static int load_libraries(const char *folder, struct err *e)
{
    static const char base_name[] = "libsphinxbase.so.3", name[] = "libpocketsphinx.so.3";
    void *base = library_open(folder, base_name, PACKAGE, e);
    void *library = base ? library_open(folder, name, PACKAGE, e) : NULL;
    struct functions found;
    if (!library)
        return -1;
    if (loaded)
        return 0;
    if (library_resolve(base, base_name, base_table, COUNT(base_table), &found, e) < 0 ||
        library_resolve(library, name, pocket_table, COUNT(pocket_table), &found, e) < 0)
        return -1;
    sphinx = found;
    sphinx.err_set_callback(NULL, NULL); /* it would write pages to stderr */
    sphinx.err_set_logfp(NULL);
    loaded = true;
    return 0;
}

struct model_paths {
    char hmm[1024], lm[1024], dict[1024];
};

static void model_paths(struct model_paths *paths, const char *model)
{
    snprintf(paths->hmm, sizeof paths->hmm, "%s/en-us", model);
    snprintf(paths->lm, sizeof paths->lm, "%s/en-us.lm.bin", model);
    snprintf(paths->dict, sizeof paths->dict, "%s/cmudict-en-us.dict", model);
}

/* pocketsphinx ends the process when some of its files cannot be read. */
static bool model_readable(const char *model)
{
    static const char *const files[] = {"feat.params",         "mdef",     "means", "variances",
                                        "transition_matrices", "noisedict"};
    struct model_paths paths;
    model_paths(&paths, model);
    for (size_t i = 0; i < COUNT(files); i++) {
        char file[1280];
        snprintf(file, sizeof file, "%s/%s", paths.hmm, files[i]);
        if (access(file, R_OK) < 0)
            return false;
    }
    return access(paths.lm, R_OK) == 0 && access(paths.dict, R_OK) == 0;
}

int sphinx_load(const char *folder, const char *model, struct err *e)
{
    pthread_mutex_lock(&loading);
    int result = load_libraries(folder, e);
    pthread_mutex_unlock(&loading);
    if (result < 0)
        return -1;
    if (model_readable(model))
        return 0;
    log_warn("speech", "model_missing", F_C("folder", model));
    return err_set(e, ERR_NOT_CONFIGURED, "The model of the recognizer is missing (Debian: apt install " MODEL ")");
}

/* ---- a recognizer ---- */

struct recognizer *recognizer_new(const char *model, struct err *e)
{
    struct model_paths paths;
    model_paths(&paths, model);
    cmd_ln_t *options =
        sphinx.cmd_ln_init(NULL, sphinx.ps_args(), TRUE, "-hmm", paths.hmm, "-lm", paths.lm, "-dict", paths.dict, NULL);
    ps_decoder_t *ps = options ? sphinx.ps_init(options) : NULL;
    if (options)
        sphinx.cmd_ln_free_r(options); /* the decoder has a reference of its own */
    const cmn_t *channel = ps ? sphinx.ps_get_feat(ps)->cmn_struct : NULL;
    if (!channel || channel->veclen != CEPSTRUM) {
        if (ps)
            sphinx.ps_free(ps);
        err_set(e, ERR_NOT_CONFIGURED, "The model of the recognizer cannot be used (Debian: apt install " MODEL ")");
        return NULL;
    }
    struct recognizer *r = mem_zalloc(sizeof *r);
    r->ps = ps;
    memcpy(r->channel, channel->cmn_mean, sizeof r->channel);
    buf_init(&r->queue, QUEUED);
    buf_init(&r->text, TEXT_MAX);
    buf_init(&r->shown, 2 * TEXT_MAX);
    return r;
}

struct recognizer *recognizer_free(struct recognizer *r)
{
    if (!r)
        return NULL;
    sphinx.ps_free(r->ps);
    buf_free(&r->queue);
    buf_free(&r->text);
    buf_free(&r->shown);
    free(r);
    return NULL;
}

static int failed(struct err *e)
{
    return err_set(e, ERR_INTERNAL_ERROR, "The recognizer failed");
}

static int push_silence(struct recognizer *r, struct err *e)
{
    char *to = buf_reserve(&r->queue, PAD * sizeof(int16_t));
    if (!to)
        return failed(e);
    memset(to, 0, PAD * sizeof(int16_t));
    buf_commit(&r->queue, PAD * sizeof(int16_t));
    return 0;
}

int recognizer_begin(struct recognizer *r, struct err *e)
{
    if (r->listening)
        sphinx.ps_end_utt(r->ps);
    r->listening = r->primed = r->ending = r->padded = r->complete = r->voice = r->speech = false;
    r->segment = 0;
    r->sureness = r->frames = 0;
    buf_clear(&r->queue);
    buf_clear(&r->text);
    buf_clear(&r->shown);
    vad_init(&r->vad, SPHINX_RATE, &(struct vad_config){.threshold = 0.3, .silence_ms = 500});
    return push_silence(r, e);
}

int recognizer_push(struct recognizer *r, struct str pcm, struct err *e)
{
    return buf_str_add(&r->queue, pcm) < 0 ? failed(e) : 0;
}

int recognizer_end(struct recognizer *r, struct err *e)
{
    r->ending = true;
    return push_silence(r, e);
}

/* The mean cepstrum of the samples that carry speech: how the speaker sounds through this microphone. Sums over frames,
 * returns their number. */
static int measure_channel(fe_t *fe, const int16_t *samples, size_t n, double sum[CEPSTRUM])
{
    mfcc_t values[ROWS][CEPSTRUM], *rows[ROWS];
    int frames = 0;
    for (int i = 0; i < ROWS; i++)
        rows[i] = values[i];
    sphinx.fe_start_stream(fe);
    sphinx.fe_start_utt(fe);
    while (n > 0) {
        int32 got = ROWS, first;
        size_t before = n;
        if (sphinx.fe_process_frames(fe, &samples, &n, rows, &got, &first) < 0 || (got == 0 && n == before))
            break;
        for (int i = 0; i < got; i++)
            for (int k = 0; k < CEPSTRUM; k++)
                sum[k] += (double)values[i][k];
        frames += got;
    }
    int32 rest;
    sphinx.fe_end_utt(fe, rows[0], &rest);
    return frames;
}

/* Starts to listen. What pocketsphinx subtracts from every frame is set from the first words, not from what it found in
 * the utterance before: half as many errors, a quarter with a quiet microphone, and the same ones each time. */
static int prime(struct recognizer *r, struct err *e)
{
    double sum[CEPSTRUM] = {0};
    struct str queue = buf_str(&r->queue);
    size_t n = MIN(queue.n / sizeof(int16_t), (size_t)PRIME);
    cmn_t *channel = sphinx.ps_get_feat(r->ps)->cmn_struct;
    int frames = measure_channel(sphinx.ps_get_fe(r->ps), (const int16_t *)(const void *)queue.p, n, sum);
    for (int k = 0; k < CEPSTRUM; k++) {
        channel->cmn_mean[k] = (mfcc_t)(((double)r->channel[k] * PRIOR + sum[k]) / (PRIOR + frames));
        channel->sum[k] = 0;
    }
    channel->nframe = 0;
    r->primed = true;
    if (sphinx.ps_start_stream(r->ps) < 0 || sphinx.ps_start_utt(r->ps) < 0)
        return failed(e);
    r->listening = true;
    return 0;
}

/* How sure the words of the segment are, times their frames, and the frames. */
static void segment_sureness(struct recognizer *r, double *sureness, double *frames)
{
    *sureness = *frames = 0;
    for (ps_seg_t *seg = sphinx.ps_seg_iter(r->ps); seg; seg = sphinx.ps_seg_next(seg)) {
        const char *word = sphinx.ps_seg_word(seg);
        int from, to;
        int32 acoustic, language, backoff;
        sphinx.ps_seg_frames(seg, &from, &to);
        int32 posterior = sphinx.ps_seg_prob(seg, &acoustic, &language, &backoff);
        if (word[0] == '<' || word[0] == '[') /* silence and noises */
            continue;
        *sureness += sphinx.logmath_exp(sphinx.ps_get_logmath(r->ps), posterior) * (to - from + 1);
        *frames += to - from + 1;
    }
}

static int append_words(struct buf *text, const char *words)
{
    if (text->len && words[0])
        buf_byte(text, ' ');
    return buf_str_add(text, str_c(words));
}

static int segment_end(struct recognizer *r, struct err *e)
{
    double sureness, frames;
    r->listening = false;
    if (sphinx.ps_end_utt(r->ps) < 0)
        return failed(e);
    int32 score;
    const char *words = sphinx.ps_get_hyp(r->ps, &score);
    if (words && words[0] && r->voice) { /* it hears a word in loud noise now and then, and is sure of it */
        segment_sureness(r, &sureness, &frames);
        if (append_words(&r->text, words) < 0)
            return err_set(e, ERR_INVALID_REQUEST, "The audio is too long");
        r->sureness += sureness;
        r->frames += frames;
    }
    r->segment = 0;
    r->speech = false;
    r->voice = vad_speaking(&r->vad);
    return 0;
}

static void watch_voice(struct recognizer *r, const int16_t *samples, size_t n)
{
    struct vad_event event;
    while (n > 0) {
        size_t taken = vad_push(&r->vad, samples, n, &event);
        r->voice |= event.type == VAD_SPEECH_STARTED;
        samples += taken;
        n -= taken;
    }
}

static int hear(struct recognizer *r, size_t n, struct err *e)
{
    const int16_t *samples = (const int16_t *)(const void *)buf_str(&r->queue).p;
    if (!r->listening && sphinx.ps_start_utt(r->ps) < 0)
        return failed(e);
    r->listening = true;
    watch_voice(r, samples, n);
    if (sphinx.ps_process_raw(r->ps, samples, n, FALSE, FALSE) < 0)
        return failed(e);
    buf_consume(&r->queue, n * sizeof *samples);
    r->segment += n;
    bool speech = sphinx.ps_get_in_speech(r->ps);
    bool pause = r->speech && !speech;
    r->speech |= speech;
    return (pause && r->segment >= PAUSED) || r->segment >= LONGEST ? segment_end(r, e) : 0;
}

int recognizer_step(struct recognizer *r, struct err *e)
{
    size_t n = r->queue.len / sizeof(int16_t);
    if (r->complete || (!r->ending && n < (r->primed ? STEP : PRIME)))
        return 0;
    if (!r->primed)
        return prime(r, e) < 0 ? -1 : 1;
    if (n > 0)
        return hear(r, MIN(n, (size_t)STEP), e) < 0 ? -1 : 1;
    if (r->listening && segment_end(r, e) < 0)
        return -1;
    r->complete = true;
    return 0;
}

struct str recognizer_text(struct recognizer *r)
{
    int32 score;
    const char *words = r->listening && r->voice ? sphinx.ps_get_hyp(r->ps, &score) : NULL;
    if (!words || !words[0])
        return buf_str(&r->text);
    buf_clear(&r->shown);
    buf_str_add(&r->shown, buf_str(&r->text));
    append_words(&r->shown, words);
    return buf_str(&r->shown);
}

double recognizer_confidence(const struct recognizer *r)
{
    return r->frames > 0 ? r->sureness / r->frames : -1;
}
