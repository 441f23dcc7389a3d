/* One document into the store: what is there already stays as it is. */
#include "app/import_impl.h"
#include "base/utf8.h"
#include "chat/account.h"

#define NAME_MAX_BYTES 200
#define HASH_LEN       60
#define TITLE          STR("Customer Service Conversation")

enum import_outcome import_outcome_of(const struct err *e)
{
    switch ((int)e->code) {
    case ERR_INVALID_REQUEST:
    case ERR_CONFLICT:
    case ERR_NOT_FOUND:
    case ERR_CONVERSATION_NOT_FOUND:
        return IMPORT_REFUSED;
    default:
        return IMPORT_FAILED;
    }
}

static enum import_outcome refuse(struct err *e, const char *why)
{
    err_set(e, ERR_INVALID_REQUEST, "%s", why);
    return IMPORT_REFUSED;
}

static enum import_outcome outcome(int result, const struct err *e)
{
    return result == 0 ? IMPORT_BROUGHT : import_outcome_of(e);
}

/* The first of these members that is a time. */
static int64_t time_of(const cJSON *object, const char *key, int64_t fallback)
{
    return import_time(json_get(object, key), fallback);
}

/* ---- users ---- */

static bool is_bcrypt(struct str hash)
{
    return hash.n == HASH_LEN &&
           (str_starts(hash, STR("$2a$")) || str_starts(hash, STR("$2b$")) || str_starts(hash, STR("$2y$")));
}

static struct str name_of(const cJSON *doc, struct str email)
{
    struct str name = str_trim(import_text(doc, "name"));
    if (!name.n)
        name = str_n(email.p, (size_t)str_find_char(email, '@'));
    return name.n <= NAME_MAX_BYTES ? name : str_n(name.p, utf8_floor(name.p, NAME_MAX_BYTES));
}

/* 0: there is no such user yet. */
static enum import_outcome look_for_user(struct import *im, const struct user *user, struct arena *arena, struct err *e)
{
    struct user other;
    if (store_user_get(im->store, arena, user->id, &other, e) == 0)
        return IMPORT_THERE;
    if (e->code != ERR_NOT_FOUND)
        return import_outcome_of(e);
    if (store_user_by_email(im->store, arena, user->email, &other, e) == 0)
        return refuse(e, "its e-mail is another user's");
    return e->code == ERR_NOT_FOUND ? IMPORT_BROUGHT : import_outcome_of(e);
}

enum import_outcome import_user(struct import *im, const cJSON *doc, struct arena *arena, struct err *e)
{
    struct account_form form = {.email = json_str(doc, "email")};
    struct str avatar = import_text(doc, "avatar"), id = import_id(json_get(doc, "_id"), arena);
    if (!id.n)
        return refuse(e, "its _id is no ObjectId");
    if (!form.email.p)
        return refuse(e, "it has no e-mail");
    if (!is_bcrypt(import_text(doc, "password")))
        return refuse(e, "its password is no bcrypt hash");
    if (account_check_form(&form, arena, e) < 0)
        return IMPORT_REFUSED;
    struct user user = {.id = id,
                        .email = form.email,
                        .name = name_of(doc, form.email),
                        .role = str_eqc(import_text(doc, "role"), "admin") ? STR("admin") : STR("user"),
                        .password_hash = import_text(doc, "password"),
                        .avatar = avatar.n <= LIMIT_TITLE ? avatar : STR("")};
    user.created_us = time_of(doc, "createdAt", import_id_time(id));
    user.updated_us = time_of(doc, "updatedAt", user.created_us);
    enum import_outcome found = look_for_user(im, &user, arena, e);
    return found == IMPORT_BROUGHT ? outcome(store_user_create(im->store, arena, &user, NULL, e), e) : found;
}

