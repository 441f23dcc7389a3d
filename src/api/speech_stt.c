/* POST /v1/audio/transcriptions and /v1/audio/translations: OpenAI's speech to text, whole, as subtitles, or as events.
 */
#include "api/speech_impl.h"

#include "api/hearing.h"
#include "api/openai_impl.h"
#include "base/utf8.h"
#include "server/sse.h"
#include "wire/multipart.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define PROMPT_MAX 4096 /* bytes */

enum shape { SHAPE_JSON, SHAPE_TEXT, SHAPE_SRT, SHAPE_VERBOSE_JSON, SHAPE_VTT, SHAPES };

static const char *const shape_names[SHAPES] = {"json", "text", "srt", "verbose_json", "vtt"};

struct form {
    struct str file, language, prompt;
    enum shape shape;
    bool stream;
};

/* Why a request is refused, and which field it is about. */
struct refusal {
    struct err e;
    const char *param, *code;
};

static int invalid(struct refusal *r, const char *param, const char *text)
{
    err_set(&r->e, ERR_INVALID_REQUEST, "%s", text);
    r->param = param;
    r->code = "invalid_value";
    return -1;
}

/* ---- fields, one function each; the value is a copy in the arena ---- */

static int read_shape(struct form *form, struct str value, struct refusal *r)
{
    for (int i = 0; i < SHAPES; i++)
        if (str_eqc(value, shape_names[i])) {
            form->shape = (enum shape)i;
            return 0;
        }
    return invalid(r, "response_format", "'response_format' must be json, text, srt, verbose_json or vtt");
}

static int read_language(struct form *form, struct str value, struct refusal *r)
{
    r->param = "language";
    r->code = "invalid_value";
    return speech_language(value, &form->language, &r->e);
}

static int read_prompt(struct form *form, struct str value, struct refusal *r)
{
    form->prompt = value;
    return value.n <= PROMPT_MAX ? 0 : invalid(r, "prompt", "'prompt' is longer than 4096 bytes");
}

static int read_stream(struct form *form, struct str value, struct refusal *r)
{
    form->stream = str_ieq(value, STR("true")) || str_eqc(value, "1");
    bool no = str_ieq(value, STR("false")) || str_eqc(value, "0");
    return form->stream || no ? 0 : invalid(r, "stream", "'stream' must be true or false");
}

static int read_temperature(struct form *form, struct str value, struct refusal *r)
{
    char text[32], *end;
    (void)form;
    str_copy(text, sizeof text, value);
    double number = strtod(text, &end);
    return value.n > 0 && value.n < sizeof text && *end == 0 && number >= 0 && number <= 1
               ? 0
               : invalid(r, "temperature", "'temperature' must be a number from 0 to 1");
}

static int read_granularity(struct form *form, struct str value, struct refusal *r)
{
    (void)form;
    if (str_eqc(value, "segment"))
        return 0;
    return invalid(r, "timestamp_granularities",
                   str_eqc(value, "word") ? "Timestamps of words are not known here; 'segment' is"
                                          : "'timestamp_granularities' must be 'segment'");
}

static const struct field {
    const char *name;
    int (*read)(struct form *form, struct str value, struct refusal *r);
} fields[] = {
    {"response_format", read_shape},
    {"language", read_language},
    {"prompt", read_prompt},
    {"stream", read_stream},
    {"temperature", read_temperature},
    {"timestamp_granularities[]", read_granularity},
    {"timestamp_granularities", read_granularity},
};

static int read_field(struct form *form, struct str name, struct str value, struct refusal *r)
{
    for (size_t i = 0; i < COUNT(fields); i++)
        if (str_eqc(name, fields[i].name)) {
            if (!utf8_valid(value))
                return invalid(r, fields[i].name, "The field is not valid UTF-8");
            return fields[i].read(form, value, r);
        }
    return 0; /* fields we do not know are fine */
}

