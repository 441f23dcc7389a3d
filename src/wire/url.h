/* http, https, ws and wss URLs taken apart (RFC 3986), for those who connect to them. */
#ifndef WIRE_URL_H
#define WIRE_URL_H

#include "base/buf.h"
#include "base/str.h"

/* Slices of the text. */
struct url {
    struct str scheme; /* as written; empty when the text begins with the host */
    struct str user;   /* "name:password", still percent-encoded; STR_NONE when absent */
    struct str host;   /* without the brackets of an IPv6 address */
    bool ipv6;         /* it had some */
    uint16_t port;     /* 0: not said */
    struct str target; /* path and query as written, "" when absent */
};

/* 0, or -1 when it is no such thing: a missing or odd host, a port that is none, a fragment, or a byte that must be
 * percent-encoded (also control characters: what comes out can be put into a request). The scheme is the caller's to
 * judge. */
int url_split(struct url *out, struct str text);
/* Appends "Basic …" for the user information, percent-decoded; without a colon the password is empty. -1 when it is
 * malformed. */
int url_basic_auth(struct buf *out, struct str user);
/* Appends s with all but the unreserved characters percent-encoded: a path segment, or a name or value of a query. */
void url_put_encoded(struct buf *out, struct str s);

#endif
