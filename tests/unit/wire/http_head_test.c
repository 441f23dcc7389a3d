#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/http.h"

#include <stdio.h>
#include <stdlib.h>

static struct http_head head;

static ptrdiff_t parse(struct str text, struct err *e)
{
    /* An exact copy, so that the sanitizer sees a read past the end. */
    char *copy = mem_alloc(text.n ? text.n : 1);
    memcpy(copy, text.p, text.n);
    ptrdiff_t got = http_head_parse(&head, str_n(copy, text.n), 0, e);
    if (got > 0)
        http_head_rebase(&head, copy, text.p);
    free(copy);
    return got;
}

static void assert_str(struct str s, const char *want)
{
    assert_int_equal(s.n, strlen(want));
    assert_memory_equal(s.p, want, s.n);
}

/* Refused with that status, and never taken for complete or incomplete by a shorter piece. */
static void assert_refused(struct str text, int status)
{
    struct err e = {0};
    assert_int_equal(parse(text, &e), -1);
    assert_int_equal(e.status, status);
    assert_true(e.text[0] != 0);
    for (size_t n = 0; n < text.n; n++)
        assert_true(parse(str_n(text.p, n), &e) <= 0);
}

#define REFUSED(literal, status) assert_refused(STR(literal), status)

static void a_full_request(void **state)
{
    (void)state;
    static const char text[] = "POST /api/chat%20x?limit=5&a=%41 HTTP/1.1\r\n"
                               "Host: example.org:8080\r\n"
                               "X-Empty:\r\n"
                               "X-Odd: \t a\tb \xC3\xA9 \t\r\n"
                               "content-LENGTH: 0012\r\n"
                               "Expect: 100-Continue\r\n\r\nbody behind";
    struct str all = str_n(text, sizeof text - 1);
    struct err e;
    size_t size = all.n - strlen("body behind");
    assert_int_equal(parse(all, &e), size);
    assert_int_equal(head.method, HTTP_POST);
    assert_str(head.method_text, "POST");
    assert_str(head.target, "/api/chat%20x?limit=5&a=%41");
    assert_str(head.path, "/api/chat%20x");
    assert_str(head.query, "limit=5&a=%41");
    assert_int_equal(head.minor, 1);
    assert_true(head.keep_alive);
    assert_true(head.expect_continue);
    assert_false(head.upgrade);
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_int_equal(head.length, 12);
    assert_str(head.host, "example.org:8080");
    assert_int_equal(head.nheaders, 5);
    assert_str(http_header(&head, STR("x-empty")), "");
    assert_str(http_header(&head, STR("x-odd")), "a\tb \xC3\xA9");
    assert_null(http_header(&head, STR("x-none")).p);
    assert_ptr_equal(head.target.p, text + 5);
}

static void every_split_is_incomplete_and_costs_one_pass(void **state)
{
    (void)state;
    struct str text = STR("\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\nX-Long-Name: some value that is longer\r\n\r\n");
    struct err e;
    for (size_t n = 0; n < text.n; n++) {
        assert_int_equal(parse(str_n(text.p, n), &e), 0);
        for (size_t seen = 0; seen <= n; seen++) {
            assert_int_equal(http_head_parse(&head, str_n(text.p, n), seen, &e), 0);
            assert_int_equal(http_head_parse(&head, text, seen, &e), text.n);
        }
    }
}

static void a_dribbling_head_that_is_wrong_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"GET / HTTP/1.1\nHost: h\n\n", "GET / HTTP/1.1\r\nHost: h\n\r\n",
                                        "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct err e = {0};
        ptrdiff_t got = 0;
        for (size_t n = 1; n <= strlen(wrong[i]) && got == 0; n++)
            got = http_head_parse(&head, str_n(wrong[i], n), n - 1, &e);
        assert_int_equal(got, -1);
        assert_int_equal(e.status, 400);
    }
}

