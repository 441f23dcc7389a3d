/* Realtime voice through a relay: both its ends in one program, so that one clock tells how long a frame was on its
 * way. relay_bench --port P --upstream U [--path /v1/realtime] [--sessions N] [--seconds S] [--pid PID] Listens on port
 * U of the loopback interface as the service, and opens N sessions at port P: those of the relay that PID is, or U
 * itself to go without one. Each end of a session sends 40 ms of audio every 40 ms, as 2560 characters of base64 in an
 * event, with the time in front. Prints one JSON object. */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "samples.h"
#include "tcp.h"
#include "wire/ws.h"

#include <getopt.h>
#include <inttypes.h>

#define EVENTS       256
#define MAX_SESSIONS 4000
#define INPUT        KIB(256)
#define AUDIO        2560
#define STAMP        16
#define PERIOD_NS    40000000u
#define SETTLE_NS    1000000000u  /* before it counts */
#define DRAIN_NS     10000000000u /* for what is under way at the end */

#define UP_HEAD "{\"type\":\"input_audio_buffer.append\",\"audio\":\""
#define UP_TAIL "\"}"
#define DOWN_HEAD                                                                                                      \
    "{\"type\":\"response.output_audio.delta\",\"event_id\":\"event_000000000000000000000\",\"response_id\":"          \
    "\"resp_000000000000000000000\",\"item_id\":\"item_000000000000000000000\",\"output_index\":0,"                    \
    "\"content_index\":0,\"delta\":\""
#define DOWN_TAIL "\"}"

struct options {
    const char *path;
    uint64_t port, upstream, sessions, seconds, pid;
};

/* One end of a session. */
struct peer {
    int fd;
    bool client, upgraded, ready;
    struct buf in;
    uint64_t next_at;
};

/* A frame as it stands on the wire; only its time changes. */
struct frame {
    char bytes[WS_HEADER_MAX + AUDIO + 512];
    size_t n, stamp; /* where the time lies */
    size_t payload_stamp;
};

struct bench {
    struct options o;
    int epoll, listener;
    struct peer *peers[2 * MAX_SESSIONS];
    size_t npeers, ready, due; /* due: whose turn it is to send */
    struct frame up, down;
    char *input;
    bool counting, sending;
    uint64_t began, sent, received, errors, late;
    struct samples samples_up, samples_down;
};

static const uint8_t mask[4] = {0x5a, 0xc3, 0x17, 0x88};

static void usage(void)
{
    fputs("usage: relay_bench --port P --upstream U [--path P] [--sessions N] [--seconds S] [--pid PID]\n", stderr);
    exit(2);
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},
        {"upstream", required_argument, NULL, 'u'},
        {"path", required_argument, NULL, 'a'},
        {"sessions", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {"pid", required_argument, NULL, 'i'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.path = "/v1/realtime", .sessions = 100, .seconds = 3};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        uint64_t *number = c == 'p'   ? &o.port
                           : c == 'u' ? &o.upstream
                           : c == 'n' ? &o.sessions
                           : c == 's' ? &o.seconds
                           : c == 'i' ? &o.pid
                                      : NULL;
        if (c == 'a')
            o.path = optarg;
        else if (!number || str_u64(str_c(optarg), number) < 0)
            usage();
    }
    if (optind != argc || !o.port || !o.upstream || !o.sessions || o.sessions > MAX_SESSIONS)
        usage();
    return o;
}

/* ---- Frames ---- */

static struct frame make_frame(struct str head, struct str tail, bool masked)
{
    struct frame f = {.n = 0};
    size_t size = head.n + AUDIO + tail.n;
    size_t header = ws_header((uint8_t *)f.bytes, WS_TEXT, true, false, size, masked ? mask : NULL);
    char *payload = f.bytes + header;
    memcpy(payload, head.p, head.n);
    memset(payload + head.n, 'A', AUDIO);
    memcpy(payload + head.n + AUDIO, tail.p, tail.n);
    if (masked)
        ws_mask((uint8_t *)payload, size, mask, 0);
    f.n = header + size;
    f.payload_stamp = head.n;
    f.stamp = header + head.n;
    return f;
}

