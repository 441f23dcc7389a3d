/* Pull scanner for JSON on the path of every message: validates fully (RFC 8259, UTF-8, LIMIT_JSON_DEPTH) while it
 * looks for a few members, allocates nothing and recurses never. Fuzzed against cJSON, which is more lenient: it takes
 * a byte order mark, control characters inside strings, and numbers such as 01 or 1. and .5, all refused here; and
 * base/json.h refuses \u0000 and lone surrogates, which are taken here. */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum json_type { JSON_NONE, JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A value inside the text. `raw` is its exact text; for strings without the quotes. */
struct json_value {
    enum json_type type;
    bool escaped; /* string with backslashes: use json_unescape */
    struct str raw;
};

/* One member to look for. `path`: keys joined by dots, [0] for array elements: "payload.content",
 * "choices[0].delta.content"; "" is the root. Keys with '.' or '[' in them cannot be asked for. The first occurrence of
 * a repeated key wins, on every level. */
struct json_want {
    const char *path;
    struct json_value value; /* out: type JSON_NONE when absent */
};

/* Validates the whole text and fills the wants. The root's type goes to *root when not NULL. 0, or -1 with
 * INVALID_REQUEST and the position (the wants then hold nothing to rely on). n <= JSON_WANTS. */
#define JSON_WANTS 16
int json_scan(struct str text, struct json_want *wants, size_t n, enum json_type *root, struct err *e);

/* The string's characters. Without escapes the raw slice itself, else decoded and appended to scratch, the slice being
 * what was appended (lone surrogates become U+FFFD, \u0000 stays a NUL byte). STR_NONE when the value is no string or
 * scratch is full. */
struct str json_text(const struct json_value *v, struct buf *scratch);
/* The number; json_int takes 3.0 and 1e3 for integers. The fallback when the value is no number, or for json_int no
 * integer or past the range of int64_t. */
int64_t json_int(const struct json_value *v, int64_t fallback);
double json_double(const struct json_value *v, double fallback);

/* Walks the direct children of a validated array or object: of a value that json_scan or json_each gave.
 *   struct json_iter it = json_iter(&v); while (json_each(&it, &key, &child)) … */
struct json_iter {
    struct str rest;
    bool object;
};
struct json_iter json_iter(const struct json_value *container); /* of another type: no children */
/* key: a JSON_STRING for members of an object, JSON_NONE for array elements; may be NULL. */
bool json_each(struct json_iter *it, struct json_value *key, struct json_value *child);

#endif
