#include "app/drivers.h"

#include "base/mem.h"
#include "client/upstream.h"
#include "llm/demo/demo.h"
#include "llm/openai/openai.h"
#include "llm/pool.h"
#include "store/mongo/mongo_store.h"
#include "store/sqlite/sqlite_store.h"

#include <stdlib.h>

const char *drivers_store_name(const struct config *cfg)
{
    bool address = cfg->store_url && strncmp(cfg->store_url, "mongodb", 7) == 0;
    return cfg->store_driver == STORE_MONGO || (cfg->store_driver == STORE_AUTO && address) ? "mongo" : "sqlite";
}

int drivers_open_store(const struct config *cfg, struct store **store, struct err *e)
{
    struct store_config config = {
        .data_dir = cfg->data_dir,
        .url = cfg->store_url,
        .ca_file = cfg->store_ca_file,
        .connections = (unsigned)cfg->store_connections,
        .select_ms = (unsigned)cfg->store_select_timeout_ms,
    };
    bool mongo = strcmp(drivers_store_name(cfg), "mongo") == 0;
    return store_open(mongo ? &store_mongo : &store_sqlite, &config, store, e);
}

struct upstream_config drivers_upstream(const struct config *cfg, const char *url)
{
    bool https = strncmp(url, "https:", 6) == 0;
    return (struct upstream_config){
        .ca_file = cfg->upstream_ca_file,
        .proxy = https ? cfg->https_proxy : cfg->http_proxy,
        .no_proxy = cfg->no_proxy,
        .connect_timeout = (unsigned)cfg->upstream_connect_timeout_ms,
        .first_byte_timeout = (unsigned)cfg->upstream_first_byte_timeout_ms,
        .total_timeout = (unsigned)cfg->upstream_total_timeout_ms,
        .retries = (unsigned)cfg->upstream_retries,
        .concurrency = (unsigned)cfg->upstream_concurrency,
        .queue = (unsigned)cfg->upstream_queue,
        .queue_timeout = (unsigned)cfg->upstream_queue_timeout_ms,
        .breaker_failures = (unsigned)cfg->upstream_breaker_failures,
        .breaker_open = (unsigned)cfg->upstream_breaker_open_ms,
        .http2 = cfg->upstream_http2,
    };
}

static struct llm *open_openai(const struct config *cfg, struct err *e)
{
    struct upstream_config upstream = drivers_upstream(cfg, cfg->openai_base_url);
    upstream.name = "openai";
    struct llm_openai_config config = {
        .base_url = cfg->openai_base_url,
        .api_key = cfg->openai_api_key,
        .organization = cfg->openai_organization,
        .project = cfg->openai_project,
        .model = cfg->openai_chat_model,
        .upstream = &upstream,
    };
    return llm_openai_new(&config, e);
}

static struct llm *open_azure(const struct config *cfg, struct err *e)
{
    if (!cfg->azure_openai_endpoint || !cfg->azure_openai_api_key) {
        err_set(e, ERR_NOT_CONFIGURED, "LLM_PROVIDER=azure needs AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY");
        return NULL;
    }
    struct upstream_config upstream = drivers_upstream(cfg, cfg->azure_openai_endpoint);
    const char *deployment = cfg->azure_openai_deployment ? cfg->azure_openai_deployment : cfg->aimcs_model;
    upstream.name = "azure";
    struct llm_openai_config config = {
        .base_url = cfg->azure_openai_endpoint,
        .api_key = cfg->azure_openai_api_key,
        .model = deployment,
        .azure = true,
        .deployment = deployment,
        .api_version = cfg->azure_openai_api_version,
        .upstream = &upstream,
    };
    return llm_openai_new(&config, e);
}

static struct llm *open_member(const struct config *cfg, const struct config_upstream *u, struct err *e)
{
    struct upstream_config upstream = drivers_upstream(cfg, u->base_url);
    upstream.name = u->name;
    struct llm_openai_config config = {
        .base_url = u->base_url,
        .api_key = u->api_key,
        .model = u->model ? u->model : cfg->openai_chat_model,
        .azure = u->provider == PROVIDER_AZURE,
        .deployment = u->deployment ? u->deployment : u->model,
        .api_version = u->api_version,
        .upstream = &upstream,
    };
    return llm_openai_new(&config, e);
}

static struct llm *open_pool(const struct config *cfg, struct err *e)
{
    size_t n = cfg->llm_upstreams.count;
    struct llm_pool_member *members = mem_array(n, sizeof *members);
    struct llm *pool = NULL;
    size_t made = 0;
    while (made < n) {
        const struct config_upstream *u = &cfg->llm_upstreams.items[made];
        struct llm *llm = open_member(cfg, u, e);
        if (!llm)
            break;
        members[made++] = (struct llm_pool_member){llm, (unsigned)u->weight};
    }
    if (made == n)
        pool = llm_pool_new(members, n, cfg->llm_pool == POOL_WEIGHTED ? LLM_POOL_WEIGHTED : LLM_POOL_ORDER);
    else
        while (made)
            llm_free(members[--made].llm);
    free(members);
    return pool;
}

bool drivers_has_openai(const struct config *cfg)
{
    /* A base URL of one's own needs no key: local servers ask for none. */
    return cfg->openai_api_key || config_origin(cfg, "OPENAI_BASE_URL") != ORIGIN_DEFAULT;
}

int drivers_open_model(const struct config *cfg, struct llm **llm, struct err *e)
{
    bool automatic = cfg->llm_provider == PROVIDER_AUTO;
    bool pool = cfg->llm_upstreams.count && cfg->llm_provider != PROVIDER_DEMO && cfg->llm_provider != PROVIDER_NONE;
    *llm = NULL;
    if (pool)
        *llm = open_pool(cfg, e);
    else if (cfg->llm_provider == PROVIDER_DEMO)
        *llm = drivers_responder();
    else if (cfg->llm_provider == PROVIDER_OPENAI || (automatic && drivers_has_openai(cfg)))
        *llm = open_openai(cfg, e);
    else if (cfg->llm_provider == PROVIDER_AZURE ||
             (automatic && cfg->azure_openai_endpoint && cfg->azure_openai_api_key))
        *llm = open_azure(cfg, e);
    else
        return 0;
    return *llm ? 0 : -1;
}

struct llm *drivers_responder(void)
{
    return llm_demo_new(&(struct llm_demo_config){.model = "demo"});
}

int drivers_open_livekit(const struct config *cfg, struct livekit **livekit, struct err *e)
{
    *livekit = NULL;
    if (!cfg->livekit_ws_url || !cfg->livekit_api_key || !cfg->livekit_api_secret)
        return 0;
    bool plain = strncmp(cfg->livekit_ws_url, "ws:", 3) == 0 || strncmp(cfg->livekit_ws_url, "http:", 5) == 0;
    struct livekit_config config = {
        .url = cfg->livekit_ws_url,
        .api_key = cfg->livekit_api_key,
        .api_secret = cfg->livekit_api_secret,
        .upstream = drivers_upstream(cfg, plain ? "http:" : "https:"),
    };
    config.upstream.name = "livekit";
    return (*livekit = livekit_new(&config, e)) ? 0 : -1;
}
