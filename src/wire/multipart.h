/* multipart/form-data (RFC 7578) that lies in memory as a whole: its parts are slices of it, nothing is copied. Pure.
 */
#ifndef WIRE_MULTIPART_H
#define WIRE_MULTIPART_H

#include "base/err.h"
#include "base/str.h"

#define MULTIPART_PARTS    64   /* of a body: INVALID_REQUEST beyond */
#define MULTIPART_HEAD     8192 /* bytes of a part's headers: likewise */
#define MULTIPART_NAME     128  /* bytes of a field's name: likewise */
#define MULTIPART_FILENAME 512  /* bytes of a file's name: longer ones are cut at a character */
#define MULTIPART_BOUNDARY 70   /* bytes of the boundary, by RFC 2046 */

struct multipart {
    struct str rest;                        /* behind the delimiter that was read last */
    char delimiter[4 + MULTIPART_BOUNDARY]; /* CR LF - - and the boundary */
    size_t ndelimiter;                      /* bytes of it */
    char name[MULTIPART_NAME + 1];          /* of the part at hand, unescaped */
    char filename[MULTIPART_FILENAME + 1];  /* likewise */
    unsigned parts;
    bool ended; /* the closing delimiter was read */
};

struct multipart_part {
    struct str name;     /* valid until the next call, as is filename */
    struct str filename; /* .p NULL: a field, no file. What the client calls it: never a path to use */
    struct str type;     /* its Content-Type, "" when it has none */
    struct str body;
};

/* content_type: the whole header. 0, or -1 with INVALID_REQUEST when it names no form or no boundary, or the body does
 * not hold one. The body must outlive m. */
int multipart_init(struct multipart *m, struct str content_type, struct str body, struct err *e);
/* The next part: 1; 0 behind the last; -1 with INVALID_REQUEST: broken off, malformed, past a limit, or encoded
 * (Content-Transfer-Encoding is no part of forms). Lines end with CR LF. Escapes of names are those that browsers
 * (%22, %0D, %0A) and older programs (a backslash) write; filename* (RFC 5987, UTF-8) goes before filename. */
int multipart_next(struct multipart *m, struct multipart_part *part, struct err *e);

/* A parameter of a header such as Content-Type, its quotes taken off but not its escapes: 1, or 0 when absent. `name`
 * in lower case. */
int multipart_parameter(struct str header, struct str name, struct str *value);

#endif
