/* Webhooks: https://docs.livekit.io/home/server/webhooks/ */
#include "auth/jwt.h"
#include "auth/token.h"
#include "base/clock.h"
#include "base/log.h"
#include "rtc/livekit_impl.h"
#include "wire/base64.h"

#include <openssl/evp.h>

#define LEEWAY_S 60

static int refuse(const char *why, struct err *e)
{
    log_info("livekit", "webhook_refused", F_C("why", why));
    return err_set(e, ERR_UNAUTHORIZED, NULL);
}

/* Base64 of the body's SHA-256, as the token has it. */
static void put_digest(struct buf *out, struct str body)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (EVP_Digest(body.n ? body.p : "", body.n, digest, &n, EVP_sha256(), NULL) != 1)
        die("SHA-256 is not available");
    base64_put(out, str_n(digest, n), false);
}

static int check_claims(const struct livekit *livekit, struct str claims, struct str body, struct arena *arena,
                        struct err *e)
{
    const cJSON *tree = json_parse(arena, claims, NULL);
    if (!str_eqc(json_str(tree, "iss"), livekit->api_key))
        return refuse("issuer", e);
    struct buf digest = BUF_INIT(KIB(1));
    put_digest(&digest, body);
    bool same = token_equal(json_str(tree, "sha256"), buf_str(&digest));
    buf_free(&digest);
    return same ? 0 : refuse("digest", e);
}

int livekit_check_webhook(const struct livekit *livekit, struct str authorization, struct str body, struct err *e)
{
    const struct jwt_check check = {
        .key = str_c(livekit->api_secret), .now_s = clock_wall_ms() / 1000, .leeway_s = LEEWAY_S, .needs_exp = true};
    struct str token = bearer_token(authorization), claims = STR_NONE;
    const char *why = "malformed";
    if (!token.n)
        return refuse("token missing", e);
    struct arena *arena = arena_new("webhook");
    int result = jwt_verify(&check, token, arena, &claims, &why, e) < 0 ? refuse(why, e)
                                                                        : check_claims(livekit, claims, body, arena, e);
    arena_free(arena);
    return result;
}
