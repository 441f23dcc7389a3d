#include "store/sqlite/sqlite_impl.h"

#define COLUMNS                                                                                                        \
    "id, space, owner, agent_id, device_id, title, status, active, created_us, updated_us, message_count, meta"

static void put_conversation(struct query *q, const struct conversation *c)
{
    put_str(q, c->id);
    put_str(q, c->space);
    put_str(q, c->owner);
    put_str(q, c->agent_id);
    put_str(q, c->device_id);
    put_str(q, c->title);
    put_str(q, c->status);
    put_int(q, c->active);
    put_int(q, c->created_us);
    put_int(q, c->updated_us);
    put_int(q, c->message_count);
    put_str(q, c->meta);
}

static struct conversation take_conversation(struct query *q, struct arena *a)
{
    struct conversation c = {0};
    c.id = take_str(q, a);
    c.space = take_str(q, a);
    c.owner = take_str(q, a);
    c.agent_id = take_str(q, a);
    c.device_id = take_str(q, a);
    c.title = take_str(q, a);
    c.status = take_str(q, a);
    c.active = take_int(q) != 0;
    c.created_us = take_int(q);
    c.updated_us = take_int(q);
    c.message_count = take_int(q);
    c.meta = take_str(q, a);
    return c;
}

int sqlite_conversation_find(struct db *db, struct arena *a, struct str id, struct conversation *out, int64_t *key,
                             struct err *e)
{
    struct query q = query_begin(db, "SELECT key, " COLUMNS " FROM conversations WHERE id = ?");
    put_str(&q, id);
    int row = query_row(&q, e);
    if (row <= 0)
        return row;
    *key = take_int(&q);
    *out = take_conversation(&q, a);
    query_end(&q);
    return 1;
}

static int find(struct db *db, struct arena *a, struct str id, struct conversation *out, int64_t *key, struct err *e)
{
    int found = sqlite_conversation_find(db, a, id, out, key, e);
    if (found == 0)
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    return found < 0 ? -1 : 0;
}

int sqlite_conversation_get(void *conn, struct arena *a, const struct str *in, struct conversation *out, struct err *e)
{
    int64_t key = 0;
    return find(conn, a, *in, out, &key, e);
}

