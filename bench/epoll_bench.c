/* The ceiling: a bare epoll loop on one core with the server's own parsers and nothing else. It answers every request
 * with JSON of a fixed shape, and every WebSocket message with a pong; at /socket.io/ it knows just the packets of
 * socketio_bench's echo and broadcast. Prints {"port":N} and runs until it is killed. */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "samples.h"
#include "wire/http.h"
#include "wire/ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS       256
#define INPUT        KIB(64)
#define OUTPUT       MIB(1)
#define WS_GREETING  "{\"type\":\"connection\",\"message\":\"WebSocket connected successfully\"}"
#define WS_PONG_TEXT "{\"type\":\"pong\",\"timestamp\":\"2026-11-21T07:00:13.463Z\"}"
#define HTTP_LIVE    "{\"status\":\"ok\"}"
#define SIO_OPEN     "0{\"sid\":\"x\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}"
#define SIO_MEMBERS  4096
#define HTTP_ECHO                                                                                                      \
    "{\"id\":\"1795244413463\",\"message\":\"Echo: hello\",\"timestamp\":\"2026-11-21T07:00:13.463Z\","                \
    "\"context\":{},\"aiUsed\":false}"

struct peer {
    int fd;
    bool websocket, socketio;
    struct buf rest; /* what came of an unfinished request */
    struct ws_reader reader;
};

struct bench {
    int epoll, listener;
    char *input;
    struct buf out;
    struct http_head head;
    struct peer *members[SIO_MEMBERS]; /* of the one room */
    size_t nmembers;
    struct buf cast; /* what goes to all of them when the events at hand are handled */
};

