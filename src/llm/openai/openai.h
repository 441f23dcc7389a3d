/* Driver for OpenAI's chat completions: any compatible base URL, and Azure OpenAI in its dated and its v1 form. One
 * wire, two forms of URL and key header. */
#ifndef LLM_OPENAI_OPENAI_H
#define LLM_OPENAI_OPENAI_H

#include "client/upstream.h"
#include "llm/llm.h"

/* Strings are copied; NULL or "" means unset. */
struct llm_openai_config {
    const char *base_url; /* "https://api.openai.com/v1"; Azure: the resource's endpoint; trailing slashes are fine */
    const char *api_key;  /* unset: no key is sent (local servers) */
    const char *organization, *project; /* sent as OpenAI-Organization and OpenAI-Project */
    const char *model;                  /* when the request names none */
    bool azure;
    const char *deployment;     /* Azure: instead of the request's model, when set */
    const char *api_version;    /* Azure: "2024-10-21" and the like use dated paths; "v1" or unset the v1 form */
    bool no_stream_options;     /* the upstream refuses stream_options: usage is then not asked for in streams */
    bool max_completion_tokens; /* say max_completion_tokens for every model, not for reasoning models only */
    const struct upstream_config *upstream; /* timeouts, limits, proxy, CA; its name and base_url are not looked at
                                             * unless `name` is set: then it is the name in metrics and errors */
};

/* NULL with *e (NOT_CONFIGURED, naming what is wrong) when base_url is unusable or Azure lacks a deployment in its
 * dated form. Opens no connection. Used by all loops; free it after they ended. */
struct llm *llm_openai_new(const struct llm_openai_config *config, struct err *e);

#endif
