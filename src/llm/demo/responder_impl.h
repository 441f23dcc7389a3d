/* What the rules of the responder share; inside llm/demo/ only. */
#ifndef LLM_DEMO_RESPONDER_IMPL_H
#define LLM_DEMO_RESPONDER_IMPL_H

#include "base/utf8.h"
#include "llm/demo/responder.h"

struct thought {
    const struct responder_input *in;
    struct str question; /* bounded, trimmed */
    struct str plain;    /* its words in lower case, one space around each */
    struct buf *out;
    size_t begin; /* of the reply in out */
};

static inline bool says(const struct thought *t, struct str phrase)
{
    return str_find(t->plain, phrase) >= 0;
}

static inline struct str shortened(struct str text, size_t max)
{
    return text.n <= max ? text : (struct str){text.p, utf8_whole(text.p, max)};
}

/* The reply of a customer care agent: in its name, by what the customer wants, with what fits best of its company's
 * text and nothing else. One to four sentences that can be spoken. Never empty. */
void care_reply(const struct thought *t);

#endif
