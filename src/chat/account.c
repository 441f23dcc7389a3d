#include "chat/account.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "chat/account_impl.h"

#include <stdlib.h>

#define HASHES_WAITING 4096
#define HASHES_WAIT_MS 60000

/* ---- life ---- */

struct accounts *accounts_new(const struct accounts_config *config, struct err *e)
{
    struct accounts *accounts = mem_zalloc(sizeof *accounts);
    accounts->config = *config;
    accounts->ended = account_ended_new();
    account_limits_open(accounts);
    /* A store that is away now has the key when somebody needs it. */
    struct err why;
    bool keyless = account_need_key(accounts, &why) < 0;
    if (keyless && why.code != ERR_STORE_UNAVAILABLE) {
        *e = why;
        return accounts_free(accounts);
    }
    if (password_dummy(config->cost, accounts->dummy, e) < 0)
        return accounts_free(accounts);
    accounts->workers =
        workers_new(&(struct workers_config){.name = "password", .waiting = HASHES_WAITING, .wait_ms = HASHES_WAIT_MS});
    return accounts;
}

struct accounts *accounts_free(struct accounts *accounts)
{
    if (!accounts)
        return NULL;
    workers_free(accounts->workers);
    account_limits_close(accounts);
    account_ended_free(accounts->ended);
    char *own = atomic_load(&accounts->own_key);
    if (own)
        explicit_bzero(own, strlen(own));
    free(own);
    free(accounts);
    return NULL;
}

/* ---- coming in ---- */

static int exists(struct err *e)
{
    return err_set(e, ERR_INVALID_REQUEST, "User already exists with this email");
}

/* NOT_FOUND stays; what else went wrong is told in the code's own words. */
static int by_email(struct accounts *accounts, struct str email, struct arena *arena, struct user *out, struct err *e)
{
    struct err why;
    if (store_user_by_email(accounts->config.store, arena, email, out, &why) == 0)
        return 0;
    return err_set(e, why.code, NULL);
}

int account_register(struct accounts *accounts, const struct account_form *given, struct arena *arena,
                     struct account_session *out, struct err *e)
{
    char id[OBJECT_ID_LEN + 1];
    struct err why;
    struct user found, user = {.role = STR("user")};
    struct account_form form = *given;
    *out = (struct account_session){0};
    if (account_check_form(&form, arena, e) < 0 || account_take_try(accounts, STR_NONE, form.address, e) < 0)
        return -1;
    /* Before the work of hashing; who is first is decided by the store all the same. */
    if (by_email(accounts, form.email, arena, &found, &why) == 0)
        return exists(e);
    if (why.code != ERR_NOT_FOUND)
        return err_set(e, why.code, NULL);
    if (account_hash(accounts, form.password, arena, &user.password_hash, e) < 0)
        return -1;
    rand_object_id(id);
    user.id = arena_str(arena, str_c(id));
    user.name = form.name;
    user.email = form.email;
    if (store_user_create(accounts->config.store, arena, &user, &out->user, &why) < 0)
        return why.code == ERR_CONFLICT ? exists(e) : err_set(e, why.code, NULL);
    return account_open_session(accounts, arena, out, e);
}

int account_login(struct accounts *accounts, const struct account_form *given, struct arena *arena,
                  struct account_session *out, struct err *e)
{
    struct err why;
    struct account_form form = {.email = given->email}; /* a password is right or wrong, whatever the rules are now */
    *out = (struct account_session){0};
    if (account_check_form(&form, arena, e) < 0 || account_take_try(accounts, form.email, given->address, e) < 0)
        return -1;
    if (by_email(accounts, form.email, arena, &out->user, &why) < 0 && why.code != ERR_NOT_FOUND)
        return err_set(e, why.code, NULL);
    if (account_match(accounts, given->password, out->user.password_hash, e) < 0)
        return -1;
    return account_open_session(accounts, arena, out, e);
}

/* ---- users ---- */

int account_get(struct accounts *accounts, struct str id, struct arena *arena, struct user *out, struct err *e)
{
    struct err why;
    if (store_user_get(accounts->config.store, arena, id, out, &why) == 0)
        return 0;
    return why.code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "User not found") : err_set(e, why.code, NULL);
}

/* The change as the store takes it, checked; the new password hashed. */
static int prepare(struct accounts *accounts, const struct account_change *change, struct arena *arena,
                   struct user_change *out, struct err *e)
{
    struct account_form form = {
        .name = change->set & USER_SET_NAME ? change->form.name : STR_NONE,
        .email = change->set & USER_SET_EMAIL ? change->form.email : STR_NONE,
        .password = change->set & USER_SET_PASSWORD ? change->form.password : STR_NONE,
    };
    if (account_check_form(&form, arena, e) < 0)
        return -1;
    *out = (struct user_change){
        .to = {.id = change->user_id, .name = form.name, .email = form.email, .avatar = change->avatar},
        .set = change->set & (USER_SET_NAME | USER_SET_EMAIL | USER_SET_AVATAR | USER_SET_PASSWORD)};
    if (!(change->set & USER_SET_PASSWORD))
        return 0;
    struct user user;
    if (account_hash(accounts, form.password, arena, &out->to.password_hash, e) < 0 ||
        account_get(accounts, change->user_id, arena, &user, e) < 0)
        return -1;
    out->to.meta = account_next_version(&user, arena);
    out->set |= USER_SET_META;
    return 0;
}

int account_update(struct accounts *accounts, const struct account_change *change, struct arena *arena,
                   struct account_session *out, struct err *e)
{
    struct err why;
    struct user_change to;
    int64_t count;
    *out = (struct account_session){0};
    if (prepare(accounts, change, arena, &to, e) < 0)
        return -1;
    if (store_user_update(accounts->config.store, arena, &to, &out->user, &why) < 0) {
        if (why.code == ERR_NOT_FOUND)
            return err_set(e, ERR_NOT_FOUND, "User not found");
        return why.code == ERR_CONFLICT ? exists(e) : err_set(e, why.code, NULL);
    }
    if (!(change->set & USER_SET_PASSWORD))
        return 0;
    account_ended_add(accounts->ended, change->user_id, account_version(&out->user, arena), accounts->config.token_ms);
    /* The new version has ended them; this takes away what is left of them. */
    struct session_clear clear = {.user_id = change->user_id};
    if (store_session_clear(accounts->config.store, &clear, &count, &why) < 0)
        log_warn("account", "sessions_kept", F_ERR(&why));
    /* The change is made whatever becomes of this: without new tokens the user logs in. */
    if (account_open_session(accounts, arena, out, &why) < 0) {
        log_warn("account", "session_missing", F_ERR(&why));
        out->token = out->refresh_token = STR_NONE;
    }
    return 0;
}

int account_check_password(struct accounts *accounts, const struct user *user, struct str password, struct err *e)
{
    if (account_take_try(accounts, user->email, STR_NONE, e) < 0)
        return -1;
    return account_match(accounts, password, user->password_hash, e);
}
