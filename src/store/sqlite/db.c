#include "store/sqlite/db.h"

#include "base/log.h"

#include <pthread.h>

static void configure(void)
{
    /* Nobody asks SQLite for its memory figures; keeping them costs a lock on every allocation. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
}

int db_open(struct db *db, const char *path, unsigned busy_ms, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    *db = (struct db){0};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, &db->sql, flags, NULL);
    if (rc != SQLITE_OK) {
        err_set(e, ERR_NOT_CONFIGURED, "the database cannot be opened: %s", sqlite3_errstr(rc));
        db_close(db);
        return -1;
    }
    sqlite3_busy_timeout(db->sql, (int)busy_ms);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    return 0;
}

void db_close(struct db *db)
{
    for (size_t i = 0; i < DB_STATEMENTS; i++)
        sqlite3_finalize(db->cache[i].stmt);
    sqlite3_close_v2(db->sql);
    *db = (struct db){0};
}

static sqlite3_stmt *prepared(struct db *db, const char *text, int *rc)
{
    size_t at = ((uintptr_t)text >> 4) % DB_STATEMENTS;
    for (unsigned tried = 0; db->cache[at].text && db->cache[at].text != text; tried++) {
        if (tried == DB_STATEMENTS)
            die("more than %d statements", DB_STATEMENTS);
        at = (at + 1) % DB_STATEMENTS;
    }
    *rc = SQLITE_OK;
    if (db->cache[at].text)
        return db->cache[at].stmt;
    sqlite3_stmt *stmt = NULL;
    *rc = sqlite3_prepare_v3(db->sql, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (*rc != SQLITE_OK)
        return NULL;
    db->cache[at].text = text;
    db->cache[at].stmt = stmt;
    return stmt;
}

struct query query_begin(struct db *db, const char *text)
{
    struct query q = {.db = db};
    q.stmt = prepared(db, text, &q.rc);
    return q;
}

void put_str(struct query *q, struct str s)
{
    if (q->rc == SQLITE_OK)
        q->rc = sqlite3_bind_text64(q->stmt, ++q->put, s.n ? s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8);
}

void put_int(struct query *q, int64_t value)
{
    if (q->rc == SQLITE_OK)
        q->rc = sqlite3_bind_int64(q->stmt, ++q->put, value);
}

int query_row(struct query *q, struct err *e)
{
    q->taken = 0;
    if (q->rc == SQLITE_OK || q->rc == SQLITE_ROW)
        q->rc = sqlite3_step(q->stmt);
    if (q->rc == SQLITE_ROW)
        return 1;
    int result = q->rc == SQLITE_DONE ? 0 : db_fail(q->db, q->rc, q->stmt ? sqlite3_sql(q->stmt) : "prepare", e);
    query_end(q);
    return result;
}

struct str take_str(struct query *q, struct arena *a)
{
    int at = q->taken++;
    const void *text = sqlite3_column_text(q->stmt, at);
    return arena_str(a, str_n(text, (size_t)sqlite3_column_bytes(q->stmt, at)));
}

int64_t take_int(struct query *q)
{
    return sqlite3_column_int64(q->stmt, q->taken++);
}

void query_end(struct query *q)
{
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
}

int query_run(struct query *q, struct err *e)
{
    int row;
    while ((row = query_row(q, e)) > 0)
        ;
    return row;
}

int db_run(struct db *db, const char *text, struct err *e)
{
    struct query q = query_begin(db, text);
    return query_run(&q, e);
}

int64_t db_changed(struct db *db)
{
    return sqlite3_changes64(db->sql);
}

int db_int(struct db *db, const char *text, int64_t *out, struct err *e)
{
    struct query q = query_begin(db, text);
    int row = query_row(&q, e);
    if (row < 0)
        return -1;
    *out = row ? take_int(&q) : 0;
    if (row)
        query_end(&q);
    return 0;
}

int db_fail(struct db *db, int rc, const char *text, struct err *e)
{
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
        return err_set(e, ERR_CONFLICT, NULL);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
        log_error("store", "unavailable", F_C("reason", sqlite3_errmsg(db->sql)), F_INT("code", rc),
                  F_INT("errno", sqlite3_system_errno(db->sql)), F_C("statement", text));
        return err_set(e, ERR_STORE_UNAVAILABLE, NULL);
    default:
        log_error("store", "failed", F_C("reason", sqlite3_errmsg(db->sql)), F_INT("code", rc), F_C("statement", text));
        return err_set(e, ERR_INTERNAL_ERROR, NULL);
    }
}
