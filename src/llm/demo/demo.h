/* The embedded responder as a model: no account, no key, no other server. Deterministic but for the date and time it is
 * asked for; streams word by word in OpenAI's chunk shape. */
#ifndef LLM_DEMO_DEMO_H
#define LLM_DEMO_DEMO_H

#include "llm/llm.h"

struct llm_demo_config {
    const char *model;         /* its name; NULL: "demo" */
    unsigned words_per_second; /* pace; 0: as fast as possible */
    unsigned chunk_delay_ms;   /* before each chunk, on top of the pace */
};

/* Cannot fail. Used by all loops. config NULL: all defaults. */
struct llm *llm_demo_new(const struct llm_demo_config *config);

#endif
