/* Sessions: families of refresh tokens. */
#include "store/mongo/mongo_impl.h"

static const struct field session_fields[] = {
    {"_id", FIELD_STR, offsetof(struct session, id), 0},
    {"user_id", FIELD_STR, offsetof(struct session, user_id), 0},
    {"token_hash", FIELD_STR, offsetof(struct session, token_hash), 0},
    {"created_us", FIELD_INT, offsetof(struct session, created_us), 0},
    {"used_us", FIELD_INT, offsetof(struct session, used_us), 0},
    {"expires_us", FIELD_INT, offsetof(struct session, expires_us), 0},
};

int mongo_session_create(void *conn, struct arena *a, const struct session *in, int64_t *out, struct err *e)
{
    struct doc d;
    (void)a;
    doc_begin(&d);
    doc_str(&d, "insert", STR(SESSIONS));
    doc_list(&d, "documents");
    doc_open(&d, NULL);
    doc_fields(&d, session_fields, COUNT(session_fields), in);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, 0, out, e);
    doc_end(&d);
    return result;
}

/* Removes those that match `filter`, a document of its own. */
static int remove_where(struct mongo_conn *conn, const struct doc *filter, int64_t *out, struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "delete", STR(SESSIONS));
    doc_list(&d, "deletes");
    doc_open(&d, NULL);
    doc_put(&d, "q", filter);
    doc_int32(&d, "limit", 0);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, RUN_TWICE, out, e);
    doc_end(&d);
    return result;
}

int mongo_session_delete(void *conn, struct arena *a, const struct str *in, int64_t *out, struct err *e)
{
    struct doc filter;
    (void)a;
    doc_begin(&filter);
    doc_str(&filter, "_id", *in);
    int result = remove_where(conn, &filter, out, e);
    doc_end(&filter);
    return result;
}

/* The session, where its token is (with `good`) or is not the one presented, as long as it lasts. */
static void put_query(struct doc *d, const struct session_rotation *in, bool good)
{
    doc_str(d, "findAndModify", STR(SESSIONS));
    doc_open(d, "query");
    doc_str(d, "_id", in->id);
    doc_open(d, "token_hash");
    doc_str(d, good ? "$eq" : "$ne", in->was);
    doc_close(d);
    doc_open(d, "expires_us");
    doc_int(d, "$gt", in->now_us);
    doc_close(d);
    doc_close(d);
}

/* Runs a findAndModify: 1 and *out, 0 when there is none, -1. */
static int modify(struct mongo_conn *conn, struct arena *a, const struct doc *d, struct session *out, struct err *e)
{
    struct mongo_reply reply;
    bson_t value;
    if (mongo_run(conn, d, 0, &reply, e) < 0)
        return -1;
    bool any = doc_get_doc(&reply.doc, "value", &value);
    if (any)
        fields_read(&value, session_fields, COUNT(session_fields), a, out);
    mongo_done(&reply);
    return any;
}

static int renew(struct mongo_conn *conn, struct arena *a, const struct session_rotation *in, struct session *out,
                 struct err *e)
{
    struct doc d;
    doc_begin(&d);
    put_query(&d, in, true);
    doc_open(&d, "update");
    doc_open(&d, "$set");
    doc_str(&d, "token_hash", in->token_hash);
    doc_int(&d, "used_us", in->now_us);
    doc_int(&d, "expires_us", in->expires_us);
    doc_close(&d);
    doc_close(&d);
    doc_bool(&d, "new", true);
    int result = modify(conn, a, &d, out, e);
    doc_end(&d);
    return result;
}

static int end_family(struct mongo_conn *conn, struct arena *a, const struct session_rotation *in, struct session *out,
                      struct err *e)
{
    struct doc d;
    doc_begin(&d);
    put_query(&d, in, false);
    doc_bool(&d, "remove", true);
    int result = modify(conn, a, &d, out, e);
    doc_end(&d);
    return result;
}

int mongo_session_rotate(void *conn, struct arena *a, const struct session_rotation *in, struct session_rotated *out,
                         struct err *e)
{
    int renewed = renew(conn, a, in, &out->session, e);
    if (renewed != 0)
        return renewed < 0 ? -1 : 0;
    int ended = end_family(conn, a, in, &out->session, e);
    out->reused = ended > 0;
    return ended == 0 ? err_set(e, ERR_NOT_FOUND, "Session not found") : ended < 0 ? -1 : 0;
}

int mongo_session_clear(void *conn, struct arena *a, const struct session_clear *in, int64_t *out, struct err *e)
{
    struct doc filter;
    (void)a;
    doc_begin(&filter);
    doc_str(&filter, "user_id", in->user_id);
    doc_open(&filter, "_id");
    doc_str(&filter, "$ne", in->keep);
    doc_close(&filter);
    int result = remove_where(conn, &filter, out, e);
    doc_end(&filter);
    return result;
}

int mongo_session_purge(void *conn, struct arena *a, const int64_t *in, int64_t *out, struct err *e)
{
    struct doc filter;
    (void)a;
    doc_begin(&filter);
    doc_open(&filter, "expires_us");
    doc_int(&filter, "$lt", *in);
    doc_close(&filter);
    int result = remove_where(conn, &filter, out, e);
    doc_end(&filter);
    return result;
}
