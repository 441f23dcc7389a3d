/* A user's own agents: who answers in customer care. struct agent is the store's; its optional members are in `meta`.
 */
#ifndef CHAT_AGENT_H
#define CHAT_AGENT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "chat/company.h"
#include "store/store.h"

/* The optional members, as their owner wrote them. Kept in agent.meta as one JSON object with the names of the API. */
struct agent_options {
    struct str system_prompt;  /* "systemPrompt": in place of the prompt that is made of the other members */
    struct str response_style; /* "responseStyle": formal casual friendly professional; empty: none */
    struct str voice;          /* "voice": as tts_request.voice; empty: the surface's */
    struct str avatar;         /* "avatar": a path under /public/avatars/; empty: the default */
    int max_tokens;            /* "maxTokens"; 0: the surface's */
    double temperature;        /* "temperature"; negative: the surface's */
};

/* Cannot fail: what is no longer valid reads as absent. Strings in the arena. */
struct agent_options agent_options(const struct agent *agent, struct arena *arena);

/* Makes an agent of a request's body: members trimmed, limits and texts of the clients' contract ("Please provide all
 * required fields", "Error creating agent: …"). `whole`: every required member must be there (creating); otherwise *set
 * says which are (enum agent_set). `company` stands for an absent companyName; where the body names a preset, that
 * fills what is missing. The avatar is not read: see agent_set_avatar. Optional members that are null or "" are taken
 * away. INVALID_REQUEST. */
int agent_read(const cJSON *body, bool whole, struct arena *arena, struct agent *out, unsigned *set, struct err *e);
/* The preset that a body names by "preset" or "company"; NULL: none. */
const struct company_preset *agent_preset(const cJSON *body);
/* Adds an avatar (empty: none any more) to what agent_read made, before it is stored. */
void agent_set_avatar(struct agent *agent, struct str avatar, struct arena *arena);

/* As the store's functions of these names, within one owner's agents; a malformed id is NOT_FOUND "Agent not found". An
 * agent that is created gets an id of its own. */
int agent_create(struct store *store, struct str owner, const struct agent *agent, struct arena *arena,
                 struct agent *out, struct err *e);
int agent_get(struct store *store, struct str owner, struct str id, struct arena *arena, struct agent *out,
              struct err *e);
/* `set` and `to` come from agent_read; options that the change names replace those of the agent, others stay. */
int agent_update(struct store *store, struct str owner, const struct agent_change *change, struct arena *arena,
                 struct agent *out, struct err *e);
int agent_delete(struct store *store, struct str owner, struct str id, struct err *e);

#endif
