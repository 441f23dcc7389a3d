/* A model that does what the test says: words, delays, failures, waiting for a sign or until it is cancelled. It keeps
 * what it was asked. Each script serves one request, in order; the last one serves all that follow. */
#ifndef TEST_CHAT_SCRIPTED_LLM_H
#define TEST_CHAT_SCRIPTED_LLM_H

#include "base/log.h"
#include "base/mem.h"
#include "llm/llm_driver.h"
#include "loop/task.h"

#include <stdatomic.h>
#include <stdlib.h>

enum step_kind {
    STEP_END, /* the orderly end */
    STEP_SAY,
    STEP_RAW,    /* raw only */
    STEP_PAUSE,  /* ms */
    STEP_HOLD,   /* until the test calls scripted_release */
    STEP_HANG,   /* until cancelled */
    STEP_FINISH, /* text: why */
    STEP_USAGE,  /* a, b */
    STEP_WHOLE,
    STEP_FAIL,   /* a: the code; text: the upstream's error event */
    STEP_REFUSE, /* as the first step: llm_open fails with code a; text: the refusal's body */
};

struct step {
    enum step_kind kind;
    const char *text;
    int64_t a, b;
};

#define SAY(words)                                                                                                     \
    {                                                                                                                  \
        STEP_SAY, (words), 0, 0                                                                                        \
    }
#define RAW(json)                                                                                                      \
    {                                                                                                                  \
        STEP_RAW, (json), 0, 0                                                                                         \
    }
#define PAUSE(ms)                                                                                                      \
    {                                                                                                                  \
        STEP_PAUSE, NULL, (ms), 0                                                                                      \
    }
#define HOLD                                                                                                           \
    {                                                                                                                  \
        STEP_HOLD, NULL, 0, 0                                                                                          \
    }
#define HANG                                                                                                           \
    {                                                                                                                  \
        STEP_HANG, NULL, 0, 0                                                                                          \
    }
#define FINISH(why)                                                                                                    \
    {                                                                                                                  \
        STEP_FINISH, (why), 0, 0                                                                                       \
    }
#define USAGE(in, out)                                                                                                 \
    {                                                                                                                  \
        STEP_USAGE, NULL, (in), (out)                                                                                  \
    }
#define WHOLE(json)                                                                                                    \
    {                                                                                                                  \
        STEP_WHOLE, (json), 0, 0                                                                                       \
    }
#define FAIL(code)                                                                                                     \
    {                                                                                                                  \
        STEP_FAIL, NULL, (code), 0                                                                                     \
    }
#define FAIL_RAW(code, raw)                                                                                            \
    {                                                                                                                  \
        STEP_FAIL, (raw), (code), 0                                                                                    \
    }
#define REFUSE(code, body)                                                                                             \
    {                                                                                                                  \
        STEP_REFUSE, (body), (code), 0                                                                                 \
    }
#define DONE                                                                                                           \
    {                                                                                                                  \
        STEP_END, NULL, 0, 0                                                                                           \
    }

#define SCRIPTED_MAX 16

struct scripted_request {
    struct arena *arena;
    struct llm_message *messages;
    size_t nmessages;
    struct str body, model, text, request_id;
    int max_tokens;
    double temperature;
    bool stream;
};

struct scripted {
    struct llm base;
    const struct step *scripts[SCRIPTED_MAX];
    atomic_size_t nrequests;
    struct scripted_request requests[SCRIPTED_MAX]; /* the first ones */
    size_t nscripts;
    struct waitlist held;
    atomic_int open, most_open; /* streams at this moment, and the most there ever were */
};

struct scripted_stream {
    struct llm_stream base;
    struct scripted *llm;
    const struct step *at;
};

static inline void scripted_keep(struct scripted *s, size_t index, const struct llm_request *rq)
{
    struct scripted_request *kept = &s->requests[index];
    kept->arena = arena_new("scripted");
    kept->messages = arena_alloc(kept->arena, (rq->nmessages + 1) * sizeof *kept->messages);
    kept->nmessages = rq->nmessages;
    for (size_t i = 0; i < rq->nmessages; i++)
        kept->messages[i] = (struct llm_message){rq->messages[i].role, arena_str(kept->arena, rq->messages[i].content)};
    kept->body = arena_str(kept->arena, rq->body);
    kept->model = arena_str(kept->arena, rq->model);
    kept->text = arena_str(kept->arena, rq->text);
    kept->request_id = arena_str(kept->arena, str_c(log_request_id));
    kept->max_tokens = rq->max_tokens;
    kept->temperature = rq->temperature;
    kept->stream = rq->stream;
}

