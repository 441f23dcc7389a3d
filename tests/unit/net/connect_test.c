/* Outgoing connections without TLS: names, addresses, proxies, cancellation. */
#include "unit/support/peer.h"
#include "unit/support/run_task.h"

#include "base/buf.h"
#include "net/connect_impl.h"

#include <semaphore.h>

/* ---- A connection as the tests hold it ---- */

struct outgoing {
    struct conn conn;
    struct task *task;
    struct buf in;
    bool open, ended;
    enum conn_end why;
};

static size_t on_read(struct conn *c, char *p, size_t n)
{
    struct outgoing *o = container_of(c, struct outgoing, conn);
    buf_add(&o->in, p, n);
    task_wake(o->task);
    return n;
}

static void on_closed(struct conn *c, enum conn_end why)
{
    struct outgoing *o = container_of(c, struct outgoing, conn);
    o->ended = true;
    o->why = why;
    task_wake(o->task);
}

static const struct conn_ops ops = {.on_read = on_read, .on_closed = on_closed};

static struct connect_target target;

static int reach(struct outgoing *o, struct err *e)
{
    *o = (struct outgoing){.task = task_self(), .in = BUF_INIT(MIB(64))};
    int result = conn_connect(&o->conn, &target, &ops, e);
    o->open = result == 0;
    return result;
}

static void reach_well(struct outgoing *o)
{
    struct err e = {0};
    if (reach(o, &e) < 0)
        fail_msg("%s", e.text);
}

static void await_input(struct outgoing *o, const char *want)
{
    while (o->in.len < strlen(want) && !o->ended)
        assert_int_equal(task_park(NULL), 0);
    assert_string_equal(buf_cstr(&o->in), want);
    buf_clear(&o->in);
}

static void await_end(struct outgoing *o)
{
    task_shield();
    while (!o->ended)
        task_park(NULL);
    task_unshield();
    buf_free(&o->in);
}

static void let_go(struct outgoing *o)
{
    conn_close(&o->conn);
    await_end(o);
    assert_int_equal(o->why, CONN_END_LOCAL);
}

static void refuse(enum err_code code, const char *text)
{
    struct outgoing o;
    struct err e = {0};
    assert_int_equal(reach(&o, &e), -1);
    assert_string_equal(e.text, text);
    assert_int_equal(e.code, code);
}

static void say_and_hear(struct outgoing *o)
{
    conn_write(&o->conn, STR("hello"));
    await_input(o, "hello");
}

/* ---- Peers ---- */

static void serve_echo(struct peer *p, int fd)
{
    char bytes[16384];
    ssize_t n;
    (void)p;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0 && peer_send(fd, str_n(bytes, (size_t)n)))
        ;
}

static void serve_greeting(struct peer *p, int fd)
{
    (void)p;
    peer_send(fd, STR("welcome"));
    peer_drain(fd);
}

static void serve_silence(struct peer *p, int fd)
{
    (void)p;
    peer_drain(fd);
}

static void point_to(const char *host, uint16_t port)
{
    target = (struct connect_target){.name = "the test", .host = str_c(host), .port = port, .timeout = 20000};
}

/* ---- Addresses and names ---- */

static void body_echo(void *arg)
{
    struct outgoing o;
    (void)arg;
    reach_well(&o);
    assert_false(conn_is_tls(&o.conn));
    assert_true(conn_is_ready(&o.conn));
    say_and_hear(&o);
    let_go(&o);
}

static void an_address_is_reached(void **state)
{
    struct peer p;
    (void)state;
    peer_start(&p, serve_echo, NULL);
    point_to("127.0.0.1", p.port);
    run_task(body_echo, NULL);
    peer_stop(&p);
    peer_start_on(&p, AF_INET6, serve_echo, NULL);
    point_to("::1", p.port);
    run_task(body_echo, NULL);
    peer_stop(&p);
    assert_int_equal(conn_memory(), 0);
}

static void a_name_is_looked_up(void **state)
{
    struct peer p;
    (void)state;
    peer_start(&p, serve_echo, NULL);
    point_to("localhost", p.port);
    run_task(body_echo, NULL);
    point_to("localhost.", p.port);
    run_task(body_echo, NULL);
    peer_stop(&p);
}

static void body_greeting(void *arg)
{
    struct outgoing o;
    (void)arg;
    reach_well(&o);
    assert_int_equal(o.in.len, 0);
    await_input(&o, "welcome");
    let_go(&o);
}

