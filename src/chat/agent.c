#include "chat/agent.h"

struct agent_options agent_options(const struct agent *agent, struct arena *arena)
{
    (void)agent, (void)arena;
    return (struct agent_options){0};
}

int agent_read(const cJSON *body, bool whole, struct arena *arena, struct agent *out, unsigned *set, struct err *e)
{
    (void)body, (void)whole, (void)arena, (void)out, (void)set, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int agent_create(struct store *store, struct str owner, const struct agent *agent, struct arena *arena,
                 struct agent *out, struct err *e)
{
    (void)store, (void)owner, (void)agent, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int agent_get(struct store *store, struct str owner, struct str id, struct arena *arena, struct agent *out,
              struct err *e)
{
    (void)store, (void)owner, (void)id, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int agent_update(struct store *store, struct str owner, const struct agent_change *change, struct arena *arena,
                 struct agent *out, struct err *e)
{
    (void)store, (void)owner, (void)change, (void)arena, (void)out, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int agent_delete(struct store *store, struct str owner, struct str id, struct err *e)
{
    (void)store, (void)owner, (void)id, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}
