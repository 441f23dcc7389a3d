/* Audio formats in and out, on FFmpeg's libraries. What strangers send is decoded in worker processes of this binary
 * (`parley media`) that can do nothing but compute: bounded in memory, time and output, without files or network; one
 * that crashes or hangs is an error for its stream and nothing else. The libraries are loaded by the workers only, so a
 * server without audio never pays for them. Called from tasks. */
#ifndef SPEECH_MEDIA_H
#define SPEECH_MEDIA_H

#include "base/buf.h"
#include "speech/speech.h"

struct media;        /* the workers of all loops */
struct media_stream; /* one conversion under way */

struct media_config {
    unsigned workers;       /* processes at most; 0: 4. Beyond: OVERLOADED after queue_timeout */
    unsigned queue_timeout; /* ms a stream waits for a free worker; 0: 5000 */
    unsigned stall_timeout; /* ms a worker may think about what it has; 0: 10000 */
    size_t memory;          /* bytes of address space per worker, 190 MiB of them for libraries; 0: 512 MiB */
    unsigned max_seconds;   /* of audio per stream; 0: 3600 */
    unsigned idle_timeout;  /* ms until the process that makes the workers ends for want of work; 0: 60000 */
    const char *program;    /* this executable; NULL: /proc/self/exe */
};
struct media *media_new(const struct media_config *config);
struct media *media_free(struct media *media); /* after all loops ended; takes NULL, returns NULL */

/* Decoding: any container and codec that browsers record (WebM/Opus, Ogg/Opus, MP4/AAC) and files are in (MP3, WAV,
 * FLAC), found out by content; or, with pcm_rate, headerless PCM to be resampled. Out comes PCM, mono, at `rate`. */
struct media_decode {
    unsigned rate;
    unsigned pcm_rate; /* input is PCM at this rate; 0: a container */
};
/* Encoding: PCM mono at `rate` in, `format` out. */
struct media_encode {
    unsigned rate;
    enum speech_format format;
    unsigned out_rate; /* of SPEECH_WAV, SPEECH_PCM and SPEECH_FLAC; 0: the same */
};
/* Park until a worker is free. NULL with *e: OVERLOADED, NOT_CONFIGURED (the libraries are missing). */
struct media_stream *media_open_decode(struct media *media, const struct media_decode *how, struct err *e);
struct media_stream *media_open_encode(struct media *media, const struct media_encode *how, struct err *e);
/* Hands over a slice of input, however it is cut; parks while the worker is behind, and so while nobody reads what it
 * makes (some 500 KiB wait at most). -1 with *e: INVALID_REQUEST (not audio, broken, too long) as soon as it is known.
 */
int media_write(struct media_stream *s, struct str bytes, struct err *e);
int media_finish(struct media_stream *s, struct err *e); /* no more input */
/* Parks for output: 1 and *out (valid until the next call), 0 at the end, -1 with *e. May run in another task than
 * media_write. */
int media_read(struct media_stream *s, struct str *out, struct err *e);
struct media_stream *media_close(struct media_stream *s); /* takes NULL and unfinished ones, returns NULL */
/* All at once: appended to out. */
int media_decode_all(struct media *media, const struct media_decode *how, struct str bytes, struct buf *out,
                     struct err *e);

/* What `parley media` runs: makes a worker for each stream that the server at the other end of `fd` asks for, until it
 * is closed. Returns the exit status. */
#define MEDIA_WORKER_FD 3
int media_worker(int fd);

#endif
