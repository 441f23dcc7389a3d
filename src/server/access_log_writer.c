#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/timer.h"
#include "server/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_MS   200
#define FLUSH_SIZE KIB(64)
#define KEEP_MAX   MIB(1) /* a reader that is this far behind loses lines */
#define PIECE_MAX  KIB(4) /* PIPE_BUF: such a write is atomic, and does not block where poll() saw room */

struct access_log {
    char *path; /* NULL: standard output */
    enum access_format format;
    pthread_mutex_t lock; /* fd, and the order of writes */
    int fd;
    bool regular;
    atomic_uint_fast64_t lost;
};

struct access_log_writer {
    struct access_log *log;
    struct loop *loop;
    struct timer timer;
    struct buf lines;
};

static int open_path(const char *path, struct err *e)
{
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640)
                  : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return err_set(e, ERR_INTERNAL_ERROR, "access log %s: %s", path ? path : "standard output", strerror(errno));
    return fd;
}

static void use(struct access_log *log, int fd)
{
    struct stat st;
    log->fd = fd;
    log->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

struct access_log *access_log_open(const char *path, enum access_format format, struct err *e)
{
    if (path && strcmp(path, "-") == 0)
        path = NULL;
    int fd = open_path(path, e);
    if (fd < 0)
        return NULL;
    struct access_log *log = mem_zalloc(sizeof *log);
    log->path = path ? str_dup(str_c(path)) : NULL;
    log->format = format;
    pthread_mutex_init(&log->lock, NULL);
    use(log, fd);
    return log;
}

int access_log_reopen(struct access_log *log, struct err *e)
{
    int fd = open_path(log->path, e);
    if (fd < 0)
        return -1;
    pthread_mutex_lock(&log->lock);
    close(log->fd);
    use(log, fd);
    pthread_mutex_unlock(&log->lock);
    return 0;
}

struct access_log *access_log_close(struct access_log *log)
{
    if (!log)
        return NULL;
    close(log->fd);
    pthread_mutex_destroy(&log->lock);
    free(log->path);
    free(log);
    return NULL;
}

uint64_t access_log_lost(const struct access_log *log)
{
    return atomic_load(&log->lost);
}

/* Whole lines that make one write. */
static size_t next_piece(const struct access_log *log, struct str lines)
{
    if (log->regular || lines.n <= PIECE_MAX)
        return lines.n;
    size_t n = PIECE_MAX;
    while (n && lines.p[n - 1] != '\n')
        n--;
    return n ? n : PIECE_MAX;
}

/* Writes until the buffer is empty or the other side is not ready; a log that cannot be written is dropped. */
static void write_out(struct access_log *log, struct buf *lines)
{
    pthread_mutex_lock(&log->lock);
    while (lines->len) {
        struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
        if (!log->regular && poll(&ready, 1, 0) == 0)
            break;
        ssize_t n = write(log->fd, buf_str(lines).p, next_piece(log, buf_str(lines)));
        if (n > 0)
            buf_consume(lines, (size_t)n);
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            buf_clear(lines);
    }
    pthread_mutex_unlock(&log->lock);
}

void access_log_flush(struct access_log_writer *w)
{
    write_out(w->log, &w->lines);
    if (w->lines.len)
        timer_start(w->loop, &w->timer, FLUSH_MS);
    else
        timer_stop(w->loop, &w->timer);
}

static void on_timer(struct timer *timer)
{
    access_log_flush(container_of(timer, struct access_log_writer, timer));
}

struct access_log_writer *access_log_writer_new(struct access_log *log, struct loop *loop)
{
    struct access_log_writer *w = mem_zalloc(sizeof *w);
    *w = (struct access_log_writer){.log = log, .loop = loop, .timer = {.fn = on_timer}, .lines = BUF_INIT(KEEP_MAX)};
    return w;
}

struct access_log_writer *access_log_writer_free(struct access_log_writer *w)
{
    if (!w)
        return NULL;
    access_log_flush(w);
    timer_stop(w->loop, &w->timer);
    buf_free(&w->lines);
    free(w);
    return NULL;
}

void access_log_add(struct access_log_writer *w, const struct access_entry *entry)
{
    if (access_log_format(&w->lines, w->log->format, entry, clock_wall_ms()) < 0) {
        atomic_fetch_add(&w->log->lost, 1);
        return;
    }
    if (w->lines.len >= FLUSH_SIZE && w->lines.len < 2 * FLUSH_SIZE)
        access_log_flush(w);
    else if (!timer_running(&w->timer))
        timer_start(w->loop, &w->timer, FLUSH_MS);
}
