/* Rooms on one loop: following, replay, ceilings, notifications, expiry. Several loops: loops_test.c. */
#include "unit/chat/chat_env.h"

#define ID STR("room")

static void follows_from_now(struct env *env)
{
    struct ear ear;
    struct room_join join;
    append(env, ID, ROOM_MESSAGE, "before");
    ear_follow(env, &ear, ID, NULL, &join);
    assert_false(join.replayed);
    assert_int_equal(join.missed, 0);
    assert_int_equal(join.now.offset, 1);
    assert_null(join.running_id.p);
    assert_str(ear_heard(env, &ear), "");
    append(env, ID, ROOM_MESSAGE, "a");
    append(env, ID, ROOM_MESSAGE, "b");
    assert_str(ear_heard(env, &ear), "M:a M:b");
    assert_false(ear.gap);
    ear_leave(&ear);
    append(env, ID, ROOM_MESSAGE, "c");
    let_pass();
    assert_int_equal(ear.last, 3);
}

static void replays_from_a_cursor(struct env *env)
{
    struct ear first, second, third;
    struct room_join join;
    ear_follow(env, &first, ID, NULL, &join);
    struct room_cursor start = join.now;
    assert_int_equal(start.offset, 0);
    assert_int_not_equal(start.epoch, 0);
    append(env, ID, ROOM_MESSAGE, "a");
    append(env, ID, ROOM_MESSAGE, "b");
    append(env, ID, ROOM_MESSAGE, "c");

    struct room_cursor at_b = {start.epoch, 2};
    ear_follow(env, &second, ID, &at_b, &join);
    assert_true(join.replayed);
    assert_int_equal(join.missed, 1);
    assert_int_equal(join.now.offset, 3);
    assert_int_equal(second.notified, 0); /* not before room_follow returned */
    append(env, ID, ROOM_MESSAGE, "d");
    assert_str(ear_heard(env, &second), "M:c M:d");

    ear_follow(env, &third, ID, &start, &join);
    assert_true(join.replayed);
    assert_int_equal(join.missed, 4);
    assert_str(ear_heard(env, &third), "M:a M:b M:c M:d");
    assert_str(ear_heard(env, &first), "M:a M:b M:c M:d");
    ear_leave(&first);
    ear_leave(&second);
    ear_leave(&third);

    ear_follow(env, &first, ID, &join.now, &join); /* nothing missed */
    assert_true(join.replayed);
    assert_int_equal(join.missed, 0);
    assert_str(ear_heard(env, &first), "");
    assert_int_equal(first.notified, 0);
    ear_leave(&first);
}

static void a_cursor_that_does_not_fit_is_not_honoured(struct env *env)
{
    struct ear ear;
    struct room_join join;
    append(env, ID, ROOM_MESSAGE, "a");
    ear_follow(env, &ear, ID, NULL, &join);
    uint64_t epoch = join.now.epoch;
    ear_leave(&ear);
    struct room_cursor bad[] = {{epoch ^ 2, 0}, {epoch, 100}, {epoch, UINT64_MAX}, {0, 0}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        ear_follow(env, &ear, ID, &bad[i], &join);
        assert_false(join.replayed);
        assert_int_equal(join.missed, 0);
        assert_str(ear_heard(env, &ear), "");
        append(env, ID, ROOM_MESSAGE, "new");
        assert_str(ear_heard(env, &ear), "M:new");
        ear_leave(&ear);
    }
}

