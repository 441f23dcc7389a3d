#include "unit/support/unit.h"

#include "base/macros.h"
#include "base/utf8.h"

/* The definition of RFC 3629 spelled out: decode, then judge. */
static bool reference_valid(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned c = p[i];
        size_t len = c < 0x80 ? 1 : (c & 0xE0) == 0xC0 ? 2 : (c & 0xF0) == 0xE0 ? 3 : (c & 0xF8) == 0xF0 ? 4 : 0;
        if (!len || i + len > n)
            return false;
        uint32_t value = len == 1 ? c : c & (0xFFU >> (len + 1));
        for (size_t k = 1; k < len; k++) {
            if ((p[i + k] & 0xC0) != 0x80)
                return false;
            value = value << 6 | (p[i + k] & 0x3FU);
        }
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (value < least[len] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
            return false;
        i += len;
    }
    return true;
}

static void every_two_and_three_bytes_are_judged_right(void **state)
{
    (void)state;
    unsigned char bytes[3];
    for (unsigned v = 0; v < 0x1000000; v += v < 0x20000 ? 1 : 13) {
        bytes[0] = (unsigned char)(v >> 16);
        bytes[1] = (unsigned char)(v >> 8);
        bytes[2] = (unsigned char)v;
        for (size_t n = 2; n <= 3; n++)
            if (utf8_valid(str_n(bytes + 3 - n, n)) != reference_valid(bytes + 3 - n, n))
                fail_msg("%02x %02x %02x, the last %zu", bytes[0], bytes[1], bytes[2], n);
    }
}

static void four_bytes_are_judged_right(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1,
                                          0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5, 0xFF};
    unsigned char b[4];
    for (size_t i = 0; i < COUNT(edges) * COUNT(edges) * COUNT(edges) * COUNT(edges); i++) {
        size_t v = i;
        for (size_t k = 0; k < 4; k++, v /= COUNT(edges))
            b[k] = edges[v % COUNT(edges)];
        if (utf8_valid(str_n(b, 4)) != reference_valid(b, 4))
            fail_msg("%02x %02x %02x %02x", b[0], b[1], b[2], b[3]);
    }
}

static const char mixed[] =
    "plain ascii, long enough for words \xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82 and then more ascii";

static void pieces_may_be_cut_anywhere(void **state)
{
    (void)state;
    size_t n = sizeof mixed - 1;
    for (size_t a = 0; a <= n; a++) {
        for (size_t b = a; b <= n; b++) {
            struct utf8_check check = {0};
            assert_true(utf8_feed(&check, str_n(mixed, a)));
            assert_int_equal(utf8_complete(&check), utf8_valid(str_n(mixed, a)));
            assert_true(utf8_feed(&check, str_n(mixed + a, b - a)));
            assert_true(utf8_feed(&check, str_n(mixed + b, n - b)));
            assert_true(utf8_complete(&check));
        }
    }
}

static void a_bad_text_stays_bad(void **state)
{
    (void)state;
    struct utf8_check check = {0};
    assert_true(utf8_feed(&check, STR("ok \xE2")));
    assert_false(utf8_feed(&check, STR("\x41")));
    assert_false(utf8_feed(&check, STR("fine again")));
    assert_false(utf8_feed(&check, STR_NONE));
    assert_false(utf8_complete(&check));
    check = (struct utf8_check){0};
    assert_true(utf8_feed(&check, STR_NONE));
    assert_true(utf8_complete(&check));
}

static void bad_bytes_are_found_at_every_place(void **state)
{
    (void)state;
    char text[64];
    for (size_t n = 1; n < sizeof text; n++) {
        for (size_t at = 0; at < n; at++) {
            memset(text, 'a', n);
            text[at] = (char)0x80;
            assert_false(utf8_valid(str_n(text, n)));
        }
    }
}

static void cuts_fall_between_characters(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof mixed; n++) {
        size_t floor = utf8_floor(mixed, n);
        assert_true(floor <= n && n - floor < 4);
        assert_true(utf8_valid(str_n(mixed, floor)));
        assert_true(floor == n || !utf8_valid(str_n(mixed, n)));
        assert_int_equal(utf8_whole(mixed, n), floor);
    }
    assert_int_equal(utf8_whole("", 0), 0);
    assert_int_equal(utf8_whole("\xE2\x82", 2), 0);
    assert_int_equal(utf8_whole("a\xE2\x82", 3), 1);
    assert_int_equal(utf8_whole("\xFF", 1), 1); /* not UTF-8 at all: left as it is */
    assert_int_equal(utf8_whole("\x80\x80", 2), 2);
}

static void lengths_are_counted_as_javascript_does(void **state)
{
    (void)state;
    assert_int_equal(utf8_utf16_len(STR("")), 0);
    assert_int_equal(utf8_utf16_len(STR("abc")), 3);
    assert_int_equal(utf8_utf16_len(STR("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82")), 4);
    struct str s = STR("a\xF0\x9F\x99\x82"
                       "b");
    static const size_t bytes[] = {0, 1, 1, 5, 6, 6};
    for (size_t units = 0; units < COUNT(bytes); units++)
        assert_int_equal(utf8_utf16_prefix(s, units).n, bytes[units]);
}

static void every_code_point_is_written_well(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x110010; c += c < 0x3000 ? 1 : 251) {
        char out[4];
        size_t n = utf8_put(out, c);
        assert_true(utf8_valid(str_n(out, n)));
        if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
            assert_int_equal(n, 3);
            assert_memory_equal(out, "\xEF\xBF\xBD", 3);
        } else {
            assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        }
    }
    char out[4];
    assert_int_equal(utf8_put(out, 0x20AC), 3);
    assert_memory_equal(out, "\xE2\x82\xAC", 3);
    assert_int_equal(utf8_put(out, 0x1F642), 4);
    assert_memory_equal(out, "\xF0\x9F\x99\x82", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_two_and_three_bytes_are_judged_right),
        cmocka_unit_test(four_bytes_are_judged_right),
        cmocka_unit_test(pieces_may_be_cut_anywhere),
        cmocka_unit_test(a_bad_text_stays_bad),
        cmocka_unit_test(bad_bytes_are_found_at_every_place),
        cmocka_unit_test(cuts_fall_between_characters),
        cmocka_unit_test(lengths_are_counted_as_javascript_does),
        cmocka_unit_test(every_code_point_is_written_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
