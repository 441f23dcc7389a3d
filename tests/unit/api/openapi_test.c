/* /openapi.json describes every route, and points at nothing that is not there. */
#include "unit/api/api_env.h"

#include "base/arena.h"

static const char *const methods[HTTP_METHODS] = {
    [HTTP_GET] = "get",     [HTTP_HEAD] = "head",     [HTTP_POST] = "post",       [HTTP_PUT] = "put",
    [HTTP_PATCH] = "patch", [HTTP_DELETE] = "delete", [HTTP_OPTIONS] = "options", [HTTP_OTHER] = "",
};

static cJSON *load(struct arena *a)
{
    struct err e;
    struct reply r = env_get("/openapi.json");
    assert_int_equal(r.status, 200);
    cJSON *tree = json_parse(a, str_n(r.body, r.body_len), &e);
    if (!tree)
        fail_msg("%s", e.text);
    reply_free(&r);
    return tree;
}

/* "/a/:id" as "/a/{id}" */
static struct str templated(struct arena *a, const char *path)
{
    struct buf out = BUF_INIT(KIB(1));
    struct str rest = str_c(path), piece;
    str_split(&rest, '/', &piece); /* in front of the first slash */
    while (str_split(&rest, '/', &piece)) {
        bool param = piece.n && piece.p[0] == ':';
        buf_addf(&out, param ? "/{%.*s}" : "/%.*s", STR_ARG(param ? str_from(piece, 1) : piece));
    }
    struct str text = out.len ? arena_str(a, buf_str(&out)) : STR("/");
    buf_free(&out);
    return text;
}

static void check_operation(const cJSON *operation, const char *path)
{
    size_t params = 0;
    for (const char *at = path; (at = strchr(at, ':')); at++)
        params++;
    assert_int_equal(cJSON_GetArraySize(json_get(operation, "parameters")), params);
    assert_true(json_str(operation, "summary").n > 0);
    assert_true(cJSON_GetArraySize(json_get(operation, "responses")) > 1);
}

static void every_route_is_there(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    const cJSON *tree = load(a), *paths = json_get(tree, "paths");
    assert_str(json_str(tree, "openapi"), "3.1.0");
    size_t described = 0;
    for (size_t i = 0; i < server_route_count(env.server); i++) {
        const struct http_route *route = server_route_at(env.server, i);
        struct str path = templated(a, route->path);
        const cJSON *operation = json_get(json_get(paths, path.p), methods[route->method]);
        if (!operation)
            fail_msg("%s %s is not described", methods[route->method], path.p);
        check_operation(operation, route->path);
    }
    for (const cJSON *path = paths->child; path; path = path->next)
        described += (size_t)cJSON_GetArraySize(path);
    assert_int_equal(described, server_route_count(env.server));
    arena_free(a);
}

static size_t check_refs(const cJSON *root, const cJSON *at)
{
    size_t found = 0;
    for (; at; at = at->next) {
        if (at->string && strcmp(at->string, "$ref") == 0) {
            const cJSON *schemas = json_get(json_get(root, "components"), "schemas");
            assert_true(cJSON_IsString(at));
            assert_int_equal(strncmp(at->valuestring, "#/components/schemas/", 21), 0);
            if (!json_get(schemas, at->valuestring + 21))
                fail_msg("%s is nowhere", at->valuestring);
            found++;
        }
        found += check_refs(root, at->child);
    }
    return found;
}

static void every_reference_resolves(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    const cJSON *tree = load(a);
    assert_true(check_refs(tree, tree->child) > 20);
    arena_free(a);
}

/* What is always open says so; everything else takes a token. */
static void security_is_said(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    const cJSON *tree = load(a), *paths = json_get(tree, "paths");
    const cJSON *live = json_get(json_get(paths, "/health/live"), "get");
    assert_int_equal(cJSON_GetArraySize(json_get(live, "security")), 0);
    assert_non_null(json_get(live, "security"));
    assert_null(json_get(json_get(json_get(paths, "/v1/models"), "get"), "security"));
    assert_non_null(json_get(json_get(json_get(tree, "components"), "securitySchemes"), "token"));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(every_route_is_there),
        ENV_TEST(every_reference_resolves),
        ENV_TEST(security_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
