#include "wire/json_impl.h"

#include "base/limits.h"

/* What remains of one want's path. It is matched once per level, so it only ever moves forward. */
struct path {
    const char *at; /* the segment to match next */
    size_t len;
    bool indexed; /* "[n]" */
    uint32_t index;
};

/* An open container. Masks have one bit per want. */
struct frame {
    uint16_t inside;  /* wants whose path leads into it, not matched yet */
    uint16_t whole;   /* wants whose value it is */
    uint32_t element; /* of an array: the one at hand */
    bool object;
};

struct scan {
    const char *p, *end, *start;
    const char *why; /* of a failure at p; NULL: the byte there */
    struct json_want *wants;
    uint16_t hit;    /* wants whose value comes next */
    uint16_t inside; /* wants whose path leads into the value that comes next */
    size_t depth;
    struct path paths[JSON_WANTS];
    struct frame frames[LIMIT_JSON_DEPTH];
};

static void read_segment(struct path *path)
{
    const char *at = path->at;
    path->indexed = *at == '[';
    path->index = 0;
    if (!path->indexed) {
        while (*at && *at != '.' && *at != '[')
            at++;
    } else {
        for (at++; *at >= '0' && *at <= '9'; at++)
            path->index = path->index * 10 + (uint32_t)(*at - '0');
        at += *at == ']';
    }
    path->len = (size_t)(at - path->at);
}

/* Want w matched the level at hand: its value comes next, or its path leads into what comes next. */
static void matched(struct scan *s, unsigned w)
{
    struct path *path = &s->paths[w];
    path->at += path->len;
    if (!*path->at) {
        s->hit |= (uint16_t)(1U << w);
        return;
    }
    path->at += *path->at == '.';
    read_segment(path);
    s->inside |= (uint16_t)(1U << w);
}

static bool key_is(const struct path *path, struct str key, bool escaped)
{
    if (path->indexed)
        return false;
    if (!escaped)
        return path->len == key.n && memcmp(path->at, key.p, key.n) == 0;
    size_t at = 0;
    while (key.n) {
        char utf8[4];
        size_t n = json_take_char(&key, utf8);
        if (path->len - at < n || memcmp(path->at + at, utf8, n) != 0)
            return false;
        at += n;
    }
    return at == path->len;
}

static void match_key(struct scan *s, struct frame *f, struct str key, bool escaped)
{
    s->hit = s->inside = 0;
    for (unsigned left = f->inside; left; left &= left - 1) {
        unsigned w = (unsigned)__builtin_ctz(left);
        if (!key_is(&s->paths[w], key, escaped))
            continue;
        f->inside &= (uint16_t) ~(1U << w);
        matched(s, w);
    }
}

static void match_element(struct scan *s, struct frame *f)
{
    s->hit = s->inside = 0;
    for (unsigned left = f->inside; left; left &= left - 1) {
        unsigned w = (unsigned)__builtin_ctz(left);
        if (!s->paths[w].indexed || s->paths[w].index != f->element)
            continue;
        f->inside &= (uint16_t) ~(1U << w);
        matched(s, w);
    }
}

static void give(struct scan *s, unsigned mask, struct json_value value)
{
    for (; mask; mask &= mask - 1)
        s->wants[__builtin_ctz(mask)].value = value;
}

static inline void skip_space(struct scan *s)
{
    while (s->p < s->end && json_is_space(*s->p))
        s->p++;
}

static inline bool next_is(struct scan *s, char c)
{
    skip_space(s);
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

/* One character of two to four bytes; p stays at its start when it is wrong. */
static inline bool skip_utf8(struct scan *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    size_t left = (size_t)(s->end - s->p);
    size_t n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (p[0] < 0xC2 || p[0] > 0xF4 || left < n)
        return false;
    unsigned low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high || (n > 2 && (p[2] & 0xC0) != 0x80) || (n > 3 && (p[3] & 0xC0) != 0x80))
        return false;
    s->p += n;
    return true;
}

static bool skip_escape(struct scan *s)
{
    if (s->end - s->p < 2) {
        s->p = s->end;
        return false;
    }
    switch (s->p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        s->p += 2;
        return true;
    case 'u':
        if (s->end - s->p < 6 || json_hex4(s->p + 2) < 0)
            return false;
        s->p += 6;
        return true;
    default:
        return false;
    }
}

/* p is behind the opening quote; afterwards behind the closing one. */
static inline bool scan_string(struct scan *s, struct json_value *v)
{
    const char *start = s->p;
    *v = (struct json_value){.type = JSON_STRING};
    for (;;) {
        s->p = json_plain_end(s->p, s->end);
        if (s->p == s->end)
            return false;
        unsigned char c = (unsigned char)*s->p;
        if (c == '"')
            break;
        if (c == '\\') {
            v->escaped = true;
            if (!skip_escape(s))
                return false;
        } else if (c < 0x20 || !skip_utf8(s)) {
            return false;
        }
    }
    v->raw = str_n(start, (size_t)(s->p - start));
    s->p++;
    return true;
}

static inline size_t skip_digits(struct scan *s)
{
    const char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return (size_t)(s->p - from);
}

