#include "unit/support/unit.h"

#include "base/macros.h"
#include "base/map.h"

#include <stdio.h>

static void puts_gets_replaces_and_removes(void **state)
{
    (void)state;
    struct map m = {0};
    int one, two;
    assert_null(map_get(&m, STR("a")));
    assert_null(map_remove(&m, STR("a")));
    assert_null(map_put(&m, STR("a"), &one));
    assert_ptr_equal(map_get(&m, STR("a")), &one);
    assert_ptr_equal(map_put(&m, STR("a"), &two), &one);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(map_get(&m, STR("a")), &two);
    assert_null(map_get(&m, STR("A")));
    assert_ptr_equal(map_remove(&m, STR("a")), &two);
    assert_null(map_get(&m, STR("a")));
    assert_int_equal(m.count, 0);
    map_free(&m);
    assert_null(map_put(&m, STR("again"), &one));
    assert_int_equal(m.count, 1);
    map_free(&m);
}

static void keys_are_bytes(void **state)
{
    (void)state;
    struct map m = {0};
    int values[4];
    map_put(&m, STR(""), &values[0]);
    map_put(&m, STR("a\0b"), &values[1]);
    map_put(&m, STR("a\0c"), &values[2]);
    map_put(&m, STR("a"), &values[3]);
    assert_ptr_equal(map_get(&m, STR_NONE), &values[0]);
    assert_ptr_equal(map_get(&m, STR("a\0b")), &values[1]);
    assert_ptr_equal(map_get(&m, STR("a\0c")), &values[2]);
    assert_ptr_equal(map_get(&m, str_n("abc", 1)), &values[3]);
    map_free(&m);
}

/* A replaced key may be freed: the map must hold the new one. */
static void the_newest_key_is_kept(void **state)
{
    (void)state;
    struct map m = {0};
    int value;
    char *first = str_dup(STR("key")), *second = str_dup(STR("key"));
    map_put(&m, str_c(first), &value);
    map_put(&m, str_c(second), &value);
    free(first);
    assert_ptr_equal(map_get(&m, STR("key")), &value);
    map_free(&m);
    free(second);
}

enum { MANY = 5000 };
static char keys[MANY][16];
static size_t here[MANY]; /* 1: in the map */

static void check_all(const struct map *m)
{
    size_t count = 0;
    for (size_t i = 0; i < MANY; i++) {
        assert_ptr_equal(map_get(m, str_c(keys[i])), here[i] ? &here[i] : NULL);
        count += here[i];
    }
    assert_int_equal(m->count, count);
    map_each(it, m) {
        const size_t *at = it->value;
        assert_str(it->key, keys[at - here]);
        count--;
    }
    assert_int_equal(count, 0);
}

static void survives_any_mix(void **state)
{
    (void)state;
    struct map m = {0};
    uint32_t lottery = 7;
    for (size_t i = 0; i < MANY; i++)
        snprintf(keys[i], sizeof keys[i], "key-%zu", i * 7919);
    for (int round = 0; round < 60000; round++) {
        lottery = lottery * 1664525 + 1013904223;
        size_t i = (lottery >> 8) % MANY;
        bool grow = round < 20000 || round > 40000;
        if ((lottery >> 28) < (grow ? 12 : 4)) {
            assert_ptr_equal(map_put(&m, str_c(keys[i]), &here[i]), here[i] ? &here[i] : NULL);
            here[i] = 1;
        } else {
            assert_ptr_equal(map_remove(&m, str_c(keys[i])), here[i] ? &here[i] : NULL);
            here[i] = 0;
        }
        if (round % 5000 == 0)
            check_all(&m);
    }
    check_all(&m);
    for (size_t i = 0; i < MANY; i++)
        if (here[i])
            map_remove(&m, str_c(keys[i]));
    assert_int_equal(m.count, 0);
    map_free(&m);
}

static void the_hash_spreads_and_sees_every_byte(void **state)
{
    (void)state;
    char key[40] = {0};
    size_t buckets[64] = {0};
    for (int i = 0; i < 6400; i++) {
        snprintf(key, sizeof key, "conversation-%d", i);
        buckets[map_hash(str_c(key)) & 63]++;
    }
    for (size_t i = 0; i < COUNT(buckets); i++)
        assert_in_range(buckets[i], 40, 180); /* 100 expected, deviation 10 */
    memset(key, 'x', sizeof key);
    for (size_t n = 1; n < sizeof key; n++) {
        uint64_t before = map_hash(str_n(key, n));
        assert_int_equal(before, map_hash(str_n(key, n)));
        key[n - 1] ^= 1;
        assert_int_not_equal(before, map_hash(str_n(key, n)));
        key[n - 1] ^= 1;
        assert_int_not_equal(before, map_hash(str_n(key, n - 1)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_gets_replaces_and_removes),
        cmocka_unit_test(keys_are_bytes),
        cmocka_unit_test(the_newest_key_is_kept),
        cmocka_unit_test(survives_any_mix),
        cmocka_unit_test(the_hash_spreads_and_sees_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
