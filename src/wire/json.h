/* Pull scanner for JSON on the path of every message: validates fully (RFC 8259, UTF-8, LIMIT_JSON_DEPTH) while it
 * looks for a few members, allocates nothing and recurses never. Fuzzed against cJSON. */
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
 * "choices[0].delta.content". The first occurrence of a repeated key wins. */
struct json_want {
    const char *path;
    struct json_value value; /* out: type JSON_NONE when absent */
};

/* Validates the whole text and fills the wants. The root's type goes to *root when not NULL. 0, or -1 with
 * INVALID_REQUEST and the position. n <= 16. */
int json_scan(struct str text, struct json_want *wants, size_t n, enum json_type *root, struct err *e);

/* The string's characters. Without escapes the raw slice itself, else decoded into scratch (lone surrogates become
 * U+FFFD, \u0000 stays a NUL byte). STR_NONE when the value is no string or scratch is full. */
struct str json_text(const struct json_value *v, struct buf *scratch);
int64_t json_int(const struct json_value *v, int64_t fallback);
double json_double(const struct json_value *v, double fallback);

/* Walks the direct children of a validated array or object. Zero `it.at` to begin.
 *   struct json_iter it = json_iter(v.raw); while (json_each(&it, &key, &child)) … */
struct json_iter {
    struct str rest;
    bool object;
};
struct json_iter json_iter(const struct json_value *container);
bool json_each(struct json_iter *it, struct json_value *key, struct json_value *child);

#endif
