/* Conversations of customer care: beginning, reading, changing, deleting; and that two users never mix. */
#include "unit/chat/care_env.h"

static struct agent stored_agent(struct care_env *env, struct str owner, const char *name)
{
    struct agent agent = {.id = care_object_id(env->env.a),
                          .owner = owner,
                          .name = str_c(name),
                          .company = STR("Acme"),
                          .personality = STR("calm"),
                          .info = STR("Acme repairs trams. A repair costs 50 euros."),
                          .prompts = STR("[\"Be brief\"]"),
                          .meta = STR("{\"voice\":\"nova\",\"temperature\":0.25,\"maxTokens\":99}")};
    struct agent out;
    assert_ok(&env->env, store_agent_create(env->env.st, env->env.a, &agent, &out, &env->env.e));
    return out;
}

static void a_call_of_the_simulator(struct care_env *env)
{
    struct care_started started = started_by(env, (struct care_start){.channel = CARE_REST, .speak = true});
    const struct conversation *c = &started.view.conversation;
    assert_true(is_object_id(c->id));
    assert_str(c->title, CARE_TITLE_DEMO);
    assert_str(c->status, "active");
    assert_true(c->active);
    assert_true(started.view.simulator);
    assert_int_equal(c->nmessages, 2);
    assert_str(c->messages[0].role, "system");
    assert_true(c->messages[0].content.n > 0);
    assert_str(c->messages[1].role, "assistant");
    assert_true(is_object_id(c->messages[0].id) && is_object_id(c->messages[1].id));
    assert_true(str_eq(c->messages[1].content, started.welcome.content));
    assert_str(started.speech.url, "/audio/response-0.mp3");
    assert_int_equal(started.speech.audio.n, 0);
    assert_true(str_eq(message_facts(&started.welcome, env->env.a).audio_url, started.speech.url));
    assert_string_equal(env->tts.voice, CARE_DEMO_VOICE);
    assert_int_equal(started.view.figures.counted, 2);
    assert_recounts(env, c->id);
}

static void a_call_with_an_agent(struct care_env *env)
{
    struct agent agent = stored_agent(env, OWNER, "Ada");
    struct care_started live =
        started_by(env, (struct care_start){.channel = CARE_LIVE, .agent = &agent, .speak = true});
    assert_str(live.welcome.content, "Hi, I'm Ada. How can I help you today?");
    assert_true(str_starts(live.view.conversation.title, STR("Chat with Ada at ")));
    assert_true(str_eq(live.view.conversation.agent_id, agent.id));
    assert_false(live.view.simulator);
    assert_true(live.speech.audio.n > 0);
    assert_int_equal(live.speech.url.n, 0);
    assert_int_equal(env->files.n, 0);
    assert_string_equal(env->tts.voice, "nova");
    struct care_started rest = started_by(env, (struct care_start){.agent = &agent, .title = STR(" Mine ")});
    assert_str(rest.view.conversation.title, "Mine");
    assert_int_equal(rest.speech.audio.n + rest.speech.url.n, 0);
}

static void a_turn(struct care_env *env)
{
    struct str id = call(env);
    struct care_said said = say_in(env, id, "How can I cancel my order?");
    assert_str(said.reply.content, "ok");
    assert_int_equal(said.turn.status, MESSAGE_COMPLETE);
    assert_false(said.duplicate);
    assert_true(is_object_id(said.user.id) && is_object_id(said.reply.id));
    assert_int_equal(said.view.conversation.message_count, 4);
    assert_int_equal(said.view.figures.user_messages, 1);
    struct message_facts facts = message_facts(&said.user, env->env.a);
    assert_int_equal(facts.intents, INTENT_QUESTION | INTENT_PURCHASE | INTENT_CANCELLATION);
    assert_int_not_equal(facts.sentiment, SENTIMENT_UNKNOWN);
    assert_true(facts.confidence >= 0 && facts.confidence <= 1);
    assert_str(said.view.conversation.title, env->model ? "Question About Things" : CARE_TITLE_DEMO);
    assert_int_equal(said.view.conversation.nmessages, 0);
    struct care_view view = view_of(env, id);
    assert_true(str_eq(view.conversation.messages[2].id, said.user.id));
    assert_true(str_eq(view.conversation.messages[2].meta, said.user.meta));
    assert_true(str_eq(view.conversation.messages[3].id, said.reply.id));
    assert_true(str_eq(view.conversation.title, said.view.conversation.title));
    assert_same_figures(&view.figures, &said.view.figures);
    assert_recounts(env, id);
}

