/* Request heads, with libhttp-parser as the reference: whatever our codec takes, the reference takes and understands in
 * the same way. The reverse does not hold. Ours refuses on purpose: bare LF line ends, obs-fold, a missing, repeated or
 * malformed Host, any repetition of Content-Length, Transfer-Encoding other than "chunked" alone, more than four empty
 * lines in front, user information and an absent path before '?' in a URL, "*" with methods other than OPTIONS,
 * HTTP/0.9. Not compared: methods unknown here (the reference takes a fixed list), and Connection where
 * the reference strays from the standard. */
#include "fuzz.h"

#include "base/macros.h"
#include "wire/http.h"

#include "http_reference.h"

#define MAX_SIZE 4096

struct reference {
    struct str url;
    struct http_header headers[LIMIT_HTTP_HEADERS];
    size_t nheaders;
    bool in_value, done, keep_alive;
    unsigned flags;
    uint64_t length;
};

static struct http_head head, again;

/* Callbacks may bring one token in pieces that lie behind one another. */
static void extend(struct str *s, const char *at, size_t n)
{
    if (!s->p)
        s->p = at;
    CHECK(s->p + s->n == at);
    s->n += n;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    extend(&((struct reference *)p->data)->url, at, n);
    return 0;
}

static int on_field(http_parser *p, const char *at, size_t n)
{
    struct reference *ref = p->data;
    if (ref->in_value || ref->nheaders == 0) {
        CHECK(ref->nheaders < LIMIT_HTTP_HEADERS);
        ref->headers[ref->nheaders++] = (struct http_header){{at, 0}, STR_NONE};
        ref->in_value = false;
    }
    extend(&ref->headers[ref->nheaders - 1].name, at, n);
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    struct reference *ref = p->data;
    ref->in_value = true;
    extend(&ref->headers[ref->nheaders - 1].value, at, n);
    return 0;
}

static int on_headers_complete(http_parser *p)
{
    struct reference *ref = p->data;
    ref->done = true;
    ref->flags = p->flags;
    ref->length = p->content_length;
    ref->keep_alive = http_should_keep_alive(p);
    return 0;
}

/* The reference knows no tab behind the value of the fields it understands. */
static bool tab_behind(struct str value)
{
    const char *p = value.p + value.n;
    while (*p == ' ')
        p++;
    return *p == '\t';
}

/* The reference loses its way in lists with other elements: in empty ones, parameters, and prefixes of what it knows.
 */
static bool plain_connection(void)
{
    for (size_t i = 0; i < head.nheaders; i++) {
        struct str rest = head.headers[i].value, option;
        if (!str_ieq(head.headers[i].name, STR("connection")))
            continue;
        if (tab_behind(rest) || str_find_char(rest, '\t') >= 0)
            return false;
        while (str_split(&rest, ',', &option))
            if (!str_ieq(str_trim(option), STR("close")) && !str_ieq(str_trim(option), STR("keep-alive")) &&
                !str_ieq(str_trim(option), STR("upgrade")))
                return false;
    }
    return true;
}

static void compare_connection(const struct reference *ref)
{
    if (!plain_connection())
        return;
    bool upgrade = ref->flags & F_UPGRADE && ref->flags & F_CONNECTION_UPGRADE;
    CHECK(head.upgrade == upgrade);
    if (head.minor == 1 || !(ref->flags & F_CONNECTION_CLOSE))
        CHECK(head.keep_alive == ref->keep_alive);
}

static void compare(struct str text)
{
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_field,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_headers_complete};
    struct reference ref = {0};
    http_parser p;
    http_parser_init(&p, HTTP_REQUEST);
    p.data = &ref;
    size_t parsed = http_parser_execute(&p, &settings, text.p, text.n);
    CHECK(parsed == text.n && HTTP_PARSER_ERRNO(&p) == HPE_OK && ref.done);
    CHECK(str_eqc(head.method_text, http_method_str((enum reference_method)p.method)));
    CHECK(p.http_major == 1 && p.http_minor == head.minor);
    CHECK(str_ends(ref.url, head.target) || str_eqc(head.target, "/"));
    CHECK(ref.url.p[0] != '/' || str_eq(ref.url, head.target));
    CHECK(ref.nheaders == head.nheaders);
    for (size_t i = 0; i < head.nheaders; i++) {
        CHECK(str_eq(ref.headers[i].name, head.headers[i].name));
        CHECK(str_eq(str_trim(ref.headers[i].value), head.headers[i].value));
    }
    CHECK((head.body == HTTP_BODY_CHUNKED) == !!(ref.flags & F_CHUNKED));
    if (head.body != HTTP_BODY_CHUNKED)
        CHECK((ref.flags & F_CONTENTLENGTH ? ref.length : 0) == head.length);
    CHECK((head.body == HTTP_BODY_LENGTH) == (head.length > 0));
    compare_connection(&ref);
}

/* It also takes any name that begins with Transfer-Encoding for it when Content-Length is there too. */
static bool reference_errs(void)
{
    for (size_t i = 0; i < head.nheaders; i++) {
        struct str name = head.headers[i].name, prefix = STR("transfer-encoding");
        bool framing = str_ieq(name, prefix) || str_ieq(name, STR("content-length"));
        if (framing && tab_behind(head.headers[i].value))
            return true;
        if (name.n > prefix.n && str_ieq(str_n(name.p, prefix.n), prefix))
            return true;
    }
    return false;
}

/* The same bytes coming in bit by bit give the same answer at the same byte. */
static void check_dribble(struct str text, size_t step)
{
    for (size_t seen = 0, n = step; n < text.n; seen = n, n += step)
        CHECK(http_head_parse(&again, str_n(text.p, n), seen, NULL) == 0);
    CHECK(http_head_parse(&again, text, (text.n - 1) / step * step, NULL) == (ptrdiff_t)text.n);
    CHECK(http_head_parse(&again, str_n(text.p, text.n - 1), 0, NULL) == 0);
}

static void check_decoding(void)
{
    struct buf out = BUF_INIT(MAX_SIZE + 1);
    if (http_path_decode(&out, head.path, false) == 0)
        CHECK(out.len <= head.path.n && str_find_char(buf_str(&out), 0) < 0);
    if (http_path_decode(&out, head.path, true) == 0)
        CHECK(str_find_char(buf_str(&out), '/') < 0);
    (void)http_query_get(&out, head.query, STR("a"));
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > MAX_SIZE)
        return 0;
    struct err e = {0};
    struct str text = str_n(data, size);
    ptrdiff_t got = http_head_parse(&head, text, 0, &e);
    CHECK(got <= (ptrdiff_t)size);
    CHECK((got < 0) == (e.status == 400 || e.status == 414 || e.status == 431 || e.status == 501 || e.status == 505));
    if (got <= 0)
        return 0;
    text.n = (size_t)got;
    if (head.method != HTTP_OTHER && !reference_errs())
        compare(text);
    check_decoding();
    check_dribble(text, 1 + size % 13);
    struct str copy = text, piece = fuzz_piece(&copy, text.n);
    http_head_rebase(&head, text.p, piece.p);
    CHECK(str_eq(head.target, again.target) && (head.path.p >= piece.p && head.path.p < piece.p + piece.n));
    fuzz_piece_free(piece);
    return 0;
}
