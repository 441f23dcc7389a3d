/* Spoken replies that are kept for a while. */
#include "api/api_impl.h"

static void later(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/audio/:name", later, NULL, 0, NULL, "A spoken reply"},
};

const struct door door_audio_files = {routes, COUNT(routes), NULL};
