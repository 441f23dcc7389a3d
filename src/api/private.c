#include "api/private.h"

#include "base/rand.h"

static bool names_private(const struct http_request *rq, struct str id)
{
    if (http_request_header(rq, STR("authorization")).p && !admit_has_token(rq))
        return true;
    if (is_object_id(id) || str_eqc(id, "stats") || str_eqc(id, "reanalyze-sentiment"))
        return true;
    struct buf value = BUF_INIT(KIB(1));
    bool agent = http_query_get(&value, rq->query, STR("agentId")) == 1;
    buf_free(&value);
    return agent;
}

static bool body_is_private(struct str body)
{
    struct json_want wants[] = {{.path = "agentId"}, {.path = "isCallSimulator"}};
    if (body.n == 0 || json_scan(body, wants, COUNT(wants), NULL, NULL) < 0)
        return false;
    return wants[0].value.type != JSON_NONE || wants[1].value.type != JSON_NONE;
}

bool private_is(const struct http_request *rq, struct str id)
{
    return names_private(rq, id) || body_is_private(rq->body);
}
