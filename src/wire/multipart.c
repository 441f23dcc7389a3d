#include "wire/multipart.h"

#include "base/macros.h"
#include "base/utf8.h"

static int malformed(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID_REQUEST, "The form is malformed: %s", what);
}

/* ---- parameters of headers ---- */

/* Takes one `; name=value` off *rest: 1; 0 at the end; -1 when it is none. */
static int next_parameter(struct str *rest, struct str *name, struct str *value)
{
    *rest = str_trim(*rest);
    while (str_starts(*rest, STR(";")))
        *rest = str_trim(str_from(*rest, 1));
    if (rest->n == 0)
        return 0;
    ptrdiff_t equals = str_find_char(*rest, '=');
    if (equals < 0)
        return -1;
    *name = str_trim(str_n(rest->p, (size_t)equals));
    *rest = str_trim(str_from(*rest, (size_t)equals + 1));
    if (!str_starts(*rest, STR("\""))) {
        ptrdiff_t end = str_find_char(*rest, ';');
        *value = str_trim(str_n(rest->p, end < 0 ? rest->n : (size_t)end));
        *rest = str_from(*rest, end < 0 ? rest->n : (size_t)end);
        return 1;
    }
    for (size_t i = 1; i < rest->n; i++) {
        if (rest->p[i] == '"') {
            *value = str_n(rest->p + 1, i - 1);
            *rest = str_from(*rest, i + 1);
            return 1;
        }
        /* A path of Windows may end with a backslash: only the two characters that need one are escaped by it. */
        i += rest->p[i] == '\\' && i + 1 < rest->n && (rest->p[i + 1] == '"' || rest->p[i + 1] == '\\');
    }
    return -1;
}

int multipart_parameter(struct str header, struct str wanted, struct str *value)
{
    ptrdiff_t at = str_find_char(header, ';');
    struct str rest = at < 0 ? STR("") : str_from(header, (size_t)at), name, found;
    while (next_parameter(&rest, &name, &found) == 1)
        if (str_ieq(name, wanted)) {
            *value = found;
            return 1;
        }
    return 0;
}

/* The value in front of the parameters. */
static bool value_is(struct str header, struct str value)
{
    ptrdiff_t at = str_find_char(header, ';');
    return str_ieq(str_trim(str_n(header.p, at < 0 ? header.n : (size_t)at)), value);
}

/* ---- names ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that %XX stands for, -1 when it is no escape. */
static int percent(struct str s)
{
    if (s.n < 3 || s.p[0] != '%' || hex_digit(s.p[1]) < 0 || hex_digit(s.p[2]) < 0)
        return -1;
    return hex_digit(s.p[1]) << 4 | hex_digit(s.p[2]);
}

/* Reads one character of a quoted name; how many bytes it takes. */
static size_t unescape(struct str s, char *out)
{
    int code = percent(s);
    if (code == '"' || code == '\r' || code == '\n') {
        *out = (char)code;
        return 3;
    }
    bool escaped = s.n > 1 && s.p[0] == '\\' && (s.p[1] == '"' || s.p[1] == '\\');
    *out = s.p[escaped];
    return escaped ? 2 : 1;
}

/* Decodes into `out` with room for max bytes and a NUL. What does not fit is cut at a character; -1 then. */
static int read_name(struct str s, char *out, size_t max, size_t *n)
{
    size_t used = 0;
    for (*n = 0; used < s.n && *n < max; (*n)++)
        used += unescape(str_from(s, used), out + *n);
    out[*n] = 0;
    if (used == s.n)
        return 0;
    *n = utf8_whole(out, *n);
    out[*n] = 0;
    return -1;
}

/* RFC 5987: UTF-8'language'percent-encoded. false when it is anything else. */
static bool read_extended(struct str s, char *out, size_t max, size_t *n)
{
    struct str charset, language;
    size_t to = 0;
    if (!str_split(&s, '\'', &charset) || !str_split(&s, '\'', &language) || !s.p || !str_ieq(charset, STR("utf-8")))
        return false;
    while (s.n > 0 && to < max) {
        int code = percent(s);
        out[to++] = code < 0 ? s.p[0] : (char)code;
        s = str_from(s, code < 0 ? 1 : 3);
    }
    to = s.n ? utf8_whole(out, to) : to;
    if (!utf8_valid(str_n(out, to)) || memchr(out, 0, to))
        return false;
    out[to] = 0;
    *n = to;
    return true;
}

/* ---- parts ---- */

