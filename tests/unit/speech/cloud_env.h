/* Drivers of cloud services against a scripted server, and what reads their streams. */
#ifndef TEST_CLOUD_ENV_H
#define TEST_CLOUD_ENV_H

#include "base/buf.h"
#include "speech/speech.h"
#include "unit/client/run_client.h"
#include "unit/client/script_server.h"
#include "unit/support/unit.h"

#define KEY        "sk-test-0123456789abcdef"
#define MP3_HEAD   "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nConnection: close\r\n\r\n"
#define PCM_HEAD   "HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nConnection: close\r\n\r\n"
#define JSON_HEAD  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
#define SSE_HEAD   "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define DATA(json) "data: " json "\n\n"

static const struct upstream_config cloud_upstream = {.connect_timeout = 5000, .first_byte_timeout = 20000};

struct cloud {
    struct script_server server;
    struct arena *arena;
    struct tts *tts;
    struct stt *stt;
    struct err e; /* of the last call */
    const void *arg;
    void (*make)(struct cloud *t);
    void (*body)(struct cloud *t);
};

static inline void cloud_run(void *arg)
{
    struct cloud *t = arg;
    t->arena = arena_new("test");
    t->body(t);
    arena_free(t->arena);
}

static inline void cloud_play(const struct script_step *steps, size_t n, void (*make)(struct cloud *t),
                              void (*body)(struct cloud *t), const void *arg)
{
    struct cloud *t = calloc(1, sizeof *t);
    script_start(&t->server, steps, n);
    t->arg = arg;
    t->body = body;
    make(t);
    run_client(cloud_run, t);
    script_stop(&t->server);
    tts_free(t->tts);
    stt_free(t->stt);
    free(t);
}

#define CLOUD_PLAY(make, body, arg, ...)                                                                               \
    do {                                                                                                               \
        static const struct script_step script[] = {__VA_ARGS__};                                                      \
        cloud_play(script, COUNT(script), (make), (body), (arg));                                                      \
    } while (0)

/* The nth request's body, which may hold NULs. */
static inline struct str cloud_sent(struct cloud *t, size_t n)
{
    const char *request = t->server.requests[n], *body = strstr(request, "\r\n\r\n");
    const char *length = strcasestr(request, "\r\ncontent-length:");
    assert_non_null(body);
    assert_true(length && length < body);
    return str_n(body + 4, strtoul(length + 17, NULL, 10));
}

/* The nth request's head has this line. */
static inline void cloud_head_has(struct cloud *t, size_t n, const char *line)
{
    char *head = str_dup(
        str_n(t->server.requests[n], (size_t)(strstr(t->server.requests[n], "\r\n\r\n") + 4 - t->server.requests[n])));
    if (!strstr(head, line))
        fail_msg("no \"%s\" in %s", line, head);
    free(head);
}

/* Appends the rest of the audio; what tts_next said last. */
static inline int cloud_listen(struct cloud *t, struct tts_stream *s, struct buf *out, size_t *pieces)
{
    struct str piece;
    int more;
    size_t n = 0;
    while ((more = tts_next(s, &piece, &t->e)) > 0) {
        assert_true(piece.n > 0);
        buf_str_add(out, piece);
        n++;
    }
    if (pieces)
        *pieces = n;
    return more;
}

static inline struct tts_stream *cloud_speak(struct cloud *t, const struct tts_request *rq)
{
    struct tts_stream *s = tts_open(t->tts, rq, t->arena, &t->e);
    if (!s)
        fail_msg("%s", t->e.text);
    return s;
}

static inline void cloud_refused(struct cloud *t, const struct tts_request *rq, enum err_code code)
{
    t->e = (struct err){0};
    assert_null(tts_open(t->tts, rq, t->arena, &t->e));
    assert_int_equal(t->e.code, code);
}

/* An utterance of n samples, each the low bits of its place; finished. */
static inline struct stt_stream *cloud_utter(struct cloud *t, const struct stt_request *rq, size_t n)
{
    struct stt_stream *s = stt_open(t->stt, rq, t->arena, &t->e);
    if (!s)
        fail_msg("%s", t->e.text);
    int16_t *samples = calloc(n ? n : 1, sizeof *samples);
    for (size_t i = 0; i < n; i++)
        samples[i] = (int16_t)(i & 0x7fff);
    assert_int_equal(stt_write(s, str_n(samples, n * sizeof *samples), &t->e), 0);
    free(samples);
    assert_int_equal(stt_finish(s, &t->e), 0);
    return s;
}

/* The next event is this one. */
static inline void cloud_hears(struct cloud *t, struct stt_stream *s, enum stt_event_type type, const char *text)
{
    struct stt_event event;
    if (stt_next(s, &event, &t->e) != 1)
        fail_msg("no event: %s", t->e.text);
    assert_int_equal(event.type, type);
    assert_str(event.text, text);
}

static inline void cloud_ends(struct cloud *t, struct stt_stream *s)
{
    struct stt_event event;
    assert_int_equal(stt_next(s, &event, &t->e), 0);
    assert_null(stt_close(s));
}

static inline void cloud_fails(struct cloud *t, struct stt_stream *s, enum err_code code)
{
    struct stt_event event;
    t->e = (struct err){0};
    assert_int_equal(stt_next(s, &event, &t->e), -1);
    assert_int_equal(t->e.code, code);
}

/* ---- another task that waits, and is cancelled ---- */

struct cloud_waiter {
    struct cloud *t;
    struct tts_stream *tts;
    struct stt_stream *stt;
    struct task *main;
    int result;
    struct err e;
    char text[64];
    bool ended;
};

static inline void cloud_wait(void *arg)
{
    struct cloud_waiter *w = arg;
    struct str piece;
    struct stt_event event = {0};
    w->result = w->tts ? tts_next(w->tts, &piece, &w->e) : stt_next(w->stt, &event, &w->e);
    if (w->stt && w->result > 0)
        str_copy(w->text, sizeof w->text, event.text);
    w->ended = true;
    task_wake(w->main);
}

static inline struct task *cloud_waiter_start(struct cloud_waiter *w)
{
    w->main = task_self();
    struct task *task = task_spawn("waiter", cloud_wait, w);
    assert_non_null(task);
    return task;
}

static inline void cloud_waiter_join(struct cloud_waiter *w)
{
    while (!w->ended)
        assert_int_equal(task_park(NULL), 0);
}

#endif
