/* Turns that go well, and the order of things. Failures and cancelling: turns_end_test.c. */
#include "unit/chat/turn_env.h"

#include "chat/turn_impl.h"

#define HELLO SAY("Hello"), SAY(", "), SAY("you."), FINISH("stop")

static void one_turn(struct env *env)
{
    static const struct step script[] = {HELLO, USAGE(12, 3), DONE};
    struct ear ear;
    scripted_set(env->llm, script);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    struct turn_request request = asking("c1", "Hi");
    request.client_id = STR("client-1");
    request.origin = env;
    struct turn_ticket ticket = begin_turn(env, &request);
    assert_str(ticket.conversation_id, "c1");
    assert_int_equal(ticket.user_message_id.n, 36);
    assert_int_equal(ticket.reply_id.n, 36);
    assert_true(ticket.created);
    assert_false(ticket.duplicate);
    assert_int_equal(ticket.from.offset, 0);
    assert_true(ticket.user_at_us > 0);
    struct turn_result result = outcome(env, &ticket);
    assert_str(result.text, "Hello, you.");
    assert_int_equal(result.status, MESSAGE_COMPLETE);
    assert_str(result.finish, "stop");
    assert_str(result.error, "");
    assert_true(result.model_used);
    assert_int_equal(result.usage.prompt_tokens, 12);
    assert_int_equal(result.usage.completion_tokens, 3);
    assert_str(ear_heard(env, &ear), "M:Hi S D:Hello D:,  D:you. F:Hello, you.");

    struct conversation c = conversation_of(env, "c1");
    assert_str(c.title, "Hi");
    assert_int_equal(c.nmessages, 2);
    assert_str(c.messages[0].role, "user");
    assert_str(c.messages[0].content, "Hi");
    assert_str(c.messages[0].client_id, "client-1");
    assert_str(c.messages[1].role, "assistant");
    assert_str(c.messages[1].content, "Hello, you.");
    assert_int_equal(c.messages[1].status, MESSAGE_COMPLETE);
    assert_true(str_eq(c.messages[0].id, ticket.user_message_id));
    assert_true(str_eq(c.messages[1].id, ticket.reply_id));
    assert_int_equal(c.messages[0].created_us, ticket.user_at_us);
    assert_true(c.updated_us >= c.created_us);
    ear_leave(&ear);
}

static void events_say_what_they_are_about(struct env *env)
{
    struct ear ear;
    struct room_join join;
    struct turn_request request = asking("c1", "Hi");
    request.client_id = STR("client-1");
    request.origin = &ear;
    struct turn_ticket ticket = begin_turn(env, &request);
    outcome(env, &ticket);
    struct room_view *view = room_pin(env->chat, STR("c1"));
    for (uint64_t at = view->first; at < view->next; at++) {
        const struct room_event *event = view->ring[at & (view->ring_cap - 1)];
        assert_int_equal(event->epoch, ticket.from.epoch);
        assert_int_equal(event->offset, at);
        assert_str(event->conversation_id, "c1");
        assert_ptr_equal(event->origin, &ear);
        assert_true(event->at_us >= ticket.user_at_us);
        bool question = event->type == ROOM_MESSAGE;
        assert_true(str_eq(event->message_id, question ? ticket.user_message_id : ticket.reply_id));
        assert_str(event->client_id, question ? "client-1" : "");
        if (event->type == ROOM_REPLY_FINISHED) {
            assert_str(event->finish, "stop");
            assert_int_equal(event->status, MESSAGE_COMPLETE);
            assert_true(event->model_used);
        }
    }
    room_unpin(view);
    /* The ticket's place shows the whole turn. */
    ear_follow(env, &ear, STR("c1"), &ticket.from, &join);
    assert_true(join.replayed);
    assert_str(ear_heard(env, &ear), "M:Hi S D:ok F:ok");
    ear_leave(&ear);
}

