/* The clouds' services, in this process: spoken and heard by the local driver behind what they say on the wire. */
#ifndef TEST_CONTRACT_SPEECH_CLOUD_H
#define TEST_CONTRACT_SPEECH_CLOUD_H

#include "unit/speech/azure_env.h"

#include "speech/media.h"
#include "wire/json.h"
#include "wire/multipart.h"

struct cloud_service {
    struct azure_env azure;
    struct media *media;
    struct tts *tts;
};

static inline struct cloud_service *cloud_service_of(const struct http_request *rq)
{
    struct live_server *live = rq->ctx;
    return container_of(container_of(live, struct azure_env, live), struct cloud_service, azure);
}

static inline void cloud_speak(struct http_request *rq, const struct tts_request *what)
{
    struct buf audio = BUF_INIT(MIB(16));
    struct err e = {0};
    struct str piece;
    struct tts_stream *s = tts_open(cloud_service_of(rq)->tts, what, rq->arena, &e);
    int more = s ? 1 : -1;
    while (more > 0 && (more = tts_next(s, &piece, &e)) > 0)
        buf_str_add(&audio, piece);
    tts_close(s);
    if (more == 0)
        http_reply(rq, 200, str_c(speech_format_type(what->format)), buf_str(&audio));
    else
        http_reply_error(rq, &e);
    buf_free(&audio);
}

/* ---- Azure Speech ---- */

/* The value between the two, "" when it is not there. */
static inline struct str cloud_between(struct str text, struct str from, char to)
{
    ptrdiff_t at = str_find(text, from);
    struct str rest = at < 0 ? STR("") : str_from(text, (size_t)at + from.n);
    ptrdiff_t end = str_find_char(rest, to);
    return end < 0 ? STR("") : str_n(rest.p, (size_t)end);
}

static inline void cloud_output_format(const struct http_request *rq, struct tts_request *what)
{
    struct str name = http_request_header(rq, STR("x-microsoft-outputformat"));
    what->format = str_starts(name, STR("ogg"))     ? SPEECH_OPUS
                   : str_starts(name, STR("audio")) ? SPEECH_MP3
                                                    : SPEECH_PCM;
    if (what->format == SPEECH_PCM)
        what->rate = (unsigned)strtoul(name.p + strlen("raw-"), NULL, 10);
    if (what->rate && what->rate < 100)
        what->rate *= 1000; /* "24khz", but "22050hz" */
}

/* The texts of these tests have no entities. */
static inline void cloud_azure_speak(struct http_request *rq)
{
    struct tts_request what = {.voice = cloud_between(rq->body, STR("<voice name='"), '\''), .speed = 1};
    struct str rate = cloud_between(rq->body, STR("<prosody rate='"), '%');
    struct str inner = str_from(rq->body, (size_t)str_find(rq->body, STR("<voice")));
    cloud_output_format(rq, &what);
    if (rate.n > 0) {
        what.speed = 1 + strtod(rate.p, NULL) / 100;
        inner = str_from(inner, (size_t)str_find(inner, STR("<prosody")));
    }
    what.text = cloud_between(inner, STR(">"), '<');
    cloud_speak(rq, &what);
}

/* ---- OpenAI ---- */

static inline void cloud_openai_speak(struct http_request *rq)
{
    struct json_want wants[] = {{.path = "input"}, {.path = "voice"}, {.path = "response_format"}, {.path = "speed"}};
    struct buf text = BUF_INIT(KIB(64));
    struct err e;
    if (json_scan(rq->body, wants, COUNT(wants), NULL, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    struct tts_request what = {.text = json_text(&wants[0].value, &text),
                               .voice = wants[1].value.raw,
                               .format = speech_format_find(wants[2].value.raw),
                               .speed = json_double(&wants[3].value, 1)};
    cloud_speak(rq, &what);
    buf_free(&text);
}

static inline void cloud_put_text(struct buf *out, const struct stt_event *event, size_t bytes)
{
    (void)bytes;
    buf_addf(out, "{\"text\":\"%.*s\"}", STR_ARG(event->text));
}

static inline void cloud_openai_hear(struct http_request *rq)
{
    struct multipart form;
    struct multipart_part part;
    struct str file = STR("");
    struct buf out = BUF_INIT(KIB(64));
    struct err e;
    int more = multipart_init(&form, http_request_header(rq, STR("content-type")), rq->body, &e) == 0 ? 1 : -1;
    while (more > 0 && (more = multipart_next(&form, &part, &e)) > 0)
        if (str_eqc(part.name, "file"))
            file = part.body;
    live_assert(more == 0 && file.n > WAV_HEAD && str_starts(file, STR("RIFF")));
    const unsigned char *rate = (const unsigned char *)file.p + 24;
    struct stt_request how = {.rate = rate[0] | (unsigned)rate[1] << 8};
    azure_understand(&cloud_service_of(rq)->azure, &how, str_from(file, WAV_HEAD), NULL, &out, cloud_put_text);
    http_reply_json(rq, 200, buf_str(&out));
    buf_free(&out);
}

static const struct http_route cloud_routes[] = {
    AZURE_ROUTES,
    {.method = HTTP_POST,
     .path = "/cognitiveservices/v1",
     .handler = cloud_azure_speak,
     .max_body = MIB(1) + HTTP_ANY_TYPE},
    {.method = HTTP_POST, .path = "/v1/audio/speech", .handler = cloud_openai_speak},
    {.method = HTTP_POST,
     .path = "/v1/audio/transcriptions",
     .handler = cloud_openai_hear,
     .max_body = MIB(16) + HTTP_ANY_TYPE},
};

static inline void cloud_start(struct cloud_service *service)
{
    static const struct media_config media = {.queue_timeout = 60000};
    service->media = media_new(&media);
    service->tts = tts_local_new(&(struct speech_local_config){.media = service->media});
    azure_start_with(&service->azure, NULL, 0, cloud_routes, COUNT(cloud_routes));
}

static inline void cloud_stop(struct cloud_service *service)
{
    azure_stop(&service->azure);
    tts_free(service->tts);
    media_free(service->media);
}

#endif