int sqlite_conversation_insert(struct db *db, const struct conversation *c, int64_t *key, struct err *e)
{
    struct query q =
        query_begin(db, "INSERT INTO conversations(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    put_conversation(&q, c);
    if (query_run(&q, e) < 0)
        return -1;
    *key = sqlite3_last_insert_rowid(db->sql);
    return 0;
}

int sqlite_conversation_update(void *conn, struct arena *a, const struct conversation_change *in,
                               struct conversation *out, struct err *e)
{
    struct conversation c;
    int64_t key = 0;
    if (find(conn, a, in->to.id, &c, &key, e) < 0)
        return -1;
    if (in->set & CONVERSATION_SET_TITLE)
        c.title = in->to.title;
    if (in->set & CONVERSATION_SET_STATUS)
        c.status = in->to.status;
    if (in->set & CONVERSATION_SET_META)
        c.meta = in->to.meta;
    if (in->set & CONVERSATION_SET_ACTIVE)
        c.active = in->to.active;
    if (in->set & CONVERSATION_SET_AGENT)
        c.agent_id = in->to.agent_id;
    if (in->set & CONVERSATION_SET_DEVICE)
        c.device_id = in->to.device_id;
    if (in->set & CONVERSATION_SET_OWNER)
        c.owner = in->to.owner;
    if (in->set & CONVERSATION_SET_UPDATED)
        c.updated_us = MAX(c.updated_us, in->to.updated_us);
    struct query q = query_begin(conn, "UPDATE conversations SET (" COLUMNS ")"
                                       " = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE key = ?");
    put_conversation(&q, &c);
    put_int(&q, key);
    if (query_run(&q, e) < 0)
        return -1;
    *out = c;
    return 0;
}

int sqlite_conversation_delete(void *conn, struct arena *a, const struct str *in, int64_t *out, struct err *e)
{
    (void)a;
    struct db *db = conn;
    struct query q = query_begin(db, "DELETE FROM conversations WHERE id = ? RETURNING key");
    put_str(&q, *in);
    int row = query_row(&q, e);
    if (row == 0)
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    if (row < 0)
        return -1;
    int64_t key = take_int(&q);
    if (query_run(&q, e) < 0)
        return -1;
    q = query_begin(db, "INSERT INTO swept(conversation) VALUES(?)");
    put_int(&q, key);
    if (query_run(&q, e) < 0)
        return -1;
    db->leftovers = true;
    *out = 1;
    return 0;
}

#define LIST(where, column)                                                                                            \
    "SELECT key, " COLUMNS " FROM conversations WHERE space = ?1 AND owner = ?2 AND (" column ", key) < (?3, ?4)"      \
    " AND (?5 = '' OR agent_id = ?5) AND (?7 = 0 OR active) AND " where " ORDER BY " column " DESC, key DESC LIMIT ?8"
#define ANY_DEVICE "?6 = ''"
#define ONE_DEVICE "device_id = ?6 AND device_id <> ''"

static struct query begin_list(struct db *db, const struct conversation_query *in, int64_t us, int64_t key)
{
    bool created = in->order == CONVERSATION_BY_CREATED;
    struct query q;
    if (in->device_id.n)
        q = query_begin(db, created ? LIST(ONE_DEVICE, "created_us") : LIST(ONE_DEVICE, "updated_us"));
    else
        q = query_begin(db, created ? LIST(ANY_DEVICE, "created_us") : LIST(ANY_DEVICE, "updated_us"));
    put_str(&q, in->space);
    put_str(&q, in->owner);
    put_int(&q, us);
    put_int(&q, key);
    put_str(&q, in->agent_id);
    put_str(&q, in->device_id);
    put_int(&q, in->only_active);
    put_int(&q, (int64_t)in->limit + 1);
    return q;
}

static int read_messages(struct db *db, struct arena *a, struct conversation *c, struct message_range *range,
                         struct err *e)
{
    struct message *messages;
    if (sqlite_messages_read(db, a, range, &messages, &c->nmessages, e) < 0)
        return -1;
    c->messages = messages;
    return 0;
}

int sqlite_conversation_list(void *conn, struct arena *a, const struct conversation_query *in,
                             struct conversation_page *out, struct err *e)
{
    int64_t us = INT64_MAX, key = INT64_MAX, spent = 0;
    if (sqlite_cursor_read(in->cursor, &us, &key, e) < 0)
        return -1;
    struct query q = begin_list(conn, in, us, key);
    struct conversation_page page = {.items = arena_alloc(a, in->limit * sizeof *page.items)};
    int row;
    while ((row = query_row(&q, e)) > 0) {
        if (page.n == in->limit || spent >= (int64_t)STORE_PAGE_BYTES) {
            page.next = sqlite_cursor(a, us, key);
            query_end(&q);
            break;
        }
        key = take_int(&q);
        struct conversation *c = &page.items[page.n++];
        *c = take_conversation(&q, a);
        us = in->order == CONVERSATION_BY_CREATED ? c->created_us : c->updated_us;
        if (in->messages == 0)
            continue;
        /* A conversation is returned with all its messages or not at all, so the budget only ends the page. */
        int64_t first = c->message_count - MIN(in->messages, c->message_count) + 1;
        struct message_range range = {
            c->id, message_key(key, first), message_key(key, c->message_count), UINT32_MAX, false, INT64_MAX};
        if (read_messages(conn, a, c, &range, e) < 0) {
            query_end(&q);
            return -1;
        }
        spent += INT64_MAX - range.budget;
    }
    if (row < 0)
        return -1;
    *out = page;
    return 0;
}
