#include "loop/loop_impl.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
};

static _Thread_local struct loop *self;

static void run_posts(struct loop *loop)
{
    struct post *newest = atomic_exchange_explicit(&loop->posts, NULL, memory_order_acquire), *oldest = NULL;
    while (newest) {
        struct post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct post post = *oldest;
        free(oldest);
        oldest = post.next;
        post.fn(post.arg);
    }
}

static void on_async(uv_async_t *async)
{
    struct loop *loop = async->data;
    run_posts(loop);
    if (atomic_load_explicit(&loop->stop, memory_order_acquire))
        uv_stop(&loop->uv);
}

/* Nothing blocks before the ready tasks ran and the ends after them; ends may make tasks ready again. */
static void drain(struct loop *loop)
{
    for (;;) {
        tasks_run(loop);
        struct loop_end *end = loop->ends;
        if (!end)
            return;
        loop->ends = end->next;
        if (!loop->ends)
            loop->ends_tail = &loop->ends;
        end->queued = false;
        end->fn(end);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    drain(prepare->data);
}

static void on_check(uv_check_t *check)
{
    drain(check->data);
}

struct loop *loop_new(unsigned index)
{
    struct loop *loop = mem_zalloc(sizeof *loop);
    loop->index = index;
    loop->ends_tail = &loop->ends;
    if (uv_loop_init(&loop->uv) < 0)
        die("cannot make an event loop");
    uv_async_init(&loop->uv, &loop->async, on_async);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    loop->async.data = loop->prepare.data = loop->check.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    timers_init(loop);
    tasks_init(loop);
    return loop;
}

void loop_run(struct loop *loop)
{
    self = loop;
    tasks_thread_begin();
    while (!atomic_load_explicit(&loop->stop, memory_order_acquire))
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    atomic_store_explicit(&loop->stop, false, memory_order_release);
    tasks_thread_end();
    self = NULL;
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    uv_async_send(&loop->async);
}

static void close_left(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_handles(struct loop *loop)
{
    uv_walk(&loop->uv, close_left, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

struct loop *loop_free(struct loop *loop)
{
    if (!loop)
        return NULL;
    self = loop;
    run_posts(loop);
    drain(loop);
    close_handles(loop);
    run_posts(loop);
    close_handles(loop); /* what these brought with them */
    if (uv_loop_close(&loop->uv) < 0)
        log_error("loop", "handles_left", F_INT("loop", loop->index));
    tasks_free(loop);
    timers_free(loop);
    self = NULL;
    free(loop);
    return NULL;
}

struct loop *loop_self(void)
{
    return self;
}

unsigned loop_index(const struct loop *loop)
{
    return loop->index;
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

uint64_t loop_now_ms(struct loop *loop)
{
    return uv_now(&loop->uv);
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct post *post = mem_alloc(sizeof *post);
    *post = (struct post){.fn = fn, .arg = arg};
    struct post *head = atomic_load_explicit(&loop->posts, memory_order_relaxed);
    do {
        post->next = head;
    } while (
        !atomic_compare_exchange_weak_explicit(&loop->posts, &head, post, memory_order_release, memory_order_relaxed));
    /* Only the first of a batch needs to wake the loop: the wake-up takes the whole batch. */
    if (!head)
        uv_async_send(&loop->async);
}

void loop_at_end(struct loop *loop, struct loop_end *end)
{
    if (end->queued)
        return;
    end->queued = true;
    end->next = NULL;
    *loop->ends_tail = end;
    loop->ends_tail = &end->next;
}
