#include "wire/sse.h"

static bool is_break(char c)
{
    return c == '\n' || c == '\r';
}

/* "name: value\n" per line of the text; at least one. */
static int put_lines(struct buf *out, struct str prefix, struct str text)
{
    for (;;) {
        size_t n = 0;
        while (n < text.n && !is_break(text.p[n]))
            n++;
        if (buf_str_add(out, prefix) < 0 || buf_add(out, text.p, n) < 0 || buf_byte(out, '\n') < 0)
            return -1;
        if (n == text.n)
            return 0;
        bool pair = text.p[n] == '\r' && n + 1 < text.n && text.p[n + 1] == '\n';
        text = str_from(text, n + 1 + pair);
    }
}

static int put_name(struct buf *out, struct str prefix, struct str value)
{
    size_t n = 0;
    while (n < value.n && value.p[n] && !is_break(value.p[n]))
        n++;
    return n ? put_lines(out, prefix, str_n(value.p, n)) : 0;
}

int sse_put(struct buf *out, struct str id, struct str event, struct str data)
{
    size_t before = out->len;
    if (put_name(out, STR("id: "), id) == 0 && put_name(out, STR("event: "), event) == 0 &&
        put_lines(out, STR("data: "), data) == 0 && buf_byte(out, '\n') == 0)
        return 0;
    out->len = before;
    return -1;
}

int sse_put_comment(struct buf *out, struct str text)
{
    size_t before = out->len;
    if (put_lines(out, STR(": "), text) == 0 && buf_byte(out, '\n') == 0)
        return 0;
    out->len = before;
    return -1;
}
