/* Socket.IO sockets on an Engine.IO that is played here: packets, lost connections and returns in any order. Clients
 * behave as the official one does, and check what recovery promises: of the numbered events of a socket none is lost,
 * none comes twice. One step per line; the digit is the client:
 *   o0… O0…    opens a session, protocol 4 or 3, the rest is the query
 *   c0…        connects to "/", with its pid and offset when it has them; the rest is more auth (`"recovery":true`)
 *   p01        shows the pid of client 1
 *   t0… b0…    any text, any binary message
 *   d0n        takes n packets that were sent to it, 0: all
 *   x0n        the session ends, for reason n; what it did not take is lost
 *   e0n        the server sends n numbered events to the client's socket, wherever that is
 *   s0c        the server does c to it: j l (rooms) d D (disconnect) a (ask) v (volatile event)
 *   r          a broadcast to a room
 *   w0 f0 h0   the client keeps up or not; its queue is full or not; heartbeats are old or fresh
 *   ~          some milliseconds pass */
#include "fuzz.h"

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/task.h"
#include "server/http.h"
#include "server/socketio.h"

#include <stdalign.h>
#include <stdio.h>

#define INPUT_MAX KIB(16)
#define CLIENTS   6
#define PAUSES    3
#define PAUSE     4   /* ms: longer than sockets wait for their clients in half of the inputs */
#define EVENTS    300 /* numbered events of one step */

/* ---- Engine.IO ---- */

struct item {
    struct list link;
    struct blob *text, *binary; /* neither: a heartbeat */
    uint64_t sent;              /* messages in front of the heartbeat */
};

struct eio_server {
    struct eio_config config;
    const struct eio_ops *ops;
    void *owner;
};

struct eio_session {
    struct list queue;
    char sid[21];
    enum eio_version version;
    enum eio_end why;
    uint64_t sent;
    bool ended, beating, full, slow, stale;
    alignas(max_align_t) char user[];
};

struct client {
    struct eio_session *session;
    char sid[64], pid[24], offset[64];
    bool connected;          /* to "/" */
    bool liar;               /* said things that no client says: what it gets is not looked at */
    int expected;            /* number of the next event */
    unsigned missing;        /* attachments */
    struct blob *early[512]; /* events in front of the welcome */
    size_t nearly;
};

static struct {
    struct loop *loop;
    struct eio_server engine;
    struct sio_server *sio;
    struct client clients[CLIENTS];
    struct list sockets; /* struct user.link */
    struct str rest;
    unsigned pauses, sids, asked, answered;
    struct timer pause;
} world;

struct eio_server *eio_new(const struct eio_config *config, const struct eio_ops *ops, void *owner, size_t nloops)
{
    CHECK(nloops == 1);
    world.engine = (struct eio_server){*config, ops, owner};
    return &world.engine;
}

struct eio_server *eio_free(struct eio_server *server)
{
    (void)server;
    return NULL;
}

static void push(struct eio_session *s, struct blob *text, struct blob *binary)
{
    struct item *item = mem_alloc(sizeof *item);
    *item = (struct item){.text = text, .binary = binary, .sent = s->sent};
    list_push_back(&s->queue, &item->link);
}

static void item_free(struct item *item)
{
    blob_unref(item->text);
    blob_unref(item->binary);
    free(item);
}

bool eio_has_room(struct eio_session *s)
{
    return !s->ended && !s->full;
}

struct blob *eio_frame(const struct str *parts, size_t n)
{
    struct buf text = BUF_INIT(MIB(64));
    CHECK(n <= EIO_PARTS);
    for (size_t i = 0; i < n; i++)
        buf_str_add(&text, parts[i]);
    struct blob *frame = blob_new(buf_str(&text));
    buf_free(&text);
    return frame;
}

struct str eio_frame_text(const struct blob *frame)
{
    return blob_str(frame);
}

int eio_send_frame(struct eio_session *s, struct blob *frame)
{
    if (!eio_has_room(s))
        return -1;
    s->sent++;
    push(s, blob_ref(frame), NULL);
    return 0;
}

