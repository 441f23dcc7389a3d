/* LiveKit: tokens and webhooks by known answers, rooms against a server that plays bytes. */
#include "auth/jwt.h"
#include "base/clock.h"
#include "base/json.h"
#include "rtc/livekit.h"
#include "unit/client/run_client.h"
#include "unit/client/script_server.h"
#include "unit/support/unit.h"

#define KEY    "APIabc123"
#define SECRET "secretsecretsecretsecretsecret12"
#define HEAD   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
#define BODY                                                                                                           \
    "{\"event\":\"room_started\",\"room\":{\"sid\":\"RM_x\",\"name\":\"demo\",\"creationTime\":\"1893452400\"},"       \
    "\"id\":\"EV_1\",\"createdAt\":\"1893452401\"}"
#define BODY_DIGEST "g93+lRfMszOdiE6lvOmrJLNaX5aTKS2Uwm+rd/qGWkQ="

static struct livekit *make(const char *url)
{
    struct livekit_config config = {.url = url, .api_key = KEY, .api_secret = SECRET};
    config.upstream = (struct upstream_config){.connect_timeout = 5000};
    struct err e;
    struct livekit *livekit = livekit_new(&config, &e);
    if (!livekit)
        fail_msg("%s", e.text);
    return livekit;
}

/* ---- configuration ---- */

static void addresses(void **state)
{
    static const char *const good[][2] = {
        {"livekit.example", "wss://livekit.example"},
        {"livekit.example:7443/", "wss://livekit.example:7443"},
        {"wss://livekit.example///", "wss://livekit.example"},
        {"WS://127.0.0.1:7880", "ws://127.0.0.1:7880"},
        {"http://[::1]:7880", "ws://[::1]:7880"},
        {"https://livekit.example/behind/", "wss://livekit.example/behind"},
    };
    static const char *const bad[] = {"ftp://livekit.example", "wss://",        "wss://a b", "wss://me:it@livekit",
                                      "wss://livekit/?x=1",    "wss://a:99999", "wss://a#b", "/"};
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct livekit *livekit = make(good[i][0]);
        assert_string_equal(livekit_ws_url(livekit), good[i][1]);
        assert_null(livekit_free(livekit));
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct livekit_config config = {.url = bad[i], .api_key = KEY, .api_secret = SECRET};
        struct err e = {0};
        assert_null(livekit_new(&config, &e));
        assert_int_equal(e.code, ERR_NOT_CONFIGURED);
    }
}

static void all_three_are_needed(void **state)
{
    (void)state;
    assert_null(livekit_new(&(struct livekit_config){.api_key = KEY, .api_secret = SECRET}, NULL));
    assert_null(livekit_new(&(struct livekit_config){.url = "a", .api_secret = SECRET}, NULL));
    assert_null(livekit_new(&(struct livekit_config){.url = "a", .api_key = KEY, .api_secret = ""}, NULL));
    assert_null(livekit_free(NULL));
}

/* ---- tokens ---- */

/* The claims without the life, which the clock makes; *exp is how long. */
static struct str claims_of(struct arena *arena, struct str token, int64_t *exp)
{
    struct jwt_check check = {.key = STR(SECRET), .now_s = clock_wall_ms() / 1000, .needs_exp = true};
    struct str claims;
    assert_int_equal(jwt_verify(&check, token, arena, &claims, NULL, NULL), 0);
    cJSON *tree = json_parse(arena, claims, NULL);
    assert_true(json_num(tree, "nbf", -1) == 0);
    *exp = (int64_t)json_num(tree, "exp", 0) - check.now_s;
    struct buf out = BUF_INIT(KIB(64));
    cJSON_DetachItemFromObject(tree, "exp");
    assert_int_equal(json_print(&out, tree), 0);
    struct str text = arena_str(arena, buf_str(&out));
    buf_free(&out);
    return text;
}

static void has(struct str claims, const char *member)
{
    if (str_find(claims, str_c(member)) < 0)
        fail_msg("no %s in %.*s", member, STR_ARG(claims));
}

