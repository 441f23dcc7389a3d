#include "loop/workers.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/task.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICER       10 /* than the loops */
#define NICE_MOST   19
#define RETRY_MS    1000
#define THREADS_MAX 256

struct job {
    struct list link; /* in workers.queue, while it waits there */
    void (*fn)(void *arg);
    void *arg;
    struct loop *loop;
    struct task *task;
    const char *request_id;
    uint64_t since_ms;
    bool taken;         /* by a thread: no longer in the queue. Guarded by the lock */
    bool done, refused; /* the task's loop only; refused: written by the thread before it posts */
};

struct workers {
    struct workers_config config;
    pthread_mutex_t lock;
    pthread_cond_t more; /* jobs, or the end */
    struct list queue;
    size_t waiting;
    bool ending;
    unsigned nthreads;
    pthread_t threads[];
};

static void told(void *arg)
{
    struct job *job = arg;
    job->done = true;
    task_wake(job->task);
}

static void run(const struct workers *workers, struct job *job)
{
    struct loop *loop = job->loop;
    uint64_t waited = clock_mono_ms() - job->since_ms;
    job->refused = workers->config.wait_ms && waited > workers->config.wait_ms;
    if (!job->refused) {
        log_request_id = job->request_id;
        job->fn(job->arg);
        log_request_id = NULL;
    }
    loop_post(loop, told, job);
}

/* The next job, NULL at the end. */
static struct job *take(struct workers *workers)
{
    struct job *job = NULL;
    pthread_mutex_lock(&workers->lock);
    while (list_empty(&workers->queue) && !workers->ending)
        pthread_cond_wait(&workers->more, &workers->lock);
    if (!list_empty(&workers->queue)) {
        job = container_of(workers->queue.next, struct job, link);
        list_remove(&job->link);
        workers->waiting--;
        job->taken = true;
    }
    pthread_mutex_unlock(&workers->lock);
    return job;
}

static void *thread_main(void *arg)
{
    struct workers *workers = arg;
    struct job *job;
    pthread_setname_np(pthread_self(), workers->config.name);
    /* On Linux the niceness is the thread's, begins as its maker's, and is its own to raise. */
    id_t self = (id_t)syscall(SYS_gettid);
    int niceness = MIN(getpriority(PRIO_PROCESS, self) + NICER, NICE_MOST);
    if (setpriority(PRIO_PROCESS, self, niceness) < 0)
        log_warn("loop", "priority_kept", F_C("threads", workers->config.name));
    while ((job = take(workers)))
        run(workers, job);
    arena_thread_end();
    return NULL;
}

static unsigned cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return (unsigned)MIN(MAX(n, 1L), (long)THREADS_MAX);
}

struct workers *workers_new(const struct workers_config *config)
{
    unsigned n = config->threads ? MIN(config->threads, THREADS_MAX) : cores();
    struct workers *workers = mem_zalloc(sizeof *workers + n * sizeof workers->threads[0]);
    workers->config = *config;
    workers->nthreads = n;
    list_init(&workers->queue);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->more, NULL);
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&workers->threads[i], NULL, thread_main, workers) != 0)
            die("cannot start a thread");
    return workers;
}

struct workers *workers_free(struct workers *workers)
{
    if (!workers)
        return NULL;
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->more);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->nthreads; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->more);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
    return NULL;
}

static int overloaded(struct err *e)
{
    err_set(e, ERR_OVERLOADED, NULL);
    if (e)
        e->retry_after_ms = RETRY_MS;
    return -1;
}

static bool enqueue(struct workers *workers, struct job *job)
{
    pthread_mutex_lock(&workers->lock);
    bool room = workers->waiting < workers->config.waiting;
    if (room) {
        list_push_back(&workers->queue, &job->link);
        workers->waiting++;
        pthread_cond_signal(&workers->more);
    }
    pthread_mutex_unlock(&workers->lock);
    return room;
}

/* Whether it had not begun: then it never will. */
static bool take_back(struct workers *workers, struct job *job)
{
    pthread_mutex_lock(&workers->lock);
    bool mine = !job->taken;
    if (mine) {
        list_remove(&job->link);
        workers->waiting--;
    }
    pthread_mutex_unlock(&workers->lock);
    return mine;
}

int workers_call(struct workers *workers, void (*fn)(void *arg), void *arg, struct err *e)
{
    struct job job = {.fn = fn,
                      .arg = arg,
                      .loop = task_loop(task_self()),
                      .task = task_self(),
                      .request_id = log_request_id,
                      .since_ms = clock_mono_ms()};
    struct err why;
    int result = 0;
    if (!enqueue(workers, &job))
        return overloaded(e);
    while (!job.done && result == 0)
        result = task_park(&why);
    if (!job.done && take_back(workers, &job)) {
        if (e)
            *e = why;
        return -1;
    }
    task_shield(); /* a thread works on our stack: stay */
    while (!job.done)
        task_park(NULL);
    task_unshield();
    return job.refused ? overloaded(e) : 0;
}

size_t workers_waiting(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    size_t n = workers->waiting;
    pthread_mutex_unlock(&workers->lock);
    return n;
}
