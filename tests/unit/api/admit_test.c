/* Who may come in: every dialect, in development and production, open or not, with the token or without. */
#include "unit/api/api_env.h"

#include "auth/jwt.h"
#include "base/clock.h"

enum credential {
    NOBODY,
    BEARER,
    WRONG_BEARER,
    QUERY,
    USER_BEARER,
    USER_ALONE, /* a user's token without "Bearer" */
    USER_QUERY,
    EXPIRED,
    FORGED,
    CREDENTIALS
};
#define TEXT_MAX 512
static char bearer_lines[CREDENTIALS][TEXT_MAX] = {
    [BEARER] = "Authorization: Bearer " TOKEN "\r\n", [WRONG_BEARER] = "Authorization: Bearer not-it\r\n"};
static char user_token[TEXT_MAX];

static void sign(char out[TEXT_MAX], const char *key, int64_t exp)
{
    char claims[128];
    struct buf token = BUF_INIT(TEXT_MAX - 1);
    snprintf(claims, sizeof claims, "{\"userId\":\"65f0c0ffee65f0c0ffee0001\",\"exp\":%lld}", (long long)exp);
    assert_int_equal(jwt_sign(str_c(key), str_c(claims), &token, NULL), 0);
    str_copy(out, TEXT_MAX, buf_str(&token));
    buf_free(&token);
}

static int sign_tokens(void **state)
{
    (void)state;
    char token[TEXT_MAX];
    int64_t now = clock_wall_ms() / 1000;
    sign(user_token, JWT_KEY, now + 3600);
    snprintf(bearer_lines[USER_BEARER], TEXT_MAX, "Authorization: Bearer %.400s\r\n", user_token);
    snprintf(bearer_lines[USER_ALONE], TEXT_MAX, "Authorization: %.400s\r\n", user_token);
    sign(token, JWT_KEY, now - 1);
    snprintf(bearer_lines[EXPIRED], TEXT_MAX, "Authorization: Bearer %.400s\r\n", token);
    sign(token, "a key of somebody else, 0123456789", now + 3600);
    snprintf(bearer_lines[FORGED], TEXT_MAX, "Authorization: Bearer %.400s\r\n", token);
    return 0;
}

struct probe {
    const char *dialect; /* "" for those that are always open */
    const char *method, *path, *body;
    bool upgrade;
};