static void what_cannot_begin(struct care_env *env)
{
    struct care_start start = {.owner = STR("")};
    struct care_started out;
    assert_refused(&env->env, care_start(env->care, &start, env->env.a, &out, &env->env.e), ERR_INVALID_REQUEST);
    start.owner = OWNER;
    start.speak = true;
    atomic_store(&faults.fail_in_1000[STORE_OP_append], 1000);
    assert_refused(&env->env, care_start(env->care, &start, env->env.a, &out, &env->env.e), ERR_STORE_UNAVAILABLE);
    assert_int_equal(env->files.n, 1);
    assert_int_equal(env->files.dropped, 1);
    faults_end();
    chat_drain(env->env.chat);
    assert_refused(&env->env, care_start(env->care, &start, env->env.a, &out, &env->env.e), ERR_SHUTTING_DOWN);
}

/* ---- changing ---- */

static struct care_view changed(struct care_env *env, struct care_change change)
{
    struct care_view view;
    change.owner = OWNER;
    assert_ok(&env->env, care_update(env->care, &change, env->env.a, &view, &env->env.e));
    return view;
}

static void refuse(struct care_env *env, struct care_change change)
{
    struct care_view view;
    change.owner = OWNER;
    assert_refused(&env->env, care_update(env->care, &change, env->env.a, &view, &env->env.e), ERR_INVALID_REQUEST);
}

static void changes(struct care_env *env)
{
    struct str id = call(env);
    struct care_view view = changed(env, (struct care_change){.id = id, .title = STR("New title")});
    assert_str(view.conversation.title, "New title");
    assert_str(view.conversation.status, "active");
    view = changed(env, (struct care_change){.id = id, .status = STR("archived"), .custom = STR("{\"a\": [1, 2]}")});
    assert_str(view.conversation.title, "New title");
    assert_str(view.conversation.status, "archived");
    assert_false(view.conversation.active);
    say_in(env, id, "Hello");
    view = view_of(env, id);
    assert_str(view.custom, "{\"a\":[1,2]}");
    assert_true(view.simulator);
    assert_recounts(env, id);
    refuse(env, (struct care_change){.id = id, .status = STR("open")});
    refuse(env, (struct care_change){.id = id, .title = STR("  ")});
    refuse(env, (struct care_change){.id = id, .custom = STR("[1]")});
    refuse(env, (struct care_change){.id = id, .custom = STR("{")});
}

static void notes(struct care_env *env)
{
    struct str id = call(env);
    struct message note = {.role = STR("assistant"), .content = STR("I will call back.")}, out;
    assert_ok(&env->env, care_note(env->care, OWNER, id, &note, env->env.a, &out, &env->env.e));
    assert_int_equal(out.seq, 3);
    assert_true(is_object_id(out.id));
    assert_recounts(env, id);
    note.role = STR("user");
    assert_refused(&env->env, care_note(env->care, OWNER, id, &note, env->env.a, &out, &env->env.e),
                   ERR_INVALID_REQUEST);
    note = (struct message){.role = STR("system"), .content = STR(" ")};
    assert_refused(&env->env, care_note(env->care, OWNER, id, &note, env->env.a, &out, &env->env.e),
                   ERR_INVALID_REQUEST);
}

static void the_end_of_a_call(struct care_env *env)
{
    struct str id = call(env);
    struct care_view view;
    assert_ok(&env->env, care_retitle(env->care, OWNER, id, env->env.a, &view, &env->env.e));
    assert_str(view.conversation.title, CARE_TITLE_FALLBACK); /* nothing was said yet */
    say_in(env, id, "Hello");
    assert_ok(&env->env, care_end(env->care, OWNER, id, env->env.a, &view, &env->env.e));
    assert_str(view.conversation.title, env->model ? "Question About Things" : CARE_TITLE_FALLBACK);
    assert_str(view.conversation.status, "completed");
    assert_int_equal(view.conversation.nmessages, 4);
    assert_recounts(env, id);
}

