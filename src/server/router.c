#include "base/mem.h"
#include "server/server_impl.h"

#include <stdlib.h>

#define SEGMENTS 12 /* of a path with parameters; longer ones match no such route */

/* One status of one route; found again without the registry's lock. */
struct route_series {
    struct route_series *next;
    int status;
    enum http_method method;
    struct metric *metric;
};

struct route {
    struct route *next; /* another method of the same path */
    const struct http_route *row;
    void *ctx;
    _Atomic(struct route_series *) series;
};

struct path {
    struct path *next;  /* with parameters, of as many segments */
    struct str pattern; /* without a trailing slash */
    struct route *routes;
    unsigned params; /* bit per segment, the first one highest: fewer and later parameters are smaller */
    size_t nsegments;
    char allow[64];
};

struct router {
    struct map paths;                       /* every pattern */
    struct path *by_segments[SEGMENTS + 1]; /* those with parameters, the most literal first */
    struct route unknown;                   /* counts requests that no path matches */
    struct route **all;
    size_t count, cap;
};

struct router *router_new(void)
{
    return mem_zalloc(sizeof(struct router));
}

static void series_free(struct route *route)
{
    for (struct route_series *s = route->series, *next; s; s = next) {
        next = s->next;
        free(s);
    }
}

struct router *router_free(struct router *r)
{
    if (!r)
        return NULL;
    for (size_t i = 0; i < r->count; i++) {
        series_free(r->all[i]);
        free(r->all[i]);
    }
    series_free(&r->unknown);
    map_each(slot, &r->paths)
        free(slot->value);
    map_free(&r->paths);
    free(r->all);
    free(r);
    return NULL;
}

static struct str without_slash(struct str path)
{
    bool one = path.n > 1 && path.p[path.n - 1] == '/' && path.p[path.n - 2] != '/';
    return one ? str_n(path.p, path.n - 1) : path;
}

/* The segments of "/a/b" are "a" and "b"; of "/" one empty one. Returns their number, SEGMENTS + 1 for too many. */
static size_t split(struct str path, struct str segments[SEGMENTS])
{
    struct str rest = str_from(path, 1), piece;
    size_t n = 0;
    while (str_split(&rest, '/', &piece)) {
        if (n == SEGMENTS)
            return SEGMENTS + 1;
        segments[n++] = piece;
    }
    return n;
}

static bool is_param(struct str segment)
{
    return segment.n > 1 && segment.p[0] == ':';
}

static struct path *path_add(struct router *r, struct str pattern)
{
    struct str segments[SEGMENTS];
    struct path *path = mem_zalloc(sizeof *path);
    unsigned nparams = 0;
    path->pattern = pattern;
    path->nsegments = split(pattern, segments);
    if (pattern.n == 0 || pattern.p[0] != '/' || path->nsegments > SEGMENTS)
        die("route %.*s: not a path", STR_ARG(pattern));
    for (size_t i = 0; i < path->nsegments; i++) {
        if (!is_param(segments[i]))
            continue;
        path->params |= 1U << (SEGMENTS - i);
        nparams++;
    }
    if (nparams > HTTP_PARAMS)
        die("route %.*s: too many parameters", STR_ARG(pattern));
    map_put(&r->paths, path->pattern, path);
    if (nparams) {
        struct path **at = &r->by_segments[path->nsegments];
        while (*at && (*at)->params <= path->params)
            at = &(*at)->next;
        path->next = *at;
        *at = path;
    }
    return path;
}

static void describe_methods(struct path *path)
{
    struct buf out = {.data = path->allow, .cap = sizeof path->allow, .max = sizeof path->allow - 1};
    for (int m = 0; m < HTTP_OPTIONS; m++) {
        bool has = false;
        for (const struct route *route = path->routes; route; route = route->next)
            has |= (int)route->row->method == m || (m == HTTP_HEAD && route->row->method == HTTP_GET);
        if (has)
            buf_addf(&out, "%s, ", http_method_name((enum http_method)m));
    }
    buf_lit(&out, "OPTIONS");
    path->allow[out.len] = 0;
}