static void late_joiner_reads_the_running_reply(struct env *env)
{
    struct ear ear;
    struct room_join join;
    struct str id, text;
    append(env, ID, ROOM_REPLY_STARTED, "");
    append(env, ID, ROOM_DELTA, "one ");
    append_about(env, ID, ROOM_DELTA, STR("another"), STR("stray "));
    append(env, ID, ROOM_DELTA, "two ");
    ear_follow(env, &ear, ID, NULL, &join);
    assert_str(join.running_id, "reply");
    assert_str(join.running_text, "one two ");
    append(env, ID, ROOM_DELTA, "three");
    assert_str(ear_heard(env, &ear), "D:three");
    text = room_running(&ear.follower, &id);
    assert_str(id, "reply");
    assert_str(text, "one two three");
    assert_str(join.running_text, "one two "); /* its own copy */

    append_about(env, ID, ROOM_REPLY_FINISHED, STR("another"), STR("stray"));
    assert_non_null(room_running(&ear.follower, &id).p);
    append(env, ID, ROOM_REPLY_FINISHED, "one two three");
    assert_null(room_running(&ear.follower, &id).p);
    ear_leave(&ear);
    ear_follow(env, &ear, ID, NULL, &join);
    assert_null(join.running_id.p);

    append(env, ID, ROOM_REPLY_STARTED, "");
    text = room_running(&ear.follower, &id);
    assert_non_null(text.p); /* running, nothing said */
    assert_int_equal(text.n, 0);
    append(env, ID, ROOM_REPLY_FAILED, "why");
    assert_null(room_running(&ear.follower, &id).p);
    ear_leave(&ear);
    assert_null(room_running(&ear.follower, &id).p);
}

static void keeps_a_bounded_number_of_events(struct env *env)
{
    struct ear ear;
    struct room_join join;
    ear_follow(env, &ear, ID, NULL, &join);
    uint64_t epoch = join.now.epoch;
    ear_leave(&ear);
    for (unsigned i = 0; i < LIMIT_ROOM_EVENTS + 10; i++)
        append(env, ID, ROOM_MESSAGE, "");
    ear_follow(env, &ear, ID, &(struct room_cursor){epoch, 9}, &join);
    assert_false(join.replayed);
    ear_leave(&ear);
    ear_follow(env, &ear, ID, &(struct room_cursor){epoch, 10}, &join);
    assert_true(join.replayed);
    assert_int_equal(join.missed, LIMIT_ROOM_EVENTS);
    ear_leave(&ear);
}

static void keeps_a_bounded_number_of_bytes(struct env *env)
{
    struct ear ear;
    struct room_join join;
    char *text = mem_alloc(MIB(2) + 1);
    memset(text, 'x', MIB(2));
    text[MIB(2)] = 0;
    append(env, ID, ROOM_MESSAGE, "small");
    append(env, ID, ROOM_MESSAGE, text);
    struct room_view *view = room_pin(env->chat, ID);
    assert_int_equal(view->next - view->first, 1); /* the newest stays, however large */
    append(env, ID, ROOM_MESSAGE, "next");
    assert_int_equal(view->next - view->first, 1);
    assert_true(view->bytes < KIB(1));
    ear_follow(env, &ear, ID, &(struct room_cursor){view->epoch, 2}, &join);
    assert_true(join.replayed);
    assert_str(ear_heard(env, &ear), "M:next");

    /* Somebody who takes what is new when told so misses nothing of a reply larger than the log. */
    append(env, ID, ROOM_DELTA, "last words");
    append(env, ID, ROOM_REPLY_FINISHED, text);
    append(env, ID, ROOM_MESSAGE, "after");
    let_pass();
    assert_false(ear.gap);
    assert_false(ear.follower.lagged);
    assert_int_equal(ear.last, 6);
    assert_int_equal(view->next - view->first, 1);
    room_unpin(view);
    ear_leave(&ear);
    free(text);
}

static void do_nothing(struct room_follower *follower)
{
    (void)follower;
}

