/* The table of settings. A new setting is a field in config.h and a row here; nothing else. */
#include "config/setting.h"

/* The field's place, refused by the compiler when the field has another type than the row says. */
#define FIELD(field, ctype)                                                                                            \
    (offsetof(struct config, field) + 0 * sizeof(char[_Generic(((struct config *)0)->field, ctype : 1, default : -1)]))
#define FIELD_ENUM(field)                                                                                              \
    (offsetof(struct config, field) + 0 * sizeof(char[sizeof(((struct config *)0)->field) == sizeof(int) ? 1 : -1]))

#define HEADING(text)                                                                                                  \
    {                                                                                                                  \
        .type = SETTING_HEADING, .help = text                                                                          \
    }
#define NAMES(...)          .names = {__VA_ARGS__}
#define STRING(field)       .type = SETTING_STRING, .offset = FIELD(field, char *)
#define SECRET(field)       STRING(field), .flags = SETTING_SECRET
#define URL(field, schemes) .type = SETTING_URL, .offset = FIELD(field, char *), .choices = schemes
#define UINT(field, lowest, highest)                                                                                   \
    .type = SETTING_UINT, .offset = FIELD(field, uint64_t), .min = lowest, .max = highest
#define BOOL(field) .type = SETTING_BOOL, .offset = FIELD(field, bool)
#define SECONDS(field, lowest, highest)                                                                                \
    .type = SETTING_DURATION, .offset = FIELD(field, uint64_t), .unit = 1000, .min = lowest, .max = highest
#define MILLISECONDS(field, lowest, highest)                                                                           \
    .type = SETTING_DURATION, .offset = FIELD(field, uint64_t), .unit = 1, .min = lowest, .max = highest
#define SIZE(field, lowest, highest)                                                                                   \
    .type = SETTING_SIZE, .offset = FIELD(field, uint64_t), .min = lowest, .max = highest
#define ENUM(field, values) .type = SETTING_ENUM, .offset = FIELD_ENUM(field), .choices = values
#define SET(field, values)  .type = SETTING_SET, .offset = FIELD(field, uint64_t), .choices = values
#define LIST(field)         .type = SETTING_LIST, .offset = FIELD(field, struct config_list)
#define ORIGINS(field)      .type = SETTING_ORIGINS, .offset = FIELD(field, struct config_list)
#define PORTS(field)        .type = SETTING_PORTS, .offset = FIELD(field, struct config_ports)
#define TRUST(field)        .type = SETTING_TRUST, .offset = FIELD(field, struct trust_proxy)
#define UPSTREAMS(field)    .type = SETTING_UPSTREAMS, .offset = FIELD(field, struct config_upstreams)

#define DEFAULT(text)         .fallback = text
#define IN_PRODUCTION(text)   .production = text
#define RELOADS               .flags = SETTING_RELOADS
#define SECRET_RELOADS(field) STRING(field), .flags = SETTING_SECRET | SETTING_RELOADS
#define HELP(text)            .help = text

#define MINUTE 60000u
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define HTTP   "http|https"
#define PROXY  "http|https|socks4|socks4a|socks5|socks5h"

