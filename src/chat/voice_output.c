#include "chat/voice_output.h"

#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "chat/voice_failure_impl.h"
#include "chat/voice_script_impl.h"
#include "loop/task.h"

#include <stdlib.h>

#define AHEAD_MS       4000
#define FIRST_MOST     200 /* bytes of the first sentence: whoever waits should hear something */
#define SENTENCE_MOST  400
#define ENCODED_PER_MS 16 /* bytes of MP3 and the like, when nobody knows how long they play */

struct piece {
    struct list link;
    struct voice_piece shown;
    char audio[];
};

/* The speaker, a task, turns text into pieces; it is there from the first text to the end of the last one. */
struct voice_output {
    struct tts *tts;
    struct voice_speaking how; /* strings are owned */
    struct buf text;           /* that the speaker did not take yet */
    size_t taken;              /* bytes that it took */
    bool finished;             /* there will be no more */
    struct voice_script script;
    struct task *speaker;
    bool over;   /* all is spoken, or failed */
    bool closed; /* the speaker frees it */
    struct err failure;
    struct list pieces;
    size_t waiting, most; /* bytes of audio in them */
    struct piece *shown;
    struct waitlist heard, changed; /* the reader waits for pieces; the speaker for text or room */
};

/* ---- the speaker ---- */

/* Parks for the next sentence: 1 and its place; 0: there is none any more. */
static int next_sentence(struct voice_output *out, size_t *length, struct err *e)
{
    for (;;) {
        size_t most = out->taken ? SENTENCE_MOST : FIRST_MOST;
        *length = voice_sentence(buf_str(&out->text), most, out->finished);
        if (*length > 0)
            return 1;
        if (out->finished)
            return 0;
        if (waitlist_wait(&out->changed, e) < 0)
            return -1;
    }
}

static int add_piece(struct voice_output *out, struct str audio, const struct voice_piece *place, struct err *e)
{
    while (out->waiting > 0 && out->waiting + audio.n > out->most)
        if (waitlist_wait(&out->changed, e) < 0)
            return -1;
    struct piece *piece = mem_alloc(sizeof *piece + audio.n);
    memcpy(piece->audio, audio.p, audio.n);
    piece->shown = *place;
    piece->shown.audio = str_n(piece->audio, audio.n);
    list_push_back(&out->pieces, &piece->link);
    out->waiting += audio.n;
    waitlist_wake_all(&out->heard);
    return 0;
}

static int read_audio(struct voice_output *out, struct tts_stream *stream, struct voice_piece *place, struct err *e)
{
    struct str audio;
    int got;
    place->first = true;
    while ((got = tts_next(stream, &audio, e)) > 0) {
        if (audio.n == 0)
            continue;
        if (add_piece(out, audio, place, e) < 0)
            return -1;
        place->first = false;
    }
    return got;
}

static int speak(struct voice_output *out, struct str text, struct voice_piece *place, struct err *e)
{
    struct arena *arena = arena_new("voice_output");
    struct tts_request rq = {.text = text,
                             .voice = out->how.voice,
                             .speed = out->how.speed,
                             .format = out->how.format,
                             .rate = out->how.rate,
                             .language = out->how.language,
                             .instructions = out->how.instructions};
    struct tts_stream *stream = tts_open(out->tts, &rq, arena, e);
    int result = stream ? read_audio(out, stream, place, e) : -1;
    tts_close(stream);
    arena_free(arena);
    return result;
}

static int speak_all(struct voice_output *out, struct err *e)
{
    struct buf said = BUF_INIT(LIMIT_MESSAGE_TEXT);
    size_t length;
    int more;
    while ((more = next_sentence(out, &length, e)) > 0) {
        struct voice_piece place = {.from = out->taken, .to = out->taken + length};
        buf_clear(&said);
        bool speakable = voice_script_add(&out->script, str_n(buf_str(&out->text).p, length), &said);
        buf_consume(&out->text, length);
        out->taken += length;
        if (speakable && speak(out, buf_str(&said), &place, e) < 0) {
            more = -1;
            break;
        }
    }
    buf_free(&said);
    return more;
}

