/* Judging messages that are stored: those that nobody judged yet, or all of them again. */
#include "base/mem.h"
#include "chat/care_impl.h"

#include <stdlib.h>

#define PAGE 200

/* A message's meta to be. */
struct care_judged {
    struct list link;
    struct str id, meta;
    int64_t seq;
};

struct walk {
    struct care *care;
    const struct care_record *record;
    const struct care_judging *judging;
    struct care_verdicts *out;
    struct arena *arena;     /* of what comes out */
    struct arena *page;      /* of what is looked at */
    struct care_texts texts; /* in `kept` … */
    char *kept;              /* … a ring, since pages come and go */
    int64_t users;           /* of the user's messages, up to here */
    struct err *e;
};

static void remember(struct walk *w, struct str text)
{
    char *place = w->kept + (size_t)(w->users % CARE_JUDGED) * (CARE_TEXT_MAX + 1);
    size_t n = str_copy(place, CARE_TEXT_MAX + 1, text);
    care_texts_add(&w->texts, str_n(place, n));
    w->users++;
}

static bool asks_model(const struct walk *w)
{
    return chat_has_model(w->care->config.chat) && w->users > w->record->figures.user_messages - w->judging->by_model &&
           loop_now_ms(loop_self()) < w->judging->until_ms;
}

/* The model's answer, empty where it is not to be asked or does not answer. -1 only when the task was cancelled. */
static int ask_model(struct walk *w, struct str *answer)
{
    struct err e;
    *answer = STR("");
    if (!asks_model(w))
        return 0;
    struct care_question question = care_sentiment_question(&w->texts, w->record->conversation.id, w->page);
    if (care_ask(w->care, &question, w->page, answer, &e) < 0 && e.code == ERR_CANCELLED)
        return err_set(w->e, ERR_CANCELLED, NULL);
    return 0;
}

static void propose(struct walk *w, const struct message *m, const struct message_facts *facts)
{
    struct str meta = message_facts_meta(facts, w->arena);
    if (str_eq(meta, m->meta))
        return;
    struct care_judged *judged = arena_alloc(w->arena, sizeof *judged);
    *judged = (struct care_judged){.id = arena_str(w->arena, m->id), .meta = meta, .seq = m->seq};
    list_push_back(&w->out->items, &judged->link);
    w->out->n++;
}

static int judge_message(struct walk *w, const struct message *m)
{
    struct message_facts facts = message_facts(m, w->page);
    struct str answer;
    remember(w, m->content);
    if (facts.sentiment && !w->judging->all)
        return 0;
    if (ask_model(w, &answer) < 0)
        return -1;
    /* What a model said is not replaced by what the lexicon finds. */
    if (facts.sentiment && sentiment_of_answer(answer) == SENTIMENT_UNKNOWN && chat_has_model(w->care->config.chat))
        return 0;
    struct sentiment_verdict verdict = care_verdict(answer, sentiment_by_lexicon(w->texts.items, w->texts.n));
    facts.sentiment = verdict.sentiment;
    facts.confidence = verdict.confidence;
    facts.intents = facts.intents ? facts.intents : intents_of(m->content);
    propose(w, m, &facts);
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
    if (store_message_list(w->care->config.chat->config.store, w->page, &query, &page, w->e) < 0)
        return -1;
    for (size_t i = 0; i < page.n; i++) {
        *after = page.items[i].seq;
        if (str_eqc(page.items[i].role, "user") && judge_message(w, &page.items[i]) < 0)
            return -1;
    }
    return page.more && page.n ? 1 : 0;
}

int care_judge(struct care *care, const struct care_record *record, const struct care_judging *judging,
               struct arena *arena, struct care_verdicts *out, struct err *e)
{
    struct walk walk = {.care = care, .record = record, .judging = judging, .out = out, .arena = arena, .e = e};
    const struct analytics *figures = &record->figures;
    list_init(&out->items);
    out->n = 0;
    if (figures->user_messages == 0 || (!judging->all && figures->judged == figures->user_messages))
        return 0;
    walk.kept = mem_alloc((size_t)CARE_JUDGED * (CARE_TEXT_MAX + 1));
    int64_t after = 0;
    int more = 1;
    while (more == 1) {
        walk.page = arena_new("care_judge");
        more = judge_page(&walk, &after);
        arena_free(walk.page);
    }
    free(walk.kept);
    return more;
}

int care_store_verdicts(struct care *care, struct care_record *record, const struct care_verdicts *verdicts,
                        struct arena *arena, struct err *e)
{
    list_each(entry, &verdicts->items) {
        const struct care_judged *judged = container_of(entry, struct care_judged, link);
        struct message_change change = {
            .to = {.conversation_id = record->conversation.id, .id = judged->id, .meta = judged->meta},
            .set = MESSAGE_SET_META};
        if (care_forget_figures(care, record, judged->seq, arena, e) < 0 ||
            store_message_update(care->config.chat->config.store, &change, e) < 0)
            return -1;
    }
    return 0;
}