static void deletion_takes_the_audio_along(struct care_env *env)
{
    struct care_started started = started_by(env, (struct care_start){.speak = true});
    struct str id = started.view.conversation.id;
    struct care_say say = {
        .owner = OWNER, .conversation_id = id, .text = STR("Hi"), .speak = true, .audio_url = STR("/audio/mine.webm")};
    struct care_said said;
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_str(said.speech.url, "/audio/response-1.mp3");
    assert_str(message_facts(&said.user, env->env.a).audio_url, "/audio/mine.webm");
    assert_str(message_facts(&said.reply, env->env.a).audio_url, "/audio/response-1.mp3");
    assert_recounts(env, id);
    str_copy(env->files.names[env->files.n++], CARE_AUDIO_NAME, STR("mine.webm"));
    assert_ok(&env->env, care_delete(env->care, OWNER, id, &env->env.e));
    assert_int_equal(env->files.dropped, 3);
    struct care_view view;
    assert_refused(&env->env, care_get(env->care, OWNER, id, 0, false, env->env.a, &view, &env->env.e),
                   ERR_CONVERSATION_NOT_FOUND);
    assert_refused(&env->env, care_delete(env->care, OWNER, id, &env->env.e), ERR_CONVERSATION_NOT_FOUND);
}

/* ---- lists and statistics ---- */

struct seen {
    struct care_env *env;
    struct str ids[32];
    size_t n;
};

static int see(void *arg, const struct care_view *view, struct err *e)
{
    struct seen *seen = arg;
    (void)e;
    assert_int_equal(view->figures.counted, view->conversation.message_count);
    seen->ids[seen->n++] = arena_str(seen->env->env.a, view->conversation.id);
    return 0;
}

static struct str listed(struct care_env *env, struct seen *seen, struct care_list list)
{
    struct str next;
    *seen = (struct seen){.env = env};
    list.each = see;
    list.arg = seen;
    assert_ok(&env->env, care_list(env->care, &list, env->env.a, &next, &env->env.e));
    return next;
}

static void lists(struct care_env *env)
{
    struct agent agent = stored_agent(env, OWNER, "Ada");
    struct str ids[5];
    struct seen seen;
    for (size_t i = 0; i < 5; i++)
        ids[i] = i == 2 ? started_by(env, (struct care_start){.agent = &agent}).view.conversation.id : call(env);
    started_by(env, (struct care_start){.owner = OTHER});
    say_in(env, ids[0], "Hello");
    struct str next = listed(env, &seen, (struct care_list){.owner = OWNER, .messages = STORE_ALL});
    assert_int_equal(seen.n, 5);
    assert_int_equal(next.n, 0);
    for (size_t i = 0; i < 5; i++)
        assert_true(str_eq(seen.ids[i], ids[4 - i]));
    next = listed(env, &seen, (struct care_list){.owner = OWNER, .limit = 2});
    assert_int_equal(seen.n, 2);
    next = listed(env, &seen, (struct care_list){.owner = OWNER, .limit = 3, .cursor = next, .messages = 1});
    assert_int_equal(seen.n, 3);
    assert_true(str_eq(seen.ids[0], ids[2]));
    listed(env, &seen, (struct care_list){.owner = OWNER, .agent_id = agent.id});
    assert_int_equal(seen.n, 1);
    assert_true(str_eq(seen.ids[0], ids[2]));
}

static void statistics(struct care_env *env)
{
    struct care_stats stats;
    assert_ok(&env->env, care_stats(env->care, OWNER, env->env.a, &stats, &env->env.e));
    assert_int_equal(stats.calls, 0);
    assert_int_equal(stats.last_us, 0);
    call(env);
    struct str id = call(env);
    say_in(env, id, "My Netflix account is locked");
    say_in(env, id, "and so is the one of google");
    started_by(env, (struct care_start){.owner = OTHER});
    assert_ok(&env->env, care_stats(env->care, OWNER, env->env.a, &stats, &env->env.e));
    assert_int_equal(stats.calls, 2);
    assert_int_equal(stats.messages, 1 + 5);
    assert_int_equal(stats.sentiments[SENTIMENT_UNKNOWN], 1);
    assert_true(stats.last_us > 0);
    assert_int_equal(stats.ncompanies, 1);
    assert_str(stats.companies[0], "netflix");
}

/* ---- two users ---- */

