/* HMAC-SHA256 against the vectors of RFC 4231. */
#include "unit/support/unit.h"

#include "auth/mac.h"

static void check(struct str key, struct str data, const char *hex)
{
    unsigned char mac[MAC_LEN];
    char text[2 * MAC_LEN + 1];
    mac_sign(mac, key, data);
    hex_encode(text, mac, sizeof mac);
    assert_string_equal(text, hex);
    assert_true(mac_matches(mac, key, data));
    for (size_t i = 0; i < MAC_LEN; i++) {
        mac[i] ^= 1;
        assert_false(mac_matches(mac, key, data));
        mac[i] ^= 1;
    }
}

static void known_vectors(void **state)
{
    (void)state;
    char key[131], data[50];
    memset(key, 0x0b, 20);
    check(str_n(key, 20), STR("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check(STR("Jefe"), STR("what do ya want for nothing?"),
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 20);
    memset(data, 0xdd, 50);
    check(str_n(key, 20), str_n(data, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    memset(key, 0xaa, 131);
    check(str_n(key, 131), STR("Test Using Larger Than Block-Size Key - Hash Key First"),
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void another_key_or_text_does_not_match(void **state)
{
    (void)state;
    unsigned char mac[MAC_LEN];
    mac_sign(mac, STR("key"), STR("text"));
    assert_true(mac_matches(mac, STR("key"), STR("text")));
    assert_false(mac_matches(mac, STR("kez"), STR("text")));
    assert_false(mac_matches(mac, STR("key"), STR("texu")));
    assert_false(mac_matches(mac, STR("key"), STR("")));
    assert_false(mac_matches(mac, STR_NONE, STR("text")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors),
        cmocka_unit_test(another_key_or_text_does_not_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
