/* What a driver implements; included by drivers only. A driver embeds `struct llm` and `struct llm_stream` as the first
 * member of its own structs. The calls mean what their namesakes in llm/llm.h say. */
#ifndef LLM_LLM_DRIVER_H
#define LLM_LLM_DRIVER_H

#include "llm/llm.h"

struct llm_ops {
    const char *name;
    struct llm_stream *(*open)(struct llm *llm, const struct llm_request *rq, struct arena *arena, struct str *refusal,
                               struct err *e);
    int (*next)(struct llm_stream *s, struct llm_event *event, struct err *e);
    void (*close)(struct llm_stream *s);
    int (*models)(struct llm *llm, struct buf *out, struct err *e);
    int (*ping)(struct llm *llm, struct err *e);
    /* Whether a call made now has a chance: a pool asks the ready ones first. NULL: always. */
    bool (*ready)(struct llm *llm);
    /* Frees the driver's struct; the base's own members are gone already. */
    void (*free)(struct llm *llm);
};

struct llm {
    const struct llm_ops *ops;
    char *model; /* owned */
};

struct llm_stream {
    const struct llm_ops *ops;
};

/* Fills the base. `model` is copied; NULL counts as "". */
void llm_init(struct llm *llm, const struct llm_ops *ops, const char *model);

/* Writes the list that llm_models promises with one model in it. -1 past out's ceiling. */
int llm_one_model(struct buf *out, struct str id, const char *owner);

#endif
