/* All settings, read once at start: one table (config/settings.c) drives parsing, --help, printing and
 * docs/CONFIGURATION.md. Nothing else in the program reads the environment. A `struct config` never changes after
 * config_load; any thread may read it. Strings are NULL when unset; durations are milliseconds, sizes bytes;
 * URLs have no trailing slash. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "config/trust.h"

struct config_list {
    char **items;
    size_t count;
};

struct config_ports {
    uint16_t *items; /* at least one; 0 = any free port */
    size_t count;
};

enum config_environment { ENVIRONMENT_DEVELOPMENT, ENVIRONMENT_PRODUCTION, ENVIRONMENT_TEST };
enum config_provider { PROVIDER_AUTO, PROVIDER_DEMO, PROVIDER_OPENAI, PROVIDER_AZURE, PROVIDER_NONE };
enum config_speech {
    SPEECH_BY_AUTO,
    SPEECH_BY_LOCAL,
    SPEECH_BY_OPENAI,
    SPEECH_BY_AZURE_OPENAI,
    SPEECH_BY_AZURE_SPEECH,
    SPEECH_BY_NONE,
};
enum config_noise { NOISE_AUTO, NOISE_OFF, NOISE_NEAR, NOISE_FAR };
enum config_realtime { REALTIME_AUTO, REALTIME_LOCAL, REALTIME_OPENAI, REALTIME_AZURE, REALTIME_NONE };
enum config_pool { POOL_ORDER, POOL_WEIGHTED };
enum config_store { STORE_AUTO, STORE_SQLITE, STORE_MONGO };
enum config_access_log { ACCESS_LOG_OFF, ACCESS_LOG_COMBINED, ACCESS_LOG_JSON };
enum config_slow_consumer { SLOW_CLOSE, SLOW_DROP };

/* Bits of open_dialects: the dialects that need no credentials in production. */
enum config_dialect {
    DIALECT_AIMCS = 1 << 0,  /* seed 000 */
    DIALECT_OPENAI = 1 << 1, /* seed 001, and /v1 */
    DIALECT_CHAT = 1 << 2,   /* seed 002 */
    DIALECT_PICHAT = 1 << 3, /* seed 004 */
    DIALECT_CARE = 1 << 4,   /* seed 003's Socket.IO without a token */
};

/* One member of LLM_UPSTREAMS. */
struct config_upstream {
    char *name;                    /* unique */
    enum config_provider provider; /* PROVIDER_OPENAI or PROVIDER_AZURE */
    char *base_url;                /* never NULL, no trailing slash */
    char *api_key;
    char *model;       /* sent instead of the surface's model when set */
    char *deployment;  /* Azure */
    char *api_version; /* Azure; never NULL there */
    uint64_t weight;   /* 1..1000 */
};

struct config_upstreams {
    struct config_upstream *items;
    size_t count;
};

struct config {
    /* Listening */
    struct config_ports port_list;
    char *host;
    enum config_environment environment;
    uint64_t threads; /* 0: one per core */
    uint64_t pool_threads;
    char *tls_cert, *tls_key; /* both or neither */
    struct trust_proxy trust_proxy;
    uint64_t max_connections;
    uint64_t max_connections_per_address; /* 0: no limit */
    uint64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
    uint64_t drain_timeout_ms;
    char *static_root;

    /* Sockets and streams */
    uint64_t ws_ping_interval_ms; /* 0: no pings */
    uint64_t ws_pong_timeout_ms;
    bool ws_compression, ws_compression_context;
    uint64_t sse_heartbeat_ms; /* 0: none */
    enum config_slow_consumer slow_consumer;
    uint64_t room_keep_ms;

    /* Socket.IO */
    bool allow_eio3;
    uint64_t socketio_ping_interval_ms, socketio_ping_timeout_ms, socketio_upgrade_timeout_ms,
        socketio_connect_timeout_ms;
    uint64_t socketio_max_payload; /* bytes */
    uint64_t socketio_recovery_ms; /* 0: no recovery */
    bool socketio_compression;
    char *socketio_cookie; /* NULL: none */
    char *socketio_client; /* folder of the official client's bundles; NULL: where it is usually installed */
    bool conformance;

    /* Who may come in */
    char *api_token;
    uint64_t open_dialects; /* enum config_dialect bits */
    char *jwt_secret;
    uint64_t jwt_expires_in_ms, refresh_expires_in_ms;
    uint64_t password_cost;
    struct config_list frontend_url;  /* origins, lower case, no trailing slash */
    struct config_list cors_origins;  /* likewise; "*" is in cors_any instead */
    uint64_t rate_limit_max_requests; /* 0: off */
    uint64_t rate_limit_window_ms;
    uint64_t rate_limit_login_max; /* 0: off */

    /* Logs and metrics */
    enum log_level log_level;
    enum log_format log_format;
    enum config_access_log access_log;
    char *access_log_file; /* NULL: standard output */
    bool metrics, metrics_open;

    /* Store */
    char *data_dir;
    enum config_store store_driver;
    char *store_url, *store_ca_file;
    uint64_t store_connections, store_select_timeout_ms;

