/* Changing, ending and deleting conversations. */
#include "base/utf8.h"
#include "chat/care_impl.h"

#define CUSTOM_MAX KIB(64)

static int check_change(const struct care_change *change, struct arena *arena, struct err *e)
{
    static const char *const states[] = {"active", "completed", "archived"};
    bool known = !change->status.p;
    for (size_t i = 0; i < COUNT(states); i++)
        known = known || str_eqc(change->status, states[i]);
    if (!known)
        return err_set(e, ERR_INVALID_REQUEST, "Status must be active, completed or archived");
    if (change->title.p && (str_trim(change->title).n == 0 || !utf8_valid(change->title)))
        return err_set(e, ERR_INVALID_REQUEST, "Title is required");
    if (change->title.n > LIMIT_TITLE)
        return err_set(e, ERR_INVALID_REQUEST, "Title is too long");
    if (change->custom.n > CUSTOM_MAX)
        return err_set(e, ERR_INVALID_REQUEST, "Metadata is too large");
    if (change->custom.p && !cJSON_IsObject(json_parse(arena, change->custom, NULL)))
        return err_set(e, ERR_INVALID_REQUEST, "Metadata must be an object");
    return 0;
}

static int apply(struct care *care, struct care_record *record, void *arg, unsigned *set, struct arena *arena,
                 struct err *e)
{
    const struct care_change *change = arg;
    (void)care, (void)arena, (void)e;
    if (change->title.p) {
        record->conversation.title = str_trim(change->title);
        record->meta.own_title = true;
        *set |= CONVERSATION_SET_TITLE;
    }
    if (change->status.p) {
        record->conversation.status = change->status;
        record->conversation.active = str_eqc(change->status, "active");
        *set |= CONVERSATION_SET_STATUS | CONVERSATION_SET_ACTIVE;
    }
    if (change->custom.p) {
        record->meta.custom = change->custom;
        *set |= CONVERSATION_SET_META;
    }
    if (*set)
        *set |= CONVERSATION_SET_UPDATED;
    return 0;
}

static int edit_and_view(struct care *care, const struct care_edit *edit, struct arena *arena, struct care_view *out,
                         struct err *e)
{
    struct care_record record;
    if (care_edit(care, edit, arena, &record, e) < 0)
        return -1;
    *out = care_view_of(&record);
    return 0;
}

int care_update(struct care *care, const struct care_change *change, struct arena *arena, struct care_view *out,
                struct err *e)
{
    struct care_change own = *change;
    struct care_edit edit = {.at = {change->owner, change->id}, .change = apply, .arg = &own};
    if (check_change(change, arena, e) < 0)
        return -1;
    return edit_and_view(care, &edit, arena, out, e);
}

/* ---- titles, the end ---- */

static int set_title(struct care *care, struct care_record *record, void *arg, unsigned *set, struct arena *arena,
                     struct err *e)
{
    const struct str *title = arg;
    (void)care, (void)arena, (void)e;
    record->conversation.title = *title;
    record->meta.own_title = false;
    *set = CONVERSATION_SET_TITLE | CONVERSATION_SET_UPDATED;
    return 0;
}

int care_retitle(struct care *care, struct str owner, struct str id, struct arena *arena, struct care_view *out,
                 struct err *e)
{
    struct care_place at = {owner, id};
    struct care_record record;
    if (care_load_kept(care, &at, CARE_TALK, arena, &record, e) < 0)
        return -1;
    struct str title = care_title_now(care, &record.conversation, arena); /* nobody waits for this under the lock */
    struct care_edit edit = {.at = at, .change = set_title, .arg = &title};
    return edit_and_view(care, &edit, arena, out, e);
}

static int complete(struct care *care, struct care_record *record, void *arg, unsigned *set, struct arena *arena,
                    struct err *e)
{
    const struct str *title = arg;
    if (title->n && !record->meta.own_title && set_title(care, record, arg, set, arena, e) < 0)
        return -1;
    record->conversation.status = STR("completed");
    record->conversation.active = false;
    *set |= CONVERSATION_SET_STATUS | CONVERSATION_SET_ACTIVE | CONVERSATION_SET_UPDATED;
    return 0;
}

