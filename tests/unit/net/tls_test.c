#include "unit/support/certificate.h"
#include "unit/support/loop_thread.h"

#include "base/buf.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

static struct loop_thread t;
static struct listener *listener;
static struct tls_context *tls;
static uint16_t port;
static sem_t event;
static atomic_int closed_why;
static char dir[] = "/tmp/parley-tls-XXXXXX", cert[64], key[64], other_key[64];

/* ---- The server: echo, and "bye" ends ---- */

static void on_closed(struct conn *c, enum conn_end why)
{
    closed_why = (int)why;
    free(c);
    sem_post(&event);
}

static size_t echo(struct conn *c, char *p, size_t n)
{
    assert_true(conn_is_tls(c));
    conn_write(c, str_n(p, n));
    if (n == 3 && memcmp(p, "bye", 3) == 0)
        conn_finish(c);
    return n;
}

static const struct conn_ops echo_ops = {.on_read = echo, .on_closed = on_closed};

static void on_accept(void *arg, int fd, const struct sockaddr_in6 *peer)
{
    struct conn *c = mem_zalloc(sizeof *c);
    (void)arg, (void)peer;
    assert_int_equal(conn_open(c, t.loop, fd, tls, &echo_ops), 0);
}

static void open_listener(void *arg)
{
    struct err e;
    (void)arg;
    listener = listener_open(t.loop, "127.0.0.1", 0, on_accept, NULL, &e);
    assert_non_null(listener);
    port = listener_port(listener);
}

static void close_listener(void *arg)
{
    (void)arg;
    listener = listener_close(listener);
}

static void wait_event(void)
{
    while (sem_wait(&event) < 0)
        ;
}

