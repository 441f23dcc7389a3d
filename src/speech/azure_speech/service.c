#include "speech/azure_speech/service.h"

#include "base/buf.h"

#include <stdlib.h>

#define REGION_MAX 40
#define HEADERS    3

static bool is_set(const char *text)
{
    return text && *text;
}

/* It becomes part of a host name. */
static bool is_region(const char *region)
{
    struct str name = str_c(region);
    for (size_t i = 0; i < name.n; i++)
        if (!(name.p[i] >= 'a' && name.p[i] <= 'z') && !(name.p[i] >= '0' && name.p[i] <= '9') && name.p[i] != '-')
            return false;
    return name.n > 0 && name.n <= REGION_MAX;
}

static int make_url(struct buf *out, const struct speech_azure_config *config, const char *kind, const char *url,
                    struct err *e)
{
    struct str given = str_c(url);
    while (str_ends(given, STR("/")))
        given.n--;
    if (given.n == 0 && !is_region(config->region))
        return err_set(e, ERR_NOT_CONFIGURED, "Azure Speech needs a region, as in eastus2");
    if (given.n == 0)
        return buf_addf(out, "https://%s.%s.speech.microsoft.com", config->region, kind);
    if (!str_starts(given, STR("http://")) && !str_starts(given, STR("https://")))
        return err_set(e, ERR_NOT_CONFIGURED, "The URL of Azure Speech must begin with https:// or http://");
    return buf_str_add(out, given);
}

int azure_service_make(struct azure_service *s, const struct speech_azure_config *config, const char *kind,
                       const char *url, struct err *e)
{
    static const struct upstream_config defaults = {.connect_timeout = 10000,
                                                    .first_byte_timeout = 30000,
                                                    .total_timeout = 600000,
                                                    .retries = 2,
                                                    .breaker_failures = 5,
                                                    .breaker_open = 10000};
    struct buf base = BUF_INIT(SIZE_MAX);
    if (!is_set(config->api_key))
        return err_set(e, ERR_NOT_CONFIGURED, "Azure Speech needs a key");
    if (client_setup(e) < 0 || make_url(&base, config, kind, url, e) < 0)
        return -1;
    struct upstream_config upstream = config->upstream ? *config->upstream : defaults;
    if (!upstream.name)
        upstream.name = "azure_speech";
    upstream.base_url = buf_cstr(&base);
    *s = (struct azure_service){.upstream = upstream_new(&upstream),
                                .key = str_dup(str_c(config->api_key)),
                                .silence = upstream.first_byte_timeout,
                                .total = upstream.total_timeout};
    buf_free(&base);
    return 0;
}

void azure_service_free(struct azure_service *s)
{
    upstream_free(s->upstream);
    free(s->key);
}

struct fetch *azure_service_post(const struct azure_service *s, struct str path, const struct fetch_header *headers,
                                 size_t n, struct str body, struct err *e)
{
    struct fetch_header all[HEADERS + 1] = {{"Ocp-Apim-Subscription-Key", str_c(s->key)}};
    n = MIN(n, HEADERS);
    memcpy(all + 1, headers, n * sizeof *headers);
    struct fetch_request rq = {
        .method = "POST", .path = path, .headers = all, .nheaders = n + 1, .body = body, .idempotent = true};
    return fetch_open(s->upstream, &rq, e);
}

struct str azure_service_language(struct str wanted, const char *usual)
{
    struct str whole = str_c(usual), rest = whole, language;
    str_split(&rest, '-', &language);
    return wanted.n == 0 || str_ieq(wanted, language) ? whole : wanted;
}
