/* A voice input with a scripted recognizer, and what was heard of it as lines of text. Used inside of a task. */
#ifndef TEST_CHAT_VOICE_INPUT_ENV_H
#define TEST_CHAT_VOICE_INPUT_ENV_H

#include "unit/support/fake_speech.h"
#include "unit/support/run_task.h"
#include "unit/support/unit.h"

#include "chat/voice_input_impl.h"

#define RATE 16000

struct ear {
    struct fake_stt stt;
    struct voice_input *in;
    struct buf log;          /* "started 1|partial 1 hello|…" */
    struct voice_heard last; /* its text and error do not outlive the event */
    struct err error;
    uint64_t started_ms, stopped_ms;    /* the last ones */
    unsigned events, outcomes, free_at; /* free_at: frees the input from inside that event */
    bool in_call;
    struct waitlist changed;
};

static const struct voice_listening listening = {.rate = RATE,
                                                 .language = {"en-US", 5},
                                                 .prompt = {"parley", 6},
                                                 .partials = true,
                                                 .detect = true,
                                                 .prefix_ms = 300,
                                                 .silence_ms = 200,
                                                 .max_silence_ms = 0};

static inline void ear_hears(void *arg, const struct voice_heard *heard)
{
    static const char *const names[] = {"started", "stopped", "partial", "final", "failed"};
    struct ear *ear = arg;
    assert_null(task_self());
    assert_false(ear->in_call);
    ear->last = *heard;
    ear->events++;
    buf_addf(&ear->log, "%s%s %d", ear->log.len ? "|" : "", names[heard->type], (int)heard->utterance);
    if (heard->type == VOICE_HEARD_PARTIAL || heard->type == VOICE_HEARD_FINAL)
        buf_addf(&ear->log, " %.*s", STR_ARG(heard->text));
    if (heard->type == VOICE_HEARD_STARTED)
        ear->started_ms = heard->at_ms;
    if (heard->type == VOICE_HEARD_STOPPED)
        ear->stopped_ms = heard->at_ms;
    if (heard->type == VOICE_HEARD_FAILED) {
        ear->error = *heard->error;
        buf_addf(&ear->log, " %s", err_name(heard->error->code));
        assert_null(strstr(heard->error->text, FAKE_SECRET));
    }
    ear->outcomes += heard->type == VOICE_HEARD_FINAL || heard->type == VOICE_HEARD_FAILED;
    if (ear->events == ear->free_at)
        ear->in = voice_input_free(ear->in);
    waitlist_wake_all(&ear->changed);
}

static inline void ear_open(struct ear *ear, const struct voice_listening *how, const struct fake_heard *scripts,
                            size_t n)
{
    *ear = (struct ear){.log = BUF_INIT(MIB(1))};
    waitlist_init(&ear->changed);
    fake_stt_init(&ear->stt, scripts, n);
    ear->in = voice_input_new(n ? &ear->stt.base : NULL, how, ear_hears, ear);
}

/* Forgets what was heard; returns the log, valid until the next event. */
static inline void ear_expect(struct ear *ear, const char *log)
{
    assert_str(buf_str(&ear->log), log);
    buf_clear(&ear->log);
}

static inline int ear_write(struct ear *ear, struct str pcm, struct err *e)
{
    ear->in_call = true;
    int result = voice_input_write(ear->in, pcm, e);
    ear->in_call = false;
    return result;
}

/* In frames of 20 ms; the tasks and events that these bring about go first each time. */
static inline void ear_feed(struct ear *ear, struct buf *pcm)
{
    unsigned rate = ear->in->how.rate;
    for (struct str rest = buf_str(pcm); rest.n && ear->in;) {
        struct str frame = str_n(rest.p, MIN(rest.n, rate / 50 * sizeof(int16_t)));
        assert_int_equal(ear_write(ear, frame, NULL), 0);
        rest = str_from(rest, frame.n);
        for (int i = 0; i < 3; i++)
            task_yield(NULL);
    }
    buf_free(pcm);
}

enum sound { SILENCE, NOISE, VOICE };

static inline void ear_sound(struct ear *ear, enum sound sound, unsigned ms)
{
    static void (*const make[])(struct buf * pcm, unsigned rate, unsigned ms) = {fake_silence, fake_noise, fake_voice};
    struct buf pcm = BUF_INIT(MIB(16));
    make[sound](&pcm, ear->in->how.rate, ms);
    ear_feed(ear, &pcm);
}

static inline void ear_await_outcomes(struct ear *ear, unsigned n)
{
    while (ear->outcomes < n)
        waitlist_wait(&ear->changed, NULL);
}

static inline void ear_await_log(struct ear *ear, const char *part)
{
    while (str_find(buf_str(&ear->log), str_c(part)) < 0)
        waitlist_wait(&ear->changed, NULL);
}

/* Lets whatever is ready happen. */
static inline void settle(void)
{
    for (int i = 0; i < 20; i++)
        task_yield(NULL);
}

/* Nothing comes any more, and nothing is left of it. */
static inline void ear_close(struct ear *ear)
{
    unsigned events = ear->events;
    ear->in = voice_input_free(ear->in);
    while (task_count() > 1)
        task_yield(NULL);
    assert_int_equal(ear->events, events);
    assert_int_equal(atomic_load(&ear->stt.open), 0);
    buf_free(&ear->log);
}

#endif
