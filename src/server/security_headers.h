/* What helmet sets, where it fits an API; whole header lines, to be copied behind every reply's status line.
 * Replies that are pages (text/html) get no Content-Security-Policy here: who serves a page adds the one it needs. */
#ifndef SERVER_SECURITY_HEADERS_H
#define SERVER_SECURITY_HEADERS_H

#include "base/str.h"

/* secure: the client came over TLS, here or at a trusted proxy (adds Strict-Transport-Security). A literal. */
struct str security_headers(bool secure, bool page);

#endif
