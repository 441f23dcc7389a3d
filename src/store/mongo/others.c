/* Settings, processed ids, usage; cursors of lists. */
#include "store/mongo/mongo_impl.h"

#include "base/rand.h"

#define KEY_HEX 24

int place_read(struct str cursor, struct place *out, bool *any, struct err *e)
{
    struct str rest = cursor, first;
    *any = cursor.n > 0;
    if (!*any)
        return 0;
    if (!str_split(&rest, '.', &first) || str_i64(first, &out->us) < 0 || !is_object_id(rest))
        return err_set(e, ERR_INVALID_REQUEST, "Invalid cursor");
    for (size_t i = 0; i < sizeof out->key.bytes; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *high = strchr(digits, rest.p[2 * i]), *low = strchr(digits, rest.p[2 * i + 1]);
        if (!high || !low)
            return err_set(e, ERR_INVALID_REQUEST, "Invalid cursor");
        out->key.bytes[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return 0;
}

struct str place_cursor(struct arena *a, const struct place *place)
{
    char key[KEY_HEX + 1];
    hex_encode(key, place->key.bytes, sizeof place->key.bytes);
    return arena_printf(a, "%lld.%s", (long long)place->us, key);
}

void doc_behind(struct doc *d, const char *name, const struct place *place, bool ascending)
{
    doc_open(d, name);
    doc_int(d, ascending ? "$gte" : "$lte", place->us); /* this an index can use */
    doc_close(d);
    doc_list(d, "$or");
    doc_open(d, NULL);
    doc_open(d, name);
    doc_int(d, ascending ? "$gt" : "$lt", place->us);
    doc_close(d);
    doc_close(d);
    doc_open(d, NULL);
    doc_open(d, "key");
    doc_oid(d, ascending ? "$gt" : "$lt", &place->key);
    doc_close(d);
    doc_close(d);
    doc_close(d);
}

/* ---- settings ---- */

static const struct field setting_fields[] = {
    {"owner", FIELD_STR, offsetof(struct setting, owner), 0},
    {"key", FIELD_STR, offsetof(struct setting, key), 0},
    {"value", FIELD_STR, offsetof(struct setting, value), 1},
    {"updated_us", FIELD_INT, offsetof(struct setting, updated_us), 1},
};

static void put_setting_ref(struct doc *d, struct str owner, struct str key)
{
    doc_str(d, "owner", owner);
    doc_str(d, "key", key);
}

int mongo_setting_put(void *conn, struct arena *a, const struct setting *in, int64_t *out, struct err *e)
{
    struct mongo_reply reply;
    struct doc d;
    (void)a;
    doc_begin(&d);
    doc_str(&d, "update", STR(SETTINGS));
    doc_list(&d, "updates");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    put_setting_ref(&d, in->owner, in->key);
    doc_close(&d);
    doc_open(&d, "u");
    doc_open(&d, "$set");
    doc_changes(&d, setting_fields, COUNT(setting_fields), in, 1);
    doc_close(&d);
    doc_close(&d);
    doc_bool(&d, "upsert", true);
    doc_close(&d);
    doc_close(&d);
    /* Two that make the same setting at once: the second finds it when it tries again. */
    int result = 0;
    bool again = true;
    for (unsigned tries = 0; result == 0 && again && tries < 10; tries++) {
        result = mongo_run(conn, &d, RUN_TWICE, &reply, e);
        again = result == 0 && reply.code == DUPLICATE_KEY;
        if (result == 0)
            mongo_done(&reply);
    }
    doc_end(&d);
    *out = 1;
    return result == 0 && again ? err_set(e, ERR_STORE_UNAVAILABLE, NULL) : result;
}

int mongo_setting_add(void *conn, struct arena *a, const struct setting *in, int64_t *out, struct err *e)
{
    struct mongo_reply reply;
    struct doc d;
    bson_oid_t id;
    (void)a;
    bson_oid_init(&id, NULL);
    doc_begin(&d);
    doc_str(&d, "insert", STR(SETTINGS));
    doc_list(&d, "documents");
    doc_open(&d, NULL);
    doc_oid(&d, "_id", &id);
    doc_fields(&d, setting_fields, COUNT(setting_fields), in);
    doc_close(&d);
    doc_close(&d);
    /* When it is there, it does not matter whose it is: a second try's duplicate may be the first's. */
    int result = mongo_run(conn, &d, RUN_TWICE, &reply, e);
    doc_end(&d);
    if (result < 0)
        return -1;
    *out = reply.code != DUPLICATE_KEY;
    mongo_done(&reply);
    return 0;
}

struct setting_list {
    struct arena *a;
    struct setting_page page;
};

static int take_setting(void *arg, const bson_t *doc, struct err *e)
{
    struct setting_list *l = arg;
    (void)e;
    if (doc)
        fields_read(doc, setting_fields, COUNT(setting_fields), l->a, &l->page.items[l->page.n++]);
    else
        l->page.n = 0;
    return 0;
}

static int list_settings(struct mongo_conn *conn, struct setting_list *l, const struct doc *filter, int64_t limit,
                         struct err *e)
{
    struct doc options;
    l->page.items = arena_alloc(l->a, (size_t)limit * sizeof *l->page.items);
    doc_begin(&options);
    doc_open(&options, "sort");
    doc_int32(&options, "owner", 1);
    doc_int32(&options, "key", 1);
    doc_close(&options);
    doc_int(&options, "limit", limit);
    int result = mongo_find(conn, SETTINGS, filter, &options, take_setting, l, e);
    doc_end(&options);
    return result;
}

int mongo_setting_get(void *conn, struct arena *a, const struct setting_ref *in, struct setting *out, struct err *e)
{
    struct setting_list l = {.a = a};
    struct doc filter;
    doc_begin(&filter);
    put_setting_ref(&filter, in->owner, in->key);
    int result = list_settings(conn, &l, &filter, 1, e);
    doc_end(&filter);
    if (result < 0)
        return -1;
    if (l.page.n == 0)
        return err_set(e, ERR_NOT_FOUND, "Setting not found");
    *out = l.page.items[0];
    return 0;
}

int mongo_setting_list(void *conn, struct arena *a, const struct str *in, struct setting_page *out, struct err *e)
{
    struct setting_list l = {.a = a};
    struct doc filter;
    doc_begin(&filter);
    doc_str(&filter, "owner", *in);
    int result = list_settings(conn, &l, &filter, STORE_PAGE, e);
    doc_end(&filter);
    if (result == 0)
        *out = l.page;
    return result;
}

int mongo_setting_delete(void *conn, struct arena *a, const struct setting_ref *in, int64_t *out, struct err *e)
{
    struct doc d;
    (void)a;
    doc_begin(&d);
    doc_str(&d, "delete", STR(SETTINGS));
    doc_list(&d, "deletes");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    put_setting_ref(&d, in->owner, in->key);
    doc_close(&d);
    doc_int32(&d, "limit", 1);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, 0, out, e);
    doc_end(&d);
    if (result == 0 && *out == 0)
        return err_set(e, ERR_NOT_FOUND, "Setting not found");
    return result;
}

/* ---- processed ids ---- */

int mongo_processed_add(void *conn, struct arena *a, const struct processed *in, int64_t *out, struct err *e)
{
    struct mongo_reply reply;
    struct doc d;
    (void)a;
    doc_begin(&d);
    doc_str(&d, "insert", STR(PROCESSED));
    doc_list(&d, "documents");
    doc_open(&d, NULL);
    doc_str(&d, "_id", in->id);
    doc_str(&d, "device_id", in->device_id);
    doc_int(&d, "at_us", in->at_us);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_run(conn, &d, 0, &reply, e);
    doc_end(&d);
    if (result < 0)
        return -1;
    *out = reply.code != DUPLICATE_KEY;
    mongo_done(&reply);
    return 0;
}

int mongo_processed_purge(void *conn, struct arena *a, const int64_t *in, int64_t *out, struct err *e)
{
    struct doc d;
    (void)a;
    doc_begin(&d);
    doc_str(&d, "delete", STR(PROCESSED));
    doc_list(&d, "deletes");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    doc_open(&d, "at_us");
    doc_int(&d, "$lt", *in);
    doc_close(&d);
    doc_close(&d);
    doc_int32(&d, "limit", 0);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, RUN_TWICE, out, e);
    doc_end(&d);
    return result;
}

