/* POST /v1/audio/speech: OpenAI's text to speech, as audio or as events. */
#include "api/speech_impl.h"

#include "api/openai_impl.h"
#include "server/sse.h"
#include "wire/base64.h"

#define SPEED_MIN 0.25
#define SPEED_MAX 4.0

enum say_want {
    SAY_INPUT,
    SAY_VOICE,
    SAY_VOICE_ID,
    SAY_FORMAT,
    SAY_SPEED,
    SAY_INSTRUCTIONS,
    SAY_STREAM_FORMAT,
    SAY_MODEL,
    SAY_WANTS
};

/* Why a request is refused, and which member it is about. */
struct refusal {
    struct err e;
    const char *param, *code;
};

static bool is_given(const struct json_want *want)
{
    return want->value.type > JSON_NULL;
}

static size_t count_characters(struct str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return n;
}

static int invalid(struct refusal *r, const char *param, const char *code)
{
    r->param = param;
    r->code = code;
    return -1;
}

/* An optional string: "" when absent. */
static int read_string(struct arena *arena, const struct json_want *want, struct str *text, struct refusal *r)
{
    *text = STR("");
    if (!is_given(want))
        return 0;
    if (want->value.type != JSON_STRING) {
        err_set(&r->e, ERR_INVALID_REQUEST, "'%s' must be a string", want->path);
        return invalid(r, want->path, "invalid_type");
    }
    *text = want_text(arena, &want->value);
    return 0;
}

static int read_text(struct arena *arena, const struct json_want *want, struct str *text, struct refusal *r)
{
    if (read_string(arena, want, text, r) < 0)
        return -1;
    size_t n = count_characters(*text);
    if (n <= SPEECH_TEXT_MAX)
        return 0;
    err_set(&r->e, ERR_INVALID_REQUEST, "'%s' has %zu characters; at most %d are spoken", want->path, n,
            SPEECH_TEXT_MAX);
    return invalid(r, want->path, "string_above_max_length");
}

static int read_input(struct arena *arena, const struct json_want *want, struct str *text, struct refusal *r)
{
    if (!is_given(want)) {
        err_set(&r->e, ERR_INVALID_REQUEST, "Missing required parameter: 'input'.");
        return invalid(r, "input", "missing_required_parameter");
    }
    if (read_text(arena, want, text, r) < 0)
        return -1;
    if (str_trim(*text).n > 0)
        return 0;
    err_set(&r->e, ERR_INVALID_REQUEST, "'input' is empty");
    return invalid(r, "input", "string_below_min_length");
}

static int read_voice(struct arena *arena, const struct json_want *wants, struct str *voice, struct refusal *r)
{
    const struct json_want *name = &wants[SAY_VOICE], *id = &wants[SAY_VOICE_ID];
    if (name->value.type == JSON_OBJECT && id->value.type == JSON_STRING) {
        *voice = want_text(arena, &id->value);
        return 0;
    }
    if (name->value.type != JSON_OBJECT)
        return read_string(arena, name, voice, r);
    err_set(&r->e, ERR_INVALID_REQUEST, "'voice' must be a name, or an object with an 'id'");
    return invalid(r, "voice", "invalid_type");
}

static int read_speed(const struct json_want *want, double *speed, struct refusal *r)
{
    *speed = 1;
    if (!is_given(want))
        return 0;
    if (want->value.type != JSON_NUMBER) {
        err_set(&r->e, ERR_INVALID_REQUEST, "'speed' must be a number");
        return invalid(r, "speed", "invalid_type");
    }
    *speed = json_double(&want->value, 1);
    if (*speed >= SPEED_MIN && *speed <= SPEED_MAX)
        return 0;
    err_set(&r->e, ERR_INVALID_REQUEST, "'speed' must be %g to %g", SPEED_MIN, SPEED_MAX);
    return invalid(r, "speed", *speed < SPEED_MIN ? "decimal_below_min_value" : "decimal_above_max_value");
}

static int read_format(struct arena *arena, const struct json_want *want, enum speech_format *format, struct refusal *r)
{
    struct str name;
    if (read_string(arena, want, &name, r) < 0)
        return -1;
    *format = name.n ? speech_format_find(name) : SPEECH_MP3;
    if (*format != SPEECH_FORMATS)
        return 0;
    err_set(&r->e, ERR_INVALID_REQUEST, "'response_format' must be mp3, opus, aac, flac, wav or pcm");
    return invalid(r, "response_format", "invalid_value");
}

static int read_stream_format(struct arena *arena, const struct json_want *want, bool *events, struct refusal *r)
{
    struct str name;
    if (read_string(arena, want, &name, r) < 0)
        return -1;
    *events = str_eqc(name, "sse");
    if (*events || name.n == 0 || str_eqc(name, "audio"))
        return 0;
    err_set(&r->e, ERR_INVALID_REQUEST, "'stream_format' must be audio or sse");
    return invalid(r, "stream_format", "invalid_value");
}

