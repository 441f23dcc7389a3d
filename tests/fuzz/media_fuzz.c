/* What a media worker does with a stranger's bytes, in this process: it ends, stays within the length allowed, and
 * gives the same for any cut of the input. The first byte picks the cut, the rate, and whether the rest is PCM. */
#include "fuzz.h"

#include "speech/media_libav.h"
#include "speech/media_source.h"

#define SECONDS  3
#define MAX_SIZE KIB(64)

struct slices {
    struct media_io io;
    struct str in;
    size_t slice;
    struct buf out;
};

/* Hands the next slice over in memory of its own, so that the sanitizer sees one byte too many. */
static ssize_t take(struct media_io *io, void *to, size_t n)
{
    struct slices *s = container_of(io, struct slices, io);
    CHECK(n > 0);
    struct str piece = fuzz_piece(&s->in, MIN(n, s->slice));
    if (piece.n)
        memcpy(to, piece.p, piece.n);
    fuzz_piece_free(piece);
    return (ssize_t)piece.n;
}

static int give(struct media_io *io, const void *bytes, size_t n)
{
    struct slices *s = container_of(io, struct slices, io);
    CHECK(n > 0 && n % sizeof(int16_t) == 0);
    CHECK(buf_add(&s->out, bytes, n) == 0);
    return 0;
}

static enum media_failure decode(const struct media_job *job, struct str in, size_t slice, struct buf *out)
{
    struct slices s = {.io = {take, give}, .in = in, .slice = slice};
    buf_init(&s.out, (size_t)job->max_seconds * job->rate * sizeof(int16_t));
    enum media_failure failure = media_decode_run(job, &s.io);
    *out = s.out;
    return failure;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned rates[] = {8000, 16000, 24000, 48000};
    static const size_t cuts[] = {1, 2, 3, 7, 16, 100, 1000, 4096};
    if (!libav_load())
        abort();
    if (size == 0 || size > MAX_SIZE)
        return 0;
    struct media_job job = {.kind = MEDIA_DECODE, .rate = rates[data[0] & 3], .max_seconds = SECONDS};
    job.pcm_rate = data[0] & 4 ? 11025 : 0;
    struct str in = {(const char *)data + 1, size - 1};
    struct buf whole, cut;
    enum media_failure failure = decode(&job, in, SIZE_MAX, &whole);
    CHECK(failure < MEDIA_NO_LIBRARY && (failure != MEDIA_UNKNOWN || whole.len == 0));
    CHECK(failure != MEDIA_TOO_LONG || whole.len == whole.max);
    enum media_failure again = decode(&job, in, cuts[data[0] >> 5], &cut);
    CHECK((failure == MEDIA_UNKNOWN) == (again == MEDIA_UNKNOWN) && (failure == MEDIA_EMPTY) == (again == MEDIA_EMPTY));
    if (job.pcm_rate || str_starts(in, STR("RIFF")))
        CHECK(failure == again && str_eq(buf_str(&cut), buf_str(&whole)));
    buf_free(&whole);
    buf_free(&cut);
    return 0;
}
