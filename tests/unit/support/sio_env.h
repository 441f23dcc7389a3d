/* A Socket.IO server at /socket.io/ for tests, on one loop or two, with namespaces whose events say what to do, and a
 * client on a WebSocket. */
#ifndef TEST_SIO_ENV_H
#define TEST_SIO_ENV_H

#include "unit/support/unit.h"

#include "base/log.h"
#include "loop/task.h"
#include "server/socketio.h"
#include "unit/support/http_client.h"
#include "unit/support/ws_client.h"

#define SIO_LOOPS 3

struct sio_env {
    struct sio_config config;
    struct server_config server_config;
    size_t nloops; /* 0: one */
    struct server *server;
    struct sio_server *sio;
    struct live_server lives[SIO_LOOPS]; /* all with the same server */
    uint16_t port;
};
static struct sio_env env;

/* What the owner saw and shall do. */
static struct {
    atomic_int connects, connected, recovered, closed, drained, departed, arrived, cancelled, handled;
    atomic_bool no_recovery, refuse_arrival, slow_arrival, block;
    _Atomic(const char *) reason; /* of the last one that was over */
    struct sio_socket *kept;      /* by the event "keep": a reference */
} seen;

struct env_user {
    struct list self; /* points to itself: the record must never be copied */
    uint64_t number;
    int counter;
    char auth[200];
};

static inline void emit_text(struct sio_socket *s, const char *name, struct str args)
{
    sio_emit(s, &(struct sio_emit){.name = str_c(name), .args = args});
}

static inline struct json_value first_arg(const struct sio_message *m)
{
    struct json_iter it = sio_message_args(m);
    struct json_value first = {.type = JSON_NONE};
    json_each(&it, NULL, &first);
    return first;
}

static inline int env_connect(struct sio_socket *s, const struct json_value *auth, struct err *e)
{
    struct env_user *user = sio_user(s);
    live_assert(user->number == 0 && sio_owner(s) == &env && sio_server_of(s) == env.sio);
    live_assert(sio_is_open(s) && !sio_is_connected(s) && !sio_writable(s));
    live_assert(auth->type == JSON_OBJECT || auth->type == JSON_NONE);
    atomic_fetch_add(&seen.connects, 1);
    str_copy(user->auth, sizeof user->auth, auth->type == JSON_OBJECT ? auth->raw : STR("{}"));
    user->number = sio_serial_number(s);
    list_init(&user->self);
    emit_text(s, "early", STR(""));
    if (str_find(str_c(user->auth), STR("\"refuse\"")) >= 0) {
        live_assert(sio_join(s, STR("never"), e) == 0);
        return err_set(e, ERR_UNAUTHORIZED, "Not \"you\"");
    }
    return 0;
}

static inline void env_connected(struct sio_socket *s, bool recovered)
{
    struct env_user *user = sio_user(s);
    live_assert(sio_is_connected(s) && user->number == sio_serial_number(s) && list_empty(&user->self));
    atomic_fetch_add(recovered ? &seen.recovered : &seen.connected, 1);
    if (str_find(str_c(user->auth), STR("\"greet\"")) >= 0 && !recovered)
        emit_text(s, "auth", str_c(user->auth));
    if (str_find(str_c(user->auth), STR("\"leave\"")) >= 0)
        sio_disconnect(s, false);
}

static inline void env_closed(struct sio_socket *s, const char *reason)
{
    struct env_user *user = sio_user(s);
    live_assert(user->number == sio_serial_number(s) && list_empty(&user->self));
    live_assert(!sio_is_open(s) && !sio_is_connected(s));
    live_assert(sio_emit(s, &(struct sio_emit){.name = STR("late"), .args = STR("")}) == -1);
    live_assert(sio_ack(s, 1, STR(""), NULL, 0) == -1);
    live_assert(sio_join(s, STR("late"), NULL) == -1 && !sio_in_room(s, STR("room")));
    sio_disconnect(s, true);
    user->number = 0;
    atomic_store(&seen.reason, reason);
    atomic_fetch_add(&seen.closed, 1);
}

static inline void env_drained(struct sio_socket *s)
{
    (void)s;
    atomic_fetch_add(&seen.drained, 1);
}

static inline bool env_can_recover(struct sio_socket *s)
{
    (void)s;
    return !atomic_load(&seen.no_recovery);
}

