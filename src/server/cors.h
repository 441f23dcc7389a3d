/* Cross-origin resource sharing as the front ends need it (contract, section 2): the origin is reflected, never "*";
 * origins that are not allowed get the plain answer without these headers. Pure: header lines appended to a buffer. */
#ifndef SERVER_CORS_H
#define SERVER_CORS_H

#include "base/buf.h"
#include "wire/http.h"

/* Belongs on every reply as soon as any origin may be allowed: what we send depends on the Origin header. */
#define CORS_VARY "Vary: Origin\r\n"

/* Lines for an ordinary reply to an allowed origin; nothing when origin is empty. -1 past the ceiling. */
int cors_put(struct buf *out, struct str origin);
/* Whether the request is a preflight: OPTIONS with Origin and Access-Control-Request-Method. It is answered 204
 * without a body, before routing. */
bool cors_is_preflight(const struct http_head *head);
/* Lines for the answer to a preflight, cors_put's included; only Vary's when the origin is empty (not allowed). */
int cors_put_preflight(struct buf *out, struct str origin, const struct http_head *head);

#endif
