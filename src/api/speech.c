/* Speech over HTTP: text to audio and audio to text. */
#include "api/speech_impl.h"

#include "base/limits.h"
#include "base/log.h"

void speech_public_error(struct err *e)
{
    if (e->code != ERR_UPSTREAM && e->code != ERR_UPSTREAM_UNREACHABLE)
        return;
    int status = e->status, retry_after_ms = e->retry_after_ms;
    log_warn("speech", "upstream_failed", F_INT("status", status));
    if (status == 401 || status == 403)
        err_set(e, e->code, "The speech service refused this server's credentials");
    else if (status == 404)
        err_set(e, e->code, "The speech service does not know the model, the deployment or the voice");
    else if (status == 429)
        err_set(e, e->code, "The speech service is busy. Please try again.");
    else if (status < 500)
        err_set(e, e->code, "The speech service refused the request");
    else
        err_set(e, e->code, "The speech service failed");
    e->status = status;
    e->retry_after_ms = retry_after_ms;
}

static int first_audio(struct tts_stream *s, struct str *first, struct err *e)
{
    int got = tts_next(s, first, e);
    return got == 0 ? err_set(e, ERR_UPSTREAM, NULL) : got;
}

struct tts_stream *speech_begin(struct http_request *rq, const struct tts_request *say, struct str *first,
                                struct err *e)
{
    http_needs_client(rq);
    struct tts_stream *s = tts_open(api_of(rq)->config.tts, say, rq->arena, e);
    if (s && first_audio(s, first, e) < 0)
        s = tts_close(s);
    if (!s)
        speech_public_error(e);
    return s;
}

int speech_next(struct tts_stream *s, struct str *audio, struct err *e)
{
    int got = tts_next(s, audio, e);
    if (got < 0)
        speech_public_error(e);
    return got;
}

void speech_reply_audio(struct http_request *rq, struct tts_stream *s, struct str first, enum speech_format format)
{
    struct err e;
    struct str audio = first;
    int more = 1;
    http_reply_header(rq, STR("Cache-Control"), STR("no-store"));
    http_reply_header(rq, STR("X-Accel-Buffering"), STR("no"));
    http_stream_begin(rq, 200, str_c(speech_format_type(format)));
    while (more > 0)
        more = http_stream_write(rq, audio, &e) < 0 ? -1 : speech_next(s, &audio, &e);
    tts_close(s);
    if (more == 0)
        http_stream_end(rq);
    else if (e.code != ERR_CANCELLED)
        log_warn("speech", "broke_off", F_C("code", err_name(e.code)));
}

int speech_language(struct str given, struct str *language, struct err *e)
{
    static const char *const locales[] = {"en-US", "de-DE", "fr-FR", "es-ES", "it-IT", "pt-BR", "nl-NL", "pl-PL",
                                          "ru-RU", "uk-UA", "tr-TR", "sv-SE", "da-DK", "nb-NO", "fi-FI", "cs-CZ",
                                          "el-GR", "ja-JP", "ko-KR", "zh-CN", "hi-IN", "ar-SA", "he-IL", "hu-HU"};
    given = given.p ? given : STR("");
    *language = given;
    for (size_t i = 0; i < given.n; i++) {
        char c = (char)(given.p[i] | 0x20);
        bool ok = (c >= 'a' && c <= 'z') || (i > 1 && (given.p[i] == '-' || (given.p[i] >= '0' && given.p[i] <= '9')));
        if (!ok || given.n < 2 || given.n > 16)
            return err_set(e, ERR_INVALID_REQUEST, "The language must be a code such as en or en-US");
    }
    for (size_t i = 0; i < COUNT(locales) && given.n == 2; i++)
        if (str_ieq(given, str_n(locales[i], 2)))
            *language = str_c(locales[i]);
    return 0;
}

/* OpenAI takes files of 25 MB, and what a form puts around them. */
#define FORM_MAX ((MIB(25) + KIB(64)) | HTTP_ANY_TYPE)

static const struct http_route routes[] = {
    {HTTP_POST, "/api/tts", speech_post_tts, NULL, 0, "shared",
     "Text to speech: an MP3 stream, or JSON (by `speed`, `store`, an Azure voice, or Accept: application/json)"},
    {HTTP_POST, "/aimcs/api/tts", speech_post_tts_aimcs, NULL, 0, "aimcs", "POST /api/tts, always JSON"},
    {HTTP_POST, "/openai/api/tts", speech_post_tts_openai, NULL, 0, "openai", "POST /api/tts, always an MP3 stream"},
    {HTTP_POST, "/api/stt", speech_post_stt, NULL, LIMIT_HTTP_BODY_LARGE | HTTP_ANY_TYPE, "shared",
     "Speech to text: the audio itself, a form with `file`, or JSON with `audioData`"},
    {HTTP_POST, "/v1/audio/speech", speech_post_v1, NULL, 0, "openai", "OpenAI text to speech, streamed"},
    {HTTP_POST, "/v1/audio/transcriptions", speech_post_transcription, NULL, FORM_MAX, "openai",
     "OpenAI speech to text, whole or streamed"},
    {HTTP_POST, "/v1/audio/translations", speech_post_translation, NULL, FORM_MAX, "openai",
     "OpenAI speech to English text"},
};

const struct door door_speech = {routes, COUNT(routes), NULL};
