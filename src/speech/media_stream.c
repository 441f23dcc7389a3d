/* One conversion as the server sees it: a socket to its worker, watched by the loop of the task that opened it. */
#include "speech/media_impl.h"

#include "base/log.h"
#include "base/mem.h"
#include "loop/timer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNREAD_PAUSE KIB(256) /* output that nobody read yet: then the worker has to wait */
#define OPEN_TRIES   2        /* the media process may have died since the last stream */

enum stream_phase {
    STREAM_OPENING, /* the worker was asked for */
    STREAM_RUNNING,
    STREAM_DONE,   /* all output is here */
    STREAM_FAILED, /* there will be no more; `failure` says why */
};

struct media_stream {
    struct media *media;
    struct loop *loop;
    struct media_job job;
    uint64_t id;
    enum stream_phase phase;
    struct err failure;

    uv_poll_t *poll; /* NULL: the phase is DONE or FAILED */
    int fd, watched; /* events */
    bool placed;     /* holds a place among the workers */
    bool vanished;   /* the worker is gone without a word from the media process: that one is gone as well */

    uint32_t sent, taken; /* packets of input */
    uint64_t out_bytes;
    bool finished;
    uint64_t heard_ms; /* last progress */
    struct timer watchdog;

    struct task *reader, *writer;
    struct buf in;  /* output of the worker that nobody read */
    struct buf out; /* the piece being read */
};

static const struct {
    enum err_code code;
    const char *text;
} failures[] = {
#define X(name, code, text) [MEDIA_##name] = {ERR_##code, text},
    MEDIA_FAILURES(X)
#undef X
};

/* ---- the end ---- */

static void poll_closed(uv_handle_t *handle)
{
    free(handle);
}

/* The only way into DONE and FAILED: the worker's place is free for the next stream. */
static void end(struct media_stream *s, enum stream_phase phase)
{
    s->phase = phase;
    timer_stop(s->loop, &s->watchdog);
    if (s->poll) {
        uv_close((uv_handle_t *)s->poll, poll_closed);
        close(s->fd);
        s->poll = NULL;
    }
    if (s->placed) {
        s->placed = false;
        metric_dec(s->media->active);
        media_place_give(s->media);
    }
    if (s->reader)
        task_wake(s->reader);
    if (s->writer)
        task_wake(s->writer);
}

static void fail(struct media_stream *s, enum media_failure why)
{
    if (why == MEDIA_TOO_LONG)
        err_set(&s->failure, failures[why].code, "The audio is longer than %u seconds", s->job.max_seconds);
    else
        err_set(&s->failure, failures[why].code, "%s", failures[why].text);
    end(s, STREAM_FAILED);
}

/* The worker did not end in order. */
static void fail_broken(struct media_stream *s)
{
    fail(s, s->job.kind == MEDIA_DECODE ? MEDIA_BROKEN : MEDIA_INTERNAL);
}

static void fail_violation(struct media_stream *s, enum media_packet type)
{
    log_warn("media", "worker_violation", F_INT("packet", type), F_INT("phase", s->phase));
    metric_inc(s->media->died);
    media_process_kill_worker(s->media, s->id);
    fail_broken(s);
}

/* ---- what the worker says ---- */

static void on_ready(struct media_stream *s, bool confined)
{
    s->phase = STREAM_RUNNING;
    if (s->reader)
        task_wake(s->reader);
    if (confined || atomic_exchange(&s->media->unconfined_said, true))
        return;
    log_warn("media", "unconfined", F_C("reason", "the kernel refuses to filter system calls of media workers"));
}

