/* Errors under /v1 in OpenAI's shape, also those the server itself answers. Private to api/. */
#ifndef API_OPENAI_IMPL_H
#define API_OPENAI_IMPL_H

#include "base/err.h"
#include "base/json.h"
#include "server/http.h"

void openai_error_body(struct buf *out, const struct err *e);
/* The member "error"; param and code may be NULL: null, or what fits the error. */
void openai_put_error(struct jw *w, const struct err *e, const char *param, const char *code);
void openai_reply_error(struct http_request *rq, const struct err *e, const char *param, const char *code);

#endif
