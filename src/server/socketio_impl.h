/* What the Socket.IO files of this folder share; nobody else includes it. */
#ifndef SOCKETIO_IMPL_H
#define SOCKETIO_IMPL_H

#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "loop/serial.h"
#include "loop/task.h"
#include "net/conn.h"
#include "server/socketio.h"

#include <stdalign.h>
#include <stdatomic.h>

#define SIO_ID_BYTES   15 /* random; the first two of a pid are the index of the loop that made it */
#define SIO_ID_LEN     20 /* in base64url */
#define SIO_NAMESPACES 64 /* of one server at most */

struct sio_arrival; /* socketio_move.c */
struct sio_cast;    /* socketio_room.c */
struct sio_incoming;
struct sio_ring;

/* One namespace on one loop. */
struct sio_hall {
    struct list sockets; /* sio_socket.in_hall: all but those that are opening or over */
    struct map rooms;    /* by name: struct sio_room */
};

/* What belongs to one loop; touched by its thread alone but for the atomics. */
struct sio_loop {
    struct sio_server *server;
    unsigned index;
    _Atomic(struct loop *) loop; /* NULL until something is done here */
    bool draining;               /* nobody is waited for any more */
    atomic_size_t connected, nlost;
    struct sio_hall *halls; /* one per namespace */
    struct list lost;       /* sio_socket.in_lost, longest first */
    struct timer expiry;
    struct list unconfirmed; /* sio_client.unconfirmed */
    struct timer confirm;
    struct map pids;     /* sockets that are here, by pid */
    struct map away;     /* pids made here whose sockets are elsewhere: struct sio_away */
    struct list answers; /* questions to be answered CANCELLED in `turn` */
    struct loop_end turn;
    struct buf scratch;
    uint64_t stamp;         /* of the broadcast that is being delivered */
    uint64_t casts;         /* broadcasts begun here */
    uint64_t *seen;         /* per loop: the latest of its broadcasts that was delivered here */
    struct list collecting; /* sio_arrival.collecting: they want to know of every broadcast */
};

struct sio_server {
    struct sio_config config;
    const struct sio_namespace *namespaces;
    size_t n;
    void *owner;
    struct eio_ops ops;
    struct eio_server *engine;
    size_t nloops;
    struct sio_loop *loops[]; /* by index */
};

/* One Engine.IO session; lies in its record. */
struct sio_client {
    struct eio_session *session;
    struct sio_loop *at;
    struct timer deadline; /* for the first namespace */
    struct sio_incoming *incoming;
    struct sio_arrival *arrival; /* a recovery from another loop; messages wait in `held` meanwhile */
    struct list held;
    size_t nheld, held_bytes;
    struct list unconfirmed;
    uint64_t asked; /* eio_sent when a confirmation was last asked for */
    uint64_t ended; /* bit per namespace: we ended it, and the client may not know yet */
    unsigned pauses;
    struct blob *remembered; /* of the request it came with; may be NULL */
    bool offsets;            /* asked for in the handshake's query */
    struct sio_socket *sockets[];
};

enum sio_state {
    SIO_STATE_OPENING,   /* on_connect decides */
    SIO_STATE_CONNECTED, /* has a client */
    SIO_STATE_LOST,      /* waits in its loop's list for its client to come back */
    SIO_STATE_MOVING,    /* a task takes it to another loop; has no client */
    SIO_STATE_OVER,      /* only references keep the record */
};

/* Behind the owner's bytes lie the texts: sid and pid, each terminated. */
struct sio_socket {
    const struct sio_namespace *ns;
    struct sio_loop *at;
    struct sio_client *client; /* NULL unless opening or connected */
    struct list in_hall, in_lost;
    struct list memberships; /* struct sio_membership.of_socket */
    struct list questions;
    struct serial *serial;
    struct sio_ring *ring; /* NULL while empty */
    uint64_t seq;          /* of the latest event that was kept */
    uint64_t offsets_from; /* while offsets are wanted: the client has the events up to here, which had none */
    uint64_t replay_from;  /* while replayed: seq of the event in front of the replay */
    uint64_t welcomed;     /* eio_sent behind the answer to the CONNECT that recovered it */
    uint64_t next_question;
    uint64_t number;
    uint64_t stamp;     /* of the latest broadcast it was looked at for */
    uint64_t lost_at;   /* loop_now_ms */
    uint64_t client_ns; /* at_ns of the ticket its client was given it for, 0: of none */
    uint64_t *skip;     /* after moving, per loop: broadcasts up to here were delivered before; may be NULL */
    struct task *mover; /* to be woken when references go */
    uint32_t refs;      /* until it is over, one is the registry's */
    uint32_t tail;      /* where the texts begin, from the record's start */
    uint16_t sid_len;
    uint8_t pid_len;   /* 0: cannot be recovered */
    uint8_t state;     /* enum sio_state */
    uint8_t why;       /* enum eio_end, of a lost one */
    bool offsets : 1;  /* its client wants them */
    bool paused : 1;   /* too much waits for the serial task */
    bool hopeless : 1; /* an event for the lost client was dropped */
    bool replayed : 1; /* and the client did not confirm yet that it was welcomed behind the replay */
    bool flushing : 1; /* is only connected for its client to tell us its place, see sio_resume */
    char address[CONN_ADDRESS_MAX];
    alignas(max_align_t) char user[];
};

