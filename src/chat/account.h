/* Users and how they show who they are: passwords (bcrypt), tokens (JWT, HS256, {userId,iat,exp}), refresh tokens that
 * rotate. All calls from tasks of any loop unless said. Texts of errors are the clients' contract (section 1.3). */
#ifndef CHAT_ACCOUNT_H
#define CHAT_ACCOUNT_H

#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"

struct accounts;

struct accounts_config {
    struct store *store;
    const char *jwt_secret; /* NULL: one is made and kept in the store, so that tokens outlive a restart */
    uint64_t token_ms;      /* life of a token */
    uint64_t refresh_ms;    /* life of a refresh token that is not used */
    unsigned cost;          /* of bcrypt */
    uint64_t login_max;     /* tries per account and per address in a window; 0: no limit */
    uint64_t login_window_ms;
};

/* Before the loops run; blocks. NULL: STORE_UNAVAILABLE … Strings of config outlive it. */
struct accounts *accounts_new(const struct accounts_config *config, struct err *e);
/* After all loops ended. Takes NULL, returns NULL. */
struct accounts *accounts_free(struct accounts *accounts);
/* What a reload may change. Any thread. */
void accounts_limit(struct accounts *accounts, uint64_t login_max, uint64_t login_window_ms);

struct account_form {
    struct str name, email, password;
    struct str address; /* of the client, for the limit of tries */
};

struct account_session {
    struct user user;
    struct str token, refresh_token;
};

/* The name, e-mail and password rules of the contract: INVALID_REQUEST with the rule's text. `email` comes back trimmed
 * and in lower case. Absent members (.p NULL) are not checked. */
int account_check_form(struct account_form *form, struct arena *arena, struct err *e);
/* INVALID_REQUEST with the contract's texts ("User already exists with this email"), RATE_LIMIT_EXCEEDED,
 * STORE_UNAVAILABLE, OVERLOADED (too many passwords are being hashed). */
int account_register(struct accounts *accounts, const struct account_form *form, struct arena *arena,
                     struct account_session *out, struct err *e);
/* UNAUTHORIZED "Invalid credentials", whether the account or the password is wrong, after the same time. */
int account_login(struct accounts *accounts, const struct account_form *form, struct arena *arena,
                  struct account_session *out, struct err *e);
/* A refresh token is replaced by a new one; used again it ends its family. A token (JWT) that is still good gives a new
 * one, and no refresh token. UNAUTHORIZED "Invalid token". */
int account_refresh(struct accounts *accounts, struct str token, struct arena *arena, struct account_session *out,
                    struct err *e);
/* Ends the session of a refresh token; harmless when it is none. */
int account_logout(struct accounts *accounts, struct str refresh_token, struct err *e);

/* The user of a token that is good now: signed, not expired, of a user who exists and did not change the password
 * since. UNAUTHORIZED "Please authenticate."; STORE_UNAVAILABLE. */
int account_of_token(struct accounts *accounts, struct str token, struct arena *arena, struct user *out, struct err *e);
/* The same for a client that asks who it is: UNAUTHORIZED "Invalid token", NOT_FOUND "User not found". */
int account_named(struct accounts *accounts, struct str token, struct arena *arena, struct user *out, struct err *e);
/* Whether it was signed here, did not expire and was not ended by this process: for doors that ask no more than that.
 * Never waits; outside of tasks, too. */
bool account_is_token(struct accounts *accounts, struct str token);
/* NOT_FOUND "User not found". */
int account_get(struct accounts *accounts, struct str id, struct arena *arena, struct user *out, struct err *e);

/* set: USER_SET_NAME, _EMAIL, _AVATAR, _PASSWORD (form->password, in clear). A new password ends every session and
 * token of the user; out then has new ones (empty otherwise, and when the store failed in between). Errors as
 * account_register. */
struct account_change {
    struct str user_id;
    struct account_form form;
    struct str avatar;
    unsigned set;
};
int account_update(struct accounts *accounts, const struct account_change *change, struct arena *arena,
                   struct account_session *out, struct err *e);
/* UNAUTHORIZED "Invalid credentials" when it is not the user's; counts as a try to log in. */
int account_check_password(struct accounts *accounts, const struct user *user, struct str password, struct err *e);

#endif
