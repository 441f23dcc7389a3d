#include "llm/demo/demo.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rand.h"
#include "llm/demo/responder.h"
#include "llm/llm_driver.h"
#include "llm/tokens.h"
#include "loop/task.h"

#include <stdlib.h>

struct demo {
    struct llm base;
    unsigned delay_ms; /* before each chunk */
};

enum demo_step { STEP_ROLE, STEP_WORDS, STEP_USAGE, STEP_WHOLE, STEP_WHOLE_FINISH, STEP_END };

struct demo_stream {
    struct llm_stream base;
    enum demo_step step;
    unsigned delay_ms;
    struct buf head; /* what every chunk begins with, up to the value of "delta" */
    struct buf reply;
    size_t at; /* bytes of the reply that were sent */
    struct buf raw;
    struct llm_usage usage;
    int64_t max_tokens; /* 0: no limit */
    bool cut;           /* by max_tokens */
    bool show_usage;
};

/* What the driver needs to know of a request, wherever it stood. */
struct demo_request {
    struct responder_input input;
    struct str model;
    int64_t prompt_tokens, max_tokens;
    bool show_usage;
};

static void take_message(struct demo_request *d, enum llm_role role, struct str content)
{
    d->prompt_tokens += (int64_t)(tokens_estimate(content) + TOKENS_PER_MESSAGE);
    if (role != LLM_USER)
        return;
    d->input.turns++;
    d->input.question = content;
}

/* A message's text: a string, or the text parts of an array. */
static struct str content_of(const cJSON *message, struct arena *arena)
{
    const cJSON *content = json_get(message, "content"), *part;
    struct buf text = BUF_INIT(LIMIT_MESSAGE_TEXT);
    if (!cJSON_IsArray(content))
        return json_str(message, "content");
    cJSON_ArrayForEach(part, content)
    {
        struct str piece = json_str(part, "text");
        if (piece.p && buf_str_add(&text, piece) == 0)
            buf_byte(&text, ' ');
    }
    struct str joined = arena_str(arena, buf_str(&text));
    buf_free(&text);
    return joined;
}

static int read_relay(struct demo_request *d, const struct llm_request *rq, struct arena *arena, struct err *e)
{
    const cJSON *body = json_parse(arena, rq->body, e), *message;
    if (!body)
        return -1;
    const cJSON *messages = json_get(body, "messages");
    if (!cJSON_IsArray(messages) || cJSON_GetArraySize(messages) == 0)
        return err_set(e, ERR_INVALID_REQUEST, "'messages' must be a non-empty array");
    cJSON_ArrayForEach(message, messages)
    {
        bool user = str_eqc(json_str(message, "role"), "user");
        take_message(d, user ? LLM_USER : LLM_ASSISTANT, content_of(message, arena));
    }
    double limit = json_num(body, "max_completion_tokens", json_num(body, "max_tokens", 0));
    d->max_tokens = limit >= 1 && limit < 1e9 ? (int64_t)limit : 0;
    d->show_usage = json_bool(json_get(body, "stream_options"), "include_usage", false);
    if (d->model.n == 0)
        d->model = json_str(body, "model");
    return 0;
}

static int read_request(struct demo_request *d, const struct llm_request *rq, struct arena *arena, struct err *e)
{
    d->input = (struct responder_input){.text = rq->text,
                                        .wall_ms = clock_wall_ms(),
                                        .speaker = str_trim(rq->speaker),
                                        .company = str_trim(rq->company),
                                        .intent = rq->intent};
    d->model = rq->model;
    d->max_tokens = rq->max_tokens;
    if (rq->body.p)
        return read_relay(d, rq, arena, e);
    for (size_t i = 0; i < rq->nmessages; i++)
        take_message(d, rq->messages[i].role, rq->messages[i].content);
    return 0;
}

