#include "net/tls.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/tls_impl.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct tls_context {
    pthread_mutex_t lock; /* guards ctx, the pointer */
    SSL_CTX *ctx;
    char *cert_file, *key_file;
};

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
                           unsigned inlen, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl, (void)arg;
    if (SSL_select_next_proto(&chosen, outlen, ours, sizeof ours - 1, in, inlen) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* The library's own words, for an operator. Files are named by the caller. */
static int library_error(struct err *e, const char *what, const char *file)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return err_set(e, ERR_NOT_CONFIGURED, "%s %s: %s", what, file, reason ? reason : "cannot be used");
}

static int load_files(SSL_CTX *ctx, const char *cert_file, const char *key_file, struct err *e)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        return library_error(e, "TLS certificate", cert_file);
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        return library_error(e, "TLS key", key_file);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return library_error(e, "TLS key does not belong to the certificate:", key_file);
    return 0;
}

static SSL_CTX *load(const char *cert_file, const char *key_file, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        library_error(e, "TLS", "context");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"parley", 6);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    if (load_files(ctx, cert_file, key_file, e) < 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

struct tls_context *tls_new(const char *cert_file, const char *key_file, struct err *e)
{
    /* The library writes to sockets with write(2): without this a client that went away would end the process. */
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *ctx = load(cert_file, key_file, e);
    if (!ctx)
        return NULL;
    struct tls_context *tls = mem_zalloc(sizeof *tls);
    pthread_mutex_init(&tls->lock, NULL);
    tls->ctx = ctx;
    tls->cert_file = str_dup(str_c(cert_file));
    tls->key_file = str_dup(str_c(key_file));
    return tls;
}

int tls_reload(struct tls_context *tls, struct err *e)
{
    SSL_CTX *ctx = load(tls->cert_file, tls->key_file, e);
    if (!ctx)
        return -1;
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->ctx;
    tls->ctx = ctx;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old); /* connections hold their own reference */
    return 0;
}

struct tls_context *tls_free(struct tls_context *tls)
{
    if (!tls)
        return NULL;
    SSL_CTX_free(tls->ctx);
    pthread_mutex_destroy(&tls->lock);
    free(tls->cert_file);
    free(tls->key_file);
    free(tls);
    return NULL;
}

struct conn_tls *tls_accept(struct tls_context *tls, int fd)
{
    pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->ctx);
    pthread_mutex_unlock(&tls->lock);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(ssl);
    struct conn_tls *t = mem_alloc(sizeof *t);
    *t = (struct conn_tls){.ssl = ssl};
    return t;
}

static ssize_t outcome(struct conn_tls *t, int result)
{
    int why = SSL_get_error(t->ssl, result);
    switch (why) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        if (why == SSL_ERROR_SSL && log_enabled(LOG_DEBUG)) {
            const char *reason = ERR_reason_error_string(ERR_peek_error());
            log_debug("net", "tls_failed", F_C("reason", reason ? reason : "unknown"));
        }
        ERR_clear_error();
        return TLS_FAILED;
    }
}

int tls_handshake(struct conn_tls *t)
{
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    if (result == 1)
        return 1;
    ssize_t why = outcome(t, result);
    return why == TLS_WANT_READ || why == TLS_WANT_WRITE ? (int)why : TLS_FAILED;
}

bool tls_distrusts(const struct conn_tls *t)
{
    return SSL_get_verify_result(t->ssl) != X509_V_OK;
}

ssize_t tls_read(struct conn_tls *t, char *p, size_t n)
{
    size_t got;
    ERR_clear_error();
    int result = SSL_read_ex(t->ssl, p, n, &got);
    return result == 1 ? (ssize_t)got : outcome(t, result);
}

ssize_t tls_write(struct conn_tls *t, const char *p, size_t n)
{
    size_t put;
    ERR_clear_error();
    int result = SSL_write_ex(t->ssl, p, n, &put);
    return result == 1 ? (ssize_t)put : outcome(t, result);
}

bool tls_pending(const struct conn_tls *t)
{
    return SSL_has_pending(t->ssl) == 1;
}

bool tls_ready(const struct conn_tls *t)
{
    return SSL_is_init_finished(t->ssl) == 1;
}

void tls_farewell(struct conn_tls *t)
{
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl))
        SSL_shutdown(t->ssl);
    ERR_clear_error();
}

struct conn_tls *tls_drop(struct conn_tls *t)
{
    if (!t)
        return NULL;
    if (t->client)
        tls_client_let_go(t);
    SSL_free(t->ssl);
    free(t);
    return NULL;
}
