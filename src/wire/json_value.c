#include "wire/json_impl.h"

#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

/* The code point of \uXXXX or a surrogate pair at s, which starts at the backslash. */
static uint32_t take_unicode(struct str *s)
{
    uint32_t unit = s->n >= 6 ? (uint32_t)json_hex4(s->p + 2) : 0xFFFD;
    *s = str_from(*s, 6);
    if (unit < 0xD800 || unit > 0xDBFF || s->n < 6 || s->p[0] != '\\' || s->p[1] != 'u')
        return unit;
    uint32_t low = (uint32_t)json_hex4(s->p + 2);
    if (low < 0xDC00 || low > 0xDFFF)
        return unit;
    *s = str_from(*s, 6);
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

size_t json_take_char(struct str *s, char out[4])
{
    out[0] = s->p[0];
    if (out[0] != '\\' || s->n < 2) {
        *s = str_from(*s, 1);
        return 1;
    }
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char letter = s->p[1];
    if (letter == 'u')
        return utf8_put(out, take_unicode(s));
    const char *at = memchr(from, letter, sizeof from - 1);
    out[0] = at ? to[at - from] : letter;
    *s = str_from(*s, 2);
    return 1;
}

struct str json_text(const struct json_value *v, struct buf *scratch)
{
    if (v->type != JSON_STRING)
        return STR_NONE;
    if (!v->escaped)
        return v->raw;
    char *start = buf_reserve(scratch, v->raw.n), *to = start;
    if (!start)
        return STR_NONE;
    struct str rest = v->raw;
    while (rest.n) {
        const char *slash = memchr(rest.p, '\\', rest.n);
        size_t plain = slash ? (size_t)(slash - rest.p) : rest.n;
        memcpy(to, rest.p, plain);
        to += plain;
        rest = str_from(rest, plain);
        if (rest.n) {
            char utf8[4];
            size_t n = json_take_char(&rest, utf8);
            memcpy(to, utf8, n);
            to += n;
        }
    }
    buf_commit(scratch, (size_t)(to - start));
    return str_n(start, (size_t)(to - start));
}

double json_double(const struct json_value *v, double fallback)
{
    char digits[64];
    if (v->type != JSON_NUMBER)
        return fallback;
    if (v->raw.n >= sizeof digits) {
        char *copy = str_dup(v->raw);
        double value = strtod(copy, NULL);
        free(copy);
        return value;
    }
    str_copy(digits, sizeof digits, v->raw);
    return strtod(digits, NULL);
}

int64_t json_int(const struct json_value *v, int64_t fallback)
{
    int64_t value;
    if (v->type != JSON_NUMBER)
        return fallback;
    if (str_i64(v->raw, &value) == 0)
        return value;
    double wide = json_double(v, 0.5);
    return wide == trunc(wide) && wide >= -0x1p63 && wide < 0x1p63 ? (int64_t)wide : fallback;
}

struct json_iter json_iter(const struct json_value *container)
{
    bool object = container->type == JSON_OBJECT;
    if ((!object && container->type != JSON_ARRAY) || container->raw.n < 2)
        return (struct json_iter){.rest = STR_NONE};
    return (struct json_iter){.rest = str_n(container->raw.p + 1, container->raw.n - 2), .object = object};
}

/* Without the white space, commas and colons in front. */
static struct str skip_between(struct str s)
{
    size_t i = 0;
    while (i < s.n && (json_is_space(s.p[i]) || s.p[i] == ',' || s.p[i] == ':'))
        i++;
    return i ? str_from(s, i) : s;
}

/* Length of a string with both quotes. */
static size_t string_len(struct str s, bool *escaped)
{
    const char *p = s.p + 1, *end = s.p + s.n;
    *escaped = false;
    while ((p = json_plain_end(p, end)) < end && *p != '"') {
        bool slash = *p == '\\';
        *escaped |= slash;
        p += slash && end - p > 1 ? 2 : 1;
    }
    return (size_t)(p - s.p) + (p < end);
}

static size_t container_len(struct str s)
{
    size_t depth = 0, i = 0;
    bool escaped;
    while (i < s.n) {
        char c = s.p[i];
        if (c == '"') {
            i += string_len(str_from(s, i), &escaped);
            continue;
        }
        i++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            break;
    }
    return i;
}

static size_t word_len(struct str s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] != ',' && s.p[i] != '}' && s.p[i] != ']' && !json_is_space(s.p[i]))
        i++;
    return i;
}

/* Takes the value in front off *rest. */
static struct json_value take_value(struct str *rest)
{
    struct json_value v = {.type = json_type_of(rest->p[0])};
    size_t n;
    if (v.type == JSON_STRING) {
        n = string_len(*rest, &v.escaped);
        v.raw = str_n(rest->p + 1, n >= 2 ? n - 2 : 0);
    } else {
        n = v.type == JSON_OBJECT || v.type == JSON_ARRAY ? container_len(*rest) : word_len(*rest);
        v.raw = str_n(rest->p, n);
    }
    *rest = str_from(*rest, n);
    return v;
}

bool json_each(struct json_iter *it, struct json_value *key, struct json_value *child)
{
    struct json_value name = {0};
    it->rest = skip_between(it->rest);
    if (it->rest.n == 0)
        return false;
    if (it->object) {
        name = take_value(&it->rest);
        it->rest = skip_between(it->rest);
        if (it->rest.n == 0)
            return false;
    }
    *child = take_value(&it->rest);
    if (key)
        *key = name;
    return true;
}