int eio_send_text(struct eio_session *s, const struct str *parts, size_t n)
{
    struct blob *frame = eio_frame(parts, n);
    int result = eio_send_frame(s, frame);
    blob_unref(frame);
    return result;
}

int eio_send_binary(struct eio_session *s, struct blob *data)
{
    if (!eio_has_room(s))
        return -1;
    s->sent++;
    push(s, NULL, blob_ref(data));
    return 0;
}

void eio_confirm(struct eio_session *s)
{
    if (s->ended || s->beating || s->version == EIO_V3)
        return;
    s->beating = true;
    push(s, NULL, NULL);
}

void eio_close(struct eio_session *s, enum eio_end why)
{
    if (s->ended)
        return;
    s->ended = true;
    s->why = why;
}

uint64_t eio_heartbeat_age(const struct eio_session *s)
{
    return s->stale ? 5000 : 0;
}

bool eio_writable(const struct eio_session *s)
{
    return !s->ended && !s->slow;
}

uint64_t eio_sent(const struct eio_session *s)
{
    return s->sent;
}

void eio_pause(struct eio_session *s, bool pause)
{
    (void)s;
    (void)pause;
}

void *eio_user(struct eio_session *s)
{
    return s->user;
}

void *eio_owner(struct eio_session *s)
{
    (void)s;
    return world.engine.owner;
}

struct loop *eio_loop(const struct eio_session *s)
{
    (void)s;
    return world.loop;
}

struct str eio_sid(const struct eio_session *s)
{
    return str_c(s->sid);
}

struct str eio_address(const struct eio_session *s)
{
    (void)s;
    return STR("192.0.2.1");
}

enum eio_version eio_version(const struct eio_session *s)
{
    return s->version;
}

bool eio_is_open(const struct eio_session *s)
{
    return !s->ended;
}

const char *eio_end_name(enum eio_end end)
{
    static const char *const names[] = {"close", "error", "timeout", "parse", "forced", "slow", "shutdown"};
    return names[end];
}

/* What waits for nobody goes with the session. */
static void end_session(struct client *c)
{
    struct list *first;
    struct eio_session *s = c->session;
    world.engine.ops->on_closed(s, s->why);
    while ((first = list_pop_front(&s->queue)))
        item_free(container_of(first, struct item, link));
    free(s);
    c->session = NULL;
    c->connected = false;
    c->missing = 0;
}

static void end_sessions(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (world.clients[i].session && world.clients[i].session->ended)
            end_session(&world.clients[i]);
}

void eio_loop_end(struct eio_server *server)
{
    (void)server;
    for (size_t i = 0; i < CLIENTS; i++)
        if (world.clients[i].session)
            eio_close(world.clients[i].session, EIO_SHUTDOWN);
    end_sessions();
}

/* ---- The owner ---- */

struct user {
    struct list link; /* in world.sockets */
    struct sio_socket *socket;
    int number;
};

static int on_connect(struct sio_socket *s, const struct json_value *auth, struct err *e)
{
    (void)s;
    return auth->raw.n % 16 == 15 ? err_set(e, ERR_FORBIDDEN, NULL) : 0;
}

static void on_connected(struct sio_socket *s, bool recovered)
{
    struct user *user = sio_user(s);
    CHECK(recovered == (user->socket == s) && sio_is_connected(s));
    if (!recovered)
        list_push_back(&world.sockets, &user->link);
    user->socket = s;
}

static void on_closed(struct sio_socket *s, const char *reason)
{
    struct user *user = sio_user(s);
    (void)reason;
    CHECK(user->socket == s && !sio_is_open(s));
    user->socket = NULL;
    list_remove(&user->link);
}

