/* Bearer tokens: taking them out of a header and comparing them. */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "base/str.h"

/* Whether the two are the same bytes. The time taken tells neither where nor whether they differ, and of `expected`
 * not even the length: digests are compared. An empty expected token matches nothing. */
bool token_equal(struct str given, struct str expected);

/* The token of an Authorization header's value: "Bearer <token>" (RFC 6750; scheme in any case) or, as some front ends
 * send it, the token alone. .p NULL for another scheme or no token. Points into the header. */
struct str bearer_token(struct str header);

#endif
