/* Engine.IO sessions, protocols 4 and 3: one client's connection over HTTP long-polling, a WebSocket, or the first
 * upgraded to the second. A session lives on one loop, which its id names; connections that carry another loop's
 * session move there (eio_steer), so nothing here locks. Callbacks run on the loop, some in the task of a request; they
 * must not wait, and may do anything to their session. https://socket.io/docs/v4/engine-io-protocol/ */
#ifndef SERVER_ENGINEIO_H
#define SERVER_ENGINEIO_H

#include "server/server.h"
#include "server/websocket.h"
#include "wire/engineio.h"

struct eio_server;
struct eio_session;

/* Times in milliseconds. Strings outlive the server. */
struct eio_config {
    unsigned ping_interval, ping_timeout; /* heartbeat: the server asks (protocol 4), or waits to be asked (3) */
    unsigned upgrade_timeout;             /* between the WebSocket's opening and the client's `5` */
    size_t max_payload;                   /* of one message and of one POST, bytes */
    bool allow_v3;                        /* clients of Socket.IO 2 */
    bool compression;                     /* gzip for polling replies of EIO_GZIP_MIN bytes and more */
    const char *cookie;                   /* name of a cookie with the session's id; NULL or "": none */
    unsigned open_delay;                  /* before the open packet on a WebSocket, for clients that listen late */
};
#define EIO_GZIP_MIN KIB(1)

enum eio_end {
    EIO_TRANSPORT_CLOSE, /* the client closed, or its connection broke */
    EIO_TRANSPORT_ERROR, /* overlapping or aborted polls, a broken WebSocket frame, too large a message */
    EIO_PING_TIMEOUT,
    EIO_PARSE_ERROR, /* what came was no Engine.IO */
    EIO_FORCED,      /* eio_close */
    EIO_SLOW,        /* the slow-consumer policy */
    EIO_SHUTDOWN,    /* the server drains */
};
/* As Socket.IO names the reason of a disconnect: "transport close" … */
const char *eio_end_name(enum eio_end end);

struct eio_ops {
    size_t user_size; /* bytes of zeroed state of the owner in the session's record: eio_user */
    /* The handshake is answered; messages may be sent. rq is valid during the call only. */
    void (*on_open)(struct eio_session *s, struct http_request *rq);
    /* data: valid, and writable, during the call only. */
    void (*on_message)(struct eio_session *s, bool binary, struct str data);
    /* The client has the first n messages (of those eio_sent counts): it answered a heartbeat sent behind them. May be
     * NULL. Protocol 4 only. */
    void (*on_confirmed)(struct eio_session *s, uint64_t n);
    /* eio_writable became true again. May be NULL. */
    void (*on_drained)(struct eio_session *s);
    /* Last call; the record goes when it returns. Never called from inside eio_send… or eio_close. */
    void (*on_closed)(struct eio_session *s, enum eio_end why);
};

/* ops and config's strings outlive the server. owner: eio_owner. nloops: indexes of loops are below it. */
struct eio_server *eio_new(const struct eio_config *config, const struct eio_ops *ops, void *owner, size_t nloops);
/* After all loops ended. Takes NULL, returns NULL. */
struct eio_server *eio_free(struct eio_server *server);
/* Loop's thread: nothing more is served here; sessions that wait for a poll end (EIO_SHUTDOWN). WebSockets are told by
 * the server. */
void eio_drain(struct eio_server *server);
/* Loop's thread, once it has no tasks and connections any more: forgets its sessions (on_closed, EIO_SHUTDOWN). */
void eio_loop_end(struct eio_server *server);

/* Sessions are refused (503) beyond the server's max_connections: those that poll need not hold a connection.
 * For a door's table: one row per method (GET, POST, PUT, PATCH, DELETE) with handler eio_http, GET's with
 * &eio_websocket beside it; the rows' ctx is the struct eio_server. */
void eio_http(struct http_request *rq);
extern const struct websocket_ops eio_websocket;
/* For server_on_body: POSTs are looked at when they begin. Other requests are none of its business. */
void eio_body(struct http_request *rq);
/* Which loop serves the session that a query names: its index, or -1 when it names none. For server_steer. */
int eio_steer(const struct eio_server *server, struct str query);

void *eio_user(struct eio_session *s);
void *eio_owner(struct eio_session *s);
struct loop *eio_loop(const struct eio_session *s);
struct str eio_sid(const struct eio_session *s);
struct str eio_address(const struct eio_session *s); /* the client's */
enum eio_version eio_version(const struct eio_session *s);
bool eio_is_open(const struct eio_session *s);
bool eio_on_websocket(const struct eio_session *s);

/* Sending: each queues one message and never waits. On a WebSocket it leaves when the loop next blocks; for a poller it
 * waits in the session for the next poll. When more than LIMIT_WS_QUEUE bytes wait, the slow-consumer policy applies:
 * the session ends (EIO_SLOW) or the message is dropped. 0, or -1 when it was not queued (also when the session is
 * closed). */

/* A frame made by eio_frame, shared by many sessions (the caller keeps its reference). */
int eio_send_frame(struct eio_session *s, struct blob *frame);
/* Text in parts, put together in place: no memory of its own on a WebSocket. At most EIO_PARTS. */
int eio_send_text(struct eio_session *s, const struct str *parts, size_t n);
#define EIO_PARTS 8
/* A binary message; the reference stays the caller's. */
int eio_send_binary(struct eio_session *s, struct blob *data);
/* A text message encoded for any number of sessions, whatever their transport and protocol. */
struct blob *eio_frame(const struct str *parts, size_t n);
/* The text of such a frame, as it was given to eio_frame. */
struct str eio_frame_text(const struct blob *frame);

/* Whether one more message would be queued, not refused: ask before a message that has attachments. Applies the policy
 * when not. */
bool eio_has_room(struct eio_session *s);
/* Whether the client keeps up: it has a transport, and less than CONN_HIGH_MARK waits for it. */
bool eio_writable(const struct eio_session *s);
/* Messages queued so far. */
uint64_t eio_sent(const struct eio_session *s);
/* Asks the client to confirm what it has, with a heartbeat now; harmless while one is on its way. Protocol 4. */
void eio_confirm(struct eio_session *s);
/* Milliseconds since the last heartbeat left; for owners that ask now and then. */
uint64_t eio_heartbeat_age(const struct eio_session *s);

/* Takes no more messages meanwhile: a WebSocket is not read, a POST not answered. What was read already still comes. */
void eio_pause(struct eio_session *s, bool pause);

/* Ends the session: a poller gets the close packet, a WebSocket a close frame without a code, both behind what is
 * queued. on_closed follows soon, with `why`. With EIO_FORCED what a poller has not got yet waits for its next polls.
 */
void eio_close(struct eio_session *s, enum eio_end why);

/* Open sessions, all loops. */
size_t eio_count(const struct eio_server *server);

#endif
