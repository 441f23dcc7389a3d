#include "chat/relay.h"

#include "base/log.h"
#include "chat/chat_impl.h"
#include "wire/json.h"

struct relay {
    struct chat *chat;
    struct llm_stream *stream;
    struct str model;
    struct llm_usage usage;
};

struct relay *relay_open(struct chat *chat, const struct relay_request *request, struct arena *arena,
                         struct str *refusal, struct err *e)
{
    struct llm *llm = chat->config.llm ? chat->config.llm : request->offline ? chat->config.responder : NULL;
    if (!llm) {
        err_set(e, ERR_NOT_CONFIGURED, "No model is configured");
        return NULL;
    }
    struct json_want model = {.path = "model"};
    if (json_scan(request->body, &model, 1, NULL, e) < 0)
        return NULL;
    bool own = model.value.type == JSON_STRING && model.value.raw.n;
    struct llm_request rq = {
        .body = request->body,
        .model = own ? STR("") : str_c(request->default_model),
        .max_tokens = request->default_max_tokens,
        .temperature = -1,
        .stream = request->stream,
    };
    struct relay *relay = arena_zalloc(arena, sizeof *relay);
    *relay = (struct relay){.chat = chat, .model = own ? model.value.raw : rq.model, .usage = {-1, -1}};
    relay->stream = llm_open(llm, &rq, arena, refusal, e);
    return relay->stream ? relay : NULL;
}

int relay_next(struct relay *relay, struct str *raw, struct err *e)
{
    struct llm_event event = {0};
    int more;
    while ((more = llm_next(relay->stream, &event, e)) == 1) {
        if (event.usage.prompt_tokens > 0 || event.usage.completion_tokens > 0)
            relay->usage = event.usage;
        if (event.raw.n)
            break;
    }
    *raw = event.raw;
    return more;
}

struct relay *relay_close(struct relay *relay)
{
    if (!relay)
        return NULL;
    relay->stream = llm_close(relay->stream);
    if (relay->usage.prompt_tokens < 0 && relay->usage.completion_tokens < 0)
        return NULL;
    struct err e;
    struct usage usage = {.model = relay->model, .prompt_tokens = MAX(relay->usage.prompt_tokens, 0),
                          .completion_tokens = MAX(relay->usage.completion_tokens, 0)};
    if (store_usage_add(relay->chat->config.store, &usage, &e) < 0 && e.code != ERR_CANCELLED)
        log_warn("chat", "usage_not_saved", F_ERR(&e));
    return NULL;
}

int relay_models(struct chat *chat, struct buf *out, struct err *e)
{
    struct llm *llm = chat->config.llm ? chat->config.llm : chat->config.responder;
    return llm ? llm_models(llm, out, e) : err_set(e, ERR_NOT_CONFIGURED, "No model is configured");
}
