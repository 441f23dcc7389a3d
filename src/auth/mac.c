#include "auth/mac.h"

#include "base/err.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void mac_sign(unsigned char out[MAC_LEN], struct str key, struct str data)
{
    unsigned int n = 0;
    const unsigned char *bytes = (const unsigned char *)(data.n ? data.p : "");
    if (!HMAC(EVP_sha256(), key.n ? key.p : "", (int)key.n, bytes, data.n, out, &n) || n != MAC_LEN)
        die("HMAC-SHA256 is not available");
}

bool mac_matches(const unsigned char mac[MAC_LEN], struct str key, struct str data)
{
    unsigned char own[MAC_LEN];
    mac_sign(own, key, data);
    return CRYPTO_memcmp(own, mac, MAC_LEN) == 0;
}
