/* Realtime voice on /api/realtime (dialect 001) and /v1/realtime. */
#include "api/api_impl.h"

static void needs_websocket(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_INVALID_REQUEST, "WebSocket connection required");
    reply_plain_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/api/realtime", needs_websocket, NULL, 0, "openai", "WebSocket of realtime voice"},
    {HTTP_GET, "/v1/realtime", needs_websocket, NULL, 0, "openai", "WebSocket of realtime voice"},
};

const struct door door_realtime_relay = {routes, COUNT(routes), NULL};
