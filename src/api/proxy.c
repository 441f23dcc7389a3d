/* Dialect 001: a stateless proxy. The upstream's events are passed on line by line; errors are plain text. */
#include "api/api_impl.h"

#include "chat/relay.h"
#include "server/sse.h"

#define DEFAULT_MAX_TOKENS 1000

static bool has_messages(const struct chat_post *post)
{
    const struct json_value *messages = &post->wants[WANT_MESSAGES].value;
    struct json_iter it = json_iter(messages);
    struct json_value key, first;
    return messages->type == JSON_ARRAY && json_each(&it, &key, &first);
}

static void send_data(struct http_request *rq, struct str data)
{
    sse_send(rq, STR(""), STR(""), data, NULL);
}

static struct str as_error_event(struct http_request *rq, const struct err *e)
{
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    jw_kstr(&w, "error", str_c(e->text));
    jw_end_obj(&w);
    return buf_str(w.out);
}

/* The upstream's refusal is still a stream for this dialect's clients: one event with its body, no [DONE]. */
static void refuse(struct http_request *rq, struct str refusal, const struct err *e)
{
    if (e->code == ERR_NOT_CONFIGURED) {
        http_reply_text(rq, 500, STR("OpenAI API key not configured"));
    } else if (e->code == ERR_OVERLOADED || e->code == ERR_SHUTTING_DOWN) {
        http_reply_error(rq, e);
    } else {
        sse_begin(rq);
        send_data(rq, refusal.n ? refusal : as_error_event(rq, e));
        sse_finish(rq);
    }
}

static void stream(struct http_request *rq, struct relay *relay)
{
    struct str raw;
    struct err e;
    int more;
    sse_begin(rq);
    while ((more = relay_next(relay, &raw, &e)) == 1)
        if (sse_send(rq, STR(""), STR(""), raw, &e) < 0)
            return;
    if (more == 0)
        send_data(rq, STR("[DONE]"));
    else if (e.code != ERR_CANCELLED)
        send_data(rq, raw.n ? raw : as_error_event(rq, &e));
    sse_finish(rq);
}

void openai_chat_post(struct http_request *rq, struct chat_post *post)
{
    struct api *api = api_of(rq);
    if (!has_messages(post)) {
        http_reply_text(rq, 400, STR("Messages array is required and cannot be empty"));
        return;
    }
    struct relay_request request = {.body = rq->body,
                                    .default_model = api->config.openai_model,
                                    .default_max_tokens = DEFAULT_MAX_TOKENS,
                                    .stream = true,
                                    .dialect = "openai"};
    struct str refusal = STR_NONE;
    struct err e;
    struct relay *relay = relay_open(api->chat, &request, rq->arena, &refusal, &e);
    if (!relay) {
        refuse(rq, refusal, &e);
        return;
    }
    stream(rq, relay);
    relay_close(relay);
}
