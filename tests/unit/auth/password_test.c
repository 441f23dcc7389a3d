#include "unit/support/unit.h"

#include "auth/password.h"
#include "base/macros.h"
#include "base/rand.h"

/* By other programs: the vectors of crypt_blowfish and OpenBSD, and npm's bcryptjs. */
static const struct {
    const char *password, *hash;
} known[] = {
    {"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
    {"\xA3", "$2b$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"},
    {"\xFF\xFF\xA3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"},
    {"\xFF\xFF\xA3", "$2a$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"},
    {"", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"},
    {"U*U", "$2b$04$.FtPjnmZzs.2Yv08sJWP9edzXvtTCiAhXYQhIpv2f3hNKlixKbgRK"},
    {"Passw0rd", "$2b$04$7rxldul/8guc6zpVAul1yubnlsztqwzvag0OZlYDajp9xi8idDd2q"},
    {"Passw0rd", "$2a$04$abcdefghijklmnopqrstuulhhVV4Kshc23o37z5HTbqh2k1HbPVGC"},
    {"Passw0rd", "$2y$05$abcdefghijklmnopqrstuuLhXRu8gpJdWBIlSQIpJ66rFxC/lWhGK"},
    {"\xC3\xBCn\xC3\xAF"
     "c\xC3\xB8"
     "d\xC3\xA9 Passw0rd \xE2\x98\x83",
     "$2b$04$3/swtrSI6FOYIn84oExkfuH2x76rQUbCiClz/ptTYfaUdByNtox1a"},
};

static void hashes_of_other_programs_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(known); i++) {
        assert_true(password_matches(str_c(known[i].password), str_c(known[i].hash)));
        assert_false(password_matches(STR("Passw0rd "), str_c(known[i].hash)));
        assert_false(password_matches(STR("u*u"), str_c(known[i].hash)));
    }
}

static void a_password_matches_its_hash(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH], other[PASSWORD_HASH];
    assert_int_equal(password_hash(STR("Secret1"), 4, hash, NULL), 0);
    assert_int_equal(strlen(hash), 60);
    assert_memory_equal(hash, "$2b$04$", 7);
    assert_true(password_matches(STR("Secret1"), str_c(hash)));
    assert_false(password_matches(STR("Secret2"), str_c(hash)));
    assert_false(password_matches(STR("Secret"), str_c(hash)));
    assert_false(password_matches(STR(""), str_c(hash)));
    assert_int_equal(password_hash(STR("Secret1"), 4, other, NULL), 0);
    assert_string_not_equal(hash, other); /* each has a salt of its own */
    assert_int_equal(password_hash(STR("Secret1"), 5, hash, NULL), 0);
    assert_memory_equal(hash, "$2b$05$", 7);
}

static void costs_have_bounds(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH];
    assert_int_equal(password_hash(STR("x"), 0, hash, NULL), 0);
    assert_memory_equal(hash, "$2b$04$", 7);
    /* A hash that somebody put there must not keep a core busy for minutes. */
    char costly[] = "$2b$31$.FtPjnmZzs.2Yv08sJWP9edzXvtTCiAhXYQhIpv2f3hNKlixKbgRK";
    assert_false(password_matches(STR("U*U"), str_c(costly)));
}

static void seventy_two_bytes_count(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH], password[600];
    memset(password, 'x', sizeof password);
    assert_int_equal(password_hash(str_n(password, sizeof password), 4, hash, NULL), 0);
    assert_true(password_matches(str_n(password, sizeof password), str_c(hash)));
    assert_true(password_matches(str_n(password, 72), str_c(hash)));
    assert_false(password_matches(str_n(password, 71), str_c(hash)));
    assert_true(
        password_matches(str_n(password, 73), STR("$2b$04$QDGNfh7btlvBygmejFy4Eunt/1JgsKV1fSkN0FUydu648dx9Y9DXa")));
}

static void no_password_ends_at_a_nul(void **state)
{
    (void)state;
    struct err e;
    char hash[PASSWORD_HASH];
    assert_int_equal(password_hash(str_n("Ab1\0x", 5), 4, hash, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_int_equal(password_hash(STR("Ab1"), 4, hash, &e), 0);
    assert_true(password_matches(STR("Ab1"), str_c(hash)));
    assert_false(password_matches(str_n("Ab1\0x", 5), str_c(hash)));
}

static void what_is_no_hash_matches_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "x",
        "$2b$04$",
        "plain",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWx",
        "$2b$5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWxx",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC:E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe ",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(password_matches(STR("U*U"), str_c(bad[i])));
        assert_false(password_matches(STR(""), str_c(bad[i])));
        assert_false(password_matches(str_c(bad[i]), str_c(bad[i])));
    }
    assert_false(password_matches(STR_NONE, STR_NONE));
}

static void a_dummy_matches_nothing(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH], other[PASSWORD_HASH];
    assert_int_equal(password_dummy(5, hash, NULL), 0);
    assert_int_equal(strlen(hash), 60);
    assert_memory_equal(hash, "$2b$05$", 7);
    assert_false(password_matches(STR(""), str_c(hash)));
    assert_false(password_matches(STR("Passw0rd"), str_c(hash)));
    assert_int_equal(password_dummy(5, other, NULL), 0);
    assert_string_not_equal(hash, other);
    assert_int_equal(password_dummy(99, hash, NULL), 0);
    assert_memory_equal(hash, "$2b$16$", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_of_other_programs_match),
        cmocka_unit_test(a_password_matches_its_hash),
        cmocka_unit_test(costs_have_bounds),
        cmocka_unit_test(seventy_two_bytes_count),
        cmocka_unit_test(no_password_ends_at_a_nul),
        cmocka_unit_test(what_is_no_hash_matches_nothing),
        cmocka_unit_test(a_dummy_matches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
