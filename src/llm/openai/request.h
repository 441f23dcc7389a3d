/* The JSON body of a chat completion request. Pure. */
#ifndef LLM_OPENAI_REQUEST_H
#define LLM_OPENAI_REQUEST_H

#include "base/buf.h"
#include "llm/llm.h"

struct request_options {
    struct str model;           /* what to send as model; "" leaves it to a relay's own */
    bool stream_options;        /* ask for usage in streams */
    bool max_completion_tokens; /* whatever the model */
};

/* Appends the body for rq; out has no ceiling. INVALID_REQUEST when a relay's body is no object. *usage_asked:
 * whether the relay's client itself asked for the usage chunk. */
int request_build(struct buf *out, const struct llm_request *rq, const struct request_options *options,
                  bool *usage_asked, struct err *e);
/* Reasoning models want max_completion_tokens and refuse a temperature. */
bool request_reasoning_model(struct str model);

#endif
