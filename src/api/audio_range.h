/* Byte ranges of one reply (RFC 9110, 14). Pure. Private to api/. */
#ifndef API_AUDIO_RANGE_H
#define API_AUDIO_RANGE_H

#include "base/arena.h"
#include "base/str.h"

#include <stdint.h>

struct audio_range {
    int status; /* 200: everything; 206: a part; 416: there is no such part */
    uint64_t from, n;
};

/* What a Range header ("" for none) asks of `size` bytes. Several ranges, and what is no range, mean everything. */
struct audio_range audio_range_read(struct str header, uint64_t size);
/* The value of Content-Range for 206 and 416. */
struct str audio_range_header(struct arena *arena, const struct audio_range *range, uint64_t size);

#endif
