/* Agents: what a body must have, the clients' texts for what it has not, optional members, and whose an agent is. */
#include "unit/support/unit.h"

#include "base/limits.h"
#include "base/rand.h"
#include "chat/agent.h"
#include "store/sqlite/sqlite_store.h"
#include "unit/support/temp_dir.h"

static char dir[TEMP_DIR_MAX];
static struct store *st;
static struct arena *a;
static struct err e;

static int setup(void **state)
{
    (void)state;
    temp_dir_make(dir);
    a = arena_new("test");
    struct store_config config = {.data_dir = dir};
    return store_open(&store_sqlite, &config, &st, &e);
}

static int teardown(void **state)
{
    (void)state;
    store_close(st);
    arena_free(a);
    temp_dir_remove(dir);
    return 0;
}

static cJSON *parse(const char *text)
{
    cJSON *tree = json_parse(a, str_c(text), &e);
    assert_non_null(tree);
    return tree;
}

static struct agent agent;
static unsigned set;

static int create_from(const char *text)
{
    return agent_read(parse(text), true, a, &agent, &set, &e);
}

static int update_from(const char *text)
{
    return agent_read(parse(text), false, a, &agent, &set, &e);
}

#define assert_refused(result, want)                                                                                   \
    do {                                                                                                               \
        assert_int_equal((result), -1);                                                                                \
        assert_int_equal(e.code, ERR_INVALID_REQUEST);                                                                 \
        assert_string_equal(e.text, (want));                                                                           \
    } while (0)

#define WHOLE   "\"name\":\" Ada \",\"companyName\":\"Acme\",\"personality\":\"calm\",\"companyInfo\":\"We sell anvils.\""
#define MISSING "Please provide all required fields"

static void whole(void **state)
{
    (void)state;
    assert_int_equal(create_from("{" WHOLE ",\"_id\":\"x\",\"__v\":7,\"userId\":\"other\",\"createdAt\":1}"), 0);
    assert_str(agent.name, "Ada");
    assert_str(agent.company, "Acme");
    assert_str(agent.personality, "calm");
    assert_str(agent.info, "We sell anvils.");
    assert_str(agent.prompts, "[]");
    assert_str(agent.meta, "{}");
    assert_true(agent.id.n == 0 && agent.owner.n == 0 && agent.created_us == 0);
    assert_int_equal(create_from("{" WHOLE ",\"prompts\":[\" one \",\"\",\"  \",\"t\\\"wo\"]}"), 0);
    assert_str(agent.prompts, "[\"one\",\"t\\\"wo\"]");
}

static void missing(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "[]",
        "null",
        "\"text\"",
        "{\"name\":\"Ada\",\"companyName\":\"Acme\",\"personality\":\"calm\"}",
        "{\"name\":\"Ada\",\"companyName\":\"Acme\",\"personality\":\"calm\",\"companyInfo\":\"  \\n\"}",
        "{\"name\":\"Ada\",\"companyName\":null,\"personality\":\"calm\",\"companyInfo\":\"x\"}",
        "{\"name\":\"\",\"companyName\":\"Acme\",\"personality\":\"calm\",\"companyInfo\":\"x\"}",
        "{\"companyName\":\"Acme\",\"personality\":\"calm\",\"companyInfo\":\"x\"}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++)
        assert_refused(create_from(bodies[i]), MISSING);
    assert_refused(update_from("[]"), MISSING);
    assert_refused(update_from("{\"name\":\" \"}"), MISSING);
}

