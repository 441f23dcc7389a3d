/* Care turns that fail, are left alone, deleted or aborted; and figures that agree with the messages whatever happened.
 */
#include "unit/chat/care_env.h"

static const struct step held[] = {HOLD, SAY("late"), DONE}, failing[] = {FAIL(ERR_UPSTREAM)},
                         cut[] = {SAY("half"), FAIL(ERR_UPSTREAM)}, mute[] = {DONE}, hanging[] = {SAY("so far"), HANG},
                         urgent[] = {SAY("urgent"), DONE}, positive[] = {SAY("positive"), DONE};

static void say_again_and_again(struct scripted *model, const struct step *script)
{
    for (size_t k = 0; k < SCRIPTED_MAX; k++)
        model->scripts[k] = script;
}

static struct scripted *replies(struct care_env *env)
{
    return env->model ? env->model->by[ASKED_REPLY] : env->env.responder;
}

/* ---- models, speech, audio files, the store ---- */

static void a_model_that_fails_makes_an_apology(struct care_env *env)
{
    struct care_said said;
    struct str id = call(env);
    struct care_say say = {.owner = OWNER, .conversation_id = id, .text = STR("Hi"), .speak = true};
    scripted_set(replies(env), failing, cut, mute);
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_str(said.reply.content, CARE_APOLOGY);
    assert_int_equal(said.turn.status, MESSAGE_FAILED);
    assert_true(said.speech.url.n > 0);
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_str(said.reply.content, "half");
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_str(said.reply.content, CARE_APOLOGY);
    assert_int_equal(said.turn.status, MESSAGE_COMPLETE);
    assert_recounts(env, id);
}

static void without_speech_the_reply_stands(struct care_env *env)
{
    static const struct fake_said refused[] = {{.refuse = ERR_UPSTREAM}}, broken[] = {{.fail = ERR_UPSTREAM}};
    static const struct fake_said *const scripts[] = {refused, broken};
    struct str id = call(env);
    struct care_say say = {.owner = OWNER, .conversation_id = id, .text = STR("Hi"), .speak = true};
    struct care_said said;
    for (size_t i = 0; i < COUNT(scripts); i++) {
        env->tts.scripts = scripts[i];
        for (int channel = CARE_REST; channel <= CARE_LIVE; channel++) {
            say.channel = (enum care_channel)channel;
            assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
            assert_str(said.reply.content, "ok");
            assert_int_equal(said.speech.url.n + said.speech.audio.n, 0);
            assert_int_equal(message_facts(&said.reply, env->env.a).audio_url.n, 0);
        }
    }
    assert_int_equal(env->files.n, 0);
    assert_recounts(env, id);
}

static void without_a_place_for_audio_the_reply_stands(struct care_env *env)
{
    struct str id = call(env);
    struct care_say say = {.owner = OWNER, .conversation_id = id, .text = STR("Hi"), .speak = true};
    struct care_said said;
    env->files.refuse = true;
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_str(said.reply.content, "ok");
    assert_int_equal(said.speech.url.n, 0);
}

static void refuse(struct care_env *env, const struct care_say *say, enum err_code want)
{
    struct care_said said;
    assert_refused(&env->env, care_say(env->care, say, env->env.a, &said, &env->env.e), want);
}

static void what_is_refused_leaves_nothing(struct care_env *env)
{
    struct str id = call(env);
    refuse(env, &(struct care_say){.owner = OWNER, .conversation_id = id, .text = STR(" \n")}, ERR_INVALID_REQUEST);
    refuse(env, &(struct care_say){.owner = OWNER, .conversation_id = id, .text = STR("\xff")}, ERR_INVALID_REQUEST);
    refuse(env, &(struct care_say){.owner = OWNER, .text = STR("Hi")}, ERR_CONVERSATION_NOT_FOUND);
    atomic_store(&faults.fail_in_1000[STORE_OP_append], 1000);
    refuse(env, &(struct care_say){.owner = OWNER, .conversation_id = id, .text = STR("Hi")}, ERR_STORE_UNAVAILABLE);
    faults_end();
    atomic_store(&faults.fail_in_1000[STORE_OP_conversation_get], 1000);
    refuse(env, &(struct care_say){.owner = OWNER, .conversation_id = id, .text = STR("Hi")}, ERR_STORE_UNAVAILABLE);
    faults_end();
    assert_int_equal(view_of(env, id).conversation.message_count, 2);
    assert_int_equal(atomic_load(&replies(env)->nrequests), 0);
    assert_int_equal(atomic_load(&env->model->by[ASKED_SENTIMENT]->nrequests), 0);
}

