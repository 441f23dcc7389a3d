/* A model that obeys the last user message: "fail", "timeout", "busy", "break" (some text, then a failure), "hold"
 * (some text, then waits for puppet_release), "words <n>"; anything else is repeated. */
#ifndef TEST_API_PUPPET_LLM_H
#define TEST_API_PUPPET_LLM_H

#include "base/mem.h"
#include "llm/llm_driver.h"
#include "loop/task.h"
#include "wire/json.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct puppet {
    struct llm base;
    atomic_int held;    /* streams that wait at "hold" */
    atomic_int release; /* how many may go on */
};

struct puppet_stream {
    struct llm_stream base;
    struct puppet *puppet;
    struct arena *arena;
    struct str said; /* the user's text */
    bool whole;      /* one JSON reply */
    int step;
};

/* The last message's text: of a turn, or out of a relay's body. */
static inline struct str puppet_said(const struct llm_request *rq, struct arena *arena)
{
    if (rq->nmessages)
        return arena_str(arena, rq->messages[rq->nmessages - 1].content);
    struct json_want messages = {.path = "messages"};
    struct json_value message;
    struct str text = STR("");
    if (json_scan(rq->body, &messages, 1, NULL, NULL) < 0)
        return text;
    struct json_iter it = json_iter(&messages.value);
    while (json_each(&it, NULL, &message)) {
        struct json_want content = {.path = "content"};
        if (message.type == JSON_OBJECT && json_scan(message.raw, &content, 1, NULL, NULL) == 0 &&
            content.value.type == JSON_STRING)
            text = arena_str(arena, content.value.raw);
    }
    return text;
}

static inline struct llm_stream *puppet_open(struct llm *llm, const struct llm_request *rq, struct arena *arena,
                                             struct str *refusal, struct err *e)
{
    struct str said = puppet_said(rq, arena);
    if (refusal)
        *refusal = STR_NONE;
    if (str_eqc(said, "fail")) {
        err_set(e, ERR_UPSTREAM, "upstream says no");
        if (refusal)
            *refusal = STR("{\"error\":{\"message\":\"upstream says no\"}}");
        return NULL;
    }
    if (str_eqc(said, "timeout")) {
        err_set(e, ERR_TIMEOUT, NULL);
        return NULL;
    }
    if (str_eqc(said, "busy")) {
        err_set(e, ERR_OVERLOADED, NULL);
        e->retry_after_ms = 1500;
        return NULL;
    }
    struct puppet_stream *s = arena_zalloc(arena, sizeof *s);
    *s = (struct puppet_stream){{llm->ops}, container_of(llm, struct puppet, base), arena, said, !rq->stream, 0};
    return &s->base;
}

static inline int puppet_say(const struct puppet_stream *s, struct llm_event *event, struct str text)
{
    struct buf raw = BUF_INIT(MIB(4));
    buf_lit(&raw, "{\"choices\":[{\"delta\":{\"content\":");
    json_put_str(&raw, text);
    buf_lit(&raw, "}}]}");
    event->type = s->whole ? LLM_WHOLE : LLM_DELTA;
    event->text = text;
    event->raw = arena_str(s->arena, buf_str(&raw));
    buf_free(&raw);
    return 1;
}

static inline int puppet_hold(struct puppet_stream *s, struct err *e)
{
    int result = 0;
    atomic_fetch_add(&s->puppet->held, 1);
    while (result == 0 && atomic_load(&s->puppet->release) == 0)
        result = task_sleep(1, e);
    if (result == 0)
        atomic_fetch_sub(&s->puppet->release, 1);
    atomic_fetch_sub(&s->puppet->held, 1);
    return result;
}

static inline int puppet_words(struct puppet_stream *s, struct llm_event *event, struct err *e)
{
    int64_t n = 0;
    str_i64(str_from(s->said, 6), &n);
    if (s->step > n)
        return 0;
    if (s->step % 4 == 0 && task_yield(e) < 0)
        return -1;
    return puppet_say(s, event, arena_printf(s->arena, "w%d ", s->step));
}

static inline int puppet_next(struct llm_stream *base, struct llm_event *event, struct err *e)
{
    struct puppet_stream *s = container_of(base, struct puppet_stream, base);
    int step = ++s->step;
    *event = (struct llm_event){.usage = {-1, -1}};
    if (str_starts(s->said, STR("words ")))
        return puppet_words(s, event, e);
    bool breaks = str_eqc(s->said, "break"), holds = str_eqc(s->said, "hold");
    if (step == 1)
        return puppet_say(s, event, breaks || holds ? STR("one ") : s->said);
    if (breaks)
        return err_set(e, ERR_UPSTREAM, "cut off");
    if (!holds || step > 2)
        return 0;
    return puppet_hold(s, e) < 0 ? -1 : puppet_say(s, event, STR("two"));
}

static inline void puppet_close(struct llm_stream *s)
{
    (void)s;
}

static inline int puppet_models(struct llm *llm, struct buf *out, struct err *e)
{
    (void)e;
    return llm_one_model(out, str_c(llm->model), "test");
}

static inline void puppet_free(struct llm *llm)
{
    free(container_of(llm, struct puppet, base));
}

static const struct llm_ops puppet_ops = {.name = "puppet",
                                          .open = puppet_open,
                                          .next = puppet_next,
                                          .close = puppet_close,
                                          .models = puppet_models,
                                          .free = puppet_free};

static inline struct puppet *puppet_new(void)
{
    struct puppet *puppet = mem_zalloc(sizeof *puppet);
    llm_init(&puppet->base, &puppet_ops, "puppet-1");
    return puppet;
}

static inline void puppet_release(struct puppet *puppet)
{
    atomic_fetch_add(&puppet->release, 1);
}

#endif
