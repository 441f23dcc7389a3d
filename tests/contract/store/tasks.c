/* Many tasks at once, on one and on two loops; cancellation and deadlines. */
#include "contract/store/suite.h"

#include "base/mem.h"
#include "unit/support/run_task.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TASKS 64
#define EACH  20

struct crowd {
    struct fixture *f;
    const char *prefix;
    bool same; /* all into one conversation */
    unsigned running, failed, conflicts;
    struct task *starter;
    void (*member)(struct crowd *crowd, unsigned number);
};

struct member {
    struct crowd *crowd;
    unsigned number;
};

static void member_main(void *arg)
{
    struct member member = *(struct member *)arg;
    free(arg);
    member.crowd->member(member.crowd, member.number);
    if (--member.crowd->running == 0)
        task_wake(member.crowd->starter);
}

static void crowd_main(void *arg)
{
    struct crowd *crowd = arg;
    crowd->starter = task_self();
    crowd->running = TASKS;
    for (unsigned i = 0; i < TASKS; i++) {
        struct member *member = mem_alloc(sizeof *member);
        *member = (struct member){crowd, i};
        task_spawn("member", member_main, member);
    }
    while (crowd->running)
        task_park(NULL);
}

static void add_messages(struct crowd *crowd, unsigned number)
{
    struct fixture *f = crowd->f;
    for (unsigned i = 0; i < EACH; i++) {
        struct arena *a = arena_new("member");
        struct message m = {.role = STR("user")};
        struct store_appended out;
        struct message_page page;
        struct err e;
        m.conversation_id = crowd->same ? STR("one") : arena_printf(a, "c%u", number);
        m.content = arena_printf(a, "%s %u %u", crowd->prefix, number, i);
        m.client_id = m.content;
        if (store_message_add(f->st, a, &m, &out, &e) < 0 || out.duplicate)
            crowd->failed++;
        /* What was acknowledged can be read at once. */
        else if (store_message_last(f->st, a, m.conversation_id, 100, &page, &e) < 0 || page.n == 0 ||
                 page.items[page.n - 1].seq < out.messages[0].seq)
            crowd->failed++;
        arena_free(a);
    }
}

/* Every member's own messages are all there and in its order. */
static void check_order(struct fixture *f, const char *conversation, unsigned expected)
{
    struct message_query query = {.conversation_id = str_c(conversation), .limit = 500};
    struct message_page page;
    int last[2][TASKS];
    unsigned total = 0;
    memset(last, -1, sizeof last);
    do {
        assert_ok(f, store_message_list(f->st, f->a, &query, &page, &f->e));
        for (size_t i = 0; i < page.n; i++) {
            char prefix;
            unsigned number;
            int nth;
            assert_int_equal(sscanf(page.items[i].content.p, "%c %u %d", &prefix, &number, &nth), 3);
            assert_int_equal(page.items[i].seq, ++total);
            assert_true(nth == last[prefix == 'b'][number] + 1);
            last[prefix == 'b'][number] = nth;
            query.after = page.items[i].seq;
        }
    } while (page.more);
    assert_int_equal(total, expected);
}

static void many_tasks_into_one_conversation(struct fixture *f)
{
    struct crowd crowd = {.f = f, .prefix = "a", .same = true, .member = add_messages};
    make_conversation(f, "chat", "one", 0);
    run_task(crowd_main, &crowd);
    assert_int_equal(crowd.failed, 0);
    check_order(f, "one", TASKS * EACH);
    reopen(f);
    check_order(f, "one", TASKS * EACH);
}

static void many_tasks_into_many_conversations(struct fixture *f)
{
    struct crowd crowd = {.f = f, .prefix = "a", .member = add_messages};
    char id[16];
    for (unsigned i = 0; i < TASKS; i++) {
        snprintf(id, sizeof id, "c%u", i);
        make_conversation(f, "chat", id, 0);
    }
    run_task(crowd_main, &crowd);
    assert_int_equal(crowd.failed, 0);
    for (unsigned i = 0; i < TASKS; i++) {
        snprintf(id, sizeof id, "c%u", i);
        check_order(f, id, EACH);
    }
}

