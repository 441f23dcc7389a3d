/* A user's agents (dialect 003): /api/agents, also as /api/company-agents. Whose an agent is, its owner's token says.
 */
#include "api/care_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "wire/multipart.h"

#define PRESET_AVATAR "/public/avatars/%s.png"
#define LIST_PAGE     100

static struct store *store_of(const struct http_request *rq)
{
    return chat_store(api_of(rq)->chat);
}

static void reply_agent(struct http_request *rq, int status, const struct agent *agent)
{
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    put_agent(&w, agent, rq->arena);
    http_reply_jw(rq, status, &w);
}

/* ---- reading ---- */

static void put_page(struct jw *w, const struct agent_page *page, struct arena *arena)
{
    for (size_t i = 0; i < page->n; i++)
        put_agent(w, &page->items[i], arena);
}

/* The pages behind the first: each is sent before the next is read, so that many agents need no more memory than few.
 */
static void stream_rest(struct http_request *rq, struct agent_query *query, struct jw *w)
{
    struct err e;
    struct agent_page page = {0};
    int result = 0;
    http_stream_begin(rq, 200, STR("application/json; charset=utf-8"));
    while (result == 0 && query->cursor.n) {
        struct arena *arena = arena_new("agents");
        result = http_stream_write(rq, buf_str(w->out), &e);
        buf_clear(w->out);
        if (result == 0 && (result = store_agent_list(store_of(rq), arena, query, &page, &e)) == 0) {
            put_page(w, &page, arena);
            query->cursor = arena_str(rq->arena, page.next);
        }
        arena_free(arena);
    }
    jw_end_arr(w);
    if (result == 0 && http_stream_write(rq, buf_str(w->out), &e) == 0)
        http_stream_end(rq);
}

