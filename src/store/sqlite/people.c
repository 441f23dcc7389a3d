/* Users and agents. */
#include "store/sqlite/sqlite_impl.h"

#define USER_COLUMNS "id, email, name, role, password_hash, avatar, meta, created_us, updated_us"

static void put_user(struct query *q, const struct user *u)
{
    put_str(q, u->id);
    put_str(q, u->email);
    put_str(q, u->name);
    put_str(q, u->role);
    put_str(q, u->password_hash);
    put_str(q, u->avatar);
    put_str(q, u->meta);
    put_int(q, u->created_us);
    put_int(q, u->updated_us);
}

static struct user take_user(struct query *q, struct arena *a)
{
    struct user u;
    u.id = take_str(q, a);
    u.email = take_str(q, a);
    u.name = take_str(q, a);
    u.role = take_str(q, a);
    u.password_hash = take_str(q, a);
    u.avatar = take_str(q, a);
    u.meta = take_str(q, a);
    u.created_us = take_int(q);
    u.updated_us = take_int(q);
    return u;
}

int sqlite_user_create(void *conn, struct arena *a, const struct user *in, struct user *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "INSERT INTO users(" USER_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
    put_user(&q, in);
    if (query_run(&q, e) < 0)
        return -1;
    *out = *in;
    return 0;
}

static int one_user(struct query *q, struct arena *a, struct user *out, struct err *e)
{
    int row = query_row(q, e);
    if (row == 0)
        return err_set(e, ERR_NOT_FOUND, "User not found");
    if (row < 0)
        return -1;
    *out = take_user(q, a);
    query_end(q);
    return 0;
}

int sqlite_user_get(void *conn, struct arena *a, const struct str *in, struct user *out, struct err *e)
{
    struct query q = query_begin(conn, "SELECT " USER_COLUMNS " FROM users WHERE id = ?");
    put_str(&q, *in);
    return one_user(&q, a, out, e);
}

int sqlite_user_by_email(void *conn, struct arena *a, const struct str *in, struct user *out, struct err *e)
{
    struct query q = query_begin(conn, "SELECT " USER_COLUMNS " FROM users WHERE email = ?");
    put_str(&q, *in);
    return one_user(&q, a, out, e);
}

