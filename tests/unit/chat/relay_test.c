/* Stateless completions: what passes through, what is counted, what answers without a model. */
#include "unit/chat/turn_env.h"

#define BODY "{\"model\":\"gpt-x\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"odd\":[1]}"

static struct relay *open_relay(struct env *env, const struct relay_request *request, struct str *refusal)
{
    return relay_open(env->chat, request, env->a, refusal, &env->e);
}

static struct usage_total usage_of(struct env *env, const char *model)
{
    struct usage_query query = {.model = str_c(model)};
    struct usage_total total;
    while (task_count() > 1) /* usage is recorded beside */
        task_sleep(1, NULL);
    assert_ok(env, store_usage_total(env->st, &query, &total, &env->e));
    return total;
}

static void passes_through(struct env *env)
{
    static const struct step script[] = {
        RAW("{\"role\":1}"), SAY("{\"delta\":1}"), PAUSE(1), {STEP_FINISH, "stop", 0, 0}, SAY("{\"delta\":2}"),
        USAGE(7, 5),         RAW("{\"last\":1}"),  DONE};
    static const char *const want[] = {"{\"role\":1}", "{\"delta\":1}", "{\"delta\":2}", "{\"last\":1}"};
    struct relay_request request = {
        .body = STR(BODY), .default_model = "unused", .default_max_tokens = 9, .stream = true, .dialect = "v1"};
    struct str refusal, raw;
    scripted_set(env->llm, script);
    struct relay *relay = open_relay(env, &request, &refusal);
    assert_non_null(relay);
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(relay_next(relay, &raw, &env->e), 1);
        assert_str(raw, want[i]);
    }
    assert_int_equal(relay_next(relay, &raw, &env->e), 0);
    assert_int_equal(raw.n, 0);
    assert_null(relay_close(relay));
    const struct scripted_request *seen = &env->llm->requests[0];
    assert_str(seen->body, BODY);
    assert_str(seen->model, ""); /* the client named one */
    assert_int_equal(seen->max_tokens, 9);
    assert_true(seen->stream);
    assert_int_equal(seen->nmessages, 0);
    struct usage_total total = usage_of(env, "gpt-x");
    assert_int_equal(total.turns, 1);
    assert_int_equal(total.prompt_tokens, 7);
    assert_int_equal(total.completion_tokens, 5);
    struct store_stats stats;
    assert_ok(env, store_stats(env->st, &stats, &env->e));
    assert_int_equal(stats.conversations, 0);
    assert_int_equal(atomic_load(&env->llm->open), 0);
    assert_null(relay_close(NULL));
}

static void a_whole_reply_is_counted_too(struct env *env)
{
    static const struct step script[] = {WHOLE("{\"choices\":[]}"), USAGE(3, 4), DONE};
    struct relay_request request = {.body = STR("{}"), .default_model = "gpt-d", .dialect = "v1"};
    struct str raw;
    scripted_set(env->llm, script);
    struct relay *relay = open_relay(env, &request, NULL);
    assert_int_equal(relay_next(relay, &raw, &env->e), 1);
    assert_str(raw, "{\"choices\":[]}");
    relay_close(relay); /* the door asks for no more */
    assert_false(env->llm->requests[0].stream);
    assert_str(env->llm->requests[0].model, "gpt-d");
    assert_int_equal(usage_of(env, "gpt-d").completion_tokens, 4);
}

static void the_model_in_the_record(struct env *env)
{
    static const struct step script[] = {USAGE(1, 1), RAW("x"), DONE};
    struct buf body = BUF_INIT(KIB(4));
    scripted_set(env->llm, script);
    /* No name, an empty one, one that is no string, an escaped one, and one that is too long for a record. */
    static const char *const names[] = {NULL, "\"\"", "5", "\"gpt\\u002dy\"", NULL};
    static const char *const recorded[] = {"model-1", "model-1", "model-1", "gpt-y", NULL};
    for (size_t i = 0; i < COUNT(names); i++) {
        buf_clear(&body);
        buf_lit(&body, "{\"a\":1");
        if (names[i]) {
            buf_lit(&body, ",\"model\":");
            buf_str_add(&body, str_c(names[i]));
        }
        buf_lit(&body, "}");
        if (!recorded[i]) {
            buf_clear(&body);
            buf_addf(&body, "{\"model\":\"%0*d\"}", LIMIT_ID * 2, 0);
        }
        struct relay_request request = {.body = arena_str(env->a, buf_str(&body)), .stream = true, .dialect = "v1"};
        struct str raw;
        int64_t before = recorded[i] ? usage_of(env, recorded[i]).turns : usage_of(env, "").turns;
        struct relay *relay = open_relay(env, &request, NULL);
        assert_int_equal(relay_next(relay, &raw, &env->e), 1);
        relay_close(relay);
        assert_int_equal((recorded[i] ? usage_of(env, recorded[i]) : usage_of(env, "")).turns, before + 1);
    }
    buf_free(&body);
}