static inline void env_depart(struct sio_socket *s)
{
    struct env_user *user = sio_user(s);
    live_assert(user->number == sio_serial_number(s) && !sio_is_connected(s) && sio_is_open(s));
    atomic_fetch_add(&seen.departed, 1);
}

static inline int env_arrive(struct sio_socket *s, struct err *e)
{
    struct env_user *user = sio_user(s);
    live_assert(user->number == sio_serial_number(s) && list_empty(&user->self));
    atomic_fetch_add(&seen.arrived, 1);
    while (atomic_load(&seen.slow_arrival))
        live_assert(task_sleep(1, e) == 0);
    return atomic_load(&seen.refuse_arrival) ? err_set(e, ERR_INTERNAL_ERROR, NULL) : 0;
}

/* ---- Events ---- */

struct env_blobs {
    struct blob *all[SIO_ATTACHMENTS_MAX];
    unsigned n;
};

static inline struct env_blobs blobs_of(const struct str *attachments, size_t n)
{
    struct env_blobs blobs = {.n = (unsigned)n};
    for (size_t i = 0; i < n; i++)
        blobs.all[i] = blob_new(attachments[i]);
    return blobs;
}

static inline void blobs_free(struct env_blobs *blobs)
{
    for (unsigned i = 0; i < blobs->n; i++)
        blob_unref(blobs->all[i]);
}

static inline void send_back(struct sio_message *m, const char *name)
{
    struct env_blobs blobs = blobs_of(m->attachments, m->nattachments);
    sio_emit(m->socket, &(struct sio_emit){
                            .name = str_c(name), .args = m->args, .attachments = blobs.all, .nattachments = blobs.n});
    blobs_free(&blobs);
}

static inline void do_echo(struct sio_message *m)
{
    live_assert(!m->arena);
    send_back(m, "echo");
}

static inline void do_slow(struct sio_message *m)
{
    struct err e;
    live_assert(m->arena && task_self());
    if (task_yield(&e) < 0)
        atomic_fetch_add(&seen.cancelled, 1);
    send_back(m, "slow");
    if (m->wants_ack)
        sio_ack(m->socket, m->ack_id, STR("\"slow\""), NULL, 0);
    atomic_fetch_add(&seen.handled, 1);
}

/* Waits until the test lets it go on, or forever. */
static inline void do_block(struct sio_message *m)
{
    struct err e;
    while (atomic_load(&seen.block) && task_sleep(1, &e) == 0)
        continue;
    if (atomic_load(&seen.block))
        atomic_fetch_add(&seen.cancelled, 1);
    send_back(m, "block");
    atomic_fetch_add(&seen.handled, 1);
}

static inline void do_ack(struct sio_message *m)
{
    struct env_blobs blobs = blobs_of(m->attachments, m->nattachments);
    live_assert(m->wants_ack);
    live_assert(sio_ack(m->socket, m->ack_id, m->args, blobs.all, blobs.n) == 0);
    blobs_free(&blobs);
}

static inline void do_join(struct sio_message *m)
{
    struct err e;
    struct json_value room = first_arg(m);
    bool ok = sio_join(m->socket, room.raw, &e) == 0;
    live_assert(ok == sio_in_room(m->socket, room.raw));
    sio_ack(m->socket, m->ack_id, ok ? STR("") : STR("\"refused\""), NULL, 0);
}

static inline void do_leave(struct sio_message *m)
{
    sio_leave(m->socket, first_arg(m).raw);
    live_assert(!sio_in_room(m->socket, first_arg(m).raw));
    sio_ack(m->socket, m->ack_id, STR(""), NULL, 0);
}

/* To everybody else in a room. */
static inline void do_cast(struct sio_message *m)
{
    struct str room = first_arg(m).raw;
    struct env_blobs blobs = blobs_of(m->attachments, m->nattachments);
    sio_broadcast(
        env.sio, sio_nsp(m->socket), &room, 1, m->socket,
        &(struct sio_emit){.name = STR("cast"), .args = m->args, .attachments = blobs.all, .nattachments = blobs.n});
    blobs_free(&blobs);
}

static inline void do_me(struct sio_message *m)
{
    char text[256];
    int n = snprintf(text, sizeof text, "\"%.*s\",\"%.*s\",%u,\"%.*s\",\"%.*s\"", STR_ARG(sio_sid(m->socket)),
                     STR_ARG(sio_nsp(m->socket)), loop_index(loop_self()), STR_ARG(sio_remembered(m->socket)),
                     STR_ARG(sio_address(m->socket)));
    sio_ack(m->socket, m->ack_id, str_n(text, (size_t)n), NULL, 0);
}

