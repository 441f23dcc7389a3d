#include "wire/http.h"

#include "wire/http_chars.h"

#define MAX_SIZE_LINE 256 /* digits and extensions of one chunk; trailers may be as long as a head */

enum state {
    SIZE_FIRST, /* zero: where decoding begins */
    SIZE,
    SIZE_SPACE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_LINE,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    END,
    BROKEN,
};

static int bad(struct http_chunked *c, struct err *e, const char *why)
{
    c->state = BROKEN;
    return err_set(e, ERR_INVALID_REQUEST, "Malformed chunked body: %s", why);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static int size_char(struct http_chunked *c, char byte, struct err *e)
{
    int digit = hex(byte);
    if (digit >= 0) {
        if (c->left >> 60)
            return bad(c, e, "the chunk size is too large");
        c->left = c->left << 4 | (uint64_t)digit;
        c->state = SIZE;
    } else if (c->state == SIZE && byte == '\r') {
        c->state = SIZE_LF;
    } else if (c->state == SIZE && byte == ';') {
        c->state = EXTENSION;
    } else if (c->state == SIZE && byte == ' ') {
        c->state = SIZE_SPACE;
    } else {
        return bad(c, e, "the chunk size is not a number");
    }
    return 0;
}

static int size_done(struct http_chunked *c, struct err *e)
{
    c->line = 0;
    if (c->left > c->max_body - c->body) {
        c->state = BROKEN;
        return err_set(e, ERR_BODY_TOO_LARGE, NULL);
    }
    c->state = c->left ? DATA : TRAILER_LINE;
    return 0;
}

static int trailer_char(struct http_chunked *c, char byte, struct err *e)
{
    if (c->state == TRAILER_LINE && byte == '\r')
        c->state = LAST_LF;
    else if (c->state == TRAILER_VALUE && byte == '\r')
        c->state = TRAILER_LF;
    else if (c->state == TRAILER_NAME && byte == ':')
        c->state = TRAILER_VALUE;
    else if (c->state != TRAILER_VALUE && http_char_is(byte, HTTP_CHAR_TOKEN))
        c->state = TRAILER_NAME;
    else if (c->state != TRAILER_VALUE || !http_char_is(byte, HTTP_CHAR_VALUE))
        return bad(c, e, "a trailer line is not \"name: value\"");
    return 0;
}

/* The byte must be the given one. */
static int expect(struct http_chunked *c, char byte, char wanted, enum state next, struct err *e)
{
    if (byte != wanted)
        return bad(c, e, "a line does not end in CRLF, or data is longer than its chunk");
    c->state = (int)next;
    return 0;
}

/* One byte outside of chunk data. */
static int framing_char(struct http_chunked *c, char byte, struct err *e)
{
    switch ((enum state)c->state) {
    case SIZE_FIRST:
    case SIZE:
        return size_char(c, byte, e);
    case SIZE_SPACE:
        if (byte == ';')
            c->state = EXTENSION;
        else if (byte != ' ')
            return bad(c, e, "the chunk size is not a number");
        return 0;
    case EXTENSION:
        if (byte == '\r')
            c->state = SIZE_LF;
        else if (!http_char_is(byte, HTTP_CHAR_VALUE))
            return bad(c, e, "a chunk extension holds a control character");
        return 0;
    case SIZE_LF:
        return expect(c, byte, '\n', SIZE_LF, e) < 0 ? -1 : size_done(c, e);
    case DATA_CR:
        return expect(c, byte, '\r', DATA_LF, e);
    case DATA_LF:
        return expect(c, byte, '\n', SIZE_FIRST, e);
    case TRAILER_LINE:
    case TRAILER_NAME:
    case TRAILER_VALUE:
        return trailer_char(c, byte, e);
    case TRAILER_LF:
        return expect(c, byte, '\n', TRAILER_LINE, e);
    case LAST_LF:
        return expect(c, byte, '\n', END, e);
    case DATA:
    case END:
    case BROKEN:
        break;
    }
    return bad(c, e, "it failed before");
}

/* Size lines and the trailers as a whole are bounded; the count restarts where data or a new line of sizes begins. */
static int count_line(struct http_chunked *c, struct err *e)
{
    size_t limit = c->state < TRAILER_LINE ? MAX_SIZE_LINE : LIMIT_HTTP_HEAD;
    if (++c->line <= limit)
        return 0;
    c->state = BROKEN;
    return err_set(e, ERR_HEADERS_TOO_LARGE, "Chunk extensions or trailers are too large");
}

int http_chunked_next(struct http_chunked *c, struct str *in, struct str *piece, struct err *e)
{
    if (c->state == BROKEN)
        return bad(c, e, "it failed before");
    while (in->n && c->state != END) {
        if (c->state == DATA) {
            size_t n = (size_t)MIN((uint64_t)in->n, c->left);
            *piece = str_n(in->p, n);
            *in = str_from(*in, n);
            c->left -= n;
            c->body += n;
            if (c->left == 0)
                c->state = DATA_CR;
            return 1;
        }
        char byte = in->p[0];
        *in = str_from(*in, 1);
        if (count_line(c, e) < 0 || framing_char(c, byte, e) < 0)
            return -1;
    }
    return c->state == END ? 2 : 0;
}
