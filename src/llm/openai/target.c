#include "llm/openai/target.h"

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

static void put_encoded(struct buf *out, struct str s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < s.n; i++) {
        if (memchr(plain, s.p[i], sizeof plain - 1))
            buf_byte(out, s.p[i]);
        else
            buf_addf(out, "%%%02X", (unsigned char)s.p[i]);
    }
}

/* Endpoints are written with and without /openai and /openai/v1 behind them. */
static void azure(struct target *t, struct str endpoint, struct str deployment, struct str version)
{
    struct buf base = BUF_INIT(SIZE_MAX), chat = BUF_INIT(SIZE_MAX), query = BUF_INIT(SIZE_MAX);
    bool v1 = version.n == 0 || str_eqc(version, "v1") || str_eqc(version, "preview") || str_eqc(version, "latest");
    endpoint = without_suffix(without_suffix(endpoint, STR("/v1")), STR("/openai"));
    buf_str_add(&base, endpoint);
    if (version.n && !str_eqc(version, "v1")) {
        buf_lit(&query, "?api-version=");
        put_encoded(&query, version);
    }
    if (v1) {
        buf_lit(&base, "/openai/v1");
        buf_lit(&chat, "/chat/completions");
    } else {
        buf_lit(&base, "/openai");
        buf_lit(&chat, "/deployments/");
        put_encoded(&chat, deployment);
        buf_lit(&chat, "/chat/completions");
    }
    buf_str_add(&chat, buf_str(&query));
    t->base_url = take(&base);
    t->chat_path = take(&chat);
    t->models_path = str_dup(v1 ? STR("/models") : STR("/v1/models"));
    t->key_in_api_key = true;
    buf_free(&query);
}

int target_make(struct target *t, const struct llm_openai_config *config, struct err *e)
{
    struct str base = str_c(config->base_url), version = str_c(config->api_version);
    struct str deployment = str_c(config->deployment);
    if (!str_starts(base, STR("http://")) && !str_starts(base, STR("https://")))
        return err_set(e, ERR_NOT_CONFIGURED, "The model service's URL must begin with https:// or http://");
    *t = (struct target){0};
    if (!config->azure) {
        t->base_url = str_dup(without_suffix(base, STR("/chat/completions")));
        t->chat_path = str_dup(STR("/chat/completions"));
        t->models_path = str_dup(STR("/models"));
        return 0;
    }
    if (deployment.n == 0 && version.n >= 4 && version.p[0] == '2')
        return err_set(e, ERR_NOT_CONFIGURED, "Azure OpenAI needs a deployment name");
    azure(t, base, deployment, version);
    return 0;
}

void target_free(struct target *t)
{
    free(t->base_url);
    free(t->chat_path);
    free(t->models_path);
}
