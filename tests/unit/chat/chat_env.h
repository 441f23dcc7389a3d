/* A chat on one or more loops, with a store in a folder of its own and scripted models. The test's body runs in a task
 * of the first loop; env_run returns when it and everything it started ended. */
#ifndef TEST_CHAT_CHAT_ENV_H
#define TEST_CHAT_CHAT_ENV_H

#include "unit/support/unit.h"

#include "base/log.h"
#include "chat/chat_impl.h"
#include "chat/conversation.h"
#include "chat/relay.h"
#include "chat/turn.h"
#include "store/sqlite/sqlite_store.h"
#include "unit/chat/scripted_llm.h"
#include "unit/support/temp_dir.h"

#include <pthread.h>

#define ENV_LOOPS 4

struct env {
    /* Set before env_run; zero means the usual. */
    size_t nloops;
    bool no_model;
    unsigned history_tokens, room_keep;
    const struct store_ops *driver;

    void (*body)(struct env *env);
    char dir[TEMP_DIR_MAX];
    struct store *st;
    struct scripted *llm, *responder;
    struct loop *loops[ENV_LOOPS];
    pthread_t threads[ENV_LOOPS];
    struct chat *chat;
    struct arena *a;
    struct err e;
    atomic_size_t over; /* loops without a task */
    struct loop_tick {
        struct env *env;
        size_t index;
        bool counted;
        struct timer timer;
    } ticks[ENV_LOOPS];
};

static const struct chat_surface surface = {
    .space = "chat", .persona = "Be brief.", .temperature = -1, .no_model_text = "No model."};

#define assert_ok(env, result) check_ok((result), &(env)->e, __FILE__, __LINE__)
static inline void check_ok(int result, const struct err *e, const char *file, int line)
{
    if (result < 0)
        print_error("%s: %s\n", err_name(e->code), e->text);
    _assert_true(result >= 0, "no error", file, line);
}
#define assert_refused(env, result, want)                                                                              \
    do {                                                                                                               \
        assert_int_equal((result), -1);                                                                                \
        assert_string_equal(err_name((env)->e.code), err_name(want));                                                  \
    } while (0)

/* A loop may end when none has a task: one without tasks of its own may be asked by another. */
static inline void env_tick(struct timer *timer)
{
    struct loop_tick *tick = container_of(timer, struct loop_tick, timer);
    struct env *env = tick->env;
    bool over = task_count() == 0;
    if (over && !tick->counted)
        atomic_fetch_add(&env->over, 1);
    else if (!over && tick->counted)
        atomic_fetch_sub(&env->over, 1);
    tick->counted = over;
    if (atomic_load(&env->over) == env->nloops) {
        chat_loop_end(env->chat);
        loop_stop(env->loops[tick->index]);
    } else {
        timer_start(env->loops[tick->index], timer, 1);
    }
}

static inline void env_wind_up(void *arg)
{
    env_tick(&((struct loop_tick *)arg)->timer);
}

static inline void env_main(void *arg)
{
    struct env *env = arg;
    env->body(env);
    for (size_t i = 0; i < env->nloops; i++) {
        env->ticks[i] = (struct loop_tick){.env = env, .index = i, .timer.fn = env_tick};
        loop_post(env->loops[i], env_wind_up, &env->ticks[i]);
    }
}

static inline void env_start(void *arg)
{
    task_spawn("test", env_main, arg);
}

static inline void *env_thread(void *arg)
{
    loop_run(arg);
    return NULL;
}

static inline void env_run_in(struct env *env)
{
    log_setup(LOG_OFF, LOG_TEXT);
    env->nloops = env->nloops ? env->nloops : 1;
    struct store_config store = {.data_dir = env->dir};
    assert_ok(env, store_open(env->driver ? env->driver : &store_sqlite, &store, &env->st, &env->e));
    env->llm = scripted_new("model-1");
    env->responder = scripted_new("responder");
    env->a = arena_new("test");
    for (size_t i = 0; i < env->nloops; i++)
        env->loops[i] = loop_new((unsigned)i);
    struct chat_config config = {
        .store = env->st,
        .llm = env->no_model ? NULL : &env->llm->base,
        .responder = &env->responder->base,
        .loops = env->loops,
        .nloops = env->nloops,
        .history_tokens = env->history_tokens ? env->history_tokens : 1000,
        .room_keep = env->room_keep ? env->room_keep : 60000,
    };
    env->chat = chat_new(&config);
    loop_post(env->loops[0], env_start, env);
    for (size_t i = 1; i < env->nloops; i++)
        assert_int_equal(pthread_create(&env->threads[i], NULL, env_thread, env->loops[i]), 0);
    loop_run(env->loops[0]);
    for (size_t i = 1; i < env->nloops; i++)
        pthread_join(env->threads[i], NULL);
    for (size_t i = 0; i < env->nloops; i++)
        loop_free(env->loops[i]);
    chat_free(env->chat);
    llm_free(&env->llm->base);
    llm_free(&env->responder->base);
    arena_free(env->a);
    store_close(env->st);
    atomic_store(&env->over, 0);
}

