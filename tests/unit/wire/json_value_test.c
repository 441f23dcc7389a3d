#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/json.h"

#include <math.h>

static struct json_value root_of(struct str text)
{
    struct json_want w = {.path = ""};
    struct err e;
    assert_int_equal(json_scan(text, &w, 1, NULL, &e), 0);
    return w.value;
}

static void assert_text(struct str json, struct str want)
{
    struct buf scratch = BUF_INIT(100);
    struct json_value v = root_of(json);
    buf_lit(&scratch, "x");
    assert_true(str_eq(json_text(&v, &scratch), want));
    assert_int_equal(scratch.len, 1 + (v.escaped ? want.n : 0));
    buf_free(&scratch);
}

#define TEXT(json, want) assert_text(STR(json), STR(want))

static void texts(void **state)
{
    (void)state;
    TEXT("\"plain \xE2\x82\xAC\"", "plain \xE2\x82\xAC");
    TEXT("\"\"", "");
    TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
    TEXT("\"a\\u0041\\u00e9\\u20AC\\uD83D\\uDE00z\"", "aA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z");
    TEXT("\"\\u0000\"", "\0");
    TEXT("\"\\ud83d\"", "\xEF\xBF\xBD");
    TEXT("\"\\ude00x\"", "\xEF\xBF\xBDx");
    TEXT("\"\\ud83dx\\ud83d\\n\"", "\xEF\xBF\xBDx\xEF\xBF\xBD\n");
    TEXT("\"\\ud83d\\ud83d\\ude00\"", "\xEF\xBF\xBD\xF0\x9F\x98\x80");
    TEXT("\"\\uDBFF\\uDFFF\"", "\xF4\x8F\xBF\xBF");
}

static void texts_that_are_none(void **state)
{
    (void)state;
    struct buf scratch = BUF_INIT(3);
    struct json_value v = root_of(STR("12"));
    assert_null(json_text(&v, &scratch).p);
    v = root_of(STR("\"12345\""));
    assert_true(str_eqc(json_text(&v, &scratch), "12345"));
    v = root_of(STR("\"123\\n45\""));
    assert_null(json_text(&v, &scratch).p);
    v = (struct json_value){0};
    assert_null(json_text(&v, &scratch).p);
    buf_free(&scratch);
}

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"42", 42},
        {"-17", -17},
        {"3.0", 3},
        {"1e3", 1000},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"9223372036854775808", -5},
        {"-9223372036854775809", INT64_MIN}, /* as a double it is the same number */
        {"1.5", -5},
        {"1e99", -5},
        {"1e999", -5},
        {"-1e999", -5},
        {"\"7\"", -5},
        {"null", -5},
        {"true", -5},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_value v = root_of(str_c(cases[i].text));
        assert_int_equal(json_int(&v, -5), cases[i].want);
    }
}

static void doubles(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double want;
    } cases[] = {
        {"0.7", 0.7},
        {"-1.25e-3", -1.25e-3},
        {"1E5", 1e5},
        {"\"1\"", 9.5},
        {"null", 9.5},
        {"1e999", HUGE_VAL},
        {"0.00000000000000000000000000000000000000000000000000000000000000000000000000000000001", 1e-83},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_value v = root_of(str_c(cases[i].text));
        assert_true(json_double(&v, 9.5) == cases[i].want);
    }
}

static void children_of_an_object(void **state)
{
    (void)state;
    struct str text =
        STR("{ \"a\" : [ 1 , {\"]\":\"}\"} ] ,\"b\\\"\":\"x\\\\\",\"c\":{\"d\":{}}, \"e\" :-1.5 , \"f\":null }");
    static const char *const want[][2] = {
        {"a", "[ 1 , {\"]\":\"}\"} ]"}, {"b\\\"", "x\\\\"}, {"c", "{\"d\":{}}"}, {"e", "-1.5"}, {"f", "null"}};
    static const enum json_type types[] = {JSON_ARRAY, JSON_STRING, JSON_OBJECT, JSON_NUMBER, JSON_NULL};
    struct json_value v = root_of(text), key, child;
    struct json_iter it = json_iter(&v);
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_true(json_each(&it, &key, &child));
        assert_int_equal(key.type, JSON_STRING);
        assert_true(str_eqc(key.raw, want[i][0]));
        assert_int_equal(key.escaped, i == 1);
        assert_true(str_eqc(child.raw, want[i][1]));
        assert_int_equal(child.type, types[i]);
        assert_int_equal(child.escaped, i == 1);
    }
    assert_false(json_each(&it, &key, &child));
    assert_false(json_each(&it, &key, &child));
}

static void children_of_an_array(void **state)
{
    (void)state;
    static const char *const want[] = {"1", "", "[2,[3]]", "true", "{}"};
    struct json_value v = root_of(STR("[1,\"\",[2,[3]],true,{}]")), key, child;
    struct json_iter it = json_iter(&v);
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_true(json_each(&it, &key, &child));
        assert_int_equal(key.type, JSON_NONE);
        assert_true(str_eqc(child.raw, want[i]));
    }
    assert_false(json_each(&it, NULL, &child));
    it = json_iter(&v);
    size_t n = 0;
    while (json_each(&it, NULL, &child))
        n++;
    assert_int_equal(n, COUNT(want));
}

static void no_children(void **state)
{
    (void)state;
    static const char *const none[] = {"{}", "[ ]", "{ \n}", "7", "\"[1]\"", "null"};
    for (size_t i = 0; i < COUNT(none); i++) {
        struct json_value v = root_of(str_c(none[i])), child;
        struct json_iter it = json_iter(&v);
        assert_false(json_each(&it, NULL, &child));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),       cmocka_unit_test(texts_that_are_none),   cmocka_unit_test(integers),
        cmocka_unit_test(doubles),     cmocka_unit_test(children_of_an_object), cmocka_unit_test(children_of_an_array),
        cmocka_unit_test(no_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
