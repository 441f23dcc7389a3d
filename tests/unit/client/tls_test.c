/* Whom an upstream's TLS trusts: the system's certificates, and the extra file's. */
#include "client/fetch.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/client/run_client.h"

#define SERVED 8

struct tls_server {
    int listener;
    SSL_CTX *ctx;
    pthread_t acceptor;
    char url[64];
    char ca_file[64];
    pthread_t threads[SERVED];
    unsigned nthreads;
    _Atomic unsigned handshakes, refused;
};

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* A self-signed certificate for 127.0.0.1, written to ca_file. */
static void make_certificate(struct tls_server *s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1");
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    int fd = mkstemp(s->ca_file);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    PEM_write_X509(file, certificate);
    fclose(file);
    SSL_CTX_use_certificate(s->ctx, certificate);
    SSL_CTX_use_PrivateKey(s->ctx, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

struct tls_connection {
    struct tls_server *server;
    int fd;
};

static void *serve(void *arg)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    struct tls_connection connection = *(struct tls_connection *)arg;
    char request[4096];
    free(arg);
    SSL *ssl = SSL_new(connection.server->ctx);
    SSL_set_fd(ssl, connection.fd);
    if (SSL_accept(ssl) == 1)
        connection.server->handshakes++;
    else
        connection.server->refused++;
    while (SSL_read(ssl, request, sizeof request) > 0)
        SSL_write(ssl, reply, sizeof reply - 1);
    SSL_free(ssl);
    close(connection.fd);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct tls_server *s = arg;
    int fd;
    while ((fd = accept(s->listener, NULL, NULL)) >= 0 && s->nthreads < SERVED) {
        struct tls_connection *connection = malloc(sizeof *connection);
        *connection = (struct tls_connection){s, fd};
        pthread_create(&s->threads[s->nthreads++], NULL, serve, connection);
    }
    return NULL;
}

static void server_start(struct tls_server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    *s = (struct tls_server){.ca_file = "/tmp/ca-test-XXXXXX"};
    s->ctx = SSL_CTX_new(TLS_server_method());
    make_certificate(s);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(s->listener, 16), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&address, &length), 0);
    snprintf(s->url, sizeof s->url, "https://127.0.0.1:%d", ntohs(address.sin_port));
    pthread_create(&s->acceptor, NULL, accept_all, s);
}

static void server_stop(struct tls_server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    for (unsigned i = 0; i < s->nthreads; i++)
        pthread_join(s->threads[i], NULL);
    close(s->listener);
    unlink(s->ca_file);
    SSL_CTX_free(s->ctx);
}

struct pair {
    struct upstream *trusting, *doubting;
};

static const struct fetch_request get = {.method = "GET", .path = {"/", 1}, .idempotent = true};

static void expect_reply(struct upstream *u)
{
    struct err e = {0};
    struct buf body = BUF_INIT(1000);
    struct fetch *f = fetch_open(u, &get, &e);
    if (!f)
        fail_msg("%s", e.text);
    assert_int_equal(fetch_read_all(f, &body, 1000, &e), 0);
    assert_string_equal(buf_cstr(&body), "hi");
    buf_free(&body);
    fetch_close(f);
}

static void expect_distrust(struct upstream *u)
{
    struct err e = {0};
    assert_null(fetch_open(u, &get, &e));
    assert_int_equal(e.code, ERR_UPSTREAM_UNREACHABLE);
    assert_non_null(strstr(e.text, "certificate"));
}

static void trust_body(void *arg)
{
    struct pair *pair = arg;
    expect_distrust(pair->doubting);
    expect_reply(pair->trusting);
    expect_reply(pair->trusting);
}

/* A kept connection that the extra file vouched for is not for those who lack it. */
static void isolation_body(void *arg)
{
    struct pair *pair = arg;
    expect_reply(pair->trusting);
    expect_distrust(pair->doubting);
}

static void both(void (*body)(void *arg), const char *ca_file)
{
    struct tls_server server;
    server_start(&server);
    struct upstream_config config = {
        .name = "test", .base_url = server.url, .connect_timeout = 5000, .first_byte_timeout = 5000, .retries = 2};
    struct pair pair = {.doubting = upstream_new(&config)};
    config.ca_file = ca_file ? ca_file : server.ca_file;
    pair.trusting = upstream_new(&config);
    run_client(body, &pair);
    for (int waited = 0; !server.refused && waited < 20000; waited++)
        usleep(1000); /* stopping would drop what was not accepted yet */
    server_stop(&server);
    /* One attempt is refused: it would not verify the next time either. */
    assert_int_equal(server.refused, 1);
    assert_int_equal(server.handshakes, ca_file ? 0 : 1);
    upstream_free(pair.doubting);
    upstream_free(pair.trusting);
}

static void the_extra_file_is_trusted_and_nothing_else_is(void **state)
{
    (void)state;
    both(trust_body, NULL);
}

static void trust_is_not_shared(void **state)
{
    (void)state;
    both(isolation_body, NULL);
}

static void missing_file_body(void *arg)
{
    struct pair *pair = arg;
    expect_distrust(pair->trusting);
}

static void a_missing_file_trusts_nobody(void **state)
{
    (void)state;
    both(missing_file_body, "/nonexistent");
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(client_setup(NULL), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_extra_file_is_trusted_and_nothing_else_is),
        cmocka_unit_test(trust_is_not_shared),
        cmocka_unit_test(a_missing_file_trusts_nobody),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
