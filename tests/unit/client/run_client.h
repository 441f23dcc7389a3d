/* Runs a test body inside a task of a fresh loop whose thread uses client/. */
#ifndef TEST_RUN_CLIENT_H
#define TEST_RUN_CLIENT_H

#include "client/upstream.h"
#include "unit/support/run_task.h"

static inline void run_client(void (*body)(void *arg), void *arg)
{
    struct loop *loop = loop_new(0);
    struct run_task run = {body, arg, loop};
    loop_post(loop, run_task_start, &run);
    loop_run(loop);
    client_thread_end();
    loop_free(loop);
}

#endif
