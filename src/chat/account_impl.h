/* Private to the account_*.c files. */
#ifndef CHAT_ACCOUNT_IMPL_H
#define CHAT_ACCOUNT_IMPL_H

#include "auth/password.h"
#include "chat/account.h"
#include "loop/workers.h"

#include <stdatomic.h>

struct tally;

struct accounts {
    struct accounts_config config;
    _Atomic(char *) own_key;             /* signs tokens where none is configured; NULL: not known yet */
    char dummy[PASSWORD_HASH];           /* matches no password, at the cost of the others */
    struct workers *workers;             /* hash passwords */
    struct tally *by_email, *by_address; /* tries to come in */
    _Atomic uint64_t login_max, login_window_ms;
    struct account_ended *ended;
    _Atomic int64_t purged_us; /* when sessions that expired were last deleted */
};

/* ---- tokens: account_token.c ---- */

/* Sees to it that there is a key: the configured one, or the one kept in the store, made the first time. */
int account_need_key(struct accounts *accounts, struct err *e);
/* What a user gets who proved who it is: a new session. The user is in out->user already. */
int account_open_session(struct accounts *accounts, struct arena *arena, struct account_session *out, struct err *e);
/* A token (JWT) alone. */
int account_sign(struct accounts *accounts, struct arena *arena, const struct user *user, struct str *out,
                 struct err *e);
/* The version that the user's tokens carry; 0 until the password was changed. */
int64_t account_version(const struct user *user, struct arena *arena);
/* user.meta with the version that makes tokens of earlier ones invalid. */
struct str account_next_version(const struct user *user, struct arena *arena);

/* ---- tokens that were ended: account_ended.c. Any thread ---- */

struct account_ended *account_ended_new(void);
struct account_ended *account_ended_free(struct account_ended *all); /* takes NULL, returns NULL */
/* Only tokens of this version are good now. life_ms: of a token, so how long it is to be remembered. */
void account_ended_add(struct account_ended *all, struct str user_id, int64_t version, uint64_t life_ms);
bool account_ended_has(struct account_ended *all, struct str user_id, int64_t version);

/* ---- limits: account_limit.c ---- */

void account_limits_open(struct accounts *accounts);
void account_limits_close(struct accounts *accounts);
/* Counts a try to come in. RATE_LIMIT_EXCEEDED. An empty string is not counted. */
int account_take_try(struct accounts *accounts, struct str email, struct str address, struct err *e);

/* ---- passwords: account_password.c ---- */

int account_hash(struct accounts *accounts, struct str password, struct arena *arena, struct str *hash, struct err *e);
/* 0; UNAUTHORIZED "Invalid credentials" when it is not the hash's. An empty hash takes as long. */
int account_match(struct accounts *accounts, struct str password, struct str hash, struct err *e);

#endif
