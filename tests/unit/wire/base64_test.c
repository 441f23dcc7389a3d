#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "wire/base64.h"

static void assert_buf(const struct buf *b, const char *want)
{
    assert_int_equal(b->len, strlen(want));
    if (b->len)
        assert_memory_equal(b->data, want, b->len);
}

static void rfc_4648_vectors(void **state)
{
    (void)state;
    static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const coded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char *const bare[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    for (size_t i = 0; i < COUNT(plain); i++) {
        struct buf b = BUF_INIT(100);
        assert_int_equal(base64_put(&b, str_c(plain[i]), false), 0);
        assert_buf(&b, coded[i]);
        buf_clear(&b);
        assert_int_equal(base64_put(&b, str_c(plain[i]), true), 0);
        assert_buf(&b, bare[i]);
        buf_clear(&b);
        assert_int_equal(base64_decode(&b, str_c(coded[i])), 0);
        assert_buf(&b, plain[i]);
        buf_clear(&b);
        assert_int_equal(base64_decode(&b, str_c(bare[i])), 0);
        assert_buf(&b, plain[i]);
        assert_int_equal(base64_decoded_len(str_c(coded[i])), strlen(plain[i]));
        assert_int_equal(base64_decoded_len(str_c(bare[i])), strlen(plain[i]));
        buf_free(&b);
    }
}

static void both_alphabets(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100);
    assert_int_equal(base64_put(&b, STR("\xFB\xFF\xFE"), false), 0);
    assert_int_equal(base64_put(&b, STR("\xFB\xFF\xFE"), true), 0);
    assert_buf(&b, "+//+-__-");
    buf_clear(&b);
    assert_int_equal(base64_decode(&b, STR("+//+-__-")), 0);
    assert_buf(&b, "\xFB\xFF\xFE\xFB\xFF\xFE");
    buf_free(&b);
}

static void malformed(void **state)
{
    (void)state;
    static const char *const wrong[] = {"A",    "A===",  "====",  "=",        "AA=",      "AAA==",   "AA=A",
                                        "A A=", "AAA\n", "AAAAA", "AA==AAAA", "Zm9v!A==", "\xFFQ==", "A\x80=="};
    struct buf b = BUF_INIT(100);
    buf_lit(&b, "x");
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(base64_decode(&b, str_c(wrong[i])), -1);
        assert_buf(&b, "x");
    }
    assert_int_equal(base64_decode(&b, STR("AA\0A")), -1);
    buf_free(&b);
}

static void random_bytes_come_back(void **state)
{
    (void)state;
    uint8_t bytes[200];
    rand_bytes(bytes, sizeof bytes);
    for (size_t n = 0; n <= sizeof bytes; n++)
        for (int url = 0; url < 2; url++) {
            struct buf text = BUF_INIT(300), back = BUF_INIT(200);
            assert_int_equal(base64_put(&text, str_n(bytes, n), url), 0);
            assert_int_equal(base64_decoded_len(buf_str(&text)), n);
            assert_int_equal(base64_decode(&back, buf_str(&text)), 0);
            assert_int_equal(back.len, n);
            if (n)
                assert_memory_equal(back.data, bytes, n);
            buf_free(&text);
            buf_free(&back);
        }
}

static void ceilings(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(7);
    assert_int_equal(base64_put(&b, STR("12345"), false), -1);
    assert_int_equal(base64_put(&b, STR("123"), false), 0);
    assert_int_equal(base64_decode(&b, STR("AAAAAAA=")), -1);
    assert_int_equal(base64_decode(&b, STR("AAAA")), 0);
    assert_int_equal(b.len, 7);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4648_vectors),       cmocka_unit_test(both_alphabets), cmocka_unit_test(malformed),
        cmocka_unit_test(random_bytes_come_back), cmocka_unit_test(ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
