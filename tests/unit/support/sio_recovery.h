/* Clients of sio_env.h that come back for their sockets. */
#ifndef TEST_SIO_RECOVERY_H
#define TEST_SIO_RECOVERY_H

#include "unit/support/sio_env.h"

/* Takes an event "n" with this number; its offset, when it must have one, into offset. */
static inline void sioc_expect_number(struct sioc *c, int n, char offset[64])
{
    char prefix[64];
    int len = snprintf(prefix, sizeof prefix, "42[\"n\",%d", n);
    char *got = sioc_take(c);
    if (!got || strncmp(got, prefix, (size_t)len) != 0 || got[len] != (offset ? ',' : ']'))
        fail_msg("got %s instead of %s", got ? got : "the end", prefix);
    if (offset) {
        assert_int_equal(got[len + 1], '"');
        str_copy(offset, 64, str_n(got + len + 2, strcspn(got + len + 2, "\"")));
    }
    free(got);
}

/* Shows a pid, and an offset unless NULL. */
static inline void sioc_show(struct sioc *c, const char *nsp, const char *pid, const char *offset)
{
    char text[256];
    snprintf(text, sizeof text, "40%s{\"pid\":\"%s\"%s%s%s}", nsp, pid, offset ? ",\"offset\":\"" : "",
             offset ? offset : "", offset ? "\"" : "");
    sioc_send(c, text);
}

/* The answer says that `c` is `before` again; it takes its place. */
static inline void sioc_recovered(struct sioc *c, struct sioc *before, const char *nsp)
{
    sioc_connected(c, nsp);
    assert_string_equal(c->sid, before->sid);
    assert_string_equal(c->pid, before->pid);
    *before = *c;
}

/* The answer says that it is somebody new. */
static inline void sioc_not_recovered(struct sioc *c, const struct sioc *before, const char *nsp)
{
    sioc_connected(c, nsp);
    assert_string_not_equal(c->sid, before->sid);
    assert_string_not_equal(c->pid, before->pid);
}

/* Until so many sockets wait for their clients. */
static inline void await_lost(size_t n)
{
    for (int waited = 0; sio_count_lost(env.sio) < n; waited++) {
        if (waited > CLIENT_PATIENCE)
            fail_msg("%zu are lost instead of %zu", sio_count_lost(env.sio), n);
        usleep(1000);
    }
}

/* Goes away, and is missed. */
static inline void sioc_vanish(struct sioc *c)
{
    size_t lost = sio_count_lost(env.sio);
    sioc_free(c);
    await_lost(lost + 1);
}

/* On any loop. */
static inline void sioc_come_back(struct sioc *again, const struct sioc *c, const char *offset)
{
    sioc_open(again);
    sioc_show(again, "", c->pid, offset);
}

/* ---- A socket on loop 0 that the server keeps a reference to ---- */

static inline int recovery_setup(void **state)
{
    (void)state;
    env_defaults();
    env.config.recovery = 600000;
    env_start();
    return 0;
}

static inline void kept_let_go(struct live_server *live)
{
    (void)live;
    seen.kept = sio_unref(seen.kept);
}

static inline int recovery_teardown(void **state)
{
    live_do(&env.lives[0], kept_let_go);
    return env_teardown(state);
}

static inline void kept_begin(struct sioc *c, const char *auth)
{
    sioc_begin_on(c, 0, auth);
    sioc_ask(c, "[\"keep\"]");
}

static int kept_times;

static inline void kept_emit_times(struct live_server *live)
{
    (void)live;
    emit_numbers(seen.kept, kept_times);
}

/* To it, connected or not. */
static inline void kept_emit(int n)
{
    kept_times = n;
    live_do(&env.lives[0], kept_emit_times);
}

/* Reads until a heartbeat came, which is answered. */
static inline void take_heartbeat(struct sioc *c)
{
    struct ws_event event;
    struct buf text = BUF_INIT(KIB(1));
    assert_true(wsc_next(&c->ws, &event, &text));
    assert_str(buf_str(&text), "2");
    wsc_text(&c->ws, "3");
    buf_free(&text);
    sioc_ask(c, "[\"leave\",\"x\"]"); /* behind it: it was seen */
}

#endif