int care_end(struct care *care, struct str owner, struct str id, struct arena *arena, struct care_view *out,
             struct err *e)
{
    struct care_place at = {owner, id};
    struct care_record record;
    if (care_load(care, &at, CARE_TALK, arena, &record, e) < 0)
        return -1;
    struct str title = record.meta.own_title ? STR("") : care_title_now(care, &record.conversation, arena);
    struct care_edit edit = {.at = at, .change = complete, .arg = &title};
    if (care_judge_missing(care, &at, &record, arena, e) < 0 || care_edit(care, &edit, arena, &record, e) < 0 ||
        care_load(care, &at, STORE_ALL, arena, &record, e) < 0)
        return -1;
    *out = care_view_of(&record);
    return 0;
}

/* ---- notes ---- */

static int add_note(struct care *care, struct care_record *record, void *arg, unsigned *set, struct arena *arena,
                    struct err *e)
{
    struct message *note = arg;
    struct store_append append = {.conversation = record->conversation, .messages = note, .n = 1};
    struct store_appended done;
    if (store_append(care->config.chat->config.store, arena, &append, &done, e) < 0)
        return -1;
    *note = done.messages[0];
    record->conversation = done.conversation;
    record->conversation.messages = NULL;
    record->conversation.nmessages = 0;
    *set = CONVERSATION_SET_META;
    return 0;
}

int care_note(struct care *care, struct str owner, struct str id, const struct message *message, struct arena *arena,
              struct message *out, struct err *e)
{
    struct message note = *message;
    struct care_edit edit = {.at = {owner, id}, .change = add_note, .arg = &note};
    struct care_record record;
    if (!str_eqc(note.role, "assistant") && !str_eqc(note.role, "system"))
        return err_set(e, ERR_INVALID_REQUEST, "Role must be assistant or system");
    if (str_trim(note.content).n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "Message is required");
    if (note.content.n > LIMIT_MESSAGE_TEXT || !utf8_valid(note.content))
        return err_set(e, ERR_INVALID_REQUEST, "Message is longer than %zu bytes", (size_t)LIMIT_MESSAGE_TEXT);
    if (note.id.n == 0)
        note.id = care_object_id(arena);
    note.status = MESSAGE_COMPLETE;
    if (care_edit(care, &edit, arena, &record, e) < 0)
        return -1;
    *out = note;
    return 0;
}

/* ---- deletion ---- */

struct deletion {
    struct care *care;
    struct care_place at;
    struct err *e;
};

/* Addresses of kept audio among a page's messages, into *urls, one per line. 1 to go on. */
static int collect_page(const struct deletion *d, int64_t *after, struct buf *urls)
{
    struct arena *arena = arena_new("care_delete");
    struct message_query query = {.conversation_id = d->at.id, .after = *after, .limit = 200};
    struct message_page page;
    int more = store_message_list(d->care->config.chat->config.store, arena, &query, &page, d->e);
    for (size_t i = 0; more == 0 && i < page.n; i++) {
        struct str url = message_facts(&page.items[i], arena).audio_url;
        *after = page.items[i].seq;
        if (url.n && str_find_char(url, '\n') < 0) {
            buf_str_add(urls, url);
            buf_byte(urls, '\n');
        }
    }
    more = more < 0 ? -1 : page.more && page.n;
    arena_free(arena);
    return more;
}

static int delete_locked(const struct deletion *d)
{
    struct chat *chat = d->care->config.chat;
    struct chat_scope scope = {.space = CARE_SPACE, .owner = d->at.owner};
    struct buf urls = BUF_INIT(MIB(64));
    int64_t after = 0;
    int more = 1;
    while (more == 1)
        more = collect_page(d, &after, &urls);
    int result = more < 0 ? -1 : conversation_delete(chat, &scope, d->at.id, d->e);
    struct str rest = buf_str(&urls), url;
    while (result == 0 && str_split(&rest, '\n', &url))
        care_drop_audio(d->care, url);
    buf_free(&urls);
    return result;
}

/* Under the lock: a turn's last steps find either the conversation, and their audio is dropped here, or none. */
static int delete_at_home(void *arg)
{
    const struct deletion *d = arg;
    struct care_lock *lock = care_lock(d->care, d->at.id, d->e);
    if (!lock)
        return -1;
    int result = delete_locked(d);
    care_unlock(lock);
    return result;
}

int care_delete(struct care *care, struct str owner, struct str id, struct err *e)
{
    struct deletion deletion = {care, {owner, id}, e};
    struct arena *arena = arena_new("care_delete");
    struct care_record record;
    int result = care_load_kept(care, &deletion.at, 0, arena, &record, e);
    if (result == 0)
        result = loop_call(chat_home(care->config.chat, id), "care_delete", delete_at_home, &deletion);
    arena_free(arena);
    return result;
}
