/* Streamed replies, for measuring what a server in between adds.
 *   stream_bench upstream                    an OpenAI-compatible upstream on a free port: {"port":N}
 *   stream_bench client --port P [--path /v1/chat/completions] [--header "name: value"]… [--streams N] [--tokens K]
 *                       [--pace US] [--seconds S]
 * The client asks for replies of K tokens, one every US microseconds (0: all at once), on N connections. Every token
 * carries the time it was sent at, so the client knows how long each was on its way. */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "samples.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS      256
#define MAX_PEERS   4096
#define INPUT       KIB(256)
#define MAX_HEADERS 8
#define EVENT_PREFIX                                                                                                   \
    "data: "                                                                                                           \
    "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"bench\","      \
    "\"choices\":[{\"index\":0,\"delta\":"

struct options {
    const char *path;
    const char *headers[MAX_HEADERS];
    size_t nheaders;
    uint64_t port, streams, tokens, pace_us, seconds;
};

struct peer {
    int fd;
    struct buf in;
    /* upstream: the reply under way */
    uint64_t left, pace_ns, next_at;
    /* client: the reply under way */
    uint64_t asked_at, seen;
    bool done;
};

struct bench {
    struct options o;
    int epoll, listener;
    struct peer *peers[MAX_PEERS];
    size_t npeers;
    struct buf out;
    char *input;
    bool counting;
    uint64_t streams, errors;
    struct samples first, token;
};

static void usage(void)
{
    fputs(
        "usage: stream_bench upstream | client --port P [--path P] [--header H] [--streams N] [--tokens K] [--pace US] "
        "[--seconds S]\n",
        stderr);
    exit(2);
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},    {"path", required_argument, NULL, 'u'},
        {"header", required_argument, NULL, 'h'},  {"streams", required_argument, NULL, 'n'},
        {"tokens", required_argument, NULL, 'k'},  {"pace", required_argument, NULL, 't'},
        {"seconds", required_argument, NULL, 's'}, {NULL, 0, NULL, 0},
    };
    struct options o = {.path = "/v1/chat/completions", .streams = 16, .tokens = 20, .pace_us = 10000, .seconds = 3};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        uint64_t *number = c == 'p'   ? &o.port
                           : c == 'n' ? &o.streams
                           : c == 'k' ? &o.tokens
                           : c == 't' ? &o.pace_us
                           : c == 's' ? &o.seconds
                                      : NULL;
        if (number && str_u64(str_c(optarg), number) < 0)
            usage();
        if (c == 'u')
            o.path = optarg;
        else if (c == 'h' && o.nheaders < MAX_HEADERS)
            o.headers[o.nheaders++] = optarg;
        else if (!number)
            usage();
    }
    if (o.streams == 0 || o.streams > MAX_PEERS || o.tokens == 0)
        usage();
    return o;
}

static struct peer *peer_add(struct bench *b, int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (b->npeers == MAX_PEERS)
        die("more than %d connections", MAX_PEERS);
    struct peer *peer = mem_zalloc(sizeof(*peer));
    peer->fd = fd;
    buf_init(&peer->in, MIB(4));
    b->peers[b->npeers++] = peer;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
    return peer;
}

static void peer_remove(struct bench *b, struct peer *peer)
{
    for (size_t i = 0; i < b->npeers; i++) {
        if (b->peers[i] == peer)
            b->peers[i] = b->peers[--b->npeers];
    }
    close(peer->fd);
    buf_free(&peer->in);
    free(peer);
}

static int send_out(struct bench *b, int fd)
{
    struct str out = buf_str(&b->out);
    ssize_t sent = send(fd, out.p, out.n, MSG_NOSIGNAL);
    buf_clear(&b->out);
    return sent == (ssize_t)out.n ? 0 : -1;
}