const struct setting settings[] = {
    HEADING("Listening"),
    {NAMES("PORT", "SERVER_PORT"), PORTS(port_list), DEFAULT("8080"),
     HELP("ports to listen on; every one serves every dialect; 0 takes any free port")},
    {NAMES("HOST"), STRING(host), DEFAULT("127.0.0.1"),
     HELP("address to listen on; 0.0.0.0 or :: to be reached from other machines")},
    {NAMES("ENVIRONMENT", "NODE_ENV"), ENUM(environment, "development=dev|production=prod|test"),
     DEFAULT("development"),
     HELP("production closes what the contract leaves open in development; production wins when the two names differ")},
    {NAMES("THREADS"), UINT(threads, 0, 256), DEFAULT("0"), HELP("event loops; 0 starts one per core")},
    {NAMES("POOL_THREADS"), UINT(pool_threads, 1, 128), DEFAULT("4"), HELP("threads for work that blocks")},
    {NAMES("TLS_CERT"), STRING(tls_cert), RELOADS,
     HELP("PEM file with the certificate chain; with TLS_KEY every port speaks TLS")},
    {NAMES("TLS_KEY"), STRING(tls_key), RELOADS, HELP("PEM file with the certificate's private key")},
    {NAMES("TRUST_PROXY"), TRUST(trust_proxy), DEFAULT("false"),
     HELP("proxies whose X-Forwarded-For and X-Forwarded-Proto count")},
    {NAMES("MAX_CONNECTIONS"), UINT(max_connections, 1, 1000000), DEFAULT("20000"),
     HELP("open connections, all ports together; more are answered 503")},
    {NAMES("MAX_CONNECTIONS_PER_ADDRESS"), UINT(max_connections_per_address, 0, 1000000), DEFAULT("0"),
     IN_PRODUCTION("256"), HELP("open connections of one client address; 0 is no limit")},
    {NAMES("HEADER_TIMEOUT"), SECONDS(header_timeout_ms, 100, HOUR), DEFAULT("10s"),
     HELP("time for a request's headers to arrive whole")},
    {NAMES("BODY_TIMEOUT"), SECONDS(body_timeout_ms, 100, HOUR), DEFAULT("30s"),
     HELP("time a request's body may stand still")},
    {NAMES("IDLE_TIMEOUT"), SECONDS(idle_timeout_ms, 100, DAY), DEFAULT("75s"),
     HELP("time a kept-alive connection may wait for its next request")},
    {NAMES("WRITE_TIMEOUT"), SECONDS(write_timeout_ms, 100, HOUR), DEFAULT("30s"),
     HELP("time a client may take nothing of what waits for it")},
    {NAMES("DRAIN_TIMEOUT"), SECONDS(drain_timeout_ms, 0, HOUR), DEFAULT("10s"), RELOADS,
     HELP("time running requests and turns get to finish at shutdown")},
    {NAMES("STATIC_ROOT"), STRING(static_root), HELP("folder whose files are served to browsers at /")},

    HEADING("Sockets and streams"),
    {NAMES("WS_PING_INTERVAL"), SECONDS(ws_ping_interval_ms, 0, HOUR), DEFAULT("25s"),
     HELP("pause between pings on a quiet WebSocket; 0 sends none")},
    {NAMES("WS_PONG_TIMEOUT"), SECONDS(ws_pong_timeout_ms, 100, HOUR), DEFAULT("20s"),
     HELP("time a client has to answer a ping")},
    {NAMES("WS_COMPRESSION"), BOOL(ws_compression), DEFAULT("false"), HELP("offer permessage-deflate")},
    {NAMES("WS_COMPRESSION_CONTEXT"), BOOL(ws_compression_context), DEFAULT("false"),
     HELP("keep the compression window between messages: smaller messages, more memory per connection")},
    {NAMES("SSE_HEARTBEAT"), SECONDS(sse_heartbeat_ms, 0, HOUR), DEFAULT("15s"),
     HELP("pause between comments on a quiet event stream; 0 sends none")},
    {NAMES("SLOW_CONSUMER"), ENUM(slow_consumer, "close|drop"), DEFAULT("close"),
     HELP("a follower that cannot keep up is closed (it may resume), or loses events and is told so")},
    {NAMES("ROOM_KEEP"), SECONDS(room_keep_ms, 0, DAY), DEFAULT("120s"),
     HELP("how long the log of a room nobody follows is kept for those who reconnect")},

    HEADING("Socket.IO"),
    {NAMES("ALLOW_EIO3"), BOOL(allow_eio3), DEFAULT("true"),
     HELP("accept clients of Socket.IO 2, which speak Engine.IO 3")},
    {NAMES("SOCKETIO_PING_INTERVAL"), MILLISECONDS(socketio_ping_interval_ms, 10, HOUR), DEFAULT("25s"),
     HELP("pause between heartbeats")},
    {NAMES("SOCKETIO_PING_TIMEOUT"), MILLISECONDS(socketio_ping_timeout_ms, 10, HOUR), DEFAULT("20s"),
     HELP("time a client has to answer a heartbeat")},
    {NAMES("SOCKETIO_UPGRADE_TIMEOUT"), MILLISECONDS(socketio_upgrade_timeout_ms, 10, HOUR), DEFAULT("10s"),
     HELP("time a client has to finish the upgrade from polling to a WebSocket")},
    {NAMES("SOCKETIO_CONNECT_TIMEOUT"), MILLISECONDS(socketio_connect_timeout_ms, 10, HOUR), DEFAULT("45s"),
     HELP("time a client has to connect to a namespace")},
    {NAMES("SOCKETIO_MAX_PAYLOAD"), SIZE(socketio_max_payload, 1000, 50 << 20), DEFAULT("1000000"),
     HELP("bytes of one message, and of one polling request")},
    {NAMES("SOCKETIO_RECOVERY"), SECONDS(socketio_recovery_ms, 0, HOUR), DEFAULT("120s"),
     HELP("how long a client that lost its connection may come back and get what it missed; 0 turns recovery off")},
    {NAMES("SOCKETIO_COMPRESSION"), BOOL(socketio_compression), DEFAULT("false"),
     HELP("gzip polling replies of 1 KiB and more; WebSockets have WS_COMPRESSION")},
    {NAMES("SOCKETIO_COOKIE"), STRING(socketio_cookie),
     HELP("name of a cookie that holds the session's id, for load balancers that stick to it")},
    {NAMES("SOCKETIO_CLIENT"), STRING(socketio_client),
     HELP("folder with the official client's bundles (socket.io-client's dist), served under /socket.io/")},
    {NAMES("CONFORMANCE"), BOOL(conformance), DEFAULT("false"),
     HELP("serve what the black-box suites of the Socket.IO protocol expect, in place of chat; refused in production")},

    HEADING("Who may come in"),
    {NAMES("API_TOKEN"), SECRET_RELOADS(api_token),
     HELP("token that opens the dialects without accounts: Authorization: Bearer, or ?token= on sockets")},
    {NAMES("OPEN_DIALECTS"), SET(open_dialects, "aimcs|openai|chat|pichat|care"), RELOADS,
     HELP("dialects that need no token in production; care lets its Socket.IO clients name any user")},
    {NAMES("JWT_SECRET"), SECRET(jwt_secret),
     HELP("key that signs users' tokens; production needs 32 bytes or more (openssl rand -base64 48)")},
    {NAMES("JWT_EXPIRES_IN"), SECONDS(jwt_expires_in_ms, 1000, 3650ull * DAY), DEFAULT("24h"),
     HELP("life of a user's token")},
    {NAMES("REFRESH_EXPIRES_IN"), SECONDS(refresh_expires_in_ms, 1000, 3650ull * DAY), DEFAULT("30d"),
     HELP("life of a refresh token that is not used")},
    {NAMES("PASSWORD_COST"), UINT(password_cost, 4, 16), DEFAULT("10"),
     HELP("log2 of bcrypt's rounds for new passwords; each step doubles the time of a login")},
    {NAMES("FRONTEND_URL"), ORIGINS(frontend_url), RELOADS,
     HELP("addresses of your front ends, allowed by CORS beside the built-in ones")},
    {NAMES("CORS_ORIGINS"), ORIGINS(cors_origins), RELOADS, HELP("further allowed origins; * allows every one")},
    {NAMES("RATE_LIMIT_MAX_REQUESTS"), UINT(rate_limit_max_requests, 0, 1000000000), DEFAULT("0"),
     IN_PRODUCTION("3000"), RELOADS, HELP("requests one client may make in RATE_LIMIT_WINDOW_MS; 0 is no limit")},
    {NAMES("RATE_LIMIT_WINDOW_MS"), MILLISECONDS(rate_limit_window_ms, 1000, DAY), DEFAULT("900000"), RELOADS,
     HELP("window of the rate limits")},
    {NAMES("RATE_LIMIT_LOGIN_MAX"), UINT(rate_limit_login_max, 0, 1000000), DEFAULT("0"), IN_PRODUCTION("20"), RELOADS,
     HELP("logins and registrations one address, and one account, may try in RATE_LIMIT_WINDOW_MS; 0 is no limit")},

    HEADING("Logs and metrics"),
    {NAMES("LOG_LEVEL", "LOGGING_LOG_LEVEL_DEFAULT"), /* the choices are enum log_level */
     ENUM(log_level,
          "debug=trace=verbose=silly|info=information=http|warn=warning|error=critical=fatal|off=silent=none"),
     DEFAULT("info"), RELOADS, HELP("least level that is logged; message texts appear at debug only, secrets never")},
    {NAMES("LOG_FORMAT"), ENUM(log_format, "text|json"), DEFAULT("text"), RELOADS,
     HELP("key=value lines or one JSON object a line, to standard error")},
    {NAMES("ACCESS_LOG"), ENUM(access_log, "off=false=none|combined|json"), DEFAULT("combined"),
     HELP("one line per request: Apache's combined format, JSON, or none")},
    {NAMES("ACCESS_LOG_FILE"), STRING(access_log_file),
     HELP("file the access log is appended to; unset or - is standard output")},
    {NAMES("METRICS"), BOOL(metrics), DEFAULT("true"), HELP("serve /metrics; production asks for API_TOKEN there")},
    {NAMES("METRICS_OPEN"), BOOL(metrics_open), DEFAULT("false"),
     HELP("serve /metrics without a token in production too")},

    HEADING("Store"),
    {NAMES("DATA_DIR"), STRING(data_dir), DEFAULT("./data"),
     HELP("folder of the embedded database; one process at a time")},
    {NAMES("STORE_DRIVER"), ENUM(store_driver, "auto|sqlite|mongo"), DEFAULT("auto"),
     HELP("where everything is kept: a file in DATA_DIR, or a MongoDB; auto takes MongoDB where its address is set")},
    {NAMES("STORE_URL", "MONGODB_URI"), SECRET(store_url),
     HELP("address of the store: mongodb://host/database or mongodb+srv://…; also Cosmos DB for MongoDB")},
    {NAMES("STORE_CA_FILE"), STRING(store_ca_file),
     HELP("PEM file with the authorities that the store's certificate is checked by, in place of the system's")},
    {NAMES("STORE_CONNECTIONS"), UINT(store_connections, 1, 1000), DEFAULT("16"),
     HELP("connections to the store, at most")},
    {NAMES("STORE_SELECT_TIMEOUT"), MILLISECONDS(store_select_timeout_ms, 10, MINUTE), DEFAULT("2s"),
     HELP("how long to look for the store's server before a request is answered 503")},

    HEADING("Models"),
    {NAMES("LLM_PROVIDER"), ENUM(llm_provider, "auto|demo|openai|azure|none"), DEFAULT("auto"),
     HELP(
         "auto takes what is configured and the documented offline replies otherwise; demo is the embedded responder")},
    {NAMES("OPENAI_API_KEY", "OPENAI_OPENAI_API_KEY"), SECRET(openai_api_key), HELP("key for OPENAI_BASE_URL")},
    {NAMES("OPENAI_BASE_URL"), URL(openai_base_url, HTTP), DEFAULT("https://api.openai.com/v1"),
     HELP("any server that speaks OpenAI's API; one of your own may need no key")},
    {NAMES("OPENAI_ORGANIZATION", "OPENAI_ORG_ID"), STRING(openai_organization), HELP("sent as OpenAI-Organization")},
    {NAMES("OPENAI_PROJECT", "OPENAI_PROJECT_ID"), STRING(openai_project), HELP("sent as OpenAI-Project")},
    {NAMES("AZURE_OPENAI_ENDPOINT"), URL(azure_openai_endpoint, HTTP), HELP("address of an Azure OpenAI resource")},
    {NAMES("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY"), SECRET(azure_openai_api_key), HELP("key of that resource")},
    {NAMES("AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_DEPLOYMENT_NAME"), STRING(azure_openai_deployment),
     HELP("deployment that answers; unset: the one named like AIMCS_MODEL")},
    {NAMES("AZURE_OPENAI_API_VERSION"), STRING(azure_openai_api_version), DEFAULT("2025-01-01-preview"),
     HELP("api-version; v1 selects the newer form of the API")},
    {NAMES("LLM_UPSTREAMS"), UPSTREAMS(llm_upstreams), .flags = SETTING_SECRET,
     HELP("several upstreams instead of the one above, as a JSON array: name, provider (openai, azure), base_url, "
          "api_key, "
          "model, deployment, api_version, weight")},
    {NAMES("LLM_POOL"), ENUM(llm_pool, "order|weighted"), DEFAULT("order"),
     HELP("try the upstreams in their order, or spread by weight; either way the next one is tried before a first "
          "byte")},
    {NAMES("LLM_HISTORY_TOKENS"), UINT(llm_history_tokens, 100, 2000000), DEFAULT("8000"),
     HELP("tokens of earlier messages sent along with a new one")},
    {NAMES("LLM_MODEL"), STRING(llm_model),
     HELP("model for every surface that is not set itself below: for servers that know one model")},
    {NAMES("AIMCS_MODEL"), STRING(aimcs_model), DEFAULT("o4-mini"), HELP("model of the AIMCS surface")},
    {NAMES("OPENAI_CHAT_MODEL"), STRING(openai_chat_model), DEFAULT("gpt-4o"),
     HELP("model of the streaming proxy where a request names none")},
    {NAMES("CHAT_MODEL"), STRING(chat_model), DEFAULT("gpt-4"), HELP("model of the conversations surface")},
    {NAMES("CARE_MODEL", "OPENAI_MODEL"), STRING(care_model), DEFAULT("gpt-3.5-turbo"), HELP("model of customer care")},
    {NAMES("CARE_SPEECH"), BOOL(care_speech), DEFAULT("true"), HELP("speak the replies of customer care")},
    {NAMES("PICHAT_MODEL"), STRING(pichat_model), DEFAULT("gpt-4o"),
     HELP("model of PiChat; AZURE_OPENAI_DEPLOYMENT goes before the default")},

    HEADING("Upstream connections"),
    {NAMES("UPSTREAM_CA_FILE"), STRING(upstream_ca_file),
     HELP("PEM file of certificate authorities trusted beside the system's")},
    {NAMES("UPSTREAM_CONNECT_TIMEOUT"), SECONDS(upstream_connect_timeout_ms, 100, HOUR), DEFAULT("5s"),
     HELP("time to connect, TLS included")},
    {NAMES("UPSTREAM_FIRST_BYTE_TIMEOUT"), SECONDS(upstream_first_byte_timeout_ms, 100, DAY), DEFAULT("60s"),
     HELP("time until the reply begins")},
    {NAMES("UPSTREAM_TOTAL_TIMEOUT"), SECONDS(upstream_total_timeout_ms, 100, DAY), DEFAULT("600s"),
     HELP("time for the whole reply")},
    {NAMES("UPSTREAM_RETRIES"), UINT(upstream_retries, 0, 10), DEFAULT("2"),
     HELP("repeats after 429, 5xx and broken connections, before a first byte only")},
    {NAMES("UPSTREAM_CONCURRENCY"), UINT(upstream_concurrency, 1, 100000), DEFAULT("256"),
     HELP("calls running at once, per upstream and event loop")},
    {NAMES("UPSTREAM_QUEUE"), UINT(upstream_queue, 0, 1000000), DEFAULT("1024"),
     HELP("calls waiting beyond that, per upstream and event loop; more are answered 503")},
    {NAMES("UPSTREAM_QUEUE_TIMEOUT"), SECONDS(upstream_queue_timeout_ms, 0, HOUR), DEFAULT("10s"),
     HELP("time a call may wait in that queue")},
    {NAMES("UPSTREAM_BREAKER_FAILURES"), UINT(upstream_breaker_failures, 0, 1000), DEFAULT("5"),
     HELP("failures in a row after which an event loop leaves an upstream alone; 0 never")},
    {NAMES("UPSTREAM_BREAKER_OPEN"), SECONDS(upstream_breaker_open_ms, 100, HOUR), DEFAULT("10s"),
     HELP("for how long it is left alone")},
    {NAMES("UPSTREAM_HTTP2"), BOOL(upstream_http2), DEFAULT("true"),
     HELP("use HTTP/2 where an https upstream offers it")},
    {NAMES("HTTP_PROXY", "http_proxy"), URL(http_proxy, PROXY), .flags = SETTING_NO_SCHEME,
     HELP("proxy for http upstreams")},
    {NAMES("HTTPS_PROXY", "https_proxy"), URL(https_proxy, PROXY), .flags = SETTING_NO_SCHEME,
     HELP("proxy for https upstreams")},
    {NAMES("NO_PROXY", "no_proxy"), STRING(no_proxy), HELP("hosts reached without a proxy, a comma list")},

    HEADING("Speech"),
    {NAMES("TTS_PROVIDER"), ENUM(tts_provider, "auto|local|openai|azure_openai=azure|azure_speech|none"),
     DEFAULT("auto"),
     HELP(
         "who speaks; auto takes the first that has a key: OpenAI, Azure OpenAI, Azure Speech, else the embedded one")},
    {NAMES("STT_PROVIDER"), ENUM(stt_provider, "auto|local|openai|azure_openai=azure|azure_speech|none"),
     DEFAULT("auto"),
     HELP("who listens; auto takes the first that has a key: Azure Speech, OpenAI, Azure OpenAI with "
          "AZURE_OPENAI_STT_DEPLOYMENT, else the embedded one")},
    {NAMES("SPEECH_VOICE"), STRING(speech_voice), DEFAULT("slt"),
     HELP("voice of the embedded synthesizer where none is asked for: slt, rms, awb, kal16, or an OpenAI or Azure "
          "name")},
    {NAMES("SPEECH_RECOGNIZERS"), UINT(speech_recognizers, 1, 64), DEFAULT("2"),
     HELP("utterances the embedded recognizer hears at a time; each takes 90 MiB once used")},
    {NAMES("MEDIA_WORKERS"), UINT(media_workers, 1, 4096), DEFAULT("256"),
     HELP("audio streams that are decoded or encoded at a time, each by a small process of its own")},
    {NAMES("OPENAI_TTS_MODEL"), STRING(openai_tts_model), DEFAULT("tts-1"), HELP("OpenAI's model that speaks")},
    {NAMES("OPENAI_STT_MODEL"), STRING(openai_stt_model), DEFAULT("whisper-1"),
     HELP("OpenAI's model that listens; gpt-4o-transcribe and its kin give partial results")},
    {NAMES("AZURE_OPENAI_TTS_DEPLOYMENT"), STRING(azure_openai_tts_deployment), DEFAULT("gpt-4o-mini-tts"),
     HELP("Azure OpenAI deployment that speaks")},
    {NAMES("AZURE_OPENAI_TTS_API_VERSION"), STRING(azure_openai_tts_api_version), DEFAULT("2025-03-01-preview"),
     HELP("its api-version; v1 selects the newer form of the API")},
    {NAMES("AZURE_OPENAI_STT_DEPLOYMENT"), STRING(azure_openai_stt_deployment),
     HELP("Azure OpenAI deployment that transcribes")},
    {NAMES("AZURE_OPENAI_STT_API_VERSION"), STRING(azure_openai_stt_api_version), DEFAULT("2025-03-01-preview"),
     HELP("its api-version")},
    {NAMES("AZURE_OPENAI_AUDIO_DEPLOYMENT"), STRING(azure_openai_audio_deployment),
     DEFAULT("gpt-4o-mini-audio-preview-2"),
     HELP("accepted for older configurations; recognition and chat are done by AZURE_OPENAI_STT_DEPLOYMENT and "
          "AZURE_OPENAI_DEPLOYMENT")},
    {NAMES("AZURE_SPEECH_KEY"), SECRET(azure_speech_key), HELP("key of Azure AI Speech")},
    {NAMES("AZURE_SPEECH_REGION"), STRING(azure_speech_region), DEFAULT("eastus2"), HELP("region of Azure AI Speech")},
    {NAMES("AZURE_SPEECH_TTS_URL"), URL(azure_speech_tts_url, HTTP),
     HELP("instead of the region's address for speech that is spoken")},
    {NAMES("AZURE_SPEECH_STT_URL"), URL(azure_speech_stt_url, HTTP),
     HELP("instead of the region's address for speech that is heard")},

    HEADING("Realtime voice"),
    {NAMES("REALTIME_PROVIDER"), ENUM(realtime_provider, "auto|local|openai|azure|none"), DEFAULT("auto"),
     HELP("who serves realtime voice: OpenAI or Azure OpenAI through a relay, or parley itself (local) over the models "
          "and speech of this configuration; auto relays when OPENAI_API_KEY, or AZURE_OPENAI_REALTIME_DEPLOYMENT, is "
          "set")},
    {NAMES("OPENAI_REALTIME_MODEL"), STRING(openai_realtime_model), DEFAULT("gpt-realtime-2025-08-28"),
     HELP("model of the relay where the client names none")},
    {NAMES("AZURE_OPENAI_REALTIME_DEPLOYMENT"), STRING(azure_openai_realtime_deployment),
     HELP("Azure OpenAI deployment of the relay")},
    {NAMES("AZURE_OPENAI_REALTIME_API_VERSION"), STRING(azure_openai_realtime_api_version),
     HELP("api-version of the preview form; unset: the current form, which has none")},
    {NAMES("REALTIME_MAX_SESSION"), SECONDS(realtime_max_session_ms, 1000, DAY), DEFAULT("60m"),
     HELP("longest realtime session")},
    {NAMES("VOICE_SILENCE"), MILLISECONDS(voice_silence_ms, 50, MINUTE), DEFAULT("500"),
     HELP("silence after which a finished sentence is taken for the end of what the user says")},
    {NAMES("VOICE_MAX_SILENCE"), MILLISECONDS(voice_max_silence_ms, 50, MINUTE), DEFAULT("1500"),
     HELP("silence after which everything is, also what sounds as if more would come")},
    {NAMES("VOICE_MAX_UTTERANCE"), SECONDS(voice_max_utterance_ms, 1000, HOUR), DEFAULT("60s"),
     HELP("longest time one utterance may take")},
    {NAMES("VOICE_INTERRUPT_SPEAKING"), BOOL(voice_interrupt_speaking), DEFAULT("true"),
     HELP("a user who begins to speak stops the reply that is being spoken")},
    {NAMES("VOICE_INTERRUPT_THINKING"), BOOL(voice_interrupt_thinking), DEFAULT("true"),
     HELP("likewise the reply that is being made and not heard yet")},
    {NAMES("VOICE_INTERRUPT_MIN"), MILLISECONDS(voice_interrupt_min_ms, 0, MINUTE), DEFAULT("400"),
     HELP("how long the user must speak, unless words are understood before, until a reply that paused is given up")},
    {NAMES("VOICE_RESUME"), BOOL(voice_resume), DEFAULT("true"),
     HELP("a reply that paused for a noise without words goes on")},
    {NAMES("VOICE_STALL_TIMEOUT"), SECONDS(voice_stall_timeout_ms, 100, HOUR), DEFAULT("15s"),
     HELP("time a reply may stand still before it is given up")},
    {NAMES("VOICE_NOISE_REDUCTION"), ENUM(voice_noise_reduction, "auto|off=false=none|near|far"), DEFAULT("auto"),
     HELP("what becomes of audio before speech is recognized, where the client does not say: near takes out the noise "
          "behind a microphone at the mouth, far more of it; both raise what is quiet; auto is near for STT_PROVIDER "
          "local, otherwise off")},
    HEADING("LiveKit"),
    {NAMES("LIVEKIT_WS_URL", "LIVEKIT_URL"), STRING(livekit_ws_url),
     HELP("address of LiveKit, wss:// unless ws:// is written")},
    {NAMES("LIVEKIT_API_KEY"), STRING(livekit_api_key), HELP("name of LiveKit's key")},
    {NAMES("LIVEKIT_API_SECRET"), SECRET(livekit_api_secret), HELP("LiveKit's key")},

    HEADING("Files"),
    {NAMES("MAX_FILE_SIZE"), SIZE(max_file_size, 1, 1ull << 30), DEFAULT("5MB"), HELP("largest uploaded file")},
    {NAMES("ALLOWED_FILE_TYPES"), LIST(allowed_file_types), DEFAULT("png,jpg,jpeg,gif"),
     HELP("kinds of pictures that may be uploaded")},
    {NAMES("AUDIO_PATH"), STRING(audio_path), DEFAULT("./public/audio"),
     HELP("folder of the spoken replies that are kept, served under /audio/ and /public/audio/")},
    {NAMES("AUDIO_RETENTION"), SECONDS(audio_retention_ms, 1000, 3650ull * DAY), DEFAULT("24h"),
     HELP("how long they are kept")},
    {NAMES("UPLOAD_PATH"), STRING(upload_path), DEFAULT("./uploads"),
     HELP("folder of other uploads, served under /uploads/")},
    {NAMES("AVATAR_PATH"), STRING(avatar_path), DEFAULT("./public/avatars"),
     HELP("folder of pictures, served under /public/avatars/")},

    HEADING("Cosmos DB"),
    {NAMES("COSMOS_MONGO_URI"), SECRET(cosmos_mongo_uri),
     HELP("connection string of Cosmos DB's MongoDB API; accepted, used by further stores")},
    {NAMES("COSMOS_ENDPOINT"), URL(cosmos_endpoint, HTTP),
     HELP("address of a Cosmos DB account; accepted, used by devices")},
    {NAMES("COSMOS_KEY"), SECRET(cosmos_key), HELP("key of that account; accepted, used by devices")},
    {NAMES("COSMOS_DATABASE"), STRING(cosmos_database), DEFAULT("pichat"), HELP("database; accepted, used by devices")},
    {NAMES("COSMOS_CONTAINER_CHATS"), STRING(cosmos_container_chats), DEFAULT("chats"),
     HELP("container of chats; accepted, used by devices")},
    {NAMES("COSMOS_CONTAINER_MESSAGES"), STRING(cosmos_container_messages), DEFAULT("messages"),
     HELP("container of messages; accepted, used by devices")},
    {NAMES("COSMOS_CONTAINER_USERS"), STRING(cosmos_container_users), DEFAULT("users"),
     HELP("container of users; accepted, used by devices")},
    {NAMES("COSMOS_CONTAINER_SETTINGS"), STRING(cosmos_container_settings), DEFAULT("settings"),
     HELP("container of settings; accepted, used by devices")},
    {NAMES("COSMOS_CONTAINER_PROCESSED_MESSAGES"), STRING(cosmos_container_processed_messages),
     DEFAULT("processed_messages"), HELP("container of seen message ids; accepted, used by devices")},

    HEADING("Devices"),
    {NAMES("IOT_HUB_ENABLE"), BOOL(iot_hub_enable), DEFAULT("false"),
     HELP("talk to devices through Azure IoT Hub; accepted, used by devices")},
    {NAMES("IOT_HUB_NAME"), STRING(iot_hub_name), HELP("name of the hub; accepted, used by devices")},
    {NAMES("IOT_HUB_HOST_NAME"), STRING(iot_hub_host_name), HELP("host of the hub; accepted, used by devices")},
    {NAMES("IOT_HUB_CONSUMER_GROUP"), STRING(iot_hub_consumer_group), DEFAULT("backend"),
     HELP("consumer group; accepted, used by devices")},
    {NAMES("IOT_HUB_SERVICE_KEY"), SECRET(iot_hub_service_key),
     HELP("key for messages to devices; accepted, used by devices")},
    {NAMES("EVENT_HUB_COMPATIBLE_CONN_STR"), SECRET(event_hub_compatible_conn_str),
     HELP("connection string of the hub's events; accepted, used by devices")},
    {NAMES("USE_AZURE_CLI_FOR_C2D"), BOOL(use_azure_cli_for_c2d), DEFAULT("false"),
     HELP("send to devices with the az command; accepted, used by devices")},
};

const size_t settings_count = COUNT(settings);
