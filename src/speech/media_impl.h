/* What the server's half of the media layer shares; nobody else includes it. */
#ifndef SPEECH_MEDIA_IMPL_H
#define SPEECH_MEDIA_IMPL_H

#include "base/metrics.h"
#include "loop/task.h"
#include "speech/media.h"
#include "speech/media_wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

struct media {
    struct media_config config;
    pthread_mutex_t lock; /* held for moments; streams of all loops meet here */

    /* places: one per stream that has a worker */
    unsigned busy;
    struct list waiting; /* struct place_waiter */

    /* the media process */
    pid_t pid;              /* 0: none */
    int control;            /* its socket, -1: none */
    pid_t dying;            /* one that was told to end and is not reaped yet */
    uint64_t idle_since_ms; /* monotonic */
    struct timer idle;      /* on the loop whose stream ended last */
    bool idle_runs;

    atomic_uint_fast64_t next_id; /* of streams */
    atomic_bool unconfined_said;
    struct metric *active, *died, *stalled;
};

/* ---- media.c ---- */

/* A place among the workers: parks until there is one. -1 with OVERLOADED, or the wait's own error. */
int media_place_take(struct media *m, struct err *e);
/* Any loop; gives it to the first in line. */
void media_place_give(struct media *m);

/* ---- media_process.c ---- */

/* Hands a new worker its job and its end of a stream's socket; starts the media process when there is none (parks). */
int media_process_start_worker(struct media *m, uint64_t id, const struct media_job *job, int fd, struct err *e);
/* Harmless when the worker ended. */
void media_process_kill_worker(struct media *m, uint64_t id);
/* With the lock held: nobody needs the process for now. Ends it after a while, on the calling loop. */
void media_process_idle(struct media *m);
void media_process_end(struct media *m);

/* ---- media_stream.c ---- */

struct media_stream *media_stream_open(struct media *m, const struct media_job *job, struct err *e);

#endif