static void put_head(struct buf *out, const char *object, struct str model)
{
    char uuid[UUID_LEN + 1];
    rand_uuid(uuid);
    buf_addf(out, "{\"id\":\"chatcmpl-%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", uuid, object,
             (long long)(clock_wall_ms() / 1000));
    json_put_str(out, model);
    buf_lit(out, ",\"choices\":[");
}

static struct llm_stream *demo_open(struct llm *llm, const struct llm_request *rq, struct arena *arena,
                                    struct str *refusal, struct err *e)
{
    const struct demo *demo = (const struct demo *)llm;
    struct demo_request d = {0};
    (void)refusal;
    if (read_request(&d, rq, arena, e) < 0)
        return NULL;
    bool whole = rq->body.p && !rq->stream;
    struct demo_stream *s = mem_zalloc(sizeof *s);
    s->base.ops = llm->ops;
    s->step = whole ? STEP_WHOLE : STEP_ROLE;
    s->delay_ms = demo->delay_ms;
    s->max_tokens = d.max_tokens;
    s->show_usage = d.show_usage;
    s->usage = (struct llm_usage){d.prompt_tokens, 0};
    buf_init(&s->head, SIZE_MAX);
    buf_init(&s->reply, LIMIT_REPLY_TEXT);
    buf_init(&s->raw, SIZE_MAX);
    put_head(&s->head, whole ? "chat.completion" : "chat.completion.chunk", d.model.n ? d.model : str_c(llm->model));
    responder_reply(&d.input, &s->reply);
    return &s->base;
}

/* The next word with the space behind it; empty at the end, or when the token limit is reached. */
static struct str next_word(struct demo_stream *s)
{
    struct str rest = str_from(buf_str(&s->reply), s->at);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != ' ')
        n++;
    while (n < rest.n && rest.p[n] == ' ')
        n++;
    struct str word = {rest.p, n};
    int64_t tokens = (int64_t)tokens_estimate(str_trim(word));
    if (n && s->max_tokens && s->usage.completion_tokens + tokens > s->max_tokens) {
        s->cut = true;
        word.n = 0;
    }
    if (word.n)
        s->usage.completion_tokens += tokens;
    s->at += word.n;
    return word;
}

/* A chunk around the delta; finish is a JSON value. */
static void put_chunk(struct demo_stream *s, const char *key, struct str text, struct str finish)
{
    struct jw w = jw_begin(&s->raw);
    buf_clear(&s->raw);
    buf_str_add(&s->raw, buf_str(&s->head));
    jw_obj(&w);
    jw_kint(&w, "index", 0);
    jw_key(&w, "delta");
    jw_obj(&w);
    if (key) {
        jw_kstr(&w, key, text);
        if (strcmp(key, "role") == 0)
            jw_kstr(&w, "content", STR(""));
    }
    jw_end_obj(&w);
    jw_kraw(&w, "finish_reason", finish);
    jw_end_obj(&w);
    buf_lit(&s->raw, "]}");
}

static void put_usage(struct demo_stream *s, struct jw *w)
{
    jw_key(w, "usage");
    jw_obj(w);
    jw_kint(w, "prompt_tokens", s->usage.prompt_tokens);
    jw_kint(w, "completion_tokens", s->usage.completion_tokens);
    jw_kint(w, "total_tokens", s->usage.prompt_tokens + s->usage.completion_tokens);
    jw_end_obj(w);
}

static struct str finish_of(const struct demo_stream *s)
{
    return s->cut ? STR("length") : STR("stop");
}

static void put_whole(struct demo_stream *s)
{
    while (next_word(s).n)
        ;
    s->reply.len = str_trim((struct str){buf_str(&s->reply).p, s->at}).n;
    buf_str_add(&s->raw, buf_str(&s->head));
    struct jw w = jw_begin(&s->raw);
    jw_obj(&w);
    jw_kint(&w, "index", 0);
    jw_key(&w, "message");
    jw_obj(&w);
    jw_kstr(&w, "role", STR("assistant"));
    jw_kstr(&w, "content", buf_str(&s->reply));
    jw_knull(&w, "refusal");
    jw_end_obj(&w);
    jw_knull(&w, "logprobs");
    jw_kstr(&w, "finish_reason", finish_of(s));
    jw_end_obj(&w);
    buf_byte(&s->raw, ']');
    w.comma = true;
    put_usage(s, &w);
    jw_end_obj(&w);
}

