/* Engine.IO sessions without a network: polls, posts, WebSockets and upgrades in any order, an owner that does to its
 * sessions what messages say. One step per line; the digit is the session, in the order in which they opened:
 *   o4 w3      opens one, over polling or a WebSocket, protocol 4 or 3
 *   g0         a GET; q0: its connection breaks
 *   p0…  P0…   a POST of text, of octets; k0: its connection breaks
 *   u0         a WebSocket for the session; h0: leaves with a close frame; Q0: its connection breaks
 *   t0…  b0…   a text frame, a binary one
 *   z0 r0      the owner closes it, takes messages again
 *   .          everything is answered first; ~: and some milliseconds pass
 *   d          the server drains */
#include "fuzz.h"

#include "base/log.h"
#include "loop/task.h"
#include "server/engineio.h"
#include "server/server_impl.h"
#include "wire/ws.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAX KIB(16)
#define SESSIONS  8
#define STILL     4     /* turns of the loop without a byte: nothing is on its way */
#define PAUSE     12    /* ms: longer than any limit of a session here */
#define PAUSES    3     /* of one input */
#define HANG      30000 /* ms */

struct slot {
    struct eio_session *session; /* NULL: over */
    char sid[32], version;
    int get, post, socket; /* -1: closed */
};

static struct {
    struct loop *loop;
    struct server *server;
    struct eio_server *eio;
    struct slot slots[SESSIONS];
    size_t opened;
    struct str rest;
    unsigned still, pauses;
    uint64_t started, pause_until;
    bool closing, chain; /* whoever ends takes the others along */
} world;

/* ---- the owner ---- */

static void owner_opened(struct eio_session *s, struct http_request *rq)
{
    (void)rq;
    struct str greeting = STR("hello");
    *(size_t *)eio_user(s) = SESSIONS;
    if (world.opened < SESSIONS) {
        struct slot *slot = &world.slots[world.opened];
        slot->session = s;
        str_copy(slot->sid, sizeof slot->sid, eio_sid(s));
        *(size_t *)eio_user(s) = world.opened++;
    }
    eio_send_text(s, &greeting, 1);
}

static void send_to_all(void)
{
    struct blob *frame = eio_frame((struct str[]){STR("to "), STR("all")}, 2);
    for (size_t i = 0; i < SESSIONS; i++)
        if (world.slots[i].session)
            eio_send_frame(world.slots[i].session, frame);
    blob_unref(frame);
}

static void close_all(void)
{
    for (size_t i = 0; i < SESSIONS; i++)
        if (world.slots[i].session)
            eio_close(world.slots[i].session, EIO_FORCED);
}

static void flood(struct eio_session *s)
{
    struct blob *blob = blob_alloc(MIB(3));
    memset(blob->data, 0, blob->n);
    for (int i = 0; i < 4 && eio_has_room(s); i++)
        eio_send_binary(s, blob);
    blob_unref(blob);
}

static void command(struct eio_session *s, char c)
{
    switch (c) {
    case 'c':
        eio_close(s, EIO_FORCED);
        break;
    case 'p':
        eio_pause(s, true);
        break;
    case 'r':
        eio_pause(s, false);
        break;
    case 'k':
        eio_confirm(s);
        break;
    case 'a':
        send_to_all();
        break;
    case 'x':
        close_all();
        break;
    case 'y':
        world.chain = true;
        break;
    case 'f':
        flood(s);
        break;
    default:
        break;
    }
}

static void owner_message(struct eio_session *s, bool binary, struct str data)
{
    CHECK(eio_is_open(s));
    if (!binary && data.n >= 2 && data.p[0] == '!') {
        for (size_t i = 1; i < data.n; i++)
            command(s, data.p[i]);
    } else if (!binary) {
        eio_send_text(s, &data, 1);
    } else {
        struct blob *blob = blob_new(data);
        eio_send_binary(s, blob);
        blob_unref(blob);
    }
}

static void owner_confirmed(struct eio_session *s, uint64_t n)
{
    CHECK(n <= eio_sent(s));
    eio_confirm(s);
}

static void owner_drained(struct eio_session *s)
{
    CHECK(eio_writable(s));
    eio_send_text(s, &(struct str){"more", 4}, 1);
}