static bool is_plain_text(struct str line)
{
    for (size_t i = 0; i < line.n; i++)
        if (((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
            return false;
    return true;
}

static int read_disposition(struct multipart *m, struct str value, struct multipart_part *part, struct err *e)
{
    struct str name, filename = STR_NONE, extended = STR_NONE;
    size_t n;
    if (part->name.p)
        return malformed(e, "a part has two names");
    if (!value_is(value, STR("form-data")) || !multipart_parameter(value, STR("name"), &name))
        return malformed(e, "a part has no name");
    if (read_name(name, m->name, MULTIPART_NAME, &n) < 0)
        return malformed(e, "the name of a part is too long");
    part->name = str_n(m->name, n);
    multipart_parameter(value, STR("filename"), &filename);
    multipart_parameter(value, STR("filename*"), &extended);
    if (extended.p && read_extended(extended, m->filename, MULTIPART_FILENAME, &n))
        part->filename = str_n(m->filename, n);
    else if (filename.p) {
        read_name(filename, m->filename, MULTIPART_FILENAME, &n);
        part->filename = str_n(m->filename, n);
    }
    return 0;
}

static int check_encoding(struct str value, struct err *e)
{
    bool plain = str_ieq(value, STR("binary")) || str_ieq(value, STR("8bit")) || str_ieq(value, STR("7bit"));
    return plain ? 0 : malformed(e, "a part has a Content-Transfer-Encoding");
}

static int read_header(struct multipart *m, struct str line, struct multipart_part *part, struct err *e)
{
    ptrdiff_t colon = str_find_char(line, ':');
    if (colon <= 0 || !is_plain_text(line) || line.p[0] == ' ' || line.p[0] == '\t')
        return malformed(e, "a part has a header that is none");
    struct str name = str_n(line.p, (size_t)colon), value = str_trim(str_from(line, (size_t)colon + 1));
    if (str_ieq(name, STR("content-disposition")))
        return read_disposition(m, value, part, e);
    if (str_ieq(name, STR("content-transfer-encoding")))
        return check_encoding(value, e);
    if (str_ieq(name, STR("content-type")))
        part->type = value;
    return 0;
}

/* Takes the headers and the empty line behind them off m->rest. */
static int read_headers(struct multipart *m, struct multipart_part *part, struct err *e)
{
    struct str head = str_n(m->rest.p, MIN(m->rest.n, (size_t)MULTIPART_HEAD));
    for (;;) {
        ptrdiff_t end = str_find(head, STR("\r\n"));
        if (end < 0)
            return malformed(e, "a part breaks off, or its headers are too long");
        struct str line = str_n(head.p, (size_t)end);
        head = str_from(head, (size_t)end + 2);
        m->rest = str_from(m->rest, (size_t)end + 2);
        if (line.n == 0)
            return part->name.p ? 0 : malformed(e, "a part has no name");
        if (read_header(m, line, part, e) < 0)
            return -1;
    }
}

/* What follows the boundary in a delimiter: how many bytes, 0 when this is none. *last: it closes the form. */
static size_t delimiter_end(struct str s, bool *last)
{
    size_t n = 0;
    *last = str_starts(s, STR("--"));
    if (*last)
        return 2;
    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
        n++;
    return str_starts(str_from(s, n), STR("\r\n")) ? n + 2 : 0;
}

/* Takes everything up to the next delimiter, and that, off m->rest. What only begins like one is content. */
static int read_content(struct multipart *m, struct str *content, struct err *e)
{
    struct str delimiter = str_n(m->delimiter, m->ndelimiter);
    size_t from = 0;
    for (;;) {
        ptrdiff_t at = str_find(str_from(m->rest, from), delimiter);
        if (at < 0)
            return malformed(e, "it breaks off");
        size_t start = from + (size_t)at, end = start + delimiter.n;
        size_t behind = delimiter_end(str_from(m->rest, end), &m->ended);
        if (behind) {
            *content = str_n(m->rest.p, start);
            m->rest = str_from(m->rest, end + behind);
            return 0;
        }
        from = end;
    }
}

static bool boundary_ok(struct str boundary)
{
    return boundary.n > 0 && boundary.n <= MULTIPART_BOUNDARY && boundary.p[boundary.n - 1] != ' ' &&
           is_plain_text(boundary);
}

int multipart_init(struct multipart *m, struct str content_type, struct str body, struct err *e)
{
    struct str boundary, preamble;
    *m = (struct multipart){.rest = body};
    if (!value_is(content_type, STR("multipart/form-data")))
        return err_set(e, ERR_INVALID_REQUEST, "The body must be multipart/form-data");
    if (!multipart_parameter(content_type, STR("boundary"), &boundary) || !boundary_ok(boundary))
        return malformed(e, "its Content-Type says no boundary");
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.p, boundary.n);
    m->ndelimiter = boundary.n + 4;
    /* The first delimiter stands at the very start, as a rule. */
    struct str first = str_n(m->delimiter + 2, m->ndelimiter - 2);
    size_t behind = str_starts(body, first) ? delimiter_end(str_from(body, first.n), &m->ended) : 0;
    if (!behind && read_content(m, &preamble, e) < 0)
        return -1;
    if (!behind)
        return m->ended ? malformed(e, "it has an end but no beginning") : 0;
    m->rest = str_from(body, first.n + behind);
    return 0;
}

int multipart_next(struct multipart *m, struct multipart_part *part, struct err *e)
{
    *part = (struct multipart_part){.type = STR("")};
    if (m->ended)
        return 0;
    if (m->parts++ == MULTIPART_PARTS)
        return malformed(e, "it has too many parts");
    if (read_headers(m, part, e) < 0)
        return -1;
    /* An empty body: its delimiter's line break is the one that ended the headers. */
    m->rest = (struct str){m->rest.p - 2, m->rest.n + 2};
    if (read_content(m, &part->body, e) < 0)
        return -1;
    part->body = str_from(part->body, 2);
    return 1;
}
