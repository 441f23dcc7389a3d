#include "wire/ws_impl.h"

/* Room for what deflate adds to data it cannot shrink. */
#define DEFLATE_SLACK(n) ((n) / 512 + 64)

/* A frame header as it stands on the wire. */
struct header {
    uint8_t opcode, flags; /* flags: FIN and RSV bits */
    bool masked;
    uint8_t key[4];
    uint64_t length;
    size_t size;
};

void ws_reader_init(struct ws_reader *r, bool server, size_t max_message)
{
    *r = (struct ws_reader){.max_message = max_message, .expect_masked = server};
    buf_init(&r->message, max_message);
}

void ws_reader_free(struct ws_reader *r)
{
    buf_free(&r->message);
}

static int fail(struct ws_reader *r, uint16_t code, struct err *e, const char *why)
{
    r->error = code;
    return err_set(e, ERR_INVALID_REQUEST, "WebSocket: %s", why);
}

/* 1 when the header is there whole, 0 when not, -1 when its length field is wrong. */
static int read_header(struct header *h, struct str in)
{
    const uint8_t *p = (const uint8_t *)in.p;
    if (in.n < 2)
        return 0;
    unsigned length = p[1] & 0x7F, bytes = length == 127 ? 8 : length == 126 ? 2 : 0;
    h->opcode = p[0] & 0x0F;
    h->flags = p[0] & 0xF0;
    h->masked = p[1] & WS_MASKED;
    h->size = 2 + bytes + (h->masked ? 4 : 0);
    if (in.n < h->size)
        return 0;
    h->length = bytes ? 0 : length;
    for (unsigned i = 0; i < bytes; i++)
        h->length = h->length << 8 | p[2 + i];
    if (h->masked)
        memcpy(h->key, p + 2 + bytes, 4);
    bool shortest = bytes == 0 || (bytes == 2 ? h->length > 125 : h->length > 0xFFFF);
    return shortest && h->length >> 63 == 0 ? 1 : -1;
}

/* Rules that need only the first two bytes, so that a wrong frame is refused before the rest of it arrives. */
static int check_start(struct ws_reader *r, struct str in, struct err *e)
{
    uint8_t first = (uint8_t)in.p[0];
    uint8_t opcode = first & 0x0F;
    if (first & (WS_RSV & ~WS_RSV1) || (first & WS_RSV1 && !(r->deflate && (opcode == WS_TEXT || opcode == WS_BINARY))))
        return fail(r, WS_PROTOCOL_ERROR, e, "a reserved bit is set");
    if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
        return fail(r, WS_PROTOCOL_ERROR, e, "unknown opcode");
    if (opcode == WS_CONTINUATION && !r->opcode)
        return fail(r, WS_PROTOCOL_ERROR, e, "a continuation without a message");
    if ((opcode == WS_TEXT || opcode == WS_BINARY) && r->opcode)
        return fail(r, WS_PROTOCOL_ERROR, e, "a new message inside a fragmented one");
    if (opcode >= WS_CLOSE && !(first & WS_FIN))
        return fail(r, WS_PROTOCOL_ERROR, e, "a fragmented control frame");
    if (in.n < 2)
        return 0;
    uint8_t second = (uint8_t)in.p[1];
    if (opcode >= WS_CLOSE && (second & 0x7F) > WS_CONTROL_MAX)
        return fail(r, WS_PROTOCOL_ERROR, e, "a control frame longer than 125 bytes");
    if (!!(second & WS_MASKED) != r->expect_masked)
        return fail(r, WS_PROTOCOL_ERROR, e, r->expect_masked ? "a frame without mask" : "a masked frame");
    return 0;
}

static int close_event(struct ws_reader *r, struct str payload, struct ws_event *event, struct err *e)
{
    event->close_code = WS_NO_STATUS;
    if (payload.n == 0)
        return 1;
    if (payload.n == 1)
        return fail(r, WS_PROTOCOL_ERROR, e, "a close frame of one byte");
    uint16_t code = (uint16_t)((uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1]);
    event->data = str_from(payload, 2);
    event->close_code = code;
    if (!ws_close_code_ok(code))
        return fail(r, WS_PROTOCOL_ERROR, e, "a close code that must not be sent");
    if (!utf8_valid(event->data))
        return fail(r, WS_BAD_DATA, e, "the close reason is not UTF-8");
    return 1;
}

