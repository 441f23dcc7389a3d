#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "wire/json.h"

#include <stdlib.h>

static int scan(struct str text, enum json_type *root, struct err *e)
{
    /* An exact copy, so that the sanitizer sees a read past the end. */
    char *copy = mem_alloc(text.n ? text.n : 1);
    memcpy(copy, text.p ? text.p : "", text.n);
    int got = json_scan(str_n(copy, text.n), NULL, 0, root, e);
    free(copy);
    return got;
}

static void valid_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum json_type root;
    } good[] = {
        {"{}", JSON_OBJECT},
        {"[]", JSON_ARRAY},
        {" [ ] ", JSON_ARRAY},
        {"\t{\r\n}\n", JSON_OBJECT},
        {"null", JSON_NULL},
        {" true", JSON_TRUE},
        {"false ", JSON_FALSE},
        {"\"\"", JSON_STRING},
        {"0", JSON_NUMBER},
        {"-0", JSON_NUMBER},
        {"-12.50e+10", JSON_NUMBER},
        {"1E-5", JSON_NUMBER},
        {"0.1", JSON_NUMBER},
        {"0e0", JSON_NUMBER},
        {"123456789012345678901234567890", JSON_NUMBER},
        {"[1,2 , 3,[],{},\"\",null]", JSON_ARRAY},
        {"{\"a\":{\"b\":[{\"c\":1}]} , \"d\" : 2}", JSON_OBJECT},
        {"{\"\":1,\"\":2}", JSON_OBJECT},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00\\u0000\\ud800\"", JSON_STRING},
        {"\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\x7F\"",
         JSON_STRING},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        enum json_type root = JSON_NONE;
        struct err e;
        struct str text = str_c(good[i].text);
        assert_int_equal(scan(text, &root, &e), 0);
        assert_int_equal(root, good[i].root);
        /* Every proper prefix is incomplete, but for numbers and trailing space. */
        for (size_t n = 0; n < text.n && root != JSON_NUMBER; n++)
            if (str_trim(str_n(text.p, n)).n < str_trim(text).n) {
                assert_int_equal(scan(str_n(text.p, n), NULL, &e), -1);
                assert_int_equal(e.status, 400);
            }
    }
}

static void invalid_texts(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        " ",
        "{",
        "[",
        "}",
        "]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "[1}",
        "{\"a\":1]",
        "[]]",
        "{}{}",
        "1 2",
        "nul",
        "nulll",
        "True",
        "tru",
        "fals",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1.e5",
        "1e",
        "1e+",
        "--1",
        "0x10",
        "1a",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"\\",
        "\"\\u",
        "\"a\nb\"",
        "\"12345678\x01\"",
        "\"\x1F\"",
        "\"\x80\"",
        "\"\xC0\x80\"",
        "\"\xC1\xBF\"",
        "\"\xE0\x80\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF0\x80\x80\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xF5\x80\x80\x80\"",
        "\"\xC3\"",
        "\"\xE2\x82\"",
        "\"\xE2\x28\xA1\"",
        "\"\xE2\x82\x28\"",
        "\"\xF0\x9F\x98\x28\"",
        "\"\xFF\"",
        "\xEF\xBB\xBF{}",
        "[1] x",
        "// c\n1",
        "/**/1",
        "[\"a\",\n\x0B 1]",
        "\"a\"b",
        "{\"a\":1}}",
        "{\"\x80\":1}",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct err e = {0};
        enum json_type root = JSON_NONE;
        assert_int_equal(scan(str_c(wrong[i]), &root, &e), -1);
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
        assert_int_equal(root, JSON_NONE);
    }
    struct err e;
    assert_int_equal(scan(STR("\"a\0b\""), NULL, &e), -1);
    assert_int_equal(scan(STR("1\0"), NULL, &e), -1);
    assert_int_equal(scan(STR_NONE, NULL, &e), -1);
    assert_int_equal(json_scan(STR_NONE, NULL, 0, NULL, NULL), -1);
}

static void errors_name_the_position(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(scan(STR("{\"a\": x}"), NULL, &e), -1);
    assert_string_equal(e.text, "Unexpected token in JSON at position 6");
    assert_int_equal(scan(STR("{\"a\": "), NULL, &e), -1);
    assert_string_equal(e.text, "Unexpected end of JSON input");
    assert_int_equal(scan(STR("[1] 2"), NULL, &e), -1);
    assert_string_equal(e.text, "Unexpected token in JSON at position 4");
    assert_int_equal(scan(STR("\"ab\xFF\""), NULL, &e), -1);
    assert_string_equal(e.text, "Unexpected token in JSON at position 3");
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct buf b = BUF_INIT(10000);
        struct err e;
        for (int i = 0; i < LIMIT_JSON_DEPTH + over; i++)
            buf_str_add(&b, i % 2 ? STR("[") : STR("{\"a\":"));
        for (int i = LIMIT_JSON_DEPTH + over - 1; i >= 0; i--)
            buf_byte(&b, i % 2 ? ']' : '}');
        /* The innermost is "[]" or, one deeper, "{\"a\":}": that is refused for its depth first. */
        assert_int_equal(scan(buf_str(&b), NULL, &e), over ? -1 : 0);
        if (over)
            assert_true(strstr(e.text, "deep") != NULL);
        buf_free(&b);
    }
}

/* Special bytes at each place of the eight-byte words of the string scanner. */
static void special_bytes_anywhere(void **state)
{
    (void)state;
    for (size_t at = 0; at < 18; at++)
        for (int c = 0; c < 256; c++) {
            char text[] = "\"xxxxxxxxxxxxxxxxxxxx\"";
            struct err e;
            text[1 + at] = (char)c;
            bool fine = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            assert_int_equal(scan(str_n(text, sizeof text - 1), NULL, &e), fine ? 0 : -1);
        }
}