int sqlite_user_update(void *conn, struct arena *a, const struct user_change *in, struct user *out, struct err *e)
{
    struct user u;
    if (sqlite_user_get(conn, a, &in->to.id, &u, e) < 0)
        return -1;
    if (in->set & USER_SET_EMAIL)
        u.email = in->to.email;
    if (in->set & USER_SET_NAME)
        u.name = in->to.name;
    if (in->set & USER_SET_ROLE)
        u.role = in->to.role;
    if (in->set & USER_SET_PASSWORD)
        u.password_hash = in->to.password_hash;
    if (in->set & USER_SET_AVATAR)
        u.avatar = in->to.avatar;
    if (in->set & USER_SET_META)
        u.meta = in->to.meta;
    u.updated_us = in->to.updated_us;
    struct query q = query_begin(conn, "UPDATE users SET (" USER_COLUMNS ") = (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                                       " WHERE id = ?");
    put_user(&q, &u);
    put_str(&q, u.id);
    if (query_run(&q, e) < 0)
        return -1;
    *out = u;
    return 0;
}

#define AGENT_COLUMNS "id, owner, name, company, personality, info, prompts, meta, created_us, updated_us"

static void put_agent(struct query *q, const struct agent *g)
{
    put_str(q, g->id);
    put_str(q, g->owner);
    put_str(q, g->name);
    put_str(q, g->company);
    put_str(q, g->personality);
    put_str(q, g->info);
    put_str(q, g->prompts);
    put_str(q, g->meta);
    put_int(q, g->created_us);
    put_int(q, g->updated_us);
}

static struct agent take_agent(struct query *q, struct arena *a)
{
    struct agent g;
    g.id = take_str(q, a);
    g.owner = take_str(q, a);
    g.name = take_str(q, a);
    g.company = take_str(q, a);
    g.personality = take_str(q, a);
    g.info = take_str(q, a);
    g.prompts = take_str(q, a);
    g.meta = take_str(q, a);
    g.created_us = take_int(q);
    g.updated_us = take_int(q);
    return g;
}

int sqlite_agent_create(void *conn, struct arena *a, const struct agent *in, struct agent *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "INSERT INTO agents(" AGENT_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    put_agent(&q, in);
    if (query_run(&q, e) < 0)
        return -1;
    *out = *in;
    return 0;
}

int sqlite_agent_get(void *conn, struct arena *a, const struct agent_ref *in, struct agent *out, struct err *e)
{
    struct query q = query_begin(conn, "SELECT " AGENT_COLUMNS " FROM agents WHERE id = ?1"
                                       " AND (owner = ?2 OR ?2 = '')");
    put_str(&q, in->id);
    put_str(&q, in->owner);
    int row = query_row(&q, e);
    if (row == 0)
        return err_set(e, ERR_NOT_FOUND, "Agent not found");
    if (row < 0)
        return -1;
    *out = take_agent(&q, a);
    query_end(&q);
    return 0;
}

int sqlite_agent_update(void *conn, struct arena *a, const struct agent_change *in, struct agent *out, struct err *e)
{
    struct agent g;
    if (sqlite_agent_get(conn, a, &(struct agent_ref){in->to.owner, in->to.id}, &g, e) < 0)
        return -1;
    if (in->set & AGENT_SET_NAME)
        g.name = in->to.name;
    if (in->set & AGENT_SET_COMPANY)
        g.company = in->to.company;
    if (in->set & AGENT_SET_PERSONALITY)
        g.personality = in->to.personality;
    if (in->set & AGENT_SET_INFO)
        g.info = in->to.info;
    if (in->set & AGENT_SET_PROMPTS)
        g.prompts = in->to.prompts;
    if (in->set & AGENT_SET_META)
        g.meta = in->to.meta;
    g.updated_us = in->to.updated_us;
    struct query q = query_begin(conn, "UPDATE agents SET (" AGENT_COLUMNS ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                                       " WHERE id = ?");
    put_agent(&q, &g);
    put_str(&q, g.id);
    if (query_run(&q, e) < 0)
        return -1;
    *out = g;
    return 0;
}

int sqlite_agent_delete(void *conn, struct arena *a, const struct agent_ref *in, int64_t *out, struct err *e)
{
    (void)a;
    struct query q = query_begin(conn, "DELETE FROM agents WHERE id = ?1 AND (owner = ?2 OR ?2 = '')");
    put_str(&q, in->id);
    put_str(&q, in->owner);
    if (query_run(&q, e) < 0)
        return -1;
    *out = db_changed(conn);
    return *out ? 0 : err_set(e, ERR_NOT_FOUND, "Agent not found");
}

int sqlite_agent_list(void *conn, struct arena *a, const struct agent_query *in, struct agent_page *out, struct err *e)
{
    int64_t us = INT64_MIN, key = 0;
    if (sqlite_cursor_read(in->cursor, &us, &key, e) < 0)
        return -1;
    struct query q = query_begin(conn, "SELECT key, " AGENT_COLUMNS " FROM agents WHERE owner = ?"
                                       " AND (created_us, key) > (?, ?) ORDER BY created_us, key LIMIT ?");
    put_str(&q, in->owner);
    put_int(&q, us);
    put_int(&q, key);
    put_int(&q, (int64_t)in->limit + 1);
    struct agent_page page = {.items = arena_alloc(a, in->limit * sizeof *page.items)};
    int row;
    while ((row = query_row(&q, e)) > 0) {
        if (page.n == in->limit) {
            page.next = sqlite_cursor(a, page.items[page.n - 1].created_us, key);
            query_end(&q);
            break;
        }
        key = take_int(&q);
        page.items[page.n++] = take_agent(&q, a);
    }
    if (row < 0)
        return -1;
    *out = page;
    return 0;
}
