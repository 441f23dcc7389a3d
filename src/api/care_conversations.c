/* A user's conversations (dialect 003): the private side of /api/conversations. */
#include "api/care_impl.h"

void care_get_all(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

void care_post_one(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

void care_get_one(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

void care_put_one(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

void care_delete_one(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

static void get_stats(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/api/conversations/stats/user/:id", get_stats, NULL, 0, NULL, "Figures of a user's conversations"},
};

const struct door door_care_conversations = {routes, COUNT(routes), NULL};
