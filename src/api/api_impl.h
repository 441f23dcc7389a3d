/* What the doors share. Private to api/. */
#ifndef API_API_IMPL_H
#define API_API_IMPL_H

#include "api/api.h"
#include "chat/care.h"
#include "chat/conversation.h"
#include "chat/room.h"
#include "chat/turn.h"
#include "wire/json.h"

#include <stdatomic.h>

/* What a reload may replace; older ones are kept until the end, as loops may still read them. */
struct api_access {
    const char *token;
    const char *const *open_dialects;
    size_t nopen_dialects;
    struct api_access *older;
};

struct api {
    struct api_config config;
    _Atomic(struct api_access *) access;
    struct chat *chat;
    struct server *server;
    atomic_bool ready;
    int64_t started_ms; /* wall clock */
    struct chat_surface aimcs, chat_surface, pichat;
    struct sio_server *live; /* Socket.IO */
    struct live_loop *rooms; /* of each loop: live_impl.h */
    struct eio_server *echo; /* conformance mode only: Engine.IO alone */
    struct client_bundle *bundle;
    struct audio_files *audio;       /* NULL: none is kept */
    struct realtime_relay *realtime; /* NULL: realtime voice is served here */
    struct care *care;
    struct pictures *pictures;
    struct livekit_events *livekit_events; /* webhooks seen */
};

struct api *api_of(const struct http_request *rq);

/* ---- who may come in: admit.c ---- */

/* Whether the client shows the API token or a user's, or the dialect is open. 0 or -1 UNAUTHORIZED. */
int admit_dialect(const struct http_request *rq, const char *dialect, struct err *e);
/* Whether a client that showed a token, or not, may come to a space (spaces have their dialect's name). */
bool admit_space(const struct api *api, bool has_token, struct str space);
/* Whether the request carries the API token (Authorization, or ?token= on a WebSocket). */
bool admit_has_token(const struct http_request *rq);
/* Whether it carries that or a user's token: both let a client into every dialect. */
bool admit_has_any_token(const struct http_request *rq);
/* As that, for requests whose ctx is another. */
bool admit_shows_token(const struct api *api, const struct http_request *rq, bool in_query);
bool admit_is_token(const struct api *api, struct str given);

/* ---- JSON shapes shared by dialects: shapes.c ---- */

/* Message of dialect 002, with `status` behind the documented members. */
void put_message(struct jw *w, const struct message *m);
/* Conversation of dialect 002 with the messages it has. */
void put_conversation(struct jw *w, const struct conversation *c);
/* {"error":text,"message":text,"code":NAME} members, without the braces. */
void put_error(struct jw *w, const struct err *e);
/* OpenAI's usage object; nothing known: null. */
void put_usage(struct jw *w, const struct llm_usage *usage);

/* ---- text of a request ---- */

/* The string at a want, unescaped into the arena; .p NULL when it is no string. */
struct str want_text(struct arena *arena, const struct json_value *v);

/* A writer whose buffer lives in the arena until http_reply_jw or the arena's end frees it. */
struct jw reply_writer(struct http_request *rq, size_t max);

/* The header of a coming error reply, when the error says how long to wait. */
void reply_retry_after(struct http_request *rq, const struct err *e);
/* The error as dialect 001 has them: its text alone. */
void reply_plain_error(struct http_request *rq, const struct err *e);

/* ---- POST /api/chat, one function per dialect ---- */

struct chat_post {
    struct json_want wants[10];
    struct str message;
};
/* The members that POST /api/chat looks at, in the order of chat_post.wants. */
enum chat_want {
    WANT_MESSAGES,
    WANT_MESSAGE,
    WANT_CONVERSATION_ID,
    WANT_STREAM,
    WANT_FORCE_AGENT,
    WANT_CONTEXT,
    WANT_CLIENT_ID,
    WANT_AUDIO,
    WANT_AUDIO_FORMAT,
    WANT_SPOKEN
};
void openai_chat_post(struct http_request *rq, struct chat_post *post);        /* dialect 001 */
void conversations_chat_post(struct http_request *rq, struct chat_post *post); /* dialect 002 */
void aimcs_chat_post(struct http_request *rq, struct chat_post *post);         /* dialect 000 */

/* ---- tables of the doors ---- */

struct door {
    const struct http_route *routes;
    size_t n;
    void *(*ctx)(struct api *api); /* of the routes; NULL: the api itself */
};
/* Figures of the process itself. Once, when the API is made. */
void system_metrics(void);

extern const struct door door_system, door_chat, door_aimcs, door_conversations, door_events, door_pichat, door_openai,
    door_openapi, door_live, door_agents, door_client_bundle, door_speech, door_audio_files, door_voice_page,
    door_accounts, door_care_agents, door_care_conversations, door_livekit, door_pictures;
/* One of them is mounted. */
extern const struct door door_realtime_local, door_realtime_relay;
/* Both answer a plain request so: 400. */
void realtime_needs_websocket(struct http_request *rq);
/* The one that stays of those a browser offers: it sends the key as another, which goes no further. */
struct str realtime_subprotocol(struct http_request *rq);

/* folder: where the official client's bundles lie; NULL or "": where they are installed. */
struct client_bundle *client_bundle_new(const char *folder);
struct client_bundle *client_bundle_free(struct client_bundle *bundle);

/* config lives as long as the relay, which ends after all loops. */
struct realtime_relay *realtime_relay_new(const struct api_realtime *config);
struct realtime_relay *realtime_relay_free(struct realtime_relay *relay); /* takes NULL, returns NULL */

#endif
