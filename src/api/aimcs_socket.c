/* Dialect 000 on /ws/audio and /: flat JSON frames, each answered with a frame that carries a timestamp. */
#include "api/aimcs_impl.h"
#include "api/aimcs_voice.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"

#include <stdio.h>

enum {
    WANT_TYPE,
    WANT_MESSAGE_TEXT,
    WANT_DATA,
    WANT_TEXT,
    WANT_CTX,
    WANT_AUDIO_DATA,
    WANT_ID,
    WANT_LAST_ID,
    WANT_FORMAT,
    WANT_IS_FINAL,
    WANT_REPLY_AUDIO
};
static const char *const paths[] = {"type",           "message",     "data",        "text",    "context", "audioData",
                                    "conversationId", "lastEventId", "audioFormat", "isFinal", "audio"};

struct jw aimcs_frame(struct buf *out, const char *type)
{
    buf_init(out, LIMIT_WS_MESSAGE_LARGE + LIMIT_REPLY_TEXT * 4);
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "type", str_c(type));
    return w;
}

void aimcs_send_frame(struct websocket *ws, struct jw *w)
{
    jw_kiso(w, "timestamp", clock_wall_ms());
    jw_end_obj(w);
    socket_send_jw(ws, w);
}

static void send_error(struct websocket *ws, const char *message)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "error");
    jw_kstr(&w, "message", str_c(message));
    aimcs_send_frame(ws, &w);
}

static void on_failed(struct websocket *ws, const struct err *e)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "error");
    jw_kstr(&w, "message", str_c(e->text));
    jw_kstr(&w, "code", str_c(err_name(e->code)));
    aimcs_send_frame(ws, &w);
}

/* The frame that most clients send most often: written without any allocation. */
static void on_ping(struct socket_message *m)
{
    char text[] = "{\"type\":\"pong\",\"timestamp\":\"0000-00-00T00:00:00.000Z\"}";
    char iso[ISO_LEN + 1];
    clock_iso(iso, clock_wall_ms());
    memcpy(text + sizeof text - 1 - 2 - ISO_LEN, iso, ISO_LEN);
    websocket_send(m->ws, WS_TEXT, str_n(text, sizeof text - 1));
}

/* The value as the client sent it, "" when it sent none (JSON.stringify drops what is undefined: so do we). */
static void put_original(struct jw *w, const char *key, const struct json_value *v)
{
    if (v->type == JSON_STRING) {
        jw_key(w, key);
        jw_raw(w, str_n(v->raw.p - 1, v->raw.n + 2));
    } else if (v->type != JSON_NONE) {
        jw_kraw(w, key, v->raw);
    }
}

static void on_test(struct socket_message *m)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "test_response");
    jw_kstr(&w, "message", STR("Test message received successfully"));
    put_original(&w, "originalMessage", &m->wants[WANT_MESSAGE_TEXT].value);
    aimcs_send_frame(m->ws, &w);
}

static void send_received(struct websocket *ws, const struct json_value *data)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "audio_received");
    jw_kstr(&w, "message", STR("Audio data received"));
    jw_kint(&w, "dataSize", data->type == JSON_STRING ? (int64_t)data->raw.n : 0);
    aimcs_send_frame(ws, &w);
}

static bool listens(struct websocket *ws)
{
    const struct api_config *config = &socket_api(ws)->config;
    return config->stt && config->media;
}

static struct str format_of(const struct socket_message *m)
{
    const struct json_value *format = &m->wants[WANT_FORMAT].value;
    return format->type == JSON_STRING ? format->raw : STR_NONE;
}

static void on_audio(struct socket_message *m)
{
    const struct json_value *data = &m->wants[WANT_DATA].value;
    send_received(m->ws, data);
    if (data->type == JSON_STRING && data->raw.n && listens(m->ws))
        aimcs_voice_audio(m->ws, data, format_of(m), false, false);
}

