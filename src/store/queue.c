#include "store/queue.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

#include <stdlib.h>

static struct metric *depth;

static void metrics_once(void)
{
    depth = metric_gauge("parley_store_queue_depth", "Store operations waiting for or in a store thread", NULL);
}

void queue_init(struct queue *q, bool (*batched)(enum store_op op))
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, metrics_once);
    *q = (struct queue){.batched = batched};
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->batch_come, NULL);
    pthread_cond_init(&q->single_come, NULL);
    pthread_cond_init(&q->thread_done, NULL);
    list_init(&q->batch);
    list_init(&q->singles);
}

void queue_free(struct queue *q)
{
    for (struct port *port = q->ports, *next; port; port = next) {
        next = port->next;
        free(port);
    }
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->batch_come);
    pthread_cond_destroy(&q->single_come);
    pthread_cond_destroy(&q->thread_done);
}

/* Under the lock. */
static void enqueue(struct queue *q, struct job *job)
{
    job->state = JOB_QUEUED;
    bool batched = q->batched(job->call->op);
    list_push_back(batched ? &q->batch : &q->singles, &job->link);
    pthread_cond_signal(batched ? &q->batch_come : &q->single_come);
}

static void hand_over(struct loop_end *end)
{
    struct port *port = container_of(end, struct port, end);
    struct queue *q = port->queue;
    struct list *first;
    pthread_mutex_lock(&q->lock);
    while ((first = list_pop_front(&port->pending)))
        enqueue(q, container_of(first, struct job, link));
    pthread_mutex_unlock(&q->lock);
}

static struct port *port_of(struct queue *q, struct loop *loop)
{
    pthread_mutex_lock(&q->lock);
    struct port *port = q->ports;
    while (port && port->loop != loop)
        port = port->next;
    if (!port) {
        port = mem_zalloc(sizeof *port);
        *port = (struct port){.next = q->ports, .queue = q, .loop = loop, .end.fn = hand_over};
        list_init(&port->pending);
        list_init(&port->done);
        q->ports = port;
    }
    pthread_mutex_unlock(&q->lock);
    return port;
}

/* On the port's loop: lets the tasks whose jobs are done go on. */
static void wake_done(void *arg)
{
    struct port *port = arg;
    struct list done = LIST_INIT(done), *first;
    pthread_mutex_lock(&port->queue->lock);
    list_splice(&done, &port->done);
    port->posted = false;
    pthread_mutex_unlock(&port->queue->lock);
    while ((first = list_pop_front(&done))) {
        struct job *job = container_of(first, struct job, link);
        job->over = true;
        task_wake(job->task);
    }
}

/* Whether the job was still waiting and now is nowhere. */
static bool withdraw(struct queue *q, struct job *job)
{
    pthread_mutex_lock(&q->lock);
    bool waiting = job->state == JOB_PENDING || job->state == JOB_QUEUED;
    if (waiting)
        list_remove(&job->link);
    pthread_mutex_unlock(&q->lock);
    return waiting;
}

static int await_on_task(struct queue *q, struct job *job, struct err *e)
{
    struct err why;
    int result = 0;
    while (!job->over && result == 0)
        result = task_park(&why);
    if (job->over)
        return 0;
    if (withdraw(q, job)) {
        if (e)
            *e = why;
        return -1;
    }
    task_shield();
    while (!job->over)
        task_park(NULL);
    task_unshield();
    return 0;
}

static void await_on_thread(struct queue *q, struct job *job)
{
    pthread_mutex_lock(&q->lock);
    enqueue(q, job);
    while (!job->over)
        pthread_cond_wait(&q->thread_done, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

int queue_call(struct queue *q, const struct store_call *call, struct err *e)
{
    struct job job = {.call = call, .request_id = log_request_id, .task = task_self()};
    int waited = 0;
    list_init(&job.link);
    metric_inc(depth);
    if (job.task) {
        job.port = port_of(q, task_loop(job.task));
        list_push_back(&job.port->pending, &job.link);
        loop_at_end(job.port->loop, &job.port->end);
        waited = await_on_task(q, &job, e);
    } else {
        await_on_thread(q, &job);
    }
    metric_dec(depth);
    if (waited < 0)
        return -1;
    if (job.result < 0 && e)
        *e = job.err;
    return job.result;
}

int queue_take_batch(struct queue *q, struct list *batch, bool wait)
{
    struct list *first;
    pthread_mutex_lock(&q->lock);
    while (wait && list_empty(&q->batch) && !q->closing)
        pthread_cond_wait(&q->batch_come, &q->lock);
    int result = !list_empty(&q->batch) ? 1 : q->closing ? -1 : 0;
    for (unsigned n = 0; n < QUEUE_BATCH && (first = list_pop_front(&q->batch)); n++) {
        container_of(first, struct job, link)->state = JOB_RUNNING;
        list_push_back(batch, first);
    }
    pthread_mutex_unlock(&q->lock);
    return result;
}

struct job *queue_take_single(struct queue *q)
{
    struct job *job = NULL;
    pthread_mutex_lock(&q->lock);
    while (list_empty(&q->singles) && !q->closing)
        pthread_cond_wait(&q->single_come, &q->lock);
    struct list *first = list_pop_front(&q->singles);
    if (first) {
        job = container_of(first, struct job, link);
        job->state = JOB_RUNNING;
    }
    pthread_mutex_unlock(&q->lock);
    return job;
}

void queue_finish(struct queue *q, struct list *jobs)
{
    struct list *first;
    bool threads = false;
    pthread_mutex_lock(&q->lock);
    while ((first = list_pop_front(jobs))) {
        struct job *job = container_of(first, struct job, link);
        struct port *port = job->port;
        job->state = JOB_DONE;
        if (!port) {
            job->over = threads = true;
            continue;
        }
        list_push_back(&port->done, &job->link);
        if (!port->posted)
            loop_post(port->loop, wake_done, port);
        port->posted = true;
    }
    if (threads)
        pthread_cond_broadcast(&q->thread_done);
    pthread_mutex_unlock(&q->lock);
}

void queue_end(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_broadcast(&q->batch_come);
    pthread_cond_broadcast(&q->single_come);
    pthread_mutex_unlock(&q->lock);
}
