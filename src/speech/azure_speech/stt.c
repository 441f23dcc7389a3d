#include "base/limits.h"
#include "base/mem.h"
#include "loop/task.h"
#include "speech/azure_speech/result.h"
#include "speech/azure_speech/service.h"
#include "speech/reply.h"
#include "speech/speech_driver.h"
#include "speech/ssml.h"
#include "speech/wav.h"

#include <stdlib.h>

#define RATE      16000 /* what the service wants */
#define SECONDS   60    /* what it takes */
#define AUDIO_MS  100   /* in less there is no word */
#define REPLY_MAX MIB(1)
#define PATH      "/speech/recognition/conversation/cognitiveservices/v1?format=detailed&language="

struct azure_stt {
    struct stt base;
    struct azure_service service;
    char *language;
};

struct azure_stt_stream {
    struct stt_stream base;
    const struct azure_stt *stt;
    unsigned rate;
    struct resampler *resampler; /* NULL: the rate is right as it is */
    struct buf path, wav;
    uint64_t samples;         /* written */
    bool complete;            /* no more audio will come */
    struct waitlist finished; /* who waits for that */
    struct fetch *fetch;
    struct buf reply, text;
    bool ended, failed;
};

static struct stt_stream *azure_stt_open(struct stt *stt, const struct stt_request *rq, struct arena *arena,
                                         struct err *e)
{
    const struct azure_stt *t = (const struct azure_stt *)stt;
    struct str language = azure_service_language(rq->language, t->language);
    (void)arena;
    if (!ssml_language_valid(language)) {
        err_set(e, ERR_INVALID_REQUEST, "There is no language of this name");
        return NULL;
    }
    struct azure_stt_stream *s = mem_zalloc(sizeof *s);
    s->base.ops = stt->ops;
    s->stt = t;
    s->rate = rq->rate;
    s->resampler = rq->rate == RATE ? NULL : resampler_new(rq->rate, RATE);
    waitlist_init(&s->finished);
    buf_init(&s->path, SIZE_MAX);
    buf_init(&s->wav, SIZE_MAX);
    buf_init(&s->reply, REPLY_MAX);
    buf_init(&s->text, REPLY_MAX);
    buf_lit(&s->path, PATH);
    buf_str_add(&s->path, language);
    wav_head(buf_reserve(&s->wav, WAV_HEAD), RATE);
    buf_commit(&s->wav, WAV_HEAD);
    return &s->base;
}

static int azure_stt_write(struct stt_stream *base, struct str pcm, struct err *e)
{
    struct azure_stt_stream *s = (struct azure_stt_stream *)base;
    if (s->complete)
        return err_set(e, ERR_INVALID_REQUEST, "The audio has ended already");
    if (s->samples + pcm.n / sizeof(int16_t) > (uint64_t)SECONDS * s->rate)
        return err_set(e, ERR_INVALID_REQUEST, "At most %d seconds can be recognized at a time", SECONDS);
    s->samples += pcm.n / sizeof(int16_t);
    return s->resampler ? resampler_push(s->resampler, pcm, &s->wav) : buf_str_add(&s->wav, pcm);
}

static int azure_stt_finish(struct stt_stream *base, struct err *e)
{
    struct azure_stt_stream *s = (struct azure_stt_stream *)base;
    (void)e;
    if (s->complete)
        return 0;
    if (s->resampler)
        resampler_finish(s->resampler, &s->wav);
    wav_set_length(s->wav.data + s->wav.head, s->wav.len - WAV_HEAD);
    s->complete = true;
    waitlist_wake_all(&s->finished);
    return 0;
}

static int ask(struct azure_stt_stream *s, struct err *e)
{
    const struct azure_service *service = &s->stt->service;
    struct fetch_header headers[] = {{"Content-Type", STR("audio/wav; codecs=audio/pcm; samplerate=16000")},
                                     {"Accept", STR("application/json")}};
    s->fetch = azure_service_post(service, buf_str(&s->path), headers, COUNT(headers), buf_str(&s->wav), e);
    buf_free(&s->wav);
    if (!s->fetch)
        return -1;
    if (fetch_status(s->fetch) / 100 != 2)
        return reply_refused(s->fetch, str_c(service->key), e);
    return fetch_read_all(s->fetch, &s->reply, REPLY_MAX, e);
}

static uint64_t audio_ms(const struct azure_stt_stream *s)
{
    return s->samples * 1000 / s->rate;
}

/* Waits for the end of the audio and for what was understood of it. */
static int recognize(struct azure_stt_stream *s, struct result *result, struct err *e)
{
    while (!s->complete)
        if (waitlist_wait(&s->finished, e) < 0)
            return -1;
    *result = (struct result){.text = STR(""), .confidence = -1, .audio_ms = -1};
    if (audio_ms(s) < AUDIO_MS)
        return 0;
    return ask(s, e) < 0 ? -1 : result_read(result, buf_str(&s->reply), &s->text, e);
}

static int azure_stt_next(struct stt_stream *base, struct stt_event *event, struct err *e)
{
    struct azure_stt_stream *s = (struct azure_stt_stream *)base;
    struct result result;
    if (s->ended)
        return 0;
    if (s->failed)
        return err_set(e, ERR_UPSTREAM, NULL);
    if (recognize(s, &result, e) < 0) {
        s->failed = s->complete;
        return -1;
    }
    s->ended = true;
    event->type = STT_FINAL;
    event->text = result.text;
    event->confidence = result.confidence;
    event->audio_ms = result.audio_ms >= 0 ? (uint64_t)result.audio_ms : audio_ms(s);
    return 1;
}

static void azure_stt_close(struct stt_stream *base)
{
    struct azure_stt_stream *s = (struct azure_stt_stream *)base;
    fetch_close(s->fetch);
    resampler_free(s->resampler);
    buf_free(&s->path);
    buf_free(&s->wav);
    buf_free(&s->reply);
    buf_free(&s->text);
    free(s);
}

static void azure_stt_free(struct stt *stt)
{
    struct azure_stt *t = (struct azure_stt *)stt;
    azure_service_free(&t->service);
    free(t->language);
    free(t);
}

static const struct stt_ops azure_speech_ops = {.name = "azure_speech",
                                                .open = azure_stt_open,
                                                .write = azure_stt_write,
                                                .finish = azure_stt_finish,
                                                .next = azure_stt_next,
                                                .close = azure_stt_close,
                                                .free = azure_stt_free};

struct stt *azure_rest_new(const struct speech_azure_config *config, struct err *e)
{
    struct azure_stt *t = mem_zalloc(sizeof *t);
    if (azure_service_make(&t->service, config, "stt", config->stt_url, e) < 0) {
        free(t);
        return NULL;
    }
    t->base.ops = &azure_speech_ops;
    t->language = str_dup(str_c(config->language && *config->language ? config->language : "en-US"));
    return &t->base;
}

const struct azure_service *azure_rest_service(const struct stt *rest)
{
    return &((const struct azure_stt *)rest)->service;
}