static const struct probe probes[] = {
    {"aimcs", "GET", "/ws/audio", "", true},
    {"aimcs", "GET", "/", "", true},
    {"aimcs", "GET", "/api/status", "", false},
    {"aimcs", "POST", "/api/chat", "{\"message\":\"x\"}", false},
    {"aimcs", "POST", "/aimcs/api/chat", "{\"message\":\"x\"}", false},
    {"openai", "POST", "/api/chat", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", false},
    {"openai", "POST", "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", false},
    {"openai", "GET", "/v1/models", "", false},
    {"chat", "POST", "/api/chat", "{\"message\":\"x\",\"stream\":true}", false},
    {"chat", "POST", "/conversations/api/chat", "{\"message\":\"x\"}", false},
    {"chat", "GET", "/api/conversations/none", "", false},
    {"chat", "GET", "/api/conversations/none/events", "", false},
    {"chat", "POST", "/api/conversations/none/cancel", "", false},
    {"pichat", "GET", "/ws", "", true},
    {"", "GET", "/", "", false},
    {"", "GET", "/health", "", false},
    {"", "GET", "/health/live", "", false},
    {"", "GET", "/health/ready", "", false},
    {"", "GET", "/api/health", "", false},
    {"", "GET", "/openapi.json", "", false},
};

/* The path with the token as its query, when that is how the client shows it. */
static const char *path_of(const struct probe *p, enum credential credential, char *out, size_t cap)
{
    if (credential == USER_QUERY)
        snprintf(out, cap, "%s?token=%s", p->path, user_token);
    else
        snprintf(out, cap, "%s%s", p->path, credential == QUERY ? "?token=" TOKEN : "");
    return out;
}

static int status_of(const struct probe *p, enum credential credential)
{
    char path[1024], headers[1024];
    path_of(p, credential, path, sizeof path);
    if (p->upgrade) {
        struct ws_client c;
        snprintf(headers, sizeof headers, "%s%s", WS_USUAL, bearer_lines[credential]);
        wsc_try(&c, env.ports[0], path, headers);
        int status = (int)strtol(c.head + 9, NULL, 10);
        wsc_free(&c);
        return status;
    }
    struct reply r = env_request(p->method, path, bearer_lines[credential], p->body);
    if (r.status == 401)
        assert_str(reply_header(&r, "WWW-Authenticate"), "Bearer");
    int status = r.status;
    reply_free(&r);
    return status;
}

static bool is_open(const struct probe *p)
{
    bool open = !env.options.production || !p->dialect[0];
    for (size_t i = 0; i < COUNT(env.options.open); i++)
        open |= env.options.open[i] && strcmp(env.options.open[i], p->dialect) == 0;
    return open;
}

/* What is not the API token is taken for a user's: on the private side's path it is asked for, and there are no users.
 */
static bool means_private(const struct probe *p, enum credential credential)
{
    return bearer_lines[credential][0] && credential != BEARER && strncmp(p->path, "/api/conversations/", 19) == 0;
}

static void check(const struct probe *p, enum credential credential)
{
    bool in = is_open(p) || credential == BEARER || credential == USER_BEARER || credential == USER_ALONE ||
              ((credential == QUERY || credential == USER_QUERY) && p->upgrade);
    int got = status_of(p, credential), refused = p->upgrade ? 403 : 401;
    bool let_in = got != refused;
    if (let_in != (in && !means_private(p, credential)) || (p->upgrade && in && got != 101))
        fail_msg("%s %s with credential %d: %d", p->method, p->path, (int)credential, got);
}

static void check_all(const struct env_options *options)
{
    env_start(options);
    for (size_t i = 0; i < COUNT(probes); i++)
        for (enum credential credential = NOBODY; credential < CREDENTIALS; credential++)
            check(&probes[i], credential);
    env_stop();
}

static void development_is_open(void **state)
{
    (void)state;
    check_all(&(struct env_options){0});
}

static void production_is_closed(void **state)
{
    (void)state;
    check_all(&(struct env_options){.production = true});
}

static void production_opens_what_is_named(void **state)
{
    static const char *const dialects[] = {"aimcs", "openai", "chat", "pichat"};
    (void)state;
    for (size_t i = 0; i < COUNT(dialects); i++)
        check_all(&(struct env_options){.production = true, .open = {dialects[i]}});
    check_all(&(struct env_options){.production = true, .open = {"chat", "aimcs"}});
}

static void the_proxy_refuses_in_plain_text(void **state)
{
    (void)state;
    env_start(&(struct env_options){.production = true, .open = {"aimcs"}});
    struct reply r = env_post("/api/chat", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    assert_int_equal(r.status, 401);
    assert_string_equal(r.body, "Please authenticate.");
    assert_str(reply_header(&r, "Content-Type"), "text/plain; charset=utf-8");
    reply_free(&r);
    env_expect(env_post("/v1/chat/completions", "{}"), 401, "\"type\":\"authentication_error\"");
    env_expect(env_post("/api/chat", "{\"message\":\"x\",\"stream\":true}"), 401, "\"code\":\"UNAUTHORIZED\"");
    env_stop();
}

static void metrics_need_the_token_in_production(void **state)
{
    (void)state;
    env_start(&(struct env_options){.production = true});
    env_expect(env_get("/metrics"), 401, "UNAUTHORIZED");
    env_expect(env_request("GET", "/metrics", bearer_lines[USER_BEARER], ""), 401, "UNAUTHORIZED");
    env_expect(env_request("GET", "/metrics", bearer_lines[BEARER], ""), 200, "parley_turns_total");
    env_stop();
}

/* Following a log needs more than the path's own dialect: the conversation's must be open to the client as well. */
static void logs_of_closed_dialects_are_not_found(void **state)
{
    (void)state;
    char path[128];
    env_start(&(struct env_options){.production = true, .open = {"chat"}});
    struct reply r = env_request("POST", "/aimcs/api/chat", bearer_lines[BEARER], "{\"message\":\"secret\"}");
    char *id = json_member(r.body, "conversationId");
    assert_non_null(id);
    reply_free(&r);
    snprintf(path, sizeof path, "/api/conversations/%s/events", id);
    env_expect(env_get(path), 404, "CONVERSATION_NOT_FOUND");
    env_expect(env_request("HEAD", path, bearer_lines[BEARER], ""), 200, "");
    snprintf(path, sizeof path, "/api/conversations/%s/cancel", id);
    env_expect(env_post(path, ""), 404, "CONVERSATION_NOT_FOUND");
    env_expect(env_request("POST", path, bearer_lines[BEARER], ""), 200, "\"cancelled\":false");
    free(id);
    env_stop();
}

static void a_reload_changes_who_may_come(void **state)
{
    (void)state;
    static const char *const open[] = {"aimcs"};
    env_start(&(struct env_options){.production = true});
    env_expect(env_get("/api/status"), 401, "UNAUTHORIZED");
    api_reconfigure(env.api, &(struct api_config){.api_token = "another", .open_dialects = open, .nopen_dialects = 1});
    env_expect(env_get("/api/status"), 200, "activeConnections");
    env_expect(env_request("GET", "/v1/models", bearer_lines[BEARER], ""), 401, "UNAUTHORIZED");
    env_expect(env_request("GET", "/v1/models", "Authorization: Bearer another\r\n", ""), 200, "puppet-1");
    env_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(development_is_open),
        cmocka_unit_test(production_is_closed),
        cmocka_unit_test(production_opens_what_is_named),
        cmocka_unit_test(the_proxy_refuses_in_plain_text),
        cmocka_unit_test(metrics_need_the_token_in_production),
        cmocka_unit_test(logs_of_closed_dialects_are_not_found),
        cmocka_unit_test(a_reload_changes_who_may_come),
    };
    return cmocka_run_group_tests(tests, sign_tokens, NULL);
}