static void owner_closed(struct eio_session *s, enum eio_end why)
{
    (void)why;
    size_t index = *(size_t *)eio_user(s);
    CHECK(!eio_is_open(s) && eio_send_text(s, &(struct str){"late", 4}, 1) == -1);
    if (index < SESSIONS)
        world.slots[index].session = NULL;
    if (world.chain)
        close_all();
}

static const struct eio_ops owner = {.user_size = sizeof(size_t),
                                     .on_open = owner_opened,
                                     .on_message = owner_message,
                                     .on_confirmed = owner_confirmed,
                                     .on_drained = owner_drained,
                                     .on_closed = owner_closed};

/* ---- the world ---- */

static const struct http_route routes[] = {
    {.method = HTTP_GET, .path = "/e/", .handler = eio_http, .websocket = &eio_websocket},
    {.method = HTTP_POST, .path = "/e/", .handler = eio_http},
};

static void world_make(void)
{
    struct err e;
    uint16_t port = 0;
    struct eio_config config = {.ping_interval = 4,
                                .ping_timeout = 4,
                                .upgrade_timeout = 8,
                                .max_payload = 4096,
                                .allow_v3 = true,
                                .compression = true,
                                .open_delay = world.rest.n % 2};
    log_setup(LOG_OFF, LOG_TEXT);
    world.loop = loop_new(0);
    world.eio = eio_new(&config, &owner, NULL, 1);
    world.server = server_new(&(struct server_config){
        .websocket_compression = true, .websocket_pong = 5, .slow_consumer_drops = world.rest.n % 3 == 0});
    server_routes(world.server, routes, COUNT(routes), world.eio);
    CHECK(server_listen(world.server, world.loop, "127.0.0.1", &port, NULL, &e) == 0);
    for (size_t i = 0; i < SESSIONS; i++)
        world.slots[i].get = world.slots[i].post = world.slots[i].socket = -1;
}

static void world_free(void)
{
    loop_free(world.loop);
    server_free(world.server);
    CHECK(eio_count(world.eio) == 0);
    eio_free(world.eio);
    memset(&world, 0, sizeof world);
}

/* ---- clients ---- */

