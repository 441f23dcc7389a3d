/* Dialect 000 over HTTP: flat JSON, no accounts. Without a model it echoes, as its first back end did. */
#include "api/aimcs_impl.h"

#include "base/clock.h"
#include "base/limits.h"
#include "server/server.h"

#include <stdio.h>

void aimcs_put_id(struct jw *w)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)clock_wall_ms());
    jw_kstr(w, "id", str_c(id));
}

void aimcs_put_context(struct jw *w, const struct json_value *context)
{
    bool given = context->type == JSON_OBJECT || context->type == JSON_ARRAY;
    jw_kraw(w, "context", given ? context->raw : STR("{}"));
}

/* "Echo: <message>", the answer where no model is. */
static struct str echo_text(struct arena *arena, const char *prefix, struct str message)
{
    return arena_printf(arena, "%s%.*s", prefix, STR_ARG(message));
}

int aimcs_ask(struct api *api, struct str conversation_id, struct str message, const void *origin, struct arena *arena,
              struct aimcs_answer *answer, struct err *e)
{
    *answer = (struct aimcs_answer){.usage = {-1, -1}};
    if (message.n > LIMIT_MESSAGE_TEXT)
        return err_set(e, ERR_INVALID_REQUEST, "Message is longer than %zu bytes", (size_t)LIMIT_MESSAGE_TEXT);
    if (!chat_has_model(api->chat)) {
        answer->text = echo_text(arena, "Echo: ", message);
        return 0;
    }
    struct turn_request request = {
        .surface = &api->aimcs, .conversation_id = conversation_id, .create = true, .text = message, .origin = origin};
    struct turn_ticket ticket;
    struct turn_result result;
    if (turn_start(api->chat, &request, arena, &ticket, e) < 0 || turn_wait(api->chat, &ticket, arena, &result, e) < 0)
        return -1;
    answer->conversation_id = ticket.conversation_id;
    answer->usage = result.usage;
    if (result.status == MESSAGE_FAILED) {
        answer->text = echo_text(arena, "Echo (AI failed): ", message);
        answer->error = result.error;
        return 0;
    }
    answer->ai_used = true;
    answer->text = result.text.n ? result.text : STR("No response from AI");
    return 0;
}

/* A recording in place of the message, or beside it: what is said counts, if anything is. */
static int hear_message(struct http_request *rq, struct chat_post *post, struct err *e)
{
    const struct json_value *audio = &post->wants[WANT_AUDIO].value;
    struct str heard, format = want_text(rq->arena, &post->wants[WANT_AUDIO_FORMAT].value);
    if (audio->type != JSON_STRING || audio->raw.n == 0)
        return 0;
    if (aimcs_hear(api_of(rq), audio, format, rq->arena, &heard, e) < 0)
        return -1;
    if (heard.n)
        post->message = heard;
    else if (str_trim(post->message).n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "There are no words in the audio");
    return 0;
}

/* An answer that needs nothing but the request is built in place: this path is measured against a bare loop. */
static void reply_answer(struct http_request *rq, const struct chat_post *post, const struct aimcs_answer *answer,
                         struct str mp3)
{
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    aimcs_put_id(&w);
    if (answer->ai_used)
        jw_kstr(&w, "sender", STR("Zimax AI"));
    jw_kstr(&w, "message", answer->text);
    jw_kiso(&w, "timestamp", clock_wall_ms());
    aimcs_put_context(&w, &post->wants[WANT_CONTEXT].value);
    jw_kbool(&w, "aiUsed", answer->ai_used);
    if (answer->ai_used || post->wants[WANT_AUDIO].value.type == JSON_STRING)
        jw_kstr(&w, "originalMessage", post->message);
    if (answer->ai_used) {
        jw_key(&w, "usage");
        put_usage(&w, &answer->usage);
    }
    if (answer->error.n)
        jw_kstr(&w, "error", answer->error);
    if (answer->conversation_id.n)
        jw_kstr(&w, "conversationId", answer->conversation_id);
    if (mp3.n)
        aimcs_put_audio(&w, mp3, "audio/mp3");
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static bool is_spoken(const struct api *api, const struct chat_post *post, const struct aimcs_answer *answer)
{
    return answer->ai_used && api->config.tts && post->wants[WANT_SPOKEN].value.type != JSON_FALSE;
}

static void reply_spoken(struct http_request *rq, const struct chat_post *post, const struct aimcs_answer *answer)
{
    struct task_deadline deadline;
    struct buf mp3 = BUF_INIT(AIMCS_SPOKEN_MAX);
    struct err e;
    if (aimcs_speak(api_of(rq), answer->text, rq->arena, &deadline, &mp3, &e) < 0)
        buf_clear(&mp3);
    reply_answer(rq, post, answer, buf_str(&mp3));
    buf_free(&mp3);
}

void aimcs_chat_post(struct http_request *rq, struct chat_post *post)
{
    struct api *api = api_of(rq);
    struct err e;
    struct aimcs_answer answer;
    if (hear_message(rq, post, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    if (str_trim(post->message).n == 0) {
        err_set(&e, ERR_INVALID_REQUEST, "Message is required");
        http_reply_error(rq, &e);
        return;
    }
    struct str conversation_id = want_text(rq->arena, &post->wants[WANT_CONVERSATION_ID].value);
    if (aimcs_ask(api, conversation_id, post->message, rq, rq->arena, &answer, &e) < 0)
        http_reply_error(rq, &e);
    else if (is_spoken(api, post, &answer))
        reply_spoken(rq, post, &answer);
    else
        reply_answer(rq, post, &answer, STR_NONE);
}

static void get_status(struct http_request *rq)
{
    struct api *api = api_of(rq);
    struct jw w = reply_writer(rq, KIB(8));
    jw_obj(&w);
    jw_kstr(&w, "message", STR("AIMCS Backend API is running"));
    jw_kiso(&w, "timestamp", clock_wall_ms());
    jw_kint(&w, "activeConnections", (int64_t)server_websockets(api->server));
    jw_kbool(&w, "aiConfigured", chat_has_model(api->chat));
    jw_kstr(&w, "aiEndpoint", str_c(api->config.ai_endpoint));
    jw_kstr(&w, "aiDeployment", str_c(api->config.ai_deployment));
    jw_kbool(&w, "speechConfigured", aimcs_has_speech(api));
    jw_kstr(&w, "speechRegion", str_c(api->config.speech_region));
    jw_kraw(&w, "endpoints",
            STR("[\"GET /health\",\"GET /api/status\",\"POST /api/chat\",\"POST /api/audio\",\"POST /api/tts\","
                "\"WS /ws/audio\"]"));
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/api/status", get_status, NULL, 0, "aimcs", "State of the AIMCS surface"},
    {HTTP_POST, "/api/audio", aimcs_post_audio, NULL, LIMIT_HTTP_BODY_LARGE, "aimcs",
     "A spoken message and its answer"},
    {HTTP_GET, "/ws/audio", NULL, &aimcs_socket, 0, "aimcs", "WebSocket of the AIMCS dialect"},
};

const struct door door_aimcs = {routes, COUNT(routes), NULL};
