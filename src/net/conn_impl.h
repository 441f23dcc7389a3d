/* What the files of this folder share; nobody else includes it. */
#ifndef NET_CONN_IMPL_H
#define NET_CONN_IMPL_H

#include "net/conn.h"
#include "net/tls.h"

#include <stdatomic.h>
#include <sys/types.h>

#define READ_MAX      KIB(64)  /* taken from the socket at once */
#define INPUT_MAX     KIB(256) /* kept and new input together: an owner that keeps more has stopped consuming */
#define SEGMENT_SPACE 4096

struct out_segment {
    struct out_segment *next;
    const char *data; /* what is left to send */
    size_t left;
    struct blob *blob; /* referenced; NULL: the bytes are in space */
    size_t cap;        /* of space */
    char space[];
};

struct conn_linger {
    struct timer timer;
    struct conn *conn;
    size_t left; /* bytes that are still read and dropped */
};

/* Memory the connections of one thread share. Counters have one writer. */
struct conn_pool {
    struct conn_pool *next;
    struct out_segment *free;
    unsigned nfree;
    _Atomic size_t held;
    _Atomic uint64_t bytes_in, bytes_out;
    char scratch[SEGMENT_SPACE]; /* conn_reserve on a closed connection */
    char input[INPUT_MAX];
};

struct conn_pool *conn_pool(void);
/* The thread's pool counts n more (or fewer) bytes held by connections. */
void conn_pool_hold(struct conn_pool *pool, ptrdiff_t n);
static inline void count(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, was + n, memory_order_relaxed);
}

/* conn.c */
/* As conn_open, with a TLS session of its own (NULL: plain), which it takes over. */
int conn_begin(struct conn *c, struct loop *loop, int fd, struct conn_tls *tls, const struct conn_ops *ops);
void conn_end(struct conn *c, enum conn_end why);
void conn_update_poll(struct conn *c);
void conn_all_sent(struct conn *c); /* finishing, and the queue is empty */
/* Whether it is still this loop's, and not on its way out. */
static inline bool conn_is_here(const struct conn *c)
{
    return !c->closing && !c->moving;
}
/* The two halves of conn_end, for a connection without a handle. */
void conn_let_go(struct conn *c, enum conn_end why);
void conn_closed(struct conn *c);

/* move.c: conn_move was called in on_read, which has returned. */
void conn_depart(struct conn *c);

/* address.c: IPv4 becomes a mapped address. */
void address_map(struct sockaddr_in6 *out, const struct sockaddr_storage *from);

/* output.c */
void conn_drop_output(struct conn *c);

/* tls.c: reads and writes answer how many bytes went (> 0), 0 at the peer's end, or one of these. */
enum { TLS_WANT_READ = -1, TLS_WANT_WRITE = -2, TLS_FAILED = -3 };
struct conn_tls *tls_accept(struct tls_context *tls, int fd); /* NULL: no memory or the library refuses */
/* The client's side of a connection to host:port. Its handshake is done with tls_handshake before anything else: 1, or
 * what it waits for, or TLS_FAILED: tls_distrusts then tells whether for the peer's certificate. */
struct conn_tls *tls_connect(struct tls_client *client, int fd, const char *host, uint16_t port);
int tls_handshake(struct conn_tls *t);
bool tls_distrusts(const struct conn_tls *t);
ssize_t tls_read(struct conn_tls *t, char *p, size_t n);
ssize_t tls_write(struct conn_tls *t, const char *p, size_t n);
bool tls_pending(const struct conn_tls *t); /* decrypted input waits */
bool tls_ready(const struct conn_tls *t);   /* the handshake is done with */
void tls_farewell(struct conn_tls *t);
struct conn_tls *tls_drop(struct conn_tls *t);

#endif
