#include "server/server_impl.h"

struct str http_request_header(const struct http_request *rq, struct str lower_name)
{
    return rq->head ? http_header(rq->head, lower_name) : STR_NONE;
}

struct str http_request_query(struct http_request *rq, struct str name)
{
    size_t cap = rq->query.n + 1;
    struct buf out = {.data = arena_alloc(rq->arena, cap), .cap = cap, .max = cap};
    if (http_query_get(&out, rq->query, name) != 1)
        return STR_NONE;
    out.data[out.len] = 0;
    return buf_str(&out);
}

bool http_request_is_json(const struct http_request *rq)
{
    struct str type = http_request_header(rq, STR("content-type"));
    ptrdiff_t end = str_find_char(type, ';');
    if (end >= 0)
        type.n = (size_t)end;
    type = str_trim(type);
    static const char *const taken[] = {"application/json", "application/x-www-form-urlencoded", "text/plain",
                                        "application/octet-stream"};
    for (size_t i = 0; i < COUNT(taken); i++)
        if (str_ieq(type, str_c(taken[i])))
            return true;
    return !type.n || (type.n > 5 && str_ieq(str_n(type.p + type.n - 5, 5), STR("+json")));
}
