/* Errors as values: fallible calls return 0 or -1 and take a `struct err *e` last. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/macros.h"

/* X(CODE, HTTP status, text shown to a client when nothing better is known). The names double as the `code` member
 * of JSON error bodies, in this spelling. */
#define ERR_TABLE(X)                                                                                                   \
    X(INVALID_REQUEST, 400, "Invalid request")                                                                         \
    X(UNAUTHORIZED, 401, "Please authenticate.")                                                                       \
    X(FORBIDDEN, 403, "Forbidden")                                                                                     \
    X(NOT_FOUND, 404, "Not found")                                                                                     \
    X(CONVERSATION_NOT_FOUND, 404, "Conversation not found")                                                           \
    X(MESSAGE_NOT_FOUND, 404, "Message not found")                                                                     \
    X(METHOD_NOT_ALLOWED, 405, "Method not allowed")                                                                   \
    X(REQUEST_TIMEOUT, 408, "Request timed out")                                                                       \
    X(CONFLICT, 409, "Conflict")                                                                                       \
    X(LENGTH_REQUIRED, 411, "Length required")                                                                         \
    X(BODY_TOO_LARGE, 413, "Request body is too large")                                                                \
    X(TARGET_TOO_LONG, 414, "Request target is too long")                                                              \
    X(UNSUPPORTED_MEDIA_TYPE, 415, "Unsupported media type")                                                           \
    X(RATE_LIMIT_EXCEEDED, 429, "Too many requests from this IP")                                                      \
    X(TOO_MANY_TURNS, 429, "Too many messages are waiting in this conversation")                                       \
    X(HEADERS_TOO_LARGE, 431, "Request headers are too large")                                                         \
    X(CANCELLED, 499, "Cancelled")                                                                                     \
    X(INTERNAL_ERROR, 500, "Internal server error")                                                                    \
    X(NOT_CONFIGURED, 500, "Not configured")                                                                           \
    X(UPSTREAM, 502, "The upstream service failed")                                                                    \
    X(UPSTREAM_UNREACHABLE, 502, "The upstream service cannot be reached")                                             \
    X(OVERLOADED, 503, "The server is busy. Please try again.")                                                        \
    X(SHUTTING_DOWN, 503, "Server shutting down")                                                                      \
    X(STORE_UNAVAILABLE, 503, "Database temporarily unavailable. Please try again.")                                   \
    X(TIMEOUT, 504, "Timed out")

enum err_code {
    ERR_NONE,
#define X(code, status, text) ERR_##code,
    ERR_TABLE(X)
#undef X
        ERR_CODES
};

struct err {
    enum err_code code;
    int status;         /* HTTP status; the code's own unless an upstream's status is passed on */
    int retry_after_ms; /* 0: not said */
    char text[256];     /* for the client: no secrets, no paths */
};

/* Sets *e (may be NULL) and returns -1, so that `return err_set(e, …)` is the whole failure path. fmt NULL: the
 * code's own text. Text that does not fit is cut at a UTF-8 boundary. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#ifdef __clang_analyzer__
/* The analyzer does not look into err.c; without this it follows paths on which a failed call returns something else.
 */
#define err_set(...) (err_set(__VA_ARGS__), -1)
#endif

/* The code's name ("INVALID_REQUEST"), HTTP status and text. */
const char *err_name(enum err_code code);
int err_status(enum err_code code);
const char *err_text(enum err_code code);

/* Says why and aborts: for broken invariants and exhausted memory, never for input. */
_Noreturn void die(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
