#include "loop/timer.h"

#include "base/mem.h"
#include "loop/loop_impl.h"

#include <stdlib.h>

static void place(struct loop *loop, uint32_t at, struct timer_slot slot)
{
    loop->heap[at] = slot;
    slot.timer->at = at;
}

static void sift_up(struct loop *loop, uint32_t at)
{
    struct timer_slot slot = loop->heap[at];
    while (at > 1 && loop->heap[at / 2].due > slot.due) {
        place(loop, at, loop->heap[at / 2]);
        at /= 2;
    }
    place(loop, at, slot);
}

static void sift_down(struct loop *loop, uint32_t at)
{
    struct timer_slot slot = loop->heap[at];
    for (uint32_t child; (child = 2 * at) <= loop->heap_len; at = child) {
        if (child < loop->heap_len && loop->heap[child + 1].due < loop->heap[child].due)
            child++;
        if (loop->heap[child].due >= slot.due)
            break;
        place(loop, at, loop->heap[child]);
    }
    place(loop, at, slot);
}

static void remove_at(struct loop *loop, uint32_t at)
{
    loop->heap[at].timer->at = 0;
    struct timer_slot last = loop->heap[loop->heap_len--];
    if (at > loop->heap_len)
        return;
    place(loop, at, last);
    sift_up(loop, at);
    sift_down(loop, last.timer->at);
}

static void on_timer(uv_timer_t *uv);

/* The uv timer may fire too early for a heap whose top was removed (then it is set again), never too late. */
static void arm(struct loop *loop)
{
    if (loop->firing || !loop->heap_len || (loop->uv_due && loop->uv_due <= loop->heap[1].due))
        return;
    uint64_t now = uv_now(&loop->uv), due = loop->heap[1].due;
    loop->uv_due = due;
    uv_timer_start(&loop->timer, on_timer, due > now ? due - now : 0, 0);
}

static void on_timer(uv_timer_t *uv)
{
    struct loop *loop = uv->data;
    uint64_t now = uv_now(&loop->uv);
    loop->uv_due = 0;
    loop->firing = true;
    while (loop->heap_len && loop->heap[1].due <= now) {
        struct timer *timer = loop->heap[1].timer;
        remove_at(loop, 1);
        timer->fn(timer);
    }
    loop->firing = false;
    arm(loop);
}

void timers_init(struct loop *loop)
{
    uv_timer_init(&loop->uv, &loop->timer);
    loop->timer.data = loop;
}

void timers_free(struct loop *loop)
{
    free(loop->heap);
}

void timer_start(struct loop *loop, struct timer *timer, uint64_t ms)
{
    /* uv_now is cut to whole milliseconds; one more makes "not before ms have passed" true. And a timer that starts
     * itself again with 0 must not keep the loop from everything else. */
    timer->due = uv_now(&loop->uv) + ms + (ms != 0 || loop->firing);
    if (timer->at) {
        uint32_t at = timer->at;
        loop->heap[at].due = timer->due;
        sift_up(loop, at);
        sift_down(loop, timer->at);
    } else {
        if (loop->heap_len + 1 >= loop->heap_cap) {
            loop->heap_cap = loop->heap_cap ? loop->heap_cap * 2 : 64;
            loop->heap = mem_realloc(loop->heap, loop->heap_cap * sizeof *loop->heap);
        }
        loop->heap[++loop->heap_len] = (struct timer_slot){timer->due, timer};
        timer->at = loop->heap_len;
        sift_up(loop, loop->heap_len);
    }
    arm(loop);
}

void timer_stop(struct loop *loop, struct timer *timer)
{
    if (timer->at)
        remove_at(loop, timer->at);
}
