#include "chat/voice.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "chat/chat_impl.h"
#include "chat/voice_impl.h"

#include <stdlib.h>

/* ---- settings ---- */

static struct str move_in(char **at, struct str s)
{
    if (s.n)
        memcpy(*at, s.p, s.n);
    struct str copy = {*at, s.n};
    *at += s.n;
    return copy;
}

static void copy_settings(struct voice *v, const struct voice_settings *from)
{
    char *old = v->strings;
    v->strings =
        mem_alloc(from->model.n + from->instructions.n + from->voice.n + from->language.n + from->prompt.n + 1);
    char *at = v->strings;
    v->settings = *from;
    v->settings.model = move_in(&at, from->model);
    v->settings.instructions = move_in(&at, from->instructions);
    v->settings.voice = move_in(&at, from->voice);
    v->settings.language = move_in(&at, from->language);
    v->settings.prompt = move_in(&at, from->prompt);
    free(old);
}

static struct voice_listening listening(const struct voice *v)
{
    const struct voice_settings *s = &v->settings;
    const struct voice_policy *policy = v->policy;
    bool exact = s->detection == VOICE_DETECT_ENERGY && s->silence_ms;
    unsigned silence = s->silence_ms ? s->silence_ms : policy->silence_ms;
    unsigned most = s->max_silence_ms ? s->max_silence_ms : policy->max_silence_ms;
    return (struct voice_listening){.rate = s->input_rate,
                                    .language = s->language,
                                    .prompt = s->prompt,
                                    .partials = true, /* words tell interruptions from coughs */
                                    .detect = s->detection != VOICE_DETECT_NONE,
                                    .threshold = s->threshold,
                                    .clean = s->clean,
                                    .prefix_ms = s->prefix_ms,
                                    .silence_ms = silence,
                                    .max_silence_ms = exact ? silence : MAX(most, silence),
                                    .max_utterance_ms = policy->max_utterance_ms};
}

const struct voice_settings *voice_settings(const struct voice *v)
{
    return &v->settings;
}

int voice_configure(struct voice *v, const struct voice_settings *settings, struct err *e)
{
    const struct voice_settings *own = &v->settings;
    if (settings->input_rate != own->input_rate || settings->output_rate != own->output_rate)
        return err_set(e, ERR_INVALID_REQUEST, "The audio's rate cannot change");
    if (v->spoke && !str_eq(settings->voice, own->voice))
        return err_set(e, ERR_INVALID_REQUEST, "The voice cannot change once it was heard");
    copy_settings(v, settings);
    struct voice_listening how = listening(v);
    voice_input_configure(v->input, &how);
    if (!settings->idle_timeout_ms)
        timer_stop(v->loop, &v->idle);
    return 0;
}

/* ---- the session ---- */

struct voice *voice_new(struct chat *chat, const struct voice_policy *policy, const struct voice_settings *settings,
                        const struct voice_ops *ops, void *arg)
{
    struct voice *v = mem_zalloc(sizeof *v);
    v->loop = loop_self();
    v->chat = chat;
    v->policy = policy;
    v->ops = ops;
    v->arg = arg;
    list_init(&v->items);
    list_init(&v->unplaced);
    list_init(&v->replies);
    voice_events_init(v);
    voice_turn_init(v);
    copy_settings(v, settings ? settings : &VOICE_DEFAULTS);
    struct voice_listening how = listening(v);
    v->input = voice_input_new(policy->stt, &how, voice_turn_heard, v);
    metric_inc(voice_metrics()->sessions);
    return v;
}

static void free_items(struct voice *v, struct list *items)
{
    while (!list_empty(items))
        voice_item_free(v, container_of(items->next, struct item, link));
}

struct voice *voice_close(struct voice *v)
{
    if (!v)
        return NULL;
    v->closed = true;
    metric_dec(voice_metrics()->sessions);
    voice_turn_stop(v);
    while (!list_empty(&v->replies))
        voice_reply_drop(container_of(v->replies.next, struct voice_reply, link));
    v->input = voice_input_free(v->input);
    free_items(v, &v->items);
    free_items(v, &v->unplaced);
    free(v->strings);
    v->strings = NULL;
    if (v->dispatching || v->end.queued)
        return NULL; /* who sends its events lets it go */
    voice_events_free(v);
    free(v);
    return NULL;
}