static void on_stop_audio(struct socket_message *m)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "audio_stopped");
    jw_kstr(&w, "message", STR("Audio stopped"));
    aimcs_send_frame(m->ws, &w);
    aimcs_voice_stop(m->ws, false);
}

static void send_not_listening(struct websocket *ws)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "audio_response");
    aimcs_put_id(&w);
    jw_kstr(&w, "message", STR(AIMCS_NO_AUDIO));
    jw_kbool(&w, "aiUsed", false);
    jw_kstr(&w, "originalMessage", STR("Audio input"));
    aimcs_send_frame(ws, &w);
}

static void on_audio_chunk(struct socket_message *m)
{
    const struct json_value *data = &m->wants[WANT_AUDIO_DATA].value;
    bool final = m->wants[WANT_IS_FINAL].value.type == JSON_TRUE;
    bool begun = ((struct aimcs_socket *)websocket_user(m->ws))->voice;
    if (data->type != JSON_STRING || data->raw.n == 0) {
        if (final && begun)
            aimcs_voice_stop(m->ws, true);
        else
            send_error(m->ws, "Audio data is required");
        return;
    }
    send_received(m->ws, data);
    if (listens(m->ws))
        aimcs_voice_audio(m->ws, data, format_of(m), true, final);
    else if (final)
        send_not_listening(m->ws);
}

struct str aimcs_conversation(struct websocket *ws, struct str given, struct arena *arena)
{
    struct socket_state *state = websocket_user(ws);
    if (given.n)
        return given;
    if (!state->conversation) {
        state->conversation = mem_alloc(UUID_LEN + 1);
        rand_uuid(state->conversation);
    }
    return arena_str(arena, str_n(state->conversation, UUID_LEN));
}

/* The message and its answer; -1 when the client was told why there is none. */
static int ask(struct socket_message *m, const struct json_value *text, const char *required, struct str *message,
               struct aimcs_answer *answer)
{
    struct err e;
    *message = want_text(m->arena, text);
    if (str_trim(*message).n == 0) {
        send_error(m->ws, required);
        return -1;
    }
    struct str conversation = aimcs_conversation(m->ws, want_text(m->arena, &m->wants[WANT_ID].value), m->arena);
    if (aimcs_ask(socket_api(m->ws), conversation, *message, m->ws, m->arena, answer, &e) == 0)
        return 0;
    socket_fail(m->ws, &e);
    return -1;
}

void aimcs_put_answer(struct jw *w, struct str message, const struct aimcs_answer *answer)
{
    jw_kstr(w, "message", answer->text);
    jw_kbool(w, "aiUsed", answer->ai_used);
    jw_kstr(w, "originalMessage", message);
    if (answer->error.n)
        jw_kstr(w, "error", answer->error);
    if (answer->conversation_id.n)
        jw_kstr(w, "conversationId", answer->conversation_id);
}

static void on_chat(struct socket_message *m)
{
    struct aimcs_answer answer;
    struct str message;
    struct buf out;
    if (ask(m, &m->wants[WANT_MESSAGE_TEXT].value, "Chat message is required", &message, &answer) < 0)
        return;
    struct jw w = aimcs_frame(&out, "chat_response");
    aimcs_put_answer(&w, message, &answer);
    aimcs_send_frame(m->ws, &w);
}

int aimcs_socket_speak(struct websocket *ws, bool turn, struct str text, struct arena *arena, struct buf *mp3,
                       struct err *e)
{
    struct aimcs_socket *socket = websocket_user(ws);
    struct aimcs_speaking speaking = {.turn = turn};
    if (!websocket_is_open(ws))
        return err_set(e, ERR_CANCELLED, NULL);
    list_push_back(&socket->speaking, &speaking.link);
    int result = aimcs_speak(socket_api(ws), text, arena, &speaking.deadline, mp3, e);
    list_remove(&speaking.link);
    return result == 0 && !websocket_is_open(ws) ? err_set(e, ERR_CANCELLED, NULL) : result;
}

