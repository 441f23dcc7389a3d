#include "chat/turn_impl.h"

#include "llm/tokens.h"

#define HISTORY_PAGE 32

static bool is_said(const struct message *m)
{
    return m->content.n && (str_eqc(m->role, "user") || str_eqc(m->role, "assistant"));
}

static size_t cost_of(struct str text)
{
    return tokens_estimate(text) + TOKENS_PER_MESSAGE;
}

size_t history_cost(const struct llm_message *messages, size_t n)
{
    size_t cost = 0;
    for (size_t i = 0; i < n; i++)
        cost += cost_of(messages[i].content);
    return cost;
}

struct collected {
    struct llm_message *messages; /* newest first */
    size_t n, cap;
    size_t budget;
    size_t most; /* messages */
};

static void collect(struct turn *turn, struct collected *c, const struct message *m)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 32;
        struct llm_message *more = arena_alloc(turn->arena, cap * sizeof *more);
        if (c->n)
            memcpy(more, c->messages, c->n * sizeof *more);
        c->messages = more;
        c->cap = cap;
    }
    c->messages[c->n++] =
        (struct llm_message){str_eqc(m->role, "user") ? LLM_USER : LLM_ASSISTANT, arena_str(turn->arena, m->content)};
}

static int take_page(struct turn *turn, struct collected *c, int64_t *before, struct arena *arena, struct err *e)
{
    struct message_query query = {
        .conversation_id = turn->conversation_id, .before = *before, .newest = true, .limit = HISTORY_PAGE};
    struct message_page page;
    if (store_message_list(turn->chat->config.store, arena, &query, &page, e) < 0)
        return -1;
    for (size_t i = page.n; i-- > 0;) {
        const struct message *m = &page.items[i];
        size_t cost = cost_of(m->content);
        if (!is_said(m))
            continue;
        if (cost > c->budget || c->n == c->most)
            return 0;
        c->budget -= cost;
        collect(turn, c, m);
    }
    if (page.n)
        *before = page.items[0].seq;
    return page.more && page.n ? 1 : 0;
}

/* Walks backwards page by page: what is read is bounded by the budget, not by the conversation's length. What does not
 * fit leaves memory at once. 1 to go on. */
static int collect_page(struct turn *turn, struct collected *c, int64_t *before, struct err *e)
{
    struct arena *arena = arena_new("history_page");
    int more = take_page(turn, c, before, arena, e);
    arena_free(arena);
    return more;
}

int history_load(struct turn *turn, struct llm_message **messages, size_t *n, struct err *e)
{
    struct str persona = turn->manner.persona;
    size_t own = cost_of(turn->user_text) + (persona.n ? cost_of(persona) : 0);
    struct collected c = {.budget = turn->chat->config.history_tokens,
                          .most = turn->manner.history ? turn->manner.history : SIZE_MAX};
    c.budget -= MIN(own, c.budget);
    int64_t before = turn->user_seq;
    int more = 1;
    while (more == 1)
        more = collect_page(turn, &c, &before, e);
    if (more < 0)
        return -1;
    struct llm_message *all = arena_alloc(turn->arena, (c.n + 2) * sizeof *all);
    size_t count = 0;
    if (persona.n)
        all[count++] = (struct llm_message){LLM_SYSTEM, persona};
    for (size_t i = c.n; i-- > 0;)
        all[count++] = c.messages[i];
    all[count++] = (struct llm_message){LLM_USER, turn->user_text};
    *messages = all;
    *n = count;
    return 0;
}
