/* LiveKit: tokens and rooms (dialect 003), webhooks. */
#include "api/care_impl.h"

static void get_rooms(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/api/livekit/rooms", get_rooms, NULL, 0, NULL, "Rooms"},
};

const struct door door_livekit = {routes, COUNT(routes), NULL};