static void methods(void **state)
{
    (void)state;
    static const char *const names[] = {"GET",     "HEAD", "POST",    "PUT", "PATCH",   "DELETE",
                                        "OPTIONS", "PUTT", "OPTIONZ", "get", "M-SEARCH"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char text[64];
        struct err e;
        size_t n = (size_t)snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", names[i]);
        assert_int_equal(parse(str_n(text, n), &e), n);
        assert_int_equal(head.method, i < HTTP_OTHER ? i : HTTP_OTHER);
        assert_str(head.method_text, names[i]);
        assert_string_equal(http_method_name(head.method), i < HTTP_OTHER ? names[i] : "");
    }
    REFUSED("G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED(" / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

static void target_forms(void **state)
{
    (void)state;
    struct err e;
    assert_true(parse(STR("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), &e) > 0);
    assert_str(head.path, "*");
    assert_str(head.query, "");
    assert_true(parse(STR("GET http://a.example:81/x?y HTTP/1.1\r\nHost: other\r\n\r\n"), &e) > 0);
    assert_str(head.target, "/x?y");
    assert_str(head.path, "/x");
    assert_str(head.query, "y");
    assert_str(head.host, "a.example:81");
    assert_true(parse(STR("GET HTTPS://[::1] HTTP/1.1\r\nHost: other\r\n\r\n"), &e) > 0);
    assert_str(head.path, "/");
    assert_str(head.host, "[::1]");
    assert_true(parse(STR("GET /a?b?c HTTP/1.1\r\nHost:\r\n\r\n"), &e) > 0);
    assert_str(head.query, "b?c");
    assert_str(head.host, "");
    REFUSED("GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET *x HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /#x HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /\xC3\xA9 HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET http:// HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET https:// HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

static void versions(void **state)
{
    (void)state;
    struct err e;
    assert_true(parse(STR("GET / HTTP/1.0\r\n\r\n"), &e) > 0);
    assert_int_equal(head.minor, 0);
    assert_false(head.keep_alive);
    assert_null(head.host.p);
    assert_true(parse(STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nExpect: 100-continue\r\n\r\n"), &e) > 0);
    assert_true(head.keep_alive);
    assert_false(head.expect_continue);
    REFUSED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    REFUSED("GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505);
    REFUSED("GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505);
    REFUSED("GET / http/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400);
    REFUSED("GET / HTTP/11\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /\r\nHost: h\r\n\r\n", 400);
}

static void connection_options(void **state)
{
    (void)state;
    struct err e;
    assert_true(parse(STR("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n"), &e) > 0);
    assert_false(head.keep_alive);
    assert_true(parse(STR("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n"), &e) > 0);
    assert_false(head.keep_alive);
    assert_true(parse(STR("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n"),
                      &e) > 0);
    assert_true(head.upgrade);
    assert_true(parse(STR("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n"), &e) > 0);
    assert_false(head.upgrade);
    assert_true(parse(STR("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade:\r\n\r\n"), &e) > 0);
    assert_false(head.upgrade);
}

static void header_lines(void **state)
{
    (void)state;
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n folded\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\n A: b\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\nA: 12345678\x7F"
            "2345678\r\n\r\n",
            400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\nA\x80: b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\r\n\rX", 400);
    REFUSED("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

/* Each byte that is no field-value character, at each place of the eight-byte words. */
static void control_characters_anywhere(void **state)
{
    (void)state;
    for (size_t at = 0; at < 20; at++)
        for (int c = 0; c < 256; c++) {
            char text[] = "GET / HTTP/1.1\r\nHost: h\r\nA: xxxxxxxxxxxxxxxxxxxx\r\n\r\n";
            struct err e;
            text[28 + at] = (char)c;
            bool fine = c == '\t' || (c >= ' ' && c != 0x7F);
            assert_int_equal(parse(str_n(text, sizeof text - 1), &e), fine ? (ptrdiff_t)sizeof text - 1 : -1);
        }
}

static void host_rules(void **state)
{
    (void)state;
    REFUSED("GET / HTTP/1.1\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400);
    REFUSED("GET http://h/ HTTP/1.1\r\n\r\n", 400);
}

static void framing(void **state)
{
    (void)state;
    struct err e;
    assert_true(parse(STR("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"), &e) > 0);
    assert_int_equal(head.body, HTTP_BODY_CHUNKED);
    assert_true(parse(STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"), &e) > 0);
    assert_int_equal(head.body, HTTP_BODY_NONE);
    assert_true(parse(STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n"), &e) > 0);
    assert_true(head.length == UINT64_MAX);
    assert_true(parse(STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), &e) > 0);
    assert_int_equal(head.body, HTTP_BODY_NONE);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5 5\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\ncontent-length: 5\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 501);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", 501);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", 501);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0B"
            "chunked\r\n\r\n",
            400);
    REFUSED("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n", 400);
}

static void limits(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(KIB(64));
    struct err e;
    size_t target = LIMIT_HTTP_TARGET;
    for (int over = 0; over < 2; over++) {
        buf_clear(&b);
        buf_lit(&b, "GET /");
        memset(buf_reserve(&b, target), 'a', target);
        buf_commit(&b, target - (over ? 0 : 1));
        buf_lit(&b, " HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_int_equal(parse(buf_str(&b), &e), over ? -1 : (ptrdiff_t)b.len);
    }
    assert_int_equal(e.status, 414);
    assert_int_equal(e.code, ERR_TARGET_TOO_LONG);
    /* Without a line end it is known as soon as the target is too long. */
    assert_int_equal(parse(str_n(b.data, target + 6), &e), -1);
    assert_int_equal(e.status, 414);

    for (int over = 0; over < 2; over++) {
        buf_clear(&b);
        buf_lit(&b, "GET / HTTP/1.1\r\nHost: h\r\n");
        for (int i = 0; i < LIMIT_HTTP_HEADERS - 1 + over; i++)
            buf_addf(&b, "a%d: b\r\n", i);
        buf_lit(&b, "\r\n");
        assert_int_equal(parse(buf_str(&b), &e), over ? -1 : (ptrdiff_t)b.len);
    }
    assert_int_equal(e.status, 431);

    for (int over = 0; over < 2; over++) {
        buf_clear(&b);
        buf_lit(&b, "GET / HTTP/1.1\r\nHost: h\r\nA: ");
        size_t fill = LIMIT_HTTP_HEAD - b.len - 4 + (size_t)over;
        memset(buf_reserve(&b, fill), 'v', fill);
        buf_commit(&b, fill);
        assert_int_equal(parse(buf_str(&b), &e), 0);
        buf_lit(&b, "\r\n\r\n");
        assert_int_equal(b.len, LIMIT_HTTP_HEAD + (size_t)over);
        assert_int_equal(parse(buf_str(&b), &e), over ? -1 : (ptrdiff_t)b.len);
    }
    assert_int_equal(e.status, 431);
    b.data[b.len - 5] = 'v';
    assert_int_equal(http_head_parse(&head, str_n(b.data, LIMIT_HTTP_HEAD), LIMIT_HTTP_HEAD - 1, &e), -1);
    assert_int_equal(e.code, ERR_HEADERS_TOO_LARGE);
    buf_free(&b);
}

static void errors_are_optional(void **state)
{
    (void)state;
    assert_int_equal(http_head_parse(&head, STR("GET / HTTP/2.0\r\n\r\n"), 0, NULL), -1);
    assert_int_equal(http_head_parse(&head, STR("\n"), 0, NULL), -1);
    assert_int_equal(http_head_parse(&head, STR_NONE, 0, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_request),
        cmocka_unit_test(every_split_is_incomplete_and_costs_one_pass),
        cmocka_unit_test(a_dribbling_head_that_is_wrong_is_refused),
        cmocka_unit_test(methods),
        cmocka_unit_test(target_forms),
        cmocka_unit_test(versions),
        cmocka_unit_test(connection_options),
        cmocka_unit_test(header_lines),
        cmocka_unit_test(control_characters_anywhere),
        cmocka_unit_test(host_rules),
        cmocka_unit_test(framing),
        cmocka_unit_test(limits),
        cmocka_unit_test(errors_are_optional),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
