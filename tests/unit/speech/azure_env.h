/* A stand-in for Azure Speech's recognition, in this process: on its WebSocket it plays scripted turns, or listens with
 * the local driver; on REST it only listens. Whatever is sent to it against the protocol ends the test. */
#ifndef TEST_AZURE_ENV_H
#define TEST_AZURE_ENV_H

#include "unit/support/live_server.h"

#include "loop/task.h"
#include "server/websocket.h"
#include "speech/azure_speech/usp.h"
#include "speech/local/local.h"
#include "speech/wav.h"

#define AT_END     (-1)
#define STT_PATH   "/speech/recognition/conversation/cognitiveservices/v1"
#define AZURE_RATE 16000

struct azure_step {
    int after;        /* messages of audio in the turn, the first is 1; or AT_END of the audio */
    const char *text; /* message, or the reason of the closing; "@" is the turn's id */
    uint16_t close;   /* closes with this code */
    bool binary;      /* sent as a binary message */
    int turn;         /* 0: every one; the first is 1 */
};

struct azure_env {
    struct live_server live;
    char url[64];
    const struct azure_step *steps; /* NULL: listens */
    size_t nsteps;
    int refuse;          /* status that upgrades are answered with; 0: they are taken */
    const char *refusal; /* body of that */
    struct stt *stt;     /* what listens */
    atomic_int sockets, closed, turns, audios, ends, posts, tasks;
    /* Of the last turn; read them behind what counts. */
    char key[128], connection[64], query[128];
    struct buf config, context, audio;
    uint16_t close_code;
};

struct azure_socket {
    char turn[64];
    int number, messages;
    bool configured, head, ended;
    struct buf audio;
};

static inline struct azure_env *azure_env_of(struct websocket *ws)
{
    return container_of((struct live_server *)websocket_ctx(ws), struct azure_env, live);
}

static inline void azure_send(struct websocket *ws, const struct azure_socket *socket, const char *text, bool binary)
{
    struct buf out = BUF_INIT(MIB(1));
    for (; *text; text++)
        buf_str_add(&out, *text == '@' ? str_c(socket->turn) : str_n(text, 1));
    websocket_send(ws, binary ? WS_BINARY : WS_TEXT, buf_str(&out));
    buf_free(&out);
}

static inline void azure_play(struct websocket *ws, struct azure_socket *socket, int now)
{
    const struct azure_env *env = azure_env_of(ws);
    for (size_t i = 0; i < env->nsteps; i++) {
        const struct azure_step *step = &env->steps[i];
        if (step->after != now || (step->turn && step->turn != socket->number))
            continue;
        if (step->close)
            websocket_close(ws, step->close, str_c(step->text));
        else
            azure_send(ws, socket, step->text, step->binary);
    }
}

/* ---- listening ---- */

static inline void azure_say(struct buf *out, const struct stt_event *event, size_t bytes)
{
    buf_addf(out, "\"Offset\":0,\"Duration\":\"%zu\",", bytes * 10000000 / (AZURE_RATE * 2));
    if (event->text.n == 0)
        buf_lit(out, "\"RecognitionStatus\":\"NoMatch\"}");
    else
        buf_addf(out, "\"RecognitionStatus\":\"Success\",\"NBest\":[{\"Confidence\":%.2f,\"Display\":\"%.*s\"}]}",
                 event->confidence < 0 ? 0.5 : event->confidence, STR_ARG(event->text));
}

/* Tells the socket, when there is one, what is understood so far. */
static inline void azure_suppose(struct websocket *ws, struct str text)
{
    struct buf out = BUF_INIT(KIB(64));
    buf_addf(&out, "Path:speech.hypothesis\r\n\r\n{\"Text\":\"%.*s\"}", STR_ARG(text));
    if (ws)
        websocket_send(ws, WS_TEXT, buf_str(&out));
    buf_free(&out);
}

/* From a task: what the local driver understands is put to out. */
static inline void azure_understand(struct azure_env *env, const struct stt_request *rq, struct str pcm,
                                    struct websocket *ws, struct buf *out,
                                    void (*put)(struct buf *out, const struct stt_event *event, size_t bytes))
{
    struct arena *arena = arena_new("test");
    struct stt_event event = {0};
    struct err e = {0};
    struct stt_stream *s = stt_open(env->stt, rq, arena, &e);
    int more = s && stt_write(s, pcm, &e) == 0 && stt_finish(s, &e) == 0 ? 1 : -1;
    while (more > 0 && (more = stt_next(s, &event, &e)) > 0 && event.type == STT_PARTIAL)
        azure_suppose(ws, event.text);
    live_assert(more > 0 || e.code == ERR_CANCELLED);
    if (more > 0)
        put(out, &event, pcm.n);
    stt_close(s);
    arena_free(arena);
}

