/* LiveKit: access tokens, rooms by its Twirp API, webhooks. Media travels between clients and LiveKit's own server.
 * https://docs.livekit.io/home/get-started/authentication/, /reference/server/server-apis/ */
#ifndef RTC_LIVEKIT_H
#define RTC_LIVEKIT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "client/upstream.h"

struct livekit;

#define LIVEKIT_NAME 256 /* of an identity, a participant or a room: bytes, by the server's own rule */

struct livekit_config {
    const char *url; /* LIVEKIT_WS_URL: with or without scheme; wss unless ws:// or http:// is written */
    const char *api_key, *api_secret;
    struct upstream_config upstream; /* its base_url is not looked at */
};

/* NULL when url, key or secret is missing (LiveKit is not configured) or with *e. Strings are copied. */
struct livekit *livekit_new(const struct livekit_config *config, struct err *e);
struct livekit *livekit_free(struct livekit *livekit); /* after all loops ended; takes NULL, returns NULL */
/* Where clients connect: "wss://host" (no slash at the end). */
const char *livekit_ws_url(const struct livekit *livekit);

/* A participant's token: roomJoin for one room, canPublish, canSubscribe. HS256, valid for 6 hours. */
struct livekit_grant {
    struct str identity, name, room;
    struct str metadata; /* "" for none */
    bool create;         /* may make the room, too */
};
int livekit_token(const struct livekit *livekit, const struct livekit_grant *grant, struct arena *arena,
                  struct str *token, struct err *e);

struct livekit_room {
    struct str name, metadata;
    int empty_timeout;    /* s; 0: the server's default */
    int max_participants; /* 0: no limit */
};
/* Each from a task. *room / *rooms: the server's JSON as a tree in the arena (an object; an array). UPSTREAM…,
 * NOT_FOUND (no such room). */
int livekit_create_room(struct livekit *livekit, const struct livekit_room *want, struct arena *arena, cJSON **room,
                        struct err *e);
int livekit_list_rooms(struct livekit *livekit, struct arena *arena, cJSON **rooms, struct err *e);
int livekit_delete_room(struct livekit *livekit, struct str name, struct err *e);

/* Whether a webhook came from the server and is untouched: the Authorization header's token (with or without "Bearer ")
 * and the SHA-256 of the raw body. UNAUTHORIZED. */
int livekit_check_webhook(const struct livekit *livekit, struct str authorization, struct str body, struct err *e);

#endif
