/* JSON of customer care (dialect 003). */
#include "api/care_impl.h"
#include "chat/intent.h"

void put_user(struct jw *w, const struct user *user, bool times)
{
    jw_kstr(w, "_id", user->id);
    jw_kstr(w, "id", user->id);
    jw_kstr(w, "name", user->name);
    jw_kstr(w, "email", user->email);
    jw_kstr(w, "role", user->role.n ? user->role : STR("user"));
    if (user->avatar.n)
        jw_kstr(w, "avatar", user->avatar);
    if (times) {
        jw_kiso(w, "createdAt", user->created_us / 1000);
        jw_kiso(w, "updatedAt", user->updated_us / 1000);
    }
}

void put_demo_agent(struct jw *w)
{
    const struct agent *demo = care_demo_agent();
    jw_obj(w);
    jw_kstr(w, "name", demo->name);
    jw_kstr(w, "company", demo->company);
    jw_kstr(w, "personality", demo->personality);
    jw_end_obj(w);
}

/* ---- messages ---- */

static void put_facts(struct jw *w, const struct message_facts *facts)
{
    bool judged = facts->sentiment != SENTIMENT_UNKNOWN;
    if (!judged && !facts->intents)
        return;
    jw_key(w, "metadata");
    jw_obj(w);
    if (judged)
        jw_kstr(w, "sentiment", str_c(sentiment_name(facts->sentiment)));
    if (facts->intents)
        jw_kstr(w, "intent", str_c(intent_name(intent_main(facts->intents))));
    if (facts->confidence >= 0)
        jw_knum(w, "confidence", facts->confidence);
    jw_end_obj(w);
}

void put_care_message_members(struct jw *w, const struct message *m, struct arena *arena)
{
    struct message_facts facts = message_facts(m, arena);
    jw_kstr(w, "_id", m->id);
    jw_kstr(w, "id", m->id);
    jw_kstr(w, "role", m->role);
    jw_kstr(w, "content", m->content);
    jw_kiso(w, "timestamp", m->created_us / 1000);
    if (facts.audio_url.n)
        jw_kstr(w, "audioUrl", facts.audio_url);
    put_facts(w, &facts);
    jw_kstr(w, "status", str_c(message_status_name(m->status)));
    if (m->client_id.n)
        jw_kstr(w, "clientMessageId", m->client_id);
}

void put_care_message(struct jw *w, const struct message *m, struct arena *arena)
{
    jw_obj(w);
    put_care_message_members(w, m, arena);
    jw_end_obj(w);
}

static bool is_system(const struct message *m)
{
    return str_eqc(m->role, "system");
}

static void put_messages(struct jw *w, const struct conversation *c, bool system, struct arena *arena)
{
    jw_key(w, "messages");
    jw_arr(w);
    for (size_t i = 0; i < c->nmessages; i++)
        if (system || !is_system(&c->messages[i]))
            put_care_message(w, &c->messages[i], arena);
    jw_end_arr(w);
}

/* ---- conversations ---- */

static struct str priority_of(const struct care_view *view)
{
    return view->high_priority ? STR("high") : STR("normal");
}

static void put_intents(struct jw *w, unsigned intents)
{
    jw_key(w, "intents");
    jw_arr(w);
    for (unsigned i = 0; i < INTENTS; i++)
        if (intents & 1u << i)
            jw_str(w, str_c(intent_name((enum intent)(1u << i))));
    jw_end_arr(w);
}

/* What the server itself says in "metadata": a client's own member of such a name is not shown. */
static bool is_computed(struct str key)
{
    static const char *const names[] = {"duration", "sentiment", "intents",         "created",
                                        "updated",  "priority",  "isCallSimulator", "company"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eqc(key, names[i]))
            return true;
    return false;
}

static void put_value(struct jw *w, const struct json_value *value)
{
    struct str quote = value->type == JSON_STRING ? STR("\"") : STR("");
    if (buf_str_add(w->out, quote) < 0 || buf_str_add(w->out, value->raw) < 0 || buf_str_add(w->out, quote) < 0)
        w->failed = true;
}

void put_care_custom(struct jw *w, struct str custom)
{
    struct json_want root = {.path = ""};
    struct json_value key, value;
    if (custom.n == 0 || json_scan(custom, &root, 1, NULL, NULL) < 0 || root.value.type != JSON_OBJECT)
        return;
    struct json_iter members = json_iter(&root.value);
    while (json_each(&members, &key, &value)) {
        if (is_computed(key.raw))
            continue;
        jw_raw(w, STR("\""));
        if (buf_str_add(w->out, key.raw) < 0 || buf_lit(w->out, "\":") < 0)
            w->failed = true;
        put_value(w, &value);
    }
}

static void put_metadata(struct jw *w, const struct care_view *view)
{
    const struct analytics *a = &view->figures;
    jw_key(w, "metadata");
    jw_obj(w);
    put_care_custom(w, view->custom); /* in front: should a name be there twice, clients take the last */
    jw_kint(w, "duration", analytics_duration(a));
    jw_kstr(w, "sentiment", str_c(sentiment_name(a->sentiment)));
    put_intents(w, a->intents);
    jw_kiso(w, "created", view->conversation.created_us / 1000);
    jw_kiso(w, "updated", view->conversation.updated_us / 1000);
    jw_kstr(w, "priority", priority_of(view));
    jw_kbool(w, "isCallSimulator", view->simulator);
    if (view->company.n)
        jw_kstr(w, "company", view->company);
    jw_end_obj(w);
}

static void put_analytics(struct jw *w, const struct analytics *a)
{
    jw_key(w, "analytics");
    jw_obj(w);
    jw_kint(w, "duration", analytics_duration(a));
    jw_kint(w, "messageCount", a->messages);
    jw_kstr(w, "sentiment", str_c(sentiment_name(a->sentiment)));
    jw_knum(w, "satisfaction", analytics_satisfaction(a));
    jw_end_obj(w);
}

void put_care_members(struct jw *w, const struct care_view *view, bool system, struct arena *arena)
{
    const struct conversation *c = &view->conversation;
    jw_kstr(w, "_id", c->id);
    jw_kstr(w, "id", c->id);
    jw_kstr(w, "userId", c->owner);
    if (c->agent_id.n)
        jw_kstr(w, "agentId", c->agent_id);
    jw_kstr(w, "title", c->title);
    put_messages(w, c, system, arena);
    put_metadata(w, view);
    jw_kstr(w, "status", c->status.n ? c->status : STR("active"));
    jw_kstr(w, "priority", priority_of(view));
    put_analytics(w, &view->figures);
    jw_kiso(w, "createdAt", c->created_us / 1000);
    jw_kiso(w, "updatedAt", c->updated_us / 1000);
    jw_kint(w, "__v", 0);
}

void put_care_conversation(struct jw *w, const struct care_view *view, bool system, struct arena *arena)
{
    jw_obj(w);
    put_care_members(w, view, system, arena);
    jw_end_obj(w);
}
