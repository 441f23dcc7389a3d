#include "store/store.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "loop/task.h"
#include "store/store_driver.h"

#include <pthread.h>

static const double bounds[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                0.01,    0.025,  0.05,    0.1,    0.25,  1,      5};
static struct metric *seconds[STORE_OP_COUNT];
static struct metric *failures;

bool store_op_writes(enum store_op op)
{
    enum { READ, WRITE };
#define X(name, kind, in_type, out_type) [STORE_OP_##name] = kind,
    static const char kinds[] = {STORE_OPS(X)};
#undef X
    return kinds[op] == WRITE;
}

const char *store_op_name(enum store_op op)
{
#define X(name, kind, in_type, out_type) [STORE_OP_##name] = #name,
    static const char *const names[] = {STORE_OPS(X)};
#undef X
    return names[op];
}

int store_call_run(const struct store_ops *ops, void *conn, const struct store_call *call, struct err *e)
{
    switch (call->op) {
#define X(name, kind, in_type, out_type)                                                                               \
    case STORE_OP_##name:                                                                                              \
        return ops->name(conn, call->arena, call->in, call->out, e);
        STORE_OPS(X)
#undef X
    case STORE_OP_COUNT:
        break;
    }
    die("no store operation %d", (int)call->op);
}

static void metrics_once(void)
{
    for (enum store_op op = 0; op < STORE_OP_COUNT; op++) {
        struct buf labels = BUF_INIT(256);
        metric_label(&labels, "op", str_c(store_op_name(op)));
        seconds[op] = metric_histogram("parley_store_seconds", "Time a store operation took, waiting included",
                                       buf_cstr(&labels), bounds, COUNT(bounds), 1e-9);
        buf_free(&labels);
    }
    failures =
        metric_counter("parley_store_failures_total", "Store operations that failed for want of the store", NULL);
}

int store_open(const struct store_ops *driver, const struct store_config *config, struct store **out, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, metrics_once);
    return driver->open(config, out, e);
}

struct store *store_close(struct store *st)
{
    if (st)
        st->ops->close(st);
    return NULL;
}

const char *store_driver(const struct store *st)
{
    return st->ops->name;
}

bool store_is_up(const struct store *st)
{
    return !st->ops->is_up || st->ops->is_up(st);
}

struct blocking_call {
    struct store *st;
    const struct store_call *call;
    struct err *e;
    int result;
};

static void run_blocking(void *arg)
{
    struct blocking_call *b = arg;
    b->result = store_call_run(b->st->ops, b->st, b->call, b->e);
}

static int submit(struct store *st, const struct store_call *call, struct err *e)
{
    if (st->ops->submit)
        return st->ops->submit(st, call, e);
    if (!(st->ops->caps & STORE_BLOCKS) || !task_self())
        return store_call_run(st->ops, st, call, e);
    struct blocking_call b = {st, call, e, -1};
    return pool_call(run_blocking, &b, e) < 0 ? -1 : b.result;
}

static int run(struct store *st, const struct store_call *call, struct err *e)
{
    struct err own = {0}; /* counted below, whether or not the caller wants to know */
    uint64_t start = clock_mono_ns();
    int result = submit(st, call, &own);
    metric_observe(seconds[call->op], clock_mono_ns() - start);
    if (result == 0)
        return 0;
    if (own.code == ERR_STORE_UNAVAILABLE || own.code == ERR_INTERNAL_ERROR)
        metric_inc(failures);
    if (e)
        *e = own;
    return -1;
}