/* ---- usage ---- */

static const struct field usage_fields[] = {
    {"conversation_id", FIELD_STR, offsetof(struct usage, conversation_id), 0},
    {"message_id", FIELD_STR, offsetof(struct usage, message_id), 0},
    {"model", FIELD_STR, offsetof(struct usage, model), 0},
    {"prompt_tokens", FIELD_INT, offsetof(struct usage, prompt_tokens), 0},
    {"completion_tokens", FIELD_INT, offsetof(struct usage, completion_tokens), 0},
    {"at_us", FIELD_INT, offsetof(struct usage, at_us), 0},
};

int mongo_usage_add(void *conn, struct arena *a, const struct usage *in, int64_t *out, struct err *e)
{
    struct doc d;
    bson_oid_t id;
    (void)a;
    bson_oid_init(&id, NULL);
    doc_begin(&d);
    doc_str(&d, "insert", STR(USAGE));
    doc_list(&d, "documents");
    doc_open(&d, NULL);
    doc_oid(&d, "_id", &id);
    doc_fields(&d, usage_fields, COUNT(usage_fields), in);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, 0, out, e);
    doc_end(&d);
    return result;
}

static void put_usage_match(struct doc *d, const struct usage_query *in)
{
    doc_open(d, "$match");
    if (in->conversation_id.n)
        doc_str(d, "conversation_id", in->conversation_id);
    if (in->model.n)
        doc_str(d, "model", in->model);
    doc_open(d, "at_us");
    doc_int(d, "$gte", in->from_us);
    doc_int(d, "$lt", in->until_us);
    doc_close(d);
    doc_close(d);
}

static void put_sum(struct doc *d, const char *name, const char *of)
{
    doc_open(d, name);
    if (of)
        doc_str(d, "$sum", str_c(of));
    else
        doc_int(d, "$sum", 1);
    doc_close(d);
}

static int take_total(void *arg, const bson_t *doc, struct err *e)
{
    struct usage_total *total = arg;
    (void)e;
    *total = (struct usage_total){0};
    if (doc)
        *total =
            (struct usage_total){doc_get_int(doc, "turns"), doc_get_int(doc, "prompt"), doc_get_int(doc, "completion")};
    return 0;
}

int mongo_usage_total(void *conn, struct arena *a, const struct usage_query *in, struct usage_total *out, struct err *e)
{
    struct doc d;
    (void)a;
    doc_begin(&d);
    doc_list(&d, "pipeline");
    doc_open(&d, NULL);
    put_usage_match(&d, in);
    doc_close(&d);
    doc_open(&d, NULL);
    doc_open(&d, "$group");
    doc_int32(&d, "_id", 1);
    put_sum(&d, "turns", NULL);
    put_sum(&d, "prompt", "$prompt_tokens");
    put_sum(&d, "completion", "$completion_tokens");
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_aggregate(conn, USAGE, &d, take_total, out, e);
    doc_end(&d);
    return result;
}
