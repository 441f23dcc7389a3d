/* POST /api/chat is three dialects on one path, /api/conversations two: which requests mean which. And what an error
 * looks like on each path. */
#include "unit/api/api_env.h"

enum profile { AIMCS, CONVERSATIONS, OPENAI };

static const struct decision {
    const char *body, *headers;
    enum profile wanted;
} decisions[] = {
#define FETCH "Accept: */*\r\n"
#define AXIOS "Accept: application/json, text/plain, */*\r\n"
#define SSE   "Accept: text/event-stream\r\n"
#define SAYS  "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]"
    /* (a) messages, or an event stream wanted */
    {"{" SAYS "}", "", OPENAI},
    {"{" SAYS "}", AXIOS, OPENAI},
    {"{" SAYS ",\"conversationId\":\"c\",\"context\":{}}", FETCH, OPENAI},
    {"{\"messages\":null,\"message\":\"x\"}", "", OPENAI},
    {"{\"message\":\"x\"}", SSE, OPENAI},
    {"{\"message\":\"x\",\"conversationId\":null}", "Accept: application/json, text/event-stream;q=0.9\r\n", OPENAI},
    /* (b) a conversation */
    {"{\"message\":\"x\",\"conversationId\":null}", FETCH, CONVERSATIONS},
    {"{\"message\":\"x\",\"stream\":false}", "", CONVERSATIONS},
    {"{\"message\":\"x\",\"forceAgent\":\"y\"}", FETCH, CONVERSATIONS},
    {"{\"message\":\"x\",\"context\":{},\"stream\":true}", FETCH, CONVERSATIONS},
    /* (c) a context */
    {"{\"message\":\"x\",\"context\":{}}", AXIOS, AIMCS},
    {"{\"message\":\"x\",\"context\":null}", AXIOS, AIMCS},
    {"{\"message\":\"x\",\"audioData\":\"\"}", AXIOS, AIMCS},
    /* (d) a bare message */
    {"{\"message\":\"x\"}", AXIOS, CONVERSATIONS},
    {"{\"message\":\"x\"}", "Accept: application/json;q=0.5\r\n", CONVERSATIONS},
    {"{\"message\":\"x\"}", FETCH, AIMCS},
    {"{\"message\":\"x\"}", "", AIMCS},
    {"{\"message\":\"x\",\"other\":{\"messages\":[],\"stream\":1}}", "", AIMCS},
    /* said outright */
    {"{\"message\":\"x\"}", AXIOS "X-Chat-Profile: aimcs\r\n", AIMCS},
    {"{\"message\":\"x\",\"context\":{}}", "X-Chat-Profile: Conversations\r\n", CONVERSATIONS},
    {"{\"message\":\"x\",\"context\":{}}", "X-Chat-Profile: chat\r\n", CONVERSATIONS},
    {"{" SAYS ",\"message\":\"x\"}", "X-Chat-Profile: aimcs\r\n", AIMCS},
    {"{" SAYS "}", "X-Chat-Profile: openai\r\n", OPENAI},
};

/* Told by what only that dialect's answer has. */
static enum profile profile_of(const struct reply *r)
{
    if (str_eqc(reply_header(r, "Content-Type"), "text/event-stream"))
        return OPENAI;
    if (str_eqc(reply_header(r, "Content-Type"), "text/plain; charset=utf-8"))
        return OPENAI;
    char *text = json_member(r->body, "message");
    enum profile profile = text ? AIMCS : CONVERSATIONS;
    assert_int_equal(r->status, 200);
    assert_true(profile == AIMCS || strstr(r->body, "\"conversation\":{"));
    free(text);
    return profile;
}

static void the_body_decides_then_accept(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(decisions); i++) {
        const struct decision *d = &decisions[i];
        struct reply r = env_request("POST", "/api/chat", d->headers, d->body);
        enum profile got = profile_of(&r);
        if (got != d->wanted)
            fail_msg("%s with %s: %d instead of %d", d->body, d->headers, (int)got, (int)d->wanted);
        reply_free(&r);
    }
}

static void paths_of_their_own(void **state)
{
    (void)state;
    struct reply r = env_request("POST", "/aimcs/api/chat", AXIOS, "{\"message\":\"x\",\"stream\":true}");
    assert_int_equal(profile_of(&r), AIMCS);
    reply_free(&r);
    r = env_request("POST", "/conversations/api/chat", SSE, "{\"message\":\"x\",\"context\":{}}");
    assert_int_equal(profile_of(&r), CONVERSATIONS);
    reply_free(&r);
    r = env_post("/api/v1/chat", "{\"message\":\"x\"}");
    assert_int_equal(profile_of(&r), AIMCS);
    reply_free(&r);
}

