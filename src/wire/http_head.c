#include "wire/http_impl.h"

#define MAX_EMPTY_LINES 4 /* in front of a request */

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* What the fields that matter to framing said, collected over all lines. */
struct fields {
    struct str length, coding;
    unsigned hosts, lengths, codings;
    bool close, keep_alive, upgrade_named, upgrade_there;
};

static const struct str methods[HTTP_METHODS] = {
    [HTTP_GET] = {"GET", 3},         [HTTP_HEAD] = {"HEAD", 4},   [HTTP_POST] = {"POST", 4},
    [HTTP_PUT] = {"PUT", 3},         [HTTP_PATCH] = {"PATCH", 5}, [HTTP_DELETE] = {"DELETE", 6},
    [HTTP_OPTIONS] = {"OPTIONS", 7}, [HTTP_OTHER] = {"", 0},
};

const char *http_method_name(enum http_method method)
{
    return methods[method].p;
}

static int bad(struct err *e, const char *why)
{
    return err_set(e, ERR_INVALID_REQUEST, "Malformed request: %s", why);
}

static int refuse(struct err *e, int status, const char *why)
{
    err_set(e, ERR_INVALID_REQUEST, "%s", why);
    if (e)
        e->status = status;
    return -1;
}

static enum http_method method_of(struct str text)
{
    for (int m = 0; m < HTTP_OTHER; m++)
        if (str_eq(text, methods[m]))
            return (enum http_method)m;
    return HTTP_OTHER;
}

/* First byte that is no field-value character. Eight at a time: the lowest marked byte of a word is exact, borrows only
 * spoil those above. A tab is marked too, but is fine. */
static const char *value_end(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        uint64_t del = w ^ (ONES * 0x7F);
        uint64_t hit = (((w - ONES * 0x20) & ~w) | ((del - ONES) & ~del)) & HIGHS;
        if (!hit) {
            p += 8;
            continue;
        }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        p += __builtin_ctzll(hit) >> 3;
#endif
        if (!http_char_is(*p, HTTP_CHAR_VALUE))
            return p;
        p++;
    }
    while (p < end && http_char_is(*p, HTTP_CHAR_VALUE))
        p++;
    return p;
}

static bool all(struct str s, int class)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_char_is(s.p[i], class))
            return false;
    return true;
}

/* Absolute form "http://authority/path": target becomes the path, host the authority. */
static int absolute_form(struct http_head *head, struct err *e)
{
    struct str t = head->target;
    size_t scheme = t.n > 7 && http_token_is((struct str){t.p, 4}, STR("http")) ? 4 : 0;
    if (scheme && (t.p[4] | 0x20) == 's')
        scheme = 5;
    if (!scheme || !str_starts(str_from(t, scheme), STR("://")))
        return bad(e, "the target is neither a path nor a URL");
    struct str rest = str_from(t, scheme + 3);
    ptrdiff_t slash = str_find_char(rest, '/');
    head->host = (struct str){rest.p, slash < 0 ? rest.n : (size_t)slash};
    /* Without a path the target is "/": the slash before the authority stands in for it. */
    head->target = slash < 0 ? (struct str){rest.p - 1, 1} : str_from(rest, (size_t)slash);
    if (head->host.n == 0 || !all(head->host, HTTP_CHAR_HOST))
        return bad(e, "the target's authority is not valid");
    return 0;
}

static int check_target(struct http_head *head, struct err *e)
{
    struct str t = head->target;
    if (t.n == 0)
        return bad(e, "the target is missing");
    if (t.p[0] == '*' && t.n == 1 && head->method != HTTP_OPTIONS)
        return bad(e, "\"*\" is for OPTIONS only");
    if (t.p[0] != '/' && !(t.p[0] == '*' && t.n == 1) && absolute_form(head, e) < 0)
        return -1;
    t = head->target;
    ptrdiff_t mark = str_find_char(t, '?');
    head->path = mark < 0 ? t : (struct str){t.p, (size_t)mark};
    head->query = mark < 0 ? (struct str){t.p + t.n, 0} : str_from(t, (size_t)mark + 1);
    return 0;
}