static void refusals_and_failures(struct env *env)
{
    static const struct step refused[] = {REFUSE(ERR_UPSTREAM, "{\"error\":\"no\"}")};
    static const struct step broken[] = {SAY("one"), FAIL_RAW(ERR_UPSTREAM, "{\"error\":\"cut\"}")};
    static const struct step cut[] = {FAIL(ERR_TIMEOUT)};
    struct relay_request request = {.body = STR(BODY), .stream = true, .dialect = "v1"};
    struct str refusal = STR_NONE, raw;
    scripted_set(env->llm, refused, broken, cut);
    assert_null(open_relay(env, &request, &refusal));
    assert_int_equal(env->e.code, ERR_UPSTREAM);
    assert_str(refusal, "{\"error\":\"no\"}");

    struct relay *relay = open_relay(env, &request, &refusal);
    assert_int_equal(relay_next(relay, &raw, &env->e), 1);
    assert_refused(env, relay_next(relay, &raw, &env->e), ERR_UPSTREAM);
    assert_str(raw, "{\"error\":\"cut\"}");
    relay_close(relay);

    relay = open_relay(env, &request, &refusal);
    assert_refused(env, relay_next(relay, &raw, &env->e), ERR_TIMEOUT);
    assert_int_equal(raw.n, 0);
    relay_close(relay);
    assert_int_equal(usage_of(env, "").turns, 0);

    request.body = STR("{\"model\":");
    assert_null(open_relay(env, &request, &refusal));
    assert_int_equal(env->e.code, ERR_INVALID_REQUEST);
}

struct client {
    struct env *env;
    struct task *task;
    struct err e;
    int result;
    bool done;
};

static void client_main(void *arg)
{
    struct client *client = arg;
    struct relay_request request = {.body = STR(BODY), .stream = true, .dialect = "v1"};
    struct str raw;
    client->task = task_self();
    struct relay *relay = relay_open(client->env->chat, &request, client->env->a, NULL, &client->e);
    while ((client->result = relay_next(relay, &raw, &client->e)) == 1)
        ;
    relay_close(relay);
    client->done = true;
}

static void a_client_that_goes_takes_its_call_along(struct env *env)
{
    static const struct step script[] = {USAGE(2, 1), SAY("one"), HANG};
    struct client client = {.env = env};
    scripted_set(env->llm, script);
    task_spawn("client", client_main, &client);
    assert_int_equal(atomic_load(&env->llm->open), 1);
    task_cancel(client.task);
    while (!client.done)
        task_yield(NULL);
    assert_int_equal(client.result, -1);
    assert_int_equal(client.e.code, ERR_CANCELLED);
    assert_int_equal(atomic_load(&env->llm->open), 0);
    assert_int_equal(usage_of(env, "gpt-x").prompt_tokens, 2); /* what was told is recorded all the same */
}

static void without_model(struct env *env)
{
    static const struct step script[] = {SAY("offline"), DONE};
    struct relay_request request = {.body = STR(BODY), .stream = true, .dialect = "v1"};
    struct str refusal = STR_NONE, raw;
    struct buf list = BUF_INIT(KIB(4));
    scripted_set(env->responder, script);
    assert_null(open_relay(env, &request, &refusal));
    assert_int_equal(env->e.code, ERR_NOT_CONFIGURED);
    request.offline = true;
    struct relay *relay = open_relay(env, &request, &refusal);
    assert_int_equal(relay_next(relay, &raw, &env->e), 1);
    assert_str(raw, "offline");
    relay_close(relay);
    assert_ok(env, relay_models(env->chat, &list, &env->e));
    assert_true(str_find(buf_str(&list), STR("\"responder\"")) >= 0);
    buf_free(&list);
}

static void relays_without_model(void **state)
{
    struct env env = {.no_model = true};
    (void)state;
    env_run_with(&env, without_model);
}

static void models(struct env *env)
{
    struct buf list = BUF_INIT(KIB(4));
    assert_true(chat_has_model(env->chat));
    assert_ok(env, relay_models(env->chat, &list, &env->e));
    assert_true(str_find(buf_str(&list), STR("\"model-1\"")) >= 0);
    buf_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(passes_through),
        ENV_TEST(a_whole_reply_is_counted_too),
        ENV_TEST(the_model_in_the_record),
        ENV_TEST(refusals_and_failures),
        ENV_TEST(a_client_that_goes_takes_its_call_along),
        cmocka_unit_test(relays_without_model),
        ENV_TEST(models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
