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
    struct buf message; /* unmasked, decompressed so far: only while a message is incomplete or was split */
    size_t max_message; /* of the message after decompression */
    struct ws_deflate *deflate; /* NULL: not negotiated; owned by the caller */
    struct utf8_check utf8;
    uint8_t opcode;     /* of the fragmented message under way, 0: none */
    bool compressed;    /* the message under way */
    bool expect_masked; /* true on a server */
    uint16_t error;     /* close code to send after -1 */
};

void ws_reader_init(struct ws_reader *r, bool server, size_t max_message);
void ws_reader_free(struct ws_reader *r);

struct ws_event {
    enum ws_opcode opcode; /* WS_TEXT, WS_BINARY (whole messages), WS_CLOSE, WS_PING, WS_PONG */
    struct str data;       /* payload; for WS_CLOSE the reason. Valid until the next call with this reader or input */
    uint16_t close_code;   /* for WS_CLOSE: as sent, WS_NO_STATUS when empty */
};

/* Takes one frame or the next whole message from *in. `in` is writable: payloads are unmasked in place, so a message of
 * one frame costs no copy. Advances *in by what was used. 1 and *event; 0 when more bytes are needed: the caller keeps
 * what is left of *in and calls again with more behind it (ws_reader_need says how many bytes the frame takes, so that
 * the caller can make room); -1: r->error is the close code to send and *e the reason (protocol rules, UTF-8, size).
 * UTF-8 of text is checked as fragments arrive (fail fast); a close frame's code and reason are checked.
 * Large frames: data frames are consumed piecewise into r->message, so the caller never has to hold a whole large
 * frame. */
int ws_next(struct ws_reader *r, struct str *in, struct ws_event *event, struct err *e);

/* Appends one frame, FIN set. mask: client role. -1 past out's ceiling. */
int ws_frame_put(struct buf *out, enum ws_opcode opcode, struct str payload, bool mask);
/* The header alone into out (at most 14 bytes, returned), for payloads that are queued without a copy. */
#define WS_HEADER_MAX 14
size_t ws_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, bool fin, bool compressed, uint64_t length,
                 const uint8_t *mask_key);
/* XORs data with the key, starting at position `at` of the payload. */
void ws_mask(uint8_t *data, size_t n, const uint8_t key[4], size_t at);
/* Close frame with a code (0: empty payload) and a reason cut to 123 bytes. */
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
