#include "speech/media_impl.h"

#include "base/mem.h"

#include <stdlib.h>

#define RATE_MIN 4000
#define RATE_MAX 192000

struct media *media_new(const struct media_config *config)
{
    struct media *m = mem_zalloc(sizeof *m);
    m->config = *config;
    struct media_config *c = &m->config;
    c->workers = c->workers ? c->workers : 4;
    c->queue_timeout = c->queue_timeout ? c->queue_timeout : 5000;
    c->stall_timeout = c->stall_timeout ? c->stall_timeout : 10000;
    c->memory = c->memory ? c->memory : MIB(512);
    c->max_seconds = c->max_seconds ? c->max_seconds : 3600;
    c->idle_timeout = c->idle_timeout ? c->idle_timeout : 60000;
    c->program = c->program ? c->program : "/proc/self/exe";
    m->control = -1;
    pthread_mutex_init(&m->lock, NULL);
    list_init(&m->waiting);
    m->active = metric_gauge("parley_media_streams", "Conversions of audio under way.", NULL);
    m->died = metric_counter("parley_media_workers_died_total", "Media workers that crashed or were killed.", NULL);
    m->stalled = metric_counter("parley_media_workers_stalled_total", "Media workers that made no progress.", NULL);
    return m;
}

struct media *media_free(struct media *m)
{
    if (!m)
        return NULL;
    media_process_end(m);
    pthread_mutex_destroy(&m->lock);
    free(m);
    return NULL;
}

/* ---- places ---- */

struct place_waiter {
    struct list link;
    struct task *task;
    struct loop *loop;
    bool given; /* under the lock: the place is this one's, its loop will hear of it */
    bool told;  /* its loop heard of it */
};

static void waiter_told(void *arg)
{
    struct place_waiter *waiter = arg;
    waiter->told = true;
    task_wake(waiter->task);
}

/* Leaves the line. True when a place was given meanwhile: then the other loop's message has been awaited, too. */
static bool leave_line(struct media *m, struct place_waiter *waiter)
{
    pthread_mutex_lock(&m->lock);
    bool given = waiter->given;
    if (!given)
        list_remove(&waiter->link);
    pthread_mutex_unlock(&m->lock);
    task_shield();
    while (given && !waiter->told)
        task_park(NULL);
    task_unshield();
    return given;
}

static int wait_in_line(struct media *m, struct place_waiter *waiter, struct err *e)
{
    struct task_deadline deadline;
    int result = 0;
    task_deadline_begin(&deadline, m->config.queue_timeout);
    while (!waiter->told && result == 0)
        result = task_park(e);
    bool late = deadline.passed;
    task_deadline_end(&deadline);
    if (result == 0)
        return 0;
    if (leave_line(m, waiter))
        media_place_give(m);
    return late && !task_cancelled() ? err_set(e, ERR_OVERLOADED, NULL) : -1;
}

int media_place_take(struct media *m, struct err *e)
{
    struct place_waiter waiter = {.task = task_self(), .loop = loop_self()};
    pthread_mutex_lock(&m->lock);
    bool free_now = m->busy < m->config.workers;
    if (free_now)
        m->busy++;
    else
        list_push_back(&m->waiting, &waiter.link);
    pthread_mutex_unlock(&m->lock);
    if (!free_now && wait_in_line(m, &waiter, e) < 0)
        return -1;
    metric_inc(m->active);
    return 0;
}

void media_place_give(struct media *m)
{
    pthread_mutex_lock(&m->lock);
    struct list *first = list_pop_front(&m->waiting);
    if (first) {
        struct place_waiter *waiter = container_of(first, struct place_waiter, link);
        waiter->given = true;
        loop_post(waiter->loop, waiter_told, waiter);
    } else if (--m->busy == 0) {
        media_process_idle(m);
    }
    pthread_mutex_unlock(&m->lock);
}

/* ---- opening ---- */

static bool rate_ok(unsigned rate)
{
    return rate >= RATE_MIN && rate <= RATE_MAX;
}

static struct media_stream *open_job(struct media *m, struct media_job *job, struct err *e)
{
    if (!rate_ok(job->rate) || (job->pcm_rate && !rate_ok(job->pcm_rate)) ||
        (job->out_rate && !rate_ok(job->out_rate))) {
        err_set(e, ERR_INVALID_REQUEST, "The sample rate must be %d to %d Hz", RATE_MIN, RATE_MAX);
        return NULL;
    }
    job->max_seconds = m->config.max_seconds;
    job->memory = m->config.memory;
    /* The slowest conversion runs at some twenty times the speed of its audio. */
    job->cpu_seconds = 30 + job->max_seconds / 8;
    return media_stream_open(m, job, e);
}

struct media_stream *media_open_decode(struct media *m, const struct media_decode *how, struct err *e)
{
    struct media_job job = {.kind = MEDIA_DECODE, .rate = how->rate, .pcm_rate = how->pcm_rate};
    return open_job(m, &job, e);
}

struct media_stream *media_open_encode(struct media *m, const struct media_encode *how, struct err *e)
{
    struct media_job job = {.kind = MEDIA_ENCODE, .rate = how->rate, .out_rate = how->out_rate, .format = how->format};
    return open_job(m, &job, e);
}