static int read_form(struct http_request *rq, struct form *form, struct refusal *r)
{
    struct multipart m;
    struct multipart_part part;
    int more;
    *form = (struct form){.language = STR(""), .prompt = STR("")};
    if (multipart_init(&m, http_request_header(rq, STR("content-type")), rq->body, &r->e) < 0)
        return -1;
    while ((more = multipart_next(&m, &part, &r->e)) == 1) {
        if (str_eqc(part.name, "file"))
            form->file = part.body;
        else if (read_field(form, part.name, part.body, r) < 0)
            return -1;
    }
    if (more < 0)
        return -1;
    if (form->file.n > 0)
        return 0;
    invalid(r, "file", form->file.p ? "The file is empty" : "Missing required parameter: 'file'.");
    r->code = form->file.p ? "invalid_value" : "missing_required_parameter";
    return -1;
}

/* ---- replies ---- */

static void put_usage_seconds(struct jw *w, const struct heard *heard)
{
    jw_key(w, "usage");
    jw_obj(w);
    jw_kstr(w, "type", STR("duration"));
    jw_kint(w, "seconds", (int64_t)((heard->duration_ms + 999) / 1000));
    jw_end_obj(w);
}

static void put_segment(struct jw *w, const struct heard *heard, size_t i)
{
    const struct heard_segment *s = heard_segment(heard, i);
    jw_obj(w);
    jw_kint(w, "id", (int64_t)i);
    jw_kint(w, "seek", (int64_t)(s->start_ms / 10));
    jw_knum(w, "start", (double)s->start_ms / 1000);
    jw_knum(w, "end", (double)s->end_ms / 1000);
    jw_kstr(w, "text", heard_text(heard, s));
    jw_kraw(w, "tokens", STR("[]"));
    jw_knum(w, "temperature", 0);
    jw_knum(w, "avg_logprob", s->confidence > 0 ? log(MAX(s->confidence, 1e-9)) : 0);
    jw_knum(w, "compression_ratio", 1);
    jw_knum(w, "no_speech_prob", 0);
    jw_end_obj(w);
}

static void put_verbose(struct jw *w, const struct form *form, const struct heard *heard)
{
    jw_kstr(w, "task", STR("transcribe"));
    jw_kstr(w, "language", form->language.n ? form->language : STR("unknown"));
    jw_knum(w, "duration", (double)heard->duration_ms / 1000);
    jw_kstr(w, "text", buf_str(&heard->text));
    jw_key(w, "segments");
    jw_arr(w);
    for (size_t i = 0; i < heard_count(heard); i++)
        put_segment(w, heard, i);
    jw_end_arr(w);
}

static void reply_json(struct http_request *rq, const struct form *form, const struct heard *heard)
{
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    if (form->shape == SHAPE_VERBOSE_JSON)
        put_verbose(&w, form, heard);
    else
        jw_kstr(&w, "text", buf_str(&heard->text));
    put_usage_seconds(&w, heard);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static void put_time(struct buf *out, uint64_t ms, char point)
{
    buf_addf(out, "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "%c%03" PRIu64, ms / 3600000, ms / 60000 % 60,
             ms / 1000 % 60, point, ms % 1000);
}

/* On one line; what WebVTT would take for markup is escaped. */
static void put_line(struct buf *out, struct str text, bool vtt)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (vtt && c == '&')
            buf_lit(out, "&amp;");
        else if (vtt && c == '<')
            buf_lit(out, "&lt;");
        else if (vtt && c == '>')
            buf_lit(out, "&gt;");
        else
            buf_byte(out, c == '\n' || c == '\r' ? ' ' : c);
    }
}

static void put_subtitles(struct buf *out, const struct heard *heard, bool vtt)
{
    if (vtt)
        buf_lit(out, "WEBVTT\n\n");
    for (size_t i = 0; i < heard_count(heard); i++) {
        const struct heard_segment *s = heard_segment(heard, i);
        if (!vtt)
            buf_addf(out, "%zu\n", i + 1);
        put_time(out, s->start_ms, vtt ? '.' : ',');
        buf_lit(out, " --> ");
        put_time(out, s->end_ms, vtt ? '.' : ',');
        buf_byte(out, '\n');
        put_line(out, heard_text(heard, s), vtt);
        buf_lit(out, "\n\n");
    }
}

