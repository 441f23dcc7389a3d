#include "server/websocket_impl.h"

#include "base/log.h"
#include "base/mem.h"
#include "loop/task.h"

#include <stdlib.h>

#define WAITING_MAX   64     /* messages: reading pauses above it */
#define WAITING_BYTES MIB(4) /* likewise */

/* One waiting message; released with the arena it is handled in. */
struct mail {
    struct mail *next;
    void (*handle)(struct websocket *ws, struct arena *arena, struct str data);
    size_t n;
    char data[]; /* and a NUL behind it */
};

/* Exists while the task does. */
struct ws_serial {
    struct websocket *ws;
    struct task *task;
    struct mail *first, **end;
    size_t count, bytes;
};

static void push(struct ws_serial *serial, struct mail *mail)
{
    *serial->end = mail;
    serial->end = &mail->next;
    serial->count++;
    serial->bytes += mail->n;
}

static struct mail *pop(struct ws_serial *serial)
{
    struct mail *mail = serial->first;
    if (!mail)
        return NULL;
    serial->first = mail->next;
    if (!serial->first)
        serial->end = &serial->first;
    serial->count--;
    serial->bytes -= mail->n;
    return mail;
}

static bool is_full(const struct ws_serial *serial)
{
    return serial->count > WAITING_MAX || serial->bytes > WAITING_BYTES;
}

static void run(void *arg)
{
    struct ws_serial *serial = arg;
    struct websocket *ws = serial->ws;
    serial->task = task_self();
    for (struct mail *mail; (mail = pop(serial));) {
        struct arena *arena = arena_new("websocket_message");
        arena_own(arena, mail, free);
        log_request_id = websocket_id(ws);
        mail->handle(ws, arena, str_n(mail->data, mail->n));
        arena_free(arena);
        if (serial->count <= WAITING_MAX / 2 && serial->bytes <= WAITING_BYTES / 2)
            websocket_hold(ws, WS_PAUSE_SERIAL, false);
    }
    log_request_id = NULL;
    if (ws->serial == serial)
        ws->serial = NULL;
    free(serial);
    websocket_unref(ws);
}

static struct ws_serial *new_serial(struct websocket *ws)
{
    struct ws_serial *serial = mem_zalloc(sizeof *serial);
    serial->ws = websocket_ref(ws);
    serial->end = &serial->first;
    return serial;
}

void websocket_serial(struct websocket *ws, struct str data,
                      void (*handle)(struct websocket *ws, struct arena *arena, struct str data))
{
    if (ws->state != WS_STATE_OPEN)
        return;
    if (!ws->serial && !task_room()) {
        websocket_close(ws, WS_TRY_LATER, str_c(err_text(ERR_OVERLOADED)));
        return;
    }
    struct mail *mail = mem_alloc(sizeof *mail + data.n + 1);
    *mail = (struct mail){.handle = handle, .n = data.n};
    if (data.n)
        memcpy(mail->data, data.p, data.n);
    mail->data[data.n] = 0;
    if (ws->serial) {
        push(ws->serial, mail);
        if (is_full(ws->serial))
            websocket_hold(ws, WS_PAUSE_SERIAL, true);
        return;
    }
    ws->serial = new_serial(ws);
    push(ws->serial, mail);
    task_spawn("websocket_message", run, ws->serial);
}

/* The task frees the record when its handler returns; until then it only finds an empty queue. A handler that closes
 * its own socket is cancelled too: its next wait fails. */
void websocket_serial_stop(struct websocket *ws)
{
    struct ws_serial *serial = ws->serial;
    if (!serial)
        return;
    ws->serial = NULL;
    for (struct mail *mail; (mail = pop(serial));)
        free(mail);
    task_cancel(serial->task);
}
