/* JSON of an agent (dialect 003). */
#include "api/care_impl.h"

void put_agent(struct jw *w, const struct agent *agent, struct arena *arena)
{
    (void)w, (void)agent, (void)arena;
}