static inline bool scan_number(struct scan *s, struct json_value *v)
{
    const char *start = s->p;
    s->p += *s->p == '-';
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!skip_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!skip_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p | 0x20) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        if (!skip_digits(s))
            return false;
    }
    *v = (struct json_value){.type = JSON_NUMBER, .raw = str_n(start, (size_t)(s->p - start))};
    return true;
}

static bool scan_word(struct scan *s, struct json_value *v, struct str word, enum json_type type)
{
    if (!str_starts(str_n(s->p, (size_t)(s->end - s->p)), word))
        return false;
    *v = (struct json_value){.type = type, .raw = str_n(s->p, word.n)};
    s->p += word.n;
    return true;
}

/* A value that is no container. */
static inline bool scan_scalar(struct scan *s, struct json_value *v)
{
    switch (*s->p) {
    case '"':
        s->p++;
        return scan_string(s, v);
    case 't':
        return scan_word(s, v, STR("true"), JSON_TRUE);
    case 'f':
        return scan_word(s, v, STR("false"), JSON_FALSE);
    case 'n':
        return scan_word(s, v, STR("null"), JSON_NULL);
    default:
        return (*s->p == '-' || (*s->p >= '0' && *s->p <= '9')) && scan_number(s, v);
    }
}

static bool open_container(struct scan *s)
{
    if (s->depth == LIMIT_JSON_DEPTH) {
        s->why = "JSON is nested too deep";
        return false;
    }
    bool object = *s->p == '{';
    s->frames[s->depth++] = (struct frame){.inside = s->inside, .whole = s->hit, .object = object};
    if (s->hit)
        give(s, s->hit,
             (struct json_value){.type = object ? JSON_OBJECT : JSON_ARRAY,
                                 .raw = str_n(s->p, (size_t)(s->end - s->p))});
    s->p++;
    return true;
}

/* p is behind the closing bracket. */
static void close_container(struct scan *s)
{
    for (unsigned left = s->frames[--s->depth].whole; left; left &= left - 1) {
        struct str *raw = &s->wants[__builtin_ctz(left)].value.raw;
        raw->n = (size_t)(s->p - raw->p);
    }
}

/* Up to the value of the next member or element of the innermost container. */
static inline bool enter_child(struct scan *s)
{
    struct frame *f = &s->frames[s->depth - 1];
    struct json_value key;
    if (!f->object) {
        match_element(s, f);
        return true;
    }
    if (!next_is(s, '"') || !scan_string(s, &key))
        return false;
    match_key(s, f, key.raw, key.escaped);
    return next_is(s, ':');
}

/* Behind a value: closes what ends here. 1 when another value follows, 0 at the end of the root, -1. */
static inline int leave_value(struct scan *s)
{
    while (s->depth) {
        struct frame *f = &s->frames[s->depth - 1];
        if (next_is(s, ',')) {
            f->element++;
            return enter_child(s) ? 1 : -1;
        }
        if (s->p == s->end || *s->p != (f->object ? '}' : ']'))
            return -1;
        s->p++;
        close_container(s);
    }
    return 0;
}

/* The value at p and all that ends with it; results as leave_value. */
static inline int scan_value(struct scan *s)
{
    skip_space(s);
    if (s->p == s->end)
        return -1;
    if (*s->p == '{' || *s->p == '[') {
        char closing = *s->p == '{' ? '}' : ']';
        if (!open_container(s))
            return -1;
        if (!next_is(s, closing))
            return enter_child(s) ? 1 : -1;
        close_container(s);
        return leave_value(s);
    }
    struct json_value v;
    if (!scan_scalar(s, &v))
        return -1;
    if (s->hit)
        give(s, s->hit, v);
    return leave_value(s);
}

static int fail(const struct scan *s, struct err *e)
{
    if (s->why)
        return err_set(e, ERR_INVALID_REQUEST, "%s", s->why);
    if (s->p == s->end)
        return err_set(e, ERR_INVALID_REQUEST, "Unexpected end of JSON input");
    return err_set(e, ERR_INVALID_REQUEST, "Unexpected token in JSON at position %zu", (size_t)(s->p - s->start));
}

static void begin(struct scan *s, struct str text, struct json_want *wants, size_t n)
{
    s->p = s->start = text.p ? text.p : "";
    s->end = s->p + text.n;
    s->why = NULL;
    s->wants = wants;
    s->hit = s->inside = 0;
    s->depth = 0;
    for (unsigned w = 0; w < n; w++) {
        wants[w].value = (struct json_value){0};
        s->paths[w] = (struct path){.at = wants[w].path};
        matched(s, w);
    }
}

int json_scan(struct str text, struct json_want *wants, size_t n, enum json_type *root, struct err *e)
{
    struct scan s;
    if (n > JSON_WANTS)
        die("json_scan: %zu wants", n);
    begin(&s, text, wants, n);
    skip_space(&s);
    char first = s.p < s.end ? *s.p : 0;
    int got = scan_value(&s);
    while (got == 1)
        got = scan_value(&s);
    skip_space(&s);
    if (got < 0 || s.p != s.end)
        return fail(&s, e);
    if (root)
        *root = json_type_of(first);
    return 0;
}
