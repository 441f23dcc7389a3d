#include "app/settings.h"

#include "app/drivers.h"
#include "app/running.h"
#include "base/mem.h"

#include <stdlib.h>

/* Origins of the front ends this server replaces; any port of the own machine. */
static const char *const known_origins[] = {
    "http://localhost:*",
    "http://127.0.0.1:*",
    "https://aimcs.net",
    "https://aimcs-frontend-eastus2.azurewebsites.net",
    "https://aimcs-frontend.azurewebsites.net",
    "https://customer-care-voice-ai-frontend.vercel.app",
};

static void add_list(struct settings *s, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        s->origins[s->norigins++] = list->items[i];
}

void settings_make(struct settings *s, const struct config *cfg)
{
    static const struct {
        enum config_dialect bit;
        const char *name;
    } dialects[] = {{DIALECT_AIMCS, "aimcs"},
                    {DIALECT_OPENAI, "openai"},
                    {DIALECT_CHAT, "chat"},
                    {DIALECT_PICHAT, "pichat"},
                    {DIALECT_CARE, "care"}};
    *s = (struct settings){.cfg = cfg};
    s->origins =
        mem_array(COUNT(known_origins) + cfg->cors_origins.count + cfg->frontend_url.count + 1, sizeof *s->origins);
    for (size_t i = 0; i < COUNT(known_origins); i++)
        s->origins[s->norigins++] = known_origins[i];
    add_list(s, &cfg->frontend_url);
    add_list(s, &cfg->cors_origins);
    if (cfg->cors_any)
        s->origins[s->norigins++] = "*";
    for (size_t i = 0; i < COUNT(dialects); i++)
        if (cfg->open_dialects & dialects[i].bit)
            s->dialects[s->ndialects++] = dialects[i].name;
}

void settings_free(struct settings *s)
{
    struct settings *older = s->older;
    config_free(s->retired);
    free(s->origins);
    *s = (struct settings){0};
    while (older) {
        struct settings *next = older->older;
        config_free(older->retired);
        free(older->origins);
        free(older);
        older = next;
    }
}

static struct sio_config settings_socketio(const struct config *cfg)
{
    return (struct sio_config){
        .engine = {.ping_interval = (unsigned)cfg->socketio_ping_interval_ms,
                   .ping_timeout = (unsigned)cfg->socketio_ping_timeout_ms,
                   .upgrade_timeout = (unsigned)cfg->socketio_upgrade_timeout_ms,
                   .max_payload = (size_t)cfg->socketio_max_payload,
                   .allow_v3 = cfg->allow_eio3,
                   .compression = cfg->socketio_compression,
                   .cookie = cfg->socketio_cookie},
        .connect_timeout = (unsigned)cfg->socketio_connect_timeout_ms,
        .recovery = (unsigned)cfg->socketio_recovery_ms,
        .max_attachments = SIO_ATTACHMENTS,
    };
}

/* What noise reduction is worth was measured with the local recognizer; services are made for audio as it comes. */
static enum clean_strength settings_clean(const struct config *cfg, const struct stt *stt)
{
    switch (cfg->voice_noise_reduction) {
    case NOISE_AUTO:
        return stt && strcmp(stt_name(stt), "local") == 0 ? CLEAN_NEAR : CLEAN_NONE;
    case NOISE_NEAR:
        return CLEAN_NEAR;
    case NOISE_FAR:
        return CLEAN_FAR;
    case NOISE_OFF:
        break;
    }
    return CLEAN_NONE;
}

static struct voice_policy settings_voice(const struct config *cfg, const struct running *r)
{
    return (struct voice_policy){
        .tts = r->tts,
        .stt = r->stt,
        .silence_ms = (unsigned)cfg->voice_silence_ms,
        .max_silence_ms = (unsigned)cfg->voice_max_silence_ms,
        .max_utterance_ms = (unsigned)cfg->voice_max_utterance_ms,
        .interrupt_speaking = cfg->voice_interrupt_speaking,
        .interrupt_thinking = cfg->voice_interrupt_thinking,
        .interrupt_min_ms = (unsigned)cfg->voice_interrupt_min_ms,
        .resume = cfg->voice_resume,
        .stall_timeout_ms = (unsigned)cfg->voice_stall_timeout_ms,
        .clean = settings_clean(cfg, r->stt),
    };
}

static struct api_realtime settings_realtime(const struct config *cfg)
{
    enum config_realtime who = cfg->realtime_provider;
    if (who == REALTIME_AUTO && cfg->openai_api_key)
        who = REALTIME_OPENAI;
    else if (who == REALTIME_AUTO && cfg->azure_openai_endpoint && cfg->azure_openai_api_key &&
             cfg->azure_openai_realtime_deployment)
        who = REALTIME_AZURE;
    struct api_realtime out = {.max_session = (unsigned)cfg->realtime_max_session_ms};
    if (who == REALTIME_OPENAI || who == REALTIME_AZURE) {
        bool azure = who == REALTIME_AZURE;
        out.provider = azure ? API_REALTIME_AZURE : API_REALTIME_OPENAI;
        out.base_url = azure ? cfg->azure_openai_endpoint : cfg->openai_base_url;
        out.api_key = azure ? cfg->azure_openai_api_key : cfg->openai_api_key;
        out.organization = cfg->openai_organization;
        out.project = cfg->openai_project;
        out.model = azure ? cfg->azure_openai_realtime_deployment : cfg->openai_realtime_model;
        out.api_version = cfg->azure_openai_realtime_api_version;
        out.upstream = drivers_upstream(cfg, out.base_url ? out.base_url : "https:");
        out.upstream.name = azure ? "azure_realtime" : "openai_realtime";
    } else {
        out.provider = who == REALTIME_NONE ? API_REALTIME_NONE : API_REALTIME_LOCAL;
    }
    return out;
}

