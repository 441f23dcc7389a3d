#include "base/str.h"

#include "base/macros.h"
#include "base/mem.h"
#include "base/utf8.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_ieq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n && is_space(s.p[0]))
        s = str_from(s, 1);
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

ptrdiff_t str_find_char(struct str s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? hit - s.p : -1;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    const char *hit = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return hit ? hit - s.p : -1;
}

bool str_split(struct str *rest, char sep, struct str *piece)
{
    if (!rest->p)
        return false;
    ptrdiff_t at = str_find_char(*rest, sep);
    if (at < 0) {
        *piece = *rest;
        *rest = STR_NONE;
        return true;
    }
    *piece = (struct str){rest->p, (size_t)at};
    *rest = str_from(*rest, (size_t)at + 1);
    return true;
}

bool str_list_has(struct str list, struct str token)
{
    struct str piece;
    while (str_split(&list, ',', &piece)) {
        ptrdiff_t params = str_find_char(piece, ';');
        if (params >= 0)
            piece.n = (size_t)params;
        if (str_ieq(str_trim(piece), token))
            return true;
    }
    return false;
}

int str_u64(struct str s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.n == 0)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10U, &value) || __builtin_add_overflow(value, digit, &value))
            return -1;
    }
    *out = value;
    return 0;
}

int str_i64(struct str s, int64_t *out)
{
    uint64_t value;
    bool negative = s.n && s.p[0] == '-';
    if (str_u64(str_from(s, negative), &value) < 0 || value > (uint64_t)INT64_MAX + negative)
        return -1;
    *out = (int64_t)(negative ? 0 - value : value);
    return 0;
}

char *str_dup(struct str s)
{
    char *copy = mem_alloc(s.n + 1);
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = 0;
    return copy;
}

size_t str_copy(char *out, size_t cap, struct str s)
{
    if (cap == 0)
        return 0;
    size_t n = s.n < cap ? s.n : utf8_floor(s.p, cap - 1);
    if (n)
        memcpy(out, s.p, n);
    out[n] = 0;
    return n;
}

void hex_encode(char *out, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * n] = 0;
}
