/* Who answers, and how. */
#include "chat/care_impl.h"

static const struct agent general = {
    .name = {"Support", 7},
    .personality = {"friendly, patient and precise", 29},
};

const struct agent *care_agent_copy(const struct agent *agent, struct arena *arena)
{
    if (!agent || agent == &care_demo)
        return agent;
    struct agent *copy = arena_alloc(arena, sizeof *copy);
    *copy = *agent;
    copy->id = arena_str(arena, agent->id);
    copy->owner = arena_str(arena, agent->owner);
    copy->name = arena_str(arena, agent->name);
    copy->company = arena_str(arena, agent->company);
    copy->personality = arena_str(arena, agent->personality);
    copy->info = arena_str(arena, agent->info);
    copy->prompts = arena_str(arena, agent->prompts);
    copy->meta = arena_str(arena, agent->meta);
    return copy;
}

int care_agent_of(struct care *care, const struct care_record *record, const struct agent *brought, struct arena *arena,
                  const struct agent **out, struct err *e)
{
    const struct conversation *c = &record->conversation;
    *out = record->meta.simulator ? &care_demo : brought ? brought : &general;
    if (record->meta.simulator || !c->agent_id.n)
        return 0;
    struct agent_ref ref = {.owner = c->owner, .id = c->agent_id};
    struct agent *stored = arena_alloc(arena, sizeof *stored);
    struct err own = {0};
    if (store_agent_get(care->config.chat->config.store, arena, &ref, stored, &own) == 0) {
        *out = stored;
    } else if (own.code != ERR_NOT_FOUND) {
        if (e)
            *e = own;
        return -1;
    }
    return 0;
}

/* An agent with a company of its own speaks for that; one without, for the company that the customer named. The
 * simulator's shows both. */
static const struct company *company_of(const struct care_persona *persona)
{
    const struct agent *agent = persona->agent;
    const struct company *own = agent->company.n ? company_find(agent->company) : NULL;
    if (own)
        return own;
    return agent->company.n && agent != &care_demo ? NULL : persona->company;
}

struct turn_manner care_manner(const struct care_persona *persona, struct arena *arena)
{
    const struct agent *agent = persona->agent;
    const struct company *company = company_of(persona);
    struct agent_options options = agent_options(agent, arena);
    return (struct turn_manner){
        .persona = care_prompt(agent, company, persona->urgent, arena),
        .temperature = options.temperature,
        .max_tokens = options.max_tokens,
        .knowledge = agent->info, /* its prompts are instructions: nothing to be quoted */
        .speaker = agent->name,
        .company = agent->company.n ? agent->company
                   : company        ? str_c(company_name(company))
                                    : STR(""),
    };
}

struct str care_voice_of(const struct agent *agent, struct arena *arena)
{
    struct agent_options options = agent_options(agent, arena);
    if (options.voice.n)
        return options.voice;
    return agent == &care_demo ? STR(CARE_DEMO_VOICE) : STR(CARE_VOICE);
}
