/* A page to speak with the server. */
#include "api/api_impl.h"

static void later(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/voice", later, NULL, 0, NULL, "A page to speak with the server"},
};

const struct door door_voice_page = {routes, COUNT(routes), NULL};
