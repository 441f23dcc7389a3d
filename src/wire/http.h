/* HTTP/1.1 codec (RFC 9110, 9112): strict, pure, zero copy. A head is parsed once it is complete in one buffer; bodies
 * are decoded from any split of bytes. What is ambiguous (and so could smuggle a request past a proxy) is refused. */
#ifndef WIRE_HTTP_H
#define WIRE_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER, /* any other token: the router answers 405 */
    HTTP_METHODS
};

/* "GET" …; "" for HTTP_OTHER. */
const char *http_method_name(enum http_method method);

struct http_header {
    struct str name, value; /* value without surrounding white space */
};

enum http_body {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
};

/* A parsed request head. Slices point into the bytes that were parsed: http_head_rebase moves them along with a copy.
 */
struct http_head {
    enum http_method method;
    struct str method_text;
    struct str target; /* as sent, origin form ("/a?b"); absolute form is reduced to its path ("/" when it has none) */
    struct str path;   /* up to '?', still percent-encoded */
    struct str query;  /* behind '?', "" when absent */
    unsigned minor;    /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;   /* by version and Connection */
    bool expect_continue;
    bool upgrade; /* Connection names upgrade and an Upgrade header says to what */
    enum http_body body;
    uint64_t length; /* for HTTP_BODY_LENGTH, then at least 1: "Content-Length: 0" is HTTP_BODY_NONE */
    struct str host; /* of the target in absolute form, else of the Host header; STR_NONE in HTTP/1.0 without one */
    size_t nheaders;
    struct http_header headers[LIMIT_HTTP_HEADERS];
};

/* Parses one request head at the start of p. Returns the bytes it takes (through the empty line), 0 when it is not
 * complete yet, -1 with *e (400, 413 never, 414, 431, 501 or 505 in e->status, code INVALID_REQUEST, TARGET_TOO_LONG or
 * HEADERS_TOO_LARGE) when it is wrong. `seen`: bytes of p already looked at in vain by an earlier call, so that a head
 * that dribbles in costs no more than one pass; 0 on the first. Up to 4 empty lines in front are skipped (RFC
 * 9112 2.2). *head is undefined unless the result is positive. Refused: bare CR or LF, NUL and other controls,
 * obs-fold, space before the colon, a missing or repeated Host in HTTP/1.1, Content-Length twice or with
 * Transfer-Encoding, Transfer-Encoding other than "chunked" alone or in HTTP/1.0, a target that is not origin, absolute
 * (http, https) or, for OPTIONS, asterisk form, or holds bytes that must be percent-encoded. After -1 the connection
 * cannot be used for another request. */
ptrdiff_t http_head_parse(struct http_head *head, struct str p, size_t seen, struct err *e);
/* After the parsed bytes were copied from `from` to `to`: makes every slice point into the copy. */
void http_head_rebase(struct http_head *head, const char *from, const char *to);
/* First header of that name (lower-case literal), STR_NONE when absent. */
struct str http_header(const struct http_head *head, struct str name);

/* A parsed reply head, of a server that we asked. Slices point into the bytes that were parsed. */
struct http_reply_head {
    int status;
    unsigned minor;      /* HTTP/1.minor: 0 or 1 */
    enum http_body body; /* as the headers say; HTTP_BODY_NONE also for a status that has none */
    bool until_close;    /* nothing says how long the body is: it ends with the connection */
    uint64_t length;     /* for HTTP_BODY_LENGTH */
    size_t nheaders;
    struct http_header headers[LIMIT_HTTP_HEADERS];
};

/* Parses one reply head at the start of p: the bytes it takes (through the empty line), 0 when it is not complete yet,
 * -1 with *e (UPSTREAM) when it is wrong or longer than LIMIT_HTTP_HEAD. As strict as http_head_parse. Interim replies
 * (1xx) are heads like others: the caller goes on behind them. */
ptrdiff_t http_reply_head_parse(struct http_reply_head *head, struct str p, struct err *e);
/* First header of that name (lower-case literal), STR_NONE when absent; and how often it is there. */
struct str http_reply_field(const struct http_reply_head *head, struct str name);
unsigned http_reply_field_count(const struct http_reply_head *head, struct str name);

/* Decodes a chunked body. Zero-initialise; max_body bounds the decoded size. */
struct http_chunked {
    int state;
    uint64_t left;     /* of the chunk at hand */
    uint64_t body;     /* decoded so far */
    uint64_t max_body; /* exceeding it: BODY_TOO_LARGE */
    size_t line;       /* bytes of the current size line or trailers, bounded */
};
/* Takes bytes from *in (advancing it) until one piece of data, the end, or no more input: 1 and *piece (a slice of the
 * input), 2 at the end of the body (trailers skipped), 0 when it needs more, -1 with *e when it is wrong. */
int http_chunked_next(struct http_chunked *c, struct str *in, struct str *piece, struct err *e);

/* "200 OK" and so on; "500 Internal Server Error" for codes not known. */
const char *http_status_line(int status);

/* Percent-decodes a path segment or a whole path into out, replacing what it held (plus a NUL behind it, for which the
 * ceiling needs room); '+' is kept. -1 on a malformed escape, a NUL, a slash when `segment`, text that is not UTF-8, or
 * past the ceiling; out is empty then. The result is never longer than s. Dot segments are the caller's to refuse. */
int http_path_decode(struct buf *out, struct str s, bool segment);
/* Value of the first query or form parameter of that name, percent-decoded with '+' as space, into out as above. 1 when
 * present, 0 when not (out untouched), -1 when malformed. */
int http_query_get(struct buf *out, struct str query, struct str name);
/* Takes the first parameter off *query: 1, its name and its value decoded as above; 0 when there is none left; -1 when
 * it is malformed, the next call goes on behind it. */
int http_query_next(struct str *query, struct buf *name, struct buf *value);

#endif