static void get_all(struct http_request *rq)
{
    struct err e;
    struct user user;
    struct agent_page page;
    if (care_guard(rq, &user) < 0)
        return;
    struct agent_query query = {.owner = user.id, .limit = LIST_PAGE};
    if (store_agent_list(store_of(rq), rq->arena, &query, &page, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_arr(&w);
    put_page(&w, &page, rq->arena);
    query.cursor = page.next;
    if (query.cursor.n) {
        stream_rest(rq, &query, &w);
        return;
    }
    jw_end_arr(&w);
    http_reply_jw(rq, 200, &w);
}

static void get_one(struct http_request *rq)
{
    struct err e;
    struct user user;
    struct agent agent;
    if (care_guard(rq, &user) < 0)
        return;
    if (agent_get(store_of(rq), user.id, rq->params[0], rq->arena, &agent, &e) == 0)
        reply_agent(rq, 200, &agent);
    else
        http_reply_error(rq, &e);
}

/* ---- presets ---- */

/* "Pizza Hut": "pizza-hut". */
static struct str slug(struct arena *arena, const char *name)
{
    char *text = arena_cstr(arena, str_c(name));
    for (char *at = text; *at; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at | 0x20) : *at == ' ' ? '-' : *at;
    return str_c(text);
}

static struct str preset_avatar(struct arena *arena, const struct company_preset *preset)
{
    return arena_printf(arena, PRESET_AVATAR, slug(arena, preset->company).p);
}

static void get_presets(struct http_request *rq)
{
    size_t n;
    struct user user;
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    const struct company_preset *presets = company_presets(&n);
    if (care_guard(rq, &user) < 0)
        return;
    jw_arr(&w);
    for (size_t i = 0; i < n; i++) {
        jw_obj(&w);
        jw_kstr(&w, "preset", slug(rq->arena, presets[i].company));
        jw_kstr(&w, "name", str_c(presets[i].name));
        jw_kstr(&w, "companyName", str_c(presets[i].company));
        jw_kstr(&w, "personality", str_c(presets[i].personality));
        jw_kstr(&w, "companyInfo", str_c(presets[i].info));
        jw_kstr(&w, "avatar", preset_avatar(rq->arena, &presets[i]));
        jw_end_obj(&w);
    }
    jw_end_arr(&w);
    http_reply_jw(rq, 200, &w);
}

/* ---- making and changing ---- */

/* A failure that is not the client's, in the contract's words. */
static void reply_failure(struct http_request *rq, const struct err *e, const char *verb)
{
    struct err told = *e;
    if (e->code == ERR_INTERNAL_ERROR)
        err_set(&told, e->code, "Error %s agent: %s", verb, e->text);
    http_reply_error(rq, &told);
}

/* What the body says of the avatar, kept: *path is the picture's, empty for none. 1, 0 when it says nothing, -1. `old`:
 * the agent that is changed, NULL for none. Clients send back all of an agent as they saw it, which may be long ago. */
static int read_avatar(struct http_request *rq, const cJSON *body, const struct agent *old, struct str *path,
                       struct err *e)
{
    const cJSON *value = json_get(body, "avatar");
    if (!value)
        return 0;
    *path = STR("");
    if (cJSON_IsNull(value))
        return 1;
    if (!cJSON_IsString(value))
        return err_set(e, ERR_INVALID_REQUEST, "The avatar must be a string");
    struct str text = str_trim(str_c(value->valuestring));
    if (old && text.n && str_eq(text, agent_options(old, rq->arena).avatar))
        return 0;
    if (picture_of_text(api_of(rq)->pictures, text, rq->arena, path, e) == 0)
        return 1;
    return old && e->code == ERR_INVALID_REQUEST && picture_is_made(text) ? 0 : -1;
}

static void post_one(struct http_request *rq)
{
    struct err e;
    struct user user;
    struct agent agent;
    struct str avatar = STR("");
    if (care_guard(rq, &user) < 0)
        return;
    const cJSON *body = json_parse(rq->arena, rq->body, &e);
    if (!body || agent_read(body, true, rq->arena, &agent, NULL, &e) < 0 ||
        read_avatar(rq, body, NULL, &avatar, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    if (!avatar.n && json_str(body, "preset").n)
        avatar = preset_avatar(rq->arena, agent_preset(body));
    agent_set_avatar(&agent, avatar, rq->arena);
    if (agent_create(store_of(rq), user.id, &agent, rq->arena, &agent, &e) == 0) {
        reply_agent(rq, 201, &agent);
    } else {
        picture_drop(api_of(rq)->pictures, avatar);
        reply_failure(rq, &e, "creating");
    }
}

/* Stores the change; the picture that is no longer anybody's goes: the old one, or the new one when that fails. */
static int change_agent(struct http_request *rq, const struct agent *old, struct agent_change *change,
                        const struct str *avatar, struct agent *out, struct err *e)
{
    struct str old_avatar = agent_options(old, rq->arena).avatar; /* `out` may be `old` */
    change->to.id = old->id;
    if (avatar) {
        agent_set_avatar(&change->to, *avatar, rq->arena);
        change->set |= AGENT_SET_META;
    }
    int result = agent_update(store_of(rq), old->owner, change, rq->arena, out, e);
    if (avatar)
        picture_drop(api_of(rq)->pictures, result == 0 ? old_avatar : *avatar);
    return result;
}

static void put_one(struct http_request *rq)
{
    struct err e;
    struct user user;
    struct agent agent;
    struct agent_change change = {0};
    struct str avatar;
    int has_avatar = -1;
    if (care_guard(rq, &user) < 0)
        return;
    const cJSON *body = NULL;
    if (agent_get(store_of(rq), user.id, rq->params[0], rq->arena, &agent, &e) < 0 ||
        !(body = json_parse(rq->arena, rq->body, &e)) ||
        agent_read(body, false, rq->arena, &change.to, &change.set, &e) < 0 ||
        (has_avatar = read_avatar(rq, body, &agent, &avatar, &e)) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    if (change_agent(rq, &agent, &change, has_avatar ? &avatar : NULL, &agent, &e) == 0)
        reply_agent(rq, 200, &agent);
    else
        reply_failure(rq, &e, "updating");
}

static void delete_one(struct http_request *rq)
{
    struct err e;
    struct user user;
    struct agent agent;
    if (care_guard(rq, &user) < 0)
        return;
    if (agent_get(store_of(rq), user.id, rq->params[0], rq->arena, &agent, &e) < 0 ||
        agent_delete(store_of(rq), user.id, agent.id, &e) < 0) {
        reply_failure(rq, &e, "deleting");
        return;
    }
    picture_drop(api_of(rq)->pictures, agent_options(&agent, rq->arena).avatar);
    http_reply_json(rq, 200, STR("{\"message\":\"Agent deleted successfully\"}"));
}

/* ---- the avatar ---- */

static int find_file(struct http_request *rq, struct str *bytes, struct err *e)
{
    struct multipart m;
    struct multipart_part part;
    struct str type = http_request_header(rq, STR("content-type"));
    int more;
    *bytes = STR_NONE;
    if (multipart_init(&m, type.p ? type : STR(""), rq->body, e) < 0)
        return -1;
    while ((more = multipart_next(&m, &part, e)) == 1)
        if (!bytes->p && str_eqc(part.name, "avatar"))
            *bytes = part.body;
    if (more == 0 && !bytes->n)
        return err_set(e, ERR_INVALID_REQUEST, "A file named avatar is required");
    return more;
}

static void post_avatar(struct http_request *rq)
{
    struct err e;
    struct user user;
    struct agent agent;
    struct agent_change change = {0};
    struct str bytes, avatar;
    if (care_guard(rq, &user) < 0)
        return;
    if (agent_get(store_of(rq), user.id, rq->params[0], rq->arena, &agent, &e) < 0 || find_file(rq, &bytes, &e) < 0 ||
        picture_keep(api_of(rq)->pictures, bytes, rq->arena, &avatar, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    if (change_agent(rq, &agent, &change, &avatar, &agent, &e) == 0)
        reply_agent(rq, 200, &agent);
    else
        reply_failure(rq, &e, "updating");
}

/* ---- trying it ---- */

static int read_message(struct http_request *rq, struct str *text, struct err *e)
{
    const cJSON *body = json_parse(rq->arena, rq->body, e);
    *text = json_str(body, "message");
    *text = str_trim(text->p ? *text : STR(""));
    return body ? 0 : -1;
}

static void reply_tried(struct http_request *rq, const struct agent *agent, struct str reply, uint64_t ms)
{
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    jw_kstr(&w, "message", reply);
    jw_key(&w, "agent");
    jw_obj(&w);
    jw_kstr(&w, "_id", agent->id);
    jw_kstr(&w, "name", agent->name);
    jw_end_obj(&w);
    jw_kint(&w, "processingTime", (int64_t)ms);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

/* What the model's service says, and with which status, concerns the operator: its 401 is not the client's. */
static void reply_untried(struct http_request *rq, const struct err *e)
{
    struct err told = *e;
    if (e->code == ERR_UPSTREAM || e->code == ERR_UPSTREAM_UNREACHABLE) {
        log_warn("care", "model_failed", F_INT("status", e->status));
        err_set(&told, e->code, "The agent cannot answer now. Please try again.");
    }
    http_reply_error(rq, &told);
}

static void post_test(struct http_request *rq)
{
    struct err e;
    struct user user;
    struct agent agent;
    struct str text, reply;
    if (care_guard(rq, &user) < 0)
        return;
    if (agent_get(store_of(rq), user.id, rq->params[0], rq->arena, &agent, &e) < 0 || read_message(rq, &text, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    uint64_t begin = clock_mono_ms();
    http_needs_client(rq);
    if (care_try(api_of(rq)->care, &agent, text, rq->arena, &reply, &e) == 0)
        reply_tried(rq, &agent, reply, clock_mono_ms() - begin);
    else
        reply_untried(rq, &e);
}

#define FILE_BODY (LIMIT_HTTP_BODY_LARGE | HTTP_ANY_TYPE)
#define ROWS(at)                                                                                                       \
    {HTTP_GET, at, get_all, NULL, 0, "care", "The user's agents"},                                                     \
        {HTTP_POST, at, post_one, NULL, 0, "care", "Makes an agent"},                                                  \
        {HTTP_GET, at "/presets", get_presets, NULL, 0, "care", "What agents may be made of"},                         \
        {HTTP_GET, at "/:id", get_one, NULL, 0, "care", "One agent"},                                                  \
        {HTTP_PUT, at "/:id", put_one, NULL, 0, "care", "Changes an agent"},                                           \
        {HTTP_DELETE, at "/:id", delete_one, NULL, 0, "care", "Deletes an agent"},                                     \
        {HTTP_POST, at "/:id/test", post_test, NULL, 0, "care", "A reply of the agent, timed"},                        \
        {HTTP_POST, at "/:id/avatar", post_avatar, NULL, FILE_BODY, "care", "Gives an agent a picture"},

static const struct http_route routes[] = {ROWS("/api/agents") ROWS("/api/company-agents")};

const struct door door_care_agents = {routes, COUNT(routes), NULL};