static int scan(struct str body, struct json_want wants[SAY_WANTS], struct refusal *r)
{
    static const char *const paths[SAY_WANTS] = {
        [SAY_INPUT] = "input",
        [SAY_VOICE] = "voice",
        [SAY_VOICE_ID] = "voice.id",
        [SAY_FORMAT] = "response_format",
        [SAY_SPEED] = "speed",
        [SAY_INSTRUCTIONS] = "instructions",
        [SAY_STREAM_FORMAT] = "stream_format",
        [SAY_MODEL] = "model",
    };
    enum json_type root;
    for (size_t i = 0; i < SAY_WANTS; i++)
        wants[i] = (struct json_want){.path = paths[i]};
    if (body.n == 0)
        return err_set(&r->e, ERR_INVALID_REQUEST, "The body is empty; it must be a JSON object");
    if (json_scan(body, wants, SAY_WANTS, &root, &r->e) < 0)
        return -1;
    return root == JSON_OBJECT ? 0 : err_set(&r->e, ERR_INVALID_REQUEST, "The body must be a JSON object");
}

static int read_request(struct http_request *rq, struct tts_request *say, bool *events, struct refusal *r)
{
    struct json_want wants[SAY_WANTS];
    struct str model;
    *say = (struct tts_request){.language = STR("")};
    if (scan(rq->body, wants, r) < 0 || read_string(rq->arena, &wants[SAY_MODEL], &model, r) < 0 ||
        read_input(rq->arena, &wants[SAY_INPUT], &say->text, r) < 0 ||
        read_voice(rq->arena, wants, &say->voice, r) < 0 ||
        read_text(rq->arena, &wants[SAY_INSTRUCTIONS], &say->instructions, r) < 0 ||
        read_format(rq->arena, &wants[SAY_FORMAT], &say->format, r) < 0 ||
        read_speed(&wants[SAY_SPEED], &say->speed, r) < 0)
        return -1;
    return read_stream_format(rq->arena, &wants[SAY_STREAM_FORMAT], events, r);
}

/* ---- as events ---- */

static int send_piece(struct http_request *rq, struct buf *scratch, struct str audio, struct err *e)
{
    buf_clear(scratch);
    buf_lit(scratch, "{\"type\":\"speech.audio.delta\",\"audio\":\"");
    base64_put(scratch, audio, false);
    buf_lit(scratch, "\"}");
    return sse_send(rq, STR(""), STR(""), buf_str(scratch), e);
}

static void send_failure(struct http_request *rq, struct buf *scratch, const struct err *e)
{
    buf_clear(scratch);
    struct jw w = jw_begin(scratch);
    jw_obj(&w);
    jw_kstr(&w, "type", STR("error"));
    openai_put_error(&w, e, NULL, NULL);
    jw_end_obj(&w);
    sse_send(rq, STR(""), STR(""), buf_str(scratch), NULL);
}

static void reply_events(struct http_request *rq, struct tts_stream *s, struct str first)
{
    struct err e;
    struct str audio = first;
    struct buf scratch = BUF_INIT(SIZE_MAX);
    int more = 1;
    sse_begin(rq);
    while (more > 0)
        more = send_piece(rq, &scratch, audio, &e) < 0 ? -1 : speech_next(s, &audio, &e);
    tts_close(s);
    if (more < 0)
        send_failure(rq, &scratch, &e);
    else /* how many tokens there were, only the service knows */
        sse_send(rq, STR(""), STR(""),
                 STR("{\"type\":\"speech.audio.done\","
                     "\"usage\":{\"input_tokens\":0,\"output_tokens\":0,\"total_tokens\":0}}"),
                 NULL);
    sse_finish(rq);
    buf_free(&scratch);
}

void speech_post_v1(struct http_request *rq)
{
    struct refusal r = {.param = NULL};
    struct tts_request say;
    struct str first;
    bool events;
    if (read_request(rq, &say, &events, &r) < 0) {
        openai_reply_error(rq, &r.e, r.param, r.code);
        return;
    }
    if (!api_of(rq)->config.tts) {
        err_set(&r.e, ERR_NOT_CONFIGURED, "No text to speech is configured");
        openai_reply_error(rq, &r.e, NULL, NULL);
        return;
    }
    struct tts_stream *s = speech_begin(rq, &say, &first, &r.e);
    if (!s)
        openai_reply_error(rq, &r.e, NULL, NULL);
    else if (events)
        reply_events(rq, s, first);
    else
        speech_reply_audio(rq, s, first, say.format);
}
