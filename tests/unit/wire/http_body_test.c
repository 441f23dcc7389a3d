#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/http.h"

/* Decodes text in pieces of `step` bytes; the result of the last call, the decoded bytes in *out, what is left over in
 * *left. */
static int decode(struct str text, size_t step, uint64_t max, struct buf *out, size_t *left, struct err *e)
{
    struct http_chunked c = {.max_body = max};
    int got = 0;
    buf_clear(out);
    while (text.n && got == 0) {
        struct str in = {text.p, MIN(step, text.n)}, piece;
        text = str_from(text, in.n);
        while ((got = http_chunked_next(&c, &in, &piece, e)) == 1) {
            assert_true(piece.n > 0);
            assert_int_equal(buf_str_add(out, piece), 0);
        }
        if (got == 0)
            assert_int_equal(in.n, 0);
        *left = text.n + in.n;
    }
    return got;
}

static void assert_body(struct str text, const char *body, size_t behind)
{
    struct buf out = BUF_INIT(1000);
    struct err e;
    for (size_t step = 1; step <= text.n; step++) {
        size_t left;
        assert_int_equal(decode(text, step, 1000, &out, &left, &e), 2);
        assert_int_equal(left, behind);
        assert_int_equal(out.len, strlen(body));
        if (out.len)
            assert_memory_equal(out.data, body, out.len);
        for (size_t n = 0; n < text.n - behind; n++)
            assert_int_equal(decode(str_n(text.p, n), step, 1000, &out, &left, &e), 0);
    }
    buf_free(&out);
}

static void assert_refused(struct str text, int status)
{
    struct buf out = BUF_INIT(1000);
    for (size_t step = 1; step <= text.n; step++) {
        struct err e = {0};
        size_t left;
        assert_int_equal(decode(text, step, 100, &out, &left, &e), -1);
        assert_int_equal(e.status, status);
    }
    buf_free(&out);
}

#define REFUSED(literal, status) assert_refused(STR(literal), status)

static void bodies(void **state)
{
    (void)state;
    assert_body(STR("0\r\n\r\n"), "", 0);
    assert_body(STR("5\r\nhello\r\n1;ext=\"a b\"\r\n \r\n0005\r\nworld\r\n000\r\n\r\nnext"), "hello world", 4);
    assert_body(STR("a\r\n0123456789\r\n0A\r\nabcdefghij\r\n0;x\r\nTrailer: yes\r\nB:\r\n\r\n"), "0123456789abcdefghij",
                0);
}

static void spaces_need_an_extension(void **state)
{
    (void)state;
    assert_body(STR("1  ;x\r\na\r\n0\r\n\r\n"), "a", 0);
    REFUSED("1 \r\na\r\n0\r\n\r\n", 400);
    REFUSED("1 2\r\na\r\n0\r\n\r\n", 400);
    REFUSED("1\t;x\r\na\r\n0\r\n\r\n", 400);
}

static void malformed(void **state)
{
    (void)state;
    REFUSED("\r\n", 400);
    REFUSED("x\r\n", 400);
    REFUSED("0x5\r\nhello\r\n0\r\n\r\n", 400);
    REFUSED("-1\r\n", 400);
    REFUSED(" 1\r\na\r\n0\r\n\r\n", 400);
    REFUSED("1\na\r\n0\r\n\r\n", 400);
    REFUSED("1\r\nab\r\n0\r\n\r\n", 400);
    REFUSED("1\r\na\n0\r\n\r\n", 400);
    REFUSED("1\r\na\rx", 400);
    REFUSED("1;a\nb\r\na\r\n0\r\n\r\n", 400);
    REFUSED("1;\rx", 400);
    REFUSED("00000000000000001\r\na\r\n00000000000000065\r\n", 413);
    REFUSED("10000000000000000\r\n", 400);
    REFUSED("0\r\nbad trailer\r\n\r\n", 400);
    REFUSED("0\r\n:x\r\n\r\n", 400);
    REFUSED("0\r\nA\r\n\r\n", 400);
    REFUSED("0\r\nA: b\n\r\n", 400);
    REFUSED("0\r\nA: b\r\n \r\n", 400);
    REFUSED("0\r\n\rx", 400);
}

static void too_large(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(1000);
    size_t left;
    struct err e = {0};
    assert_int_equal(decode(STR("5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n"), 99, 11, &out, &left, &e), 2);
    assert_int_equal(decode(STR("5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n"), 99, 10, &out, &left, &e), -1);
    assert_int_equal(e.code, ERR_BODY_TOO_LARGE);
    assert_int_equal(out.len, 5);
    assert_int_equal(decode(STR("ffffffffffffffff\r\n"), 1, 10, &out, &left, &e), -1);
    assert_int_equal(e.status, 413);
    /* Largest size there is after some bytes: no overflow of the sum. */
    assert_int_equal(decode(STR("1\r\na\r\nffffffffffffffff\r\n"), 1, UINT64_MAX, &out, &left, &e), -1);
    assert_int_equal(e.status, 413);
    buf_free(&out);
}

static void lines_are_bounded(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(KIB(64)), out = BUF_INIT(1000);
    struct err e = {0};
    size_t left;
    buf_lit(&text, "1;");
    for (int i = 0; i < 300; i++)
        buf_byte(&text, 'x');
    assert_int_equal(decode(buf_str(&text), 7, 100, &out, &left, &e), -1);
    assert_int_equal(e.status, 431);
    buf_clear(&text);
    for (int i = 0; i < 400; i++)
        buf_byte(&text, '0');
    assert_int_equal(decode(buf_str(&text), 7, 100, &out, &left, &e), -1);
    buf_clear(&text);
    buf_lit(&text, "0\r\n");
    while (text.len < LIMIT_HTTP_HEAD + 100)
        buf_lit(&text, "A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n");
    assert_int_equal(decode(buf_str(&text), 999, 100, &out, &left, &e), -1);
    assert_int_equal(e.status, 431);
    buf_free(&text);
    buf_free(&out);
}

static void ends_and_failures_are_final(void **state)
{
    (void)state;
    struct http_chunked c = {.max_body = 10};
    struct str in = STR("0\r\n\r\nmore"), piece;
    struct err e;
    assert_int_equal(http_chunked_next(&c, &in, &piece, &e), 2);
    assert_int_equal(http_chunked_next(&c, &in, &piece, &e), 2);
    assert_int_equal(in.n, 4);
    c = (struct http_chunked){.max_body = 10};
    in = STR("z");
    assert_int_equal(http_chunked_next(&c, &in, &piece, &e), -1);
    in = STR("0\r\n\r\n");
    assert_int_equal(http_chunked_next(&c, &in, &piece, &e), -1);
    assert_int_equal(in.n, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),
        cmocka_unit_test(spaces_need_an_extension),
        cmocka_unit_test(malformed),
        cmocka_unit_test(too_large),
        cmocka_unit_test(lines_are_bounded),
        cmocka_unit_test(ends_and_failures_are_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
