/* An Engine.IO server at /engine.io/ for tests, with an owner that does what its messages say, and a client that polls
 * over plain HTTP. */
#ifndef TEST_EIO_ENV_H
#define TEST_EIO_ENV_H

#include "unit/support/unit.h"

#include "base/metrics.h"
#include "server/engineio_impl.h"
#include "unit/support/http_client.h"
#include "unit/support/ws_client.h"

#define EIO_LOOPS 2

struct eio_env {
    struct eio_config config;
    struct server_config server_config;
    size_t nloops; /* 0: one */
    bool steer;
    bool abrupt; /* the end comes without eio_drain */
    struct server *server;
    struct eio_server *eio;
    struct live_server lives[EIO_LOOPS]; /* all with the same server */
    uint16_t port;
    char holding[EIO_SID + 1]; /* whose poll poller_hold waits for */
};

/* What the owner saw. */
static struct {
    atomic_int opened, closed, drained, messages, confirmed;
    atomic_int held; /* a poll is */
    atomic_int end;  /* enum eio_end of the last that closed */
    atomic_uint_fast64_t confirmed_up_to;
    atomic_int refused;                 /* messages that were not queued */
    atomic_int writable;                /* after !flood */
    _Atomic(struct eio_session *) last; /* opened last */
    struct eio_session *all[8];         /* of the first loop: its thread's */
    char address[64], agent[64];
} seen;

struct eio_user {
    int messages;
    char text[40];
};

static struct eio_env env;

static inline void say(struct eio_session *s, const char *text)
{
    struct str part = str_c(text);
    eio_send_text(s, &part, 1);
}

static inline void keep_in_mind(struct eio_session *s, bool open)
{
    for (size_t i = 0; i < COUNT(seen.all) && loop_index(eio_loop(s)) == 0; i++) {
        if (seen.all[i] != (open ? NULL : s))
            continue;
        seen.all[i] = open ? s : NULL;
        break;
    }
}

static inline void owner_opened(struct eio_session *s, struct http_request *rq)
{
    struct eio_user *user = eio_user(s);
    live_assert(user->messages == 0 && user->text[0] == 0);
    live_assert(eio_owner(s) == &env);
    live_assert(eio_is_open(s));
    live_assert(eio_loop(s) == loop_self());
    live_assert(eio_sent(s) == 0);
    str_copy(seen.address, sizeof seen.address, eio_address(s));
    str_copy(seen.agent, sizeof seen.agent, http_request_header(rq, STR("user-agent")));
    str_copy(user->text, sizeof user->text, eio_sid(s));
    if (http_request_query(rq, STR("greet")).n)
        say(s, "welcome");
    if (http_request_query(rq, STR("leave")).n)
        eio_close(s, EIO_FORCED);
    keep_in_mind(s, true);
    atomic_store(&seen.last, s);
    atomic_fetch_add(&seen.opened, 1);
}

/* After its end a session takes nothing, and its callbacks do not come from inside these calls. */
static inline void try_everything(struct eio_session *s)
{
    struct blob *blob = blob_new(STR("late"));
    int closed = atomic_load(&seen.closed);
    live_assert(!eio_is_open(s) && !eio_writable(s) && !eio_has_room(s));
    live_assert(eio_send_text(s, &(struct str){"late", 4}, 1) == -1);
    live_assert(eio_send_binary(s, blob) == -1);
    eio_confirm(s);
    eio_pause(s, true);
    eio_close(s, EIO_SLOW);
    live_assert(atomic_load(&seen.closed) == closed);
    blob_unref(blob);
}

static inline void send_many(struct eio_session *s, uint64_t n, size_t size)
{
    struct buf text = BUF_INIT(size);
    memset(buf_reserve(&text, size), 'x', size);
    buf_commit(&text, size);
    struct str part = buf_str(&text);
    for (uint64_t i = 0; i < n; i++)
        if (eio_send_text(s, &part, 1) < 0)
            atomic_fetch_add(&seen.refused, 1);
    atomic_store(&seen.writable, eio_writable(s));
    buf_free(&text);
}

