/* What the files of this folder share. */
#ifndef STORE_MONGO_MONGO_IMPL_H
#define STORE_MONGO_MONGO_IMPL_H

#include "store/mongo/doc.h"
#include "store/mongo/mongo_store.h"
#include "store/queue.h"

#include <stdatomic.h>

/* Names of our own, so that they can stand beside another program's `users` and `conversations`. */
#define USERS         "parley_users"
#define SESSIONS      "parley_sessions"
#define AGENTS        "parley_agents"
#define CONVERSATIONS "parley_conversations"
#define MESSAGES      "parley_messages"
#define SETTINGS      "parley_settings"
#define PROCESSED     "parley_processed"
#define USAGE         "parley_usage"
#define SWEPT         "parley_swept" /* keys of deleted conversations whose messages are still to be removed */
#define META          "parley_meta"

#define MONGO_THREADS 64 /* at most, each with a connection */

/* One thread's connection, made when it is first used. */
struct mongo_conn {
    struct mongo_store *store;
    mongoc_client_t *client;
    int32_t failed; /* the server's code for the last command that failed; 0: it was not the server */
};

struct mongo_store {
    struct store base;
    mongoc_uri_t *uri;
    mongoc_client_pool_t *pool;
    const char *database;  /* the URI's */
    struct doc write_opts; /* an acknowledged change is in the journal, of most members where there are several */
    bool cosmos;
    atomic_bool no_retry; /* the server was found to refuse the driver's way of repeating changes */

    struct queue queue;
    atomic_int waiting;
    struct mongo_conn appender, workers[MONGO_THREADS], keeper;
    unsigned nworkers;
    pthread_t appender_thread, worker_threads[MONGO_THREADS], keeper_thread;

    /* While the server is known to be away, calls fail at once; the keeper alone looks for it. */
    atomic_bool up, prepared;
    _Atomic int64_t interrupt_before; /* replies older than this are to be interrupted once it is there; 0: none */

    pthread_mutex_t keeper_lock;
    pthread_cond_t keeper_wanted;
    bool keeper_asked, keeper_end;
    struct list doubts; /* likewise under the lock */
    unsigned ndoubts;
};

/* ---- commands (run.c) ---- */

enum run_how {
    RUN_READ = 1,
    RUN_TWICE = 2, /* running it twice does no harm: once more when the connection broke */
};

struct mongo_reply {
    bson_t doc;
    int32_t code; /* 0, or 11000 (duplicate key) */
    int64_t n;    /* documents matched, inserted or removed */
};
#define DUPLICATE_KEY 11000

/* Runs the command, again while the server asks for patience. 0 and a reply to be released with mongo_done;
 * -1: STORE_UNAVAILABLE, or INTERNAL_ERROR when the server finds fault with the command. */
int mongo_run(struct mongo_conn *conn, const struct doc *command, unsigned how, struct mongo_reply *reply,
              struct err *e);
void mongo_done(struct mongo_reply *reply);
/* The same where the reply does not matter but for `n` (may be NULL). A duplicate key is CONFLICT. */
int mongo_change(struct mongo_conn *conn, const struct doc *command, unsigned how, int64_t *n, struct err *e);

/* Gives each document that is found to `take`, which returns more than 0 to end, -1 with e to fail. Before a second try
 * it gets NULL: what it took so far does not count. `options`: sort, limit, projection. */
typedef int mongo_take(void *arg, const bson_t *doc, struct err *e);
int mongo_find(struct mongo_conn *conn, const char *collection, const struct doc *filter, const struct doc *options,
               mongo_take *take, void *arg, struct err *e);
/* The results of an aggregation: `pipeline` is {"pipeline": [stages]}. */
int mongo_aggregate(struct mongo_conn *conn, const char *collection, const struct doc *pipeline, mongo_take *take,
                    void *arg, struct err *e);

/* Inserts n documents, each on its own account: code[i] becomes 0 or DUPLICATE_KEY. -1: some may have come in. */
typedef void mongo_build(void *arg, size_t i, struct doc *d);
int mongo_insert(struct mongo_conn *conn, const char *collection, size_t n, mongo_build *build, void *arg,
                 int32_t *codes, struct err *e);
