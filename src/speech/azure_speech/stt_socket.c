#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "client/refusal.h"
#include "client/ws_client.h"
#include "loop/task.h"
#include "speech/azure_speech/service.h"
#include "speech/azure_speech/transcript.h"
#include "speech/resample.h"
#include "speech/speech_driver.h"
#include "speech/ssml.h"
#include "speech/wav.h"

#include <stdlib.h>

#define RATE        16000 /* what the service wants */
#define STEP_MS     100
#define STEP        (RATE / 1000 * STEP_MS * 2) /* bytes of PCM in a message; in less there is no word */
#define AHEAD       ((size_t)RATE * 2 * 10)     /* bytes that may wait to be sent before their writer has to */
#define PCM_MAX     MIB(64)                     /* of what is written at once, at 16 kHz */
#define FREE_MS     5000                        /* audio that may be sent at once; the rest at twice its speed */
#define REST_MS     60000                       /* audio that a request may have */
#define MESSAGE_MAX KIB(256)
#define PING        10000
#define PONG        20000
#define ID_LEN      32
#define PATH        "/speech/recognition/conversation/cognitiveservices/v1?format=detailed&language="

#define CONFIG                                                                                                         \
    "{\"context\":{\"system\":{\"name\":\"parley\",\"version\":\"1\",\"build\":\"C\",\"lang\":\"C\"},"                 \
    "\"os\":{\"platform\":\"Linux\",\"name\":\"Linux\",\"version\":\"1\"},"                                            \
    "\"audio\":{\"source\":{\"bitspersample\":16,\"channelcount\":1,\"samplerate\":16000,\"type\":\"Stream\","         \
    "\"connectivity\":\"Unknown\",\"manufacturer\":\"parley\",\"model\":\"parley\"}}},"                                \
    "\"recognition\":\"conversation\"}"

struct socket_stt {
    struct stt base;
    struct stt *rest; /* owns the service; what is done instead where no WebSocket comes through */
    const struct azure_service *service;
    char *language;
};

/* The socket's own record: it outlives the stream by the closing handshake. */
struct line {
    struct socket_stream *stream; /* NULL: it left */
};

/* One utterance. All calls are made on the loop that opened it. A task of its own, the talker, opens the socket once
 * there is audio, sends, and waits for the end of what is understood; the socket's callbacks take in what comes. */
struct socket_stream {
    struct stt_stream base;
    const struct socket_stt *stt;
    struct task *talker;     /* NULL: it ended */
    struct waitlist changed; /* whoever waits for any of what follows */
    struct stt_stream *rest; /* what took over, at RATE; NULL: the socket is in use */
    struct buf language;
    unsigned rate;
    bool partial; /* wanted */

    struct resampler *resampler; /* NULL: the rate is right as it is */
    struct buf pcm;              /* at RATE, not sent yet */
    uint64_t samples;            /* written */
    bool finished;               /* there will be no more */

    struct ws_client *ws; /* a reference */
    struct line *line;    /* NULL: the socket closed, or there is none yet */
    char turn[ID_LEN + 1];
    bool in_turn;        /* the service did not end it yet */
    uint64_t sent;       /* bytes of PCM */
    uint64_t started_ms; /* when the first of them was */

    struct transcript transcript;
    struct buf given; /* the text that the reader has */
    bool untold;      /* there is a partial text that the reader does not have */
    bool complete;    /* the transcript is */
    bool told;        /* as STT_FINAL */
    struct err failed;
};

static void changed(struct socket_stream *s)
{
    waitlist_wake_all(&s->changed);
}

static void fail(struct socket_stream *s, const struct err *e)
{
    if (s->failed.code == ERR_NONE)
        s->failed = *e;
    changed(s);
}

static int stream_error(const struct socket_stream *s, struct err *e)
{
    if (e)
        *e = s->failed;
    return -1;
}

static uint64_t ms_of(uint64_t bytes)
{
    return bytes * 1000 / (RATE * sizeof(int16_t));
}

/* ---- what comes ---- */

