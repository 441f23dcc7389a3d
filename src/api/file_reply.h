/* Replies with validators and byte ranges (RFC 9110, 13 and 14), from a file or from memory. Private to api/. */
#ifndef API_FILE_REPLY_H
#define API_FILE_REPLY_H

#include "api/api_impl.h"

#include <sys/stat.h>

struct file_reply {
    struct str type;  /* Content-Type */
    struct str cache; /* Cache-Control */
    struct str etag;  /* with its quotes; empty: a file's is made of its time and size */
    uint64_t max;     /* larger files are not there */
    /* In the worker pool, of the open file; may tell its type by its content. False: it is not there. NULL: it is. */
    bool (*check)(const void *arg, int fd, const struct stat *st, struct str *type);
    const void *arg;
};

/* Whether a name from outside may be that of a file in a folder: one segment, not hidden, nothing but a name. */
bool file_name_is_plain(struct str name);

/* A regular file of a folder, read in the worker pool; links are not followed. `name` is plain. 0 when it was answered,
 * -1 when there is none: then nothing was. */
int file_reply(struct http_request *rq, const char *folder, struct str name, const struct file_reply *how);
/* As that, for bytes that live as long as the request; `etag` is needed. */
void bytes_reply(struct http_request *rq, struct str content, const struct file_reply *how);

#endif
