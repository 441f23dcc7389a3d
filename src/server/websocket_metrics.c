#include "server/websocket_impl.h"

enum close_class { CLOSE_NORMAL, CLOSE_ERROR, CLOSE_LOST, CLOSE_TRY_LATER, CLOSE_OTHER, CLOSE_CLASSES };

static struct ws_metrics metrics;
static struct metric *closes[CLOSE_CLASSES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void)
{
    static const char messages[] = "parley_websocket_messages_total", bytes[] = "parley_websocket_bytes_total";
    static const char messages_help[] = "WebSocket messages", bytes_help[] = "Payload bytes of WebSocket messages";
    static const char *const labels[CLOSE_CLASSES] = {
        [CLOSE_NORMAL] = "class=\"normal\"",     [CLOSE_ERROR] = "class=\"protocol\"",
        [CLOSE_LOST] = "class=\"lost\"",         [CLOSE_TRY_LATER] = "class=\"overload\"",
        [CLOSE_OTHER] = "class=\"application\"",
    };
    metrics = (struct ws_metrics){
        .messages_in = metric_counter(messages, messages_help, "direction=\"in\""),
        .messages_out = metric_counter(messages, messages_help, "direction=\"out\""),
        .bytes_in = metric_counter(bytes, bytes_help, "direction=\"in\""),
        .bytes_out = metric_counter(bytes, bytes_help, "direction=\"out\""),
        .slow = metric_counter("parley_websocket_slow_consumers_total",
                               "WebSockets closed because they read too slowly", NULL),
        .dropped = metric_counter("parley_websocket_dropped_total",
                                  "Messages dropped because a WebSocket reads too slowly", NULL),
    };
    for (size_t i = 0; i < CLOSE_CLASSES; i++)
        closes[i] = metric_counter("parley_websocket_closes_total", "WebSockets closed, by how it began", labels[i]);
}

const struct ws_metrics *ws_metrics(void)
{
    pthread_once(&once, make);
    return &metrics;
}

static enum close_class class_of(uint16_t code)
{
    switch (code) {
    case WS_NORMAL:
    case WS_GOING_AWAY:
    case WS_NO_STATUS:
        return CLOSE_NORMAL;
    case WS_PROTOCOL_ERROR:
    case WS_UNSUPPORTED:
    case WS_BAD_DATA:
    case WS_TOO_BIG:
        return CLOSE_ERROR;
    case WS_ABNORMAL:
        return CLOSE_LOST;
    case WS_RESTART:
    case WS_TRY_LATER:
        return CLOSE_TRY_LATER;
    default:
        return CLOSE_OTHER;
    }
}

void ws_count_close(uint16_t code)
{
    ws_metrics();
    metric_inc(closes[class_of(code)]);
}
