/* One line per request: Apache combined format or JSON. Lines gather in a buffer of each loop and leave every 200 ms or
 * at 64 KiB. What clients sent is escaped, and values of query parameters that carry credentials are masked. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"

enum access_format { ACCESS_FORMAT_COMBINED, ACCESS_FORMAT_JSON };

#define ACCESS_LINE_MAX 4096 /* longer targets and headers are cut: a line is one atomic write to a pipe */

struct access_entry {
    struct str address;                 /* the client's, after TRUST_PROXY */
    struct str method, target;          /* as sent; empty when the request could not be read */
    unsigned minor;                     /* HTTP/1.minor */
    int status;                         /* 101 for WebSockets, 499 when the client went away */
    uint64_t bytes;                     /* of the body */
    struct str referer, user_agent, id; /* may be empty */
    uint64_t micros;                    /* from the head to the end of the reply */
};

/* Appends one line to out, which needs room for ACCESS_LINE_MAX bytes: -1 without. Pure but for a cache of the date. */
int access_log_format(struct buf *out, enum access_format format, const struct access_entry *entry, int64_t wall_ms);

struct access_log;        /* of the server: where lines go */
struct access_log_writer; /* of one loop */

/* path NULL or "-": standard output. NULL with *e naming the file. */
struct access_log *access_log_open(const char *path, enum access_format format, struct err *e);
/* Opens the file by its name again, after rotation. Any thread. -1 keeps the old one. */
int access_log_reopen(struct access_log *log, struct err *e);
/* After its writers. Takes NULL, returns NULL. */
struct access_log *access_log_close(struct access_log *log);

/* Loop thread only from here on. free writes out what is left. */
struct access_log_writer *access_log_writer_new(struct access_log *log, struct loop *loop);
struct access_log_writer *access_log_writer_free(struct access_log_writer *w); /* takes NULL, returns NULL */
void access_log_add(struct access_log_writer *w, const struct access_entry *entry);
void access_log_flush(struct access_log_writer *w);
/* Lines lost because the reader of the log did not keep up. */
uint64_t access_log_lost(const struct access_log *log);

#endif