static void *other_loop(void *arg)
{
    run_task(crowd_main, arg);
    arena_thread_end();
    return NULL;
}

static void two_loops_into_one_conversation(struct fixture *f)
{
    struct crowd a = {.f = f, .prefix = "a", .same = true, .member = add_messages};
    struct crowd b = {.f = f, .prefix = "b", .same = true, .member = add_messages};
    pthread_t thread;
    make_conversation(f, "chat", "one", 0);
    assert_int_equal(pthread_create(&thread, NULL, other_loop, &b), 0);
    run_task(crowd_main, &a);
    pthread_join(thread, NULL);
    assert_int_equal(a.failed + b.failed, 0);
    check_order(f, "one", 2 * TASKS * EACH);
}

static void register_same(struct crowd *crowd, unsigned number)
{
    struct arena *a = arena_new("member");
    struct user user = {.email = STR("race@example.org"), .name = arena_printf(a, "%u", number)}, made;
    struct err e;
    if (store_user_create(crowd->f->st, a, &user, &made, &e) < 0) {
        if (e.code == ERR_CONFLICT)
            crowd->conflicts++;
        else
            crowd->failed++;
    }
    arena_free(a);
}

static void one_of_many_gets_the_email(struct fixture *f)
{
    struct crowd crowd = {.f = f, .member = register_same};
    struct user got;
    run_task(crowd_main, &crowd);
    assert_int_equal(crowd.failed, 0);
    assert_int_equal(crowd.conflicts, TASKS - 1);
    assert_ok(f, store_user_by_email(f->st, f->a, STR("race@example.org"), &got, &f->e));
}

/* Half of the tasks fail late, after they changed something: the others' changes in the same commit stand. */
static void append_some_bad(struct crowd *crowd, unsigned number)
{
    for (unsigned i = 0; i < EACH; i++) {
        struct arena *a = arena_new("member");
        struct message pair[2] = {{.role = STR("user"), .id = STR("same")}, {.role = STR("user"), .id = STR("same")}};
        struct store_append append = {.mode = APPEND_NEW, .messages = pair, .n = 2};
        struct store_appended out;
        struct err e;
        append.conversation.space = STR("chat");
        append.conversation.id = arena_printf(a, "%s-%u-%u", number % 2 ? "bad" : "good", number, i);
        if (number % 2 == 0)
            pair[1].id = STR("other");
        int result = store_append(crowd->f->st, a, &append, &out, &e);
        if (number % 2 == 0 ? result < 0 : result == 0 || e.code != ERR_CONFLICT)
            crowd->failed++;
        arena_free(a);
    }
}

static void a_failure_harms_nobody_else(struct fixture *f)
{
    struct crowd crowd = {.f = f, .member = append_some_bad};
    struct store_stats stats;
    run_task(crowd_main, &crowd);
    assert_int_equal(crowd.failed, 0);
    assert_ok(f, store_stats(f->st, &stats, &f->e));
    assert_int_equal(stats.conversations, TASKS / 2 * EACH);
    assert_int_equal(stats.messages, TASKS * EACH);
}

static void begin_same_turn(struct crowd *crowd, unsigned number)
{
    struct arena *a = arena_new("member");
    struct turn_begin turn = {.create = true, .user = {.role = STR("user"), .client_id = STR("k")}};
    struct store_appended out;
    struct err e;
    (void)number;
    turn.conversation.id = STR("c");
    turn.conversation.space = STR("chat");
    if (store_turn_begin(crowd->f->st, a, &turn, &out, &e) < 0 || out.n != 2)
        crowd->failed++;
    else if (out.duplicate)
        crowd->conflicts++;
    arena_free(a);
}

