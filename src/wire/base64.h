/* Base64 (RFC 4648), standard and URL alphabets. */
#ifndef WIRE_BASE64_H
#define WIRE_BASE64_H

#include "base/buf.h"
#include "base/str.h"

/* Appends the encoding with padding (`url`: URL alphabet, no padding). -1 past out's ceiling. */
int base64_put(struct buf *out, struct str bytes, bool url);
/* Appends the decoded bytes; both alphabets, padding optional (but then to a multiple of four), no white space, unused
 * bits of the last character ignored. -1 when malformed or past the ceiling, then nothing was added. */
int base64_decode(struct buf *out, struct str text);
/* Length of the decoded bytes of well-formed text. */
size_t base64_decoded_len(struct str text);

#endif
