#include "unit/support/loop_thread.h"

#include "net/listener.h"

#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/resource.h>

static struct loop_thread t;
static struct listener *listener;
static const char *host;
static uint16_t port;
static struct err error;

static int accepted_fds[64];
static atomic_int accepted;
static struct sockaddr_in6 peer;
static sem_t event;

static void on_accept(void *arg, int fd, const struct sockaddr_in6 *from)
{
    assert_ptr_equal(arg, &t);
    peer = *from;
    accepted_fds[accepted++] = fd;
    sem_post(&event);
}

static void wait_event(void)
{
    while (sem_wait(&event) < 0)
        ;
}

static void open_listener(void *arg)
{
    struct listener **out = arg;
    *out = listener_open(t.loop, host, port, on_accept, &t, &error);
}

static void close_listener(void *arg)
{
    struct listener **at = arg;
    *at = listener_close(*at);
}

static int setup(void **state)
{
    (void)state;
    accepted = 0;
    port = 0;
    host = "127.0.0.1";
    sem_init(&event, 0, 0);
    loop_thread_start(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    on_loop(&t, close_listener, &listener);
    loop_thread_stop(&t);
    for (int i = 0; i < accepted; i++)
        close(accepted_fds[i]);
    sem_destroy(&event);
    return 0;
}

static void hands_over_connections_ready_for_use(void **state)
{
    (void)state;
    on_loop(&t, open_listener, &listener);
    assert_non_null(listener);
    assert_true(listener_port(listener) > 0);
    int fd = client_connect(listener_port(listener)), on = 0;
    socklen_t len = sizeof on;
    wait_event();
    assert_int_equal(getsockopt(accepted_fds[0], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_true(on);
    char c;
    assert_int_equal(recv(accepted_fds[0], &c, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
    struct sockaddr_in own;
    len = sizeof own;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    assert_int_equal(peer.sin6_port, own.sin_port);
    close(fd);
}

static bool connect_v6(uint16_t to_port)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(to_port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    bool ok = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return ok;
}

static bool have_v6(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void localhost_is_both_loopbacks(void **state)
{
    (void)state;
    host = "localhost";
    on_loop(&t, open_listener, &listener);
    assert_non_null(listener);
    close(client_connect(listener_port(listener)));
    wait_event();
    assert_int_equal(connect_v6(listener_port(listener)), have_v6());
}

static void two_colons_take_ipv4_too(void **state)
{
    (void)state;
    host = "::";
    on_loop(&t, open_listener, &listener);
    assert_int_equal(listener != NULL, have_v6());
    if (!listener)
        return;
    close(client_connect(listener_port(listener)));
    wait_event();
    assert_true(connect_v6(listener_port(listener)));
}

static void two_listen_on_one_port(void **state)
{
    (void)state;
    struct listener *second = NULL;
    on_loop(&t, open_listener, &listener);
    assert_non_null(listener);
    port = listener_port(listener);
    on_loop(&t, open_listener, &second);
    assert_non_null(second);
    assert_int_equal(listener_port(second), port);
    on_loop(&t, close_listener, &second);
    close(client_connect(port));
    wait_event();
}

static void failures_name_host_and_port(void **state)
{
    (void)state;
    static const char *const wrong[] = {"no-such-host", "192.0.2.1", "256.0.0.1", ""};
    port = 4711;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        host = wrong[i];
        on_loop(&t, open_listener, &listener);
        assert_null(listener);
        assert_non_null(strstr(error.text, wrong[i]));
        assert_non_null(strstr(error.text, "4711"));
    }
}

static void close_accepted(void *arg)
{
    (void)arg;
    while (accepted)
        close(accepted_fds[--accepted]);
}

static void goes_on_when_descriptors_are_free_again(void **state)
{
    (void)state;
    struct rlimit old, tight;
    on_loop(&t, open_listener, &listener);
    assert_non_null(listener);
    int fds[6];
    for (size_t i = 0; i < COUNT(fds); i++)
        assert_true((fds[i] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)fds[5] + 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(listener_port(listener)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < COUNT(fds); i++)
        assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof to), 0);
    wait_event();
    wait_event();
    on_loop(&t, close_accepted, NULL); /* two of six were let in; their places are free again */
    for (int i = 0; i < 2; i++)
        wait_event();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (int i = 0; i < 2; i++)
        wait_event();
    for (size_t i = 0; i < COUNT(fds); i++)
        close(fds[i]);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(hands_over_connections_ready_for_use),
        CASE(localhost_is_both_loopbacks),
        CASE(two_colons_take_ipv4_too),
        CASE(two_listen_on_one_port),
        CASE(failures_name_host_and_port),
        CASE(goes_on_when_descriptors_are_free_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