static int control_frame(struct ws_reader *r, const struct header *h, struct str *in, struct ws_event *event,
                         struct err *e)
{
    if (in->n - h->size < h->length)
        return 0;
    struct str payload = {in->p + h->size, (size_t)h->length};
    if (h->masked)
        ws_mask((uint8_t *)payload.p, payload.n, h->key, 0);
    *in = str_from(*in, h->size + payload.n);
    *event = (struct ws_event){.opcode = (enum ws_opcode)h->opcode, .fin = true, .data = payload};
    return h->opcode == WS_CLOSE ? close_event(r, payload, event, e) : 1;
}

/* A message of one uncompressed frame that lies whole in the input. */
static int whole_message(struct ws_reader *r, const struct header *h, struct str *in, struct ws_event *event,
                         struct err *e)
{
    struct str payload = {in->p + h->size, (size_t)h->length};
    if (h->masked)
        ws_mask((uint8_t *)payload.p, payload.n, h->key, 0);
    if (h->opcode == WS_TEXT && !utf8_valid(payload))
        return fail(r, WS_BAD_DATA, e, "text is not UTF-8");
    *in = str_from(*in, h->size + payload.n);
    *event = (struct ws_event){.opcode = (enum ws_opcode)h->opcode, .fin = true, .data = payload};
    return 1;
}

static int begin_frame(struct ws_reader *r, const struct header *h, struct str *in, struct err *e)
{
    if (h->opcode != WS_CONTINUATION) {
        r->opcode = h->opcode;
        r->compressed = h->flags & WS_RSV1;
        r->utf8 = (struct utf8_check){0};
        r->message.max = r->max_message + (r->compressed ? DEFLATE_SLACK(r->max_message) : 0);
    }
    if (h->length > r->message.max - r->message.len)
        return fail(r, WS_TOO_BIG, e, "the message is too large");
    r->in_frame = true;
    r->fin = h->flags & WS_FIN;
    r->frame_left = h->length;
    memset(r->key, 0, sizeof r->key);
    if (h->masked)
        memcpy(r->key, h->key, sizeof r->key);
    *in = str_from(*in, h->size);
    return 0;
}

/* Takes what is there of the frame under way off *in, unmasked. */
static int take_payload(struct ws_reader *r, struct str *in, struct str *piece, struct err *e)
{
    *piece = (struct str){in->p, (size_t)MIN((uint64_t)in->n, r->frame_left)};
    if (piece->n == 0)
        return 0;
    if (r->expect_masked) {
        ws_mask((uint8_t *)piece->p, piece->n, r->key, 0);
        uint8_t turned[4];
        for (size_t i = 0; i < 4; i++)
            turned[i] = r->key[(i + piece->n) & 3];
        memcpy(r->key, turned, sizeof turned);
    }
    if (r->opcode == WS_TEXT && !r->compressed && !utf8_feed(&r->utf8, *piece))
        return fail(r, WS_BAD_DATA, e, "text is not UTF-8");
    r->frame_left -= piece->n;
    *in = str_from(*in, piece->n);
    return 0;
}

static int decompress(struct ws_reader *r, struct err *e)
{
    struct buf plain = BUF_INIT(r->max_message);
    uint16_t code = ws_inflate_message(r->deflate, buf_str(&r->message), &plain);
    buf_free(&r->message);
    r->message = plain;
    if (code)
        return fail(r, code, e, code == WS_TOO_BIG ? "the message is too large" : "the message cannot be decompressed");
    if (r->opcode == WS_TEXT && !utf8_valid(buf_str(&r->message)))
        return fail(r, WS_BAD_DATA, e, "text is not UTF-8");
    return 0;
}