/* n times the text, in the arena. */
static const char *times(const char *text, size_t n)
{
    size_t length = strlen(text);
    char *all = arena_alloc(a, n * length + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(all + i * length, text, length);
    all[n * length] = 0;
    return all;
}

static int update_text(const char *key, const char *text)
{
    return update_from(arena_printf(a, "{\"%s\":\"%s\"}", key, text).p);
}

static void lengths(void **state)
{
    (void)state;
    assert_int_equal(update_text("name", times("é", 50)), 0);
    assert_refused(update_text("name", times("é", 51)),
                   "Error updating agent: name cannot be longer than 50 characters");
    assert_int_equal(update_text("companyName", times("x", 100)), 0);
    assert_refused(update_text("companyName", times("x", 101)),
                   "Error updating agent: companyName cannot be longer than 100 characters");
    static const char *const texts[] = {"personality", "companyInfo", "systemPrompt"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(update_text(texts[i], times("x", LIMIT_AGENT_TEXT)), 0);
        assert_int_equal(update_text(texts[i], times("x", LIMIT_AGENT_TEXT + 1)), -1);
        assert_non_null(strstr(e.text, "cannot be longer than 32 KiB"));
    }
    assert_int_equal(update_text("voice", times("x", 128)), 0);
    assert_refused(update_text("voice", times("x", 129)),
                   "Error updating agent: voice cannot be longer than 128 bytes");
    const char *prompts = times("\"p\",", LIMIT_AGENT_PROMPTS);
    assert_int_equal(update_from(arena_printf(a, "{\"prompts\":[%s\" \"]}", prompts).p), 0);
    assert_refused(update_from(arena_printf(a, "{\"prompts\":[%s\"p\"]}", prompts).p),
                   "Error updating agent: prompts cannot be more than 64");
    assert_refused(update_from(arena_printf(a, "{\"prompts\":[\"%s\"]}", times("x", LIMIT_AGENT_PROMPT + 1)).p),
                   "Error updating agent: prompts cannot be longer than 4 KiB each");
}

static void types(void **state)
{
    (void)state;
    assert_refused(create_from("{\"name\":7}"), "Error creating agent: name must be a string");
    assert_refused(create_from("{" WHOLE ",\"prompts\":\"one\"}"),
                   "Error creating agent: prompts must be a list of strings");
    assert_refused(create_from("{" WHOLE ",\"prompts\":[1]}"), "Error creating agent: prompts must be strings");
    assert_refused(create_from("{" WHOLE ",\"systemPrompt\":{}}"),
                   "Error creating agent: systemPrompt must be a string");
    assert_refused(create_from("{" WHOLE ",\"responseStyle\":\"rude\"}"),
                   "Error creating agent: responseStyle must be one of: formal, casual, friendly, professional");
    static const char *const tokens[] = {"0", "4097", "1.5", "\"100\"", "true", "-1", "1e99"};
    for (size_t i = 0; i < COUNT(tokens); i++)
        assert_refused(update_from(arena_printf(a, "{\"maxTokens\":%s}", tokens[i]).p),
                       "Error updating agent: maxTokens must be an integer from 1 to 4096");
    static const char *const temperatures[] = {"-0.1", "2.1", "\"1\"", "[]"};
    for (size_t i = 0; i < COUNT(temperatures); i++)
        assert_refused(update_from(arena_printf(a, "{\"temperature\":%s}", temperatures[i]).p),
                       "Error updating agent: temperature must be a number from 0 to 2");
}

static void parts(void **state)
{
    (void)state;
    assert_int_equal(update_from("{}"), 0);
    assert_int_equal(set, 0);
    assert_int_equal(update_from("{\"name\":\"N\",\"prompts\":[]}"), 0);
    assert_int_equal(set, AGENT_SET_NAME | AGENT_SET_PROMPTS);
    assert_int_equal(update_from("{\"company\":\"C\"}"), 0);
    assert_int_equal(set, AGENT_SET_COMPANY);
    assert_str(agent.company, "C");
    assert_int_equal(update_from("{\"company\":\"C\",\"companyName\":\"D\"}"), 0);
    assert_str(agent.company, "D");
    assert_int_equal(update_from("{\"voice\":\"onyx\"}"), 0);
    assert_int_equal(set, AGENT_SET_META);
}

static void presets(void **state)
{
    (void)state;
    assert_int_equal(create_from("{\"preset\":\"pizza-hut\"}"), 0);
    assert_str(agent.company, "Pizza Hut");
    assert_true(agent.name.n && agent.personality.n && agent.info.n);
    assert_int_equal(create_from("{\"company\":\"AMAZON\",\"name\":\"Max\"}"), 0);
    assert_str(agent.company, "AMAZON");
    assert_str(agent.name, "Max");
    assert_true(agent.personality.n && agent.info.n);
    assert_refused(create_from("{\"preset\":\"acme\"}"), "Error creating agent: preset is none of /api/agents/presets");
    assert_refused(create_from("{\"preset\":7}"), "Error creating agent: preset is none of /api/agents/presets");
    assert_refused(create_from("{\"company\":\"acme\",\"name\":\"Max\"}"), MISSING);
    assert_refused(create_from("{\"preset\":\"--\"}"), "Error creating agent: preset is none of /api/agents/presets");
    assert_null(agent_preset(parse("{}")));
}

#define OPTIONS                                                                                                        \
    ",\"systemPrompt\":\" Be kind. \",\"responseStyle\":\"formal\",\"maxTokens\":300,\"temperature\":0,\"voice\":"     \
    "\"nova\",\"avatar\":\"/etc/passwd\""

static void options_read(void **state)
{
    (void)state;
    assert_int_equal(create_from("{" WHOLE OPTIONS "}"), 0);
    struct agent_options options = agent_options(&agent, a);
    assert_str(options.system_prompt, "Be kind.");
    assert_str(options.response_style, "formal");
    assert_str(options.voice, "nova");
    assert_str(options.avatar, ""); /* who stores it decides */
    assert_int_equal(options.max_tokens, 300);
    assert_true(options.temperature == 0);
    agent_set_avatar(&agent, STR("/public/avatars/a.png"), a);
    assert_str(agent_options(&agent, a).avatar, "/public/avatars/a.png");
    assert_str(agent_options(&agent, a).voice, "nova");
    static const char *const broken[] = {"",
                                         "{}",
                                         "[]",
                                         "{",
                                         "{\"maxTokens\":\"x\",\"temperature\":9,\"voice\":1}",
                                         "{\"responseStyle\":\"rude\",\"maxTokens\":-3}"};
    for (size_t i = 0; i < COUNT(broken); i++) {
        agent.meta = str_c(broken[i]);
        options = agent_options(&agent, a);
        assert_true(options.system_prompt.n == 0 && options.response_style.n == 0 && options.voice.n == 0 &&
                    options.avatar.n == 0 && options.max_tokens == 0 && options.temperature < 0);
    }
}

/* ---- stored ---- */

static struct agent created(const char *owner, const char *body)
{
    struct agent out;
    assert_int_equal(create_from(body), 0);
    assert_int_equal(agent_create(st, str_c(owner), &agent, a, &out, &e), 0);
    return out;
}

static void stored(void **state)
{
    (void)state;
    struct agent one = created("u1", "{" WHOLE OPTIONS "}"), got;
    assert_true(is_object_id(one.id));
    assert_str(one.owner, "u1");
    assert_true(one.created_us > 0 && one.created_us == one.updated_us);
    assert_int_equal(agent_get(st, STR("u1"), one.id, a, &got, &e), 0);
    assert_str(got.name, "Ada");
    assert_str(agent_options(&got, a).voice, "nova");
    struct agent empty = created("u1", "{" WHOLE ",\"voice\":\"\",\"maxTokens\":null}");
    assert_str(empty.meta, "{}");
    assert_true(!str_eq(empty.id, one.id));
}

static void changed(void **state)
{
    (void)state;
    struct agent one = created("u1", "{" WHOLE OPTIONS "}"), got;
    struct agent_change change = {0};
    assert_int_equal(agent_read(parse("{\"voice\":null,\"maxTokens\":7,\"responseStyle\":\"\",\"name\":\"Bob\"}"),
                                false, a, &change.to, &change.set, &e),
                     0);
    change.to.id = one.id;
    assert_int_equal(agent_update(st, STR("u1"), &change, a, &got, &e), 0);
    assert_str(got.name, "Bob");
    assert_str(got.company, "Acme");
    assert_int_equal(got.created_us, one.created_us);
    struct agent_options options = agent_options(&got, a);
    assert_int_equal(options.max_tokens, 7);
    assert_str(options.voice, "");
    assert_str(options.response_style, "");
    assert_str(options.system_prompt, "Be kind.");
    change = (struct agent_change){.to.id = one.id, .set = AGENT_SET_META};
    agent_set_avatar(&change.to, STR("/public/avatars/b.png"), a);
    assert_int_equal(agent_update(st, STR("u1"), &change, a, &got, &e), 0);
    assert_str(agent_options(&got, a).avatar, "/public/avatars/b.png");
    assert_int_equal(agent_options(&got, a).max_tokens, 7);
    agent_set_avatar(&change.to, STR(""), a);
    assert_int_equal(agent_update(st, STR("u1"), &change, a, &got, &e), 0);
    assert_str(agent_options(&got, a).avatar, "");
}

static void is_not_there(const char *owner, struct str id)
{
    struct agent got;
    struct agent_change change = {.to = {.id = id, .name = STR("Eve")}, .set = AGENT_SET_NAME};
    for (int i = 0; i < 3; i++) {
        int result = i == 0   ? agent_get(st, str_c(owner), id, a, &got, &e)
                     : i == 1 ? agent_update(st, str_c(owner), &change, a, &got, &e)
                              : agent_delete(st, str_c(owner), id, &e);
        assert_int_equal(result, -1);
        assert_int_equal(e.code, ERR_NOT_FOUND);
        assert_string_equal(e.text, "Agent not found");
    }
}

static void owners(void **state)
{
    (void)state;
    struct agent one = created("u1", "{" WHOLE "}"), got;
    is_not_there("u2", one.id);
    is_not_there("", one.id); /* to the store: whoever's */
    is_not_there("u1", STR(""));
    is_not_there("u1", STR("x"));
    is_not_there("u1", STR("000000000000000000000000"));
    is_not_there("u1", arena_printf(a, "%.*s ", STR_ARG(one.id)));
    assert_int_equal(agent_get(st, STR("u1"), one.id, a, &got, &e), 0);
    assert_str(got.name, "Ada");
    assert_int_equal(agent_delete(st, STR("u1"), one.id, &e), 0);
    is_not_there("u1", one.id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),   cmocka_unit_test(missing), cmocka_unit_test(lengths),      cmocka_unit_test(types),
        cmocka_unit_test(parts),   cmocka_unit_test(presets), cmocka_unit_test(options_read), cmocka_unit_test(stored),
        cmocka_unit_test(changed), cmocka_unit_test(owners),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