/* Sleeps as long as the message of error 16500 asks for, or longer from try to try. False when that was the last. */
bool mongo_be_patient(const char *message, unsigned tries);
/* The server is away: calls fail at once until the keeper has found it. */
void mongo_lost(struct mongo_store *s);

/* ---- start (schema.c), and what goes on in the background (keeper.c) ---- */

/* Makes indexes and marks the database. 0; -1 with NOT_CONFIGURED (it will never do) or another code (not now). */
int mongo_prepare(struct mongo_conn *conn, struct err *e);
int mongo_ping(struct mongo_conn *conn, struct err *e);
/* Makes the pool of connections (open.c). */
int mongo_make_pool(struct mongo_store *s, struct err *e);
void mongo_release_conn(struct mongo_conn *conn);

void *appender_main(void *arg); /* arg: the store */
void *keeper_main(void *arg);
/* One look for the server; prepares the database when it is there. As mongo_prepare. */
int keeper_look(struct mongo_store *s, struct err *e);
void keeper_ask(struct mongo_store *s); /* there may be something to sweep */

/* ---- conversations and messages ---- */

/* A conversation with what is the driver's own: its key, which is never used again and begins the keys of its messages,
 * and a number that changes when an unfinished append is put aside. */
struct head {
    struct conversation c;
    bson_oid_t key;
    int64_t fence;
};

extern const struct field conversation_fields[], message_fields[];
extern const size_t conversation_nfields, message_nfields;

void head_read(const bson_t *doc, struct arena *a, struct head *out);
/* 1, 0 when there is none, -1. */
int head_find(struct mongo_conn *conn, struct arena *a, struct str id, struct head *out, struct err *e);

/* Notes that messages with this key are to be removed, unless the conversation still has it. */
int note_sweep(struct mongo_conn *conn, const bson_oid_t *key, struct str conversation_id, struct err *e);

/* A message's key: the conversation's key, then its seq, which puts a conversation's messages side by side. */
#define MESSAGE_KEY 16
void message_key(uint8_t out[MESSAGE_KEY], const bson_oid_t *conversation, int64_t seq);
int64_t message_seq(const bson_t *doc);
/* {"_id": {"$gte": first, "$lte": last}} */
void doc_key_range(struct doc *d, const bson_oid_t *conversation, int64_t first, int64_t last);
/* Messages first <= seq <= last, ascending; at most `limit`, from the low end or, with newest, from the high end; ends
 * early when *budget (bytes of content) is used up, which it counts down. */
struct message_range {
    struct str conversation_id;
    const bson_oid_t *key;
    int64_t first, last;
    unsigned limit;
    bool newest;
    int64_t budget;
};
int messages_read(struct mongo_conn *conn, struct arena *a, struct message_range *range, struct message **items,
                  size_t *n, struct err *e);
void message_read(const bson_t *doc, struct arena *a, struct str conversation_id, struct message *out);

/* ---- appends whose outcome nobody knows (doubt.c) ---- */

struct doubtful {
    const struct head *head; /* the conversation as it was, or was to be */
    const bson_oid_t *group;
    int64_t after; /* its count with the append */
    bool created;
};
void doubt_note(struct mongo_store *s, const struct doubtful *what);
int doubts_undo(struct mongo_store *s, struct err *e);
void doubts_forget(struct mongo_store *s);

/* ---- cursors of lists: "<time>.<key>" ---- */

struct place {
    int64_t us;
    bson_oid_t key;
};
/* False for an empty one. INVALID_REQUEST. */
int place_read(struct str cursor, struct place *out, bool *any, struct err *e);
struct str place_cursor(struct arena *a, const struct place *place);
/* Filter: behind the place, in ascending or descending order of (name, key). */
void doc_behind(struct doc *d, const char *name, const struct place *place, bool ascending);

/* The operations; conn is a struct mongo_conn. */
#define X(op, kind, in_type, out_type)                                                                                 \
    int mongo_##op(void *conn, struct arena *a, const in_type *in, out_type *out, struct err *e);
STORE_OPS(X)
#undef X

#endif
