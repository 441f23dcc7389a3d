/* UTF-8 (RFC 3629): validation, safe cuts, and lengths in UTF-16 units as JavaScript clients count them. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/str.h"

/* State of an incremental check; zero it to begin. */
struct utf8_check {
    uint32_t state;
};

/* Whether all of s is valid UTF-8 (no overlong forms, surrogates or code points past U+10FFFF). */
bool utf8_valid(struct str s);
/* Feeds one piece; false as soon as the text cannot be valid any more, and ever after. */
bool utf8_feed(struct utf8_check *check, struct str piece);
/* Whether what was fed ends on a character boundary. */
bool utf8_complete(const struct utf8_check *check);
/* The largest length <= n that does not cut a character of valid text p. Reads p[n]: the text goes on, or a NUL is
 * there. */
size_t utf8_floor(const char *p, size_t n);
/* The length of n bytes without the incomplete character that they may end with. Reads only the n bytes. */
size_t utf8_whole(const char *p, size_t n);
/* Length of valid text in UTF-16 code units. */
size_t utf8_utf16_len(struct str s);
/* The prefix of valid text that has at most `units` UTF-16 code units and cuts no character. */
struct str utf8_utf16_prefix(struct str s, size_t units);
/* Writes the code point (1 to 4 bytes) and returns their number; surrogates and values past U+10FFFF give U+FFFD. */
size_t utf8_put(char out[4], uint32_t code_point);

#endif