static void reply_plain(struct http_request *rq, const struct form *form, const struct heard *heard)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    if (form->shape == SHAPE_TEXT) {
        buf_str_add(&out, buf_str(&heard->text));
        buf_byte(&out, '\n');
    } else {
        put_subtitles(&out, heard, form->shape == SHAPE_VTT);
    }
    http_reply_text(rq, 200, buf_str(&out));
    buf_free(&out);
}

/* ---- as events: they begin with the first text, so that what fails before is an error like any other ---- */

static int send_event(struct http_request *rq, const char *type, const char *key, struct str text,
                      const struct heard *complete, struct err *e)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&out);
    if (!http_replied(rq))
        sse_begin(rq);
    jw_obj(&w);
    jw_kstr(&w, "type", str_c(type));
    jw_kstr(&w, key, text);
    if (complete)
        put_usage_seconds(&w, complete);
    jw_end_obj(&w);
    int result = sse_send(rq, STR(""), STR(""), buf_str(&out), e);
    buf_free(&out);
    return result;
}

static int send_delta(void *arg, struct str text, struct err *e)
{
    return send_event(arg, "transcript.text.delta", "delta", text, NULL, e);
}

static void end_events(struct http_request *rq, const struct heard *heard)
{
    if (send_event(rq, "transcript.text.done", "text", buf_str(&heard->text), heard, NULL) == 0)
        sse_finish(rq);
}

static void fail_events(struct http_request *rq, const struct err *e)
{
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    jw_kstr(&w, "type", STR("error"));
    openai_put_error(&w, e, NULL, NULL);
    jw_end_obj(&w);
    sse_send(rq, STR(""), STR(""), buf_str(w.out), NULL);
    sse_finish(rq);
}

/* ---- the doors ---- */

static void reply_heard(struct http_request *rq, const struct form *form, const struct heard *heard)
{
    if (form->stream)
        end_events(rq, heard);
    else if (form->shape == SHAPE_JSON || form->shape == SHAPE_VERBOSE_JSON)
        reply_json(rq, form, heard);
    else
        reply_plain(rq, form, heard);
}

static void reply_failed(struct http_request *rq, const struct heard *heard, struct err *e)
{
    speech_public_error(e);
    if (http_replied(rq))
        fail_events(rq, e);
    else if (heard->bad_audio)
        openai_reply_error(rq, e, "file", "invalid_value");
    else
        openai_reply_error(rq, e, NULL, NULL);
}

static void transcribe(struct http_request *rq, const struct form *form)
{
    struct api *api = api_of(rq);
    struct hearing_request request = {.stt = api->config.stt,
                                      .media = api->config.media,
                                      .audio = form->file,
                                      .language = form->language,
                                      .prompt = form->prompt,
                                      .fine = form->shape >= SHAPE_SRT,
                                      .tell = form->stream ? send_delta : NULL,
                                      .arg = rq};
    struct heard heard;
    struct err e;
    http_needs_client(rq);
    heard_init(&heard);
    if (hear(&request, rq->arena, &heard, &e) == 0)
        reply_heard(rq, form, &heard);
    else
        reply_failed(rq, &heard, &e);
    heard_free(&heard);
}

void speech_post_transcription(struct http_request *rq)
{
    struct form form;
    struct refusal r = {.param = NULL};
    if (read_form(rq, &form, &r) < 0)
        openai_reply_error(rq, &r.e, r.param, r.code);
    else
        transcribe(rq, &form);
}

void speech_post_translation(struct http_request *rq)
{
    struct form form;
    struct refusal r = {.param = NULL};
    if (read_form(rq, &form, &r) < 0) {
        openai_reply_error(rq, &r.e, r.param, r.code);
        return;
    }
    err_set(&r.e, ERR_INVALID_REQUEST, "Speech is not translated here; /v1/audio/transcriptions gives its text");
    openai_reply_error(rq, &r.e, NULL, "unsupported_operation");
}