static void send_back(struct sio_message *m)
{
    struct blob *blobs[SIO_ATTACHMENTS_MAX];
    for (size_t i = 0; i < m->nattachments; i++)
        blobs[i] = blob_new(m->attachments[i]);
    struct sio_emit emit = {
        .name = STR("back"), .args = m->args, .attachments = blobs, .nattachments = (unsigned)m->nattachments};
    sio_emit(m->socket, &emit);
    if (m->wants_ack)
        sio_ack(m->socket, m->ack_id, m->args, blobs, (unsigned)m->nattachments);
    for (size_t i = 0; i < m->nattachments; i++)
        blob_unref(blobs[i]);
}

static void send_back_later(struct sio_message *m)
{
    struct err e;
    if (task_yield(&e) == 0)
        send_back(m);
}

static void leave(struct sio_message *m)
{
    sio_disconnect(m->socket, m->args.n > 0);
}

static const struct sio_row rows[] = {
    {"now", SIO_NOW, send_back}, {"later", SIO_SERIAL, send_back_later}, {"leave", SIO_NOW, leave}};
static const struct sio_namespace namespaces[] = {{.name = "/",
                                                   .user_size = sizeof(struct user),
                                                   .rows = rows,
                                                   .nrows = COUNT(rows),
                                                   .on_connect = on_connect,
                                                   .on_connected = on_connected,
                                                   .on_closed = on_closed},
                                                  {.name = "/n", .rows = rows, .nrows = COUNT(rows)}};

/* ---- Clients ---- */

static bool is_old(const struct client *c)
{
    return c->session->version == EIO_V3;
}

/* An event as the official client takes it: whatever text comes last is an offset. */
static void take_event(struct client *c, struct blob *text)
{
    struct sio_packet packet;
    struct json_value arg = {.type = JSON_NONE}, first = arg;
    CHECK(sio_decode(blob_str(text), SIO_ATTACHMENTS_MAX, &packet, NULL) == 0);
    struct json_iter it = sio_args(&packet);
    for (int i = 0; json_each(&it, NULL, &arg); i++)
        first = i ? first : arg;
    if (c->pid[0] && arg.type == JSON_STRING)
        str_copy(c->offset, sizeof c->offset, arg.raw);
    if (!str_eqc(packet.name.raw, "n"))
        return;
    int number = (int)json_int(&first, -1);
    CHECK(c->liar || number == c->expected);
    c->expected = number + 1;
}

static void take_early(struct client *c)
{
    for (size_t i = 0; i < c->nearly; i++) {
        take_event(c, c->early[i]);
        blob_unref(c->early[i]);
    }
    c->nearly = 0;
}

static void welcomed(struct client *c, const struct sio_packet *packet)
{
    struct json_want wants[] = {{.path = "sid"}, {.path = "pid"}};
    take_early(c);
    c->connected = true;
    if (packet->data.type == JSON_NONE)
        return;
    CHECK(json_scan(packet->data.raw, wants, 2, NULL, NULL) == 0 && wants[0].value.raw.n == 20);
    if (str_eqc(wants[0].value.raw, c->sid))
        return;
    str_copy(c->sid, sizeof c->sid, wants[0].value.raw);
    str_copy(c->pid, sizeof c->pid, wants[1].value.raw);
    c->expected = 1;
}

static void take_text(struct client *c, struct blob *text)
{
    struct sio_packet packet;
    CHECK(sio_decode(blob_str(text), SIO_ATTACHMENTS_MAX, &packet, NULL) == 0);
    CHECK(c->missing == 0);
    c->missing = packet.attachments;
    if (!str_eqc(packet.nsp, "/"))
        return;
    if (packet.type == SIO_CONNECT)
        welcomed(c, &packet);
    else if (packet.type == SIO_DISCONNECT)
        c->connected = false;
    else if (packet.type != SIO_EVENT && packet.type != SIO_BINARY_EVENT)
        return;
    else if (c->connected)
        take_event(c, text);
    else if (c->nearly < COUNT(c->early))
        c->early[c->nearly++] = blob_ref(text);
    else
        c->liar = true;
}

