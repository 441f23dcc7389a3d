/* POST /api/tts is two dialects on one path: a stream of MP3 with errors in plain text (001), or JSON with the audio in
 * it (000). Which one is meant is decided here. */
#include "api/speech_impl.h"

#include "api/aimcs_impl.h"
#include "api/audio_files.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "speech/voices.h"
#include "wire/base64.h"

#define AUDIO_MAX AUDIO_FILE_MAX /* of a reply in JSON */

enum profile { PROFILE_NONE, PROFILE_AIMCS, PROFILE_OPENAI };

enum post_want { POST_TEXT, POST_VOICE, POST_SPEED, POST_STORE, POST_WANTS };

struct post {
    struct json_want wants[POST_WANTS];
    struct str text, voice; /* .p NULL: not given, or no string */
    bool read;              /* the body is a JSON object */
};

static void read_post(struct http_request *rq, struct post *post)
{
    enum json_type root = JSON_NONE;
    *post = (struct post){
        .wants = {{.path = "text"}, {.path = "voice"}, {.path = "speed"}, {.path = "store"}},
    };
    post->read =
        rq->body.n > 0 && json_scan(rq->body, post->wants, POST_WANTS, &root, NULL) == 0 && root == JSON_OBJECT;
    if (!post->read)
        return;
    post->text = want_text(rq->arena, &post->wants[POST_TEXT].value);
    post->voice = want_text(rq->arena, &post->wants[POST_VOICE].value);
}

static enum profile decide(const struct http_request *rq, const struct post *post)
{
    bool json = post->read && (post->wants[POST_SPEED].value.type != JSON_NONE ||
                               post->wants[POST_STORE].value.type == JSON_TRUE || voice_azure_name(post->voice).n > 0);
    struct str accept = str_trim(http_request_header(rq, STR("accept")));
    return json || str_ieq(accept, STR("application/json")) ? PROFILE_AIMCS : PROFILE_OPENAI;
}

/* ---- dialect 001 ---- */

static void post_openai(struct http_request *rq, const struct post *post)
{
    struct tts_request say = {.text = post->text,
                              .voice = post->voice.n ? post->voice : STR("alloy"),
                              .format = SPEECH_MP3,
                              .language = STR(""),
                              .instructions = STR("")};
    struct str first;
    struct err e;
    if (str_trim(post->text).n == 0) {
        http_reply_text(rq, 400, STR("Text is required"));
        return;
    }
    if (utf8_utf16_len(post->text) > SPEECH_TEXT_MAX) {
        http_reply_text(rq, 400, STR("Text exceeds maximum length of 4096 characters"));
        return;
    }
    if (!api_of(rq)->config.tts) {
        http_reply_text(rq, 500, STR("Error: OpenAI API key not configured"));
        return;
    }
    struct tts_stream *s = speech_begin(rq, &say, &first, &e);
    if (s)
        speech_reply_audio(rq, s, first, SPEECH_MP3);
    else
        reply_plain_error(rq, &e);
}

/* ---- dialect 000 ---- */

static void refuse(struct http_request *rq, enum err_code code, const char *text)
{
    struct err e;
    err_set(&e, code, "%s", text);
    http_reply_error(rq, &e);
}

/* What went wrong on the way is a 500 with an id, as this dialect has it; what the client did wrong is its own. */
static void refuse_failure(struct http_request *rq, const struct err *e)
{
    if (e->code == ERR_INVALID_REQUEST) {
        http_reply_error(rq, e);
        return;
    }
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    aimcs_put_id(&w);
    put_error(&w, e);
    jw_kiso(&w, "timestamp", clock_wall_ms());
    jw_end_obj(&w);
    reply_retry_after(rq, e);
    http_reply_jw(rq, 500, &w);
}

static int collect(struct http_request *rq, const struct tts_request *say, struct buf *mp3, struct err *e)
{
    struct str audio;
    struct tts_stream *s = speech_begin(rq, say, &audio, e);
    int more = s ? 1 : -1;
    while (more > 0) {
        if (buf_str_add(mp3, audio) < 0)
            more = err_set(e, ERR_INTERNAL_ERROR, "The audio is too long for one reply");
        else
            more = speech_next(s, &audio, e);
    }
    tts_close(s);
    return more;
}

