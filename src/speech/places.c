#include "speech/places.h"

#include "loop/task.h"

struct place_waiter {
    struct list link;
    struct task *task;
    struct loop *loop;
    bool given; /* under the lock: the place is this one's, and its loop will hear of it */
    bool told;  /* its loop heard of it */
};

void places_init(struct places *p, unsigned n)
{
    pthread_mutex_init(&p->lock, NULL);
    p->free = n;
    list_init(&p->waiting);
}

void places_destroy(struct places *p)
{
    pthread_mutex_destroy(&p->lock);
}

static void tell(void *arg)
{
    struct place_waiter *waiter = arg;
    waiter->told = true;
    task_wake(waiter->task);
}

/* True when a place was given meanwhile; then the message has arrived, too: it works on the waiter's stack. */
static bool leave_line(struct places *p, struct place_waiter *waiter)
{
    pthread_mutex_lock(&p->lock);
    bool given = waiter->given;
    if (!given)
        list_remove(&waiter->link);
    pthread_mutex_unlock(&p->lock);
    task_shield();
    while (given && !waiter->told)
        task_park(NULL);
    task_unshield();
    return given;
}

static int wait_in_line(struct places *p, struct place_waiter *waiter, uint64_t ms, const char *busy, struct err *e)
{
    struct task_deadline deadline;
    int result = 0;
    task_deadline_begin(&deadline, ms);
    while (!waiter->told && result == 0)
        result = task_park(e);
    bool late = deadline.passed && !task_cancelled();
    task_deadline_end(&deadline);
    if (result == 0)
        return 0;
    if (leave_line(p, waiter))
        places_give(p);
    return late ? err_set(e, ERR_OVERLOADED, "%s", busy) : -1;
}

int places_take(struct places *p, uint64_t ms, const char *busy, struct err *e)
{
    struct place_waiter waiter = {.task = task_self(), .loop = loop_self()};
    pthread_mutex_lock(&p->lock);
    bool free_now = p->free > 0;
    if (free_now)
        p->free--;
    else
        list_push_back(&p->waiting, &waiter.link);
    pthread_mutex_unlock(&p->lock);
    return free_now ? 0 : wait_in_line(p, &waiter, ms, busy, e);
}

void places_give(struct places *p)
{
    pthread_mutex_lock(&p->lock);
    struct list *first = list_pop_front(&p->waiting);
    if (first) {
        struct place_waiter *waiter = container_of(first, struct place_waiter, link);
        waiter->given = true;
        loop_post(waiter->loop, tell, waiter);
    } else {
        p->free++;
    }
    pthread_mutex_unlock(&p->lock);
}