static inline void env_run_with(struct env *env, void (*body)(struct env *env))
{
    env->body = body;
    temp_dir_make(env->dir);
    env_run_in(env);
    temp_dir_remove(env->dir);
}

struct body {
    void (*fn)(struct env *env);
};

/* Each cmocka test is one body on one loop. */
static inline void env_run(void **state)
{
    struct env env = {0};
    env_run_with(&env, ((const struct body *)*state)->fn);
}

/* clang-format off */
#define ENV_TEST(fn) {#fn, env_run, NULL, NULL, &(struct body){fn}}
/* clang-format on */

/* The loop does what is due: ready tasks, notifications, posts. */
static inline void let_pass(void)
{
    task_yield(NULL);
    task_yield(NULL);
}

/* An id whose home is the loop. */
static inline struct str id_at_home(struct env *env, size_t loop)
{
    static unsigned count;
    for (;;) {
        struct str id = arena_printf(env->a, "conversation-%u", count++);
        if (chat_home(env->chat, id) == env->loops[loop])
            return id;
    }
}

/* ---- a follower that writes down what it hears ---- */

struct ear {
    struct room_follower follower;
    struct buf heard; /* "M:text S D:text F:text" … one word per event */
    unsigned notified;
    uint64_t last; /* offset of the last event; 0: none yet */
    bool gap;      /* an event did not continue the one before */
    struct task *task;
};

static const char *const event_letters[ROOM_EVENT_TYPES] = {"M", "S", "D", "F", "X", "T", "R", "Z", "P", "N"};

static inline void ear_take(struct ear *ear)
{
    struct room_event *event;
    while ((event = room_next(&ear->follower))) {
        if (ear->last && event->offset != ear->last + 1)
            ear->gap = true;
        ear->last = event->offset;
        buf_addf(&ear->heard, "%s%s", ear->heard.len ? " " : "", event_letters[event->type]);
        if (event->text.n)
            buf_addf(&ear->heard, ":%s", event->text.p);
    }
}

static inline void ear_notify(struct room_follower *follower)
{
    struct ear *ear = container_of(follower, struct ear, follower);
    ear->notified++;
    ear_take(ear);
    if (ear->task)
        task_wake(ear->task);
}

static inline void ear_init(struct ear *ear)
{
    *ear = (struct ear){.follower.notify = ear_notify, .heard = BUF_INIT(MIB(64))};
}

static inline void ear_follow(struct env *env, struct ear *ear, struct str id, const struct room_cursor *from,
                              struct room_join *join)
{
    struct room_join own;
    ear_init(ear);
    assert_ok(env, room_follow(env->chat, id, &ear->follower, from, env->a, join ? join : &own, &env->e));
}

static inline void ear_leave(struct ear *ear)
{
    room_leave(&ear->follower);
    buf_free(&ear->heard);
}

/* What it heard up to now, and anew from here. */
static inline struct str ear_heard(struct env *env, struct ear *ear)
{
    let_pass();
    struct str heard = arena_str(env->a, buf_str(&ear->heard));
    buf_clear(&ear->heard);
    return heard;
}

/* Puts an event into the log of a conversation whose home is this loop. */
static inline void append_about(struct env *env, struct str id, enum room_event_type type, struct str message_id,
                                struct str text)
{
    struct room_view *view = room_pin(env->chat, id);
    struct room_event event = {.type = type, .conversation_id = id, .message_id = message_id, .text = text};
    room_append(view, room_event_new(&event));
    room_unpin(view);
}

static inline void append(struct env *env, struct str id, enum room_event_type type, const char *text)
{
    append_about(env, id, type, STR("reply"), str_c(text));
}

#endif
