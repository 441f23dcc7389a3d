/* One operation of OpenAI's audio API: where it is, and what every request to it says. */
#ifndef SPEECH_OPENAI_SERVICE_H
#define SPEECH_OPENAI_SERVICE_H

#include "client/fetch.h"
#include "client/openai_url.h"
#include "speech/openai/openai.h"

struct openai_service {
    struct upstream *upstream;
    struct openai_url url;
    char *model; /* or deployment */
    char *key, *authorization, *organization, *project;
    bool azure;
};

struct openai_operation {
    const char *path; /* "/audio/speech" */
    const char *model, *deployment, *api_version;
};

/* 0, or -1 with NOT_CONFIGURED. Free it with openai_service_free. */
int openai_service_make(struct openai_service *s, const struct speech_openai_config *config,
                        const struct openai_operation *operation, struct err *e);
void openai_service_free(struct openai_service *s);
/* "" when there is none. */
struct str openai_service_key(const struct openai_service *s);
/* Sends the body; as fetch_open. */
struct fetch *openai_service_post(const struct openai_service *s, struct str type, struct str accept, struct str body,
                                  struct err *e);

#endif
