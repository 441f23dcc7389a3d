/* Settings, processed ids, usage, and what the store says about itself. */
#include "base/buf.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite_impl.h"

int sqlite_cursor_read(struct str cursor, int64_t *us, int64_t *key, struct err *e)
{
    struct str rest = cursor, first;
    if (cursor.n == 0)
        return 0;
    if (!str_split(&rest, '.', &first) || str_i64(first, us) < 0 || str_i64(rest, key) < 0)
        return err_set(e, ERR_INVALID_REQUEST, "Invalid cursor");
    return 0;
}

struct str sqlite_cursor(struct arena *a, int64_t us, int64_t key)
{
    return arena_printf(a, "%lld.%lld", (long long)us, (long long)key);
}

static int run_setting(struct query *q, const struct setting *in, struct err *e)
{
    put_str(q, in->owner);
    put_str(q, in->key);
    put_str(q, in->value);
    put_int(q, in->updated_us);
    return query_run(q, e);
}

int sqlite_setting_put(void *conn, struct arena *a, const struct setting *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "INSERT INTO settings(owner, name, value, updated_us) VALUES(?, ?, ?, ?)"
                                       " ON CONFLICT DO UPDATE SET value = excluded.value,"
                                       " updated_us = excluded.updated_us");
    *out = 1;
    return run_setting(&q, in, e);
}

int sqlite_setting_add(void *conn, struct arena *a, const struct setting *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "INSERT INTO settings(owner, name, value, updated_us) VALUES(?, ?, ?, ?)"
                                       " ON CONFLICT DO NOTHING");
    if (run_setting(&q, in, e) < 0)
        return -1;
    *out = db_changed(conn);
    return 0;
}

static struct setting take_setting(struct query *q, struct arena *a)
{
    struct setting s;
    s.owner = take_str(q, a);
    s.key = take_str(q, a);
    s.value = take_str(q, a);
    s.updated_us = take_int(q);
    return s;
}

int sqlite_setting_get(void *conn, struct arena *a, const struct setting_ref *in, struct setting *out, struct err *e)
{
    struct query q =
        query_begin(conn, "SELECT owner, name, value, updated_us FROM settings WHERE owner = ? AND name = ?");
    put_str(&q, in->owner);
    put_str(&q, in->key);
    int row = query_row(&q, e);
    if (row == 0)
        return err_set(e, ERR_NOT_FOUND, "Setting not found");
    if (row < 0)
        return -1;
    *out = take_setting(&q, a);
    query_end(&q);
    return 0;
}

int sqlite_setting_delete(void *conn, struct arena *a, const struct setting_ref *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "DELETE FROM settings WHERE owner = ? AND name = ?");
    put_str(&q, in->owner);
    put_str(&q, in->key);
    if (query_run(&q, e) < 0)
        return -1;
    *out = db_changed(conn);
    return *out ? 0 : err_set(e, ERR_NOT_FOUND, "Setting not found");
}

int sqlite_setting_list(void *conn, struct arena *a, const struct str *in, struct setting_page *out, struct err *e)
{
    struct setting_page page = {.items = arena_alloc(a, STORE_PAGE * sizeof *page.items)};
    struct query q = query_begin(conn, "SELECT owner, name, value, updated_us FROM settings WHERE owner = ?"
                                       " ORDER BY name LIMIT ?");
    put_str(&q, *in);
    put_int(&q, STORE_PAGE);
    int row;
    while ((row = query_row(&q, e)) > 0)
        page.items[page.n++] = take_setting(&q, a);
    if (row < 0)
        return -1;
    *out = page;
    return 0;
}

int sqlite_processed_add(void *conn, struct arena *a, const struct processed *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "INSERT INTO processed(id, device_id, at_us) VALUES(?, ?, ?)"
                                       " ON CONFLICT DO NOTHING");
    put_str(&q, in->id);
    put_str(&q, in->device_id);
    put_int(&q, in->at_us);
    if (query_run(&q, e) < 0)
        return -1;
    *out = db_changed(conn);
    return 0;
}

