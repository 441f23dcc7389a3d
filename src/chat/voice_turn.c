/* Whose turn it is: what the user says becomes items, interrupts a reply or does not, and is answered. */
#include "base/clock.h"
#include "base/mem.h"
#include "chat/voice_impl.h"

#define LOOK_AGAIN_MS 20u

/* ---- interruptions ---- */

static void end_barge(struct voice *v)
{
    timer_stop(v->loop, &v->barge.timer);
    v->barge.first = 0;
    v->barge.holds = false;
}

static bool still_heard(const struct voice *v)
{
    return v->last[0] && voice_playback_heard(&v->playback, loop_now_ms(v->loop)) < v->playback.sent_ms;
}

/* The client has the whole reply already and plays it no further: what it did not play is taken back. */
static struct item *cut_last(struct voice *v, size_t to, uint64_t at_ms)
{
    struct item *item = voice_item_find(v, str_c(v->last));
    v->last[0] = 0;
    if (!item)
        return NULL;
    voice_item_show(item, to);
    item->shown.status = VOICE_INCOMPLETE;
    voice_note_item(v, VOICE_ITEM_TRUNCATED, item, at_ms);
    return item;
}

static void confirm(struct voice *v)
{
    struct voice_reply *r = v->reply;
    bool holds = v->barge.holds;
    end_barge(v);
    metric_inc(voice_metrics()->interrupted);
    if (holds && r) {
        v->owed = v->owed || (r->state != REPLY_SPEAKING && r->automatic);
        voice_reply_end(r, VOICE_RESPONSE_CANCELLED, "turn_detected", NULL);
    } else if (!holds && v->last[0]) {
        const struct item *item = voice_item_find(v, str_c(v->last));
        cut_last(v, item ? voice_item_fits(item, v->playback.heard_ms) : 0, v->playback.heard_ms);
    }
}

/* The rest of a reply that the client had in full, from the sentence on in which it was interrupted. */
static void repeat_last(struct voice *v)
{
    struct item *item = voice_item_find(v, str_c(v->last));
    const struct spoken *at = item ? voice_item_at(item, v->playback.heard_ms) : NULL;
    if (!at || v->reply || v->owed || !v->settings.audio)
        return;
    size_t from = at->from;
    cut_last(v, voice_item_fits(item, at->at_ms), at->at_ms);
    voice_reply_repeat(v, str_from(buf_str(&item->text), from));
}

/* It was none. */
static void release(struct voice *v)
{
    struct voice_reply *r = v->reply;
    bool holds = v->barge.holds;
    end_barge(v);
    metric_inc(voice_metrics()->resumed);
    voice_stir(v);
    if (holds && r) {
        voice_reply_alive(r);
        if (r->state == REPLY_SPEAKING && r->shown.audio)
            voice_speech_again(r);
    } else if (!holds) {
        repeat_last(v);
    }
}

/* Words may still tell when the voice was too short. */
static void look(struct timer *timer)
{
    struct voice *v = container_of(timer, struct voice, barge.timer);
    uint64_t voiced = voice_input_voiced_ms(v->input), least = v->policy->interrupt_min_ms;
    if (voiced >= least)
        confirm(v);
    else if (voice_input_speaking(v->input))
        timer_start(v->loop, timer, MAX(least - voiced, LOOK_AGAIN_MS));
}

static void interrupt(struct voice *v, uint64_t utterance)
{
    const struct voice_policy *policy = v->policy;
    struct voice_reply *r = v->reply;
    bool thinking = r && r->state != REPLY_SPEAKING;
    bool allowed = thinking ? policy->interrupt_thinking : policy->interrupt_speaking && (r || still_heard(v));
    if (!v->settings.interrupt_response || !allowed)
        return;
    if (!v->barge.first) {
        v->barge.first = utterance;
        v->barge.holds = r != NULL;
        voice_playback_stop(r ? &r->playback : &v->playback, loop_now_ms(v->loop));
    }
    if ((!thinking && !policy->resume) || policy->interrupt_min_ms == 0)
        confirm(v);
    else
        timer_start(v->loop, &v->barge.timer, policy->interrupt_min_ms);
}

static bool is_open(const struct list *items, uint64_t first)
{
    list_each(at, items) {
        const struct item *item = container_of(at, struct item, link);
        if (item->recognizing && item->utterance >= first)
            return true;
    }
    return false;
}

void voice_turn_settle(struct voice *v)
{
    uint64_t first = v->barge.first;
    if (first && !is_open(&v->unplaced, first) && !is_open(&v->items, first))
        release(v);
}

/* ---- answers ---- */

/* What the input knows already, and what it has told so far. */
static bool is_speaking(const struct voice *v)
{
    return voice_input_speaking(v->input) || !list_empty(&v->unplaced);
}

void voice_turn_answer(struct voice *v)
{
    if (!v->owed || v->reply)
        return;
    /* Who speaks would interrupt it at once. */
    if (v->settings.interrupt_response && v->policy->interrupt_thinking && is_speaking(v))
        return;
    v->owed = false;
    voice_reply_begin(v, NULL, NULL);
}

static void await_speech(struct voice *v)
{
    uint64_t now = loop_now_ms(v->loop), rest = v->playback.sent_ms - voice_playback_heard(&v->playback, now);
    if (v->settings.idle_timeout_ms && !v->reply && !is_speaking(v))
        timer_start(v->loop, &v->idle, v->settings.idle_timeout_ms + (v->last[0] ? rest : 0));
}

