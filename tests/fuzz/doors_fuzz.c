/* All doors at once, without a network: server, api, chat, an embedded store and the demo model on one loop, clients on
 * the other ends of socket pairs. The first byte picks the door (see doors[]), the rest is what the client sends: a
 * body, the end of a path, or for WebSockets frames, one per line. A line may begin with
 *   TAB  it goes to a second socket, of the other dialect (of Socket.IO: the same)
 *   .    (alone) everything sent so far is answered first
 *   !    the store fails from here on: "!r" its reads, "!w" its writes, "!" neither any more */
#include "fuzz.h"

#include "api/api.h"
#include "base/log.h"
#include "llm/demo/demo.h"
#include "loop/task.h"
#include "server/server_impl.h"
#include "unit/api/gated_store.h"
#include "unit/support/temp_dir.h"
#include "wire/ws.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAX KIB(32)
#define RENEW     200   /* inputs before everything is made anew: what is stored must not pile up */
#define STILL     4     /* turns of the loop without a byte: nothing is on its way */
#define PATIENCE  4     /* ms without a byte, for who waits for what may never come (an event stream) */
#define HANG      30000 /* ms */

static struct {
    char dir[TEMP_DIR_MAX];
    struct store *store;
    struct llm *llm;
    struct loop *loop;
    struct chat *chat;
    struct accounts *accounts;
    struct api *api;
    struct server *server;
    unsigned inputs;
} world;

struct door {
    char letter;
    const char *method, *path; /* %s in the path: the input, escaped */
    const char *headers;
    bool body, frames;
};

static const struct door doors[] = {
    {'c', "POST", "/api/chat", "", true, false},
    {'x', "POST", "/api/chat", "Accept: application/json, text/plain, */*\r\n", true, false},
    {'s', "POST", "/api/chat", "Accept: text/event-stream\r\n", true, false},
    {'m', "POST", "/conversations/api/chat", "", true, false},
    {'v', "POST", "/v1/chat/completions", "", true, false},
    {'t', "POST", "/api/tts", "", true, false},
    {'y', "POST", "/v1/audio/speech", "", true, false},
    {'f', "POST", "/v1/audio/transcriptions", "Content-Type: multipart/form-data; boundary=B\r\n", true, false},
    {'h', "POST", "/api/stt", "", true, false},
    {'z', "GET", "/audio/%s", "", false, false},
    {'p', "POST", "/api/conversations", "", true, false},
    {'u', "PUT", "/api/conversations/c", "", true, false},
    {'g', "GET", "/%s", "", false, false},
    {'d', "DELETE", "/api/conversations/%s", "", false, false},
    {'e', "GET", "/api/conversations/c/events?lastEventId=%s", "", false, false},
    {'k', "POST", "/api/conversations/%s/cancel", "", false, false},
    {'w', "GET", "/ws", "", false, true},
    {'a', "GET", "/ws/audio", "", false, true},
    {'o', "GET", "/socket.io/?EIO=4&transport=websocket", "", false, true},
    {'n', "POST", "/api/auth/register", "", true, false},
    {'l', "POST", "/api/auth/login", "", true, false},
    {'q', "POST", "/api/auth/refresh", "", true, false},
    {'i', "GET", "/api/auth/me?%s", "Authorization: a.b.c\r\n", false, false},
    {'r', NULL, NULL, NULL, false, false}, /* raw bytes from the start */
};

struct play {
    const struct door *door;
    struct str rest;
    int fds[2]; /* our ends, -1: closed */
    unsigned still;
    uint64_t quiet_since, started;
    bool closing;
};

/* ---- the world ---- */

