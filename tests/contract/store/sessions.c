/* Sessions: families of refresh tokens, of which each token is good once. */
#include "contract/store/suite.h"

#include "base/mem.h"
#include "unit/support/run_task.h"

#include <pthread.h>
#include <stdlib.h>

#define HOUR ((int64_t)3600 * 1000000)

static struct session session_of(const char *id, const char *user, const char *hash)
{
    return (struct session){.id = str_c(id),
                            .user_id = str_c(user),
                            .token_hash = str_c(hash),
                            .created_us = 1000,
                            .used_us = 1000,
                            .expires_us = HOUR};
}

static void add(struct fixture *f, const char *id, const char *user, const char *hash)
{
    struct session session = session_of(id, user, hash);
    assert_ok(f, store_session_create(f->st, &session, &f->e));
}

static struct session_rotation rotation_of(const char *id, const char *was, const char *hash)
{
    return (struct session_rotation){
        .id = str_c(id), .was = str_c(was), .token_hash = str_c(hash), .now_us = 2000, .expires_us = 2 * HOUR};
}

/* NOT_FOUND by a rotation, which then changes nothing. */
static void assert_gone(struct fixture *f, const char *id)
{
    struct session_rotation rotation = rotation_of(id, "never", "never");
    struct session_rotated out = {.session.id = STR("untouched")};
    assert_error(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e), ERR_NOT_FOUND);
    assert_str(out.session.id, "untouched");
}

static void a_session_rotates(struct fixture *f)
{
    struct session_rotated out;
    add(f, "s1", "u1", "h1");
    reopen(f);
    struct session_rotation rotation = rotation_of("s1", "h1", "h2");
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    assert_false(out.reused);
    assert_str(out.session.id, "s1");
    assert_str(out.session.user_id, "u1");
    assert_str(out.session.token_hash, "h2");
    assert_int_equal(out.session.created_us, 1000);
    assert_int_equal(out.session.used_us, 2000);
    assert_int_equal(out.session.expires_us, 2 * HOUR);
    reopen(f);
    rotation = rotation_of("s1", "h2", "h3");
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    assert_false(out.reused);
    assert_str(out.session.token_hash, "h3");
}

static void a_session_id_is_taken_once(struct fixture *f)
{
    struct session again = session_of("s1", "u2", "h9");
    struct session_rotation rotation = rotation_of("s1", "h1", "h2");
    struct session_rotated out;
    add(f, "s1", "u1", "h1");
    assert_error(f, store_session_create(f->st, &again, &f->e), ERR_CONFLICT);
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    assert_str(out.session.user_id, "u1");
}

static void a_token_used_again_ends_its_family(struct fixture *f)
{
    struct session_rotated out;
    add(f, "s1", "u1", "h1");
    add(f, "s2", "u1", "h1");
    struct session_rotation rotation = rotation_of("s1", "h1", "h2");
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    rotation = rotation_of("s1", "h1", "h3");
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    assert_true(out.reused);
    assert_str(out.session.user_id, "u1"); /* whose it was */
    rotation = rotation_of("s1", "h2", "h3");
    assert_error(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e), ERR_NOT_FOUND);
    reopen(f);
    assert_gone(f, "s1");
    rotation = rotation_of("s2", "h1", "h2"); /* another family is no concern of it */
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    assert_false(out.reused);
}

static void an_expired_session_is_none(struct fixture *f)
{
    struct session_rotated out;
    add(f, "s1", "u1", "h1");
    struct session_rotation rotation = rotation_of("s1", "h1", "h2");
    rotation.now_us = HOUR;
    rotation.expires_us = 3 * HOUR;
    assert_error(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e), ERR_NOT_FOUND);
    rotation.now_us = HOUR - 1;
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    rotation = rotation_of("s1", "h2", "h3");
    rotation.now_us = 3 * HOUR - 1; /* each use puts the end off */
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    assert_false(out.reused);
}

static void sessions_are_deleted_one_by_one(struct fixture *f)
{
    struct session_rotated out;
    add(f, "s1", "u1", "h1");
    add(f, "s2", "u1", "h2");
    assert_ok(f, store_session_delete(f->st, STR("s1"), &f->e));
    assert_ok(f, store_session_delete(f->st, STR("s1"), &f->e));
    assert_ok(f, store_session_delete(f->st, STR("never"), &f->e));
    assert_gone(f, "s1");
    struct session_rotation rotation = rotation_of("s2", "h2", "h3");
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    assert_false(out.reused);
}

