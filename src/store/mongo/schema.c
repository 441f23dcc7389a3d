/* What the database needs before it can be used. Names of indexes say what they are; one that exists stays as it is. */
#include "store/mongo/mongo_impl.h"

#include "base/log.h"

#define VERSION 1

/* Cosmos DB sorts by what has an index only, and by several members only with one on exactly these. */
struct index {
    const char *collection, *name;
    const char *keys[5]; /* "-name": descending */
    bool unique;
    const char *partial; /* only documents where this member … */
    enum { EXISTS, NOT_EMPTY, IS_STREAMING } where;
    bool cosmos_only;
};

static const struct index indexes[] = {
    {.collection = USERS, .name = "email", .keys = {"email"}, .unique = true},
    {.collection = SESSIONS, .name = "user", .keys = {"user_id"}},
    {.collection = SESSIONS, .name = "expires", .keys = {"expires_us"}},
    {.collection = AGENTS, .name = "owner", .keys = {"owner", "created_us", "key"}},
    {.collection = AGENTS, .name = "order", .keys = {"created_us", "key"}, .cosmos_only = true},
    {.collection = CONVERSATIONS, .name = "updated", .keys = {"space", "owner", "-updated_us", "-key"}},
    {.collection = CONVERSATIONS, .name = "created", .keys = {"space", "owner", "-created_us", "-key"}},
    {.collection = CONVERSATIONS,
     .name = "device",
     .keys = {"device_id", "-updated_us", "-key"},
     .partial = "device_id",
     .where = NOT_EMPTY},
    {.collection = CONVERSATIONS, .name = "by_updated", .keys = {"-updated_us", "-key"}, .cosmos_only = true},
    {.collection = CONVERSATIONS, .name = "by_created", .keys = {"-created_us", "-key"}, .cosmos_only = true},
    {.collection = MESSAGES, .name = "id", .keys = {"conv", "id"}, .unique = true},
    {.collection = MESSAGES,
     .name = "client_id",
     .keys = {"conv", "client_id"},
     .unique = true,
     .partial = "client_id",
     .where = EXISTS},
    {.collection = MESSAGES, .name = "streaming", .keys = {"status"}, .partial = "status", .where = IS_STREAMING},
    {.collection = SETTINGS, .name = "key", .keys = {"owner", "key"}, .unique = true},
    {.collection = PROCESSED, .name = "at", .keys = {"at_us"}},
    {.collection = USAGE, .name = "conversation", .keys = {"conversation_id"}},
    {.collection = USAGE, .name = "at", .keys = {"at_us"}},
};

static void put_index(struct doc *d, const struct index *index, bool partial)
{
    doc_open(d, NULL);
    doc_str(d, "name", str_c(index->name));
    doc_open(d, "key");
    for (size_t i = 0; i < COUNT(index->keys) && index->keys[i]; i++) {
        bool down = index->keys[i][0] == '-';
        doc_int32(d, index->keys[i] + down, down ? -1 : 1);
    }
    doc_close(d);
    if (index->unique)
        doc_bool(d, "unique", true);
    if (index->partial && partial) {
        doc_open(d, "partialFilterExpression");
        if (index->where == IS_STREAMING) {
            doc_int32(d, index->partial, MESSAGE_STREAMING);
        } else {
            doc_open(d, index->partial);
            if (index->where == EXISTS)
                doc_bool(d, "$exists", true);
            else
                doc_str(d, "$gt", STR(""));
            doc_close(d);
        }
        doc_close(d);
    }
    doc_close(d);
}

/* Of one collection, from the table's row `from` on; how many rows belong to it. */
static size_t put_indexes(struct doc *d, size_t from, bool cosmos, bool partial)
{
    const char *collection = indexes[from].collection;
    size_t n = 0;
    doc_str(d, "createIndexes", str_c(collection));
    doc_list(d, "indexes");
    for (; from + n < COUNT(indexes) && strcmp(indexes[from + n].collection, collection) == 0; n++)
        if (!indexes[from + n].cosmos_only || cosmos)
            put_index(d, &indexes[from + n], partial || indexes[from + n].unique);
    doc_close(d);
    return n;
}

/* Cosmos DB has partial indexes only where they are unique. */
static int make_indexes(struct mongo_conn *conn, struct err *e)
{
    bool cosmos = conn->store->cosmos, partial = !cosmos;
    for (size_t from = 0, n; from < COUNT(indexes);) {
        struct doc d;
        doc_begin(&d);
        n = put_indexes(&d, from, cosmos, partial);
        conn->failed = 0;
        int made = mongo_change(conn, &d, RUN_TWICE, NULL, e);
        doc_end(&d);
        if (made < 0 && conn->failed == 67 && partial) {
            partial = false;
            continue;
        }
        if (made < 0 && conn->failed != 85 && conn->failed != 86)
            return -1;
        if (made < 0)
            log_warn("store", "index_differs", F_C("collection", indexes[from].collection));
        from += n;
    }
    return 0;
}

static int take_version(void *arg, const bson_t *doc, struct err *e)
{
    (void)e;
    *(int64_t *)arg = doc ? doc_get_int(doc, "version") : 0;
    return 0;
}

static int find_version(struct mongo_conn *conn, int64_t *version, struct err *e)
{
    struct doc filter, options;
    doc_begin(&filter);
    doc_str(&filter, "_id", STR("schema"));
    doc_begin(&options);
    int result = mongo_find(conn, META, &filter, &options, take_version, version, e);
    doc_end(&filter);
    doc_end(&options);
    return result;
}

static int mark(struct mongo_conn *conn, struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "update", STR(META));
    doc_list(&d, "updates");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    doc_str(&d, "_id", STR("schema"));
    doc_close(&d);
    doc_open(&d, "u");
    doc_open(&d, "$max");
    doc_int(&d, "version", VERSION);
    doc_close(&d);
    doc_close(&d);
    doc_bool(&d, "upsert", true);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, RUN_TWICE, NULL, e);
    doc_end(&d);
    return result;
}

int mongo_prepare(struct mongo_conn *conn, struct err *e)
{
    int64_t version = 0;
    if (find_version(conn, &version, e) < 0)
        return -1;
    if (version > VERSION)
        return err_set(e, ERR_NOT_CONFIGURED, "the database has schema version %d, this build knows up to %d",
                       (int)version, VERSION);
    if (version == VERSION)
        return 0;
    return make_indexes(conn, e) < 0 ? -1 : mark(conn, e);
}

int mongo_ping(struct mongo_conn *conn, struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_int32(&d, "ping", 1);
    int result = mongo_change(conn, &d, RUN_READ, NULL, e);
    doc_end(&d);
    return result;
}
