/* POST /api/chat is three dialects on one path; which one is meant is decided here, by rules that were tried with all
 * five front ends. */
#include "api/api_impl.h"

#include "base/limits.h"

enum profile { PROFILE_NONE, PROFILE_AIMCS, PROFILE_CONVERSATIONS, PROFILE_OPENAI, PROFILE_UNKNOWN };

static enum profile profile_named(struct str name)
{
    if (str_ieq(name, STR("aimcs")))
        return PROFILE_AIMCS;
    if (str_ieq(name, STR("conversations")) || str_ieq(name, STR("chat")))
        return PROFILE_CONVERSATIONS;
    return str_ieq(name, STR("openai")) ? PROFILE_OPENAI : name.n ? PROFILE_UNKNOWN : PROFILE_NONE;
}

static bool has(const struct chat_post *post, enum chat_want want)
{
    return post->wants[want].value.type != JSON_NONE;
}

static enum profile decide(const struct http_request *rq, const struct chat_post *post)
{
    struct str accept = http_request_header(rq, STR("accept"));
    if (has(post, WANT_MESSAGES) || str_list_has(accept, STR("text/event-stream")))
        return PROFILE_OPENAI;
    if (has(post, WANT_CONVERSATION_ID) || has(post, WANT_STREAM) || has(post, WANT_FORCE_AGENT))
        return PROFILE_CONVERSATIONS;
    if (has(post, WANT_CONTEXT) || has(post, WANT_AUDIO))
        return PROFILE_AIMCS;
    return str_list_has(accept, STR("application/json")) ? PROFILE_CONVERSATIONS : PROFILE_AIMCS;
}

static int read_post(struct http_request *rq, struct chat_post *post, struct err *e)
{
    static const char *const paths[] = {
        [WANT_MESSAGES] = "messages",
        [WANT_MESSAGE] = "message",
        [WANT_CONVERSATION_ID] = "conversationId",
        [WANT_STREAM] = "stream",
        [WANT_FORCE_AGENT] = "forceAgent",
        [WANT_CONTEXT] = "context",
        [WANT_CLIENT_ID] = "clientMessageId",
        [WANT_AUDIO] = "audioData",
        [WANT_AUDIO_FORMAT] = "audioFormat",
        [WANT_SPOKEN] = "audio",
    };
    memset(post, 0, sizeof *post);
    for (size_t i = 0; i < COUNT(paths); i++)
        post->wants[i].path = paths[i];
    return json_scan(rq->body, post->wants, COUNT(paths), NULL, e);
}

static void no_body(struct http_request *rq, enum profile profile, const struct err *why)
{
    bool plain =
        profile == PROFILE_OPENAI || str_list_has(http_request_header(rq, STR("accept")), STR("text/event-stream"));
    if (plain && rq->body.n == 0)
        http_reply_text(rq, 400, STR("Request body is required"));
    else if (plain)
        http_reply_text(rq, 400, STR("Messages array is required and cannot be empty"));
    else
        http_reply_error(rq, why);
}

static void chat_as(struct http_request *rq, enum profile asked)
{
    static void (*const handlers[])(struct http_request *, struct chat_post *) = {
        [PROFILE_AIMCS] = aimcs_chat_post,
        [PROFILE_CONVERSATIONS] = conversations_chat_post,
        [PROFILE_OPENAI] = openai_chat_post,
    };
    static const char *const dialects[] = {
        [PROFILE_AIMCS] = "aimcs", [PROFILE_CONVERSATIONS] = "chat", [PROFILE_OPENAI] = "openai"};
    struct chat_post post;
    struct err e;
    int read = rq->body.n ? read_post(rq, &post, &e) : err_set(&e, ERR_INVALID_REQUEST, "Message is required");
    if (read < 0) {
        no_body(rq, asked, &e);
        return;
    }
    enum profile profile = asked ? asked : decide(rq, &post);
    if (admit_dialect(rq, dialects[profile], &e) < 0) {
        (profile == PROFILE_OPENAI ? reply_plain_error : http_reply_error)(rq, &e);
        return;
    }
    post.message = want_text(rq->arena, &post.wants[WANT_MESSAGE].value);
    handlers[profile](rq, &post);
}

static void post_chat(struct http_request *rq)
{
    struct err e;
    enum profile asked = profile_named(http_request_header(rq, STR("x-chat-profile")));
    if (asked != PROFILE_UNKNOWN) {
        chat_as(rq, asked);
        return;
    }
    err_set(&e, ERR_INVALID_REQUEST, "X-Chat-Profile must be aimcs, conversations or openai");
    http_reply_error(rq, &e);
}

static void post_chat_aimcs(struct http_request *rq)
{
    chat_as(rq, PROFILE_AIMCS);
}

static void post_chat_conversations(struct http_request *rq)
{
    chat_as(rq, PROFILE_CONVERSATIONS);
}

static const struct http_route routes[] = {
    {HTTP_POST, "/api/chat", post_chat, NULL, LIMIT_HTTP_BODY_LARGE, "shared",
     "A chat message: dialect by body, Accept or X-Chat-Profile (aimcs, conversations, openai)"},
    {HTTP_POST, "/aimcs/api/chat", post_chat_aimcs, NULL, LIMIT_HTTP_BODY_LARGE, "aimcs",
     "POST /api/chat, always as AIMCS"},
    {HTTP_POST, "/conversations/api/chat", post_chat_conversations, NULL, LIMIT_HTTP_BODY_LARGE, "chat",
     "POST /api/chat, always with a conversation"},
};

const struct door door_chat = {routes, COUNT(routes), NULL};