static void tokens_of_participants(void **state)
{
    (void)state;
    struct livekit *livekit = make("livekit.example");
    struct arena *arena = arena_new("test");
    struct livekit_grant grant = {.identity = STR("ann"), .name = STR("Ann \"A\""), .room = STR("demo")};
    struct str token;
    struct err e;
    int64_t seconds;
    assert_int_equal(livekit_token(livekit, &grant, arena, &token, &e), 0);
    struct str claims = claims_of(arena, token, &seconds);
    assert_true(seconds > 6 * 3600 - 60 && seconds <= 6 * 3600);
    has(claims, "\"name\":\"Ann \\\"A\\\"\"");
    has(claims, "\"iss\":\"" KEY "\"");
    has(claims, "\"sub\":\"ann\"");
    has(claims, "\"room\":\"demo\"");
    has(claims, "\"roomJoin\":true");
    has(claims, "\"canPublish\":true");
    has(claims, "\"canSubscribe\":true");
    assert_true(str_find(claims, STR("roomCreate")) < 0 && str_find(claims, STR("metadata")) < 0);
    grant.create = true;
    grant.metadata = STR("{\"a\":1}");
    assert_int_equal(livekit_token(livekit, &grant, arena, &token, &e), 0);
    claims = claims_of(arena, token, &seconds);
    has(claims, "\"roomCreate\":true");
    has(claims, "\"metadata\":\"{\\\"a\\\":1}\"");
    arena_free(arena);
    livekit_free(livekit);
}

static void tokens_need_names_of_some_length(void **state)
{
    (void)state;
    struct livekit *livekit = make("livekit.example");
    struct arena *arena = arena_new("test");
    char *text = calloc(1, LIVEKIT_NAME + 1);
    memset(text, 'x', LIVEKIT_NAME + 1);
    struct str longest = str_n(text, LIVEKIT_NAME), longer = str_n(text, LIVEKIT_NAME + 1), token, ok = STR("ok");
    const struct livekit_grant good = {.identity = longest, .name = longest, .room = longest};
    const struct livekit_grant bad[] = {{.room = ok},
                                        {.identity = ok},
                                        {.identity = longer, .room = ok},
                                        {.identity = ok, .room = longer},
                                        {.identity = ok, .room = ok, .name = longer}};
    assert_int_equal(livekit_token(livekit, &good, arena, &token, NULL), 0);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = {0};
        assert_int_equal(livekit_token(livekit, &bad[i], arena, &token, &e), -1);
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
    }
    free(text);
    arena_free(arena);
    livekit_free(livekit);
}

/* Made by the official SDK. */
static void a_known_token(void **state)
{
    static const char token[] =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
        "eyJpc3MiOiJBUElhYmMxMjMiLCJzdWIiOiJhbGljZSIsIm5iZiI6MTg5MzQ1MjQwMCwiZXhwIjoxODkzNDc0MDAwLCJuYW1lIjoiQWxpY2Ui"
        "LCJ2aWRlbyI6eyJyb29tIjoiZGVtbyIsInJvb21Kb2luIjp0cnVlLCJjYW5QdWJsaXNoIjp0cnVlLCJjYW5TdWJzY3JpYmUiOnRydWV9fQ."
        "CQUzEDzu0inhcF66oawtjIjhWWpiaIfAmGlgrOwyeP8";
    (void)state;
    struct arena *arena = arena_new("test");
    struct jwt_check check = {.key = STR(SECRET), .now_s = 1893452400, .needs_exp = true};
    struct str claims;
    assert_int_equal(jwt_verify(&check, str_c(token), arena, &claims, NULL, NULL), 0);
    assert_str(json_str(json_parse(arena, claims, NULL), "sub"), "alice");
    check.now_s = 1893474001;
    assert_int_equal(jwt_verify(&check, str_c(token), arena, &claims, NULL, NULL), -1);
    arena_free(arena);
}

/* ---- webhooks ---- */