static inline void env_answered(struct sio_socket *s, void *arg, const struct sio_answer *answer)
{
    struct buf args = BUF_INIT(MIB(4));
    live_assert(arg == &env);
    struct env_blobs blobs = blobs_of(answer->attachments, answer->nattachments);
    buf_addf(&args, "\"%s\"", answer->failed ? err_name(answer->failed) : "");
    if (answer->args.n)
        buf_addf(&args, ",%.*s", STR_ARG(answer->args));
    atomic_fetch_add(answer->failed == ERR_CANCELLED ? &seen.cancelled : &seen.handled, 1);
    sio_emit(s,
             &(struct sio_emit){
                 .name = STR("answered"), .args = buf_str(&args), .attachments = blobs.all, .nattachments = blobs.n});
    blobs_free(&blobs);
    buf_free(&args);
}

static inline void do_ask(struct sio_message *m)
{
    struct env_blobs blobs = blobs_of(m->attachments, m->nattachments);
    int64_t ms = json_int(&(struct json_value){first_arg(m).type, false, first_arg(m).raw}, 0);
    struct sio_emit emit = {
        .name = STR("question"), .args = m->args, .attachments = blobs.all, .nattachments = blobs.n};
    sio_ask(m->socket, &emit, (unsigned)ms, env_answered, &env);
    blobs_free(&blobs);
}

static inline void do_bye(struct sio_message *m)
{
    sio_disconnect(m->socket, first_arg(m).type == JSON_TRUE);
    live_assert(!sio_is_open(m->socket));
}

/* So many events "n", numbered on. */
static inline void emit_numbers(struct sio_socket *s, int64_t n)
{
    struct env_user *user = sio_user(s);
    for (int64_t i = 0; i < n; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "%d", ++user->counter);
        emit_text(s, "n", str_n(text, (size_t)len));
    }
}

static inline void do_emit(struct sio_message *m)
{
    struct json_value n = first_arg(m);
    emit_numbers(m->socket, json_int(&n, 1));
}

static inline void do_keep(struct sio_message *m)
{
    seen.kept = sio_ref(m->socket);
    sio_ack(m->socket, m->ack_id, STR(""), NULL, 0);
}

static inline void do_other(struct sio_message *m)
{
    struct buf args = BUF_INIT(KIB(64));
    buf_addf(&args, "\"%.*s\"%s%.*s", STR_ARG(m->name.raw), m->args.n ? "," : "", STR_ARG(m->args));
    emit_text(m->socket, "other", buf_str(&args));
    buf_free(&args);
}

static const struct sio_row env_rows[] = {
    {"echo", SIO_NOW, do_echo}, {"slow", SIO_SERIAL, do_slow}, {"block", SIO_SERIAL, do_block},
    {"ack", SIO_NOW, do_ack},   {"join", SIO_NOW, do_join},    {"leave", SIO_NOW, do_leave},
    {"cast", SIO_NOW, do_cast}, {"me", SIO_NOW, do_me},        {"ask", SIO_NOW, do_ask},
    {"bye", SIO_NOW, do_bye},   {"emit", SIO_NOW, do_emit},    {"keep", SIO_NOW, do_keep},
};

#define ENV_NAMESPACE(title)                                                                                           \
    {                                                                                                                  \
        .name = (title), .user_size = sizeof(struct env_user), .rows = env_rows, .nrows = COUNT(env_rows),             \
        .on_connect = env_connect, .on_connected = env_connected, .on_event = do_other, .on_drained = env_drained,     \
        .can_recover = env_can_recover, .on_depart = env_depart, .on_arrive = env_arrive, .on_closed = env_closed      \
    }
/* clang-format off */
static const struct sio_namespace env_namespaces[] = {ENV_NAMESPACE("/"), ENV_NAMESPACE("/custom"), {.name = "/bare"}};
/* clang-format on */

/* ---- The server ---- */

#define SIO_ROW(m)                                                                                                     \
    {                                                                                                                  \
        .method = (m), .path = "/socket.io/", .handler = eio_http, .max_body = LIMIT_HTTP_BODY_LARGE                   \
    }
