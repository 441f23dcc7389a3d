/* The one thread that changes the database, and the one that moves its log into the main file. */
#include "store/sqlite/sqlite_impl.h"

#include "base/log.h"
#include "base/metrics.h"

#define WAL_ASK     1000  /* pages of 4 KiB between background checkpoints */
#define WAL_FORCE   16384 /* 64 MiB: from here on the writer itself waits for the log to be moved */
#define SWEEP_EVERY 8     /* batches, when there is no idle moment to sweep in */

static struct metric *batch_size;

static void metrics_once(void)
{
    static const double bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
    batch_size =
        metric_histogram("parley_store_batch_size", "Changes written by one commit", NULL, bounds, COUNT(bounds), 1);
}

static struct job *job_of(struct list *link)
{
    return container_of(link, struct job, link);
}

enum outcome {
    COMMITTED,
    ROLLED_BACK, /* a job or the commit failed: nothing of it happened */
    NOT_BEGUN,   /* the database cannot be written at all */
};

/* Runs all jobs in one transaction. A job that fails before it changed anything (most do: not found, conflict) harms
 * nobody. One that had changed something takes the whole transaction back. */
static enum outcome transact(struct db *db, struct list *jobs, struct err *e)
{
    if (db_run(db, "BEGIN IMMEDIATE", e) < 0)
        return NOT_BEGUN;
    list_each(it, jobs) {
        struct job *job = job_of(it);
        int64_t changes = sqlite3_total_changes64(db->sql);
        job->err = (struct err){0};
        log_request_id = job->request_id;
        job->result = store_call_run(&store_sqlite, db, job->call, &job->err);
        log_request_id = NULL;
        bool whole = !sqlite3_get_autocommit(db->sql) && sqlite3_total_changes64(db->sql) == changes;
        if (job->result < 0 && !whole) {
            *e = job->err;
            goto rollback;
        }
    }
    if (db_run(db, "COMMIT", e) == 0)
        return COMMITTED;
rollback:
    /* After some failures SQLite has rolled back by itself. */
    if (!sqlite3_get_autocommit(db->sql))
        db_run(db, "ROLLBACK", NULL);
    return ROLLED_BACK;
}

static void fail_all(struct list *jobs, const struct err *e)
{
    list_each(it, jobs) {
        job_of(it)->result = -1;
        job_of(it)->err = *e;
    }
}

/* One commit for all. Where that fails, one for each, so that only the culprit fails. */
static void write_batch(struct db *db, struct list *batch)
{
    struct err e = {0};
    enum outcome outcome = transact(db, batch, &e);
    if (outcome == COMMITTED)
        return;
    if (outcome == NOT_BEGUN || batch->next == batch->prev) {
        fail_all(batch, &e);
        return;
    }
    struct list all = LIST_INIT(all), one = LIST_INIT(one), *first;
    list_splice(&all, batch);
    while ((first = list_pop_front(&all))) {
        list_push_back(&one, first);
        if (transact(db, &one, &e) != COMMITTED)
            fail_all(&one, &e);
        list_splice(batch, &one);
    }
}

/* Removes some messages of a deleted conversation. Failing, it waits for the next deletion or start. */
static void sweep(struct db *db)
{
    int64_t conversation = 0;
    if (db_int(db, "SELECT conversation FROM swept LIMIT 1", &conversation, NULL) < 0 || conversation == 0) {
        db->leftovers = false;
        return;
    }
    struct query q = query_begin(db, "DELETE FROM messages WHERE key IN"
                                     " (SELECT key FROM messages WHERE key > ? AND key < ? ORDER BY key LIMIT 1000)");
    put_int(&q, message_key(conversation, 0));
    put_int(&q, message_key(conversation + 1, 0));
    if (query_run(&q, NULL) < 0) {
        db->leftovers = false;
        return;
    }
    if (db_changed(db) > 0)
        return;
    q = query_begin(db, "DELETE FROM swept WHERE conversation = ?");
    put_int(&q, conversation);
    if (query_run(&q, NULL) < 0)
        db->leftovers = false;
}

static int on_wal(void *arg, sqlite3 *sql, const char *name, int frames)
{
    struct sqlite_store *s = arg;
    (void)sql;
    (void)name;
    s->wal_frames = frames;
    return SQLITE_OK;
}

static void move_log(struct db *db)
{
    int rc = sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
        log_error("store", "checkpoint_failed", F_C("reason", sqlite3_errmsg(db->sql)), F_INT("code", rc));
}

/* The log is moved in the background while writing goes on, which never finishes as long as it goes on; so past a
 * size the writer does the small rest itself, and the next commit starts the log from its beginning. */
static void bound_log(struct sqlite_store *s)
{
    if (s->wal_frames < s->wal_asked)
        s->wal_asked = s->wal_forced = 0;
    if (s->wal_frames - s->wal_asked < WAL_ASK)
        return;
    s->wal_asked = s->wal_frames;
    pthread_mutex_lock(&s->checkpoint_lock);
    s->checkpoint_wanted = true;
    pthread_cond_broadcast(&s->checkpoint_changed);
    bool force = s->wal_frames - s->wal_forced >= WAL_FORCE;
    while (force && (s->checkpoint_wanted || s->checkpoint_busy))
        pthread_cond_wait(&s->checkpoint_changed, &s->checkpoint_lock);
    pthread_mutex_unlock(&s->checkpoint_lock);
    if (!force)
        return;
    s->wal_forced = s->wal_frames;
    move_log(&s->writer);
}

void *checkpoint_main(void *arg)
{
    struct sqlite_store *s = arg;
    pthread_mutex_lock(&s->checkpoint_lock);
    for (;;) {
        while (!s->checkpoint_wanted && !s->checkpoint_end)
            pthread_cond_wait(&s->checkpoint_changed, &s->checkpoint_lock);
        if (s->checkpoint_end)
            break;
        s->checkpoint_wanted = false;
        s->checkpoint_busy = true;
        pthread_mutex_unlock(&s->checkpoint_lock);
        move_log(&s->checkpointer);
        pthread_mutex_lock(&s->checkpoint_lock);
        s->checkpoint_busy = false;
        pthread_cond_broadcast(&s->checkpoint_changed);
    }
    pthread_mutex_unlock(&s->checkpoint_lock);
    return NULL;
}

static uint64_t length(const struct list *jobs)
{
    uint64_t n = 0;
    list_each(it, jobs)
        n++;
    return n;
}

void *writer_main(void *arg)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct sqlite_store *s = arg;
    unsigned since_sweep = 0;
    int got;
    pthread_once(&once, metrics_once);
    sqlite3_wal_hook(s->writer.sql, on_wal, s);
    struct list batch = LIST_INIT(batch);
    while ((got = queue_take_batch(&s->queue, &batch, !s->writer.leftovers)) >= 0) {
        if (got > 0) {
            metric_observe(batch_size, length(&batch));
            write_batch(&s->writer, &batch);
            queue_finish(&s->queue, &batch);
        }
        if (s->writer.leftovers && (got == 0 || ++since_sweep % SWEEP_EVERY == 0))
            sweep(&s->writer);
        bound_log(s);
    }
    arena_thread_end();
    return NULL;
}
