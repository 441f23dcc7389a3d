/* Clients of Engine.IO 4 and Socket.IO 5 on one epoll loop: each connects over a WebSocket, or over polling that it
 * then upgrades, in the order and with the requests of the official client. Shared by the modes of socketio_bench.c. */
#ifndef BENCH_SOCKETIO_CLIENT_H
#define BENCH_SOCKETIO_CLIENT_H

#include "base/buf.h"
#include "base/mem.h"
#include "samples.h"
#include "tcp.h"
#include "wire/engineio.h"
#include "wire/json.h"
#include "wire/socketio.h"
#include "wire/ws.h"

#define EVENTS   256
#define INPUT    KIB(256)
#define SID_MAX  128
#define GIVE_UP  60000000000u /* ns without which nothing that was expected came: the run failed */
#define WS_FIRST (0x80 | WS_TEXT)

enum phase {
    PHASE_POLL_OPEN,    /* upgrade: the first request waits for the open packet */
    PHASE_POLL_POSTED,  /* upgrade: CONNECT was posted */
    PHASE_POLL_CONNECT, /* upgrade: polls for the answer to CONNECT */
    PHASE_PROBE,        /* upgrade: a poll waits, the WebSocket is tried */
    PHASE_PROVE,        /* upgrade: done, an event shows it */
    PHASE_OPEN,         /* waits for the open packet */
    PHASE_CONNECT,      /* waits for the answer to CONNECT */
    PHASE_READY,
};

/* One connection of a client. */
struct link {
    int fd; /* -1: closed */
    bool polls, framed;
    struct buf in;
    struct client *client;
};

struct client {
    enum phase phase;
    bool probed, released; /* upgrade: `3probe` came; the waiting poll was answered */
    struct link ws, poll;
    char sid[SID_MAX];
    uint64_t began_at, sent_at;
    uint64_t newest, newest_at, complete_at; /* a follower's: last token, when it and the end came */
};

struct load;
struct mode {
    const char *name, *nsp;
    void (*run)(struct load *l);
    void (*on_ready)(struct load *l, struct client *c);
    void (*on_event)(struct load *l, struct client *c, struct str json); /* the array */
};

struct options {
    uint64_t port, clients, parallel, seconds, window, bytes, tokens, pace_us, pid;
    bool upgrade;
};

struct load {
    struct options o;
    const struct mode *mode;
    int epoll;
    char *input;
    struct buf out, text;
    struct client *clients;
    uint64_t opened, ready;
    uint64_t now; /* when what is being read came */
    bool done;    /* the turn is over */
    bool counting;
    struct samples latency;
    uint64_t errors;
    /* broadcast: the events under way, by their number modulo the window */
    uint64_t next, *sent_at, *left;
    /* follow */
    uint64_t chunks, complete;
};

static inline void send_text(struct load *l, struct client *c, struct str text)
{
    ws_frame_put(&l->out, WS_TEXT, text, true);
    send_all(c->ws.fd, buf_str(&l->out));
    buf_clear(&l->out);
}

/* An event of the mode's namespace with these arguments. */
static inline void send_event(struct load *l, struct client *c, struct str name, struct str args)
{
    buf_byte(&l->text, '4');
    sio_event_put(&l->text, &(struct sio_event){.nsp = str_c(l->mode->nsp), .name = name, .args = args});
    send_text(l, c, buf_str(&l->text));
    buf_clear(&l->text);
}

static inline void send_get(struct load *l, struct link *link, const char *transport, const char *headers)
{
    const char *sid = link->client->sid;
    buf_addf(&l->out, "GET /socket.io/?EIO=4&transport=%s%s%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", transport,
             *sid ? "&sid=" : "", sid, headers);
    send_all(link->fd, buf_str(&l->out));
    buf_clear(&l->out);
}

static inline void send_poll(struct load *l, struct client *c)
{
    send_get(l, &c->poll, "polling", "");
}

static inline void put_connect(struct buf *out, const char *nsp)
{
    struct sio_packet packet = {.type = SIO_CONNECT, .nsp = str_c(nsp)};
    buf_byte(out, '4');
    sio_put(out, &packet);
}

static inline void post_connect(struct load *l, struct client *c)
{
    put_connect(&l->text, l->mode->nsp);
    buf_addf(&l->out,
             "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: localhost\r\n"
             "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n\r\n%.*s",
             c->sid, l->text.len, STR_ARG(buf_str(&l->text)));
    send_all(c->poll.fd, buf_str(&l->out));
    buf_clear(&l->text);
    buf_clear(&l->out);
}