static void the_peer_may_speak_first(void **state)
{
    struct peer p;
    (void)state;
    peer_start(&p, serve_greeting, NULL);
    point_to("127.0.0.1", p.port);
    run_task(body_greeting, NULL);
    peer_stop(&p);
}

static void body_unknown(void *arg)
{
    (void)arg;
    refuse(ERR_UPSTREAM_UNREACHABLE, "the test cannot be reached: its name is not known");
    target.host = STR("");
    refuse(ERR_UPSTREAM_UNREACHABLE, "the test cannot be reached: its name is not valid");
    char longest[256];
    memset(longest, 'a', sizeof longest);
    target.host = str_n(longest, sizeof longest);
    refuse(ERR_UPSTREAM_UNREACHABLE, "the test cannot be reached: its name is not valid");
    target.host = STR("127.0.0.1\0.example");
    refuse(ERR_UPSTREAM_UNREACHABLE, "the test cannot be reached: its name is not valid");
}

static void unknown_names_are_told(void **state)
{
    (void)state;
    point_to("no-such-host.invalid", 1);
    run_task(body_unknown, NULL);
}

static void body_refused(void *arg)
{
    (void)arg;
    refuse(ERR_UPSTREAM_UNREACHABLE, "the test cannot be reached: connection refused");
}

/* A port that was just given up. */
static uint16_t closed_port(void)
{
    struct peer p = {0};
    assert_true(peer_listen(&p, AF_INET, 0, 1));
    close(p.listener);
    return p.port;
}

static void a_closed_port_is_told(void **state)
{
    (void)state;
    point_to("127.0.0.1", closed_port());
    run_task(body_refused, NULL);
}

/* ---- Several addresses ---- */

static struct addresses addresses;

static void add_address(uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(&addresses.list[addresses.n++], &v4, sizeof v4);
}

static void body_any(void *arg)
{
    uint16_t want = *(uint16_t *)arg;
    struct err e = {0};
    struct dialed *d = dial_any(&addresses, "the test", &e);
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    if (!d)
        fail_msg("%s", e.text);
    assert_int_equal(getpeername(d->fd, (struct sockaddr *)&peer, &size), 0);
    assert_int_equal(ntohs(peer.sin_port), want);
    dialed_drop(d);
}

static void the_next_address_is_tried(void **state)
{
    struct peer p;
    (void)state;
    peer_start(&p, serve_silence, NULL);
    addresses.n = 0;
    addresses.list[addresses.n++] = (struct sockaddr_storage){.ss_family = AF_UNIX}; /* fails at once */
    add_address(closed_port());
    add_address(closed_port());
    add_address(p.port);
    run_task(body_any, &p.port);
    peer_stop(&p);
}

static void an_address_that_does_not_answer_is_passed_by(void **state)
{
    struct peer p;
    struct deaf deaf;
    (void)state;
    peer_start(&p, serve_silence, NULL);
    deaf_start(&deaf);
    addresses.n = 0;
    add_address(deaf.peer.port);
    add_address(deaf.peer.port);
    add_address(p.port);
    run_task(body_any, &p.port);
    deaf_stop(&deaf);
    peer_stop(&p);
}

/* The first one answers after all, while a later one is tried. */
static void *accept_late(void *arg)
{
    struct deaf *deaf = arg;
    usleep(300000);
    for (size_t i = 0; i < COUNT(deaf->fill) + 1; i++)
        close(accept(deaf->peer.listener, NULL, NULL));
    return NULL;
}