void router_add(struct router *r, const struct http_route *row, void *ctx)
{
    struct str pattern = without_slash(str_c(row->path));
    struct path *path = map_get(&r->paths, pattern);
    if (!path)
        path = path_add(r, pattern);
    for (const struct route *other = path->routes; other; other = other->next)
        if (other->row->method == row->method)
            die("route %s %s is there twice", http_method_name(row->method), row->path);
    struct route *route = mem_alloc(sizeof *route);
    *route = (struct route){.next = path->routes, .row = row, .ctx = ctx};
    path->routes = route;
    describe_methods(path);
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 32;
        r->all = mem_realloc(r->all, r->cap * sizeof *r->all);
    }
    r->all[r->count++] = route;
}

size_t router_count(const struct router *r)
{
    return r->count;
}

const struct http_route *router_at(const struct router *r, size_t i)
{
    return r->all[i]->row;
}

static bool matches(const struct path *path, const struct str *segments, size_t n, struct str params[HTTP_PARAMS])
{
    struct str own[SEGMENTS];
    size_t nparams = 0;
    if (split(path->pattern, own) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_param(own[i])) {
            if (!str_eq(own[i], segments[i]))
                return false;
        } else if (segments[i].n == 0) {
            return false;
        } else {
            params[nparams++] = segments[i];
        }
    }
    return true;
}

static const struct path *find_path(const struct router *r, struct str text, struct str params[HTTP_PARAMS])
{
    struct str segments[SEGMENTS];
    text = without_slash(text);
    const struct path *path = map_get(&r->paths, text);
    if (path && !path->params)
        return path;
    if (text.n == 0 || text.p[0] != '/')
        return NULL;
    size_t n = split(text, segments);
    if (n > SEGMENTS)
        return NULL;
    for (path = r->by_segments[n]; path; path = path->next)
        if (matches(path, segments, n, params))
            return path;
    return NULL;
}

struct router_match router_find(const struct router *r, enum http_method method, struct str path,
                                struct str params[HTTP_PARAMS])
{
    const struct path *found = find_path(r, path, params);
    if (!found)
        return (struct router_match){NULL, STR("")};
    if (method == HTTP_HEAD)
        method = HTTP_GET;
    struct route *route = found->routes;
    while (route && route->row->method != method)
        route = route->next;
    return (struct router_match){route, str_c(found->allow)};
}

const struct http_route *route_row(const struct route *route)
{
    return route->row;
}

void *route_ctx(const struct route *route)
{
    return route->ctx;
}

static struct route_series *series_new(struct route *route, enum http_method method, int status)
{
    struct buf labels = BUF_INIT(KIB(1));
    char code[12];
    struct buf digits = {.data = code, .cap = sizeof code, .max = sizeof code};
    const char *name = http_method_name(method);
    buf_add_u64(&digits, (uint64_t)status);
    metric_label(&labels, "http_request_method", str_c(name[0] ? name : "_OTHER"));
    metric_label(&labels, "http_response_status_code", buf_str(&digits));
    metric_label(&labels, "http_route", str_c(route->row ? route->row->path : ""));
    struct route_series *s = mem_alloc(sizeof *s);
    *s = (struct route_series){.status = status, .method = method};
    s->metric = metric_histogram("http_server_request_duration_seconds", "Duration of HTTP requests", buf_cstr(&labels),
                                 metric_seconds, COUNT(metric_seconds), 1e-9);
    buf_free(&labels);
    s->next = atomic_load(&route->series);
    while (!atomic_compare_exchange_weak(&route->series, &s->next, s))
        ;
    return s;
}

void route_observe(struct router *r, struct route *route, enum http_method method, int status, uint64_t ns)
{
    if (!route)
        route = &r->unknown;
    struct route_series *s = atomic_load_explicit(&route->series, memory_order_acquire);
    while (s && (s->status != status || s->method != method))
        s = s->next;
    /* Two threads may add the same one: both then count in the same metric. */
    if (!s)
        s = series_new(route, method, status);
    metric_observe(s->metric, ns);
}
