#include "wire/http_impl.h"

static int bad(struct err *e, const char *why)
{
    return err_set(e, ERR_UPSTREAM, "Malformed reply: %s", why);
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 101 Switching Protocols"; the reason, and the space before it, may be missing. */
static int parse_status_line(struct http_reply_head *head, const char **at, const char *end, struct err *e)
{
    const char *p = *at;
    if (end - p < 14 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') || p[8] != ' ' || !digit(p[9]) ||
        !digit(p[10]) || !digit(p[11]) || (p[12] != ' ' && p[12] != '\r'))
        return bad(e, "it does not begin with an HTTP/1 status line");
    head->minor = (unsigned)(p[7] - '0');
    head->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    if (head->status < 100)
        return bad(e, "the status is no status");
    p += 12;
    while (p < end && http_char_is(*p, HTTP_CHAR_VALUE))
        p++;
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n')
        return bad(e, "the status line holds a control character");
    *at = p + 2;
    return 0;
}

/* More than one word about the length of the body, and the words may differ: nothing can be trusted then. */
static int framing(struct http_reply_head *head, struct err *e)
{
    unsigned lengths = http_reply_field_count(head, STR("content-length"));
    unsigned codings = http_reply_field_count(head, STR("transfer-encoding"));
    if (lengths + codings > 1)
        return bad(e, "more than one header says how long the body is");
    if (codings && !str_ieq(http_reply_field(head, STR("transfer-encoding")), STR("chunked")))
        return bad(e, "the only transfer coding known here is chunked");
    if (lengths && str_u64(http_reply_field(head, STR("content-length")), &head->length) < 0)
        return bad(e, "Content-Length is not a number");
    if (head->status < 200 || head->status == 204 || head->status == 304)
        return 0;
    head->until_close = !lengths && !codings;
    head->body = codings ? HTTP_BODY_CHUNKED : head->length ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    return 0;
}

/* The head between p and end, which are its bounds. */
static int parse(struct http_reply_head *head, const char *p, const char *end, struct err *e)
{
    if (parse_status_line(head, &p, end, e) < 0)
        return -1;
    while (end - p > 2) {
        if (head->nheaders == LIMIT_HTTP_HEADERS)
            return bad(e, "too many headers");
        if (http_field_parse(&head->headers[head->nheaders], &p, end, NULL) != 1)
            return bad(e, "a header line is not \"name: value\"");
        head->nheaders++;
    }
    return framing(head, e);
}

ptrdiff_t http_reply_head_parse(struct http_reply_head *head, struct str p, struct err *e)
{
    static const char start[] = "HTTP/1.";
    if (memcmp(p.p, start, MIN(p.n, sizeof start - 1)) != 0)
        return bad(e, "it is not HTTP/1");
    struct str looked = {p.p, MIN(p.n, LIMIT_HTTP_HEAD)};
    ptrdiff_t found = str_find(looked, STR("\r\n\r\n"));
    if (found < 0)
        return looked.n == LIMIT_HTTP_HEAD ? bad(e, "its head is too long") : 0;
    memset(head, 0, offsetof(struct http_reply_head, headers));
    return parse(head, p.p, p.p + found + 4, e) < 0 ? -1 : found + 4;
}

struct str http_reply_field(const struct http_reply_head *head, struct str name)
{
    for (size_t i = 0; i < head->nheaders; i++)
        if (http_token_is(head->headers[i].name, name))
            return head->headers[i].value;
    return STR_NONE;
}

unsigned http_reply_field_count(const struct http_reply_head *head, struct str name)
{
    unsigned n = 0;
    for (size_t i = 0; i < head->nheaders; i++)
        n += http_token_is(head->headers[i].name, name);
    return n;
}