static void a_late_answer_counts(void **state)
{
    struct deaf late, never;
    pthread_t thread;
    (void)state;
    deaf_start(&late);
    deaf_start(&never);
    addresses.n = 0;
    add_address(late.peer.port);
    add_address(never.peer.port);
    pthread_create(&thread, NULL, accept_late, &late);
    run_task(body_any, &late.peer.port);
    shutdown(late.peer.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    deaf_stop(&late);
    deaf_stop(&never);
}

static void body_none(void *arg)
{
    struct err e = {0};
    assert_null(dial_any(&addresses, "the test", &e));
    assert_int_equal(e.code, ERR_UPSTREAM_UNREACHABLE);
    assert_string_equal(e.text, arg);
}

static void the_last_failure_is_told(void **state)
{
    (void)state;
    addresses.n = 0;
    run_task(body_none, (void *)"the test cannot be reached: address not available");
    add_address(closed_port());
    add_address(closed_port());
    run_task(body_none, (void *)"the test cannot be reached: connection refused");
}

/* ---- Time and cancellation ---- */

static void body_late(void *arg)
{
    (void)arg;
    refuse(ERR_TIMEOUT, "the test did not answer in time");
}

static void connecting_has_a_limit(void **state)
{
    struct deaf deaf;
    (void)state;
    deaf_start(&deaf);
    point_to("127.0.0.1", deaf.peer.port);
    target.timeout = 50;
    run_task(body_late, NULL);
    deaf_stop(&deaf);
}

static void body_outer_deadline(void *arg)
{
    struct task_deadline deadline;
    (void)arg;
    task_deadline_begin(&deadline, 50);
    refuse(ERR_TIMEOUT, "the test did not answer in time");
    task_deadline_end(&deadline);
}

static void outer_deadlines_count(void **state)
{
    struct deaf deaf;
    (void)state;
    deaf_start(&deaf);
    point_to("127.0.0.1", deaf.peer.port);
    target.timeout = 0;
    run_task(body_outer_deadline, NULL);
    deaf_stop(&deaf);
}

static struct task *victim;

static void try_in_vain(void *arg)
{
    (void)arg;
    refuse(ERR_CANCELLED, "Cancelled");
    victim = NULL;
}

/* Cancels a task that tries to connect, once the peer (NULL: nobody) has its connection. */
static void body_cancel(void *arg)
{
    struct peer *p = arg;
    victim = task_spawn("victim", try_in_vain, NULL);
    assert_non_null(victim);
    for (size_t n = 0; p && n == 0; assert_int_equal(task_sleep(1, NULL), 0)) {
        pthread_mutex_lock(&p->lock);
        n = p->nthreads;
        pthread_mutex_unlock(&p->lock);
    }
    task_cancel(victim);
    assert_int_equal(task_yield(NULL), 0);
    assert_null(victim);
    if (p)
        peer_await_served(p, 1); /* its side of the connection ended as well */
}

static void connecting_can_be_cancelled(void **state)
{
    struct deaf deaf;
    (void)state;
    deaf_start(&deaf);
    point_to("127.0.0.1", deaf.peer.port);
    run_task(body_cancel, NULL);
    deaf_stop(&deaf);
}

static void tunnels_can_be_cancelled(void **state)
{
    struct peer p;
    char proxy[64];
    (void)state;
    peer_start(&p, serve_silence, NULL);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", p.port);
    point_to("upstream.example", 443);
    target.proxy = proxy;
    run_task(body_cancel, &p);
    peer_stop(&p);
}

/* Every worker thread is busy, so the lookup waits. */
static sem_t blocked, go_on;

static void block(void *arg)
{
    (void)arg;
    sem_post(&blocked);
    while (sem_wait(&go_on) < 0)
        ;
}

static void occupy(void *arg)
{
    (void)arg;
    pool_call(block, NULL, NULL);
}

#define WORKERS 4

static void body_cancel_lookup(void *arg)
{
    for (int i = 0; i < WORKERS; i++)
        task_spawn("busy", occupy, NULL);
    for (int i = 0; i < WORKERS; i++)
        while (sem_wait(&blocked) < 0)
            ;
    body_cancel(arg);
    for (int i = 0; i < WORKERS; i++)
        sem_post(&go_on);
}

static void lookups_can_be_cancelled(void **state)
{
    (void)state;
    sem_init(&blocked, 0, 0);
    sem_init(&go_on, 0, 0);
    point_to("localhost", 1);
    run_task(body_cancel_lookup, NULL);
    sem_destroy(&blocked);
    sem_destroy(&go_on);
}

/* The lookup is left to its thread. */
static void body_cancel_running_lookup(void *arg)
{
    body_cancel(arg);
    assert_int_equal(task_sleep(5, NULL), 0);
}

static void running_lookups_can_be_cancelled(void **state)
{
    (void)state;
    point_to("localhost", 1);
    run_task(body_cancel_running_lookup, NULL);
    /* The loop ends before the lookup does. */
    run_task(body_cancel, NULL);
}

static void a_cancelled_task_does_not_begin(void *arg)
{
    (void)arg;
    task_cancel(task_self());
    refuse(ERR_CANCELLED, "Cancelled");
}

static void cancelled_tasks_do_not_connect(void **state)
{
    struct peer p;
    (void)state;
    peer_start(&p, serve_silence, NULL);
    point_to("127.0.0.1", p.port);
    run_task(a_cancelled_task_does_not_begin, NULL);
    point_to("localhost", p.port);
    run_task(a_cancelled_task_does_not_begin, NULL);
    peer_stop(&p);
}

/* ---- Proxies ---- */

static void exceptions_are_libcurls(void **state)
{
    static const struct {
        const char *no_proxy, *host;
        bool excepted;
    } samples[] = {
        {NULL, "example.com", false},
        {"", "example.com", false},
        {"*", "example.com", true},
        {"*", "::1", true},
        {"example.com", "example.com", true},
        {"EXAMPLE.com", "www.Example.COM", true},
        {"example.com", "nonexample.com", false},
        {"example.com", "example.com.org", false},
        {".example.com", "example.com", true},
        {".example.com.", "www.example.com", true},
        {"www.example.com", "example.com", false},
        {"localhost, 10.0.0.1 , internal", "internal", true},
        {"a b c", "b", true},
        {"a,,b", "c", false},
        {".", "c", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.11", false},
        {"0.0.1", "127.0.0.1", false},
        {"10.0.0.0/8", "10.200.3.4", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"192.168.4.0/22", "192.168.7.255", true},
        {"192.168.4.0/22", "192.168.8.0", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"10.0.0.0/33", "10.0.0.0", false},
        {"10.0.0.0/x", "10.0.0.0", false},
        {"2001:db8::/32", "2001:db8:1::7", true},
        {"2001:db8::/32", "2001:db9::7", false},
        {"[::1]", "::1", true},
        {"::1", "::1", true},
        {"::/0", "10.0.0.1", false},
        {"::1", "example.com", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++)
        if (proxy_excepts(samples[i].no_proxy, samples[i].host) != samples[i].excepted)
            fail_msg("%s: %s", samples[i].no_proxy, samples[i].host);
}

static void a_proxy_opens_a_tunnel(void **state)
{
    struct peer p;
    struct proxy_peer proxy;
    char url[128];
    (void)state;
    peer_start(&p, serve_echo, NULL);
    proxy_peer_start(&proxy, p.port);
    point_to("upstream.example", 443);
    snprintf(url, sizeof url, "http://us%%65r:secret@127.0.0.1:%u", proxy.peer.port);
    target.proxy = url;
    target.no_proxy = "other.example";
    run_task(body_echo, NULL);
    assert_string_equal(proxy.request, "CONNECT upstream.example:443 HTTP/1.1\r\nHost: upstream.example:443\r\n"
                                       "User-Agent: parley\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n");
    point_to("2001:db8::1", 80);
    snprintf(url, sizeof url, "localhost:%u", proxy.peer.port);
    target.proxy = url;
    run_task(body_echo, NULL);
    assert_string_equal(proxy.request,
                        "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\nUser-Agent: parley\r\n\r\n");
    /* Who is excepted, or an empty setting, goes directly. */
    point_to("127.0.0.1", p.port);
    target.proxy = url;
    target.no_proxy = "127.0.0.0/8";
    run_task(body_echo, NULL);
    target.proxy = "";
    target.no_proxy = NULL;
    run_task(body_echo, NULL);
    assert_int_equal(proxy.tunnels, 2);
    peer_stop(&proxy.peer);
    peer_stop(&p);
}

static void serve_reply(struct peer *p, int fd)
{
    char request[2048];
    if (peer_read_head(fd, request, sizeof request))
        for (const char *at = p->arg; *at && peer_send(fd, str_n(at, 1)); at++)
            ;
}

static void body_refusal(void *arg)
{
    struct outgoing o;
    struct err e = {0};
    assert_int_equal(reach(&o, &e), -1);
    assert_int_equal(e.code, ERR_UPSTREAM_UNREACHABLE);
    assert_string_equal(e.text, arg);
}

static void check_refusal(const char *reply, const char *text)
{
    struct peer p;
    char url[128];
    peer_start(&p, serve_reply, (void *)(uintptr_t)reply);
    snprintf(url, sizeof url, "http://user:secret@127.0.0.1:%u", p.port);
    point_to("upstream.example", 443);
    target.proxy = url;
    run_task(body_refusal, (void *)(uintptr_t)text);
    peer_stop(&p);
}

static void a_proxy_may_refuse(void **state)
{
    (void)state;
    check_refusal("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 6\r\n\r\nsecret",
                  "the test cannot be reached: the proxy refused with status 407");
    check_refusal("HTTP/1.1 302 Found\r\n\r\n", "the test cannot be reached: the proxy refused with status 302");
    check_refusal("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503 No\r\n\r\n",
                  "the test cannot be reached: the proxy refused with status 503");
    check_refusal("SSH-2.0-x\r\n", "the test cannot be reached: the proxy does not speak HTTP");
    check_refusal("HTTP/1.1 200 OK\r\nbroken\r\n\r\n", "the test cannot be reached: the proxy does not speak HTTP");
    check_refusal("HTTP/1.1 200 OK\r\n", "the test cannot be reached: the proxy closed the connection");
    check_refusal("", "the test cannot be reached: the proxy closed the connection");
}

static void serve_too_much(struct peer *p, int fd)
{
    char request[2048];
    (void)p;
    if (peer_read_head(fd, request, sizeof request) && peer_send(fd, STR("HTTP/1.1 200 OK\r\n\r\nand more")))
        peer_drain(fd);
}

static void serve_endless_head(struct peer *p, int fd)
{
    char request[2048];
    (void)p;
    if (peer_read_head(fd, request, sizeof request) && peer_send(fd, STR("HTTP/1.1 200 OK\r\n")))
        while (peer_send(fd, STR("A: 0123456789012345678901234567890123456789\r\n")))
            ;
}

static void check_odd_proxy(peer_fn *serve, const char *text)
{
    struct peer p;
    char url[128];
    peer_start(&p, serve, NULL);
    snprintf(url, sizeof url, "127.0.0.1:%u", p.port);
    point_to("upstream.example", 443);
    target.proxy = url;
    run_task(body_refusal, (void *)(uintptr_t)text);
    peer_stop(&p);
}

static void odd_proxies_are_refused(void **state)
{
    (void)state;
    check_odd_proxy(serve_too_much, "the test cannot be reached: the proxy sent more than its reply");
    check_odd_proxy(serve_endless_head, "the test cannot be reached: the proxy does not speak HTTP");
}

static void body_wrong_proxy(void *arg)
{
    struct outgoing o;
    struct err e = {0};
    target.proxy = arg;
    assert_int_equal(reach(&o, &e), -1);
    assert_int_equal(e.code, ERR_NOT_CONFIGURED);
    assert_null(strstr(e.text, "secret"));
}

static void body_unreachable_proxy(void *arg)
{
    (void)arg;
    refuse(ERR_UPSTREAM_UNREACHABLE, "The proxy for the test cannot be reached: connection refused");
}

static void wrong_proxies_are_told(void **state)
{
    char url[128];
    (void)state;
    point_to("upstream.example", 443);
    run_task(body_wrong_proxy, (void *)"socks5://u:secret@127.0.0.1:1080");
    run_task(body_wrong_proxy, (void *)"https://u:secret@127.0.0.1:1080");
    run_task(body_wrong_proxy, (void *)"http://u:secret@/");
    snprintf(url, sizeof url, "http://u:secret@127.0.0.1:%u", closed_port());
    target.proxy = url;
    run_task(body_unreachable_proxy, NULL);
    struct peer p;
    peer_start(&p, serve_echo, NULL);
    snprintf(url, sizeof url, "http://u:%%zzsecret@127.0.0.1:%u", p.port);
    run_task(body_wrong_proxy, url);
    peer_stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_reached),
        cmocka_unit_test(a_name_is_looked_up),
        cmocka_unit_test(the_peer_may_speak_first),
        cmocka_unit_test(unknown_names_are_told),
        cmocka_unit_test(a_closed_port_is_told),
        cmocka_unit_test(the_next_address_is_tried),
        cmocka_unit_test(an_address_that_does_not_answer_is_passed_by),
        cmocka_unit_test(a_late_answer_counts),
        cmocka_unit_test(the_last_failure_is_told),
        cmocka_unit_test(connecting_has_a_limit),
        cmocka_unit_test(outer_deadlines_count),
        cmocka_unit_test(connecting_can_be_cancelled),
        cmocka_unit_test(tunnels_can_be_cancelled),
        cmocka_unit_test(lookups_can_be_cancelled),
        cmocka_unit_test(running_lookups_can_be_cancelled),
        cmocka_unit_test(cancelled_tasks_do_not_connect),
        cmocka_unit_test(exceptions_are_libcurls),
        cmocka_unit_test(a_proxy_opens_a_tunnel),
        cmocka_unit_test(a_proxy_may_refuse),
        cmocka_unit_test(odd_proxies_are_refused),
        cmocka_unit_test(wrong_proxies_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
