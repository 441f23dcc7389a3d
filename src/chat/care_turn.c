/* A turn of customer care: the steps of the table below, in a task of the conversation's home loop. Whoever asked waits
 * for it, or does not any more: it runs on to its last step. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "chat/care_turn_impl.h"

static int find_company(struct care_turn *t, struct err *e)
{
    (void)e;
    t->named = company_find(t->record.meta.company);
    if (!t->named)
        t->named = company_detect(t->say.text);
    return 0;
}

static int find_intents(struct care_turn *t, struct err *e)
{
    (void)e;
    t->facts.intents = intents_of(t->say.text);
    return 0;
}

/* The lexicon's verdict at once; the model's comes beside the reply. */
static int find_sentiment(struct care_turn *t, struct err *e)
{
    struct care_texts texts = {0};
    const struct conversation *c = &t->record.conversation;
    (void)e;
    care_texts_add_users(&texts, c->messages, c->nmessages);
    care_texts_add(&texts, t->say.text);
    t->lexicon = sentiment_by_lexicon(texts.items, texts.n);
    t->facts.sentiment = t->lexicon.sentiment;
    t->facts.confidence = t->lexicon.confidence;
    t->feeling = care_sentiment_question(&texts, c->id, t->arena);
    return 0;
}

static int make_prompt(struct care_turn *t, struct err *e)
{
    struct care_persona persona = {t->agent, t->named, t->lexicon.sentiment == SENTIMENT_URGENT};
    (void)e;
    t->manner = care_manner(&persona, t->arena);
    t->manner.history = t->say.channel == CARE_REST ? CARE_REST_HISTORY : 0;
    t->manner.intent = str_c(intent_name(intent_main(t->facts.intents)));
    return 0;
}

static bool titles_now(const struct care_turn *t)
{
    int64_t nth = t->record.figures.user_messages + 1;
    if (t->record.meta.own_title)
        return false;
    return nth == 1 || nth % CARE_TITLE_EVERY == 0;
}

static void begin_asides(struct care_turn *t)
{
    const struct conversation *c = &t->record.conversation;
    care_aside_begin(&t->sentiment, t->care, &t->feeling);
    if (!titles_now(t))
        return;
    struct care_talk talk = {c->messages, c->nmessages, t->say.text};
    struct care_question question = care_title_question(&talk, c->id, t->arena);
    care_aside_begin(&t->title, t->care, &question);
}

/* Both as they are known without asking the store again. */
static void note_messages(struct care_turn *t)
{
    const struct turn_ticket *ticket = &t->ticket;
    t->said.user = (struct message){.id = ticket->user_message_id,
                                    .conversation_id = ticket->conversation_id,
                                    .role = STR("user"),
                                    .content = t->say.text,
                                    .client_id = t->say.client_id,
                                    .meta = t->user_meta,
                                    .seq = ticket->user_seq,
                                    .created_us = ticket->user_at_us};
    t->said.reply = (struct message){.id = ticket->reply_id,
                                     .conversation_id = ticket->conversation_id,
                                     .role = STR("assistant"),
                                     .content = t->said.turn.text,
                                     .meta = STR(""),
                                     .seq = ticket->user_seq + 1,
                                     .created_us = ticket->user_at_us,
                                     .status = t->said.turn.status};
}

static int load_message(struct care_turn *t, struct str id, struct message *out, struct err *e)
{
    struct message_ref ref = {t->ticket.conversation_id, id};
    return store_message_get(t->care->config.chat->config.store, t->arena, &ref, out, e);
}

/* What the first of its kind was answered. */
static int recall(struct care_turn *t, struct err *e)
{
    t->said.duplicate = true;
    if (load_message(t, t->ticket.user_message_id, &t->said.user, e) < 0 ||
        load_message(t, t->ticket.reply_id, &t->said.reply, e) < 0)
        return -1;
    t->said.speech.url = message_facts(&t->said.reply, t->arena).audio_url;
    return 0;
}

