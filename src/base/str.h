/* Slices of bytes: pointer and length, not owned, not terminated unless said. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
/* For printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline struct str str_c(const char *c)
{
    return (struct str){c, c ? strlen(c) : 0};
}

static inline struct str str_n(const void *p, size_t n)
{
    return (struct str){p, n};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eqc(struct str a, const char *c)
{
    return str_eq(a, str_c(c));
}

static inline struct str str_from(struct str s, size_t skip)
{
    size_t n = skip < s.n ? skip : s.n;
    return n ? (struct str){s.p + n, s.n - n} : s; /* NULL + 0 is undefined in C */
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* ASCII case-insensitive equality (header names, tokens). */
bool str_ieq(struct str a, struct str b);
/* Orders like strcmp; a prefix sorts first. */
int str_cmp(struct str a, struct str b);
/* Without leading and trailing spaces, tabs, CR and LF. */
struct str str_trim(struct str s);
/* Position of the byte or the needle, -1 when absent. An empty needle is found at 0. */
ptrdiff_t str_find_char(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str needle);
/* Takes the piece before `sep` off *rest into *piece; false when *rest is used up (rest->p is then NULL). */
bool str_split(struct str *rest, char sep, struct str *piece);
/* Whether a comma-separated header value names `token` (ASCII case-insensitive, parameters after ';' ignored). */
bool str_list_has(struct str list, struct str token);
/* Decimal digits only, no sign, no space. 0, or -1 on anything else or overflow; *out untouched then. */
int str_u64(struct str s, uint64_t *out);
/* As str_u64 with an optional leading minus. */
int str_i64(struct str s, int64_t *out);
/* NUL-terminated malloc'd copy; the caller frees it. */
char *str_dup(struct str s);
/* Copies and terminates; cuts at cap - 1 bytes on a UTF-8 boundary. Returns the bytes copied. cap 0: writes nothing. */
size_t str_copy(char *out, size_t cap, struct str s);
/* Lower-case hex of n bytes into out (2n + 1 bytes, terminated). */
void hex_encode(char *out, const void *bytes, size_t n);

#endif