/* The reply is given, whatever the steps behind it meet. */
static void a_reply_stands_when_its_facts_cannot_be_stored(struct care_env *env)
{
    struct care_started started = started_by(env, (struct care_start){0});
    struct str id = started.view.conversation.id;
    struct care_say say = {.owner = OWNER, .conversation_id = id, .text = STR("Hi"), .speak = true};
    struct care_said said;
    say_again_and_again(env->model->by[ASKED_SENTIMENT], positive);
    atomic_store(&faults.fail_in_1000[STORE_OP_conversation_update], 1000);
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_str(said.reply.content, "ok");
    faults_end();
    assert_recounts(env, id);
    assert_int_equal(view_of(env, id).figures.user_messages, 1);
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_recounts(env, id);
    /* An address that no message has is not told, and its audio is not kept. */
    size_t dropped = env->files.dropped;
    atomic_store(&faults.fail_in_1000[STORE_OP_message_update], 1000);
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_int_equal(said.speech.url.n, 0);
    assert_int_equal(env->files.dropped, dropped + 1);
    faults_end();
}

/* ---- somebody who asks and goes away ---- */

struct asker {
    struct care_env *env;
    struct care_say say;
    struct arena *a;
    struct task *task;
    struct care_said said;
    struct err e;
    int result;
    bool over;
};

static void asker_main(void *arg)
{
    struct asker *asker = arg;
    asker->task = task_self();
    asker->a = arena_new("asker");
    asker->result = care_say(asker->env->care, &asker->say, asker->a, &asker->said, &asker->e);
    asker->over = true;
}

static void ask_beside(struct care_env *env, struct asker *asker, struct str id, bool speak)
{
    *asker = (struct asker){.env = env,
                            .say = {.owner = OWNER, .conversation_id = id, .text = STR("Hi there"), .speak = speak}};
    task_spawn("asker", asker_main, asker);
}

static void await_asker(struct asker *asker)
{
    while (!asker->over)
        task_sleep(1, NULL);
}

static void a_turn_goes_on_without_its_asker(struct care_env *env)
{
    struct str id;
    do
        id = call(env);
    while (chat_home(env->env.chat, id) != env->env.loops[env->env.nloops - 1]);
    struct asker asker;
    say_again_and_again(env->model->by[ASKED_SENTIMENT], urgent);
    ask_beside(env, &asker, id, true);
    task_cancel(asker.task);
    await_asker(&asker);
    assert_int_equal(asker.result, -1);
    assert_int_equal(asker.e.code, ERR_CANCELLED);
    arena_free(asker.a);
    while (view_of(env, id).figures.sentiment != SENTIMENT_URGENT)
        task_sleep(1, NULL);
    struct care_view view;
    do { /* the last step */
        task_sleep(1, NULL);
        view = view_of(env, id);
    } while (!str_eqc(view.conversation.title, "Question About Things"));
    assert_int_equal(view.conversation.message_count, 4);
    assert_str(view.conversation.messages[3].content, "ok");
    assert_int_equal(message_facts(&view.conversation.messages[2], env->env.a).sentiment, SENTIMENT_URGENT);
    assert_true(message_facts(&view.conversation.messages[3], env->env.a).audio_url.n > 0);
    assert_recounts(env, id);
}

/* ---- deletion ---- */

static void deletion_ends_a_turn(struct care_env *env)
{
    struct str id = call(env);
    struct asker asker;
    scripted_set(replies(env), hanging);
    ask_beside(env, &asker, id, true);
    scripted_await_request(replies(env), 1);
    assert_ok(&env->env, care_delete(env->care, OWNER, id, &env->env.e));
    await_asker(&asker);
    assert_int_equal(asker.result, -1);
    assert_int_equal(asker.e.code, ERR_CONVERSATION_NOT_FOUND);
    assert_int_equal(env->files.n, 0);
    arena_free(asker.a);
}

