#include "chat/agent.h"

#include "base/rand.h"
#include "chat/agent_impl.h"

/* ---- optional members ---- */

const char *agent_option_name(enum agent_option option)
{
    static const char *const names[AGENT_OPTIONS] = {
        [AGENT_OPTION_PROMPT] = "systemPrompt", [AGENT_OPTION_STYLE] = "responseStyle",
        [AGENT_OPTION_TOKENS] = "maxTokens",    [AGENT_OPTION_TEMPERATURE] = "temperature",
        [AGENT_OPTION_VOICE] = "voice",         [AGENT_OPTION_AVATAR] = "avatar",
    };
    return names[option];
}

static struct str text_option(const cJSON *meta, enum agent_option option, size_t max)
{
    struct str text = json_str(meta, agent_option_name(option));
    return text.p && text.n <= max ? text : STR("");
}

struct agent_options agent_options(const struct agent *agent, struct arena *arena)
{
    const cJSON *meta = agent->meta.n ? json_parse(arena, agent->meta, NULL) : NULL;
    double tokens = json_num(meta, agent_option_name(AGENT_OPTION_TOKENS), 0);
    double temperature = json_num(meta, agent_option_name(AGENT_OPTION_TEMPERATURE), -1);
    struct str style = text_option(meta, AGENT_OPTION_STYLE, LIMIT_ID);
    return (struct agent_options){
        .system_prompt = text_option(meta, AGENT_OPTION_PROMPT, LIMIT_AGENT_TEXT),
        .response_style = agent_is_style(style) ? style : STR(""),
        .voice = text_option(meta, AGENT_OPTION_VOICE, AGENT_VOICE),
        .avatar = text_option(meta, AGENT_OPTION_AVATAR, LIMIT_TITLE),
        .max_tokens = tokens >= 1 && tokens <= AGENT_TOKENS ? (int)tokens : 0,
        .temperature = temperature >= 0 && temperature <= AGENT_TEMPERATURE ? temperature : -1,
    };
}

/* The members of `from`, then those of `to` that it does not name; what is null goes away when `clear`. */
static struct str merge(struct str from, struct str to, bool clear, struct arena *arena)
{
    const cJSON *fresh = json_parse(arena, from, NULL), *old = to.n ? json_parse(arena, to, NULL) : NULL;
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&text);
    jw_obj(&w);
    for (enum agent_option i = 0; i < AGENT_OPTIONS; i++) {
        const char *key = agent_option_name(i);
        const cJSON *value = json_get(fresh, key);
        value = value ? value : json_get(old, key);
        if (!value || (clear && cJSON_IsNull(value)))
            continue;
        jw_key(&w, key);
        jw_tree(&w, value);
    }
    jw_end_obj(&w);
    struct str merged = arena_str(arena, buf_str(&text));
    buf_free(&text);
    return merged;
}

void agent_set_avatar(struct agent *agent, struct str avatar, struct arena *arena)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&text);
    jw_obj(&w);
    if (avatar.n)
        jw_kstr(&w, agent_option_name(AGENT_OPTION_AVATAR), avatar);
    else
        jw_knull(&w, agent_option_name(AGENT_OPTION_AVATAR));
    jw_end_obj(&w);
    agent->meta = merge(buf_str(&text), agent->meta, false, arena);
    buf_free(&text);
}

/* ---- the store's, within one owner's ---- */

static int not_found(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "Agent not found");
}

/* The store's own words for an agent that is not there are not the clients'. */
static int refused(struct err *e)
{
    return e && e->code == ERR_NOT_FOUND ? not_found(e) : -1;
}

/* To the store, an empty owner is whoever. */
static bool can_be(struct str owner, struct str id)
{
    return owner.n && is_object_id(id);
}

int agent_create(struct store *store, struct str owner, const struct agent *agent, struct arena *arena,
                 struct agent *out, struct err *e)
{
    char id[OBJECT_ID_LEN + 1];
    struct agent whole = *agent;
    rand_object_id(id);
    whole.id = arena_str(arena, str_c(id));
    whole.owner = owner;
    whole.meta = merge(STR("{}"), agent->meta, true, arena);
    whole.created_us = whole.updated_us = 0;
    return store_agent_create(store, arena, &whole, out, e);
}

int agent_get(struct store *store, struct str owner, struct str id, struct arena *arena, struct agent *out,
              struct err *e)
{
    struct agent_ref ref = {owner, id};
    if (!can_be(owner, id))
        return not_found(e);
    return store_agent_get(store, arena, &ref, out, e) < 0 ? refused(e) : 0;
}

int agent_update(struct store *store, struct str owner, const struct agent_change *change, struct arena *arena,
                 struct agent *out, struct err *e)
{
    struct agent_change whole = *change;
    struct agent now;
    whole.to.owner = owner;
    if (agent_get(store, owner, change->to.id, arena, &now, e) < 0)
        return -1;
    if (change->set & AGENT_SET_META)
        whole.to.meta = merge(change->to.meta, now.meta, true, arena);
    return store_agent_update(store, arena, &whole, out, e) < 0 ? refused(e) : 0;
}

int agent_delete(struct store *store, struct str owner, struct str id, struct err *e)
{
    struct agent_ref ref = {owner, id};
    if (!can_be(owner, id))
        return not_found(e);
    return store_agent_delete(store, &ref, e) < 0 ? refused(e) : 0;
}