static void send_frame(struct bench *b, struct peer *peer, uint64_t now)
{
    struct frame *f = peer->client ? &b->up : &b->down;
    char stamp[STAMP + 1];
    snprintf(stamp, sizeof(stamp), "%016" PRIx64, now);
    if (peer->client)
        ws_mask((uint8_t *)stamp, STAMP, mask, f->payload_stamp);
    memcpy(f->bytes + f->stamp, stamp, STAMP);
    ssize_t sent = send(peer->fd, f->bytes, f->n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)f->n)
        die("the way is full: the relay does not keep up");
    b->sent++;
}

/* The time in the frame; 0 when it is another frame. */
static uint64_t stamp_of(const struct bench *b, const struct peer *peer, char *payload, size_t n, const uint8_t *key)
{
    size_t at = peer->client ? b->down.payload_stamp : b->up.payload_stamp;
    uint64_t value = 0;
    if (n < at + STAMP)
        return 0;
    if (key)
        ws_mask((uint8_t *)payload + at, STAMP, key, at);
    for (size_t i = 0; i < STAMP; i++) {
        char c = payload[at + i];
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return value;
}

static void got_frame(struct bench *b, struct peer *peer, char *payload, size_t n, const uint8_t *key)
{
    uint64_t now = now_ns();
    if (!peer->ready) { /* the client's first: session.created */
        peer->ready = true;
        b->ready++;
        return;
    }
    uint64_t stamp = stamp_of(b, peer, payload, n, key);
    b->received++;
    if (stamp < b->began || stamp > now)
        b->errors++;
    else if (b->counting)
        samples_add(peer->client ? &b->samples_down : &b->samples_up, now - stamp);
}

/* How many bytes of the input are whole frames. */
static size_t take_frames(struct bench *b, struct peer *peer, char *p, size_t n)
{
    size_t used = 0;
    while (n - used >= 2) {
        const uint8_t *h = (const uint8_t *)p + used;
        bool masked = h[1] & 0x80;
        unsigned length = h[1] & 0x7f;
        size_t head = length == 126 ? 4 : length == 127 ? 10 : 2;
        if (n - used < head + 4)
            break;
        size_t size = length == 126 ? (size_t)h[2] << 8 | h[3] : length;
        size_t whole = head + (masked ? 4 : 0) + size;
        if (length == 127)
            die("a frame of another size");
        if (n - used < whole)
            break;
        if ((h[0] & 0x0f) == WS_TEXT)
            got_frame(b, peer, p + used + whole - size, size, masked ? h + head : NULL);
        used += whole;
    }
    return used;
}

/* ---- Beginning ---- */

static struct peer *peer_add(struct bench *b, int fd, bool client)
{
    struct peer *peer = mem_zalloc(sizeof(*peer));
    peer->fd = fd;
    peer->client = client;
    peer->ready = !client;
    buf_init(&peer->in, MIB(1));
    b->peers[b->npeers++] = peer;
    watch(b->epoll, fd, peer);
    return peer;
}

static void service_accept(struct bench *b)
{
    int fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
    if (fd < 0 || b->npeers == COUNT(b->peers))
        die("accept: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    peer_add(b, fd, false);
}

static size_t service_upgrade(struct peer *peer, struct str in)
{
    static const char name[] = "ec-websocket-key: ";
    char accept[29], lower[KIB(8)];
    ptrdiff_t end = str_find(in, STR("\r\n\r\n"));
    if (end < 0)
        return 0;
    if ((size_t)end >= sizeof(lower))
        die("a request too long");
    for (ptrdiff_t i = 0; i < end; i++)
        lower[i] = (char)(in.p[i] >= 'A' && in.p[i] <= 'Z' ? in.p[i] + 32 : in.p[i]);
    ptrdiff_t at = str_find(str_n(lower, (size_t)end), str_c(name));
    if (at < 0 || ws_accept(accept, str_n(in.p + at + sizeof(name) - 1, 24)) < 0)
        die("no upgrade: %.*s", (int)end, in.p);
    struct buf out = BUF_INIT(KIB(4));
    buf_addf(&out,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
    ws_frame_put(&out, WS_TEXT, STR("{\"type\":\"session.created\",\"session\":{\"id\":\"sess_1\"}}"), false);
    send_all(peer->fd, buf_str(&out));
    buf_free(&out);
    return (size_t)end + 4;
}

static void client_open(struct bench *b)
{
    struct peer *peer = peer_add(b, connect_to(b->o.port), true);
    struct buf out = BUF_INIT(KIB(4));
    buf_addf(&out,
             "GET %s?model=bench HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
             b->o.path);
    send_all(peer->fd, buf_str(&out));
    buf_free(&out);
}

/* ---- Running ---- */

static size_t take(struct bench *b, struct peer *peer, char *p, size_t n)
{
    size_t used = 0;
    if (!peer->upgraded) {
        used = peer->client ? upgrade_answer(str_n(p, n)) : service_upgrade(peer, str_n(p, n));
        peer->upgraded = used > 0;
        if (!used)
            return 0;
    }
    return used + take_frames(b, peer, p + used, n - used);
}

static void on_input(struct bench *b, struct peer *peer)
{
    ssize_t n = recv(peer->fd, b->input, INPUT, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("a session ended");
    if (peer->in.len == 0) {
        size_t used = take(b, peer, b->input, (size_t)n);
        buf_add(&peer->in, b->input + used, (size_t)n - used);
        return;
    }
    buf_add(&peer->in, b->input, (size_t)n);
    buf_consume(&peer->in, take(b, peer, peer->in.data + peer->in.head, peer->in.len));
}

/* Their times are spread evenly over the period, so one after the other is due. */
static void send_due(struct bench *b)
{
    for (uint64_t now; b->sending && b->peers[b->due]->next_at <= (now = now_ns()); b->due = (b->due + 1) % b->npeers) {
        struct peer *peer = b->peers[b->due];
        b->late += b->counting && now - peer->next_at > 1000000u;
        send_frame(b, peer, now);
        peer->next_at += PERIOD_NS;
    }
}

/* Never sleeps: this core is ours, and waking takes longer than what is measured. */
static void turn(struct bench *b, uint64_t until, size_t ready)
{
    while (now_ns() < until && (!ready || b->ready < ready)) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(b->epoll, events, EVENTS, 0);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_input(b, events[i].data.ptr);
            else
                service_accept(b);
            send_due(b);
        }
        send_due(b);
    }
}

static void service_listen(struct bench *b)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)b->o.upstream)};
    int one = 1;
    b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(b->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (b->listener < 0 || bind(b->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(b->listener, 4096) < 0)
        die("listen on port %u: %s", (unsigned)b->o.upstream, strerror(errno));
    watch(b->epoll, b->listener, NULL);
}

static void open_sessions(struct bench *b)
{
    for (size_t i = 0; i < b->o.sessions; i++) {
        client_open(b);
        turn(b, now_ns() + 10 * (uint64_t)SETTLE_NS, i + 1);
        if (b->ready != i + 1)
            die("session %zu does not begin", i + 1);
    }
    b->began = now_ns();
    for (size_t i = 0; i < b->npeers; i++)
        b->peers[i]->next_at = b->began + i * PERIOD_NS / b->npeers;
    b->sending = true;
}

static uint64_t cpu_ns(uint64_t pid)
{
    struct timespec ts;
    clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
    if (pid && clock_getcpuclockid((pid_t)pid, &clock) != 0)
        die("no process %" PRIu64, pid);
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void run(struct bench *b)
{
    open_sessions(b);
    turn(b, now_ns() + SETTLE_NS, 0);
    uint64_t start = now_ns(), cpu = cpu_ns(b->o.pid);
    b->counting = true;
    turn(b, start + b->o.seconds * 1000000000u, 0);
    double seconds = (double)(now_ns() - start);
    double used = (double)(cpu_ns(b->o.pid) - cpu) / seconds;
    b->counting = b->sending = false;
    for (uint64_t end = now_ns() + DRAIN_NS; b->received < b->sent && now_ns() < end;)
        turn(b, now_ns() + SETTLE_NS / 100, 0);
    b->errors += b->sent - b->received;
    printf("{\"sessions\":%" PRIu64 ",\"frames\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"late\":%" PRIu64 ",\"cpu\":%.4f,",
           b->o.sessions, b->received, b->errors, b->late, b->o.pid ? used : 0);
    samples_print(&b->samples_up, "up");
    printf(",");
    samples_print(&b->samples_down, "down");
    printf("}\n");
}

int main(int argc, char **argv)
{
    static struct bench b;
    files_max();
    b = (struct bench){.o = parse(argc, argv), .epoll = epoll_create1(EPOLL_CLOEXEC), .input = mem_alloc(INPUT)};
    b.up = make_frame(STR(UP_HEAD), STR(UP_TAIL), true);
    b.down = make_frame(STR(DOWN_HEAD), STR(DOWN_TAIL), false);
    service_listen(&b);
    run(&b);
    return 0;
}
