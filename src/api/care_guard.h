/* Who asks, on the routes of customer care: each needs a user's token. Private to api/. */
#ifndef API_CARE_GUARD_H
#define API_CARE_GUARD_H

#include "api/api_impl.h"

/* The user whose token the request shows (Authorization, with or without "Bearer"), in the request's arena. -1 after
 * answering 401 {"message":"Please authenticate."…}, or 503 when the store cannot tell. */
int care_guard(struct http_request *rq, struct user *user);
/* Whether the request shows a token that was signed here and did not expire: lets a user into every dialect. */
bool care_shows_token(const struct http_request *rq);

#endif
