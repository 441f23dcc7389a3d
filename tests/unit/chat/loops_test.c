/* One room, several loops: copies of the log, subscriptions that race with events, turns asked for from elsewhere. Run
 * it under ThreadSanitizer as well. cmocka's checks are made on the first loop only; the others report. */
#include "unit/chat/chat_env.h"

#include "base/rand.h"

#include <stdio.h>

#define LOOPS  3
#define EVENTS 6000

/* ---- workers: tasks on any loop, which tell what went wrong ---- */

struct crew {
    struct env *env;
    struct str id;
    atomic_uint running;
    atomic_bool writing, wrong;
    atomic_uint visits;     /* of followers that come and go */
    unsigned visits_wanted; /* the writer goes on until there were so many */
    atomic_uint joined;
    atomic_ullong end; /* offset of the last event, once it is written */
    char why[256];     /* written once, by whoever set `wrong` */
};

struct worker {
    struct crew *crew;
    void (*main)(struct worker *w);
    size_t loop;
    struct arena *a;
    struct err e;
    const void *result;
};

static void worker_main(void *arg)
{
    struct worker *w = arg;
    w->a = arena_new("worker");
    w->main(w);
    arena_free(w->a);
    atomic_fetch_sub(&w->crew->running, 1);
}

static void worker_start(void *arg)
{
    task_spawn("worker", worker_main, arg);
}

static void hire(struct crew *crew, struct worker *w, size_t loop, void (*fn)(struct worker *w))
{
    w->crew = crew;
    w->main = fn;
    w->loop = loop;
    atomic_fetch_add(&crew->running, 1);
    loop_post(crew->env->loops[loop], worker_start, w);
}

static void await_crew(struct crew *crew)
{
    while (atomic_load(&crew->running))
        task_sleep(1, NULL);
    if (atomic_load(&crew->wrong))
        fail_msg("%s", crew->why);
}

static void await_joined(struct crew *crew, unsigned n)
{
    while (atomic_load(&crew->joined) < n)
        task_sleep(1, NULL);
}

static void report(struct crew *crew, const char *what, uint64_t got, uint64_t want)
{
    if (!atomic_exchange(&crew->wrong, true))
        snprintf(crew->why, sizeof crew->why, "%s: %llu, not %llu", what, (unsigned long long)got,
                 (unsigned long long)want);
}

