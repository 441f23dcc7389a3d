/* Customer care on Socket.IO (dialect 003): start_conversation, user_message. Every message is answered `typing` true,
 * then `ai_response` or `error`, then `typing` false, whatever happens. */
#include "api/care_live_impl.h"

#include "base/limits.h"
#include "base/log.h"

/* ---- arguments ---- */

enum want { USER_ID, AGENT_ID, CONVERSATION_ID, MESSAGE, CLIENT_ID, SIMULATOR, AGENT_INFO, WANTS };

struct call {
    struct sio_message *m;
    struct api *api;
    struct json_want wants[WANTS];
    struct user user;
};

static struct call call_begin(struct sio_message *m)
{
    struct call call = {
        .m = m,
        .api = sio_owner(m->socket),
        .wants = {[USER_ID] = {.path = "userId"},
                  [AGENT_ID] = {.path = "agentId"},
                  [CONVERSATION_ID] = {.path = "conversationId"},
                  [MESSAGE] = {.path = "message"},
                  [CLIENT_ID] = {.path = "clientMessageId"},
                  [SIMULATOR] = {.path = "isCallSimulator"},
                  [AGENT_INFO] = {.path = "agentInfo"}},
    };
    struct json_iter args = sio_message_args(m);
    struct json_value first = {.type = JSON_NONE};
    json_each(&args, NULL, &first);
    if (first.type == JSON_OBJECT)
        json_scan(first.raw, call.wants, WANTS, NULL, NULL);
    return call;
}

/* Empty when it is absent or null. */
static int read_text(const struct call *call, enum want which, size_t max, struct str *out, struct err *e)
{
    const struct json_want *want = &call->wants[which];
    *out = STR("");
    if (want->value.type == JSON_NONE || want->value.type == JSON_NULL)
        return 0;
    if (want->value.type != JSON_STRING)
        return err_set(e, ERR_INVALID_REQUEST, "%s must be a string", want->path);
    *out = want_text(call->m->arena, &want->value);
    if (out->n > max)
        return err_set(e, ERR_INVALID_REQUEST, "%s is longer than %zu bytes", want->path, max);
    return 0;
}

/* ---- answers ---- */

static void tell_failure(const struct call *call, struct str message, const struct err *e)
{
    struct buf args = BUF_INIT(KIB(4));
    put_care_error(&args, message, e);
    live_tell(call->m->socket, STR("error"), buf_str(&args));
    buf_free(&args);
    live_ack_failure(call->m, e);
}

static void succeed(const struct call *call, struct str conversation_id)
{
    struct buf out = BUF_INIT(KIB(4));
    struct jw w = jw_begin(&out);
    jw_obj(&w);
    jw_kbool(&w, "ok", true);
    jw_kstr(&w, "conversationId", conversation_id);
    jw_end_obj(&w);
    live_ack(call->m, buf_str(&out));
    buf_free(&out);
}

/* ---- agents that the client describes ---- */

/* {name,company,personality,companyInfo,prompts} in the form of the API's own agents, and nothing else of it. */
static cJSON *agent_body(const cJSON *info, struct arena *arena, struct err *e)
{
    static const char *const members[] = {"name", "personality", "companyInfo", "prompts"};
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&text);
    const cJSON *company = json_get(info, "company");
    company = company ? company : json_get(info, "companyName");
    jw_obj(&w);
    for (size_t i = 0; i < COUNT(members); i++) {
        const cJSON *value = json_get(info, members[i]);
        if (!value)
            continue;
        jw_key(&w, members[i]);
        jw_tree(&w, value);
    }
    if (company) {
        jw_key(&w, "companyName");
        jw_tree(&w, company);
    }
    jw_end_obj(&w);
    cJSON *body = json_parse(arena, buf_str(&text), e);
    buf_free(&text);
    return body;
}

static int agent_of_info(const struct call *call, struct agent *agent, struct err *e)
{
    struct arena *arena = call->m->arena;
    unsigned set;
    const cJSON *info = json_parse(arena, call->wants[AGENT_INFO].value.raw, e);
    const cJSON *body = info ? agent_body(info, arena, e) : NULL;
    if (!body || agent_read(body, true, arena, agent, &set, e) < 0)
        return -1;
    agent->id = STR("");
    agent->owner = call->user.id;
    return 0;
}

/* The user's own agent of this id; otherwise the one that the client describes. */
static int find_agent(const struct call *call, struct str id, struct agent *agent, struct err *e)
{
    if (agent_get(chat_store(call->api->chat), call->user.id, id, call->m->arena, agent, e) == 0)
        return 0;
    return e->code == ERR_NOT_FOUND ? agent_of_info(call, agent, e) : -1;
}

/* ---- start_conversation ---- */

static int read_agent(const struct call *call, struct agent *agent, struct err *e)
{
    struct str id;
    bool named = read_text(call, AGENT_ID, LIMIT_ID, &id, e) == 0 && id.n;
    if (!named || call->wants[AGENT_INFO].value.type != JSON_OBJECT)
        return err_set(e, ERR_INVALID_REQUEST, "agentId and agentInfo are required for non-simulator conversations");
    return find_agent(call, id, agent, e);
}

static int start(struct call *call, struct care_started *started, struct err *e)
{
    struct sio_socket *s = call->m->socket;
    struct arena *arena = call->m->arena;
    bool simulator = call->wants[SIMULATOR].value.type == JSON_TRUE;
    struct str user_id;
    struct agent agent;
    if (read_text(call, USER_ID, LIMIT_ID, &user_id, e) < 0 || !user_id.n)
        return err_set(e, ERR_INVALID_REQUEST, "userId is required");
    if (care_live_user(s, user_id, arena, &call->user, e) < 0 || (!simulator && read_agent(call, &agent, e) < 0))
        return -1;
    struct care_start wish = {
        .channel = CARE_LIVE, .owner = call->user.id, .agent = simulator ? NULL : &agent, .speak = true};
    return care_start(call->api->care, &wish, arena, started, e);
}

