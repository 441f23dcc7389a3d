/* Speech drivers that do what the test says, and sound for them. Each script serves one utterance or one text, in
 * order; the last one serves all that follow. Used by one loop; counters may be read from other threads. */
#ifndef TEST_FAKE_SPEECH_H
#define TEST_FAKE_SPEECH_H

#include "base/buf.h"
#include "base/mem.h"
#include "loop/task.h"
#include "speech/speech_driver.h"

#include <stdatomic.h>
#include <stdlib.h>

#define FAKE_SECRET "sk-upstream-said-this" /* in the text of every error: it must not reach a client */

/* ---- sound ---- */

static inline void fake_sample(struct buf *pcm, double x)
{
    int16_t sample = (int16_t)x;
    buf_add(pcm, &sample, sizeof sample);
}

static inline void fake_silence(struct buf *pcm, unsigned rate, unsigned ms)
{
    for (size_t i = 0; i < (size_t)rate * ms / 1000; i++)
        fake_sample(pcm, 0);
}

/* White noise, the same each time. */
static inline void fake_noise(struct buf *pcm, unsigned rate, unsigned ms)
{
    uint64_t seed = 1;
    for (size_t i = 0; i < (size_t)rate * ms / 1000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        fake_sample(pcm, (double)(int32_t)(seed >> 32) / 2147483648.0 * 600);
    }
}

/* What voice activity takes for somebody who speaks: a buzz of 150 Hz in syllables. */
static inline void fake_voice(struct buf *pcm, unsigned rate, unsigned ms)
{
    unsigned period = rate / 150, syllable = rate * 2 / 5;
    for (size_t i = 0; i < (size_t)rate * ms / 1000; i++) {
        double buzz = (double)(i % period) / period * 2 - 1, loud = i % syllable < syllable * 3 / 5 ? 6000 : 0;
        fake_sample(pcm, buzz * loud);
    }
}

/* ---- speech to text ---- */

#define FAKE_PARTIALS 8

struct fake_heard {
    enum err_code refuse; /* stt_open fails */
    bool open_held;       /* stt_open waits for fake_stt_release */
    const char *partials[FAKE_PARTIALS];
    unsigned partial_ms; /* one of them comes with each so many ms of audio */
    const char *final;   /* NULL: "" */
    double confidence;
    enum err_code fail;       /* stt_next fails … */
    enum err_code write_fail; /* stt_write does … */
    unsigned fail_ms;         /* … after so much audio; 0: when all of it came */
    bool held;                /* the final waits for fake_stt_release */
    bool stalled;             /* there is no final, however long one waits */
    bool full;                /* stt_write waits until it is cancelled */
};

struct fake_stt {
    struct stt base;
    const struct fake_heard *scripts;
    size_t nscripts;
    struct waitlist held;
    atomic_size_t opened;
    atomic_int open, most_open; /* streams at this moment, and the most there ever were */
    atomic_ullong bytes;        /* of audio, in all */
    size_t last_bytes;          /* of the utterance that finished last */
    struct buf *audio;          /* all that is written is appended; NULL: it is not kept */
    unsigned rate;              /* of the last request */
    char language[32], prompt[64];
    bool partial;
};

struct fake_stt_stream {
    struct stt_stream base;
    struct fake_stt *stt;
    const struct fake_heard *script;
    struct waitlist changed;
    unsigned rate;
    size_t bytes;
    unsigned told; /* partials */
    bool finished, ended;
};

static inline uint64_t fake_stream_ms(const struct fake_stt_stream *s)
{
    return s->bytes / 2 * 1000 / s->rate;
}

static inline bool fake_fails(const struct fake_stt_stream *s)
{
    return s->script->fail_ms ? fake_stream_ms(s) >= s->script->fail_ms : s->finished;
}

static inline struct stt_stream *fake_stt_open(struct stt *base, const struct stt_request *rq, struct arena *arena,
                                               struct err *e)
{
    struct fake_stt *stt = (struct fake_stt *)base;
    size_t index = atomic_fetch_add(&stt->opened, 1);
    const struct fake_heard *script = &stt->scripts[MIN(index, stt->nscripts - 1)];
    (void)arena;
    if (script->open_held && waitlist_wait(&stt->held, e) < 0)
        return NULL;
    if (script->refuse) {
        err_set(e, script->refuse, FAKE_SECRET);
        return NULL;
    }
    struct fake_stt_stream *s = mem_zalloc(sizeof *s);
    *s = (struct fake_stt_stream){.base.ops = base->ops, .stt = stt, .script = script, .rate = rq->rate};
    waitlist_init(&s->changed);
    stt->rate = rq->rate;
    stt->partial = rq->partial;
    str_copy(stt->language, sizeof stt->language, rq->language);
    str_copy(stt->prompt, sizeof stt->prompt, rq->prompt);
    int now = atomic_fetch_add(&stt->open, 1) + 1;
    if (now > atomic_load(&stt->most_open))
        atomic_store(&stt->most_open, now);
    return &s->base;
}

