/* One SQLite connection, used by one thread at a time, with its prepared statements; and how statements are run. */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include "base/arena.h"
#include "base/err.h"

#include <sqlite3.h>

#define DB_STATEMENTS 128 /* slots for prepared statements; a power of two well above their number */

struct db {
    sqlite3 *sql;
    bool leftovers; /* messages of deleted conversations are still there: the writer sweeps when it has time */
    struct {
        const char *text; /* the literal itself is the key */
        sqlite3_stmt *stmt;
    } cache[DB_STATEMENTS];
};

/* NOT_CONFIGURED with the reason. busy_ms: how long a statement waits for another program's lock. */
int db_open(struct db *db, const char *path, unsigned busy_ms, struct err *e);
/* Takes one that never opened. */
void db_close(struct db *db);

/* One run of a statement. Parameters are put in order, columns taken in order. `text` must be a literal. */
struct query {
    struct db *db;
    sqlite3_stmt *stmt;
    int rc;
    int put, taken;
};
struct query query_begin(struct db *db, const char *text);
void put_str(struct query *q, struct str s);
void put_int(struct query *q, int64_t value);
/* 1: a row to take columns from; 0: no more, the query has ended; -1: failed and ended. */
int query_row(struct query *q, struct err *e);
struct str take_str(struct query *q, struct arena *a);
int64_t take_int(struct query *q);
/* Needed only after query_row gave 1 and no more rows are wanted. */
void query_end(struct query *q);
/* For statements without rows: runs and ends it. */
int query_run(struct query *q, struct err *e);
/* A statement without parameters and rows. */
int db_run(struct db *db, const char *text, struct err *e);
/* Rows changed by the last statement. */
int64_t db_changed(struct db *db);
/* One number, from the first column of the first row; 0 without a row. */
int db_int(struct db *db, const char *text, int64_t *out, struct err *e);

/* Logs the connection's last failure and says the client's side of it: CONFLICT for a broken uniqueness,
 * STORE_UNAVAILABLE or INTERNAL_ERROR. Returns -1. */
int db_fail(struct db *db, int rc, const char *text, struct err *e);

#endif