static const struct http_route sio_routes[] = {
    {.method = HTTP_GET, .path = "/socket.io/", .handler = eio_http, .websocket = &eio_websocket},
    SIO_ROW(HTTP_POST),
};

static inline int env_steer(void *arg, const struct http_head *head)
{
    return eio_steer(arg, head->query);
}

static inline struct blob *env_remember(void *owner, const struct http_request *rq)
{
    live_assert(owner == &env);
    return str_find(rq->query, STR("mark=7")) >= 0 ? blob_new(STR("seven")) : NULL;
}

static inline void env_start(void)
{
    struct err e;
    memset(&seen, 0, sizeof seen);
    log_setup(LOG_OFF, LOG_TEXT);
    env.nloops = env.nloops ? env.nloops : 1;
    env.port = 0;
    env.server = server_new(&env.server_config);
    env.sio = sio_new(&env.config, env_namespaces, COUNT(env_namespaces), &env, env.nloops);
    server_routes(env.server, sio_routes, COUNT(sio_routes), sio_engine(env.sio));
    server_steer(env.server, env_steer, sio_engine(env.sio));
    for (unsigned i = 0; i < env.nloops; i++) {
        struct live_server *live = &env.lives[i];
        *live = (struct live_server){.server = env.server, .loop = loop_new(i)};
        sem_init(&live->done, 0, 0);
        if (server_listen(env.server, live->loop, "127.0.0.1", &env.port, NULL, &e) < 0)
            fail_msg("%s", e.text);
    }
    for (unsigned i = 0; i < env.nloops; i++)
        assert_int_equal(pthread_create(&env.lives[i].thread, NULL, live_thread, &env.lives[i]), 0);
}

static inline void env_drain(struct live_server *live)
{
    sio_drain(env.sio);
    eio_drain(sio_engine(env.sio));
    live_drain(live);
    live_abort(live);
}

static inline void env_ask_tasks(struct live_server *live)
{
    live->idle = task_count() == 0 && server_idle(live->server, live->loop);
}

static inline void env_end(struct live_server *live)
{
    (void)live;
    sio_loop_end(env.sio);
}

static inline void env_stop(void)
{
    for (unsigned i = 0; i < env.nloops; i++)
        live_do(&env.lives[i], env_drain);
    for (unsigned i = 0; i < env.nloops; i++)
        for (env.lives[i].idle = false; !env.lives[i].idle; usleep(500))
            live_do(&env.lives[i], env_ask_tasks);
    for (unsigned i = 0; i < env.nloops; i++) {
        live_do(&env.lives[i], env_end);
        loop_stop(env.lives[i].loop);
        pthread_join(env.lives[i].thread, NULL);
    }
    for (unsigned i = 0; i < env.nloops; i++) {
        loop_free(env.lives[i].loop);
        sem_destroy(&env.lives[i].done);
    }
    server_free(env.server);
    assert_int_equal(sio_count(env.sio), 0);
    assert_int_equal(sio_count_lost(env.sio), 0);
    assert_int_equal(atomic_load(&seen.connected), atomic_load(&seen.closed));
    sio_free(env.sio);
}

/* As the tests want it unless they say otherwise: heartbeats that never come in between. */
static inline void env_defaults(void)
{
    env = (struct sio_env){.config = {.engine = {.ping_interval = 25000,
                                                 .ping_timeout = 20000,
                                                 .upgrade_timeout = 10000,
                                                 .max_payload = 1000000,
                                                 .allow_v3 = true},
                                      .connect_timeout = 45000,
                                      .max_attachments = SIO_ATTACHMENTS,
                                      .remember = env_remember}};
}

static inline int env_teardown(void **state)
{
    (void)state;
    env_stop();
    return 0;
}

/* So many sockets are over, the last for this reason. */
static inline void await_closed(int n, const char *reason)
{
    await_count(&seen.closed, n);
    assert_string_equal(atomic_load(&seen.reason), reason);
}

/* ---- Clients ---- */

struct sioc {
    struct ws_client ws;
    char esid[21], sid[64], pid[21];
    unsigned loop;  /* that serves it */
    bool silent;    /* heartbeats are not answered */
    int heartbeats; /* so many came */
};

