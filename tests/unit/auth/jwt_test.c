#include "unit/support/unit.h"

#include "auth/jwt.h"
#include "auth/mac.h"
#include "base/json.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define KEY "0123456789abcdef0123456789abcdef"
#define NOW 1700000000

struct kit {
    struct arena *arena;
    struct buf token;
    struct str claims;
    const char *why;
    struct err e;
};

static int setup(void **state)
{
    struct kit *k = calloc(1, sizeof *k);
    k->arena = arena_new("test");
    buf_init(&k->token, SIZE_MAX / 2);
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    struct kit *k = *state;
    buf_free(&k->token);
    arena_free(k->arena);
    free(k);
    return 0;
}

static struct str encode(struct kit *k, struct str bytes)
{
    char *out = arena_alloc(k->arena, (bytes.n + 2) / 3 * 4 + 1);
    size_t n = (size_t)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)bytes.p, (int)bytes.n);
    for (; n && out[n - 1] == '='; n--)
        ;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i]);
    return str_n(out, n);
}

/* A token as any other program may make it. */
static struct str token_of(struct kit *k, const EVP_MD *md, const char *header, const char *claims)
{
    struct str h = encode(k, str_c(header)), c = encode(k, str_c(claims));
    struct str signed_part = arena_printf(k->arena, "%.*s.%.*s", STR_ARG(h), STR_ARG(c));
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (md)
        HMAC(md, KEY, sizeof KEY - 1, (const unsigned char *)signed_part.p, signed_part.n, mac, &n);
    struct str signature = md ? encode(k, str_n(mac, n)) : STR("");
    return arena_printf(k->arena, "%.*s.%.*s", STR_ARG(signed_part), STR_ARG(signature));
}