static int reply(struct care_turn *t, struct err *e)
{
    t->user_meta = message_facts_meta(&t->facts, t->arena);
    struct turn_request request = {.surface = &t->care->surface,
                                   .conversation_id = t->say.conversation_id,
                                   .owner = t->say.owner,
                                   .text = t->say.text,
                                   .client_id = t->say.client_id,
                                   .user_id = care_object_id(t->arena),
                                   .reply_id = care_object_id(t->arena),
                                   .user_meta = t->user_meta,
                                   .manner = &t->manner,
                                   .origin = t->say.origin};
    struct chat *chat = t->care->config.chat;
    if (turn_start(chat, &request, t->arena, &t->ticket, e) < 0)
        return -1;
    if (t->ticket.duplicate && !t->ticket.reply_id.n)
        return err_set(e, ERR_CONFLICT, "A message with this id was stored before");
    if (!t->ticket.duplicate)
        begin_asides(t);
    task_shield(); /* an abort ends the turn, and then this */
    int result = turn_wait(chat, &t->ticket, t->arena, &t->said.turn, e);
    task_unshield();
    if (result < 0)
        return -1;
    t->replied_ms = loop_now_ms(loop_self());
    note_messages(t);
    return t->ticket.duplicate ? recall(t, e) : 0;
}

/* Live audio goes along and is not kept; a repeated message's link is there already. */
static int speak(struct care_turn *t, struct err *e)
{
    bool keep = t->say.channel == CARE_REST;
    (void)e;
    if (!t->say.speak || t->said.turn.status == MESSAGE_INTERRUPTED || (keep && t->said.duplicate))
        return 0;
    struct care_spoken spoken = {t->said.turn.text, care_voice_of(t->agent, t->arena), keep};
    care_speak(t->care, &spoken, t->arena, &t->said.speech);
    t->audio_kept = t->said.speech.url.n > 0;
    return 0;
}

static int set_meta(struct care_turn *t, struct message *message, const struct message_facts *facts, struct err *e)
{
    struct message_change change = {.to = *message, .set = MESSAGE_SET_META};
    change.to.meta = message_facts_meta(facts, t->arena);
    if (store_message_update(t->care->config.chat->config.store, &change, e) < 0)
        return -1;
    message->meta = change.to.meta;
    return 0;
}

/* The lexicon's verdict was stored with the message; the model's replaces it. */
static int store_sentiment(struct care_turn *t, struct err *e)
{
    struct sentiment_verdict verdict = care_verdict(care_aside_answer(&t->sentiment), t->lexicon);
    if (verdict.sentiment == t->facts.sentiment && verdict.confidence == t->facts.confidence)
        return 0;
    t->facts.sentiment = verdict.sentiment;
    t->facts.confidence = verdict.confidence;
    if (care_forget_figures(t->care, &t->fresh, t->ticket.user_seq, t->arena, e) < 0)
        return -1;
    return set_meta(t, &t->said.user, &t->facts, e);
}

static int store_audio(struct care_turn *t, struct err *e)
{
    struct message_facts facts = {.confidence = -1, .audio_url = t->said.speech.url};
    if (!t->audio_kept)
        return 0;
    if (set_meta(t, &t->said.reply, &facts, e) < 0)
        return -1;
    t->audio_kept = false; /* the message's now */
    return 0;
}

/* From here to the end of the turn nobody else changes the conversation's meta. */
static int store_facts(struct care_turn *t, struct err *e)
{
    struct care_place at = {t->say.owner, t->ticket.conversation_id};
    if (t->said.duplicate)
        return 0;
    t->lock = care_lock(t->care, at.id, e);
    if (!t->lock || care_load_kept(t->care, &at, 0, t->arena, &t->fresh, e) < 0)
        return -1;
    if (store_audio(t, e) < 0)
        return -1;
    return store_sentiment(t, e);
}

static void tell_priority(struct care_turn *t)
{
    bool urgent = analytics_is_urgent(&t->fresh.figures);
    if (urgent == analytics_is_urgent(&t->record.figures))
        return;
    t->said.raised = urgent;
    room_pass(t->care->config.chat,
              room_event_new(&(struct room_event){.type = ROOM_PRIORITY,
                                                  .conversation_id = t->ticket.conversation_id,
                                                  .message_id = t->ticket.user_message_id,
                                                  .text = urgent ? STR("high") : STR("normal"),
                                                  .code = str_c(sentiment_name(t->fresh.figures.sentiment)),
                                                  .origin = t->say.origin,
                                                  .at_us = clock_wall_us()}));
}

