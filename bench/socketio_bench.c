/* Load generator for Socket.IO servers: N clients on one epoll loop.
 *   socketio_bench echo      --port P [--clients N] [--seconds S]                one `message` under way on each
 *   socketio_bench broadcast --port P [--clients N] [--seconds S] [--window W] [--bytes B]
 *                            N clients in a room, one more that broadcasts; W events under way
 *   socketio_bench follow    --port P [--clients N] [--tokens K] [--pace US]     a streamed reply to all N
 *   socketio_bench connect   --port P [--clients N] [--parallel P] [--upgrade]   until all are connected
 *   socketio_bench idle      --port P [--clients N]                              connects them, holds until stdin ends
 * --pid: the server's process, whose CPU time is counted. Prints one JSON object. */
#include "socketio_client.h"

#include <getopt.h>
#include <inttypes.h>
#include <sys/resource.h>

#define PERCENT_WARM 10         /* of the time, not counted */
#define SETTLE       300000000u /* ns that a room gets to take in its members: joining is not acknowledged */
#define EVENT_MAX    KIB(64)

/* CPU time of the server and of this process so far, in nanoseconds. */
struct cpu {
    uint64_t server, load;
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts = {0};
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct cpu cpu_now(const struct load *l)
{
    clockid_t clock;
    bool known = l->o.pid > 0 && clock_getcpuclockid((pid_t)l->o.pid, &clock) == 0;
    return (struct cpu){.server = known ? clock_ns(clock) : 0, .load = clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

/* Prints "cpu_ms": of the server, "cpu_us": the same for each of n, "load_cpu": how much of its core this process used.
 */
static void print_cpu(const struct load *l, struct cpu before, uint64_t ns, uint64_t n)
{
    struct cpu now = cpu_now(l);
    double server = (double)(now.server - before.server), load = (double)(now.load - before.load);
    printf("\"cpu_ms\":%.2f,\"cpu_us\":%.3f,\"load_cpu\":%.3f", server / 1e6, n ? server / 1e3 / (double)n : 0,
           load / (double)ns);
}

static bool event_is(struct str json, struct str head)
{
    return str_starts(json, head);
}

/* Connects all clients, o.parallel at a time. */
static void connect_all(struct load *l)
{
    l->clients = mem_array(l->o.clients, sizeof(*l->clients));
    while (l->opened < l->o.clients && l->opened < l->o.parallel)
        client_open(l, &l->clients[l->opened++]);
    turn_until_done(l, "connecting");
}

/* A client is connected: the next one's turn. */
static void connected(struct load *l, struct client *c)
{
    (void)c;
    if (l->opened < l->o.clients)
        client_open(l, &l->clients[l->opened++]);
    l->done = l->ready == l->o.clients;
}

static void nothing(struct load *l, struct client *c, struct str json)
{
    (void)l;
    (void)c;
    (void)json;
}

/* Runs the measured time behind the warm-up and prints what was delivered. */
static void measure(struct load *l)
{
    turn(l, now_ns() + l->o.seconds * (1000000000u / 100) * PERCENT_WARM);
    l->counting = true;
    struct cpu before = cpu_now(l);
    uint64_t start = now_ns();
    turn(l, start + l->o.seconds * 1000000000u);
    uint64_t ns = now_ns() - start;
    printf("{\"seconds\":%.3f,\"per_second\":%.1f,\"errors\":%" PRIu64 ",", (double)ns / 1e9,
           (double)l->latency.n / ((double)ns / 1e9), l->errors);
    print_cpu(l, before, ns, l->latency.n);
    printf(",");
    samples_print(&l->latency, "latency");
    printf("}\n");
}

/* ---- echo ---- */

static void echo_send(struct load *l, struct client *c)
{
    c->sent_at = now_ns();
    send_event(l, c, STR("message"), STR("\"hello, world\""));
}

static void echo_event(struct load *l, struct client *c, struct str json)
{
    if (event_is(json, STR("[\"auth\"")))
        return;
    if (!str_eqc(json, "[\"message-back\",\"hello, world\"]"))
        l->errors++;
    if (l->counting)
        samples_add(&l->latency, l->now - c->sent_at);
    echo_send(l, c);
}

static void echo_run(struct load *l)
{
    connect_all(l);
    for (uint64_t i = 0; i < l->o.clients; i++)
        echo_send(l, &l->clients[i]);
    measure(l);
}

/* ---- broadcast: the first client speaks, all others hear ---- */

static void broadcast_send(struct load *l)
{
    char text[EVENT_MAX + 64];
    int n = snprintf(text, sizeof(text), "\"room\",\"n=%" PRIu64 ";", l->next);
    while ((size_t)n < l->o.bytes + sizeof("\"room\",\"") - 1)
        text[n++] = 'x';
    text[n++] = '"';
    uint64_t at = l->next++ % l->o.window;
    l->left[at] = l->o.clients - 1;
    l->sent_at[at] = now_ns();
    send_event(l, &l->clients[0], STR("broadcast"), str_n(text, (size_t)n));
}

static void broadcast_event(struct load *l, struct client *c, struct str json)
{
    static const char head[] = "[\"cast\",\"n=";
    struct str digits = str_from(json, sizeof(head) - 1);
    ptrdiff_t end = str_find_char(digits, ';');
    uint64_t number;
    if (!event_is(json, str_c(head)) || end < 0 || str_u64(str_n(digits.p, (size_t)end), &number) < 0 ||
        number >= l->next || l->next - number > l->o.window || c == l->clients)
        die("not what was broadcast: %.*s", STR_ARG(json));
    uint64_t at = number % l->o.window;
    if (l->counting)
        samples_add(&l->latency, l->now - l->sent_at[at]);
    if (--l->left[at] == 0)
        broadcast_send(l);
}

static void broadcast_ready(struct load *l, struct client *c)
{
    if (c != l->clients)
        send_event(l, c, STR("join"), STR("\"room\""));
    connected(l, c);
}

static void broadcast_run(struct load *l)
{
    l->o.clients++;
    l->sent_at = mem_array(l->o.window, sizeof(*l->sent_at));
    l->left = mem_array(l->o.window, sizeof(*l->left));
    connect_all(l);
    turn(l, now_ns() + SETTLE);
    for (uint64_t i = 0; i < l->o.window; i++)
        broadcast_send(l);
    measure(l);
}

/* ---- follow: the first client asks, all follow the reply; its tokens carry the time they were sent at ---- */

static void follow_ask(struct load *l, uint64_t tokens, uint64_t pace_us)
{
    char args[256];
    int n = snprintf(args, sizeof(args),
                     "{\"message\":\"tokens=%" PRIu64 " pace=%" PRIu64 "\",\"conversationId\":\"bench-%d\"}", tokens,
                     pace_us, (int)getpid());
    send_event(l, l->clients, STR("stream_chat"), str_n(args, (size_t)n));
}

static void follow_chunk(struct load *l, struct client *c, struct str json)
{
    l->chunks++;
    const char *end = memrchr(json.p, ';', json.n);
    const char *begin = end ? memrchr(json.p, '=', (size_t)(end - json.p)) : NULL;
    uint64_t token;
    if (!begin || str_u64(str_n(begin + 1, (size_t)(end - begin - 1)), &token) < 0)
        die("a chunk without a token: %.*s", STR_ARG(json));
    if (token == c->newest)
        return;
    c->newest = token;
    c->newest_at = l->now;
    if (l->counting)
        samples_add(&l->latency, l->now - token);
}

static void follow_event(struct load *l, struct client *c, struct str json)
{
    if (event_is(json, STR("[\"stream_chunk\""))) {
        follow_chunk(l, c, json);
    } else if (event_is(json, STR("[\"stream_complete\""))) {
        c->complete_at = l->now;
        l->done = ++l->complete == (l->counting ? l->o.clients : 1);
    } else if (event_is(json, STR("[\"error\"")) || event_is(json, STR("[\"stream_error\""))) {
        die("no reply: %.*s", STR_ARG(json));
    }
}

/* The conversation exists once its first reply is complete; then all others join it. */
static void follow_prepare(struct load *l)
{
    connect_all(l);
    follow_ask(l, 1, 0);
    turn_until_done(l, "the first reply");
    char args[64];
    int n = snprintf(args, sizeof(args), "{\"conversationId\":\"bench-%d\"}", (int)getpid());
    for (uint64_t i = 1; i < l->o.clients; i++)
        send_event(l, &l->clients[i], STR("join_conversation"), str_n(args, (size_t)n));
    turn(l, now_ns() + SETTLE);
}

static void follow_run(struct load *l)
{
    follow_prepare(l);
    l->counting = true;
    l->chunks = l->complete = 0;
    struct cpu before = cpu_now(l);
    uint64_t start = now_ns();
    follow_ask(l, l->o.tokens, l->o.pace_us);
    turn_until_done(l, "the reply");
    uint64_t ns = now_ns() - start, last = 0, delivered = 0, complete = 0;
    for (uint64_t i = 0; i < l->o.clients; i++) {
        const struct client *c = &l->clients[i];
        last = c->newest > last ? c->newest : last;
        delivered = c->newest_at > delivered ? c->newest_at : delivered;
        complete = c->complete_at > complete ? c->complete_at : complete;
    }
    for (uint64_t i = 0; i < l->o.clients; i++)
        l->errors += l->clients[i].newest != last;
    printf("{\"seconds\":%.3f,\"deliveries\":%" PRIu64 ",\"per_second\":%.1f,\"errors\":%" PRIu64 ",", (double)ns / 1e9,
           l->chunks, (double)l->chunks / ((double)ns / 1e9), l->errors);
    printf("\"last_us\":%.1f,\"complete_us\":%.1f,", (double)(delivered - last) / 1e3, (double)(complete - last) / 1e3);
    print_cpu(l, before, ns, l->chunks);
    printf(",");
    samples_print(&l->latency, "token");
    printf("}\n");
}

/* ---- connect, idle ---- */

static void connect_ready(struct load *l, struct client *c)
{
    samples_add(&l->latency, now_ns() - c->began_at);
    connected(l, c);
}

static void connect_run(struct load *l)
{
    struct cpu before = cpu_now(l);
    uint64_t start = now_ns();
    connect_all(l);
    uint64_t ns = now_ns() - start;
    printf("{\"seconds\":%.3f,\"per_second\":%.1f,", (double)ns / 1e9, (double)l->o.clients / ((double)ns / 1e9));
    print_cpu(l, before, ns, l->o.clients);
    printf(",");
    samples_print(&l->latency, "latency");
    printf("}\n");
}

static void idle_run(struct load *l)
{
    connect_all(l);
    turn(l, now_ns() + SETTLE);
    printf("{\"open\":%" PRIu64 "}\n", l->o.clients);
    fflush(stdout);
    watch(l->epoll, STDIN_FILENO, NULL);
    turn(l, UINT64_MAX);
}

static const struct mode modes[] = {
    {"echo", "/", echo_run, connected, echo_event},
    {"broadcast", "/lab", broadcast_run, broadcast_ready, broadcast_event},
    {"follow", "/", follow_run, connected, follow_event},
    {"connect", "/", connect_run, connect_ready, nothing},
    {"idle", "/", idle_run, connected, nothing},
    {NULL, NULL, NULL, NULL, NULL},
};

static void usage(void)
{
    fputs(
        "usage: socketio_bench echo|broadcast|follow|connect|idle --port P [--clients N] [--parallel N] [--seconds S]\n"
        "       [--window W] [--bytes B] [--tokens K] [--pace US] [--upgrade] [--pid PID]\n",
        stderr);
    exit(2);
}

static const struct mode *mode_named(const char *name)
{
    for (const struct mode *mode = modes; mode->name; mode++) {
        if (strcmp(mode->name, name) == 0)
            return mode;
    }
    usage();
    return NULL;
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},
        {"clients", required_argument, NULL, 'c'},
        {"parallel", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {"window", required_argument, NULL, 'w'},
        {"bytes", required_argument, NULL, 'b'},
        {"tokens", required_argument, NULL, 'k'},
        {"pace", required_argument, NULL, 't'},
        {"pid", required_argument, NULL, 'i'},
        {"upgrade", no_argument, NULL, 'u'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {
        .clients = 100, .parallel = 64, .seconds = 3, .window = 1, .bytes = 200, .tokens = 200, .pace_us = 10000};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        uint64_t *number = c == 'p'   ? &o.port
                           : c == 'c' ? &o.clients
                           : c == 'n' ? &o.parallel
                           : c == 's' ? &o.seconds
                           : c == 'w' ? &o.window
                           : c == 'b' ? &o.bytes
                           : c == 'k' ? &o.tokens
                           : c == 't' ? &o.pace_us
                           : c == 'i' ? &o.pid
                                      : NULL;
        o.upgrade |= c == 'u';
        if (number ? str_u64(str_c(optarg), number) < 0 : c != 'u')
            usage();
    }
    if (optind != argc - 1 || o.port == 0 || o.port > UINT16_MAX || o.clients == 0 || o.parallel == 0 ||
        o.window == 0 || o.tokens == 0 || o.bytes > EVENT_MAX)
        usage();
    return o;
}

int main(int argc, char **argv)
{
    files_max();
    struct load l = {.o = parse(argc, argv), .epoll = epoll_create1(EPOLL_CLOEXEC)};
    l.mode = mode_named(argv[optind]);
    l.input = mem_alloc(INPUT);
    buf_init(&l.out, MIB(1));
    buf_init(&l.text, MIB(1));
    l.mode->run(&l);
    return 0;
}