static void a_slow_follower_lags_and_skips(struct env *env)
{
    struct room_follower slow = {.notify = do_nothing};
    struct room_join join;
    assert_ok(env, room_follow(env->chat, ID, &slow, NULL, env->a, &join, &env->e));
    append(env, ID, ROOM_MESSAGE, "first");
    for (unsigned i = 0; i < LIMIT_ROOM_EVENTS; i++)
        append(env, ID, ROOM_MESSAGE, "");
    let_pass();
    assert_null(room_next(&slow));
    assert_true(slow.lagged);
    assert_null(room_next(&slow));
    room_skip(&slow);
    assert_false(slow.lagged);
    assert_null(room_next(&slow));
    append(env, ID, ROOM_MESSAGE, "new");
    struct room_event *event = room_next(&slow);
    assert_non_null(event);
    assert_str(event->text, "new");
    assert_null(room_next(&slow));

    /* Nobody can let a log grow without bounds between two rounds of the loop. */
    for (unsigned i = 0; i < LIMIT_ROOM_EVENTS * 9; i++)
        append(env, ID, ROOM_MESSAGE, "");
    assert_true(slow.view->next - slow.view->first <= LIMIT_ROOM_EVENTS * 8);
    assert_null(room_next(&slow));
    assert_true(slow.lagged);
    room_leave(&slow);
    room_leave(&slow);
    assert_null(room_next(&slow));
    room_skip(&slow);
}

static void notifies_once_per_round(struct env *env)
{
    struct ear ear;
    ear_follow(env, &ear, ID, NULL, NULL);
    for (unsigned i = 0; i < 100; i++)
        append(env, ID, ROOM_MESSAGE, "");
    assert_int_equal(ear.notified, 0);
    let_pass();
    assert_int_equal(ear.notified, 1);
    assert_int_equal(ear.last, 100);
    let_pass();
    assert_int_equal(ear.notified, 1);
    ear_leave(&ear);
}

/* ---- followers that come and go inside notify ---- */

struct leaver {
    struct room_follower follower;
    struct room_follower *leaves[3];
    struct room_follower *joins;
    struct env *env;
    unsigned notified;
};

static void join_now(void *arg)
{
    struct leaver *l = arg;
    struct room_join join;
    assert_ok(l->env, room_follow(l->env->chat, ID, l->joins, NULL, l->env->a, &join, &l->env->e));
}

static void leave_all(struct room_follower *follower)
{
    struct leaver *l = container_of(follower, struct leaver, follower);
    l->notified++;
    while (room_next(follower))
        ;
    for (size_t i = 0; i < COUNT(l->leaves) && l->leaves[i]; i++)
        room_leave(l->leaves[i]);
    if (l->joins)
        task_spawn("join", join_now, l);
    l->joins = NULL;
}

static void follow_as(struct env *env, struct leaver *l)
{
    struct room_join join;
    l->follower.notify = leave_all;
    l->env = env;
    assert_ok(env, room_follow(env->chat, ID, &l->follower, NULL, env->a, &join, &env->e));
}

static void followers_leave_inside_notify(struct env *env)
{
    for (unsigned which = 0; which < 3; which++) {
        struct leaver three[3] = {0};
        for (unsigned i = 0; i < 3; i++)
            follow_as(env, &three[i]);
        /* One of them takes all three away; those already called were called once, the others never. */
        for (unsigned i = 0; i < 3; i++)
            three[which].leaves[i] = &three[i].follower;
        append(env, ID, ROOM_MESSAGE, "x");
        let_pass();
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(three[i].notified, i <= which);
            assert_null(three[i].follower.view);
        }
    }
    struct leaver each[2] = {0};
    follow_as(env, &each[0]);
    follow_as(env, &each[1]);
    each[0].leaves[0] = &each[0].follower;
    append(env, ID, ROOM_MESSAGE, "y");
    let_pass();
    append(env, ID, ROOM_MESSAGE, "z");
    let_pass();
    assert_int_equal(each[0].notified, 1);
    assert_int_equal(each[1].notified, 2);
    room_leave(&each[1].follower);
}

static void followers_join_inside_notify(struct env *env)
{
    struct leaver first = {0}, second = {0};
    second.follower.notify = leave_all;
    first.joins = &second.follower;
    follow_as(env, &first);
    append(env, ID, ROOM_MESSAGE, "x");
    let_pass();
    assert_int_equal(first.notified, 1);
    assert_int_equal(second.notified, 0);
    append(env, ID, ROOM_MESSAGE, "y");
    let_pass();
    assert_int_equal(second.notified, 1);
    room_leave(&first.follower);
    room_leave(&second.follower);
}

