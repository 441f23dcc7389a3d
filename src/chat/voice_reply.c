/* The life of a reply: it waits for what was said before, is thought, goes out at the pace of speech, and ends. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "chat/voice_impl.h"

#include <stdlib.h>

static void stalled(struct timer *timer);
static void pace_due(struct timer *timer);

void voice_reply_unref(struct voice_reply *r)
{
    if (--r->refs)
        return;
    arena_free(r->arena);
}

static void copy_input(struct voice_reply *r, const struct voice_ask *ask)
{
    struct voice_new_item *input = arena_alloc(r->arena, (ask->ninput + 1) * sizeof *input);
    for (size_t i = 0; i < ask->ninput; i++) {
        input[i] = ask->input[i];
        input[i].text = arena_str(r->arena, ask->input[i].text);
    }
    r->input = input;
    r->ninput = ask->ninput;
}

static void copy_settings(struct voice_reply *r, const struct voice_settings *settings, const struct voice_ask *ask)
{
    r->how = *settings;
    r->how.model = arena_str(r->arena, settings->model);
    r->how.instructions = arena_str(r->arena, ask->instructions.n ? ask->instructions : settings->instructions);
    r->how.voice = arena_str(r->arena, ask->voice.n ? ask->voice : settings->voice);
    r->how.language = r->how.prompt = STR("");
    if (ask->max_tokens)
        r->how.max_tokens = ask->max_tokens;
    if (ask->input)
        copy_input(r, ask);
}

static struct voice_reply *reply_new(struct voice *v, const struct voice_ask *ask)
{
    struct arena *arena = arena_new("voice_reply");
    struct voice_reply *r = arena_zalloc(arena, sizeof *r);
    bool audio = (ask->audio ? *ask->audio : v->settings.audio) && v->policy->tts;
    *r = (struct voice_reply){
        .voice = v, .refs = 1, .arena = arena, .waits_for = v->commits, .stall.fn = stalled, .pace.fn = pace_due};
    r->last = &r->first;
    copy_settings(r, &v->settings, ask);
    r->shown = (struct voice_response){.audio = audio,
                                       .voice = r->how.voice,
                                       .in_conversation = ask->in_conversation,
                                       .metadata = arena_str(arena, ask->metadata),
                                       .usage = {-1, -1}};
    voice_id(r->shown.id, "resp_");
    r->item = voice_item_new(v, VOICE_ITEM_ASSISTANT, STR(""), audio);
    list_push_back(&v->replies, &r->link);
    if (ask->in_conversation)
        v->reply = r;
    timer_stop(v->loop, &v->idle);
    return r;
}

static size_t count_replies(const struct voice *v)
{
    size_t n = 0;
    list_each(at, &v->replies)
        n++;
    return n;
}

static bool waits(const struct voice_reply *r)
{
    list_each(at, &r->voice->items) {
        const struct item *item = container_of(at, struct item, link);
        if (item->recognizing && item->committed <= r->waits_for)
            return true;
    }
    return false;
}

/* Why what is to be answered cannot be: it was not understood. */
static const struct err *not_understood(const struct voice_reply *r)
{
    const struct list *last = r->voice->items.prev;
    if (last == &r->voice->items || r->input)
        return NULL;
    return container_of(last, struct item, link)->failure;
}

static void go_on(struct voice_reply *r)
{
    struct voice *v = r->voice;
    if (r->state != REPLY_WAITING || waits(r))
        return;
    const struct err *failure = not_understood(r);
    if (failure) {
        voice_reply_end(r, VOICE_RESPONSE_FAILED, NULL, failure);
        return;
    }
    str_copy(r->after, sizeof r->after,
             list_empty(&v->items) ? STR("root") : str_c(container_of(v->items.prev, struct item, link)->shown.id));
    r->state = REPLY_THINKING;
    voice_reply_think(r);
}

void voice_replies_ready(struct voice *v)
{
    list_each_safe(at, &v->replies)
        go_on(container_of(at, struct voice_reply, link));
}

static const struct voice_ask usual = {.in_conversation = true};

int voice_reply_begin(struct voice *v, const struct voice_ask *ask, struct err *e)
{
    if (ask && !ask->in_conversation && count_replies(v) >= VOICE_REPLIES)
        return err_set(e, ERR_TOO_MANY_TURNS, "Too many responses are under way in this session");
    struct voice_reply *r = reply_new(v, ask ? ask : &usual);
    r->automatic = !ask;
    voice_note_response(v, VOICE_RESPONSE_CREATED, r);
    voice_reply_alive(r);
    go_on(r);
    return 0;
}

void voice_reply_repeat(struct voice *v, struct str text)
{
    struct voice_reply *r = reply_new(v, &usual);
    r->automatic = true;
    r->thought = true;
    r->state = REPLY_THINKING;
    voice_item_set_text(r->item, text);
    voice_item_show(r->item, 0);
    voice_note_response(v, VOICE_RESPONSE_CREATED, r);
    voice_reply_alive(r);
    voice_speech_begin(r, 0);
}

