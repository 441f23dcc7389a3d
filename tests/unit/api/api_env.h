/* All doors on a server of two loops, each with a port of its own, over a chat with a store in a folder of its own and
 * a model that obeys (puppet_llm.h). The tests are plain blocking clients. */
#ifndef TEST_API_API_ENV_H
#define TEST_API_API_ENV_H

#include "unit/support/unit.h"

#include "api/api.h"
#include "base/log.h"
#include "chat/turn.h"
#include "unit/api/gated_store.h"
#include "unit/api/puppet_llm.h"
#include "unit/support/http_client.h"
#include "unit/support/temp_dir.h"
#include "unit/support/ws_client.h"

#define TOKEN   "a-token-of-the-tests-0123456789"
#define JWT_KEY "a secret of these tests alone, 0123456789"

struct env_options {
    bool production, no_model;
    const char *open[4]; /* OPEN_DIALECTS */
    const char *socketio_client;
};

static struct {
    char dir[TEMP_DIR_MAX];
    struct store *store;
    struct puppet *puppet; /* NULL: no model */
    struct chat *chat;
    struct accounts *accounts;
    struct api *api;
    struct server *server;
    struct live_server lives[2];
    uint16_t ports[2];
    struct env_options options;
    atomic_int quiet; /* loops without tasks and connections */
} env;

static inline struct sio_config env_socketio(void)
{
    return (struct sio_config){.engine = {.ping_interval = 600000,
                                          .ping_timeout = 600000,
                                          .upgrade_timeout = 600000,
                                          .max_payload = 1000000,
                                          .allow_v3 = true},
                               .connect_timeout = 600000,
                               .recovery = 600000,
                               .max_attachments = SIO_ATTACHMENTS};
}

static inline void env_open_parts(void)
{
    struct err e;
    struct loop *loops[2];
    struct store_config store = {.data_dir = env.dir};
    size_t nopen = 0;
    while (nopen < COUNT(env.options.open) && env.options.open[nopen])
        nopen++;
    if (store_open(&store_sqlite, &store, &env.store, &e) < 0)
        fail_msg("%s", e.text);
    gate_install(env.store);
    env.puppet = env.options.no_model ? NULL : puppet_new();
    for (unsigned i = 0; i < 2; i++)
        loops[i] = loop_new(i);
    env.chat = chat_new(&(struct chat_config){.store = env.store,
                                              .llm = env.puppet ? &env.puppet->base : NULL,
                                              .loops = loops,
                                              .nloops = 2,
                                              .history_tokens = 1000,
                                              .room_keep = 60000});
    env.accounts = accounts_new(
        &(struct accounts_config){
            .store = env.store, .jwt_secret = JWT_KEY, .token_ms = 3600000, .refresh_ms = 3600000, .cost = 4},
        &e);
    env.api = api_new(&(struct api_config){.chat = env.chat,
                                           .accounts = env.accounts,
                                           .version = "1.2.3",
                                           .production = env.options.production,
                                           .api_token = TOKEN,
                                           .open_dialects = env.options.open,
                                           .nopen_dialects = nopen,
                                           .metrics = true,
                                           .aimcs_model = "",
                                           .openai_model = "",
                                           .chat_model = "",
                                           .pichat_model = "",
                                           .ai_endpoint = "",
                                           .ai_deployment = "",
                                           .store_name = "sqlite",
                                           .llm_name = "puppet",
                                           .socketio = env_socketio(),
                                           .socketio_client = env.options.socketio_client,
                                           .nloops = 2});
    env.server = server_new(&(struct server_config){.production = env.options.production,
                                                    .idle_timeout = 600000,
                                                    .admit = api_admit,
                                                    .admit_arg = env.api,
                                                    .error_body = api_error_body,
                                                    .error_arg = env.api});
    api_mount(env.api, env.server);
    for (size_t i = 0; i < 2; i++)
        env.lives[i] = (struct live_server){.server = env.server, .loop = loops[i]};
}

static inline void env_start(const struct env_options *options)
{
    struct err e;
    log_setup(LOG_OFF, LOG_TEXT);
    memset(&env, 0, sizeof env);
    if (options)
        env.options = *options;
    temp_dir_make(env.dir);
    env_open_parts();
    for (size_t i = 0; i < 2; i++) {
        struct live_server *live = &env.lives[i];
        sem_init(&live->done, 0, 0);
        if (server_listen(env.server, live->loop, "127.0.0.1", &env.ports[i], NULL, &e) < 0)
            fail_msg("%s", e.text);
        live->port = env.ports[i];
        assert_int_equal(pthread_create(&live->thread, NULL, live_thread, live), 0);
    }
}

static inline void env_drain(struct live_server *live)
{
    chat_drain(env.chat);
    api_drain(env.api);
    server_drain(live->server, live->loop);
}

static inline void env_abort(struct live_server *live)
{
    chat_abort(env.chat);
    api_drain(env.api);
    server_abort(live->server, live->loop);
}

static inline void env_ask_quiet(struct live_server *live)
{
    live->idle = server_idle(live->server, live->loop) && task_count() == 0 && chat_busy(env.chat) == 0;
}

static inline void env_end_rooms(struct live_server *live)
{
    (void)live;
    api_loop_end(env.api);
    chat_loop_end(env.chat);
}

static inline void env_on_both(void (*fn)(struct live_server *live))
{
    for (size_t i = 0; i < 2; i++)
        live_do(&env.lives[i], fn);
}