static void on_died(struct media_stream *s, const char *bytes)
{
    int status;
    memcpy(&status, bytes, sizeof status);
    log_warn("media", "worker_died", F_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
             F_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
    metric_inc(s->media->died);
    fail_broken(s);
}

/* Output of decoding that is longer than allowed was not made by our code. */
static bool output_ok(const struct media_stream *s, size_t n)
{
    uint64_t allowed = (uint64_t)s->job.max_seconds * s->job.rate * sizeof(int16_t);
    return n > 0 && (s->job.kind == MEDIA_ENCODE || s->out_bytes + n <= allowed);
}

static void on_output(struct media_stream *s, size_t n)
{
    buf_commit(&s->in, n);
    s->out_bytes += n;
    if (s->reader)
        task_wake(s->reader);
}

static void on_packet(struct media_stream *s, enum media_packet type, const char *bytes, size_t n)
{
    bool running = s->phase == STREAM_RUNNING;
    s->heard_ms = loop_now_ms(s->loop);
    if (type == MEDIA_READY && !running && n == 1)
        on_ready(s, bytes[0]);
    else if (type == MEDIA_OUTPUT && running && output_ok(s, n))
        on_output(s, n);
    else if (type == MEDIA_HUNGRY && running && n == sizeof s->taken)
        memcpy(&s->taken, bytes, sizeof s->taken);
    else if (type == MEDIA_DONE && running)
        end(s, STREAM_DONE);
    else if (type == MEDIA_FAILED && n == 1 && bytes[0] > MEDIA_OK && bytes[0] < MEDIA_FAILURE_COUNT)
        fail(s, (enum media_failure)bytes[0]);
    else if (type == MEDIA_DIED && n == sizeof(int))
        on_died(s, bytes);
    else
        fail_violation(s, type);
}

/* Takes what is there; without `all`, no more than the reader should have waiting. */
static void take_packets(struct media_stream *s, bool all)
{
    enum media_packet type;
    size_t n;
    while (s->poll && (all || s->in.len + s->out.len < UNREAD_PAUSE)) {
        char *room = buf_reserve(&s->in, MEDIA_PACKET_MAX);
        int got = media_packet_receive(s->fd, &type, room, &n, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (got < 0 && errno == ECONNRESET) /* it left input unread; its last words come behind this */
            continue;
        if (got > 0) {
            on_packet(s, type, room, n);
            continue;
        }
        s->vanished = true;
        log_warn("media", "worker_vanished", F_INT("phase", s->phase));
        metric_inc(s->media->died);
        fail_broken(s);
    }
}

/* ---- watching the socket ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static bool paused(const struct media_stream *s)
{
    return s->in.len + s->out.len >= UNREAD_PAUSE;
}

static void watch(struct media_stream *s)
{
    int events = (paused(s) ? 0 : UV_READABLE) | (s->writer ? UV_WRITABLE : 0);
    if (!s->poll || events == s->watched)
        return;
    s->watched = events;
    if (events)
        uv_poll_start(s->poll, events, on_poll);
    else
        uv_poll_stop(s->poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct media_stream *s = poll->data;
    if (status < 0) /* libuv stopped watching: the other end is gone */
        s->watched = 0;
    take_packets(s, status < 0);
    if (s->writer && (status < 0 || events & UV_WRITABLE))
        task_wake(s->writer);
    watch(s);
}

/* The worker owes us something: it has input that it did not ask more for, or shall end. */
static bool thinks(const struct media_stream *s)
{
    return !paused(s) && (s->phase == STREAM_OPENING || s->finished || s->sent != s->taken);
}

static void on_watchdog(struct timer *timer)
{
    struct media_stream *s = container_of(timer, struct media_stream, watchdog);
    uint64_t now = loop_now_ms(s->loop), limit = s->media->config.stall_timeout;
    uint64_t quiet = thinks(s) ? now - s->heard_ms : 0;
    if (quiet < limit) {
        timer_start(s->loop, timer, limit - quiet);
        return;
    }
    log_warn("media", "worker_stalled", F_INT("ms", quiet), F_INT("phase", s->phase));
    metric_inc(s->media->stalled);
    media_process_kill_worker(s->media, s->id);
    err_set(&s->failure, ERR_TIMEOUT, "The audio takes too long to convert");
    end(s, STREAM_FAILED);
}

/* ---- opening and closing ---- */

static int connect_worker(struct media_stream *s, struct err *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, ERR_OVERLOADED, NULL);
    int result = media_process_start_worker(s->media, s->id, &s->job, pair[1], e);
    close(pair[1]);
    uv_poll_t *poll = mem_zalloc(sizeof *poll);
    if (result < 0 || uv_poll_init(loop_uv(s->loop), poll, pair[0]) < 0) {
        close(pair[0]);
        free(poll);
        return result < 0 ? -1 : err_set(e, ERR_OVERLOADED, NULL);
    }
    poll->data = s;
    s->poll = poll;
    s->fd = pair[0];
    s->heard_ms = loop_now_ms(s->loop);
    timer_start(s->loop, &s->watchdog, s->media->config.stall_timeout);
    watch(s);
    return 0;
}

static int await_ready(struct media_stream *s, struct err *e)
{
    int result = 0;
    s->reader = task_self();
    while (s->phase == STREAM_OPENING && result == 0)
        result = task_park(e);
    s->reader = NULL;
    if (result == 0 && s->phase == STREAM_FAILED) {
        if (e)
            *e = s->failure;
        result = -1;
    }
    return result;
}

static struct media_stream *stream_new(struct media *m, const struct media_job *job)
{
    struct media_stream *s = mem_zalloc(sizeof *s);
    s->media = m;
    s->loop = loop_self();
    s->job = *job;
    s->placed = true;
    s->watchdog.fn = on_watchdog;
    buf_init(&s->in, SIZE_MAX);
    buf_init(&s->out, SIZE_MAX);
    s->id = atomic_fetch_add(&m->next_id, 1);
    return s;
}

struct media_stream *media_stream_open(struct media *m, const struct media_job *job, struct err *e)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        if (media_place_take(m, e) < 0)
            return NULL;
        struct media_stream *s = stream_new(m, job);
        if (connect_worker(s, e) == 0 && await_ready(s, e) == 0)
            return s;
        bool again = s->vanished;
        media_close(s);
        if (!again)
            return NULL;
    }
    return NULL;
}

