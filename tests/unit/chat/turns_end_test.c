/* How turns end other than well: cancelled, failed, deleted under way, drained, cut by a crash, store out of order. */
#include "unit/chat/turn_env.h"

#include "base/rand.h"

static void cancel_while_thinking(struct env *env)
{
    static const struct step hang[] = {HANG};
    struct ear ear;
    scripted_set(env->llm, hang);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    assert_int_equal(turn_cancel(env->chat, STR("c1"), &env->e), 0);
    assert_int_equal(turn_cancel(env->chat, STR("unknown"), &env->e), 0);
    struct turn_ticket ticket = ask(env, "c1", "x");
    scripted_await_request(env->llm, 1);
    assert_int_equal(turn_cancel(env->chat, STR("c1"), &env->e), 1);
    struct turn_result result = outcome(env, &ticket);
    assert_int_equal(result.status, MESSAGE_INTERRUPTED);
    assert_str(result.finish, "cancelled");
    assert_str(result.text, "");
    assert_str(result.error, "");
    assert_str(ear_heard(env, &ear), "M:x S F");
    assert_int_equal(stored(env, STR("c1"), ticket.reply_id).status, MESSAGE_INTERRUPTED);
    assert_int_equal(turn_cancel(env->chat, STR("c1"), &env->e), 0);
    assert_int_equal(atomic_load(&env->llm->open), 0);
    ear_leave(&ear);
}

static void cancel_while_streaming(struct env *env)
{
    static const struct step half[] = {SAY("Half a "), HANG};
    struct ear ear;
    scripted_set(env->llm, half);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    struct turn_ticket ticket = ask(env, "c1", "x");
    await_heard(&ear, 3);
    assert_int_equal(turn_cancel(env->chat, STR("c1"), &env->e), 1);
    struct turn_result result = outcome(env, &ticket);
    assert_int_equal(result.status, MESSAGE_INTERRUPTED);
    assert_str(result.text, "Half a ");
    assert_true(result.model_used);
    assert_str(ear_heard(env, &ear), "M:x S D:Half a  F:Half a ");
    struct message reply = stored(env, STR("c1"), ticket.reply_id);
    assert_int_equal(reply.status, MESSAGE_INTERRUPTED);
    assert_str(reply.content, "Half a ");
    await_idle(env);
    /* Who asks later learns the same from the store. */
    ticket.from.epoch ^= 2;
    result = outcome(env, &ticket);
    assert_int_equal(result.status, MESSAGE_INTERRUPTED);
    assert_str(result.finish, "interrupted");
    assert_str(result.text, "Half a ");
    ear_leave(&ear);
}

static void cancel_lets_the_next_turn_run(struct env *env)
{
    static const struct step hang[] = {HANG}, fine[] = {SAY("fine"), FINISH("stop"), DONE};
    scripted_set(env->llm, hang, fine);
    struct turn_ticket first = ask(env, "c1", "x"), second = ask(env, "c1", "y");
    scripted_await_request(env->llm, 1);
    assert_int_equal(turn_cancel(env->chat, STR("c1"), &env->e), 1);
    assert_int_equal(outcome(env, &first).status, MESSAGE_INTERRUPTED);
    assert_str(outcome(env, &second).text, "fine");
}

static void abort_takes_the_waiting_too(struct env *env)
{
    static const struct step half[] = {SAY("Half"), HANG};
    scripted_set(env->llm, half);
    struct turn_ticket tickets[3] = {ask(env, "c1", "x"), ask(env, "c1", "y"), ask(env, "c2", "z")};
    scripted_await_request(env->llm, 2);
    assert_int_equal(chat_busy(env->chat), 3);
    chat_abort(env->chat);
    await_idle(env);
    for (size_t i = 0; i < COUNT(tickets); i++) {
        struct turn_result result = outcome(env, &tickets[i]);
        struct message reply = stored(env, tickets[i].conversation_id, tickets[i].reply_id);
        assert_int_equal(result.status, MESSAGE_INTERRUPTED);
        assert_str(result.finish, "interrupted");
        assert_str(result.text, i == 1 ? "" : "Half"); /* the waiting one never asked */
        assert_int_equal(reply.status, MESSAGE_INTERRUPTED);
        assert_true(str_eq(reply.content, result.text));
    }
    assert_int_equal(atomic_load(&env->llm->nrequests), 2);
}