void voice_pause(struct voice *v, bool pause)
{
    v->paused = pause;
    voice_stir(v);
}

/* ---- audio of the user ---- */

int voice_append(struct voice *v, struct str pcm, struct err *e)
{
    if (voice_input_write(v->input, pcm, e) < 0)
        return -1;
    v->written += pcm.n;
    return 0;
}

int voice_commit(struct voice *v, uint64_t *found_ms, struct err *e)
{
    *found_ms = voice_input_pending_ms(v->input);
    uint64_t utterance = voice_input_commit(v->input);
    if (!utterance)
        return err_set(e, ERR_INVALID_REQUEST, "At least %d ms of audio are needed, there are %llu", VOICE_COMMIT_MS,
                       (unsigned long long)*found_ms);
    struct item *item = voice_turn_utterance(v, utterance);
    if (item && !item->placed)
        voice_turn_commit(v, item, false);
    return 0;
}

void voice_clear(struct voice *v)
{
    struct item *item = voice_item_heard(v, voice_input_clear(v->input));
    if (item && !item->placed)
        voice_item_free(v, item);
    voice_note(v, &(struct voice_event){.type = VOICE_CLEARED});
    voice_turn_settle(v);
    voice_turn_answer(v);
}

/* ---- items ---- */

static int check_place(const struct voice *v, struct str id, struct str after, struct err *e)
{
    if (id.n >= VOICE_ID || !utf8_valid(id))
        return err_set(e, ERR_INVALID_REQUEST, "The item's id is longer than %d bytes", VOICE_ID - 1);
    if (id.n && (voice_find(v, id) || str_eqc(id, "root")))
        return err_set(e, ERR_INVALID_REQUEST, "There is an item with this id already");
    if (after.n && !str_eqc(after, "root") && !voice_item_find(v, after))
        return err_set(e, ERR_INVALID_REQUEST, "There is no item with the previous item's id");
    return 0;
}

int voice_add_item(struct voice *v, const struct voice_new_item *new, struct err *e)
{
    if (check_place(v, new->id, new->after, e) < 0)
        return -1;
    if (new->text.n > VOICE_ITEM_TEXT)
        return err_set(e, ERR_INVALID_REQUEST, "The item's text is longer than %zu bytes", VOICE_ITEM_TEXT);
    if (!utf8_valid(new->text))
        return err_set(e, ERR_INVALID_REQUEST, "The item's text is not valid UTF-8");
    struct item *item = voice_item_new(v, new->kind, new->id, false);
    voice_item_set_text(item, new->text);
    item->shown.status = VOICE_COMPLETED;
    voice_item_place(v, item, new->after);
    voice_note_item(v, VOICE_ITEM_ADDED, item, 0);
    voice_note_item(v, VOICE_ITEM_DONE, item, 0);
    return 0;
}

static void item_heard(void *arg, const struct voice_heard *heard)
{
    struct item *item = arg;
    if (heard->type != VOICE_HEARD_FINAL && heard->type != VOICE_HEARD_FAILED)
        return;
    item->input = voice_input_free(item->input);
    item->voice->added--;
    voice_turn_recognized(item->voice, item, heard);
}

int voice_add_audio(struct voice *v, struct str id, struct str after, struct str pcm, struct err *e)
{
    if (check_place(v, id, after, e) < 0)
        return -1;
    if (v->added >= VOICE_ADDED_AUDIO)
        return err_set(e, ERR_OVERLOADED, "Too many items of audio are being recognized");
    struct item *item = voice_item_new(v, VOICE_ITEM_USER, id, true);
    struct voice_listening how = listening(v);
    how.detect = how.partials = false;
    how.clean = CLEAN_NONE; /* a file of its own, from which nothing can be learned about a background */
    item->input = voice_input_new(v->policy->stt, &how, item_heard, item);
    v->added++;
    if (voice_input_write(item->input, pcm, e) < 0) {
        voice_item_free(v, item);
        return -1;
    }
    if (!voice_input_commit(item->input)) {
        voice_item_free(v, item);
        return err_set(e, ERR_INVALID_REQUEST, "The audio is shorter than %d ms", VOICE_COMMIT_MS);
    }
    item->recognizing = true;
    item->committed = ++v->commits;
    item->shown.status = VOICE_COMPLETED;
    voice_item_place(v, item, after);
    voice_note_item(v, VOICE_ITEM_ADDED, item, 0);
    voice_note_item(v, VOICE_ITEM_DONE, item, 0);
    return 0;
}

