#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "wire/ws.h"

static void headers(void **state)
{
    (void)state;
    static const uint8_t key[4] = {1, 2, 3, 4};
    uint8_t h[WS_HEADER_MAX];
    assert_int_equal(ws_header(h, WS_TEXT, true, false, 5, NULL), 2);
    assert_memory_equal(h, "\x81\x05", 2);
    assert_int_equal(ws_header(h, WS_BINARY, false, true, 125, key), 6);
    assert_memory_equal(h, "\x42\xFD\x01\x02\x03\x04", 6);
    assert_int_equal(ws_header(h, WS_CONTINUATION, true, false, 126, NULL), 4);
    assert_memory_equal(h, "\x80\x7E\x00\x7E", 4);
    assert_int_equal(ws_header(h, WS_PING, true, false, 65535, NULL), 4);
    assert_memory_equal(h, "\x89\x7E\xFF\xFF", 4);
    assert_int_equal(ws_header(h, WS_BINARY, true, false, 65536, key), 14);
    assert_memory_equal(h, "\x82\xFF\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04", 14);
    assert_int_equal(ws_header(h, WS_BINARY, true, false, UINT64_C(0x0102030405060708), NULL), 10);
    assert_memory_equal(h, "\x82\x7F\x01\x02\x03\x04\x05\x06\x07\x08", 10);
}

static void masks_from_any_position(void **state)
{
    (void)state;
    uint8_t key[4], plain[64], data[64];
    rand_bytes(key, sizeof key);
    rand_bytes(plain, sizeof plain);
    for (size_t at = 0; at < 9; at++)
        for (size_t n = 0; n <= sizeof plain; n++) {
            memcpy(data, plain, sizeof data);
            ws_mask(data, n, key, at);
            for (size_t i = 0; i < sizeof plain; i++)
                assert_int_equal(data[i], i < n ? plain[i] ^ key[(at + i) & 3] : plain[i]);
        }
}

static void frames(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100);
    assert_int_equal(ws_frame_put(&b, WS_TEXT, STR("hi"), false), 0);
    assert_int_equal(ws_frame_put(&b, WS_PING, STR_NONE, false), 0);
    assert_int_equal(b.len, 6);
    assert_memory_equal(b.data, "\x81\x02hi\x89\x00", 6);
    buf_clear(&b);
    assert_int_equal(ws_frame_put(&b, WS_TEXT, STR("hello"), true), 0);
    assert_int_equal(b.len, 11);
    assert_memory_equal(b.data, "\x81\x85", 2);
    uint8_t key[4];
    memcpy(key, b.data + 2, 4);
    ws_mask((uint8_t *)b.data + 6, 5, key, 0);
    assert_memory_equal(b.data + 6, "hello", 5);
    buf_free(&b);
}

static void ceilings(void **state)
{
    (void)state;
    for (int mask = 0; mask < 2; mask++)
        for (size_t max = 0; max < 12; max++) {
            struct buf b = BUF_INIT(max);
            bool fits = ws_frame_put(&b, WS_TEXT, STR("hello"), mask) == 0;
            assert_int_equal(fits, max >= (mask ? 11 : 7));
            if (!fits)
                assert_int_equal(b.len, 0);
            buf_free(&b);
        }
}

static void close_frames(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(200);
    assert_int_equal(ws_close_put(&b, 0, STR("not sent"), false), 0);
    assert_int_equal(ws_close_put(&b, WS_TOO_BIG, STR("big"), false), 0);
    assert_int_equal(b.len, 9);
    assert_memory_equal(b.data,
                        "\x88\x00\x88\x05\x03\xF1"
                        "big",
                        9);
    buf_clear(&b);
    char reason[130];
    memset(reason, 'r', sizeof reason);
    memcpy(reason + 122, "\xC3\xA9", 2);
    assert_int_equal(ws_close_put(&b, WS_NORMAL, str_n(reason, sizeof reason), false), 0);
    assert_int_equal((uint8_t)b.data[1], 124);
    assert_int_equal(b.len, 126);
    buf_clear(&b);
    assert_int_equal(ws_close_put(&b, WS_NORMAL, str_n(reason, 120), false), 0);
    assert_int_equal(b.len, 124);
    buf_free(&b);
}

static void close_codes(void **state)
{
    (void)state;
    static const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                    1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const uint16_t wrong[] = {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(ws_close_code_ok(good[i]));
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_false(ws_close_code_ok(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),      cmocka_unit_test(masks_from_any_position),
        cmocka_unit_test(frames),       cmocka_unit_test(ceilings),
        cmocka_unit_test(close_frames), cmocka_unit_test(close_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
