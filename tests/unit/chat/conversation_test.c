/* Conversations as doors read and change them, and the history that models get. */
#include "unit/chat/turn_env.h"

#include "llm/tokens.h"

static void titles(struct env *env)
{
    static const char fifty[] = "0123456789012345678901234567890123456789012345678\xc3\xa9";
    static const char over[] = "0123456789012345678901234567890123456789012345678\xc3\xa9!";
    static const char emoji[] = "0123456789012345678901234567890123456789012345678\xf0\x9f\x9a\x8b";
    assert_str(conversation_title(env->a, STR("Hi")), "Hi");
    assert_str(conversation_title(env->a, str_c(fifty)), fifty);
    assert_str(conversation_title(env->a, str_c(over)), "0123456789012345678901234567890123456789012345678\xc3\xa9...");
    /* Two UTF-16 units that would be the 50th and 51st: not cut in halves. */
    assert_str(conversation_title(env->a, str_c(emoji)), "0123456789012345678901234567890123456789012345678...");
    assert_string_equal(message_status_name(MESSAGE_COMPLETE), "complete");
    assert_string_equal(message_status_name(MESSAGE_STREAMING), "streaming");
    assert_string_equal(message_status_name(MESSAGE_INTERRUPTED), "interrupted");
    assert_string_equal(message_status_name(MESSAGE_FAILED), "failed");
}

static void add(struct env *env, const char *id, const char *role, const char *text)
{
    struct message message = {.role = str_c(role), .content = str_c(text)};
    struct store_append append = {.conversation = {.id = str_c(id), .space = STR("chat")},
                                  .mode = APPEND_OR_CREATE,
                                  .messages = &message,
                                  .n = 1};
    assert_ok(env, store_append(env->st, env->a, &append, NULL, &env->e));
}

static void creating(struct env *env)
{
    struct conversation given = {.title = STR("T"), .meta = STR("{\"a\":1}")}, c;
    assert_ok(env, conversation_create(env->chat, &chat_scope_, &given, env->a, &c, &env->e));
    assert_int_equal(c.id.n, 36);
    assert_str(c.space, "chat");
    assert_str(c.owner, "");
    assert_str(c.title, "T");
    assert_int_equal(c.nmessages, 0);
    given.id = c.id;
    assert_refused(env, conversation_create(env->chat, &chat_scope_, &given, env->a, &c, &env->e), ERR_CONFLICT);
    struct chat_scope mine = {.space = "care", .owner = STR("me")};
    given.id = STR("mine");
    assert_ok(env, conversation_create(env->chat, &mine, &given, env->a, &c, &env->e));
    assert_str(c.owner, "me");
    assert_ok(env, conversation_get(env->chat, &mine, STR("mine"), 0, env->a, &c, &env->e));
    assert_str(c.meta, "{\"a\":1}");
}

static void scopes_are_disjoint(struct env *env)
{
    struct chat_scope scopes[] = {{.space = "chat"},
                                  {.space = "chat", .owner = STR("me")},
                                  {.space = "chat", .owner = STR("you")},
                                  {.space = "care", .owner = STR("me")}};
    static const char *const ids[] = {"a", "b", "c", "d"};
    struct conversation c;
    for (size_t i = 0; i < COUNT(scopes); i++) {
        struct conversation given = {.id = str_c(ids[i])};
        assert_ok(env, conversation_create(env->chat, &scopes[i], &given, env->a, &c, &env->e));
    }
    for (size_t i = 0; i < COUNT(scopes); i++) {
        for (size_t j = 0; j < COUNT(scopes); j++) {
            if (i == j) {
                assert_ok(env, conversation_get(env->chat, &scopes[i], str_c(ids[j]), 0, env->a, &c, &env->e));
                continue;
            }
            assert_refused(env, conversation_get(env->chat, &scopes[i], str_c(ids[j]), 0, env->a, &c, &env->e),
                           ERR_CONVERSATION_NOT_FOUND);
            assert_refused(env,
                           conversation_retitle(env->chat, &scopes[i], str_c(ids[j]), STR("x"), env->a, &c, &env->e),
                           ERR_CONVERSATION_NOT_FOUND);
            assert_refused(env, conversation_delete(env->chat, &scopes[i], str_c(ids[j]), &env->e),
                           ERR_CONVERSATION_NOT_FOUND);
        }
    }
    char long_id[LIMIT_ID + 1];
    memset(long_id, 'i', sizeof long_id);
    assert_refused(env, conversation_get(env->chat, &scopes[0], STR(""), 0, env->a, &c, &env->e),
                   ERR_CONVERSATION_NOT_FOUND);
    assert_refused(env, conversation_get(env->chat, &scopes[0], str_n(long_id, sizeof long_id), 0, env->a, &c, &env->e),
                   ERR_CONVERSATION_NOT_FOUND);
}

