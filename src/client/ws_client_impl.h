/* What the files of outgoing WebSockets share; nobody else includes it. */
#ifndef WS_CLIENT_IMPL_H
#define WS_CLIENT_IMPL_H

#include "base/list.h"
#include "client/ws_client.h"
#include "net/conn.h"

#include <stdatomic.h>

enum ws_client_state {
    WSC_OPENING, /* the handshake is under way: ws->opening */
    WSC_OPEN,    /* messages go both ways */
    WSC_CLOSING, /* our close frame is queued; input is read only for the peer's */
    WSC_CLOSED,  /* both close frames, or a failure: nothing is read or sent any more */
};

struct ws_client {
    struct conn conn;
    struct list link;   /* of this thread's sockets, once open */
    struct timer timer; /* pings, then the closing */
    struct ws_reader reader;
    const struct ws_client_ops *ops;
    void *user;
    struct upstream *upstream;
    struct ws_opening *opening; /* on the opener's stack; NULL later */
    char *protocol;
    unsigned ping, pong;
    atomic_uint refs; /* the connection holds one */
    uint32_t pinged_at;
    uint16_t close_code; /* the one that began the closing, 0: none yet */
    uint8_t state;       /* enum ws_client_state; ws_client.c writes it */
    bool paused : 1;
    bool pinged : 1;     /* no input since our ping */
    bool in_message : 1; /* ws_client_send began one */
    bool told : 1;       /* on_closed was called, or never will be */
};

/* ws_client.c */
extern const struct conn_ops ws_client_conn_ops; /* of an open one */
struct ws_client *ws_client_new(const struct ws_client_request *rq);
/* The handshake was good: lets the frames in. */
void ws_client_opened(struct ws_client *ws);
/* The connection's last call, in every state. */
void ws_client_conn_closed(struct conn *c, enum conn_end why);

/* ws_client_open.c: the connection ended before the handshake did. */
void ws_opening_lost(struct ws_opening *opening);

#endif