/* IMPORT_BROUGHT: there is such a user. */
static enum import_outcome check_owner(struct import *im, struct str owner, struct arena *arena, struct err *e)
{
    struct user user;
    if (!owner.n)
        return refuse(e, "it is nobody's");
    if (str_eqc(owner, im->owner))
        return IMPORT_BROUGHT;
    if (store_user_get(im->store, arena, owner, &user, e) < 0)
        return e->code == ERR_NOT_FOUND ? refuse(e, "its user is not there") : import_outcome_of(e);
    str_copy(im->owner, sizeof im->owner, owner);
    return IMPORT_BROUGHT;
}

/* ---- agents ---- */

static void put_text(struct jw *w, const char *key, const cJSON *doc, const char *from)
{
    struct str text = import_text(doc, from);
    if (text.n)
        jw_kstr(w, key, text);
}

static void put_number(struct jw *w, const char *key, const cJSON *doc)
{
    const cJSON *settings = json_get(doc, "settings"), *own = json_get(doc, key);
    double number = import_number(own ? own : json_get(settings, key), -1);
    if (number >= 0)
        jw_knum(w, key, number);
}

/* As a client would send it: then its rules are the same as everywhere. */
static const cJSON *agent_body(const cJSON *doc, struct arena *arena)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&text);
    jw_obj(&w);
    put_text(&w, "name", doc, "name");
    put_text(&w, "companyName", doc, json_str(doc, "companyName").n ? "companyName" : "company");
    put_text(&w, "personality", doc, "personality");
    put_text(&w, "companyInfo", doc, "companyInfo");
    if (cJSON_IsArray(json_get(doc, "prompts"))) {
        jw_key(&w, "prompts");
        jw_tree(&w, json_get(doc, "prompts"));
    }
    put_text(&w, "systemPrompt", doc, "systemPrompt");
    put_text(&w, "responseStyle", doc, "responseStyle");
    put_text(&w, "voice", doc, "voice");
    put_number(&w, "maxTokens", doc);
    put_number(&w, "temperature", doc);
    jw_end_obj(&w);
    const cJSON *body = json_parse(arena, buf_str(&text), NULL);
    buf_free(&text);
    return body;
}

enum import_outcome import_agent(struct import *im, const cJSON *doc, struct arena *arena, struct err *e)
{
    struct str id = import_id(json_get(doc, "_id"), arena), owner = import_id(json_get(doc, "userId"), arena);
    struct str avatar = import_text(doc, "avatar");
    struct agent agent, other;
    unsigned set;
    if (!id.n)
        return refuse(e, "its _id is no ObjectId");
    if (store_agent_get(im->store, arena, &(struct agent_ref){.id = id}, &other, e) == 0)
        return str_eq(other.owner, owner) ? IMPORT_THERE : refuse(e, "its id is another user's agent");
    if (e->code != ERR_NOT_FOUND)
        return import_outcome_of(e);
    enum import_outcome owned = check_owner(im, owner, arena, e);
    if (owned != IMPORT_BROUGHT)
        return owned;
    if (agent_read(agent_body(doc, arena), true, arena, &agent, &set, e) < 0)
        return IMPORT_REFUSED;
    if (avatar.n && avatar.n <= LIMIT_TITLE)
        agent_set_avatar(&agent, avatar, arena);
    agent.id = id;
    agent.owner = owner;
    agent.created_us = time_of(doc, "createdAt", import_id_time(id));
    agent.updated_us = time_of(doc, "updatedAt", agent.created_us);
    return outcome(store_agent_create(im->store, arena, &agent, NULL, e), e);
}

/* ---- conversations ---- */

static struct str status_of(const cJSON *doc)
{
    static const char *const states[] = {"active", "completed", "archived"};
    struct str status = import_text(doc, "status");
    for (size_t i = 0; i < COUNT(states); i++)
        if (str_eqc(status, states[i]))
            return str_c(states[i]);
    /* Only a conversation that was ended had its duration taken. */
    return import_number(json_get(json_get(doc, "metadata"), "duration"), 0) > 0 ? STR("completed") : STR("active");
}

static struct str title_of(const cJSON *doc)
{
    struct str title = str_trim(import_text(doc, "title"));
    if (!title.n)
        return TITLE;
    return title.n <= LIMIT_TITLE ? title : str_n(title.p, utf8_floor(title.p, LIMIT_TITLE));
}

