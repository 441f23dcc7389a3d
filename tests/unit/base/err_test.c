#include "unit/support/unit.h"

#include "base/err.h"
#include "base/utf8.h"
#include "unit/support/child.h"

static void sets_everything_and_returns_minus_one(void **state)
{
    (void)state;
    struct err e = {.retry_after_ms = 5};
    assert_int_equal(err_set(&e, ERR_NOT_FOUND, "no %s called %d", "thing", 7), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(e.status, 404);
    assert_int_equal(e.retry_after_ms, 0);
    assert_string_equal(e.text, "no thing called 7");
}

static void without_text_the_code_speaks(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(err_set(&e, ERR_UNAUTHORIZED, NULL), -1);
    assert_string_equal(e.text, "Please authenticate.");
    assert_int_equal(e.status, 401);
}

static void nobody_has_to_listen(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_TIMEOUT, "%s", "unheard"), -1);
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x99\x82"};
    for (size_t c = 0; c < COUNT(characters); c++) {
        for (size_t lead = 0; lead < 4; lead++) {
            char text[600] = "";
            memset(text, '-', lead);
            size_t n = lead;
            while (n < 400) {
                memcpy(text + n, characters[c], strlen(characters[c]));
                n += strlen(characters[c]);
            }
            struct err e;
            err_set(&e, ERR_UPSTREAM, "%s", text);
            size_t got = strlen(e.text), width = strlen(characters[c]);
            assert_true(utf8_valid(str_c(e.text)));
            assert_true(got <= sizeof e.text - 1 && got + width > sizeof e.text - 1);
        }
    }
}

static void the_table_is_complete(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_NONE), "NONE");
    assert_int_equal(err_status(ERR_NONE), 200);
    for (int code = 1; code < ERR_CODES; code++) {
        assert_true(strlen(err_name((enum err_code)code)) > 3);
        assert_in_range(err_status((enum err_code)code), 400, 599);
        assert_true(strlen(err_text((enum err_code)code)) > 3);
        for (int other = 1; other < code; other++)
            assert_string_not_equal(err_name((enum err_code)code), err_name((enum err_code)other));
    }
    assert_string_equal(err_name(ERR_INVALID_REQUEST), "INVALID_REQUEST");
    assert_int_equal(err_status(ERR_STORE_UNAVAILABLE), 503);
}

static void die_now(void)
{
    die("gone with %d", 42);
}

static void die_says_why_and_aborts(void **state)
{
    (void)state;
    static struct child child;
    child_run(&child, die_now);
    assert_true(child_aborted(&child));
    assert_string_equal(child.err, "parley: fatal: gone with 42\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_everything_and_returns_minus_one),
        cmocka_unit_test(without_text_the_code_speaks),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(the_table_is_complete),
        cmocka_unit_test(die_says_why_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