static int check(const char *secret, const char *iss, int from, int to, const char *scheme, struct str body)
{
    struct livekit *livekit = make("livekit.example");
    struct buf claims = BUF_INIT(KIB(4)), header = BUF_INIT(KIB(4));
    struct err e = {0};
    long long now = clock_wall_ms() / 1000;
    buf_addf(&claims, "{\"iss\":\"%s\",\"nbf\":%lld,\"exp\":%lld,\"sha256\":\"" BODY_DIGEST "\"}", iss, now + from,
             now + to);
    buf_addf(&header, "%s", scheme);
    assert_int_equal(jwt_sign(str_c(secret), buf_str(&claims), &header, NULL), 0);
    int result = livekit_check_webhook(livekit, buf_str(&header), body, &e);
    assert_int_equal(e.code, result == 0 ? ERR_NONE : ERR_UNAUTHORIZED);
    buf_free(&claims);
    buf_free(&header);
    livekit_free(livekit);
    return result;
}

static void webhooks(void **state)
{
    (void)state;
    assert_int_equal(check(SECRET, KEY, -5, 300, "", STR(BODY)), 0);
    assert_int_equal(check(SECRET, KEY, -5, 300, "Bearer ", STR(BODY)), 0);
    assert_int_equal(check(SECRET, KEY, 30, 300, "", STR(BODY)), 0); /* clocks that differ a little */
    assert_int_equal(check(SECRET, KEY, -5, -30, "", STR(BODY)), 0);
    assert_int_equal(check(SECRET, KEY, -500, -120, "", STR(BODY)), -1);
    assert_int_equal(check(SECRET, KEY, 120, 300, "", STR(BODY)), -1);
    assert_int_equal(check("another-secret-another-secret-00", KEY, -5, 300, "", STR(BODY)), -1);
    assert_int_equal(check(SECRET, "APIother", -5, 300, "", STR(BODY)), -1);
    assert_int_equal(check(SECRET, KEY, -5, 300, "Basic ", STR(BODY)), -1);
    assert_int_equal(check(SECRET, KEY, -5, 300, "", STR(BODY " ")), -1);
    assert_int_equal(check(SECRET, KEY, -5, 300, "", STR_NONE), -1);
}

static void a_participant_cannot_speak_as_the_server(void **state)
{
    (void)state;
    struct livekit *livekit = make("livekit.example");
    struct arena *arena = arena_new("test");
    struct livekit_grant grant = {.identity = STR("ann"), .room = STR("demo")};
    struct str token;
    assert_int_equal(livekit_token(livekit, &grant, arena, &token, NULL), 0);
    assert_int_equal(livekit_check_webhook(livekit, token, STR(BODY), NULL), -1);
    assert_int_equal(livekit_check_webhook(livekit, token, STR_NONE, NULL), -1);
    assert_int_equal(livekit_check_webhook(livekit, STR_NONE, STR(BODY), NULL), -1);
    arena_free(arena);
    livekit_free(livekit);
}

/* ---- rooms ---- */

struct play {
    struct script_server server;
    struct livekit *livekit;
    struct arena *arena;
    struct err e;
    void (*body)(struct play *t);
};

static void run(void *arg)
{
    struct play *t = arg;
    t->arena = arena_new("test");
    t->body(t);
    arena_free(t->arena);
}

static void play(const struct script_step *steps, size_t n, void (*body)(struct play *t))
{
    struct play *t = calloc(1, sizeof *t);
    script_start(&t->server, steps, n);
    t->body = body;
    t->livekit = make(t->server.url);
    run_client(run, t);
    script_stop(&t->server);
    livekit_free(t->livekit);
    free(t);
}

static void sent(struct play *t, size_t n, const char *part)
{
    if (!strstr(t->server.requests[n], part))
        fail_msg("no \"%s\" in %s", part, t->server.requests[n]);
}

/* What the nth request's token allows. */
static void allowed(struct play *t, size_t n, const char *video)
{
    const char *token = strstr(t->server.requests[n], "\r\nAuthorization: Bearer ") + 24;
    int64_t seconds;
    assert_true(token != (const char *)24);
    struct str claims = claims_of(t->arena, str_n(token, strcspn(token, "\r")), &seconds);
    has(claims, video);
    has(claims, "\"iss\":\"" KEY "\"");
    assert_true(seconds > 0 && seconds <= 600);
}

