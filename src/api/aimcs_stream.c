/* One recording after the other: slices to the decoder, its PCM to the ear. Two tasks meet in a stream: the one that
 * feeds (there only while slices wait) and the one that reads, until the decoder is at its end. */
#include "api/aimcs_audio.h"
#include "api/aimcs_voice.h"

#include "base/mem.h"

#include <stdlib.h>

#define BEHIND_MS 200 /* recognition is as far behind as it may be: asked again after that */

struct aimcs_stream {
    unsigned refs; /* the voice and each of the two tasks */
    struct aimcs_voice *voice;
    struct media_stream *media;
    struct task *reader; /* NULL: it ended */
    struct waitlist reader_ended;
    unsigned pcm_rate;
    bool failed; /* and the client knows */
};

static struct aimcs_stream *stream_ref(struct aimcs_stream *s)
{
    s->refs++;
    return s;
}

static struct aimcs_stream *stream_unref(struct aimcs_stream *s)
{
    if (--s->refs == 0) {
        media_close(s->media);
        aimcs_voice_unref(s->voice);
        free(s);
    }
    return NULL;
}

void aimcs_audio_error(struct aimcs_voice *v, const struct err *e)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "audio_error");
    jw_kstr(&w, "message", STR("Failed to process audio"));
    jw_kstr(&w, "error", str_c(e->text));
    jw_kstr(&w, "code", str_c(err_name(e->code)));
    aimcs_send_frame(v->ws, &w);
}

/* The rest of this recording is lost: the next one has a head. */
static void failed(struct aimcs_stream *s, const struct err *e)
{
    struct aimcs_voice *v = s->voice;
    if (s->failed || !aimcs_voice_open(v))
        return;
    s->failed = true;
    if (v->stream == s)
        v->headless = true;
    aimcs_audio_error(v, e);
}

/* ---- reading ---- */

/* Waits while recognition is behind, and so do the decoder, the slices and, in the end, the client. */
static int hand_on(struct aimcs_voice *v, struct str pcm)
{
    struct err e;
    while (aimcs_voice_open(v)) {
        if (voice_input_write(v->input, pcm, &e) == 0)
            return 0;
        if (task_sleep(BEHIND_MS, NULL) < 0)
            return -1;
    }
    return -1;
}

static void reader_main(void *arg)
{
    struct aimcs_stream *s = arg;
    struct str pcm;
    struct err e;
    int got;
    s->reader = task_self();
    while ((got = media_read(s->media, &pcm, &e)) > 0)
        if (hand_on(s->voice, pcm) < 0)
            break;
    if (got < 0)
        failed(s, &e);
    s->reader = NULL;
    waitlist_wake_all(&s->reader_ended);
    stream_unref(s);
}

/* ---- feeding: in the task of the slices ---- */

static int open_stream(struct aimcs_voice *v, unsigned pcm_rate)
{
    struct err e;
    struct media_decode how = {.rate = AIMCS_RATE, .pcm_rate = pcm_rate};
    struct media_stream *media = NULL;
    if (!task_room())
        err_set(&e, ERR_OVERLOADED, NULL);
    else
        media = media_open_decode(v->api->config.media, &how, &e);
    v->headless = !media;
    if (!media || !aimcs_voice_open(v)) {
        media_close(media);
        if (aimcs_voice_open(v))
            aimcs_audio_error(v, &e);
        return -1;
    }
    struct aimcs_stream *s = mem_zalloc(sizeof *s);
    s->refs = 2; /* the voice's, the reader's */
    s->voice = aimcs_voice_ref(v);
    s->media = media;
    s->pcm_rate = pcm_rate;
    waitlist_init(&s->reader_ended);
    v->stream = s;
    task_spawn("aimcs_decode", reader_main, s);
    return 0;
}

/* All that was fed has come out, or never will. */
static void drain(struct aimcs_voice *v)
{
    struct aimcs_stream *s = v->stream ? stream_ref(v->stream) : NULL;
    if (!s)
        return;
    media_finish(s->media, NULL); /* the reader hears of failures */
    while (s->reader && waitlist_wait(&s->reader_ended, NULL) == 0)
        ;
    if (v->stream == s) {
        v->stream = NULL;
        s->refs--;
    }
    stream_unref(s);
}

static void feed(struct aimcs_voice *v, struct str bytes)
{
    struct aimcs_stream *s = stream_ref(v->stream);
    struct err e;
    if (media_write(s->media, bytes, &e) < 0)
        failed(s, &e);
    stream_unref(s);
}

struct piece {
    unsigned pcm_rate;
    bool first;  /* of a slice */
    bool answer; /* behind the last: the client waits for one */
};

static void handle_piece(void *owner, struct arena *arena, struct str data)
{
    struct aimcs_voice *v = owner;
    struct piece piece;
    (void)arena;
    memcpy(&piece, data.p, sizeof piece);
    struct str bytes = str_from(data, sizeof piece);
    bool begins =
        piece.first && (piece.pcm_rate ? !v->stream || v->stream->pcm_rate != piece.pcm_rate : audio_begins(bytes));
    if (v->stream && (v->stream->failed || begins))
        drain(v);
    if (!aimcs_voice_open(v))
        return;
    if (!v->stream) {
        bool can_begin = piece.first && (piece.pcm_rate || audio_may_begin(bytes));
        if ((v->headless && !can_begin) || open_stream(v, piece.pcm_rate) < 0)
            return;
    }
    feed(v, bytes);
}

static void handle_end(void *owner, struct arena *arena, struct str data)
{
    struct aimcs_voice *v = owner;
    struct piece piece;
    (void)arena;
    memcpy(&piece, data.p, sizeof piece);
    drain(v);
    if (!aimcs_voice_open(v))
        return;
    v->headless = true;
    voice_input_commit(v->input);
    if (piece.answer)
        aimcs_turn_owed(v);
}

static void pause_client(void *owner, bool hold)
{
    aimcs_voice_hold(owner, AIMCS_HOLD_SLICES, hold);
}

static const struct serial_ops slice_ops = {
    .name = "aimcs_slices",
    .ref = aimcs_voice_ref_owner,
    .unref = aimcs_voice_unref_owner,
    .pause = pause_client,
    .log_id = aimcs_voice_log_id,
};

static void post(struct aimcs_voice *v, const struct piece *piece, struct str bytes,
                 void (*handle)(void *owner, struct arena *arena, struct str data))
{
    struct str parts[] = {str_n(piece, sizeof *piece), bytes};
    struct err e;
    if (serial_post_parts(&v->slices, &slice_ops, v, parts, COUNT(parts), handle))
        return;
    err_set(&e, ERR_OVERLOADED, NULL);
    aimcs_audio_error(v, &e);
}

void aimcs_stream_slice(struct aimcs_voice *v, struct str bytes, unsigned pcm_rate, bool first)
{
    post(v, &(struct piece){.pcm_rate = pcm_rate, .first = first}, bytes, handle_piece);
}

void aimcs_stream_end(struct aimcs_voice *v, bool answer)
{
    post(v, &(struct piece){.answer = answer}, STR_NONE, handle_end);
}

void aimcs_stream_abort(struct aimcs_voice *v)
{
    struct aimcs_stream *s = v->stream;
    if (!s)
        return;
    v->stream = NULL;
    if (s->reader)
        task_cancel(s->reader);
    stream_unref(s);
}