static void the_model_gets_what_the_surface_says(struct env *env)
{
    static const struct chat_surface custom = {
        .space = "chat", .model = "special", .persona = "You are X.", .temperature = 0.5, .max_tokens = 77};
    struct turn_request request = asking("c1", "  question ");
    request.surface = &custom;
    struct turn_manner manner = {.temperature = -1, .knowledge = STR("We sell trams.")};
    request.manner = &manner;
    request.user_id = STR("my-message");
    request.reply_id = STR("my-reply");
    struct turn_ticket ticket = begin_turn(env, &request);
    assert_str(ticket.user_message_id, "my-message");
    assert_str(ticket.reply_id, "my-reply");
    assert_int_equal(ticket.user_seq, 1);
    outcome(env, &ticket);
    const struct scripted_request *seen = &env->llm->requests[0];
    assert_str(seen->model, "special");
    assert_str(seen->text, "We sell trams.");
    assert_int_equal(seen->max_tokens, 77);
    assert_true(seen->temperature > 0.49 && seen->temperature < 0.51);
    assert_true(seen->stream);
    assert_int_equal(seen->nmessages, 2);
    assert_int_equal(seen->messages[0].role, LLM_SYSTEM);
    assert_str(seen->messages[0].content, "You are X.");
    assert_int_equal(seen->messages[1].role, LLM_USER);
    assert_str(seen->messages[1].content, "  question ");
}

static void new_conversations_get_ids(struct env *env)
{
    struct turn_request request = asking("", "Hi");
    request.create = false;
    struct turn_ticket first = begin_turn(env, &request), second = begin_turn(env, &request);
    assert_int_equal(first.conversation_id.n, 36);
    assert_true(first.created && second.created);
    assert_false(str_eq(first.conversation_id, second.conversation_id));
    outcome(env, &first);
    outcome(env, &second);
}

static void turns_run_one_at_a_time_in_order(struct env *env)
{
    static const struct step held[] = {HOLD, SAY("r"), FINISH("stop"), DONE};
    struct ear ear;
    struct turn_ticket tickets[4];
    static const char *const texts[] = {"a", "b", "c", "d"};
    scripted_set(env->llm, held);
    ear_follow(env, &ear, STR("c1"), NULL, NULL);
    for (size_t i = 0; i < COUNT(tickets); i++)
        tickets[i] = ask(env, "c1", texts[i]);
    assert_int_equal(chat_busy(env->chat), 4);
    scripted_await_hold(env->llm);
    assert_str(ear_heard(env, &ear), "M:a S M:b M:c M:d");
    assert_int_equal(atomic_load(&env->llm->nrequests), 1);
    for (size_t i = 0; i < COUNT(tickets); i++)
        scripted_release(env->llm);
    for (size_t i = 0; i < COUNT(tickets); i++)
        assert_str(outcome(env, &tickets[i]).text, "r");
    assert_str(ear_heard(env, &ear), "D:r F:r S D:r F:r S D:r F:r S D:r F:r");
    assert_int_equal(atomic_load(&env->llm->most_open), 1);
    for (size_t i = 0; i < COUNT(tickets); i++) {
        const struct scripted_request *seen = &env->llm->requests[i];
        assert_str(seen->messages[seen->nmessages - 1].content, texts[i]);
    }
    /* The later turns saw the earlier replies. */
    const struct scripted_request *last = &env->llm->requests[3];
    static const char *const history[] = {"Be brief.", "a", "r", "b", "r", "c", "r", "d"};
    assert_int_equal(last->nmessages, COUNT(history));
    for (size_t i = 0; i < COUNT(history); i++)
        assert_str(last->messages[i].content, history[i]);
    ear_leave(&ear);
}

static void other_conversations_do_not_wait(struct env *env)
{
    static const struct step held[] = {HOLD, SAY("late"), DONE}, at_once[] = {SAY("early"), DONE};
    scripted_set(env->llm, held, at_once);
    struct turn_ticket slow = ask(env, "c1", "x");
    scripted_await_hold(env->llm);
    assert_str(ask_and_wait(env, "c2", "y").text, "early");
    scripted_release(env->llm);
    assert_str(outcome(env, &slow).text, "late");
    assert_str(outcome(env, &slow).finish, "stop"); /* a model that does not say why it ended */
}

