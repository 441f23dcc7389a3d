/* JSON Web Tokens (RFC 7519) signed with HMAC-SHA256, by libjwt. Only HS256 is ever accepted, whatever a token's header
 * says. Pure but for the clock given. Any thread. */
#ifndef AUTH_JWT_H
#define AUTH_JWT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* Appends the token for the claims, a JSON object. */
int jwt_sign(struct str key, struct str claims, struct buf *out, struct err *e);
/* The claims of a token that the key signed and whose time (exp, nbf; leeway_s of tolerance) is now: a JSON object in
 * the arena. UNAUTHORIZED for every other, without saying why to the client: *why (may be NULL) is a static word for
 * the log: "malformed" "algorithm" "signature" "expired" "early". A token without exp is refused when needs_exp. */
struct jwt_check {
    struct str key;
    int64_t now_s;
    int64_t leeway_s;
    bool needs_exp;
};
int jwt_verify(const struct jwt_check *check, struct str token, struct arena *arena, struct str *claims,
               const char **why, struct err *e);

#endif