static int listen_any(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        die("listen: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    return fd;
}

static void watch(struct bench *b, int fd, void *data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void accept_all(struct bench *b)
{
    for (;;) {
        int fd = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct peer *peer = mem_zalloc(sizeof(*peer));
        peer->fd = fd;
        buf_init(&peer->rest, LIMIT_HTTP_BODY);
        watch(b, fd, peer);
    }
}

static void peer_close(struct bench *b, struct peer *peer)
{
    for (size_t i = 0; i < b->nmembers; i++) {
        if (b->members[i] == peer)
            b->members[i] = b->members[--b->nmembers];
    }
    close(peer->fd);
    buf_free(&peer->rest);
    if (peer->websocket)
        ws_reader_free(&peer->reader);
    free(peer);
}

static void reply(struct bench *b, struct str body)
{
    buf_lit(&b->out, "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ");
    buf_add_u64(&b->out, body.n);
    buf_lit(&b->out, "\r\n\r\n");
    buf_str_add(&b->out, body);
}

static int upgrade(struct bench *b, struct peer *peer)
{
    char accept[29];
    if (ws_accept(accept, http_header(&b->head, STR("sec-websocket-key"))) < 0)
        return -1;
    peer->websocket = true;
    peer->socketio = str_starts(b->head.target, STR("/socket.io/"));
    ws_reader_init(&peer->reader, true, LIMIT_WS_MESSAGE);
    buf_addf(&b->out,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
    return ws_frame_put(&b->out, WS_TEXT, peer->socketio ? STR(SIO_OPEN) : STR(WS_GREETING), false);
}

/* head, what follows the prefix in the packet, as one frame. */
static int rewrite(struct buf *out, const char *head, struct str packet, struct str prefix)
{
    char text[KIB(4)];
    struct str rest = str_from(packet, prefix.n);
    int n = snprintf(text, sizeof(text), "%s%.*s", head, STR_ARG(rest));
    return ws_frame_put(out, WS_TEXT, str_n(text, (size_t)n < sizeof(text) ? (size_t)n : 0), false);
}

static int serve_socketio(struct bench *b, struct peer *peer, struct str packet)
{
    const struct str message = STR("42[\"message\""), broadcast = STR("42/lab,[\"broadcast\",\"room\"");
    if (str_eqc(packet, "40"))
        return ws_frame_put(&b->out, WS_TEXT, STR("40{\"sid\":\"x\"}"), false);
    if (str_starts(packet, STR("40/lab")))
        return ws_frame_put(&b->out, WS_TEXT, STR("40/lab,{\"sid\":\"x\"}"), false);
    if (str_starts(packet, message))
        return rewrite(&b->out, "42[\"message-back\"", packet, message);
    if (str_starts(packet, broadcast))
        return rewrite(&b->cast, "42/lab,[\"cast\"", packet, broadcast);
    if (str_starts(packet, STR("42/lab,[\"join\"")) && b->nmembers < SIO_MEMBERS) {
        b->members[b->nmembers++] = peer;
        return 0;
    }
    return -1;
}

static void send_cast(struct bench *b)
{
    struct str out = buf_str(&b->cast);
    for (size_t i = 0; out.n > 0 && i < b->nmembers; i++) {
        if (send(b->members[i]->fd, out.p, out.n, MSG_NOSIGNAL) != (ssize_t)out.n)
            shutdown(b->members[i]->fd, SHUT_RDWR);
    }
    buf_clear(&b->cast);
}

/* Requests that are whole in `in`: replies are added to b->out, what is left stays in *in. */
static int serve_http(struct bench *b, struct peer *peer, struct str *in)
{
    struct err e;
    while (in->n > 0 && !peer->websocket) {
        ptrdiff_t used = http_head_parse(&b->head, *in, 0, &e);
        if (used < 0)
            return -1;
        uint64_t length = b->head.body == HTTP_BODY_LENGTH ? b->head.length : 0;
        if (used == 0 || in->n - (size_t)used < length)
            return 0;
        *in = str_from(*in, (size_t)used + (size_t)length);
        if (b->head.upgrade) {
            if (upgrade(b, peer) < 0)
                return -1;
        } else {
            reply(b, b->head.method == HTTP_POST ? STR(HTTP_ECHO) : STR(HTTP_LIVE));
        }
    }
    return 0;
}

static int serve_ws(struct bench *b, struct peer *peer, struct str *in)
{
    struct err e;
    struct ws_event event;
    for (;;) {
        int got = ws_next(&peer->reader, in, &event, &e);
        if (got <= 0)
            return got;
        if (event.opcode == WS_CLOSE)
            return -1;
        if (peer->socketio ? serve_socketio(b, peer, event.data) < 0
                           : ws_frame_put(&b->out, WS_TEXT, STR(WS_PONG_TEXT), false) < 0)
            return -1;
    }
}

static int send_out(struct bench *b, struct peer *peer)
{
    struct str out = buf_str(&b->out);
    ssize_t sent = out.n ? send(peer->fd, out.p, out.n, MSG_NOSIGNAL) : 0;
    buf_clear(&b->out);
    return sent == (ssize_t)out.n ? 0 : -1;
}

static int peer_read(struct bench *b, struct peer *peer)
{
    ssize_t n = recv(peer->fd, b->input, INPUT, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -1;
    struct str in = str_n(b->input, (size_t)n);
    bool kept = peer->rest.len > 0;
    if (kept) {
        if (buf_add(&peer->rest, in.p, in.n) < 0)
            return -1;
        in = buf_str(&peer->rest);
    }
    size_t before = in.n;
    if (!peer->websocket && serve_http(b, peer, &in) < 0)
        return -1;
    if (peer->websocket && serve_ws(b, peer, &in) < 0)
        return -1;
    if (kept)
        buf_consume(&peer->rest, before - in.n);
    else if (in.n > 0 && buf_add(&peer->rest, in.p, in.n) < 0)
        return -1;
    if (kept && peer->rest.len == 0)
        buf_free(&peer->rest);
    return send_out(b, peer);
}

int main(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    uint16_t port;
    static struct bench b = {.out = BUF_INIT(OUTPUT), .cast = BUF_INIT(OUTPUT)};
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    b.listener = listen_any(&port);
    b.input = mem_alloc(INPUT);
    watch(&b, b.listener, NULL);
    printf("{\"port\":%u}\n", port);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(b.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer)
                accept_all(&b);
            else if (peer_read(&b, peer) < 0)
                peer_close(&b, peer);
        }
        send_cast(&b);
    }
}
