/* Several models as one: a request goes to the first that takes it. */
#ifndef LLM_POOL_H
#define LLM_POOL_H

#include "llm/llm.h"

enum llm_pool_mode {
    LLM_POOL_ORDER,   /* always in the order given */
    LLM_POOL_WEIGHTED /* the first is drawn by weight, then the others likewise */
};

struct llm_pool_member {
    struct llm *llm; /* owned by the pool from then on */
    unsigned weight; /* LLM_POOL_WEIGHTED: at least 1 */
};

#define LLM_POOL_MAX 32

/* 1 to LLM_POOL_MAX members; the array is copied. The next member is asked, before the first byte of a reply only, when
 * one cannot be reached, is late or overloaded (its breaker too), or answers 401, 403, 404 (logged: it is
 * misconfigured), 408, 409, 429 or 5xx; other refusals are about the request itself and stand. Members whose breaker
 * refuses calls are asked last. A request's model goes to every member as it is: give members a deployment or one
 * naming of models. Give members few retries of their own: each is tried that often before the next. The last refusal
 * is the one reported. */
struct llm *llm_pool_new(const struct llm_pool_member *members, size_t n, enum llm_pool_mode mode);

#endif