static void too_many_turns_are_refused(struct env *env)
{
    static const struct step hang[] = {HANG};
    struct turn_request request = asking("c1", "x");
    struct turn_ticket ticket;
    scripted_set(env->llm, hang);
    for (unsigned i = 0; i < LIMIT_TURN_QUEUE; i++)
        ask(env, "c1", "x");
    assert_refused(env, turn_start(env->chat, &request, env->a, &ticket, &env->e), ERR_TOO_MANY_TURNS);
    ask(env, "c2", "elsewhere there is room");
    assert_int_equal(turn_cancel(env->chat, STR("c1"), &env->e), 1);
    while (chat_busy(env->chat) > LIMIT_TURN_QUEUE)
        task_sleep(1, NULL);
    ask(env, "c1", "room again");
    assert_refused(env, turn_start(env->chat, &request, env->a, &ticket, &env->e), ERR_TOO_MANY_TURNS);
    chat_abort(env->chat);
    await_idle(env);
    assert_int_equal(conversation_of(env, "c1").nmessages, 2 * (LIMIT_TURN_QUEUE + 1));
}

static void bad_requests_are_refused(struct env *env)
{
    char *large = mem_alloc(LIMIT_MESSAGE_TEXT + 2), *long_id = mem_alloc(LIMIT_ID + 2);
    memset(large, 'x', LIMIT_MESSAGE_TEXT + 1);
    memset(long_id, 'i', LIMIT_ID + 1);
    struct turn_request base = asking("c1", "fine"), bad[10];
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = base;
    bad[0].text = STR("");
    bad[1].text = STR(" \t\r\n");
    bad[2].text = STR_NONE;
    bad[3].text = str_n(large, LIMIT_MESSAGE_TEXT + 1);
    bad[4].text = STR("\xff");
    bad[5].text = STR("cut \xe2\x82");
    bad[6].conversation_id = STR("\xc0\x80");
    bad[7].conversation_id = str_n(long_id, LIMIT_ID + 1);
    bad[8].client_id = str_n(long_id, LIMIT_ID + 1);
    bad[9].client_id = STR("\x80");
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct turn_ticket ticket;
        assert_refused(env, turn_start(env->chat, &bad[i], env->a, &ticket, &env->e), ERR_INVALID_REQUEST);
        if (i < 3)
            assert_string_equal(env->e.text, "Message is required");
    }
    struct conversation c;
    assert_refused(env, conversation_get(env->chat, &chat_scope_, STR("c1"), 0, env->a, &c, &env->e),
                   ERR_CONVERSATION_NOT_FOUND);
    struct turn_request largest = base;
    largest.text = str_n(large, LIMIT_MESSAGE_TEXT);
    largest.conversation_id = str_n(long_id, LIMIT_ID);
    struct turn_ticket ticket = begin_turn(env, &largest);
    assert_int_equal(outcome(env, &ticket).status, MESSAGE_COMPLETE);
    assert_int_equal(stored(env, ticket.conversation_id, ticket.user_message_id).content.n, LIMIT_MESSAGE_TEXT);
    free(large);
    free(long_id);
}

static void unknown_and_foreign_conversations(struct env *env)
{
    static const struct chat_surface other = {.space = "pichat", .temperature = -1};
    struct turn_request request = asking("c1", "x");
    struct turn_ticket ticket;
    request.create = false;
    assert_refused(env, turn_start(env->chat, &request, env->a, &ticket, &env->e), ERR_CONVERSATION_NOT_FOUND);
    assert_null(room_view_find(chat_here(env->chat), STR("c1"))); /* and leaves nothing in memory */
    ask_and_wait(env, "c1", "x");
    ticket = begin_turn(env, &request); /* exists now */
    assert_false(ticket.created);
    outcome(env, &ticket);

    struct turn_request foreign = asking("c1", "x");
    foreign.surface = &other;
    assert_refused(env, turn_start(env->chat, &foreign, env->a, &ticket, &env->e), ERR_CONVERSATION_NOT_FOUND);
    foreign = asking("c1", "x");
    foreign.owner = STR("somebody");
    assert_refused(env, turn_start(env->chat, &foreign, env->a, &ticket, &env->e), ERR_CONVERSATION_NOT_FOUND);
    assert_int_equal(conversation_of(env, "c1").nmessages, 4);
    await_idle(env);
}