static void next_usage(struct demo_stream *s, struct llm_event *event)
{
    event->type = LLM_USAGE;
    event->usage = s->usage;
    if (!s->show_usage)
        return;
    buf_clear(&s->raw);
    buf_str_add(&s->raw, buf_str(&s->head));
    buf_byte(&s->raw, ']');
    struct jw w = jw_begin(&s->raw);
    w.comma = true;
    put_usage(s, &w);
    jw_end_obj(&w);
    event->raw = buf_str(&s->raw);
}

static void next_of_words(struct demo_stream *s, struct llm_event *event)
{
    struct str word = next_word(s);
    if (word.n) {
        event->type = LLM_DELTA;
        event->text = word;
        put_chunk(s, "content", word, STR("null"));
    } else {
        event->type = LLM_FINISH;
        event->finish = finish_of(s);
        put_chunk(s, NULL, STR(""), s->cut ? STR("\"length\"") : STR("\"stop\""));
        s->step = STEP_USAGE;
    }
    event->raw = buf_str(&s->raw);
}

static int demo_next(struct llm_stream *base, struct llm_event *event, struct err *e)
{
    struct demo_stream *s = (struct demo_stream *)base;
    if (task_cancelled())
        return err_set(e, ERR_CANCELLED, NULL);
    if (s->delay_ms && (s->step == STEP_WORDS || s->step == STEP_WHOLE) && task_sleep(s->delay_ms, e) < 0)
        return -1;
    switch (s->step) {
    case STEP_ROLE:
        put_chunk(s, "role", STR("assistant"), STR("null"));
        event->raw = buf_str(&s->raw);
        s->step = STEP_WORDS;
        return 1;
    case STEP_WORDS:
        next_of_words(s, event);
        return 1;
    case STEP_WHOLE:
        put_whole(s);
        event->type = LLM_WHOLE;
        event->raw = buf_str(&s->raw);
        event->text = buf_str(&s->reply);
        s->step = STEP_WHOLE_FINISH;
        return 1;
    case STEP_WHOLE_FINISH:
        event->type = LLM_FINISH;
        event->finish = finish_of(s);
        s->show_usage = false;
        s->step = STEP_USAGE;
        return 1;
    case STEP_USAGE:
        next_usage(s, event);
        s->step = STEP_END;
        return 1;
    case STEP_END:
        return 0;
    }
    return 0;
}

static void demo_close(struct llm_stream *base)
{
    struct demo_stream *s = (struct demo_stream *)base;
    buf_free(&s->head);
    buf_free(&s->reply);
    buf_free(&s->raw);
    free(s);
}

static int demo_models(struct llm *llm, struct buf *out, struct err *e)
{
    return llm_one_model(out, str_c(llm->model), "parley") < 0 ? err_set(e, ERR_INTERNAL_ERROR, NULL) : 0;
}

static int demo_ping(struct llm *llm, struct err *e)
{
    (void)llm;
    (void)e;
    return 0;
}

static void demo_free(struct llm *llm)
{
    free(llm);
}

static const struct llm_ops demo_ops = {.name = "demo",
                                        .open = demo_open,
                                        .next = demo_next,
                                        .close = demo_close,
                                        .models = demo_models,
                                        .ping = demo_ping,
                                        .free = demo_free};

struct llm *llm_demo_new(const struct llm_demo_config *config)
{
    struct demo *demo = mem_zalloc(sizeof *demo);
    llm_init(&demo->base, &demo_ops, config && config->model ? config->model : "demo");
    if (config)
        demo->delay_ms = config->chunk_delay_ms + (config->words_per_second ? 1000 / config->words_per_second : 0);
    return &demo->base;
}
