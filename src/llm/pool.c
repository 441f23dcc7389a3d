#include "llm/pool.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "llm/llm_driver.h"

#include <stdlib.h>

struct pool {
    struct llm base;
    enum llm_pool_mode mode;
    size_t n;
    struct llm_pool_member members[LLM_POOL_MAX];
};

static bool ready(struct llm *llm)
{
    return !llm->ops->ready || llm->ops->ready(llm);
}

/* Moves a member drawn by weight from at.. to `at`. */
static void draw(struct llm_pool_member *order, size_t at, size_t n)
{
    uint64_t total = 0;
    for (size_t i = at; i < n; i++)
        total += order[i].weight;
    uint64_t ticket = rand_below(total);
    size_t i = at;
    while (ticket >= order[i].weight)
        ticket -= order[i++].weight;
    struct llm_pool_member drawn = order[i];
    order[i] = order[at];
    order[at] = drawn;
}

/* The members in the order to ask them. */
static void make_order(const struct pool *pool, struct llm *order[LLM_POOL_MAX])
{
    struct llm_pool_member members[LLM_POOL_MAX];
    size_t n = 0;
    memcpy(members, pool->members, pool->n * sizeof *members);
    for (size_t i = 0; pool->mode == LLM_POOL_WEIGHTED && i < pool->n; i++)
        draw(members, i, pool->n);
    for (size_t i = 0; i < pool->n; i++)
        if (ready(members[i].llm))
            order[n++] = members[i].llm;
    size_t nready = n;
    for (size_t i = 0; i < pool->n && n < pool->n; i++) {
        bool taken = false;
        for (size_t k = 0; k < nready; k++)
            taken = taken || order[k] == members[i].llm;
        if (!taken)
            order[n++] = members[i].llm;
    }
}

static bool another_may_do_better(const struct err *e)
{
    switch (e->status) {
    case 401:
    case 403:
    case 404:
    case 408:
    case 409:
    case 429:
        return true;
    default:
        return e->status >= 500 && e->code != ERR_SHUTTING_DOWN;
    }
}

static struct llm_stream *pool_open(struct llm *llm, const struct llm_request *rq, struct arena *arena,
                                    struct str *refusal, struct err *e)
{
    const struct pool *pool = (const struct pool *)llm;
    struct llm *order[LLM_POOL_MAX] = {NULL};
    struct err scratch = {0};
    e = e ? e : &scratch;
    make_order(pool, order);
    for (size_t i = 0; i < pool->n; i++) {
        struct llm_stream *s = llm_open(order[i], rq, arena, refusal, e);
        if (s)
            return s;
        if (!another_may_do_better(e))
            break;
        log_warn("llm", "member_failed", F_INT("member", i), F_C("provider", llm_name(order[i])),
                 F_INT("status", e->status), F_ERR(e));
    }
    return NULL;
}

static bool pool_ready(struct llm *llm)
{
    const struct pool *pool = (const struct pool *)llm;
    for (size_t i = 0; i < pool->n; i++)
        if (ready(pool->members[i].llm))
            return true;
    return false;
}

static bool listed(const cJSON *data, struct str id)
{
    const cJSON *model;
    cJSON_ArrayForEach(model, data)
    {
        if (str_eq(json_str(model, "id"), id))
            return true;
    }
    return false;
}

/* Adds one member's models to data. */
static int add_models(struct llm *member, struct arena *a, cJSON *data, struct err *e)
{
    struct buf text = BUF_INIT(LIMIT_UPSTREAM_BODY);
    int result = llm_models(member, &text, e);
    const cJSON *list = result < 0 ? NULL : json_parse(a, arena_str(a, buf_str(&text)), e);
    cJSON *models = (cJSON *)json_get(list, "data");
    buf_free(&text);
    while (models && models->child) {
        cJSON *model = cJSON_DetachItemViaPointer(models, models->child);
        if (!listed(data, json_str(model, "id")))
            cJSON_AddItemToArray(data, model);
    }
    return list ? 0 : -1;
}

static int pool_models(struct llm *llm, struct buf *out, struct err *e)
{
    const struct pool *pool = (const struct pool *)llm;
    struct arena *a = arena_new("models");
    cJSON *data = json_parse(a, STR("[]"), e);
    size_t answered = 0;
    for (size_t i = 0; i < pool->n; i++)
        answered += add_models(pool->members[i].llm, a, data, e) == 0;
    if (answered) {
        struct jw w = jw_begin(out);
        jw_obj(&w);
        jw_kstr(&w, "object", STR("list"));
        jw_key(&w, "data");
        jw_tree(&w, data);
        jw_end_obj(&w);
    }
    arena_free(a);
    return answered ? 0 : -1;
}

/* One that answers is enough to serve. */
static int pool_ping(struct llm *llm, struct err *e)
{
    const struct pool *pool = (const struct pool *)llm;
    for (size_t i = 0; i < pool->n; i++)
        if (llm_ping(pool->members[i].llm, e) == 0)
            return 0;
    return -1;
}

static void pool_free(struct llm *llm)
{
    struct pool *pool = (struct pool *)llm;
    for (size_t i = 0; i < pool->n; i++)
        llm_free(pool->members[i].llm);
    free(pool);
}

/* No next and close: the streams are the members' own. */
static const struct llm_ops pool_ops = {.name = "pool",
                                        .open = pool_open,
                                        .models = pool_models,
                                        .ping = pool_ping,
                                        .ready = pool_ready,
                                        .free = pool_free};

struct llm *llm_pool_new(const struct llm_pool_member *members, size_t n, enum llm_pool_mode mode)
{
    if (n == 0 || n > LLM_POOL_MAX)
        die("a pool of %zu models", n);
    struct pool *pool = mem_zalloc(sizeof *pool);
    llm_init(&pool->base, &pool_ops, llm_default_model(members[0].llm));
    pool->mode = mode;
    pool->n = n;
    for (size_t i = 0; i < n; i++) {
        pool->members[i] = members[i];
        pool->members[i].weight = MAX(members[i].weight, 1U);
    }
    return &pool->base;
}
