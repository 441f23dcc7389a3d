/* Outgoing connections with TLS: whom they trust, what they offer, how they end. */
#include "unit/support/ca.h"
#include "unit/support/peer.h"
#include "unit/support/run_task.h"
#include "unit/support/temp_dir.h"

#include "base/buf.h"
#include "net/connect.h"
#include "net/tls_impl.h"

static char dir[TEMP_DIR_MAX], ca_file[128], other_ca_file[128], certificate_file[128], key_file[128];
static struct ca ca, other_ca;

/* ---- A connection as the tests hold it ---- */

struct outgoing {
    struct conn conn;
    struct task *task;
    struct buf in;
    bool drained, ended;
    enum conn_end why;
};

static size_t on_read(struct conn *c, char *p, size_t n)
{
    struct outgoing *o = container_of(c, struct outgoing, conn);
    buf_add(&o->in, p, n);
    task_wake(o->task);
    return n;
}

static void on_drained(struct conn *c)
{
    struct outgoing *o = container_of(c, struct outgoing, conn);
    o->drained = true;
}

static void on_closed(struct conn *c, enum conn_end why)
{
    struct outgoing *o = container_of(c, struct outgoing, conn);
    o->ended = true;
    o->why = why;
    task_wake(o->task);
}

static const struct conn_ops ops = {.on_read = on_read, .on_drained = on_drained, .on_closed = on_closed};

static struct connect_target target;

static int reach(struct outgoing *o, struct err *e)
{
    *o = (struct outgoing){.task = task_self(), .in = BUF_INIT(MIB(64))};
    return conn_connect(&o->conn, &target, &ops, e);
}

