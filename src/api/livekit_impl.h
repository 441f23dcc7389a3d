/* Private to api/livekit*.c; api.c makes the events. */
#ifndef API_LIVEKIT_IMPL_H
#define API_LIVEKIT_IMPL_H

#include "api/api_impl.h"

/* Ids of webhooks that came, the newest of them: a sender that heard no answer sends again. Any thread. */
struct livekit_events *livekit_events_new(void);
struct livekit_events *livekit_events_free(struct livekit_events *events); /* takes NULL, returns NULL */
/* Whether it is the first time. Ids longer than LIMIT_ID, or empty ones, always are. */
bool livekit_events_add(struct livekit_events *events, struct str id);

/* A room of the server's answer (members in either spelling, numbers as such or as text) as the official client has
 * it. */
void put_livekit_room(struct jw *w, const cJSON *room);
/* POST /api/livekit/webhook. */
void livekit_post_webhook(struct http_request *rq);

#endif
