/* Work elsewhere while the task waits: worker threads (pool_call) and other loops (loop_call). */
#include "base/log.h"
#include "loop/task.h"

struct pool_job {
    uv_work_t work;
    void (*fn)(void *arg);
    void *arg;
    struct task *task;
    const char *request_id;
    bool done, cancelled;
};

static void run_job(uv_work_t *work)
{
    struct pool_job *job = work->data;
    log_request_id = job->request_id;
    job->fn(job->arg);
    log_request_id = NULL;
}

static void job_over(uv_work_t *work, int status)
{
    struct pool_job *job = work->data;
    job->done = true;
    job->cancelled = status == UV_ECANCELED;
    task_wake(job->task);
}

int pool_call(void (*fn)(void *arg), void *arg, struct err *e)
{
    struct pool_job job = {.fn = fn, .arg = arg, .task = task_self(), .request_id = log_request_id};
    job.work.data = &job;
    if (uv_queue_work(loop_uv(task_loop(job.task)), &job.work, run_job, job_over) < 0)
        return err_set(e, ERR_INTERNAL_ERROR, NULL);
    struct err why;
    int result = 0;
    while (!job.done && result == 0)
        result = task_park(&why);
    if (job.done)
        return 0;
    uv_cancel((uv_req_t *)&job.work); /* fails when it runs already: then its result is taken */
    task_shield();
    while (!job.done)
        task_park(NULL);
    task_unshield();
    if (!job.cancelled)
        return 0;
    if (e)
        *e = why;
    return -1;
}

struct remote_call {
    struct loop *caller_loop;
    struct task *caller, *callee; /* callee: its loop's thread only; NULL before and after */
    const char *name;
    int (*fn)(void *arg);
    void *arg;
    const char *request_id;
    int result;
    unsigned pending; /* caller's loop only: answers still to come */
};

static void answered(void *arg)
{
    struct remote_call *call = arg;
    call->pending--;
    task_wake(call->caller);
}

static void answer(void *arg)
{
    struct remote_call *call = arg;
    call->callee = NULL;
    loop_post(call->caller_loop, answered, call);
}

static void callee_main(void *arg)
{
    struct remote_call *call = arg;
    call->callee = task_self();
    log_request_id = call->request_id;
    task_defer(answer, call); /* first in, last out: what fn deferred may still use the caller's stack */
    call->result = call->fn(call->arg);
}

static void callee_start(void *arg)
{
    struct remote_call *call = arg;
    task_spawn(call->name, callee_main, call);
}

static void callee_cancel(void *arg)
{
    struct remote_call *call = arg;
    if (call->callee)
        task_cancel(call->callee);
    loop_post(call->caller_loop, answered, call);
}

int loop_call(struct loop *loop, const char *name, int (*fn)(void *arg), void *arg)
{
    if (loop == loop_self())
        return fn(arg);
    struct remote_call call = {.caller_loop = loop_self(),
                               .caller = task_self(),
                               .name = name,
                               .fn = fn,
                               .arg = arg,
                               .request_id = log_request_id,
                               .pending = 1};
    loop_post(loop, callee_start, &call);
    while (call.pending && task_park(NULL) == 0)
        ;
    if (call.pending) {
        /* Cancelled here: cancel there, and stay until both are answered, for they work on our stack. */
        call.pending++;
        loop_post(loop, callee_cancel, &call);
        task_shield();
        while (call.pending)
            task_park(NULL);
        task_unshield();
    }
    return call.result;
}