static void reach_well(struct outgoing *o)
{
    struct err e = {0};
    if (reach(o, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(conn_is_tls(&o->conn) && conn_is_ready(&o->conn));
}

static void await_bytes(struct outgoing *o, size_t n)
{
    while (o->in.len < n && !o->ended)
        assert_int_equal(task_park(NULL), 0);
    assert_int_equal(o->in.len, n);
}

static void say_and_hear(struct outgoing *o)
{
    buf_clear(&o->in);
    conn_write(&o->conn, STR("hello"));
    await_bytes(o, 5);
    assert_string_equal(buf_cstr(&o->in), "hello");
}

static void await_end(struct outgoing *o)
{
    while (!o->ended)
        task_park(NULL);
    buf_free(&o->in);
}

static void refuse(const char *text)
{
    struct outgoing o;
    struct err e = {0};
    assert_int_equal(reach(&o, &e), -1);
    assert_string_equal(e.text, text);
    assert_int_equal(e.code, ERR_UPSTREAM_UNREACHABLE);
}

#define DISTRUSTED "The certificate of the test cannot be verified"

/* ---- The peer ---- */

struct tls_peer {
    struct peer peer;
    SSL_CTX *ctx;
    atomic_int good, bad; /* handshakes */
    char sni[64], alpn[16];
};

static void serve_tls(struct peer *p, int fd)
{
    struct tls_peer *t = p->arg;
    char bytes[16384];
    const unsigned char *alpn;
    unsigned nalpn;
    int n;
    SSL *ssl = SSL_new(t->ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        str_copy(t->sni, sizeof t->sni, str_c(name ? name : ""));
        SSL_get0_alpn_selected(ssl, &alpn, &nalpn);
        str_copy(t->alpn, sizeof t->alpn, str_n(alpn, nalpn));
        atomic_fetch_add(&t->good, 1);
        while ((n = SSL_read(ssl, bytes, sizeof bytes)) > 0 && SSL_write(ssl, bytes, n) == n)
            ;
        SSL_shutdown(ssl);
    } else {
        atomic_fetch_add(&t->bad, 1);
    }
    SSL_free(ssl);
    ERR_clear_error();
}

static int choose_http(SSL *ssl, const unsigned char **out, unsigned char *nout, const unsigned char *in, unsigned nin,
                       void *arg)
{
    (void)ssl, (void)arg;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, nout, (const unsigned char *)"\x02h2\x08http/1.1",
                                 12, in, nin) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void tls_peer_start(struct tls_peer *t, struct ca *issuer, const char *names, long until)
{
    *t = (struct tls_peer){.ctx = SSL_CTX_new(TLS_server_method())};
    ca_issue(issuer, certificate_file, key_file, names, until);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(t->ctx, certificate_file), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(t->ctx, key_file, SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_session_id_context(t->ctx, (const unsigned char *)"test", 4);
    SSL_CTX_set_alpn_select_cb(t->ctx, choose_http, NULL);
    peer_start(&t->peer, serve_tls, t);
}

static void tls_peer_stop(struct tls_peer *t)
{
    peer_stop(&t->peer);
    SSL_CTX_free(t->ctx);
}

static void point_to(const char *host, uint16_t port)
{
    struct err e;
    tls_client_free(target.tls);
    target = (struct connect_target){.name = "the test", .host = str_c(host), .port = port, .timeout = 20000};
    target.tls = tls_client_new(ca_file, &e);
    assert_non_null(target.tls);
}

static int setup(void **state)
{
    (void)state;
    temp_dir_make(dir);
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", dir);
    snprintf(other_ca_file, sizeof other_ca_file, "%s/other.pem", dir);
    snprintf(certificate_file, sizeof certificate_file, "%s/certificate.pem", dir);
    snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
    ca_make(&ca, ca_file);
    ca_make(&other_ca, other_ca_file);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    target.tls = tls_client_free(target.tls);
    ca_free(&ca);
    ca_free(&other_ca);
    temp_dir_remove(dir);
    assert_int_equal(conn_memory(), 0);
    return 0;
}

/* ---- Trust ---- */

static void body_echo(void *arg)
{
    struct outgoing o;
    (void)arg;
    reach_well(&o);
    say_and_hear(&o);
    conn_close(&o.conn);
    await_end(&o);
}

static void body_refuse(void *arg)
{
    (void)arg;
    refuse(DISTRUSTED);
}

static void names_and_addresses_are_checked(void **state)
{
    struct tls_peer t;
    (void)state;
    tls_peer_start(&t, &ca, "DNS:localhost,IP:127.0.0.1", 3600);
    point_to("127.0.0.1", t.peer.port);
    run_task(body_echo, NULL);
    assert_string_equal(t.sni, "");
    point_to("localhost", t.peer.port);
    run_task(body_echo, NULL);
    assert_string_equal(t.sni, "localhost");
    assert_string_equal(t.alpn, "http/1.1");
    point_to("LOCALHOST.", t.peer.port);
    run_task(body_echo, NULL);
    tls_peer_stop(&t);
    assert_int_equal(t.good, 3);
}

static void other_names_are_refused(void **state)
{
    struct tls_peer t;
    (void)state;
    tls_peer_start(&t, &ca, "DNS:127.0.0.1,DNS:localhost.example,DNS:*.localhost,IP:127.0.0.2", 3600);
    point_to("127.0.0.1", t.peer.port);
    run_task(body_refuse, NULL);
    point_to("localhost", t.peer.port);
    run_task(body_refuse, NULL);
    tls_peer_stop(&t);
    assert_int_equal(t.good, 0);
}

static void old_certificates_are_refused(void **state)
{
    struct tls_peer t;
    (void)state;
    tls_peer_start(&t, &ca, "IP:127.0.0.1", -60);
    point_to("127.0.0.1", t.peer.port);
    run_task(body_refuse, NULL);
    tls_peer_stop(&t);
    assert_int_equal(t.good, 0);
}

static void unknown_authorities_are_refused(void **state)
{
    struct tls_peer t;
    struct err e;
    (void)state;
    tls_peer_start(&t, &other_ca, "IP:127.0.0.1", 3600);
    point_to("127.0.0.1", t.peer.port);
    run_task(body_refuse, NULL);
    /* Nor does the system know it. */
    tls_client_free(target.tls);
    target.tls = tls_client_new(NULL, &e);
    run_task(body_refuse, NULL);
    tls_client_free(target.tls);
    target.tls = tls_client_new(other_ca_file, &e);
    run_task(body_echo, NULL);
    tls_peer_stop(&t);
    assert_int_equal(t.good, 1);
}

static void self_signed_certificates_are_refused(void **state)
{
    struct tls_peer t;
    (void)state;
    tls_peer_start(&t, &ca, "IP:127.0.0.1", 3600);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = ca_certificate(key, "127.0.0.1", -60, 3600, NULL);
    ca_extension(x, x, NID_subject_alt_name, "IP:127.0.0.1");
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(t.ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(t.ctx, key), 1);
    point_to("127.0.0.1", t.peer.port);
    run_task(body_refuse, NULL);
    X509_free(x);
    EVP_PKEY_free(key);
    tls_peer_stop(&t);
}

static void a_missing_file_is_told(void **state)
{
    struct err e = {0};
    (void)state;
    assert_null(tls_client_new("/nonexistent", &e));
    assert_int_equal(e.code, ERR_NOT_CONFIGURED);
    assert_null(tls_client_new(key_file, NULL));
    assert_null(tls_client_free(NULL));
}

/* ---- Handshakes ---- */

static void body_failed(void *arg)
{
    (void)arg;
    refuse("the test cannot be reached: the TLS handshake failed");
}

static void old_versions_are_refused(void **state)
{
    struct tls_peer t;
    (void)state;
    tls_peer_start(&t, &ca, "IP:127.0.0.1", 3600);
    SSL_CTX_set_cipher_list(t.ctx, "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(t.ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(t.ctx, TLS1_1_VERSION);
    point_to("127.0.0.1", t.peer.port);
    run_task(body_failed, NULL);
    SSL_CTX_set_max_proto_version(t.ctx, TLS1_2_VERSION);
    run_task(body_echo, NULL);
    tls_peer_stop(&t);
    assert_int_equal(t.good, 1);
}

static void serve_words(struct peer *p, int fd)
{
    (void)p;
    peer_send(fd, STR("HTTP/1.1 400 Bad Request\r\n\r\n"));
    peer_drain(fd);
}

static void serve_nothing(struct peer *p, int fd)
{
    char bytes[16];
    (void)p;
    peer_assert(recv(fd, bytes, sizeof bytes, 0) > 0);
}

static void serve_silence(struct peer *p, int fd)
{
    (void)p;
    peer_drain(fd);
}

static void other_protocols_are_refused(void **state)
{
    struct peer p;
    (void)state;
    peer_start(&p, serve_words, NULL);
    point_to("127.0.0.1", p.port);
    run_task(body_failed, NULL);
    peer_stop(&p);
    peer_start(&p, serve_nothing, NULL);
    point_to("127.0.0.1", p.port);
    run_task(body_failed, NULL);
    peer_stop(&p);
}

static void body_late(void *arg)
{
    struct outgoing o;
    struct err e = {0};
    (void)arg;
    target.timeout = 50;
    assert_int_equal(reach(&o, &e), -1);
    assert_string_equal(e.text, "the test did not answer in time");
    assert_int_equal(e.code, ERR_TIMEOUT);
}

static struct task *victim;

static void try_in_vain(void *arg)
{
    struct outgoing o;
    struct err e = {0};
    (void)arg;
    assert_int_equal(reach(&o, &e), -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    victim = NULL;
}

/* Once the greeting is there the handshake is under way. */
static void serve_half_handshake(struct peer *p, int fd)
{
    char bytes[16];
    peer_assert(recv(fd, bytes, sizeof bytes, 0) > 0);
    atomic_fetch_add((atomic_int *)p->arg, 1);
    peer_drain(fd);
}

static void body_cancel(void *arg)
{
    struct peer *p = arg;
    victim = task_spawn("victim", try_in_vain, NULL);
    while (atomic_load((atomic_int *)p->arg) == 0)
        assert_int_equal(task_sleep(1, NULL), 0);
    task_cancel(victim);
    assert_int_equal(task_yield(NULL), 0);
    assert_null(victim);
    peer_await_served(p, 1);
}

static void a_handshake_has_a_limit_and_can_be_cancelled(void **state)
{
    struct peer p;
    atomic_int begun = 0;
    (void)state;
    peer_start(&p, serve_silence, NULL);
    point_to("127.0.0.1", p.port);
    run_task(body_late, NULL);
    peer_stop(&p);
    peer_start(&p, serve_half_handshake, &begun);
    point_to("127.0.0.1", p.port);
    run_task(body_cancel, &p);
    peer_stop(&p);
}

static void tunnels_carry_tls(void **state)
{
    struct tls_peer t;
    struct proxy_peer proxy;
    char url[64];
    (void)state;
    tls_peer_start(&t, &ca, "DNS:upstream.example", 3600);
    proxy_peer_start(&proxy, t.peer.port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", proxy.peer.port);
    point_to("upstream.example", 443);
    target.proxy = url;
    run_task(body_echo, NULL);
    assert_string_equal(t.sni, "upstream.example");
    target.host = STR("other.example");
    run_task(body_refuse, NULL);
    peer_stop(&proxy.peer);
    tls_peer_stop(&t);
}

/* ---- Sessions ---- */

static bool resumed;

static void body_session(void *arg)
{
    struct outgoing o;
    (void)arg;
    reach_well(&o);
    say_and_hear(&o); /* tickets come with the first bytes */
    resumed = SSL_session_reused(o.conn.tls->ssl) == 1;
    conn_close(&o.conn);
    await_end(&o);
}

static void check_sessions(int version)
{
    struct tls_peer t, other;
    tls_peer_start(&t, &ca, "DNS:localhost,IP:127.0.0.1", 3600);
    SSL_CTX_set_max_proto_version(t.ctx, version);
    point_to("127.0.0.1", t.peer.port);
    run_task(body_session, NULL);
    assert_false(resumed);
    for (int i = 0; i < 3; i++) {
        run_task(body_session, NULL);
        assert_true(resumed);
    }
    /* Another name is another server, and so is another port. */
    target.host = STR("localhost");
    run_task(body_session, NULL);
    assert_false(resumed);
    tls_peer_start(&other, &ca, "IP:127.0.0.1", 3600);
    target.host = STR("127.0.0.1");
    target.port = other.peer.port;
    run_task(body_session, NULL);
    assert_false(resumed);
    tls_peer_stop(&other);
    tls_peer_stop(&t);
}

static void sessions_are_taken_up_again(void **state)
{
    (void)state;
    check_sessions(TLS1_3_VERSION);
    check_sessions(TLS1_2_VERSION);
}

/* The context may go before the connection does. */
static void body_outlive(void *arg)
{
    struct outgoing o;
    (void)arg;
    reach_well(&o);
    target.tls = tls_client_free(target.tls);
    say_and_hear(&o);
    conn_finish(&o.conn);
    await_end(&o);
    assert_int_equal(o.why, CONN_END_LOCAL);
}

static void connections_outlive_their_context(void **state)
{
    struct tls_peer t;
    (void)state;
    tls_peer_start(&t, &ca, "IP:127.0.0.1", 3600);
    point_to("127.0.0.1", t.peer.port);
    run_task(body_outlive, NULL);
    tls_peer_stop(&t);
}

/* ---- Much data ---- */

#define MUCH MIB(8)

static void body_much(void *arg)
{
    static char piece[KIB(40)];
    struct outgoing o;
    size_t sent = 0;
    (void)arg;
    memset(piece, 'm', sizeof piece);
    reach_well(&o);
    for (; sent < MUCH; sent += sizeof piece) {
        assert_int_equal(conn_wait_drained(&o.conn, NULL), 0);
        assert_true(conn_queued(&o.conn) <= CONN_HIGH_MARK);
        conn_write(&o.conn, str_n(piece, sizeof piece));
    }
    await_bytes(&o, sent);
    for (size_t i = 0; i < sent; i++)
        assert_int_equal(buf_str(&o.in).p[i], 'm');
    assert_true(o.drained);
    conn_close(&o.conn);
    await_end(&o);
}

static void megabytes_go_both_ways(void **state)
{
    struct tls_peer t;
    (void)state;
    tls_peer_start(&t, &ca, "IP:127.0.0.1", 3600);
    point_to("127.0.0.1", t.peer.port);
    run_task(body_much, NULL);
    tls_peer_stop(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_addresses_are_checked),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(old_certificates_are_refused),
        cmocka_unit_test(unknown_authorities_are_refused),
        cmocka_unit_test(self_signed_certificates_are_refused),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(other_protocols_are_refused),
        cmocka_unit_test(a_handshake_has_a_limit_and_can_be_cancelled),
        cmocka_unit_test(tunnels_carry_tls),
        cmocka_unit_test(sessions_are_taken_up_again),
        cmocka_unit_test(connections_outlive_their_context),
        cmocka_unit_test(megabytes_go_both_ways),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
