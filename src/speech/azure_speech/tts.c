#include "base/mem.h"
#include "speech/azure_speech/service.h"
#include "speech/encoded.h"
#include "speech/reply.h"
#include "speech/ssml.h"
#include "speech/voices.h"

#include <stdlib.h>

struct azure_tts {
    struct tts base;
    struct azure_service service;
    struct media *media;
    char *voice;
};

struct azure_tts_stream {
    struct tts_stream base;
    struct audio_reply reply;
};

/* The rates of PCM there are, and what asks for it. */
static const struct {
    unsigned rate;
    const char *name;
} raw[] = {{8000, "raw-8khz-16bit-mono-pcm"},     {16000, "raw-16khz-16bit-mono-pcm"},
           {22050, "raw-22050hz-16bit-mono-pcm"}, {24000, "raw-24khz-16bit-mono-pcm"},
           {44100, "raw-44100hz-16bit-mono-pcm"}, {48000, "raw-48khz-16bit-mono-pcm"}};

/* What to ask for, and the rate of the PCM that then comes; NULL when there is nothing of this format. */
static const char *output_format(const struct tts_request *rq, unsigned *made)
{
    size_t i = 0;
    *made = 0;
    if (rq->format == SPEECH_MP3)
        return "audio-24khz-96kbitrate-mono-mp3";
    if (rq->format == SPEECH_OPUS)
        return "ogg-24khz-16bit-mono-opus";
    if (rq->format != SPEECH_PCM && rq->format != SPEECH_WAV)
        return NULL;
    while (i + 1 < COUNT(raw) && raw[i].rate < rq->rate)
        i++;
    *made = raw[i].rate;
    return raw[i].name;
}

static int put_document(struct buf *out, const struct azure_tts *t, const struct tts_request *rq, struct err *e)
{
    struct ssml ssml = {.text = rq->text,
                        .voice = voice_azure(rq->voice.n > 0 ? rq->voice : str_c(t->voice)),
                        .language = rq->language,
                        .speed = rq->speed};
    return ssml_put(out, &ssml, e);
}

static struct fetch *ask(const struct azure_tts *t, const struct tts_request *rq, const char *format, struct err *e)
{
    struct buf document = BUF_INIT(SIZE_MAX);
    struct fetch *fetch = NULL;
    struct fetch_header headers[] = {{"Content-Type", STR("application/ssml+xml")},
                                     {"X-Microsoft-OutputFormat", str_c(format)},
                                     {"User-Agent", STR("parley")}};
    if (put_document(&document, t, rq, e) == 0)
        fetch = azure_service_post(&t->service, STR("/cognitiveservices/v1"), headers, COUNT(headers),
                                   buf_str(&document), e);
    buf_free(&document);
    return fetch;
}

static struct tts_stream *azure_tts_open(struct tts *tts, const struct tts_request *rq, struct arena *arena,
                                         struct err *e)
{
    const struct azure_tts *t = (const struct azure_tts *)tts;
    unsigned made;
    const char *format = output_format(rq, &made);
    if (!format)
        return encoded_open(tts, rq, t->media, arena, e);
    struct fetch *fetch = ask(t, rq, format, e);
    if (!fetch)
        return NULL;
    struct azure_tts_stream *s = mem_zalloc(sizeof *s);
    s->base.ops = tts->ops;
    if (audio_reply_begin(&s->reply, fetch, rq, made, str_c(t->service.key), e) == 0)
        return &s->base;
    tts->ops->close(&s->base);
    return NULL;
}

static int azure_tts_next(struct tts_stream *base, struct str *audio, struct err *e)
{
    return audio_reply_next(&((struct azure_tts_stream *)base)->reply, audio, e);
}

static void azure_tts_close(struct tts_stream *base)
{
    struct azure_tts_stream *s = (struct azure_tts_stream *)base;
    audio_reply_end(&s->reply);
    free(s);
}

static void azure_tts_free(struct tts *tts)
{
    struct azure_tts *t = (struct azure_tts *)tts;
    azure_service_free(&t->service);
    free(t->voice);
    free(t);
}

static const struct tts_ops azure_speech_ops = {.name = "azure_speech",
                                                .open = azure_tts_open,
                                                .next = azure_tts_next,
                                                .close = azure_tts_close,
                                                .free = azure_tts_free};

struct tts *tts_azure_speech_new(const struct speech_azure_config *config, struct err *e)
{
    const char *voice = config->voice && *config->voice ? config->voice : "en-US-JennyNeural";
    struct azure_tts *t = mem_zalloc(sizeof *t);
    if (azure_service_make(&t->service, config, "tts", config->tts_url, e) < 0) {
        free(t);
        return NULL;
    }
    t->base.ops = &azure_speech_ops;
    t->media = config->media;
    t->voice = str_dup(str_c(voice));
    return &t->base;
}