/* A follower that types when it hears something: what it adds is heard in the next round. */
struct echo {
    struct room_follower follower;
    struct env *env;
    unsigned left;
};

static void type_back(struct room_follower *follower)
{
    struct echo *echo = container_of(follower, struct echo, follower);
    while (room_next(follower))
        ;
    if (echo->left && echo->left--)
        room_typing(echo->env->chat, ID, echo, STR("u"), STR("User"), echo->left > 0);
}

static void events_made_inside_notify_are_heard(struct env *env)
{
    struct echo echo = {.follower.notify = type_back, .env = env, .left = 3};
    struct room_join join;
    struct ear ear;
    assert_ok(env, room_follow(env->chat, ID, &echo.follower, NULL, env->a, &join, &env->e));
    ear_follow(env, &ear, ID, NULL, NULL);
    append(env, ID, ROOM_MESSAGE, "x");
    assert_str(ear_heard(env, &ear), "M:x T:1 T:1 T:0");
    assert_int_equal(echo.left, 0);
    room_leave(&echo.follower);
    ear_leave(&ear);
}

static unsigned encodings;

static struct blob *encode(const struct room_event *event)
{
    encodings++;
    return blob_new(event->text);
}

static void encodes_once(struct env *env)
{
    struct ear ear;
    ear_follow(env, &ear, ID, NULL, NULL);
    struct room_view *view = room_pin(env->chat, ID);
    append(env, ID, ROOM_MESSAGE, "text");
    struct room_event *event = room_event_ref(view->ring[view->first & (view->ring_cap - 1)]);
    encodings = 0;
    struct blob *blob = room_event_encoded(event, ROOM_AS_SSE, encode);
    assert_str(blob_str(blob), "text");
    assert_ptr_equal(room_event_encoded(event, ROOM_AS_SSE, encode), blob);
    assert_int_equal(encodings, 1);
    assert_ptr_not_equal(room_event_encoded(event, ROOM_AS_SOCKET, encode), blob);
    assert_int_equal(encodings, 2);
    for (unsigned i = 0; i < LIMIT_ROOM_EVENTS + 1; i++)
        append(env, ID, ROOM_MESSAGE, "");
    let_pass();
    assert_true(view->first > event->offset);
    assert_ptr_equal(room_event_encoded(event, ROOM_AS_SSE, encode), blob); /* our reference holds it */
    room_event_unref(event);
    room_unpin(view);
    ear_leave(&ear);
}

static void events_copy_their_strings(struct env *env)
{
    char text[] = "text", id[] = "m1";
    (void)env;
    struct room_event *event = room_event_new(&(struct room_event){.type = ROOM_READ,
                                                                   .conversation_id = STR("c"),
                                                                   .message_id = str_c(id),
                                                                   .client_id = STR("client"),
                                                                   .text = str_c(text),
                                                                   .finish = STR("stop"),
                                                                   .code = STR("CODE"),
                                                                   .user_id = STR("u"),
                                                                   .user_name = STR("User"),
                                                                   .origin = id,
                                                                   .whole = STR("whole")});
    text[0] = id[0] = '?';
    assert_string_equal(event->text.p, "text");
    assert_string_equal(event->message_id.p, "m1");
    assert_string_equal(event->client_id.p, "client");
    assert_string_equal(event->finish.p, "stop");
    assert_string_equal(event->code.p, "CODE");
    assert_string_equal(event->user_id.p, "u");
    assert_string_equal(event->user_name.p, "User");
    assert_string_equal(event->whole.p, "whole");
    assert_string_equal(event->conversation_id.p, "c");
    assert_ptr_equal(event->origin, id);
    room_event_unref(event);
    event = room_event_new(&(struct room_event){.type = ROOM_DELETED});
    assert_string_equal(event->text.p, "");
    room_event_unref(event);
    room_event_unref(NULL);
}