static void take_message(struct socket_stream *s, const struct usp_message *m)
{
    struct err e = {0};
    if (!s->in_turn || (m->request_id.n > 0 && !str_ieq(m->request_id, str_c(s->turn))))
        return;
    int news = transcript_take(&s->transcript, m, &e);
    if (news < 0)
        fail(s, &e);
    s->untold |= news == TRANSCRIPT_TEXT && s->partial;
    s->in_turn = news != TRANSCRIPT_END;
    changed(s);
}

static void on_message(struct ws_client *ws, enum ws_opcode opcode, struct str data)
{
    struct socket_stream *s = ((struct line *)ws_client_user(ws))->stream;
    struct usp_message m;
    struct err e = {0};
    if (!s)
        return;
    if (usp_read(&m, opcode == WS_BINARY, data, &e) < 0)
        fail(s, &e);
    else
        take_message(s, &m);
}

/* Why the service closed, with the status that says the same. */
static void explain(const struct socket_stream *s, uint16_t code, struct str reason, struct err *e)
{
    struct arena *arena = arena_new("azure_speech");
    struct str words = refusal_line(arena, reason, str_c(s->stt->service->key), sizeof e->text / 2);
    err_set(e, ERR_UPSTREAM, "Azure Speech closed the connection (%u)%s%.*s", (unsigned)code, words.n > 0 ? ": " : "",
            STR_ARG(words));
    e->status = code == WS_BAD_DATA ? 400 : code == 4429 ? 429 : e->status;
    arena_free(arena);
}

static void on_closed(struct ws_client *ws, uint16_t code, struct str reason)
{
    struct line *line = ws_client_user(ws);
    struct err e = {0};
    if (line->stream)
        line->stream->line = NULL;
    if (line->stream && line->stream->in_turn) { /* between turns it may: the next one opens another */
        explain(line->stream, code, reason, &e);
        fail(line->stream, &e);
    }
    free(line);
}

static const struct ws_client_ops line_ops = {.on_message = on_message, .on_closed = on_closed};

/* ---- what is sent ---- */

static void new_id(char id[ID_LEN + 1])
{
    char bytes[ID_LEN / 2];
    rand_bytes(bytes, sizeof bytes);
    hex_encode(id, bytes, sizeof bytes);
}

static int send_message(struct socket_stream *s, struct usp_message m, struct err *e)
{
    struct buf out = BUF_INIT(MESSAGE_MAX);
    char now[ISO_LEN + 1];
    clock_iso(now, clock_wall_ms());
    m.timestamp = str_c(now);
    m.request_id = str_c(s->turn);
    int sent = usp_put(&out, &m);
    if (sent == 0 && s->line)
        sent = ws_client_send(s->ws, m.binary ? WS_BINARY : WS_TEXT, true, buf_str(&out));
    buf_free(&out);
    if (s->failed.code != ERR_NONE)
        return stream_error(s, e);
    return sent < 0 || !s->line ? err_set(e, ERR_UPSTREAM, "Azure Speech does not take the audio") : 0;
}

static int send_json(struct socket_stream *s, const char *path, struct str json, struct err *e)
{
    struct usp_message m = {.path = str_c(path), .content_type = STR("application/json"), .body = json};
    return send_message(s, m, e);
}

static int send_audio(struct socket_stream *s, struct str type, struct str audio, struct err *e)
{
    struct usp_message m = {.binary = true, .path = STR("audio"), .content_type = type, .body = audio};
    return send_message(s, m, e);
}

static int open_line(struct socket_stream *s, struct err *e)
{
    const struct azure_service *service = s->stt->service;
    struct buf path = BUF_INIT(KIB(4));
    struct line *line = mem_zalloc(sizeof *line);
    char id[ID_LEN + 1];
    struct fetch_header headers[] = {{"Ocp-Apim-Subscription-Key", str_c(service->key)},
                                     {"X-ConnectionId", {id, ID_LEN}}};
    struct ws_client_request rq = {.upstream = service->upstream,
                                   .headers = headers,
                                   .nheaders = COUNT(headers),
                                   .key = str_c(service->key),
                                   .max_message = MESSAGE_MAX,
                                   .ping = PING,
                                   .pong = PONG,
                                   .ops = &line_ops,
                                   .user = line};
    new_id(id);
    buf_lit(&path, PATH);
    buf_str_add(&path, buf_str(&s->language));
    rq.path = buf_str(&path);
    struct ws_client *ws = ws_client_open(&rq, NULL, NULL, e);
    buf_free(&path);
    if (!ws) {
        free(line);
        return -1;
    }
    line->stream = s;
    s->line = line;
    s->ws = ws_client_ref(ws);
    return 0;
}

