/* What the two doors of realtime voice have in common. */
#include "api/api_impl.h"

void realtime_needs_websocket(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_INVALID_REQUEST, "WebSocket connection required");
    if (str_starts(rq->path, STR("/v1/")))
        http_reply_error(rq, &e);
    else
        reply_plain_error(rq, &e);
}

struct str realtime_subprotocol(struct http_request *rq)
{
    (void)rq;
    return STR("realtime");
}
