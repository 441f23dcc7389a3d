#include "wire/url.h"

#include "wire/base64.h"
#include "wire/http.h"
#include "wire/http_chars.h"

#define HOST_MAX 255

static bool all(struct str s, int class)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_char_is(s.p[i], class))
            return false;
    return true;
}

static bool host_char(char c, bool ipv6)
{
    bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '.';
    return hex || (ipv6 ? c == ':' : (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z') || c == '-' || c == '_');
}

static int set_port(struct url *u, struct str text)
{
    uint64_t port;
    if (text.n == 0 || str_eq(text, STR(":")))
        return 0;
    if (text.p[0] != ':' || str_u64(str_from(text, 1), &port) < 0 || port == 0 || port > UINT16_MAX)
        return -1;
    u->port = (uint16_t)port;
    return 0;
}

/* "host:port", "[::1]:port" */
static int set_host(struct url *u, struct str text)
{
    u->ipv6 = str_starts(text, STR("["));
    ptrdiff_t end = str_find_char(text, u->ipv6 ? ']' : ':');
    if (u->ipv6 && end < 0)
        return -1;
    size_t n = end < 0 ? text.n : (size_t)end;
    u->host = u->ipv6 ? (struct str){text.p + 1, n - 1} : (struct str){text.p, n};
    if (u->host.n == 0 || u->host.n > HOST_MAX)
        return -1;
    for (size_t i = 0; i < u->host.n; i++)
        if (!host_char(u->host.p[i], u->ipv6))
            return -1;
    return set_port(u, str_from(text, u->ipv6 ? n + 1 : n));
}

int url_split(struct url *out, struct str text)
{
    struct url u = {.scheme = STR(""), .user = STR_NONE};
    ptrdiff_t colon = str_find(text, STR("://"));
    if (colon >= 0) {
        u.scheme = (struct str){text.p, (size_t)colon};
        text = str_from(text, (size_t)colon + 3);
    }
    size_t n = 0;
    while (n < text.n && text.p[n] != '/' && text.p[n] != '?' && text.p[n] != '#')
        n++;
    struct str authority = {text.p, n};
    u.target = str_from(text, n);
    for (size_t i = authority.n; i-- > 0;) {
        if (authority.p[i] != '@')
            continue;
        u.user = (struct str){authority.p, i};
        authority = str_from(authority, i + 1);
        break;
    }
    if (!all(u.scheme, HTTP_CHAR_TOKEN) || !all(u.user, HTTP_CHAR_TARGET) || !all(u.target, HTTP_CHAR_TARGET) ||
        set_host(&u, authority) < 0)
        return -1;
    *out = u;
    return 0;
}

int url_basic_auth(struct buf *out, struct str user)
{
    struct buf plain = BUF_INIT(user.n + 2);
    size_t before = out->len;
    int result = http_path_decode(&plain, user, false);
    if (result == 0 && str_find_char(user, ':') < 0)
        result = buf_byte(&plain, ':');
    if (result == 0 && (buf_lit(out, "Basic ") < 0 || base64_put(out, buf_str(&plain), false) < 0)) {
        out->len = before;
        result = -1;
    }
    buf_free(&plain);
    return result;
}

void url_put_encoded(struct buf *out, struct str s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < s.n; i++) {
        if (memchr(plain, s.p[i], sizeof plain - 1))
            buf_byte(out, s.p[i]);
        else
            buf_addf(out, "%%%02X", (unsigned char)s.p[i]);
    }
}