static void assert_raw(const struct json_value *v, enum json_type type, const char *raw)
{
    assert_int_equal(v->type, type);
    if (type == JSON_NONE)
        return;
    assert_int_equal(v->raw.n, strlen(raw));
    assert_memory_equal(v->raw.p, raw, v->raw.n);
}

static void wants(void **state)
{
    (void)state;
    struct str text = STR("{ \"type\" : \"message\", \"n\":-1.5e3, \"payload\": {\"content\":\"h\\u00e9\", \"deep\": "
                          "{\"x\":[1, {\"y\" : true}, [ 2,3 ]]}, \"none\":null}, \"list\":[ ] , \"b\":false}");
    struct json_want w[] = {
        {.path = "type"},
        {.path = "n"},
        {.path = "payload"},
        {.path = "payload.content"},
        {.path = "payload.deep.x"},
        {.path = "payload.deep.x[0]"},
        {.path = "payload.deep.x[1].y"},
        {.path = "payload.deep.x[2][1]"},
        {.path = "payload.deep.x[3]"},
        {.path = "payload.none"},
        {.path = "list"},
        {.path = "list[0]"},
        {.path = "b"},
        {.path = "type.x"},
        {.path = ""},
        {.path = "typ"},
    };
    struct err e;
    assert_int_equal(COUNT(w), JSON_WANTS);
    assert_int_equal(json_scan(text, w, COUNT(w), NULL, &e), 0);
    assert_raw(&w[0].value, JSON_STRING, "message");
    assert_false(w[0].value.escaped);
    assert_raw(&w[1].value, JSON_NUMBER, "-1.5e3");
    assert_raw(&w[2].value, JSON_OBJECT,
               "{\"content\":\"h\\u00e9\", \"deep\": {\"x\":[1, {\"y\" : true}, [ 2,3 ]]}, \"none\":null}");
    assert_raw(&w[3].value, JSON_STRING, "h\\u00e9");
    assert_true(w[3].value.escaped);
    assert_raw(&w[4].value, JSON_ARRAY, "[1, {\"y\" : true}, [ 2,3 ]]");
    assert_raw(&w[5].value, JSON_NUMBER, "1");
    assert_raw(&w[6].value, JSON_TRUE, "true");
    assert_raw(&w[7].value, JSON_NUMBER, "3");
    assert_raw(&w[8].value, JSON_NONE, NULL);
    assert_raw(&w[9].value, JSON_NULL, "null");
    assert_raw(&w[10].value, JSON_ARRAY, "[ ]");
    assert_raw(&w[11].value, JSON_NONE, NULL);
    assert_raw(&w[12].value, JSON_FALSE, "false");
    assert_raw(&w[13].value, JSON_NONE, NULL);
    assert_raw(&w[14].value, JSON_OBJECT, text.p);
    assert_raw(&w[15].value, JSON_NONE, NULL);
}

static void want(const char *text, const char *path, enum json_type type, const char *raw)
{
    struct json_want w[] = {{.path = path}, {.path = path}};
    struct err e;
    assert_int_equal(json_scan(str_c(text), w, COUNT(w), NULL, &e), 0);
    assert_raw(&w[0].value, type, raw);
    assert_raw(&w[1].value, type, raw);
}

static void paths(void **state)
{
    (void)state;
    want("{\"a\":1,\"a\":2}", "a", JSON_NUMBER, "1");
    want("{\"a\":{},\"a\":{\"b\":1}}", "a.b", JSON_NONE, NULL);
    want("{\"a\":[],\"a\":[1]}", "a[0]", JSON_NONE, NULL);
    want("{\"b\":{\"a\":1},\"a\":2}", "a", JSON_NUMBER, "2");
    want("[{\"a\":1},{\"a\":2}]", "[1].a", JSON_NUMBER, "2");
    want("[[1,2],[3,4]]", "[1][0]", JSON_NUMBER, "3");
    want("[0,1,2,3,4,5,6,7,8,9,10,11,12]", "[12]", JSON_NUMBER, "12");
    want("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}", "choices[0].delta.content", JSON_STRING, "x");
    want("{\"\\u0061\\n\\ud83d\\ude00\":1}", "a\n\xF0\x9F\x98\x80", JSON_NUMBER, "1");
    want("{\"\\u0061b\":1}", "a", JSON_NONE, NULL);
    want("{\"a\\u0000\":1,\"a\":2}", "a", JSON_NUMBER, "2");
    want("{\"[0]\":1}", "[0]", JSON_NONE, NULL);
    want("{\"a\":{\"[0]\":1}}", "a[0]", JSON_NONE, NULL);
    want("[5]", "a", JSON_NONE, NULL);
    want("[5]", "", JSON_ARRAY, "[5]");
    want(" 7 ", "", JSON_NUMBER, "7");
    want("\"x\"", "", JSON_STRING, "x");
    want("\"x\"", "a", JSON_NONE, NULL);
}

static void wants_of_an_earlier_scan_are_forgotten(void **state)
{
    (void)state;
    struct json_want w = {.path = "a"};
    struct err e;
    assert_int_equal(json_scan(STR("{\"a\":1}"), &w, 1, NULL, &e), 0);
    assert_int_equal(w.value.type, JSON_NUMBER);
    assert_int_equal(json_scan(STR("{}"), &w, 1, NULL, &e), 0);
    assert_int_equal(w.value.type, JSON_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts),
        cmocka_unit_test(invalid_texts),
        cmocka_unit_test(errors_name_the_position),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(special_bytes_anywhere),
        cmocka_unit_test(wants),
        cmocka_unit_test(paths),
        cmocka_unit_test(wants_of_an_earlier_scan_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
