#include "llm/openai/openai.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "client/fetch.h"
#include "client/refusal.h"
#include "llm/llm_driver.h"
#include "llm/openai/chunk.h"
#include "llm/openai/request.h"
#include "llm/openai/target.h"
#include "wire/sse.h"

#include <stdlib.h>

#define REFUSAL_MAX KIB(64)
#define HEADERS     5

struct openai {
    struct llm base;
    struct upstream *upstream;
    struct target target;
    char *key, *authorization, *organization, *project, *deployment;
    bool stream_options, max_completion_tokens;
};

struct openai_stream {
    struct llm_stream base;
    struct fetch *fetch;
    struct sse_reader sse;
    struct str in; /* bytes of the reply not yet read as events */
    struct chunk chunk;
    size_t next;          /* of the chunk's events */
    struct buf whole;     /* a reply that is no stream */
    struct buf synthetic; /* a chunk made of it */
    bool is_whole, as_chunk, hide_usage, finished, ended;
};

static struct openai *of(const struct llm *llm)
{
    return (struct openai *)llm;
}

static struct str or_none(const char *text)
{
    return str_c(text ? text : "");
}

static size_t make_headers(const struct openai *o, bool stream, struct fetch_header headers[HEADERS])
{
    size_t n = 0;
    headers[n++] = (struct fetch_header){"Content-Type", STR("application/json")};
    headers[n++] = (struct fetch_header){"Accept", stream ? STR("text/event-stream") : STR("application/json")};
    if (o->authorization)
        headers[n++] =
            (struct fetch_header){o->target.key_in_api_key ? "api-key" : "Authorization", str_c(o->authorization)};
    if (o->organization)
        headers[n++] = (struct fetch_header){"OpenAI-Organization", str_c(o->organization)};
    if (o->project)
        headers[n++] = (struct fetch_header){"OpenAI-Project", str_c(o->project)};
    return n;
}

/* Turns a reply with an error status into *e and *refusal, and ends it. */
static void refuse(const struct openai *o, struct fetch *f, struct arena *arena, struct str *refusal, struct err *e)
{
    struct buf body = BUF_INIT(REFUSAL_MAX);
    struct err cut = {0};
    /* What could be read of it is good enough. */
    fetch_read_all(f, &body, REFUSAL_MAX, &cut);
    int status = fetch_status(f);
    refusal_error(buf_str(&body), status < 400 ? 502 : status, or_none(o->key), e);
    if (e)
        e->retry_after_ms = (int)fetch_retry_after_ms(f);
    if (refusal)
        *refusal = refusal_line(arena, buf_str(&body), or_none(o->key), REFUSAL_MAX);
    if (cut.code == ERR_CANCELLED && e)
        *e = cut;
    buf_free(&body);
    fetch_close(f);
}

/* A service that does not stream answers in one piece all the same. */
static bool reply_is_json(const struct fetch *f)
{
    struct str type = fetch_header(f, "content-type"), json = STR("application/json");
    return type.n >= json.n && str_ieq((struct str){type.p, json.n}, json);
}

static struct openai_stream *stream_new(const struct openai *o, struct fetch *f, bool stream)
{
    struct openai_stream *s = mem_zalloc(sizeof *s);
    s->base.ops = o->base.ops;
    s->fetch = f;
    s->as_chunk = stream && reply_is_json(f);
    s->is_whole = !stream || s->as_chunk;
    buf_init(&s->whole, LIMIT_UPSTREAM_BODY);
    buf_init(&s->synthetic, SIZE_MAX);
    sse_reader_init(&s->sse, LIMIT_SSE_EVENT);
    chunk_init(&s->chunk);
    s->chunk.key = or_none(o->key);
    return s;
}