int sqlite_processed_purge(void *conn, struct arena *a, const int64_t *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "DELETE FROM processed WHERE at_us < ?");
    put_int(&q, *in);
    if (query_run(&q, e) < 0)
        return -1;
    *out = db_changed(conn);
    return 0;
}

int sqlite_usage_add(void *conn, struct arena *a, const struct usage *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "INSERT INTO usage(conversation_id, message_id, model, prompt_tokens,"
                                       " completion_tokens, at_us) VALUES(?, ?, ?, ?, ?, ?)");
    put_str(&q, in->conversation_id);
    put_str(&q, in->message_id);
    put_str(&q, in->model);
    put_int(&q, in->prompt_tokens);
    put_int(&q, in->completion_tokens);
    put_int(&q, in->at_us);
    *out = 1;
    return query_run(&q, e);
}

#define TOTALS(where)                                                                                                  \
    "SELECT count(*), total(prompt_tokens), total(completion_tokens) FROM usage WHERE " where                          \
    " AND (?2 = '' OR model = ?2) AND at_us >= ?3 AND at_us < ?4"

int sqlite_usage_total(void *conn, struct arena *a, const struct usage_query *in, struct usage_total *out,
                       struct err *e)
{
    (void)a;
    struct query q = in->conversation_id.n ? query_begin(conn, TOTALS("conversation_id = ?1"))
                                           : query_begin(conn, TOTALS("?1 = ''"));
    put_str(&q, in->conversation_id);
    put_str(&q, in->model);
    put_int(&q, in->from_us);
    put_int(&q, in->until_us);
    if (query_row(&q, e) < 0)
        return -1;
    out->turns = take_int(&q);
    out->prompt_tokens = take_int(&q);
    out->completion_tokens = take_int(&q);
    query_end(&q);
    return 0;
}

int sqlite_stats(void *conn, struct arena *a, const int64_t *in, struct store_stats *out, struct err *e)
{
    (void)a;
    (void)in;
    const struct {
        const char *sql;
        int64_t *to;
    } rows[] = {
        {"SELECT count(*) FROM users", &out->users},
        {"SELECT count(*) FROM agents", &out->agents},
        {"SELECT count(*) FROM conversations", &out->conversations},
        {"SELECT coalesce(sum(message_count), 0) FROM conversations", &out->messages},
        {"SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", &out->bytes},
        {"PRAGMA user_version", &out->schema},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (db_int(conn, rows[i].sql, rows[i].to, e) < 0)
            return -1;
    return 0;
}

/* Each gives one line per finding. */
static const char *const checks[] = {
    "PRAGMA integrity_check(20)",
    "SELECT 'conversation ' || c.id || ' counts ' || c.message_count || ' messages and has ' || count(m.key)"
    " FROM conversations c LEFT JOIN messages m ON m.key BETWEEN (c.key << 32) AND (c.key << 32 | 4294967295)"
    " GROUP BY c.key HAVING count(m.key) <> c.message_count LIMIT 20",
    "SELECT 'message ' || id || ' is filed under the wrong conversation' FROM messages"
    " WHERE key >> 32 <> conversation LIMIT 20",
    "SELECT 'message ' || id || ' belongs to no conversation' FROM messages"
    " WHERE conversation NOT IN (SELECT key FROM conversations)"
    " AND conversation NOT IN (SELECT conversation FROM swept) LIMIT 20",
};

int sqlite_check(void *conn, struct arena *a, const int64_t *in, struct store_report *out, struct err *e)
{
    (void)in;
    struct buf found = BUF_INIT(KIB(64));
    int row = 0;
    for (size_t i = 0; i < COUNT(checks) && row == 0; i++) {
        struct query q = query_begin(conn, checks[i]);
        while ((row = query_row(&q, e)) > 0) {
            struct str line = take_str(&q, a);
            if (!str_eq(line, STR("ok")))
                buf_addf(&found, "%.*s\n", STR_ARG(line));
        }
    }
    if (row == 0)
        *out = (struct store_report){found.len == 0, found.len ? arena_str(a, buf_str(&found)) : STR("ok")};
    buf_free(&found);
    return row;
}
