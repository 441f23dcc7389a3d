/* TLS 1.2 and 1.3 (OpenSSL). Contexts are shared by all loops. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/err.h"

struct tls_context;
struct tls_client;

/* For accepted connections. Loads a PEM certificate chain and key; both must belong together. NULL with *e naming the
 * file. */
struct tls_context *tls_new(const char *cert_file, const char *key_file, struct err *e);
/* Loads the files again; new connections use them, old ones go on. -1 keeps the old ones. Any thread. */
int tls_reload(struct tls_context *tls, struct err *e);
struct tls_context *tls_free(struct tls_context *tls);

/* For connections we make (connect.h): one per configuration. Trusts the system's certificates, and those of ca_file
 * (NULL: none) beside them; checks the host's name or address; offers http/1.1; takes up earlier sessions with the same
 * host and port. NULL with *e naming the file. */
struct tls_client *tls_client_new(const char *ca_file, struct err *e);
/* Connections made with it live on. Any thread. Takes NULL, returns NULL. */
struct tls_client *tls_client_free(struct tls_client *client);

#endif
