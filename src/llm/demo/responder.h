/* What the demo model says: a useful reply made without any model. Pure and deterministic; a fuzz target. */
#ifndef LLM_DEMO_RESPONDER_H
#define LLM_DEMO_RESPONDER_H

#include "base/buf.h"

#define RESPONDER_QUESTION KIB(8)   /* bytes of the question that are looked at */
#define RESPONDER_TEXT     KIB(256) /* bytes of the text that are looked at */

struct responder_input {
    struct str question; /* the last user message */
    struct str text;     /* what to answer from (companyInfo), "" when there is none */
    size_t turns;        /* user messages so far, the question included */
    int64_t wall_ms;     /* for questions about date and time (UTC) */
    /* Customer care, when there is a speaker: who answers, for which company, and what the customer wants (names of
     * struct llm_request). */
    struct str speaker, company, intent;
};

/* Appends the reply, never empty, valid UTF-8 when the input is. */
void responder_reply(const struct responder_input *in, struct buf *out);

#endif
