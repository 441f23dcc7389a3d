/* One TCP or TLS connection, accepted or made (connect.h): reading, a queue of unsent output, orderly and sudden
 * closing. Belongs to one loop at a time. An idle connection owns no buffer: input is read into memory the loop shares,
 * output leaves at once.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/blob.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"
#include "loop/task.h"

#include <netinet/in.h>

struct conn;
struct tls_context;
struct conn_tls;
struct out_segment;

enum conn_end {
    CONN_END_PEER,    /* the peer closed or reset */
    CONN_END_LOCAL,   /* conn_close or conn_finish */
    CONN_END_ERROR,   /* read, write or TLS error */
    CONN_END_TIMEOUT, /* conn_close_timeout */
};

struct conn_ops {
    /* Input. Consumes from the front and returns how many bytes it used; the rest is kept and comes again with more
     * behind it. p is writable and valid only during the call. Not called while reading is paused. */
    size_t (*on_read)(struct conn *c, char *p, size_t n);
    /* The peer will send no more (FIN). Output still works. NULL: the connection is closed. */
    void (*on_eof)(struct conn *c);
    /* The queue fell to CONN_LOW_MARK after it was above CONN_HIGH_MARK. May be NULL. */
    void (*on_drained)(struct conn *c);
    /* The last call ever made for this connection; release the record here. */
    void (*on_closed)(struct conn *c, enum conn_end why);
};

#define CONN_HIGH_MARK KIB(256) /* conn_wait_drained parks above this many unsent bytes */
#define CONN_LOW_MARK  KIB(64)

/* Embedded in the owner's record (container_of leads back). Treat the members as private. */
struct conn {
    uv_poll_t poll;
    const struct conn_ops *ops; /* the owner may switch them, also in on_read: what is left goes to the new ones */
    struct loop *loop;
    struct conn_tls *tls; /* NULL: plain */
    struct out_segment *out, *out_last;
    size_t queued; /* unsent bytes */
    char *kept;    /* input not consumed yet: malloc'd, NULL when none */
    uint32_t kept_len, kept_cap;
    struct loop_end turn; /* flushes and delivers kept input before the loop blocks */
    struct waitlist drain_waiters;
    struct conn_linger *linger;             /* while finishing, once all is sent */
    uint32_t last_input_ms, last_output_ms; /* low bits of loop_now_ms() at the last progress */
    int fd;
    uint8_t end, mask; /* enum conn_end; what uv_poll watches */
    bool reading : 1, eof : 1, closing : 1, finishing : 1, over_high : 1, in_read : 1, want_write : 1, again : 1;
    bool moving : 1;          /* conn_move was called, it has not arrived */
    struct sockaddr_in6 peer; /* IPv4 as mapped address */
};

/* Takes over fd (also on failure) and starts reading. tls NULL: plain text. 0, or -1 when the loop refuses: then
 * on_closed is never called and fd is closed. */
int conn_open(struct conn *c, struct loop *loop, int fd, struct tls_context *tls, const struct conn_ops *ops);

/* Queues a copy, or a reference to a blob (the caller keeps its own reference). Sent before the loop next blocks, or
 * by conn_flush. Ignored once the connection is closing. */
void conn_write(struct conn *c, struct str bytes);
void conn_write_blob(struct conn *c, struct blob *blob);
/* Room for n (<= 4096) bytes to be written in place at the end of the queue; follow with conn_commit. */
char *conn_reserve(struct conn *c, size_t n);
void conn_commit(struct conn *c, size_t n);
/* Sends what the kernel takes now. */
void conn_flush(struct conn *c);
/* Milliseconds since input last arrived, or since output last went out (or was first queued). */
uint32_t conn_input_age(const struct conn *c);
uint32_t conn_output_age(const struct conn *c);
/* Unsent bytes. */
static inline size_t conn_queued(const struct conn *c)
{
    return c->queued;
}
/* Parks the running task until the queue is below CONN_LOW_MARK (returns at once when it is below CONN_HIGH_MARK). -1
 * also when the connection closes meanwhile (CANCELLED). */
int conn_wait_drained(struct conn *c, struct err *e);

/* Stops and continues reading; the peer is slowed by TCP. Resuming delivers kept input soon, also when reading was not
 * paused. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* Sends what is queued, then closes (with the TLS farewell, and lingering briefly so that the peer reads it all). */
void conn_finish(struct conn *c);
/* Closes at once; idempotent. on_closed follows, not from inside this call. */
void conn_close(struct conn *c);
void conn_close_timeout(struct conn *c);

static inline bool conn_is_open(const struct conn *c)
{
    return !c->closing && !c->finishing;
}
static inline bool conn_is_tls(const struct conn *c)
{
    return c->tls != NULL;
}
/* Whether the TLS handshake is done with; always, when there is none. */
bool conn_is_ready(const struct conn *c);
/* Whether the peer will send no more and all it sent was consumed. False inside on_read. */
static inline bool conn_input_over(const struct conn *c)
{
    return c->eof && !c->kept_len && !c->in_read;
}
/* Takes the connection to another loop, with input that was not consumed and output that was not sent. Call on its own
 * loop, also from on_read (which then consumes nothing more), while it is open; nobody else may hold it there (timers,
 * conn_wait_drained). Until `arrived` is called, on the other loop's thread, nothing may be called for c, and nothing
 * happens to it. From then on it belongs to that loop, and kept input follows soon; or it is closing already, because
 * the system had no room for it there: on_closed follows as ever. The other loop must be running, or be freed later
 * with loop_free; `arrived` may then be called from inside loop_free, and must close the connection. */
void conn_move(struct conn *c, struct loop *to, void (*arrived)(struct conn *c));

/* The peer's address as text ("192.0.2.1", "2001:db8::1"), terminated. */
#define CONN_ADDRESS_MAX 46
void conn_address(const struct conn *c, char out[CONN_ADDRESS_MAX]);
/* User-space bytes of input and output that open connections of this process hold (records and TLS not counted). For
 * tests and /metrics. */
size_t conn_memory(void);
/* Bytes read from and written to all connections of this process so far. */
uint64_t conn_bytes_in(void);
uint64_t conn_bytes_out(void);

#endif