/* The result comes to *out only when all is well. */
#define X(op, kind, in_type, out_type)                                                                                 \
    static int run_##op(struct store *st, struct arena *a, const in_type *in, out_type *out, struct err *e)            \
    {                                                                                                                  \
        out_type result;                                                                                               \
        memset(&result, 0, sizeof result);                                                                             \
        if (run(st, &(struct store_call){STORE_OP_##op, a, in, &result}, e) < 0)                                       \
            return -1;                                                                                                 \
        if (out)                                                                                                       \
            *out = result;                                                                                             \
        return 0;                                                                                                      \
    }
STORE_OPS(X)
#undef X

/* ---- checks ---- */

static int check_text(struct str s, size_t max, const char *what, struct err *e)
{
    if (s.n > max)
        return err_set(e, ERR_INVALID_REQUEST, "%s is longer than %zu bytes", what, max);
    return 0;
}

static int check_id(struct str id, const char *what, struct err *e)
{
    if (id.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "%s is required", what);
    return check_text(id, LIMIT_ID, what, e);
}

static int check_ids(const struct str *ids, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (check_text(ids[i], LIMIT_ID, "id", e) < 0)
            return -1;
    return 0;
}

#define CHECK_IDS(e, ...)                                                                                              \
    check_ids((const struct str[]){__VA_ARGS__}, sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str), e)

/* A UUID of version 7 (RFC 9562): ids made one after the other sort that way, so a driver's index of ids grows at one
 * end and adding a message does not cost more the more there are. */
static struct str made_id(struct arena *a, struct str id)
{
    if (id.n)
        return id;
    char uuid[UUID_LEN + 1];
    rand_uuid(uuid);
    uint64_t us = (uint64_t)clock_wall_us(), ms = us / 1000;
    return arena_printf(a, "%08x-%04x-7%03x%s", (unsigned)(ms >> 16), (unsigned)(ms & 0xffff),
                        (unsigned)(us % 1000 * 4096 / 1000), uuid + 18);
}

static void set_now(int64_t *us)
{
    if (*us == 0)
        *us = clock_wall_us();
}

static unsigned page_limit(unsigned limit)
{
    return limit == 0 ? 100 : MIN(limit, (unsigned)STORE_PAGE);
}

/* ---- users and agents ---- */

static int check_user(const struct user *u, struct err *e)
{
    if (CHECK_IDS(e, u->id, u->role) < 0 || check_text(u->email, LIMIT_TITLE, "email", e) < 0 ||
        check_text(u->name, LIMIT_TITLE, "name", e) < 0 || check_text(u->avatar, KIB(8), "avatar", e) < 0 ||
        check_text(u->password_hash, LIMIT_TITLE, "password", e) < 0)
        return -1;
    return check_text(u->meta, LIMIT_MESSAGE_TEXT, "meta", e);
}

int store_user_create(struct store *st, struct arena *a, const struct user *user, struct user *out, struct err *e)
{
    if (check_user(user, e) < 0)
        return -1;
    if (user->email.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "email is required");
    struct user full = *user;
    full.id = made_id(a, full.id);
    set_now(&full.created_us);
    if (full.updated_us == 0)
        full.updated_us = full.created_us;
    return run_user_create(st, a, &full, out, e);
}

int store_user_get(struct store *st, struct arena *a, struct str id, struct user *out, struct err *e)
{
    return run_user_get(st, a, &id, out, e);
}

int store_user_by_email(struct store *st, struct arena *a, struct str email, struct user *out, struct err *e)
{
    return run_user_by_email(st, a, &email, out, e);
}

int store_user_update(struct store *st, struct arena *a, const struct user_change *change, struct user *out,
                      struct err *e)
{
    if (check_id(change->to.id, "user id", e) < 0 || check_user(&change->to, e) < 0)
        return -1;
    if ((change->set & USER_SET_EMAIL) && change->to.email.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "email is required");
    struct user_change full = *change;
    set_now(&full.to.updated_us);
    return run_user_update(st, a, &full, out, e);
}

/* ---- sessions ---- */

int store_session_create(struct store *st, const struct session *session, struct err *e)
{
    if (check_id(session->id, "session id", e) < 0 || check_id(session->user_id, "user id", e) < 0 ||
        check_id(session->token_hash, "token", e) < 0)
        return -1;
    struct session full = *session;
    set_now(&full.created_us);
    full.used_us = MAX(full.used_us, full.created_us);
    return run_session_create(st, NULL, &full, NULL, e);
}

int store_session_rotate(struct store *st, struct arena *a, const struct session_rotation *rotation,
                         struct session_rotated *out, struct err *e)
{
    if (check_id(rotation->token_hash, "token", e) < 0)
        return -1;
    struct session_rotation full = *rotation;
    set_now(&full.now_us);
    return run_session_rotate(st, a, &full, out, e);
}

int store_session_delete(struct store *st, struct str id, struct err *e)
{
    return run_session_delete(st, NULL, &id, NULL, e);
}

int store_session_clear(struct store *st, const struct session_clear *clear, int64_t *count, struct err *e)
{
    return run_session_clear(st, NULL, clear, count, e);
}

int store_session_purge(struct store *st, int64_t before_us, int64_t *count, struct err *e)
{
    return run_session_purge(st, NULL, &before_us, count, e);
}

/* ---- agents ---- */

static int check_agent(const struct agent *g, struct err *e)
{
    if (CHECK_IDS(e, g->id, g->owner) < 0 || check_text(g->name, LIMIT_TITLE, "name", e) < 0 ||
        check_text(g->company, LIMIT_TITLE, "company", e) < 0)
        return -1;
    const struct str texts[] = {g->personality, g->info, g->prompts, g->meta};
    for (size_t i = 0; i < COUNT(texts); i++)
        if (check_text(texts[i], LIMIT_MESSAGE_TEXT, "agent text", e) < 0)
            return -1;
    return 0;
}

int store_agent_create(struct store *st, struct arena *a, const struct agent *agent, struct agent *out, struct err *e)
{
    if (check_agent(agent, e) < 0)
        return -1;
    struct agent full = *agent;
    full.id = made_id(a, full.id);
    set_now(&full.created_us);
    if (full.updated_us == 0)
        full.updated_us = full.created_us;
    return run_agent_create(st, a, &full, out, e);
}

int store_agent_get(struct store *st, struct arena *a, const struct agent_ref *ref, struct agent *out, struct err *e)
{
    return run_agent_get(st, a, ref, out, e);
}

int store_agent_update(struct store *st, struct arena *a, const struct agent_change *change, struct agent *out,
                       struct err *e)
{
    if (check_agent(&change->to, e) < 0)
        return -1;
    struct agent_change full = *change;
    set_now(&full.to.updated_us);
    return run_agent_update(st, a, &full, out, e);
}

int store_agent_delete(struct store *st, const struct agent_ref *ref, struct err *e)
{
    return run_agent_delete(st, NULL, ref, NULL, e);
}

int store_agent_list(struct store *st, struct arena *a, const struct agent_query *query, struct agent_page *out,
                     struct err *e)
{
    struct agent_query full = *query;
    full.limit = page_limit(full.limit);
    return run_agent_list(st, a, &full, out, e);
}

/* ---- conversations ---- */

static int check_conversation(const struct conversation *c, struct err *e)
{
    if (CHECK_IDS(e, c->id, c->space, c->owner, c->agent_id, c->device_id, c->status) < 0 ||
        check_text(c->title, LIMIT_TITLE, "title", e) < 0)
        return -1;
    return check_text(c->meta, LIMIT_MESSAGE_TEXT, "meta", e);
}

static int check_message(const struct message *m, struct err *e)
{
    if (CHECK_IDS(e, m->id, m->client_id, m->role) < 0 || check_text(m->content, LIMIT_REPLY_TEXT, "content", e) < 0)
        return -1;
    return check_text(m->meta, LIMIT_MESSAGE_TEXT, "meta", e);
}

int store_conversation_create(struct store *st, struct arena *a, const struct store_append *append,
                              struct store_appended *out, struct err *e)
{
    struct store_append create = *append;
    create.mode = APPEND_NEW;
    return store_append(st, a, &create, out, e);
}

int store_conversation_get(struct store *st, struct arena *a, struct str id, struct conversation *out, struct err *e)
{
    return run_conversation_get(st, a, &id, out, e);
}

int store_conversation_update(struct store *st, struct arena *a, const struct conversation_change *change,
                              struct conversation *out, struct err *e)
{
    if (check_conversation(&change->to, e) < 0)
        return -1;
    struct conversation_change full = *change;
    set_now(&full.to.updated_us);
    return run_conversation_update(st, a, &full, out, e);
}

int store_conversation_delete(struct store *st, struct str id, struct err *e)
{
    return run_conversation_delete(st, NULL, &id, NULL, e);
}

int store_conversation_list(struct store *st, struct arena *a, const struct conversation_query *query,
                            struct conversation_page *out, struct err *e)
{
    struct conversation_query full = *query;
    full.limit = page_limit(full.limit);
    full.messages = MAX(full.messages, 0);
    return run_conversation_list(st, a, &full, out, e);
}

/* ---- messages ---- */

int store_append(struct store *st, struct arena *a, const struct store_append *append, struct store_appended *out,
                 struct err *e)
{
    if (append->n > STORE_APPEND)
        return err_set(e, ERR_INVALID_REQUEST, "more than %d messages at once", STORE_APPEND);
    if (append->mode == APPEND_EXISTING && check_id(append->conversation.id, "conversation id", e) < 0)
        return -1;
    if (check_conversation(&append->conversation, e) < 0)
        return -1;
    struct store_append full = *append;
    struct message *messages = arena_alloc(a, append->n * sizeof *messages);
    full.conversation.id = made_id(a, full.conversation.id);
    set_now(&full.conversation.created_us);
    full.conversation.updated_us = MAX(full.conversation.updated_us, full.conversation.created_us);
    for (size_t i = 0; i < append->n; i++) {
        if (check_message(&append->messages[i], e) < 0)
            return -1;
        messages[i] = append->messages[i];
        messages[i].id = made_id(a, messages[i].id);
        messages[i].conversation_id = full.conversation.id;
        set_now(&messages[i].created_us);
    }
    full.messages = messages;
    return run_append(st, a, &full, out, e);
}

int store_message_add(struct store *st, struct arena *a, const struct message *message, struct store_appended *out,
                      struct err *e)
{
    struct store_append append = {.conversation.id = message->conversation_id, .messages = message, .n = 1};
    return store_append(st, a, &append, out, e);
}

int store_turn_begin(struct store *st, struct arena *a, const struct turn_begin *turn, struct store_appended *out,
                     struct err *e)
{
    struct message messages[2] = {turn->user, turn->reply};
    messages[1].content = STR_NONE;
    messages[1].status = MESSAGE_STREAMING;
    if (messages[1].role.n == 0)
        messages[1].role = STR("assistant");
    struct store_append append = {.conversation = turn->conversation, .messages = messages, .n = 2};
    append.mode = turn->create ? APPEND_OR_CREATE : APPEND_EXISTING;
    struct store_appended appended;
    if (store_append(st, a, &append, &appended, e) < 0)
        return -1;
    if (appended.duplicate && appended.n > 1 && !str_eq(appended.messages[1].role, messages[1].role))
        appended.n = 1;
    *out = appended;
    return 0;
}

int store_message_get(struct store *st, struct arena *a, const struct message_ref *ref, struct message *out,
                      struct err *e)
{
    return run_message_get(st, a, ref, out, e);
}

int store_message_update(struct store *st, const struct message_change *change, struct err *e)
{
    if (check_message(&change->to, e) < 0)
        return -1;
    return run_message_update(st, NULL, change, NULL, e);
}

int store_message_list(struct store *st, struct arena *a, const struct message_query *query, struct message_page *out,
                       struct err *e)
{
    struct message_query full = *query;
    full.limit = page_limit(full.limit);
    full.after = MAX(full.after, 0);
    if (full.before <= 0)
        full.before = INT64_MAX;
    return run_message_list(st, a, &full, out, e);
}

int store_message_last(struct store *st, struct arena *a, struct str conversation_id, unsigned n,
                       struct message_page *out, struct err *e)
{
    struct message_query query = {.conversation_id = conversation_id, .newest = true, .limit = n};
    return store_message_list(st, a, &query, out, e);
}

int store_interrupt_streaming(struct store *st, int64_t *count, struct err *e)
{
    int64_t now = clock_wall_us();
    return run_interrupt_streaming(st, NULL, &now, count, e);
}

/* ---- settings, processed ids, usage ---- */

static int check_setting(const struct setting *setting, struct setting *full, struct err *e)
{
    if (check_id(setting->key, "setting", e) < 0 || CHECK_IDS(e, setting->owner) < 0 ||
        check_text(setting->value, LIMIT_MESSAGE_TEXT, "setting", e) < 0)
        return -1;
    *full = *setting;
    set_now(&full->updated_us);
    return 0;
}

int store_setting_put(struct store *st, const struct setting *setting, struct err *e)
{
    struct setting full;
    return check_setting(setting, &full, e) < 0 ? -1 : run_setting_put(st, NULL, &full, NULL, e);
}

int store_setting_add(struct store *st, const struct setting *setting, struct err *e)
{
    struct setting full;
    return check_setting(setting, &full, e) < 0 ? -1 : run_setting_add(st, NULL, &full, NULL, e);
}

int store_setting_get(struct store *st, struct arena *a, const struct setting_ref *ref, struct setting *out,
                      struct err *e)
{
    return run_setting_get(st, a, ref, out, e);
}

int store_setting_delete(struct store *st, const struct setting_ref *ref, struct err *e)
{
    return run_setting_delete(st, NULL, ref, NULL, e);
}

int store_setting_list(struct store *st, struct arena *a, struct str owner, struct setting_page *out, struct err *e)
{
    return run_setting_list(st, a, &owner, out, e);
}

int store_processed_add(struct store *st, const struct processed *processed, int64_t *is_new, struct err *e)
{
    if (check_id(processed->id, "message id", e) < 0 || CHECK_IDS(e, processed->device_id) < 0)
        return -1;
    struct processed full = *processed;
    set_now(&full.at_us);
    return run_processed_add(st, NULL, &full, is_new, e);
}

int store_processed_purge(struct store *st, int64_t before_us, int64_t *count, struct err *e)
{
    return run_processed_purge(st, NULL, &before_us, count, e);
}

int store_usage_add(struct store *st, const struct usage *usage, struct err *e)
{
    if (CHECK_IDS(e, usage->conversation_id, usage->message_id, usage->model) < 0)
        return -1;
    struct usage full = *usage;
    set_now(&full.at_us);
    return run_usage_add(st, NULL, &full, NULL, e);
}

int store_usage_total(struct store *st, const struct usage_query *query, struct usage_total *out, struct err *e)
{
    struct usage_query full = *query;
    if (full.until_us == 0)
        full.until_us = INT64_MAX;
    return run_usage_total(st, NULL, &full, out, e);
}

int store_stats(struct store *st, struct store_stats *out, struct err *e)
{
    int64_t nothing = 0;
    return run_stats(st, NULL, &nothing, out, e);
}

int store_check(struct store *st, struct arena *a, struct store_report *out, struct err *e)
{
    int64_t nothing = 0;
    return run_check(st, a, &nothing, out, e);
}