static void release(struct voice_output *out)
{
    for (struct list *first; (first = list_pop_front(&out->pieces));)
        free(container_of(first, struct piece, link));
    free(out->shown);
    buf_free(&out->text);
    free((char *)out->how.voice.p);
    free((char *)out->how.language.p);
    free((char *)out->how.instructions.p);
    free(out);
}

static void speaker_main(void *arg)
{
    struct voice_output *out = arg;
    struct err e = {0};
    out->speaker = task_self();
    log_request_id = NULL; /* the request that began it may end before */
    if (speak_all(out, &e) < 0 && !out->closed) {
        log_warn("chat", "synthesis_failed", F_C("tts", tts_name(out->tts)), F_C("code", err_name(e.code)));
        voice_failure(&out->failure, VOICE_SYNTHESIS, &e);
    }
    out->speaker = NULL;
    out->over = true;
    waitlist_wake_all(&out->heard);
    if (out->closed)
        release(out);
}

/* ---- the interface ---- */

struct voice_output *voice_output_new(struct tts *tts, const struct voice_speaking *how)
{
    struct voice_output *out = mem_alloc(sizeof *out);
    *out = (struct voice_output){.tts = tts, .how = *how, .text = BUF_INIT(LIMIT_REPLY_TEXT)};
    out->how.voice = str_c(str_dup(how->voice));
    out->how.language = str_c(str_dup(how->language));
    out->how.instructions = str_c(str_dup(how->instructions));
    out->how.rate = how->rate ? how->rate : 24000;
    bool samples = how->format == SPEECH_PCM || how->format == SPEECH_WAV;
    size_t per_second = samples ? out->how.rate * sizeof(int16_t) : (size_t)ENCODED_PER_MS * 1000;
    out->most = per_second * (how->ahead_ms ? how->ahead_ms : AHEAD_MS) / 1000;
    list_init(&out->pieces);
    waitlist_init(&out->heard);
    waitlist_init(&out->changed);
    if (!tts) {
        voice_failure(&out->failure, VOICE_SYNTHESIS, &(struct err){.code = ERR_NOT_CONFIGURED});
        out->over = true;
    }
    return out;
}

/* There is work for the speaker. */
static void go_on(struct voice_output *out)
{
    if (out->over)
        return;
    if (out->speaker) {
        waitlist_wake_all(&out->changed);
    } else if (task_room()) {
        task_spawn("voice_speaker", speaker_main, out);
    } else {
        voice_failure(&out->failure, VOICE_SYNTHESIS, &(struct err){.code = ERR_OVERLOADED});
        out->over = true;
        waitlist_wake_all(&out->heard);
    }
}

void voice_output_say(struct voice_output *out, struct str text)
{
    if (out->finished || out->over || text.n == 0)
        return;
    buf_str_add(&out->text, text);
    go_on(out);
}

void voice_output_finish(struct voice_output *out)
{
    if (out->finished)
        return;
    out->finished = true;
    go_on(out);
}

int voice_output_next(struct voice_output *out, struct voice_piece *piece, struct err *e)
{
    free(out->shown);
    out->shown = NULL;
    while (list_empty(&out->pieces)) {
        if (out->over && out->failure.code == ERR_NONE)
            return 0;
        if (out->over) {
            if (e)
                *e = out->failure;
            return -1;
        }
        if (waitlist_wait(&out->heard, e) < 0)
            return -1;
    }
    out->shown = container_of(list_pop_front(&out->pieces), struct piece, link);
    out->waiting -= out->shown->shown.audio.n;
    waitlist_wake_all(&out->changed);
    *piece = out->shown->shown;
    return 1;
}

struct voice_output *voice_output_free(struct voice_output *out)
{
    if (!out)
        return NULL;
    out->closed = true;
    if (out->speaker)
        task_cancel(out->speaker);
    else
        release(out);
    return NULL;
}
