/* What the store says about itself. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/mongo/mongo_impl.h"

#include <stdlib.h>

#define FINDINGS   20
#define ORPHAN_AGE 3600 /* seconds: younger messages without a conversation may be about to get one */

static int count(struct mongo_conn *conn, const char *collection, const bson_oid_t *key, int64_t last, int64_t *out,
                 struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "count", str_c(collection));
    if (key) {
        doc_open(&d, "query");
        doc_key_range(&d, key, 1, last);
        doc_close(&d);
    }
    int result = mongo_change(conn, &d, RUN_READ, out, e);
    doc_end(&d);
    return result;
}

static int take_sum(void *arg, const bson_t *doc, struct err *e)
{
    (void)e;
    *(int64_t *)arg = doc ? doc_get_int(doc, "n") : 0;
    return 0;
}

static int sum_messages(struct mongo_conn *conn, int64_t *out, struct err *e)
{
    struct doc d;
    *out = 0;
    doc_begin(&d);
    doc_list(&d, "pipeline");
    doc_open(&d, NULL);
    doc_open(&d, "$group");
    doc_int32(&d, "_id", 1);
    doc_open(&d, "n");
    doc_str(&d, "$sum", STR("$message_count"));
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_aggregate(conn, CONVERSATIONS, &d, take_sum, out, e);
    doc_end(&d);
    return result;
}

/* Data and indexes; 0 where the server does not tell. */
static int64_t bytes(struct mongo_conn *conn)
{
    struct mongo_reply reply;
    struct doc d;
    int64_t n = 0;
    doc_begin(&d);
    doc_int32(&d, "dbStats", 1);
    if (mongo_run(conn, &d, RUN_READ, &reply, NULL) == 0) {
        n = doc_get_int(&reply.doc, "dataSize") + doc_get_int(&reply.doc, "indexSize");
        mongo_done(&reply);
    }
    doc_end(&d);
    return n;
}

int mongo_stats(void *conn, struct arena *a, const int64_t *in, struct store_stats *out, struct err *e)
{
    (void)a;
    (void)in;
    if (count(conn, USERS, NULL, 0, &out->users, e) < 0 || count(conn, AGENTS, NULL, 0, &out->agents, e) < 0 ||
        count(conn, CONVERSATIONS, NULL, 0, &out->conversations, e) < 0 || sum_messages(conn, &out->messages, e) < 0)
        return -1;
    out->bytes = bytes(conn);
    out->schema = 1;
    return 0;
}

/* ---- check ---- */

/* A conversation's key and how many messages it counts. */
struct counted {
    bson_oid_t key;
    int64_t messages;
};

struct inventory {
    struct counted *items;
    size_t n, cap;
    const char *key, *value; /* the members to read */
};

static int take_counted(void *arg, const bson_t *doc, struct err *e)
{
    struct inventory *inv = arg;
    (void)e;
    if (!doc) {
        inv->n = 0;
        return 0;
    }
    if (inv->n == inv->cap) {
        inv->cap = inv->cap ? inv->cap * 2 : 1024;
        inv->items = mem_realloc(inv->items, inv->cap * sizeof *inv->items);
    }
    struct counted *c = &inv->items[inv->n];
    c->messages = inv->value ? doc_get_int(doc, inv->value) : 0;
    inv->n += doc_get_oid(doc, inv->key, &c->key);
    return 0;
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(bson_oid_t));
}

static int take_inventory(struct mongo_conn *conn, const char *collection, struct inventory *inv, struct err *e)
{
    struct doc filter, options;
    doc_begin(&filter);
    doc_begin(&options);
    doc_open(&options, "projection");
    doc_int32(&options, inv->key, 1);
    if (inv->value)
        doc_int32(&options, inv->value, 1);
    doc_close(&options);
    int result = mongo_find(conn, collection, &filter, &options, take_counted, inv, e);
    doc_end(&filter);
    doc_end(&options);
    if (result == 0 && inv->n)
        qsort(inv->items, inv->n, sizeof *inv->items, by_key);
    return result;
}

/* The conversations' keys that messages name. */
static int take_named(struct mongo_conn *conn, struct inventory *inv, struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_list(&d, "pipeline");
    doc_open(&d, NULL);
    doc_open(&d, "$group");
    doc_str(&d, "_id", STR("$conv"));
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_aggregate(conn, MESSAGES, &d, take_counted, inv, e);
    doc_end(&d);
    return result;
}

static bool knows(const struct inventory *inv, const bson_oid_t *key)
{
    return inv->n && bsearch(key, inv->items, inv->n, sizeof *inv->items, by_key);
}

/* Seconds since 1970 when the key was made. */
static int64_t age_of(const bson_oid_t *key)
{
    const uint8_t *b = key->bytes;
    return clock_wall_us() / 1000000 - ((int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]);
}

static int check_counts(struct mongo_conn *conn, const struct inventory *conversations, struct buf *found,
                        struct err *e)
{
    char key[25];
    for (size_t i = 0, findings = 0; i < conversations->n && findings < FINDINGS; i++) {
        const struct counted *c = &conversations->items[i];
        int64_t there = 0;
        if (count(conn, MESSAGES, &c->key, c->messages, &there, e) < 0)
            return -1;
        if (there == c->messages)
            continue;
        hex_encode(key, c->key.bytes, sizeof c->key.bytes);
        buf_addf(found, "conversation with key %s counts %lld messages and has %lld\n", key, (long long)c->messages,
                 (long long)there);
        findings++;
    }
    return 0;
}

/* A process that died while it made a conversation has left messages that nobody can see: they are swept. */
static int sweep_orphans(struct mongo_conn *conn, const struct inventory *named, const struct inventory *conversations,
                         const struct inventory *swept, struct err *e)
{
    for (size_t i = 0; i < named->n; i++) {
        const bson_oid_t *key = &named->items[i].key;
        if (!knows(conversations, key) && !knows(swept, key) && age_of(key) >= ORPHAN_AGE &&
            note_sweep(conn, key, STR_NONE, e) < 0)
            return -1;
    }
    return 0;
}

int mongo_check(void *conn, struct arena *a, const int64_t *in, struct store_report *out, struct err *e)
{
    struct inventory conversations = {.key = "key", .value = "message_count"}, swept = {.key = "_id"},
                     named = {.key = "_id"};
    struct buf found = BUF_INIT(KIB(64));
    (void)in;
    int result = -1;
    if (take_named(conn, &named, e) == 0 && take_inventory(conn, SWEPT, &swept, e) == 0 &&
        take_inventory(conn, CONVERSATIONS, &conversations, e) == 0)
        result = check_counts(conn, &conversations, &found, e);
    if (result == 0)
        result = sweep_orphans(conn, &named, &conversations, &swept, e);
    if (result == 0)
        *out = (struct store_report){found.len == 0, found.len ? arena_str(a, buf_str(&found)) : STR("ok")};
    free(conversations.items);
    free(swept.items);
    free(named.items);
    buf_free(&found);
    return result;
}
