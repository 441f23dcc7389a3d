#include "unit/support/unit.h"

#include "base/buf.h"

static void grows_as_it_is_filled(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(MIB(1));
    assert_str(buf_str(&b), "");
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf_byte(&b, (char)('a' + i % 26)), 0);
    assert_int_equal(b.len, 100000);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(buf_str(&b).p[i], 'a' + i % 26);
    buf_free(&b);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.max, MIB(1));
    assert_int_equal(buf_lit(&b, "again"), 0);
    assert_str(buf_str(&b), "again");
    buf_free(&b);
}

static void the_ceiling_holds_to_the_byte(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(10);
    assert_int_equal(buf_lit(&b, "123456789"), 0);
    assert_int_equal(buf_lit(&b, "ab"), -1);
    assert_str(buf_str(&b), "123456789");
    assert_int_equal(buf_byte(&b, '0'), 0);
    assert_int_equal(buf_byte(&b, 'x'), -1);
    assert_int_equal(buf_add(&b, NULL, 0), 0);
    assert_null(buf_reserve(&b, 1));
    assert_non_null(buf_reserve(&b, 0));
    buf_consume(&b, 4);
    assert_int_equal(buf_lit(&b, "abcd"), 0);
    assert_int_equal(buf_byte(&b, 'e'), -1);
    assert_str(buf_str(&b), "567890abcd");
    assert_null(buf_reserve(&b, SIZE_MAX));
    buf_free(&b);
}

static void formatted_text_fills_to_the_ceiling(void **state)
{
    (void)state;
    for (int len = 0; len < 600; len += 1 + len % 7) {
        struct buf b = BUF_INIT(300);
        int result = buf_addf(&b, "%0*d", len, 0);
        if (len == 0) /* the zero itself */
            assert_str(buf_str(&b), "0");
        else
            assert_int_equal(result, len <= 300 ? 0 : -1);
        assert_int_equal(b.len, len == 0 ? 1 : len <= 300 ? len : 0);
        buf_free(&b);
    }
    struct buf exact = BUF_INIT(300);
    assert_int_equal(buf_addf(&exact, "%0300d", 5), 0);
    assert_int_equal(exact.len, 300);
    assert_int_equal(buf_str(&exact).p[299], '5');
    assert_int_equal(buf_addf(&exact, "%d", 5), -1);
    buf_free(&exact);
}

static void numbers_are_decimal(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100);
    buf_add_u64(&b, 0);
    buf_byte(&b, ' ');
    buf_add_u64(&b, 1000);
    buf_byte(&b, ' ');
    buf_add_u64(&b, UINT64_MAX);
    assert_str(buf_str(&b), "0 1000 18446744073709551615");
    buf_free(&b);
}

static void consumed_bytes_leave_at_the_front(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    buf_lit(&b, "hello world");
    buf_consume(&b, 6);
    assert_str(buf_str(&b), "world");
    buf_lit(&b, "!");
    assert_str(buf_str(&b), "world!");
    buf_consume(&b, 6);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.head, 0);
    buf_free(&b);
}

/* A queue that stays nearly full must not copy itself for each byte that passes through. */
static void a_full_queue_moves_seldom(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(MIB(1));
    while (b.len < b.cap || b.len < 200)
        buf_byte(&b, 'x');
    const char *memory = b.data;
    size_t moves = 0, before = b.head;
    for (int i = 0; i < 100000; i++) {
        buf_consume(&b, 1);
        buf_byte(&b, (char)('a' + i % 26));
        moves += b.data != memory || b.head < before;
        memory = b.data;
        before = b.head;
    }
    assert_true(moves < 1000);
    assert_true(b.cap <= KIB(1));
    assert_int_equal(buf_str(&b).p[b.len - 1], 'a' + 99999 % 26);
    buf_free(&b);
}

static void order_survives_any_mix(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(5000);
    uint32_t lottery = 1, in = 0, out = 0;
    for (int i = 0; i < 20000; i++) {
        lottery = lottery * 1664525 + 1013904223;
        size_t n = lottery >> 20 & 0x3FF;
        if (lottery >> 31) {
            unsigned char piece[1024];
            for (size_t k = 0; k < n; k++)
                piece[k] = (unsigned char)((in + k) % 251);
            int fits = b.len + n <= 5000;
            assert_int_equal(buf_add(&b, piece, n), fits ? 0 : -1);
            in += fits ? (uint32_t)n : 0;
        } else {
            n = n < b.len ? n : b.len;
            for (size_t k = 0; k < n; k++)
                assert_int_equal((unsigned char)buf_str(&b).p[k], (out + k) % 251);
            buf_consume(&b, n);
            out += (uint32_t)n;
        }
        assert_int_equal(b.len, in - out);
    }
    buf_free(&b);
}

static void reserved_room_is_used_after_commit(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    buf_lit(&b, "ab");
    char *to = buf_reserve(&b, 500);
    memcpy(to, "cd", 2);
    assert_str(buf_str(&b), "ab");
    buf_commit(&b, 2);
    assert_str(buf_str(&b), "abcd");
    buf_free(&b);
}

static void the_terminated_form_does_not_count(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(256);
    assert_string_equal(buf_cstr(&b), "");
    for (int i = 0; i < 256; i++)
        buf_byte(&b, 'x');
    assert_int_equal(strlen(buf_cstr(&b)), 256);
    assert_int_equal(b.len, 256);
    buf_clear(&b);
    assert_string_equal(buf_cstr(&b), "");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_as_it_is_filled),
        cmocka_unit_test(the_ceiling_holds_to_the_byte),
        cmocka_unit_test(formatted_text_fills_to_the_ceiling),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(consumed_bytes_leave_at_the_front),
        cmocka_unit_test(a_full_queue_moves_seldom),
        cmocka_unit_test(order_survives_any_mix),
        cmocka_unit_test(reserved_room_is_used_after_commit),
        cmocka_unit_test(the_terminated_form_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