/* Audio that comes too late for its message is not left behind. */
static void deletion_while_a_reply_is_spoken(struct care_env *env)
{
    static const struct fake_said slow[] = {{.held = true, .ms = 100}};
    struct str id = call(env);
    struct asker asker;
    env->tts.scripts = slow;
    ask_beside(env, &asker, id, true);
    while (list_empty(&env->tts.held.tasks))
        task_sleep(1, NULL);
    assert_ok(&env->env, care_delete(env->care, OWNER, id, &env->env.e));
    fake_tts_release(&env->tts);
    await_asker(&asker);
    assert_int_equal(asker.result, 0); /* the reply was given before */
    assert_str(asker.said.reply.content, "ok");
    assert_int_equal(asker.said.speech.url.n, 0);
    assert_int_equal(env->files.n, 1);
    assert_int_equal(env->files.dropped, 1);
    arena_free(asker.a);
}

/* ---- the server leaves ---- */

static void a_drain_waits_for_the_last_step(struct care_env *env)
{
    struct str id = call(env);
    struct asker asker;
    scripted_set(replies(env), held);
    ask_beside(env, &asker, id, true);
    scripted_await_hold(replies(env));
    chat_drain(env->env.chat);
    refuse(env, &(struct care_say){.owner = OWNER, .conversation_id = id, .text = STR("Hi")}, ERR_SHUTTING_DOWN);
    assert_true(chat_busy(env->env.chat) > 0);
    scripted_release(replies(env));
    await_over(env);
    await_asker(&asker);
    assert_int_equal(asker.result, 0);
    assert_str(asker.said.reply.content, "late");
    assert_true(asker.said.speech.url.n > 0);
    arena_free(asker.a);
    assert_recounts(env, id);
}

static void an_abort_ends_a_turn_soon(struct care_env *env)
{
    struct str id = call(env);
    struct asker asker;
    scripted_set(replies(env), hanging);
    say_again_and_again(env->model->by[ASKED_SENTIMENT], hanging);
    say_again_and_again(env->model->by[ASKED_TITLE], hanging);
    ask_beside(env, &asker, id, true);
    scripted_await_request(replies(env), 1);
    chat_drain(env->env.chat);
    chat_abort(env->env.chat);
    await_over(env);
    await_asker(&asker);
    assert_int_equal(asker.result, 0);
    assert_int_equal(asker.said.turn.status, MESSAGE_INTERRUPTED);
    assert_int_equal(env->files.n, 0);
    arena_free(asker.a);
    assert_recounts(env, id);
    assert_int_equal(view_of(env, id).conversation.messages[3].status, MESSAGE_INTERRUPTED);
}

static void an_abort_does_not_wait_for_speech(struct care_env *env)
{
    static const struct fake_said stalled[] = {{.stalled = true, .ms = 1000}};
    struct str id = call(env);
    struct asker asker;
    env->tts.scripts = stalled;
    ask_beside(env, &asker, id, true);
    while (atomic_load(&env->tts.open) == 0)
        task_sleep(1, NULL);
    chat_abort(env->env.chat);
    await_over(env);
    await_asker(&asker);
    assert_int_equal(asker.result, 0);
    assert_str(asker.said.reply.content, "ok");
    assert_int_equal(asker.said.speech.url.n, 0);
    arena_free(asker.a);
    assert_recounts(env, id);
}

/* ---- several at once ---- */

#define ASKERS 6

static void turns_of_one_conversation_keep_their_order(struct care_env *env)
{
    struct str id = call(env);
    struct asker askers[ASKERS];
    for (size_t i = 0; i < ASKERS; i++)
        ask_beside(env, &askers[i], id, i % 2);
    for (size_t i = 0; i < ASKERS; i++) {
        await_asker(&askers[i]);
        assert_int_equal(askers[i].result, 0);
        arena_free(askers[i].a);
    }
    struct care_view view = view_of(env, id);
    assert_int_equal(view.conversation.message_count, 2 + 2 * ASKERS);
    assert_int_equal(view.figures.judged, ASKERS);
    assert_recounts(env, id);
}

static void reanalyser_main(void *arg)
{
    struct asker *asker = arg;
    int64_t total, updated;
    asker->task = task_self();
    asker->result = care_reanalyse(asker->env->care, OWNER, &total, &updated, &asker->e);
    asker->over = true;
}