static void world_make(void)
{
    struct err e;
    struct server_port *port;
    uint16_t number = 0;
    log_setup(LOG_OFF, LOG_TEXT);
    temp_dir_make(world.dir);
    CHECK(store_open(&store_sqlite, &(struct store_config){.data_dir = world.dir}, &world.store, &e) == 0);
    gate_install(world.store);
    world.llm = llm_demo_new(NULL);
    world.loop = loop_new(0);
    world.chat = chat_new(&(struct chat_config){.store = world.store,
                                                .llm = world.llm,
                                                .responder = world.llm,
                                                .loops = &world.loop,
                                                .nloops = 1,
                                                .history_tokens = 500,
                                                .room_keep = 1});
    world.accounts = accounts_new(&(struct accounts_config){.store = world.store,
                                                            .jwt_secret = "a secret of these inputs alone, 01234567",
                                                            .token_ms = 3600000,
                                                            .refresh_ms = 3600000,
                                                            .cost = 4},
                                  &e);
    CHECK(world.accounts);
    world.api = api_new(&(struct api_config){.chat = world.chat,
                                             .accounts = world.accounts,
                                             .version = "0",
                                             .api_token = "token",
                                             .metrics = true,
                                             .aimcs_model = "",
                                             .openai_model = "",
                                             .chat_model = "",
                                             .pichat_model = "",
                                             .ai_endpoint = "",
                                             .ai_deployment = "",
                                             .store_name = "sqlite",
                                             .llm_name = "demo",
                                             .socketio = {.engine = {.ping_interval = 60000,
                                                                     .ping_timeout = 60000,
                                                                     .upgrade_timeout = 60000,
                                                                     .max_payload = 100000,
                                                                     .allow_v3 = true},
                                                          .connect_timeout = 60000,
                                                          .recovery = 1,
                                                          .max_attachments = SIO_ATTACHMENTS},
                                             .nloops = 1});
    world.server = server_new(&(struct server_config){.admit = api_admit,
                                                      .admit_arg = world.api,
                                                      .error_body = api_error_body,
                                                      .error_arg = world.api,
                                                      .websocket_compression = true});
    api_mount(world.api, world.server);
    CHECK(server_listen(world.server, world.loop, "127.0.0.1", &number, NULL, &e) == 0);
    port = &world.server->loops[0]->ports[0];
    CHECK(port->sl->loop == world.loop);
}

static void world_wind_up(void *arg)
{
    if (server_idle(world.server, world.loop) && task_count() == 0 && chat_busy(world.chat) == 0) {
        api_loop_end(world.api);
        chat_loop_end(world.chat);
        loop_stop(world.loop);
    } else {
        loop_post(world.loop, world_wind_up, arg);
    }
}

static void world_abort(void *arg)
{
    chat_abort(world.chat);
    api_drain(world.api);
    server_abort(world.server, world.loop);
    world_wind_up(arg);
}

static void world_end(void)
{
    if (!world.loop)
        return;
    loop_post(world.loop, world_abort, NULL);
    loop_run(world.loop);
    loop_free(world.loop);
    server_free(world.server);
    api_free(world.api);
    accounts_free(world.accounts);
    chat_free(world.chat);
    llm_free(world.llm);
    store_close(world.store);
    temp_dir_remove(world.dir);
    memset(&world, 0, sizeof world);
}

/* ---- clients ---- */

static int connect_client(void)
{
    int pair[2];
    struct sockaddr_in6 peer = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    http_conn_open(&world.server->loops[0]->ports[0], pair[1], &peer);
    return pair[0];
}

/* The server may have closed already; otherwise what we send fits into the socket. */
static void send_bytes(int fd, struct str bytes)
{
    while (fd >= 0 && bytes.n) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return;
        CHECK(n > 0);
        bytes = str_from(bytes, (size_t)n);
    }
}

/* Reads and drops. Whether there was something. */
static bool drain(int *fd)
{
    static char scratch[KIB(64)];
    bool any = false;
    ssize_t n;
    while (*fd >= 0 && (n = recv(*fd, scratch, sizeof scratch, 0)) >= 0) {
        any = true;
        if (n > 0)
            continue;
        close(*fd);
        *fd = -1;
    }
    return any;
}

static void upgrade(int fd, const char *path)
{
    struct buf out = BUF_INIT(KIB(1));
    buf_addf(&out,
             "GET %s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
             path);
    send_bytes(fd, buf_str(&out));
    buf_free(&out);
}

/* ---- what is sent ---- */

