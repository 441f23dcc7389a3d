#include "llm/openai/target.h"

#include "client/openai_url.h"

#include <stdlib.h>

int target_make(struct target *t, const struct llm_openai_config *config, struct err *e)
{
    struct openai_url url;
    struct openai_url_config wanted = {.base_url = config->base_url,
                                       .azure = config->azure,
                                       .deployment = config->deployment,
                                       .api_version = config->api_version,
                                       .operation = "/chat/completions"};
    if (openai_url_make(&url, &wanted, e) < 0)
        return -1;
    *t = (struct target){.base_url = url.base_url,
                         .chat_path = url.path,
                         .models_path = str_dup(url.dated ? STR("/v1/models") : STR("/models")),
                         .key_in_api_key = config->azure};
    return 0;
}

void target_free(struct target *t)
{
    free(t->base_url);
    free(t->chat_path);
    free(t->models_path);
}
