#include "api/care_guard.h"

#include "auth/token.h"

int care_guard(struct http_request *rq, struct user *user)
{
    struct err e;
    struct str token = bearer_token(http_request_header(rq, STR("authorization")));
    if (token.n && account_of_token(api_of(rq)->config.accounts, token, rq->arena, user, &e) == 0)
        return 0;
    if (!token.n)
        err_set(&e, ERR_UNAUTHORIZED, NULL);
    http_reply_error(rq, &e);
    return -1;
}

bool care_shows_token(const struct http_request *rq)
{
    struct str token = bearer_token(http_request_header(rq, STR("authorization")));
    return token.n && account_is_token(api_of(rq)->config.accounts, token);
}