int voice_reply_said(struct voice_reply *r, struct str text)
{
    if (text.n == 0)
        return 0;
    if (buf_str_add(&r->item->text, text) < 0)
        return -1;
    voice_item_show(r->item, r->emitted);
    voice_reply_alive(r);
    if (!r->shown.audio)
        voice_stir(r->voice);
    else if (r->speech)
        voice_speech_say(r, text);
    else if (str_trim(buf_str(&r->item->text)).n)
        voice_speech_begin(r, 0);
    return 0;
}

void voice_reply_thought(struct voice_reply *r)
{
    r->thought = true;
    voice_speech_finish(r);
    voice_stir(r->voice);
}

/* ---- the end ---- */

void voice_reply_drop_audio(struct voice_reply *r)
{
    struct piece *piece;
    while ((piece = r->first)) {
        r->first = piece->next;
        free(piece);
    }
    r->last = &r->first;
    r->waiting = 0;
}

static void stop(struct voice_reply *r)
{
    struct voice *v = r->voice;
    r->state = REPLY_OVER;
    timer_stop(v->loop, &r->stall);
    timer_stop(v->loop, &r->pace);
    if (r->thinker && r->thinker != task_self())
        task_cancel(r->thinker);
    voice_speech_stop(r);
    voice_reply_drop_audio(r);
    list_remove(&r->link);
    if (v->reply == r)
        v->reply = NULL;
}

static void let_go(struct voice_reply *r)
{
    if (!r->item->placed)
        voice_item_free(r->voice, r->item);
    r->item = NULL;
    r->voice = NULL;
    voice_reply_unref(r);
}

void voice_reply_drop(struct voice_reply *r)
{
    stop(r);
    let_go(r);
}

/* What of the text counts as said. */
static size_t said(const struct voice_reply *r, enum voice_outcome outcome)
{
    const struct playback *p = &r->playback;
    if (outcome == VOICE_RESPONSE_COMPLETED || outcome == VOICE_RESPONSE_INCOMPLETE)
        return r->item->text.len;
    if (!r->shown.audio)
        return r->emitted;
    bool cancelled = outcome == VOICE_RESPONSE_CANCELLED;
    return voice_item_fits(r->item, cancelled ? voice_playback_heard(p, loop_now_ms(r->voice->loop)) : p->sent_ms);
}

static void end_item(struct voice_reply *r, enum voice_outcome outcome)
{
    struct voice *v = r->voice;
    r->item->shown.status = outcome == VOICE_RESPONSE_COMPLETED ? VOICE_COMPLETED : VOICE_INCOMPLETE;
    r->item->shown.transcribed = true;
    if (r->spoken && !r->first && !r->failure.code)
        voice_item_all_spoken(r->item);
    voice_item_show(r->item, said(r, outcome));
    voice_note_response(v, VOICE_OUTPUT_DONE, r);
    if (r->item->placed)
        voice_note_item(v, VOICE_ITEM_DONE, r->item, 0);
}

/* The client may go on playing for a while: that can be interrupted too. */
static void keep_playback(struct voice *v, const struct voice_reply *r)
{
    bool said = r->shown.outcome == VOICE_RESPONSE_COMPLETED || r->shown.outcome == VOICE_RESPONSE_INCOMPLETE;
    bool heard = said && r->shown.audio && r->item->placed;
    v->playback = r->playback;
    str_copy(v->last, sizeof v->last, heard ? str_c(r->item->shown.id) : STR(""));
}

void voice_reply_end(struct voice_reply *r, enum voice_outcome outcome, const char *reason, const struct err *failure)
{
    struct voice *v = r->voice;
    if (r->state == REPLY_OVER)
        return;
    metric_inc(voice_metrics()->replies[outcome]);
    r->shown.outcome = outcome;
    r->shown.reason = reason;
    if (failure) {
        r->failure = *failure;
        r->shown.error = &r->failure;
        log_warn("voice", "reply_failed", F_C("response", r->shown.id), F_C("code", err_name(failure->code)));
    }
    stop(r);
    if (r->begun)
        end_item(r, outcome);
    voice_note_response(v, VOICE_RESPONSE_DONE, r);
    bool in_conversation = r->shown.in_conversation;
    if (in_conversation)
        keep_playback(v, r);
    let_go(r);
    if (in_conversation)
        voice_turn_replied(v);
}

void voice_reply_fail(struct voice_reply *r, enum err_code code, const char *text)
{
    struct err e;
    err_set(&e, code, "%s", text);
    voice_reply_end(r, VOICE_RESPONSE_FAILED, NULL, &e);
}

/* ---- output ---- */

static bool held(const struct voice_reply *r)
{
    return r->voice->paused || (r->voice->barge.holds && r->voice->reply == r);
}