struct accounts_config settings_accounts(const struct settings *s, const struct running *r)
{
    const struct config *cfg = s->cfg;
    return (struct accounts_config){
        .store = r->store,
        .jwt_secret = cfg->jwt_secret,
        .token_ms = cfg->jwt_expires_in_ms,
        .refresh_ms = cfg->refresh_expires_in_ms,
        .cost = (unsigned)cfg->password_cost,
        .login_max = cfg->rate_limit_login_max,
        .login_window_ms = cfg->rate_limit_window_ms,
    };
}

struct api_config settings_api(const struct settings *s, const struct running *r)
{
    const struct config *cfg = s->cfg;
    bool azure = r->llm && strcmp(llm_name(r->llm), "azure") == 0;
    return (struct api_config){
        .chat = r->chat,
        .version = PARLEY_VERSION,
        .production = cfg->production,
        .api_token = cfg->api_token,
        .open_dialects = s->dialects,
        .nopen_dialects = s->ndialects,
        .metrics = cfg->metrics,
        .metrics_open = cfg->metrics_open,
        .aimcs_model = cfg->aimcs_model,
        .openai_model = cfg->openai_chat_model,
        .chat_model = cfg->chat_model,
        .pichat_model = cfg->pichat_model,
        .ai_endpoint = azure    ? cfg->azure_openai_endpoint
                       : r->llm ? cfg->openai_base_url
                                : "",
        .ai_deployment = azure ? cfg->azure_openai_deployment : cfg->aimcs_model,
        .store_name = drivers_store_name(cfg),
        .llm_name = r->llm ? llm_name(r->llm) : "none",
        .socketio = settings_socketio(cfg),
        .nloops = r->nloops,
        .tts = r->tts,
        .stt = r->stt,
        .media = r->media,
        .speech_region = cfg->azure_speech_key ? cfg->azure_speech_region : "",
        .audio_path = cfg->audio_path,
        .audio_retention = cfg->audio_retention_ms,
        .voice = settings_voice(cfg, r),
        .realtime = settings_realtime(cfg),
        .accounts = r->accounts,
        .care_model = cfg->care_model,
        .care_speech = cfg->care_speech,
        .livekit = r->livekit,
        .avatar_path = cfg->avatar_path,
        .upload_path = cfg->upload_path,
        .max_file_size = cfg->max_file_size,
        .file_types = (const char *const *)cfg->allowed_file_types.items,
        .nfile_types = cfg->allowed_file_types.count,
        .socketio_client = cfg->socketio_client,
        .conformance = cfg->conformance,
    };
}

struct server_config settings_server(const struct settings *s, const struct running *r)
{
    const struct config *cfg = s->cfg;
    return (struct server_config){
        .cors_origins = s->origins,
        .ncors_origins = s->norigins,
        .production = cfg->production,
        .trust_proxy = &cfg->trust_proxy,
        .max_connections = (size_t)cfg->max_connections,
        .max_connections_per_address = (size_t)cfg->max_connections_per_address,
        .header_timeout = (unsigned)cfg->header_timeout_ms,
        .body_timeout = (unsigned)cfg->body_timeout_ms,
        .idle_timeout = (unsigned)cfg->idle_timeout_ms,
        .write_timeout = (unsigned)cfg->write_timeout_ms,
        .websocket_ping = (unsigned)cfg->ws_ping_interval_ms,
        .websocket_pong = (unsigned)cfg->ws_pong_timeout_ms,
        .websocket_compression = cfg->ws_compression,
        .websocket_context = cfg->ws_compression_context,
        .slow_consumer_drops = cfg->slow_consumer == SLOW_DROP,
        .sse_heartbeat = (unsigned)cfg->sse_heartbeat_ms,
        .rate_limit = cfg->rate_limit_max_requests,
        .rate_window = cfg->rate_limit_window_ms,
        .access_log = cfg->access_log == ACCESS_LOG_OFF    ? ACCESS_OFF
                      : cfg->access_log == ACCESS_LOG_JSON ? ACCESS_JSON
                                                           : ACCESS_COMBINED,
        .access_log_file = cfg->access_log_file,
        .admit = api_admit,
        .admit_arg = r->api,
        .error_body = api_error_body,
        .error_arg = r->api,
    };
}

void settings_reload(struct settings *s, struct running *r, struct config *fresh)
{
    struct settings *older = mem_alloc(sizeof *older);
    *older = *s;
    older->retired = r->cfg;
    settings_make(s, fresh);
    s->older = older;
    r->cfg = fresh;
    struct api_config api = settings_api(s, r);
    api_reconfigure(r->api, &api);
    struct server_config server = settings_server(s, r);
    server_reconfigure(r->server, &server);
    accounts_limit(r->accounts, fresh->rate_limit_login_max, fresh->rate_limit_window_ms);
}
