/* /v1: OpenAI's own surface, so that any OpenAI SDK can use this server as its base URL. Errors in OpenAI's shape. */
#include "api/api_impl.h"

#include "api/openai_impl.h"
#include "chat/relay.h"
#include "server/sse.h"

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

static void put_openai_error(struct jw *w, const struct err *e, const char *param)
{
    jw_obj(w);
    jw_key(w, "error");
    jw_obj(w);
    jw_kstr(w, "message", str_c(e->text));
    jw_kstr(w, "type", str_c(type_of(e)));
    if (param)
        jw_kstr(w, "param", str_c(param));
    else
        jw_knull(w, "param");
    if (e->code == ERR_INVALID_REQUEST)
        jw_knull(w, "code");
    else
        jw_kstr(w, "code", str_c(err_name(e->code)));
    jw_end_obj(w);
    jw_end_obj(w);
}

void openai_error_body(struct buf *out, const struct err *e)
{
    struct jw w = jw_begin(out);
    put_openai_error(&w, e, NULL);
}

static void put_retry_after(struct http_request *rq, const struct err *e)
{
    if (e->retry_after_ms)
        http_reply_header(rq, STR("Retry-After"), arena_printf(rq->arena, "%d", (e->retry_after_ms + 999) / 1000));
}

static void reply_openai_error(struct http_request *rq, const struct err *e, const char *param)
{
    struct jw w = reply_writer(rq, KIB(8));
    put_openai_error(&w, e, param);
    put_retry_after(rq, e);
    http_reply_jw(rq, e->status, &w);
}

/* The upstream's refusal, in its own words when they have OpenAI's shape. */
static void refuse(struct http_request *rq, struct str refusal, const struct err *e)
{
    struct json_want error = {.path = "error"};
    if (refusal.n && json_scan(refusal, &error, 1, NULL, NULL) == 0 && error.value.type == JSON_OBJECT) {
        put_retry_after(rq, e);
        http_reply_json(rq, e->status, refusal);
    } else {
        reply_openai_error(rq, e, NULL);
    }
}

static void send_data(struct http_request *rq, struct str data)
{
    sse_send(rq, STR(""), STR(""), data, NULL);
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
    if (more == 0) {
        send_data(rq, STR("[DONE]"));
    } else if (e.code != ERR_CANCELLED) {
        struct jw w = reply_writer(rq, KIB(8));
        put_openai_error(&w, &e, NULL);
        send_data(rq, raw.n ? raw : buf_str(w.out));
    }
    sse_finish(rq);
}

static void whole(struct http_request *rq, struct relay *relay)
{
    struct str raw;
    struct err e;
    int more = relay_next(relay, &raw, &e);
    if (more == 1) {
        http_reply_json(rq, 200, raw);
        return;
    }
    if (more == 0)
        err_set(&e, ERR_UPSTREAM, NULL);
    refuse(rq, more < 0 ? raw : STR_NONE, &e);
}

/* 0, or -1 after answering. */
static int check_body(struct http_request *rq, bool *streams)
{
    struct json_want wants[] = {{.path = "messages"}, {.path = "stream"}};
    enum json_type root;
    struct err e;
    if (rq->body.n == 0)
        err_set(&e, ERR_INVALID_REQUEST, "We could not parse the JSON body of your request: it is empty");
    else if (json_scan(rq->body, wants, COUNT(wants), &root, &e) == 0 && root != JSON_OBJECT)
        err_set(&e, ERR_INVALID_REQUEST, "The body must be a JSON object");
    else if (rq->body.n && root == JSON_OBJECT) {
        struct json_iter it = json_iter(&wants[0].value);
        struct json_value key, first;
        *streams = wants[1].value.type == JSON_TRUE;
        if (wants[0].value.type == JSON_ARRAY && json_each(&it, &key, &first))
            return 0;
        err_set(&e, ERR_INVALID_REQUEST,
                wants[0].value.type == JSON_NONE ? "Missing required parameter: 'messages'."
                                                 : "'messages' must be a non-empty array.");
        reply_openai_error(rq, &e, "messages");
        return -1;
    }
    reply_openai_error(rq, &e, NULL);
    return -1;
}

static void post_completions(struct http_request *rq)
{
    struct api *api = api_of(rq);
    bool streams = false;
    if (check_body(rq, &streams) < 0)
        return;
    struct relay_request request = {.body = rq->body,
                                    .default_model = api->config.openai_model,
                                    .stream = streams,
                                    .offline = true,
                                    .dialect = "v1"};
    struct str refusal = STR_NONE;
    struct err e;
    struct relay *relay = relay_open(api->chat, &request, rq->arena, &refusal, &e);
    if (!relay) {
        refuse(rq, refusal, &e);
        return;
    }
    streams ? stream(rq, relay) : whole(rq, relay);
    relay_close(relay);
}

static int load_models(struct http_request *rq, struct buf *out)
{
    struct err e;
    if (relay_models(api_of(rq)->chat, out, &e) == 0)
        return 0;
    reply_openai_error(rq, &e, NULL);
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
    reply_openai_error(rq, &e, "model");
}

static const struct http_route routes[] = {
    {HTTP_POST, "/v1/chat/completions", post_completions, NULL, LIMIT_HTTP_BODY_LARGE, "openai",
     "OpenAI chat completions, streamed or whole"},
    {HTTP_GET, "/v1/models", get_models, NULL, 0, "openai", "Models of the configured upstream"},
    {HTTP_GET, "/v1/models/:model", get_model, NULL, 0, "openai", "One model"},
};

const struct door door_openai = {routes, COUNT(routes)};
