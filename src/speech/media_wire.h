/* What the server and its media process say to each other, in packets of sequenced-packet sockets. On the control
 * socket go orders; each stream has a socket of its own, whose other end a start order carries to its worker. Both ends
 * are the same program, but a worker has read strangers' bytes: the server believes nothing of what it says. */
#ifndef SPEECH_MEDIA_WIRE_H
#define SPEECH_MEDIA_WIRE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define MEDIA_PACKET_MAX KIB(32) /* bytes behind a packet's type */

enum media_kind { MEDIA_DECODE, MEDIA_ENCODE };

/* One conversion as its worker is told; numbers were checked. */
struct media_job {
    enum media_kind kind;
    unsigned rate;     /* of the PCM that the server reads (decoding) or writes (encoding) */
    unsigned pcm_rate; /* decoding: the input is PCM of this rate; 0: a container */
    unsigned out_rate; /* encoding to WAV, PCM, FLAC */
    unsigned format;   /* encoding: enum speech_format */
    unsigned max_seconds;
    unsigned cpu_seconds; /* of processor time */
    uint64_t memory;      /* bytes of address space */
};

enum media_order_type { MEDIA_START, MEDIA_KILL };
struct media_order {
    enum media_order_type type;
    uint64_t id; /* of the stream */
    struct media_job job;
};

enum media_packet {
    /* to the worker */
    MEDIA_INPUT, /* a slice of the input */
    MEDIA_END,   /* there is no more */
    /* from the worker */
    MEDIA_READY,  /* first of all. 1 byte: whether the kernel confines it */
    MEDIA_OUTPUT, /* a piece of the output */
    MEDIA_HUNGRY, /* it waits for input. uint32_t: packets it took so far */
    MEDIA_DONE,   /* all output was sent; the last packet */
    MEDIA_FAILED, /* the last packet. 1 byte: enum media_failure */
    /* from the media process: its worker is dead. int: status as waitpid gives it */
    MEDIA_DIED
};

/* Why there is no (more) output. X(NAME, error code, text for the client) */
#define MEDIA_FAILURES(X)                                                                                              \
    X(BROKEN, INVALID_REQUEST, "The audio cannot be decoded")                                                          \
    X(UNKNOWN, INVALID_REQUEST, "The audio is in none of the formats WebM, Ogg, MP4, MP3, AAC, WAV and FLAC")          \
    X(EMPTY, INVALID_REQUEST, "The audio is empty")                                                                    \
    X(TOO_LONG, INVALID_REQUEST, "The audio is too long")                                                              \
    X(TOO_LARGE, INVALID_REQUEST, "The audio is too large for a file whose index is at its end")                       \
    X(NO_LIBRARY, NOT_CONFIGURED,                                                                                      \
      "FFmpeg's libraries cannot be loaded (Debian: apt install libavformat59 libavcodec59 libswresample4)")           \
    X(NO_CODEC, NOT_CONFIGURED, "FFmpeg was built without the codec of this format")                                   \
    X(INTERNAL, INTERNAL_ERROR, "The audio cannot be encoded")

enum media_failure {
    MEDIA_OK,
#define X(name, code, text) MEDIA_##name,
    MEDIA_FAILURES(X)
#undef X
        MEDIA_FAILURE_COUNT,
    MEDIA_GONE = MEDIA_FAILURE_COUNT /* inside the worker: nobody wants the output any more */
};

/* One packet with its type in front. 0, or -1 with errno; never a signal. */
int media_packet_send(int fd, enum media_packet type, const void *bytes, size_t n, int flags);
/* The next packet: 1, 0 when the other end is closed, -1 with errno. bytes has room for MEDIA_PACKET_MAX; *type may be
 * none of the above. */
int media_packet_receive(int fd, enum media_packet *type, void *bytes, size_t *n, int flags);

/* As the above for orders. *carried is -1 or a descriptor that the order brought. */
int media_order_send(int fd, const struct media_order *order, int carry);
int media_order_receive(int fd, struct media_order *order, int *carried);

#endif
