/* The embedded store with a gate in front: calls can be made to fail, and the n-th call to wait. */
#ifndef TEST_API_GATED_STORE_H
#define TEST_API_GATED_STORE_H

#include "loop/task.h"
#include "store/sqlite/sqlite_store.h"

#include <stdatomic.h>

static struct {
    atomic_bool reads_fail, writes_fail;
    atomic_int calls;    /* so far */
    atomic_int stop_at;  /* the call that waits, counted from 1; 0: none */
    atomic_int stop_op;  /* every call of this kind waits: enum store_op + 1; 0: none */
    atomic_bool stopped; /* it is there */
} gate;

/* The call waits until gate.stop_at changes, or its task is cancelled. */
static inline int gate_wait(int call, struct err *e)
{
    int result = 0;
    if (atomic_load(&gate.stop_at) != call || !task_self())
        return 0;
    atomic_store(&gate.stopped, true);
    while (result == 0 && atomic_load(&gate.stop_at) == call)
        result = task_sleep(1, e);
    return result;
}

static inline int gate_wait_op(enum store_op op, struct err *e)
{
    int result = 0;
    while (result == 0 && task_self() && atomic_load(&gate.stop_op) == (int)op + 1) {
        atomic_store(&gate.stopped, true);
        result = task_sleep(1, e);
    }
    return result;
}

static inline int gated_submit(struct store *st, const struct store_call *call, struct err *e)
{
    if (gate_wait(atomic_fetch_add(&gate.calls, 1) + 1, e) < 0 || gate_wait_op(call->op, e) < 0)
        return -1;
    if (atomic_load(store_op_writes(call->op) ? &gate.writes_fail : &gate.reads_fail))
        return err_set(e, ERR_STORE_UNAVAILABLE, NULL);
    return store_sqlite.submit(st, call, e);
}

static inline void gate_open(void)
{
    atomic_store(&gate.reads_fail, false);
    atomic_store(&gate.writes_fail, false);
    atomic_store(&gate.stop_at, 0);
    atomic_store(&gate.stop_op, 0);
    atomic_store(&gate.calls, 0);
    atomic_store(&gate.stopped, false);
}

/* From now on the n-th call waits. */
static inline void gate_stop_at(int n)
{
    gate_open();
    atomic_store(&gate.stop_at, n);
}

/* From now on calls of this kind wait. */
static inline void gate_stop_op(enum store_op op)
{
    gate_open();
    atomic_store(&gate.stop_op, (int)op + 1);
}

/* After store_open. */
static inline void gate_install(struct store *st)
{
    static struct store_ops gated;
    gated = store_sqlite;
    gated.submit = gated_submit;
    st->ops = &gated;
    gate_open();
}

#endif
