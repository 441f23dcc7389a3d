#include "app/role.h"

#include "app/drivers.h"
#include "base/log.h"
#include "chat/account.h"

#include <stdio.h>
#include <string.h>

bool role_is(const char *role)
{
    return strcmp(role, "admin") == 0 || strcmp(role, "user") == 0;
}

/* By the address as accounts keep it. */
static int find(struct store *store, const char *email, struct arena *arena, struct user *out, struct err *e)
{
    struct account_form form = {.email = str_c(email)};
    struct err why;
    if (account_check_form(&form, arena, NULL) < 0)
        return err_set(e, ERR_INVALID_REQUEST, "%s is no e-mail address of a user", email);
    if (store_user_by_email(store, arena, form.email, out, &why) == 0)
        return 0;
    if (why.code == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "There is no user %.*s", STR_ARG(form.email));
    return err_set(e, why.code, "The store: %s", why.text);
}

static int give(struct store *store, const char *email, const char *role, struct arena *arena, struct err *e)
{
    struct user user, now;
    struct err why;
    if (find(store, email, arena, &user, e) < 0)
        return -1;
    if (str_eqc(user.role, role)) {
        printf("%.*s has the role %s already\n", STR_ARG(user.email), role);
        return 0;
    }
    struct user_change change = {.to = {.id = user.id, .role = str_c(role)}, .set = USER_SET_ROLE};
    if (store_user_update(store, arena, &change, &now, &why) < 0)
        return err_set(e, why.code, "The store: %s", why.text);
    printf("%.*s has the role %.*s now (it was %.*s)\n", STR_ARG(now.email), STR_ARG(now.role), STR_ARG(user.role));
    return 0;
}

static int run(const struct config *cfg, const char *email, const char *role, struct err *e)
{
    struct store *store = NULL;
    if (drivers_open_store(cfg, &store, e) < 0) {
        if (strcmp(drivers_store_name(cfg), "sqlite") == 0)
            fputs("parley: the embedded store is for one process at a time: a server that uses it has to be stopped\n",
                  stderr);
        return -1;
    }
    struct arena *arena = arena_new("role");
    int result = give(store, email, role, arena, e);
    arena_free(arena);
    store_close(store);
    return result;
}

int role_set(struct config *cfg, const char *email, const char *role)
{
    struct err e = {0};
    log_setup(LOG_ERROR, cfg->log_format);
    int result = run(cfg, email, role, &e);
    if (result < 0)
        fprintf(stderr, "parley: the role was not changed: %s\n", e.text);
    config_free(cfg);
    return result < 0 ? 1 : 0;
}