static const struct error_case {
    const char *method, *path, *headers, *body;
    int status;
    const char *reply; /* the whole body */
} errors[] = {
#define UNION(text, code) "{\"error\":\"" text "\",\"message\":\"" text "\",\"code\":\"" code "\"}"
#define V1(text, param)                                                                                                \
    "{\"error\":{\"message\":\"" text "\",\"type\":\"invalid_request_error\",\"param\":" param ",\"code\":null}}"
#define LONG_ID                                                                                                        \
    "x123456789x123456789x123456789x123456789x123456789x123456789x123456789x123456789x123456789x123456789012345678901" \
    "23456789"
    {"POST", "/api/chat", "", "", 400, UNION("Message is required", "INVALID_REQUEST")},
    {"POST", "/api/chat", SSE, "", 400, "Request body is required"},
    {"POST", "/api/chat", SSE, "{", 400, "Messages array is required and cannot be empty"},
    {"POST", "/api/chat", "X-Chat-Profile: openai\r\n", "{\"x\":1}", 400,
     "Messages array is required and cannot be empty"},
    {"POST", "/api/chat", "", "{\"messages\":[]}", 400, "Messages array is required and cannot be empty"},
    {"POST", "/api/chat", "", "{\"messages\":{\"role\":1}}", 400, "Messages array is required and cannot be empty"},
    {"POST", "/api/chat", "", "{\"message\":\" \"}", 400, UNION("Message is required", "INVALID_REQUEST")},
    {"POST", "/api/chat", "", "[1]", 400, UNION("Message is required", "INVALID_REQUEST")},
    {"POST", "/api/chat", AXIOS, "{\"message\":5}", 400, UNION("Message is required", "INVALID_REQUEST")},
    {"POST", "/api/chat", "X-Chat-Profile: nobody\r\n", "{\"message\":\"x\"}", 400,
     UNION("X-Chat-Profile must be aimcs, conversations or openai", "INVALID_REQUEST")},
    {"POST", "/api/chat", "", "{\"message\":\"x\",\"conversationId\":\"none\"}", 404,
     UNION("Conversation not found", "CONVERSATION_NOT_FOUND")},
    {"POST", "/api/chat", "", "{\"message\":\"x\",\"conversationId\":\"" LONG_ID LONG_ID "\"}", 400,
     UNION("An id is longer than 128 bytes", "INVALID_REQUEST")},
    {"GET", "/api/conversations/none", "", "", 404, UNION("Conversation not found", "CONVERSATION_NOT_FOUND")},
    {"DELETE", "/api/conversations/none", "", "", 404, UNION("Conversation not found", "CONVERSATION_NOT_FOUND")},
    {"GET", "/api/conversations/none/events", "", "", 404, UNION("Conversation not found", "CONVERSATION_NOT_FOUND")},
    {"GET", "/api/conversations/%FFpichat/events", "", "", 400, UNION("Malformed request path", "INVALID_REQUEST")},
    {"POST", "/api/conversations/none/cancel", "", "", 404, UNION("Conversation not found", "CONVERSATION_NOT_FOUND")},
    {"POST", "/api/conversations", "", "", 400, UNION("Title is required", "INVALID_REQUEST")},
    {"POST", "/api/conversations", "", "{\"title\":\"  \"}", 400, UNION("Title is required", "INVALID_REQUEST")},
    {"PUT", "/api/conversations/none", "", "{\"title\":\"t\"}", 404,
     UNION("Conversation not found", "CONVERSATION_NOT_FOUND")},
    {"GET", "/nothing/here", "", "", 404,
     "{\"error\":\"Endpoint not found\",\"message\":\"Endpoint not found\",\"code\":\"NOT_FOUND\","
     "\"path\":\"/nothing/here\",\"detail\":\"Not Found\"}"},
    {"DELETE", "/api/chat", "", "", 405, UNION("Method not allowed", "METHOD_NOT_ALLOWED")},
    {"GET", "/ws", "", "", 426, UNION("WebSocket connection required", "INVALID_REQUEST")},
    {"POST", "/v1/chat/completions", "", "", 400,
     V1("We could not parse the JSON body of your request: it is empty", "null")},
    {"POST", "/v1/chat/completions", "", "[]", 400, V1("The body must be a JSON object", "null")},
    {"POST", "/v1/chat/completions", "", "{}", 400, V1("Missing required parameter: 'messages'.", "\"messages\"")},
    {"POST", "/v1/chat/completions", "", "{\"messages\":[]}", 400,
     V1("'messages' must be a non-empty array.", "\"messages\"")},
    {"POST", "/v1/chat/completions", "", "{\"messages\":7}", 400,
     V1("'messages' must be a non-empty array.", "\"messages\"")},
    {"GET", "/v1/models/none", "", "", 404,
     "{\"error\":{\"message\":\"The model 'none' does not exist\",\"type\":\"not_found_error\",\"param\":\"model\","
     "\"code\":\"NOT_FOUND\"}}"},
    {"GET", "/v1/nothing", "", "", 404,
     "{\"error\":{\"message\":\"Not found\",\"type\":\"not_found_error\",\"param\":null,\"code\":\"NOT_FOUND\"}}"},
};