static int verify_at(struct kit *k, struct str token, int64_t now, bool needs_exp)
{
    struct jwt_check check = {.key = STR(KEY), .now_s = now, .leeway_s = 0, .needs_exp = needs_exp};
    k->claims = STR_NONE;
    k->why = "unset";
    int result = jwt_verify(&check, token, k->arena, &k->claims, &k->why, &k->e);
    if (result < 0) {
        assert_int_equal(k->e.code, ERR_UNAUTHORIZED);
        assert_null(k->claims.p);
    } else {
        assert_null(k->why);
    }
    return result;
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define GOOD  "{\"userId\":\"u\",\"iat\":1699999999,\"exp\":1700000001}"

static void assert_verifies(struct kit *k, struct str token)
{
    assert_int_equal(verify_at(k, token, NOW, true), 0);
}

static void assert_refused(struct kit *k, struct str token, const char *why)
{
    assert_int_equal(verify_at(k, token, NOW, true), -1);
    assert_string_equal(k->why, why);
}

static void what_is_signed_verifies(void **state)
{
    struct kit *k = *state;
    static const char claims[] = "{\"userId\":\"65f0\",\"iat\":1,\"exp\":1700000001,\"v\":1763770000000000,"
                                 "\"video\":{\"roomJoin\":true,\"room\":\"a b\",\"list\":[1,\"x\",null]}}";
    assert_int_equal(jwt_sign(STR(KEY), str_c(claims), &k->token, &k->e), 0);
    assert_verifies(k, buf_str(&k->token));
    const cJSON *got = json_parse(k->arena, k->claims, NULL);
    assert_str(json_str(got, "userId"), "65f0");
    assert_true(json_num(got, "v", 0) == 1763770000000000.0);
    const cJSON *video = json_get(got, "video");
    assert_true(json_bool(video, "roomJoin", false));
    assert_str(json_str(video, "room"), "a b");
    assert_int_equal(cJSON_GetArraySize(json_get(video, "list")), 3);
    /* With another key, or none, it is worth nothing. */
    struct jwt_check check = {.key = STR("another key"), .now_s = NOW, .needs_exp = true};
    assert_int_equal(jwt_verify(&check, buf_str(&k->token), k->arena, &k->claims, NULL, NULL), -1);
    check.key = STR("");
    assert_int_equal(jwt_verify(&check, buf_str(&k->token), k->arena, &k->claims, &k->why, NULL), -1);
    assert_string_equal(k->why, "signature");
}

/* RFC 7515 appendix A.1: white space in both parts, and a key that holds NULs. */
static void the_example_of_the_standard_verifies(void **state)
{
    struct kit *k = *state;
    static const unsigned char key[64] = {3,   35,  53, 75,  43,  15, 165, 188, 131, 126, 6,   101, 119, 123, 166, 143,
                                          90,  179, 40, 230, 240, 84, 201, 40,  169, 15,  132, 178, 210, 80,  46,  191,
                                          211, 251, 90, 146, 210, 6,  71,  239, 150, 138, 180, 195, 119, 98,  61,  34,
                                          61,  46,  33, 114, 5,   46, 79,  8,   192, 205, 154, 245, 103, 208, 128, 163};
    struct str token = STR("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                           "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cn"
                           "VlfQ."
                           "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    struct jwt_check check = {.key = str_n(key, sizeof key), .now_s = 1300819379, .needs_exp = true};
    assert_int_equal(jwt_verify(&check, token, k->arena, &k->claims, &k->why, &k->e), 0);
    assert_str(json_str(json_parse(k->arena, k->claims, NULL), "iss"), "joe");
    check.now_s++;
    assert_int_equal(jwt_verify(&check, token, k->arena, &k->claims, &k->why, &k->e), -1);
    assert_string_equal(k->why, "expired");
    check.leeway_s = 1;
    assert_int_equal(jwt_verify(&check, token, k->arena, &k->claims, &k->why, &k->e), 0);
}

static void no_other_algorithm_is_taken(void **state)
{
    struct kit *k = *state;
    assert_verifies(k, token_of(k, EVP_sha256(), HS256, GOOD));
    assert_verifies(k, token_of(k, EVP_sha256(), "{\"alg\":\"HS256\"}", GOOD)); /* as LiveKit's server signs */
    static const char *const headers[] = {"{\"alg\":\"none\"}",
                                          "{\"alg\":\"None\",\"typ\":\"JWT\"}",
                                          "{\"alg\":\"\"}",
                                          "{}",
                                          "{\"alg\":\"HS512\"}",
                                          "{\"alg\":\"HS384\"}",
                                          "{\"alg\":\"RS256\"}",
                                          "{\"alg\":\"ES256\"}",
                                          "{\"alg\":\"hs256\"}",
                                          "{\"alg\":\"HS256\\u0020\"}",
                                          "{\"alg\":256}",
                                          "{\"alg\":[\"HS256\"]}",
                                          "{\"alg\":\"none\",\"alg\":\"HS256\"}",
                                          "[]",
                                          "\"HS256\"",
                                          "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}"};
    for (size_t i = 0; i < COUNT(headers); i++) {
        assert_refused(k, token_of(k, EVP_sha256(), headers[i], GOOD), "algorithm");
        assert_refused(k, token_of(k, EVP_sha512(), headers[i], GOOD), "algorithm");
        assert_refused(k, token_of(k, NULL, headers[i], GOOD), "algorithm");
    }
    assert_refused(k, token_of(k, EVP_sha512(), HS256, GOOD), "signature");
    assert_refused(k, token_of(k, EVP_sha1(), HS256, GOOD), "signature");
    assert_refused(k, token_of(k, NULL, HS256, GOOD), "signature");
    /* Whichever of two a reader takes, it must not be refused by one and taken by the other. */
    assert_int_equal(verify_at(k, token_of(k, NULL, "{\"alg\":\"HS256\",\"alg\":\"none\"}", GOOD), NOW, true), -1);
    assert_int_equal(verify_at(k, token_of(k, EVP_sha256(), "{\"alg\":\"HS256\",\"alg\":\"none\"}", GOOD), NOW, true),
                     -1);
}

static void no_byte_may_change(void **state)
{
    struct kit *k = *state;
    struct str good = token_of(k, EVP_sha256(), HS256, GOOD);
    assert_verifies(k, good);
    for (size_t i = 0; i < good.n; i++)
        for (const char *c = "Aab9-_.=/ +\n\x80"; *c; c++) {
            struct str other = arena_str(k->arena, good);
            if (good.p[i] == *c)
                continue;
            ((char *)(uintptr_t)other.p)[i] = *c;
            assert_int_equal(verify_at(k, other, NOW, true), -1);
        }
    for (size_t n = 0; n < good.n; n++)
        assert_int_equal(verify_at(k, arena_str(k->arena, str_n(good.p, n)), NOW, true), -1);
    static const char *const tails[] = {".", ".x", "=", "A", " ", "\n"};
    for (size_t i = 0; i < COUNT(tails); i++)
        assert_int_equal(verify_at(k, arena_printf(k->arena, "%s%s", good.p, tails[i]), NOW, true), -1);
    assert_int_equal(verify_at(k, arena_printf(k->arena, " %s", good.p), NOW, true), -1);
    assert_int_equal(verify_at(k, str_n(arena_str(k->arena, good).p, good.n + 1), NOW, true), -1); /* the NUL */
}

static void times_count(void **state)
{
    struct kit *k = *state;
    static const struct {
        const char *claims, *why; /* NULL: good */
    } cases[] = {
        {"{\"exp\":1700000001}", NULL},
        {"{\"exp\":1700000000.5}", NULL},
        {"{\"exp\":1700000000}", "expired"},
        {"{\"exp\":0}", "expired"},
        {"{\"exp\":-1}", "expired"},
        {"{\"exp\":1e300}", NULL},
        {"{}", "expired"},
        {"{\"exp\":null}", "malformed"},
        {"{\"exp\":\"1700000001\"}", "malformed"},
        {"{\"exp\":1700000001,\"nbf\":1700000000}", NULL},
        {"{\"exp\":1700000001,\"nbf\":1700000001}", "early"},
        {"{\"exp\":1700000001,\"nbf\":0}", NULL},
        {"{\"exp\":1700000001,\"nbf\":true}", "malformed"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str token = token_of(k, EVP_sha256(), HS256, cases[i].claims);
        if (cases[i].why)
            assert_refused(k, token, cases[i].why);
        else
            assert_verifies(k, token);
    }
    assert_int_equal(verify_at(k, token_of(k, EVP_sha256(), HS256, "{}"), NOW, false), 0);
    assert_int_equal(verify_at(k, token_of(k, EVP_sha256(), HS256, "{\"exp\":1}"), NOW, false), -1);
}

static void what_is_no_token_is_refused(void **state)
{
    struct kit *k = *state;
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "a.b.c",
                                      "e30.e30.",
                                      "e30.e30.e30",
                                      "...",
                                      "eyJhbGciOiJIUzI1NiJ9..",
                                      "not a token",
                                      "eyJhbGciOiJIUzI1NiJ9.e30"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(verify_at(k, str_c(bad[i]), NOW, true), -1);
    assert_int_equal(verify_at(k, STR_NONE, NOW, true), -1);
    static const char *const claims[] = {
        "", "null", "[]", "7", "\"x\"", "{", "{\"exp\":1700000001}}", "{\"a\":\"\xFF\"}"};
    for (size_t i = 0; i < COUNT(claims); i++)
        assert_int_equal(verify_at(k, token_of(k, EVP_sha256(), HS256, claims[i]), NOW, true), -1);
    /* Signed, and nested deeper than anything here reads. */
    char deep[1200];
    memset(deep, '[', sizeof deep);
    deep[sizeof deep - 1] = 0;
    assert_refused(k, token_of(k, EVP_sha256(), HS256, deep), "malformed");
    assert_refused(k, token_of(k, EVP_sha256(), deep, GOOD), "malformed");
    /* Longer than any of ours. */
    char *text = arena_alloc(k->arena, 9001);
    memset(text, 'A', 9000);
    text[9000] = 0;
    assert_refused(k, str_n(text, 9000), "malformed");
    assert_refused(k, token_of(k, EVP_sha256(), HS256, text), "malformed");
}

static void what_cannot_be_signed_is_told(void **state)
{
    struct kit *k = *state;
    static const char *const bad[] = {"", "null", "[]", "{", "7", "{\"a\":\"\xFF\"}"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(jwt_sign(STR(KEY), str_c(bad[i]), &k->token, &k->e), -1);
    assert_int_equal(jwt_sign(STR(""), STR("{}"), &k->token, &k->e), -1);
    assert_int_equal(k->token.len, 0);
    struct buf small = BUF_INIT(20);
    assert_int_equal(jwt_sign(STR(KEY), STR("{}"), &small, &k->e), -1);
    assert_int_equal(small.len, 0);
    buf_free(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_signed_verifies),
        TEST(the_example_of_the_standard_verifies),
        TEST(no_other_algorithm_is_taken),
        TEST(no_byte_may_change),
        TEST(times_count),
        TEST(what_is_no_token_is_refused),
        TEST(what_cannot_be_signed_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