static void draining_refuses(struct env *env)
{
    static const struct step held[] = {HOLD, SAY("done"), DONE};
    scripted_set(env->llm, held);
    struct turn_ticket running = ask(env, "c1", "x"), refused;
    struct turn_request request = asking("c1", "y");
    chat_drain(env->chat);
    assert_refused(env, turn_start(env->chat, &request, env->a, &refused, &env->e), ERR_SHUTTING_DOWN);
    assert_int_equal(chat_busy(env->chat), 1);
    scripted_release(env->llm);
    assert_str(outcome(env, &running).text, "done"); /* what runs may end */
    assert_int_equal(conversation_of(env, "c1").nmessages, 2);
}

static void failure_before_text(struct env *env)
{
    static const struct chat_surface apology = {.space = "chat", .temperature = -1, .failure_text = "Sorry."};
    static const struct step refused[] = {REFUSE(ERR_UPSTREAM_UNREACHABLE, "{}")}, cut[] = {FAIL(ERR_UPSTREAM)};
    static const struct step fine[] = {SAY("fine"), DONE};
    struct ear ear;
    scripted_set(env->llm, refused, cut, fine);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    struct turn_request request = asking("c1", "x");
    request.surface = &apology;
    struct turn_ticket ticket = begin_turn(env, &request);
    struct turn_result result = outcome(env, &ticket);
    assert_int_equal(result.status, MESSAGE_FAILED);
    assert_str(result.text, "Sorry.");
    assert_str(result.error, "refused by script");
    assert_false(result.model_used);
    assert_str(ear_heard(env, &ear), "M:x S X:refused by script");
    struct message reply = stored(env, STR("c1"), ticket.reply_id);
    assert_int_equal(reply.status, MESSAGE_FAILED);
    assert_str(reply.content, "Sorry.");
    await_idle(env);
    ticket.from.epoch ^= 2;
    result = outcome(env, &ticket); /* from the store */
    assert_int_equal(result.status, MESSAGE_FAILED);
    assert_str(result.text, "Sorry.");
    assert_true(result.error.n > 0);

    request.surface = &surface; /* without such a text the reply stays empty and out of the history */
    ticket = begin_turn(env, &request);
    result = outcome(env, &ticket);
    assert_int_equal(result.status, MESSAGE_FAILED);
    assert_str(result.text, "");
    assert_str(result.error, "failed by script");
    assert_str(stored(env, STR("c1"), ticket.reply_id).content, "");

    assert_str(ask_and_wait(env, "c1", "y").text, "fine");
    const struct scripted_request *last = &env->llm->requests[2];
    static const char *const history[] = {"Be brief.", "x", "Sorry.", "x", "y"};
    assert_int_equal(last->nmessages, COUNT(history));
    for (size_t i = 0; i < COUNT(history); i++)
        assert_str(last->messages[i].content, history[i]);
    ear_leave(&ear);
}

static void failure_in_the_middle(struct env *env)
{
    static const struct chat_surface apology = {.space = "chat", .temperature = -1, .failure_text = "Sorry."};
    static const struct step cut[] = {SAY("It was "), SAY("a dark"), FAIL(ERR_TIMEOUT)};
    struct ear ear;
    int64_t failed = metric_value(env->chat->metrics.turns[MESSAGE_FAILED]);
    scripted_set(env->llm, cut);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    struct turn_request request = asking("c1", "x");
    request.surface = &apology;
    struct turn_ticket ticket = begin_turn(env, &request);
    struct turn_result result = outcome(env, &ticket);
    assert_int_equal(result.status, MESSAGE_FAILED);
    assert_str(result.text, "It was a dark"); /* what was said is kept */
    assert_true(result.model_used);
    struct room_view *view = ear.follower.view;
    const struct room_event *event = view->ring[(view->next - 1) & (view->ring_cap - 1)];
    assert_int_equal(event->type, ROOM_REPLY_FAILED);
    assert_str(event->code, "TIMEOUT");
    assert_str(event->text, "failed by script");
    assert_str(event->whole, "It was a dark");
    assert_int_equal(event->status, MESSAGE_FAILED);
    assert_str(stored(env, STR("c1"), ticket.reply_id).content, "It was a dark");
    assert_int_equal(metric_value(env->chat->metrics.turns[MESSAGE_FAILED]) - failed, 1);
    ear_leave(&ear);
}

/* ---- deletion ---- */

