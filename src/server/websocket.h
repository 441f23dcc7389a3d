/* WebSocket connections as doors see them. Callbacks run on the loop, outside of any task; they must not wait. A door
 * that needs to wait runs websocket_serial: messages of one socket are then handled one after the other in a task, and
 * reading pauses while too many wait. */
#ifndef SERVER_WEBSOCKET_H
#define SERVER_WEBSOCKET_H

#include "server/http.h"
#include "wire/ws.h"

struct websocket;

struct websocket_ops {
    size_t max_message;  /* 0: LIMIT_WS_MESSAGE */
    size_t user_size;    /* bytes of zeroed door state that lie in the socket's record: websocket_user */
    bool no_ping;        /* the door has a heartbeat of its own: no WebSocket pings */
    uint16_t drain_code; /* of the closing when the server shuts down; 0: 1000 */
    /* Asked before anything else about the upgrade: false when it refused, by replying. NULL: always true. */
    bool (*may_open)(struct http_request *rq);
    /* Which of the subprotocols in Sec-WebSocket-Protocol is selected; one that was not offered is not named to the
     * client. STR_NONE, or NULL in place of the function: none. */
    struct str (*subprotocol)(struct http_request *rq);
    /* The upgrade was answered. rq is valid during the call only. */
    void (*on_open)(struct websocket *ws, struct http_request *rq);
    /* A whole message; data is writable, valid during the call only. */
    void (*on_message)(struct websocket *ws, enum ws_opcode opcode, struct str data);
    /* In its place, for doors that pass messages on without collecting them: their frames one by one as ws_next_frame
     * gives them, so that websocket_send_fragment (or ws_client_send) with the same arguments passes them on. fin: the
     * message is over. Such sockets are not compressed. */
    void (*on_frame)(struct websocket *ws, enum ws_opcode opcode, bool fin, struct str data);
    /* The queue is short again after websocket_queued exceeded CONN_HIGH_MARK. May be NULL. */
    void (*on_drained)(struct websocket *ws);
    /* Last call; references keep the record alive, but nothing is sent any more. May be NULL. */
    void (*on_closed)(struct websocket *ws, uint16_t code, struct str reason);
};

void *websocket_user(struct websocket *ws);
void *websocket_ctx(struct websocket *ws); /* the routes' owner: what router_add got */
const struct http_route *websocket_route(struct websocket *ws);
struct str websocket_address(struct websocket *ws); /* the client's */
const char *websocket_id(struct websocket *ws);     /* unique, for logs */
bool websocket_is_open(const struct websocket *ws);

/* Queues one message (copied). Beyond LIMIT_WS_QUEUE unsent bytes the slow-consumer policy applies: the socket is
 * closed 1013 "Slow consumer" (SLOW_CONSUMER=close) or the message dropped (=drop). 0, or -1 when it was not queued. */
int websocket_send(struct websocket *ws, enum ws_opcode opcode, struct str data);
/* One message in parts, put together in place; parts may be empty. */
int websocket_send_parts(struct websocket *ws, enum ws_opcode opcode, const struct str *parts, size_t n);
/* A frame of a message in fragments: the first is WS_TEXT or WS_BINARY, the others WS_CONTINUATION, the last has fin.
 * -1 also when it does not fit to the one before; meanwhile no other message can be sent. Whatever SLOW_CONSUMER says,
 * the socket is closed when too much is unsent, since a message without one of its fragments is another message. */
int websocket_send_fragment(struct websocket *ws, enum ws_opcode opcode, bool fin, struct str data);
/* One frame encoded by websocket_encode, shared by many sockets; sockets that negotiated compression re-encode. */
int websocket_send_frame(struct websocket *ws, struct blob *frame);
struct blob *websocket_encode(enum ws_opcode opcode, struct str data);
/* What websocket_encode was given. */
struct str websocket_payload(const struct blob *frame);
size_t websocket_queued(const struct websocket *ws);
/* Another ceiling for messages to come; in on_open. */
void websocket_set_max(struct websocket *ws, size_t max_message);
/* Stops and continues reading: the peer is slowed by TCP. No message comes meanwhile, and a socket that closes is read
 * again. */
void websocket_pause(struct websocket *ws, bool pause);
/* Sends what is queued now, instead of before the loop next blocks. May call on_drained. */
void websocket_flush(struct websocket *ws);
/* Sends the close frame (WS_NO_STATUS: without a code), waits for the peer's, closes. */
void websocket_close(struct websocket *ws, uint16_t code, struct str reason);

/* References keep the record (not the connection) across waits of tasks. */
struct websocket *websocket_ref(struct websocket *ws);
struct websocket *websocket_unref(struct websocket *ws); /* takes NULL, returns NULL */

/* Hands a copy of the message to the socket's serial task: handle(ws, arena, data) runs in a task, messages in order,
 * one at a time; the arena is the message's and dies when handle returns. Starts the task when none runs. The running
 * handler is cancelled when the socket closes, unless it calls task_shield. */
void websocket_serial(struct websocket *ws, struct str data,
                      void (*handle)(struct websocket *ws, struct arena *arena, struct str data));

#endif
