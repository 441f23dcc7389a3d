#include "loop/stack.h"

#include "base/mem.h"
#include "base/sanitize.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id)       ((void)(id))
#endif

#define GUARD KIB(4)
/* Linux gives a process 65530 mappings unless told otherwise; a stack and its guard page are two. */
#define STACKS_LIMIT 24576
#define KEPT_STACKS  128 /* free stacks a loop keeps; each has touched 8 KiB or so */

/* Sanitizers put red zones around every local and keep shadow frames: the same code needs several times the stack. */
#if defined(WITH_ASAN) || defined(WITH_TSAN)
#define STACK_BYTES (TASK_STACK * 8)
#else
#define STACK_BYTES TASK_STACK
#endif

static atomic_uint mapped;

bool stack_room(void)
{
    return atomic_load_explicit(&mapped, memory_order_relaxed) < STACKS_LIMIT;
}

static struct task_stack *map_stack(void)
{
    char *low = mmap(NULL, GUARD + STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (low == MAP_FAILED)
        return NULL;
    if (mprotect(low, GUARD, PROT_NONE) < 0) {
        munmap(low, GUARD + STACK_BYTES);
        return NULL;
    }
    atomic_fetch_add_explicit(&mapped, 1, memory_order_relaxed);
    struct task_stack *stack = (struct task_stack *)(void *)(low + GUARD + STACK_BYTES) - 1;
    *stack = (struct task_stack){.base = low + GUARD, .size = STACK_BYTES - sizeof *stack};
    stack->valgrind_id = (unsigned)VALGRIND_STACK_REGISTER(stack->base, stack->base + STACK_BYTES);
    return stack;
}

struct task_stack *stack_take(struct loop *loop)
{
    struct task_stack *stack = loop->stacks;
    if (!stack)
        return map_stack();
    loop->stacks = stack->next;
    loop->free_stacks--;
    return stack;
}

void stack_unmap(struct task_stack *stack)
{
    VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
    munmap(stack->base - GUARD, GUARD + STACK_BYTES);
    atomic_fetch_sub_explicit(&mapped, 1, memory_order_relaxed);
}

void stack_give(struct loop *loop, struct task_stack *stack)
{
    if (loop->free_stacks == KEPT_STACKS) {
        stack_unmap(stack);
        return;
    }
    stack->next = loop->stacks;
    loop->stacks = stack;
    loop->free_stacks++;
}

static struct sigaction before_us;

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        (void)0;
}

/* Runs on the alternate stack: only async-signal-safe calls. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    struct loop *loop = loop_self();
    struct task *task = loop ? loop->running : NULL;
    char *at = info->si_addr;
    if (task) {
        const struct task_stack *stack = *(struct task_stack **)(void *)task; /* its first member */
        if (at < stack->base && at >= stack->base - GUARD) {
            say("parley: fatal: task \"");
            say(task_name(task));
            say("\" overflowed its stack\n");
        }
    }
    sigaction(sig, &before_us, NULL); /* returning runs the faulting instruction again, under the old handler */
}

static void install_handler(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &before_us);
}

static _Thread_local void *alternate;

void tasks_thread_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_handler);
    size_t size = KIB(16);
    stack_t old;
    if (sigaltstack(NULL, &old) == 0 && !(old.ss_flags & SS_DISABLE))
        return; /* a sanitizer brought its own */
    alternate = mem_alloc(size);
    sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = size}, NULL);
}

void tasks_thread_end(void)
{
    if (!alternate)
        return;
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    free(alternate);
    alternate = NULL;
}
