#include "auth/token.h"

#include "base/err.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define DIGEST_LEN 32

static void digest(unsigned char out[DIGEST_LEN], struct str s)
{
    unsigned int n = 0;
    if (EVP_Digest(s.n ? s.p : "", s.n, out, &n, EVP_sha256(), NULL) != 1 || n != DIGEST_LEN)
        die("SHA-256 is not available");
}

bool token_equal(struct str given, struct str expected)
{
    unsigned char a[DIGEST_LEN], b[DIGEST_LEN];
    if (!expected.n)
        return false;
    digest(a, given);
    digest(b, expected);
    return CRYPTO_memcmp(a, b, DIGEST_LEN) == 0;
}

struct str bearer_token(struct str header)
{
    struct str value = str_trim(header);
    size_t scheme = 0;
    while (scheme < value.n && value.p[scheme] != ' ' && value.p[scheme] != '\t')
        scheme++;
    struct str token = str_trim(str_from(value, scheme));
    bool is_bearer = str_ieq(str_n(value.p, scheme), STR("Bearer"));
    if (!is_bearer && !token.n)
        token = value;
    else if (!is_bearer)
        return STR_NONE;
    if (!token.n || str_find_char(token, ' ') >= 0 || str_find_char(token, '\t') >= 0)
        return STR_NONE;
    return token;
}
