/* Load generator: N keep-alive connections on one epoll loop, one request under way on each.
 *   load_bench http --port P [--connections N] [--seconds S] [--path /x] [--body JSON] [--token T]
 *   load_bench ws   --port P [--connections N] [--seconds S] [--path /ws] [--body TEXT] [--greeting]
 *   load_bench idle --port P [--connections N] [--path /ws]     opens WebSockets, holds them until stdin ends
 * Prints one JSON object. Latency counts from the send of a request to the last byte of its answer. */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "samples.h"
#include "tcp.h"
#include "wire/ws.h"

#include <getopt.h>

#define EVENTS       256
#define INPUT        KIB(64)
#define PERCENT_WARM 10 /* of the time, not counted */

struct options {
    const char *mode, *path, *body, *token;
    uint64_t port, connections, seconds;
    bool greeting;
};

enum phase {
    PHASE_HANDSHAKE, /* waits for the end of the 101 head */
    PHASE_GREETING,  /* waits for the frame every new socket gets */
    PHASE_RUN,
};

struct client {
    int fd;
    enum phase phase;
    uint64_t sent_at;
    struct buf in;
};

struct load {
    struct options o;
    bool http;
    int epoll;
    struct buf request;
    struct client *clients;
    char *input;
    bool counting;
    struct samples latency;
    uint64_t errors;
};

static void usage(void)
{
    fputs("usage: load_bench http|ws|idle --port P [--connections N] [--seconds S] [--path P] [--body B] [--token T] "
          "[--greeting]\n",
          stderr);
    exit(2);
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},    {"connections", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'}, {"path", required_argument, NULL, 'u'},
        {"body", required_argument, NULL, 'b'},    {"token", required_argument, NULL, 't'},
        {"greeting", no_argument, NULL, 'g'},      {NULL, 0, NULL, 0},
    };
    struct options o = {.path = "/", .connections = 64, .seconds = 3};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        uint64_t *number = c == 'p' ? &o.port : c == 'c' ? &o.connections : c == 's' ? &o.seconds : NULL;
        if (number && str_u64(str_c(optarg), number) < 0)
            usage();
        if (c == 'u')
            o.path = optarg;
        else if (c == 'b')
            o.body = optarg;
        else if (c == 't')
            o.token = optarg;
        else if (c == 'g')
            o.greeting = true;
        else if (!number)
            usage();
    }
    if (optind != argc - 1 || o.port == 0 || o.port > UINT16_MAX || o.connections == 0)
        usage();
    o.mode = argv[optind];
    return o;
}

static void put_request(struct load *l)
{
    const struct options *o = &l->o;
    struct str body = str_c(o->body);
    buf_init(&l->request, MIB(1));
    if (!l->http)
        ws_frame_put(&l->request, WS_TEXT, body, true);
    else if (o->body)
        buf_addf(
            &l->request,
            "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
            o->path, body.n, o->body);
    else if (o->token)
        buf_addf(&l->request, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", o->path,
                 o->token);
    else
        buf_addf(&l->request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", o->path);
}

static void send_request(struct load *l, struct client *c)
{
    c->sent_at = now_ns();
    send_all(c->fd, buf_str(&l->request));
}

static void send_upgrade(const struct options *o, int fd)
{
    char head[512];
    int n = snprintf(head, sizeof(head),
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                     o->path);
    send_all(fd, str_n(head, (size_t)n));
}

/* Bytes of one answer of the expected kind at the front, 0 when it is not complete. */
static size_t answer(struct load *l, const struct client *c, struct str in)
{
    bool ok = true;
    uint8_t first = 0x80 | WS_TEXT;
    struct str content;
    size_t n = c->phase == PHASE_HANDSHAKE ? upgrade_answer(in)
               : l->http                   ? http_answer(in, &ok, &content)
                                           : frame_answer(in, &first, &content);
    if (!ok || first != (0x80 | WS_TEXT))
        l->errors++;
    return n;
}

static void answered(struct load *l, struct client *c)
{
    if (c->phase == PHASE_HANDSHAKE && l->o.greeting) {
        c->phase = PHASE_GREETING;
        return;
    }
    if (c->phase == PHASE_RUN && l->counting)
        samples_add(&l->latency, now_ns() - c->sent_at);
    c->phase = PHASE_RUN;
    send_request(l, c);
}

static void client_read(struct load *l, struct client *c)
{
    ssize_t n = recv(c->fd, l->input, INPUT, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the server closed a connection");
    struct str in = str_n(l->input, (size_t)n);
    if (c->in.len > 0) {
        buf_add(&c->in, in.p, in.n);
        in = buf_str(&c->in);
    }
    size_t used = 0;
    for (size_t one; (one = answer(l, c, str_from(in, used))) > 0; used += one)
        answered(l, c);
    if (c->in.len > 0)
        buf_consume(&c->in, used);
    else if (used < in.n)
        buf_add(&c->in, in.p + used, in.n - used);
}

static void open_clients(struct load *l)
{
    l->clients = mem_array(l->o.connections, sizeof(*l->clients));
    for (uint64_t i = 0; i < l->o.connections; i++) {
        struct client *c = &l->clients[i];
        *c = (struct client){.fd = connect_to(l->o.port), .phase = l->http ? PHASE_RUN : PHASE_HANDSHAKE};
        buf_init(&c->in, MIB(4));
        watch(l->epoll, c->fd, c);
        if (l->http)
            send_request(l, c);
        else
            send_upgrade(&l->o, c->fd);
    }
}

static void turn(struct load *l, uint64_t until)
{
    while (now_ns() < until) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(l->epoll, events, EVENTS, 10);
        for (int i = 0; i < n; i++)
            client_read(l, events[i].data.ptr);
    }
}

static void run(struct load *l)
{
    uint64_t warm = l->o.seconds * (1000000000u / 100) * PERCENT_WARM;
    open_clients(l);
    turn(l, now_ns() + warm);
    l->counting = true;
    uint64_t start = now_ns();
    turn(l, start + l->o.seconds * 1000000000u);
    double seconds = (double)(now_ns() - start) / 1e9;
    printf("{\"seconds\":%.3f,\"per_second\":%.1f,\"errors\":%llu,", seconds, (double)l->latency.n / seconds,
           (unsigned long long)l->errors);
    samples_print(&l->latency, "latency");
    printf("}\n");
}

/* Opens WebSockets one after the other, reads what each gets at first, and holds them. */
static void hold(const struct options *o)
{
    char bytes[4096];
    for (uint64_t i = 0; i < o->connections; i++) {
        int fd = connect_to(o->port);
        send_upgrade(o, fd);
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n < 12 || memcmp(bytes, "HTTP/1.1 101", 12) != 0)
            die("no upgrade of socket %llu", (unsigned long long)i);
    }
    printf("{\"open\":%llu}\n", (unsigned long long)o->connections);
    fflush(stdout);
    while (fgets(bytes, sizeof(bytes), stdin))
        ;
}

int main(int argc, char **argv)
{
    files_max();
    struct load l = {.o = parse(argc, argv), .epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (strcmp(l.o.mode, "idle") == 0) {
        hold(&l.o);
        return 0;
    }
    l.http = strcmp(l.o.mode, "http") == 0;
    if (!l.http && strcmp(l.o.mode, "ws") != 0)
        usage();
    l.input = mem_alloc(INPUT);
    put_request(&l);
    run(&l);
    return 0;
}