void aimcs_socket_hush(struct websocket *ws, bool all)
{
    struct aimcs_socket *socket = websocket_user(ws);
    list_each_safe(entry, &socket->speaking) {
        struct aimcs_speaking *speaking = container_of(entry, struct aimcs_speaking, link);
        if (all || speaking->turn)
            timer_start(loop_self(), &speaking->deadline.timer, 0);
    }
}

static void on_text_message(struct socket_message *m)
{
    struct aimcs_answer answer;
    struct str message;
    struct buf out, mp3 = BUF_INIT(AIMCS_SPOKEN_MAX);
    struct err e;
    if (ask(m, &m->wants[WANT_TEXT].value, "Text is required", &message, &answer) < 0)
        return;
    bool spoken = answer.ai_used && m->wants[WANT_REPLY_AUDIO].value.type != JSON_FALSE &&
                  aimcs_socket_speak(m->ws, false, answer.text, m->arena, &mp3, &e) == 0;
    struct jw w = aimcs_frame(&out, "text_response");
    aimcs_put_id(&w);
    aimcs_put_answer(&w, message, &answer);
    aimcs_put_context(&w, &m->wants[WANT_CTX].value);
    if (answer.ai_used) {
        jw_key(&w, "usage");
        put_usage(&w, &answer.usage);
    }
    if (spoken)
        aimcs_put_audio(&w, buf_str(&mp3), "mp3");
    buf_free(&mp3);
    aimcs_send_frame(m->ws, &w);
}

static void on_resume(struct socket_message *m)
{
    socket_resume(m, want_text(m->arena, &m->wants[WANT_ID].value), want_text(m->arena, &m->wants[WANT_LAST_ID].value));
}

static void on_unknown(struct socket_message *m)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "echo");
    put_original(&w, "originalType", &m->wants[WANT_TYPE].value);
    jw_kstr(&w, "message", STR("Unknown message type received"));
    aimcs_send_frame(m->ws, &w);
}

static void on_malformed(struct websocket *ws, const struct err *e)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "error");
    jw_kstr(&w, "message", STR("Failed to process message"));
    jw_kstr(&w, "error", str_c(e->text));
    aimcs_send_frame(ws, &w);
}

static const struct socket_command commands[] = {
    {"ping", COMMAND_NOW, on_ping},
    {"test", COMMAND_NOW, on_test},
    {"audio", COMMAND_NOW, on_audio},
    {"audio_chunk", COMMAND_NOW, on_audio_chunk},
    {"stop_audio", COMMAND_NOW, on_stop_audio},
    {"chat", COMMAND_DETACHED, on_chat},
    {"text_message", COMMAND_DETACHED, on_text_message},
    {"resume", COMMAND_SERIAL, on_resume},
};

static const struct socket_dialect dialect = {
    .paths = paths,
    .npaths = COUNT(paths),
    .commands = commands,
    .ncommands = COUNT(commands),
    .unknown = on_unknown,
    .malformed = on_malformed,
    .failed = on_failed,
};

static void on_open(struct websocket *ws, struct http_request *rq)
{
    char id[24];
    struct buf out;
    socket_open(ws, rq, &dialect);
    list_init(&((struct aimcs_socket *)websocket_user(ws))->speaking);
    snprintf(id, sizeof id, "%lld", (long long)clock_wall_ms());
    struct jw w = aimcs_frame(&out, "connection");
    jw_kstr(&w, "message", STR("WebSocket connected successfully"));
    jw_kstr(&w, "connectionId", str_c(id));
    jw_kbool(&w, "aiConfigured", chat_has_model(socket_api(ws)->chat));
    aimcs_send_frame(ws, &w);
}

static void on_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    aimcs_voice_closed(ws);
    socket_closed(ws, code, reason);
}

const struct websocket_ops aimcs_socket = {
    .max_message = LIMIT_WS_MESSAGE_LARGE,
    .user_size = sizeof(struct aimcs_socket),
    .on_open = on_open,
    .on_message = socket_message,
    .on_drained = socket_drained,
    .on_closed = on_closed,
};
