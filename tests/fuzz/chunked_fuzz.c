/* Chunked bodies in any split, with libhttp-parser as the reference: whatever our decoder takes whole, the reference
 * takes, ending at the same byte with the same body. Ours refuses on purpose: a space behind the size without an
 * extension, bare LF in extensions, controls in extensions and trailers, long size lines. The reference refuses
 * framing fields in trailers, which ours skips like all trailers. */
#include "fuzz.h"

#include "base/macros.h"
#include "wire/http.h"

#include "http_reference.h"

#define MAX_SIZE 4096
#define MAX_BODY 3000

struct result {
    int got;
    struct buf body;
    size_t used;
    enum err_code code;
};

static struct result decode(struct str text, size_t step)
{
    struct http_chunked c = {.max_body = MAX_BODY};
    struct result r = {.body = BUF_INIT(MAX_BODY)};
    struct err e = {0};
    size_t size = text.n;
    while (text.n && r.got == 0) {
        struct str piece = fuzz_piece(&text, step), in = piece, data;
        while ((r.got = http_chunked_next(&c, &in, &data, &e)) == 1)
            CHECK(data.n && buf_str_add(&r.body, data) == 0);
        CHECK(r.got != 0 || in.n == 0);
        r.used = size - text.n - in.n;
        fuzz_piece_free(piece);
    }
    r.code = e.code;
    return r;
}

struct reference {
    struct buf body;
    bool complete;
};

static int on_body(http_parser *p, const char *at, size_t n)
{
    return buf_add(&((struct reference *)p->data)->body, at, n);
}

static int on_complete(http_parser *p)
{
    ((struct reference *)p->data)->complete = true;
    http_parser_pause(p, 1);
    return 0;
}

static bool framing_trailer(enum http_errno error)
{
    return error == HPE_UNEXPECTED_CONTENT_LENGTH || error == HPE_INVALID_CONTENT_LENGTH ||
           error == HPE_INVALID_TRANSFER_ENCODING;
}

static void compare(struct str text, const struct result *ours)
{
    static const http_parser_settings settings = {.on_body = on_body, .on_message_complete = on_complete};
    struct reference ref = {.body = BUF_INIT(MAX_BODY)};
    struct str prelude = STR("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    http_parser p;
    http_parser_init(&p, HTTP_REQUEST);
    p.data = &ref;
    CHECK(http_parser_execute(&p, &settings, prelude.p, prelude.n) == prelude.n);
    size_t parsed = http_parser_execute(&p, &settings, text.p, ours->used);
    if (!framing_trailer(HTTP_PARSER_ERRNO(&p))) {
        /* Paused, it stands on the last byte or behind it. */
        CHECK(ref.complete && parsed + 1 >= ours->used);
        CHECK(str_eq(buf_str(&ref.body), buf_str(&ours->body)));
    }
    buf_free(&ref.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > MAX_SIZE)
        return 0;
    struct str text = str_n(data + 1, size - 1);
    struct result whole = decode(text, text.n), split = decode(text, 1 + data[0] % 16);
    CHECK(whole.got == split.got && whole.used == split.used && whole.code == split.code);
    CHECK(str_eq(buf_str(&whole.body), buf_str(&split.body)));
    if (whole.got == 2)
        compare(text, &whole);
    buf_free(&whole.body);
    buf_free(&split.body);
    return 0;
}
