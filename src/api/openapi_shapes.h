/* Bodies of requests and replies for /openapi.json. Private to api/. */
#ifndef API_OPENAPI_SHAPES_H
#define API_OPENAPI_SHAPES_H

#include "wire/http.h"

struct openapi_shape {
    enum http_method method;
    const char *path;
    const char *request;       /* schema of the body, NULL: none */
    const char *reply;         /* schema of the reply, NULL: not JSON */
    const char *status;        /* NULL: 200 */
    const char *media;         /* of the reply, NULL: application/json */
    const char *request_media; /* NULL: application/json */
};

/* NULL when nothing more is known of the route. */
const struct openapi_shape *openapi_shape_of(enum http_method method, const char *path);

/* The members of components/schemas, JSON, in several pieces; NULL behind the last. */
extern const char *const openapi_schemas[];

#endif
