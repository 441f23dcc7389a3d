#include "store/mongo/import.h"

#include "base/mem.h"
#include "store/mongo/doc.h"
#include "store/mongo/uri.h"

#include <stdlib.h>

struct mongo_source {
    mongoc_uri_t *uri;
    mongoc_client_pool_t *pool;
    mongoc_client_t *client;
    const char *database; /* the URI's */
};

static int unavailable(const bson_error_t *error, struct err *e)
{
    return err_set(e, ERR_STORE_UNAVAILABLE, "The MongoDB to import from: %s", error->message);
}

static int connect_source(struct mongo_source *source, struct err *e)
{
    bson_error_t error = {0};
    struct doc ping;
    bson_t reply;
    source->pool = mongoc_client_pool_new_with_error(source->uri, &error);
    if (!source->pool)
        return unavailable(&error, e);
    mongoc_client_pool_set_error_api(source->pool, MONGOC_ERROR_API_VERSION_2);
    source->client = mongoc_client_pool_pop(source->pool);
    doc_begin(&ping);
    doc_int32(&ping, "ping", 1);
    bool ok =
        mongoc_client_read_command_with_opts(source->client, source->database, &ping.at[0], NULL, NULL, &reply, &error);
    bson_destroy(&reply);
    doc_end(&ping);
    return ok ? 0 : unavailable(&error, e);
}

int mongo_source_open(const struct store_config *config, struct mongo_source **out, struct err *e)
{
    if (libmongoc_load(e) < 0)
        return -1;
    struct mongo_source *source = mem_zalloc(sizeof *source);
    source->uri = mongo_uri(config, e);
    const char *database = source->uri ? mongoc_uri_get_database(source->uri) : NULL;
    source->database = database && *database ? database : "test";
    if (!source->uri || connect_source(source, e) < 0) {
        mongo_source_close(source);
        return -1;
    }
    *out = source;
    return 0;
}

struct mongo_source *mongo_source_close(struct mongo_source *source)
{
    if (!source)
        return NULL;
    if (source->client)
        mongoc_client_pool_push(source->pool, source->client);
    if (source->pool)
        mongoc_client_pool_destroy(source->pool);
    if (source->uri)
        mongoc_uri_destroy(source->uri);
    free(source);
    return NULL;
}

static void read_id(const bson_t *doc, char out[64])
{
    bson_iter_t it;
    uint32_t n = 0;
    const char *text = "";
    out[0] = 0;
    if (!bson_iter_init_find(&it, doc, "_id"))
        return;
    if (bson_iter_type(&it) == BSON_TYPE_OID)
        hex_encode(out, bson_iter_oid(&it)->bytes, sizeof bson_iter_oid(&it)->bytes);
    else if (bson_iter_type(&it) == BSON_TYPE_UTF8)
        text = bson_iter_utf8(&it, &n);
    for (uint32_t i = 0; i < n; i++)
        if (n > 63 || text[i] <= ' ' || text[i] > '~')
            return;
    if (n)
        str_copy(out, 64, str_n(text, n));
}

static int give(const bson_t *bson, mongo_each *each, void *arg, struct err *e)
{
    struct mongo_document doc = {.json = STR_NONE};
    size_t n = 0;
    read_id(bson, doc.id);
    char *json = bson_as_relaxed_extended_json(bson, &n);
    if (json)
        doc.json = str_n(json, n);
    int result = each(arg, &doc, e);
    if (json)
        bson_free(json);
    return result;
}

int mongo_source_each(struct mongo_source *source, const char *collection, mongo_each *each, void *arg, struct err *e)
{
    bson_error_t error = {0};
    const bson_t *bson;
    struct doc everything;
    int result = 0;
    doc_begin(&everything);
    mongoc_collection_t *found = mongoc_client_get_collection(source->client, source->database, collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(found, &everything.at[0], NULL, NULL);
    while (result == 0 && mongoc_cursor_next(cursor, &bson))
        result = give(bson, each, arg, e);
    if (result == 0 && mongoc_cursor_error(cursor, &error))
        result = unavailable(&error, e);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(found);
    doc_end(&everything);
    return result;
}