static inline int fake_stt_write(struct stt_stream *base, struct str pcm, struct err *e)
{
    struct fake_stt_stream *s = (struct fake_stt_stream *)base;
    while (s->script->full)
        if (waitlist_wait(&s->changed, e) < 0)
            return -1;
    s->bytes += pcm.n;
    atomic_fetch_add(&s->stt->bytes, pcm.n);
    if (s->stt->audio)
        buf_str_add(s->stt->audio, pcm);
    waitlist_wake_all(&s->changed);
    if (s->script->write_fail && fake_stream_ms(s) >= s->script->fail_ms)
        return err_set(e, s->script->write_fail, FAKE_SECRET);
    return 0;
}

static inline int fake_stt_finish(struct stt_stream *base, struct err *e)
{
    struct fake_stt_stream *s = (struct fake_stt_stream *)base;
    (void)e;
    s->finished = true;
    s->stt->last_bytes = s->bytes;
    waitlist_wake_all(&s->changed);
    return 0;
}

static inline bool fake_partial_due(const struct fake_stt_stream *s)
{
    return s->told < FAKE_PARTIALS && s->script->partials[s->told] &&
           fake_stream_ms(s) >= (uint64_t)(s->told + 1) * s->script->partial_ms;
}

static inline int fake_stt_next(struct stt_stream *base, struct stt_event *event, struct err *e)
{
    struct fake_stt_stream *s = (struct fake_stt_stream *)base;
    const struct fake_heard *script = s->script;
    if (s->ended)
        return 0;
    while (!fake_partial_due(s) && !(script->fail && fake_fails(s)) && (!s->finished || script->stalled))
        if (waitlist_wait(&s->changed, e) < 0)
            return -1;
    if (script->fail && fake_fails(s))
        return err_set(e, script->fail, FAKE_SECRET);
    event->audio_ms = fake_stream_ms(s);
    if (fake_partial_due(s)) {
        event->type = STT_PARTIAL;
        event->text = str_c(script->partials[s->told++]);
        return 1;
    }
    if (script->held && waitlist_wait(&s->stt->held, e) < 0)
        return -1;
    s->ended = true;
    event->type = STT_FINAL;
    event->text = script->final ? str_c(script->final) : STR("");
    event->confidence = script->confidence;
    return 1;
}

static inline void fake_stt_close(struct stt_stream *base)
{
    struct fake_stt_stream *s = (struct fake_stt_stream *)base;
    atomic_fetch_sub(&s->stt->open, 1);
    if (!list_empty(&s->changed.tasks))
        die("a stream is closed while a task waits for it");
    free(s);
}

static inline void fake_stt_free(struct stt *base)
{
    (void)base;
}

static const struct stt_ops fake_stt_ops = {.name = "fake",
                                            .open = fake_stt_open,
                                            .write = fake_stt_write,
                                            .finish = fake_stt_finish,
                                            .next = fake_stt_next,
                                            .close = fake_stt_close,
                                            .free = fake_stt_free};

static inline void fake_stt_init(struct fake_stt *stt, const struct fake_heard *scripts, size_t n)
{
    *stt = (struct fake_stt){.base.ops = &fake_stt_ops, .scripts = scripts, .nscripts = n};
    waitlist_init(&stt->held);
}

/* On its loop: what is held goes on. */
static inline void fake_stt_release(struct fake_stt *stt)
{
    waitlist_wake_all(&stt->held);
}

/* ---- text to speech ---- */

#define FAKE_CHARACTER_MS 20
#define FAKE_PIECE_MS     100
#define FAKE_TEXTS        32

struct fake_said {
    enum err_code refuse; /* tts_open fails */
    enum err_code fail;   /* tts_next does, behind the first piece */
    bool held;            /* tts_open waits for fake_tts_release */
    bool stalled;         /* nothing comes behind the first piece, however long one waits */
    unsigned ms;          /* of audio; 0: FAKE_CHARACTER_MS for each byte of the text */
};

