/* Figures over all conversations of a user. */
#include "base/log.h"
#include "chat/care_impl.h"

#define SETTLE_MIN 16 /* messages that are not counted yet */

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
