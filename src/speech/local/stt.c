#include "speech/local/local.h"

#include "base/mem.h"
#include "loop/task.h"
#include "speech/local/sphinx.h"
#include "speech/places.h"
#include "speech/resample.h"
#include "speech/speech_driver.h"

#include <stdlib.h>

#define MODEL         "/usr/share/pocketsphinx/model/en-us"
#define RECOGNIZERS   2
#define QUEUE_TIMEOUT 5000
#define AHEAD_MS      1000 /* audio that may wait for the recognizer before its writer has to */
#define STEP_MS       200  /* audio that is worth a trip to the worker pool */
#define TEXT_MAX      KIB(128)
#define PCM_MAX       MIB(1) /* of AHEAD_MS, however it is sampled */

struct local_stt {
    struct stt base;
    struct speech_local_config config;
    struct places places;
    pthread_mutex_t lock; /* held for moments */
    struct recognizer **idle;
    unsigned nidle;
};

/* One utterance. All calls are made on the loop that opened it. A task of its own, the listener, carries the audio to
 * the worker pool. */
struct local_stream {
    struct stt_stream base;
    struct local_stt *stt;
    unsigned rate;
    bool partial;            /* wanted */
    struct task *listener;   /* NULL: it ended */
    struct waitlist changed; /* whoever waits for any of what follows */

    struct buf in; /* PCM at the caller's rate, which the listener did not take yet */
    bool finished; /* there will be no more */
    bool closing;

    struct buf text, given; /* of the newest event; of the one that the reader has */
    bool untold, final;     /* it waits for the reader; it is STT_FINAL */
    double confidence;
    uint64_t taken; /* bytes of audio */
    struct err failed;

    /* The listener's, and of the pool's threads while they work for it. */
    struct recognizer *recognizer;
    struct resampler *resampler;
    struct buf pcm, resampled; /* what it took */
};

/* ---- recognizers ---- */

static struct recognizer *take_idle(struct local_stt *stt)
{
    pthread_mutex_lock(&stt->lock);
    struct recognizer *r = stt->nidle ? stt->idle[--stt->nidle] : NULL;
    pthread_mutex_unlock(&stt->lock);
    return r;
}

/* Gives the recognizer (NULL: there was none) and its place to the next utterance. */
static void give_back(struct local_stt *stt, struct recognizer *r)
{
    pthread_mutex_lock(&stt->lock);
    if (r)
        stt->idle[stt->nidle++] = r;
    pthread_mutex_unlock(&stt->lock);
    places_give(&stt->places);
}

/* ---- what is done in the worker pool ---- */

struct work {
    struct local_stream *s;
    bool last;  /* no audio comes after this */
    int result; /* 1: there is more to do, 0: more audio is wanted, -1: e */
    struct str text;
    struct err e;
};

static void prepare(void *arg)
{
    struct work *w = arg;
    struct local_stream *s = w->s;
    s->recognizer = take_idle(s->stt);
    if (!s->recognizer)
        s->recognizer = recognizer_new(s->stt->config.model, &w->e);
    w->result = s->recognizer ? recognizer_begin(s->recognizer, &w->e) : -1;
}

static int take_in(struct work *w)
{
    struct local_stream *s = w->s;
    buf_clear(&s->resampled);
    if (resampler_push(s->resampler, buf_str(&s->pcm), &s->resampled) < 0 ||
        (w->last && resampler_finish(s->resampler, &s->resampled) < 0))
        return err_set(&w->e, ERR_INTERNAL_ERROR, NULL);
    buf_clear(&s->pcm);
    if (recognizer_push(s->recognizer, buf_str(&s->resampled), &w->e) < 0)
        return -1;
    return w->last ? recognizer_end(s->recognizer, &w->e) : 0;
}

static void hear(void *arg)
{
    struct work *w = arg;
    w->result = w->s->pcm.len || w->last ? take_in(w) : 0;
    if (w->result == 0)
        w->result = recognizer_step(w->s->recognizer, &w->e);
    if (w->result >= 0)
        w->text = recognizer_text(w->s->recognizer);
}

