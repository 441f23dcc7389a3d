/* Dialect 001: a stateless proxy. The upstream's events are passed on line by line; errors are plain text. */
#include "api/api_impl.h"

#include "api/relay_reply.h"

#define DEFAULT_MAX_TOKENS 1000

static bool has_messages(const struct chat_post *post)
{
    const struct json_value *messages = &post->wants[WANT_MESSAGES].value;
    struct json_iter it = json_iter(messages);
    struct json_value key, first;
    return messages->type == JSON_ARRAY && json_each(&it, &key, &first);
}

static void put_failure(struct jw *w, const struct err *e)
{
    jw_obj(w);
    jw_kstr(w, "error", str_c(e->text));
    jw_end_obj(w);
}

static void refuse(struct http_request *rq, struct str refusal, const struct err *e);

static const struct relay_door relay_door = {refuse, put_failure};

/* What the upstream says is still a stream for this dialect's clients, also its refusal: one event, no [DONE]. */
static void refuse(struct http_request *rq, struct str refusal, const struct err *e)
{
    if (e->code == ERR_NOT_CONFIGURED)
        http_reply_text(rq, 500, STR("OpenAI API key not configured"));
    else if (e->code == ERR_OVERLOADED || e->code == ERR_SHUTTING_DOWN || e->code == ERR_INVALID_REQUEST)
        reply_plain_error(rq, e);
    else
        relay_reply_failure(rq, refusal, &relay_door, e);
}

void openai_chat_post(struct http_request *rq, struct chat_post *post)
{
    if (!has_messages(post)) {
        http_reply_text(rq, 400, STR("Messages array is required and cannot be empty"));
        return;
    }
    struct relay_request request = {.body = rq->body,
                                    .default_model = api_of(rq)->config.openai_model,
                                    .default_max_tokens = DEFAULT_MAX_TOKENS,
                                    .stream = true,
                                    .dialect = "openai"};
    relay_reply(rq, &request, &relay_door);
}