    /* Models */
    enum config_provider llm_provider;
    char *openai_api_key, *openai_base_url, *openai_organization, *openai_project;
    char *azure_openai_endpoint, *azure_openai_api_key, *azure_openai_deployment, *azure_openai_api_version;
    struct config_upstreams llm_upstreams;
    enum config_pool llm_pool;
    uint64_t llm_history_tokens;
    char *llm_model; /* what the five below became where they were not set themselves */
    char *aimcs_model, *openai_chat_model, *chat_model, *care_model, *pichat_model; /* never NULL */

    /* Upstream connections */
    char *upstream_ca_file;
    uint64_t upstream_connect_timeout_ms, upstream_first_byte_timeout_ms, upstream_total_timeout_ms;
    uint64_t upstream_retries, upstream_concurrency, upstream_queue, upstream_queue_timeout_ms;
    uint64_t upstream_breaker_failures; /* 0: no breaker */
    uint64_t upstream_breaker_open_ms;
    bool upstream_http2;
    char *http_proxy, *https_proxy, *no_proxy;

    /* Speech */
    enum config_speech tts_provider, stt_provider;
    char *speech_voice; /* of the embedded synthesizer */
    uint64_t speech_recognizers, media_workers;
    char *openai_tts_model, *openai_stt_model;
    char *azure_openai_tts_deployment, *azure_openai_tts_api_version;
    char *azure_openai_stt_deployment, *azure_openai_stt_api_version; /* no deployment: Azure OpenAI does not listen */
    char *azure_openai_audio_deployment;
    char *azure_speech_key, *azure_speech_region, *azure_speech_tts_url, *azure_speech_stt_url;

    /* Realtime voice */
    enum config_realtime realtime_provider;
    char *openai_realtime_model, *azure_openai_realtime_deployment, *azure_openai_realtime_api_version;
    uint64_t realtime_max_session_ms;
    uint64_t voice_silence_ms, voice_max_silence_ms, voice_max_utterance_ms;
    bool voice_interrupt_speaking, voice_interrupt_thinking;
    uint64_t voice_interrupt_min_ms;
    bool voice_resume;
    uint64_t voice_stall_timeout_ms;
    enum config_noise voice_noise_reduction;

    /* Audio that is kept */
    char *audio_path;
    uint64_t audio_retention_ms;

    /* Customer care, files; other stores and devices: accepted now, used by the parts that bring them */
    bool care_speech;
    char *livekit_ws_url, *livekit_api_key, *livekit_api_secret;
    uint64_t max_file_size;
    struct config_list allowed_file_types;
    char *upload_path, *avatar_path;
    char *cosmos_mongo_uri, *cosmos_endpoint, *cosmos_key, *cosmos_database;
    char *cosmos_container_chats, *cosmos_container_messages, *cosmos_container_users, *cosmos_container_settings,
        *cosmos_container_processed_messages;
    bool iot_hub_enable;
    char *iot_hub_name, *iot_hub_host_name, *iot_hub_consumer_group, *iot_hub_service_key;
    char *event_hub_compatible_conn_str;
    bool use_azure_cli_for_c2d;

    /* Derived */
    bool production;             /* environment == ENVIRONMENT_PRODUCTION */
    bool cors_any;               /* CORS_ORIGINS holds "*" */
    struct config_list warnings; /* for the log: unknown keys, doubtful values, changes that need a restart */

    struct config_values *values; /* private: where each value came from */
};

struct config_source {
    int argc; /* arguments after the sub-command */
    char *const *argv;
    char *const *envp;            /* environ */
    const char *env_file;         /* looked for unless --env-file is given; may be missing. NULL: ".env" */
    const char *const *own_flags; /* flags without a value that the caller handles itself ("--help"); NULL: none */
};

enum config_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_DOTENV, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

/* Reads the command line, the environment, .env and the --config file, in this order of precedence. NULL when
 * anything is wrong: *problems (may be NULL) then holds one line for each wrong value, e->text the first of them.
 * Secrets appear in neither. Reads files: call it before the loops start, or from the worker pool. */
struct config *config_load(const struct config_source *src, struct buf *problems, struct err *e);
/* Loads again. Settings that need a restart keep their old value, and warnings names each one that differs. `old`
 * stays as it is: free it when its last reader is gone. */
struct config *config_reload(const struct config *old, const struct config_source *src, struct buf *problems,
                             struct err *e);
/* Wipes the secrets and frees all. Takes NULL, returns NULL. */
struct config *config_free(struct config *cfg);

/* Where the setting (its first name, as in the table) got its value. */
enum config_origin config_origin(const struct config *cfg, const char *name);

/* Each appends to out and returns 0, or -1 past out's ceiling (128 KiB is ample). */
int config_print(struct buf *out, const struct config *cfg); /* NAME value (origin); secrets as set or unset */
int config_help(struct buf *out);                            /* the options part of --help */
int config_markdown(struct buf *out);                        /* docs/CONFIGURATION.md */

/* What production refuses (errors: do not start) and what an operator should know (warnings), one line each. In
 * development only warnings. jwt_secret_problem is auth/secret.h's. 0, or -1 when there is an error. */
int config_production_check(const struct config *cfg, const char *(*jwt_secret_problem)(struct str secret),
                            struct buf *errors, struct buf *warnings);

#endif
