/* Character classes of HTTP/1.1 (RFC 9110 5.5, 5.6.2; RFC 9112 3.2): inside wire/ only. */
#ifndef WIRE_HTTP_CHARS_H
#define WIRE_HTTP_CHARS_H

#include "base/str.h"

enum {
    HTTP_CHAR_TOKEN = 1,  /* field names and methods */
    HTTP_CHAR_VALUE = 2,  /* field values: visible, space, tab, obs-text */
    HTTP_CHAR_TARGET = 4, /* request target: visible ASCII without '#' */
    HTTP_CHAR_HOST = 8,   /* Host and authority without user information */
};

extern const uint8_t http_char_classes[256];

static inline bool http_char_is(char c, int class)
{
    return (http_char_classes[(unsigned char)c] & class) != 0;
}

/* ASCII case-insensitive comparison of a token with a literal in lower case. Setting bit 5 is exact here: among token
 * characters only letters fold onto letters. */
static inline bool http_token_is(struct str token, struct str lower)
{
    if (token.n != lower.n)
        return false;
    for (size_t i = 0; i < lower.n; i++)
        if ((token.p[i] | 0x20) != lower.p[i])
            return false;
    return true;
}

#endif
