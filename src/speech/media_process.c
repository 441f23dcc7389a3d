/* The media process as the server sees it: started when the first stream needs it, ended when none did for a while. */
#include "speech/media_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAP_MS 20 /* until a killed process is looked after */

/* ---- with the lock held ---- */

static void reap_dying(struct media *m, int flags)
{
    pid_t got = 0;
    if (!m->dying)
        return;
    do {
        got = waitpid(m->dying, NULL, flags);
    } while (got < 0 && errno == EINTR);
    if (got != 0)
        m->dying = 0;
}

static void end_process(struct media *m)
{
    if (!m->pid)
        return;
    reap_dying(m, 0);
    close(m->control);
    kill(m->pid, SIGKILL);
    m->dying = m->pid;
    m->control = -1;
    m->pid = 0;
}

/* The child gets nothing of ours but the socket: no other descriptor, no environment, no signal mask, no terminal. */
static int spawn(struct media *m, int fd)
{
    static char *const arguments[] = {"parley", "media", NULL}, *const environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, fd, MEDIA_WORKER_FD);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, MEDIA_WORKER_FD + 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int error = posix_spawn(&m->pid, m->config.program, &files, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (error)
        m->pid = 0;
    return error;
}

static int begin_process(struct media *m)
{
    int pair[2], error;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return errno;
    error = spawn(m, pair[1]);
    close(pair[1]);
    if (error)
        close(pair[0]);
    else
        m->control = pair[0];
    return error;
}

/* ---- from tasks ---- */

struct begin {
    struct media *media;
    int error;
};

/* In libuv's pool: these threads live as long as the server, and the media process ends with the thread that made it.
 */
static void begin_job(void *arg)
{
    struct begin *begin = arg;
    pthread_mutex_lock(&begin->media->lock);
    reap_dying(begin->media, 0);
    if (!begin->media->pid)
        begin->error = begin_process(begin->media);
    pthread_mutex_unlock(&begin->media->lock);
}

/* One order to a process that may have died unnoticed: then it is cleared away. */
static int send_order(struct media *m, const struct media_order *order, int carry)
{
    int result = -1;
    pthread_mutex_lock(&m->lock);
    if (m->pid)
        result = media_order_send(m->control, order, carry);
    if (m->pid && result < 0 && errno != EAGAIN) {
        log_warn("media", "process_died", F_INT("pid", m->pid));
        end_process(m);
    }
    pthread_mutex_unlock(&m->lock);
    return result;
}

int media_process_start_worker(struct media *m, uint64_t id, const struct media_job *job, int fd, struct err *e)
{
    struct media_order order = {.type = MEDIA_START, .id = id, .job = *job};
    struct begin begin = {.media = m};
    if (send_order(m, &order, fd) == 0)
        return 0;
    if (pool_call(begin_job, &begin, e) < 0)
        return -1;
    if (begin.error) {
        log_error("media", "cannot_start", F_C("program", m->config.program), F_INT("errno", begin.error));
        bool broken = begin.error == ENOENT || begin.error == EACCES || begin.error == ENOEXEC;
        return err_set(e, broken ? ERR_INTERNAL_ERROR : ERR_OVERLOADED, NULL);
    }
    return send_order(m, &order, fd) < 0 ? err_set(e, ERR_OVERLOADED, NULL) : 0;
}

void media_process_kill_worker(struct media *m, uint64_t id)
{
    struct media_order order = {.type = MEDIA_KILL, .id = id};
    send_order(m, &order, -1);
}

/* ---- its end ---- */

static void on_idle(struct timer *timer)
{
    struct media *m = container_of(timer, struct media, idle);
    pthread_mutex_lock(&m->lock);
    uint64_t idle_ms = clock_mono_ms() - m->idle_since_ms;
    reap_dying(m, WNOHANG);
    m->idle_runs = m->busy == 0 && (m->pid || m->dying);
    if (m->busy == 0 && m->pid && idle_ms >= m->config.idle_timeout)
        end_process(m);
    if (m->idle_runs)
        timer_start(loop_self(), timer, m->dying ? REAP_MS : m->config.idle_timeout - idle_ms);
    pthread_mutex_unlock(&m->lock);
}

void media_process_idle(struct media *m)
{
    m->idle_since_ms = clock_mono_ms();
    if (m->idle_runs)
        return;
    m->idle_runs = true;
    m->idle.fn = on_idle;
    timer_start(loop_self(), &m->idle, m->config.idle_timeout);
}

void media_process_end(struct media *m)
{
    end_process(m);
    reap_dying(m, 0);
}
