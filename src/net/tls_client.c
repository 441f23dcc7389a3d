#include "base/buf.h"
#include "base/mem.h"
#include "net/tls_impl.h"

#include <arpa/inet.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SESSIONS 32 /* of so many servers one is kept */

struct kept_session {
    char *server;
    unsigned char *bytes; /* the session, encoded: it holds keys; NULL: none */
    int n;
};

struct tls_client {
    atomic_uint refs; /* one per connection, and the owner's */
    SSL_CTX *ctx;
    pthread_mutex_t lock; /* guards what follows */
    struct kept_session sessions[SESSIONS];
    unsigned oldest;
};

static void drop_bytes(struct kept_session *kept)
{
    OPENSSL_clear_free(kept->bytes, (size_t)kept->n);
    kept->bytes = NULL;
    kept->n = 0;
}

static struct tls_client *unref(struct tls_client *client)
{
    if (!client || atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < SESSIONS; i++) {
        drop_bytes(&client->sessions[i]);
        free(client->sessions[i].server);
    }
    SSL_CTX_free(client->ctx);
    pthread_mutex_destroy(&client->lock);
    free(client);
    return NULL;
}

/* ---- Sessions ---- */

static struct kept_session *find(struct tls_client *client, const char *server)
{
    for (size_t i = 0; i < SESSIONS; i++)
        if (client->sessions[i].server && strcmp(client->sessions[i].server, server) == 0)
            return &client->sessions[i];
    return NULL;
}

/* A ticket of TLS 1.3 is used once (RFC 8446 C.4): the server sends new ones. */
static SSL_SESSION *take_session(struct tls_client *client, const char *server)
{
    SSL_SESSION *session = NULL;
    pthread_mutex_lock(&client->lock);
    struct kept_session *kept = find(client, server);
    if (kept && kept->bytes) {
        const unsigned char *at = kept->bytes;
        session = d2i_SSL_SESSION(NULL, &at, kept->n);
        if (!session || SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            drop_bytes(kept);
    }
    pthread_mutex_unlock(&client->lock);
    return session;
}

/* The handshake was good and the server gave a session. It is kept as bytes, so that no object of the library ever
 * belongs to two threads. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct conn_tls *t = SSL_get_app_data(ssl);
    struct tls_client *client = t->client;
    unsigned char *bytes = NULL;
    int n = i2d_SSL_SESSION(session, &bytes);
    if (n <= 0)
        return 0;
    pthread_mutex_lock(&client->lock);
    struct kept_session *kept = find(client, t->server);
    if (!kept) {
        kept = &client->sessions[client->oldest++ % SESSIONS];
        free(kept->server);
        kept->server = str_dup(str_c(t->server));
    }
    drop_bytes(kept);
    kept->bytes = bytes;
    kept->n = n;
    pthread_mutex_unlock(&client->lock);
    return 0; /* the reference stays the library's */
}

/* ---- The context ---- */

/* The system's certificates are looked into by need, so they cost nothing here. */
static int set_trust(SSL_CTX *ctx, const char *ca_file, struct err *e)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509_STORE_set_default_paths(store);
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    bool usable = !ca_file || X509_STORE_load_file(store, ca_file) == 1;
    ERR_clear_error();
    return usable ? 0 : err_set(e, ERR_NOT_CONFIGURED, "The CA file %s cannot be used", ca_file);
}

static SSL_CTX *new_context(const char *ca_file, struct err *e)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx) {
        ERR_clear_error();
        err_set(e, ERR_NOT_CONFIGURED, "The TLS library cannot be used");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_alpn_protos(ctx, protocols, sizeof protocols - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    if (set_trust(ctx, ca_file, e) < 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

struct tls_client *tls_client_new(const char *ca_file, struct err *e)
{
    /* The library writes to sockets with write(2): a peer that is gone must be an error, not a signal. */
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *ctx = new_context(ca_file, e);
    if (!ctx)
        return NULL;
    struct tls_client *client = mem_zalloc(sizeof *client);
    atomic_init(&client->refs, 1);
    pthread_mutex_init(&client->lock, NULL);
    client->ctx = ctx;
    return client;
}

struct tls_client *tls_client_free(struct tls_client *client)
{
    return unref(client);
}

/* ---- One connection ---- */

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Whom the certificate must name; a name is sent along (SNI), an address must not be. */
static bool expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static char *server_key(const char *host, uint16_t port)
{
    struct buf key = BUF_INIT(KIB(1));
    buf_addf(&key, "%s:%u", host, port);
    char *text = str_dup(buf_str(&key));
    buf_free(&key);
    return text;
}

struct conn_tls *tls_connect(struct tls_client *client, int fd, const char *host, uint16_t port)
{
    SSL *ssl = SSL_new(client->ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || !expect_host(ssl, host)) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    struct conn_tls *t = mem_alloc(sizeof *t);
    *t = (struct conn_tls){.ssl = ssl, .client = client, .server = server_key(host, port)};
    atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
    SSL_set_app_data(ssl, t);
    SSL_set_connect_state(ssl);
    SSL_SESSION *session = take_session(client, t->server);
    if (session)
        SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
    ERR_clear_error();
    return t;
}

void tls_client_let_go(struct conn_tls *t)
{
    /* Otherwise the library forbids the session of a connection that was not closed with a farewell. */
    SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_app_data(t->ssl, NULL);
    free(t->server);
    unref(t->client);
}
