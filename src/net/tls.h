/* TLS 1.2 and 1.3 for accepted connections (OpenSSL). One context is shared by all loops and can be reloaded. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/err.h"

struct tls_context;

/* Loads a PEM certificate chain and key; both must belong together. NULL with *e naming the file. */
struct tls_context *tls_new(const char *cert_file, const char *key_file, struct err *e);
/* Loads the files again; new connections use them, old ones go on. -1 keeps the old ones. Any thread. */
int tls_reload(struct tls_context *tls, struct err *e);
struct tls_context *tls_free(struct tls_context *tls);

#endif
