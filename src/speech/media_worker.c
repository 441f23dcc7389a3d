/* The media process: loads FFmpeg once, then makes a worker for every stream by fork. A worker begins clean, is
 * confined before it reads a byte of its input, and ends with its stream: what one input did to it, no other stream can
 * feel. */
#include "speech/media.h"

#include "base/list.h"
#include "base/mem.h"
#include "speech/media_confine.h"
#include "speech/media_libav.h"
#include "speech/media_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_PIECE KIB(16) /* output waits for this much, or until the worker has nothing to do */
#define OOM_SCORE    "500"   /* rather a worker than the server */

/* ---- in a worker ---- */

struct stream_io {
    struct media_io io;
    int fd;
    uint32_t taken; /* packets */
    bool ended, gone;
    char in[MEDIA_PACKET_MAX];
    size_t in_at, in_len;
    char out[OUTPUT_PIECE];
    size_t out_len;
};

static int flush(struct stream_io *s)
{
    if (s->out_len && media_packet_send(s->fd, MEDIA_OUTPUT, s->out, s->out_len, 0) < 0)
        s->gone = true;
    s->out_len = 0;
    return s->gone ? -1 : 0;
}

static int io_write(struct media_io *io, const void *bytes, size_t n)
{
    struct stream_io *s = container_of(io, struct stream_io, io);
    const char *from = bytes;
    while (n) {
        size_t now = MIN(n, sizeof s->out - s->out_len);
        memcpy(s->out + s->out_len, from, now);
        s->out_len += now;
        from += now;
        n -= now;
        if (s->out_len == sizeof s->out && flush(s) < 0)
            return -1;
    }
    return 0;
}

/* Takes the next packet of input. Before it waits, everything made so far leaves. */
static int take_packet(struct stream_io *s)
{
    enum media_packet type;
    int got = media_packet_receive(s->fd, &type, s->in, &s->in_len, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        if (flush(s) < 0 || media_packet_send(s->fd, MEDIA_HUNGRY, &s->taken, sizeof s->taken, 0) < 0)
            return -1;
        got = media_packet_receive(s->fd, &type, s->in, &s->in_len, 0);
    }
    if (got <= 0)
        return -1;
    s->taken++;
    s->in_at = 0;
    s->ended = type == MEDIA_END;
    return 0;
}

static ssize_t io_read(struct media_io *io, void *to, size_t n)
{
    struct stream_io *s = container_of(io, struct stream_io, io);
    while (s->in_at == s->in_len) {
        if (s->ended || s->gone)
            return s->gone ? -1 : 0;
        s->gone = take_packet(s) < 0;
    }
    n = MIN(n, s->in_len - s->in_at);
    memcpy(to, s->in + s->in_at, n);
    s->in_at += n;
    return (ssize_t)n;
}

static void work(const struct media_job *job, int fd)
{
    static struct stream_io s = {.io = {io_read, io_write}};
    unsigned char confined = media_confine(job, fd), why = MEDIA_NO_LIBRARY;
    s.fd = fd;
    if (libav_load()) {
        if (media_packet_send(fd, MEDIA_READY, &confined, 1, 0) < 0)
            return;
        why = (unsigned char)(job->kind == MEDIA_DECODE ? media_decode_run : media_encode_run)(job, &s.io);
    }
    if (why == MEDIA_GONE || flush(&s) < 0)
        return;
    media_packet_send(fd, why == MEDIA_OK ? MEDIA_DONE : MEDIA_FAILED, &why, 1, 0);
}

/* ---- in the media process ---- */

struct worker {
    struct list link;
    uint64_t id;
    pid_t pid;
    int fd; /* the worker's end of its stream, for the last word about it */
};

static void wake(int signal)
{
    (void)signal;
}

/* Ends with the server, and not by what is meant for the server: it still may want to speak its farewell. */
static void prepare(sigset_t *waiting)
{
    static const int ignored[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP};
    sigset_t child;
    prctl(PR_SET_NAME, "parley-media");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < COUNT(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = wake}, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, waiting);
    sigdelset(waiting, SIGCHLD);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        ssize_t written = write(score, OOM_SCORE, sizeof OOM_SCORE - 1);
        (void)written; /* a hint */
        close(score);
    }
}

static void start(struct list *workers, const struct media_order *order, int control, int fd)
{
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != self || dup2(fd, control) < 0)
            _exit(1);
        work(&order->job, control);
        _exit(0);
    }
    if (pid < 0) { /* the server sees the end of the stream */
        close(fd);
        return;
    }
    struct worker *worker = mem_zalloc(sizeof *worker);
    *worker = (struct worker){.id = order->id, .pid = pid, .fd = fd};
    list_push_back(workers, &worker->link);
}

static void stop(struct list *workers, uint64_t id)
{
    list_each(it, workers) {
        struct worker *worker = container_of(it, struct worker, link);
        if (worker->id == id)
            kill(worker->pid, SIGKILL);
    }
}

static void reap(struct list *workers)
{
    int status;
    list_each_safe(it, workers) {
        struct worker *worker = container_of(it, struct worker, link);
        if (waitpid(worker->pid, &status, WNOHANG) != worker->pid)
            continue;
        if (status != 0)
            media_packet_send(worker->fd, MEDIA_DIED, &status, sizeof status, MSG_DONTWAIT);
        close(worker->fd);
        list_remove(&worker->link);
        free(worker);
    }
}

/* One order. False when the server is gone. */
static bool obey(struct list *workers, int control)
{
    struct media_order order;
    int carried;
    int got = media_order_receive(control, &order, &carried);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    if (got == 0)
        return false;
    if (order.type == MEDIA_START && carried >= 0)
        start(workers, &order, control, carried);
    else if (order.type == MEDIA_KILL)
        stop(workers, order.id);
    return true;
}

int media_worker(int fd)
{
    struct list workers = LIST_INIT(workers);
    struct pollfd control = {.fd = fd, .events = POLLIN};
    int type = 0;
    socklen_t size = sizeof type;
    sigset_t waiting;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET) {
        fputs("parley: 'media' is what the server starts for its own use\n", stderr);
        return 2;
    }
    prepare(&waiting);
    libav_load();
    for (;;) {
        reap(&workers);
        int ready = ppoll(&control, 1, NULL, &waiting);
        if (ready > 0 && !obey(&workers, fd))
            return 0;
        if (ready < 0 && errno != EINTR)
            return 1;
    }
}
