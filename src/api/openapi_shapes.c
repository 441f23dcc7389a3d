#include "api/openapi_shapes.h"

static const struct openapi_shape shapes[] = {
    {HTTP_POST, "/api/chat", "ChatRequest", "ChatReply", NULL, NULL},
    {HTTP_POST, "/aimcs/api/chat", "ChatRequest", "AimcsReply", NULL, NULL},
    {HTTP_POST, "/conversations/api/chat", "ChatRequest", "ConversationReply", NULL, NULL},
    {HTTP_GET, "/api/conversations", NULL, "Conversations", NULL, NULL},
    {HTTP_POST, "/api/conversations", "Title", "Conversation", "201", NULL},
    {HTTP_GET, "/api/conversations/:id", NULL, "Conversation", NULL, NULL},
    {HTTP_PUT, "/api/conversations/:id", "Title", "Conversation", NULL, NULL},
    {HTTP_DELETE, "/api/conversations/:id", NULL, "Text", NULL, NULL},
    {HTTP_POST, "/api/conversations/:id/cancel", NULL, "Cancelled", NULL, NULL},
    {HTTP_GET, "/api/conversations/:id/events", NULL, "EventStream", NULL, "text/event-stream"},
    {HTTP_POST, "/v1/chat/completions", "Completion", "Any", NULL, NULL},
    {HTTP_GET, "/v1/models", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/v1/models/:model", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/health", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/health/live", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/health/ready", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/api/health", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/api/status", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/", NULL, "Text", NULL, NULL},
    {HTTP_GET, "/metrics", NULL, "EventStream", NULL, "text/plain"},
    {HTTP_GET, "/api/chat/agents", NULL, "Agents", NULL, NULL},
    {HTTP_GET, "/api/validation/stats", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/api/validation/logs", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/api/validation/logs/:agent", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/api/validation/failed", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/api/validation/summary", NULL, "Any", NULL, NULL},
    {HTTP_POST, "/api/validation/clear", NULL, "Text", NULL, NULL},
    {HTTP_GET, "/socket.io/", NULL, "EventStream", NULL, "text/plain"},
    {HTTP_POST, "/socket.io/", NULL, "EventStream", NULL, "text/html"},
    {HTTP_GET, "/api/socket.io/", NULL, "EventStream", NULL, "text/plain"},
    {HTTP_POST, "/api/socket.io/", NULL, "EventStream", NULL, "text/html"},
    {HTTP_GET, "/socket.io/socket.io.js", NULL, "EventStream", NULL, "application/javascript"},
    {HTTP_GET, "/socket.io/socket.io.min.js", NULL, "EventStream", NULL, "application/javascript"},
    {HTTP_GET, "/socket.io/socket.io.esm.min.js", NULL, "EventStream", NULL, "application/javascript"},
    {HTTP_GET, "/socket.io/socket.io.msgpack.min.js", NULL, "EventStream", NULL, "application/javascript"},
    {HTTP_GET, "/socket.io/socket.io.js.map", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/socket.io/socket.io.min.js.map", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/socket.io/socket.io.esm.min.js.map", NULL, "Any", NULL, NULL},
    {HTTP_GET, "/socket.io/socket.io.msgpack.min.js.map", NULL, "Any", NULL, NULL},
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
const char openapi_schemas[] = "{"
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
        P("temperature", "{\"type\":\"number\"}") "," P("tools", ARRAY(ANY)), "\"messages\""))
    "}";
/* clang-format on */
