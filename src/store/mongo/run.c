/* Commands: run, again where that helps, and their errors translated. */
#include "store/mongo/mongo_impl.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"

#include <stdlib.h>
#include <time.h>

#define PATIENCE     9 /* tries while the server has too much to do */
#define CHUNK_BYTES  MIB(8)
#define CHUNK_DOCS   1000
#define LONGEST_WAIT 5000

/* Server codes. */
#define CODE_TOO_MANY_REQUESTS 16500
#define CODE_TIME_LIMIT        50
#define CODE_WRITE_CONFLICT    112

static void sleep_ms(uint64_t ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

bool mongo_be_patient(const char *message, unsigned tries)
{
    if (tries >= PATIENCE)
        return false;
    const char *asked = strstr(message, "RetryAfterMs=");
    uint64_t ms = asked ? (uint64_t)strtoul(asked + 13, NULL, 10) : (uint64_t)10 << MIN(tries, 6U);
    ms = MIN(ms, (uint64_t)LONGEST_WAIT);
    sleep_ms(ms + rand_below(ms / 4 + 2));
    return true;
}

static bool connect_client(struct mongo_conn *conn)
{
    if (!conn->client)
        conn->client = mongoc_client_pool_pop(conn->store->pool);
    return conn->client != NULL;
}

/* The primary has changed or ends: nothing was done, and another one will be found. */
static bool is_not_primary(const bson_error_t *error)
{
    static const uint32_t codes[] = {91, 189, 10107, 11600, 11602, 13435, 13436};
    for (size_t i = 0; i < COUNT(codes); i++)
        if (error->domain == MONGOC_ERROR_SERVER && error->code == codes[i])
            return true;
    return false;
}

static bool is_broken(const bson_error_t *error)
{
    return error->domain == MONGOC_ERROR_STREAM || error->domain == MONGOC_ERROR_SERVER_SELECTION ||
           error->domain == MONGOC_ERROR_PROTOCOL;
}

enum again { NO, AT_ONCE, PATIENTLY };

static enum again whether_again(const bson_error_t *error, unsigned how, unsigned tries)
{
    if (error->domain == MONGOC_ERROR_SERVER && error->code == CODE_TOO_MANY_REQUESTS)
        return PATIENTLY;
    if (error->domain == MONGOC_ERROR_SERVER && error->code == CODE_WRITE_CONFLICT)
        return PATIENTLY;
    if (tries > 0)
        return NO;
    if (is_not_primary(error))
        return AT_ONCE;
    bool harmless = how & (RUN_READ | RUN_TWICE);
    if (error->domain == MONGOC_ERROR_SERVER && error->code == CODE_TIME_LIMIT)
        return harmless ? AT_ONCE : NO;
    return harmless && error->domain == MONGOC_ERROR_STREAM ? AT_ONCE : NO;
}

static bool again(const bson_error_t *error, unsigned how, unsigned tries)
{
    enum again answer = whether_again(error, how, tries);
    return answer == AT_ONCE || (answer == PATIENTLY && mongo_be_patient(error->message, tries));
}

/* Codes that are no trouble of the database but a mistake in what was asked of it. */
static bool is_our_fault(const bson_error_t *error)
{
    static const uint32_t codes[] = {2, 9, 14, 26, 59, 61, 66, 16501, 40324};
    for (size_t i = 0; i < COUNT(codes); i++)
        if (error->domain == MONGOC_ERROR_SERVER && error->code == codes[i])
            return true;
    return error->domain == MONGOC_ERROR_COMMAND || error->domain == MONGOC_ERROR_BSON;
}

/* Cosmos DB with its defaults; a stand-alone server. */
static bool refuses_retries(const bson_error_t *error)
{
    return error->domain == MONGOC_ERROR_SERVER &&
           ((error->code == 2 && strstr(error->message, "Retryable writes")) ||
            (error->code == 20 && strstr(error->message, "Transaction numbers")));
}

static int fail(struct mongo_conn *conn, const char *what, const bson_error_t *error, struct err *e)
{
    struct mongo_store *s = conn->store;
    bool was_up = atomic_load(&s->up);
    conn->failed = error->domain == MONGOC_ERROR_SERVER ? (int32_t)error->code : 0;
    if (refuses_retries(error))
        atomic_store(&s->no_retry, true);
    if (is_broken(error))
        mongo_lost(s);
    if (was_up || !is_broken(error))
        log_error("store", is_broken(error) ? "unavailable" : "failed", F_C("statement", what),
                  F_INT("domain", error->domain), F_INT("code", error->code), F_C("reason", error->message));
    return err_set(e, is_our_fault(error) ? ERR_INTERNAL_ERROR : ERR_STORE_UNAVAILABLE, NULL);
}

void mongo_done(struct mongo_reply *reply)
{
    bson_destroy(&reply->doc);
}

/* The first error among those of single statements; false when there is none. */
static bool statement_error(const bson_t *reply, bson_error_t *error)
{
    bson_t errors, first, concern;
    bson_iter_t it;
    if (doc_get_doc(reply, "writeErrors", &errors) && doc_get_doc(&errors, "0", &first)) {
        *error = (bson_error_t){.domain = MONGOC_ERROR_SERVER, .code = (uint32_t)doc_get_int(&first, "code")};
        if (bson_iter_init_find(&it, &first, "errmsg") && bson_iter_type(&it) == BSON_TYPE_UTF8)
            str_copy(error->message, sizeof error->message, str_c(bson_iter_utf8(&it, NULL)));
        return true;
    }
    if (!doc_get_doc(reply, "writeConcernError", &concern))
        return false;
    *error = (bson_error_t){.domain = MONGOC_ERROR_WRITE_CONCERN, .code = (uint32_t)doc_get_int(&concern, "code")};
    return true;
}

static bool run_once(struct mongo_conn *conn, const struct doc *command, unsigned how, bson_t *reply,
                     bson_error_t *error)
{
    struct mongo_store *s = conn->store;
    bool ok = how & RUN_READ ? mongoc_client_read_command_with_opts(conn->client, s->database, &command->at[0], NULL,
                                                                    NULL, reply, error)
                             : mongoc_client_write_command_with_opts(conn->client, s->database, &command->at[0],
                                                                     &s->write_opts.at[0], reply, error);
    /* A refused statement is in the reply; and it may be that the driver has made an error of it. */
    if (ok)
        ok = !statement_error(reply, error);
    return ok;
}

/* The command's name, for the log. */
static const char *name_of(const struct doc *command)
{
    bson_iter_t it;
    bool any = bson_iter_init(&it, &command->at[0]) && bson_iter_next(&it);
    return any && strcmp(bson_iter_key(&it), "findAndModify") == 0 ? "findAndModify"
           : any && bson_iter_type(&it) == BSON_TYPE_UTF8          ? bson_iter_utf8(&it, NULL)
                                                                   : "command";
}

int mongo_run(struct mongo_conn *conn, const struct doc *command, unsigned how, struct mongo_reply *reply,
              struct err *e)
{
    bson_error_t error;
    if (!connect_client(conn))
        return err_set(e, ERR_STORE_UNAVAILABLE, NULL);
    for (unsigned tries = 0;; tries++) {
        error = (bson_error_t){0};
        *reply = (struct mongo_reply){0};
        if (run_once(conn, command, how, &reply->doc, &error))
            break;
        if (error.domain == MONGOC_ERROR_SERVER && error.code == DUPLICATE_KEY) {
            reply->code = DUPLICATE_KEY;
            break;
        }
        mongo_done(reply);
        if (!again(&error, how, tries))
            return fail(conn, name_of(command), &error, e);
    }
    reply->n = doc_get_int(&reply->doc, "n");
    return 0;
}

int mongo_change(struct mongo_conn *conn, const struct doc *command, unsigned how, int64_t *n, struct err *e)
{
    struct mongo_reply reply;
    if (mongo_run(conn, command, how, &reply, e) < 0)
        return -1;
    if (n)
        *n = reply.n;
    int result = reply.code == DUPLICATE_KEY ? err_set(e, ERR_CONFLICT, NULL) : 0;
    mongo_done(&reply);
    return result;
}

/* ---- many documents, out and in ---- */

struct search {
    const char *collection;
    const bson_t *filter, *options; /* or */
    const bson_t *pipeline;
    mongo_take *take;
    void *arg;
};

/* 1: all taken; 0: failed on the way, with what; -1: `take` failed. */
static int search_once(struct mongo_conn *conn, const struct search *s, bson_error_t *error, struct err *e)
{
    const bson_t *doc;
    int took = 0;
    mongoc_collection_t *collection = mongoc_client_get_collection(conn->client, conn->store->database, s->collection);
    mongoc_cursor_t *cursor = s->pipeline
                                  ? mongoc_collection_aggregate(collection, MONGOC_QUERY_NONE, s->pipeline, NULL, NULL)
                                  : mongoc_collection_find_with_opts(collection, s->filter, s->options, NULL);
    while (took == 0 && mongoc_cursor_next(cursor, &doc))
        took = s->take(s->arg, doc, e);
    bool failed = mongoc_cursor_error(cursor, error);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return took < 0 ? -1 : !failed;
}

static int search(struct mongo_conn *conn, const struct search *s, struct err *e)
{
    bson_error_t error = {0};
    if (!connect_client(conn))
        return err_set(e, ERR_STORE_UNAVAILABLE, NULL);
    for (unsigned tries = 0;; tries++) {
        int result = search_once(conn, s, &error, e);
        if (result != 0)
            return result < 0 ? -1 : 0;
        if (!again(&error, RUN_READ, tries))
            return fail(conn, s->collection, &error, e);
        s->take(s->arg, NULL, e);
    }
}

int mongo_find(struct mongo_conn *conn, const char *collection, const struct doc *filter, const struct doc *options,
               mongo_take *take, void *arg, struct err *e)
{
    struct search s = {
        .collection = collection, .filter = &filter->at[0], .options = &options->at[0], .take = take, .arg = arg};
    return search(conn, &s, e);
}

int mongo_aggregate(struct mongo_conn *conn, const char *collection, const struct doc *pipeline, mongo_take *take,
                    void *arg, struct err *e)
{
    struct search s = {.collection = collection, .pipeline = &pipeline->at[0], .take = take, .arg = arg};
    return search(conn, &s, e);
}

struct insertion {
    const char *collection;
    mongo_build *build;
    void *arg;
    size_t *todo, ntodo; /* which documents are still to be sent */
    size_t nagain;       /* of those sent, the first few of `todo` were put off */
    char reason[256];
    int32_t *codes;
};

/* Writes the command for the next documents; how many. */
static size_t build_chunk(const struct insertion *in, size_t from, struct doc *d)
{
    size_t n = 0;
    doc_begin(d);
    doc_str(d, "insert", str_c(in->collection));
    doc_bool(d, "ordered", false);
    doc_list(d, "documents");
    while (from + n < in->ntodo && n < CHUNK_DOCS && d->at[1].len < CHUNK_BYTES) {
        doc_open(d, NULL);
        in->build(in->arg, in->todo[from + n++], d);
        doc_close(d);
    }
    doc_close(d);
    return n;
}

/* Sorts the documents of a chunk by what became of them. -1 on what nothing helps against. */
static int sort_errors(struct mongo_conn *conn, struct insertion *in, size_t from, size_t n, const bson_t *reply,
                       struct err *e)
{
    bson_t errors, one;
    bson_iter_t it, text;
    uint32_t length;
    const uint8_t *bytes;
    if (!doc_get_doc(reply, "writeErrors", &errors) || !bson_iter_init(&it, &errors))
        return 0;
    while (bson_iter_next(&it)) {
        if (bson_iter_type(&it) != BSON_TYPE_DOCUMENT)
            continue;
        bson_iter_document(&it, &length, &bytes);
        if (!bson_init_static(&one, bytes, length))
            continue;
        size_t i = (size_t)doc_get_int(&one, "index");
        bson_error_t error = {.domain = MONGOC_ERROR_SERVER, .code = (uint32_t)doc_get_int(&one, "code")};
        if (bson_iter_init_find(&text, &one, "errmsg") && bson_iter_type(&text) == BSON_TYPE_UTF8)
            str_copy(error.message, sizeof error.message, str_c(bson_iter_utf8(&text, NULL)));
        if (i < n && error.code == DUPLICATE_KEY) {
            in->codes[in->todo[from + i]] = DUPLICATE_KEY;
        } else if (i < n && (error.code == CODE_TOO_MANY_REQUESTS || error.code == CODE_WRITE_CONFLICT)) {
            in->todo[in->nagain++] = in->todo[from + i]; /* nagain <= from: what lies there has been sent */
            str_copy(in->reason, sizeof in->reason, str_c(error.message));
        } else {
            return fail(conn, in->collection, &error, e);
        }
    }
    return 0;
}

/* Sends all that is to do, each document once. */
static int send_all(struct mongo_conn *conn, struct insertion *in, struct err *e)
{
    in->nagain = 0;
    for (size_t from = 0, n; from < in->ntodo; from += n) {
        struct doc d;
        bson_t reply;
        n = build_chunk(in, from, &d);
        int result = 1;
        for (unsigned tries = 0; result > 0; tries++) {
            bson_error_t error = {0};
            bool ok = mongoc_client_write_command_with_opts(conn->client, conn->store->database, &d.at[0],
                                                            &conn->store->write_opts.at[0], &reply, &error);
            bson_t errors;
            if (ok || doc_get_doc(&reply, "writeErrors", &errors))
                result = sort_errors(conn, in, from, n, &reply, e);
            else if (!again(&error, RUN_TWICE, tries))
                result = fail(conn, in->collection, &error, e);
            bson_destroy(&reply);
        }
        doc_end(&d);
        if (result < 0)
            return -1;
    }
    return 0;
}

int mongo_insert(struct mongo_conn *conn, const char *collection, size_t n, mongo_build *build, void *arg,
                 int32_t *codes, struct err *e)
{
    struct insertion in = {.collection = collection, .build = build, .arg = arg, .ntodo = n, .codes = codes};
    int result = 0;
    if (!connect_client(conn))
        return err_set(e, ERR_STORE_UNAVAILABLE, NULL);
    in.todo = mem_array(n, sizeof *in.todo);
    for (size_t i = 0; i < n; i++) {
        in.todo[i] = i;
        codes[i] = 0;
    }
    for (unsigned tries = 0; in.ntodo > 0 && result == 0; tries++) {
        result = send_all(conn, &in, e);
        in.ntodo = in.nagain;
        if (result == 0 && in.ntodo > 0 && !mongo_be_patient(in.reason, tries)) {
            bson_error_t error = {.domain = MONGOC_ERROR_SERVER, .code = CODE_TOO_MANY_REQUESTS};
            str_copy(error.message, sizeof error.message, str_c(in.reason));
            result = fail(conn, collection, &error, e);
        }
    }
    free(in.todo);
    return result;
}
