#include "wire/http.h"

#include "base/utf8.h"

const char *http_status_line(int status)
{
    switch (status) {
#define LINE(code, text)                                                                                               \
    case code:                                                                                                         \
        return #code " " text
        LINE(100, "Continue");
        LINE(101, "Switching Protocols");
        LINE(200, "OK");
        LINE(201, "Created");
        LINE(202, "Accepted");
        LINE(204, "No Content");
        LINE(206, "Partial Content");
        LINE(301, "Moved Permanently");
        LINE(302, "Found");
        LINE(303, "See Other");
        LINE(304, "Not Modified");
        LINE(307, "Temporary Redirect");
        LINE(308, "Permanent Redirect");
        LINE(400, "Bad Request");
        LINE(401, "Unauthorized");
        LINE(402, "Payment Required");
        LINE(403, "Forbidden");
        LINE(404, "Not Found");
        LINE(405, "Method Not Allowed");
        LINE(406, "Not Acceptable");
        LINE(408, "Request Timeout");
        LINE(409, "Conflict");
        LINE(410, "Gone");
        LINE(411, "Length Required");
        LINE(412, "Precondition Failed");
        LINE(413, "Content Too Large");
        LINE(414, "URI Too Long");
        LINE(415, "Unsupported Media Type");
        LINE(416, "Range Not Satisfiable");
        LINE(417, "Expectation Failed");
        LINE(421, "Misdirected Request");
        LINE(422, "Unprocessable Content");
        LINE(424, "Failed Dependency");
        LINE(425, "Too Early");
        LINE(426, "Upgrade Required");
        LINE(428, "Precondition Required");
        LINE(429, "Too Many Requests");
        LINE(431, "Request Header Fields Too Large");
        LINE(499, "Client Closed Request");
        LINE(501, "Not Implemented");
        LINE(502, "Bad Gateway");
        LINE(503, "Service Unavailable");
        LINE(504, "Gateway Timeout");
        LINE(505, "HTTP Version Not Supported");
        LINE(507, "Insufficient Storage");
#undef LINE
    default:
        return "500 Internal Server Error";
    }
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Takes one character off *s: the byte (0..255), or -1 on a malformed escape. *escaped says how it was written. */
static int take_char(struct str *s, bool plus, bool *escaped)
{
    char c = s->p[0];
    *escaped = c == '%';
    if (c != '%') {
        *s = str_from(*s, 1);
        return plus && c == '+' ? ' ' : (unsigned char)c;
    }
    int high = s->n >= 3 ? hex(s->p[1]) : -1, low = s->n >= 3 ? hex(s->p[2]) : -1;
    if (high < 0 || low < 0)
        return -1;
    *s = str_from(*s, 3);
    return high << 4 | low;
}

enum decode { WHOLE_PATH, SEGMENT, PARAMETER };

static int decode(struct buf *out, struct str s, enum decode how)
{
    buf_clear(out);
    char *to = buf_reserve(out, s.n + 1);
    size_t n = 0;
    if (!to)
        return -1;
    while (s.n) {
        bool escaped;
        int c = take_char(&s, how == PARAMETER, &escaped);
        if (c < 0 || (c == 0 && how != PARAMETER) || (c == '/' && how == SEGMENT))
            return -1;
        to[n++] = (char)c;
    }
    if (!utf8_valid(str_n(to, n)))
        return -1;
    buf_commit(out, n);
    buf_cstr(out);
    return 0;
}

int http_path_decode(struct buf *out, struct str s, bool segment)
{
    return decode(out, s, segment ? SEGMENT : WHOLE_PATH);
}

/* Whether the encoded parameter name is `name`. */
static bool name_is(struct str encoded, struct str name)
{
    while (encoded.n && name.n) {
        bool escaped;
        if (take_char(&encoded, true, &escaped) != (unsigned char)name.p[0])
            return false;
        name = str_from(name, 1);
    }
    return encoded.n == 0 && name.n == 0;
}

/* `name=value`, still encoded. */
static struct str take_name(struct str *pair)
{
    ptrdiff_t eq = str_find_char(*pair, '=');
    struct str name = eq < 0 ? *pair : str_n(pair->p, (size_t)eq);
    *pair = eq < 0 ? str_n(pair->p + pair->n, 0) : str_from(*pair, (size_t)eq + 1);
    return name;
}

int http_query_get(struct buf *out, struct str query, struct str name)
{
    struct str pair;
    while (str_split(&query, '&', &pair))
        if (name_is(take_name(&pair), name))
            return decode(out, pair, PARAMETER) < 0 ? -1 : 1;
    return 0;
}

int http_query_next(struct str *query, struct buf *name, struct buf *value)
{
    struct str pair = STR("");
    while (!pair.n)
        if (!str_split(query, '&', &pair))
            return 0;
    bool good = decode(name, take_name(&pair), PARAMETER) == 0 && decode(value, pair, PARAMETER) == 0;
    return good ? 1 : -1;
}