/* Opens the socket, unless it is open. */
static int ensure_line(struct socket_stream *s, struct err *e)
{
    if (s->line)
        return 0;
    s->ws = ws_client_unref(s->ws);
    return open_line(s, e) < 0 ? -1 : send_json(s, "speech.config", STR(CONFIG), e);
}

static int begin_turn(struct socket_stream *s, struct err *e)
{
    struct buf context = BUF_INIT(KIB(4));
    char head[WAV_HEAD];
    if (ensure_line(s, e) < 0)
        return -1;
    new_id(s->turn);
    s->in_turn = true;
    s->transcript.offset_ms = ms_of(s->sent);
    wav_head(head, RATE);
    wav_set_length(head, 0);
    buf_addf(&context,
             "{\"phraseDetection\":{\"language\":\"%s\",\"enrichment\":{}},"
             "\"phraseOutput\":{\"format\":\"Detailed\",\"detailed\":{\"options\":[]}}}",
             buf_cstr(&s->language));
    int sent = send_json(s, "speech.context", buf_str(&context), e);
    buf_free(&context);
    return sent < 0 ? -1 : send_audio(s, STR("audio/x-wav"), str_n(head, sizeof head), e);
}

/* Parks as long as audio would be sent too fast. */
static int keep_pace(struct socket_stream *s, struct err *e)
{
    uint64_t now = clock_mono_ms(), due;
    if (s->sent == 0)
        s->started_ms = now;
    due = ms_of(s->sent) + STEP_MS;
    due = s->started_ms + (due > FREE_MS ? (due - FREE_MS) / 2 : 0);
    if (due > now && task_sleep(due - now, e) < 0)
        return -1;
    if (!s->line || ws_client_wait_drained(s->ws, e) == 0 || task_cancelled())
        return task_cancelled() ? -1 : 0;
    return err_set(e, ERR_UPSTREAM, "Azure Speech does not take the audio");
}

static int send_step(struct socket_stream *s, struct err *e)
{
    size_t n = MIN(s->pcm.len, (size_t)STEP);
    if (keep_pace(s, e) < 0 || (!s->in_turn && begin_turn(s, e) < 0))
        return -1;
    if (send_audio(s, STR(""), str_n(buf_str(&s->pcm).p, n), e) < 0)
        return -1;
    buf_consume(&s->pcm, n);
    s->sent += n;
    changed(s);
    return 0;
}

/* Parks until there is a message's worth of audio, or no more will come. */
static int await_audio(struct socket_stream *s, struct err *e)
{
    while (s->pcm.len < STEP && !s->finished) {
        if (s->failed.code != ERR_NONE)
            return stream_error(s, e);
        if (waitlist_wait(&s->changed, e) < 0)
            return -1;
    }
    return s->failed.code == ERR_NONE ? 0 : stream_error(s, e);
}

/* A turn that the service ends while there is audio is followed by another. */
static int send_all(struct socket_stream *s, struct err *e)
{
    while (await_audio(s, e) == 0) {
        if (s->pcm.len == 0)
            return s->in_turn ? send_audio(s, STR(""), STR(""), e) : 0;
        if (send_step(s, e) < 0)
            return -1;
    }
    return -1;
}

/* ---- the talker ---- */

/* What is sent from here on is sent to nobody. */
static void hang_up(struct socket_stream *s)
{
    if (s->line) {
        s->line->stream = NULL;
        ws_client_close(s->ws, WS_NORMAL, STR(""));
    }
    s->line = NULL;
    s->ws = ws_client_unref(s->ws);
}

/* Whether the service, or somebody on the way to it, answered but takes no WebSocket: a request may come through. */
static bool takes_no_sockets(const struct err *e)
{
    return e->code == ERR_UPSTREAM && e->status != 401 && e->status != 429;
}

