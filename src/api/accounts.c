/* Accounts of users (dialect 003): /api/auth. */
#include "api/care_impl.h"

static void get_me(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/api/auth/me", get_me, NULL, 0, NULL, "The user of the token"},
};

const struct door door_accounts = {routes, COUNT(routes), NULL};
