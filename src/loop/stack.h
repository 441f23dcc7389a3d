/* Guarded stacks for tasks, recycled per loop; and the report when one overflows. Private to this folder. */
#ifndef LOOP_STACK_H
#define LOOP_STACK_H

#include "loop/loop_impl.h"

struct task_stack {
    struct task_stack *next; /* lives at the top of the stack itself, so a free stack needs no memory of its own */
    char *base;              /* lowest usable byte; the guard page ends here */
    size_t size;             /* usable bytes below this record */
    unsigned valgrind_id;
};

/* NULL when the system gives no more memory. */
struct task_stack *stack_take(struct loop *loop);
void stack_give(struct loop *loop, struct task_stack *stack);
void stack_unmap(struct task_stack *stack);
/* Whether the process may map another stack without running into the system's limit. Any thread. */
bool stack_room(void);

#endif
