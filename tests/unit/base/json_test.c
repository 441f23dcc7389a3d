#include "unit/support/unit.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <math.h>
#include <pthread.h>

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new("test");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena = arena_free(arena);
    return 0;
}

static void members_are_read_with_fallbacks(void **state)
{
    (void)state;
    struct err e;
    const cJSON *t =
        json_parse(arena,
                   STR(" {\"s\":\"\\u00e9\\ud83d\\ude42\\n\",\"n\":-1.5e2,\"t\":true,\"f\":false,\"z\":null,"
                       "\"o\":{\"a\":[1,2]}}\r\n"),
                   &e);
    assert_non_null(t);
    assert_str(json_str(t, "s"), "\xC3\xA9\xF0\x9F\x99\x82\n");
    assert_true(json_num(t, "n", 0) == -150);
    assert_true(json_bool(t, "t", false));
    assert_false(json_bool(t, "f", true));
    assert_true(cJSON_IsNull(json_get(t, "z")));
    assert_int_equal(cJSON_GetArraySize(json_get(json_get(t, "o"), "a")), 2);
    assert_null(json_get(t, "S"));
    assert_null(json_str(t, "n").p);
    assert_null(json_str(t, "absent").p);
    assert_true(json_num(t, "s", 7) == 7);
    assert_true(json_bool(t, "n", true));
    assert_null(json_get(NULL, "x"));
    assert_null(json_get(json_get(t, "s"), "x"));
}

static void any_value_may_stand_alone(void **state)
{
    (void)state;
    struct err e;
    assert_true(cJSON_IsNull(json_parse(arena, STR("null"), &e)));
    assert_true(cJSON_IsArray(json_parse(arena, STR("[]"), &e)));
    assert_true(cJSON_IsString(json_parse(arena, STR("\"x\""), &e)));
    assert_true(cJSON_IsNumber(json_parse(arena, STR("0"), &e)));
}

