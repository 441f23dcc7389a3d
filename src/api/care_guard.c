#include "api/care_guard.h"

#include "auth/token.h"

int care_guard(struct http_request *rq, struct user *user)
{
    struct err e;
    struct str token = bearer_token(http_request_header(rq, STR("authorization")));
    err_set(&e, ERR_UNAUTHORIZED, NULL);
    if (token.n && account_of_token(api_of(rq)->config.accounts, token, rq->arena, user, &e) == 0)
        return 0;
    http_reply_error(rq, &e);
    return -1;
}

bool care_is_token(const struct api *api, struct str token)
{
    return token.n && api->config.accounts && account_is_token(api->config.accounts, token);
}
