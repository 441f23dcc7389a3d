#include "base/limits.h"
#include "base/mem.h"
#include "loop/task.h"
#include "speech/openai/form.h"
#include "speech/openai/service.h"
#include "speech/openai/transcript.h"
#include "speech/reply.h"
#include "speech/speech_driver.h"
#include "speech/wav.h"
#include "wire/sse.h"

#include <stdlib.h>

#define FILE_MAX MIB(25) /* what the service takes */
#define AUDIO_MS 100     /* shorter is refused by it: there is no word in it */

struct openai_stt {
    struct stt base;
    struct openai_service service;
    bool streams;  /* the model can tell what it has understood so far */
    bool diarizes; /* it tells speakers apart, and takes no prompt */
};

struct openai_stt_stream {
    struct stt_stream base;
    const struct openai_stt *stt;
    unsigned rate;
    bool partial; /* is wanted and can be had */
    struct form form;
    uint64_t audio_ms;
    bool complete;            /* no more audio will come */
    struct waitlist finished; /* who waits for that */
    struct fetch *fetch;
    bool whole; /* the reply is no stream */
    struct sse_reader sse;
    struct str in;
    struct openai_transcript transcript;
    bool ended, failed;
};

/* The languages of requests are "en-US" and the like; here it takes ISO 639-1. */
static struct str language_of(struct str language)
{
    struct str rest = language, first;
    return str_split(&rest, '-', &first) && first.n == 2 ? first : STR("");
}

static void put_fields(struct openai_stt_stream *s, const struct stt_request *rq)
{
    const struct openai_stt *t = s->stt;
    form_field(&s->form, "model", str_c(t->service.model));
    form_field(&s->form, "response_format", STR("json"));
    if (language_of(rq->language).n > 0)
        form_field(&s->form, "language", language_of(rq->language));
    if (rq->prompt.n > 0 && !t->diarizes)
        form_field(&s->form, "prompt", rq->prompt);
    if (t->diarizes)
        form_field(&s->form, "chunking_strategy", STR("auto"));
    if (s->partial)
        form_field(&s->form, "stream", STR("true"));
}

static struct stt_stream *openai_stt_open(struct stt *stt, const struct stt_request *rq, struct arena *arena,
                                          struct err *e)
{
    struct openai_stt_stream *s = mem_zalloc(sizeof *s);
    (void)arena;
    (void)e;
    s->base.ops = stt->ops;
    s->stt = (struct openai_stt *)stt;
    s->rate = rq->rate;
    s->partial = rq->partial && s->stt->streams;
    waitlist_init(&s->finished);
    sse_reader_init(&s->sse, LIMIT_SSE_EVENT);
    openai_transcript_init(&s->transcript);
    form_begin(&s->form);
    put_fields(s, rq);
    form_file(&s->form, "file", "audio.wav", "audio/wav");
    wav_head(buf_reserve(&s->form.body, WAV_HEAD), s->rate);
    buf_commit(&s->form.body, WAV_HEAD);
    return &s->base;
}

static int openai_stt_write(struct stt_stream *base, struct str pcm, struct err *e)
{
    struct openai_stt_stream *s = (struct openai_stt_stream *)base;
    if (s->complete)
        return err_set(e, ERR_INVALID_REQUEST, "The audio has ended already");
    if (pcm.n > FILE_MAX - form_file_size(&s->form))
        return err_set(e, ERR_BODY_TOO_LARGE, "The audio is too long to be transcribed at once");
    return buf_str_add(&s->form.body, pcm);
}

static int openai_stt_finish(struct stt_stream *base, struct err *e)
{
    struct openai_stt_stream *s = (struct openai_stt_stream *)base;
    (void)e;
    if (s->complete)
        return 0;
    size_t n = form_file_size(&s->form) - WAV_HEAD;
    s->audio_ms = n / sizeof(int16_t) * 1000 / s->rate;
    wav_set_length(s->form.body.data + s->form.file_at, n);
    form_end(&s->form);
    s->complete = true;
    waitlist_wake_all(&s->finished);
    return 0;
}

static bool is_event_stream(const struct fetch *fetch)
{
    struct str type = fetch_header(fetch, "content-type"), events = STR("text/event-stream");
    return type.n >= events.n && str_ieq(str_n(type.p, events.n), events);
}

static int ask(struct openai_stt_stream *s, struct err *e)
{
    const struct openai_service *service = &s->stt->service;
    char type[FORM_BOUNDARY + 48];
    struct buf text = BUF_INIT(sizeof type);
    buf_addf(&text, "multipart/form-data; boundary=%s", s->form.boundary);
    s->fetch =
        openai_service_post(service, buf_str(&text), s->partial ? STR("text/event-stream") : STR("application/json"),
                            buf_str(&s->form.body), e);
    buf_free(&text);
    form_free(&s->form);
    if (!s->fetch)
        return -1;
    if (fetch_status(s->fetch) / 100 != 2)
        return reply_refused(s->fetch, openai_service_key(service), e);
    s->whole = !is_event_stream(s->fetch);
    return 0;
}

