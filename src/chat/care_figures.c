/* Figures of a conversation: what is kept, plus what came since. */
#include "chat/care_impl.h"

#define PAGE 200

struct fold {
    struct analytics *figures;
    int64_t until; /* seq of the last message to count */
    bool settled;  /* only what will not change any more */
};

static bool takes(const struct fold *fold, const struct message *m)
{
    return m->seq <= fold->until && !(fold->settled && m->status == MESSAGE_STREAMING);
}

/* 1: all of them went in. */
static int fold_in(const struct fold *fold, const struct message *messages, size_t n, struct arena *scratch)
{
    for (size_t i = 0; i < n; i++) {
        if (messages[i].seq <= fold->figures->counted)
            continue;
        if (!takes(fold, &messages[i]))
            return 0;
        analytics_add(fold->figures, &messages[i], scratch);
    }
    return 1;
}

/* 1 to go on. */
static int fold_page(struct care *care, struct str id, const struct fold *fold, struct err *e)
{
    struct message_query query = {.conversation_id = id, .after = fold->figures->counted, .limit = PAGE};
    struct message_page page;
    struct arena *arena = arena_new("care_figures");
    int result = store_message_list(care->config.chat->config.store, arena, &query, &page, e);
    if (result == 0)
        result = fold_in(fold, page.items, page.n, arena) && page.more && page.n;
    arena_free(arena);
    return result;
}

static bool has_tail(const struct conversation *c, int64_t counted)
{
    return c->nmessages && c->messages[0].seq <= counted + 1 && c->messages[c->nmessages - 1].seq >= c->message_count;
}

static int count(struct care *care, const struct conversation *c, struct analytics *figures, bool settled,
                 struct err *e)
{
    struct fold fold = {figures, c->message_count, settled};
    if (figures->counted > c->message_count)
        *figures = (struct analytics){0};
    if (has_tail(c, figures->counted)) {
        struct arena *scratch = arena_new("care_figures");
        fold_in(&fold, c->messages, c->nmessages, scratch);
        arena_free(scratch);
        return 0;
    }
    int more = 1;
    while (more == 1 && figures->counted < c->message_count)
        more = fold_page(care, c->id, &fold, e);
    return more < 0 ? -1 : 0;
}

int care_count(struct care *care, const struct conversation *conversation, struct analytics *figures, struct err *e)
{
    return count(care, conversation, figures, false, e);
}

int care_count_settled(struct care *care, const struct conversation *conversation, struct analytics *figures,
                       struct err *e)
{
    return count(care, conversation, figures, true, e);
}
