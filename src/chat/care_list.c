/* Reading conversations. */
#include "chat/care_impl.h"

#define PAGE 50

static int store_verdicts(struct care *care, struct care_record *record, void *arg, unsigned *set, struct arena *arena,
                          struct err *e)
{
    *set = CONVERSATION_SET_META;
    return care_store_verdicts(care, record, arg, arena, e);
}

int care_judge_missing(struct care *care, const struct care_place *at, struct care_record *record, struct arena *arena,
                       struct err *e)
{
    struct care_judging judging = {.by_model = 1, .until_ms = UINT64_MAX};
    struct care_verdicts verdicts;
    struct care_edit edit = {.at = *at, .change = store_verdicts, .arg = &verdicts};
    if (care_judge(care, record, &judging, arena, &verdicts, e) < 0)
        return -1;
    return verdicts.n ? care_edit(care, &edit, arena, record, e) : 0;
}

int care_get(struct care *care, struct str owner, struct str id, int64_t messages, bool judge, struct arena *arena,
             struct care_view *out, struct err *e)
{
    struct care_place at = {owner, id};
    struct care_record record;
    if (care_load(care, &at, messages, arena, &record, e) < 0)
        return -1;
    if (judge && record.figures.judged < record.figures.user_messages &&
        (care_judge_missing(care, &at, &record, arena, e) < 0 || care_load(care, &at, messages, arena, &record, e) < 0))
        return -1;
    *out = care_view_of(&record);
    return 0;
}

struct listing {
    struct care *care;
    const struct care_list *list;
    unsigned left; /* to show; 0: no limit */
    struct err *e;
};

static int show(const struct listing *l, const struct conversation *c)
{
    struct arena *arena = arena_new("care_list_item");
    struct care_record record;
    int result = care_record_of(l->care, c, arena, &record, l->e);
    if (result == 0) {
        struct care_view view = care_view_of(&record);
        result = l->list->each(l->list->arg, &view, l->e);
    }
    arena_free(arena);
    return result;
}

/* One page of the store's. *cursor: from where, and where to go on. */
static int show_page(struct listing *l, struct buf *cursor)
{
    struct arena *arena = arena_new("care_list");
    struct conversation_query query = {.space = STR(CARE_SPACE),
                                       .owner = l->list->owner,
                                       .agent_id = l->list->agent_id,
                                       .order = CONVERSATION_BY_CREATED,
                                       .cursor = arena_str(arena, buf_str(cursor)),
                                       .limit = l->left ? MIN(l->left, PAGE) : PAGE,
                                       .messages = l->list->messages};
    struct conversation_page page;
    int result = store_conversation_list(l->care->config.chat->config.store, arena, &query, &page, l->e);
    for (size_t i = 0; result == 0 && i < page.n; i++)
        result = show(l, &page.items[i]);
    buf_clear(cursor);
    if (result == 0) {
        buf_str_add(cursor, page.next);
        l->left -= MIN(l->left, (unsigned)page.n);
    }
    arena_free(arena);
    return result;
}

int care_list(struct care *care, const struct care_list *list, struct arena *arena, struct str *next, struct err *e)
{
    struct buf cursor = BUF_INIT(KIB(4));
    struct listing listing = {care, list, list->limit, e};
    if (list->owner.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "A list needs a user");
    int result = buf_str_add(&cursor, list->cursor);
    if (result < 0)
        err_set(e, ERR_INVALID_REQUEST, NULL);
    do {
        if (result == 0)
            result = show_page(&listing, &cursor);
    } while (result == 0 && cursor.len && (!list->limit || listing.left));
    if (result == 0)
        *next = arena_str(arena, buf_str(&cursor));
    buf_free(&cursor);
    return result;
}
