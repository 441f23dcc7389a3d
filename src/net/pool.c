#include "net/conn_impl.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

static _Thread_local struct conn_pool *own;
static struct conn_pool *pools;
static uint64_t ended_in, ended_out; /* counted by threads that are gone */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t at_thread_end;

static void thread_ended(void *arg)
{
    struct conn_pool *pool = arg, **at = &pools;
    pthread_mutex_lock(&lock);
    while (*at != pool)
        at = &(*at)->next;
    *at = pool->next;
    ended_in += pool->bytes_in;
    ended_out += pool->bytes_out;
    pthread_mutex_unlock(&lock);
    while (pool->free) {
        struct out_segment *segment = pool->free;
        pool->free = segment->next;
        free(segment);
    }
    free(pool);
    own = NULL;
}

static void make_key(void)
{
    if (pthread_key_create(&at_thread_end, thread_ended) != 0)
        die("pthread_key_create failed");
}

static struct conn_pool *pool_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    /* Not zeroed beyond its head: the pages of `input` come into being as far as they are used. */
    own = mem_alloc(sizeof *own);
    memset(own, 0, offsetof(struct conn_pool, scratch));
    pthread_setspecific(at_thread_end, own);
    pthread_mutex_lock(&lock);
    own->next = pools;
    pools = own;
    pthread_mutex_unlock(&lock);
    return own;
}

struct conn_pool *conn_pool(void)
{
    return LIKELY(own) ? own : pool_new();
}

void conn_pool_hold(struct conn_pool *pool, ptrdiff_t n)
{
    size_t was = atomic_load_explicit(&pool->held, memory_order_relaxed);
    atomic_store_explicit(&pool->held, was + (size_t)n, memory_order_relaxed);
}

size_t conn_memory(void)
{
    size_t sum = 0;
    pthread_mutex_lock(&lock);
    for (struct conn_pool *pool = pools; pool; pool = pool->next)
        sum += atomic_load_explicit(&pool->held, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    return sum;
}

uint64_t conn_bytes_in(void)
{
    pthread_mutex_lock(&lock);
    uint64_t sum = ended_in;
    for (struct conn_pool *pool = pools; pool; pool = pool->next)
        sum += atomic_load_explicit(&pool->bytes_in, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    return sum;
}

uint64_t conn_bytes_out(void)
{
    pthread_mutex_lock(&lock);
    uint64_t sum = ended_out;
    for (struct conn_pool *pool = pools; pool; pool = pool->next)
        sum += atomic_load_explicit(&pool->bytes_out, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    return sum;
}
