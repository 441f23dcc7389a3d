/* Speech over HTTP: text to audio and audio to text. */
#include "api/api_impl.h"

static void later(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_POST, "/api/tts", later, NULL, 0, "shared", "Text to speech"},
};

const struct door door_speech = {routes, COUNT(routes), NULL};
