#include "server/websocket_impl.h"

#define IN_PLACE_MAX KIB(4) /* what conn_reserve gives */
#define COPY_MAX     KIB(1) /* shared frames up to this size are cheaper to copy than to refer to */

size_t websocket_queued(const struct websocket *ws)
{
    return ws->hc ? conn_queued(&ws->hc->conn) : 0;
}

/* The slow-consumer policy: whether one more message may be queued. */
static bool has_room(struct websocket *ws)
{
    if (LIKELY(websocket_queued(ws) <= LIMIT_WS_QUEUE))
        return true;
    if (ws->hc->sl->config.slow_consumer_drops) {
        metric_inc(ws_metrics()->dropped);
        return false;
    }
    metric_inc(ws_metrics()->slow);
    websocket_close(ws, WS_TRY_LATER, STR("Slow consumer"));
    return false;
}

static void queue_frame(struct conn *c, enum ws_opcode opcode, bool compressed, struct str payload)
{
    if (payload.n <= IN_PLACE_MAX - WS_HEADER_MAX) {
        uint8_t *to = (uint8_t *)conn_reserve(c, WS_HEADER_MAX + payload.n);
        size_t header = ws_header(to, opcode, true, compressed, payload.n, NULL);
        if (payload.n)
            memcpy(to + header, payload.p, payload.n);
        conn_commit(c, header + payload.n);
        return;
    }
    uint8_t header[WS_HEADER_MAX];
    conn_write(c, str_n(header, ws_header(header, opcode, true, compressed, payload.n, NULL)));
    conn_write(c, payload);
}

static void queue_compressed(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    struct buf out = BUF_INIT(data.n + data.n / 64 + KIB(1)); /* more than deflate ever adds */
    if (ws_deflate_message(ws->reader.deflate, data, &out) == 0)
        queue_frame(ws_conn(ws), opcode, true, buf_str(&out));
    else
        websocket_close(ws, WS_INTERNAL, STR("Compression failed"));
    buf_free(&out);
}

static void count_out(size_t n)
{
    metric_inc(ws_metrics()->messages_out);
    metric_add(ws_metrics()->bytes_out, (int64_t)n);
}

int websocket_send(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    if (ws->state != WS_STATE_OPEN || !has_room(ws))
        return -1;
    bool message = opcode == WS_TEXT || opcode == WS_BINARY;
    if (message)
        count_out(data.n);
    if (message && ws->reader.deflate && data.n >= WS_COMPRESS_MIN)
        queue_compressed(ws, opcode, data);
    else
        queue_frame(ws_conn(ws), opcode, false, data);
    return websocket_is_open(ws) ? 0 : -1;
}

struct blob *websocket_encode(enum ws_opcode opcode, struct str data)
{
    uint8_t header[WS_HEADER_MAX];
    size_t n = ws_header(header, opcode, true, false, data.n, NULL);
    struct blob *frame = blob_alloc(n + data.n);
    memcpy(frame->data, header, n);
    if (data.n)
        memcpy(frame->data + n, data.p, data.n);
    return frame;
}

/* The payload of a frame made by websocket_encode: no mask, so the length alone says how long the header is. */
static struct str payload_of(const struct blob *frame)
{
    unsigned length = (unsigned char)frame->data[1];
    return str_from(blob_str(frame), length == 127 ? 10 : length == 126 ? 4 : 2);
}

int websocket_send_frame(struct websocket *ws, struct blob *frame)
{
    struct str payload = payload_of(frame);
    if (ws->state == WS_STATE_OPEN && ws->reader.deflate && payload.n >= WS_COMPRESS_MIN)
        return websocket_send(ws, (enum ws_opcode)(frame->data[0] & 0x0F), payload);
    if (ws->state != WS_STATE_OPEN || !has_room(ws))
        return -1;
    count_out(payload.n);
    if (frame->n <= COPY_MAX)
        conn_write(ws_conn(ws), blob_str(frame));
    else
        conn_write_blob(ws_conn(ws), frame);
    return 0;
}