static void one_turn_of_many_retries(struct fixture *f)
{
    struct crowd crowd = {.f = f, .member = begin_same_turn};
    struct conversation got;
    run_task(crowd_main, &crowd);
    assert_int_equal(crowd.failed, 0);
    assert_int_equal(crowd.conflicts, TASKS - 1);
    assert_ok(f, store_conversation_get(f->st, f->a, STR("c"), &got, &f->e));
    assert_int_equal(got.message_count, 2);
}

/* What each reads behind its own adding is what all read. */
static void add_same_setting(struct crowd *crowd, unsigned number)
{
    struct arena *a = arena_new("member");
    struct setting mine = {.owner = STR("server"), .key = STR("key")}, got, again;
    struct setting_ref ref = {mine.owner, mine.key};
    struct err e;
    mine.value = arena_printf(a, "%u", number);
    if (store_setting_add(crowd->f->st, &mine, &e) < 0 || store_setting_get(crowd->f->st, a, &ref, &got, &e) < 0 ||
        task_yield(&e) < 0 || store_setting_get(crowd->f->st, a, &ref, &again, &e) < 0 ||
        !str_eq(got.value, again.value))
        crowd->failed++;
    else if (!str_eq(got.value, mine.value))
        crowd->conflicts++;
    arena_free(a);
}

static void one_of_many_adds_the_setting(struct fixture *f)
{
    struct crowd crowd = {.f = f, .member = add_same_setting};
    run_task(crowd_main, &crowd);
    assert_int_equal(crowd.failed, 0);
    assert_int_equal(crowd.conflicts, TASKS - 1);
}

struct quitter {
    struct fixture *f;
    struct task *task;
    unsigned done, stored;
    enum err_code code;
};

static void quit_main(void *arg)
{
    struct quitter *q = arg;
    struct arena *a = arena_new("quitter");
    struct message m = {.conversation_id = STR("c"), .role = STR("user")};
    struct store_appended out;
    struct err e = {0};
    q->task = task_self();
    q->stored = store_message_add(q->f->st, a, &m, &out, &e) == 0;
    q->code = e.code;
    arena_free(a);
    q->done = 1;
}

/* Cancelled at every moment: the outcome told is the outcome. */
static void cancel_main(void *arg)
{
    struct fixture *f = arg;
    unsigned stored = 0;
    for (unsigned i = 0; i < 200; i++) {
        struct quitter q = {.f = f};
        struct message_page page;
        task_spawn("quitter", quit_main, &q);
        for (unsigned turn = 0; turn < i % 8 && !q.done; turn++)
            task_yield(NULL);
        if (!q.done)
            task_cancel(q.task);
        while (!q.done)
            task_yield(NULL);
        assert_true(q.stored || q.code == ERR_CANCELLED);
        assert_true(i % 8 != 0 || !q.stored); /* not handed over yet: always withdrawn */
        stored += q.stored;
        struct arena *a = arena_new("look");
        assert_ok(f, store_message_last(f->st, a, STR("c"), 1, &page, &f->e));
        assert_int_equal(page.n ? page.items[0].seq : 0, stored);
        arena_free(a);
    }
}

static void cancelled_calls_tell_the_truth(struct fixture *f)
{
    make_conversation(f, "chat", "c", 0);
    run_task(cancel_main, f);
}

const struct suite_test task_tests[] = {
    {"many tasks into one conversation", many_tasks_into_one_conversation},
    {"many tasks into many conversations", many_tasks_into_many_conversations},
    {"two loops into one conversation", two_loops_into_one_conversation},
    {"one of many gets the e-mail", one_of_many_gets_the_email},
    {"a failure harms nobody else", a_failure_harms_nobody_else},
    {"one turn of many retries", one_turn_of_many_retries},
    {"one of many adds the setting", one_of_many_adds_the_setting},
    {"cancelled calls tell the truth", cancelled_calls_tell_the_truth},
    {0},
};