static inline void azure_listen(struct azure_env *env, struct str pcm, struct websocket *ws, struct buf *out)
{
    struct stt_request rq = {.rate = AZURE_RATE, .partial = ws != NULL};
    azure_understand(env, &rq, pcm, ws, out, azure_say);
}

static inline void azure_answer(struct websocket *ws, struct arena *arena, struct str data)
{
    struct azure_socket *socket = websocket_user(ws);
    struct buf out = BUF_INIT(KIB(64));
    (void)arena;
    (void)data;
    buf_lit(&out, "Path:speech.phrase\r\n\r\n{");
    azure_listen(azure_env_of(ws), buf_str(&socket->audio), ws, &out);
    if (!task_cancelled()) {
        websocket_send(ws, WS_TEXT, buf_str(&out));
        azure_send(ws, socket, "Path:turn.end\r\nX-RequestId:@\r\n\r\n{}", false);
    }
    buf_free(&out);
}

/* ---- the socket ---- */

static inline void azure_end_of_audio(struct websocket *ws, struct azure_socket *socket)
{
    struct azure_env *env = azure_env_of(ws);
    socket->ended = true;
    atomic_fetch_add(&env->ends, 1);
    if (env->steps)
        azure_play(ws, socket, AT_END);
    else
        websocket_serial(ws, STR(""), azure_answer);
}

static inline void azure_audio(struct websocket *ws, struct azure_socket *socket, const struct usp_message *m)
{
    struct azure_env *env = azure_env_of(ws);
    if (!str_eqc(m->request_id, socket->turn))
        return; /* of a turn that is over */
    if (!socket->head) {
        live_assert(str_eqc(m->content_type, "audio/x-wav") && m->body.n == WAV_HEAD);
        live_assert(str_starts(m->body, STR("RIFF")) && m->body.p[24] == (char)0x80 && m->body.p[25] == 0x3e);
        socket->head = true;
        return;
    }
    live_assert(m->content_type.n == 0 && m->body.n % 2 == 0 && m->body.n <= 3200 && !socket->ended);
    if (m->body.n == 0) {
        azure_end_of_audio(ws, socket);
        return;
    }
    buf_str_add(&socket->audio, m->body);
    buf_str_add(&env->audio, m->body);
    atomic_fetch_add(&env->audios, 1);
    azure_play(ws, socket, ++socket->messages);
}

static inline void azure_begin(struct websocket *ws, struct azure_socket *socket, const struct usp_message *m)
{
    struct azure_env *env = azure_env_of(ws);
    live_assert(m->request_id.n == 32 && !str_eqc(m->request_id, socket->turn));
    str_copy(socket->turn, sizeof socket->turn, m->request_id);
    buf_clear(&env->context);
    buf_str_add(&env->context, m->body);
    buf_clear(&socket->audio);
    socket->head = socket->ended = false;
    socket->messages = 0;
    socket->number = atomic_fetch_add(&env->turns, 1) + 1;
}

static inline void azure_message(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    struct azure_socket *socket = websocket_user(ws);
    struct azure_env *env = azure_env_of(ws);
    struct usp_message m;
    live_assert(usp_read(&m, opcode == WS_BINARY, data, NULL) == 0 && m.timestamp.n == 24);
    if (str_eqc(m.path, "speech.config")) {
        live_assert(!socket->configured && !m.binary);
        socket->configured = true;
        buf_clear(&env->config);
        buf_str_add(&env->config, m.body);
        return;
    }
    live_assert(socket->configured && m.binary == str_eqc(m.path, "audio"));
    live_assert(m.binary || str_eqc(m.path, "speech.context"));
    if (m.binary)
        azure_audio(ws, socket, &m);
    else
        azure_begin(ws, socket, &m);
}

