#include "api/audio_range.h"

#include "base/macros.h"

#include <inttypes.h>

/* The last n bytes. */
static struct audio_range suffix(uint64_t n, uint64_t size)
{
    n = MIN(n, size);
    return n ? (struct audio_range){206, size - n, n} : (struct audio_range){416, 0, 0};
}

struct audio_range audio_range_read(struct str header, uint64_t size)
{
    const struct audio_range all = {200, 0, size};
    uint64_t first = 0, last = UINT64_MAX;
    header = str_trim(header);
    if (header.n < 6 || !str_ieq(str_n(header.p, 6), STR("bytes=")))
        return all;
    struct str range = str_trim(str_from(header, 6));
    ptrdiff_t dash = str_find_char(range, '-');
    if (dash < 0)
        return all;
    struct str from = str_n(range.p, (size_t)dash), to = str_from(range, (size_t)dash + 1);
    if ((from.n && str_u64(from, &first) < 0) || (to.n && str_u64(to, &last) < 0) || from.n + to.n == 0)
        return all;
    if (from.n == 0)
        return suffix(last, size);
    if (last < first)
        return all;
    if (first >= size)
        return (struct audio_range){416, 0, 0};
    return (struct audio_range){206, first, MIN(last, size - 1) - first + 1};
}

struct str audio_range_header(struct arena *arena, const struct audio_range *range, uint64_t size)
{
    if (range->status == 416)
        return arena_printf(arena, "bytes */%" PRIu64, size);
    return arena_printf(arena, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->from, range->from + range->n - 1, size);
}
