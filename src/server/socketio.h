/* Socket.IO (protocol 5; 4 and 3 as far as Engine.IO 3 carries them): namespaces, events with and without
 * acknowledgement, rooms, broadcasts, and recovery of what a client missed. A socket is one client's connection to one
 * namespace. Everything about a socket happens on its loop; callbacks must not wait, rows marked SIO_SERIAL may.
 * https://socket.io/docs/v4/socket-io-protocol/ */
#ifndef SERVER_SOCKETIO_H
#define SERVER_SOCKETIO_H

#include "server/engineio.h"
#include "wire/socketio.h"

struct sio_server;
struct sio_socket;

/* An event of the client. Slices are valid while the handler runs. */
struct sio_message {
    struct sio_socket *socket;
    struct arena *arena;           /* of SIO_SERIAL handlers; NULL for SIO_NOW */
    struct json_value name;        /* a string or a number */
    struct str args;               /* JSON values with commas between, "" for none; placeholders for attachments */
    const struct str *attachments; /* in the order of their numbers */
    size_t nattachments;
    bool wants_ack;
    uint64_t ack_id; /* for sio_ack; the client asks at most once per id */
};
/* The arguments one by one: for json_each. */
struct json_iter sio_message_args(const struct sio_message *m);

/* How a row's handler runs. */
enum sio_mode {
    SIO_NOW,    /* at once, on the loop */
    SIO_SERIAL, /* in the socket's task, one message after the other; may wait */
};
struct sio_row {
    const char *name;
    enum sio_mode mode;
    void (*handle)(struct sio_message *m);
};

/* One namespace: its whole surface. Callbacks may be NULL unless said. */
struct sio_namespace {
    const char *name; /* "/" or "/admin" */
    size_t user_size; /* zeroed bytes of the owner in each socket's record: sio_user */
    const struct sio_row *rows;
    size_t nrows;
    /* Before CONNECT is answered; auth is an object, or of type JSON_NONE. -1 refuses: the client gets CONNECT_ERROR
     * {"message":e->text,"data":{"code":NAME}}, and on_closed is not called. Nothing can be sent from inside. Not
     * called for a recovered socket. */
    int (*on_connect)(struct sio_socket *s, const struct json_value *auth, struct err *e);
    /* CONNECT was answered: recovered tells whether this is a client that came back to its socket. */
    void (*on_connected)(struct sio_socket *s, bool recovered);
    void (*on_event)(struct sio_message *m);  /* what no row names; as SIO_NOW */
    void (*on_drained)(struct sio_socket *s); /* sio_writable became true again; also after on_connected(recovered) */
    /* Recovery: whether nothing of what the owner would have sent meanwhile is lost (NULL: always so). */
    bool (*can_recover)(struct sio_socket *s);
    /* Recovery on another loop, of the same record. Leaving: last call on the old loop, forget everything that belongs
     * to it. Handlers have ended before; one that takes too long is cancelled, and a socket that somebody still holds a
     * reference to stays, and is over. Arriving: in a task of the new loop, may wait; -1: it cannot be recovered. Both
     * NULL: nothing belongs to a loop. on_closed may follow either directly. */
    void (*on_depart)(struct sio_socket *s);
    int (*on_arrive)(struct sio_socket *s, struct err *e);
    /* The socket is over for good, also for recovery; from inside sio_disconnect, too. The record lives on while
     * references do. reason is static. */
    void (*on_closed)(struct sio_socket *s, const char *reason);
};

struct sio_config {
    struct eio_config engine;
    unsigned connect_timeout; /* ms a client may take to connect to a first namespace */
    unsigned recovery;        /* ms a lost client's sockets are kept for it to come back; 0: no recovery */
    unsigned max_attachments; /* of one packet: SIO_ATTACHMENTS */
    /* What shall be remembered of the request a client came with, for on_connect (sio_remembered): a reference that is
     * taken over, NULL for nothing. May be NULL. */
    struct blob *(*remember)(void *owner, const struct http_request *rq);
};

/* namespaces: static, outlive the server. owner: sio_owner. */
struct sio_server *sio_new(const struct sio_config *config, const struct sio_namespace *namespaces, size_t n,
                           void *owner, size_t nloops);
