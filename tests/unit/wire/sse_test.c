#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/sse.h"

#include <stdlib.h>

/* Reads text in pieces of `step` bytes, each in memory of its own, and writes "id|event|data;" per event. */
static int read_all(struct str text, size_t step, size_t max, struct buf *out)
{
    struct sse_reader r;
    struct sse_event event;
    struct err e;
    int got = 0;
    sse_reader_init(&r, max);
    buf_clear(out);
    while (text.n && got == 0) {
        struct str piece = {text.p, MIN(step, text.n)};
        char *copy = str_dup(piece);
        struct str in = {copy, piece.n};
        text = str_from(text, piece.n);
        while ((got = sse_next(&r, &in, &event, &e)) == 1)
            buf_addf(out, "%.*s|%.*s|%.*s;", STR_ARG(event.id), STR_ARG(event.event), STR_ARG(event.data));
        if (got == 0)
            assert_int_equal(in.n, 0);
        free(copy);
    }
    if (got == 0 && sse_end(&r, &event))
        buf_addf(out, "%.*s|%.*s|%.*s$", STR_ARG(event.id), STR_ARG(event.event), STR_ARG(event.data));
    sse_reader_free(&r);
    return got;
}

static void assert_events(struct str text, const char *want)
{
    struct buf out = BUF_INIT(KIB(4));
    for (size_t step = 1; step <= text.n; step++) {
        assert_int_equal(read_all(text, step, 100, &out), 0);
        assert_string_equal(buf_cstr(&out), want);
    }
    buf_free(&out);
}

#define EVENTS(literal, want) assert_events(STR(literal), want)

static void the_standards_examples(void **state)
{
    (void)state;
    EVENTS("data: YHOO\ndata: +2\ndata: 10\n\n", "||YHOO\n+2\n10;");
    EVENTS(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
           "1||first event;||second event;|| third event;");
    EVENTS("data\n\ndata\ndata\n\ndata:", "||;||\n;||$");
    EVENTS("data:test\n\ndata: test\n\n", "||test;||test;");
}

static void line_ends(void **state)
{
    (void)state;
    EVENTS("data: a\r\ndata: b\r\n\r\n", "||a\nb;");
    EVENTS("data: a\rdata: b\r\r", "||a\nb;");
    EVENTS("data: a\n\rdata: b\r\n\ndata: c\r\r\n", "||a;||b;||c;");
}

static void fields(void **state)
{
    (void)state;
    EVENTS("event: delta\ndata: {\"a\":1}\nid: 7\n\ndata: x\n\n", "7|delta|{\"a\":1};7||x;");
    EVENTS("event: lost\n\ndata: x\n\n", "||x;");
    EVENTS("event: a\nevent: b\ndata: x\n\n", "|b|x;");
    EVENTS("retry: 5\nfoo: bar\ndatax: no\n data: no\nDATA: no\ndata:x\n\n", "||x;");
    EVENTS("id: 1\ndata: a\n\nid: 2\n\ndata: b\n\n", "1||a;2||b;");
    EVENTS("id: 1\ndata: a\n\nid: x\0y\ndata: b\n\n", "1||a;1||b;");
    EVENTS("data: a: b\n\n:\n::\n: data: x\n\n", "||a: b;");
}

static void byte_order_mark(void **state)
{
    (void)state;
    EVENTS("\xEF\xBB\xBF"
           "data: x\n\n",
           "||x;");
    EVENTS("\xEF\xBB\xBF\ndata: x\n\n", "||x;");
    EVENTS("data: a\n\xEF\xBB\xBF"
           "data: x\n\n",
           "||a;");
}

static void the_end_without_a_blank_line(void **state)
{
    (void)state;
    EVENTS("data: a\n\ndata: [DONE]", "||a;||[DONE]$");
    EVENTS("data: a\n\ndata: [DONE]\n", "||a;||[DONE]$");
    EVENTS("event: x\ndata: [DONE]\r", "|x|[DONE]$");
    EVENTS("data: a\n\nevent: x", "||a;");
    EVENTS("data: a\n\n: comment", "||a;");
}

