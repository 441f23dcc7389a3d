/* JSON of an agent (dialect 003). */
#include "api/care_impl.h"

#define DEFAULT_AVATAR "/public/avatars/ai-avatar.png"

static void put_options(struct jw *w, const struct agent_options *options)
{
    if (options->system_prompt.n)
        jw_kstr(w, "systemPrompt", options->system_prompt);
    if (options->response_style.n)
        jw_kstr(w, "responseStyle", options->response_style);
    if (options->max_tokens)
        jw_kint(w, "maxTokens", options->max_tokens);
    if (options->temperature >= 0)
        jw_knum(w, "temperature", options->temperature);
    if (options->voice.n)
        jw_kstr(w, "voice", options->voice);
    jw_kstr(w, "avatar", options->avatar.n ? options->avatar : STR(DEFAULT_AVATAR));
}

void put_agent(struct jw *w, const struct agent *agent, struct arena *arena)
{
    struct agent_options options = agent_options(agent, arena);
    jw_obj(w);
    jw_kstr(w, "_id", agent->id);
    jw_kstr(w, "id", agent->id);
    jw_kstr(w, "name", agent->name);
    jw_kstr(w, "companyName", agent->company);
    jw_kstr(w, "company", agent->company);
    jw_kstr(w, "personality", agent->personality);
    jw_kstr(w, "companyInfo", agent->info);
    jw_kraw(w, "prompts", agent->prompts.n ? agent->prompts : STR("[]"));
    put_options(w, &options);
    jw_kstr(w, "userId", agent->owner);
    jw_kiso(w, "createdAt", agent->created_us / 1000);
    jw_kiso(w, "updatedAt", agent->updated_us / 1000);
    jw_kint(w, "__v", 0);
    jw_end_obj(w);
}