/* A whole recording, where nobody waits for partial results, is there sooner as a request. */
static bool would_be_held_up(const struct socket_stream *s)
{
    uint64_t ms = ms_of(s->pcm.len);
    return s->finished && !s->partial && ms > FREE_MS && ms <= REST_MS;
}

static int switch_to_rest(struct socket_stream *s, struct err *e)
{
    struct stt_request rq = {.rate = RATE, .language = buf_str(&s->language)};
    struct stt_stream *rest = s->stt->rest->ops->open(s->stt->rest, &rq, NULL, e);
    if (!rest)
        return -1;
    s->rest = rest;
    if (s->pcm.len > 0 && stt_write(rest, buf_str(&s->pcm), e) < 0)
        return -1;
    buf_clear(&s->pcm);
    return s->finished ? stt_finish(rest, e) : 0;
}

/* Every silence of the service is bounded, and the whole wait. */
static int await_end(struct socket_stream *s, struct err *e)
{
    unsigned silence = s->stt->service->silence;
    while (s->in_turn && s->failed.code == ERR_NONE) {
        struct task_deadline deadline;
        if (silence)
            task_deadline_begin(&deadline, silence);
        int waited = waitlist_wait(&s->changed, e);
        if (silence)
            task_deadline_end(&deadline);
        if (waited < 0)
            return -1;
    }
    return s->failed.code == ERR_NONE ? 0 : stream_error(s, e);
}

static int await_end_in_time(struct socket_stream *s, struct err *e)
{
    unsigned total = s->stt->service->total;
    struct task_deadline deadline;
    if (total)
        task_deadline_begin(&deadline, total);
    int ended = await_end(s, e);
    if (total)
        task_deadline_end(&deadline);
    if (ended < 0 && e->code == ERR_TIMEOUT)
        err_set(e, ERR_TIMEOUT, "Azure Speech did not say in time what it understood");
    return ended;
}

static int talk(struct socket_stream *s, struct err *e)
{
    if (await_audio(s, e) < 0)
        return -1;
    if (would_be_held_up(s))
        return switch_to_rest(s, e);
    if (s->pcm.len >= STEP) {
        if (ensure_line(s, e) < 0)
            return takes_no_sockets(e) ? switch_to_rest(s, e) : -1;
        if (send_all(s, e) < 0 || await_end_in_time(s, e) < 0)
            return -1;
    }
    s->complete = true;
    return 0;
}

static void talker_main(void *arg)
{
    struct socket_stream *s = arg;
    struct err e = {0};
    if (talk(s, &e) < 0)
        fail(s, &e);
    hang_up(s);
    s->talker = NULL;
    changed(s);
}

/* ---- the driver ---- */

static struct stt_stream *socket_open(struct stt *base, const struct stt_request *rq, struct arena *arena,
                                      struct err *e)
{
    const struct socket_stt *stt = (const struct socket_stt *)base;
    struct str language = azure_service_language(rq->language, stt->language);
    (void)arena;
    if (!ssml_language_valid(language)) {
        err_set(e, ERR_INVALID_REQUEST, "There is no language of this name");
        return NULL;
    }
    if (!task_room()) {
        err_set(e, ERR_OVERLOADED, NULL);
        return NULL;
    }
    struct socket_stream *s = mem_alloc(sizeof *s);
    *s = (struct socket_stream){.base.ops = base->ops,
                                .stt = stt,
                                .rate = rq->rate,
                                .partial = rq->partial,
                                .language = BUF_INIT(KIB(1)),
                                .pcm = BUF_INIT(PCM_MAX),
                                .given = BUF_INIT(SIZE_MAX),
                                .resampler = rq->rate == RATE ? NULL : resampler_new(rq->rate, RATE)};
    buf_str_add(&s->language, language);
    transcript_init(&s->transcript);
    waitlist_init(&s->changed);
    s->talker = task_spawn("azure_speech", talker_main, s);
    return &s->base;
}

/* Passes on what was written to where it goes. */
static int hand_over(struct socket_stream *s, struct err *e)
{
    if (s->rest && s->pcm.len > 0) {
        int written = stt_write(s->rest, buf_str(&s->pcm), e);
        buf_clear(&s->pcm);
        return written;
    }
    changed(s);
    return 0;
}