void care_live_start(struct sio_message *m)
{
    struct call call = call_begin(m);
    struct care_started started;
    struct err e;
    if (start(&call, &started, &e) < 0) {
        tell_failure(&call, STR("Failed to start conversation"), &e);
        return;
    }
    struct buf args = BUF_INIT(SIZE_MAX / 2);
    care_live_enter(m->socket, call.user.id, started.view.conversation.id);
    put_conversation_started(&args, &started);
    live_tell(m->socket, STR("conversation_started"), buf_str(&args));
    buf_free(&args);
    succeed(&call, started.view.conversation.id);
}

/* ---- user_message ---- */

struct said {
    struct str user_id, conversation_id, text, client_id, agent_id;
    struct conversation conversation;
};

static int read_said(const struct call *call, struct said *said, struct err *e)
{
    if (read_text(call, CONVERSATION_ID, LIMIT_ID, &said->conversation_id, e) < 0 ||
        read_text(call, MESSAGE, LIMIT_MESSAGE_TEXT, &said->text, e) < 0 ||
        read_text(call, USER_ID, LIMIT_ID, &said->user_id, e) < 0 ||
        read_text(call, AGENT_ID, LIMIT_ID, &said->agent_id, e) < 0 ||
        read_text(call, CLIENT_ID, LIMIT_ID, &said->client_id, e) < 0)
        return -1;
    if (!said->conversation_id.n)
        return err_set(e, ERR_INVALID_REQUEST, "conversationId is required");
    return str_trim(said->text).n ? 0 : err_set(e, ERR_INVALID_REQUEST, "Message is required");
}

/* Who answers when the conversation has no agent of its own any more, or never had one that is stored: 1 and *agent; 0
 * when the client names nobody. */
static int stand_in(const struct call *call, const struct said *said, struct agent *agent, struct err *e)
{
    enum json_type info = call->wants[AGENT_INFO].value.type;
    if (call->wants[SIMULATOR].value.type == JSON_TRUE || info == JSON_NONE || info == JSON_NULL)
        return 0;
    if (info != JSON_OBJECT)
        return err_set(e, ERR_INVALID_REQUEST, "agentInfo must be an object");
    return find_agent(call, said->agent_id, agent, e) < 0 ? -1 : 1;
}

static struct agent copy_agent(const struct agent *agent, struct arena *arena)
{
    return (struct agent){.id = arena_str(arena, agent->id),
                          .owner = arena_str(arena, agent->owner),
                          .name = arena_str(arena, agent->name),
                          .company = arena_str(arena, agent->company),
                          .personality = arena_str(arena, agent->personality),
                          .info = arena_str(arena, agent->info),
                          .prompts = arena_str(arena, agent->prompts),
                          .meta = arena_str(arena, agent->meta),
                          .created_us = agent->created_us,
                          .updated_us = agent->updated_us};
}

static struct care_live_turn *turn_new(const struct call *call, const struct said *said, const struct agent *agent)
{
    struct arena *arena = arena_new("care_turn");
    struct care_live_turn *turn = arena_zalloc(arena, sizeof *turn);
    turn->arena = arena;
    turn->log_id = log_request_id ? arena_cstr(arena, str_c(log_request_id)) : NULL;
    turn->sender = care_room_of_socket(call->m->socket);
    turn->say = (struct care_say){.channel = CARE_LIVE,
                                  .owner = arena_str(arena, call->user.id),
                                  .conversation_id = arena_str(arena, said->conversation_id),
                                  .text = arena_str(arena, said->text),
                                  .client_id = arena_str(arena, said->client_id),
                                  .speak = true,
                                  .origin = live_origin(call->m->socket)};
    if (agent) {
        turn->agent = copy_agent(agent, arena);
        turn->say.agent = &turn->agent;
    }
    return turn;
}

/* The sender is in the conversation's room before the turn begins, so that it misses nothing of it. */
static int say(struct call *call, struct said *said, struct err *e)
{
    struct sio_socket *s = call->m->socket;
    struct arena *arena = call->m->arena;
    struct agent agent;
    if (read_said(call, said, e) < 0 || care_live_user(s, said->user_id, arena, &call->user, e) < 0 ||
        care_live_conversation(s, call->user.id, said->conversation_id, arena, &said->conversation, e) < 0)
        return -1;
    int named = stand_in(call, said, &agent, e);
    if (named < 0)
        return -1;
    care_live_enter(s, call->user.id, said->conversation_id);
    struct care_live_turn *turn = turn_new(call, said, named ? &agent : NULL);
    if (care_live_queue(live_here(s), turn, e) == 0)
        return 0;
    arena_free(turn->arena);
    return -1;
}

/* A message that was received is dealt with, also when its sender is gone by now. */
void care_live_message(struct sio_message *m)
{
    struct call call = call_begin(m);
    struct said said = {0};
    struct err e;
    task_shield();
    if (say(&call, &said, &e) == 0) {
        succeed(&call, said.conversation_id);
    } else {
        live_tell(m->socket, STR("typing"), STR("true"));
        tell_failure(&call, STR("Failed to process message"), &e);
        live_tell(m->socket, STR("typing"), STR("false"));
    }
    task_unshield();
}
