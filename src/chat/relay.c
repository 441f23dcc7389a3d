#include "chat/relay.h"

#include "base/log.h"
#include "base/mem.h"
#include "chat/chat_impl.h"
#include "wire/json.h"

#include <stdlib.h>

struct relay {
    struct chat *chat;
    struct llm_stream *stream;
    struct str model;
    struct llm_usage usage;
    bool whole; /* the reply came in one piece; its usage comes behind it */
};

static struct str own_model(const struct json_value *value, struct arena *arena)
{
    struct buf scratch = BUF_INIT(LIMIT_ID);
    struct str text = arena_str(arena, json_text(value, &scratch));
    buf_free(&scratch);
    return text;
}

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
    *relay = (struct relay){.chat = chat, .model = own ? own_model(&model.value, arena) : rq.model, .usage = {-1, -1}};
    if (relay->model.n == 0)
        relay->model = str_c(llm_default_model(llm));
    log_debug("chat", "relay", F_C("dialect", request->dialect), F_STR("model", relay->model));
    relay->stream = llm_open(llm, &rq, arena, refusal, e);
    return relay->stream ? relay : NULL;
}

int relay_next(struct relay *relay, struct str *raw, struct err *e)
{
    struct llm_event event = {0};
    int more;
    while ((more = llm_next(relay->stream, &event, e)) == 1) {
        if (event.usage.prompt_tokens >= 0 || event.usage.completion_tokens >= 0)
            relay->usage = event.usage;
        if (event.type == LLM_WHOLE)
            relay->whole = true;
        if (event.raw.n)
            break;
    }
    *raw = event.raw;
    return more;
}

/* Usage on its way to the store, in a task of its own: nobody waits for the disk, and it is kept when the client's task
 * was cancelled. */
struct record {
    struct chat *chat;
    struct llm_usage usage;
    char model[LIMIT_ID + 1];
};

static void record_main(void *arg)
{
    struct record *record = arg;
    log_request_id = NULL; /* the request ends before this */
    chat_count_usage(record->chat, &(struct usage){.model = str_c(record->model),
                                                   .prompt_tokens = record->usage.prompt_tokens,
                                                   .completion_tokens = record->usage.completion_tokens});
    free(record);
}

struct relay *relay_close(struct relay *relay)
{
    struct str rest;
    if (!relay)
        return NULL;
    if (relay->whole)
        relay_next(relay, &rest, NULL);
    relay->stream = llm_close(relay->stream);
    if (relay->usage.prompt_tokens < 0 && relay->usage.completion_tokens < 0)
        return NULL;
    struct record *record = mem_zalloc(sizeof *record);
    record->chat = relay->chat;
    record->usage = relay->usage;
    str_copy(record->model, sizeof record->model, relay->model);
    task_spawn("usage", record_main, record);
    return NULL;
}

int relay_models(struct chat *chat, struct buf *out, struct err *e)
{
    struct llm *llm = chat->config.llm ? chat->config.llm : chat->config.responder;
    return llm ? llm_models(llm, out, e) : err_set(e, ERR_NOT_CONFIGURED, "No model is configured");
}
