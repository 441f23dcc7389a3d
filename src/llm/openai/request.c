#include "llm/openai/request.h"

#include "base/json.h"
#include "base/limits.h"
#include "wire/json.h"

static const char *const roles[] = {
    [LLM_SYSTEM] = "system", [LLM_USER] = "user", [LLM_ASSISTANT] = "assistant", [LLM_TOOL] = "tool"};

bool request_reasoning_model(struct str model)
{
    return str_starts(model, STR("o1")) || str_starts(model, STR("o3")) || str_starts(model, STR("o4")) ||
           str_starts(model, STR("gpt-5"));
}

/* A member as it stood in the client's text. */
static void put_member(struct buf *out, const struct json_value *key, const struct json_value *value)
{
    buf_byte(out, '"');
    buf_str_add(out, key->raw);
    buf_lit(out, "\":");
    if (value->type == JSON_STRING)
        buf_byte(out, '"');
    buf_str_add(out, value->raw);
    if (value->type == JSON_STRING)
        buf_byte(out, '"');
    buf_byte(out, ',');
}

/* "stream" and "stream_options", with what the client put into the latter kept. */
static void put_stream(struct jw *w, bool stream, bool want_usage, const struct json_value *options)
{
    bool own = options && options->type == JSON_OBJECT;
    jw_kbool(w, "stream", stream);
    if (!stream || (!want_usage && !own))
        return;
    if (!want_usage) {
        jw_kraw(w, "stream_options", options->raw);
        return;
    }
    jw_key(w, "stream_options");
    buf_byte(w->out, '{');
    struct json_value key, child;
    struct json_iter it = own ? json_iter(options) : (struct json_iter){0};
    while (own && json_each(&it, &key, &child))
        if (!str_eqc(key.raw, "include_usage"))
            put_member(w->out, &key, &child);
    buf_lit(w->out, "\"include_usage\":true}");
    w->comma = true;
}

static void put_messages(struct jw *w, const struct llm_request *rq)
{
    jw_key(w, "messages");
    jw_arr(w);
    for (size_t i = 0; i < rq->nmessages; i++) {
        jw_obj(w);
        jw_kstr(w, "role", str_c(roles[rq->messages[i].role]));
        jw_kstr(w, "content", rq->messages[i].content);
        jw_end_obj(w);
    }
    jw_end_arr(w);
}

static void put_limit(struct jw *w, const struct llm_request *rq, const struct request_options *options)
{
    bool completion = options->max_completion_tokens || request_reasoning_model(options->model);
    jw_kint(w, completion ? "max_completion_tokens" : "max_tokens", rq->max_tokens);
}

static int build_turn(struct buf *out, const struct llm_request *rq, const struct request_options *options,
                      struct err *e)
{
    struct jw w = jw_begin(out);
    jw_obj(&w);
    if (options->model.n)
        jw_kstr(&w, "model", options->model);
    put_messages(&w, rq);
    if (rq->max_tokens > 0)
        put_limit(&w, rq, options);
    if (rq->temperature >= 0 && !request_reasoning_model(options->model))
        jw_knum(&w, "temperature", rq->temperature);
    if (rq->user.n)
        jw_kstr(&w, "user", rq->user);
    put_stream(&w, true, options->stream_options, NULL);
    jw_end_obj(&w);
    return jw_ok(&w) ? 0 : err_set(e, ERR_BODY_TOO_LARGE, NULL);
}

static bool replaced(const struct json_value *key, bool model_too)
{
    struct buf scratch = BUF_INIT(64);
    struct str name = json_text(key, &scratch);
    bool hit = str_eqc(name, "stream") || str_eqc(name, "stream_options") || (model_too && str_eqc(name, "model"));
    buf_free(&scratch);
    return hit;
}

static int build_relay(struct buf *out, const struct llm_request *rq, const struct request_options *options,
                       bool *usage_asked, struct err *e)
{
    struct json_want wants[] = {{.path = "stream_options"},
                                {.path = "stream_options.include_usage"},
                                {.path = "max_tokens"},
                                {.path = "max_completion_tokens"}};
    enum json_type root;
    if (json_scan(rq->body, wants, COUNT(wants), &root, e) < 0)
        return -1;
    if (root != JSON_OBJECT)
        return err_set(e, ERR_INVALID_REQUEST, "The request body must be a JSON object");
    *usage_asked = wants[1].value.type == JSON_TRUE;
    struct json_value object = {.type = JSON_OBJECT, .raw = str_trim(rq->body)}, key, child;
    struct json_iter it = json_iter(&object);
    buf_byte(out, '{');
    while (json_each(&it, &key, &child))
        if (!replaced(&key, options->model.n > 0))
            put_member(out, &key, &child);
    /* The members below follow a comma; the writer is told that it stands at the start of an object. */
    struct jw w = jw_begin(out);
    if (options->model.n)
        jw_kstr(&w, "model", options->model);
    if (rq->max_tokens > 0 && wants[2].value.type == JSON_NONE && wants[3].value.type == JSON_NONE)
        put_limit(&w, rq, options);
    put_stream(&w, rq->stream, options->stream_options, &wants[0].value);
    jw_end_obj(&w);
    return jw_ok(&w) ? 0 : err_set(e, ERR_BODY_TOO_LARGE, NULL);
}

int request_build(struct buf *out, const struct llm_request *rq, const struct request_options *options,
                  bool *usage_asked, struct err *e)
{
    *usage_asked = false;
    return rq->body.p ? build_relay(out, rq, options, usage_asked, e) : build_turn(out, rq, options, e);
}