static int in_pool(struct work *w, void (*fn)(void *arg))
{
    return pool_call(fn, w, &w->e) < 0 ? -1 : w->result;
}

/* ---- the listener ---- */

static void changed(struct local_stream *s)
{
    waitlist_wake_all(&s->changed);
}

static size_t bytes_of(const struct local_stream *s, unsigned ms)
{
    return (size_t)s->rate * ms / 1000 * sizeof(int16_t);
}

/* Parks until there is audio, and takes it over. */
static void take_audio(struct local_stream *s)
{
    while (s->in.len < bytes_of(s, STEP_MS) && !s->finished && !s->closing)
        waitlist_wait(&s->changed, NULL);
    struct buf emptied = s->pcm;
    s->pcm = s->in;
    s->in = emptied;
    s->taken += s->pcm.len;
    changed(s);
}

static void show(struct local_stream *s, struct str text, bool final)
{
    if (!final && (!s->partial || str_eq(text, buf_str(&s->text))))
        return;
    buf_clear(&s->text);
    buf_str_add(&s->text, text);
    s->untold = true;
    s->final = final;
    s->confidence = final ? recognizer_confidence(s->recognizer) : -1;
    changed(s);
}

static int listen_all(struct local_stream *s, struct err *e)
{
    struct work w = {.s = s};
    bool all_taken = false;
    int more = in_pool(&w, prepare) < 0 ? -1 : 0;
    while (more > 0 || (more == 0 && !all_taken)) {
        if (more == 0)
            take_audio(s);
        if (s->closing)
            return 0;
        w.last = more == 0 && s->finished;
        all_taken |= w.last;
        more = in_pool(&w, hear);
        if (more >= 0)
            show(s, w.text, false);
    }
    if (more < 0)
        *e = w.e;
    else
        show(s, w.text, true);
    return more;
}

static void listener_main(void *arg)
{
    struct local_stream *s = arg;
    if (listen_all(s, &s->failed) < 0)
        s->recognizer = recognizer_free(s->recognizer); /* whatever state it is in */
    give_back(s->stt, s->recognizer);
    s->recognizer = NULL;
    s->listener = NULL;
    changed(s);
}

/* ---- the driver ---- */

struct load {
    const struct speech_local_config *config;
    int result;
    struct err e;
};

static void load(void *arg)
{
    struct load *l = arg;
    l->result = sphinx_load(l->config->libraries, l->config->model, &l->e);
}

static int get_ready(struct local_stt *stt, const struct stt_request *rq, struct err *e)
{
    struct load l = {.config = &stt->config};
    bool english = rq->language.n == 0 || str_ieq(str_n(rq->language.p, MIN(rq->language.n, 2)), STR("en"));
    if (!english)
        return err_set(e, ERR_INVALID_REQUEST, "Only English can be recognized");
    if (!task_room())
        return err_set(e, ERR_OVERLOADED, NULL);
    if (pool_call(load, &l, e) < 0)
        return -1;
    if (l.result < 0) {
        if (e)
            *e = l.e;
        return -1;
    }
    return places_take(&stt->places, stt->config.queue_timeout, "All recognizers are busy", e);
}

static struct stt_stream *local_open(struct stt *base, const struct stt_request *rq, struct arena *arena, struct err *e)
{
    struct local_stt *stt = (struct local_stt *)base;
    (void)arena;
    if (get_ready(stt, rq, e) < 0)
        return NULL;
    struct local_stream *s = mem_alloc(sizeof *s);
    *s = (struct local_stream){.base.ops = base->ops,
                               .stt = stt,
                               .rate = rq->rate,
                               .partial = rq->partial,
                               .in = BUF_INIT(PCM_MAX),
                               .pcm = BUF_INIT(PCM_MAX),
                               .resampled = BUF_INIT(PCM_MAX),
                               .text = BUF_INIT(TEXT_MAX),
                               .given = BUF_INIT(TEXT_MAX),
                               .resampler = resampler_new(rq->rate, SPHINX_RATE)};
    waitlist_init(&s->changed);
    s->listener = task_spawn("listener", listener_main, s);
    return &s->base;
}

