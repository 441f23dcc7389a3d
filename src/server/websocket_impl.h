/* What the WebSocket files of this folder share; nobody else includes it. */
#ifndef WEBSOCKET_IMPL_H
#define WEBSOCKET_IMPL_H

#include "server/server_impl.h"
#include "server/websocket.h"

#include <stdalign.h>

#define WS_COMPRESS_MIN  256  /* smaller messages are sent as they are */
#define WS_CLOSE_TIMEOUT 5000 /* ms for the peer's close frame after ours, or for the last output, at most */

enum ws_state {
    WS_STATE_OPEN,    /* messages go both ways */
    WS_STATE_CLOSING, /* our close frame is queued; input is read only for the peer's */
    WS_STATE_CLOSED,  /* both close frames, or a failure: nothing is read or sent any more */
};

/* One socket: a record of its own beside its http_conn, because references may keep it for longer. Behind it lie the
 * door's bytes (websocket_user), then the id and the address as text. */
struct websocket {
    struct http_conn *hc; /* NULL once the connection is gone */
    const struct http_route *route;
    void *ctx;
    struct serial *serial; /* websocket_serial's; NULL while no message waits */
    struct ws_reader reader;
    atomic_uint refs;    /* the connection holds one */
    uint32_t tail;       /* where the texts begin, from the record's start */
    uint16_t close_code; /* the one that began the closing, 0: none yet */
    uint8_t state;       /* enum ws_state; websocket.c writes it */
    bool pinged : 1;     /* no input since our ping */
    uint32_t pinged_at;  /* low bits of loop_now_ms() at that ping */
    unsigned paused : 2; /* enum ws_pause: who wants no input now */
    bool told : 1;       /* on_closed was called */
    bool in_message : 1; /* websocket_send_fragment began one */
    alignas(max_align_t) char user[];
};

/* Why a socket is not read. */
enum ws_pause {
    WS_PAUSE_DOOR = 1,   /* websocket_pause */
    WS_PAUSE_SERIAL = 2, /* too many messages wait for the serial task */
    WS_PAUSE_ANY = 3,
};
void websocket_hold(struct websocket *ws, unsigned why, bool pause);

struct websocket *websocket_new(struct http_conn *hc, struct http_request *rq, const struct http_route *route);
/* Takes the connection over; the 101 is queued already. */
void websocket_start(struct websocket *ws);
/* Appends a close frame and counts it. */
void websocket_put_close(struct websocket *ws, uint16_t code, struct str reason);

struct ws_metrics {
    struct metric *messages_in, *messages_out, *bytes_in, *bytes_out, *slow, *dropped;
};
const struct ws_metrics *ws_metrics(void);
void ws_count_close(uint16_t code);

static inline struct conn *ws_conn(struct websocket *ws)
{
    return &ws->hc->conn;
}

#endif