static void put_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n && i < 512; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c > 0x20 && c < 0x7F)
            buf_byte(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

static void send_request(struct play *p)
{
    const struct door *door = p->door;
    struct buf out = BUF_INIT(KIB(64));
    const char *hole = strstr(door->path, "%s");
    buf_addf(&out, "%s %.*s", door->method, (int)(hole ? hole - door->path : (ptrdiff_t)strlen(door->path)),
             door->path);
    if (hole) {
        put_escaped(&out, p->rest);
        buf_str_add(&out, str_c(hole + 2));
    }
    buf_addf(&out, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s", door->headers);
    if (door->body)
        buf_addf(&out, "Content-Length: %zu\r\n", p->rest.n);
    buf_lit(&out, "\r\n");
    if (door->body)
        buf_str_add(&out, p->rest);
    send_bytes(p->fds[0], buf_str(&out));
    buf_free(&out);
    p->rest = STR("");
}

static void send_frame(int fd, struct str text)
{
    struct buf out = BUF_INIT(KIB(64));
    CHECK(ws_frame_put(&out, WS_TEXT, text, true) == 0);
    send_bytes(fd, buf_str(&out));
    buf_free(&out);
}

static void break_store(struct str what)
{
    atomic_store(&gate.reads_fail, str_find_char(what, 'r') >= 0);
    atomic_store(&gate.writes_fail, str_find_char(what, 'w') >= 0);
}

/* Frames up to the next line with a dot. */
static void send_frames(struct play *p)
{
    struct str line;
    while (str_split(&p->rest, '\n', &line)) {
        char first = line.n ? line.p[0] : 0;
        if (first == '.' && line.n == 1)
            return;
        if (first == '!')
            break_store(line);
        else if (first == '\t')
            send_frame(p->fds[1], str_from(line, 1));
        else
            send_frame(p->fds[0], line);
    }
    p->rest = STR("");
}

static void send_next(struct play *p)
{
    if (!p->door->method) {
        send_bytes(p->fds[0], p->rest);
        p->rest = STR("");
    } else if (p->door->frames) {
        send_frames(p);
    } else {
        send_request(p);
    }
}

/* ---- the play ---- */

static void close_clients(struct play *p)
{
    for (size_t i = 0; i < 2; i++)
        if (p->fds[i] >= 0)
            close(p->fds[i]);
    p->fds[0] = p->fds[1] = -1;
    p->closing = true;
    gate_open();
}

/* Nothing more will come for what was sent. */
static bool is_still(struct play *p)
{
    bool any = drain(&p->fds[0]);
    any |= drain(&p->fds[1]);
    p->still = any ? 0 : p->still + 1;
    if (p->still <= 1)
        p->quiet_since = loop_now_ms(world.loop);
    if (p->still < STILL || chat_busy(world.chat))
        return false;
    return task_count() == 0 || loop_now_ms(world.loop) - p->quiet_since >= PATIENCE;
}

static void tick(void *arg)
{
    struct play *p = arg;
    CHECK(loop_now_ms(world.loop) - p->started < HANG);
    if (p->closing) {
        if (server_idle(world.server, world.loop) && task_count() == 0 && chat_busy(world.chat) == 0) {
            loop_stop(world.loop);
            return;
        }
    } else if (is_still(p)) {
        p->still = 0;
        if (p->rest.n)
            send_next(p);
        else
            close_clients(p);
    }
    loop_post(world.loop, tick, p);
}

static const char *second_path(const struct door *door)
{
    if (door->letter == 'o')
        return door->path;
    return door->letter == 'w' ? "/ws/audio" : "/ws";
}

static void begin(void *arg)
{
    struct play *p = arg;
    p->started = p->quiet_since = loop_now_ms(world.loop);
    p->fds[0] = connect_client();
    if (p->door->frames) {
        p->fds[1] = connect_client();
        upgrade(p->fds[0], p->door->path);
        upgrade(p->fds[1], second_path(p->door));
    }
    send_next(p);
    tick(p);
}

static const struct door *door_named(char letter)
{
    for (size_t i = 0; i < COUNT(doors); i++)
        if (doors[i].letter == letter)
            return &doors[i];
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play play = {.fds = {-1, -1}};
    if (size == 0 || size > INPUT_MAX || !(play.door = door_named((char)data[0])))
        return 0;
    if (!world.loop) {
        static bool registered;
        if (!registered)
            atexit(world_end);
        registered = true;
        world_make();
    }
    world.inputs++;
    play.rest = str_n(data + 1, size - 1);
    loop_post(world.loop, begin, &play);
    loop_run(world.loop);
    if (world.inputs >= RENEW)
        world_end();
    return 0;
}