/* The number behind the last `name=` in the text, 0 when it is not there: what came before is history. */
static uint64_t number_after(struct str text, struct str name)
{
    size_t begin = text.n;
    for (ptrdiff_t at; (at = str_find(text, name)) >= 0; begin = 0)
        text = str_from(text, (size_t)at + name.n);
    uint64_t value = 0;
    for (size_t i = begin; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    return value;
}

static void put_chunk(struct buf *out, const char *delta, const char *finish)
{
    char text[512];
    int n = snprintf(text, sizeof(text), EVENT_PREFIX "%s,\"finish_reason\":%s}]}\n\n", delta, finish);
    buf_addf(out, "%x\r\n%s\r\n", (unsigned)n, text);
}

static void put_token(struct buf *out)
{
    char delta[64];
    snprintf(delta, sizeof(delta), "{\"content\":\"t=%" PRIu64 ";\"}", now_ns());
    put_chunk(out, delta, "null");
}

/* Sends the next token, or all that are left when there is no pace, and the end behind the last one. */
static int upstream_send(struct bench *b, struct peer *peer)
{
    do {
        put_token(&b->out);
        peer->left--;
    } while (peer->left > 0 && peer->pace_ns == 0);
    if (peer->left == 0) {
        put_chunk(&b->out, "{}", "\"stop\"");
        buf_lit(&b->out, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    }
    peer->next_at = now_ns() + peer->pace_ns;
    return send_out(b, peer->fd);
}

static int upstream_request(struct bench *b, struct peer *peer)
{
    struct str in = buf_str(&peer->in);
    ptrdiff_t end = str_find(in, STR("\r\n\r\n"));
    if (end < 0)
        return 0;
    struct str head = str_n(in.p, (size_t)end);
    uint64_t length = number_after(head, STR("ontent-Length: "));
    if (length == 0)
        length = number_after(head, STR("ontent-length: "));
    if (length == 0)
        die("a request without a length: %.*s", STR_ARG(head));
    if (in.n < (size_t)end + 4 + length)
        return 0;
    struct str body = str_n(in.p + end + 4, (size_t)length);
    peer->left = number_after(body, STR("tokens="));
    peer->pace_ns = number_after(body, STR("pace=")) * 1000;
    buf_consume(&peer->in, (size_t)end + 4 + (size_t)length);
    buf_lit(&b->out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    put_chunk(&b->out, "{\"role\":\"assistant\",\"content\":\"\"}", "null");
    return upstream_send(b, peer);
}

static int upstream_read(struct bench *b, struct peer *peer)
{
    ssize_t n = recv(peer->fd, b->input, INPUT, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -1;
    buf_add(&peer->in, b->input, (size_t)n);
    return peer->left > 0 ? 0 : upstream_request(b, peer);
}

/* Sends what is due; milliseconds until something is again, -1 when nothing runs. */
static int upstream_due(struct bench *b)
{
    uint64_t now = now_ns(), nearest = UINT64_MAX;
    for (size_t i = 0; i < b->npeers; i++) {
        struct peer *peer = b->peers[i];
        if (peer->left > 0 && peer->next_at <= now && upstream_send(b, peer) < 0) {
            peer->left = 0;
            shutdown(peer->fd, SHUT_RDWR);
        }
        if (peer->left > 0 && peer->next_at < nearest)
            nearest = peer->next_at;
    }
    if (nearest == UINT64_MAX)
        return -1;
    return nearest <= now ? 0 : (int)((nearest - now) / 1000000u) + 1;
}

static void upstream_run(struct bench *b)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    b->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (b->listener < 0 || bind(b->listener, (struct sockaddr *)&address, size) < 0 || listen(b->listener, 1024) < 0 ||
        getsockname(b->listener, (struct sockaddr *)&address, &size) < 0)
        die("listen: %s", strerror(errno));
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(b->epoll, EPOLL_CTL_ADD, b->listener, &listening);
    printf("{\"port\":%u}\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int wait = -1;; wait = upstream_due(b)) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(b->epoll, events, EVENTS, wait);
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            int fd = peer ? -1 : accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                peer_add(b, fd);
            else if (peer && upstream_read(b, peer) < 0)
                peer_remove(b, peer);
        }
    }
}

static void client_ask(struct bench *b, struct peer *peer)
{
    const struct options *o = &b->o;
    char body[256];
    int n = snprintf(body, sizeof(body),
                     "{\"model\":\"bench\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":"
                     "\"tokens=%" PRIu64 " pace=%" PRIu64 "\"}]}",
                     o->tokens, o->pace_us);
    buf_addf(&b->out,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"
             "Content-Length: %d\r\n",
             o->path, n);
    for (size_t i = 0; i < o->nheaders; i++)
        buf_addf(&b->out, "%s\r\n", o->headers[i]);
    buf_addf(&b->out, "\r\n%s", body);
    peer->seen = 0;
    peer->done = false;
    peer->asked_at = now_ns();
    if (send_out(b, peer->fd) < 0)
        die("send: %s", strerror(errno));
}

/* Takes the tokens that are whole off the front; what may be the beginning of one stays. */
static void client_tokens(struct bench *b, struct peer *peer, uint64_t now)
{
    for (;;) {
        struct str in = buf_str(&peer->in);
        ptrdiff_t at = str_find(in, STR("\"t="));
        if (at < 0)
            return;
        struct str digits = str_from(in, (size_t)at + 3);
        ptrdiff_t end = str_find_char(digits, ';');
        if (end < 0)
            return;
        uint64_t sent;
        if (str_u64(str_n(digits.p, (size_t)end), &sent) < 0)
            die("not a time: %.*s", (int)end, digits.p);
        if (b->counting) {
            if (peer->seen == 0)
                samples_add(&b->first, now - peer->asked_at);
            samples_add(&b->token, now - sent);
        }
        peer->seen++;
        buf_consume(&peer->in, (size_t)at + 3 + (size_t)end);
    }
}

static void client_read(struct bench *b, struct peer *peer)
{
    ssize_t n = recv(peer->fd, b->input, INPUT, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the server closed a connection");
    uint64_t now = now_ns();
    buf_add(&peer->in, b->input, (size_t)n);
    client_tokens(b, peer, now);
    struct str in = buf_str(&peer->in);
    if (str_ends(in, STR("0\r\n\r\n"))) {
        peer->done = str_find(in, STR("[DONE]")) >= 0;
        buf_clear(&peer->in);
        if (b->counting) {
            b->streams++;
            b->errors += peer->done && peer->seen == b->o.tokens ? 0 : 1;
        }
        client_ask(b, peer);
    }
}

static void client_turn(struct bench *b, uint64_t until)
{
    while (now_ns() < until) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(b->epoll, events, EVENTS, 10);
        for (int i = 0; i < n; i++)
            client_read(b, events[i].data.ptr);
    }
}

static void client_run(struct bench *b)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)b->o.port)};
    for (uint64_t i = 0; i < b->o.streams; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
            die("connect: %s", strerror(errno));
        client_ask(b, peer_add(b, fd));
        client_turn(b, now_ns() + b->o.pace_us * 1000 / b->o.streams); /* so that tokens do not come in bursts */
    }
    client_turn(b, now_ns() + 300000000u);
    b->counting = true;
    uint64_t start = now_ns();
    client_turn(b, start + b->o.seconds * 1000000000u);
    double seconds = (double)(now_ns() - start) / 1e9;
    printf("{\"streams\":%" PRIu64 ",\"per_second\":%.1f,\"errors\":%" PRIu64 ",", b->streams,
           (double)b->streams / seconds, b->errors);
    samples_print(&b->first, "first");
    printf(",");
    samples_print(&b->token, "token");
    printf("}\n");
}

int main(int argc, char **argv)
{
    struct bench b = {.o = parse(argc, argv), .epoll = epoll_create1(EPOLL_CLOEXEC), .out = BUF_INIT(MIB(4))};
    b.input = mem_alloc(INPUT);
    if (optind == argc - 1 && strcmp(argv[optind], "upstream") == 0)
        upstream_run(&b);
    else if (optind == argc - 1 && strcmp(argv[optind], "client") == 0 && b.o.port > 0 && b.o.port <= UINT16_MAX)
        client_run(&b);
    else
        usage();
    return 0;
}