static void getting_the_last_messages(struct env *env)
{
    enum { N = STORE_PAGE + 5 };
    struct conversation c;
    for (unsigned i = 0; i < N / STORE_APPEND + 1; i++) {
        struct message messages[STORE_APPEND];
        size_t n = MIN(STORE_APPEND, N - i * STORE_APPEND);
        for (size_t k = 0; k < n; k++)
            messages[k] =
                (struct message){.role = STR("user"), .content = arena_printf(env->a, "%zu", i * STORE_APPEND + k + 1)};
        struct store_append append = {.conversation = {.id = STR("c1"), .space = STR("chat")},
                                      .mode = APPEND_OR_CREATE,
                                      .messages = messages,
                                      .n = n};
        assert_ok(env, store_append(env->st, env->a, &append, NULL, &env->e));
    }
    static const int64_t wanted[] = {0, 1, 3, STORE_PAGE, STORE_PAGE + 1, N, N + 1, STORE_ALL, -1};
    for (size_t i = 0; i < COUNT(wanted); i++) {
        size_t n = (size_t)MAX(MIN(wanted[i], N), 0);
        assert_ok(env, conversation_get(env->chat, &chat_scope_, STR("c1"), wanted[i], env->a, &c, &env->e));
        assert_int_equal(c.message_count, N);
        assert_int_equal(c.nmessages, n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(c.messages[k].seq, N - n + k + 1);
        if (n)
            assert_str(c.messages[n - 1].content, "1005");
    }
}

static void retitling(struct env *env)
{
    struct conversation c;
    char long_title[LIMIT_TITLE + 1];
    memset(long_title, 't', sizeof long_title);
    add(env, "c1", "user", "hello");
    assert_ok(env, conversation_retitle(env->chat, &chat_scope_, STR("c1"), STR("New"), env->a, &c, &env->e));
    assert_str(c.title, "New");
    assert_int_equal(c.nmessages, 1);
    assert_true(c.updated_us > c.created_us);
    assert_str(conversation_of(env, "c1").title, "New");
    assert_refused(env,
                   conversation_retitle(env->chat, &chat_scope_, STR("c1"), str_n(long_title, sizeof long_title),
                                        env->a, &c, &env->e),
                   ERR_INVALID_REQUEST);
    assert_refused(env, conversation_retitle(env->chat, &chat_scope_, STR("no"), STR("x"), env->a, &c, &env->e),
                   ERR_CONVERSATION_NOT_FOUND);
}

struct walk {
    struct buf seen;
    unsigned count, stop_after;
};

static int see(void *arg, const struct conversation *c, struct err *e)
{
    struct walk *w = arg;
    w->count++;
    buf_addf(&w->seen, "%.*s/%zu ", STR_ARG(c->id), c->nmessages);
    return w->stop_after && w->count == w->stop_after ? err_set(e, ERR_CONFLICT, "enough") : 0;
}

static void walking(struct env *env)
{
    struct walk w = {.seen = BUF_INIT(MIB(1))};
    struct conversation_walk walk = {.order = CONVERSATION_BY_CREATED, .messages = 2, .each = see, .arg = &w};
    assert_ok(env, conversation_walk(env->chat, &chat_scope_, &walk, &env->e));
    assert_int_equal(w.count, 0);
    for (unsigned i = 0; i < 450; i++) { /* more than two pages */
        struct conversation given = {.id = arena_printf(env->a, "c%u", i), .created_us = 1000 + i}, c;
        assert_ok(env, conversation_create(env->chat, &chat_scope_, &given, env->a, &c, &env->e));
    }
    struct conversation other = {.id = STR("other")}, c;
    struct chat_scope foreign = {.space = "chat", .owner = STR("me")};
    assert_ok(env, conversation_create(env->chat, &foreign, &other, env->a, &c, &env->e));
    for (unsigned i = 0; i < 3; i++)
        add(env, "c0", "user", "x");
    assert_ok(env, conversation_walk(env->chat, &chat_scope_, &walk, &env->e));
    assert_int_equal(w.count, 450);
    assert_true(str_starts(buf_str(&w.seen), STR("c449/0 c448/0 c447/0 ")));
    assert_true(str_ends(buf_str(&w.seen), STR("c1/0 c0/2 ")));
    buf_clear(&w.seen);
    walk.order = CONVERSATION_BY_UPDATED;
    w.count = 0;
    w.stop_after = 2;
    assert_refused(env, conversation_walk(env->chat, &chat_scope_, &walk, &env->e), ERR_CONFLICT);
    assert_str(buf_str(&w.seen), "c0/2 c449/0 ");
    buf_free(&w.seen);
}

/* ---- history ---- */

static void check_history(struct env *env, const char *const *want, size_t n)
{
    const struct scripted_request *seen = &env->llm->requests[atomic_load(&env->llm->nrequests) - 1];
    assert_int_equal(seen->nmessages, n);
    for (size_t i = 0; i < n; i++)
        assert_str(seen->messages[i].content, want[i]);
}
#define CHECK_HISTORY(env, ...)                                                                                        \
    check_history((env), (const char *const[]){__VA_ARGS__}, COUNT(((const char *const[]){__VA_ARGS__})))

/* Of budget 40: "Be brief." costs 3 + 4, the question "question" 2 + 4, so 27 are left. */
static void history_within_the_budget(struct env *env)
{
    add(env, "c1", "user", "a1");                     /* 1 + 4 */
    add(env, "c1", "assistant", "b1");                /* 1 + 4 */
    add(env, "c1", "system", "not for you");          /* left out, costs nothing */
    add(env, "c1", "user", "twentytwo chars long!!"); /* 6 + 4 */
    add(env, "c1", "assistant", "");                  /* a reply that failed: left out */
    add(env, "c1", "user", "four char here!!");       /* 4 + 4 */
    add(env, "c1", "assistant", "b3");                /* 1 + 4 */
    ask_and_wait(env, "c1", "question");
    CHECK_HISTORY(env, "Be brief.", "twentytwo chars long!!", "four char here!!", "b3", "question");
    const struct scripted_request *seen = &env->llm->requests[0];
    static const enum llm_role roles[] = {LLM_SYSTEM, LLM_USER, LLM_USER, LLM_ASSISTANT, LLM_USER};
    for (size_t i = 0; i < COUNT(roles); i++)
        assert_int_equal(seen->messages[i].role, roles[i]);

    /* A message that does not fit ends it: what is older would come without what it led to. */
    add(env, "c2", "user", "short");
    add(env, "c2", "user",
        "this one is much too long for a budget of twenty-seven tokens, since it has well over "
        "one hundred characters in it");
    add(env, "c2", "assistant", "ok");
    ask_and_wait(env, "c2", "question");
    CHECK_HISTORY(env, "Be brief.", "ok", "question");

    /* The question itself is always sent, and the persona with it. */
    char *large = mem_alloc(KIB(4));
    memset(large, 'q', KIB(4));
    large[KIB(4) - 1] = 0;
    add(env, "c3", "user", "x");
    ask_and_wait(env, "c3", large);
    CHECK_HISTORY(env, "Be brief.", large);
    free(large);

    static const struct chat_surface plain = {.space = "chat", .temperature = -1, .persona = ""};
    struct turn_request request = asking("c3", "question");
    request.surface = &plain;
    add(env, "c3", "user", "x");
    struct turn_ticket ticket = begin_turn(env, &request);
    outcome(env, &ticket);
    CHECK_HISTORY(env, "ok", "x", "question"); /* no empty system message */
}

static void history_budget(void **state)
{
    struct env env = {.history_tokens = 40};
    (void)state;
    env_run_with(&env, history_within_the_budget);
}

/* Many pages, all within the budget: complete, in order. */
static void history_of_many_pages(struct env *env)
{
    for (unsigned i = 0; i < 150; i++)
        add(env, "c1", i % 2 ? "assistant" : "user", arena_printf(env->a, "%u", i).p);
    ask_and_wait(env, "c1", "q");
    const struct scripted_request *seen = &env->llm->requests[0];
    assert_int_equal(seen->nmessages, 152);
    for (unsigned i = 0; i < 150; i++) {
        assert_str(seen->messages[i + 1].content, arena_printf(env->a, "%u", i).p);
        assert_int_equal(seen->messages[i + 1].role, i % 2 ? LLM_ASSISTANT : LLM_USER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(titles),    ENV_TEST(creating), ENV_TEST(scopes_are_disjoint),    ENV_TEST(getting_the_last_messages),
        ENV_TEST(retitling), ENV_TEST(walking),  cmocka_unit_test(history_budget), ENV_TEST(history_of_many_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