struct sio_server *sio_free(struct sio_server *server); /* after all loops are freed; takes NULL, returns NULL */
/* The engine below, for its rows in a door's table, eio_steer, eio_drain. */
struct eio_server *sio_engine(struct sio_server *server);
/* Loop's thread: lost sockets are kept no longer, nothing is recovered. Before eio_drain. */
void sio_drain(struct sio_server *server);
/* Loop's thread, once it has no tasks and connections any more. Calls eio_loop_end. */
void sio_loop_end(struct sio_server *server);

void *sio_user(struct sio_socket *s);
void *sio_owner(const struct sio_socket *s);
struct sio_server *sio_server_of(const struct sio_socket *s);
struct str sio_sid(const struct sio_socket *s);
struct str sio_nsp(const struct sio_socket *s);
struct str sio_address(const struct sio_socket *s);
/* What sio_config.remember kept of the request its client came with; STR_NONE when that was nothing, or the client is
 * gone. */
struct str sio_remembered(const struct sio_socket *s);
/* A number no other socket of this process ever has; the same after recovery. */
uint64_t sio_serial_number(const struct sio_socket *s);
/* Not over: connected, or lost and waiting for its client to come back. */
bool sio_is_open(const struct sio_socket *s);
bool sio_is_connected(const struct sio_socket *s);
/* Connected, and the client keeps up (eio_writable). What can be told later, or in fewer words, waits for it. */
bool sio_writable(const struct sio_socket *s);
struct sio_socket *sio_ref(struct sio_socket *s);
struct sio_socket *sio_unref(struct sio_socket *s); /* takes NULL, returns NULL */

/* ---- Sending ---- */

/* An event to be sent; names are escaped, args trusted JSON as in struct sio_message. */
struct sio_emit {
    struct str name, args;
    struct blob *const *attachments;
    unsigned nattachments;
    bool is_volatile; /* dropped for clients that are lost or do not keep up; never recovered */
};
/* To one client. To a lost one: kept until it comes back. 0, or -1 when it will not arrive. */
int sio_emit(struct sio_socket *s, const struct sio_emit *emit);
/* An event encoded once for many sockets of a namespace, without attachments; sending it is the same as sio_emit. */
struct blob *sio_frame(struct str nsp, struct str name, struct str args);
int sio_emit_frame(struct sio_socket *s, struct blob *frame, bool is_volatile);

/* Answers a client's event. */
int sio_ack(struct sio_socket *s, uint64_t ack_id, struct str args, struct blob *const *attachments,
            unsigned nattachments);

/* What came back. */
struct sio_answer {
    enum err_code failed; /* ERR_TIMEOUT; ERR_CANCELLED: the client is gone; ERR_NONE: the rest is set */
    struct str args;
    const struct str *attachments;
    size_t nattachments;
};
/* An event that the client shall acknowledge within timeout_ms (0: any time). Always calls answered, once, on the loop,
 * not from inside. Such events are not recovered. */
void sio_ask(struct sio_socket *s, const struct sio_emit *emit, unsigned timeout_ms,
             void (*answered)(struct sio_socket *s, void *arg, const struct sio_answer *answer), void *arg);

/* ---- Rooms ---- */

/* Names are at most LIMIT_ID bytes: -1 INVALID_REQUEST. Twice is harmless. A socket leaves all its rooms when it is
 * over, and keeps them while it is lost. */
int sio_join(struct sio_socket *s, struct str room, struct err *e);
void sio_leave(struct sio_socket *s, struct str room);
bool sio_in_room(const struct sio_socket *s, struct str room);
/* To every socket of the namespace that is in any of the rooms (n 0: to all), once each, on all loops; except: not to
 * this one, or NULL. Encoded once. Call on any loop. */
void sio_broadcast(struct sio_server *server, struct str nsp, const struct str *rooms, size_t n,
                   const struct sio_socket *except, const struct sio_emit *emit);

/* Calls fn for every socket of the namespace that is in the room, each on its loop: here at once, elsewhere soon. One
 * that is on its way between loops (on_depart, on_arrive) is passed over. Call on any loop. */
void sio_each(struct sio_server *server, struct str nsp, struct str room, void (*fn)(struct sio_socket *s));

/* The server ends it: the client gets DISCONNECT; `close` also ends its connection. Not recovered. */
void sio_disconnect(struct sio_socket *s, bool close);
/* Connected sockets of all namespaces, all loops; those that wait for their client. */
size_t sio_count(const struct sio_server *server);
size_t sio_count_lost(const struct sio_server *server);

#endif
