#include "speech/local/local.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/task.h"
#include "speech/encoded.h"
#include "speech/local/flite.h"
#include "speech/local/text.h"
#include "speech/resample.h"
#include "speech/speech_driver.h"
#include "speech/wav.h"

#include <stdlib.h>

/* Spoken in one go, at the usual speed: mostly some 14 s of audio and 0.15 s of work, which nothing interrupts. */
#define PIECE_CHARACTERS 200
#define PIECE_MIN        50
#define AUDIO_MAX        MIB(16) /* of one piece */
#define SLICE            KIB(32) /* handed out at a time */
#define SILENCE_MS       200     /* what a text without a word sounds like */

struct local_tts {
    struct tts base;
    struct speech_local_config config;
    enum local_voice voice;
};

struct local_stream {
    struct tts_stream base;
    const struct local_tts *tts;
    enum local_voice voice;
    double speed;
    struct buf text; /* plain; what is to be spoken yet */
    struct resampler *resampler;
    struct buf spoken; /* a piece as flite made it */
    struct buf audio;  /* at the rate that is wanted; its first `handed` bytes are the reader's */
    size_t handed;
    bool ended; /* all of the audio was made */
};

/* ---- one piece of the text ---- */

struct job {
    struct local_stream *s;
    char text[PIECE_CHARACTERS + 1];
    bool last;
    int result;
    struct err e;
};

static int make_silence(struct local_stream *s)
{
    size_t n = FLITE_RATE / 1000 * SILENCE_MS * sizeof(int16_t);
    memset(buf_reserve(&s->spoken, n), 0, n);
    buf_commit(&s->spoken, n);
    return 0;
}

/* In the worker pool. */
static void speak(void *arg)
{
    struct job *job = arg;
    struct local_stream *s = job->s;
    buf_clear(&s->spoken);
    job->result = text_speakable(str_c(job->text)) ? flite_speak(s->voice, job->text, s->speed, &s->spoken, &job->e)
                                                   : make_silence(s);
    if (job->result == 0)
        job->result = resampler_push(s->resampler, buf_str(&s->spoken), &s->audio);
    if (job->result == 0 && job->last)
        job->result = resampler_finish(s->resampler, &s->audio);
}

/* Takes the next piece off the text. Slow speech is cut finer, so that a piece takes about as long. */
static void take_piece(struct local_stream *s, struct job *job)
{
    size_t max = (size_t)(PIECE_CHARACTERS * MIN(s->speed, 1.0));
    struct str text = buf_str(&s->text);
    size_t n = text_piece(text, MAX(max, (size_t)PIECE_MIN));
    str_copy(job->text, sizeof job->text, str_n(text.p, n));
    buf_consume(&s->text, n);
    while (s->text.len && buf_str(&s->text).p[0] == ' ')
        buf_consume(&s->text, 1);
    job->last = s->text.len == 0;
}

/* Parks while the next piece is spoken and appends it to the audio. */
static int make_piece(struct local_stream *s, struct err *e)
{
    struct job job = {.s = s};
    if (task_yield(e) < 0) /* the pool may start a piece too soon to be stopped: one after the other then */
        return -1;
    err_set(&job.e, ERR_INTERNAL_ERROR, NULL);
    take_piece(s, &job);
    s->ended = job.last;
    if (pool_call(speak, &job, e) < 0)
        return -1;
    if (job.result < 0 && e)
        *e = job.e;
    return job.result;
}

/* Parks for the next slice of raw audio: 1 and *audio, 0 at the end, -1 with *e. */
static int next_slice(struct local_stream *s, struct str *audio, struct err *e)
{
    buf_consume(&s->audio, s->handed);
    s->handed = 0;
    while (s->audio.len == 0) {
        if (s->ended)
            return 0;
        if (make_piece(s, e) < 0)
            return -1;
    }
    s->handed = MIN(s->audio.len, SLICE);
    *audio = str_n(buf_str(&s->audio).p, s->handed);
    return 1;
}

/* ---- the driver ---- */

struct load {
    const char *folder;
    enum local_voice voice;
    int result;
    struct err e;
};

static void load(void *arg)
{
    struct load *l = arg;
    l->result = flite_load(l->folder, l->voice, &l->e);
}

/* In the worker pool, since the voices are libraries of several MiB. */
static int load_voice(const struct local_stream *s, struct err *e)
{
    struct load l = {.folder = s->tts->config.libraries, .voice = s->voice};
    if (pool_call(load, &l, e) < 0)
        return -1;
    if (l.result < 0 && e)
        *e = l.e;
    return l.result;
}

static int begin(struct local_stream *s, const struct tts_request *rq, struct err *e)
{
    if (s->voice == LOCAL_VOICES)
        return err_set(e, ERR_INVALID_REQUEST, "There is no voice of this name");
    if (text_plain(rq->text, &s->text) < 0)
        return err_set(e, ERR_INVALID_REQUEST, "The text to speak is too long");
    if (load_voice(s, e) < 0)
        return -1;
    s->resampler = resampler_new(FLITE_RATE, rq->rate);
    if (rq->format == SPEECH_WAV) {
        wav_head(buf_reserve(&s->audio, WAV_HEAD), rq->rate);
        buf_commit(&s->audio, WAV_HEAD);
    }
    return make_piece(s, e);
}

static void local_close(struct tts_stream *base)
{
    struct local_stream *s = (struct local_stream *)base;
    resampler_free(s->resampler);
    buf_free(&s->text);
    buf_free(&s->spoken);
    buf_free(&s->audio);
    free(s);
}

static struct tts_stream *local_open(struct tts *base, const struct tts_request *rq, struct arena *arena, struct err *e)
{
    const struct local_tts *tts = (struct local_tts *)base;
    if (rq->format != SPEECH_PCM && rq->format != SPEECH_WAV)
        return encoded_open(base, rq, tts->config.media, arena, e);
    struct local_stream *s = mem_alloc(sizeof *s);
    *s = (struct local_stream){.base.ops = base->ops,
                               .tts = tts,
                               .voice = rq->voice.n ? local_voice_find(rq->voice) : tts->voice,
                               .speed = rq->speed,
                               .text = BUF_INIT(LIMIT_MESSAGE_TEXT),
                               .spoken = BUF_INIT(AUDIO_MAX),
                               .audio = BUF_INIT(AUDIO_MAX)};
    if (begin(s, rq, e) == 0)
        return &s->base;
    local_close(&s->base);
    return NULL;
}

static int local_next(struct tts_stream *base, struct str *audio, struct err *e)
{
    return next_slice((struct local_stream *)base, audio, e);
}

static void local_free(struct tts *base)
{
    free((struct local_tts *)base);
}

static const struct tts_ops ops = {
    .name = "local", .open = local_open, .next = local_next, .close = local_close, .free = local_free};

struct tts *tts_local_new(const struct speech_local_config *config)
{
    struct local_tts *tts = mem_alloc(sizeof *tts);
    *tts = (struct local_tts){.base.ops = &ops};
    if (config)
        tts->config = *config;
    if (tts->config.voice)
        tts->voice = local_voice_find(str_c(tts->config.voice));
    if (tts->voice == LOCAL_VOICES) {
        log_warn("speech", "voice_unknown", F_C("voice", tts->config.voice),
                 F_C("instead", local_voice_name(VOICE_SLT)));
        tts->voice = VOICE_SLT;
    }
    return &tts->base;
}
