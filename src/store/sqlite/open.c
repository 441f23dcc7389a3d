#include "base/log.h"
#include "base/mem.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int pragma(struct db *db, const char *text, struct err *e)
{
    int rc = sqlite3_exec(db->sql, text, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return 0;
    return err_set(e, ERR_NOT_CONFIGURED, "the database cannot be used: %s", sqlite3_errmsg(db->sql));
}

/* 0 gives no ceiling. Only this connection makes the file grow. */
static int set_ceiling(struct db *db, uint64_t max_bytes, struct err *e)
{
    char text[64];
    int64_t page = 0;
    if (max_bytes == 0)
        return 0;
    if (db_int(db, "PRAGMA page_size", &page, e) < 0 || page <= 0)
        return -1;
    snprintf(text, sizeof text, "PRAGMA max_page_count = %llu", (unsigned long long)max_bytes / (uint64_t)page);
    return pragma(db, text, e);
}

static int open_writer(struct sqlite_store *s, const char *path, const struct store_config *config, struct err *e)
{
    struct db *db = &s->writer;
    if (db_open(db, path, config->busy_ms ? config->busy_ms : 5000, e) < 0 ||
        pragma(db,
               "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
               "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY",
               e) < 0 ||
        schema_migrate(db, e) < 0 || set_ceiling(db, config->max_bytes, e) < 0)
        return -1;
    int64_t leftovers = 0;
    if (db_int(db, "SELECT count(*) FROM swept", &leftovers, e) < 0)
        return -1;
    db->leftovers = leftovers > 0;
    return 0;
}

static int open_others(struct sqlite_store *s, const char *path, struct err *e)
{
    static const char pragmas[] = "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -4096; PRAGMA query_only = ON";
    for (unsigned i = 0; i < s->nreaders; i++)
        if (db_open(&s->readers[i], path, 1000, e) < 0 || pragma(&s->readers[i], pragmas, e) < 0)
            return -1;
    return db_open(&s->checkpointer, path, 0, e) < 0
               ? -1
               : pragma(&s->checkpointer, "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL", e);
}

void *reader_main(void *arg)
{
    struct reader reader = *(struct reader *)arg;
    struct queue *q = &reader.store->queue;
    struct list done = LIST_INIT(done);
    struct job *job;
    free(arg);
    while ((job = queue_take_single(q))) {
        log_request_id = job->request_id;
        /* One snapshot for all statements of the operation. */
        job->result = db_run(reader.db, "BEGIN", &job->err);
        if (job->result == 0) {
            job->result = store_call_run(&store_sqlite, reader.db, job->call, &job->err);
            db_run(reader.db, "COMMIT", NULL);
        }
        log_request_id = NULL;
        list_push_back(&done, &job->link);
        queue_finish(q, &done);
    }
    arena_thread_end();
    return NULL;
}

static void start_thread(pthread_t *thread, const char *name, void *(*body)(void *arg), void *arg)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, KIB(512));
    if (pthread_create(thread, &attr, body, arg) != 0)
        die("cannot start the thread %s", name);
    pthread_setname_np(*thread, name);
    pthread_attr_destroy(&attr);
}

static void start_threads(struct sqlite_store *s)
{
    start_thread(&s->writer_thread, "store-writer", writer_main, s);
    start_thread(&s->checkpoint_thread, "store-log", checkpoint_main, s);
    for (unsigned i = 0; i < s->nreaders; i++) {
        struct reader *reader = mem_alloc(sizeof *reader);
        *reader = (struct reader){s, &s->readers[i]};
        start_thread(&s->reader_threads[i], "store-reader", reader_main, reader);
    }
}

static void release(struct sqlite_store *s)
{
    for (unsigned i = 0; i < s->nreaders; i++)
        db_close(&s->readers[i]);
    db_close(&s->checkpointer);
    db_close(&s->writer); /* the last one: moves the log into the main file and removes it */
    queue_free(&s->queue);
    pthread_mutex_destroy(&s->checkpoint_lock);
    pthread_cond_destroy(&s->checkpoint_changed);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s);
}

static int sqlite_open(const struct store_config *config, struct store **out, struct err *e)
{
    char path[1024];
    int lock_fd = sqlite_lock_dir(config->data_dir, path, sizeof path, e);
    if (lock_fd < 0)
        return -1;
    struct sqlite_store *s = mem_zalloc(sizeof *s);
    s->base.ops = &store_sqlite;
    s->lock_fd = lock_fd;
    s->nreaders = config->readers ? MIN(config->readers, (unsigned)SQLITE_STORE_READERS) : 2;
    queue_init(&s->queue, store_op_writes);
    pthread_mutex_init(&s->checkpoint_lock, NULL);
    pthread_cond_init(&s->checkpoint_changed, NULL);
    if (open_writer(s, path, config, e) < 0 || open_others(s, path, e) < 0) {
        release(s);
        return -1;
    }
    start_threads(s);
    *out = &s->base;
    return 0;
}

static void sqlite_close(struct store *st)
{
    struct sqlite_store *s = container_of(st, struct sqlite_store, base);
    queue_end(&s->queue);
    for (unsigned i = 0; i < s->nreaders; i++)
        pthread_join(s->reader_threads[i], NULL);
    pthread_join(s->writer_thread, NULL);
    pthread_mutex_lock(&s->checkpoint_lock);
    s->checkpoint_end = true;
    pthread_cond_broadcast(&s->checkpoint_changed);
    pthread_mutex_unlock(&s->checkpoint_lock);
    pthread_join(s->checkpoint_thread, NULL);
    release(s);
}

static int sqlite_submit(struct store *st, const struct store_call *call, struct err *e)
{
    return queue_call(&container_of(st, struct sqlite_store, base)->queue, call, e);
}

const struct store_ops store_sqlite = {.name = "sqlite",
                                       .open = sqlite_open,
                                       .close = sqlite_close,
                                       .submit = sqlite_submit,
#define X(op, kind, in_type, out_type) .op = sqlite_##op,
                                       STORE_OPS(X)
#undef X
};
