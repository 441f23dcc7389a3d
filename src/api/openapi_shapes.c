#include "api/openapi_shapes.h"

static const struct openapi_shape shapes[] = {
    {HTTP_POST, "/api/chat", "ChatRequest", "ChatReply", NULL, NULL, NULL},
    {HTTP_POST, "/aimcs/api/chat", "ChatRequest", "AimcsReply", NULL, NULL, NULL},
    {HTTP_POST, "/conversations/api/chat", "ChatRequest", "ConversationReply", NULL, NULL, NULL},
    {HTTP_GET, "/api/conversations", NULL, "Conversations", NULL, NULL, NULL},
    {HTTP_POST, "/api/conversations", "Title", "Conversation", "201", NULL, NULL},
    {HTTP_GET, "/api/conversations/:id", NULL, "Conversation", NULL, NULL, NULL},
    {HTTP_PUT, "/api/conversations/:id", "Title", "Conversation", NULL, NULL, NULL},
    {HTTP_DELETE, "/api/conversations/:id", NULL, "Text", NULL, NULL, NULL},
    {HTTP_POST, "/api/conversations/:id/cancel", NULL, "Cancelled", NULL, NULL, NULL},
    {HTTP_GET, "/api/conversations/:id/events", NULL, "EventStream", NULL, "text/event-stream", NULL},
    {HTTP_POST, "/v1/chat/completions", "Completion", "Any", NULL, NULL, NULL},
    {HTTP_GET, "/v1/models", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/v1/models/:model", NULL, "Any", NULL, NULL, NULL},
    {HTTP_POST, "/v1/audio/speech", "Speech", "Binary", NULL, "audio/mpeg", NULL},
    {HTTP_POST, "/v1/audio/transcriptions", "Recording", "Transcription", NULL, NULL, "multipart/form-data"},
    {HTTP_POST, "/v1/audio/translations", "Recording", "Transcription", NULL, NULL, "multipart/form-data"},
    {HTTP_POST, "/v1/realtime/client_secrets", "ClientSecretRequest", "ClientSecret", NULL, NULL, NULL},
    {HTTP_POST, "/api/tts", "SpokenText", "Binary", NULL, "audio/mpeg", NULL},
    {HTTP_POST, "/openai/api/tts", "SpokenText", "Binary", NULL, "audio/mpeg", NULL},
    {HTTP_POST, "/aimcs/api/tts", "SpokenText", "SpokenReply", NULL, NULL, NULL},
    {HTTP_POST, "/api/stt", "AudioUpload", "Heard", NULL, NULL, NULL},
    {HTTP_POST, "/api/audio", "AudioUpload", "AimcsReply", NULL, NULL, NULL},
    {HTTP_GET, "/audio/:name", NULL, "Binary", NULL, "audio/mpeg", NULL},
    {HTTP_GET, "/public/audio/:name", NULL, "Binary", NULL, "audio/mpeg", NULL},
    {HTTP_GET, "/voice", NULL, "EventStream", NULL, "text/html", NULL},
    {HTTP_GET, "/voice/:file", NULL, "EventStream", NULL, "text/javascript", NULL},
    {HTTP_GET, "/voice/access", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/health", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/health/live", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/health/ready", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/api/health", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/api/status", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/", NULL, "Text", NULL, NULL, NULL},
    {HTTP_GET, "/metrics", NULL, "EventStream", NULL, "text/plain", NULL},
    {HTTP_GET, "/api/chat/agents", NULL, "Agents", NULL, NULL, NULL},
    {HTTP_GET, "/api/validation/stats", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/api/validation/logs", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/api/validation/logs/:agent", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/api/validation/failed", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/api/validation/summary", NULL, "Any", NULL, NULL, NULL},
    {HTTP_POST, "/api/validation/clear", NULL, "Text", NULL, NULL, NULL},
    {HTTP_POST, "/api/auth/register", "Registration", "Session", "201", NULL, NULL},
    {HTTP_POST, "/api/auth/login", "Login", "Session", NULL, NULL, NULL},
    {HTTP_POST, "/api/auth/refresh", "Refresh", "Session", NULL, NULL, NULL},
    {HTTP_POST, "/api/auth/logout", "Refresh", "Text", NULL, NULL, NULL},
    {HTTP_GET, "/api/auth/me", NULL, "User", NULL, NULL, NULL},
    {HTTP_GET, "/api/auth/profile", NULL, "User", NULL, NULL, NULL},
    {HTTP_PUT, "/api/auth/profile", "ProfileChange", "User", NULL, NULL, NULL},
    {HTTP_GET, "/api/agents", NULL, "CareAgents", NULL, NULL, NULL},
    {HTTP_POST, "/api/agents", "CareAgentForm", "CareAgent", "201", NULL, NULL},
    {HTTP_GET, "/api/agents/presets", NULL, "CarePresets", NULL, NULL, NULL},
    {HTTP_GET, "/api/agents/:id", NULL, "CareAgent", NULL, NULL, NULL},
    {HTTP_PUT, "/api/agents/:id", "CareAgentForm", "CareAgent", NULL, NULL, NULL},
    {HTTP_DELETE, "/api/agents/:id", NULL, "Text", NULL, NULL, NULL},
    {HTTP_POST, "/api/agents/:id/test", "Text", "CareAgentTest", NULL, NULL, NULL},
    {HTTP_POST, "/api/agents/:id/avatar", "Picture", "CareAgent", NULL, NULL, "multipart/form-data"},
    {HTTP_GET, "/api/company-agents", NULL, "CareAgents", NULL, NULL, NULL},
    {HTTP_POST, "/api/company-agents", "CareAgentForm", "CareAgent", "201", NULL, NULL},
    {HTTP_GET, "/api/company-agents/presets", NULL, "CarePresets", NULL, NULL, NULL},
    {HTTP_GET, "/api/company-agents/:id", NULL, "CareAgent", NULL, NULL, NULL},
    {HTTP_PUT, "/api/company-agents/:id", "CareAgentForm", "CareAgent", NULL, NULL, NULL},
    {HTTP_DELETE, "/api/company-agents/:id", NULL, "Text", NULL, NULL, NULL},
    {HTTP_POST, "/api/company-agents/:id/test", "Text", "CareAgentTest", NULL, NULL, NULL},
    {HTTP_POST, "/api/company-agents/:id/avatar", "Picture", "CareAgent", NULL, NULL, "multipart/form-data"},
    {HTTP_GET, "/api/conversations/:id/messages", NULL, "CareMessages", NULL, NULL, NULL},
    {HTTP_POST, "/api/conversations/:id/messages", "CareSay", "CareReply", "201", NULL, NULL},
    {HTTP_POST, "/api/conversations/:id/audio", "CareRecording", "CareAudio", NULL, NULL, "multipart/form-data"},
    {HTTP_PUT, "/api/conversations/:id/end", NULL, "CareConversation", NULL, NULL, NULL},
    {HTTP_PUT, "/api/conversations/:id/update-title", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/api/conversations/stats/user/:id", NULL, "CareStats", NULL, NULL, NULL},
    {HTTP_POST, "/api/conversations/reanalyze-sentiment", NULL, "Any", NULL, NULL, NULL},
    {HTTP_POST, "/api/livekit/token", "LiveKitJoin", "LiveKitAccess", NULL, NULL, NULL},
    {HTTP_POST, "/api/livekit/create-room", "LiveKitJoin", "LiveKitAccess", NULL, NULL, NULL},
    {HTTP_POST, "/api/livekit/join-room", "LiveKitJoin", "LiveKitAccess", NULL, NULL, NULL},
    {HTTP_POST, "/api/livekit/create-test-room", NULL, "LiveKitOpened", NULL, NULL, NULL},
    {HTTP_POST, "/api/livekit/room", "LiveKitRoom", "LiveKitOpened", NULL, NULL, NULL},
    {HTTP_GET, "/api/livekit/rooms", NULL, "LiveKitRooms", NULL, NULL, NULL},
    {HTTP_DELETE, "/api/livekit/rooms/:roomName", NULL, "Text", NULL, NULL, NULL},
    {HTTP_DELETE, "/api/livekit/room/:id", NULL, "Text", NULL, NULL, NULL},
    {HTTP_POST, "/api/livekit/webhook", "Any", "Any", NULL, NULL, "application/webhook+json"},
    {HTTP_GET, "/public/avatars/:name", NULL, "Binary", NULL, "image/png", NULL},
    {HTTP_GET, "/uploads/:name", NULL, "Binary", NULL, "application/octet-stream", NULL},
    {HTTP_GET, "/socket.io/", NULL, "EventStream", NULL, "text/plain", NULL},
    {HTTP_POST, "/socket.io/", NULL, "EventStream", NULL, "text/html", NULL},
    {HTTP_GET, "/api/socket.io/", NULL, "EventStream", NULL, "text/plain", NULL},
    {HTTP_POST, "/api/socket.io/", NULL, "EventStream", NULL, "text/html", NULL},
    {HTTP_GET, "/socket.io/socket.io.js", NULL, "EventStream", NULL, "application/javascript", NULL},
    {HTTP_GET, "/socket.io/socket.io.min.js", NULL, "EventStream", NULL, "application/javascript", NULL},
    {HTTP_GET, "/socket.io/socket.io.esm.min.js", NULL, "EventStream", NULL, "application/javascript", NULL},
    {HTTP_GET, "/socket.io/socket.io.msgpack.min.js", NULL, "EventStream", NULL, "application/javascript", NULL},
    {HTTP_GET, "/socket.io/socket.io.js.map", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/socket.io/socket.io.min.js.map", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/socket.io/socket.io.esm.min.js.map", NULL, "Any", NULL, NULL, NULL},
    {HTTP_GET, "/socket.io/socket.io.msgpack.min.js.map", NULL, "Any", NULL, NULL, NULL},
};

const struct openapi_shape *openapi_shape_of(enum http_method method, const char *path)
{
    for (size_t i = 0; i < COUNT(shapes); i++)
        if (shapes[i].method == method && strcmp(shapes[i].path, path) == 0)
            return &shapes[i];
    return NULL;
}

#define OBJECT(properties)          "{\"type\":\"object\",\"properties\":{" properties "}}"
#define REQUIRED(properties, names) "{\"type\":\"object\",\"required\":[" names "],\"properties\":{" properties "}}"
#define REF(name)                   "{\"$ref\":\"#/components/schemas/" name "\"}"
#define P(name, schema)             "\"" name "\":" schema
#define STRING                      "{\"type\":\"string\"}"
#define NUMBER                      "{\"type\":\"integer\"}"
#define BOOLEAN                     "{\"type\":\"boolean\"}"
#define TIME                        "{\"type\":\"string\",\"format\":\"date-time\"}"
#define ANY                         "{\"type\":\"object\"}"
#define ONE_OF_STRINGS(values)      "{\"type\":\"string\",\"enum\":[" values "]}"
#define ARRAY(items)                "{\"type\":\"array\",\"items\":" items "}"

/* clang-format off */
static const char chat_schemas[] =
    P("Any", ANY) ","
    P("EventStream", STRING) ","
    P("Agents", ARRAY(OBJECT(P("id", STRING) "," P("name", STRING) "," P("description", STRING)))) ","
    P("Text", OBJECT(P("message", STRING))) ","
    P("Title", REQUIRED(P("title", STRING), "\"title\"")) ","
    P("Cancelled", OBJECT(P("cancelled", BOOLEAN) "," P("conversationId", STRING))) ","
    P("Error", OBJECT(P("error", STRING) "," P("message", STRING) "," P("code", STRING))) ","
    P("OpenAIError", OBJECT(P("error", OBJECT(P("message", STRING) "," P("type", STRING) ","
        P("param", "{\"type\":[\"string\",\"null\"]}") "," P("code", "{\"type\":[\"string\",\"null\"]}"))))) ","
    P("Message", REQUIRED(
        P("id", STRING) "," P("content", STRING) "," P("role", ONE_OF_STRINGS("\"user\",\"assistant\"")) ","
        P("timestamp", TIME) "," P("conversationId", STRING) ","
        P("status", ONE_OF_STRINGS("\"complete\",\"streaming\",\"interrupted\",\"failed\"")),
        "\"id\",\"content\",\"role\",\"timestamp\",\"conversationId\"")) ","
    P("Conversation", REQUIRED(
        P("id", STRING) "," P("title", STRING) "," P("messages", ARRAY(REF("Message"))) ","
        P("createdAt", TIME) "," P("updatedAt", TIME),
        "\"id\",\"title\",\"messages\",\"createdAt\",\"updatedAt\"")) ","
    P("Conversations", ARRAY(REF("Conversation"))) ","
    P("ChatRequest", "{\"type\":\"object\",\"description\":\"messages: a stream in OpenAI's shape. conversationId, "
        "stream or forceAgent: a stored conversation. context, or neither: AIMCS. X-Chat-Profile overrides.\","
        "\"properties\":{"
        P("messages", ARRAY(ANY)) "," P("model", STRING) "," P("max_tokens", NUMBER) ","
        P("message", STRING) "," P("conversationId", "{\"type\":[\"string\",\"null\"]}") ","
        P("clientMessageId", STRING) "," P("context", ANY) "}}") ","
    P("AimcsReply", REQUIRED(
        P("id", STRING) "," P("sender", STRING) "," P("message", STRING) "," P("timestamp", TIME) ","
        P("context", ANY) "," P("aiUsed", BOOLEAN) "," P("originalMessage", STRING) ","
        P("usage", "{\"type\":[\"object\",\"null\"]}") "," P("error", STRING) "," P("conversationId", STRING),
        "\"id\",\"message\",\"timestamp\",\"aiUsed\"")) ","
    P("ConversationReply", REQUIRED(P("message", REF("Message")) "," P("conversation", REF("Conversation")),
        "\"message\",\"conversation\"")) ","
    P("ChatReply", "{\"oneOf\":[" REF("AimcsReply") "," REF("ConversationReply") "]}") ","
    P("Completion", REQUIRED(
        P("messages", ARRAY(ANY)) "," P("model", STRING) "," P("stream", BOOLEAN) "," P("max_tokens", NUMBER) ","
        P("temperature", "{\"type\":\"number\"}") "," P("tools", ARRAY(ANY)), "\"messages\""));

static const char voice_schemas[] =
    P("Binary", "{\"type\":\"string\",\"format\":\"binary\"}") ","
    P("Speech", REQUIRED(
        P("model", STRING) "," P("input", "{\"type\":\"string\",\"maxLength\":4096}") "," P("voice", STRING) ","
        P("response_format", ONE_OF_STRINGS("\"mp3\",\"opus\",\"aac\",\"flac\",\"wav\",\"pcm\"")) ","
        P("speed", "{\"type\":\"number\",\"minimum\":0.25,\"maximum\":4}") "," P("instructions", STRING) ","
        P("stream_format", ONE_OF_STRINGS("\"audio\",\"sse\"")), "\"model\",\"input\",\"voice\"")) ","
    P("Recording", REQUIRED(
        P("file", REF("Binary")) "," P("model", STRING) "," P("language", STRING) "," P("prompt", STRING) ","
        P("response_format", ONE_OF_STRINGS("\"json\",\"text\",\"srt\",\"verbose_json\",\"vtt\"")) ","
        P("stream", BOOLEAN), "\"file\",\"model\"")) ","
    P("Transcription", OBJECT(P("text", STRING) "," P("usage", ANY))) ","
    P("ClientSecretRequest", OBJECT(P("expires_after", ANY) "," P("session", ANY))) ","
    P("ClientSecret", OBJECT(P("value", STRING) "," P("expires_at", NUMBER) "," P("session", ANY))) ","
    P("SpokenText", REQUIRED(P("text", STRING) "," P("voice", STRING) ","
        P("speed", "{\"type\":\"number\"}"), "\"text\"")) ","
    P("SpokenReply", OBJECT(P("id", STRING) "," P("text", STRING) "," P("audioData", STRING) ","
        P("audioFormat", STRING) "," P("voice", STRING) "," P("speed", "{\"type\":\"number\"}") ","
        P("timestamp", TIME))) ","
    P("AudioUpload", REQUIRED(P("audioData", STRING) "," P("audioFormat", STRING) "," P("language", STRING),
        "\"audioData\"")) ","
    P("Heard", OBJECT(P("text", STRING) "," P("confidence", "{\"type\":\"number\"}") "," P("durationMs", NUMBER)));

static const char care_schemas[] =
    P("User", REQUIRED(P("_id", STRING) "," P("name", STRING) "," P("email", STRING) ","
        P("role", ONE_OF_STRINGS("\"user\",\"admin\"")) "," P("avatar", STRING) "," P("createdAt", TIME) ","
        P("updatedAt", TIME), "\"_id\",\"name\",\"email\",\"role\"")) ","
    P("Registration", REQUIRED(P("name", STRING) "," P("email", STRING) "," P("password", STRING),
        "\"name\",\"email\",\"password\"")) ","
    P("Login", REQUIRED(P("email", STRING) "," P("password", STRING), "\"email\",\"password\"")) ","
    P("Refresh", OBJECT(P("refreshToken", STRING) "," P("token", STRING))) ","
    P("Session", REQUIRED(P("token", STRING) "," P("refreshToken", STRING) "," P("user", REF("User")),
        "\"token\",\"user\"")) ","
    P("ProfileChange", OBJECT(P("name", STRING) "," P("email", STRING) "," P("password", STRING) ","
        P("currentPassword", STRING) "," P("avatar", STRING))) ","
    P("Picture", REQUIRED(P("avatar", REF("Binary")), "\"avatar\"")) ","
    P("CareAgentForm", "{\"type\":\"object\",\"description\":\"The first four are required, unless preset or company names "
        "a preset, which fills what is missing.\",\"properties\":{" P("name", STRING) "," P("companyName", STRING) "," P("personality", STRING) ","
        P("companyInfo", STRING) "," P("prompts", ARRAY(STRING)) "," P("preset", STRING) "," P("systemPrompt", STRING) ","
        P("responseStyle", ONE_OF_STRINGS("\"formal\",\"casual\",\"friendly\",\"professional\"")) ","
        P("maxTokens", NUMBER) "," P("temperature", "{\"type\":\"number\"}") "," P("voice", STRING) ","
        P("company", STRING) "," P("avatar", STRING) "}}") ","
    P("CareAgent", "{\"allOf\":[" REF("CareAgentForm") "," OBJECT(P("_id", STRING) "," P("id", STRING) "," P("userId", STRING) ","
        P("createdAt", TIME) "," P("updatedAt", TIME)) "]}") ","
    P("CarePresets", ARRAY(OBJECT(P("preset", STRING) "," P("name", STRING) "," P("companyName", STRING) ","
        P("personality", STRING) "," P("companyInfo", STRING) "," P("avatar", STRING)))) ","
    P("CareAgents", ARRAY(REF("CareAgent"))) ","
    P("CareAgentTest", OBJECT(P("message", STRING) "," P("agent", ANY) "," P("processingTime", NUMBER)));

static const char care_conversation_schemas[] =
    P("CareMessage", REQUIRED(P("_id", STRING) "," P("role", ONE_OF_STRINGS("\"user\",\"assistant\",\"system\"")) ","
        P("content", STRING) "," P("timestamp", TIME) "," P("audioUrl", STRING) "," P("status", STRING) ","
        P("clientMessageId", STRING) ","
        P("metadata", OBJECT(P("sentiment", STRING) "," P("intent", STRING) "," P("confidence", "{\"type\":\"number\"}"))),
        "\"_id\",\"role\",\"content\",\"timestamp\"")) ","
    P("CareMessages", ARRAY(REF("CareMessage"))) ","
    P("CareConversation", REQUIRED(P("_id", STRING) "," P("userId", STRING) "," P("agentId", STRING) ","
        P("title", STRING) "," P("status", ONE_OF_STRINGS("\"active\",\"completed\",\"archived\"")) ","
        P("priority", ONE_OF_STRINGS("\"high\",\"normal\"")) "," P("messages", REF("CareMessages")) ","
        P("metadata", OBJECT(P("created", TIME) "," P("updated", TIME) "," P("duration", NUMBER) ","
            P("sentiment", STRING) "," P("intents", ARRAY(STRING)))) ","
        P("analytics", OBJECT(P("duration", NUMBER) "," P("messageCount", NUMBER) "," P("sentiment", STRING) ","
            P("satisfaction", "{\"type\":\"number\"}"))), "\"_id\",\"title\",\"messages\",\"metadata\"")) ","
    P("CareSay", REQUIRED(P("content", STRING) "," P("role", STRING) "," P("clientMessageId", STRING), "\"content\"")) ","
    P("CareReply", "{\"allOf\":[" REF("CareMessage") "," OBJECT(P("title", STRING) "," P("conversationId", STRING) ","
        P("sentiment", STRING) "," P("priority", STRING) "," P("duplicate", BOOLEAN) ","
        P("userMessage", REF("CareMessage"))) "]}") ","
    P("CareRecording", REQUIRED(P("audio", REF("Binary")) "," P("transcript", STRING) "," P("language", STRING) ","
        P("clientMessageId", STRING), "\"audio\"")) ","
    P("CareAudio", OBJECT(P("audioUrl", STRING) "," P("transcript", STRING) "," P("message", REF("CareMessage")) ","
        P("userMessage", REF("CareMessage")) "," P("title", STRING) "," P("sentiment", STRING) ","
        P("priority", STRING) "," P("conversationId", STRING))) ","
    P("CareStats", OBJECT(P("totalCalls", NUMBER) "," P("averageDuration", NUMBER) ","
        P("lastActivity", "{\"type\":[\"string\",\"null\"]}") "," P("sentimentBreakdown", ANY) ","
        P("totalMessages", NUMBER) "," P("companiesInteractedWith", ARRAY(STRING)))) ","
    P("LiveKitJoin", REQUIRED(P("roomName", STRING) "," P("participantName", STRING) "," P("participantIdentity", STRING),
        "\"roomName\",\"participantName\",\"participantIdentity\"")) ","
    P("LiveKitAccess", OBJECT(P("participantToken", STRING) "," P("roomToken", STRING) "," P("wsUrl", STRING) ","
        P("roomName", STRING) "," P("token", STRING) "," P("url", STRING))) ","
    P("LiveKitRoom", OBJECT(P("roomName", STRING) "," P("name", STRING) "," P("emptyTimeout", NUMBER) ","
        P("maxParticipants", NUMBER))) ","
    P("LiveKitOpened", OBJECT(P("name", STRING) "," P("roomName", STRING) "," P("wsUrl", STRING) ","
        P("roomToken", STRING) "," P("token", STRING))) ","
    P("LiveKitRooms", ARRAY(OBJECT(P("sid", STRING) "," P("name", STRING) "," P("metadata", STRING) ","
        P("emptyTimeout", NUMBER) "," P("departureTimeout", NUMBER) "," P("maxParticipants", NUMBER) ","
        P("creationTime", NUMBER) "," P("numParticipants", NUMBER) "," P("numPublishers", NUMBER) ","
        P("activeRecording", BOOLEAN))));
/* clang-format on */

const char *const openapi_schemas[] = {chat_schemas, voice_schemas, care_schemas, care_conversation_schemas, NULL};