static int socket_write(struct stt_stream *base, struct str pcm, struct err *e)
{
    struct socket_stream *s = (struct socket_stream *)base;
    while (s->pcm.len >= AHEAD && s->talker && !s->rest)
        if (waitlist_wait(&s->changed, e) < 0)
            return -1;
    if (s->failed.code != ERR_NONE)
        return stream_error(s, e);
    if (s->finished)
        return err_set(e, ERR_INVALID_REQUEST, "The audio has ended already");
    s->samples += pcm.n / sizeof(int16_t);
    if ((s->resampler ? resampler_push(s->resampler, pcm, &s->pcm) : buf_str_add(&s->pcm, pcm)) < 0)
        return err_set(e, ERR_INVALID_REQUEST, "This is too much audio at once");
    return hand_over(s, e);
}

static int socket_finish(struct stt_stream *base, struct err *e)
{
    struct socket_stream *s = (struct socket_stream *)base;
    if (s->failed.code != ERR_NONE)
        return stream_error(s, e);
    if (s->finished)
        return 0;
    if (s->resampler && resampler_finish(s->resampler, &s->pcm) < 0)
        return err_set(e, ERR_INVALID_REQUEST, "This is too much audio at once");
    s->finished = true;
    if (hand_over(s, e) < 0)
        return -1;
    return s->rest ? stt_finish(s->rest, e) : 0;
}

/* Gives the reader what is new. */
static void tell(struct socket_stream *s, struct stt_event *event, bool final)
{
    const struct transcript *t = &s->transcript;
    buf_clear(&s->given);
    buf_str_add(&s->given, buf_str(final ? &t->phrases : &t->text));
    s->untold = false;
    s->told = final;
    *event = (struct stt_event){.type = final ? STT_FINAL : STT_PARTIAL,
                                .text = buf_str(&s->given),
                                .settled = !final && t->text.len == t->phrases.len, /* no hypothesis is in it */
                                .confidence = final ? transcript_confidence(t) : -1,
                                .audio_ms = t->audio_ms >= 0 ? (uint64_t)t->audio_ms : s->samples * 1000 / s->rate};
}

static int socket_next(struct stt_stream *base, struct stt_event *event, struct err *e)
{
    struct socket_stream *s = (struct socket_stream *)base;
    if (s->told)
        return 0;
    while (!s->untold && !s->complete && !s->rest && s->failed.code == ERR_NONE)
        if (waitlist_wait(&s->changed, e) < 0)
            return -1;
    if (s->failed.code != ERR_NONE)
        return stream_error(s, e);
    if (s->rest)
        return stt_next(s->rest, event, e);
    tell(s, event, s->complete);
    return 1;
}

static void socket_close(struct stt_stream *base)
{
    struct socket_stream *s = (struct socket_stream *)base;
    if (s->talker)
        task_cancel(s->talker);
    task_shield();
    while (s->talker)
        waitlist_wait(&s->changed, NULL);
    task_unshield();
    stt_close(s->rest);
    resampler_free(s->resampler);
    transcript_free(&s->transcript);
    buf_free(&s->language);
    buf_free(&s->pcm);
    buf_free(&s->given);
    free(s);
}

static void socket_free(struct stt *base)
{
    struct socket_stt *stt = (struct socket_stt *)base;
    stt_free(stt->rest);
    free(stt->language);
    free(stt);
}

static const struct stt_ops socket_ops = {.name = "azure_speech",
                                          .open = socket_open,
                                          .write = socket_write,
                                          .finish = socket_finish,
                                          .next = socket_next,
                                          .close = socket_close,
                                          .free = socket_free};

struct stt *stt_azure_speech_new(const struct speech_azure_config *config, struct err *e)
{
    struct stt *rest = azure_rest_new(config, e);
    if (!rest || config->rest)
        return rest;
    struct socket_stt *stt = mem_zalloc(sizeof *stt);
    stt->base.ops = &socket_ops;
    stt->rest = rest;
    stt->service = azure_rest_service(rest);
    stt->language = str_dup(str_c(config->language && *config->language ? config->language : "en-US"));
    return &stt->base;
}
