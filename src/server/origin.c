#include "server/origin.h"

#define ORIGIN_MAX 255

static bool has_only(struct str s, const char *marks)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (!c || !strchr(marks, c)))
            return false;
    }
    return s.n > 0;
}

/* Splits "scheme://authority"; false when it is not that, or holds bytes no origin has. */
static bool split_origin(struct str origin, struct str *scheme, struct str *authority)
{
    ptrdiff_t at = str_find(origin, STR("://"));
    if (at <= 0 || origin.n > ORIGIN_MAX)
        return false;
    *scheme = str_n(origin.p, (size_t)at);
    *authority = str_from(origin, (size_t)at + 3);
    return has_only(*scheme, "+-.") && has_only(*authority, ".-_:[]");
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

bool origin_matches(struct str pattern, struct str origin)
{
    struct str scheme, authority;
    if (str_eq(pattern, STR("*")))
        return str_eq(origin, STR("null")) || split_origin(origin, &scheme, &authority);
    if (!split_origin(origin, &scheme, &authority))
        return false;
    if (!str_ends(pattern, STR(":*")))
        return str_ieq(pattern, origin);
    struct str host = str_n(pattern.p, pattern.n - 2);
    if (origin.n < host.n || !str_ieq(host, str_n(origin.p, host.n)))
        return false;
    struct str rest = str_from(origin, host.n);
    return rest.n == 0 || (rest.p[0] == ':' && all_digits(str_from(rest, 1)));
}

bool origin_allowed(const char *const *patterns, size_t n, struct str origin)
{
    for (size_t i = 0; i < n; i++)
        if (origin_matches(str_c(patterns[i]), origin))
            return true;
    return false;
}

static struct str without_port(struct str authority, struct str port)
{
    return str_ends(authority, port) ? str_n(authority.p, authority.n - port.n) : authority;
}

bool origin_is_host(struct str origin, struct str host)
{
    struct str scheme, authority;
    if (!host.n || !split_origin(origin, &scheme, &authority))
        return false;
    struct str port = str_ieq(scheme, STR("https"))  ? STR(":443")
                      : str_ieq(scheme, STR("http")) ? STR(":80")
                                                     : STR_NONE;
    return port.n && str_ieq(without_port(authority, port), without_port(host, port));
}
