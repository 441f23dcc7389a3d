/* Users and agents. */
#include "store/mongo/mongo_impl.h"

static const struct field user_fields[] = {
    {"_id", FIELD_STR, offsetof(struct user, id), 0},
    {"email", FIELD_STR, offsetof(struct user, email), USER_SET_EMAIL},
    {"name", FIELD_STR, offsetof(struct user, name), USER_SET_NAME},
    {"role", FIELD_STR, offsetof(struct user, role), USER_SET_ROLE},
    {"password_hash", FIELD_STR, offsetof(struct user, password_hash), USER_SET_PASSWORD},
    {"avatar", FIELD_STR, offsetof(struct user, avatar), USER_SET_AVATAR},
    {"meta", FIELD_STR, offsetof(struct user, meta), USER_SET_META},
    {"created_us", FIELD_INT, offsetof(struct user, created_us), 0},
    {"updated_us", FIELD_INT, offsetof(struct user, updated_us), 0},
};

static const struct field agent_fields[] = {
    {"_id", FIELD_STR, offsetof(struct agent, id), 0},
    {"owner", FIELD_STR, offsetof(struct agent, owner), 0},
    {"name", FIELD_STR, offsetof(struct agent, name), AGENT_SET_NAME},
    {"company", FIELD_STR, offsetof(struct agent, company), AGENT_SET_COMPANY},
    {"personality", FIELD_STR, offsetof(struct agent, personality), AGENT_SET_PERSONALITY},
    {"info", FIELD_STR, offsetof(struct agent, info), AGENT_SET_INFO},
    {"prompts", FIELD_STR, offsetof(struct agent, prompts), AGENT_SET_PROMPTS},
    {"meta", FIELD_STR, offsetof(struct agent, meta), AGENT_SET_META},
    {"created_us", FIELD_INT, offsetof(struct agent, created_us), 0},
    {"updated_us", FIELD_INT, offsetof(struct agent, updated_us), 0},
};

int mongo_user_create(void *conn, struct arena *a, const struct user *in, struct user *out, struct err *e)
{
    struct doc d;
    (void)a;
    doc_begin(&d);
    doc_str(&d, "insert", STR(USERS));
    doc_list(&d, "documents");
    doc_open(&d, NULL);
    doc_fields(&d, user_fields, COUNT(user_fields), in);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, 0, NULL, e);
    doc_end(&d);
    if (result == 0)
        *out = *in;
    return result;
}

struct taken {
    struct arena *a;
    void *to;
    const struct field *fields;
    size_t nfields;
    bool any;
};

static int take_one(void *arg, const bson_t *doc, struct err *e)
{
    struct taken *t = arg;
    (void)e;
    t->any = doc != NULL;
    if (doc)
        fields_read(doc, t->fields, t->nfields, t->a, t->to);
    return t->any;
}

static int find_user(struct mongo_conn *conn, struct arena *a, const char *by, struct str value, struct user *out,
                     struct err *e)
{
    struct taken t = {a, out, user_fields, COUNT(user_fields), false};
    struct doc filter, options;
    doc_begin(&filter);
    doc_str(&filter, by, value);
    doc_begin(&options);
    doc_int(&options, "limit", 1);
    int result = mongo_find(conn, USERS, &filter, &options, take_one, &t, e);
    doc_end(&filter);
    doc_end(&options);
    if (result == 0 && !t.any)
        return err_set(e, ERR_NOT_FOUND, "User not found");
    return result;
}

int mongo_user_get(void *conn, struct arena *a, const struct str *in, struct user *out, struct err *e)
{
    return find_user(conn, a, "_id", *in, out, e);
}

int mongo_user_by_email(void *conn, struct arena *a, const struct str *in, struct user *out, struct err *e)
{
    return find_user(conn, a, "email", *in, out, e);
}

/* Runs a findAndModify; false in *any when there was nothing to modify. */
static int modify(struct mongo_conn *conn, const struct doc *d, struct taken *t, struct err *e)
{
    struct mongo_reply reply;
    bson_t value;
    if (mongo_run(conn, d, RUN_TWICE, &reply, e) < 0)
        return -1;
    int result = reply.code == DUPLICATE_KEY ? err_set(e, ERR_CONFLICT, NULL) : 0;
    t->any = result == 0 && doc_get_doc(&reply.doc, "value", &value);
    if (t->any)
        fields_read(&value, t->fields, t->nfields, t->a, t->to);
    mongo_done(&reply);
    return result;
}

int mongo_user_update(void *conn, struct arena *a, const struct user_change *in, struct user *out, struct err *e)
{
    struct taken t = {a, out, user_fields, COUNT(user_fields), false};
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "findAndModify", STR(USERS));
    doc_open(&d, "query");
    doc_str(&d, "_id", in->to.id);
    doc_close(&d);
    doc_open(&d, "update");
    doc_open(&d, "$set");
    doc_changes(&d, user_fields, COUNT(user_fields), &in->to, in->set);
    doc_int(&d, "updated_us", in->to.updated_us);
    doc_close(&d);
    doc_close(&d);
    doc_bool(&d, "new", true);
    int result = modify(conn, &d, &t, e);
    doc_end(&d);
    if (result == 0 && !t.any)
        return err_set(e, ERR_NOT_FOUND, "User not found");
    return result;
}

