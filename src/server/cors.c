#include "server/cors.h"

#define METHODS "GET, POST, PUT, PATCH, DELETE, OPTIONS"
#define MAX_AGE "7200" /* what Chromium caps it to */
#define EXPOSED "Link, X-Next-Cursor, X-Request-Id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After"

static int put_line(struct buf *out, struct str name, struct str value)
{
    char *to = buf_reserve(out, name.n + value.n + 2);
    if (!to)
        return -1;
    memcpy(to, name.p, name.n);
    memcpy(to + name.n, value.p, value.n);
    memcpy(to + name.n + value.n, "\r\n", 2);
    buf_commit(out, name.n + value.n + 2);
    return 0;
}

static int put_origin(struct buf *out, struct str origin)
{
    if (put_line(out, STR("Access-Control-Allow-Origin: "), origin) < 0)
        return -1;
    return buf_lit(out, "Access-Control-Allow-Credentials: true\r\n");
}

int cors_put(struct buf *out, struct str origin)
{
    if (!origin.n)
        return 0;
    if (put_origin(out, origin) < 0)
        return -1;
    return buf_lit(out, "Access-Control-Expose-Headers: " EXPOSED "\r\n");
}

bool cors_is_preflight(const struct http_head *head)
{
    return head->method == HTTP_OPTIONS && http_header(head, STR("origin")).n &&
           http_header(head, STR("access-control-request-method")).n;
}

/* Field names and commas: what is echoed must not be able to mean anything else. */
static bool is_name_list(struct str s)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_., ";
    for (size_t i = 0; i < s.n; i++)
        if (!memchr(allowed, s.p[i], sizeof allowed - 1))
            return false;
    return s.n > 0;
}

int cors_put_preflight(struct buf *out, struct str origin, const struct http_head *head)
{
    if (buf_lit(out, "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n") < 0)
        return -1;
    if (!origin.n)
        return 0;
    if (put_origin(out, origin) < 0 ||
        buf_lit(out, "Access-Control-Allow-Methods: " METHODS "\r\nAccess-Control-Max-Age: " MAX_AGE "\r\n") < 0)
        return -1;
    struct str headers = http_header(head, STR("access-control-request-headers"));
    if (is_name_list(headers) && put_line(out, STR("Access-Control-Allow-Headers: "), headers) < 0)
        return -1;
    if (str_ieq(http_header(head, STR("access-control-request-private-network")), STR("true")))
        return buf_lit(out, "Access-Control-Allow-Private-Network: true\r\n");
    return 0;
}