/* Until no connection, task or turn is left on either loop, twice in a row: one may have asked the other. */
static inline void env_await_quiet(void)
{
    for (int rounds = 0; rounds < 2;) {
        env_on_both(env_ask_quiet);
        rounds = env.lives[0].idle && env.lives[1].idle ? rounds + 1 : 0;
        if (!rounds)
            usleep(500);
    }
}

static inline void env_stop(void)
{
    gate_open();
    env_on_both(env_abort);
    env_await_quiet();
    env_on_both(env_end_rooms);
    for (size_t i = 0; i < 2; i++) {
        loop_stop(env.lives[i].loop);
        pthread_join(env.lives[i].thread, NULL);
    }
    for (size_t i = 0; i < 2; i++) {
        loop_free(env.lives[i].loop);
        sem_destroy(&env.lives[i].done);
    }
    server_free(env.server);
    api_free(env.api);
    accounts_free(env.accounts);
    chat_free(env.chat);
    if (env.puppet)
        llm_free(&env.puppet->base);
    store_close(env.store);
    temp_dir_remove(env.dir);
}

static inline void env_ask_turns(struct live_server *live)
{
    live->idle = chat_busy(env.chat) == 0 && task_count() == 0;
}

/* Until no turn runs and no request is under way: what they still had to store is stored. */
static inline void env_await_turns(void)
{
    for (bool busy = true; busy; usleep(500)) {
        env_on_both(env_ask_turns);
        busy = !env.lives[0].idle || !env.lives[1].idle;
    }
}

static inline void gate_await_stopped(void)
{
    for (int waited = 0; !atomic_load(&gate.stopped); waited++) {
        if (waited > CLIENT_PATIENCE)
            fail_msg("no call waits at the gate");
        usleep(1000);
    }
}

/* The usual: development, a model. */
static inline int env_setup(void **state)
{
    (void)state;
    env_start(NULL);
    return 0;
}

static inline int env_teardown(void **state)
{
    (void)state;
    env_stop();
    return 0;
}
#define ENV_TEST(fn) cmocka_unit_test_setup_teardown(fn, env_setup, env_teardown)

/* ---- clients ---- */

/* One request on a connection of its own; headers: whole lines, "" for none. */
static inline struct reply env_request(const char *method, const char *path, const char *headers, const char *body)
{
    struct client c;
    struct buf out = BUF_INIT(MIB(64));
    client_open(&c, env.ports[0]);
    buf_addf(&out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s", method, path, headers);
    if (body[0])
        buf_addf(&out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    buf_addf(&out, "\r\n%s", body);
    client_send(&c, buf_str(&out));
    buf_free(&out);
    struct reply r = reply_read_for(&c, method);
    client_close(&c);
    return r;
}

static inline struct reply env_get(const char *path)
{
    return env_request("GET", path, "", "");
}

static inline struct reply env_post(const char *path, const char *body)
{
    return env_request("POST", path, "", body);
}

static inline void env_expect(struct reply r, int status, const char *part)
{
    if (r.status != status || !strstr(r.body, part))
        fail_msg("wanted %d with %s, got %s%.400s", status, part, r.head, r.body);
    reply_free(&r);
}

/* The string member of a JSON text, malloc'd; NULL when there is none. */
static inline char *json_member(const char *json, const char *path)
{
    struct json_want want = {.path = path};
    struct buf scratch = BUF_INIT(MIB(4));
    struct err e;
    if (json_scan(str_c(json), &want, 1, NULL, &e) < 0)
        fail_msg("%s: %s", e.text, json);
    char *text = want.value.type == JSON_STRING ? str_dup(json_text(&want.value, &scratch)) : NULL;
    buf_free(&scratch);
    return text;
}

/* The next text message of the socket, malloc'd. */
static inline char *wsc_read(struct ws_client *c)
{
    struct ws_event event;
    struct buf copy = BUF_INIT(MIB(64));
    if (!wsc_next(c, &event, &copy))
        fail_msg("the socket ended");
    if (event.opcode != WS_TEXT)
        fail_msg("opcode %d, close code %d", (int)event.opcode, (int)event.close_code);
    char *text = str_dup(buf_str(&copy));
    buf_free(&copy);
    return text;
}

/* The next message has this in it. */
static inline void wsc_expect_part(struct ws_client *c, const char *part)
{
    char *text = wsc_read(c);
    if (!strstr(text, part))
        fail_msg("wanted %s, got %s", part, text);
    free(text);
}

/* Opens a socket on one of the loops; the greeting of dialect 000 is taken off. */
static inline void env_socket(struct ws_client *c, size_t loop, const char *path)
{
    wsc_open(c, env.ports[loop], path);
    if (strcmp(path, "/ws") != 0)
        wsc_expect_part(c, "\"connection\"");
}

static inline void env_await_no_sockets(void)
{
    for (int waited = 0; server_websockets(env.server) > 0; waited++) {
        if (waited > CLIENT_PATIENCE)
            fail_msg("%zu sockets stay open", server_websockets(env.server));
        usleep(1000);
    }
}

/* An id whose conversation lives on the loop. */
static inline void env_id_at(size_t loop, char out[32])
{
    static unsigned count;
    do
        snprintf(out, 32, "conversation-%u", count++);
    while (chat_home(env.chat, str_c(out)) != env.lives[loop].loop);
}

#endif
