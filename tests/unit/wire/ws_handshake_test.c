#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/ws.h"

static void accept_of_a_key(void **state)
{
    (void)state;
    char out[29];
    assert_int_equal(ws_accept(out, STR("dGhlIHNhbXBsZSBub25jZQ==")), 0); /* RFC 6455 1.3 */
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void malformed_keys(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "dGhlIHNhbXBsZSBub25jZQ=",
                                        "dGhlIHNhbXBsZSBub25jZQ",
                                        "dGhlIHNhbXBsZSBub25jZQ== ",
                                        "dGhlIHNhbXBsZSBub25jZQA=",
                                        "dGhlIHNhbXBsZSBub25jZQAA",
                                        "dGhlIHNhbXBsZSBub25jZ!==",
                                        "dGhlIHNhbXBsZSBub25jZQAAZQ=="};
    char out[29];
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(ws_accept(out, str_c(wrong[i])), -1);
    assert_int_equal(ws_accept(out, STR_NONE), -1);
}

static void assert_accepts(const char *offers, bool context, const char *want, int server_bits)
{
    struct buf b = BUF_INIT(200);
    struct ws_deflate_params p = {0};
    assert_int_equal(ws_deflate_accept(str_c(offers), context, &p, &b), want != NULL);
    assert_string_equal(buf_cstr(&b), want ? want : "");
    if (want) {
        assert_int_equal(p.server_max_window_bits, server_bits);
        assert_int_equal(p.client_max_window_bits, 15);
        assert_int_equal(p.server_no_context_takeover, strstr(want, "server_no_context") != NULL);
        assert_int_equal(p.client_no_context_takeover, strstr(want, "client_no_context") != NULL);
    }
    buf_free(&b);
}

#define NO_CONTEXT "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static void offers(void **state)
{
    (void)state;
    assert_accepts("permessage-deflate; client_max_window_bits", false, NO_CONTEXT, 15);
    assert_accepts("permessage-deflate; client_max_window_bits=10", true, "permessage-deflate", 15);
    assert_accepts("Permessage-Deflate;server_max_window_bits=9", false, NO_CONTEXT "; server_max_window_bits=9", 9);
    assert_accepts("permessage-deflate; server_max_window_bits=\"12\"", true,
                   "permessage-deflate; server_max_window_bits=12", 12);
    assert_accepts("permessage-deflate; client_no_context_takeover", true,
                   "permessage-deflate; client_no_context_takeover", 15);
    assert_accepts("permessage-deflate; server_no_context_takeover", true,
                   "permessage-deflate; server_no_context_takeover", 15);
    /* The first that can be obeyed wins. */
    assert_accepts("x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8, permessage-deflate", true,
                   "permessage-deflate", 15);
}

static void declined_offers(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "foo",
                                        "permessage-deflate2",
                                        "permessage-deflate; unknown",
                                        "permessage-deflate; server_max_window_bits",
                                        "permessage-deflate; server_max_window_bits=8",
                                        "permessage-deflate; server_max_window_bits=16",
                                        "permessage-deflate; server_max_window_bits=7",
                                        "permessage-deflate; server_max_window_bits=010",
                                        "permessage-deflate; server_max_window_bits=",
                                        "permessage-deflate; server_max_window_bits=\"",
                                        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
                                        "permessage-deflate; client_max_window_bits=99",
                                        "permessage-deflate; client_max_window_bits; client_max_window_bits",
                                        "permessage-deflate; server_no_context_takeover=1",
                                        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
                                        "permessage-deflate;"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_accepts(wrong[i], false, NULL, 0);
    struct buf tiny = BUF_INIT(10);
    struct ws_deflate_params p;
    assert_int_equal(ws_deflate_accept(STR("permessage-deflate"), false, &p, &tiny), 0);
    assert_int_equal(tiny.len, 0);
    assert_int_equal(ws_deflate_accept(STR_NONE, false, &p, &tiny), 0);
    buf_free(&tiny);
}

static void answers(void **state)
{
    (void)state;
    struct ws_deflate_params p;
    assert_int_equal(ws_deflate_answer(STR("permessage-deflate"), &p), 0);
    assert_false(p.server_no_context_takeover || p.client_no_context_takeover);
    assert_int_equal(p.server_max_window_bits, 15);
    assert_int_equal(p.client_max_window_bits, 15);
    assert_int_equal(ws_deflate_answer(STR("permessage-deflate; server_no_context_takeover; "
                                           "client_no_context_takeover; server_max_window_bits=8; "
                                           "client_max_window_bits=11"),
                                       &p),
                     0);
    assert_true(p.server_no_context_takeover && p.client_no_context_takeover);
    assert_int_equal(p.server_max_window_bits, 9);
    assert_int_equal(p.client_max_window_bits, 11);
    static const char *const wrong[] = {"",
                                        "foo",
                                        "permessage-deflate; client_max_window_bits",
                                        "permessage-deflate; client_max_window_bits=8",
                                        "permessage-deflate; x",
                                        "permessage-deflate, permessage-deflate"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(ws_deflate_answer(str_c(wrong[i]), &p), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_of_a_key), cmocka_unit_test(malformed_keys), cmocka_unit_test(offers),
        cmocka_unit_test(declined_offers), cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
