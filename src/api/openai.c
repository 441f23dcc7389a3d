/* /v1: OpenAI's own surface, so that any OpenAI SDK can use this server as its base URL. Errors in OpenAI's shape. */
#include "api/api_impl.h"

#include "api/openai_impl.h"
#include "api/relay_reply.h"

static const char *type_of(const struct err *e)
{
    switch (e->status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    default:
        return e->status < 500 ? "invalid_request_error" : "server_error";
    }
}

void openai_put_error(struct jw *w, const struct err *e, const char *param, const char *code)
{
    jw_key(w, "error");
    jw_obj(w);
    jw_kstr(w, "message", str_c(e->text));
    jw_kstr(w, "type", str_c(type_of(e)));
    if (param)
        jw_kstr(w, "param", str_c(param));
    else
        jw_knull(w, "param");
    if (code)
        jw_kstr(w, "code", str_c(code));
    else if (e->code == ERR_INVALID_REQUEST)
        jw_knull(w, "code");
    else
        jw_kstr(w, "code", str_c(err_name(e->code)));
    jw_end_obj(w);
}

static void put_failure(struct jw *w, const struct err *e)
{
    jw_obj(w);
    openai_put_error(w, e, NULL, NULL);
    jw_end_obj(w);
}

void openai_error_body(struct buf *out, const struct err *e)
{
    struct jw w = jw_begin(out);
    put_failure(&w, e);
}

void openai_reply_error(struct http_request *rq, const struct err *e, const char *param, const char *code)
{
    struct jw w = reply_writer(rq, KIB(8));
    jw_obj(&w);
    openai_put_error(&w, e, param, code);
    jw_end_obj(&w);
    reply_retry_after(rq, e);
    http_reply_jw(rq, e->status, &w);
}

/* The upstream's refusal, in its own words when they have OpenAI's shape. */
static void refuse(struct http_request *rq, struct str refusal, const struct err *e)
{
    struct json_want error = {.path = "error"};
    if (refusal.n && json_scan(refusal, &error, 1, NULL, NULL) == 0 && error.value.type == JSON_OBJECT) {
        reply_retry_after(rq, e);
        http_reply_json(rq, e->status, refusal);
    } else {
        openai_reply_error(rq, e, NULL, NULL);
    }
}

static const struct relay_door relay_door = {refuse, put_failure};

/* 0, or -1 with what is wrong; *param names the member it is about. */
static int check_body(struct str body, bool *streams, const char **param, struct err *e)
{
    struct json_want wants[] = {{.path = "messages"}, {.path = "stream"}};
    const struct json_value *messages = &wants[0].value;
    enum json_type root;
    if (body.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "We could not parse the JSON body of your request: it is empty");
    if (json_scan(body, wants, COUNT(wants), &root, e) < 0)
        return -1;
    if (root != JSON_OBJECT)
        return err_set(e, ERR_INVALID_REQUEST, "The body must be a JSON object");
    *param = "messages";
    if (messages->type == JSON_NONE)
        return err_set(e, ERR_INVALID_REQUEST, "Missing required parameter: 'messages'.");
    struct json_iter it = json_iter(messages);
    struct json_value key, first;
    if (messages->type != JSON_ARRAY || !json_each(&it, &key, &first))
        return err_set(e, ERR_INVALID_REQUEST, "'messages' must be a non-empty array.");
    *streams = wants[1].value.type == JSON_TRUE;
    return 0;
}

static void post_completions(struct http_request *rq)
{
    const char *param = NULL;
    bool streams = false;
    struct err e;
    if (check_body(rq->body, &streams, &param, &e) < 0) {
        openai_reply_error(rq, &e, param, NULL);
        return;
    }
    struct relay_request request = {.body = rq->body,
                                    .default_model = api_of(rq)->config.openai_model,
                                    .stream = streams,
                                    .offline = true,
                                    .dialect = "v1"};
    relay_reply(rq, &request, &relay_door);
}

static int load_models(struct http_request *rq, struct buf *out)
{
    struct err e;
    if (relay_models(api_of(rq)->chat, out, &e) == 0)
        return 0;
    openai_reply_error(rq, &e, NULL, NULL);
    return -1;
}

static void get_models(struct http_request *rq)
{
    struct jw w = reply_writer(rq, LIMIT_UPSTREAM_BODY);
    if (load_models(rq, w.out) == 0)
        http_reply_jw(rq, 200, &w);
}

static void get_model(struct http_request *rq)
{
    struct jw w = reply_writer(rq, LIMIT_UPSTREAM_BODY);
    struct err e;
    if (load_models(rq, w.out) < 0)
        return;
    struct json_want data = {.path = "data"};
    struct json_value key, model;
    if (json_scan(buf_str(w.out), &data, 1, NULL, &e) == 0 && data.value.type == JSON_ARRAY) {
        struct json_iter it = json_iter(&data.value);
        while (json_each(&it, &key, &model)) {
            struct json_want id = {.path = "id"};
            if (json_scan(model.raw, &id, 1, NULL, &e) == 0 && str_eq(want_text(rq->arena, &id.value), rq->params[0])) {
                http_reply_json(rq, 200, model.raw);
                return;
            }
        }
    }
    err_set(&e, ERR_NOT_FOUND, "The model '%.*s' does not exist", (int)MIN(rq->params[0].n, (size_t)100),
            rq->params[0].p);
    openai_reply_error(rq, &e, "model", NULL);
}

static const struct http_route routes[] = {
    {HTTP_POST, "/v1/chat/completions", post_completions, NULL, LIMIT_HTTP_BODY_LARGE, "openai",
     "OpenAI chat completions, streamed or whole"},
    {HTTP_GET, "/v1/models", get_models, NULL, 0, "openai", "Models of the configured upstream"},
    {HTTP_GET, "/v1/models/:model", get_model, NULL, 0, "openai", "One model"},
};

const struct door door_openai = {routes, COUNT(routes), NULL};
