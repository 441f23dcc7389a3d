/* A user's conversations (dialect 003): the private side of /api/conversations. */
#include "api/audio_files.h"
#include "api/care_impl.h"
#include "base/limits.h"
#include "base/rand.h"

#define METADATA_MAX KIB(16) /* bytes of what a client keeps with a conversation */

/* ---- what the rows share ---- */

void care_refuse(struct http_request *rq, struct err *e, const char *text)
{
    bool own = e->code == ERR_INTERNAL_ERROR || e->code == ERR_NOT_CONFIGURED || e->code == ERR_UPSTREAM ||
               e->code == ERR_UPSTREAM_UNREACHABLE || e->code == ERR_TIMEOUT;
    if (own)
        err_set(e, ERR_INTERNAL_ERROR, "%s", text);
    http_reply_error(rq, e);
}

int care_enter(struct http_request *rq, struct user *user)
{
    struct err e;
    if (care_guard(rq, user) < 0)
        return -1;
    if (is_object_id(rq->params[0]))
        return 0;
    err_set(&e, ERR_CONVERSATION_NOT_FOUND, NULL);
    http_reply_error(rq, &e);
    return -1;
}

static void put_owner(struct jw *w, const struct user *user)
{
    jw_key(w, "user");
    jw_obj(w);
    jw_kstr(w, "_id", user->id);
    jw_kstr(w, "name", user->name);
    jw_end_obj(w);
}

void put_care_document(struct jw *w, const struct care_view *view, const struct user *user, struct arena *arena,
                       void (*more)(struct jw *w))
{
    jw_obj(w);
    put_care_members(w, view, false, arena);
    put_owner(w, user);
    if (more)
        more(w);
    jw_end_obj(w);
}

static void reply_document(struct http_request *rq, int status, const struct care_view *view, const struct user *user,
                           void (*more)(struct jw *w))
{
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    put_care_document(&w, view, user, rq->arena, more);
    http_reply_jw(rq, status, &w);
}

static void invalid(struct http_request *rq, const char *text)
{
    struct err e;
    err_set(&e, ERR_INVALID_REQUEST, "%s", text);
    http_reply_error(rq, &e);
}

/* ---- POST /api/conversations ---- */

enum create_want { CREATE_SIMULATOR, CREATE_AGENT, CREATE_TITLE, CREATE_WANTS };

static void put_demo(struct jw *w)
{
    jw_key(w, "demoAgent");
    put_demo_agent(w);
}

static void start(struct http_request *rq, const struct user *user, const struct care_start *start)
{
    struct care_started started;
    struct err e;
    if (care_start(api_of(rq)->care, start, rq->arena, &started, &e) < 0)
        care_refuse(rq, &e, "Failed to create conversation");
    else
        reply_document(rq, 201, &started.view, user, start->agent ? NULL : put_demo);
}

static void start_with_agent(struct http_request *rq, const struct user *user, struct str id, struct str title)
{
    struct agent agent;
    struct err e;
    if (agent_get(chat_store(api_of(rq)->chat), user->id, id, rq->arena, &agent, &e) < 0)
        care_refuse(rq, &e, "Failed to create conversation");
    else
        start(rq, user, &(struct care_start){.owner = user->id, .agent = &agent, .title = title});
}

