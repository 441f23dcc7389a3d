#include "unit/support/unit.h"

#include "wire/http.h"

#include <stdio.h>

static struct http_reply_head head;

/* Parses in memory of exactly that size; every shorter prefix is incomplete. */
static ptrdiff_t parse(const char *text, struct err *e)
{
    size_t n = strlen(text);
    ptrdiff_t got = 0;
    for (size_t have = 0; have <= n && got == 0; have++) {
        char *copy = malloc(have ? have : 1);
        memcpy(copy, text, have);
        got = http_reply_head_parse(&head, str_n(copy, have), e);
        free(copy);
    }
    return got;
}

static void check(const char *text, int status, enum http_body body, uint64_t length, bool until_close)
{
    struct err e = {0};
    ptrdiff_t got = parse(text, &e);
    if (got < 0)
        fail_msg("%s: %s", e.text, text);
    assert_int_equal(got, strlen(text));
    assert_int_equal(head.status, status);
    assert_int_equal(head.body, body);
    assert_int_equal(head.length, length);
    assert_int_equal(head.until_close, until_close);
}

static void heads_are_read(void **state)
{
    (void)state;
    check("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 200, HTTP_BODY_LENGTH, 12, false);
    check("HTTP/1.1 200\r\n\r\n", 200, HTTP_BODY_NONE, 0, true);
    check("HTTP/1.0 407 Proxy Authentication Required\r\n\r\n", 407, HTTP_BODY_NONE, 0, true);
    check("HTTP/1.1 500 \r\ntransfer-encoding: Chunked\r\n\r\n", 500, HTTP_BODY_CHUNKED, 0, false);
    check("HTTP/1.1 404 N\xC3\xA4h\r\nContent-Length: 0\r\n\r\n", 404, HTTP_BODY_NONE, 0, false);
    check("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", 101, HTTP_BODY_NONE, 0, false);
    check("HTTP/1.1 204 No Content\r\n\r\n", 204, HTTP_BODY_NONE, 0, false);
    check("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, HTTP_BODY_NONE, 9, false);
}

static void headers_are_found(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nA: 1\r\nB:\t two \t\r\na: 2\r\nEmpty:\r\n\r\nbody";
    struct err e;
    (void)state;
    assert_int_equal(http_reply_head_parse(&head, str_c(text), &e), strlen(text) - 4);
    assert_int_equal(head.nheaders, 4);
    assert_str(http_reply_field(&head, STR("a")), "1");
    assert_str(http_reply_field(&head, STR("b")), "two");
    assert_str(http_reply_field(&head, STR("empty")), "");
    assert_null(http_reply_field(&head, STR("c")).p);
    assert_int_equal(http_reply_field_count(&head, STR("a")), 2);
    assert_int_equal(http_reply_field_count(&head, STR("c")), 0);
}

static void refuse(const char *text)
{
    struct err e = {0};
    if (parse(text, &e) != -1)
        fail_msg("taken: %s", text);
    assert_int_equal(e.code, ERR_UPSTREAM);
}

static void odd_heads_are_refused(void **state)
{
    (void)state;
    refuse("SSH-2.0-OpenSSH\r\n");
    refuse("HTTP/2");
    refuse("http/1.1 200 OK\r\n\r\n");
    refuse("HTTP/1.2 200 OK\r\n\r\n");
    refuse("HTTP/1.1  200 OK\r\n\r\n");
    refuse("HTTP/1.1 20 OK\r\n\r\n");
    refuse("HTTP/1.1 2000 OK\r\n\r\n");
    refuse("HTTP/1.1 099 OK\r\n\r\n");
    refuse("HTTP/1.1 200 O\x01K\r\n\r\n");
    refuse("HTTP/1.1 200 OK\n\r\n\r\n");
    refuse("HTTP/1.1 200 OK\r\nA : b\r\n\r\n");
    refuse("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n");
    refuse("HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n");
    refuse("HTTP/1.1 200 OK\r\nno colon\r\n\r\n");
    refuse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n");
    refuse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n");
    refuse("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
    struct err e;
    assert_int_equal(http_reply_head_parse(&head, STR("HTTP/1.1 200 O\0K\r\n\r\n"), &e), -1);
}

static void heads_have_a_ceiling(void **state)
{
    struct buf text = BUF_INIT(LIMIT_HTTP_HEAD + 100);
    struct err e;
    (void)state;
    buf_lit(&text, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < LIMIT_HTTP_HEADERS; i++)
        buf_addf(&text, "H%d: x\r\n", i);
    size_t before = text.len;
    buf_lit(&text, "\r\n");
    assert_int_equal(http_reply_head_parse(&head, buf_str(&text), &e), text.len);
    assert_int_equal(head.nheaders, LIMIT_HTTP_HEADERS);
    text.len = before;
    buf_lit(&text, "More: x\r\n\r\n");
    assert_int_equal(http_reply_head_parse(&head, buf_str(&text), &e), -1);
    text.len = before;
    while (text.len < LIMIT_HTTP_HEAD - 1)
        buf_byte(&text, 'x');
    assert_int_equal(http_reply_head_parse(&head, buf_str(&text), &e), 0);
    buf_byte(&text, 'x');
    assert_int_equal(http_reply_head_parse(&head, buf_str(&text), &e), -1);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_read),
        cmocka_unit_test(headers_are_found),
        cmocka_unit_test(odd_heads_are_refused),
        cmocka_unit_test(heads_have_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