static inline struct sio_server *sio_client_server(const struct sio_client *c)
{
    return c->at->server;
}

static inline size_t sio_ns_index(const struct sio_socket *s)
{
    return (size_t)(s->ns - s->at->server->namespaces);
}

static inline struct sio_hall *sio_hall(const struct sio_socket *s)
{
    return &s->at->halls[sio_ns_index(s)];
}

static inline struct str sio_pid(const struct sio_socket *s)
{
    return str_n((const char *)s + s->tail + s->sid_len + 1, s->pid_len);
}

/* socketio.c */

/* The calling thread's; it must be a loop's. */
struct sio_loop *sio_here(struct sio_server *server);
/* Position of a namespace, or n when there is none of this name. */
size_t sio_find_namespace(const struct sio_server *server, struct str name);
/* The loop's buffer for packets to be encoded in, emptied; give it back before anything else may ask for it. */
struct buf *sio_scratch(struct sio_loop *at);
void sio_scratch_done(struct sio_loop *at);

/* socketio_client.c */

/* Sends one text packet. */
void sio_client_send(struct sio_client *c, const struct buf *text);
/* What the client sent is against the rules: ends its connection. */
void sio_client_violation(struct sio_client *c);
void sio_client_pause(struct sio_client *c, bool pause);
/* The CONNECT packet. */
void sio_client_connect(struct sio_client *c, struct str nsp, const struct json_value *auth);
/* What becomes of a CONNECT that recovers nothing. */
void sio_client_open(struct sio_client *c, size_t ns, const struct json_value *auth, bool offsets);

/* socketio_socket.c */

struct sio_socket *sio_socket_new(struct sio_client *c, size_t ns);
/* From OPENING to CONNECTED; also a recovered one. */
void sio_socket_attach(struct sio_socket *s, struct sio_client *c);
/* Into the registries of its loop, out of them. */
void sio_socket_enroll(struct sio_socket *s);
void sio_socket_strike(struct sio_socket *s);
/* Takes a connected socket off its client, or a lost one out of the list; the caller sets the next state. */
void sio_socket_detach(struct sio_socket *s);
/* Ends it: on_closed, unless it was opening. Nothing happens to one that is over. */
void sio_socket_over(struct sio_socket *s, const char *reason);
/* CONNECT is answered. */
void sio_socket_welcome(struct sio_socket *s);

/* socketio_packet.c */

void sio_client_message(struct sio_client *c, bool binary, struct str data);
void sio_incoming_free(struct sio_client *c);
/* Messages that came during a recovery: keeps one, handles all, forgets all. */
void sio_hold(struct sio_client *c, bool binary, struct str data);
void sio_release_held(struct sio_client *c);
void sio_forget_held(struct sio_client *c);

/* socketio_emit.c */

/* What is sent: an event's frame, and its attachments. */
struct sio_parcel {
    struct blob *frame;
    struct blob *const *attachments;
    unsigned nattachments;
    bool is_volatile;
};
int sio_deliver(struct sio_socket *s, const struct sio_parcel *parcel);
/* Sends to the connected client, with an offset when seq is not 0 and the client wants it. */
int sio_send_parcel(struct sio_socket *s, const struct sio_parcel *parcel, uint64_t seq);
/* Whose an offset is. */
enum sio_offset { SIO_OFFSET_OWN, SIO_OFFSET_OTHER, SIO_OFFSET_NONE };
/* Of this very socket: then *seq is the number of the event it names; of another one; or some other text. */
enum sio_offset sio_offset_parse(const struct sio_socket *s, struct str offset, uint64_t *seq);
/* The client's ACK. */
void sio_question_answered(struct sio_socket *s, const struct sio_packet *packet, const struct str *attachments,
                           size_t n);
