/* Engine.IO codec, protocol 4 (current clients) and 3 (clients of Socket.IO 2): packets, polling payloads and the
 * handshake packet. Pure: which packet may come when is the session's business. */
#ifndef WIRE_ENGINEIO_H
#define WIRE_ENGINEIO_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum eio_version { EIO_V3 = 3, EIO_V4 = 4 };

enum eio_type { EIO_OPEN, EIO_CLOSE, EIO_PING, EIO_PONG, EIO_MESSAGE, EIO_UPGRADE, EIO_NOOP };

struct eio_packet {
    enum eio_type type;
    bool binary;     /* only an EIO_MESSAGE is */
    struct str data; /* without type digit and base64; may be empty */
};

/* One packet as text, as it comes in a WebSocket text frame: `4hello`, or binary in base64 (`bAQID`, protocol 3
 * `b4AQID`), which clients without binary support send there too; base64 may be wrapped. data points into text; of
 * base64 into scratch, which is overwritten: valid until its next use. 0, or -1 with INVALID_REQUEST and the reason,
 * BODY_TOO_LARGE past scratch's ceiling. The text is taken for UTF-8, as the WebSocket reader has seen to. */
int eio_text(enum eio_version version, struct str text, struct buf *scratch, struct eio_packet *out, struct err *e);
/* One WebSocket binary frame: in protocol 4 the message itself, in protocol 3 behind a byte 0x04. */
int eio_binary(enum eio_version version, struct str frame, struct eio_packet *out, struct err *e);

/* How packets lie in the body of a polling request or response. */
enum eio_form {
    EIO_FORM_V4,    /* joined by 0x1E, binary as `b` and base64 */
    EIO_FORM_V3,    /* `<length in UTF-16 units>:<packet>`, binary as `b4` and base64 */
    EIO_FORM_V3_B2, /* application/octet-stream: 0 (text) or 1 (binary), length in bytes as digit values, 0xFF, packet
                     */
};

/* Walks a received body:
 *   struct eio_payload it; if (eio_payload_begin(&it, form, body, e) == 0)
 *       while ((got = eio_payload_next(&it, &scratch, &packet, e)) == 1) … */
struct eio_payload {
    struct str rest;
    enum eio_form form;
    bool done;
};
/* 0, or -1 when the body is empty or its text is no UTF-8. The body must outlive the walk. */
int eio_payload_begin(struct eio_payload *it, enum eio_form form, struct str body, struct err *e);
/* 1 and the next packet (data as with eio_text); 0 behind the last; -1 as eio_text: the walk is over, and a server
 * closes the session, also when packets before were good. */
int eio_payload_next(struct eio_payload *it, struct buf *scratch, struct eio_packet *out, struct err *e);

/* Appends what goes into a WebSocket text frame: type digit and data. Binary messages: eio_binary_put. All writers
 * return -1 past out's ceiling, then nothing was added. */
int eio_text_put(struct buf *out, enum eio_type type, struct str data);
/* Appends what goes into a WebSocket binary frame. */
int eio_binary_put(struct buf *out, enum eio_version version, struct str data);
/* Appends one packet to a body, which holds nothing but packets of this form: separators go between them. Text must be
 * UTF-8; in EIO_FORM_V4 it cannot hold the separator 0x1E: -1. (JSON never does.) A body in which any packet is binary
 * goes to a protocol 3 client as EIO_FORM_V3_B2, unless it asked for base64 (`b64=1`). */
int eio_payload_put(struct buf *out, enum eio_form form, const struct eio_packet *packet);

/* The handshake: what the first packet tells the client. */
struct eio_open {
    struct str sid;
    bool upgrade; /* whether WebSocket is offered: over polling, while it is enabled */
    uint64_t ping_interval_ms, ping_timeout_ms;
    uint64_t max_payload; /* bytes */
};
/* Appends the open packet as text, its keys exactly sid, upgrades, pingInterval, pingTimeout, maxPayload. */
int eio_open_put(struct buf *out, const struct eio_open *open);

#endif
