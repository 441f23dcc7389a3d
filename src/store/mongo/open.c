#include "base/log.h"
#include "base/mem.h"
#include "store/mongo/mongo_impl.h"
#include "store/mongo/uri.h"

#include <stdlib.h>

#define QUEUE_MOST 8192 /* calls that wait: the next is told to come again */

static int read_url(struct mongo_store *s, const struct store_config *config, struct err *e)
{
    s->uri = mongo_uri(config, e);
    if (!s->uri)
        return -1;
    const char *database = mongoc_uri_get_database(s->uri);
    s->database = database && *database ? database : "parley";
    s->cosmos = mongo_uri_is_cosmos(s->uri);
    return 0;
}

int mongo_make_pool(struct mongo_store *s, struct err *e)
{
    bson_error_t error = {0};
    if (atomic_load(&s->no_retry))
        mongoc_uri_set_option_as_bool(s->uri, MONGOC_URI_RETRYWRITES, false);
    s->pool = mongoc_client_pool_new_with_error(s->uri, &error);
    if (!s->pool) {
        log_warn("store", "no_connection", F_INT("domain", error.domain), F_INT("code", error.code));
        return err_set(e, ERR_STORE_UNAVAILABLE, NULL);
    }
    mongoc_client_pool_set_error_api(s->pool, MONGOC_ERROR_API_VERSION_2);
    mongoc_client_pool_max_size(s->pool, s->nworkers + 2);
    return 0;
}

void mongo_release_conn(struct mongo_conn *conn)
{
    if (conn->client)
        mongoc_client_pool_push(conn->store->pool, conn->client);
    conn->client = NULL;
}

static void *worker_main(void *arg)
{
    struct mongo_conn *conn = arg;
    struct mongo_store *s = conn->store;
    struct list done = LIST_INIT(done);
    struct job *job;
    while ((job = queue_take_single(&s->queue))) {
        log_request_id = job->request_id;
        if (atomic_load(&s->up))
            job->result = store_call_run(&store_mongo, conn, job->call, &job->err);
        else
            job->result = err_set(&job->err, ERR_STORE_UNAVAILABLE, NULL);
        log_request_id = NULL;
        list_push_back(&done, &job->link);
        queue_finish(&s->queue, &done);
    }
    arena_thread_end();
    return NULL;
}

static void start_thread(pthread_t *thread, const char *name, void *(*body)(void *arg), void *arg)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, MIB(1));
    if (pthread_create(thread, &attr, body, arg) != 0)
        die("cannot start the thread %s", name);
    pthread_setname_np(*thread, name);
    pthread_attr_destroy(&attr);
}

static void start_threads(struct mongo_store *s)
{
    start_thread(&s->appender_thread, "store-append", appender_main, s);
    start_thread(&s->keeper_thread, "store-keeper", keeper_main, s);
    for (unsigned i = 0; i < s->nworkers; i++)
        start_thread(&s->worker_threads[i], "store-worker", worker_main, &s->workers[i]);
}

static void release(struct mongo_store *s)
{
    mongo_release_conn(&s->appender);
    mongo_release_conn(&s->keeper);
    for (unsigned i = 0; i < s->nworkers; i++)
        mongo_release_conn(&s->workers[i]);
    if (s->pool)
        mongoc_client_pool_destroy(s->pool);
    if (s->uri)
        mongoc_uri_destroy(s->uri);
    doc_end(&s->write_opts);
    doubts_forget(s);
    queue_free(&s->queue);
    pthread_mutex_destroy(&s->keeper_lock);
    pthread_cond_destroy(&s->keeper_wanted);
    free(s);
}

static bool is_batched(enum store_op op)
{
    return op == STORE_OP_append;
}

/* A change counts once it is in the journal, of most members where there are several. */
static void write_concern(struct doc *d)
{
    doc_begin(d);
    doc_open(d, "writeConcern");
    doc_str(d, "w", STR("majority"));
    doc_bool(d, "j", true);
    doc_close(d);
}

static struct mongo_store *make(const struct store_config *config)
{
    struct mongo_store *s = aligned_alloc(_Alignof(struct mongo_store), sizeof *s);
    if (!s)
        die("out of memory");
    memset(s, 0, sizeof *s);
    s->base.ops = &store_mongo;
    unsigned connections = config->connections ? config->connections : 16;
    /* One connection is the appender's; the keeper's counts for nothing, it sleeps. */
    s->nworkers = MIN(MAX(connections, 2U) - 1, (unsigned)MONGO_THREADS);
    s->appender.store = s->keeper.store = s;
    for (unsigned i = 0; i < s->nworkers; i++)
        s->workers[i].store = s;
    write_concern(&s->write_opts);
    queue_init(&s->queue, is_batched);
    list_init(&s->doubts);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->keeper_lock, NULL);
    pthread_cond_init(&s->keeper_wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return s;
}

static int mongo_open(const struct store_config *config, struct store **out, struct err *e)
{
    struct err why = {0};
    if (libmongoc_load(e) < 0)
        return -1;
    struct mongo_store *s = make(config);
    int there = read_url(s, config, &why) < 0 ? -1 : keeper_look(s, &why);
    if (there < 0 && why.code == ERR_NOT_CONFIGURED) {
        if (e)
            *e = why;
        release(s);
        return -1;
    }
    if (there < 0)
        log_warn("store", "not_there", F_C("database", s->database));
    start_threads(s);
    *out = &s->base;
    return 0;
}

static void mongo_close(struct store *st)
{
    struct mongo_store *s = container_of(st, struct mongo_store, base);
    queue_end(&s->queue);
    for (unsigned i = 0; i < s->nworkers; i++)
        pthread_join(s->worker_threads[i], NULL);
    pthread_join(s->appender_thread, NULL);
    pthread_mutex_lock(&s->keeper_lock);
    s->keeper_end = true;
    pthread_cond_signal(&s->keeper_wanted);
    pthread_mutex_unlock(&s->keeper_lock);
    pthread_join(s->keeper_thread, NULL);
    release(s);
}

static bool mongo_is_up(const struct store *st)
{
    return atomic_load(&container_of(st, const struct mongo_store, base)->up);
}

static int mongo_submit(struct store *st, const struct store_call *call, struct err *e)
{
    struct mongo_store *s = container_of(st, struct mongo_store, base);
    struct err own = {0};
    int result;
    if (atomic_fetch_add(&s->waiting, 1) < QUEUE_MOST)
        result = queue_call(&s->queue, call, &own);
    else
        result = err_set(&own, ERR_STORE_UNAVAILABLE, NULL);
    atomic_fetch_sub(&s->waiting, 1);
    /* What was to be put right at start is put right when the server comes. */
    if (result < 0 && call->op == STORE_OP_interrupt_streaming && own.code == ERR_STORE_UNAVAILABLE)
        atomic_store(&s->interrupt_before, *(const int64_t *)call->in);
    if (result < 0 && e)
        *e = own;
    return result;
}

const struct store_ops store_mongo = {.name = "mongo",
                                      .open = mongo_open,
                                      .close = mongo_close,
                                      .is_up = mongo_is_up,
                                      .submit = mongo_submit,
#define X(op, kind, in_type, out_type) .op = mongo_##op,
                                      STORE_OPS(X)
#undef X
};
