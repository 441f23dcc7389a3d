/* The doors: every dialect's surface, mounted on the server. */
#ifndef API_API_H
#define API_API_H

#include "chat/account.h"
#include "chat/chat.h"
#include "chat/voice.h"
#include "client/upstream.h"
#include "rtc/livekit.h"
#include "server/server.h"
#include "server/socketio.h"
#include "speech/media.h"

struct api;

/* Who serves realtime voice. */
struct api_realtime {
    enum { API_REALTIME_LOCAL, API_REALTIME_OPENAI, API_REALTIME_AZURE, API_REALTIME_NONE } provider;
    const char *base_url;               /* of the service: "https://api.openai.com/v1", or Azure's endpoint */
    const char *api_key;                /* NULL: none is sent; OpenAI's own address needs one */
    const char *organization, *project; /* OpenAI */
    const char *model;                  /* where the client names none; Azure: the deployment, whatever it names */
    const char *api_version;            /* Azure's preview form; NULL: the current one */
    struct upstream_config upstream;    /* its base_url is not looked at */
    unsigned max_session;               /* ms */
};

/* Filled by app/ from the configuration. Strings outlive the api; "" or NULL where nothing is set. */
struct api_config {
    struct chat *chat;
    const char *version;
    bool production;
    const char *api_token;            /* lets a client into every dialect; NULL: none */
    const char *const *open_dialects; /* need no token in production */
    size_t nopen_dialects;
    bool metrics;                                                       /* serve /metrics */
    bool metrics_open;                                                  /* /metrics without a token in production */
    const char *aimcs_model, *openai_model, *chat_model, *pichat_model; /* "": the driver's default */
    const char *ai_endpoint, *ai_deployment;                            /* shown by /api/status; never a key */
    const char *store_name, *llm_name;                                  /* drivers, for health pages */
    struct sio_config socketio;                                         /* `remember` is the api's own */
    size_t nloops;
    struct tts *tts;           /* NULL: nobody speaks */
    struct stt *stt;           /* NULL: nobody listens */
    struct media *media;       /* audio formats */
    const char *speech_region; /* shown by /api/status */
    const char *audio_path;    /* folder of audio that is kept */
    uint64_t audio_retention;  /* ms */
    struct voice_policy voice;
    struct api_realtime realtime;
    struct accounts *accounts;
    const char *care_model;                /* "": the driver's default */
    bool care_speech;                      /* replies of customer care are spoken */
    struct livekit *livekit;               /* NULL: not configured */
    const char *avatar_path, *upload_path; /* folders of pictures, of other uploads */
    uint64_t max_file_size;                /* of a picture or an upload, bytes */
    const char *const *file_types;         /* endings of pictures that may be uploaded: "png" "jpg" … */
    size_t nfile_types;
    const char *socketio_client; /* folder of the official client's bundles; NULL: where they are installed */
    bool conformance;            /* Socket.IO is what the protocol's black-box suites expect, in place of chat */
};

struct api *api_new(const struct api_config *config);
/* Adds every door's routes. The server asks api_admit who may come in. */
void api_mount(struct api *api, struct server *server);
int api_admit(void *api, const struct http_request *rq, struct err *e);
/* The body of an error the server itself answers, in the shape of the path's dialect; see struct server_config. */
void api_error_body(void *api, struct str path, const struct err *e, struct buf *out);
/* Takes what may change while running (token, open dialects). Any thread; config's strings live until api_free. */
void api_reconfigure(struct api *api, const struct api_config *config);
/* Loop's thread, before server_drain: Socket.IO clients are told to leave. */
void api_drain(struct api *api);
/* Each loop's thread, once it has no tasks and connections any more, before chat_loop_end. */
void api_loop_end(struct api *api);
/* After all loops ended, before the server is freed or after. Takes NULL, returns NULL. */
struct api *api_free(struct api *api);

/* Readiness: false makes /health/ready answer 503 (draining). Any thread. */
void api_set_ready(struct api *api, bool ready);

#endif
