#include "speech/encoded.h"

#include "base/mem.h"
#include "loop/task.h"

#include <stdlib.h>

#define RATE 24000

/* A task of its own feeds the encoder; the reader takes what that makes. */
struct encoded {
    struct tts_stream base;
    struct tts_stream *spoken;
    struct media_stream *media;
    struct task *feeder; /* NULL: there is none any more */
    struct waitlist feeder_ended;
    struct err failed;
};

static int feed(struct encoded *s)
{
    struct str audio;
    int got;
    while ((got = tts_next(s->spoken, &audio, &s->failed)) > 0)
        if (media_write(s->media, audio, &s->failed) < 0)
            return -1;
    return got;
}

static void feeder_main(void *arg)
{
    struct encoded *s = arg;
    if (feed(s) == 0)
        s->failed.code = ERR_NONE;
    media_finish(s->media, NULL); /* also after a failure: the reader has to come to an end */
    s->feeder = NULL;
    waitlist_wake_all(&s->feeder_ended);
}

static void feeder_stop(struct encoded *s)
{
    if (!s->feeder)
        return;
    task_cancel(s->feeder);
    task_shield();
    while (s->feeder)
        waitlist_wait(&s->feeder_ended, NULL);
    task_unshield();
}

static void encoded_close(struct tts_stream *base)
{
    struct encoded *s = (struct encoded *)base;
    feeder_stop(s);
    media_close(s->media);
    tts_close(s->spoken);
    free(s);
}

static int encoded_next(struct tts_stream *base, struct str *audio, struct err *e)
{
    struct encoded *s = (struct encoded *)base;
    int got = media_read(s->media, audio, e);
    if (got > 0 || s->failed.code == ERR_NONE)
        return got;
    if (e)
        *e = s->failed;
    return -1;
}

static int begin(struct encoded *s, struct tts *tts, const struct tts_request *rq, struct media *media,
                 struct arena *arena, struct err *e)
{
    struct media_encode how = {.rate = RATE, .format = rq->format};
    struct tts_request *raw = arena_alloc(arena, sizeof *raw);
    *raw = *rq;
    raw->format = SPEECH_PCM;
    raw->rate = RATE;
    if (!media)
        return err_set(e, ERR_NOT_CONFIGURED, "%s makes no %s", tts_name(tts), speech_format_name(rq->format));
    if (!task_room())
        return err_set(e, ERR_OVERLOADED, NULL);
    s->spoken = tts->ops->open(tts, raw, arena, e);
    if (!s->spoken)
        return -1;
    s->media = media_open_encode(media, &how, e);
    return s->media ? 0 : -1;
}

struct tts_stream *encoded_open(struct tts *tts, const struct tts_request *rq, struct media *media, struct arena *arena,
                                struct err *e)
{
    static const struct tts_ops ops = {.name = "encoded", .next = encoded_next, .close = encoded_close};
    struct encoded *s = mem_zalloc(sizeof *s);
    s->base.ops = &ops;
    waitlist_init(&s->feeder_ended);
    if (begin(s, tts, rq, media, arena, e) < 0) {
        encoded_close(&s->base);
        return NULL;
    }
    s->feeder = task_spawn("speech", feeder_main, s);
    return &s->base;
}