static int check_text_end(struct ws_reader *r, struct err *e)
{
    if (!r->compressed && r->opcode == WS_TEXT && !utf8_complete(&r->utf8))
        return fail(r, WS_BAD_DATA, e, "text ends inside a character");
    return 0;
}

static int finish_message(struct ws_reader *r, struct ws_event *event, struct err *e)
{
    if ((r->compressed && decompress(r, e) < 0) || check_text_end(r, e) < 0)
        return -1;
    *event = (struct ws_event){.opcode = (enum ws_opcode)r->opcode, .fin = true, .data = buf_str(&r->message)};
    r->opcode = 0;
    r->delivered = true;
    return 1;
}

/* At a frame boundary: 1 and *h, or for a control frame *event; 0 when more is needed; -1. */
static int next_header(struct ws_reader *r, struct header *h, struct str *in, struct ws_event *event, struct err *e)
{
    if (in->n == 0)
        return 0;
    if (check_start(r, *in, e) < 0)
        return -1;
    int got = read_header(h, *in);
    if (got < 0)
        return fail(r, WS_PROTOCOL_ERROR, e, "a frame length in the wrong form");
    return got == 1 && h->opcode >= WS_CLOSE ? control_frame(r, h, in, event, e) : got;
}

/* As next_header; 2 when a data frame has begun, of which the payload is to be taken. */
static int next_frame(struct ws_reader *r, struct str *in, struct ws_event *event, struct err *e)
{
    struct header h;
    int got = next_header(r, &h, in, event, e);
    if (got != 1 || h.opcode >= WS_CLOSE)
        return got;
    bool whole = h.opcode != WS_CONTINUATION && (h.flags & ~WS_RSV) == WS_FIN && !(h.flags & WS_RSV1);
    if (whole && h.length <= r->max_message && h.length <= in->n - h.size)
        return whole_message(r, &h, in, event, e);
    return begin_frame(r, &h, in, e) < 0 ? -1 : 2;
}

int ws_next(struct ws_reader *r, struct str *in, struct ws_event *event, struct err *e)
{
    if (r->delivered) {
        buf_free(&r->message);
        r->delivered = false;
    }
    for (;;) {
        if (!r->in_frame) {
            int got = next_frame(r, in, event, e);
            if (got != 2)
                return got;
        }
        struct str piece;
        if (take_payload(r, in, &piece, e) < 0)
            return -1;
        buf_str_add(&r->message, piece);
        if (r->frame_left)
            return 0;
        r->in_frame = false;
        if (r->fin)
            return finish_message(r, event, e);
    }
}

/* ---- Frames as they come ---- */

/* As next_frame; a short data frame is waited for until it is there whole. */
static int next_passing(struct ws_reader *r, struct str *in, struct ws_event *event, struct err *e)
{
    struct header h;
    int got = next_header(r, &h, in, event, e);
    if (got != 1 || h.opcode >= WS_CLOSE)
        return got;
    if (h.length <= WS_FRAME_WHOLE && h.length > in->n - h.size)
        return 0;
    if (begin_frame(r, &h, in, e) < 0)
        return -1;
    /* Nothing is collected: here the ceiling is what the message may still grow by. */
    r->message.max -= (size_t)h.length;
    return 2;
}

int ws_next_frame(struct ws_reader *r, struct str *in, struct ws_event *event, struct err *e)
{
    if (!r->in_frame) {
        int got = next_passing(r, in, event, e);
        if (got != 2)
            return got;
    }
    struct str piece;
    if (take_payload(r, in, &piece, e) < 0)
        return -1;
    bool whole = r->frame_left == 0, fin = whole && r->fin;
    if (piece.n == 0 && !whole)
        return 0;
    if (fin && check_text_end(r, e) < 0)
        return -1;
    *event = (struct ws_event){
        .opcode = r->passing ? WS_CONTINUATION : (enum ws_opcode)r->opcode, .fin = fin, .data = piece};
    r->in_frame = !whole;
    r->passing = !fin;
    if (fin)
        r->opcode = 0;
    return 1;
}