static int setup(void **state)
{
    struct err e;
    (void)state;
    closed_why = -1;
    sem_init(&event, 0, 0);
    certificate_write(cert, key, "first");
    tls = tls_new(cert, key, &e);
    assert_non_null(tls);
    loop_thread_start(&t);
    on_loop(&t, open_listener, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    on_loop(&t, close_listener, NULL);
    loop_thread_stop(&t);
    tls = tls_free(tls);
    sem_destroy(&event);
    assert_int_equal(conn_memory(), 0);
    return 0;
}

/* ---- Clients ---- */

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static struct client client_new(void)
{
    struct client c = {.ctx = SSL_CTX_new(TLS_client_method())};
    assert_non_null(c.ctx);
    c.fd = client_connect(port);
    c.ssl = SSL_new(c.ctx);
    SSL_set_fd(c.ssl, c.fd);
    return c;
}

static struct client client_open(void)
{
    struct client c = client_new();
    assert_int_equal(SSL_connect(c.ssl), 1);
    return c;
}

static void client_free(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
    ERR_clear_error();
}

static void expect(struct client *c, const char *bytes, size_t n)
{
    char *got = mem_alloc(n);
    size_t have = 0;
    while (have < n) {
        int r = SSL_read(c->ssl, got + have, (int)(n - have));
        assert_true(r > 0);
        have += (size_t)r;
    }
    assert_memory_equal(got, bytes, n);
    free(got);
}

static void echoes_and_says_farewell(void **state)
{
    (void)state;
    struct client c = client_open();
    assert_int_equal(SSL_version(c.ssl), TLS1_3_VERSION);
    assert_int_equal(SSL_write(c.ssl, "hello", 5), 5);
    expect(&c, "hello", 5);
    assert_int_equal(SSL_write(c.ssl, "bye", 3), 3);
    expect(&c, "bye", 3);
    char byte;
    int r = SSL_read(c.ssl, &byte, 1);
    assert_int_equal(SSL_get_error(c.ssl, r), SSL_ERROR_ZERO_RETURN);
    client_free(&c);
    wait_event();
    assert_int_equal(closed_why, CONN_END_LOCAL);
}

static void *write_all(void *arg)
{
    struct client *c = arg;
    static char piece[KIB(40)];
    memset(piece, 'q', sizeof piece);
    for (int i = 0; i < 50; i++)
        if (SSL_write(c->ssl, piece, sizeof piece) != sizeof piece)
            return NULL;
    return c;
}

/* Records of 16 KiB against a buffer of 64 KiB, and more output than the kernel takes at once. */
static void carries_megabytes(void **state)
{
    (void)state;
    struct client c = client_open();
    size_t total = 0;
    char *got = mem_alloc(KIB(64));
    assert_ptr_equal(write_all(&c), &c);
    while (total < 50 * KIB(40)) {
        int r = SSL_read(c.ssl, got, KIB(64));
        assert_true(r > 0);
        for (int i = 0; i < r; i++)
            assert_int_equal(got[i], 'q');
        total += (size_t)r;
    }
    free(got);
    SSL_shutdown(c.ssl);
    client_free(&c);
    wait_event();
    assert_int_equal(closed_why, CONN_END_PEER);
}

static void chooses_http_1_1(void **state)
{
    (void)state;
    static const unsigned char offers[] = "\x02h2\x08http/1.1";
    const unsigned char *chosen;
    unsigned len;
    struct client c = client_new();
    SSL_set_alpn_protos(c.ssl, offers, sizeof offers - 1);
    assert_int_equal(SSL_connect(c.ssl), 1);
    SSL_get0_alpn_selected(c.ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    client_free(&c);
    wait_event();
    c = client_new();
    SSL_set_alpn_protos(c.ssl, (const unsigned char *)"\x02h2", 3);
    assert_true(SSL_connect(c.ssl) <= 0);
    client_free(&c);
    wait_event();
}

static void refuses_old_versions(void **state)
{
    (void)state;
    struct client c = client_new();
    SSL_set_security_level(c.ssl, 0);
    SSL_set_min_proto_version(c.ssl, TLS1_VERSION);
    SSL_set_max_proto_version(c.ssl, TLS1_1_VERSION);
    assert_true(SSL_connect(c.ssl) <= 0);
    client_free(&c);
    wait_event();
    c = client_new();
    SSL_set_max_proto_version(c.ssl, TLS1_2_VERSION);
    assert_int_equal(SSL_connect(c.ssl), 1);
    assert_non_null(strstr(SSL_get_cipher_name(c.ssl), "ECDHE"));
    client_free(&c);
    wait_event();
}

static void survives_those_who_speak_no_tls(void **state)
{
    (void)state;
    int fd = client_connect(port);
    client_send(fd, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    size_t len;
    free(client_read_all(fd, &len, NULL));
    close(fd);
    wait_event();
    fd = client_connect(port); /* gone in the middle of the handshake */
    client_send(fd, STR("\x16\x03\x01\x02"));
    close(fd);
    wait_event();
    struct client c = client_open();
    assert_int_equal(SSL_write(c.ssl, "still", 5), 5);
    expect(&c, "still", 5);
    client_free(&c);
    wait_event();
}

static const char *name_of(struct client *c, char *out, int n)
{
    X509 *x = SSL_get1_peer_certificate(c->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, out, n);
    X509_free(x);
    return out;
}

static void reloads_and_keeps_the_old_on_failure(void **state)
{
    (void)state;
    struct err e;
    char name[64];
    struct client before = client_open();
    assert_string_equal(name_of(&before, name, sizeof name), "first");
    certificate_write(cert, key, "second");
    assert_int_equal(tls_reload(tls, &e), 0);
    struct client after = client_open();
    assert_string_equal(name_of(&after, name, sizeof name), "second");
    assert_int_equal(SSL_write(before.ssl, "old", 3), 3);
    expect(&before, "old", 3);
    FILE *f = fopen(cert, "w");
    fclose(f);
    assert_int_equal(tls_reload(tls, &e), -1);
    assert_non_null(strstr(e.text, cert));
    struct client third = client_open();
    assert_string_equal(name_of(&third, name, sizeof name), "second");
    client_free(&before);
    client_free(&after);
    client_free(&third);
    for (int i = 0; i < 3; i++)
        wait_event();
}

static void says_which_file_is_wrong(void **state)
{
    struct err e;
    (void)state;
    certificate_write(cert, other_key, "third");
    certificate_write(other_key, key, "fourth"); /* now key belongs to another certificate */
    assert_null(tls_new(cert, key, &e));
    assert_non_null(strstr(e.text, key));
    assert_null(tls_new("/nonexistent.pem", key, &e));
    assert_non_null(strstr(e.text, "/nonexistent.pem"));
    assert_null(tls_free(NULL));
}

static void resumes_sessions(void **state)
{
    (void)state;
    struct client c = client_open();
    assert_int_equal(SSL_write(c.ssl, "x", 1), 1);
    expect(&c, "x", 1); /* the tickets came with it */
    SSL_SESSION *session = SSL_get1_session(c.ssl);
    SSL_shutdown(c.ssl);
    client_free(&c);
    wait_event();
    c = client_new();
    SSL_set_session(c.ssl, session);
    assert_int_equal(SSL_connect(c.ssl), 1);
    assert_int_equal(SSL_session_reused(c.ssl), 1);
    SSL_SESSION_free(session);
    client_free(&c);
    wait_event();
}

static int make_dir(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    snprintf(other_key, sizeof other_key, "%s/other.pem", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(cert);
    unlink(key);
    unlink(other_key);
    return rmdir(dir);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(echoes_and_says_farewell),
        CASE(carries_megabytes),
        CASE(chooses_http_1_1),
        CASE(refuses_old_versions),
        CASE(survives_those_who_speak_no_tls),
        CASE(reloads_and_keeps_the_old_on_failure),
        CASE(resumes_sessions),
        cmocka_unit_test(says_which_file_is_wrong),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