static void a_users_sessions_are_cleared(struct fixture *f)
{
    struct session_rotated out;
    int64_t count = -1;
    add(f, "s1", "u1", "h1");
    add(f, "s2", "u1", "h1");
    add(f, "s3", "u1", "h1");
    add(f, "s4", "u2", "h1");
    struct session_clear clear = {.user_id = STR("u1"), .keep = STR("s2")};
    assert_ok(f, store_session_clear(f->st, &clear, &count, &f->e));
    assert_int_equal(count, 2);
    assert_gone(f, "s1");
    assert_gone(f, "s3");
    struct session_rotation rotation = rotation_of("s2", "h1", "h2");
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    clear = (struct session_clear){.user_id = STR("u1")};
    assert_ok(f, store_session_clear(f->st, &clear, &count, &f->e));
    assert_int_equal(count, 1);
    assert_ok(f, store_session_clear(f->st, &clear, &count, &f->e));
    assert_int_equal(count, 0);
    assert_gone(f, "s2");
    rotation = rotation_of("s4", "h1", "h2");
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    assert_str(out.session.user_id, "u2");
}

static void expired_sessions_are_purged(struct fixture *f)
{
    struct session_rotated out;
    int64_t count = -1;
    for (int i = 0; i < 5; i++) {
        struct session session = session_of("", "u1", "h1");
        session.id = arena_printf(f->a, "s%d", i);
        session.expires_us = HOUR + i;
        assert_ok(f, store_session_create(f->st, &session, &f->e));
    }
    assert_ok(f, store_session_purge(f->st, HOUR + 3, &count, &f->e));
    assert_int_equal(count, 3);
    assert_gone(f, "s2");
    struct session_rotation rotation = rotation_of("s3", "h1", "h2");
    assert_ok(f, store_session_rotate(f->st, f->a, &rotation, &out, &f->e));
    assert_ok(f, store_session_purge(f->st, 1, &count, &f->e));
    assert_int_equal(count, 0);
}

/* ---- many at once ---- */

#define TASKS 32

struct race {
    struct fixture *f;
    const char *prefix;
    unsigned running, won, reused, gone, failed;
    struct task *starter;
};

struct runner {
    struct race *race;
    unsigned number;
};

static void rotate_same(struct race *race, unsigned number)
{
    struct arena *a = arena_new("runner");
    struct session_rotation rotation = rotation_of("s1", "h1", "");
    struct session_rotated out;
    struct err e;
    rotation.token_hash = arena_printf(a, "%s%u", race->prefix, number);
    if (store_session_rotate(race->f->st, a, &rotation, &out, &e) < 0) {
        race->gone += e.code == ERR_NOT_FOUND;
        race->failed += e.code != ERR_NOT_FOUND;
    } else if (out.reused) {
        race->reused++;
    } else {
        race->won++;
        race->failed += !str_eq(out.session.token_hash, rotation.token_hash);
    }
    arena_free(a);
}

static void runner_main(void *arg)
{
    struct runner runner = *(struct runner *)arg;
    free(arg);
    rotate_same(runner.race, runner.number);
    if (--runner.race->running == 0)
        task_wake(runner.race->starter);
}

static void race_main(void *arg)
{
    struct race *race = arg;
    race->starter = task_self();
    race->running = TASKS;
    for (unsigned i = 0; i < TASKS; i++) {
        struct runner *runner = mem_alloc(sizeof *runner);
        *runner = (struct runner){race, i};
        task_spawn("runner", runner_main, runner);
    }
    while (race->running)
        task_park(NULL);
}

static void *other_loop(void *arg)
{
    run_task(race_main, arg);
    arena_thread_end();
    return NULL;
}

/* One wins, one is told that the token was used before, which ends the family, and the rest find none. */
static void one_of_many_rotates(struct fixture *f)
{
    struct race a = {.f = f, .prefix = "a"}, b = {.f = f, .prefix = "b"};
    pthread_t thread;
    add(f, "s1", "u1", "h1");
    assert_int_equal(pthread_create(&thread, NULL, other_loop, &b), 0);
    run_task(race_main, &a);
    pthread_join(thread, NULL);
    assert_int_equal(a.failed + b.failed, 0);
    assert_int_equal(a.won + b.won, 1);
    assert_int_equal(a.reused + b.reused, 1);
    assert_int_equal(a.gone + b.gone, 2 * TASKS - 2);
    assert_gone(f, "s1");
}

const struct suite_test session_tests[] = {
    {"a session rotates", a_session_rotates},
    {"a session id is taken once", a_session_id_is_taken_once},
    {"a token used again ends its family", a_token_used_again_ends_its_family},
    {"an expired session is none", an_expired_session_is_none},
    {"sessions are deleted one by one", sessions_are_deleted_one_by_one},
    {"a user's sessions are cleared", a_users_sessions_are_cleared},
    {"expired sessions are purged", expired_sessions_are_purged},
    {"one of many rotates", one_of_many_rotates},
    {0},
};