static void ceilings(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(1000);
    for (size_t step = 1; step < 40; step++) {
        assert_int_equal(read_all(STR("data: 0123456789\n\n"), step, 16, &out), 0);
        assert_int_equal(read_all(STR("data: 0123456789abcdef\n\n"), step, 15, &out), -1);
        assert_int_equal(read_all(STR("data: 0123456\ndata: 789abcdef\n\n"), step, 16, &out), -1);
        assert_int_equal(read_all(STR("event: 0123456789abcdefg\n\n"), step, 16, &out), -1);
        assert_int_equal(read_all(STR("ignored: 0123456789abcdef\n\n"), step, 16, &out), -1);
        assert_int_equal(read_all(STR("no end in sight no end in sight"), step, 16, &out), -1);
    }
    buf_free(&out);
}

static void whole_lines_are_not_copied(void **state)
{
    (void)state;
    struct sse_reader r;
    struct sse_event event;
    struct err e;
    struct str text = STR("data: hello\n\ndata: again\n\n"), in = text;
    sse_reader_init(&r, 100);
    assert_int_equal(sse_next(&r, &in, &event, &e), 1);
    assert_ptr_equal(event.data.p, text.p + 6);
    assert_int_equal(sse_next(&r, &in, &event, &e), 1);
    assert_ptr_equal(event.data.p, text.p + 19);
    assert_int_equal(sse_next(&r, &in, &event, &e), 0);
    assert_null(r.data.data);
    assert_null(r.line.data);
    sse_reader_free(&r);
}

static void writing(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(200);
    assert_int_equal(sse_put(&b, STR(""), STR(""), STR("a")), 0);
    assert_int_equal(sse_put(&b, STR("1:2"), STR("delta"), STR("a\nb\r\nc\rd\n")), 0);
    assert_int_equal(sse_put(&b, STR("1\ndata: x"), STR("e\r"), STR("")), 0);
    assert_int_equal(sse_put_comment(&b, STR("ping\npong")), 0);
    assert_string_equal(buf_cstr(&b), "data: a\n\n"
                                      "id: 1:2\nevent: delta\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"
                                      "id: 1\nevent: e\ndata: \n\n"
                                      ": ping\n: pong\n\n");
    buf_free(&b);
}

static void writing_past_the_ceiling_adds_nothing(void **state)
{
    (void)state;
    for (size_t max = 0; max < 33; max++) {
        struct buf b = BUF_INIT(max);
        bool fits = sse_put(&b, STR("7"), STR("e"), STR("some data")) == 0;
        assert_int_equal(fits, max >= 6 + 9 + 16 + 1);
        if (!fits)
            assert_int_equal(b.len, 0);
        buf_free(&b);
        buf_init(&b, max);
        fits = sse_put_comment(&b, STR("ping")) == 0;
        assert_int_equal(fits, max >= 8);
        if (!fits)
            assert_int_equal(b.len, 0);
        buf_free(&b);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(200), out = BUF_INIT(200);
    sse_put_comment(&b, STR("hi"));
    sse_put(&b, STR("9"), STR("e"), STR(" leading\n\nblank: \xE2\x82\xAC"));
    assert_int_equal(read_all(buf_str(&b), 1, 100, &out), 0);
    assert_string_equal(buf_cstr(&out), "9|e| leading\n\nblank: \xE2\x82\xAC;");
    buf_free(&b);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standards_examples),
        cmocka_unit_test(line_ends),
        cmocka_unit_test(fields),
        cmocka_unit_test(byte_order_mark),
        cmocka_unit_test(the_end_without_a_blank_line),
        cmocka_unit_test(ceilings),
        cmocka_unit_test(whole_lines_are_not_copied),
        cmocka_unit_test(writing),
        cmocka_unit_test(writing_past_the_ceiling_adds_nothing),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
