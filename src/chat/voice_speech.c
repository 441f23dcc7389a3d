/* The audio of a reply: a task takes it from synthesis as fast as it can be sent, and a clock says what was heard. */
#include "base/mem.h"
#include "chat/voice_impl.h"

#include <stdlib.h>

/* One attempt to speak; a reply that goes on after an interruption makes another. */
struct speech {
    struct voice_reply *r;
    struct voice_output *out;
    struct task *task;
    size_t base; /* byte of the item's text with which it began */
    bool stopped;
};

uint64_t voice_playback_heard(const struct playback *p, uint64_t now_ms)
{
    uint64_t heard = p->heard_ms + (p->running ? now_ms - p->since_ms : 0);
    return MIN(heard, p->sent_ms);
}

void voice_playback_sent(struct playback *p, uint64_t now_ms, uint64_t sent_ms)
{
    p->heard_ms = voice_playback_heard(p, now_ms);
    p->since_ms = now_ms;
    p->sent_ms = sent_ms;
    p->running = true;
}

void voice_playback_stop(struct playback *p, uint64_t now_ms)
{
    p->heard_ms = voice_playback_heard(p, now_ms);
    p->running = false;
}

static uint64_t bytes_of(const struct voice_reply *r, uint64_t ms)
{
    return ms * r->how.output_rate / 1000 * 2;
}

static bool is_full(const struct voice_reply *r)
{
    return r->waiting >= bytes_of(r, VOICE_WAITING_MS);
}

static void add_piece(struct speech *s, const struct voice_piece *from, struct str audio, bool first)
{
    struct voice_reply *r = s->r;
    struct piece *piece = mem_alloc(sizeof *piece + audio.n);
    *piece = (struct piece){.from = s->base + from->from, .to = s->base + from->to, .first = first, .n = audio.n};
    memcpy(piece->audio, audio.p, audio.n);
    *r->last = piece;
    r->last = &piece->next;
    r->waiting += audio.n;
}

/* Small enough for one event each. */
static void take(struct speech *s, const struct voice_piece *piece)
{
    size_t most = bytes_of(s->r, VOICE_SLICE_MS);
    struct str rest = piece->audio;
    for (bool first = piece->first; rest.n || first; first = false) {
        struct str slice = str_n(rest.p, MIN(rest.n, most));
        if (slice.n)
            add_piece(s, piece, slice, first);
        rest = str_from(rest, slice.n);
    }
    voice_reply_alive(s->r);
    voice_stir(s->r->voice);
}

static int speak(struct speech *s, struct err *e)
{
    struct voice_piece piece;
    int more;
    while ((more = voice_output_next(s->out, &piece, e)) == 1 && !s->stopped) {
        take(s, &piece);
        while (!s->stopped && is_full(s->r))
            if (task_park(e) < 0)
                return -1;
    }
    return more;
}

static void speak_main(void *arg)
{
    struct speech *s = arg;
    struct voice_reply *r = s->r;
    struct err e = {0};
    s->task = task_self();
    int result = speak(s, &e);
    voice_output_free(s->out);
    if (!s->stopped) {
        r->speech = NULL;
        r->spoken = true;
        if (result < 0)
            r->failure = e; /* once what was made went out */
        voice_stir(r->voice);
    }
    free(s);
    voice_reply_unref(r);
}

void voice_speech_begin(struct voice_reply *r, size_t from)
{
    if (!task_room()) {
        voice_reply_fail(r, ERR_OVERLOADED, err_text(ERR_OVERLOADED));
        return;
    }
    struct voice_speaking how = {.voice = r->how.voice,
                                 .speed = r->how.speed,
                                 .format = SPEECH_PCM,
                                 .rate = r->how.output_rate,
                                 .ahead_ms = VOICE_MADE_MS};
    struct speech *s = mem_zalloc(sizeof *s);
    *s = (struct speech){.r = r, .out = voice_output_new(r->voice->policy->tts, &how), .base = from};
    voice_output_say(s->out, str_from(buf_str(&r->item->text), from));
    if (r->thought)
        voice_output_finish(s->out);
    r->speech = s;
    r->spoken = false;
    r->refs++;
    task_spawn("voice_speak", speak_main, s);
}

void voice_speech_say(struct voice_reply *r, struct str text)
{
    if (r->speech)
        voice_output_say(r->speech->out, text);
}

void voice_speech_finish(struct voice_reply *r)
{
    if (r->speech)
        voice_output_finish(r->speech->out);
}

void voice_speech_stop(struct voice_reply *r)
{
    struct speech *s = r->speech;
    r->speech = NULL;
    if (!s)
        return;
    s->stopped = true;
    task_cancel(s->task);
}

void voice_speech_wake(struct voice_reply *r)
{
    if (r->speech && !is_full(r))
        task_wake(r->speech->task);
}

void voice_speech_cut(struct voice_reply *r, uint64_t ms)
{
    voice_item_unspeak(r->item, ms);
    r->sent = bytes_of(r, ms);
    r->playback = (struct playback){.sent_ms = ms, .heard_ms = ms};
}

void voice_speech_again(struct voice_reply *r)
{
    uint64_t heard = r->playback.heard_ms;
    const struct spoken *at = voice_item_at(r->item, heard);
    if (!at) /* nothing that was sent is lost */
        return;
    size_t from = at->from;
    voice_speech_stop(r);
    voice_reply_drop_audio(r);
    voice_speech_cut(r, heard);
    voice_speech_begin(r, from);
}
