/* Sessions: families of refresh tokens. */
#include "store/sqlite/sqlite_impl.h"

#define COLUMNS "id, user_id, token_hash, created_us, used_us, expires_us"

static struct session take_session(struct query *q, struct arena *a)
{
    struct session s;
    s.id = take_str(q, a);
    s.user_id = take_str(q, a);
    s.token_hash = take_str(q, a);
    s.created_us = take_int(q);
    s.used_us = take_int(q);
    s.expires_us = take_int(q);
    return s;
}

int sqlite_session_create(void *conn, struct arena *a, const struct session *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "INSERT INTO sessions(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?)");
    put_str(&q, in->id);
    put_str(&q, in->user_id);
    put_str(&q, in->token_hash);
    put_int(&q, in->created_us);
    put_int(&q, in->used_us);
    put_int(&q, in->expires_us);
    *out = 1;
    return query_run(&q, e);
}

/* 1 when it is there, 0 when not. */
static int find(struct db *db, struct arena *a, struct str id, struct session *out, struct err *e)
{
    struct query q = query_begin(db, "SELECT " COLUMNS " FROM sessions WHERE id = ?");
    put_str(&q, id);
    int row = query_row(&q, e);
    if (row > 0) {
        *out = take_session(&q, a);
        query_end(&q);
    }
    return row;
}

static int renew(struct db *db, const struct session *s, struct err *e)
{
    struct query q = query_begin(db, "UPDATE sessions SET token_hash = ?, used_us = ?, expires_us = ? WHERE id = ?");
    put_str(&q, s->token_hash);
    put_int(&q, s->used_us);
    put_int(&q, s->expires_us);
    put_str(&q, s->id);
    return query_run(&q, e);
}

int sqlite_session_delete(void *conn, struct arena *a, const struct str *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "DELETE FROM sessions WHERE id = ?");
    put_str(&q, *in);
    if (query_run(&q, e) < 0)
        return -1;
    *out = db_changed(conn);
    return 0;
}

int sqlite_session_rotate(void *conn, struct arena *a, const struct session_rotation *in, struct session_rotated *out,
                          struct err *e)
{
    struct session s;
    int64_t gone;
    int found = find(conn, a, in->id, &s, e);
    if (found < 0)
        return -1;
    if (found == 0 || s.expires_us <= in->now_us)
        return err_set(e, ERR_NOT_FOUND, "Session not found");
    out->reused = !str_eq(s.token_hash, in->was);
    if (!out->reused) {
        s.token_hash = in->token_hash;
        s.used_us = in->now_us;
        s.expires_us = in->expires_us;
    }
    out->session = s;
    return out->reused ? sqlite_session_delete(conn, a, &in->id, &gone, e) : renew(conn, &s, e);
}

int sqlite_session_clear(void *conn, struct arena *a, const struct session_clear *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "DELETE FROM sessions WHERE user_id = ? AND id <> ?");
    put_str(&q, in->user_id);
    put_str(&q, in->keep);
    if (query_run(&q, e) < 0)
        return -1;
    *out = db_changed(conn);
    return 0;
}

int sqlite_session_purge(void *conn, struct arena *a, const int64_t *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "DELETE FROM sessions WHERE expires_us < ?");
    put_int(&q, *in);
    if (query_run(&q, e) < 0)
        return -1;
    *out = db_changed(conn);
    return 0;
}
