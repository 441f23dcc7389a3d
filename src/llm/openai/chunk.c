#include "llm/openai/chunk.h"

#include "base/limits.h"
#include "client/refusal.h"
#include "wire/json.h"

void chunk_init(struct chunk *c)
{
    *c = (struct chunk){.scratch = BUF_INIT(LIMIT_UPSTREAM_BODY)};
}

void chunk_free(struct chunk *c)
{
    buf_free(&c->scratch);
}

static struct llm_event *add(struct chunk *c, enum llm_event_type type)
{
    struct llm_event *event = &c->events[c->count++];
    *event = (struct llm_event){.type = type, .usage = {-1, -1}};
    return event;
}

static bool present(const struct json_value *v)
{
    return v->type != JSON_NONE && v->type != JSON_NULL;
}

/* Some servers send errors without the wrapper, as {"object":"error","message":…}. */
static bool is_error(const struct json_want *error, const struct json_want *object)
{
    return present(&error->value) || (object->value.type == JSON_STRING && str_eqc(object->value.raw, "error"));
}

static void add_finish(struct chunk *c, const struct json_value *finish)
{
    if (finish->type == JSON_STRING && finish->raw.n > 0)
        add(c, LLM_FINISH)->finish = finish->raw;
}

static void add_usage(struct chunk *c, const struct json_value *prompt, const struct json_value *completion)
{
    if (prompt->type == JSON_NUMBER || completion->type == JSON_NUMBER)
        add(c, LLM_USAGE)->usage = (struct llm_usage){json_int(prompt, -1), json_int(completion, -1)};
}

int chunk_read(struct chunk *c, struct str json, struct err *e)
{
    enum { ERROR, OBJECT, INDEX, CONTENT, TOOLS, FUNCTION, FINISH, PROMPT, COMPLETION, WANTS };
    struct json_want w[WANTS] = {[ERROR] = {.path = "error"},
                                 [OBJECT] = {.path = "object"},
                                 [INDEX] = {.path = "choices[0].index"},
                                 [CONTENT] = {.path = "choices[0].delta.content"},
                                 [TOOLS] = {.path = "choices[0].delta.tool_calls"},
                                 [FUNCTION] = {.path = "choices[0].delta.function_call"},
                                 [FINISH] = {.path = "choices[0].finish_reason"},
                                 [PROMPT] = {.path = "usage.prompt_tokens"},
                                 [COMPLETION] = {.path = "usage.completion_tokens"}};
    enum json_type root;
    c->count = 0;
    if (json_scan(json, w, WANTS, &root, NULL) < 0 || root != JSON_OBJECT)
        return err_set(e, ERR_UPSTREAM, "The model's service sent a stream event that is no JSON object");
    if (is_error(&w[ERROR], &w[OBJECT]))
        return refusal_error(json, 0, c->key, e);
    /* Of several choices only the first is the reply; the others are for relays. */
    if (json_int(&w[INDEX].value, 0) == 0) {
        buf_clear(&c->scratch);
        struct str text = json_text(&w[CONTENT].value, &c->scratch);
        if (text.n > 0)
            add(c, LLM_DELTA)->text = text;
        if (present(&w[TOOLS].value) || present(&w[FUNCTION].value))
            add(c, LLM_TOOL_CALL);
        add_finish(c, &w[FINISH].value);
    }
    add_usage(c, &w[PROMPT].value, &w[COMPLETION].value);
    if (c->count == 0)
        add(c, LLM_OTHER);
    c->events[0].raw = json;
    return 0;
}

int chunk_read_whole(struct chunk *c, struct str json, struct err *e)
{
    enum { ERROR, OBJECT, CONTENT, FINISH, PROMPT, COMPLETION, WANTS };
    struct json_want w[WANTS] = {[ERROR] = {.path = "error"},
                                 [OBJECT] = {.path = "object"},
                                 [CONTENT] = {.path = "choices[0].message.content"},
                                 [FINISH] = {.path = "choices[0].finish_reason"},
                                 [PROMPT] = {.path = "usage.prompt_tokens"},
                                 [COMPLETION] = {.path = "usage.completion_tokens"}};
    enum json_type root;
    c->count = 0;
    if (json_scan(json, w, WANTS, &root, NULL) < 0 || root != JSON_OBJECT)
        return err_set(e, ERR_UPSTREAM, "The model's service sent a reply that is no JSON object");
    if (is_error(&w[ERROR], &w[OBJECT]))
        return refusal_error(json, 0, c->key, e);
    buf_clear(&c->scratch);
    struct llm_event *whole = add(c, LLM_WHOLE);
    whole->raw = json;
    whole->text = json_text(&w[CONTENT].value, &c->scratch);
    add_finish(c, &w[FINISH].value);
    add_usage(c, &w[PROMPT].value, &w[COMPLETION].value);
    return 0;
}

bool chunk_only_usage(const struct chunk *c)
{
    return c->count == 1 && c->events[0].type == LLM_USAGE;
}