static struct llm_stream *openai_open(struct llm *llm, const struct llm_request *rq, struct arena *arena,
                                      struct str *refusal, struct err *e)
{
    const struct openai *o = of(llm);
    struct fetch_header headers[HEADERS];
    struct buf body = BUF_INIT(SIZE_MAX);
    bool stream = rq->stream || !rq->body.p, usage_asked;
    struct request_options options = {
        .model = rq->model, .stream_options = o->stream_options, .max_completion_tokens = o->max_completion_tokens};
    if (o->deployment)
        options.model = str_c(o->deployment);
    else if (options.model.n == 0 && !rq->body.p)
        options.model = str_c(llm->model);
    if (request_build(&body, rq, &options, &usage_asked, e) < 0) {
        buf_free(&body);
        return NULL;
    }
    struct fetch_request fetch = {.method = "POST",
                                  .path = str_c(o->target.chat_path),
                                  .headers = headers,
                                  .nheaders = make_headers(o, stream, headers),
                                  .body = buf_str(&body),
                                  .idempotent = true};
    struct fetch *f = fetch_open(o->upstream, &fetch, e);
    buf_free(&body);
    if (!f)
        return NULL;
    if (fetch_status(f) / 100 != 2) {
        refuse(o, f, arena, refusal, e);
        return NULL;
    }
    struct openai_stream *s = stream_new(o, f, stream);
    s->hide_usage = rq->body.p && !usage_asked;
    return &s->base;
}

/* The whole reply as the one chunk that a stream's reader expects. */
static void as_one_chunk(struct openai_stream *s)
{
    struct llm_event *first = &s->chunk.events[0];
    struct jw w = jw_begin(&s->synthetic);
    jw_obj(&w);
    jw_kstr(&w, "object", STR("chat.completion.chunk"));
    jw_key(&w, "choices");
    jw_arr(&w);
    jw_obj(&w);
    jw_kint(&w, "index", 0);
    jw_key(&w, "delta");
    jw_obj(&w);
    jw_kstr(&w, "role", STR("assistant"));
    jw_kstr(&w, "content", first->text);
    jw_end_obj(&w);
    jw_kstr(&w, "finish_reason", STR("stop"));
    jw_end_obj(&w);
    jw_end_arr(&w);
    jw_end_obj(&w);
    first->type = first->text.n ? LLM_DELTA : LLM_OTHER;
    first->raw = buf_str(&s->synthetic);
}

static int read_whole(struct openai_stream *s, struct err *e)
{
    if (fetch_read_all(s->fetch, &s->whole, LIMIT_UPSTREAM_BODY, e) < 0)
        return -1;
    if (chunk_read_whole(&s->chunk, buf_str(&s->whole), e) < 0)
        return -1;
    if (s->as_chunk)
        as_one_chunk(s);
    return 0;
}

/* The next event's JSON into *json: 1; 0 at the end of the bytes; -1. */
static int next_json(struct openai_stream *s, struct str *json, struct err *e)
{
    struct sse_event event;
    for (;;) {
        int got = sse_next(&s->sse, &s->in, &event, e);
        if (got < 0)
            return err_set(e, ERR_UPSTREAM, "The model's service sent a stream event that is too long");
        if (got == 0) {
            int more = fetch_read(s->fetch, &s->in, e);
            if (more > 0)
                continue;
            if (more < 0)
                return -1;
            got = sse_end(&s->sse, &event);
        }
        if (got == 0)
            return 0;
        if (event.data.n > 0) {
            *json = event.data;
            return 1;
        }
    }
}

/* The end of the bytes without [DONE]. Some services leave it out; without a finish the reply was cut. */
static int end_without_done(struct openai_stream *s, int got, struct err *e)
{
    s->ended = true;
    if (s->finished && (got == 0 || !e || e->code == ERR_UPSTREAM))
        return 0;
    return got < 0 ? -1 : err_set(e, ERR_UPSTREAM, "The model's reply broke off");
}

static int next_chunk(struct openai_stream *s, struct llm_event *event, struct err *e)
{
    struct str json;
    int got = next_json(s, &json, e);
    if (got <= 0)
        return end_without_done(s, got, e);
    if (str_eqc(str_trim(json), "[DONE]")) {
        s->ended = true;
        return 0;
    }
    if (chunk_read(&s->chunk, json, e) < 0) {
        event->raw = json;
        s->ended = true;
        return -1;
    }
    if (s->hide_usage && chunk_only_usage(&s->chunk))
        s->chunk.events[0].raw = STR_NONE;
    return 1;
}

static int openai_next(struct llm_stream *base, struct llm_event *event, struct err *e)
{
    struct openai_stream *s = (struct openai_stream *)base;
    while (s->next >= s->chunk.count) {
        if (s->ended)
            return 0;
        s->next = s->chunk.count = 0;
        int got = s->is_whole ? read_whole(s, e) : next_chunk(s, event, e);
        s->ended = s->ended || s->is_whole;
        if (got < 0 || (got == 0 && !s->is_whole))
            return got;
    }
    *event = s->chunk.events[s->next++];
    if (event->type == LLM_FINISH)
        s->finished = true;
    return 1;
}