static void hang_up(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void connect_client(int *fd)
{
    int pair[2];
    struct sockaddr_in6 peer = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    hang_up(fd);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    http_conn_open(&world.server->loops[0]->ports[0], pair[1], &peer);
    *fd = pair[0];
}

/* What does not fit into the socket is lost: a client that breaks off. */
static void send_bytes(int fd, struct str bytes)
{
    if (fd >= 0 && bytes.n && send(fd, bytes.p, bytes.n, MSG_NOSIGNAL) < 0)
        CHECK(errno == EPIPE || errno == ECONNRESET || errno == EAGAIN);
}

static void request(int *fd, const char *method, const char *query, const char *headers, struct str body)
{
    struct buf out = BUF_INIT(KIB(64));
    if (*fd < 0)
        connect_client(fd);
    buf_addf(&out, "%s /e/?%s HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n%s", method, query, headers);
    if (method[0] == 'P')
        buf_addf(&out, "Content-Length: %zu\r\n", body.n);
    buf_lit(&out, "\r\n");
    buf_str_add(&out, body);
    send_bytes(*fd, buf_str(&out));
    buf_free(&out);
}

#define UPGRADE                                                                                                        \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                       \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void open_one(bool socket, char version)
{
    char query[64];
    if (world.opened == SESSIONS)
        return;
    struct slot *slot = &world.slots[world.opened];
    slot->version = version;
    snprintf(query, sizeof query, "EIO=%c&transport=%s", version, socket ? "websocket" : "polling");
    connect_client(socket ? &slot->socket : &slot->get);
    request(socket ? &slot->socket : &slot->get, "GET", query, socket ? UPGRADE : "", STR(""));
}

static void send_frame(int fd, enum ws_opcode opcode, struct str data)
{
    struct buf out = BUF_INIT(KIB(64));
    CHECK(opcode == WS_CLOSE ? ws_close_put(&out, 1000, data, true) == 0 : ws_frame_put(&out, opcode, data, true) == 0);
    send_bytes(fd, buf_str(&out));
    buf_free(&out);
}

/* Reads and drops. Whether there was something. */
static bool drain(int *fd)
{
    static char scratch[KIB(64)];
    bool any = false;
    ssize_t n;
    while (*fd >= 0 && (n = recv(*fd, scratch, sizeof scratch, 0)) >= 0) {
        any = true;
        if (n == 0)
            hang_up(fd);
    }
    return any;
}

/* ---- steps ---- */

static void client_step(struct slot *slot, char verb, struct str data)
{
    char query[96];
    snprintf(query, sizeof query, "EIO=%c&transport=%s&sid=%s", slot->version, verb == 'u' ? "websocket" : "polling",
             slot->sid);
    switch (verb) {
    case 'g':
        request(&slot->get, "GET", query, "", STR(""));
        break;
    case 'p':
        request(&slot->post, "POST", query, "", data);
        break;
    case 'P':
        request(&slot->post, "POST", query, "Content-Type: application/octet-stream\r\n", data);
        break;
    case 'u':
        connect_client(&slot->socket);
        request(&slot->socket, "GET", query, UPGRADE, STR(""));
        break;
    case 't':
        send_frame(slot->socket, WS_TEXT, data);
        break;
    case 'b':
        send_frame(slot->socket, WS_BINARY, data);
        break;
    case 'h':
        send_frame(slot->socket, WS_CLOSE, STR(""));
        break;
    case 'q':
        hang_up(&slot->get);
        break;
    case 'k':
        hang_up(&slot->post);
        break;
    case 'Q':
        hang_up(&slot->socket);
        break;
    default:
        break;
    }
}

static void step(struct str line)
{
    char verb = line.n ? line.p[0] : 0, digit = line.n > 1 ? line.p[1] : '0';
    if (verb == 'o' || verb == 'w') {
        open_one(verb == 'w', digit);
    } else if (verb == 'd') {
        eio_drain(world.eio);
    } else if (digit >= '0' && digit < '0' + SESSIONS) {
        struct slot *slot = &world.slots[digit - '0'];
        if (verb == 'z' && slot->session)
            eio_close(slot->session, EIO_FORCED);
        else if (verb == 'r' && slot->session)
            eio_pause(slot->session, false);
        else
            client_step(slot, verb, str_from(line, 2));
    }
}

/* Up to the next line that waits. */
static void take_steps(void)
{
    struct str line;
    while (str_split(&world.rest, '\n', &line)) {
        bool pause = str_eqc(line, "~") && world.pauses++ < PAUSES;
        if (pause)
            world.pause_until = loop_now_ms(world.loop) + PAUSE;
        if (pause || str_eqc(line, "."))
            return;
        step(line);
    }
}

static bool is_still(void)
{
    bool any = false;
    for (size_t i = 0; i < SESSIONS; i++) {
        any |= drain(&world.slots[i].get);
        any |= drain(&world.slots[i].post);
        any |= drain(&world.slots[i].socket);
    }
    world.still = any ? 0 : world.still + 1;
    return world.still >= STILL && loop_now_ms(world.loop) >= world.pause_until;
}

static void close_clients(void)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        hang_up(&world.slots[i].get);
        hang_up(&world.slots[i].post);
        hang_up(&world.slots[i].socket);
    }
    world.closing = true;
    server_abort(world.server, world.loop);
}

static void tick(void *arg)
{
    (void)arg;
    CHECK(loop_now_ms(world.loop) - world.started < HANG);
    if (world.closing && server_idle(world.server, world.loop) && task_count() == 0) {
        eio_loop_end(world.eio);
        loop_stop(world.loop);
        return;
    }
    if (!world.closing && is_still()) {
        world.still = 0;
        if (world.rest.n)
            take_steps();
        else
            close_clients();
    }
    loop_post(world.loop, tick, NULL);
}

static void begin(void *arg)
{
    world.started = loop_now_ms(world.loop);
    take_steps();
    tick(arg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_MAX)
        return 0;
    world.rest = str_n(data, size);
    world_make();
    loop_post(world.loop, begin, NULL);
    loop_run(world.loop);
    world_free();
    return 0;
}