static void await_gone(struct env *env, struct str id)
{
    while (room_view_find(chat_here(env->chat), id))
        task_sleep(1, NULL);
}

static void expiry(struct env *env)
{
    struct ear ear;
    struct room_join join;
    ear_follow(env, &ear, ID, NULL, &join);
    struct room_cursor cursor = join.now;
    append(env, ID, ROOM_MESSAGE, "a");
    task_sleep(40, NULL); /* longer than room_keep: it stays while somebody follows */
    assert_str(ear_heard(env, &ear), "M:a");
    ear_leave(&ear);
    assert_non_null(room_view_find(chat_here(env->chat), ID)); /* for those who reconnect */
    ear_follow(env, &ear, ID, &cursor, &join);
    assert_true(join.replayed);
    ear_leave(&ear);

    struct room_view *view = room_pin(env->chat, ID);
    task_sleep(40, NULL);
    assert_ptr_equal(room_view_find(chat_here(env->chat), ID), view); /* while somebody needs it */
    room_unpin(view);
    await_gone(env, ID);
    ear_follow(env, &ear, ID, &cursor, &join);
    assert_false(join.replayed);
    assert_int_not_equal(join.now.epoch, cursor.epoch);
    assert_int_equal(join.now.offset, 0);
    ear_leave(&ear);
    await_gone(env, ID);

    room_unpin(room_pin(env->chat, STR("nobody came")));
    assert_null(room_view_find(chat_here(env->chat), STR("nobody came")));
}

static void rooms_expire(void **state)
{
    struct env env = {.room_keep = 20};
    (void)state;
    env_run_with(&env, expiry);
}

static void typing_and_reading(struct env *env)
{
    struct ear ear;
    struct room_join join;
    append(env, ID, ROOM_MESSAGE, "a");
    room_typing(env->chat, ID, NULL, STR("u"), STR("User"), true); /* nobody there */
    room_typing(env->chat, STR("no room"), NULL, STR("u"), STR("User"), true);
    assert_null(room_view_find(chat_here(env->chat), STR("no room")));
    ear_follow(env, &ear, ID, NULL, &join);
    assert_int_equal(join.now.offset, 1);
    room_typing(env->chat, ID, &ear, STR("u"), STR("User"), true);
    room_read(env->chat, ID, &ear, STR("u"), STR("m1"));
    room_typing(env->chat, ID, &ear, STR("u"), STR("User"), false);
    assert_str(ear_heard(env, &ear), "T:1 R T:0");
    struct room_view *view = ear.follower.view;
    const struct room_event *event = view->ring[3 & (view->ring_cap - 1)];
    assert_int_equal(event->type, ROOM_READ);
    assert_str(event->message_id, "m1");
    assert_str(event->user_id, "u");
    assert_ptr_equal(event->origin, &ear);
    event = view->ring[2 & (view->ring_cap - 1)];
    assert_str(event->user_name, "User");
    ear_leave(&ear);
}

static void cursor_text(struct env *env)
{
    static const struct room_cursor cursors[] = {{0, 0}, {1, 1}, {0xabcdef012345, 42}, {UINT64_MAX, UINT64_MAX}};
    static const char *const texts[] = {"0-0", "1-1", "abcdef012345-42", "ffffffffffffffff-18446744073709551615"};
    static const char *const bad[] = {"",       "-",
                                      "1",      "1-",
                                      "-1",     "1-1 ",
                                      " 1-1",   "1--1",
                                      "1-1-1",  "g-1",
                                      "A-1",    "1-a",
                                      "0x1-1",  "1-18446744073709551616",
                                      "1-+1",   "1-1\n",
                                      "1_1",    "1-1.0",
                                      "\x80-1", "fffffffffffffffff-1"};
    (void)env;
    for (size_t i = 0; i < COUNT(cursors); i++) {
        char text[ROOM_CURSOR_MAX];
        struct room_cursor back = {7, 7};
        memset(text, 'x', sizeof text);
        room_cursor_print(text, cursors[i]);
        assert_string_equal(text, texts[i]);
        assert_int_equal(room_cursor_parse(str_c(text), &back), 0);
        assert_true(back.epoch == cursors[i].epoch && back.offset == cursors[i].offset);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct room_cursor kept = {7, 9};
        assert_int_equal(room_cursor_parse(str_c(bad[i]), &kept), -1);
        assert_true(kept.epoch == 7 && kept.offset == 9);
    }
    struct room_cursor kept = {7, 9};
    assert_int_equal(room_cursor_parse(STR_NONE, &kept), -1);
    assert_int_equal(room_cursor_parse(str_n("1-1\0", 4), &kept), -1);
}