static void a_repeated_client_id_gives_the_first_turn(struct env *env)
{
    static const struct step held[] = {SAY("once"), HOLD, SAY(" only"), FINISH("stop"), DONE};
    struct turn_request request = asking("c1", "x");
    request.client_id = STR("m-1");
    scripted_set(env->llm, held);
    struct turn_ticket first = begin_turn(env, &request);
    scripted_await_hold(env->llm);
    struct turn_ticket again = begin_turn(env, &request); /* while it runs */
    assert_true(again.duplicate);
    assert_true(str_eq(again.user_message_id, first.user_message_id));
    assert_true(str_eq(again.reply_id, first.reply_id));
    assert_int_equal(again.from.offset, first.from.offset);
    assert_int_equal(again.from.epoch, first.from.epoch);
    assert_int_equal(again.user_at_us, first.user_at_us);
    assert_int_equal(chat_busy(env->chat), 1);
    scripted_release(env->llm);
    assert_str(outcome(env, &again).text, "once only");
    assert_str(outcome(env, &first).text, "once only");
    await_idle(env);

    again = begin_turn(env, &request); /* after it ended */
    assert_true(again.duplicate);
    assert_true(str_eq(again.reply_id, first.reply_id));
    struct turn_result result = outcome(env, &again);
    assert_str(result.text, "once only");
    assert_int_equal(result.status, MESSAGE_COMPLETE);
    assert_int_equal(atomic_load(&env->llm->nrequests), 1);
    assert_int_equal(conversation_of(env, "c1").nmessages, 2);

    request.conversation_id = STR("c2"); /* ids count within a conversation */
    struct turn_ticket elsewhere = begin_turn(env, &request);
    assert_false(elsewhere.duplicate);
    scripted_release(env->llm);
    outcome(env, &elsewhere);
}

/* Two connections send the same message at the same moment. */
struct twin {
    struct env *env;
    struct turn_ticket ticket;
    struct err e;
    int result;
    bool done;
};

static void twin_main(void *arg)
{
    struct twin *twin = arg;
    struct turn_request request = asking("c1", "x");
    request.client_id = STR("m-1");
    twin->result = turn_start(twin->env->chat, &request, twin->env->a, &twin->ticket, &twin->e);
    twin->done = true;
}

static void twins_become_one_turn(struct env *env)
{
    struct twin one = {.env = env}, two = {.env = env};
    task_spawn("twin", twin_main, &one);
    task_spawn("twin", twin_main, &two);
    while (!one.done || !two.done)
        task_yield(NULL);
    assert_int_equal(one.result, 0);
    assert_int_equal(two.result, 0);
    assert_false(one.ticket.duplicate);
    assert_true(two.ticket.duplicate);
    assert_int_equal(two.ticket.from.offset, one.ticket.from.offset);
    assert_str(outcome(env, &two.ticket).text, "ok");
    assert_int_equal(atomic_load(&env->llm->nrequests), 1);
}

static void waiting_works_when_the_log_is_gone(struct env *env)
{
    struct turn_ticket ticket = ask(env, "c1", "x");
    outcome(env, &ticket);
    await_idle(env);
    ticket.from.epoch ^= 2;
    struct turn_result result = outcome(env, &ticket);
    assert_str(result.text, "ok");
    assert_int_equal(result.status, MESSAGE_COMPLETE);
    ticket.reply_id = STR("no such reply");
    assert_refused(env, turn_wait(env->chat, &ticket, env->a, &result, &env->e), ERR_MESSAGE_NOT_FOUND);
}

static void waiting_survives_a_lag(struct env *env)
{
    static const struct step held[] = {SAY("x"), HOLD, FINISH("stop"), DONE};
    scripted_set(env->llm, held);
    struct turn_ticket ticket = ask(env, "c1", "x"), from_now = ticket;
    scripted_await_hold(env->llm);
    from_now.from.epoch ^= 2; /* cannot be replayed while it runs: the store says that it does */
    for (unsigned i = 0; i < LIMIT_ROOM_EVENTS + 1; i++)
        append_about(env, STR("c1"), ROOM_MESSAGE, STR("m"), STR(""));
    let_pass();
    scripted_release(env->llm);
    assert_str(outcome(env, &ticket).text, "x"); /* its beginning is no longer in the log */
    await_idle(env);
    assert_str(outcome(env, &from_now).text, "x");
}

struct waiter {
    struct env *env;
    struct turn_ticket ticket;
    struct turn_result result;
    struct task *task;
    struct err e;
    int status;
    bool done;
};

static void waiter_main(void *arg)
{
    struct waiter *w = arg;
    w->task = task_self();
    w->status = turn_wait(w->env->chat, &w->ticket, w->env->a, &w->result, &w->e);
    w->done = true;
}

static void await_waiter(struct waiter *w)
{
    while (!w->done)
        task_yield(NULL);
}