void voice_reply_alive(struct voice_reply *r)
{
    unsigned ms = r->voice->policy->stall_timeout_ms;
    if (ms)
        timer_start(r->voice->loop, &r->stall, ms);
}

/* Whoever waits for the client, or for the end of what it plays, does not stall. */
static void stalled(struct timer *timer)
{
    struct voice_reply *r = container_of(timer, struct voice_reply, stall);
    if (held(r) || timer_running(&r->pace))
        voice_reply_alive(r);
    else
        voice_reply_fail(r, ERR_TIMEOUT, "The reply took too long");
}

static void pace_due(struct timer *timer)
{
    voice_stir(container_of(timer, struct voice_reply, pace)->voice);
}

static void begin_output(struct voice_reply *r)
{
    struct voice *v = r->voice;
    r->begun = true;
    r->state = REPLY_SPEAKING;
    if (r->shown.in_conversation)
        voice_item_place(v, r->item, str_c(r->after));
    voice_note_response(v, VOICE_OUTPUT_ADDED, r);
    if (r->item->placed)
        voice_note_item(v, VOICE_ITEM_ADDED, r->item, 0);
}

static void emit_output(struct voice_reply *r, enum voice_event_type type, struct str text, struct str audio)
{
    struct voice_response shown = r->shown;
    struct voice_item item = r->item->shown;
    shown.item = &item;
    voice_reply_alive(r);
    voice_emit(r->voice,
               &(struct voice_event){.type = type, .response = &shown, .item = &item, .text = text, .audio = audio});
}

static void emit_text(struct voice_reply *r, size_t to)
{
    struct str all = buf_str(&r->item->text), text = str_n(all.p + r->emitted, to - r->emitted);
    r->emitted = to;
    voice_item_show(r->item, to);
    emit_output(r, VOICE_TEXT, text, STR_NONE);
}

static void conclude(struct voice_reply *r)
{
    voice_reply_end(r, r->unfinished ? VOICE_RESPONSE_INCOMPLETE : VOICE_RESPONSE_COMPLETED, r->unfinished, NULL);
}

/* Text that no audio belongs to, and the end. */
static bool pump_text(struct voice_reply *r)
{
    struct str text = buf_str(&r->item->text);
    bool more = r->emitted < text.n && str_trim(text).n;
    if (!more && !r->thought)
        return false;
    if (more && !r->begun)
        begin_output(r);
    else if (more)
        emit_text(r, text.n);
    else
        conclude(r);
    return true;
}

static void send_piece(struct voice_reply *r)
{
    struct voice *v = r->voice;
    struct piece *piece = r->first;
    uint64_t at_ms = r->playback.sent_ms;
    r->first = piece->next;
    if (!r->first)
        r->last = &r->first;
    r->waiting -= piece->n;
    r->sent += piece->n;
    voice_playback_sent(&r->playback, loop_now_ms(v->loop), r->sent * 1000 / ((uint64_t)r->how.output_rate * 2));
    voice_item_spoke(r->item, piece, at_ms, r->playback.sent_ms - at_ms);
    v->spoke = true;
    if (v->asked_ns && r->automatic)
        metric_observe(voice_metrics()->first_audio, clock_mono_ns() - v->asked_ns);
    v->asked_ns = 0;
    voice_speech_wake(r);
    emit_output(r, VOICE_AUDIO, STR_NONE, str_n(piece->audio, piece->n));
    free(piece);
}

static bool too_far_ahead(struct voice_reply *r)
{
    struct loop *loop = r->voice->loop;
    uint64_t ahead = r->playback.sent_ms - voice_playback_heard(&r->playback, loop_now_ms(loop));
    if (ahead < VOICE_AHEAD_MS)
        return false;
    timer_start(loop, &r->pace, ahead - VOICE_AHEAD_MS + VOICE_SLICE_MS);
    return true;
}

static bool pump_audio(struct voice_reply *r)
{
    const struct piece *piece = r->first;
    if (!piece && r->failure.code) {
        voice_reply_end(r, VOICE_RESPONSE_FAILED, NULL, &r->failure);
        return true;
    }
    if (!piece)
        return r->spoken && pump_text(r);
    if (timer_running(&r->pace) || too_far_ahead(r))
        return false;
    if (!r->begun)
        begin_output(r);
    else if (piece->first && piece->to > r->emitted)
        emit_text(r, piece->to);
    else
        send_piece(r);
    return true;
}

static bool pump(struct voice_reply *r)
{
    if (r->state == REPLY_WAITING || r->state == REPLY_OVER || held(r))
        return false;
    return r->shown.audio ? pump_audio(r) : pump_text(r);
}

bool voice_replies_pump(struct voice *v)
{
    bool any = false;
    list_each_safe(at, &v->replies) {
        struct voice_reply *r = container_of(at, struct voice_reply, link);
        r->refs++;
        any = pump(r);
        voice_reply_unref(r);
        if (any)
            return true; /* what it did may have ended others */
    }
    return false;
}