/* Not through the writer: base64 needs no escaping, and there are megabytes of it. */
static void put_audio(struct jw *w, const struct buf *mp3)
{
    jw_key(w, "audioData");
    jw_raw(w, STR("\""));
    if (base64_put(w->out, buf_str(mp3), false) < 0 || buf_byte(w->out, '"') < 0)
        w->failed = true;
}

static void reply_aimcs(struct http_request *rq, const struct tts_request *say, const struct buf *mp3, const char *kept)
{
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    aimcs_put_id(&w);
    jw_kstr(&w, "text", say->text);
    put_audio(&w, mp3);
    jw_kstr(&w, "audioFormat", STR("mp3"));
    jw_kstr(&w, "voice", say->voice);
    jw_knum(&w, "speed", say->speed);
    jw_kiso(&w, "timestamp", clock_wall_ms());
    if (kept) {
        jw_key(&w, "audioUrl");
        jw_str(&w, arena_printf(rq->arena, "/audio/%s", kept));
    }
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static void speak_aimcs(struct http_request *rq, const struct post *post, const struct tts_request *say)
{
    struct err e;
    struct buf mp3 = BUF_INIT(AUDIO_MAX);
    char name[AUDIO_NAME];
    bool keep = post->wants[POST_STORE].value.type == JSON_TRUE;
    if (collect(rq, say, &mp3, &e) < 0 ||
        (keep && audio_keep(api_of(rq)->audio, SPEECH_MP3, buf_str(&mp3), name, &e) < 0))
        refuse_failure(rq, &e);
    else
        reply_aimcs(rq, say, &mp3, keep ? name : NULL);
    buf_free(&mp3);
}

static void post_aimcs(struct http_request *rq, const struct post *post)
{
    const struct json_value *speed = &post->wants[POST_SPEED].value;
    struct tts_request say = {.text = post->text,
                              .voice = post->voice.n ? post->voice : STR("en-US-JennyNeural"),
                              .speed = json_double(speed, 1),
                              .format = SPEECH_MP3,
                              .language = STR(""),
                              .instructions = STR("")};
    if (str_trim(post->text).n == 0)
        refuse(rq, ERR_INVALID_REQUEST, "Text is required");
    else if (utf8_utf16_len(post->text) > SPEECH_TEXT_MAX)
        refuse(rq, ERR_INVALID_REQUEST, "Text exceeds maximum length of 4096 characters");
    else if ((speed->type > JSON_NULL && speed->type != JSON_NUMBER) || !(say.speed >= 0.25 && say.speed <= 4))
        refuse(rq, ERR_INVALID_REQUEST, "Speed must be a number from 0.25 to 4");
    else if (!api_of(rq)->config.tts)
        refuse(rq, ERR_NOT_CONFIGURED, "TTS not configured");
    else
        speak_aimcs(rq, post, &say);
}

/* ---- which of the two ---- */

static void post_as(struct http_request *rq, enum profile asked)
{
    struct post post;
    struct err e;
    read_post(rq, &post);
    enum profile profile = asked != PROFILE_NONE ? asked : decide(rq, &post);
    bool aimcs = profile == PROFILE_AIMCS;
    if (admit_dialect(rq, aimcs ? "aimcs" : "openai", &e) < 0)
        (aimcs ? http_reply_error : reply_plain_error)(rq, &e);
    else
        (aimcs ? post_aimcs : post_openai)(rq, &post);
}

void speech_post_tts(struct http_request *rq)
{
    post_as(rq, PROFILE_NONE);
}

void speech_post_tts_aimcs(struct http_request *rq)
{
    post_as(rq, PROFILE_AIMCS);
}

void speech_post_tts_openai(struct http_request *rq)
{
    post_as(rq, PROFILE_OPENAI);
}