static void a_cancelled_wait_leaves_the_turn_running(struct env *env)
{
    static const struct step held[] = {SAY("still"), HOLD, SAY(" here"), FINISH("stop"), DONE};
    scripted_set(env->llm, held);
    struct waiter gone = {.env = env, .ticket = ask(env, "c1", "x")}, stays = gone;
    task_spawn("wait", waiter_main, &gone);
    task_spawn("wait", waiter_main, &stays);
    scripted_await_hold(env->llm);
    task_cancel(gone.task);
    await_waiter(&gone);
    assert_int_equal(gone.status, -1);
    assert_int_equal(gone.e.code, ERR_CANCELLED);
    assert_int_equal(chat_busy(env->chat), 1);
    assert_false(stays.done);
    scripted_release(env->llm);
    await_waiter(&stays);
    assert_str(stays.result.text, "still here");
    assert_str(stored(env, STR("c1"), gone.ticket.reply_id).content, "still here");
}

/* Somebody who asks while another waits for a follower to lag: the waiter finds the end in the store. */
static void a_waiter_that_lags_asks_the_store(struct env *env)
{
    static const struct step held[] = {HOLD, SAY("x"), FINISH("stop"), DONE};
    scripted_set(env->llm, held);
    struct waiter w = {.env = env, .ticket = ask(env, "c1", "x")};
    task_spawn("wait", waiter_main, &w);
    scripted_await_hold(env->llm);
    for (unsigned i = 0; i < LIMIT_ROOM_EVENTS * 9; i++) /* more than one round may hold */
        append_about(env, STR("c1"), ROOM_MESSAGE, STR("m"), STR(""));
    let_pass();
    assert_false(w.done);
    scripted_release(env->llm);
    await_waiter(&w);
    assert_str(w.result.text, "x");
}

static void growth_is_stored_before_the_end(struct env *env)
{
    static const struct step held[] = {SAY("first words"), HOLD, SAY(", more"), HOLD, FINISH("stop"), DONE};
    scripted_set(env->llm, held);
    struct turn_ticket ticket = ask(env, "c1", "x");
    assert_int_equal(stored(env, STR("c1"), ticket.reply_id).status, MESSAGE_STREAMING);
    while (!str_eqc(stored(env, STR("c1"), ticket.reply_id).content, "first words"))
        task_sleep(5, NULL); /* a model that fell silent is saved as well */
    scripted_release(env->llm);
    while (!str_eqc(stored(env, STR("c1"), ticket.reply_id).content, "first words, more"))
        task_sleep(5, NULL);
    assert_int_equal(stored(env, STR("c1"), ticket.reply_id).status, MESSAGE_STREAMING);
    scripted_release(env->llm);
    outcome(env, &ticket);
    assert_int_equal(stored(env, STR("c1"), ticket.reply_id).status, MESSAGE_COMPLETE);
}

static void endless_replies_end_by_length(struct env *env)
{
    static char mebibyte[MIB(1) + 1];
    memset(mebibyte, 'y', MIB(1));
    static const struct step script[] = {SAY(mebibyte), SAY(mebibyte), SAY(mebibyte), SAY(mebibyte), SAY("!"), HANG};
    scripted_set(env->llm, script);
    struct turn_result result = ask_and_wait(env, "c1", "x");
    assert_int_equal(result.status, MESSAGE_COMPLETE);
    assert_str(result.finish, "length");
    assert_int_equal(result.text.n, LIMIT_REPLY_TEXT);
    assert_int_equal(conversation_of(env, "c1").messages[1].content.n, LIMIT_REPLY_TEXT);
}

static struct usage_total usage_of(struct env *env, const char *conversation_id, const char *model)
{
    struct usage_query query = {.conversation_id = str_c(conversation_id), .model = str_c(model)};
    struct usage_total total;
    assert_ok(env, store_usage_total(env->st, &query, &total, &env->e));
    return total;
}