static void another_ones_is_not_found(struct care_env *env)
{
    struct str id = call(env), own = started_by(env, (struct care_start){.owner = OTHER}).view.conversation.id;
    struct str owners[] = {OTHER, STR("")};
    struct env *base = &env->env;
    for (size_t i = 0; i < COUNT(owners); i++) {
        struct str who = owners[i];
        struct care_view view;
        struct care_said said;
        struct message note = {.role = STR("assistant"), .content = STR("x")}, out;
        struct care_say say = {.owner = who, .conversation_id = id, .text = STR("Hi")};
        struct care_change change = {.owner = who, .id = id, .title = STR("Mine now")};
        assert_refused(base, care_say(env->care, &say, base->a, &said, &base->e), ERR_CONVERSATION_NOT_FOUND);
        assert_refused(base, care_get(env->care, who, id, 1, true, base->a, &view, &base->e),
                       ERR_CONVERSATION_NOT_FOUND);
        assert_refused(base, care_note(env->care, who, id, &note, base->a, &out, &base->e), ERR_CONVERSATION_NOT_FOUND);
        assert_refused(base, care_update(env->care, &change, base->a, &view, &base->e), ERR_CONVERSATION_NOT_FOUND);
        assert_refused(base, care_retitle(env->care, who, id, base->a, &view, &base->e), ERR_CONVERSATION_NOT_FOUND);
        assert_refused(base, care_end(env->care, who, id, base->a, &view, &base->e), ERR_CONVERSATION_NOT_FOUND);
        assert_refused(base, care_delete(env->care, who, id, &base->e), ERR_CONVERSATION_NOT_FOUND);
    }
    assert_int_equal(view_of(env, id).conversation.message_count, 2);
    struct seen seen;
    listed(env, &seen, (struct care_list){.owner = OTHER});
    assert_int_equal(seen.n, 1);
    assert_true(str_eq(seen.ids[0], own));
}

static void conversations_of_other_spaces_are_not_found(struct care_env *env)
{
    struct chat_scope scope = {.space = "chat", .owner = OWNER};
    struct conversation chat = {.id = STR("5f00000000000000000000aa")}, out;
    struct care_view view;
    assert_ok(&env->env, conversation_create(env->env.chat, &scope, &chat, env->env.a, &out, &env->env.e));
    assert_refused(&env->env, care_get(env->care, OWNER, chat.id, 0, false, env->env.a, &view, &env->env.e),
                   ERR_CONVERSATION_NOT_FOUND);
}

/* An agent's id says nothing: only the owner's own is taken. */
static void another_ones_agent_does_not_answer(struct care_env *env)
{
    struct agent foreign = stored_agent(env, OTHER, "Eve");
    struct care_started started = started_by(env, (struct care_start){.agent = &foreign});
    say_in(env, started.view.conversation.id, "Hi");
    const struct scripted_request *seen = &env->model->by[ASKED_REPLY]->requests[0];
    assert_int_equal(str_find(seen->messages[0].content, STR("Eve")), -1);
    assert_int_equal(str_find(seen->text, STR("tram")), -1);
}

static void trying_an_agent(struct care_env *env)
{
    struct agent agent = stored_agent(env, OWNER, "Ada");
    struct str reply;
    assert_ok(&env->env, care_try(env->care, &agent, STR("What does it cost?"), env->env.a, &reply, &env->env.e));
    assert_str(reply, "ok");
    struct usage_query all = {0};
    struct usage_total total;
    assert_ok(&env->env, store_usage_total(env->env.st, &all, &total, &env->env.e));
    assert_int_equal(total.turns, 1);
    const struct scripted *asked = env->model ? env->model->by[ASKED_REPLY] : env->env.responder;
    assert_int_not_equal(str_find(asked->requests[0].messages[0].content, STR("Ada")), -1);
    assert_str(asked->requests[0].text, "Acme repairs trams. A repair costs 50 euros.");
    assert_int_equal(asked->requests[0].max_tokens, 99);
    assert_refused(&env->env, care_try(env->care, &agent, STR(" "), env->env.a, &reply, &env->env.e),
                   ERR_INVALID_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CARE_TEST(a_call_of_the_simulator),
        CARE_OFFLINE(a_call_of_the_simulator),
        CARE_TEST(a_call_with_an_agent),
        CARE_TEST(a_turn),
        CARE_OFFLINE(a_turn),
        CARE_LOOPS(a_turn),
        CARE_TEST(what_cannot_begin),
        CARE_TEST(changes),
        CARE_LOOPS(changes),
        CARE_TEST(notes),
        CARE_TEST(the_end_of_a_call),
        CARE_OFFLINE(the_end_of_a_call),
        CARE_TEST(deletion_takes_the_audio_along),
        CARE_LOOPS(deletion_takes_the_audio_along),
        CARE_TEST(lists),
        CARE_TEST(statistics),
        CARE_OFFLINE(statistics),
        CARE_LOOPS(another_ones_is_not_found),
        CARE_TEST(conversations_of_other_spaces_are_not_found),
        CARE_TEST(another_ones_agent_does_not_answer),
        CARE_TEST(trying_an_agent),
        CARE_OFFLINE(trying_an_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