/* All that are open end CANCELLED, soon. */
void sio_questions_cancel(struct sio_socket *s);
void sio_answers_flush(struct sio_loop *at);

/* socketio_ring.c */

/* When an event was queued, as eio_sent has it behind it. */
#define SIO_UNSENT UINT64_MAX
/* Numbers the event and keeps it. */
void sio_ring_push(struct sio_socket *s, const struct sio_parcel *parcel, uint64_t mark);
/* The client has the first n messages. */
void sio_ring_confirmed(struct sio_socket *s, uint64_t n);
/* The client has all events up to seq. */
void sio_ring_drop_until(struct sio_socket *s, uint64_t seq);
/* Whether what the client does not have behind seq is all there; whether all that it was sent is confirmed. */
bool sio_ring_reaches(const struct sio_socket *s, uint64_t seq);
bool sio_ring_all_confirmed(const struct sio_socket *s);
/* How many are left. */
uint64_t sio_ring_count(const struct sio_socket *s);
/* Sends everything that is left; or notes that nothing of it was sent over the connection at hand. */
void sio_ring_replay(struct sio_socket *s);
void sio_ring_withhold(struct sio_socket *s);
void sio_ring_free(struct sio_socket *s);
/* Asks for a confirmation, now or soon. */
void sio_confirm(struct sio_client *c);
void sio_confirm_tick(struct timer *timer);
void sio_client_confirmed(struct sio_client *c, uint64_t n);

/* socketio_room.c */

void sio_leave_all(struct sio_socket *s);
/* Its rooms' names into `names`, and out of them; joins them again. */
void sio_rooms_pack(struct sio_socket *s, struct buf *names);
void sio_rooms_unpack(struct sio_socket *s, struct buf *names);
struct sio_cast *sio_cast_ref(struct sio_cast *cast);
struct sio_cast *sio_cast_unref(struct sio_cast *cast);
/* Delivers to one socket that came when the broadcast was over, unless it has it already. */
void sio_cast_late(struct sio_cast *cast, struct sio_socket *s);

/* socketio_recovery.c */

/* What a CONNECT's auth says about recovery. */
struct sio_ticket {
    struct str pid; /* "" for none */
    struct str offset;
    bool has_offset;
    bool offsets;   /* the client wants them */
    uint64_t at_ns; /* clock_mono_ns() when it came */
};
void sio_ticket_read(struct sio_ticket *ticket, const struct json_value *auth);
/* The index of the loop that made a pid, or -1 when nothing here did. */
int sio_pid_loop(const struct sio_server *server, struct str pid);
/* The client is gone: kept, or over at once. */
void sio_socket_lose(struct sio_socket *s, enum eio_end why);
/* Puts a lost socket that cannot be recovered any more first in line for its end. */
void sio_socket_give_up(struct sio_socket *s);
/* The socket of this loop that the ticket is good for; one that it names but is not good for is over. */
struct sio_socket *sio_claim(struct sio_loop *at, size_t ns, const struct sio_ticket *ticket);
/* Whether its ring has what the ticket's client lacks. */
bool sio_ticket_fits(const struct sio_ticket *ticket, const struct sio_socket *s);
/* Takes it off the connection it has, which ends. */
void sio_take_from_client(struct sio_socket *s);
/* The client gets its socket back. */
void sio_resume(struct sio_client *c, struct sio_socket *s, const struct sio_ticket *ticket);
/* Tries it all; false: an ordinary new session it is. */
bool sio_recover(struct sio_client *c, size_t ns, const struct sio_ticket *ticket, const struct json_value *auth);
void sio_expire(struct timer *timer);

/* socketio_move.c */

/* A pid whose socket left the loop that made it. */
struct sio_away {
    unsigned where; /* index of the loop */
    char pid[SIO_ID_LEN];
};
/* Looks for the socket on other loops; messages of the client are held meanwhile. */
void sio_arrive(struct sio_client *c, size_t ns, const struct sio_ticket *ticket, const struct json_value *auth,
                unsigned where);
/* Whether the pid's socket is on its way to or from this loop; of several arrivals those count that began before
 * `before`, or all. */
bool sio_is_moving(const struct sio_loop *at, struct str pid, const struct sio_arrival *before);
/* The client is gone meanwhile. */
void sio_arrival_abandon(struct sio_client *c);
/* A broadcast was delivered here while sockets are on their way. */
void sio_collect(struct sio_loop *at, struct sio_cast *cast);
/* The socket is over: the loop that made its pid need not know any more where it is. */
void sio_forget_away(const struct sio_socket *s);

#endif
