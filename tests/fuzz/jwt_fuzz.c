/* Tokens. The first byte says which: 't', the rest is a token as it came; otherwise a header, a line feed and claims,
 * which are signed here, so that what lies behind the signature is reached as well. What verifies was signed with the
 * key, and is an object that verifies again when it is signed again. */
#include "fuzz.h"

#include "auth/jwt.h"
#include "auth/mac.h"
#include "base/json.h"

#include <openssl/evp.h>

#define KEY "the fuzzer's key, 0123456789abcdef"
#define NOW 1700000000

static void put_encoded(struct buf *out, const void *bytes, size_t n)
{
    char *text = malloc((n + 2) / 3 * 4 + 1);
    CHECK(text);
    int len = EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
    for (int i = 0; i < len && text[i] != '='; i++)
        buf_byte(out, (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]));
    free(text);
}

static void sign(struct buf *out, struct str header, struct str claims)
{
    unsigned char mac[MAC_LEN];
    put_encoded(out, header.p, header.n);
    buf_byte(out, '.');
    put_encoded(out, claims.p, claims.n);
    mac_sign(mac, STR(KEY), buf_str(out));
    buf_byte(out, '.');
    put_encoded(out, mac, sizeof mac);
}

static int verify(struct str token, struct arena *arena, struct str *claims)
{
    struct str rest = token, piece = fuzz_piece(&rest, token.n);
    struct jwt_check check = {.key = STR(KEY), .now_s = NOW, .leeway_s = 5, .needs_exp = token.n % 2};
    const char *why;
    struct err e;
    int result = jwt_verify(&check, piece, arena, claims, &why, &e);
    CHECK(result == 0 ? !why : why && e.code == ERR_UNAUTHORIZED);
    fuzz_piece_free(piece);
    return result;
}

/* The signature is that of the two parts before it. */
static void check_signed(struct str token)
{
    struct buf again = BUF_INIT(SIZE_MAX / 2);
    size_t end = token.n;
    while (end && token.p[end - 1] != '.')
        end--;
    CHECK(end > 0);
    unsigned char mac[MAC_LEN];
    mac_sign(mac, STR(KEY), str_n(token.p, end - 1));
    put_encoded(&again, mac, sizeof mac);
    CHECK(str_eq(buf_str(&again), str_from(token, end)));
    buf_free(&again);
}

static void check_claims(struct str claims, struct arena *arena)
{
    const cJSON *tree = json_parse(arena, claims, NULL);
    struct buf token = BUF_INIT(SIZE_MAX / 2);
    struct str again;
    CHECK(cJSON_IsObject(tree));
    /* libjwt refuses what two readers may take for two things, such as a member that comes twice. */
    if (jwt_sign(STR(KEY), claims, &token, NULL) == 0 && verify(buf_str(&token), arena, &again) == 0)
        CHECK(cJSON_IsObject(json_parse(arena, again, NULL)));
    buf_free(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_n(data, size), first, claims;
    struct buf token = BUF_INIT(SIZE_MAX / 2);
    if (size == 0 || size > KIB(64))
        return 0;
    struct arena *arena = arena_new("fuzz");
    if (data[0] == 't') {
        buf_str_add(&token, str_from(rest, 1));
    } else {
        str_split(&rest, '\n', &first);
        sign(&token, first, rest.p ? rest : STR(""));
    }
    if (verify(buf_str(&token), arena, &claims) == 0) {
        check_signed(buf_str(&token));
        check_claims(claims, arena);
    }
    arena_free(arena);
    buf_free(&token);
    return 0;
}