/* The next packet, heartbeats aside; malloc'd. NULL at the end. */
static inline char *sioc_take(struct sioc *c)
{
    struct ws_event event;
    struct buf text = BUF_INIT(MIB(64));
    char *copy = NULL;
    while (!copy && wsc_next(&c->ws, &event, &text) && event.opcode != WS_CLOSE) {
        if (event.opcode == WS_TEXT && str_eqc(buf_str(&text), "2")) {
            c->heartbeats++;
            if (!c->silent)
                wsc_text(&c->ws, "3");
            continue;
        }
        copy = str_dup(buf_str(&text));
    }
    buf_free(&text);
    return copy;
}

static inline void sioc_expect(struct sioc *c, const char *text)
{
    char *got = sioc_take(c);
    if (!got || strcmp(got, text) != 0)
        fail_msg("got %s instead of %s", got ? got : "the end", text);
    free(got);
}

static inline void sioc_expect_bytes(struct sioc *c, struct str bytes)
{
    wsc_expect(&c->ws, WS_BINARY, bytes);
}

/* The server ends the whole connection. */
static inline void sioc_expect_end(struct sioc *c)
{
    char *got = sioc_take(c);
    if (got)
        fail_msg("got %s instead of the end", got);
    wsc_free(&c->ws);
}

static inline void sioc_send(struct sioc *c, const char *text)
{
    wsc_text(&c->ws, text);
}

static inline void sioc_member(char *out, size_t cap, const char *json, const char *name)
{
    char mark[32];
    snprintf(mark, sizeof mark, "\"%s\":\"", name);
    const char *at = strstr(json, mark);
    if (!at)
        fail_msg("no %s in %s", name, json);
    str_copy(out, cap, str_n(at + strlen(mark), strcspn(at + strlen(mark), "\"")));
}

static inline void sioc_open_with(struct sioc *c, const char *query)
{
    char path[256];
    *c = (struct sioc){0};
    snprintf(path, sizeof path, "/socket.io/?transport=websocket&%s", query);
    wsc_open(&c->ws, env.port, path);
    char *open = sioc_take(c);
    assert_memory_equal(open, "0{", 2);
    sioc_member(c->esid, sizeof c->esid, open, "sid");
    snprintf(path, sizeof path, "sid=%s", c->esid);
    c->loop = (unsigned)eio_steer(sio_engine(env.sio), str_c(path));
    free(open);
}

static inline void sioc_open(struct sioc *c)
{
    sioc_open_with(c, "EIO=4");
}

/* On this loop, which the kernel picks: again until it did. */
static inline void sioc_open_on(struct sioc *c, unsigned loop, const char *query)
{
    for (sioc_open_with(c, query); c->loop != loop; sioc_open_with(c, query))
        wsc_free(&c->ws);
}

/* Takes the answer to CONNECT. */
static inline void sioc_connected(struct sioc *c, const char *nsp)
{
    char prefix[64], want[256];
    int n = snprintf(prefix, sizeof prefix, "40%s%s", nsp, nsp[0] ? "," : "");
    char *got = sioc_take(c);
    if (!got || strncmp(got, prefix, (size_t)n) != 0)
        fail_msg("got %s instead of %s", got ? got : "the end", prefix);
    sioc_member(c->sid, sizeof c->sid, got, "sid");
    assert_int_equal(strlen(c->sid), 20);
    if (env.config.recovery) {
        sioc_member(c->pid, sizeof c->pid, got, "pid");
        snprintf(want, sizeof want, "%s{\"sid\":\"%s\",\"pid\":\"%s\"}", prefix, c->sid, c->pid);
    } else {
        snprintf(want, sizeof want, "%s{\"sid\":\"%s\"}", prefix, c->sid);
    }
    assert_string_equal(got, want);
    free(got);
}

/* Opens and connects to "/". */
static inline void sioc_begin(struct sioc *c)
{
    sioc_open(c);
    sioc_send(c, "40");
    sioc_connected(c, "");
}

static inline void sioc_begin_on(struct sioc *c, unsigned loop, const char *auth)
{
    char text[256];
    sioc_open_on(c, loop, "EIO=4");
    snprintf(text, sizeof text, "40%s", auth);
    sioc_send(c, text);
    sioc_connected(c, "");
}

/* Sends an event with an acknowledgement and takes that. */
static inline void sioc_ask(struct sioc *c, const char *event)
{
    char text[512];
    snprintf(text, sizeof text, "429%s", event);
    sioc_send(c, text);
    sioc_expect(c, "439[]");
}

static inline void sioc_free(struct sioc *c)
{
    wsc_free(&c->ws);
}

#endif