struct fake_tts {
    struct tts base;
    const struct fake_said *scripts;
    size_t nscripts;
    struct waitlist held;
    atomic_size_t opened;
    atomic_int open, most_open;
    atomic_ullong made_ms; /* audio that was handed out, in all */
    char texts[FAKE_TEXTS][512];
    char voice[64], language[32], instructions[64];
    enum speech_format format;
    double speed;
};

struct fake_tts_stream {
    struct tts_stream base;
    struct fake_tts *tts;
    const struct fake_said *script;
    unsigned rate, left_ms;
    int16_t value; /* of its samples: 1000, 2000 … for the first text, the second … */
    bool spoke;
    struct buf piece;
};

static inline struct tts_stream *fake_tts_open(struct tts *base, const struct tts_request *rq, struct arena *arena,
                                               struct err *e)
{
    struct fake_tts *tts = (struct fake_tts *)base;
    size_t index = atomic_fetch_add(&tts->opened, 1);
    const struct fake_said *script = &tts->scripts[MIN(index, tts->nscripts - 1)];
    (void)arena;
    if (index < FAKE_TEXTS)
        str_copy(tts->texts[index], sizeof tts->texts[index], rq->text);
    if (script->held && waitlist_wait(&tts->held, e) < 0)
        return NULL;
    if (script->refuse) {
        err_set(e, script->refuse, FAKE_SECRET);
        return NULL;
    }
    struct fake_tts_stream *s = mem_zalloc(sizeof *s);
    *s = (struct fake_tts_stream){.base.ops = base->ops,
                                  .tts = tts,
                                  .script = script,
                                  .rate = rq->rate,
                                  .left_ms = script->ms ? script->ms : (unsigned)rq->text.n * FAKE_CHARACTER_MS,
                                  .value = (int16_t)((index % 30 + 1) * 1000),
                                  .piece = BUF_INIT(MIB(1))};
    str_copy(tts->voice, sizeof tts->voice, rq->voice);
    str_copy(tts->language, sizeof tts->language, rq->language);
    str_copy(tts->instructions, sizeof tts->instructions, rq->instructions);
    tts->format = rq->format;
    tts->speed = rq->speed;
    int now = atomic_fetch_add(&tts->open, 1) + 1;
    if (now > atomic_load(&tts->most_open))
        atomic_store(&tts->most_open, now);
    return &s->base;
}

/* PCM, whatever the format. */
static inline int fake_tts_next(struct tts_stream *base, struct str *audio, struct err *e)
{
    struct fake_tts_stream *s = (struct fake_tts_stream *)base;
    if (s->spoke && s->script->fail)
        return err_set(e, s->script->fail, FAKE_SECRET);
    while (s->spoke && s->script->stalled)
        if (task_park(e) < 0)
            return -1;
    unsigned ms = MIN(s->left_ms, FAKE_PIECE_MS);
    if (ms == 0)
        return 0;
    if (task_yield(e) < 0)
        return -1;
    buf_clear(&s->piece);
    for (size_t i = 0; i < (size_t)s->rate * ms / 1000; i++)
        fake_sample(&s->piece, s->value);
    s->left_ms -= ms;
    s->spoke = true;
    atomic_fetch_add(&s->tts->made_ms, ms);
    *audio = buf_str(&s->piece);
    return 1;
}

static inline void fake_tts_close(struct tts_stream *base)
{
    struct fake_tts_stream *s = (struct fake_tts_stream *)base;
    atomic_fetch_sub(&s->tts->open, 1);
    buf_free(&s->piece);
    free(s);
}

static inline void fake_tts_free(struct tts *base)
{
    (void)base;
}

static const struct tts_ops fake_tts_ops = {
    .name = "fake", .open = fake_tts_open, .next = fake_tts_next, .close = fake_tts_close, .free = fake_tts_free};

static inline void fake_tts_init(struct fake_tts *tts, const struct fake_said *scripts, size_t n)
{
    memset(tts, 0, sizeof *tts); /* a literal of this size would lie on the task's stack as well */
    tts->base.ops = &fake_tts_ops;
    tts->scripts = scripts;
    tts->nscripts = n;
    waitlist_init(&tts->held);
}

static inline void fake_tts_release(struct fake_tts *tts)
{
    waitlist_wake_all(&tts->held);
}

#endif
