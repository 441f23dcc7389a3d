/* Who asks, on the routes of customer care: each needs a user's token. Private to api/. */
#ifndef API_CARE_GUARD_H
#define API_CARE_GUARD_H

#include "api/api_impl.h"

/* The user whose token the request shows (Authorization, with or without "Bearer"), in the request's arena. -1 after
 * answering 401 {"message":"Please authenticate."…}, or 503 when the store cannot tell. */
int care_guard(struct http_request *rq, struct user *user);
/* Whether this is a token of a user: signed here, not expired, not known to be ended. Never waits. */
bool care_is_token(const struct api *api, struct str token);

#endif