static int parse_version(struct http_head *head, const char *p, struct err *e)
{
    if (memcmp(p, "HTTP/", 5) != 0 || p[6] != '.' || p[8] != '\r' || p[9] != '\n' || p[5] < '0' || p[5] > '9' ||
        p[7] < '0' || p[7] > '9')
        return bad(e, "the request line does not end in the HTTP version");
    if (p[5] != '1' || p[7] > '1')
        return refuse(e, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here");
    head->minor = (unsigned)(p[7] - '0');
    return 0;
}

/* 1 and *at behind the line, 0 when it is not complete, -1. */
static int parse_request_line(struct http_head *head, const char **at, const char *end, struct err *e)
{
    const char *p = *at;
    while (p < end && http_char_is(*p, HTTP_CHAR_TOKEN))
        p++;
    if (p == end)
        return 0;
    if (*p != ' ' || p == *at)
        return bad(e, "the method is not a token");
    head->method_text = str_n(*at, (size_t)(p - *at));
    head->method = method_of(head->method_text);

    const char *target = ++p;
    while (p < end && http_char_is(*p, HTTP_CHAR_TARGET))
        p++;
    head->target = str_n(target, (size_t)(p - target));
    if (head->target.n > LIMIT_HTTP_TARGET)
        return err_set(e, ERR_TARGET_TOO_LONG, NULL);
    if (p == end)
        return 0;
    if (*p != ' ')
        return bad(e, "the target holds a character that must be percent-encoded, or the version is missing");
    if (end - ++p < 10)
        return 0;
    if (parse_version(head, p, e) < 0 || check_target(head, e) < 0)
        return -1;
    *at = p + 10;
    return 1;
}

static void note_connection(struct fields *f, struct str value)
{
    /* What most clients send, without taking it apart. */
    if (http_token_is(value, STR("keep-alive"))) {
        f->keep_alive = true;
        return;
    }
    f->close |= str_list_has(value, STR("close"));
    f->keep_alive |= str_list_has(value, STR("keep-alive"));
    f->upgrade_named |= str_list_has(value, STR("upgrade"));
}

/* Told apart by length first: six names matter and few others are as long. */
static void note_field(struct http_head *head, struct fields *f, const struct http_header *h)
{
    switch (h->name.n) {
    case 4:
        if (http_token_is(h->name, STR("host"))) {
            f->hosts++;
            if (!head->host.p)
                head->host = h->value;
            if (!all(h->value, HTTP_CHAR_HOST))
                f->hosts = 2;
        }
        break;
    case 6:
        if (http_token_is(h->name, STR("expect")))
            head->expect_continue = str_ieq(h->value, STR("100-continue"));
        break;
    case 7:
        f->upgrade_there |= h->value.n && http_token_is(h->name, STR("upgrade"));
        break;
    case 10:
        if (http_token_is(h->name, STR("connection")))
            note_connection(f, h->value);
        break;
    case 14:
        if (http_token_is(h->name, STR("content-length"))) {
            f->lengths++;
            f->length = h->value;
        }
        break;
    case 17:
        if (http_token_is(h->name, STR("transfer-encoding"))) {
            f->codings++;
            f->coding = h->value;
        }
        break;
    default:
        break;
    }
}

int http_field_parse(struct http_header *h, const char **at, const char *end, struct err *e)
{
    const char *p = *at;
    while (p < end && http_char_is(*p, HTTP_CHAR_TOKEN))
        p++;
    if (p == end)
        return 0;
    if (*p != ':' || p == *at)
        return bad(e, "a header line is not \"name: value\"");
    h->name = str_n(*at, (size_t)(p - *at));
    p++;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    const char *value = p;
    p = value_end(p, end);
    if (end - p < 2 && (p == end || *p == '\r'))
        return 0;
    if (p[0] != '\r' || p[1] != '\n')
        return bad(e, "a header value holds a control character");
    *at = p + 2;
    while (p > value && (p[-1] == ' ' || p[-1] == '\t'))
        p--;
    h->value = str_n(value, (size_t)(p - value));
    return 1;
}

static int framing(struct http_head *head, const struct fields *f, struct err *e)
{
    if (f->codings + f->lengths > 1)
        return bad(e, "more than one header says how long the body is");
    if (f->codings) {
        if (head->minor == 0)
            return bad(e, "Transfer-Encoding in HTTP/1.0");
        if (!str_ieq(f->coding, STR("chunked")))
            return refuse(e, 501, "The only transfer coding known here is chunked");
        head->body = HTTP_BODY_CHUNKED;
    }
    if (f->lengths) {
        if (str_u64(f->length, &head->length) < 0)
            return bad(e, "Content-Length is not a number");
        head->body = head->length ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    }
    return 0;
}

static int finish(struct http_head *head, const struct fields *f, struct err *e)
{
    if (f->hosts > 1 || (f->hosts == 0 && head->minor == 1))
        return bad(e, "exactly one valid Host header is needed");
    head->keep_alive = !f->close && (head->minor == 1 || f->keep_alive);
    head->upgrade = f->upgrade_named && f->upgrade_there;
    head->expect_continue = head->expect_continue && head->minor == 1;
    return framing(head, f, e);
}

/* The whole head between p and end; results as parse_request_line. */
static int parse(struct http_head *head, const char **at, const char *end, struct err *e)
{
    const char *p = *at;
    for (int lines = 0; end - p >= 2 && p[0] == '\r' && p[1] == '\n'; p += 2)
        if (++lines > MAX_EMPTY_LINES)
            return bad(e, "empty lines instead of a request");
    if (p == end || (*p == '\r' && end - p == 1))
        return 0;

    struct fields f = {0};
    int got = parse_request_line(head, &p, end, e);
    while (got == 1) {
        if (p < end && *p == '\r') {
            if (end - p < 2)
                return 0;
            if (p[1] != '\n')
                return bad(e, "a bare CR");
            *at = p + 2;
            return finish(head, &f, e) < 0 ? -1 : 1;
        }
        if (p == end)
            return 0;
        if (head->nheaders == LIMIT_HTTP_HEADERS)
            return err_set(e, ERR_HEADERS_TOO_LARGE, "More than %d request headers", LIMIT_HTTP_HEADERS);
        struct http_header *h = &head->headers[head->nheaders];
        got = http_field_parse(h, &p, end, e);
        if (got == 1) {
            head->nheaders++;
            note_field(head, &f, h);
        }
    }
    return got;
}

/* Whether the bytes behind `seen` hold what may end a head, or a line end that is wrong. */
static bool worth_parsing(struct str p, size_t seen)
{
    while (seen < p.n) {
        const char *lf = memchr(p.p + seen, '\n', p.n - seen);
        if (!lf)
            return false;
        size_t at = (size_t)(lf - p.p);
        if (at < 2 || lf[-1] != '\r' || lf[-2] == '\n')
            return true;
        seen = at + 1;
    }
    return false;
}

ptrdiff_t http_head_parse(struct http_head *head, struct str p, size_t seen, struct err *e)
{
    if (p.n == 0 || (seen && p.n < LIMIT_HTTP_HEAD && !worth_parsing(p, seen)))
        return 0;
    memset(head, 0, offsetof(struct http_head, headers));
    const char *at = p.p;
    int got = parse(head, &at, p.p + MIN(p.n, LIMIT_HTTP_HEAD), e);
    if (got == 0 && p.n >= LIMIT_HTTP_HEAD)
        return err_set(e, ERR_HEADERS_TOO_LARGE, NULL);
    return got == 1 ? at - p.p : got;
}

static void rebase(struct str *s, const char *from, const char *to)
{
    if (s->p)
        s->p = to + (s->p - from);
}

void http_head_rebase(struct http_head *head, const char *from, const char *to)
{
    struct str *const slices[] = {&head->method_text, &head->target, &head->path, &head->query, &head->host};
    for (size_t i = 0; i < COUNT(slices); i++)
        rebase(slices[i], from, to);
    for (size_t i = 0; i < head->nheaders; i++) {
        rebase(&head->headers[i].name, from, to);
        rebase(&head->headers[i].value, from, to);
    }
}

struct str http_header(const struct http_head *head, struct str name)
{
    for (size_t i = 0; i < head->nheaders; i++)
        if (http_token_is(head->headers[i].name, name))
            return head->headers[i].value;
    return STR_NONE;
}