/* ---- agents ---- */

int mongo_agent_create(void *conn, struct arena *a, const struct agent *in, struct agent *out, struct err *e)
{
    bson_oid_t key;
    struct doc d;
    (void)a;
    bson_oid_init(&key, NULL);
    doc_begin(&d);
    doc_str(&d, "insert", STR(AGENTS));
    doc_list(&d, "documents");
    doc_open(&d, NULL);
    doc_fields(&d, agent_fields, COUNT(agent_fields), in);
    doc_oid(&d, "key", &key);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, 0, NULL, e);
    doc_end(&d);
    if (result == 0)
        *out = *in;
    return result;
}

static void put_ref(struct doc *d, struct str owner, struct str id)
{
    doc_str(d, "_id", id);
    if (owner.n)
        doc_str(d, "owner", owner);
}

int mongo_agent_get(void *conn, struct arena *a, const struct agent_ref *in, struct agent *out, struct err *e)
{
    struct taken t = {a, out, agent_fields, COUNT(agent_fields), false};
    struct doc filter, options;
    doc_begin(&filter);
    put_ref(&filter, in->owner, in->id);
    doc_begin(&options);
    int result = mongo_find(conn, AGENTS, &filter, &options, take_one, &t, e);
    doc_end(&filter);
    doc_end(&options);
    if (result == 0 && !t.any)
        return err_set(e, ERR_NOT_FOUND, "Agent not found");
    return result;
}

int mongo_agent_update(void *conn, struct arena *a, const struct agent_change *in, struct agent *out, struct err *e)
{
    struct taken t = {a, out, agent_fields, COUNT(agent_fields), false};
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "findAndModify", STR(AGENTS));
    doc_open(&d, "query");
    put_ref(&d, in->to.owner, in->to.id);
    doc_close(&d);
    doc_open(&d, "update");
    doc_open(&d, "$set");
    doc_changes(&d, agent_fields, COUNT(agent_fields), &in->to, in->set);
    doc_int(&d, "updated_us", in->to.updated_us);
    doc_close(&d);
    doc_close(&d);
    doc_bool(&d, "new", true);
    int result = modify(conn, &d, &t, e);
    doc_end(&d);
    if (result == 0 && !t.any)
        return err_set(e, ERR_NOT_FOUND, "Agent not found");
    return result;
}

int mongo_agent_delete(void *conn, struct arena *a, const struct agent_ref *in, int64_t *out, struct err *e)
{
    struct doc d;
    (void)a;
    doc_begin(&d);
    doc_str(&d, "delete", STR(AGENTS));
    doc_list(&d, "deletes");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    put_ref(&d, in->owner, in->id);
    doc_close(&d);
    doc_int32(&d, "limit", 1);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, 0, out, e);
    doc_end(&d);
    if (result == 0 && *out == 0)
        return err_set(e, ERR_NOT_FOUND, "Agent not found");
    return result;
}

struct agent_list {
    struct arena *a;
    struct agent_page page;
    struct place last;
    unsigned limit;
};

static int take_agent(void *arg, const bson_t *doc, struct err *e)
{
    struct agent_list *l = arg;
    (void)e;
    if (!doc) {
        l->page.n = 0;
        return 0;
    }
    if (l->page.n == l->limit) {
        l->page.next = place_cursor(l->a, &l->last);
        return 1;
    }
    struct agent *g = &l->page.items[l->page.n++];
    fields_read(doc, agent_fields, COUNT(agent_fields), l->a, g);
    l->last.us = g->created_us;
    doc_get_oid(doc, "key", &l->last.key);
    return 0;
}

int mongo_agent_list(void *conn, struct arena *a, const struct agent_query *in, struct agent_page *out, struct err *e)
{
    struct agent_list l = {.a = a, .limit = in->limit};
    struct doc filter, options;
    bool any;
    if (place_read(in->cursor, &l.last, &any, e) < 0)
        return -1;
    l.page.items = arena_alloc(a, in->limit * sizeof *l.page.items);
    doc_begin(&filter);
    doc_str(&filter, "owner", in->owner);
    if (any)
        doc_behind(&filter, "created_us", &l.last, true);
    doc_begin(&options);
    doc_open(&options, "sort");
    doc_int32(&options, "created_us", 1);
    doc_int32(&options, "key", 1);
    doc_close(&options);
    doc_int(&options, "limit", (int64_t)in->limit + 1);
    int result = mongo_find(conn, AGENTS, &filter, &options, take_agent, &l, e);
    doc_end(&filter);
    doc_end(&options);
    if (result == 0)
        *out = l.page;
    return result;
}
