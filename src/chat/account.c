#include "chat/account.h"

#include "base/mem.h"

#include <stdlib.h>

struct accounts *accounts_new(const struct accounts_config *config, struct err *e)
{
    (void)config, (void)e;
    return mem_zalloc(1);
}

struct accounts *accounts_free(struct accounts *accounts)
{
    free(accounts);
    return NULL;
}

void accounts_limit(struct accounts *accounts, uint64_t login_max, uint64_t login_window_ms)
{
    (void)accounts, (void)login_max, (void)login_window_ms;
}

int account_check_form(struct account_form *form, struct arena *arena, struct err *e)
{
    (void)form, (void)arena, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int account_register(struct accounts *accounts, const struct account_form *form, struct arena *arena,
                     struct account_session *out, struct err *e)
{
    (void)accounts, (void)form, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int account_login(struct accounts *accounts, const struct account_form *form, struct arena *arena,
                  struct account_session *out, struct err *e)
{
    (void)accounts, (void)form, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int account_refresh(struct accounts *accounts, struct str token, struct arena *arena, struct account_session *out,
                    struct err *e)
{
    (void)accounts, (void)token, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int account_logout(struct accounts *accounts, struct str refresh_token, struct err *e)
{
    (void)accounts, (void)refresh_token, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int account_of_token(struct accounts *accounts, struct str token, struct arena *arena, struct user *out, struct err *e)
{
    (void)accounts, (void)token, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_UNAUTHORIZED, NULL);
}

bool account_is_token(struct accounts *accounts, struct str token)
{
    (void)accounts, (void)token;
    return false;
}

int account_get(struct accounts *accounts, struct str id, struct arena *arena, struct user *out, struct err *e)
{
    (void)accounts, (void)id, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int account_update(struct accounts *accounts, const struct account_change *change, struct arena *arena,
                   struct account_session *out, struct err *e)
{
    (void)accounts, (void)change, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}