/* Nobody is left behind by who asked for it and went away, or by a store that fails. */
static void reanalysing_is_given_up_as_a_whole(struct care_env *env)
{
    struct asker asker = {.env = env};
    for (int i = 0; i < 12; i++)
        say_in(env, call(env), "hello");
    say_again_and_again(env->model->by[ASKED_SENTIMENT], hanging);
    task_spawn("asker", reanalyser_main, &asker);
    while (atomic_load(&env->model->by[ASKED_SENTIMENT]->open) < 8)
        task_sleep(1, NULL);
    task_cancel(asker.task);
    await_asker(&asker);
    assert_int_equal(asker.result, -1);
    assert_int_equal(asker.e.code, ERR_CANCELLED);
    assert_int_equal(atomic_load(&env->model->by[ASKED_SENTIMENT]->open), 0);
    say_again_and_again(env->model->by[ASKED_SENTIMENT], urgent);
    atomic_store(&faults.fail_in_1000[STORE_OP_message_update], 1000);
    int64_t total, updated;
    assert_refused(&env->env, care_reanalyse(env->care, OWNER, &total, &updated, &env->env.e), ERR_STORE_UNAVAILABLE);
    faults_end();
    assert_ok(&env->env, care_reanalyse(env->care, OWNER, &total, &updated, &env->env.e));
    assert_int_equal(total, 12);
    assert_int_equal(updated, 12);
}

/* Also once the last one is under way. */
static void reanalysing_few_is_given_up(struct care_env *env)
{
    struct asker asker = {.env = env};
    for (int i = 0; i < 3; i++)
        say_in(env, call(env), "hello");
    say_again_and_again(env->model->by[ASKED_SENTIMENT], hanging);
    task_spawn("asker", reanalyser_main, &asker);
    while (atomic_load(&env->model->by[ASKED_SENTIMENT]->open) < 3)
        task_sleep(1, NULL);
    task_cancel(asker.task);
    await_asker(&asker);
    assert_int_equal(asker.result, -1);
    assert_int_equal(asker.e.code, ERR_CANCELLED);
    assert_int_equal(atomic_load(&env->model->by[ASKED_SENTIMENT]->open), 0);
}

/* What is still being said is not counted for good. */
static void a_note_while_a_reply_is_written(struct care_env *env)
{
    static const struct step script[] = {SAY("That is for "), HOLD, SAY("Netflix to say."), DONE};
    struct str id = call(env);
    struct asker asker;
    struct message note = {.role = STR("assistant"), .content = STR("One moment")}, out;
    scripted_set(replies(env), script);
    ask_beside(env, &asker, id, false);
    scripted_await_hold(replies(env));
    assert_ok(&env->env, care_note(env->care, OWNER, id, &note, env->env.a, &out, &env->env.e));
    scripted_release(replies(env));
    await_asker(&asker);
    assert_int_equal(asker.result, 0);
    assert_int_equal(asker.said.view.figures.counted, 5);
    assert_string_equal(company_stats_name(asker.said.view.figures.companies), "netflix");
    arena_free(asker.a);
    assert_recounts(env, id);
}

static void a_title_chosen_while_the_model_thinks_of_one_stays(struct care_env *env)
{
    static const struct step title[] = {HOLD, SAY("Too Late"), FINISH("stop"), DONE};
    struct str id = call(env);
    struct care_change change = {.owner = OWNER, .id = id, .title = STR("Mine")};
    struct care_view view;
    struct asker asker;
    say_again_and_again(env->model->by[ASKED_TITLE], title);
    ask_beside(env, &asker, id, false);
    scripted_await_hold(env->model->by[ASKED_TITLE]);
    assert_ok(&env->env, care_update(env->care, &change, env->env.a, &view, &env->env.e));
    scripted_release(env->model->by[ASKED_TITLE]);
    await_asker(&asker);
    assert_int_equal(asker.result, 0);
    arena_free(asker.a);
    assert_str(view_of(env, id).conversation.title, "Mine");
}

/* ---- figures, whatever happens ---- */

static void any_operation(struct care_env *env, struct str id)
{
    static const char *const texts[] = {"How do I cancel?", "My Amazon parcel is lost, I am furious", "thanks, great",
                                        "Help, this is urgent, right now!", "ok"};
    struct care_say say = {.owner = OWNER,
                           .conversation_id = id,
                           .text = str_c(texts[rand_below(COUNT(texts))]),
                           .channel = rand_below(2) ? CARE_REST : CARE_LIVE,
                           .speak = env->env.nloops == 1 && rand_below(2)}; /* the speech of tests is one loop's */
    struct message note = {.role = rand_below(2) ? STR("assistant") : STR("system"), .content = STR("A word on Uber")};
    struct care_change change = {.owner = OWNER, .id = id, .title = STR("New"), .custom = STR("{}")};
    struct care_said said;
    struct care_view view;
    struct message out;
    struct care_stats stats;
    int64_t total, updated;
    struct arena *a = arena_new("operation");
    switch (rand_below(10)) {
    default:
        care_say(env->care, &say, a, &said, NULL);
        break;
    case 0:
        care_note(env->care, OWNER, id, &note, a, &out, NULL);
        break;
    case 1:
        care_update(env->care, &change, a, &view, NULL);
        break;
    case 2:
        care_get(env->care, OWNER, id, 3, true, a, &view, NULL);
        break;
    case 3:
        care_reanalyse(env->care, OWNER, &total, &updated, NULL);
        break;
    case 4:
        care_end(env->care, OWNER, id, a, &view, NULL);
        break;
    case 5:
        care_stats(env->care, OWNER, a, &stats, NULL);
        break;
    }
    arena_free(a);
}