static int read_whole(struct openai_stt_stream *s, struct err *e)
{
    struct buf body = BUF_INIT(LIMIT_UPSTREAM_BODY);
    int result = fetch_read_all(s->fetch, &body, LIMIT_UPSTREAM_BODY, e);
    if (result == 0)
        result = openai_transcript_read_whole(&s->transcript, buf_str(&body), e);
    buf_free(&body);
    return result;
}

/* The data of the stream's next event: 1; 0 at its end; -1. */
static int next_data(struct openai_stt_stream *s, struct str *data, struct err *e)
{
    struct sse_event event;
    for (;;) {
        int got = sse_next(&s->sse, &s->in, &event, e);
        if (got == 0) {
            int more = fetch_read(s->fetch, &s->in, e);
            if (more > 0)
                continue;
            got = more < 0 ? -1 : sse_end(&s->sse, &event);
        }
        if (got > 0)
            *data = str_trim(event.data);
        return got;
    }
}

/* Reads on until the text changed or is complete. */
static int read_event(struct openai_stt_stream *s, struct err *e)
{
    struct str data;
    int changed = 0;
    while (changed == 0) {
        int got = next_data(s, &data, e);
        if (got < 0)
            return -1;
        if (got == 0 || str_eqc(data, "[DONE]"))
            return err_set(e, ERR_UPSTREAM, "The transcript broke off");
        changed = openai_transcript_read_event(&s->transcript, data, openai_service_key(&s->stt->service), e);
    }
    return changed < 0 ? -1 : 0;
}

static int await_audio(struct openai_stt_stream *s, struct err *e)
{
    while (!s->complete)
        if (waitlist_wait(&s->finished, e) < 0)
            return -1;
    return 0;
}

static int understand(struct openai_stt_stream *s, struct err *e)
{
    if (await_audio(s, e) < 0)
        return -1;
    s->transcript.done = s->audio_ms < AUDIO_MS;
    if (s->transcript.done)
        return 0;
    if (!s->fetch && ask(s, e) < 0)
        return -1;
    return s->whole ? read_whole(s, e) : read_event(s, e);
}

static int openai_stt_next(struct stt_stream *base, struct stt_event *event, struct err *e)
{
    struct openai_stt_stream *s = (struct openai_stt_stream *)base;
    if (s->ended)
        return 0;
    if (s->failed)
        return err_set(e, ERR_UPSTREAM, NULL);
    if (understand(s, e) < 0) {
        s->failed = s->complete;
        return -1;
    }
    s->ended = s->transcript.done;
    event->type = s->ended ? STT_FINAL : STT_PARTIAL;
    event->text = str_trim(buf_str(&s->transcript.text));
    event->settled = true;
    event->audio_ms = s->audio_ms;
    return 1;
}

static void openai_stt_close(struct stt_stream *base)
{
    struct openai_stt_stream *s = (struct openai_stt_stream *)base;
    if (s->ended)
        fetch_finish(s->fetch);
    else
        fetch_close(s->fetch);
    form_free(&s->form);
    sse_reader_free(&s->sse);
    openai_transcript_free(&s->transcript);
    free(s);
}

static void openai_stt_free(struct stt *stt)
{
    struct openai_stt *t = (struct openai_stt *)stt;
    openai_service_free(&t->service);
    free(t);
}

static const struct stt_ops openai_ops = {.name = "openai",
                                          .open = openai_stt_open,
                                          .write = openai_stt_write,
                                          .finish = openai_stt_finish,
                                          .next = openai_stt_next,
                                          .close = openai_stt_close,
                                          .free = openai_stt_free};

static const struct stt_ops azure_ops = {.name = "azure_openai",
                                         .open = openai_stt_open,
                                         .write = openai_stt_write,
                                         .finish = openai_stt_finish,
                                         .next = openai_stt_next,
                                         .close = openai_stt_close,
                                         .free = openai_stt_free};

struct stt *stt_openai_new(const struct speech_openai_config *config, struct err *e)
{
    const char *model = config->stt_model && *config->stt_model ? config->stt_model : "whisper-1";
    struct openai_operation transcription = {.path = "/audio/transcriptions",
                                             .model = model,
                                             .deployment = config->stt_deployment,
                                             .api_version = config->stt_api_version};
    struct openai_stt *t = mem_zalloc(sizeof *t);
    if (openai_service_make(&t->service, config, &transcription, e) < 0) {
        free(t);
        return NULL;
    }
    t->base.ops = config->azure ? &azure_ops : &openai_ops;
    t->streams = str_find(str_c(t->service.model), STR("transcribe")) >= 0;
    t->diarizes = str_find(str_c(t->service.model), STR("diarize")) >= 0;
    return &t->base;
}