const struct voice_item *voice_find(const struct voice *v, struct str id)
{
    const struct item *item = voice_item_find(v, id);
    return item ? &item->shown : NULL;
}

static struct item *find_item(const struct voice *v, struct str id, struct err *e)
{
    struct item *item = voice_item_find(v, id);
    if (!item)
        err_set(e, ERR_NOT_FOUND, "There is no item with this id");
    return item;
}

int voice_delete(struct voice *v, struct str id, struct err *e)
{
    struct item *item = find_item(v, id, e);
    if (!item)
        return -1;
    if (item->shown.status == VOICE_IN_PROGRESS)
        return err_set(e, ERR_INVALID_REQUEST, "The item is being made: cancel its response first");
    voice_note_item(v, VOICE_ITEM_DELETED, item, 0);
    voice_item_free(v, item);
    voice_turn_settle(v);
    voice_replies_ready(v);
    voice_turn_answer(v);
    return 0;
}

/* The client stopped playing the item: the clock does too. */
static void stop_playback(struct voice *v, const struct item *item, uint64_t ms)
{
    struct voice_reply *r = v->reply && v->reply->item == item ? v->reply : NULL;
    bool last = str_eqc(str_c(v->last), item->shown.id);
    struct playback *playback = r ? &r->playback : last ? &v->playback : NULL;
    if (!playback)
        return;
    ms = MIN(ms, playback->sent_ms);
    if (r && !v->barge.holds) {
        voice_speech_cut(r, ms);
        return;
    }
    playback->heard_ms = ms;
    playback->running = false;
    if (last && !v->barge.first)
        v->last[0] = 0; /* nothing of it is heard any more */
}

int voice_truncate(struct voice *v, struct str id, uint64_t audio_end_ms, struct err *e)
{
    struct item *item = find_item(v, id, e);
    if (!item)
        return -1;
    if (item->shown.kind != VOICE_ITEM_ASSISTANT || !item->shown.audio)
        return err_set(e, ERR_INVALID_REQUEST, "Only spoken items of the assistant can be truncated");
    stop_playback(v, item, audio_end_ms);
    if (item->shown.status != VOICE_IN_PROGRESS) {
        voice_item_show(item, voice_item_fits(item, audio_end_ms));
        item->shown.status = VOICE_INCOMPLETE;
    }
    voice_note_item(v, VOICE_ITEM_TRUNCATED, item, audio_end_ms);
    return 0;
}

/* ---- responses ---- */

/* What was said before needs no other answer, also while it is still being recognized. */
static void answers_all(struct voice *v)
{
    v->owed = false;
    list_each(at, &v->items)
        container_of(at, struct item, link)->asks = false;
}

int voice_respond(struct voice *v, const struct voice_ask *ask, char running[VOICE_ID], struct err *e)
{
    if (ask->in_conversation && v->reply) {
        memcpy(running, v->reply->shown.id, VOICE_ID);
        return err_set(e, ERR_INVALID_REQUEST, "A response is under way already: %s", running);
    }
    running[0] = 0;
    if (ask->in_conversation)
        answers_all(v);
    return voice_reply_begin(v, ask, e);
}

int voice_cancel(struct voice *v, struct str id, struct err *e)
{
    struct voice_reply *r = v->reply;
    list_each(at, &v->replies) {
        struct voice_reply *other = container_of(at, struct voice_reply, link);
        if (id.n ? str_eqc(id, other->shown.id) : !r)
            r = other;
    }
    if (!r || (id.n && !str_eqc(id, r->shown.id)))
        return err_set(e, ERR_NOT_FOUND, "There is no such response under way");
    voice_reply_end(r, VOICE_RESPONSE_CANCELLED, "client_cancelled", NULL);
    return 0;
}
