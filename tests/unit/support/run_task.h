/* Runs a test body inside a task of a fresh loop and returns when every task ended. */
#ifndef TEST_RUN_TASK_H
#define TEST_RUN_TASK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/task.h"

struct run_task {
    void (*body)(void *arg);
    void *arg;
    struct loop *loop;
};

/* Cleanup that other ready tasks and closing handles still need gets a few turns of the loop before it stops. */
static inline void run_task_stop(void *arg)
{
    struct run_task *run = arg;
    if (task_count() > 0)
        loop_post(run->loop, run_task_stop, run);
    else
        loop_stop(run->loop);
}

static inline void run_task_main(void *arg)
{
    struct run_task *run = arg;
    run->body(run->arg);
    loop_post(run->loop, run_task_stop, run);
}

static inline void run_task_start(void *arg)
{
    struct run_task *run = arg;
    task_spawn("test", run_task_main, run);
}

/* A failed assertion inside a task longjmps off its stack: cmocka reports it, the process should not go on for long. */
static inline void run_task(void (*body)(void *arg), void *arg)
{
    struct loop *loop = loop_new(0);
    struct run_task run = {body, arg, loop};
    loop_post(loop, run_task_start, &run);
    loop_run(loop);
    loop_free(loop);
}

#endif
