/* WebSocket codec (RFC 6455) and permessage-deflate (RFC 7692): pure, both roles. */
#ifndef WIRE_WS_H
#define WIRE_WS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

enum ws_close {
    WS_NORMAL = 1000,
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL_ERROR = 1002,
    WS_UNSUPPORTED = 1003,
    WS_NO_STATUS = 1005, /* never on the wire */
    WS_ABNORMAL = 1006,  /* never on the wire */
    WS_BAD_DATA = 1007,
    WS_POLICY = 1008,
    WS_TOO_BIG = 1009,
    WS_INTERNAL = 1011,
    WS_RESTART = 1012,
    WS_TRY_LATER = 1013,
};

struct ws_deflate; /* compression state of one connection */

/* Reading side of one connection. Kept small: an idle connection owns only this record (message memory is given back
 * after each message). */
struct ws_reader {
    struct buf message; /* unmasked: only while a message is incomplete, and until the call after its delivery */
    size_t max_message; /* of the message after decompression */
    struct ws_deflate *deflate; /* NULL: not negotiated; owned by the caller */
    uint64_t frame_left;        /* payload still to come of the data frame under way */
    struct utf8_check utf8;
    uint8_t key[4];     /* its masking key, turned so that key[0] is for the next byte */
    bool in_frame, fin; /* a data frame is under way; whether it is the last of its message */
    bool delivered;     /* message was handed out by the previous call */
    bool passing;       /* ws_next_frame handed out a part of the message under way */
    uint8_t opcode;     /* of the message under way, 0: none */
    bool compressed;    /* the message under way */
    bool expect_masked; /* true on a server */
    uint16_t error;     /* close code to send after -1 */
};

void ws_reader_init(struct ws_reader *r, bool server, size_t max_message);
void ws_reader_free(struct ws_reader *r);

struct ws_event {
    enum ws_opcode opcode; /* WS_TEXT, WS_BINARY (whole messages), WS_CLOSE, WS_PING, WS_PONG */
    bool fin;              /* false: more of the message follows (ws_next_frame only) */
    struct str data;       /* payload; for WS_CLOSE the reason. Valid until the next call with this reader or input */
    uint16_t close_code;   /* for WS_CLOSE: as sent, WS_NO_STATUS when empty */
};

/* Takes one control frame or the next whole message from *in, advancing it by what was used: 1 and *event; 0 when more
 * bytes are needed; -1: r->error is the close code to send and *e the reason (protocol rules, UTF-8, size), the
 * connection is to be closed and the reader is not to be called again. Call it until it returns 0: that call also gives
 * back the memory of the message before, so that an idle connection owns none.
 * `in` is writable: payloads are unmasked in place, so an uncompressed message of one frame that lies whole in *in
 * costs no copy and no memory. Whatever else belongs to data frames is consumed piecewise into r->message, so after 0
 * the bytes left in *in are at most an incomplete frame header or an incomplete control frame: never more than 14 +
 * 125, which the caller keeps in front of the bytes that come next. r->message grows with the bytes received, not with
 * the length a header claims, and never past max_message (checked on the header: 1009). UTF-8 of uncompressed text is
 * checked as bytes arrive (fail fast), of compressed text when the message is complete; a close frame's code and reason
 * are checked. Lengths must be encoded in the fewest bytes (RFC 6455 5.2). */
int ws_next(struct ws_reader *r, struct str *in, struct ws_event *event, struct err *e);

/* In place of ws_next (not beside it), for those who pass messages on without collecting them: the data frames of a
 * message one by one, so that writing each event as a frame of its own (opcode, fin, data) gives the same message. The
 * peer's frames stay as they are, empty ones too; but of a frame longer than WS_FRAME_WHOLE each stretch that arrives
 * is an event. The first event of a message has its opcode, the others WS_CONTINUATION. The same rules are held, UTF-8
 * over the whole message; r->message stays unused and payloads are never copied. After 0 the bytes left in *in are at
 * most an incomplete frame: WS_HEADER_MAX + WS_FRAME_WHOLE. Compression must not have been negotiated. */
#define WS_FRAME_WHOLE KIB(16)
int ws_next_frame(struct ws_reader *r, struct str *in, struct ws_event *event, struct err *e);

/* Appends one frame, FIN set, not compressed. mask: client role, with a fresh random key. -1 past out's ceiling. */
int ws_frame_put(struct buf *out, enum ws_opcode opcode, struct str payload, bool mask);
/* The header alone into out (at most 14 bytes, returned), for payloads that are queued without a copy. */
#define WS_HEADER_MAX 14
size_t ws_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, bool fin, bool compressed, uint64_t length,
                 const uint8_t *mask_key);
/* XORs data with the key, starting at position `at` of the payload; and the same while copying. */
void ws_mask(uint8_t *data, size_t n, const uint8_t key[4], size_t at);
void ws_mask_copy(uint8_t *to, const void *from, size_t n, const uint8_t key[4], size_t at);
/* Close frame with a code (0: empty payload) and a reason cut to 123 bytes at a character. -1 past out's ceiling. */
int ws_close_put(struct buf *out, uint16_t code, struct str reason, bool mask);
/* Whether a peer may send this code (RFC 6455 7.4). */
bool ws_close_code_ok(uint16_t code);

/* Sec-WebSocket-Accept for a key: 28 characters and NUL. The key must be 24 characters of base64 for 16 bytes: -1
 * otherwise. */
int ws_accept(char out[29], struct str key);

/* permessage-deflate. Offers come as the Sec-WebSocket-Extensions value. */
struct ws_deflate_params {
    bool server_no_context_takeover, client_no_context_takeover;
    int server_max_window_bits, client_max_window_bits; /* 9..15 */
};
/* Server: picks the first acceptable offer; context: whether we would keep contexts. 1 and *params with the response
 * header value appended to out, 0 when nothing fits. */
int ws_deflate_accept(struct str offers, bool context, struct ws_deflate_params *params, struct buf *out);
/* Client: checks the server's answer; -1 when it cannot be obeyed. */
int ws_deflate_answer(struct str answer, struct ws_deflate_params *params);
struct ws_deflate *ws_deflate_new(const struct ws_deflate_params *params, bool server);
struct ws_deflate *ws_deflate_free(struct ws_deflate *d); /* takes NULL, returns NULL */
/* Compresses one message into out (trailing 00 00 FF FF removed). -1 past out's ceiling. Without context takeover the
 * zlib state is borrowed from a per-thread pool, so idle connections hold none. */
int ws_deflate_message(struct ws_deflate *d, struct str message, struct buf *out);

#endif
