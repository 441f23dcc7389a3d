#include "llm/llm_driver.h"

#include "base/json.h"

#include <stdlib.h>

void llm_init(struct llm *llm, const struct llm_ops *ops, const char *model)
{
    llm->ops = ops;
    llm->model = str_dup(str_c(model ? model : ""));
}

int llm_one_model(struct buf *out, struct str id, const char *owner)
{
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "object", STR("list"));
    jw_key(&w, "data");
    jw_arr(&w);
    jw_obj(&w);
    jw_kstr(&w, "id", id);
    jw_kstr(&w, "object", STR("model"));
    jw_kint(&w, "created", 0);
    jw_kstr(&w, "owned_by", str_c(owner));
    jw_end_obj(&w);
    jw_end_arr(&w);
    jw_end_obj(&w);
    return jw_ok(&w) ? 0 : -1;
}

struct llm_stream *llm_open(struct llm *llm, const struct llm_request *rq, struct arena *arena, struct str *refusal,
                            struct err *e)
{
    if (refusal)
        *refusal = STR("");
    return llm->ops->open(llm, rq, arena, refusal, e);
}

int llm_next(struct llm_stream *s, struct llm_event *event, struct err *e)
{
    *event = (struct llm_event){.type = LLM_OTHER, .usage = {-1, -1}};
    return s->ops->next(s, event, e);
}

struct llm_stream *llm_close(struct llm_stream *s)
{
    if (s)
        s->ops->close(s);
    return NULL;
}

const char *llm_name(const struct llm *llm)
{
    return llm->ops->name;
}

const char *llm_default_model(const struct llm *llm)
{
    return llm->model;
}

int llm_models(struct llm *llm, struct buf *out, struct err *e)
{
    return llm->ops->models(llm, out, e);
}

int llm_ping(struct llm *llm, struct err *e)
{
    return llm->ops->ping(llm, e);
}

struct llm *llm_free(struct llm *llm)
{
    if (!llm)
        return NULL;
    free(llm->model);
    llm->ops->free(llm);
    return NULL;
}
