#include "wire/sse.h"

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

void sse_reader_init(struct sse_reader *r, size_t max_event)
{
    *r = (struct sse_reader){0};
    buf_init(&r->line, max_event);
    buf_init(&r->data, max_event);
    buf_init(&r->event, max_event);
    buf_init(&r->id, max_event);
}

void sse_reader_free(struct sse_reader *r)
{
    buf_free(&r->line);
    buf_free(&r->data);
    buf_free(&r->event);
    buf_free(&r->id);
}

static int too_large(struct err *e)
{
    return err_set(e, ERR_UPSTREAM, "An event of the stream is too large");
}

/* Position of the first CR or LF, s.n when there is none. One pass, so that a stream of bare CRs stays linear. */
static size_t line_end(struct str s)
{
    size_t i = 0;
    for (; s.n - i >= 8; i += 8) {
        uint64_t w;
        memcpy(&w, s.p + i, 8);
        uint64_t cr = w ^ (ONES * '\r'), lf = w ^ (ONES * '\n');
        if ((((cr - ONES) & ~cr) | ((lf - ONES) & ~lf)) & HIGHS)
            break;
    }
    while (i < s.n && s.p[i] != '\r' && s.p[i] != '\n')
        i++;
    return i;
}

/* Adds a data line. *direct holds the event's only line so far as a slice of the input, not yet copied. */
static int add_data(struct sse_reader *r, struct str value, bool whole, struct str *direct, struct err *e)
{
    if (!r->has_data && whole && value.n <= r->data.max) {
        r->has_data = true;
        *direct = value;
        return 0;
    }
    bool more = r->has_data;
    if (direct->p && buf_str_add(&r->data, *direct) < 0)
        return too_large(e);
    *direct = STR_NONE;
    r->has_data = true;
    if ((more && buf_byte(&r->data, '\n') < 0) || buf_str_add(&r->data, value) < 0)
        return too_large(e);
    return 0;
}

static int set(struct buf *to, struct str value, struct err *e)
{
    buf_clear(to);
    return buf_str_add(to, value) < 0 ? too_large(e) : 0;
}

/* One line that is not blank. whole: it lies in the caller's input, not in r->line. */
static int field(struct sse_reader *r, struct str line, bool whole, struct str *direct, struct err *e)
{
    ptrdiff_t colon = str_find_char(line, ':');
    struct str name = colon < 0 ? line : str_n(line.p, (size_t)colon);
    struct str value = colon < 0 ? str_n(line.p + line.n, 0) : str_from(line, (size_t)colon + 1);
    if (value.n && value.p[0] == ' ')
        value = str_from(value, 1);
    if (str_eq(name, STR("data")))
        return add_data(r, value, whole, direct, e);
    if (str_eq(name, STR("event")))
        return set(&r->event, value, e);
    if (str_eq(name, STR("id")) && str_find_char(value, 0) < 0)
        return set(&r->id, value, e);
    return 0;
}

static int dispatch(struct sse_reader *r, struct str direct, struct sse_event *event)
{
    r->dispatched = true;
    if (!r->has_data)
        return 0;
    event->data = direct.p ? direct : buf_str(&r->data);
    event->event = buf_str(&r->event);
    event->id = buf_str(&r->id);
    return 1;
}

static void forget(struct sse_reader *r)
{
    if (!r->dispatched)
        return;
    buf_clear(&r->data);
    buf_clear(&r->event);
    r->has_data = r->dispatched = false;
}

/* A complete line: 1 when it dispatches an event. */
static int line_done(struct sse_reader *r, struct str line, bool whole, struct str *direct, struct sse_event *event,
                     struct err *e)
{
    if (!r->begun && str_starts(line, STR("\xEF\xBB\xBF")))
        line = str_from(line, 3);
    r->begun = true;
    if (line.n)
        return field(r, line, whole, direct, e);
    int got = dispatch(r, *direct, event);
    if (!got)
        forget(r);
    return got;
}

int sse_next(struct sse_reader *r, struct str *in, struct sse_event *event, struct err *e)
{
    struct str direct = STR_NONE;
    forget(r);
    while (in->n) {
        if (r->cr && in->p[0] == '\n') {
            r->cr = false;
            *in = str_from(*in, 1);
            continue;
        }
        r->cr = false;
        size_t n = line_end(*in);
        struct str line = {in->p, n};
        bool ended = n < in->n, whole = ended && r->line.len == 0;
        if (ended)
            r->cr = in->p[n] == '\r';
        *in = str_from(*in, n + ended);
        if (whole ? n > r->line.max : buf_str_add(&r->line, line) < 0)
            return too_large(e);
        if (!ended)
            break;
        int got = line_done(r, whole ? line : buf_str(&r->line), whole, &direct, event, e);
        buf_clear(&r->line);
        if (got)
            return got;
    }
    if (direct.p && buf_str_add(&r->data, direct) < 0)
        return too_large(e);
    return 0;
}

int sse_end(struct sse_reader *r, struct sse_event *event)
{
    struct str direct = STR_NONE;
    forget(r);
    if (r->line.len) {
        struct err e;
        int got = line_done(r, buf_str(&r->line), false, &direct, event, &e);
        buf_clear(&r->line);
        if (got < 0)
            return 0;
    }
    return dispatch(r, direct, event);
}