void care_post_one(struct http_request *rq)
{
    struct json_want wants[CREATE_WANTS] = {
        [CREATE_SIMULATOR] = {.path = "isCallSimulator"},
        [CREATE_AGENT] = {.path = "agentId"},
        [CREATE_TITLE] = {.path = "title"},
    };
    struct user user;
    struct err e;
    if (care_guard(rq, &user) < 0)
        return;
    if (rq->body.n && json_scan(rq->body, wants, CREATE_WANTS, NULL, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    bool simulator = wants[CREATE_SIMULATOR].value.type == JSON_TRUE;
    struct str agent = want_text(rq->arena, &wants[CREATE_AGENT].value);
    struct str title = str_trim(want_text(rq->arena, &wants[CREATE_TITLE].value));
    if (!simulator && str_trim(agent).n == 0)
        invalid(rq, "userId and agentId are required");
    else if (title.n > LIMIT_TITLE)
        invalid(rq, "Title is too long");
    else if (simulator)
        start(rq, &user, &(struct care_start){.owner = user.id, .title = title, .speak = true});
    else
        start_with_agent(rq, &user, agent, title);
}

/* ---- one conversation ---- */

static void reply_whole(struct http_request *rq, const struct user *user, bool judge, const char *failure)
{
    struct care_view view;
    struct err e;
    if (care_get(api_of(rq)->care, user->id, rq->params[0], STORE_ALL, judge, rq->arena, &view, &e) < 0)
        care_refuse(rq, &e, failure);
    else
        reply_document(rq, 200, &view, user, NULL);
}

void care_get_one(struct http_request *rq)
{
    struct user user;
    if (care_enter(rq, &user) == 0)
        reply_whole(rq, &user, true, "Failed to fetch conversation");
}

static bool is_status(struct str text)
{
    return str_eqc(text, "active") || str_eqc(text, "completed") || str_eqc(text, "archived");
}

/* What is kept goes into another object two levels deep, and is read by the stricter of the two readers. */
static int read_metadata(struct http_request *rq, struct str given, struct str *custom, struct err *e)
{
    if (given.n > METADATA_MAX)
        return err_set(e, ERR_INVALID_REQUEST, "Metadata is too large");
    if (!json_parse(rq->arena, arena_printf(rq->arena, "[[[[%.*s]]]]", STR_ARG(given)), e))
        return -1;
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    put_care_custom(&w, given);
    jw_end_obj(&w);
    *custom = buf_str(w.out);
    return 0;
}

enum change_want { CHANGE_TITLE, CHANGE_STATUS, CHANGE_METADATA, CHANGE_WANTS };

static int read_change(struct http_request *rq, struct care_change *change, struct err *e)
{
    struct json_want wants[CHANGE_WANTS] = {
        [CHANGE_TITLE] = {.path = "title"},
        [CHANGE_STATUS] = {.path = "status"},
        [CHANGE_METADATA] = {.path = "metadata"},
    };
    const struct json_value *title = &wants[CHANGE_TITLE].value, *status = &wants[CHANGE_STATUS].value,
                            *metadata = &wants[CHANGE_METADATA].value;
    enum json_type root;
    if (json_scan(rq->body, wants, CHANGE_WANTS, &root, e) < 0)
        return -1;
    if (root != JSON_OBJECT)
        return err_set(e, ERR_INVALID_REQUEST, NULL);
    change->title = str_trim(want_text(rq->arena, title));
    if (title->type != JSON_NONE && change->title.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "Title is required");
    if (change->title.n > LIMIT_TITLE)
        return err_set(e, ERR_INVALID_REQUEST, "Title is too long");
    change->status = want_text(rq->arena, status);
    if (status->type != JSON_NONE && !is_status(change->status))
        return err_set(e, ERR_INVALID_REQUEST, "Status must be active, completed or archived");
    if (metadata->type == JSON_OBJECT)
        return read_metadata(rq, metadata->raw, &change->custom, e);
    return metadata->type == JSON_NONE ? 0 : err_set(e, ERR_INVALID_REQUEST, "Metadata must be an object");
}

void care_put_one(struct http_request *rq)
{
    struct care_change change = {.id = rq->params[0]};
    struct care_view view;
    struct user user;
    struct err e;
    if (care_enter(rq, &user) < 0)
        return;
    change.owner = user.id;
    if (read_change(rq, &change, &e) < 0 || care_update(api_of(rq)->care, &change, rq->arena, &view, &e) < 0)
        care_refuse(rq, &e, "Failed to update conversation");
    else
        reply_whole(rq, &user, false, "Failed to update conversation");
}

void care_delete_one(struct http_request *rq)
{
    struct user user;
    struct err e;
    if (care_enter(rq, &user) < 0)
        return;
    if (care_delete(api_of(rq)->care, user.id, rq->params[0], &e) < 0)
        care_refuse(rq, &e, "Failed to delete conversation");
    else
        http_reply_json(rq, 200, STR("{\"message\":\"Conversation deleted successfully\"}"));
}

static void put_end(struct http_request *rq)
{
    struct care_view view;
    struct user user;
    struct err e;
    if (care_enter(rq, &user) < 0)
        return;
    if (care_end(api_of(rq)->care, user.id, rq->params[0], rq->arena, &view, &e) < 0)
        care_refuse(rq, &e, "Failed to end conversation");
    else
        reply_document(rq, 200, &view, &user, NULL);
}

static void put_title(struct http_request *rq)
{
    struct care_view view;
    struct user user;
    struct err e;
    if (care_enter(rq, &user) < 0)
        return;
    if (care_retitle(api_of(rq)->care, user.id, rq->params[0], rq->arena, &view, &e) < 0) {
        care_refuse(rq, &e, "Failed to update conversation title");
        return;
    }
    struct jw w = reply_writer(rq, KIB(8));
    jw_obj(&w);
    jw_kbool(&w, "success", true);
    jw_kstr(&w, "title", view.conversation.title);
    jw_kstr(&w, "message", STR("Conversation title updated successfully"));
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

/* ---- all of a user's ---- */

static void put_breakdown(struct jw *w, const struct care_stats *stats)
{
    static const enum sentiment shown[] = {SENTIMENT_POSITIVE, SENTIMENT_NEGATIVE, SENTIMENT_NEUTRAL, SENTIMENT_URGENT};
    jw_key(w, "sentimentBreakdown");
    jw_obj(w);
    for (size_t i = 0; i < COUNT(shown); i++)
        jw_kint(w, sentiment_name(shown[i]), stats->sentiments[shown[i]]);
    jw_end_obj(w);
}

static void put_stats(struct jw *w, const struct care_stats *stats)
{
    int64_t calls = MAX(stats->calls, 1);
    jw_obj(w);
    jw_kint(w, "totalCalls", stats->calls);
    jw_kint(w, "averageDuration", (stats->duration_total + calls / 2) / calls);
    if (stats->last_us)
        jw_kiso(w, "lastActivity", stats->last_us / 1000);
    else
        jw_knull(w, "lastActivity");
    put_breakdown(w, stats);
    jw_kint(w, "totalMessages", stats->messages);
    jw_key(w, "companiesInteractedWith");
    jw_arr(w);
    for (size_t i = 0; i < stats->ncompanies; i++)
        jw_str(w, stats->companies[i]);
    jw_end_arr(w);
    jw_end_obj(w);
}

static void get_stats(struct http_request *rq)
{
    struct care_stats stats;
    struct user user;
    struct err e;
    if (care_guard(rq, &user) < 0)
        return;
    if (!str_eq(user.id, rq->params[0]) && !str_eqc(user.role, "admin")) {
        err_set(&e, ERR_FORBIDDEN, "Unauthorized to access other user stats");
        http_reply_error(rq, &e);
        return;
    }
    if (care_stats(api_of(rq)->care, rq->params[0], rq->arena, &stats, &e) < 0) {
        care_refuse(rq, &e, "Failed to fetch user stats");
        return;
    }
    struct jw w = reply_writer(rq, KIB(16));
    put_stats(&w, &stats);
    http_reply_jw(rq, 200, &w);
}

static void post_reanalyse(struct http_request *rq)
{
    int64_t total, updated;
    struct user user;
    struct err e;
    if (care_guard(rq, &user) < 0)
        return;
    if (care_reanalyse(api_of(rq)->care, user.id, &total, &updated, &e) < 0) {
        care_refuse(rq, &e, "Failed to reanalyze sentiment");
        return;
    }
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    jw_kbool(&w, "success", true);
    jw_key(&w, "message");
    jw_str(&w, arena_printf(rq->arena, "Reanalyzed sentiment and fixed duration for %lld conversations",
                            (long long)updated));
    jw_kint(&w, "totalConversations", total);
    jw_kint(&w, "updatedConversations", updated);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

#define UPLOAD_MAX (AUDIO_FILE_MAX + MIB(1)) /* of a form with a recording and its transcript */

/* Each asks for a user's token itself, so none names a dialect that somebody else could have opened. */
static const struct http_route routes[] = {
    {HTTP_GET, "/api/conversations/:id/messages", care_get_messages, NULL, 0, NULL,
     "Messages of a user's conversation"},
    {HTTP_POST, "/api/conversations/:id/messages", care_post_message, NULL, 0, NULL, "Says something to the agent"},
    {HTTP_POST, "/api/conversations/:id/audio", care_post_audio, NULL, UPLOAD_MAX | HTTP_ANY_TYPE, NULL,
     "Says something to the agent, spoken"},
    {HTTP_PUT, "/api/conversations/:id/end", put_end, NULL, 0, NULL, "Ends a conversation"},
    {HTTP_PUT, "/api/conversations/:id/update-title", put_title, NULL, 0, NULL, "A new title by the model"},
    {HTTP_GET, "/api/conversations/stats/user/:id", get_stats, NULL, 0, NULL, "Figures of a user's conversations"},
    {HTTP_POST, "/api/conversations/reanalyze-sentiment", post_reanalyse, NULL, 0, NULL,
     "Judges all of a user's conversations again"},
};

const struct door door_care_conversations = {routes, COUNT(routes), NULL};
