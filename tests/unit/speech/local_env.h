/* Speaking and listening with the local driver, for tests: all of it is called from tasks. */
#ifndef TEST_SPEECH_LOCAL_ENV_H
#define TEST_SPEECH_LOCAL_ENV_H

#include "unit/support/run_task.h"
#include "unit/support/unit.h"

#include "base/buf.h"
#include "base/macros.h"
#include "base/mem.h"
#include "speech/local/local.h"

static const char *const sentences[] = {
    "hello how are you today",
    "i would like to cancel my order",
    "what time does the store open tomorrow",
    "please help me with my account",
    "the weather is very nice today",
    "i want to buy a new computer",
    "can you tell me where the station is",
    "thank you for your help",
    "my name is john and i live in london",
    "please call me back in ten minutes",
};

#define WORDS_MAX 64

static inline size_t split_words(const char *text, struct str words[WORDS_MAX])
{
    struct str rest = str_c(text), word;
    size_t n = 0;
    while (n < WORDS_MAX && str_split(&rest, ' ', &word))
        if (word.n)
            words[n++] = word;
    return n;
}

/* How many words have to be put in, left out or exchanged to make one of the other. */
static inline size_t word_errors(const char *meant, const char *heard)
{
    struct str a[WORDS_MAX], b[WORDS_MAX];
    size_t na = split_words(meant, a), nb = split_words(heard, b), row[WORDS_MAX + 1];
    for (size_t k = 0; k <= nb; k++)
        row[k] = k;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= nb; k++) {
            size_t exchange = diagonal + !str_eq(a[i - 1], b[k - 1]);
            diagonal = row[k];
            row[k] = MIN(MIN(row[k], row[k - 1]) + 1, exchange);
        }
    }
    return row[nb];
}

static inline size_t count_words(const char *text)
{
    struct str words[WORDS_MAX];
    return split_words(text, words);
}

/* Tasks that run at the same time, and one that waits for them. */
struct crowd {
    struct waitlist done;
    unsigned running;
};

struct crowd_member {
    struct crowd *crowd;
    void (*fn)(void *arg);
    void *arg;
};

static inline void crowd_main(void *arg)
{
    struct crowd_member member = *(struct crowd_member *)arg;
    free(arg);
    member.fn(member.arg);
    member.crowd->running--;
    waitlist_wake_all(&member.crowd->done);
}

static inline void crowd_begin(struct crowd *crowd)
{
    waitlist_init(&crowd->done);
    crowd->running = 0;
}

static inline struct task *crowd_add(struct crowd *crowd, void (*fn)(void *arg), void *arg)
{
    struct crowd_member *member = mem_alloc(sizeof *member);
    *member = (struct crowd_member){crowd, fn, arg};
    crowd->running++;
    return task_spawn("crowd", crowd_main, member);
}

static inline void crowd_end(struct crowd *crowd)
{
    while (crowd->running)
        waitlist_wait(&crowd->done, NULL);
}

/* The whole of a text as audio. 0, or -1 with *e. */
static inline int say(struct tts *tts, const struct tts_request *rq, struct buf *out, struct err *e)
{
    struct arena *arena = arena_new("say");
    struct tts_stream *s = tts_open(tts, rq, arena, e);
    struct str audio;
    int got = s ? 1 : -1;
    while (got > 0 && (got = tts_next(s, &audio, e)) > 0)
        if (buf_str_add(out, audio) < 0)
            got = err_set(e, ERR_INTERNAL_ERROR, "more audio than the test has room for");
    tts_close(s);
    arena_free(arena);
    return got;
}

struct heard {
    char text[1024];
    double confidence;
    uint64_t audio_ms;
    unsigned partials;
    char partial[1024]; /* the first one */
};

struct dictation {
    struct stt_stream *s;
    struct str pcm;
    size_t frame; /* bytes of 20 ms */
    int result;
    struct err e;
};

static inline void dictate(void *arg)
{
    struct dictation *d = arg;
    for (; d->result == 0 && d->pcm.n; d->pcm = str_from(d->pcm, d->frame))
        d->result = stt_write(d->s, str_n(d->pcm.p, MIN(d->pcm.n, d->frame)), &d->e);
    if (d->result == 0)
        d->result = stt_finish(d->s, &d->e);
}

static inline int read_events(struct stt_stream *s, struct heard *heard, struct err *e)
{
    struct stt_event event;
    int got;
    bool final = false;
    while ((got = stt_next(s, &event, e)) > 0) {
        if (final)
            return err_set(e, ERR_INTERNAL_ERROR, "an event behind the final one");
        final = event.type == STT_FINAL;
        if (final || heard->partials++ == 0)
            str_copy(final ? heard->text : heard->partial, sizeof heard->text, event.text);
        heard->confidence = event.confidence;
        heard->audio_ms = event.audio_ms;
    }
    return got == 0 && !final ? err_set(e, ERR_INTERNAL_ERROR, "no final event") : got;
}

/* One task writes the PCM in frames of 20 ms, this one reads what was understood. 0, or -1 with *e. */
static inline int understand(struct stt *stt, const struct stt_request *rq, struct str pcm, struct heard *heard,
                             struct err *e)
{
    struct arena *arena = arena_new("understand");
    struct dictation d = {.s = stt_open(stt, rq, arena, e), .pcm = pcm, .frame = rq->rate / 50 * 2};
    int result = d.s ? 0 : -1;
    *heard = (struct heard){.confidence = -2};
    if (result == 0) {
        struct crowd crowd;
        crowd_begin(&crowd);
        crowd_add(&crowd, dictate, &d);
        result = read_events(d.s, heard, e);
        crowd_end(&crowd);
    }
    if (result == 0 && d.result < 0)
        *e = d.e;
    stt_close(d.s);
    arena_free(arena);
    return result < 0 ? -1 : d.result;
}

/* Root mean square of PCM. */
static inline double loudness(struct str pcm)
{
    double sum = 0;
    size_t n = pcm.n / 2;
    for (size_t i = 0; i < n; i++) {
        int16_t sample;
        memcpy(&sample, pcm.p + 2 * i, 2);
        sum += (double)sample * sample;
    }
    return n ? __builtin_sqrt(sum / (double)n) : 0;
}

#endif
