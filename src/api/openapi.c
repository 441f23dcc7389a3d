/* /openapi.json and /docs: the routes as the server has them, with the shapes of their bodies. */
#include "api/api_impl.h"

#include "api/openapi_shapes.h"

#include <stdio.h>

static const char *const lower_methods[HTTP_METHODS] = {
    [HTTP_GET] = "get",     [HTTP_HEAD] = "head",     [HTTP_POST] = "post",       [HTTP_PUT] = "put",
    [HTTP_PATCH] = "patch", [HTTP_DELETE] = "delete", [HTTP_OPTIONS] = "options", [HTTP_OTHER] = "",
};

/* "/a/:id/b" as "/a/{id}/b". */
static void put_path(struct buf *out, const char *path)
{
    bool open = false;
    for (; *path; path++) {
        if (*path == ':') {
            buf_byte(out, '{');
            open = true;
            continue;
        }
        if (*path == '/' && open) {
            buf_byte(out, '}');
            open = false;
        }
        buf_byte(out, *path);
    }
    if (open)
        buf_byte(out, '}');
}

static void put_parameters(struct jw *w, const char *path)
{
    jw_key(w, "parameters");
    jw_arr(w);
    for (const char *at = strchr(path, ':'); at; at = strchr(at, ':')) {
        size_t n = strcspn(++at, "/");
        jw_obj(w);
        jw_kstr(w, "name", str_n(at, n));
        jw_kraw(w, "in", STR("\"path\",\"required\":true,\"schema\":{\"type\":\"string\",\"maxLength\":128}"));
        jw_end_obj(w);
    }
    jw_end_arr(w);
}

static void put_ref(struct jw *w, const char *media, const char *shape)
{
    jw_key(w, "content");
    jw_obj(w);
    jw_key(w, media);
    jw_obj(w);
    jw_key(w, "schema");
    jw_obj(w);
    char ref[96];
    snprintf(ref, sizeof ref, "#/components/schemas/%s", shape);
    jw_kstr(w, "$ref", str_c(ref));
    jw_end_obj(w);
    jw_end_obj(w);
    jw_end_obj(w);
}

static void put_response(struct jw *w, const char *status, const char *text, const char *media, const char *shape)
{
    jw_key(w, status);
    jw_obj(w);
    jw_kstr(w, "description", str_c(text));
    if (shape)
        put_ref(w, media, shape);
    jw_end_obj(w);
}

static void put_operation(struct jw *w, const struct http_route *route)
{
    const struct openapi_shape *shape = openapi_shape_of(route->method, route->path);
    jw_key(w, lower_methods[route->method]);
    jw_obj(w);
    jw_kstr(w, "summary", str_c(route->summary));
    jw_key(w, "tags");
    jw_arr(w);
    jw_str(w, str_c(route->dialect ? route->dialect : "system"));
    jw_end_arr(w);
    put_parameters(w, route->path);
    if (shape && shape->request) {
        jw_key(w, "requestBody");
        jw_obj(w);
        jw_kbool(w, "required", true);
        put_ref(w, shape->request_media ? shape->request_media : "application/json", shape->request);
        jw_end_obj(w);
    }
    jw_key(w, "responses");
    jw_obj(w);
    if (route->websocket)
        put_response(w, "101", "Upgraded to a WebSocket", NULL, NULL);
    if (route->handler)
        put_response(w, shape && shape->status ? shape->status : "200", "Success",
                     shape && shape->media ? shape->media : "application/json", shape ? shape->reply : NULL);
    put_response(w, "default", "Error", "application/json",
                 strncmp(route->path, "/v1/", 4) == 0 ? "OpenAIError" : "Error");
    jw_end_obj(w);
    if (!route->dialect)
        jw_kraw(w, "security", STR("[]"));
    jw_end_obj(w);
}

static void put_paths(struct jw *w, const struct server *server)
{
    size_t n = server_route_count(server);
    jw_key(w, "paths");
    jw_obj(w);
    for (size_t i = 0; i < n; i++) {
        const char *path = server_route_at(server, i)->path;
        bool done = false;
        for (size_t j = 0; j < i && !done; j++)
            done = strcmp(server_route_at(server, j)->path, path) == 0;
        if (done)
            continue;
        struct buf templated = BUF_INIT(KIB(1));
        put_path(&templated, path);
        jw_key(w, buf_cstr(&templated));
        buf_free(&templated);
        jw_obj(w);
        for (size_t j = i; j < n; j++)
            if (strcmp(server_route_at(server, j)->path, path) == 0)
                put_operation(w, server_route_at(server, j));
        jw_end_obj(w);
    }
    jw_end_obj(w);
}

static void put_schemas(struct jw *w)
{
    jw_key(w, "schemas");
    jw_obj(w);
    for (size_t i = 0; openapi_schemas[i]; i++)
        jw_raw(w, str_c(openapi_schemas[i]));
    jw_end_obj(w);
}

static void get_openapi(struct http_request *rq)
{
    struct api *api = api_of(rq);
    struct jw w = reply_writer(rq, MIB(1));
    jw_obj(&w);
    jw_kstr(&w, "openapi", STR("3.1.0"));
    jw_key(&w, "info");
    jw_obj(&w);
    jw_kstr(&w, "title", STR("parley"));
    jw_kstr(&w, "version", str_c(api->config.version));
    jw_kstr(&w, "description",
            STR("Real-time AI conversations. Every path under /api/ also answers under /api/v1/. WebSocket and "
                "event-stream messages are described in docs/api."));
    jw_kraw(&w, "license", STR("{\"name\":\"MIT\",\"identifier\":\"MIT\"}"));
    jw_end_obj(&w);
    jw_kraw(&w, "security", STR("[{},{\"token\":[]}]"));
    put_paths(&w, api->server);
    jw_key(&w, "components");
    jw_obj(&w);
    jw_kraw(&w, "securitySchemes", STR("{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}}"));
    put_schemas(&w);
    jw_end_obj(&w);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/openapi.json", get_openapi, NULL, 0, NULL, "This description, as OpenAPI 3.1"},
};

const struct door door_openapi = {routes, COUNT(routes), NULL};
