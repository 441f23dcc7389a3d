/* Pictures that users send (PNG, JPEG, GIF): what they are, told by their content, and what of them is needed to show
 * them. Nothing is decoded: sizes come from the headers, so a picture that would unpack to gigabytes costs nothing.
 * Pure.
 */
#ifndef WIRE_PICTURE_H
#define WIRE_PICTURE_H

#include "base/buf.h"
#include "base/err.h"

enum picture_type { PICTURE_PNG, PICTURE_JPEG, PICTURE_GIF, PICTURE_TYPES };

struct picture {
    enum picture_type type;
    unsigned width, height, frames;
};

/* By the first bytes; PICTURE_TYPES: none of these. */
enum picture_type picture_type_of(struct str bytes);
/* "png" "jpg" "gif"; "image/png" … */
const char *picture_ending(enum picture_type type);
const char *picture_media_type(enum picture_type type);

/* Reads one from its first byte to its last: 0, or -1 with INVALID_REQUEST when it is no such picture, breaks off,
 * holds what none does, or is larger than the LIMIT_PICTURE_… of base/limits.h. `kept` (may be NULL) gets the picture
 * without texts, profiles, thumbnails and whatever else is not needed to show it; -1 past its ceiling, too, and what
 * was added then is of no use. At most as long as `bytes`, but for a JPEG's orientation (PICTURE_GROWTH). */
int picture_read(struct str bytes, struct picture *out, struct buf *kept, struct err *e);
#define PICTURE_GROWTH 64

#endif
