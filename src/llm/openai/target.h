/* Where requests go and what proves who asks: OpenAI's form and Azure's two. Pure. */
#ifndef LLM_OPENAI_TARGET_H
#define LLM_OPENAI_TARGET_H

#include "base/buf.h"
#include "llm/openai/openai.h"

struct target {
    char *base_url;  /* without a trailing slash */
    char *chat_path; /* with its query */
    char *models_path;
    bool key_in_api_key; /* "api-key: …" instead of "Authorization: Bearer …" */
};

/* 0, or -1 with NOT_CONFIGURED. Free it with target_free. */
int target_make(struct target *target, const struct llm_openai_config *config, struct err *e);
void target_free(struct target *target);

#endif
