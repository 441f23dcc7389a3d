/* Whether a key may sign users' tokens in production. */
#ifndef AUTH_SECRET_H
#define AUTH_SECRET_H

#include "base/str.h"

#define JWT_SECRET_MIN 32 /* bytes: the output of HMAC-SHA256 (RFC 7518 section 3.2) */

/* NULL when the secret will do, otherwise what is wrong with it ("is not set"); never any part of the secret. */
const char *jwt_secret_problem(struct str secret);

#endif
