/* Figures over all conversations of a user. */
#include "base/log.h"
#include "chat/care_impl.h"

#define SETTLE_MIN 16 /* messages that are not counted yet */

/* How long the model is asked at most; later messages keep the judgement they have, or get the lexicon's. */
#define REANALYSE_MODEL_MS 30000
#define REANALYSE_PER_ONE  20 /* user messages of each conversation, the last ones */

struct totals {
    struct care *care;
    struct care_stats *out;
    unsigned companies;
};

static int keep_figures(struct care *care, struct care_record *record, void *arg, unsigned *set, struct arena *arena,
                        struct err *e)
{
    (void)care, (void)record, (void)arg, (void)arena, (void)e;
    *set = CONVERSATION_SET_META;
    return 0;
}

/* Long conversations whose figures nobody kept (they were brought from elsewhere) are counted once, not each time. */
static void settle(struct care *care, const struct conversation *c, struct arena *arena)
{
    struct care_edit edit = {.at = {c->owner, c->id}, .change = keep_figures};
    struct care_record record;
    struct err e;
    if (care_edit(care, &edit, arena, &record, &e) < 0)
        log_debug("care", "figures_not_kept", F_STR("conversation", c->id), F_ERR(&e));
}

static int add_conversation(void *arg, const struct conversation *c, struct err *e)
{
    struct totals *t = arg;
    struct care_stats *out = t->out;
    struct care_record record;
    struct arena *arena = arena_new("care_stats");
    int result = care_record_of(t->care, c, arena, &record, e);
    if (result == 0 && record.figures.counted - record.meta.figures.counted >= SETTLE_MIN)
        settle(t->care, c, arena);
    arena_free(arena);
    if (result < 0)
        return -1;
    const struct analytics *figures = &record.figures;
    out->calls++;
    out->messages += figures->messages;
    out->duration_total += analytics_duration(figures);
    out->last_us = MAX(out->last_us, c->updated_us);
    out->sentiments[figures->sentiment]++;
    t->companies |= figures->companies & ~(figures->companies - 1); /* the first that was named counts */
    return 0;
}

int care_stats(struct care *care, struct str owner, struct arena *arena, struct care_stats *out, struct err *e)
{
    struct totals totals = {.care = care, .out = out};
    struct chat_scope scope = {.space = CARE_SPACE, .owner = owner};
    struct conversation_walk walk = {.order = CONVERSATION_BY_CREATED, .each = add_conversation, .arg = &totals};
    (void)arena;
    *out = (struct care_stats){0};
    if (owner.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "Statistics need a user");
    if (conversation_walk(care->config.chat, &scope, &walk, e) < 0)
        return -1;
    for (unsigned bits = totals.companies; bits && out->ncompanies < COUNT(out->companies); bits &= bits - 1)
        out->companies[out->ncompanies++] = str_c(company_stats_name(bits));
    return 0;
}

/* ---- again, from the messages ---- */

struct again {
    struct care *care;
    uint64_t until_ms; /* for questions to the model */
    int64_t total, updated;
};

/* Also when no verdict changed, the figures are counted anew. */
static int store_again(struct care *care, struct care_record *record, void *arg, unsigned *set, struct arena *arena,
                       struct err *e)
{
    if (care_store_verdicts(care, record, arg, arena, e) < 0)
        return -1;
    record->meta.figures = (struct analytics){0};
    if (care_count_settled(care, &record->conversation, &record->meta.figures, e) < 0)
        return -1;
    if (!str_eq(care_meta_write(&record->meta, arena), record->conversation.meta))
        *set = CONVERSATION_SET_META;
    return 0;
}

static int reanalyse(struct again *again, const struct conversation *c, struct arena *arena, struct err *e)
{
    struct care_judging judging = {.all = true, .by_model = REANALYSE_PER_ONE, .until_ms = again->until_ms};
    struct care_verdicts verdicts;
    struct care_edit edit = {.at = {c->owner, c->id}, .change = store_again, .arg = &verdicts};
    struct care_record record;
    if (care_record_of(again->care, c, arena, &record, e) < 0)
        return -1;
    if (record.figures.user_messages == 0)
        return 0;
    if (care_judge(again->care, &record, &judging, arena, &verdicts, e) < 0 ||
        care_edit(again->care, &edit, arena, &record, e) < 0)
        return -1;
    again->updated++;
    return 0;
}

static int reanalyse_one(void *arg, const struct conversation *c, struct err *e)
{
    struct again *again = arg;
    struct arena *arena = arena_new("care_reanalyse");
    struct err own = {0};
    int result = reanalyse(again, c, arena, &own);
    arena_free(arena);
    again->total++;
    if (result < 0 && own.code == ERR_CONVERSATION_NOT_FOUND) /* deleted meanwhile */
        return 0;
    if (result < 0 && e)
        *e = own;
    return result;
}

int care_reanalyse(struct care *care, struct str owner, int64_t *total, int64_t *updated, struct err *e)
{
    struct again again = {.care = care, .until_ms = loop_now_ms(loop_self()) + REANALYSE_MODEL_MS};
    struct chat_scope scope = {.space = CARE_SPACE, .owner = owner};
    struct conversation_walk walk = {.order = CONVERSATION_BY_CREATED, .each = reanalyse_one, .arg = &again};
    if (owner.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "Statistics need a user");
    if (conversation_walk(care->config.chat, &scope, &walk, e) < 0)
        return -1;
    *total = again.total;
    *updated = again.updated;
    return 0;
}
