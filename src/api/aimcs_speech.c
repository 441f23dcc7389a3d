/* Dialect 000 speaks and listens over HTTP: replies as MP3, whole recordings as text. */
#include "api/aimcs_audio.h"
#include "api/aimcs_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "wire/base64.h"

#define SPEAK_TIMEOUT 30000 /* ms: a client waits for the text, too */
#define HEAR_RATE     16000

bool aimcs_has_speech(const struct api *api)
{
    return api->config.tts || api->config.stt;
}

/* ---- speaking ---- */

/* Cut behind a word, where it is too long. */
static struct str speakable(struct str text)
{
    size_t n = 0, characters = 0, word = 0;
    for (; n < text.n && characters < SPEECH_TEXT_MAX; characters++) {
        if (text.p[n] == ' ' || text.p[n] == '\n')
            word = n;
        for (n++; n < text.n && ((uint8_t)text.p[n] & 0xC0) == 0x80;)
            n++;
    }
    return str_n(text.p, n == text.n || !word ? n : word);
}

static int read_all(struct tts_stream *stream, struct buf *mp3, struct err *e)
{
    struct str audio;
    int got;
    while ((got = tts_next(stream, &audio, e)) > 0)
        if (mp3->len + audio.n > AIMCS_SPOKEN_MAX || buf_str_add(mp3, audio) < 0)
            return err_set(e, ERR_INVALID_REQUEST, "The audio is too long");
    return got;
}

int aimcs_speak(struct api *api, struct str text, struct arena *arena, struct task_deadline *deadline, struct buf *mp3,
                struct err *e)
{
    struct tts_request request = {.text = speakable(text), .format = SPEECH_MP3};
    if (!api->config.tts)
        return err_set(e, ERR_NOT_CONFIGURED, NULL);
    uint64_t began = loop_now_ms(loop_self());
    task_deadline_begin(deadline, SPEAK_TIMEOUT);
    struct tts_stream *stream = tts_open(api->config.tts, &request, arena, e);
    int result = stream ? read_all(stream, mp3, e) : -1;
    tts_close(stream);
    task_deadline_end(deadline);
    bool stopped = deadline->passed && loop_now_ms(loop_self()) - began < SPEAK_TIMEOUT;
    if (result < 0 && e->code != ERR_CANCELLED && !stopped)
        log_warn("aimcs", "not_spoken", F_C("code", err_name(e->code)));
    return result;
}

void aimcs_put_audio(struct jw *w, struct str mp3, const char *format)
{
    jw_key(w, "audioData");
    jw_raw(w, STR("\""));
    if (base64_put(w->out, mp3, false) < 0 || buf_byte(w->out, '"') < 0)
        w->failed = true;
    jw_kstr(w, "audioFormat", str_c(format));
}

/* ---- listening ---- */

/* A task of its own feeds the decoder; the request's takes what that makes to the recognizer. */
struct hearing {
    struct media_stream *media;
    struct audio_text text;
    struct task *feeder; /* NULL: it ended */
    struct waitlist feeder_ended;
    bool not_base64;
};

static void feeder_main(void *arg)
{
    struct hearing *h = arg;
    struct str bytes;
    int got, written = 0;
    h->feeder = task_self();
    while ((got = audio_text_next(&h->text, &bytes)) > 0 && written == 0)
        written = media_write(h->media, bytes, NULL);
    h->not_base64 = got < 0;
    media_finish(h->media, NULL); /* the reader has to come to an end */
    h->feeder = NULL;
    waitlist_wake_all(&h->feeder_ended);
}

static void feeder_stop(struct hearing *h)
{
    task_shield();
    if (h->feeder)
        task_cancel(h->feeder);
    while (h->feeder)
        waitlist_wait(&h->feeder_ended, NULL);
    task_unshield();
}

/* Services say in their own words why they failed: those are not for clients. */
static int not_recognized(struct err *e)
{
    enum err_code code = e->code;
    bool plain = code == ERR_OVERLOADED || code == ERR_TIMEOUT || code == ERR_CANCELLED || code == ERR_SHUTTING_DOWN;
    log_warn("aimcs", "not_recognized", F_C("code", err_name(code)));
    return err_set(e, plain ? code : ERR_UPSTREAM, plain ? NULL : "Speech recognition failed");
}

static int decode(struct hearing *h, struct stt_stream *stt, struct err *e)
{
    struct str pcm;
    int got;
    while ((got = media_read(h->media, &pcm, e)) > 0)
        if (stt_write(stt, pcm, e) < 0)
            return not_recognized(e);
    if (h->not_base64)
        return err_set(e, ERR_INVALID_REQUEST, "Audio data is not valid base64");
    return got;
}

static int recognize(struct stt_stream *stt, struct arena *arena, struct str *text, struct err *e)
{
    struct stt_event event;
    int got;
    if (stt_finish(stt, e) < 0)
        return not_recognized(e);
    while ((got = stt_next(stt, &event, e)) > 0)
        if (event.type == STT_FINAL)
            *text = arena_str(arena, str_trim(event.text));
    return got < 0 ? not_recognized(e) : 0;
}