static void deletion_ends_the_turns(struct env *env)
{
    static const struct step half[] = {HOLD, SAY("Half"), HANG};
    struct ear ear;
    struct turn_result result;
    struct conversation c;
    scripted_set(env->llm, half);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    struct turn_ticket running = ask(env, "c1", "x"), waiting = ask(env, "c1", "y");
    scripted_release(env->llm);
    await_heard(&ear, 4);
    assert_ok(env, conversation_delete(env->chat, &chat_scope_, STR("c1"), &env->e));
    assert_int_equal(chat_busy(env->chat), 0);
    assert_str(ear_heard(env, &ear), "M:x S M:y D:Half F:Half S F Z");
    assert_refused(env, conversation_get(env->chat, &chat_scope_, STR("c1"), 0, env->a, &c, &env->e),
                   ERR_CONVERSATION_NOT_FOUND);
    assert_refused(env, conversation_delete(env->chat, &chat_scope_, STR("c1"), &env->e), ERR_CONVERSATION_NOT_FOUND);
    result = outcome(env, &running); /* the log still tells */
    assert_int_equal(result.status, MESSAGE_INTERRUPTED);
    assert_str(result.finish, "deleted");
    running.from = (struct room_cursor){running.from.epoch, ear.last - 1}; /* behind its end there is only this */
    waiting.from = running.from;
    assert_refused(env, turn_wait(env->chat, &waiting, env->a, &result, &env->e), ERR_CONVERSATION_NOT_FOUND);
    static const struct step fine[] = {SAY("anew"), DONE};
    scripted_set(env->llm, fine);
    assert_str(ask_and_wait(env, "c1", "x").text, "anew");
    assert_str(ear_heard(env, &ear), "M:x S D:anew F:anew");
    assert_int_equal(conversation_of(env, "c1").nmessages, 2);
    ear_leave(&ear);
}

/* ---- a store in trouble ---- */

static struct store_ops flaky;
static atomic_uint refused_ops[STORE_OP_COUNT];
static atomic_bool out_of_order[STORE_OP_COUNT];

/* While shut, the operation is done but its caller does not hear of it yet. */
static struct {
    struct waitlist line;
    enum store_op op;
    bool shut;
} gate;

static int flaky_submit(struct store *st, const struct store_call *call, struct err *e)
{
    if (call->op == gate.op && gate.shut) {
        int result = store_sqlite.submit(st, call, e);
        waitlist_wait(&gate.line, NULL);
        return result;
    }
    if (atomic_load(&out_of_order[call->op])) {
        atomic_fetch_add(&refused_ops[call->op], 1);
        return err_set(e, ERR_STORE_UNAVAILABLE, NULL);
    }
    return store_sqlite.submit(st, call, e);
}

static void break_store(struct env *env, enum store_op op, bool broken)
{
    flaky = store_sqlite;
    flaky.submit = flaky_submit;
    env->st->ops = &flaky;
    atomic_store(&out_of_order[op], broken);
    atomic_store(&refused_ops[op], 0);
}

static void shut_gate(struct env *env, enum store_op op)
{
    break_store(env, op, false);
    waitlist_init(&gate.line);
    gate.op = op;
    gate.shut = true;
}

static void open_gate(void)
{
    gate.shut = false;
    waitlist_wake_all(&gate.line);
}

static void await_gate(void)
{
    while (list_empty(&gate.line.tasks))
        task_yield(NULL);
}

static void a_message_that_cannot_be_stored_begins_nothing(struct env *env)
{
    struct turn_request request = asking("c1", "x");
    struct turn_ticket ticket;
    break_store(env, STORE_OP_append, true);
    assert_refused(env, turn_start(env->chat, &request, env->a, &ticket, &env->e), ERR_STORE_UNAVAILABLE);
    assert_int_equal(chat_busy(env->chat), 0);
    assert_null(room_view_find(chat_here(env->chat), STR("c1")));
    break_store(env, STORE_OP_append, false);
    assert_str(ask_and_wait(env, "c1", "x").text, "ok");
}

