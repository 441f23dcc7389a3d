/* Forms as browsers, SDKs and command-line programs send them, and as nobody should. */
#include "unit/support/unit.h"

#include "base/buf.h"
#include "wire/multipart.h"

#include <stdlib.h>

#define TYPE STR("multipart/form-data; boundary=B")

static struct multipart m;
static struct multipart_part part;
static struct err e;

static void begin(const char *body)
{
    if (multipart_init(&m, TYPE, str_c(body), &e) < 0)
        fail_msg("%s", e.text);
}

static void expect_part(const char *name, const char *body)
{
    if (multipart_next(&m, &part, &e) != 1)
        fail_msg("no part %s", name);
    assert_str(part.name, name);
    assert_str(part.body, body);
}

static void expect_end(void)
{
    assert_int_equal(multipart_next(&m, &part, &e), 0);
    assert_int_equal(multipart_next(&m, &part, &e), 0);
}

/* The body is refused, sooner or later. */
static void expect_refusal(struct str body)
{
    int got = multipart_init(&m, TYPE, body, &e);
    for (int i = 0; got >= 0 && i < 100; i++) {
        got = multipart_next(&m, &part, &e);
        if (got == 0)
            fail_msg("taken: %.*s", STR_ARG(body));
    }
    assert_int_equal(got, -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
}

static void fields_and_files(void **state)
{
    (void)state;
    begin("--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n"
          "--B\r\ncontent-disposition:form-data;name=file;filename=\"a b.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
          "RIFF\r\n--BC\r\n--B?\r\n-\r\n\r\n--B--\r\n");
    expect_part("model", "whisper-1");
    assert_null(part.filename.p);
    assert_str(part.type, "");
    expect_part("file", "RIFF\r\n--BC\r\n--B?\r\n-\r\n");
    assert_str(part.filename, "a b.wav");
    assert_str(part.type, "audio/wav");
    expect_end();
}

static void what_may_surround_the_parts(void **state)
{
    (void)state;
    begin("preamble\r\n--B \t\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--B\r\n"
          "Content-Disposition: form-data; name=b\r\n\r\n--B--epilogue");
    expect_part("a", "");
    expect_part("b", "");
    expect_end();
    begin("--B--");
    expect_end();
}

static void binary_content(void **state)
{
    (void)state;
    static const char body[] = "--B\r\nContent-Disposition: form-data; name=x\r\n\r\n\0\r\n\r\n--\xff\0\r\n--B--";
    assert_int_equal(multipart_init(&m, TYPE, str_n(body, sizeof body - 1), &e), 0);
    assert_int_equal(multipart_next(&m, &part, &e), 1);
    assert_int_equal(part.body.n, 9);
    assert_memory_equal(part.body.p, "\0\r\n\r\n--\xff\0", 9);
}

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *parameters, *name, *filename;
    } cases[] = {
        {"name=\"a%22b%0D%0a%20\"; filename=\"c%22d\"", "a\"b\r\n%20", "c\"d"},
        {"name=\"a\\\"b\\\\c\\d\"; filename=\"C:\\x\\y.wav\"", "a\"b\\c\\d", "C:\\x\\y.wav"},
        {"filename=\"\"; name=\"\"", "", ""},
        {"name=\"timestamp_granularities[]\"", "timestamp_granularities[]", NULL},
        {"name=\"a;b=c\" ; FILENAME=d", "a;b=c", "d"},
        {"name=f; filename=\"plain\"; filename*=UTF-8''%e2%82%ac%20x", "f", "\xe2\x82\xac x"},
        {"name=f; filename*=utf-8'en'x%zz", "f", "x%zz"},
        {"name=f; filename=\"plain\"; filename*=iso-8859-1''%e9", "f", "plain"},
        {"name=f; filename=\"plain\"; filename*=UTF-8''%e9", "f", "plain"},
        {"name=f; filename=\"plain\"; filename*=UTF-8''a%00b", "f", "plain"},
        {"name=f; filename=\"plain\"; filename*=x", "f", "plain"},
        {"name=\"\xc3\xa9\"; filename=\"\xc3\xa9.mp3\"", "\xc3\xa9", "\xc3\xa9.mp3"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf body = BUF_INIT(4096);
        buf_addf(&body, "--B\r\nContent-Disposition: form-data; %s\r\n\r\nx\r\n--B--", cases[i].parameters);
        begin(buf_cstr(&body));
        expect_part(cases[i].name, "x");
        if (cases[i].filename)
            assert_str(part.filename, cases[i].filename);
        else
            assert_null(part.filename.p);
        buf_free(&body);
    }
}

