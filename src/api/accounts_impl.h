/* What the files of the accounts' door share. Private to api/. */
#ifndef API_ACCOUNTS_IMPL_H
#define API_ACCOUNTS_IMPL_H

#include "api/care_impl.h"

#define ACCOUNT_REPLY_MAX KIB(256)

/* The body's members; no body is an object without any. INVALID_REQUEST. */
int account_read_body(struct http_request *rq, struct json_want *wants, size_t n, struct err *e);
/* "token" and "refreshToken" of a session, where it has them. */
void account_put_tokens(struct jw *w, const struct account_session *session);
/* An error in here is told in the dialect's words, others in their own. */
void account_reply_failure(struct http_request *rq, struct err *e, const char *text);

/* GET and PUT /api/auth/profile: profile.c. */
void profile_get(struct http_request *rq);
void profile_put(struct http_request *rq);

#endif