static inline void link_open(struct load *l, struct client *c, struct link *link, bool polls)
{
    *link = (struct link){.fd = connect_to(l->o.port), .polls = polls, .client = c};
    buf_init(&link->in, MIB(4));
    watch(l->epoll, link->fd, link);
    if (!polls)
        send_get(l, link, "websocket",
                 "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "Sec-WebSocket-Version: 13\r\n");
}

static inline void link_close(struct link *link)
{
    close(link->fd);
    link->fd = -1;
    buf_free(&link->in);
}

static inline void client_open(struct load *l, struct client *c)
{
    *c = (struct client){.phase = l->o.upgrade ? PHASE_POLL_OPEN : PHASE_OPEN, .ws.fd = -1, .poll.fd = -1};
    c->began_at = now_ns();
    link_open(l, c, l->o.upgrade ? &c->poll : &c->ws, l->o.upgrade);
    if (l->o.upgrade)
        send_poll(l, c);
}

static inline void client_ready(struct load *l, struct client *c)
{
    c->phase = PHASE_READY;
    l->ready++;
    l->mode->on_ready(l, c);
}

static inline void take_open(struct client *c, const struct eio_packet *packet)
{
    struct json_want sid = {.path = "sid"};
    if (packet->type != EIO_OPEN || json_scan(packet->data, &sid, 1, NULL, NULL) < 0 || sid.value.type != JSON_STRING)
        die("no open packet: %.*s", STR_ARG(packet->data));
    str_copy(c->sid, sizeof(c->sid), sid.value.raw);
}

/* Whether the message answers CONNECT. Servers may send events right behind the answer. */
static inline bool take_connect(struct load *l, const struct eio_packet *packet)
{
    struct sio_packet answer;
    struct err e;
    if (packet->type != EIO_MESSAGE || sio_decode(packet->data, SIO_ATTACHMENTS, &answer, &e) < 0)
        die("no answer to CONNECT: %.*s", STR_ARG(packet->data));
    if (answer.type == SIO_CONNECT_ERROR)
        die("refused: %.*s", STR_ARG(packet->data));
    return answer.type == SIO_CONNECT && (str_eqc(answer.nsp, l->mode->nsp) || str_eqc(answer.nsp, "/"));
}

/* Both signs that the upgrade may be completed are there, in whatever order: completes it. */
static inline void upgrade(struct load *l, struct client *c)
{
    if (!c->probed || !c->released)
        return;
    c->phase = PHASE_PROVE;
    link_close(&c->poll);
    send_text(l, c, STR("5"));
    send_event(l, c, STR("stream_chat"), STR("{\"message\":\"\"}")); /* refused with an event, and nothing else */
}

static inline void client_packet(struct load *l, struct client *c, const struct eio_packet *packet)
{
    switch (c->phase) {
    case PHASE_POLL_OPEN:
        take_open(c, packet);
        c->phase = PHASE_POLL_POSTED;
        post_connect(l, c);
        return;
    case PHASE_POLL_CONNECT:
        if (take_connect(l, packet)) {
            c->phase = PHASE_PROBE;
            link_open(l, c, &c->ws, false);
        }
        return;
    case PHASE_PROBE:
        c->released |= packet->type == EIO_NOOP;
        c->probed |= packet->type == EIO_PONG && str_eqc(packet->data, "probe");
        return;
    case PHASE_PROVE:
        if (str_find(packet->data, STR("\"error\"")) >= 0)
            client_ready(l, c);
        return;
    case PHASE_OPEN:
        take_open(c, packet);
        put_connect(&l->text, l->mode->nsp);
        c->phase = PHASE_CONNECT;
        send_text(l, c, buf_str(&l->text));
        buf_clear(&l->text);
        return;
    case PHASE_CONNECT:
        if (take_connect(l, packet))
            client_ready(l, c);
        return;
    case PHASE_POLL_POSTED:
    case PHASE_READY:
        die("unexpected: %.*s", STR_ARG(packet->data));
    }
}

static inline void client_frame(struct load *l, struct client *c, uint8_t first, struct str text)
{
    if (first != WS_FIRST)
        die("the server sent a frame 0x%02x: %.*s", first, STR_ARG(text));
    if (str_eqc(text, "2")) {
        send_text(l, c, STR("3"));
        return;
    }
    if (c->phase == PHASE_READY) {
        size_t skip = 2 + (strcmp(l->mode->nsp, "/") == 0 ? 0 : strlen(l->mode->nsp) + 1);
        if (!str_starts(text, STR("42")))
            die("no event: %.*s", STR_ARG(text));
        l->mode->on_event(l, c, str_from(text, skip));
        return;
    }
    struct eio_packet packet;
    struct err e;
    struct buf scratch = BUF_INIT(KIB(1));
    if (eio_text(EIO_V4, text, &scratch, &packet, &e) < 0)
        die("%s: %.*s", e.text, STR_ARG(text));
    client_packet(l, c, &packet);
    if (c->phase == PHASE_PROBE)
        upgrade(l, c);
}

/* A poll or a post was answered. */
static inline void client_polled(struct load *l, struct client *c, bool ok, struct str body)
{
    if (!ok)
        die("a poll was refused: %.*s", STR_ARG(body));
    if (c->phase == PHASE_POLL_POSTED) {
        c->phase = PHASE_POLL_CONNECT;
        send_poll(l, c);
        return;
    }
    struct eio_payload it;
    struct eio_packet packet;
    struct err e;
    struct buf scratch = BUF_INIT(KIB(1));
    int got = eio_payload_begin(&it, EIO_FORM_V4, body, &e);
    while (got >= 0 && (got = eio_payload_next(&it, &scratch, &packet, &e)) == 1)
        client_packet(l, c, &packet);
    if (got < 0)
        die("%s: %.*s", e.text, STR_ARG(body));
    bool more = c->phase == PHASE_POLL_CONNECT || (c->phase == PHASE_PROBE && !c->released);
    if (more)
        send_poll(l, c);
    else if (c->phase == PHASE_PROBE)
        upgrade(l, c);
}

/* Takes one whole answer or frame off the front: the bytes it had, 0 when there is none. */
static inline size_t link_take(struct load *l, struct link *link, struct str in)
{
    struct client *c = link->client;
    struct str content;
    size_t n;
    if (link->polls) {
        bool ok = false;
        if ((n = http_answer(in, &ok, &content)) > 0)
            client_polled(l, c, ok, content);
    } else if (link->framed) {
        uint8_t first = 0;
        if ((n = frame_answer(in, &first, &content)) > 0)
            client_frame(l, c, first, content);
    } else if ((n = upgrade_answer(in)) > 0) {
        link->framed = true;
        if (c->phase == PHASE_PROBE)
            send_text(l, c, STR("2probe"));
    }
    return n;
}

static inline void link_read(struct load *l, struct link *link)
{
    ssize_t n = link->fd < 0 ? 0 : recv(link->fd, l->input, INPUT, MSG_DONTWAIT);
    if (link->fd < 0 || (n < 0 && errno == EAGAIN))
        return;
    if (n <= 0)
        die("the server closed a connection");
    l->now = now_ns();
    struct str in = str_n(l->input, (size_t)n);
    bool kept = link->in.len > 0;
    if (kept) {
        buf_add(&link->in, in.p, in.n);
        in = buf_str(&link->in);
    }
    size_t used = 0;
    for (size_t one; link->fd >= 0 && (one = link_take(l, link, str_from(in, used))) > 0;)
        used += one;
    if (link->fd < 0)
        return;
    if (kept)
        buf_consume(&link->in, used);
    else if (used < in.n)
        buf_add(&link->in, in.p + used, in.n - used);
}

/* Runs the loop until `until`, or until a callback sets l->done. Standard input's end sets it too, when it is watched.
 */
static inline void turn(struct load *l, uint64_t until)
{
    for (l->done = false; !l->done && now_ns() < until;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(l->epoll, events, EVENTS, 10);
        for (int i = 0; i < n; i++) {
            char ignored[256];
            if (events[i].data.ptr)
                link_read(l, events[i].data.ptr);
            else if (read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
                l->done = true;
        }
    }
}

/* The same for what must come. */
static inline void turn_until_done(struct load *l, const char *what)
{
    turn(l, now_ns() + GIVE_UP);
    if (!l->done)
        die("%s: %llu of %llu clients, then nothing", what, (unsigned long long)l->ready,
            (unsigned long long)l->o.clients);
}

#endif