struct worker {
    struct care_env *env;
    struct str id;
    atomic_uint *left;
};

static void worker_main(void *arg)
{
    const struct worker *w = arg;
    for (int i = 0; i < 8; i++)
        any_operation(w->env, w->id);
    atomic_fetch_sub(w->left, 1);
}

static void worker_start(void *arg)
{
    task_spawn("worker", worker_main, arg);
}

/* Several at once, on all loops, in two conversations. */
static void work(struct care_env *env, const struct str ids[2])
{
    struct worker workers[6];
    atomic_uint left;
    atomic_init(&left, COUNT(workers));
    for (size_t i = 0; i < COUNT(workers); i++) {
        workers[i] = (struct worker){env, ids[i % 2], &left};
        loop_post(env->env.loops[i % env->env.nloops], worker_start, &workers[i]);
    }
    while (atomic_load(&left))
        task_sleep(1, NULL);
}

/* What is dropped between two steps is as if the process had ended there. */
static void figures_are_a_recount(struct care_env *env)
{
    static const enum store_op changing[] = {STORE_OP_conversation_update, STORE_OP_message_update, STORE_OP_append,
                                             STORE_OP_message_list, STORE_OP_conversation_get};
    struct str ids[2] = {call(env), call(env)};
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; round && i < COUNT(changing); i++)
            atomic_store(&faults.fail_in_1000[changing[i]], i < 2 ? 300 : 50);
        atomic_store(&faults.late, round > 1);
        work(env, ids);
        faults_end();
        for (size_t i = 0; i < 2; i++)
            assert_recounts(env, ids[i]);
    }
    say_in(env, ids[0], "The last word");
    assert_recounts(env, ids[0]);
    struct care_stats stats;
    assert_ok(&env->env, care_stats(env->care, OWNER, env->env.a, &stats, &env->env.e));
    struct care_view one = view_of(env, ids[0]), two = view_of(env, ids[1]);
    assert_int_equal(stats.messages, one.figures.messages + two.figures.messages);
    assert_int_equal(stats.duration_total, analytics_duration(&one.figures) + analytics_duration(&two.figures));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CARE_TEST(a_model_that_fails_makes_an_apology),
        CARE_TEST(without_speech_the_reply_stands),
        CARE_TEST(without_a_place_for_audio_the_reply_stands),
        CARE_TEST(what_is_refused_leaves_nothing),
        CARE_TEST(a_reply_stands_when_its_facts_cannot_be_stored),
        CARE_TEST(a_turn_goes_on_without_its_asker),
        CARE_LOOPS(a_turn_goes_on_without_its_asker),
        CARE_TEST(deletion_ends_a_turn),
        CARE_LOOPS(deletion_ends_a_turn),
        CARE_TEST(deletion_while_a_reply_is_spoken),
        CARE_TEST(a_drain_waits_for_the_last_step),
        CARE_TEST(an_abort_ends_a_turn_soon),
        CARE_TEST(an_abort_does_not_wait_for_speech),
        CARE_TEST(turns_of_one_conversation_keep_their_order),
        CARE_LOOPS(turns_of_one_conversation_keep_their_order),
        CARE_TEST(reanalysing_is_given_up_as_a_whole),
        CARE_TEST(reanalysing_few_is_given_up),
        CARE_TEST(a_note_while_a_reply_is_written),
        CARE_TEST(a_title_chosen_while_the_model_thinks_of_one_stays),
        CARE_OFFLINE(a_note_while_a_reply_is_written),
        CARE_TEST(figures_are_a_recount),
        CARE_OFFLINE(figures_are_a_recount),
        CARE_LOOPS(figures_are_a_recount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
