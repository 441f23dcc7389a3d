/* How the customer feels: the questions, and messages that nobody judged yet. */
#include "base/mem.h"
#include "base/utf8.h"
#include "chat/care_impl.h"

#include <stdlib.h>

#define TEXT_MAX KIB(2) /* of one message: enough to tell a mood by */
#define PAGE     200

/* A model gives one word and no measure of how sure it is. */
#define SURE_MODEL 0.8
#define SURE_BOTH  0.95 /* the lexicon says the same */

void care_texts_add(struct care_texts *texts, struct str text)
{
    if (texts->n == CARE_JUDGED) {
        memmove(texts->items, texts->items + 1, (CARE_JUDGED - 1) * sizeof *texts->items);
        texts->n--;
    }
    if (text.n > TEXT_MAX)
        text.n = utf8_floor(text.p, TEXT_MAX);
    texts->items[texts->n++] = text;
}

void care_texts_add_users(struct care_texts *texts, const struct message *messages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eqc(messages[i].role, "user"))
            care_texts_add(texts, messages[i].content);
}

struct care_question care_sentiment_question(const struct care_texts *texts, struct str conversation_id,
                                             struct arena *arena)
{
    struct buf text = BUF_INIT(CARE_JUDGED * (TEXT_MAX + 1));
    for (size_t i = 0; i < texts->n; i++) {
        if (i)
            buf_byte(&text, '\n');
        buf_str_add(&text, texts->items[i]);
    }
    struct care_question question = {.prompt = care_prompt_sentiment,
                                     .text = arena_str(arena, buf_str(&text)),
                                     .conversation_id = conversation_id,
                                     .temperature = 0.3,
                                     .max_tokens = 10};
    buf_free(&text);
    return question;
}

struct sentiment_verdict care_verdict(struct str answer, struct sentiment_verdict lexicon)
{
    enum sentiment said = sentiment_of_answer(answer);
    if (said == SENTIMENT_UNKNOWN)
        return lexicon;
    return (struct sentiment_verdict){said, said == lexicon.sentiment ? SURE_BOTH : SURE_MODEL};
}

/* ---- messages that are stored ---- */

struct walk {
    struct care *care;
    struct care_record *record;
    struct care_judging *judging;
    struct care_texts texts; /* in `kept` */
    char *kept;              /* CARE_JUDGED texts in a ring: pages come and go */
    int64_t users;           /* of the user's messages, up to here */
    struct arena *arena;     /* of the page */
    struct err *e;
};

static void remember(struct walk *w, struct str text)
{
    char *place = w->kept + (size_t)(w->users % CARE_JUDGED) * (TEXT_MAX + 1);
    size_t n = str_copy(place, TEXT_MAX + 1, text);
    care_texts_add(&w->texts, str_n(place, n));
    w->users++;
}

/* The model's answer, empty where it is not to be asked or does not answer. -1 only when the task was cancelled. */
static int ask_model(struct walk *w, struct str *answer)
{
    *answer = STR("");
    if (w->users <= w->record->figures.user_messages - w->judging->by_model ||
        loop_now_ms(loop_self()) >= w->judging->until_ms)
        return 0;
    struct care_question question = care_sentiment_question(&w->texts, w->record->conversation.id, w->arena);
    struct err e;
    if (care_ask(w->care, &question, w->arena, answer, &e) < 0 && task_cancelled())
        return err_set(w->e, ERR_CANCELLED, NULL);
    return 0;
}

static int judge_message(struct walk *w, const struct message *m)
{
    struct message_facts facts = message_facts(m, w->arena);
    struct str answer;
    remember(w, m->content);
    if (facts.sentiment && !w->judging->all)
        return 0;
    if (ask_model(w, &answer) < 0)
        return -1;
    enum sentiment said = sentiment_of_answer(answer);
    /* What a model said is not replaced by what the lexicon finds. */
    if (facts.sentiment && said == SENTIMENT_UNKNOWN && chat_has_model(w->care->config.chat))
        return 0;
    struct sentiment_verdict verdict = care_verdict(answer, sentiment_by_lexicon(w->texts.items, w->texts.n));
    facts.sentiment = verdict.sentiment;
    facts.confidence = verdict.confidence;
    if (!facts.intents)
        facts.intents = intents_of(m->content);
    struct message_change change = {.to = *m, .set = MESSAGE_SET_META};
    change.to.meta = message_facts_meta(&facts, w->arena);
    if (care_forget_figures(w->care, w->record, m->seq, w->arena, w->e) < 0 ||
        store_message_update(w->care->config.chat->config.store, &change, w->e) < 0)
        return -1;
    w->judging->judged++;
    return 0;
}

/* 1 to go on. */
static int judge_page(struct walk *w, int64_t *after)
{
    struct message_query query = {.conversation_id = w->record->conversation.id,
                                  .after = *after,
                                  .before = w->record->conversation.message_count + 1,
                                  .limit = PAGE};
    struct message_page page;
    if (store_message_list(w->care->config.chat->config.store, w->arena, &query, &page, w->e) < 0)
        return -1;
    for (size_t i = 0; i < page.n; i++) {
        *after = page.items[i].seq;
        if (str_eqc(page.items[i].role, "user") && judge_message(w, &page.items[i]) < 0)
            return -1;
    }
    return page.more && page.n ? 1 : 0;
}

int care_judge(struct care *care, struct care_record *record, struct care_judging *judging, struct err *e)
{
    struct walk walk = {.care = care, .record = record, .judging = judging, .e = e};
    const struct analytics *figures = &record->figures;
    if (figures->user_messages == 0 || (!judging->all && figures->judged == figures->user_messages))
        return 0;
    walk.kept = mem_alloc(CARE_JUDGED * (TEXT_MAX + 1));
    int64_t after = 0;
    int more = 1;
    while (more == 1) {
        walk.arena = arena_new("care_judge");
        more = judge_page(&walk, &after);
        arena_free(walk.arena);
    }
    free(walk.kept);
    return more;
}