static void a_reply_that_cannot_be_stored_is_told(struct env *env)
{
    static const struct step slow[] = {SAY("word "), HOLD, SAY("end"), FINISH("stop"), DONE};
    static const struct step fine[] = {SAY("fine"), DONE};
    struct ear ear;
    scripted_set(env->llm, slow, fine);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    struct turn_request request = asking("c1", "x");
    request.client_id = STR("m-1");
    struct turn_ticket ticket = begin_turn(env, &request);
    break_store(env, STORE_OP_message_update, true);
    while (atomic_load(&refused_ops[STORE_OP_message_update]) == 0)
        task_sleep(5, NULL); /* the reply goes on when its growth cannot be saved */
    scripted_release(env->llm);
    struct turn_result result = outcome(env, &ticket);
    assert_int_equal(result.status, MESSAGE_FAILED);
    assert_str(result.text, "word end");
    assert_true(result.error.n > 0);
    struct room_view *view = ear.follower.view;
    const struct room_event *event = view->ring[(view->next - 1) & (view->ring_cap - 1)];
    assert_int_equal(event->type, ROOM_REPLY_FAILED);
    assert_str(event->code, "STORE_UNAVAILABLE");
    assert_str(event->whole, "word end");
    await_idle(env);

    assert_int_equal(stored(env, STR("c1"), ticket.reply_id).status, MESSAGE_STREAMING);
    struct turn_ticket again = begin_turn(env, &request); /* nobody writes it any more: waiting for it must end */
    assert_true(again.duplicate);
    assert_int_equal(outcome(env, &again).status, MESSAGE_INTERRUPTED);
    break_store(env, STORE_OP_message_update, false);
    while (stored(env, STR("c1"), ticket.reply_id).status != MESSAGE_COMPLETE) /* it is offered again */
        task_sleep(5, NULL);
    assert_str(stored(env, STR("c1"), ticket.reply_id).content, "word end");
    assert_str(ask_and_wait(env, "c1", "y").text, "fine"); /* and the conversation goes on */
    assert_int_equal(chat_recover(env->chat, &env->e), 0);
    ear_leave(&ear);
}

static void what_is_said_during_a_save_is_saved_next(struct env *env)
{
    static const struct step script[] = {SAY("one"), HOLD, SAY(" two"), HANG};
    scripted_set(env->llm, script);
    struct turn_ticket ticket = ask(env, "c1", "x");
    shut_gate(env, STORE_OP_message_update);
    await_gate();
    assert_str(stored(env, STR("c1"), ticket.reply_id).content, "one");
    scripted_release(env->llm);
    let_pass();
    open_gate();
    while (!str_eqc(stored(env, STR("c1"), ticket.reply_id).content, "one two"))
        task_sleep(5, NULL);
    assert_int_equal(turn_cancel(env->chat, STR("c1"), &env->e), 1);
    assert_str(outcome(env, &ticket).text, "one two");
}

static void an_outcome_waits_for_a_save(struct env *env)
{
    static const struct step script[] = {SAY("one"), HANG};
    struct ear ear;
    scripted_set(env->llm, script);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    struct turn_ticket ticket = ask(env, "c1", "x");
    shut_gate(env, STORE_OP_message_update);
    await_gate();
    assert_int_equal(turn_cancel(env->chat, STR("c1"), &env->e), 1);
    for (unsigned i = 0; i < 50; i++)
        task_sleep(1, NULL); /* time enough to overtake */
    assert_int_equal(stored(env, STR("c1"), ticket.reply_id).status, MESSAGE_STREAMING);
    assert_int_equal(turn_cancel(env->chat, STR("c1"), &env->e), 0); /* it ends already */
    open_gate();
    assert_int_equal(outcome(env, &ticket).status, MESSAGE_INTERRUPTED);
    assert_str(ear_heard(env, &ear), "M:x S D:one F:one");
    ear_leave(&ear);
}

/* The reply ends while somebody whom the log left behind asks the store whether it does. */
struct waiter {
    struct env *env;
    struct turn_ticket ticket;
    struct turn_result result;
    struct err e;
    int status;
    bool done;
};

static void waiter_main(void *arg)
{
    struct waiter *w = arg;
    w->status = turn_wait(w->env->chat, &w->ticket, w->env->a, &w->result, &w->e);
    w->done = true;
}

static void an_end_during_a_lookup_is_seen(struct env *env)
{
    static const struct step held[] = {HOLD, SAY("x"), FINISH("stop"), DONE};
    struct ear ear;
    scripted_set(env->llm, held);
    struct waiter w = {.env = env, .ticket = ask(env, "c1", "x")};
    task_spawn("wait", waiter_main, &w);
    scripted_await_hold(env->llm);
    shut_gate(env, STORE_OP_message_get);
    for (unsigned i = 0; i < LIMIT_ROOM_EVENTS * 9; i++) /* more than one round may hold */
        append(env, STR("c1"), ROOM_MESSAGE, "");
    await_gate(); /* the answer will be: it still runs */
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    scripted_release(env->llm);
    while (!str_ends(buf_str(&ear.heard), STR("F:x")))
        task_yield(NULL);
    assert_false(w.done);
    open_gate();
    while (!w.done)
        task_yield(NULL);
    assert_int_equal(w.status, 0);
    assert_str(w.result.text, "x");
    ear_leave(&ear);
}