static void rooms_body(struct play *t)
{
    cJSON *room = NULL, *rooms = NULL;
    struct livekit_room want = {
        .name = STR("a\"b"), .metadata = STR("m"), .empty_timeout = 600, .max_participants = 20};
    assert_int_equal(livekit_create_room(t->livekit, &want, t->arena, &room, &t->e), 0);
    assert_str(json_str(room, "sid"), "RM_1");
    sent(t, 0, "POST /twirp/livekit.RoomService/CreateRoom HTTP/1.1\r\n");
    sent(t, 0, "\r\nContent-Type: application/json\r\n");
    sent(t, 0, "\r\n\r\n{\"name\":\"a\\\"b\",\"empty_timeout\":600,\"max_participants\":20,\"metadata\":\"m\"}");
    allowed(t, 0, "\"video\":{\"roomCreate\":true}");
    assert_int_equal(livekit_list_rooms(t->livekit, t->arena, &rooms, &t->e), 0);
    assert_int_equal(cJSON_GetArraySize(rooms), 2);
    sent(t, 1, "POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\n");
    allowed(t, 1, "\"video\":{\"roomList\":true}");
    assert_int_equal(livekit_list_rooms(t->livekit, t->arena, &rooms, &t->e), 0);
    assert_int_equal(cJSON_GetArraySize(rooms), 0);
    assert_int_equal(livekit_delete_room(t->livekit, STR("x"), &t->e), 0);
    sent(t, 3, "\r\n\r\n{\"room\":\"x\"}");
    allowed(t, 3, "\"video\":{\"roomCreate\":true}");
    assert_int_equal(livekit_delete_room(t->livekit, STR("x"), &t->e), -1);
    assert_int_equal(t->e.code, ERR_NOT_FOUND);
}

static void rooms(void **state)
{
    static const struct script_step steps[] = {
        {.bytes = HEAD "{\"sid\":\"RM_1\"}", .after = SCRIPT_CLOSE},
        {.bytes = HEAD "{\"rooms\":[{\"name\":\"a\"},{}]}", .split = 3, .after = SCRIPT_CLOSE},
        {.bytes = HEAD "{}", .after = SCRIPT_CLOSE},
        {.bytes = HEAD "{}", .after = SCRIPT_CLOSE},
        {.bytes = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{\"code\":\"not_found\"}", .after = SCRIPT_CLOSE},
    };
    (void)state;
    play(steps, COUNT(steps), rooms_body);
}

static void refused_body(struct play *t)
{
    cJSON *rooms = NULL;
    for (size_t i = 0; i < t->server.nsteps; i++) {
        t->e = (struct err){0};
        assert_int_equal(livekit_list_rooms(t->livekit, t->arena, &rooms, &t->e), -1);
        if (t->e.code != ERR_UPSTREAM)
            fail_msg("%zu: %s", i, err_name(t->e.code));
        assert_null(strstr(t->e.text, "said"));
    }
}

static void refusals_and_nonsense(void **state)
{
    static const struct script_step steps[] = {
        {.bytes = "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nsaid: no", .after = SCRIPT_CLOSE},
        {.bytes = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{\"code\":\"bad_route\",\"msg\":\"said\"}",
         .after = SCRIPT_CLOSE},
        {.bytes = "HTTP/1.1 500 No\r\nConnection: close\r\n\r\n{\"code\":[1],\"msg\":\"said\"}", .after = SCRIPT_CLOSE},
        {.bytes = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n",
         .after = SCRIPT_CLOSE},
        {.bytes = HEAD "[]", .after = SCRIPT_CLOSE},
        {.bytes = HEAD "{\"rooms\":5}", .after = SCRIPT_CLOSE},
        {.bytes = HEAD "{\"rooms\":[", .after = SCRIPT_CLOSE},
        {.bytes = HEAD "", .after = SCRIPT_CLOSE},
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"rooms\":[", .after = SCRIPT_CLOSE},
        {.bytes = HEAD, .flood = MIB(17), .after = SCRIPT_CLOSE},
    };
    (void)state;
    play(steps, COUNT(steps), refused_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(all_three_are_needed),
        cmocka_unit_test(tokens_of_participants),
        cmocka_unit_test(tokens_need_names_of_some_length),
        cmocka_unit_test(a_known_token),
        cmocka_unit_test(webhooks),
        cmocka_unit_test(a_participant_cannot_speak_as_the_server),
        cmocka_unit_test(rooms),
        cmocka_unit_test(refusals_and_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