struct media_stream *media_close(struct media_stream *s)
{
    if (!s)
        return NULL;
    if (s->poll)
        media_process_kill_worker(s->media, s->id);
    end(s, STREAM_FAILED);
    buf_free(&s->in);
    buf_free(&s->out);
    free(s);
    return NULL;
}

/* ---- input ---- */

/* 1: sent; 0: the worker is behind; -1: no more input is wanted. */
static int try_send(struct media_stream *s, enum media_packet type, struct str bytes)
{
    if (!s->poll)
        return -1;
    if (media_packet_send(s->fd, type, bytes.p, bytes.n, MSG_DONTWAIT) == 0) {
        if (!thinks(s))
            s->heard_ms = loop_now_ms(s->loop);
        s->sent++;
        s->finished = type == MEDIA_END;
        return 1;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
        return 0;
    take_packets(s, true); /* its last words */
    return -1;
}

/* What a writer is told once no more input is wanted. */
static int outcome(const struct media_stream *s, struct err *e)
{
    if (s->phase == STREAM_FAILED && e)
        *e = s->failure;
    return s->phase == STREAM_FAILED ? -1 : 0;
}

static int send_packet(struct media_stream *s, enum media_packet type, struct str bytes, struct err *e)
{
    int sent, result = 0;
    while ((sent = try_send(s, type, bytes)) == 0 && result == 0) {
        s->writer = task_self();
        watch(s);
        result = task_park(e);
        s->writer = NULL;
        watch(s);
    }
    if (sent < 0)
        return outcome(s, e);
    return sent > 0 ? 0 : result;
}

static struct str take_slice(struct str *bytes)
{
    struct str slice = {bytes->p, MIN(bytes->n, MEDIA_PACKET_MAX)};
    *bytes = str_from(*bytes, slice.n);
    return slice;
}

int media_write(struct media_stream *s, struct str bytes, struct err *e)
{
    while (bytes.n)
        if (send_packet(s, MEDIA_INPUT, take_slice(&bytes), e) < 0)
            return -1;
    return outcome(s, e);
}

int media_finish(struct media_stream *s, struct err *e)
{
    return send_packet(s, MEDIA_END, STR_NONE, e);
}

/* ---- output ---- */

/* Hands over what came, and lets the worker go on. */
static struct str swap(struct media_stream *s)
{
    struct buf read = s->in;
    s->in = s->out;
    s->out = read;
    return buf_str(&s->out);
}

static void let_go(struct media_stream *s)
{
    bool was = paused(s);
    if (s->out.cap > UNREAD_PAUSE)
        buf_free(&s->out);
    else
        buf_clear(&s->out);
    if (was && !paused(s))
        s->heard_ms = loop_now_ms(s->loop);
    watch(s);
}

int media_read(struct media_stream *s, struct str *out, struct err *e)
{
    int result = 0;
    let_go(s);
    s->reader = task_self();
    while (s->in.len == 0 && s->poll && result == 0)
        result = task_park(e);
    s->reader = NULL;
    if (s->in.len) {
        *out = swap(s);
        return 1;
    }
    return result < 0 ? -1 : outcome(s, e);
}

/* ---- all at once ---- */

/* Sends as much as the worker takes. 1: all of it, or it wants no more; 0: there is output, or it is behind; -1 with
 * *e. Waiting for both at once is what media_write and media_read in one task cannot do. */
static int pump(struct media_stream *s, struct str *bytes, struct err *e)
{
    int sent = 1;
    while (sent > 0 && !s->finished) {
        struct str rest = *bytes, slice = take_slice(&rest);
        sent = try_send(s, slice.n ? MEDIA_INPUT : MEDIA_END, slice);
        if (sent > 0)
            *bytes = rest;
    }
    if (sent != 0 || s->in.len)
        return sent != 0;
    s->reader = s->writer = task_self();
    watch(s);
    int result = task_park(e);
    s->reader = s->writer = NULL;
    watch(s);
    return result;
}

static int collect(struct media_stream *s, struct str bytes, struct buf *out, struct err *e)
{
    struct str piece;
    int sent = 0, got = 1;
    while (got > 0) {
        if (sent == 0 && (sent = pump(s, &bytes, e)) < 0)
            return -1;
        if (sent == 0 && s->in.len == 0)
            continue;
        got = media_read(s, &piece, e);
        if (got > 0 && buf_str_add(out, piece) < 0)
            return err_set(e, ERR_INVALID_REQUEST, "The audio is too long");
        let_go(s); /* a piece that is held would keep the worker waiting, and so the writer */
    }
    return got;
}

int media_decode_all(struct media *media, const struct media_decode *how, struct str bytes, struct buf *out,
                     struct err *e)
{
    struct media_stream *s = media_open_decode(media, how, e);
    int result = s ? collect(s, bytes, out, e) : -1;
    media_close(s);
    return result;
}
