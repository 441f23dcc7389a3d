/* What the files of this folder share. */
#ifndef STORE_SQLITE_SQLITE_IMPL_H
#define STORE_SQLITE_SQLITE_IMPL_H

#include "store/queue.h"
#include "store/sqlite/db.h"
#include "store/sqlite/sqlite_store.h"

#define SQLITE_STORE_READERS 8

struct sqlite_store {
    struct store base;
    int lock_fd; /* flock'ed as long as the store is open */
    struct queue queue;
    struct db writer, checkpointer, readers[SQLITE_STORE_READERS];
    unsigned nreaders;
    pthread_t writer_thread, checkpoint_thread, reader_threads[SQLITE_STORE_READERS];

    /* The writer's own: frames in the WAL, and at how many a checkpoint was last asked for and last forced. */
    int wal_frames, wal_asked, wal_forced;

    pthread_mutex_t checkpoint_lock;
    pthread_cond_t checkpoint_changed;
    bool checkpoint_wanted, checkpoint_busy, checkpoint_end;
};

/* Thread bodies; arg is the store, or for a reader a struct reader. */
void *writer_main(void *arg);
void *checkpoint_main(void *arg);
struct reader {
    struct sqlite_store *store;
    struct db *db;
};
void *reader_main(void *arg); /* frees arg */

/* The folder and its lock file: the descriptor that holds the lock, or -1. `path` gets the database's file name. */
int sqlite_lock_dir(const char *dir, char *path, size_t cap, struct err *e);

/* A message's key: its conversation's key and its seq. */
#define SEQ_BITS 32
static inline int64_t message_key(int64_t conversation, int64_t seq)
{
    return conversation << SEQ_BITS | seq;
}

/* The operations; conn is a struct db. */
#define X(op, kind, in_type, out_type)                                                                                 \
    int sqlite_##op(void *conn, struct arena *a, const in_type *in, out_type *out, struct err *e);
STORE_OPS(X)
#undef X

/* Reads conversation `id` with its key: 1, 0 when there is none, -1. */
int sqlite_conversation_find(struct db *db, struct arena *a, struct str id, struct conversation *out, int64_t *key,
                             struct err *e);
int sqlite_conversation_insert(struct db *db, const struct conversation *c, int64_t *key, struct err *e);
/* Messages with first <= key <= last, ascending; at most `limit`, from the low end or, with newest, from the high end;
 * ends early when *budget (bytes of content) is used up, which it counts down. */
struct message_range {
    struct str conversation_id;
    int64_t first, last;
    unsigned limit;
    bool newest;
    int64_t budget;
};
int sqlite_messages_read(struct db *db, struct arena *a, struct message_range *range, struct message **items, size_t *n,
                         struct err *e);

/* "<time>.<key>" cursors. An empty cursor gives the fallback time and key. INVALID_REQUEST. */
int sqlite_cursor_read(struct str cursor, int64_t *us, int64_t *key, struct err *e);
struct str sqlite_cursor(struct arena *a, int64_t us, int64_t key);

#endif
