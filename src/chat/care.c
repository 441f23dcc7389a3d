#include "chat/care.h"

#include "base/mem.h"
#include "chat/care_words.h"

#include <stdlib.h>

struct care *care_new(const struct care_config *config)
{
    (void)config;
    return mem_zalloc(1);
}

struct care *care_free(struct care *care)
{
    free(care);
    return NULL;
}

const struct agent *care_demo_agent(void)
{
    return &care_demo;
}

int care_start(struct care *care, const struct care_start *start, struct arena *arena, struct care_started *out,
               struct err *e)
{
    (void)care, (void)start, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_say(struct care *care, const struct care_say *say, struct arena *arena, struct care_said *out, struct err *e)
{
    (void)care, (void)say, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_note(struct care *care, struct str owner, struct str id, const struct message *message, struct arena *arena,
              struct message *out, struct err *e)
{
    (void)care, (void)owner, (void)id, (void)message, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_get(struct care *care, struct str owner, struct str id, int64_t messages, bool judge, struct arena *arena,
             struct care_view *out, struct err *e)
{
    (void)care, (void)owner, (void)id, (void)messages, (void)judge, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_list(struct care *care, const struct care_list *list, struct arena *arena, struct str *next, struct err *e)
{
    (void)care, (void)list, (void)arena, (void)next, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_update(struct care *care, const struct care_change *change, struct arena *arena, struct care_view *out,
                struct err *e)
{
    (void)care, (void)change, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_retitle(struct care *care, struct str owner, struct str id, struct arena *arena, struct care_view *out,
                 struct err *e)
{
    (void)care, (void)owner, (void)id, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_end(struct care *care, struct str owner, struct str id, struct arena *arena, struct care_view *out,
             struct err *e)
{
    (void)care, (void)owner, (void)id, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_delete(struct care *care, struct str owner, struct str id, struct err *e)
{
    (void)care, (void)owner, (void)id, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_stats(struct care *care, struct str owner, struct arena *arena, struct care_stats *out, struct err *e)
{
    (void)care, (void)owner, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_reanalyse(struct care *care, struct str owner, int64_t *total, int64_t *updated, struct err *e)
{
    (void)care, (void)owner, (void)total, (void)updated, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int care_try(struct care *care, const struct agent *agent, struct str text, struct arena *arena, struct str *reply,
             struct err *e)
{
    (void)care, (void)agent, (void)text, (void)arena, (void)reply, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}