#define EXPECT(w, got, want)                                                                                           \
    do {                                                                                                               \
        uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                                                     \
        if (got_ != want_)                                                                                             \
            report((w)->crew, #got, got_, want_);                                                                      \
    } while (0)

/* ---- followers that check every event ---- */

/* The log of these tests: "reply" is started at offset 1, and each later event adds the letter of its offset. */
static char letter(uint64_t offset)
{
    return (char)('a' + offset % 26);
}

struct listener {
    struct room_follower follower;
    struct worker *w;
    uint64_t expected; /* offset of the next event */
    uint64_t epoch;
};

static void take_checked(struct room_follower *follower)
{
    struct listener *l = container_of(follower, struct listener, follower);
    struct room_event *event;
    while ((event = room_next(follower))) {
        EXPECT(l->w, event->offset, l->expected);
        EXPECT(l->w, event->epoch, l->epoch);
        EXPECT(l->w, event->offset == 1 ? event->type == ROOM_REPLY_STARTED : event->text.p[0] == letter(event->offset),
               true);
        l->expected = event->offset + 1;
    }
    EXPECT(l->w, follower->lagged, false);
}

/* Follows and checks what it finds: the running text is that of the place it joins at. */
static bool join_checked(struct listener *l, struct worker *w, const struct room_cursor *from)
{
    struct room_join join;
    *l = (struct listener){.follower.notify = take_checked, .w = w};
    if (room_follow(w->crew->env->chat, w->crew->id, &l->follower, from, w->a, &join, &w->e) < 0) {
        report(w->crew, "room_follow", w->e.code, 0);
        return false;
    }
    l->epoch = join.now.epoch;
    l->expected = join.replayed ? from->offset + 1 : join.now.offset + 1;
    EXPECT(w, join.missed, join.now.offset + 1 - l->expected);
    if (join.now.offset > 0) {
        EXPECT(w, join.running_text.n, join.now.offset - 1);
        if (join.running_text.n)
            EXPECT(w, join.running_text.p[join.running_text.n - 1], letter(join.now.offset));
    }
    return true;
}

static void hear_all(struct worker *w)
{
    struct listener l;
    if (!join_checked(&l, w, NULL))
        return;
    while ((atomic_load(&w->crew->writing) || l.expected <= atomic_load(&w->crew->end)) &&
           !atomic_load(&w->crew->wrong))
        task_sleep(1, NULL);
    room_leave(&l.follower);
}

/* Comes, listens for a moment and goes, again and again; sometimes it continues where it was. */
static void come_and_go(struct worker *w)
{
    struct room_cursor last = {0};
    bool more = true;
    while (more && !atomic_load(&w->crew->wrong)) {
        struct listener l;
        more = atomic_load(&w->crew->writing);
        if (!join_checked(&l, w, rand_below(2) && last.epoch ? &last : NULL))
            return;
        atomic_fetch_add(&w->crew->visits, 1);
        for (uint64_t stay = rand_below(4); stay; stay--)
            task_yield(NULL);
        if (rand_below(2))
            take_checked(&l.follower);
        last = (struct room_cursor){l.epoch, l.expected - 1};
        room_leave(&l.follower);
        if (rand_below(2))
            task_sleep(rand_below(4), NULL); /* longer than room_keep, or not */
    }
}

static void write_events(struct worker *w)
{
    struct crew *crew = w->crew;
    struct room_view *view = room_pin(crew->env->chat, crew->id);
    for (uint64_t offset = 1; !atomic_load(&crew->wrong); offset++) {
        bool enough = offset > EVENTS;
        if (enough && atomic_load(&crew->visits) >= crew->visits_wanted)
            break;
        char text[2] = {letter(offset), 0};
        struct room_event event = {.type = offset == 1 ? ROOM_REPLY_STARTED : ROOM_DELTA,
                                   .conversation_id = crew->id,
                                   .message_id = STR("reply"),
                                   .text = offset == 1 ? STR("") : str_n(text, 1)};
        EXPECT(w, view->next, offset);
        room_append(view, room_event_new(&event));
        atomic_store(&crew->end, offset);
        if (enough || rand_below(8) == 0)
            task_yield(NULL);
    }
    atomic_store(&crew->writing, false);
    room_unpin(view);
}

#define FAITHFUL 2 /* followers of each loop that hear all */
#define GUESTS   4 /* followers of each loop that come and go */

static void everybody_hears_everything_once(struct env *env)
{
    for (size_t home = 0; home < LOOPS; home++) {
        struct crew crew = {.env = env, .id = id_at_home(env, home), .writing = true, .visits_wanted = 300};
        struct worker faithful[LOOPS][FAITHFUL] = {0}, guests[LOOPS][GUESTS] = {0}, writer = {0};
        for (size_t loop = 0; loop < LOOPS; loop++) {
            for (size_t i = 0; i < FAITHFUL; i++)
                hire(&crew, &faithful[loop][i], loop, hear_all);
            for (size_t i = 0; i < GUESTS; i++)
                hire(&crew, &guests[loop][i], loop, come_and_go);
        }
        hire(&crew, &writer, home, write_events);
        await_crew(&crew);
    }
}

/* Nobody stays: copies are made and given up all the time, and the room itself begins anew now and then. */
static void copies_come_and_go(struct env *env)
{
    struct crew crew = {.env = env, .id = id_at_home(env, 0), .writing = true, .visits_wanted = 300};
    struct worker guests[LOOPS] = {0}, writer = {0};
    for (size_t loop = 0; loop < LOOPS; loop++)
        hire(&crew, &guests[loop], loop, come_and_go);
    hire(&crew, &writer, 0, write_events);
    await_crew(&crew);
}

static void run_on_loops(void (*body)(struct env *env), unsigned room_keep)
{
    struct env env = {.nloops = LOOPS, .room_keep = room_keep};
    env_run_with(&env, body);
}

static void stress(void **state)
{
    (void)state;
    run_on_loops(everybody_hears_everything_once, 1);
}

static void stress_copies(void **state)
{
    (void)state;
    run_on_loops(copies_come_and_go, 1);
}

/* ---- typing and reading, from everywhere ---- */

#define MARKS 300

static void mark_read(struct worker *w)
{
    char user[2] = {(char)('0' + w->loop), 0};
    for (unsigned i = 0; i < MARKS; i++) {
        struct str number = arena_printf(w->a, "%u", i);
        room_read(w->crew->env->chat, w->crew->id, w, str_n(user, 1), number);
        if (i % 7 == 0)
            task_yield(NULL);
    }
}

struct marks {
    struct room_follower follower;
    struct worker *w;
    unsigned seen[LOOPS];
};

static void count_marks(struct room_follower *follower)
{
    struct marks *m = container_of(follower, struct marks, follower);
    struct room_event *event;
    while ((event = room_next(follower))) {
        uint64_t number = 0;
        size_t user = (size_t)(event->user_id.p[0] - '0');
        EXPECT(m->w, event->type, ROOM_READ);
        EXPECT(m->w, str_u64(event->message_id, &number), 0);
        EXPECT(m->w, number, m->seen[user]);
        m->seen[user]++;
    }
}

static void hear_marks(struct worker *w)
{
    struct marks m = {.follower.notify = count_marks, .w = w};
    struct room_join join;
    if (room_follow(w->crew->env->chat, w->crew->id, &m.follower, NULL, w->a, &join, &w->e) < 0)
        report(w->crew, "room_follow", w->e.code, 0);
    atomic_fetch_add(&w->crew->joined, 1);
    while (!atomic_load(&w->crew->wrong) && m.seen[0] + m.seen[1] + m.seen[2] < LOOPS * MARKS)
        task_sleep(1, NULL);
    room_leave(&m.follower);
}

static void passing_events_of_all_loops(struct env *env)
{
    struct crew crew = {.env = env, .id = id_at_home(env, 1)};
    struct worker ears[LOOPS] = {0}, marks[LOOPS] = {0};
    for (size_t loop = 0; loop < LOOPS; loop++)
        hire(&crew, &ears[loop], loop, hear_marks);
    await_joined(&crew, LOOPS);
    for (size_t loop = 0; loop < LOOPS; loop++)
        hire(&crew, &marks[loop], loop, mark_read);
    await_crew(&crew);
}

/* ---- joining that is cut short, or done twice at once ---- */

struct follower_task {
    struct env *env;
    struct str id;
    struct ear ear;
    struct room_join join;
    struct task *task;
    struct err e;
    int result;
    bool done;
};

static void follow_main(void *arg)
{
    struct follower_task *f = arg;
    f->task = task_self();
    ear_init(&f->ear);
    f->result = room_follow(f->env->chat, f->id, &f->ear.follower, NULL, f->env->a, &f->join, &f->e);
    f->done = true;
}

static void a_cancelled_follow_leaves_nothing(struct env *env)
{
    struct follower_task one = {.env = env, .id = id_at_home(env, 1)}, two = one;
    task_spawn("follow", follow_main, &one);
    task_spawn("follow", follow_main, &two);
    assert_false(one.done); /* the home is elsewhere */
    struct room_view *copy = room_view_find(chat_here(env->chat), one.id);
    assert_true(copy->syncing);
    assert_int_equal(copy->pins, 2);
    task_cancel(one.task);
    while (!one.done || !two.done)
        task_yield(NULL);
    assert_int_equal(one.result, -1);
    assert_int_equal(one.e.code, ERR_CANCELLED);
    assert_null(one.ear.follower.view);
    room_leave(&one.ear.follower);
    assert_int_equal(two.result, 0);
    assert_ptr_equal(two.ear.follower.view, copy);
    assert_int_equal(copy->nfollowers, 1);
    assert_int_equal(copy->pins, 0);
    ear_leave(&two.ear);

    struct follower_task alone = {.env = env, .id = id_at_home(env, 1)};
    task_spawn("follow", follow_main, &alone);
    task_cancel(alone.task);
    while (!alone.done || room_view_find(chat_here(env->chat), alone.id))
        task_yield(NULL); /* a copy that nobody used goes at once */
    assert_int_equal(alone.result, -1);
}

static int is_known(void *arg)
{
    struct crew *crew = arg;
    return room_view_find(chat_here(crew->env->chat), crew->id) != NULL;
}

static void visit(struct worker *w)
{
    struct listener l;
    if (join_checked(&l, w, NULL))
        room_leave(&l.follower);
}

static void rooms_end_everywhere(struct env *env)
{
    struct crew crew = {.env = env, .id = id_at_home(env, 1)};
    struct worker guests[LOOPS] = {0};
    for (size_t loop = 0; loop < LOOPS; loop++)
        hire(&crew, &guests[loop], loop, visit);
    await_crew(&crew);
    for (size_t loop = 0; loop < LOOPS; loop++)
        while (loop_call(env->loops[loop], "look", is_known, &crew))
            task_sleep(1, NULL);
}

static int append_one(void *arg)
{
    struct crew *crew = arg;
    append(crew->env, crew->id, ROOM_MESSAGE, "hello");
    return 0;
}

static void a_room_stays_while_somebody_follows_elsewhere(struct env *env)
{
    struct crew crew = {.env = env, .id = id_at_home(env, 1)};
    struct ear ear;
    struct room_join join;
    ear_follow(env, &ear, crew.id, NULL, &join);
    task_sleep(100, NULL); /* room_keep several times over */
    assert_true(loop_call(env->loops[1], "look", is_known, &crew));
    loop_call(env->loops[1], "append", append_one, &crew);
    while (ear.last == 0)
        task_sleep(1, NULL);
    assert_str(ear_heard(env, &ear), "M:hello");
    assert_int_equal(ear.follower.view->epoch, join.now.epoch);
    ear_leave(&ear);
}

/* ---- each encoding is made once, wherever it is asked for ---- */

static atomic_uint encodings;

static struct blob *encode(const struct room_event *event)
{
    atomic_fetch_add(&encodings, 1);
    return blob_new(event->text);
}

struct encoder {
    struct room_follower follower;
    struct worker *w;
};

static void encode_all(struct room_follower *follower)
{
    struct encoder *encoder = container_of(follower, struct encoder, follower);
    struct room_event *event;
    while ((event = room_next(follower))) {
        struct blob *blob = room_event_encoded(event, ROOM_AS_SSE, encode);
        EXPECT(encoder->w, str_eq(blob_str(blob), event->text), true);
        if (event->offset == EVENTS)
            encoder->w->result = blob_ref(blob);
    }
}

static void encode_until_the_end(struct worker *w)
{
    struct encoder encoder = {.follower.notify = encode_all, .w = w};
    struct room_join join;
    if (room_follow(w->crew->env->chat, w->crew->id, &encoder.follower, NULL, w->a, &join, &w->e) < 0)
        report(w->crew, "room_follow", w->e.code, 0);
    atomic_fetch_add(&w->crew->joined, 1);
    while (!w->result && !atomic_load(&w->crew->wrong))
        task_sleep(1, NULL);
    room_leave(&encoder.follower);
}

static void encodings_are_shared_by_the_loops(struct env *env)
{
    struct crew crew = {.env = env, .id = id_at_home(env, 1), .writing = true};
    struct worker encoders[LOOPS] = {0}, writer = {0};
    for (size_t loop = 0; loop < LOOPS; loop++)
        hire(&crew, &encoders[loop], loop, encode_until_the_end);
    await_joined(&crew, LOOPS);
    hire(&crew, &writer, 1, write_events);
    await_crew(&crew);
    for (size_t loop = 0; loop < LOOPS; loop++) {
        assert_ptr_equal(encoders[loop].result, encoders[0].result);
        blob_unref((struct blob *)encoders[loop].result);
    }
    /* Two loops may make one at the same moment; the second is then thrown away. */
    assert_true(atomic_load(&encodings) >= EVENTS);
    assert_true(atomic_load(&encodings) <= EVENTS * LOOPS);
}

/* ---- turns asked for from elsewhere ---- */

#define TURNS 12

static void talk(struct worker *w)
{
    struct env *env = w->crew->env;
    for (unsigned i = 0; i < TURNS && !atomic_load(&w->crew->wrong); i++) {
        struct turn_request request = {.surface = &surface,
                                       .conversation_id = w->crew->id,
                                       .create = true,
                                       .text = arena_printf(w->a, "question %zu-%u", w->loop, i)};
        struct turn_ticket ticket;
        struct turn_result result = {0};
        EXPECT(w, turn_start(env->chat, &request, w->a, &ticket, &w->e), 0);
        if (i % 3 == 2)
            turn_cancel(env->chat, w->crew->id, &w->e);
        EXPECT(w, turn_wait(env->chat, &ticket, w->a, &result, &w->e), 0);
        if (result.status == MESSAGE_COMPLETE)
            EXPECT(w, str_eqc(result.text, "Fine, thanks."), true);
        else
            EXPECT(w, result.status, MESSAGE_INTERRUPTED);
    }
}

static void turns_from_all_loops(struct env *env)
{
    static const struct step script[] = {SAY("Fine, "), PAUSE(0), SAY("thanks."), FINISH("stop"), DONE};
    struct conversation c;
    scripted_set(env->llm, script);
    for (size_t home = 0; home < LOOPS; home++) {
        struct crew crew = {.env = env, .id = id_at_home(env, home)};
        struct worker talkers[LOOPS][2] = {0};
        struct chat_scope scope = {.space = "chat"};
        atomic_store(&env->llm->most_open, 0);
        for (size_t i = 0; i < LOOPS * 2; i++)
            hire(&crew, &talkers[i / 2][i % 2], i / 2, talk);
        await_crew(&crew);
        assert_true(atomic_load(&env->llm->most_open) <= 1); /* one at a time */
        assert_ok(env, conversation_get(env->chat, &scope, crew.id, STORE_ALL, env->a, &c, &env->e));
        assert_int_equal(c.nmessages, TURNS * LOOPS * 2 * 2);
        for (size_t i = 0; i < c.nmessages; i++) {
            assert_str(c.messages[i].role, i % 2 ? "assistant" : "user");
            assert_int_not_equal(c.messages[i].status, MESSAGE_STREAMING);
        }
        assert_ok(env, conversation_delete(env->chat, &scope, crew.id, &env->e));
        assert_refused(env, conversation_get(env->chat, &scope, crew.id, 0, env->a, &c, &env->e),
                       ERR_CONVERSATION_NOT_FOUND);
    }
}

/* Conversations deleted while others talk in them: every turn has an outcome, nothing hangs. */
static void talk_regardless(struct worker *w)
{
    struct env *env = w->crew->env;
    for (unsigned i = 0; i < TURNS && !atomic_load(&w->crew->wrong); i++) {
        struct turn_request request = {
            .surface = &surface, .conversation_id = w->crew->id, .create = true, .text = STR("hello")};
        struct turn_ticket ticket;
        struct turn_result result = {0};
        EXPECT(w, turn_start(env->chat, &request, w->a, &ticket, &w->e), 0);
        if (turn_wait(env->chat, &ticket, w->a, &result, &w->e) < 0)
            EXPECT(w, w->e.code == ERR_CONVERSATION_NOT_FOUND || w->e.code == ERR_MESSAGE_NOT_FOUND, true);
        else
            EXPECT(w, result.status == MESSAGE_COMPLETE || result.status == MESSAGE_INTERRUPTED, true);
    }
}

static void delete_often(struct worker *w)
{
    struct chat_scope scope = {.space = "chat"};
    for (unsigned i = 0; i < TURNS; i++) {
        if (conversation_delete(w->crew->env->chat, &scope, w->crew->id, &w->e) < 0)
            EXPECT(w, w->e.code, ERR_CONVERSATION_NOT_FOUND);
        task_sleep(rand_below(3), NULL);
    }
}

static void turns_in_conversations_that_are_deleted(struct env *env)
{
    static const struct step script[] = {SAY("Fine, "), PAUSE(1), SAY("thanks."), FINISH("stop"), DONE};
    struct crew crew = {.env = env, .id = id_at_home(env, 1)};
    struct worker talkers[LOOPS] = {0}, deleters[LOOPS] = {0};
    scripted_set(env->llm, script);
    for (size_t loop = 0; loop < LOOPS; loop++) {
        hire(&crew, &talkers[loop], loop, talk_regardless);
        hire(&crew, &deleters[loop], loop, delete_often);
    }
    await_crew(&crew);
}

static void on_loops(void **state)
{
    run_on_loops(((const struct body *)*state)->fn, 20);
}

/* clang-format off */
#define LOOPS_TEST(fn) {#fn, on_loops, NULL, NULL, &(struct body){fn}}
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stress),
        cmocka_unit_test(stress_copies),
        LOOPS_TEST(passing_events_of_all_loops),
        LOOPS_TEST(a_cancelled_follow_leaves_nothing),
        LOOPS_TEST(rooms_end_everywhere),
        LOOPS_TEST(a_room_stays_while_somebody_follows_elsewhere),
        LOOPS_TEST(encodings_are_shared_by_the_loops),
        LOOPS_TEST(turns_from_all_loops),
        LOOPS_TEST(turns_in_conversations_that_are_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
