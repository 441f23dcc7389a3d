/* Conversations of customer care: beginning, saying, reading, changing, deleting. */
#include "unit/chat/care_env.h"

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
    assert_true(str_eq(c->messages[1].content, started.welcome.content));
    assert_str(started.speech.url, "/audio/response-0.mp3");
    assert_int_equal(started.speech.audio.n, 0);
    assert_true(str_eq(message_facts(&started.welcome, env->env.a).audio_url, started.speech.url));
    assert_string_equal(env->tts.voice, CARE_DEMO_VOICE);
    assert_recounts(env, c->id);
}

static void a_turn(struct care_env *env)
{
    struct str id = call(env);
    struct care_said said = say_in(env, id, "How can I cancel my order?");
    assert_str(said.reply.content, env->model ? "ok" : "ok");
    assert_int_equal(said.turn.status, MESSAGE_COMPLETE);
    assert_false(said.duplicate);
    assert_true(is_object_id(said.user.id) && is_object_id(said.reply.id));
    assert_int_equal(said.view.conversation.message_count, 4);
    assert_int_equal(said.view.figures.user_messages, 1);
    struct message_facts facts = message_facts(&said.user, env->env.a);
    assert_int_equal(facts.intents, INTENT_QUESTION | INTENT_PURCHASE | INTENT_CANCELLATION);
    assert_int_not_equal(facts.sentiment, SENTIMENT_UNKNOWN);
    assert_true(facts.confidence >= 0 && facts.confidence <= 1);
    assert_recounts(env, id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CARE_TEST(a_call_of_the_simulator),
        CARE_OFFLINE(a_call_of_the_simulator),
        CARE_TEST(a_turn),
        CARE_OFFLINE(a_turn),
        CARE_LOOPS(a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
