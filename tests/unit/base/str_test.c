#include "unit/support/unit.h"

#include "base/macros.h"
#include "base/utf8.h"

static void slices_compare_by_content(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), str_n("abcd", 3)));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eqc(STR("x"), "x"));
    assert_true(str_eqc(STR(""), NULL));
    assert_true(str_ieq(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_ieq(STR("a"), STR("ab")));
    assert_false(str_ieq(STR("@"), STR("`"))); /* 32 apart, no letters */
    assert_false(str_ieq(STR("["), STR("{")));
    assert_false(str_ieq(STR("\xC4"), STR("\xE4")));
}

static void prefixes_sort_first(void **state)
{
    (void)state;
    assert_int_equal(str_cmp(STR("a"), STR("a")), 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("b"), STR("ab")) > 0);
    assert_true(str_cmp(STR_NONE, STR("a")) < 0);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_true(str_cmp(STR("\x80"), STR("\x7f")) > 0);
}

static void heads_and_tails(void **state)
{
    (void)state;
    assert_true(str_starts(STR("/api/v1"), STR("/api")));
    assert_true(str_starts(STR(""), STR("")));
    assert_false(str_starts(STR("/ap"), STR("/api")));
    assert_true(str_ends(STR("file.json"), STR(".json")));
    assert_false(str_ends(STR("json"), STR(".json")));
    assert_true(str_ends(STR("x"), STR("")));
    assert_str(str_from(STR("hello"), 2), "llo");
    assert_str(str_from(STR("hello"), 5), "");
    assert_str(str_from(STR("hello"), 9), "");
    assert_int_equal(str_from(STR_NONE, 3).n, 0);
}

static void trims_ascii_space(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \t\r\n a b \n")), "a b");
    assert_str(str_trim(STR("  \t ")), "");
    assert_str(str_trim(STR_NONE), "");
    assert_str(str_trim(STR("\va\v")), "\va\v");
}

static void finds_the_first(void **state)
{
    (void)state;
    assert_int_equal(str_find_char(STR("a=b=c"), '='), 1);
    assert_int_equal(str_find_char(STR("abc"), '='), -1);
    assert_int_equal(str_find_char(STR_NONE, 0), -1);
    assert_int_equal(str_find_char(STR("a\0b"), 0), 1);
    assert_int_equal(str_find(STR("abcabc"), STR("ca")), 2);
    assert_int_equal(str_find(STR("abc"), STR("abcd")), -1);
    assert_int_equal(str_find(STR("abc"), STR("")), 0);
    assert_int_equal(str_find(STR("abc"), STR_NONE), 0);
    assert_int_equal(str_find(STR_NONE, STR_NONE), 0);
    assert_int_equal(str_find(STR_NONE, STR("a")), -1);
}

static void splits_into_all_pieces(void **state)
{
    (void)state;
    struct str rest = STR("a,,b,"), piece;
    static const char *const want[] = {"a", "", "b", ""};
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_true(str_split(&rest, ',', &piece));
        assert_str(piece, want[i]);
    }
    assert_null(rest.p);
    assert_false(str_split(&rest, ',', &piece));
    rest = STR("");
    assert_true(str_split(&rest, ',', &piece));
    assert_str(piece, "");
    assert_false(str_split(&rest, ',', &piece));
}

static void header_lists_name_tokens(void **state)
{
    (void)state;
    assert_true(str_list_has(STR("keep-alive, Upgrade"), STR("upgrade")));
    assert_true(str_list_has(STR("gzip;q=0.5,br"), STR("gzip")));
    assert_true(str_list_has(STR(",, close ,"), STR("close")));
    assert_false(str_list_has(STR("keep-alive-not"), STR("keep-alive")));
    assert_false(str_list_has(STR_NONE, STR("x")));
    assert_false(str_list_has(STR("a b"), STR("a")));
}

static void numbers_are_exact_or_refused(void **state)
{
    (void)state;
    uint64_t u = 7;
    assert_int_equal(str_u64(STR("0"), &u), 0);
    assert_int_equal(u, 0);
    assert_int_equal(str_u64(STR("18446744073709551615"), &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(str_u64(STR("007"), &u), 0);
    assert_int_equal(u, 7);
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "1a", "18446744073709551616", "99999999999999999999", "0x10"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(str_u64(str_c(bad[i]), &u), -1);
    assert_int_equal(str_u64(STR("1\0"), &u), -1);
    assert_int_equal(u, 7);

    int64_t n = 5;
    assert_int_equal(str_i64(STR("-12"), &n), 0);
    assert_int_equal(n, -12);
    assert_int_equal(str_i64(STR("-0"), &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(str_i64(STR("9223372036854775807"), &n), 0);
    assert_true(n == INT64_MAX);
    assert_int_equal(str_i64(STR("-9223372036854775808"), &n), 0);
    assert_true(n == INT64_MIN);
    static const char *const bad_signed[] = {
        "", "-", "--1", "9223372036854775808", "-9223372036854775809", "-18446744073709551615"};
    for (size_t i = 0; i < COUNT(bad_signed); i++)
        assert_int_equal(str_i64(str_c(bad_signed[i]), &n), -1);
    assert_true(n == INT64_MIN);
}

static void copies_cut_between_characters(void **state)
{
    (void)state;
    char *dup = str_dup(STR_NONE);
    assert_string_equal(dup, "");
    free(dup);
    char out[8];
    assert_int_equal(str_copy(out, sizeof out, STR("hello")), 5);
    assert_string_equal(out, "hello");
    assert_int_equal(str_copy(out, sizeof out, STR("1234567")), 7);
    assert_int_equal(str_copy(out, sizeof out, STR("12345678")), 7);
    assert_string_equal(out, "1234567");
    assert_int_equal(str_copy(out, sizeof out, STR("123456\xC3\xA9")), 6);
    assert_string_equal(out, "123456");
    assert_int_equal(str_copy(out, sizeof out, STR("1234\xF0\x9F\x99\x82")), 4);
    assert_int_equal(str_copy(out, 1, STR("x")), 0);
    assert_string_equal(out, "");
    out[0] = 'k';
    assert_int_equal(str_copy(out, 0, STR("x")), 0);
    assert_int_equal(out[0], 'k');
    assert_int_equal(str_copy(out, sizeof out, STR_NONE), 0);
    assert_string_equal(out, "");
}

static void hex_is_lower_case(void **state)
{
    (void)state;
    char out[9];
    hex_encode(out, "\x00\x7f\xff\x1a", 4);
    assert_string_equal(out, "007fff1a");
    hex_encode(out, NULL, 0);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_content),
        cmocka_unit_test(prefixes_sort_first),
        cmocka_unit_test(heads_and_tails),
        cmocka_unit_test(trims_ascii_space),
        cmocka_unit_test(finds_the_first),
        cmocka_unit_test(splits_into_all_pieces),
        cmocka_unit_test(header_lists_name_tokens),
        cmocka_unit_test(numbers_are_exact_or_refused),
        cmocka_unit_test(copies_cut_between_characters),
        cmocka_unit_test(hex_is_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
