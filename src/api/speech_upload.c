/* POST /api/stt: audio in whatever way the client has it (the bytes themselves, a form, base64 in JSON), as text. */
#include "api/speech_impl.h"

#include "api/hearing.h"
#include "wire/multipart.h"

#define PCM_RATE 24000 /* of PCM that does not say its own */

/* How the audio came, and what is known about it. */
struct upload {
    struct str audio, language;
    bool base64;
    unsigned pcm_rate; /* 0: a file */
};

static int required(struct err *e)
{
    return err_set(e, ERR_INVALID_REQUEST, "Audio data is required");
}

/* "audio/pcm;rate=16000", "pcm", "pcm16": PCM. Every other type is found out by content. */
static int read_type(struct upload *up, struct str type, struct err *e)
{
    struct str text = STR_NONE;
    uint64_t rate = PCM_RATE;
    ptrdiff_t end = str_find_char(type, ';');
    struct str name = str_trim(str_n(type.p, end < 0 ? type.n : (size_t)end));
    if (!str_ieq(name, STR("audio/pcm")) && !str_ieq(name, STR("pcm")) && !str_ieq(name, STR("pcm16")))
        return 0;
    multipart_parameter(type, STR("rate"), &text);
    if (text.p && (str_u64(text, &rate) < 0 || rate < 8000 || rate > 48000))
        return err_set(e, ERR_INVALID_REQUEST, "The sample rate must be 8000 to 48000 Hz");
    up->pcm_rate = (unsigned)rate;
    return 0;
}

static int read_json(struct http_request *rq, struct upload *up, struct err *e)
{
    struct json_want wants[] = {{.path = "audioData"}, {.path = "audioFormat"}, {.path = "language"}};
    if (json_scan(rq->body, wants, COUNT(wants), NULL, e) < 0)
        return -1;
    if (wants[0].value.type != JSON_STRING)
        return required(e);
    up->audio = wants[0].value.raw;
    up->base64 = true;
    struct str type = want_text(rq->arena, &wants[1].value), language = want_text(rq->arena, &wants[2].value);
    return read_type(up, type.p ? type : STR(""), e) < 0 ? -1 : speech_language(language, &up->language, e);
}

static int read_form(struct http_request *rq, struct upload *up, struct err *e)
{
    struct multipart m;
    struct multipart_part part;
    int more;
    if (multipart_init(&m, http_request_header(rq, STR("content-type")), rq->body, e) < 0)
        return -1;
    while ((more = multipart_next(&m, &part, e)) == 1) {
        if (str_eqc(part.name, "file") || (!up->audio.p && str_eqc(part.name, "audio"))) {
            up->audio = part.body;
            if (read_type(up, part.type, e) < 0)
                return -1;
        } else if (str_eqc(part.name, "language") && speech_language(part.body, &up->language, e) < 0) {
            return -1;
        }
    }
    return more;
}

static bool type_starts(struct str type, struct str prefix)
{
    return type.n >= prefix.n && str_ieq(str_n(type.p, prefix.n), prefix);
}

/* No container begins with a brace; types that say nothing leave it to the body. */
static bool is_json(const struct http_request *rq, struct str type)
{
    return type_starts(type, STR("application/json")) ||
           (http_request_is_json(rq) && str_starts(str_trim(rq->body), STR("{")));
}

static int read_upload(struct http_request *rq, struct upload *up, struct err *e)
{
    struct str type = http_request_header(rq, STR("content-type"));
    struct str language = http_request_query(rq, STR("language"));
    int result;
    *up = (struct upload){.language = STR("")};
    if (rq->body.n == 0)
        return required(e);
    type = type.p ? type : STR("");
    if (speech_language(language, &up->language, e) < 0)
        return -1;
    if (type_starts(type, STR("multipart/"))) {
        result = read_form(rq, up, e);
    } else if (is_json(rq, type)) {
        result = read_json(rq, up, e);
    } else {
        up->audio = rq->body;
        result = read_type(up, type, e);
    }
    return result == 0 && up->audio.n == 0 ? required(e) : result;
}

static void reply(struct http_request *rq, const struct heard *heard)
{
    double confidence = heard_confidence(heard);
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    jw_kstr(&w, "text", buf_str(&heard->text));
    if (confidence >= 0)
        jw_knum(&w, "confidence", confidence);
    jw_kint(&w, "durationMs", (int64_t)heard->duration_ms);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

void speech_post_stt(struct http_request *rq)
{
    struct api *api = api_of(rq);
    struct upload up;
    struct heard heard;
    struct err e;
    if (read_upload(rq, &up, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    struct hearing_request request = {.stt = api->config.stt,
                                      .media = api->config.media,
                                      .audio = up.audio,
                                      .base64 = up.base64,
                                      .pcm_rate = up.pcm_rate,
                                      .language = up.language,
                                      .prompt = STR("")};
    http_needs_client(rq);
    heard_init(&heard);
    if (hear(&request, rq->arena, &heard, &e) == 0) {
        reply(rq, &heard);
    } else {
        speech_public_error(&e);
        http_reply_error(rq, &e);
    }
    heard_free(&heard);
}