static int analyse(struct care_turn *t, struct err *e)
{
    struct care_record *fresh = &t->fresh;
    unsigned set = 0;
    if (t->said.duplicate)
        return 0;
    if (!fresh->conversation.id.n)
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    if (!fresh->meta.company.n && t->named)
        fresh->meta.company = str_c(company_name(t->named));
    struct str title = care_title_of_answer(care_aside_answer(&t->title), t->arena);
    if (title.n && !fresh->meta.own_title) { /* it may have been chosen since the question was asked */
        fresh->conversation.title = title;
        set |= CONVERSATION_SET_TITLE;
    }
    if (care_keep(t->care, fresh, set, t->arena, e) < 0)
        return -1;
    tell_priority(t);
    t->record = *fresh;
    return 0;
}

/* ---- the table ---- */

struct step {
    const char *name;
    int (*run)(struct care_turn *t, struct err *e);
};

/* Up to the reply, a step that fails ends the turn and is the asker's error. Behind it, the reply is given: a step that
 * fails is logged, and the next ones do what they can. */
static const struct step steps[] = {
    {"company", find_company},     /* which one the customer speaks of */
    {"intent", find_intents},      /* what the customer wants */
    {"sentiment", find_sentiment}, /* how the customer feels: the lexicon's view, and a question for the model */
    {"prompt", make_prompt},       /* who answers, and how */
    {"reply", reply},              /* a turn of the conversation; the model's questions run beside it */
    {"speech", speak},             /* the reply as audio */
    {"store", store_facts},        /* what was found, with the messages */
    {"analytics", analyse},        /* what it adds up to, and the title, with the conversation */
};
enum { REPLY = 4, STORE = 6 };

/* Outcomes are kept also when the turn is aborted; what the model still thinks about is not waited for then. */
static void begin_storing(struct care_turn *t)
{
    uint64_t until = t->replied_ms + CARE_GRACE_MS;
    care_aside_join(&t->sentiment, until);
    care_aside_join(&t->title, until);
    task_shield();
}

static void load(struct care_turn *t, struct err *e)
{
    struct care_place at = {t->say.owner, t->say.conversation_id};
    t->result = care_load(t->care, &at, CARE_TALK, t->arena, &t->record, e);
    if (t->result == 0)
        t->result = care_agent_of(t->care, &t->record, t->say.agent, t->arena, &t->agent, e);
}

static void failed(struct care_turn *t, size_t step, const struct err *e)
{
    bool gone = e->code == ERR_CONVERSATION_NOT_FOUND || e->code == ERR_MESSAGE_NOT_FOUND; /* deleted meanwhile */
    if (step <= REPLY || (gone && t->said.turn.status == MESSAGE_INTERRUPTED)) {
        t->result = -1;
        t->e = *e;
    } else if (!gone) {
        log_warn("care", "step_failed", F_STR("conversation", t->say.conversation_id), F_C("step", steps[step].name),
                 F_ERR(e));
    }
}

static void run_steps(struct care_turn *t)
{
    bool storing = false;
    for (size_t i = 0; i < COUNT(steps) && t->result == 0; i++) {
        struct err e = {0};
        if (i == STORE) {
            begin_storing(t);
            storing = true;
        }
        if (steps[i].run(t, &e) < 0)
            failed(t, i, &e);
    }
    if (storing)
        task_unshield();
}

static void clean_up(struct care_turn *t)
{
    care_unlock(t->lock);
    care_aside_end(&t->sentiment);
    care_aside_end(&t->title);
    if (t->audio_kept) { /* no message has it */
        care_drop_audio(t->care, t->said.speech.url);
        t->said.speech.url = STR("");
    }
    t->said.view = care_view_of(&t->record);
    t->said.view.conversation.messages = NULL;
    t->said.view.conversation.nmessages = 0;
}

void care_turn_run(struct care_turn *t)
{
    struct chat_work work;
    chat_work_begin(t->care->config.chat, &work);
    load(t, &t->e);
    run_steps(t);
    clean_up(t);
    chat_work_end(&work);
}