static void broken_text_is_refused_with_the_place(void **state)
{
    (void)state;
    const struct {
        struct str text;
        const char *why;
    } bad[] = {
        {STR_NONE, "Unexpected end of JSON input"},
        {STR(""), "Unexpected end of JSON input"},
        {STR("{\"a\":"), "Unexpected end of JSON input"},
        {STR("{\"a\" 1}"), "Unexpected token in JSON at position 5"},
        {STR("[1,2] x"), "Unexpected token in JSON at position 6"},
        {STR("{}{}"), "Unexpected token in JSON at position 2"},
        {STR("\"\xFF\""), "JSON is not valid UTF-8"},
        {STR("\"a\0b\""), "Bad control character in JSON string at position 2"},
        {STR("\"a\nb\""), "Bad control character in JSON string at position 2"},
        {STR("[1,\0 2]"), "Unexpected token in JSON at position 3"},
        {STR("[1,\f2]"), "Unexpected token in JSON at position 3"},
        {STR("\"\\u0000\""), "JSON text must not contain \\u0000"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = {0};
        assert_null(json_parse(arena, bad[i].text, &e));
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
        assert_string_equal(e.text, bad[i].why);
        assert_null(json_parse(arena, bad[i].text, NULL));
    }
    static const char *const more[] = {"{",   "[",    "[1,]", "{\"a\":1,}", "{a:1}",   "'a'",         "tru",
                                       "nul", "+1",   "-",    ".5",         "\"\\x\"", "\"\\ud800\"", "\"\\u12\"",
                                       "\"",  "\"\\", "NaN",  "]",          "1 2"};
    for (size_t i = 0; i < COUNT(more); i++) {
        struct err e = {0};
        assert_null(json_parse(arena, str_c(more[i]), &e));
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
    }
}

/* Exactly as many bytes as the slice has: a heap copy lets the sanitizer see one more. */
static void nothing_is_read_behind_the_slice(void **state)
{
    (void)state;
    static const char *const texts[] = {"12",  "-",        "1e",  "\"a", "\"\\", "\"\\u00",
                                        "tru", "{\"a\":1", "[1,", " ",   "nul",  "\"\\ud83d\\ude"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t n = strlen(texts[i]);
        char *exact = malloc(n);
        memcpy(exact, texts[i], n);
        json_parse(arena, str_n(exact, n), NULL);
        free(exact);
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(MIB(2));
    for (int depth = LIMIT_JSON_DEPTH; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
        buf_clear(&b);
        for (int i = 0; i < depth; i++)
            buf_lit(&b, "[");
        for (int i = 0; i < depth; i++)
            buf_lit(&b, "]");
        struct err e = {0};
        const cJSON *t = json_parse(arena, buf_str(&b), &e);
        if (depth <= LIMIT_JSON_DEPTH)
            assert_non_null(t);
        else
            assert_string_equal(e.text, "JSON is nested deeper than 64 levels");
    }
    buf_clear(&b);
    for (int i = 0; i < 500000; i++)
        buf_lit(&b, "{\"");
    assert_null(json_parse(arena, buf_str(&b), NULL));
    struct err e;
    assert_int_equal(
        json_precheck(STR("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\""), &e), 0);
    assert_int_equal(json_precheck(STR("[\"\\\"[\"]"), &e), 0);
    buf_free(&b);
}

static const char *quoted(struct str s)
{
    static struct buf out = BUF_INIT(KIB(64));
    buf_clear(&out);
    assert_int_equal(json_put_str(&out, s), 0);
    return buf_cstr(&out);
}

static void strings_are_escaped_at_every_place(void **state)
{
    (void)state;
    assert_string_equal(quoted(STR("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f")),
                        "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
    assert_string_equal(quoted(STR("a\0b")), "\"a\\u0000b\"");
    assert_string_equal(quoted(STR_NONE), "\"\"");
    for (size_t n = 1; n < 40; n++) {
        for (size_t at = 0; at < n; at++) {
            char text[40], want[50] = "\"";
            memset(text, 'x', n);
            text[at] = '"';
            memset(want + 1, 'x', n + 1);
            memcpy(want + 1 + at, "\\\"", 2);
            want[n + 2] = '"';
            want[n + 3] = 0;
            assert_string_equal(quoted(str_n(text, n)), want);
        }
    }
}

static void what_is_not_utf8_is_repaired(void **state)
{
    (void)state;
    assert_string_equal(quoted(STR("a\xFF"
                                   "b")),
                        "\"a\xEF\xBF\xBD"
                        "b\"");
    assert_string_equal(quoted(STR("\xC3\xA9\xC3")), "\"\xC3\xA9\xEF\xBF\xBD\"");
    assert_string_equal(quoted(STR("\xED\xA0\x80\"")), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\\\"\"");
}

/* Every string of random bytes, written and parsed again, is the same text (or its repair). */
static void what_is_written_can_be_read(void **state)
{
    (void)state;
    uint32_t lottery = 99;
    for (int round = 0; round < 3000; round++) {
        char text[64];
        size_t n = (size_t)round % sizeof text;
        for (size_t i = 0; i < n; i++) {
            lottery = lottery * 1664525 + 1013904223;
            text[i] = (char)(lottery >> (round % 2 ? 24 : 25));
            if (text[i] == 0)
                text[i] = 'z';
        }
        struct arena *a = arena_new("round");
        struct err e = {0};
        const cJSON *t = json_parse(a, str_c(quoted(str_n(text, n))), &e);
        assert_non_null(t);
        if (utf8_valid(str_n(text, n)))
            assert_true(str_eq(str_c(t->valuestring), str_n(text, n)));
        arena_free(a);
    }
}

static void the_ceiling_is_reported(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(10);
    assert_int_equal(json_put_str(&b, STR("12345678")), 0);
    buf_clear(&b);
    assert_int_equal(json_put_str(&b, STR("123456789")), -1);
    buf_clear(&b);
    struct jw w = jw_begin(&b);
    jw_obj(&w);
    jw_kstr(&w, "key", STR("too long for it"));
    jw_end_obj(&w);
    assert_false(jw_ok(&w));
    buf_free(&b);
}

static void the_writer_puts_commas_where_they_belong(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(KIB(4));
    struct jw w = jw_begin(&b);
    jw_obj(&w);
    jw_kstr(&w, "s", STR("x\n"));
    jw_kint(&w, "min", INT64_MIN);
    jw_kint(&w, "max", INT64_MAX);
    jw_knum(&w, "n", 0.1);
    jw_kbool(&w, "t", true);
    jw_knull(&w, "z");
    jw_kraw(&w, "raw", STR("[1]"));
    jw_kiso(&w, "at", 1795244413463);
    jw_key(&w, "a");
    jw_arr(&w);
    jw_arr(&w);
    jw_end_arr(&w);
    jw_obj(&w);
    jw_end_obj(&w);
    jw_int(&w, 1);
    jw_str(&w, STR("two"));
    jw_bool(&w, false);
    jw_end_arr(&w);
    jw_key(&w, "e");
    jw_obj(&w);
    jw_end_obj(&w);
    jw_end_obj(&w);
    assert_true(jw_ok(&w));
    assert_str(buf_str(&b), "{\"s\":\"x\\n\",\"min\":-9223372036854775808,\"max\":9223372036854775807,\"n\":0.1,"
                            "\"t\":true,\"z\":null,\"raw\":[1],\"at\":\"2026-11-21T07:00:13.463Z\","
                            "\"a\":[[],{},1,\"two\",false],\"e\":{}}");
    assert_non_null(json_parse(arena, buf_str(&b), NULL));
    buf_free(&b);
}

static void numbers_read_back_the_same(void **state)
{
    (void)state;
    static const double numbers[] = {0,
                                     1,
                                     -1,
                                     0.1,
                                     1.0 / 3,
                                     1e21,
                                     1e-7,
                                     123456789012345680.0,
                                     1.7e308,
                                     5e-324,
                                     9007199254740993.0,
                                     1e15,
                                     0.1 + 0.2,
                                     1732200000000,
                                     2.5e-3,
                                     100};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct buf b = BUF_INIT(100);
        struct jw w = jw_begin(&b);
        jw_num(&w, numbers[i]);
        const cJSON *t = json_parse(arena, buf_str(&b), NULL);
        assert_non_null(t);
        assert_true(t->valuedouble == numbers[i]);
        buf_free(&b);
    }
    struct buf b = BUF_INIT(100);
    struct jw w = jw_begin(&b);
    jw_arr(&w);
    jw_num(&w, NAN);
    jw_num(&w, -INFINITY);
    jw_num(&w, 1732200000000);
    jw_end_arr(&w);
    assert_str(buf_str(&b), "[null,null,1732200000000]");
    buf_free(&b);
}

static void trees_print_as_they_were(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null", "true", "\"\\\"\"", "[]", "{}", "[[],{}]", "{\"k\\n\":[1,2.5,{\"x\":null}],\"y\":\"z\"}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct buf b = BUF_INIT(1000);
        assert_int_equal(json_print(&b, json_parse(arena, str_c(texts[i]), NULL)), 0);
        assert_str(buf_str(&b), texts[i]);
        buf_free(&b);
    }
    struct buf b = BUF_INIT(3);
    assert_int_equal(json_print(&b, NULL), -1);
    buf_free(&b);
}

static void *parse_on_thread(void *arg)
{
    for (int i = 0; i < 500; i++) {
        struct arena *a = arena_new("thread");
        const cJSON *t = json_parse(a, str_c(arg), NULL);
        assert_true(json_num(t, "n", 0) == 5);
        assert_null(json_parse(a, STR("{\"broken\":"), NULL));
        arena_free(a);
    }
    return NULL;
}

/* cJSON's allocator hooks are one for all threads. */
static void threads_parse_into_their_own_arenas(void **state)
{
    (void)state;
    static char text[] = "{\"n\":5,\"list\":[{\"a\":\"b\"},{\"a\":\"c\"}]}";
    pthread_t threads[3];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, parse_on_thread, text), 0);
    cJSON *own = cJSON_CreateObject(); /* outside of any parse: ordinary heap */
    cJSON_AddStringToObject(own, "k", "v");
    cJSON_Delete(own);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read_with_fallbacks),
        cmocka_unit_test(any_value_may_stand_alone),
        cmocka_unit_test(broken_text_is_refused_with_the_place),
        cmocka_unit_test(nothing_is_read_behind_the_slice),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(strings_are_escaped_at_every_place),
        cmocka_unit_test(what_is_not_utf8_is_repaired),
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(the_ceiling_is_reported),
        cmocka_unit_test(the_writer_puts_commas_where_they_belong),
        cmocka_unit_test(numbers_read_back_the_same),
        cmocka_unit_test(trees_print_as_they_were),
        cmocka_unit_test(threads_parse_into_their_own_arenas),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
