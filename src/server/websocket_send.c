#include "server/websocket_impl.h"

#define IN_PLACE_MAX KIB(4) /* what conn_reserve gives */
#define COPY_MAX     KIB(1) /* shared frames up to this size are cheaper to copy than to refer to */

void websocket_flush(struct websocket *ws)
{
    if (ws->hc)
        conn_flush(ws_conn(ws));
}

size_t websocket_queued(const struct websocket *ws)
{
    return ws->hc ? conn_queued(&ws->hc->conn) : 0;
}

/* The slow-consumer policy: whether one more message may be queued, or the next fragment of one. */
static bool has_room(struct websocket *ws, bool may_drop)
{
    if (LIKELY(websocket_queued(ws) <= LIMIT_WS_QUEUE))
        return true;
    if (may_drop && ws->hc->sl->config.slow_consumer_drops) {
        metric_inc(ws_metrics()->dropped);
        return false;
    }
    metric_inc(ws_metrics()->slow);
    websocket_close(ws, WS_TRY_LATER, STR("Slow consumer"));
    return false;
}

static size_t size_of(const struct str *parts, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += parts[i].n;
    return sum;
}

struct frame {
    enum ws_opcode opcode;
    bool fin, compressed;
};

static void queue_frame(struct conn *c, struct frame f, const struct str *parts, size_t n)
{
    size_t size = size_of(parts, n);
    if (size <= IN_PLACE_MAX - WS_HEADER_MAX) {
        uint8_t *to = (uint8_t *)conn_reserve(c, WS_HEADER_MAX + size);
        size_t used = ws_header(to, f.opcode, f.fin, f.compressed, size, NULL);
        for (size_t i = 0; i < n; used += parts[i++].n)
            if (parts[i].n)
                memcpy(to + used, parts[i].p, parts[i].n);
        conn_commit(c, used);
        return;
    }
    uint8_t header[WS_HEADER_MAX];
    conn_write(c, str_n(header, ws_header(header, f.opcode, f.fin, f.compressed, size, NULL)));
    for (size_t i = 0; i < n; i++)
        conn_write(c, parts[i]);
}

static void queue_compressed(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    struct buf out = BUF_INIT(data.n + data.n / 64 + KIB(1)); /* more than deflate ever adds */
    if (ws_deflate_message(ws->reader.deflate, data, &out) == 0)
        queue_frame(ws_conn(ws), (struct frame){opcode, true, true}, &(struct str){out.data, out.len}, 1);
    else
        websocket_close(ws, WS_INTERNAL, STR("Compression failed"));
    buf_free(&out);
}

/* The compressor wants it in one piece. */
static void queue_joined(struct websocket *ws, enum ws_opcode opcode, const struct str *parts, size_t n, size_t size)
{
    if (n == 1) {
        queue_compressed(ws, opcode, parts[0]);
        return;
    }
    struct buf whole = BUF_INIT(size);
    for (size_t i = 0; i < n; i++)
        buf_str_add(&whole, parts[i]);
    queue_compressed(ws, opcode, buf_str(&whole));
    buf_free(&whole);
}

static void count_out(size_t n)
{
    metric_inc(ws_metrics()->messages_out);
    metric_add(ws_metrics()->bytes_out, (int64_t)n);
}

int websocket_send_parts(struct websocket *ws, enum ws_opcode opcode, const struct str *parts, size_t n)
{
    bool message = opcode == WS_TEXT || opcode == WS_BINARY;
    if (ws->state != WS_STATE_OPEN || (message && ws->in_message) || !has_room(ws, true))
        return -1;
    size_t size = size_of(parts, n);
    if (message)
        count_out(size);
    if (message && ws->reader.deflate && size >= WS_COMPRESS_MIN)
        queue_joined(ws, opcode, parts, n, size);
    else
        queue_frame(ws_conn(ws), (struct frame){opcode, true, false}, parts, n);
    return websocket_is_open(ws) ? 0 : -1;
}

int websocket_send(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    return websocket_send_parts(ws, opcode, &data, 1);
}

int websocket_send_fragment(struct websocket *ws, enum ws_opcode opcode, bool fin, struct str data)
{
    bool fits = opcode <= WS_BINARY && (opcode == WS_CONTINUATION) == ws->in_message;
    if (ws->state != WS_STATE_OPEN || !fits || !has_room(ws, false))
        return -1;
    ws->in_message = !fin;
    if (fin)
        metric_inc(ws_metrics()->messages_out);
    metric_add(ws_metrics()->bytes_out, (int64_t)data.n);
    queue_frame(ws_conn(ws), (struct frame){opcode, fin, false}, &data, 1);
    return 0;
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
struct str websocket_payload(const struct blob *frame)
{
    unsigned length = (unsigned char)frame->data[1];
    return str_from(blob_str(frame), length == 127 ? 10 : length == 126 ? 4 : 2);
}

int websocket_send_frame(struct websocket *ws, struct blob *frame)
{
    struct str payload = websocket_payload(frame);
    if (ws->state == WS_STATE_OPEN && ws->reader.deflate && payload.n >= WS_COMPRESS_MIN)
        return websocket_send(ws, (enum ws_opcode)(frame->data[0] & 0x0F), payload);
    if (ws->state != WS_STATE_OPEN || ws->in_message || !has_room(ws, true))
        return -1;
    count_out(payload.n);
    if (frame->n <= COPY_MAX)
        conn_write(ws_conn(ws), blob_str(frame));
    else
        conn_write_blob(ws_conn(ws), frame);
    return 0;
}
