#include "server/engineio_impl.h"

#include "base/mem.h"

#include <stdlib.h>

#define SEPARATOR '\x1e' /* of packets in a payload: a message with it cannot be polled in protocol 4 */

/* ---- Frames: text encoded for a WebSocket; pollers get its payload ---- */

struct blob *eio_frame(const struct str *parts, size_t n)
{
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        size += parts[i].n;
    struct buf text = BUF_INIT(size);
    buf_byte(&text, '0' + EIO_MESSAGE);
    for (size_t i = 0; i < n; i++)
        buf_str_add(&text, parts[i]);
    struct blob *frame = websocket_encode(WS_TEXT, buf_str(&text));
    buf_free(&text);
    return frame;
}

struct str eio_frame_text(const struct blob *frame)
{
    return str_from(websocket_payload(frame), 1);
}

/* ---- What waits ---- */

static size_t item_size(const struct blob *blob)
{
    return EIO_ITEM_COST + (blob ? blob->n : 0);
}

void eio_queue(struct eio_session *s, enum eio_type type, bool binary, struct blob *blob)
{
    if (s->nitems == s->items_cap) {
        s->items_cap = s->items_cap ? s->items_cap * 2 : 4;
        s->items = mem_realloc(s->items, s->items_cap * sizeof *s->items);
    }
    s->items[s->nitems++] = (struct eio_item){blob ? blob_ref(blob) : NULL, type, binary};
    s->queued += item_size(blob);
    if (s->poll)
        eio_make_due(s);
}

void eio_drop_queue(struct eio_session *s)
{
    for (uint32_t i = 0; i < s->nitems; i++)
        blob_unref(s->items[i].blob);
    free(s->items);
    s->items = NULL;
    s->nitems = s->items_cap = 0;
    s->queued = 0;
}

struct eio_packet eio_item_packet(const struct eio_item *item)
{
    struct eio_packet packet = {.type = item->type, .binary = item->binary, .data = STR("")};
    if (item->blob)
        packet.data = item->binary ? blob_str(item->blob) : eio_frame_text(item->blob);
    return packet;
}

static void flush_item(struct eio_session *s, const struct eio_item *item)
{
    if (!item->blob)
        eio_send_control(s, item->type);
    else if (item->binary)
        eio_socket_binary(s, blob_str(item->blob));
    else
        websocket_send_frame(s->ws, item->blob);
}

void eio_flush(struct eio_session *s)
{
    for (uint32_t i = 0; i < s->nitems && s->ws; i++)
        flush_item(s, &s->items[i]);
    eio_drop_queue(s);
}

/* ---- Keeping up ---- */

static size_t backlog(const struct eio_session *s)
{
    return s->queued + (s->ws ? websocket_queued(s->ws) : 0);
}

bool eio_has_room(struct eio_session *s)
{
    if (s->state != EIO_RUNNING)
        return false;
    if (LIKELY(backlog(s) <= LIMIT_WS_QUEUE))
        return true;
    if (s->shard->sl->config.slow_consumer_drops)
        metric_inc(eio_metrics()->dropped);
    else
        eio_close(s, EIO_SLOW);
    return false;
}

/* The same mark that a connection has: it says so when it falls below. */
bool eio_writable(const struct eio_session *s)
{
    return s->state == EIO_RUNNING && !s->opening && backlog(s) <= CONN_HIGH_MARK;
}

void eio_check_drained(struct eio_session *s)
{
    if (!s->full || !eio_writable(s))
        return;
    s->full = false;
    if (s->shard->server->ops->on_drained)
        s->shard->server->ops->on_drained(s);
}

/* ---- Sending ---- */

/* The WebSocket takes packets as they come. */
static bool is_direct(const struct eio_session *s)
{
    return s->ws && !s->opening;
}

void eio_send_control(struct eio_session *s, enum eio_type type)
{
    char digit = (char)('0' + (int)type);
    if (is_direct(s))
        websocket_send(s->ws, WS_TEXT, str_n(&digit, 1));
    else
        eio_queue(s, type, false, NULL);
}

static int sent(struct eio_session *s, int result)
{
    s->sent += result == 0;
    s->full |= !eio_writable(s);
    return result;
}

static bool can_be_polled(const struct eio_session *s, struct str text)
{
    return s->version != EIO_V4 || str_find_char(text, SEPARATOR) < 0;
}

static int queue_frame(struct eio_session *s, struct blob *frame)
{
    if (!s->socket && !can_be_polled(s, eio_frame_text(frame)))
        return -1;
    eio_queue(s, EIO_MESSAGE, false, frame);
    return 0;
}

int eio_send_frame(struct eio_session *s, struct blob *frame)
{
    if (!eio_has_room(s))
        return -1;
    return sent(s, is_direct(s) ? websocket_send_frame(s->ws, frame) : queue_frame(s, frame));
}

static int send_parts(struct eio_session *s, const struct str *parts, size_t n)
{
    struct str all[EIO_PARTS + 1] = {STR("4")};
    for (size_t i = 0; i < n; i++)
        all[i + 1] = parts[i];
    return websocket_send_parts(s->ws, WS_TEXT, all, n + 1);
}

int eio_send_text(struct eio_session *s, const struct str *parts, size_t n)
{
    if (n > EIO_PARTS)
        die("eio_send_text: %zu parts", n);
    if (!eio_has_room(s))
        return -1;
    if (is_direct(s))
        return sent(s, send_parts(s, parts, n));
    struct blob *frame = eio_frame(parts, n);
    int result = queue_frame(s, frame);
    blob_unref(frame);
    return sent(s, result);
}

int eio_send_binary(struct eio_session *s, struct blob *data)
{
    if (!eio_has_room(s))
        return -1;
    if (is_direct(s))
        return sent(s, eio_socket_binary(s, blob_str(data)));
    eio_queue(s, EIO_MESSAGE, true, data);
    return sent(s, 0);
}

uint64_t eio_sent(const struct eio_session *s)
{
    return s->sent;
}
