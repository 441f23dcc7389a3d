/* A user's agents (dialect 003): /api/agents, also as /api/company-agents. */
#include "api/care_impl.h"

static void get_all(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/api/agents", get_all, NULL, 0, NULL, "The user's agents"},
};

const struct door door_care_agents = {routes, COUNT(routes), NULL};
