#include "base/json.h"
#include "base/mem.h"
#include "speech/openai/service.h"
#include "speech/reply.h"
#include "speech/speech_driver.h"
#include "speech/voices.h"

#include <stdlib.h>

#define RATE      24000 /* of the PCM that comes */
#define VOICE_MAX 64

struct openai_tts {
    struct tts base;
    struct openai_service service;
    char *voice;
    enum openai_voices voices;
    bool instructions; /* the model follows some */
};

struct openai_tts_stream {
    struct tts_stream base;
    struct audio_reply reply;
};

/* A name that may be one of a compatible server's, or of a voice made by its user. */
static bool is_plain(struct str name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+";
    for (size_t i = 0; i < name.n; i++)
        if (!memchr(plain, name.p[i], sizeof plain - 1))
            return false;
    return name.n > 0 && name.n <= VOICE_MAX;
}

static int put_voice(struct jw *w, const struct openai_tts *t, struct str wanted, struct err *e)
{
    struct str name = wanted.n > 0 ? wanted : str_c(t->voice);
    const char *known = voice_openai(name, t->voices);
    if (!known && !is_plain(name))
        return err_set(e, ERR_INVALID_REQUEST, "There is no voice of this name");
    if (known || !str_starts(name, STR("voice_"))) {
        jw_kstr(w, "voice", known ? str_c(known) : name);
        return 0;
    }
    jw_key(w, "voice");
    jw_obj(w);
    jw_kstr(w, "id", name);
    jw_end_obj(w);
    return 0;
}

static int put_body(struct buf *out, const struct openai_tts *t, const struct tts_request *rq, struct err *e)
{
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "model", str_c(t->service.model));
    jw_kstr(&w, "input", rq->text);
    if (put_voice(&w, t, rq->voice, e) < 0)
        return -1;
    if (t->instructions && rq->instructions.n > 0)
        jw_kstr(&w, "instructions", rq->instructions);
    /* The head of a WAV is written here: it says the rate that was asked for. */
    jw_kstr(&w, "response_format", str_c(speech_format_name(rq->format == SPEECH_WAV ? SPEECH_PCM : rq->format)));
    if (rq->speed != 1)
        jw_knum(&w, "speed", rq->speed);
    jw_end_obj(&w);
    return 0;
}

static struct tts_stream *openai_tts_open(struct tts *tts, const struct tts_request *rq, struct arena *arena,
                                          struct err *e)
{
    struct openai_tts *t = (struct openai_tts *)tts;
    struct buf body = BUF_INIT(SIZE_MAX);
    struct fetch *fetch = NULL;
    (void)arena;
    if (put_body(&body, t, rq, e) == 0)
        fetch = openai_service_post(&t->service, STR("application/json"), STR("*/*"), buf_str(&body), e);
    buf_free(&body);
    if (!fetch)
        return NULL;
    struct openai_tts_stream *s = mem_zalloc(sizeof *s);
    s->base.ops = tts->ops;
    if (audio_reply_begin(&s->reply, fetch, rq, RATE, openai_service_key(&t->service), e) == 0)
        return &s->base;
    tts->ops->close(&s->base);
    return NULL;
}

static int openai_tts_next(struct tts_stream *base, struct str *audio, struct err *e)
{
    return audio_reply_next(&((struct openai_tts_stream *)base)->reply, audio, e);
}

static void openai_tts_close(struct tts_stream *base)
{
    struct openai_tts_stream *s = (struct openai_tts_stream *)base;
    audio_reply_end(&s->reply);
    free(s);
}

static void openai_tts_free(struct tts *tts)
{
    struct openai_tts *t = (struct openai_tts *)tts;
    openai_service_free(&t->service);
    free(t->voice);
    free(t);
}

static const struct tts_ops openai_ops = {.name = "openai",
                                          .open = openai_tts_open,
                                          .next = openai_tts_next,
                                          .close = openai_tts_close,
                                          .free = openai_tts_free};

static const struct tts_ops azure_ops = {.name = "azure_openai",
                                         .open = openai_tts_open,
                                         .next = openai_tts_next,
                                         .close = openai_tts_close,
                                         .free = openai_tts_free};

/* tts-1 and tts-1-hd are named tts and tts-hd at Azure, and have but the first voices there. */
static void set_abilities(struct openai_tts *t)
{
    bool first_models = str_starts(str_c(t->service.model), STR("tts"));
    t->instructions = !first_models;
    t->voices = !first_models ? OPENAI_VOICES_ALL : t->service.azure ? OPENAI_VOICES_CLASSIC : OPENAI_VOICES_TTS_1;
}

struct tts *tts_openai_new(const struct speech_openai_config *config, struct err *e)
{
    struct openai_operation speech = {.path = "/audio/speech",
                                      .model = config->tts_model && *config->tts_model ? config->tts_model : "tts-1",
                                      .deployment = config->tts_deployment,
                                      .api_version = config->tts_api_version};
    struct openai_tts *t = mem_zalloc(sizeof *t);
    if (openai_service_make(&t->service, config, &speech, e) < 0) {
        free(t);
        return NULL;
    }
    t->base.ops = config->azure ? &azure_ops : &openai_ops;
    t->voice = str_dup(str_c(config->voice && *config->voice ? config->voice : "alloy"));
    set_abilities(t);
    return &t->base;
}