static inline struct llm_stream *scripted_open(struct llm *llm, const struct llm_request *rq, struct arena *arena,
                                               struct str *refusal, struct err *e)
{
    struct scripted *s = container_of(llm, struct scripted, base);
    size_t index = atomic_fetch_add(&s->nrequests, 1);
    const struct step *script = s->scripts[MIN(index, s->nscripts - 1)];
    if (index < SCRIPTED_MAX)
        scripted_keep(s, index, rq);
    if (script->kind == STEP_REFUSE) {
        if (refusal && script->text)
            *refusal = arena_str(arena, str_c(script->text));
        err_set(e, (enum err_code)script->a, "refused by script");
        return NULL;
    }
    struct scripted_stream *stream = mem_zalloc(sizeof *stream);
    *stream = (struct scripted_stream){{llm->ops}, s, script};
    int now = atomic_fetch_add(&s->open, 1) + 1, most = atomic_load(&s->most_open);
    while (now > most && !atomic_compare_exchange_weak(&s->most_open, &most, now))
        ;
    return &stream->base;
}

/* 1: an event was made; 0: the step only took time; -1: *e. */
static inline int scripted_step(struct scripted_stream *stream, const struct step *step, struct llm_event *event,
                                struct err *e)
{
    switch (step->kind) {
    case STEP_SAY:
        event->type = LLM_DELTA;
        event->text = event->raw = str_c(step->text);
        return 1;
    case STEP_RAW:
        event->type = LLM_OTHER;
        event->raw = str_c(step->text);
        return 1;
    case STEP_WHOLE:
        event->type = LLM_WHOLE;
        event->raw = str_c(step->text);
        return 1;
    case STEP_FINISH:
        event->type = LLM_FINISH;
        event->finish = str_c(step->text);
        return 1;
    case STEP_USAGE:
        event->type = LLM_USAGE;
        event->usage = (struct llm_usage){step->a, step->b};
        return 1;
    case STEP_PAUSE:
        return task_sleep((uint64_t)step->a, e);
    case STEP_HOLD:
        return waitlist_wait(&stream->llm->held, e);
    case STEP_HANG:
        while (task_park(e) == 0)
            ;
        return -1;
    case STEP_FAIL:
        event->raw = str_c(step->text);
        return err_set(e, (enum err_code)step->a, "failed by script");
    case STEP_END:
    case STEP_REFUSE:
        break;
    }
    die("no such step");
}

static inline int scripted_next(struct llm_stream *s, struct llm_event *event, struct err *e)
{
    struct scripted_stream *stream = container_of(s, struct scripted_stream, base);
    int result = 0;
    while (result == 0) {
        if (stream->at->kind == STEP_END)
            return 0;
        result = scripted_step(stream, stream->at, event, e);
        if (result >= 0)
            stream->at++;
    }
    return result;
}

static inline void scripted_close(struct llm_stream *s)
{
    struct scripted_stream *stream = container_of(s, struct scripted_stream, base);
    atomic_fetch_sub(&stream->llm->open, 1);
    free(stream);
}

static inline int scripted_models(struct llm *llm, struct buf *out, struct err *e)
{
    (void)e;
    return llm_one_model(out, str_c(llm->model), "test");
}

static inline int scripted_ping(struct llm *llm, struct err *e)
{
    (void)llm;
    (void)e;
    return 0;
}

static inline void scripted_free(struct llm *llm)
{
    struct scripted *s = container_of(llm, struct scripted, base);
    for (size_t i = 0; i < SCRIPTED_MAX; i++)
        arena_free(s->requests[i].arena);
    free(s);
}

static const struct llm_ops scripted_ops = {
    .name = "scripted",
    .open = scripted_open,
    .next = scripted_next,
    .close = scripted_close,
    .models = scripted_models,
    .ping = scripted_ping,
    .free = scripted_free,
};

static inline struct scripted *scripted_new(const char *model)
{
    static const struct step ok[] = {SAY("ok"), FINISH("stop"), DONE};
    struct scripted *s = mem_zalloc(sizeof *s);
    llm_init(&s->base, &scripted_ops, model);
    s->scripts[0] = ok;
    s->nscripts = 1;
    waitlist_init(&s->held);
    return s;
}

/* The scripts to come, before the first request. */
#define scripted_set(s, ...)                                                                                           \
    do {                                                                                                               \
        const struct step *const scripts_[] = {__VA_ARGS__};                                                           \
        memcpy((s)->scripts, scripts_, sizeof scripts_);                                                               \
        (s)->nscripts = COUNT(scripts_);                                                                               \
    } while (0)

/* Parks until a stream waits at a HOLD, then lets it go on. */
static inline void scripted_release(struct scripted *s)
{
    while (!waitlist_wake_one(&s->held))
        task_yield(NULL);
}

static inline void scripted_await_hold(struct scripted *s)
{
    while (list_empty(&s->held.tasks))
        task_yield(NULL);
}

static inline void scripted_await_request(struct scripted *s, size_t n)
{
    while (atomic_load(&s->nrequests) < n)
        task_yield(NULL);
}

#endif
