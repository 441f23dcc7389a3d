/* A file kept in memory and served with validators (RFC 9110, 13): for the few that a server has of its own. */
#ifndef SERVER_STATIC_FILE_H
#define SERVER_STATIC_FILE_H

#include "server/http.h"

#define STATIC_FILE_MAX MIB(4)

struct static_file {
    struct blob *content;
    char etag[40];
};

/* Reads a whole regular file. Blocks: call it in the worker pool. NULL: NOT_FOUND, or INTERNAL_ERROR for one that
 * cannot be read or is larger than STATIC_FILE_MAX. */
struct static_file *static_file_read(const char *path, struct err *e);
/* Takes NULL, returns NULL. */
struct static_file *static_file_free(struct static_file *file);
/* The whole reply: 200, or 304 when the client has it. */
void static_file_reply(struct http_request *rq, const struct static_file *file, struct str content_type);

/* Whether If-None-Match names the validator (with its quotes): compared weakly. */
bool static_is_known(struct http_request *rq, struct str etag);

/* As static_file_reply, for bytes that live as long as the program. */
void static_bytes_reply(struct http_request *rq, struct str content, const char *etag, struct str content_type);

#endif