static void errors_have_their_paths_shape(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        const struct error_case *c = &errors[i];
        struct reply r = env_request(c->method, c->path, c->headers, c->body);
        if (r.status != c->status || strcmp(r.body, c->reply) != 0)
            fail_msg("%s %s %s: %d %s", c->method, c->path, c->body, r.status, r.body);
        reply_free(&r);
    }
}

/* Malformed JSON is told with the place, on every path that takes any. */
static void bad_json_is_told(void **state)
{
    static const char *const bodies[] = {"{", "{\"message\":}", "nul", "{\"message\":\"x\"}}",
                                         "{\"message\":\"\x01\"}"};
    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        env_expect(env_post("/api/chat", bodies[i]), 400, "\"code\":\"INVALID_REQUEST\"");
        env_expect(env_post("/aimcs/api/chat", bodies[i]), 400, "\"code\":\"INVALID_REQUEST\"");
        env_expect(env_post("/conversations/api/chat", bodies[i]), 400, "\"code\":\"INVALID_REQUEST\"");
        env_expect(env_post("/api/conversations", bodies[i]), 400, "\"code\":\"INVALID_REQUEST\"");
        env_expect(env_post("/v1/chat/completions", bodies[i]), 400, "\"type\":\"invalid_request_error\"");
    }
}

static const struct private_case {
    const char *method, *path, *headers, *body;
    bool private;
} privates[] = {
#define AUTH   "Authorization: Bearer someone\r\n"
#define API    "Authorization: Bearer " TOKEN "\r\n"
#define HEX_ID "65f0c0ffee65f0c0ffee00aa"
    {"GET", "/api/conversations", "", "", false},
    {"GET", "/api/conversations", API, "", false},
    {"GET", "/api/conversations", AUTH, "", true},
    {"GET", "/api/conversations", "Authorization: someone\r\n", "", true},
    {"GET", "/api/conversations?agentId=x", "", "", true},
    {"GET", "/api/conversations?agent=x", "", "", false},
    {"GET", "/api/conversations/" HEX_ID, "", "", true},
    {"GET", "/api/conversations/" HEX_ID, API, "", true},
    {"GET", "/api/conversations/65F0C0FFEE65F0C0FFEE00AA", "", "", false},
    {"GET", "/api/conversations/" HEX_ID "0", "", "", false},
    {"GET", "/api/conversations/" HEX_ID "/events", "", "", true},
    {"GET", "/api/conversations/stats", "", "", true},
    {"POST", "/api/conversations/" HEX_ID "/cancel", "", "", true},
    {"DELETE", "/api/conversations/" HEX_ID, "", "", true},
    {"POST", "/api/conversations/reanalyze-sentiment", "", "{}", true},
    {"GET", "/api/conversations/x/messages", "", "", true},
    {"POST", "/api/conversations/x/messages", "", "{}", true},
    {"POST", "/api/conversations/x/audio", "", "{}", true},
    {"PUT", "/api/conversations/x/end", "", "", true},
    {"PUT", "/api/conversations/x/update-title", API, "", true},
    {"GET", "/api/conversations/stats/user/x", "", "", true},
    {"POST", "/api/conversations", "", "{\"title\":\"x\"}", false},
    {"POST", "/api/conversations", "", "{\"title\":\"x\",\"agentId\":\"a\"}", true},
    {"POST", "/api/conversations", "", "{\"isCallSimulator\":true}", true},
    {"POST", "/api/conversations", "", "{\"isCallSimulator\":", false},
    {"POST", "/api/conversations", AUTH, "{\"title\":\"x\"}", true},
    {"POST", "/api/chat", AUTH, "{\"message\":\"x\",\"stream\":true}", false},
};

static void the_private_side_asks_for_a_user(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(privates); i++) {
        const struct private_case *c = &privates[i];
        struct reply r = env_request(c->method, c->path, c->headers, c->body);
        if ((r.status == 401) != c->private)
            fail_msg("%s %s %s %s: %d", c->method, c->path, c->headers, c->body, r.status);
        if (c->private)
            assert_non_null(strstr(r.body, "\"message\":\"Please authenticate.\""));
        reply_free(&r);
    }
}

/* A word that is a path of its own is no id, on either side. */
static void a_known_path_says_what_it_takes(void **state)
{
    static const char *const methods[] = {"GET", "PUT", "DELETE"}, *const who[] = {"", AUTH, API};
    (void)state;
    for (size_t i = 0; i < COUNT(methods); i++)
        for (size_t k = 0; k < COUNT(who); k++) {
            struct reply r = env_request(methods[i], "/api/conversations/reanalyze-sentiment", who[k], "");
            assert_int_equal(r.status, 405);
            assert_true(str_find(reply_header(&r, "Allow"), STR("POST")) >= 0);
            assert_non_null(strstr(r.body, "\"code\":\"METHOD_NOT_ALLOWED\""));
            reply_free(&r);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(the_body_decides_then_accept),     ENV_TEST(paths_of_their_own),
        ENV_TEST(errors_have_their_paths_shape),    ENV_TEST(bad_json_is_told),
        ENV_TEST(the_private_side_asks_for_a_user), ENV_TEST(a_known_path_says_what_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