static const struct chat_surface fixed = {
    .space = "chat", .temperature = -1, .needs_model = true, .no_model_text = "No model."};

static void stopped_while_waiting(struct env *env)
{
    struct turn_request request = asking("c1", "x");
    request.surface = &fixed;
    shut_gate(env, STORE_OP_message_update);
    struct turn_ticket first = begin_turn(env, &request), second = begin_turn(env, &request);
    await_gate();
    chat_abort(env->chat);
    open_gate();
    assert_str(outcome(env, &first).text, "No model."); /* it was being stored already */
    assert_int_equal(outcome(env, &first).status, MESSAGE_COMPLETE);
    assert_str(outcome(env, &second).text, "");
    assert_int_equal(outcome(env, &second).status, MESSAGE_INTERRUPTED);
}

static void a_stopped_turn_says_nothing_more(void **state)
{
    struct env env = {.no_model = true};
    (void)state;
    env_run_with(&env, stopped_while_waiting);
}

static void a_history_that_cannot_be_read_fails_the_turn(struct env *env)
{
    break_store(env, STORE_OP_message_list, true);
    struct turn_result result = ask_and_wait(env, "c1", "x");
    assert_int_equal(result.status, MESSAGE_FAILED);
    assert_int_equal(atomic_load(&env->llm->nrequests), 0);
    break_store(env, STORE_OP_message_list, false);
    assert_str(ask_and_wait(env, "c1", "x").text, "ok");
}

static void usage_that_cannot_be_stored_does_no_harm(struct env *env)
{
    break_store(env, STORE_OP_usage_add, true);
    assert_str(ask_and_wait(env, "c1", "x").text, "ok");
    await_idle(env);
    assert_int_equal(atomic_load(&refused_ops[STORE_OP_usage_add]), 1);
    break_store(env, STORE_OP_usage_add, false);
}

static void a_conversation_that_cannot_be_deleted_stays(struct env *env)
{
    struct ear ear;
    ask_and_wait(env, "c1", "x");
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    break_store(env, STORE_OP_conversation_delete, true);
    assert_refused(env, conversation_delete(env->chat, &chat_scope_, STR("c1"), &env->e), ERR_STORE_UNAVAILABLE);
    break_store(env, STORE_OP_conversation_delete, false);
    assert_str(ear_heard(env, &ear), "");
    assert_str(ask_and_wait(env, "c1", "y").text, "ok"); /* the room's lock was given back */
    ear_leave(&ear);
}

/* ---- beginning, while others begin or delete ---- */

struct beginner {
    struct env *env;
    struct turn_ticket ticket;
    struct err e;
    int result;
    bool done;
};

static void beginner_main(void *arg)
{
    struct beginner *b = arg;
    struct turn_request request = asking("c1", "x");
    request.client_id = STR("m-1");
    b->result = turn_start(b->env->chat, &request, b->env->a, &b->ticket, &b->e);
    b->done = true;
}

static void deleter_main(void *arg)
{
    struct beginner *b = arg;
    b->result = conversation_delete(b->env->chat, &chat_scope_, STR("c1"), &b->e);
    b->done = true;
}

static void a_twin_waits_for_the_first_to_begin(struct env *env)
{
    struct beginner one = {.env = env}, two = {.env = env};
    shut_gate(env, STORE_OP_append);
    task_spawn("begin", beginner_main, &one);
    await_gate();
    gate.shut = false;
    task_spawn("begin", beginner_main, &two);
    for (unsigned i = 0; i < 50; i++)
        task_sleep(1, NULL); /* time enough to overtake */
    assert_false(two.done);
    open_gate();
    while (!one.done || !two.done)
        task_yield(NULL);
    assert_false(one.ticket.duplicate);
    assert_true(two.ticket.duplicate);
    assert_int_equal(two.ticket.from.offset, one.ticket.from.offset); /* it sees the whole turn */
    assert_str(outcome(env, &two.ticket).text, "ok");
}

