/* What the TLS files of this folder share; nobody else includes it. */
#ifndef NET_TLS_IMPL_H
#define NET_TLS_IMPL_H

#include "net/conn_impl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* One connection's TLS, either side. */
struct conn_tls {
    SSL *ssl;
    struct tls_client *client; /* NULL on connections we accepted; else referenced */
    char *server;              /* then: whose session it is, "host:port" */
};

/* tls_client.c */
void tls_client_let_go(struct conn_tls *t);

#endif