static int hear(struct hearing *h, struct stt *stt, struct arena *arena, struct str *text, struct err *e)
{
    struct stt_request request = {.rate = HEAR_RATE};
    struct stt_stream *stream = stt_open(stt, &request, arena, e);
    if (!stream)
        return not_recognized(e);
    task_spawn("aimcs_feed", feeder_main, h);
    int result = decode(h, stream, e);
    feeder_stop(h);
    if (result == 0)
        result = recognize(stream, arena, text, e);
    stt_close(stream);
    return result;
}

int aimcs_hear(struct api *api, const struct json_value *audio, struct str format, struct arena *arena,
               struct str *text, struct err *e)
{
    struct media_decode how = {.rate = HEAR_RATE, .pcm_rate = audio_pcm_rate(format)};
    struct hearing h = {0};
    *text = STR("");
    if (!api->config.stt || !api->config.media)
        return err_set(e, ERR_NOT_CONFIGURED, AIMCS_NO_AUDIO);
    if (!task_room())
        return err_set(e, ERR_OVERLOADED, NULL);
    h.media = media_open_decode(api->config.media, &how, e);
    if (!h.media)
        return -1;
    audio_text_init(&h.text, audio);
    waitlist_init(&h.feeder_ended);
    int result = hear(&h, api->config.stt, arena, text, e);
    audio_text_free(&h.text);
    media_close(h.media);
    return result;
}

/* ---- POST /api/audio ---- */

enum { WANT_DATA, WANT_FORMAT, WANT_CONVERSATION, WANT_REPLY_AUDIO };

static struct jw audio_reply(struct http_request *rq, struct str message, bool ai_used)
{
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    aimcs_put_id(&w);
    jw_kstr(&w, "message", message);
    jw_kbool(&w, "aiUsed", ai_used);
    return w;
}

static void end_audio_reply(struct http_request *rq, int status, struct jw *w)
{
    jw_kiso(w, "timestamp", clock_wall_ms());
    jw_end_obj(w);
    http_reply_jw(rq, status, w);
}

static void audio_failed(struct http_request *rq, struct str error)
{
    struct jw w = audio_reply(rq, STR(AIMCS_NOT_PROCESSED), false);
    jw_kstr(&w, "error", error);
    end_audio_reply(rq, 500, &w);
}

static void audio_answered(struct http_request *rq, struct str heard, bool spoken, const struct aimcs_answer *answer)
{
    struct task_deadline deadline;
    struct buf mp3 = BUF_INIT(AIMCS_SPOKEN_MAX);
    struct err e;
    bool audio = spoken && aimcs_speak(api_of(rq), answer->text, rq->arena, &deadline, &mp3, &e) == 0;
    struct jw w = audio_reply(rq, answer->text, answer->ai_used);
    jw_kstr(&w, "originalMessage", STR("Audio input"));
    jw_kstr(&w, "transcript", heard);
    if (answer->conversation_id.n)
        jw_kstr(&w, "conversationId", answer->conversation_id);
    if (audio)
        aimcs_put_audio(&w, buf_str(&mp3), "mp3");
    buf_free(&mp3);
    end_audio_reply(rq, 200, &w);
}

static void answer_audio(struct http_request *rq, const struct json_want *wants)
{
    struct api *api = api_of(rq);
    struct aimcs_answer answer = {.text = STR(AIMCS_NOT_HEARD)};
    struct str heard, format = want_text(rq->arena, &wants[WANT_FORMAT].value);
    struct str conversation_id = want_text(rq->arena, &wants[WANT_CONVERSATION].value);
    struct err e;
    if (aimcs_hear(api, &wants[WANT_DATA].value, format, rq->arena, &heard, &e) < 0 ||
        (heard.n && aimcs_ask(api, conversation_id, heard, rq, rq->arena, &answer, &e) < 0))
        audio_failed(rq, str_c(e.text));
    else if (answer.error.n)
        audio_failed(rq, answer.error);
    else
        audio_answered(rq, heard, wants[WANT_REPLY_AUDIO].value.type != JSON_FALSE, &answer);
}

void aimcs_post_audio(struct http_request *rq)
{
    struct json_want wants[] = {[WANT_DATA] = {.path = "audioData"},
                                [WANT_FORMAT] = {.path = "audioFormat"},
                                [WANT_CONVERSATION] = {.path = "conversationId"},
                                [WANT_REPLY_AUDIO] = {.path = "audio"}};
    const struct json_value *data = &wants[WANT_DATA].value;
    struct err e;
    if (rq->body.n && json_scan(rq->body, wants, COUNT(wants), NULL, &e) < 0) {
        http_reply_error(rq, &e);
    } else if (data->type != JSON_STRING || data->raw.n == 0) {
        err_set(&e, ERR_INVALID_REQUEST, "Audio data is required");
        http_reply_error(rq, &e);
    } else if (!api_of(rq)->config.stt) {
        struct jw w = audio_reply(rq, STR(AIMCS_NO_AUDIO), false);
        end_audio_reply(rq, 200, &w);
    } else {
        answer_audio(rq, wants);
    }
}
