/* Where requests to OpenAI's services go: OpenAI's form and Azure's two. Pure. */
#ifndef CLIENT_OPENAI_URL_H
#define CLIENT_OPENAI_URL_H

#include "base/err.h"
#include "base/str.h"

/* NULL or "" means unset. */
struct openai_url_config {
    const char *base_url; /* "https://api.openai.com/v1"; Azure: the resource's endpoint; trailing slashes are fine */
    bool azure;
    const char *deployment;  /* Azure: goes into dated paths */
    const char *api_version; /* Azure: "2024-10-21" and the like use dated paths; "v1" or unset the v1 form */
    const char *operation;   /* "/chat/completions"; base_url may end with it */
};

struct openai_url {
    char *base_url; /* without a trailing slash */
    char *path;     /* of the operation, with its query */
    bool dated;     /* Azure's form with the deployment in the path */
};

/* 0, or -1 with NOT_CONFIGURED: no http or https URL, or no deployment where one is needed. */
int openai_url_make(struct openai_url *url, const struct openai_url_config *config, struct err *e);
void openai_url_free(struct openai_url *url);

#endif