static void take_items(struct client *c, unsigned n)
{
    struct list *first;
    while (n-- && c->session && (first = list_pop_front(&c->session->queue))) {
        struct item *item = container_of(first, struct item, link);
        if (item->text) {
            take_text(c, item->text);
        } else if (item->binary) {
            CHECK(c->missing-- > 0);
        } else {
            c->session->beating = false;
            if (!c->session->ended)
                world.engine.ops->on_confirmed(c->session, item->sent);
        }
        item_free(item);
    }
}

static void open_session(struct client *c, enum eio_version version, struct str query)
{
    if (c->session)
        return;
    struct arena *arena = arena_new("fuzz");
    struct http_request rq = {.arena = arena, .query = query};
    c->session = mem_zalloc(sizeof *c->session + world.engine.ops->user_size);
    c->session->version = version;
    list_init(&c->session->queue);
    snprintf(c->session->sid, sizeof c->session->sid, "%020u", world.sids++);
    if (version == EIO_V3)
        c->liar = true; /* its numbers begin anew without a word */
    world.engine.ops->on_open(c->session, &rq);
    arena_free(arena);
}

static void message(struct client *c, bool binary, struct str data)
{
    char *copy = mem_alloc(data.n + 1);
    if (data.n)
        memcpy(copy, data.p, data.n);
    if (c->session && !c->session->ended)
        world.engine.ops->on_message(c->session, binary, str_n(copy, data.n));
    free(copy);
}

static void connect_client(struct client *c, const char *pid, const char *offset, struct str more)
{
    struct buf text = BUF_INIT(INPUT_MAX + KIB(1));
    if (!c->session || is_old(c))
        return;
    buf_lit(&text, "0{");
    if (pid[0])
        buf_addf(&text, "\"pid\":\"%s\"%s", pid, more.n || offset[0] ? "," : "");
    if (offset[0])
        buf_addf(&text, "\"offset\":\"%s\"%s", offset, more.n ? "," : "");
    buf_str_add(&text, more);
    buf_byte(&text, '}');
    message(c, false, buf_str(&text));
    buf_free(&text);
}

/* ---- Steps ---- */

static struct user *socket_of(const struct client *c)
{
    list_each(it, &world.sockets) {
        struct user *user = container_of(it, struct user, link);
        if (c->sid[0] && str_eqc(sio_sid(user->socket), c->sid))
            return user;
    }
    return NULL;
}

static void emit_numbers(struct user *user, int n)
{
    for (int i = 0; user && i < n && user->socket; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%d", user->number + 1);
        struct sio_emit emit = {.name = STR("n"), .args = str_n(text, (size_t)len)};
        user->number += sio_emit(user->socket, &emit) == 0;
    }
}

static void answered(struct sio_socket *s, void *arg, const struct sio_answer *answer)
{
    (void)s;
    CHECK(arg == &world);
    (void)answer;
    world.answered++;
}

static void server_step(struct user *user, char verb)
{
    struct sio_emit emit = {.name = STR("v"), .args = STR("1"), .is_volatile = verb == 'v'};
    if (!user)
        return;
    switch (verb) {
    case 'j':
        CHECK(sio_join(user->socket, STR("r"), NULL) == 0 && sio_in_room(user->socket, STR("r")));
        break;
    case 'l':
        sio_leave(user->socket, STR("r"));
        break;
    case 'd':
    case 'D':
        sio_disconnect(user->socket, verb == 'D');
        break;
    case 'a':
        world.asked++;
        sio_ask(user->socket, &emit, 1, answered, &world);
        break;
    case 'v':
        sio_emit(user->socket, &emit);
        break;
    default:
        break;
    }
}

static void broadcast(void)
{
    struct str room = STR("r");
    struct blob *blob = blob_new(STR("cast"));
    struct sio_emit emit = {
        .name = STR("b"), .args = STR("{\"_placeholder\":true,\"num\":0}"), .attachments = &blob, .nattachments = 1};
    sio_broadcast(world.sio, STR("/"), &room, 1, NULL, &emit);
    blob_unref(blob);
}

