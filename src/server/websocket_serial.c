#include "server/websocket_impl.h"

#include "loop/serial.h"

typedef void handler(struct websocket *ws, struct arena *arena, struct str data);

static void ref(void *ws)
{
    websocket_ref(ws);
}

static void unref(void *ws)
{
    websocket_unref(ws);
}

static void hold(void *ws, bool pause)
{
    websocket_hold(ws, WS_PAUSE_SERIAL, pause);
}

static const char *log_id(void *ws)
{
    return websocket_id(ws);
}

static const struct serial_ops ops = {
    .name = "websocket_message", .ref = ref, .unref = unref, .pause = hold, .log_id = log_id};

/* In front of the message lies who handles it. */
static void handle_message(void *ws, struct arena *arena, struct str data)
{
    handler *handle;
    memcpy(&handle, data.p, sizeof handle);
    handle(ws, arena, str_from(data, sizeof handle));
}

void websocket_serial(struct websocket *ws, struct str data,
                      void (*handle)(struct websocket *ws, struct arena *arena, struct str data))
{
    const struct str parts[] = {str_n(&handle, sizeof handle), data};
    if (ws->state == WS_STATE_OPEN && !serial_post_parts(&ws->serial, &ops, ws, parts, COUNT(parts), handle_message))
        websocket_close(ws, WS_TRY_LATER, str_c(err_text(ERR_OVERLOADED)));
}