static inline void describe(struct eio_session *s)
{
    char text[128];
    struct eio_user *user = eio_user(s);
    snprintf(text, sizeof text, "%d messages, protocol %d, %s, sent %d, loop %u", user->messages, (int)eio_version(s),
             eio_on_websocket(s) ? "websocket" : "polling", (int)eio_sent(s), loop_index(eio_loop(s)));
    say(s, text);
}

static inline void command(struct eio_session *s, struct str data)
{
    uint64_t n = 0;
    if (str_eqc(data, "!close")) {
        eio_close(s, EIO_FORCED);
        try_everything(s);
    } else if (str_eqc(data, "!farewell")) {
        say(s, "farewell");
        eio_close(s, EIO_FORCED);
    } else if (str_eqc(data, "!confirm")) {
        eio_confirm(s);
    } else if (str_eqc(data, "!pause")) {
        eio_pause(s, true);
    } else if (str_eqc(data, "!describe")) {
        describe(s);
    } else if (str_starts(data, STR("!flood ")) && str_u64(str_from(data, 7), &n) == 0) {
        send_many(s, n, KIB(64));
    } else {
        say(s, "unknown command");
    }
}

static inline void owner_message(struct eio_session *s, bool binary, struct str data)
{
    struct eio_user *user = eio_user(s);
    live_assert(eio_is_open(s));
    live_assert(str_eqc(eio_sid(s), user->text));
    user->messages++;
    atomic_fetch_add(&seen.messages, 1);
    if (binary) {
        struct blob *blob = blob_new(data);
        eio_send_binary(s, blob);
        blob_unref(blob);
    } else if (data.n && data.p[0] == '!') {
        command(s, data);
    } else {
        eio_send_text(s, (struct str[]){data, STR("")}, 2);
    }
}

static inline void owner_confirmed(struct eio_session *s, uint64_t n)
{
    live_assert(n <= eio_sent(s));
    atomic_store(&seen.confirmed_up_to, n);
    atomic_fetch_add(&seen.confirmed, 1);
}

static inline void owner_drained(struct eio_session *s)
{
    live_assert(eio_writable(s));
    atomic_fetch_add(&seen.drained, 1);
}

static inline void owner_closed(struct eio_session *s, enum eio_end why)
{
    try_everything(s);
    keep_in_mind(s, false);
    if (atomic_load(&seen.last) == s)
        atomic_store(&seen.last, NULL);
    atomic_store(&seen.end, (int)why);
    atomic_fetch_add(&seen.closed, 1);
}

static const struct eio_ops owner_ops = {.user_size = sizeof(struct eio_user),
                                         .on_open = owner_opened,
                                         .on_message = owner_message,
                                         .on_confirmed = owner_confirmed,
                                         .on_drained = owner_drained,
                                         .on_closed = owner_closed};

#define EIO_ROW(m)                                                                                                     \
    {                                                                                                                  \
        .method = (m), .path = "/engine.io/", .handler = eio_http, .max_body = LIMIT_HTTP_BODY_LARGE                   \
    }
static const struct http_route eio_routes[] = {
    {.method = HTTP_GET, .path = "/engine.io/", .handler = eio_http, .websocket = &eio_websocket},
    EIO_ROW(HTTP_POST),
    EIO_ROW(HTTP_PUT),
    EIO_ROW(HTTP_PATCH),
    EIO_ROW(HTTP_DELETE),
};

static inline int env_steer(void *arg, const struct http_head *head)
{
    return eio_steer(arg, head->query);
}