static void long_names(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(KIB(64));
    buf_addf(&body, "--B\r\nContent-Disposition: form-data; name=%0*d; filename=\"%0*d", MULTIPART_NAME, 0,
             MULTIPART_FILENAME - 1, 0);
    buf_lit(&body, "\xc3\xa9\"\r\n\r\nx\r\n--B--");
    begin(buf_cstr(&body));
    assert_int_equal(multipart_next(&m, &part, &e), 1);
    assert_int_equal(part.name.n, MULTIPART_NAME);
    assert_int_equal(part.filename.n, MULTIPART_FILENAME - 1);
    buf_clear(&body);
    buf_addf(&body, "--B\r\nContent-Disposition: form-data; name=%0*d\r\n\r\nx\r\n--B--", MULTIPART_NAME + 1, 0);
    expect_refusal(buf_str(&body));
    buf_free(&body);
}

#define PART "Content-Disposition: form-data; name=a\r\n\r\nx"
static void what_is_no_form(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "x",
        "--B",
        "--C\r\n" PART "\r\n--C--",
        "--B\r\n" PART,
        "--B\r\n" PART "\r\n--B",
        "--B\r\n" PART "\r\n--BB--",
        "--B\r\n" PART "\n--B--",
        "--B\n" PART "\r\n--B--",
        "--B\r\n\r\nx\r\n--B--",
        "--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--",
        "--B\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name\r\n\r\nx\r\n--B--",
        "--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--",
        "--B\r\nno header\r\n" PART "\r\n--B--",
        "--B\r\n: none\r\n" PART "\r\n--B--",
        "--B\r\nA: b\r\n c\r\n" PART "\r\n--B--",
        "--B\r\nA: \x01\r\n" PART "\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=b\r\n" PART "\r\n--B--",
        "--B\r\nContent-Transfer-Encoding: base64\r\n" PART "\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=a",
    };
    for (size_t i = 0; i < COUNT(bodies); i++)
        expect_refusal(str_c(bodies[i]));
}

static void limits(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(MIB(1));
    for (int i = 0; i < MULTIPART_PARTS; i++)
        buf_lit(&body, "--B\r\n" PART "\r\n");
    size_t all = body.len;
    buf_lit(&body, "--B--");
    begin(buf_cstr(&body));
    for (int i = 0; i < MULTIPART_PARTS; i++)
        expect_part("a", "x");
    expect_end();
    body.len = all;
    buf_lit(&body, "--B\r\n" PART "\r\n--B--");
    expect_refusal(buf_str(&body));
    buf_clear(&body);
    buf_addf(&body, "--B\r\nX: %0*d\r\n" PART "\r\n--B--", MULTIPART_HEAD, 0);
    expect_refusal(buf_str(&body));
    buf_free(&body);
}

static void content_types(void **state)
{
    (void)state;
    static const char body[] = "--B b\r\n" PART "\r\n--B b--";
    static const char *const wrong[] = {
        "",
        "multipart/form-data",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"B b",
        "multipart/form-data; boundary=\"B b \"",
        "multipart/mixed; boundary=\"B b\"",
        "multipart/form-data; boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
    };
    assert_int_equal(multipart_init(&m, STR("Multipart/Form-Data ; charset=utf-8; Boundary=\"B b\""), str_c(body), &e),
                     0);
    expect_part("a", "x");
    expect_end();
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(multipart_init(&m, str_c(wrong[i]), str_c(body), &e), -1);
}

static void parameters(void **state)
{
    (void)state;
    struct str value;
    assert_int_equal(multipart_parameter(STR("audio/pcm;rate=\"16000\" ; x=y"), STR("rate"), &value), 1);
    assert_str(value, "16000");
    assert_int_equal(multipart_parameter(STR("audio/pcm;rate=\"16000\" ; x=y"), STR("x"), &value), 1);
    assert_str(value, "y");
    assert_int_equal(multipart_parameter(STR("audio/pcm"), STR("rate"), &value), 0);
    assert_int_equal(multipart_parameter(STR(""), STR("rate"), &value), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_files), cmocka_unit_test(what_may_surround_the_parts),
        cmocka_unit_test(binary_content),   cmocka_unit_test(names),
        cmocka_unit_test(long_names),       cmocka_unit_test(what_is_no_form),
        cmocka_unit_test(limits),           cmocka_unit_test(content_types),
        cmocka_unit_test(parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