void voice_turn_replied(struct voice *v)
{
    if (v->barge.holds && !v->reply)
        end_barge(v);
    await_speech(v);
    voice_turn_answer(v);
}

static bool is_quiet(const struct voice *v)
{
    return !v->reply && !v->owed && !is_speaking(v) && !is_open(&v->items, 1);
}

static void idle(struct timer *timer)
{
    struct voice *v = container_of(timer, struct voice, idle);
    uint64_t now = v->written * 1000 / ((uint64_t)v->settings.input_rate * 2);
    if (!is_quiet(v))
        return;
    struct item *item = voice_item_new(v, VOICE_ITEM_USER, STR(""), true);
    item->shown.transcribed = true;
    voice_note(v, &(struct voice_event){.type = VOICE_IDLE,
                                        .item = &item->shown,
                                        .from_ms = now - MIN(now, v->settings.idle_timeout_ms),
                                        .at_ms = now});
    voice_turn_commit(v, item, false);
    voice_reply_begin(v, NULL, NULL);
}

/* ---- what is heard ---- */

void voice_turn_commit(struct voice *v, struct item *item, bool asks)
{
    item->committed = ++v->commits;
    item->asks = asks;
    item->shown.status = VOICE_COMPLETED;
    voice_item_place(v, item, STR(""));
    voice_note_item(v, VOICE_COMMITTED, item, 0);
    voice_note_item(v, VOICE_ITEM_ADDED, item, 0);
    voice_note_item(v, VOICE_ITEM_DONE, item, 0);
}

struct item *voice_turn_utterance(struct voice *v, uint64_t utterance)
{
    struct item *item = voice_item_heard(v, utterance);
    if (item || utterance <= v->newest)
        return item; /* what was cleared or deleted does not come back */
    v->newest = utterance;
    item = voice_item_new(v, VOICE_ITEM_USER, STR(""), true);
    item->utterance = utterance;
    item->recognizing = true;
    list_push_back(&v->unplaced, &item->link);
    return item;
}

static void understood(struct voice *v, struct item *item, struct str text)
{
    struct str told = buf_str(&item->text);
    if (v->barge.first && item->utterance >= v->barge.first && str_trim(text).n)
        confirm(v);
    if (!v->settings.transcripts || text.n <= told.n || !str_starts(text, told))
        return;
    struct voice_event event = {.type = VOICE_TRANSCRIPT_DELTA, .item = &item->shown, .text = str_from(text, told.n)};
    voice_note(v, &event);
    buf_str_add(&item->text, event.text);
}

static void note_transcript(struct voice *v, const struct item *item, const struct voice_heard *heard)
{
    voice_note(v, &(struct voice_event){.type = item->failure ? VOICE_TRANSCRIPT_FAILED : VOICE_TRANSCRIPT_DONE,
                                        .item = &item->shown,
                                        .text = item->shown.text,
                                        .at_ms = heard->audio_ms,
                                        .error = item->failure});
}

void voice_turn_recognized(struct voice *v, struct item *item, const struct voice_heard *heard)
{
    bool failed = heard->type == VOICE_HEARD_FAILED;
    struct str text = failed ? STR("") : str_trim(heard->text);
    bool interrupts = item->utterance && v->barge.first && item->utterance >= v->barge.first;
    item->recognizing = false;
    item->utterance = 0;
    voice_item_set_text(item, text);
    item->shown.transcribed = !failed;
    if (failed) {
        item->failure = mem_alloc(sizeof *item->failure);
        *item->failure = *heard->error;
    }
    note_transcript(v, item, heard);
    v->owed = v->owed || (item->asks && text.n);
    if (interrupts && text.n)
        confirm(v);
    voice_turn_settle(v);
    voice_replies_ready(v);
    voice_turn_answer(v);
    if (!v->reply)
        await_speech(v);
}

static void stopped(struct voice *v, struct item *item, uint64_t at_ms)
{
    v->asked_ns = clock_mono_ns();
    voice_note_item(v, VOICE_SPEECH_STOPPED, item, at_ms);
    if (!item->placed)
        voice_turn_commit(v, item, v->settings.create_response);
}

void voice_turn_heard(void *arg, const struct voice_heard *heard)
{
    struct voice *v = arg;
    bool last = heard->type == VOICE_HEARD_FINAL || heard->type == VOICE_HEARD_FAILED;
    struct item *item = last ? voice_item_heard(v, heard->utterance) : voice_turn_utterance(v, heard->utterance);
    if (!item)
        return;
    switch (heard->type) {
    case VOICE_HEARD_STARTED:
        timer_stop(v->loop, &v->idle);
        voice_note_item(v, VOICE_SPEECH_STARTED, item, heard->at_ms);
        interrupt(v, item->utterance);
        break;
    case VOICE_HEARD_STOPPED:
        stopped(v, item, heard->at_ms);
        break;
    case VOICE_HEARD_PARTIAL:
        understood(v, item, heard->text);
        break;
    case VOICE_HEARD_FINAL:
    case VOICE_HEARD_FAILED:
        voice_turn_recognized(v, item, heard);
        break;
    }
}

void voice_turn_init(struct voice *v)
{
    v->barge.timer.fn = look;
    v->idle.fn = idle;
}

void voice_turn_stop(struct voice *v)
{
    end_barge(v);
    timer_stop(v->loop, &v->idle);
}
