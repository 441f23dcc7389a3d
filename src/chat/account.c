#include "chat/account.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "chat/account_impl.h"

#include <stdlib.h>

#define HASHES_WAITING 4096
#define HASHES_WAIT_MS 60000

/* ---- life ---- */

static int make_nobody(struct accounts *accounts, struct err *e)
{
    char password[UUID_LEN + 1];
    rand_uuid(password);
    return password_hash(str_c(password), accounts->config.cost, accounts->nobody, e);
}

struct accounts *accounts_new(const struct accounts_config *config, struct err *e)
{
    struct accounts *accounts = mem_zalloc(sizeof *accounts);
    accounts->config = *config;
    accounts->key = str_c(config->jwt_secret);
    if ((!accounts->key.n && account_own_key(accounts, e) < 0) || make_nobody(accounts, e) < 0)
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
    if (accounts->own_key)
        explicit_bzero(accounts->own_key, strlen(accounts->own_key));
    free(accounts->own_key);
    free(accounts);
    return NULL;
}

void accounts_limit(struct accounts *accounts, uint64_t login_max, uint64_t login_window_ms)
{
    (void)accounts, (void)login_max, (void)login_window_ms;
}

/* ---- coming in ---- */

static int exists(struct err *e)
{
    return err_set(e, ERR_INVALID_REQUEST, "User already exists with this email");
}

int account_register(struct accounts *accounts, const struct account_form *given, struct arena *arena,
                     struct account_session *out, struct err *e)
{
    char id[OBJECT_ID_LEN + 1];
    struct err why;
    struct user found, user = {.role = STR("user")};
    struct account_form form = *given;
    *out = (struct account_session){0};
    if (account_check_form(&form, arena, e) < 0)
        return -1;
    if (store_user_by_email(accounts->config.store, arena, form.email, &found, &why) == 0)
        return exists(e); /* before the work of hashing; whoever is first is decided by the store all the same */
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
    struct account_form form = {.email = given->email, .password = given->password};
    struct account_form email = {.email = given->email};
    *out = (struct account_session){0};
    if (account_check_form(&email, arena, e) < 0)
        return -1;
    if (store_user_by_email(accounts->config.store, arena, email.email, &out->user, &why) < 0 &&
        why.code != ERR_NOT_FOUND)
        return err_set(e, why.code, NULL);
    if (account_match(accounts, form.password, out->user.password_hash, e) < 0)
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

int account_update(struct accounts *accounts, const struct account_change *change, struct arena *arena,
                   struct account_session *out, struct err *e)
{
    (void)accounts, (void)change, (void)arena, (void)out;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}
