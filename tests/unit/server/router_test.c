#include "unit/support/unit.h"

#include "base/metrics.h"
#include "server/server_impl.h"

static void handle(struct http_request *rq)
{
    (void)rq;
}

static const struct http_route routes[] = {
    {HTTP_GET, "/", handle, NULL, 0, NULL, "root"},
    {HTTP_GET, "/api/items", handle, NULL, 0, NULL, "list"},
    {HTTP_POST, "/api/items", handle, NULL, 0, NULL, "add"},
    {HTTP_GET, "/api/items/:id", handle, NULL, 0, NULL, "one"},
    {HTTP_DELETE, "/api/items/:id", handle, NULL, 0, NULL, "delete"},
    {HTTP_GET, "/api/items/stats", handle, NULL, 0, NULL, "stats"},
    {HTTP_GET, "/api/:kind/:id", handle, NULL, 0, NULL, "any"},
    {HTTP_GET, "/api/items/:id/parts/:part", handle, NULL, 0, NULL, "part"},
    {HTTP_GET, "/trailing/", handle, NULL, 0, NULL, "trailing"},
};

static struct router *r;

static int setup(void **state)
{
    (void)state;
    r = router_new();
    for (size_t i = 0; i < COUNT(routes); i++)
        router_add(r, &routes[i], (void *)(uintptr_t)(i + 1));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    r = router_free(r);
    return 0;
}

static const char *found(enum http_method method, const char *path, struct str params[HTTP_PARAMS])
{
    struct str none[HTTP_PARAMS];
    struct router_match match = router_find(r, method, str_c(path), params ? params : none);
    return match.route ? route_row(match.route)->summary : "";
}

static void finds_the_most_literal_path(void **state)
{
    (void)state;
    struct str params[HTTP_PARAMS] = {0};
    assert_string_equal(found(HTTP_GET, "/", NULL), "root");
    assert_string_equal(found(HTTP_GET, "/api/items", NULL), "list");
    assert_string_equal(found(HTTP_POST, "/api/items", NULL), "add");
    assert_string_equal(found(HTTP_GET, "/api/items/stats", NULL), "stats");
    assert_string_equal(found(HTTP_GET, "/api/items/7", params), "one");
    assert_str(params[0], "7");
    assert_string_equal(found(HTTP_DELETE, "/api/items/a b", params), "delete");
    assert_str(params[0], "a b");
    assert_string_equal(found(HTTP_GET, "/api/users/8", params), "any");
    assert_str(params[0], "users");
    assert_str(params[1], "8");
    assert_string_equal(found(HTTP_GET, "/api/items/7/parts/9", params), "part");
    assert_str(params[0], "7");
    assert_str(params[1], "9");
}

static void a_slash_at_the_end_changes_nothing(void **state)
{
    (void)state;
    assert_string_equal(found(HTTP_GET, "/api/items/", NULL), "list");
    assert_string_equal(found(HTTP_GET, "/trailing", NULL), "trailing");
    assert_string_equal(found(HTTP_GET, "/trailing/", NULL), "trailing");
    assert_string_equal(found(HTTP_GET, "/api/items/7/", NULL), "one");
}

static void head_is_a_get(void **state)
{
    (void)state;
    assert_string_equal(found(HTTP_HEAD, "/api/items", NULL), "list");
    assert_string_equal(found(HTTP_HEAD, "/api/items/3", NULL), "one");
}

static void tells_unknown_paths_from_unknown_methods(void **state)
{
    (void)state;
    struct str params[HTTP_PARAMS];
    static const char *const unknown[] = {
        "/nope", "", "*", "//", "/api", "/api/items/7/parts", "/api//", "/api/items/1/2/3/4/5/6/7/8/9/10/11/12/13/14"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        struct router_match match = router_find(r, HTTP_GET, str_c(unknown[i]), params);
        assert_null(match.route);
        assert_int_equal(match.allow.n, 0);
    }
    struct router_match match = router_find(r, HTTP_PATCH, STR("/api/items"), params);
    assert_null(match.route);
    assert_str(match.allow, "GET, HEAD, POST, OPTIONS");
    match = router_find(r, HTTP_OTHER, STR("/api/items/5"), params);
    assert_null(match.route);
    assert_str(match.allow, "GET, HEAD, DELETE, OPTIONS");
}

static void lists_every_row_with_its_owner(void **state)
{
    (void)state;
    struct str params[HTTP_PARAMS];
    assert_int_equal(router_count(r), COUNT(routes));
    for (size_t i = 0; i < COUNT(routes); i++)
        assert_ptr_equal(router_at(r, i), &routes[i]);
    assert_int_equal((uintptr_t)route_ctx(router_find(r, HTTP_POST, STR("/api/items"), params).route), 3);
}

static void counts_by_route_and_status(void **state)
{
    (void)state;
    struct str params[HTTP_PARAMS];
    struct route *route = router_find(r, HTTP_GET, STR("/api/items/1"), params).route;
    for (int i = 0; i < 3; i++)
        route_observe(r, route, HTTP_GET, 200, 2000000);
    route_observe(r, route, HTTP_HEAD, 200, 1);
    route_observe(r, route, HTTP_GET, 404, 1);
    route_observe(r, NULL, HTTP_OTHER, 404, 1);
    struct buf out = BUF_INIT(MIB(1));
    assert_int_equal(metrics_render(&out), 0);
    const char *text = buf_cstr(&out);
    assert_non_null(strstr(text, "http_server_request_duration_seconds_count{http_request_method=\"GET\","
                                 "http_response_status_code=\"200\",http_route=\"/api/items/:id\"} 3\n"));
    assert_non_null(strstr(text, "_count{http_request_method=\"HEAD\",http_response_status_code=\"200\","
                                 "http_route=\"/api/items/:id\"} 1\n"));
    assert_non_null(strstr(text, "_count{http_request_method=\"GET\",http_response_status_code=\"404\","
                                 "http_route=\"/api/items/:id\"} 1\n"));
    assert_non_null(
        strstr(text, "_count{http_request_method=\"_OTHER\",http_response_status_code=\"404\",http_route=\"\"} 1\n"));
    buf_free(&out);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(finds_the_most_literal_path),
        CASE(a_slash_at_the_end_changes_nothing),
        CASE(head_is_a_get),
        CASE(tells_unknown_paths_from_unknown_methods),
        CASE(lists_every_row_with_its_owner),
        CASE(counts_by_route_and_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