static int stream_error(const struct local_stream *s, struct err *e)
{
    if (e)
        *e = s->failed;
    return -1;
}

static int local_write(struct stt_stream *base, struct str pcm, struct err *e)
{
    struct local_stream *s = (struct local_stream *)base;
    size_t most = bytes_of(s, AHEAD_MS);
    while (pcm.n > 0) {
        while (s->in.len >= most && s->listener)
            if (waitlist_wait(&s->changed, e) < 0)
                return -1;
        if (s->failed.code != ERR_NONE)
            return stream_error(s, e);
        if (s->finished)
            return err_set(e, ERR_INTERNAL_ERROR, "Audio behind the end of the utterance");
        size_t n = MIN(pcm.n, most - s->in.len);
        buf_add(&s->in, pcm.p, n);
        pcm = str_from(pcm, n);
        changed(s);
    }
    return 0;
}

static int local_finish(struct stt_stream *base, struct err *e)
{
    struct local_stream *s = (struct local_stream *)base;
    if (s->failed.code != ERR_NONE)
        return stream_error(s, e);
    s->finished = true;
    changed(s);
    return 0;
}

static int local_next(struct stt_stream *base, struct stt_event *event, struct err *e)
{
    struct local_stream *s = (struct local_stream *)base;
    while (!s->untold && s->listener)
        if (waitlist_wait(&s->changed, e) < 0)
            return -1;
    if (s->failed.code != ERR_NONE)
        return stream_error(s, e);
    if (!s->untold)
        return 0;
    s->untold = false;
    buf_clear(&s->given);
    buf_str_add(&s->given, buf_str(&s->text));
    *event = (struct stt_event){.type = s->final ? STT_FINAL : STT_PARTIAL,
                                .text = buf_str(&s->given),
                                .confidence = s->confidence,
                                .audio_ms = s->taken / sizeof(int16_t) * 1000 / s->rate};
    return 1;
}

static void local_close(struct stt_stream *base)
{
    struct local_stream *s = (struct local_stream *)base;
    s->closing = true;
    changed(s);
    task_shield();
    while (s->listener)
        waitlist_wait(&s->changed, NULL);
    task_unshield();
    resampler_free(s->resampler);
    buf_free(&s->in);
    buf_free(&s->pcm);
    buf_free(&s->resampled);
    buf_free(&s->text);
    buf_free(&s->given);
    free(s);
}

static void local_free(struct stt *base)
{
    struct local_stt *stt = (struct local_stt *)base;
    while (stt->nidle)
        recognizer_free(stt->idle[--stt->nidle]);
    free(stt->idle);
    places_destroy(&stt->places);
    pthread_mutex_destroy(&stt->lock);
    free(stt);
}

static const struct stt_ops ops = {.name = "local",
                                   .open = local_open,
                                   .write = local_write,
                                   .finish = local_finish,
                                   .next = local_next,
                                   .close = local_close,
                                   .free = local_free};

struct stt *stt_local_new(const struct speech_local_config *config)
{
    struct local_stt *stt = mem_zalloc(sizeof *stt);
    stt->base.ops = &ops;
    if (config)
        stt->config = *config;
    struct speech_local_config *c = &stt->config;
    c->model = c->model ? c->model : MODEL;
    c->recognizers = c->recognizers ? c->recognizers : RECOGNIZERS;
    c->queue_timeout = c->queue_timeout ? c->queue_timeout : QUEUE_TIMEOUT;
    stt->idle = mem_array(c->recognizers, sizeof *stt->idle);
    places_init(&stt->places, c->recognizers);
    pthread_mutex_init(&stt->lock, NULL);
    return &stt->base;
}
