/* Outgoing WebSockets (RFC 6455, the client's side) on net/connect.h. A task opens one; from then on callbacks come on
 * the loop, outside of any task: they must not wait. A socket is used on the loop that opened it. Compression is never
 * offered, redirects are not followed, nothing is tried again. */
#ifndef CLIENT_WS_CLIENT_H
#define CLIENT_WS_CLIENT_H

#include "base/arena.h"
#include "client/fetch.h"
#include "wire/ws.h"

struct ws_client;

struct ws_client_ops {
    /* A whole message; data is writable, valid during the call only. */
    void (*on_message)(struct ws_client *ws, enum ws_opcode opcode, struct str data);
    /* In its place, for relays: a message's frames one by one, as ws_next_frame gives them. Passing the arguments to
     * websocket_send_fragment or ws_client_send passes the message on. fin: the message is over. */
    void (*on_frame)(struct ws_client *ws, enum ws_opcode opcode, bool fin, struct str data);
    /* The queue is short again after ws_client_queued exceeded CONN_HIGH_MARK. May be NULL. */
    void (*on_drained)(struct ws_client *ws);
    /* Last call, exactly one; references keep the record, but nothing is sent any more. The code that began the
     * closing, ours or the peer's; WS_ABNORMAL when the connection was lost. reason: the peer's words. May be NULL. */
    void (*on_closed)(struct ws_client *ws, uint16_t code, struct str reason);
};

/* All but the upstream and ops may be gone after the call. */
struct ws_client_request {
    struct upstream *upstream; /* its base URL, proxy, trust, time limits, places and breaker count; and its name */
    struct str path;           /* appended to the base URL, with its query */
    struct str url;            /* or a whole URL in place of both; http(s) and ws(s) are the same */
    const struct fetch_header *headers;
    size_t nheaders;
    struct str protocols; /* "a, b"; "": none */
    struct str key;       /* masked in what a refusal says, with what looks like a key (refusal.h); "": none */
    size_t max_message;   /* 0: LIMIT_WS_MESSAGE; beyond it the socket is closed 1009, also when messages pass */
    unsigned timeout;     /* ms for the whole opening; 0: the upstream's connect_timeout, then its first_byte_timeout */
    unsigned ping, pong;  /* ms of silence before a ping; ms without any input after it, then it is lost. 0: none */
    const struct ws_client_ops *ops;
    void *user; /* ws_client_user */
};

/* Parks until the socket is open. No callback comes before the task next waits, so there is time for what the callbacks
 * need. NULL with *e: UPSTREAM_UNREACHABLE, TIMEOUT, CANCELLED, OVERLOADED (breaker, places), NOT_CONFIGURED (proxy),
 * INVALID_REQUEST; UPSTREAM when the handshake was answered wrongly, and when the socket was refused: then e->status is
 * the upstream's status (502 when that is none of an error), e->text its words or that status, e->retry_after_ms what
 * it asks for, and *refusal (may be NULL; else empty) the reply's body on one line, in the arena, keys masked. A
 * cancelled task leaves nothing behind. One of the upstream's places is taken while the socket is being opened, not
 * longer. */
struct ws_client *ws_client_open(const struct ws_client_request *rq, struct arena *arena, struct str *refusal,
                                 struct err *e);

void *ws_client_user(const struct ws_client *ws);
/* What the server chose of the protocols, "" when nothing. */
struct str ws_client_protocol(const struct ws_client *ws);
bool ws_client_is_open(const struct ws_client *ws);

/* Queues a frame, masked on the way. A whole message is one frame with fin; in a message of fragments the first is
 * WS_TEXT or WS_BINARY, the others WS_CONTINUATION, the last has fin. WS_PING and WS_PONG (at most 125 bytes) may come
 * between. 0, or -1 when it was not queued: it does not fit to the frame before, the socket is not open, or more than
 * LIMIT_WS_QUEUE bytes are unsent: then it is closed 1013. */
int ws_client_send(struct ws_client *ws, enum ws_opcode opcode, bool fin, struct str data);
/* Unsent bytes. */
size_t ws_client_queued(const struct ws_client *ws);
/* Parks the running task until the queue is short; the task holds a reference. -1 also when the socket is gone. */
int ws_client_wait_drained(struct ws_client *ws, struct err *e);
/* Stops and continues reading: the peer is slowed by TCP. No message comes meanwhile, and a socket that closes is read
 * again. */
void ws_client_pause(struct ws_client *ws, bool pause);
/* Sends the close frame (WS_NO_STATUS: without a code), waits a few seconds for the peer's, closes. */
void ws_client_close(struct ws_client *ws, uint16_t code, struct str reason);
/* Closes at once, without a close frame. on_closed follows, not from inside this call. */
void ws_client_abort(struct ws_client *ws);

/* The connection holds a reference until on_closed was called; others keep the record (not the connection). */
struct ws_client *ws_client_ref(struct ws_client *ws);
struct ws_client *ws_client_unref(struct ws_client *ws); /* takes NULL, returns NULL */

#endif