static inline void env_start(void)
{
    struct err e;
    memset(&seen, 0, sizeof seen);
    env.nloops = env.nloops ? env.nloops : 1;
    env.port = 0;
    env.server = server_new(&env.server_config);
    env.eio = eio_new(&env.config, &owner_ops, &env, env.nloops);
    server_routes(env.server, eio_routes, COUNT(eio_routes), env.eio);
    server_on_body(env.server, eio_body);
    if (env.steer)
        server_steer(env.server, env_steer, env.eio);
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

static inline void env_eio_drain(struct live_server *live)
{
    (void)live;
    eio_drain(env.eio);
}

static inline void env_eio_end(struct live_server *live)
{
    (void)live;
    eio_loop_end(env.eio);
}

static inline void env_stop(void)
{
    for (unsigned i = 0; i < env.nloops; i++) {
        if (!env.abrupt)
            live_do(&env.lives[i], env_eio_drain);
        live_do(&env.lives[i], live_drain);
        live_do(&env.lives[i], live_abort);
    }
    for (unsigned i = 0; i < env.nloops; i++)
        live_wait_idle(&env.lives[i]);
    for (unsigned i = 0; i < env.nloops; i++) {
        struct live_server *live = &env.lives[i];
        live_do(live, env_eio_end);
        loop_stop(live->loop);
        pthread_join(live->thread, NULL);
        loop_free(live->loop);
        sem_destroy(&live->done);
    }
    server_free(env.server);
    assert_int_equal(eio_count(env.eio), 0);
    assert_int_equal(atomic_load(&seen.opened), atomic_load(&seen.closed));
    eio_free(env.eio);
}

/* As the tests want it unless they say otherwise: heartbeats that never come in between. */
static inline void env_defaults(void)
{
    env = (struct eio_env){.config = {.ping_interval = 25000,
                                      .ping_timeout = 20000,
                                      .upgrade_timeout = 10000,
                                      .max_payload = 1000000,
                                      .allow_v3 = true}};
}

static inline int env_teardown(void **state)
{
    (void)state;
    env_stop();
    return 0;
}

/* ---- A client that polls ---- */

static inline void eio_request(struct client *c, const char *method, const char *query, const char *headers,
                               struct str body)
{
    struct buf out = BUF_INIT(MIB(64));
    buf_addf(&out, "%s /engine.io/?%s HTTP/1.1\r\nHost: test\r\n%s", method, query, headers);
    if (body.n || strcmp(method, "POST") == 0)
        buf_addf(&out, "Content-Length: %zu\r\n", body.n);
    buf_lit(&out, "\r\n");
    buf_str_add(&out, body);
    client_send(c, buf_str(&out));
    buf_free(&out);
}

/* A session over polling: a connection for its GETs, one for its POSTs. */
struct poller {
    struct client get, post;
    char sid[21], query[128];
};

static inline void take_sid(char sid[21], const char *open)
{
    const char *at = strstr(open, "\"sid\":\"");
    assert_non_null(at);
    str_copy(sid, 21, str_n(at + 7, strcspn(at + 7, "\"")));
    assert_int_equal(strlen(sid), 20);
}

static inline void note_held(struct live_server *live)
{
    (void)live;
    struct eio_session *s = eio_find(eio_shard_here(env.eio), str_c(env.holding));
    if (s && s->poll)
        atomic_store(&seen.held, 1);
}

/* more: further query parameters, "&b64=1" say. */
static inline void poller_open_with(struct poller *p, int version, const char *more)
{
    client_open(&p->get, env.port);
    client_open(&p->post, env.port);
    snprintf(p->query, sizeof p->query, "EIO=%d&transport=polling%s", version, more);
    eio_request(&p->get, "GET", p->query, "", STR(""));
    struct reply r = reply_read(&p->get);
    assert_int_equal(r.status, 200);
    take_sid(p->sid, r.body);
    snprintf(p->query, sizeof p->query, "EIO=%d&transport=polling&sid=%s", version, p->sid);
    reply_free(&r);
}

static inline void poller_open(struct poller *p)
{
    poller_open_with(p, 4, "");
}

static inline void poller_close(struct poller *p)
{
    client_close(&p->get);
    client_close(&p->post);
}

static inline void poller_ask(struct poller *p)
{
    eio_request(&p->get, "GET", p->query, "", STR(""));
}

/* Asks, and waits until the session holds the poll: two connections' requests may be read in any order. */
static inline void poller_hold(struct poller *p)
{
    poller_ask(p);
    str_copy(env.holding, sizeof env.holding, str_c(p->sid));
    atomic_store(&seen.held, 0);
    for (size_t i = 0; !atomic_load(&seen.held); i++) {
        live_do(&env.lives[i % (env.nloops ? env.nloops : 1)], note_held);
        usleep(200);
    }
}

/* The next reply has this status and, unless NULL, body. */
static inline void expect_reply(struct client *c, int status, const char *body)
{
    struct reply r = reply_read(c);
    if (r.status != status || (body && strcmp(r.body, body) != 0))
        fail_msg("got %d %s instead of %d %s", r.status, r.body, status, body ? body : "");
    reply_free(&r);
}

/* Polls once. */
static inline void poller_expect(struct poller *p, const char *body)
{
    poller_ask(p);
    expect_reply(&p->get, 200, body);
}

static inline void poller_expect_unknown(struct poller *p)
{
    poller_ask(p);
    expect_reply(&p->get, 400, "{\"code\":1,\"message\":\"Session ID unknown\"}");
}

static inline void poller_send(struct poller *p, const char *body)
{
    eio_request(&p->post, "POST", p->query, "Content-Type: text/plain;charset=UTF-8\r\n", str_c(body));
}

static inline void poller_post(struct poller *p, const char *body)
{
    poller_send(p, body);
    expect_reply(&p->post, 200, "ok");
}

static inline void await_closed(int n, enum eio_end why)
{
    await_count(&seen.closed, n);
    assert_string_equal(eio_end_name((enum eio_end)atomic_load(&seen.end)), eio_end_name(why));
}

/* Runs fn on the loop of the session that was opened last. */
static inline void on_its_loop(void (*fn)(struct live_server *live))
{
    struct eio_session *s = atomic_load(&seen.last);
    assert_non_null(s);
    live_do(&env.lives[loop_index(eio_loop(s))], fn);
}

static inline void its_resume(struct live_server *live)
{
    (void)live;
    eio_pause(atomic_load(&seen.last), false);
}

static inline void its_confirm(struct live_server *live)
{
    (void)live;
    eio_confirm(atomic_load(&seen.last));
}

/* ---- A client with a WebSocket ---- */

static inline void wsc_engine_with(struct ws_client *c, const char *query, const char *headers)
{
    char path[256];
    snprintf(path, sizeof path, "/engine.io/?%s", query);
    wsc_try(c, env.port, path, headers);
}

static inline void wsc_engine(struct ws_client *c, const char *query)
{
    wsc_engine_with(c, query, WS_USUAL);
    if (strncmp(c->head, "HTTP/1.1 101 ", 13) != 0)
        fail_msg("no upgrade: %s", c->head);
}

static inline void wsc_take_open(struct ws_client *c, char sid[21])
{
    struct ws_event event;
    struct buf text = BUF_INIT(KIB(4));
    assert_true(wsc_next(c, &event, &text));
    assert_int_equal(event.opcode, WS_TEXT);
    assert_memory_equal(buf_cstr(&text), "0{", 2);
    take_sid(sid, buf_cstr(&text));
    buf_free(&text);
}

/* A session over a WebSocket. */
static inline void wsc_begin(struct ws_client *c, int version, const char *more)
{
    char query[128], sid[21];
    snprintf(query, sizeof query, "EIO=%d&transport=websocket%s", version, more);
    wsc_engine(c, query);
    wsc_take_open(c, sid);
}

#endif
