/* Passwords of users, hashed with bcrypt ("$2b$", as Node's bcrypt and others write it). password_hash and
 * password_matches compute for tens of milliseconds: never on a loop. Any thread. */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "base/err.h"
#include "base/str.h"

#define PASSWORD_HASH 64 /* bytes of a hash with its NUL: bcrypt has 60 characters */

/* cost: log2 of the rounds, 4 to 16. bcrypt looks at the first 72 bytes. INVALID_REQUEST for a password with a NUL,
 * INTERNAL_ERROR. */
int password_hash(struct str password, unsigned cost, char out[PASSWORD_HASH], struct err *e);
/* Whether the password is the hash's ($2a$, $2b$, $2y$). For a hash that is none: false, after as long as it takes to
 * compare with one of cost 10, so that the time tells nothing about whether an account exists. */
bool password_matches(struct str password, struct str hash);
/* A hash that no password has, made at once: comparing with it takes as long as with one of that cost. */
int password_dummy(unsigned cost, char out[PASSWORD_HASH], struct err *e);

#endif
