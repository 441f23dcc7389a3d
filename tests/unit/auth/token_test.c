#include "auth/token.h"

#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void tokens_are_equal_only_whole(void **state)
{
    (void)state;
    assert_true(token_equal(STR("secret-token"), STR("secret-token")));
    assert_true(token_equal(str_n("a\0b", 3), str_n("a\0b", 3)));
    assert_false(token_equal(STR("secret-toke"), STR("secret-token")));
    assert_false(token_equal(STR("secret-token "), STR("secret-token")));
    assert_false(token_equal(STR("Secret-token"), STR("secret-token")));
    assert_false(token_equal(str_n("a\0b", 3), str_n("a\0c", 3)));
    assert_false(token_equal(STR_NONE, STR("secret-token")));
}

static void no_expected_token_matches_nothing(void **state)
{
    (void)state;
    assert_false(token_equal(STR(""), STR("")));
    assert_false(token_equal(STR_NONE, STR_NONE));
    assert_false(token_equal(STR("x"), STR_NONE));
}

static void bearer_forms(void **state)
{
    (void)state;
    const char *const good[] = {"Bearer abc.def", "bearer abc.def", "BEARER\tabc.def", "  Bearer   abc.def  ",
                                "abc.def"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(str_eqc(bearer_token(str_c(good[i])), "abc.def"));
    const char *const bad[] = {"",           "   ",   "Bearer",     "Bearer ", "Basic dXNlcjpwYXNz",
                               "Bearer a b", "a b c", "Bearer a\tb"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_null(bearer_token(str_c(bad[i])).p);
    assert_null(bearer_token(STR_NONE).p);
    assert_true(str_eqc(bearer_token(STR("Bearerabc")), "Bearerabc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_equal_only_whole),
        cmocka_unit_test(no_expected_token_matches_nothing),
        cmocka_unit_test(bearer_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
