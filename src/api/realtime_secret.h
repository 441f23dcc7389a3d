/* Client secrets of realtime sessions ("ek_…"): what a browser may show in place of the API token, for a while and for
 * one kind of session. Nothing is kept: a secret holds its end and the session it was made for, signed with the API
 * token, so every process of that token takes it, and none does once the token changed. */
#ifndef API_REALTIME_SECRET_H
#define API_REALTIME_SECRET_H

#include "base/buf.h"
#include "base/str.h"

struct api;
struct http_request;

#define REALTIME_SECRET_SESSION KIB(6) /* JSON of the session: a secret has to fit into a request's head */

/* Appends the secret. -1: the session's JSON is too large. */
int realtime_secret_put(const struct api *api, struct str session, int64_t expires_at, struct buf *out);
/* The session of a secret that holds now; -1 otherwise. */
int realtime_secret_open(const struct api *api, struct str secret, int64_t now, struct buf *session);

/* What the request shows: as Authorization: Bearer, or in Sec-WebSocket-Protocol as openai-insecure-api-key.<key>. .p
 * NULL: nothing. */
struct str realtime_shown_key(const struct http_request *rq);
/* Whether the request is for a realtime WebSocket and shows a secret that holds. */
bool realtime_secret_admits(const struct api *api, const struct http_request *rq);

/* POST /v1/realtime/client_secrets */
void realtime_secret_post(struct http_request *rq);

#endif
