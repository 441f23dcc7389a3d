#include "app/running.h"

#include "base/log.h"
#include "base/mem.h"
#include "loop/task.h"

#include <signal.h>
#include <stdlib.h>

#define DRAIN_TICK_MS 5

/* One loop on its way out. */
struct loop_drain {
    struct running *r;
    struct loop *loop;
    struct timer tick;
    uint64_t timeout_ms, give_up_ms;
    bool aborted;
    atomic_bool over; /* as of its last tick, read by all */
};

/* A loop that has nothing to do stays for those that have: their requests may call its rooms. */
static bool is_over(struct loop_drain *d)
{
    struct running *r = d->r;
    bool over = server_idle(r->server, d->loop) && chat_busy(r->chat) == 0 && task_count() == 0;
    atomic_store_explicit(&d->over, over, memory_order_release);
    for (size_t i = 0; over && i < r->nloops; i++)
        over = atomic_load_explicit(&r->drains[i].over, memory_order_acquire);
    return over;
}

static void drain_tick(struct timer *timer)
{
    struct loop_drain *d = container_of(timer, struct loop_drain, tick);
    if (is_over(d)) {
        api_loop_end(d->r->api);
        chat_loop_end(d->r->chat);
        loop_stop(d->loop);
        return;
    }
    bool at_once = atomic_load_explicit(&d->r->signals_seen, memory_order_relaxed) > 1;
    if (!d->aborted && (at_once || loop_now_ms(d->loop) >= d->give_up_ms)) {
        d->aborted = true;
        log_warn("app", "drain_aborted", F_INT("loop", loop_index(d->loop)), F_INT("turns", chat_busy(d->r->chat)));
        chat_abort(d->r->chat);
        server_abort(d->r->server, d->loop);
    }
    timer_start(d->loop, &d->tick, DRAIN_TICK_MS);
}

static void drain_loop(void *arg)
{
    struct loop_drain *d = arg;
    d->tick.fn = drain_tick;
    d->give_up_ms = loop_now_ms(d->loop) + d->timeout_ms;
    api_drain(d->r->api);
    server_drain(d->r->server, d->loop);
    timer_start(d->loop, &d->tick, 0);
}

static void drain(struct running *r)
{
    log_info("app", "draining", F_INT("connections", server_connections(r->server)));
    api_set_ready(r->api, false);
    chat_drain(r->chat);
    r->drains = mem_array(r->nloops, sizeof *r->drains);
    for (size_t i = 0; i < r->nloops; i++) {
        r->drains[i].r = r;
        r->drains[i].loop = r->loops[i];
        r->drains[i].timeout_ms = r->cfg->drain_timeout_ms;
        atomic_init(&r->drains[i].over, false);
    }
    for (size_t i = 0; i < r->nloops; i++)
        loop_post(r->loops[i], drain_loop, &r->drains[i]);
}

static void on_term(uv_signal_t *signal, int number)
{
    (void)number;
    struct running *r = signal->data;
    if (atomic_fetch_add_explicit(&r->signals_seen, 1, memory_order_relaxed) == 0)
        drain(r);
}

static void on_hup(uv_signal_t *signal, int number)
{
    (void)number;
    struct running *r = signal->data;
    struct err e;
    struct buf problems = BUF_INIT(KIB(64));
    struct config *fresh = config_reload(r->cfg, r->source, &problems, &e);
    if (!fresh) {
        struct str rest = buf_str(&problems), line;
        while (str_split(&rest, '\n', &line))
            if (line.n)
                log_error("config", "reload_refused", F_STR("error", line));
        buf_free(&problems);
        return;
    }
    for (size_t i = 0; i < fresh->warnings.count; i++)
        log_warn("config", "warning", F_C("text", fresh->warnings.items[i]));
    log_setup(fresh->log_level, fresh->log_format);
    if (r->tls && tls_reload(r->tls, &e) < 0)
        log_error("tls", "reload_failed", F_ERR(&e));
    settings_reload(&r->settings, r, fresh);
    log_info("config", "reloaded", F_NONE);
    buf_free(&problems);
}

void running_watch(struct running *r)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        uv_signal_init(loop_uv(r->loops[0]), &r->signals[i]);
        r->signals[i].data = r;
        uv_signal_start(&r->signals[i], numbers[i] == SIGHUP ? on_hup : on_term, numbers[i]);
    }
}