/* ---- the room's lock ---- */

struct locker {
    struct room_view *view;
    struct buf *order;
    char name;
    struct task *task;
    int result;
};

static void lock_and_note(void *arg)
{
    struct locker *locker = arg;
    struct err e;
    locker->task = task_self();
    locker->result = room_lock(locker->view, &e);
    buf_byte(locker->order, locker->name);
    if (locker->result == 0)
        room_unlock(locker->view);
    else
        buf_byte(locker->order, '!');
}

static void the_lock_is_first_come_first_served(struct env *env)
{
    struct buf order = BUF_INIT(64);
    struct room_view *view = room_pin(env->chat, ID);
    struct locker lockers[4];
    assert_int_equal(room_lock(view, &env->e), 0);
    for (size_t i = 0; i < COUNT(lockers); i++) {
        lockers[i] = (struct locker){view, &order, (char)('a' + i), NULL, 1};
        task_spawn("locker", lock_and_note, &lockers[i]);
    }
    task_cancel(lockers[1].task);
    let_pass();
    assert_str(buf_str(&order), "b!");
    room_unlock(view);
    task_cancel(lockers[0].task); /* granted and cancelled at once: it has the lock and gives it back */
    struct locker late = {view, &order, 'z', NULL, 1};
    task_spawn("locker", lock_and_note, &late);
    let_pass();
    assert_str(buf_str(&order), "b!acdz");
    assert_int_equal(lockers[0].result, 0);
    assert_int_equal(room_lock(view, &env->e), 0);
    room_unlock(view);
    room_unpin(view);
    buf_free(&order);
}

/* The environment ends with a follower there and news on their way: room_view_free must cope. */
static struct ear left_behind;

static void ends_with_followers(struct env *env)
{
    ear_follow(env, &left_behind, ID, NULL, NULL);
    struct room_view *view = left_behind.follower.view;
    append(env, ID, ROOM_MESSAGE, "x");
    assert_true(view->notify.queued);
    chat_loop_end(env->chat);
    assert_null(left_behind.follower.view);
    assert_null(room_view_find(chat_here(env->chat), ID));
    let_pass();
    assert_int_equal(left_behind.notified, 0);
    ear_leave(&left_behind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(follows_from_now),
        ENV_TEST(replays_from_a_cursor),
        ENV_TEST(a_cursor_that_does_not_fit_is_not_honoured),
        ENV_TEST(late_joiner_reads_the_running_reply),
        ENV_TEST(keeps_a_bounded_number_of_events),
        ENV_TEST(keeps_a_bounded_number_of_bytes),
        ENV_TEST(a_slow_follower_lags_and_skips),
        ENV_TEST(notifies_once_per_round),
        ENV_TEST(followers_leave_inside_notify),
        ENV_TEST(followers_join_inside_notify),
        ENV_TEST(events_made_inside_notify_are_heard),
        ENV_TEST(encodes_once),
        ENV_TEST(events_copy_their_strings),
        cmocka_unit_test(rooms_expire),
        ENV_TEST(typing_and_reading),
        ENV_TEST(cursor_text),
        ENV_TEST(the_lock_is_first_come_first_served),
        ENV_TEST(ends_with_followers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
