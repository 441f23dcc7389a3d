/* For drivers: calls on their way between tasks and a store's threads. A loop hands over what its tasks asked for once
 * per iteration, and is woken once for everything that finished meanwhile: that is what makes batches form by
 * themselves under load while an idle store answers at once. */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include "base/list.h"
#include "loop/task.h"
#include "store/store_driver.h"

#include <pthread.h>

enum job_state {
    JOB_PENDING, /* with its loop; only that loop's thread sees it */
    JOB_QUEUED,  /* in a queue: may still be withdrawn */
    JOB_RUNNING, /* a store thread works on the caller's memory: the caller stays */
    JOB_DONE,    /* finished; on its way back to its task */
};

struct port;

/* Lives on the caller's stack. */
struct job {
    struct list link;
    const struct store_call *call;
    const char *request_id;
    struct port *port; /* NULL: `waiter` is a thread */
    struct task *task;
    enum job_state state;
    bool over; /* the caller may go on */
    int result;
    struct err err;
};

/* One per loop that ever called. */
struct port {
    struct port *next;
    struct queue *queue;
    struct loop *loop;
    struct loop_end end;
    struct list pending; /* loop's thread only */
    struct list done;    /* under queue->lock */
    bool posted;         /* a wake-up of the loop is on its way */
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t batch_come, single_come, thread_done;
    bool (*batched)(enum store_op op);
    struct list batch, singles; /* what one thread takes together, and what each of several takes one by one */
    struct port *ports;
    bool closing; /* empty the queues, then end */
};

/* `batched` says which operations one thread takes together. */
void queue_init(struct queue *q, bool (*batched)(enum store_op op));
void queue_free(struct queue *q);
/* Runs the call on a store thread; parks the task or blocks the thread. */
int queue_call(struct queue *q, const struct store_call *call, struct err *e);

/* Store threads. Moves the queued operations of the batch (at most QUEUE_BATCH) to *batch. 1: some; 0: none now, with
 * `wait` false; -1: none and closing. */
#define QUEUE_BATCH 1024
int queue_take_batch(struct queue *q, struct list *batch, bool wait);
/* One of the others, NULL when closing and there are none. */
struct job *queue_take_single(struct queue *q);
/* Returns finished jobs (result and err set) to their callers; the jobs are gone afterwards. */
void queue_finish(struct queue *q, struct list *jobs);
/* From now on the threads end when there is nothing left. */
void queue_end(struct queue *q);

#endif
