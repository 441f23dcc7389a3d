/* A conversation with what its meta says: read, and written by one at a time. */
#include "chat/care_impl.h"

#include "base/clock.h"

#define META_MAX KIB(256)

struct care_meta care_meta_read(struct str json, struct arena *arena)
{
    const cJSON *tree = json.n ? json_parse(arena, json, NULL) : NULL, *custom = json_get(tree, "custom");
    struct care_meta meta = {
        .simulator = json_bool(tree, "simulator", false),
        .own_title = json_bool(tree, "ownTitle", false),
        .company = arena_str(arena, json_str(tree, "company")),
        .figures = analytics_read(json_get(tree, "analytics")),
    };
    struct buf text = BUF_INIT(META_MAX);
    if (cJSON_IsObject(custom) && json_print(&text, custom) == 0)
        meta.custom = arena_str(arena, buf_str(&text));
    buf_free(&text);
    return meta;
}

struct str care_meta_write(const struct care_meta *meta, struct arena *arena)
{
    struct buf out = BUF_INIT(2 * META_MAX);
    struct jw w = jw_begin(&out);
    jw_obj(&w);
    jw_kbool(&w, "simulator", meta->simulator);
    if (meta->own_title)
        jw_kbool(&w, "ownTitle", true);
    if (meta->company.n)
        jw_kstr(&w, "company", meta->company);
    jw_key(&w, "analytics");
    analytics_put(&w, &meta->figures);
    if (meta->custom.n)
        jw_kraw(&w, "custom", meta->custom);
    jw_end_obj(&w);
    struct str json = arena_str(arena, buf_str(&out));
    buf_free(&out);
    return json;
}

struct chat_scope care_scope(struct str owner)
{
    return (struct chat_scope){.space = CARE_SPACE, .owner = owner};
}

int care_load_kept(struct care *care, const struct care_place *at, int64_t messages, struct arena *arena,
                   struct care_record *out, struct err *e)
{
    struct chat_scope scope = care_scope(at->owner);
    struct conversation found;
    if (at->owner.n == 0) /* they all have one: nobody's are nobody's to see */
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    if (conversation_get(care->config.chat, &scope, at->id, messages, arena, &found, e) < 0)
        return -1;
    *out = (struct care_record){.conversation = found, .meta = care_meta_read(found.meta, arena)};
    out->figures = out->meta.figures;
    return 0;
}

int care_load(struct care *care, const struct care_place *at, int64_t messages, struct arena *arena,
              struct care_record *out, struct err *e)
{
    if (care_load_kept(care, at, messages, arena, out, e) < 0)
        return -1;
    return care_count(care, &out->conversation, &out->figures, e);
}

int care_record_of(struct care *care, const struct conversation *conversation, struct arena *arena,
                   struct care_record *out, struct err *e)
{
    *out = (struct care_record){.conversation = *conversation, .meta = care_meta_read(conversation->meta, arena)};
    out->figures = out->meta.figures;
    return care_count(care, &out->conversation, &out->figures, e);
}

struct care_view care_view_of(const struct care_record *record)
{
    return (struct care_view){
        .conversation = record->conversation,
        .figures = record->figures,
        .simulator = record->meta.simulator,
        .high_priority = analytics_is_urgent(&record->figures),
        .company = record->meta.company,
        .custom = record->meta.custom,
    };
}

int care_forget_figures(struct care *care, struct care_record *record, int64_t seq, struct arena *arena, struct err *e)
{
    if (record->meta.figures.counted < seq)
        return 0;
    record->meta.figures = (struct analytics){0};
    struct conversation_change change = {
        .to = {.id = record->conversation.id, .meta = care_meta_write(&record->meta, arena)},
        .set = CONVERSATION_SET_META};
    struct conversation now;
    record->conversation.meta = change.to.meta;
    return store_conversation_update(care->config.chat->config.store, arena, &change, &now, e);
}

int care_keep(struct care *care, struct care_record *record, unsigned set, struct arena *arena, struct err *e)
{
    struct conversation *c = &record->conversation;
    const struct message *messages = c->messages;
    size_t n = c->nmessages;
    if (care_count_settled(care, c, &record->meta.figures, e) < 0)
        return -1;
    struct conversation_change change = {.to = *c, .set = set | CONVERSATION_SET_META};
    change.to.meta = care_meta_write(&record->meta, arena);
    if (store_conversation_update(care->config.chat->config.store, arena, &change, c, e) < 0)
        return -1;
    c->messages = messages;
    c->nmessages = n;
    record->figures = record->meta.figures;
    return care_count(care, c, &record->figures, e);
}

struct edit {
    struct care *care;
    const struct care_edit *edit;
    struct arena *arena;
    struct care_record *record;
    struct err *e;
};

static int edit_locked(const struct edit *job)
{
    const struct care_edit *edit = job->edit;
    unsigned set = 0;
    if (care_load(job->care, &edit->at, edit->messages, job->arena, job->record, job->e) < 0)
        return -1;
    if (edit->change(job->care, job->record, edit->arg, &set, job->arena, job->e) < 0)
        return -1;
    if (!set)
        return 0;
    if (set & CONVERSATION_SET_UPDATED)
        job->record->conversation.updated_us = clock_wall_us();
    return care_keep(job->care, job->record, set, job->arena, job->e);
}

static int edit_at_home(void *arg)
{
    const struct edit *job = arg;
    struct care_lock *lock = care_lock(job->care, job->edit->at.id, job->e);
    if (!lock)
        return -1;
    int result = edit_locked(job);
    care_unlock(lock);
    return result;
}

int care_edit(struct care *care, const struct care_edit *edit, struct arena *arena, struct care_record *out,
              struct err *e)
{
    struct edit job = {care, edit, arena, out, e};
    return loop_call(chat_home(care->config.chat, edit->at.id), "care_edit", edit_at_home, &job);
}