static void usage_is_recorded(struct env *env)
{
    static const struct step told[] = {SAY("four"), FINISH("stop"), USAGE(100, 20), DONE};
    static const struct step untold[] = {SAY("eight by"), FINISH("stop"), DONE};
    int64_t in = metric_value(env->chat->metrics.tokens_in), out = metric_value(env->chat->metrics.tokens_out);
    int64_t turns = metric_value(env->chat->metrics.turns[MESSAGE_COMPLETE]);
    scripted_set(env->llm, told, untold);
    ask_and_wait(env, "c1", "x");
    struct turn_result result = ask_and_wait(env, "c2", "question");
    assert_int_equal(result.usage.prompt_tokens, -1); /* clients are told what is known only */
    await_idle(env);
    struct usage_total total = usage_of(env, "c1", "model-1");
    assert_int_equal(total.turns, 1);
    assert_int_equal(total.prompt_tokens, 100);
    assert_int_equal(total.completion_tokens, 20);
    total = usage_of(env, "c2", "model-1"); /* estimated: "Be brief." 3, "question" 2, 4 for each message */
    assert_int_equal(total.turns, 1);
    assert_int_equal(total.prompt_tokens, 13);
    assert_int_equal(total.completion_tokens, 2);
    assert_int_equal(metric_value(env->chat->metrics.tokens_in) - in, 113);
    assert_int_equal(metric_value(env->chat->metrics.tokens_out) - out, 22);
    assert_int_equal(metric_value(env->chat->metrics.turns[MESSAGE_COMPLETE]) - turns, 2);
    assert_int_equal(metric_value(env->chat->metrics.turns_running), 0);
}

static void the_log_keeps_the_request_id(struct env *env)
{
    static const struct step held[] = {HOLD, DONE};
    char id[] = "request-1";
    scripted_set(env->llm, held);
    log_request_id = id;
    ask(env, "c1", "x");
    ask(env, "c1", "y");
    log_request_id = NULL;
    memset(id, '?', sizeof id - 1); /* the request is over long before its turn */
    list_each(entry, &chat_here(env->chat)->turns)
        assert_string_equal(container_of(entry, struct turn, at_loop)->request_id, "request-1");
    scripted_release(env->llm);
    scripted_release(env->llm);
    await_idle(env);
    assert_str(env->llm->requests[0].request_id, "request-1");
    assert_str(env->llm->requests[1].request_id, "request-1");
    assert_null(log_request_id);
}

static void without_model(struct env *env)
{
    static const struct chat_surface needs = {
        .space = "chat", .temperature = -1, .needs_model = true, .no_model_text = "Say what?"};
    assert_false(chat_has_model(env->chat));
    assert_str(ask_and_wait(env, "c1", "x").text, "ok"); /* the embedded responder */
    assert_int_equal(atomic_load(&env->responder->nrequests), 1);
    struct turn_request request = asking("c2", "x");
    request.surface = &needs;
    struct turn_ticket ticket = begin_turn(env, &request);
    struct turn_result result = outcome(env, &ticket);
    assert_str(result.text, "Say what?");
    assert_int_equal(result.status, MESSAGE_COMPLETE);
    assert_str(result.finish, "stop");
    assert_false(result.model_used);
    await_idle(env);
    assert_int_equal(usage_of(env, "c2", "").turns, 0);
    assert_int_equal(usage_of(env, "c1", "responder").turns, 1);
    assert_int_equal(atomic_load(&env->responder->nrequests), 1);
}

static void turns_without_model(void **state)
{
    struct env env = {.no_model = true};
    (void)state;
    env_run_with(&env, without_model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(one_turn),
        ENV_TEST(events_say_what_they_are_about),
        ENV_TEST(the_model_gets_what_the_surface_says),
        ENV_TEST(new_conversations_get_ids),
        ENV_TEST(turns_run_one_at_a_time_in_order),
        ENV_TEST(other_conversations_do_not_wait),
        ENV_TEST(too_many_turns_are_refused),
        ENV_TEST(bad_requests_are_refused),
        ENV_TEST(unknown_and_foreign_conversations),
        ENV_TEST(a_repeated_client_id_gives_the_first_turn),
        ENV_TEST(twins_become_one_turn),
        ENV_TEST(waiting_works_when_the_log_is_gone),
        ENV_TEST(waiting_survives_a_lag),
        ENV_TEST(a_cancelled_wait_leaves_the_turn_running),
        ENV_TEST(a_waiter_that_lags_asks_the_store),
        ENV_TEST(growth_is_stored_before_the_end),
        ENV_TEST(endless_replies_end_by_length),
        ENV_TEST(usage_is_recorded),
        ENV_TEST(the_log_keeps_the_request_id),
        cmocka_unit_test(turns_without_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
