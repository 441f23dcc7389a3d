#include "speech/openai/service.h"

#include "base/buf.h"

#include <stdlib.h>

static bool is_set(const char *text)
{
    return text && *text;
}

static char *copy(const char *text)
{
    return is_set(text) ? str_dup(str_c(text)) : NULL;
}

static char *make_authorization(const struct speech_openai_config *config)
{
    struct buf text = BUF_INIT(SIZE_MAX);
    if (!is_set(config->api_key))
        return NULL;
    buf_addf(&text, "%s%s", config->azure ? "" : "Bearer ", config->api_key);
    char *authorization = str_dup(buf_str(&text));
    buf_free(&text);
    return authorization;
}

int openai_service_make(struct openai_service *s, const struct speech_openai_config *config,
                        const struct openai_operation *operation, struct err *e)
{
    static const struct upstream_config defaults = {.connect_timeout = 10000,
                                                    .first_byte_timeout = 60000,
                                                    .total_timeout = 600000,
                                                    .retries = 2,
                                                    .breaker_failures = 5,
                                                    .breaker_open = 10000};
    struct openai_url_config url = {.base_url = config->base_url,
                                    .azure = config->azure,
                                    .deployment = operation->deployment,
                                    .api_version = operation->api_version,
                                    .operation = operation->path};
    *s = (struct openai_service){.azure = config->azure};
    if (client_setup(e) < 0 || openai_url_make(&s->url, &url, e) < 0)
        return -1;
    s->model = copy(config->azure && is_set(operation->deployment) ? operation->deployment : operation->model);
    s->key = copy(config->api_key);
    s->authorization = make_authorization(config);
    s->organization = copy(config->organization);
    s->project = copy(config->project);
    struct upstream_config upstream = config->upstream ? *config->upstream : defaults;
    if (!upstream.name)
        upstream.name = config->azure ? "azure_openai_speech" : "openai_speech";
    upstream.base_url = s->url.base_url;
    s->upstream = upstream_new(&upstream);
    return 0;
}

void openai_service_free(struct openai_service *s)
{
    upstream_free(s->upstream);
    openai_url_free(&s->url);
    free(s->model);
    free(s->key);
    free(s->authorization);
    free(s->organization);
    free(s->project);
}

struct str openai_service_key(const struct openai_service *s)
{
    return str_c(s->key ? s->key : "");
}

struct fetch *openai_service_post(const struct openai_service *s, struct str type, struct str accept, struct str body,
                                  struct err *e)
{
    struct fetch_header headers[5] = {{"Content-Type", type}, {"Accept", accept}};
    size_t n = 2;
    if (s->authorization)
        headers[n++] = (struct fetch_header){s->azure ? "api-key" : "Authorization", str_c(s->authorization)};
    if (s->organization)
        headers[n++] = (struct fetch_header){"OpenAI-Organization", str_c(s->organization)};
    if (s->project)
        headers[n++] = (struct fetch_header){"OpenAI-Project", str_c(s->project)};
    struct fetch_request rq = {.method = "POST",
                               .path = str_c(s->url.path),
                               .headers = headers,
                               .nheaders = n,
                               .body = body,
                               .idempotent = true};
    return fetch_open(s->upstream, &rq, e);
}
