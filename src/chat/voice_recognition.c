#include "chat/voice_recognition_impl.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/task.h"

#include <stdlib.h>

/* Lives as long as its tasks: the reader opens the stream and reads what was understood; the feeder, which the reader
 * starts and sees end, writes the audio. */
struct recognition {
    struct stt *stt;
    struct stt_request rq;
    struct arena *arena;
    const struct recognition_ops *ops; /* NULL: given up */
    void *arg;
    struct task *reader, *feeder;
    struct stt_stream *stream;
    struct waitlist changed;   /* the feeder waits for audio, the reader for the feeder's end */
    struct buf waiting, taken; /* audio; what the feeder is writing */
    bool finished;             /* there will be no more */
    struct err unwritten;      /* why the feeder gave up */
};

static void changed(struct recognition *r)
{
    waitlist_wake_all(&r->changed);
}

/* ---- the feeder ---- */

static int feed(struct recognition *r, struct err *e)
{
    for (;;) {
        while (r->waiting.len == 0 && !r->finished)
            if (waitlist_wait(&r->changed, e) < 0)
                return -1;
        if (r->waiting.len == 0)
            return stt_finish(r->stream, e);
        struct buf emptied = r->taken;
        r->taken = r->waiting;
        r->waiting = emptied;
        if (stt_write(r->stream, buf_str(&r->taken), e) < 0)
            return -1;
        buf_clear(&r->taken);
    }
}

/* A reader that waits for the end of audio which cannot be written would wait for ever. */
static void feeder_main(void *arg)
{
    struct recognition *r = arg;
    r->feeder = task_self();
    if (feed(r, &r->unwritten) < 0 && !task_cancelled())
        task_cancel(r->reader);
    r->feeder = NULL;
    changed(r);
}

static void stop_feeder(struct recognition *r)
{
    task_shield();
    if (r->feeder)
        task_cancel(r->feeder);
    while (r->feeder)
        waitlist_wait(&r->changed, NULL);
    task_unshield();
}

/* ---- the reader ---- */

static int open_stream(struct recognition *r, struct err *e)
{
    if (task_yield(e) < 0) /* nothing is told from inside recognition_start */
        return -1;
    r->stream = stt_open(r->stt, &r->rq, r->arena, e);
    if (!r->stream)
        return -1;
    if (!task_room())
        return err_set(e, ERR_OVERLOADED, NULL);
    task_spawn("voice_feeder", feeder_main, r);
    return 0;
}

/* Tells partials until the final event is there. */
static int read_events(struct recognition *r, struct stt_event *event, struct err *e)
{
    if (open_stream(r, e) < 0)
        return -1;
    for (;;) {
        int got = stt_next(r->stream, event, e);
        if (got < 0)
            return -1;
        if (got == 0)
            return err_set(e, ERR_UPSTREAM, NULL);
        if (event->type == STT_FINAL)
            return 0;
        if (r->ops)
            r->ops->partial(r->arg, event->text);
    }
}

static void tell_over(struct recognition *r, const struct stt_event *final, const struct err *error)
{
    const struct recognition_ops *ops = r->ops;
    r->ops = NULL;
    if (ops)
        ops->over(r->arg, final, error);
}

static void reader_main(void *arg)
{
    struct recognition *r = arg;
    struct stt_event event;
    struct err e = {0};
    r->reader = task_self();
    log_request_id = NULL; /* the request that began it may end before */
    if (read_events(r, &event, &e) == 0)
        tell_over(r, &event, NULL);
    else
        tell_over(r, NULL, r->unwritten.code != ERR_NONE ? &r->unwritten : &e);
    stop_feeder(r);
    stt_close(r->stream);
    buf_free(&r->waiting);
    buf_free(&r->taken);
    arena_free(r->arena);
    free(r);
}

/* ---- the interface ---- */

struct recognition *recognition_start(struct stt *stt, const struct stt_request *rq, const struct recognition_ops *ops,
                                      void *arg)
{
    if (!task_room())
        return NULL;
    struct recognition *r = mem_alloc(sizeof *r);
    *r = (struct recognition){.stt = stt,
                              .rq = *rq,
                              .arena = arena_new("recognition"),
                              .ops = ops,
                              .arg = arg,
                              .waiting = BUF_INIT(SIZE_MAX),
                              .taken = BUF_INIT(SIZE_MAX)};
    r->rq.language = arena_str(r->arena, rq->language);
    r->rq.prompt = arena_str(r->arena, rq->prompt);
    waitlist_init(&r->changed);
    task_spawn("voice_recognition", reader_main, r);
    return r;
}

void recognition_add(struct recognition *r, struct str pcm)
{
    buf_str_add(&r->waiting, pcm);
    changed(r);
}

void recognition_finish(struct recognition *r)
{
    r->finished = true;
    changed(r);
}

size_t recognition_waiting(const struct recognition *r)
{
    return r->waiting.len + r->taken.len;
}

struct recognition *recognition_give_up(struct recognition *r)
{
    if (!r)
        return NULL;
    r->ops = NULL;
    task_cancel(r->reader);
    return NULL;
}