static struct conversation read_conversation(const cJSON *doc, struct arena *arena)
{
    const cJSON *kept = json_get(doc, "metadata");
    struct str agent = import_id(json_get(doc, "agentId"), arena);
    struct conversation c = {
        .id = import_id(json_get(doc, "_id"), arena),
        .space = STR(CARE_SPACE),
        .owner = import_id(json_get(doc, "userId"), arena),
        .agent_id = agent.n ? agent : STR(""),
        .title = title_of(doc),
        .status = status_of(doc),
        .meta = agent.n ? STR("{\"simulator\":false}") : STR("{\"simulator\":true}"),
    };
    c.active = str_eqc(c.status, "active");
    c.created_us = time_of(kept, "created", time_of(doc, "createdAt", import_id_time(c.id)));
    c.updated_us = time_of(kept, "updated", time_of(doc, "updatedAt", c.created_us));
    return c;
}

/* How many of the messages are there: those of an import that was cut short, or
 * of one that came to its end. What was said since stays. */
static enum import_outcome find_rest(struct import *im, const struct conversation *c,
                                     const struct import_messages *messages, struct arena *arena, size_t *have,
                                     struct err *e)
{
    struct conversation found;
    struct message_page last;
    if (store_conversation_get(im->store, arena, c->id, &found, e) < 0)
        return e->code == ERR_CONVERSATION_NOT_FOUND ? IMPORT_BROUGHT : import_outcome_of(e);
    if (!str_eq(found.space, c->space) || !str_eq(found.owner, c->owner))
        return refuse(e, "its id is another conversation's");
    *have = MIN((size_t)found.message_count, messages->n);
    if ((size_t)found.message_count >= messages->n || found.message_count == 0)
        return IMPORT_THERE;
    if (store_message_last(im->store, arena, c->id, 1, &last, e) < 0)
        return import_outcome_of(e);
    if (last.n == 0 || !str_eq(last.items[0].id, messages->items[found.message_count - 1].id))
        *have = messages->n; /* it went on here: what the other side said since
                                cannot be put between */
    return IMPORT_THERE;
}

static int append_rest(struct import *im, const struct conversation *c, const struct import_messages *messages,
                       size_t from, bool fresh, struct err *e)
{
    int result = 0;
    do {
        struct arena *arena = arena_new("import");
        size_t n = MIN(messages->n - from, (size_t)STORE_APPEND);
        struct store_append append = {.conversation = *c,
                                      .mode = fresh ? APPEND_NEW : APPEND_EXISTING,
                                      .messages = messages->items + from,
                                      .n = n};
        result = store_append(im->store, arena, &append, NULL, e);
        arena_free(arena);
        if (result == 0)
            im->counts[IMPORT_MESSAGES].brought += n;
        from += n;
        fresh = false;
    } while (result == 0 && from < messages->n);
    return result;
}

enum import_outcome import_conversation(struct import *im, const cJSON *doc, struct arena *arena, struct err *e)
{
    struct conversation c = read_conversation(doc, arena);
    struct import_messages messages;
    size_t have = 0;
    if (!c.id.n)
        return refuse(e, "its _id is no ObjectId");
    enum import_outcome owned = check_owner(im, c.owner, arena, e);
    if (owned != IMPORT_BROUGHT)
        return owned;
    if (import_messages_read(im, doc, c.id, c.created_us, arena, &messages, e) < 0)
        return IMPORT_REFUSED;
    enum import_outcome found = find_rest(im, &c, &messages, arena, &have, e);
    if (found != IMPORT_BROUGHT && found != IMPORT_THERE)
        return found;
    im->counts[IMPORT_MESSAGES].there += have;
    if (found == IMPORT_THERE && have == messages.n)
        return IMPORT_THERE;
    return outcome(append_rest(im, &c, &messages, have, found == IMPORT_BROUGHT, e), e);
}
