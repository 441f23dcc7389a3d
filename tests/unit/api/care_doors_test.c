/* A user's conversations where the store does not answer, and what an admin may see. */
#include "unit/api/api_env.h"

#define NO_STORE                                                                                                       \
    "{\"error\":\"Database temporarily unavailable. Please try again.\",\"message\":\"Database temporarily "
#define LIST "/api/conversations"

static char headers[2048]; /* of the user who asks */

/* Registers; the user's id, malloc'd, and from now on the one who asks. */
static char *be(const char *email)
{
    char body[256];
    snprintf(body, sizeof body, "{\"name\":\"Ada Moss\",\"email\":\"%s\",\"password\":\"Secret123\"}", email);
    struct reply r = env_post("/api/auth/register", body);
    assert_int_equal(r.status, 201);
    char *token = json_member(r.body, "token"), *id = json_member(r.body, "user._id");
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", token);
    free(token);
    reply_free(&r);
    return id;
}

static struct reply as_user(const char *method, const char *path, const char *body)
{
    return env_request(method, path, headers, body);
}

static char *start(void)
{
    struct reply r = as_user("POST", LIST, "{\"isCallSimulator\":true}");
    assert_int_equal(r.status, 201);
    char *id = json_member(r.body, "_id");
    reply_free(&r);
    return id;
}

static const struct row {
    const char *method, *end, *body;
    bool writes;
} rows[] = {
    {"GET", "", "", false},
    {"GET", "/messages", "", false},
    {"GET", "/events", "", false},
    {"PUT", "", "{\"title\":\"New\"}", true},
    {"PUT", "/end", "{}", true},
    {"PUT", "/update-title", "{}", true},
    {"POST", "/messages", "{\"content\":\"hello\",\"role\":\"user\"}", true},
    {"POST", "/messages", "{\"content\":\"hello\",\"role\":\"assistant\"}", true},
    {"POST", "/messages", "{\"content\":\"hello\",\"role\":\"system\"}", true},
    {"DELETE", "", "", true},
};

static void check_rows(const char *id, bool writes_only)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        char path[128];
        snprintf(path, sizeof path, LIST "/%s%s", id, rows[i].end);
        if (rows[i].writes || !writes_only)
            env_expect(as_user(rows[i].method, path, rows[i].body), 503, NO_STORE);
    }
}

static void a_store_that_is_not_there_is_told(void **state)
{
    (void)state;
    char *user = be("ada@example.com"), *id = start(), path[128];
    snprintf(path, sizeof path, LIST "/%s", id);
    struct reply before = as_user("GET", path, "");
    assert_int_equal(before.status, 200);
    atomic_store(&gate.reads_fail, true);
    check_rows(id, false);
    env_expect(as_user("GET", LIST, ""), 503, NO_STORE);
    env_expect(as_user("GET", LIST "?limit=5", ""), 503, NO_STORE);
    env_expect(as_user("POST", LIST "/reanalyze-sentiment", "{}"), 503, NO_STORE);
    atomic_store(&gate.reads_fail, false);
    atomic_store(&gate.writes_fail, true);
    check_rows(id, true);
    env_expect(as_user("POST", LIST, "{\"isCallSimulator\":true}"), 503, NO_STORE);
    atomic_store(&gate.writes_fail, false);
    struct reply after = as_user("GET", path, "");
    assert_string_equal(after.body, before.body);
    reply_free(&before);
    reply_free(&after);
    free(user);
    free(id);
}

static void make_admin(const char *id)
{
    struct arena *arena = arena_new("test");
    struct user_change change = {.to = {.id = str_c(id), .role = STR("admin")}, .set = USER_SET_ROLE};
    struct user changed;
    struct err e;
    if (store_user_update(env.store, arena, &change, &changed, &e) < 0)
        fail_msg("%s", e.text);
    arena_free(arena);
}

static void an_admin_may_see_anybodys_figures_and_nothing_else(void **state)
{
    (void)state;
    char *ada = be("ada@example.com"), *id = start(), stats[128], path[128];
    snprintf(stats, sizeof stats, LIST "/stats/user/%s", ada);
    snprintf(path, sizeof path, LIST "/%s", id);
    env_expect(as_user("GET", stats, ""), 200, "\"totalCalls\":1,");
    char *root = be("root@example.com");
    env_expect(as_user("GET", stats, ""), 403, "{\"error\":\"Unauthorized to access other user stats\"");
    make_admin(root);
    env_expect(as_user("GET", stats, ""), 200, "\"totalCalls\":1,");
    env_expect(as_user("GET", LIST "/stats/user/unknown", ""), 200, "\"totalCalls\":0,");
    env_expect(as_user("GET", path, ""), 404, "\"error\":\"Conversation not found\"");
    env_expect(as_user("DELETE", path, ""), 404, "\"error\":\"Conversation not found\"");
    free(ada);
    free(root);
    free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(a_store_that_is_not_there_is_told),
        ENV_TEST(an_admin_may_see_anybodys_figures_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
