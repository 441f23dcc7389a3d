/* Errors under /v1 in OpenAI's shape, also those the server itself answers. Private to api/. */
#ifndef API_OPENAI_IMPL_H
#define API_OPENAI_IMPL_H

#include "base/buf.h"
#include "base/err.h"

void openai_error_body(struct buf *out, const struct err *e);

#endif