static inline bool azure_may_open(struct http_request *rq)
{
    struct azure_env *env = container_of((struct live_server *)rq->ctx, struct azure_env, live);
    str_copy(env->key, sizeof env->key, http_request_header(rq, STR("ocp-apim-subscription-key")));
    str_copy(env->connection, sizeof env->connection, http_request_header(rq, STR("x-connectionid")));
    str_copy(env->query, sizeof env->query, rq->query);
    atomic_fetch_add(&env->sockets, 1);
    if (env->refuse)
        http_reply(rq, env->refuse, STR("text/html"), str_c(env->refusal ? env->refusal : ""));
    return !env->refuse;
}

static inline void azure_opened(struct websocket *ws, struct http_request *rq)
{
    struct azure_socket *socket = websocket_user(ws);
    (void)rq;
    buf_init(&socket->audio, MIB(16));
}

static inline void azure_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    struct azure_env *env = azure_env_of(ws);
    (void)reason;
    buf_free(&((struct azure_socket *)websocket_user(ws))->audio);
    env->close_code = code;
    atomic_fetch_add(&env->closed, 1);
}

/* ---- REST ---- */

static inline void azure_post(struct http_request *rq)
{
    struct azure_env *env = container_of((struct live_server *)rq->ctx, struct azure_env, live);
    struct buf out = BUF_INIT(KIB(64));
    live_assert(rq->body.n >= WAV_HEAD && str_starts(rq->body, STR("RIFF")));
    atomic_fetch_add(&env->posts, 1);
    buf_byte(&out, '{');
    azure_listen(env, str_from(rq->body, WAV_HEAD), NULL, &out);
    http_reply_json(rq, 200, buf_str(&out));
    buf_free(&out);
}

static const struct websocket_ops azure_socket_ops = {.user_size = sizeof(struct azure_socket),
                                                      .may_open = azure_may_open,
                                                      .on_open = azure_opened,
                                                      .on_message = azure_message,
                                                      .on_closed = azure_closed};
/* clang-format off */
#define AZURE_ROUTES                                                                                                   \
    {.method = HTTP_GET, .path = STT_PATH, .websocket = &azure_socket_ops},                                            \
    {.method = HTTP_POST, .path = STT_PATH, .handler = azure_post, .max_body = MIB(8) + HTTP_ANY_TYPE}
/* clang-format on */
static const struct http_route azure_routes[] = {AZURE_ROUTES};

static inline void azure_start_with(struct azure_env *env, const struct azure_step *steps, size_t n,
                                    const struct http_route *routes, size_t nroutes)
{
    static const struct server_config config = {.idle_timeout = 60000};
    static const struct speech_local_config local = {.queue_timeout = 60000};
    *env = (struct azure_env){.steps = steps,
                              .nsteps = n,
                              .config = BUF_INIT(MIB(1)),
                              .context = BUF_INIT(MIB(1)),
                              .audio = BUF_INIT(MIB(16)),
                              .stt = stt_local_new(&local)};
    live_start(&env->live, &config, routes, nroutes);
    snprintf(env->url, sizeof env->url, "http://127.0.0.1:%u/", env->live.port);
}

/* Steps NULL: it listens. */
static inline void azure_start(struct azure_env *env, const struct azure_step *steps, size_t n)
{
    azure_start_with(env, steps, n, azure_routes, COUNT(azure_routes));
}

static inline void azure_count_tasks(struct live_server *live)
{
    atomic_store(&container_of(live, struct azure_env, live)->tasks, (int)task_count());
}

static inline void azure_stop(struct azure_env *env)
{
    live_do(&env->live, live_drain);
    live_do(&env->live, live_abort);
    do /* who listens for one who left needs a moment to notice */
        live_do(&env->live, azure_count_tasks);
    while (atomic_load(&env->tasks) > 0 && usleep(500) == 0);
    live_stop(&env->live);
    stt_free(env->stt);
    buf_free(&env->config);
    buf_free(&env->context);
    buf_free(&env->audio);
}

/* From a task, on another loop than the stand-in's: until so much was counted. */
struct azure_wait {
    const atomic_int *counter;
    int n;
};

static inline void azure_wait_job(void *arg)
{
    const struct azure_wait *wait = arg;
    while (atomic_load(wait->counter) < wait->n)
        usleep(500);
}

static inline void azure_await(const atomic_int *counter, int n)
{
    struct azure_wait wait = {counter, n};
    pool_call(azure_wait_job, &wait, NULL);
}

#endif