static void no_turn_begins_in_what_is_being_deleted(struct env *env)
{
    static const struct step hang[] = {HANG};
    struct beginner begins = {.env = env}, deletes = {.env = env};
    struct conversation c;
    struct ear ear;
    scripted_set(env->llm, hang);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    shut_gate(env, STORE_OP_append);
    task_spawn("begin", beginner_main, &begins);
    await_gate(); /* stored, not yet queued */
    task_spawn("delete", deleter_main, &deletes);
    for (unsigned i = 0; i < 50; i++)
        task_sleep(1, NULL);
    assert_false(deletes.done);
    open_gate();
    while (!begins.done || !deletes.done)
        task_yield(NULL);
    assert_int_equal(begins.result, 0);
    assert_int_equal(deletes.result, 0);
    assert_str(ear_heard(env, &ear), "M:x S F Z");
    assert_int_equal(chat_busy(env->chat), 0);
    assert_refused(env, conversation_get(env->chat, &chat_scope_, STR("c1"), 0, env->a, &c, &env->e),
                   ERR_CONVERSATION_NOT_FOUND);
    ear_leave(&ear);
}

/* ---- a crash ---- */

static struct str crashed_id;
static char crashed_reply[UUID_LEN + 1];

/* Leaves the store as a crash would: a reply under way with the text saved so far. */
static void crash(struct env *env)
{
    static const struct step half[] = {SAY("Half"), HANG};
    scripted_set(env->llm, half);
    struct turn_ticket ticket = ask(env, "c1", "x");
    while (!str_eqc(stored(env, STR("c1"), ticket.reply_id).content, "Half"))
        task_sleep(5, NULL);
    str_copy(crashed_reply, sizeof crashed_reply, ticket.reply_id);
    crashed_id = STR("c1");
    break_store(env, STORE_OP_message_update, true); /* the outcome does not get there */
    chat_abort(env->chat);
    await_idle(env);
    break_store(env, STORE_OP_message_update, false);
}

static void recover(struct env *env)
{
    assert_int_equal(stored(env, crashed_id, str_c(crashed_reply)).status, MESSAGE_STREAMING);
    assert_int_equal(chat_recover(env->chat, &env->e), 1);
    struct message reply = stored(env, crashed_id, str_c(crashed_reply));
    assert_int_equal(reply.status, MESSAGE_INTERRUPTED);
    assert_str(reply.content, "Half");
    assert_int_equal(chat_recover(env->chat, &env->e), 0);
    struct turn_ticket ticket = {.conversation_id = crashed_id, .reply_id = str_c(crashed_reply), .from = {1, 1}};
    assert_int_equal(outcome(env, &ticket).status, MESSAGE_INTERRUPTED);
    assert_str(ask_and_wait(env, "c1", "go on").text, "ok");
    assert_str(env->llm->requests[0].messages[2].content, "Half"); /* the model sees what was said */
    break_store(env, STORE_OP_interrupt_streaming, true);
    assert_int_equal(chat_recover(env->chat, &env->e), -1);
    break_store(env, STORE_OP_interrupt_streaming, false);
}

static void a_restart_finds_what_was_said(void **state)
{
    struct env env = {.body = crash}, after = {.body = recover};
    (void)state;
    temp_dir_make(env.dir);
    env_run_in(&env);
    memcpy(after.dir, env.dir, sizeof after.dir);
    env_run_in(&after);
    temp_dir_remove(env.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(cancel_while_thinking),
        ENV_TEST(cancel_while_streaming),
        ENV_TEST(cancel_lets_the_next_turn_run),
        ENV_TEST(abort_takes_the_waiting_too),
        ENV_TEST(draining_refuses),
        ENV_TEST(failure_before_text),
        ENV_TEST(failure_in_the_middle),
        ENV_TEST(deletion_ends_the_turns),
        ENV_TEST(a_message_that_cannot_be_stored_begins_nothing),
        ENV_TEST(a_reply_that_cannot_be_stored_is_told),
        ENV_TEST(what_is_said_during_a_save_is_saved_next),
        ENV_TEST(an_outcome_waits_for_a_save),
        ENV_TEST(an_end_during_a_lookup_is_seen),
        cmocka_unit_test(a_stopped_turn_says_nothing_more),
        ENV_TEST(a_history_that_cannot_be_read_fails_the_turn),
        ENV_TEST(usage_that_cannot_be_stored_does_no_harm),
        ENV_TEST(a_conversation_that_cannot_be_deleted_stays),
        ENV_TEST(a_twin_waits_for_the_first_to_begin),
        ENV_TEST(no_turn_begins_in_what_is_being_deleted),
        cmocka_unit_test(a_restart_finds_what_was_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