static unsigned number_of(struct str rest)
{
    uint64_t n;
    return str_u64(rest, &n) == 0 && n < EVENTS ? (unsigned)n : 0;
}

static void flip(struct client *c, char verb)
{
    struct eio_session *s = c->session;
    if (!s || s->ended)
        return;
    s->stale ^= verb == 'h';
    s->slow ^= verb == 'w';
    s->full ^= verb == 'f';
    if (verb == 'w' && !s->slow)
        world.engine.ops->on_drained(s);
}

static void client_step(struct client *c, char verb, struct str rest)
{
    unsigned n = number_of(rest);
    switch (verb) {
    case 'o':
    case 'O':
        open_session(c, verb == 'o' ? EIO_V4 : EIO_V3, rest);
        break;
    case 'c':
        connect_client(c, c->pid, c->offset, rest);
        break;
    case 'p':
        c->liar = world.clients[n % CLIENTS].liar = true; /* who answers for the other one, too */
        connect_client(c, world.clients[n % CLIENTS].pid, "", STR(""));
        break;
    case 't':
    case 'b':
        c->liar = true;
        message(c, verb == 'b', rest);
        break;
    case 'd':
        take_items(c, n ? n : UINT32_MAX);
        break;
    case 'x':
        if (c->session)
            eio_close(c->session, (enum eio_end)(n % (EIO_SHUTDOWN + 1)));
        break;
    case 'e':
        emit_numbers(socket_of(c), (int)n);
        break;
    case 's':
        server_step(socket_of(c), rest.n ? rest.p[0] : 0);
        break;
    default:
        flip(c, verb);
        break;
    }
}

static void run(void *arg);

static void pause_over(struct timer *timer)
{
    (void)timer;
    run(NULL);
}

static void finish(void *arg)
{
    (void)arg;
    if (task_count()) {
        loop_post(world.loop, finish, NULL);
        return;
    }
    sio_loop_end(world.sio);
    CHECK(list_empty(&world.sockets) && sio_count(world.sio) == 0 && sio_count_lost(world.sio) == 0);
    loop_stop(world.loop);
}

static void run(void *arg)
{
    struct str line;
    (void)arg;
    end_sessions();
    if (!world.rest.n || !str_split(&world.rest, '\n', &line)) {
        sio_drain(world.sio);
        for (size_t i = 0; i < CLIENTS; i++)
            if (world.clients[i].session)
                eio_close(world.clients[i].session, EIO_TRANSPORT_CLOSE);
        end_sessions();
        loop_post(world.loop, finish, NULL);
        return;
    }
    if (line.n && line.p[0] == '~' && world.pauses++ < PAUSES) {
        timer_start(world.loop, &world.pause, PAUSE);
        return;
    }
    if (line.n == 1 && line.p[0] == 'r')
        broadcast();
    else if (line.n >= 2 && line.p[1] >= '0' && line.p[1] < '0' + CLIENTS)
        client_step(&world.clients[line.p[1] - '0'], line.p[0], str_from(line, 2));
    loop_post(world.loop, run, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    struct sio_config config = {.engine = {.max_payload = 4096},
                                .connect_timeout = size % 3 ? 60000 : 1,
                                .recovery = size % 2 ? PAUSE / 2 : 60000,
                                .max_attachments = SIO_ATTACHMENTS};
    log_setup(LOG_OFF, LOG_TEXT);
    memset(&world, 0, sizeof world);
    world.rest = str_n(data, size);
    world.loop = loop_new(0);
    world.pause.fn = pause_over;
    list_init(&world.sockets);
    world.sio = sio_new(&config, namespaces, COUNT(namespaces), NULL, 1);
    loop_post(world.loop, run, NULL);
    loop_run(world.loop);
    loop_free(world.loop);
    sio_free(world.sio);
    CHECK(world.asked == world.answered);
    for (size_t i = 0; i < CLIENTS; i++)
        for (size_t n = 0; n < world.clients[i].nearly; n++)
            blob_unref(world.clients[i].early[n]);
    return 0;
}
