/* The input of a conversion inside the worker, and where its output goes. FFmpeg pulls: a read waits for the next
 * slice. What the container is, is found out by looking at bytes before they are consumed. */
#ifndef SPEECH_MEDIA_SOURCE_H
#define SPEECH_MEDIA_SOURCE_H

#include "base/buf.h"
#include "speech/media_wire.h"

#include <sys/types.h>

struct media_io {
    /* Waits for input: 1 to n bytes of it, 0 at its end, -1 when the conversion is no longer wanted. */
    ssize_t (*read)(struct media_io *io, void *to, size_t n);
    /* 0, or -1 when it is no longer wanted. */
    int (*write)(struct media_io *io, const void *bytes, size_t n);
};

/* Converts all of `io`. MEDIA_OK, or why not; MEDIA_GONE when io said so. libav_load must have succeeded. */
enum media_failure media_decode_run(const struct media_job *job, struct media_io *io);
enum media_failure media_encode_run(const struct media_job *job, struct media_io *io);

struct media_source {
    struct media_io *io;
    struct buf held; /* bytes that were looked at and not consumed */
    size_t at;       /* with `whole`: where reading goes on in held */
    bool whole;      /* all of the input is in held: it can be read from any place */
    bool ended;      /* io has no more */
    bool gone;       /* io said -1 */
    bool halved;     /* half a sample waits for its other half */
    char half;
};

void media_source_init(struct media_source *s, struct media_io *io);
void media_source_free(struct media_source *s);
/* The next bytes without consuming them: n at least, fewer only when the input ends before. */
struct str media_source_peek(struct media_source *s, size_t n);
/* Consumes n bytes, as far as there are any. */
void media_source_skip(struct media_source *s, size_t n);
ssize_t media_source_read(struct media_source *s, void *to, size_t n);
/* 1 to n whole samples of PCM, however the input is cut; 0 at the end, -1 when gone. */
ssize_t media_source_samples(struct media_source *s, int16_t *to, size_t n);
/* Reads all of the input into memory, at most max bytes; from then on media_source_seek works. False: it is longer. */
bool media_source_whole(struct media_source *s, size_t max);
int media_source_seek(struct media_source *s, int64_t to);

enum media_container {
    CONTAINER_UNKNOWN,
    CONTAINER_MATROSKA, /* WebM */
    CONTAINER_OGG,
    CONTAINER_MP4,      /* its index comes first, or in fragments */
    CONTAINER_MP4_LATE, /* its index may come last: needs all of the file */
    CONTAINER_WAV,
    CONTAINER_FLAC,
    CONTAINER_MP3,
    CONTAINER_AAC, /* ADTS */
};
/* Finds out by content; waits for as much of it as that takes. ID3 tags in front are consumed. */
enum media_container media_sniff(struct media_source *s);

/* What a WAV file says of itself. */
struct media_wav {
    unsigned tag; /* WAVE_FORMAT_… */
    unsigned channels, rate, bits;
    uint64_t bytes; /* of samples that follow; UINT64_MAX: until the end */
};
/* Consumes everything in front of the samples. False when it is none. */
bool media_wav_begin(struct media_source *s, struct media_wav *wav);

#endif