static void openai_close(struct llm_stream *base)
{
    struct openai_stream *s = (struct openai_stream *)base;
    if (s->ended)
        fetch_finish(s->fetch);
    else
        fetch_close(s->fetch);
    sse_reader_free(&s->sse);
    chunk_free(&s->chunk);
    buf_free(&s->whole);
    buf_free(&s->synthetic);
    free(s);
}

static int openai_models(struct llm *llm, struct buf *out, struct err *e)
{
    const struct openai *o = of(llm);
    struct fetch_header headers[HEADERS];
    struct fetch_request rq = {.method = "GET",
                               .path = str_c(o->target.models_path),
                               .headers = headers,
                               .nheaders = make_headers(o, false, headers),
                               .idempotent = true};
    struct fetch *f = fetch_open(o->upstream, &rq, e);
    if (!f)
        return -1;
    int status = fetch_status(f), result;
    if (status == 404 || status == 405 || status == 501) {
        /* It has no such list: what is configured is what there is. */
        const char *model = o->deployment ? o->deployment : llm->model;
        result = llm_one_model(out, str_c(model), llm->ops->name);
        fetch_close(f);
        return result < 0 ? err_set(e, ERR_UPSTREAM, NULL) : 0;
    }
    if (status / 100 != 2) {
        refuse(o, f, NULL, NULL, e);
        return -1;
    }
    result = fetch_read_all(f, out, LIMIT_UPSTREAM_BODY, e);
    fetch_close(f);
    return result;
}

static int openai_ping(struct llm *llm, struct err *e)
{
    struct buf list = BUF_INIT(LIMIT_UPSTREAM_BODY);
    int result = openai_models(llm, &list, e);
    buf_free(&list);
    return result;
}

static bool openai_ready(struct llm *llm)
{
    return upstream_ready(of(llm)->upstream);
}

static void openai_free(struct llm *llm)
{
    struct openai *o = of(llm);
    upstream_free(o->upstream);
    target_free(&o->target);
    free(o->key);
    free(o->authorization);
    free(o->organization);
    free(o->project);
    free(o->deployment);
    free(o);
}

static const struct llm_ops openai_ops = {.name = "openai",
                                          .open = openai_open,
                                          .next = openai_next,
                                          .close = openai_close,
                                          .models = openai_models,
                                          .ping = openai_ping,
                                          .ready = openai_ready,
                                          .free = openai_free};

static const struct llm_ops azure_ops = {.name = "azure",
                                         .open = openai_open,
                                         .next = openai_next,
                                         .close = openai_close,
                                         .models = openai_models,
                                         .ping = openai_ping,
                                         .ready = openai_ready,
                                         .free = openai_free};

static char *copy(const char *text)
{
    return text && *text ? str_dup(str_c(text)) : NULL;
}

static char *make_authorization(const struct llm_openai_config *config)
{
    struct buf text = BUF_INIT(SIZE_MAX);
    if (!config->api_key || !*config->api_key)
        return NULL;
    buf_addf(&text, "%s%s", config->azure ? "" : "Bearer ", config->api_key);
    char *authorization = str_dup(buf_str(&text));
    buf_free(&text);
    return authorization;
}

struct llm *llm_openai_new(const struct llm_openai_config *config, struct err *e)
{
    static const struct upstream_config defaults = {.connect_timeout = 10000,
                                                    .first_byte_timeout = 60000,
                                                    .total_timeout = 600000,
                                                    .retries = 2,
                                                    .breaker_failures = 5,
                                                    .breaker_open = 10000};
    struct target target;
    if (client_setup(e) < 0 || target_make(&target, config, e) < 0)
        return NULL;
    struct openai *o = mem_zalloc(sizeof *o);
    llm_init(&o->base, config->azure ? &azure_ops : &openai_ops, config->model);
    o->target = target;
    o->key = copy(config->api_key);
    o->authorization = make_authorization(config);
    o->organization = copy(config->organization);
    o->project = copy(config->project);
    o->deployment = config->azure ? copy(config->deployment) : NULL;
    o->stream_options = !config->no_stream_options;
    o->max_completion_tokens = config->max_completion_tokens;
    struct upstream_config upstream = config->upstream ? *config->upstream : defaults;
    if (!upstream.name)
        upstream.name = o->base.ops->name;
    upstream.base_url = target.base_url;
    o->upstream = upstream_new(&upstream);
    return &o->base;
}
