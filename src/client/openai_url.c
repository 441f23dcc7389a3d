#include "client/openai_url.h"

#include "base/buf.h"
#include "wire/url.h"

#include <stdlib.h>

static struct str without_suffix(struct str s, struct str suffix)
{
    while (str_ends(s, STR("/")))
        s.n--;
    if (str_ends(s, suffix))
        s.n -= suffix.n;
    while (str_ends(s, STR("/")))
        s.n--;
    return s;
}

static char *take(struct buf *text)
{
    char *copy = str_dup(buf_str(text));
    buf_free(text);
    return copy;
}

/* Endpoints are written with and without /openai and /openai/v1 behind them. */
static void azure(struct openai_url *url, const struct openai_url_config *config)
{
    struct buf base = BUF_INIT(SIZE_MAX), path = BUF_INIT(SIZE_MAX);
    struct str version = str_c(config->api_version);
    buf_str_add(&base, without_suffix(without_suffix(str_c(config->base_url), STR("/v1")), STR("/openai")));
    buf_lit(&base, "/openai");
    if (url->dated) {
        buf_lit(&path, "/deployments/");
        url_put_encoded(&path, str_c(config->deployment));
    } else {
        buf_lit(&base, "/v1");
    }
    buf_str_add(&path, str_c(config->operation));
    if (version.n && !str_eqc(version, "v1")) {
        buf_lit(&path, "?api-version=");
        url_put_encoded(&path, version);
    }
    url->base_url = take(&base);
    url->path = take(&path);
}

int openai_url_make(struct openai_url *url, const struct openai_url_config *config, struct err *e)
{
    struct str base = str_c(config->base_url), version = str_c(config->api_version);
    if (!str_starts(base, STR("http://")) && !str_starts(base, STR("https://")))
        return err_set(e, ERR_NOT_CONFIGURED, "The service's URL must begin with https:// or http://");
    bool v1 = version.n == 0 || str_eqc(version, "v1") || str_eqc(version, "preview") || str_eqc(version, "latest");
    *url = (struct openai_url){.dated = config->azure && !v1};
    if (url->dated && str_c(config->deployment).n == 0)
        return err_set(e, ERR_NOT_CONFIGURED, "Azure OpenAI needs a deployment name");
    if (config->azure) {
        azure(url, config);
        return 0;
    }
    url->base_url = str_dup(without_suffix(base, str_c(config->operation)));
    url->path = str_dup(str_c(config->operation));
    return 0;
}

void openai_url_free(struct openai_url *url)
{
    free(url->base_url);
    free(url->path);
}
