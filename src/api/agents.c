/* What the mobile front end of the chat dialect asks for besides conversations: which assistants there are (one), and
 * the figures of a validator of replies (there is none, so all of them are zero). */
#include "api/api_impl.h"

static void get_agents(struct http_request *rq)
{
    http_reply_json(rq, 200,
                    STR("[{\"id\":\"assistant\",\"name\":\"Assistant\",\"description\":\"Answers questions of all "
                        "kinds\"}]"));
}

static void get_stats(struct http_request *rq)
{
    http_reply_json(rq, 200,
                    STR("{\"success\":true,\"data\":{\"totalValidations\":0,\"averageScore\":0,\"validationRate\":0,"
                        "\"issueBreakdown\":{}}}"));
}

static void get_logs(struct http_request *rq)
{
    http_reply_json(rq, 200, STR("{\"success\":true,\"data\":{\"logs\":[]}}"));
}

static void get_summary(struct http_request *rq)
{
    http_reply_json(rq, 200,
                    STR("{\"success\":true,\"data\":{\"assistant\":{\"total\":0,\"valid\":0,\"invalid\":0,"
                        "\"averageScore\":0,\"validationRate\":0,\"issues\":{\"high\":0,\"medium\":0,\"low\":0}}}}"));
}

static void post_clear(struct http_request *rq)
{
    http_reply_json(rq, 200, STR("{\"success\":true,\"message\":\"Validation logs cleared\"}"));
}

static const struct http_route routes[] = {
    {HTTP_GET, "/api/chat/agents", get_agents, NULL, 0, "chat", "The assistants there are"},
    {HTTP_GET, "/api/validation/stats", get_stats, NULL, 0, "chat", "Figures of validated replies"},
    {HTTP_GET, "/api/validation/logs", get_logs, NULL, 0, "chat", "Validated replies"},
    {HTTP_GET, "/api/validation/logs/:agent", get_logs, NULL, 0, "chat", "Validated replies of one assistant"},
    {HTTP_GET, "/api/validation/failed", get_logs, NULL, 0, "chat", "Replies that failed validation"},
    {HTTP_GET, "/api/validation/summary", get_summary, NULL, 0, "chat", "Figures by assistant"},
    {HTTP_POST, "/api/validation/clear", post_clear, NULL, 0, "chat", "Forgets validated replies"},
};

const struct door door_agents = {routes, COUNT(routes), NULL};
