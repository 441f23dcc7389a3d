#include "unit/support/unit.h"

#include "base/macros.h"
#include "base/rand.h"

static void every_byte_is_filled(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 16, 255, 256, 257, 511, 512, 513, 4000};
    static unsigned char bytes[4002];
    for (size_t s = 0; s < COUNT(sizes); s++) {
        size_t n = sizes[s];
        unsigned char seen[4002] = {0};
        for (int round = 0; round < 20; round++) { /* a byte that stays zero 20 times is not being written */
            memset(bytes, 0, sizeof bytes);
            rand_bytes(bytes + 1, n);
            assert_int_equal(bytes[0], 0);
            assert_int_equal(bytes[n + 1], 0);
            for (size_t i = 0; i < n; i++)
                seen[i] |= bytes[i + 1];
        }
        for (size_t i = 0; i < n; i++)
            assert_int_not_equal(seen[i], 0);
    }
}

static void numbers_do_not_repeat(void **state)
{
    (void)state;
    uint64_t seen[1000];
    for (size_t i = 0; i < COUNT(seen); i++) {
        seen[i] = rand_u64();
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(seen[i], seen[k]);
    }
}

static void below_is_uniform_and_below(void **state)
{
    (void)state;
    size_t counts[6] = {0};
    for (int i = 0; i < 60000; i++) {
        uint64_t value = rand_below(6);
        assert_true(value < 6);
        counts[value]++;
    }
    for (size_t i = 0; i < COUNT(counts); i++)
        assert_in_range(counts[i], 9300, 10700); /* 10000 expected, deviation 91 */
    assert_int_equal(rand_below(1), 0);
    bool high = false;
    for (int i = 0; i < 100; i++)
        high |= rand_below(UINT64_MAX) > UINT64_MAX / 2;
    assert_true(high);
}

static void uuids_are_version_4(void **state)
{
    (void)state;
    char last[UUID_LEN + 1] = "";
    for (int i = 0; i < 200; i++) {
        char uuid[UUID_LEN + 1];
        rand_uuid(uuid);
        assert_int_equal(strlen(uuid), UUID_LEN);
        for (size_t k = 0; k < UUID_LEN; k++) {
            if (k == 8 || k == 13 || k == 18 || k == 23)
                assert_int_equal(uuid[k], '-');
            else
                assert_non_null(strchr("0123456789abcdef", uuid[k]));
        }
        assert_int_equal(uuid[14], '4');
        assert_non_null(strchr("89ab", uuid[19]));
        assert_string_not_equal(uuid, last);
        memcpy(last, uuid, sizeof last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_filled),
        cmocka_unit_test(numbers_do_not_repeat),
        cmocka_unit_test(below_is_uniform_and_below),
        cmocka_unit_test(uuids_are_version_4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
