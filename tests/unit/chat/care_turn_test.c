/* The steps of a care turn when all goes well. What fails, is cancelled or deleted: care_trouble_test.c. */
#include "unit/chat/care_env.h"

static struct message_facts facts_of(struct care_env *env, const struct message *m)
{
    return message_facts(m, env->env.a);
}

/* ---- what the model is asked ---- */

static void replies_are_asked_for_as_documented(struct care_env *env)
{
    struct str id = call(env);
    for (int i = 0; i < 4; i++)
        say_in(env, id, "Hello there");
    const struct scripted_request *rq = &env->model->by[ASKED_REPLY]->requests[3];
    assert_str(rq->model, "care-model");
    assert_int_equal(rq->max_tokens, 500);
    assert_true(rq->temperature > 0.79 && rq->temperature < 0.81);
    assert_int_equal(rq->nmessages, 1 + 5 + 1); /* of the welcome and six messages before */
    assert_int_equal(rq->messages[0].role, LLM_SYSTEM);
    assert_int_not_equal(str_find(rq->messages[0].content, STR("Sigma")), -1);
    assert_str(rq->messages[6].content, "Hello there");
}

static void live_conversations_are_sent_whole(struct care_env *env)
{
    struct str id = call(env);
    struct care_say say = {.channel = CARE_LIVE, .owner = OWNER, .conversation_id = id, .text = STR("Hello")};
    struct care_said said;
    for (int i = 0; i < 4; i++)
        assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_int_equal(env->model->by[ASKED_REPLY]->requests[3].nmessages, 1 + 7 + 1);
}

static void an_agent_answers_in_its_own_way(struct care_env *env)
{
    struct agent agent = {.id = care_object_id(env->env.a),
                          .owner = OWNER,
                          .name = STR("Ada"),
                          .company = STR("Acme"),
                          .personality = STR("calm"),
                          .info = STR("Acme repairs trams."),
                          .prompts = STR("[\"Be brief\"]"),
                          .meta = STR("{\"voice\":\"nova\",\"temperature\":0.25,\"maxTokens\":99}")},
                 stored, brought = {.name = STR("Bob"), .info = STR("Bob's own.")};
    assert_ok(&env->env, store_agent_create(env->env.st, env->env.a, &agent, &stored, &env->env.e));
    struct str id = started_by(env, (struct care_start){.agent = &stored}).view.conversation.id;
    struct care_say say = {
        .owner = OWNER, .conversation_id = id, .text = STR("Can you help me?"), .agent = &brought, .speak = true};
    struct care_said said;
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    const struct scripted_request *rq = &env->model->by[ASKED_REPLY]->requests[0];
    assert_int_equal(rq->max_tokens, 99);
    assert_true(rq->temperature > 0.24 && rq->temperature < 0.26);
    assert_int_not_equal(str_find(rq->messages[0].content, STR("Ada")), -1);
    assert_str(rq->text, "Acme repairs trams.");
    assert_string_equal(env->tts.voice, "nova");
    /* Gone: the one that the client knows answers, and without that somebody does. */
    struct agent_ref ref = {OWNER, stored.id};
    assert_ok(&env->env, store_agent_delete(env->env.st, &ref, &env->env.e));
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_str(env->model->by[ASKED_REPLY]->requests[1].text, "Bob's own.");
    assert_string_equal(env->tts.voice, CARE_VOICE);
    say.agent = NULL;
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    assert_true(env->model->by[ASKED_REPLY]->requests[2].messages[0].content.n > 0);
}

/* ---- company ---- */

static void the_company_that_is_named_is_kept(struct care_env *env)
{
    struct str id = call(env);
    assert_str(say_in(env, id, "Hello").view.company, "");
    assert_str(say_in(env, id, "My Kindle is broken").view.company, "Amazon");
    struct care_said said = say_in(env, id, "And Netflix, too");
    assert_str(said.view.company, "Amazon");
    const struct scripted *model = env->model->by[ASKED_REPLY];
    assert_int_equal(str_find(model->requests[0].messages[0].content, STR("Amazon")), -1);
    assert_int_not_equal(str_find(model->requests[1].messages[0].content, STR("Amazon")), -1);
    assert_int_not_equal(str_find(model->requests[2].messages[0].content, STR("Amazon")), -1);
    assert_recounts(env, id);
}

/* ---- sentiment ---- */

static const struct step urgent[] = {SAY("Urg"), SAY("ent."), DONE}, positive[] = {SAY(" \"positive\" "), DONE},
                         nonsense[] = {SAY("I think the customer is positive about it"), DONE},
                         refused[] = {REFUSE(ERR_UPSTREAM, "no")}, failing[] = {SAY("urg"), FAIL(ERR_UPSTREAM)},
                         hanging[] = {HANG};

static void the_model_judges_the_users_words(struct care_env *env)
{
    struct str id = call(env);
    scripted_set(env->model->by[ASKED_SENTIMENT], positive);
    struct care_said said = say_in(env, id, "word 0");
    assert_int_equal(facts_of(env, &said.user).sentiment, SENTIMENT_POSITIVE);
    assert_int_equal(said.view.figures.sentiment, SENTIMENT_POSITIVE);
    for (int i = 1; i < 12; i++)
        say_in(env, id, (char *)arena_printf(env->env.a, "word %d", i).p);
    const struct scripted_request *rq = &env->model->by[ASKED_SENTIMENT]->requests[11];
    assert_int_equal(rq->nmessages, 2);
    assert_int_equal(rq->max_tokens, 10);
    assert_true(rq->temperature > 0.29 && rq->temperature < 0.31);
    assert_str(rq->messages[1].content,
               "word 2\nword 3\nword 4\nword 5\nword 6\nword 7\nword 8\nword 9\nword 10\nword 11");
    assert_recounts(env, id);
}

static void urgency_raises_the_priority_once(struct care_env *env)
{
    struct str id = call(env);
    struct ear ear;
    scripted_set(env->model->by[ASKED_SENTIMENT], positive, urgent, urgent, positive);
    ear_follow(&env->env, &ear, id, NULL, NULL);
    assert_false(say_in(env, id, "a").raised);
    struct care_said said = say_in(env, id, "b");
    assert_true(said.raised);
    assert_true(said.view.high_priority);
    assert_str(ear_heard(&env->env, &ear), "M:a S D:ok F:ok M:b S D:ok F:ok P:high");
    said = say_in(env, id, "c");
    assert_false(said.raised);
    assert_true(said.view.high_priority);
    assert_true(view_of(env, id).high_priority);
    said = say_in(env, id, "d");
    assert_false(said.raised || said.view.high_priority);
    assert_str(ear_heard(&env->env, &ear), "M:c S D:ok F:ok M:d S D:ok F:ok P:normal");
    ear_leave(&ear);
    assert_recounts(env, id);
}

/* Whatever the model says or does, there is an honest value: the lexicon's. */
static void without_a_usable_answer_the_lexicon_judges(struct care_env *env)
{
    static const struct step *const scripts[] = {nonsense, refused, failing, hanging};
    static const char text[] = "This is terrible, I am so angry and disappointed!";
    struct str words = str_c(text);
    struct sentiment_verdict want = sentiment_by_lexicon(&words, 1);
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct str id = call(env);
        struct care_said said;
        for (size_t k = 0; k < SCRIPTED_MAX; k++)
            env->model->by[ASKED_SENTIMENT]->scripts[k] = scripts[i];
        said = say_in(env, id, text);
        assert_str(said.reply.content, "ok");
        assert_int_equal(facts_of(env, &said.user).sentiment, want.sentiment);
        assert_int_equal(said.view.figures.sentiment, want.sentiment);
        assert_recounts(env, id);
        assert_int_equal(atomic_load(&env->model->by[ASKED_SENTIMENT]->open), 0);
    }
}

static void offline_the_lexicon_judges(struct care_env *env)
{
    struct str id = call(env);
    struct care_said said = say_in(env, id, "Help! This is an emergency, I need somebody right now!!!");
    assert_int_equal(facts_of(env, &said.user).sentiment, SENTIMENT_URGENT);
    assert_true(said.raised);
    assert_true(view_of(env, id).high_priority);
    assert_recounts(env, id);
}

/* What begins it, the reply, its usage, the figures. */
static void an_offline_turn_writes_four_times(struct care_env *env)
{
    struct str id = call(env);
    int before[STORE_OP_COUNT], writes = 0;
    for (size_t i = 0; i < STORE_OP_COUNT; i++)
        before[i] = atomic_load(&faults.calls[i]);
    say_in(env, id, "Hello");
    await_over(env);
    for (size_t i = 0; i < STORE_OP_COUNT; i++)
        writes += store_op_writes((enum store_op)i) ? atomic_load(&faults.calls[i]) - before[i] : 0;
    assert_int_equal(writes, 4);
}

/* ---- titles ---- */

static void titles_come_with_the_first_and_every_third(struct care_env *env)
{
    static const struct step one[] = {SAY("'One'"), DONE}, two[] = {SAY("Two"), DONE};
    struct str id = call(env);
    scripted_set(env->model->by[ASKED_TITLE], one, two);
    assert_str(say_in(env, id, "a").view.conversation.title, "One");
    assert_str(say_in(env, id, "b").view.conversation.title, "One");
    assert_str(say_in(env, id, "c").view.conversation.title, "Two");
    assert_int_equal(atomic_load(&env->model->by[ASKED_TITLE]->nrequests), 2);
    assert_str(view_of(env, id).conversation.title, "Two");
}

static void a_title_of_the_users_own_stays(struct care_env *env)
{
    struct str given = started_by(env, (struct care_start){.title = STR("Mine")}).view.conversation.id, id = call(env);
    struct care_change change = {.owner = OWNER, .id = id, .title = STR("Mine")};
    struct care_view view;
    assert_str(say_in(env, given, "a").view.conversation.title, "Mine");
    say_in(env, id, "a");
    assert_int_equal(atomic_load(&env->model->by[ASKED_TITLE]->nrequests), 1);
    assert_ok(&env->env, care_update(env->care, &change, env->env.a, &view, &env->env.e));
    for (int i = 0; i < 3; i++)
        assert_str(say_in(env, id, "b").view.conversation.title, "Mine");
    assert_ok(&env->env, care_end(env->care, OWNER, id, env->env.a, &view, &env->env.e));
    assert_str(view.conversation.title, "Mine");
    assert_str(view.conversation.status, "completed");
    assert_int_equal(atomic_load(&env->model->by[ASKED_TITLE]->nrequests), 1);
    /* Another one is asked for: from here on they come by themselves again. */
    assert_ok(&env->env, care_retitle(env->care, OWNER, id, env->env.a, &view, &env->env.e));
    assert_str(view.conversation.title, "Question About Things");
    static const struct step later[] = {SAY("Later"), DONE};
    scripted_set(env->model->by[ASKED_TITLE], later);
    for (int i = 0; i < 2; i++)
        say_in(env, id, "c");
    assert_str(view_of(env, id).conversation.title, "Later");
}

static void what_is_no_title_is_not_taken(struct care_env *env)
{
    static const struct step reply[] = {
        SAY("Sure, I would be glad to help you find a very nice title for this conversation about things"), DONE};
    static const struct step greeting[] = {SAY("Hello! How can I help you?"), DONE};
    static const struct step *const scripts[] = {reply, greeting, refused, hanging};
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct str id = call(env);
        for (size_t k = 0; k < SCRIPTED_MAX; k++)
            env->model->by[ASKED_TITLE]->scripts[k] = scripts[i];
        assert_str(say_in(env, id, "a").view.conversation.title, CARE_TITLE_DEMO);
    }
    struct str id = call(env);
    struct care_view view;
    for (size_t k = 0; k < SCRIPTED_MAX; k++)
        env->model->by[ASKED_TITLE]->scripts[k] = reply;
    say_in(env, id, "a");
    assert_ok(&env->env, care_retitle(env->care, OWNER, id, env->env.a, &view, &env->env.e));
    assert_str(view.conversation.title, CARE_TITLE_FALLBACK);
}

/* ---- speech ---- */

static struct care_said spoken(struct care_env *env, struct str id, enum care_channel channel)
{
    struct care_say say = {
        .channel = channel, .owner = OWNER, .conversation_id = id, .text = STR("Hello"), .speak = true};
    struct care_said said;
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    return said;
}

static void replies_are_spoken(struct care_env *env)
{
    struct str id = call(env);
    struct care_said said = spoken(env, id, CARE_REST);
    assert_str(said.speech.url, "/audio/response-0.mp3");
    assert_str(facts_of(env, &said.reply).audio_url, "/audio/response-0.mp3");
    assert_int_equal(env->tts.format, SPEECH_MP3);
    assert_string_equal(env->tts.texts[0], "ok");
    said = spoken(env, id, CARE_LIVE);
    assert_true(said.speech.audio.n > 0);
    assert_int_equal(said.speech.url.n, 0);
    assert_int_equal(env->files.n, 1);
    assert_recounts(env, id);
}

static void long_replies_are_spoken_in_pieces(struct care_env *env)
{
    struct step script[] = {SAY(""), DONE};
    struct buf text = BUF_INIT(MIB(1));
    for (int i = 0; i < 400; i++)
        buf_addf(&text, "Sentence number %d is here. ", i);
    script[0].text = buf_cstr(&text);
    scripted_set(env->model->by[ASKED_REPLY], script);
    struct care_said said = spoken(env, call(env), CARE_REST);
    assert_int_equal(said.reply.content.n, text.len);
    assert_true(atomic_load(&env->tts.opened) > 1);
    assert_int_equal(env->files.n, 1);
    assert_int_equal(strncmp(env->tts.texts[1], "Sentence", 8), 0); /* cut where one ends */
    buf_free(&text);
}

/* ---- the same message again ---- */

static void a_repeated_message_gets_the_first_reply(struct care_env *env)
{
    struct str id = call(env);
    struct care_say say = {
        .owner = OWNER, .conversation_id = id, .text = STR("Hello"), .client_id = STR("c-1"), .speak = true};
    struct care_said first, again;
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &first, &env->env.e));
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &again, &env->env.e));
    assert_false(first.duplicate);
    assert_true(again.duplicate);
    assert_true(str_eq(again.reply.id, first.reply.id) && str_eq(again.user.id, first.user.id));
    assert_true(str_eq(again.reply.content, first.reply.content));
    assert_true(str_eq(again.speech.url, first.speech.url));
    assert_int_equal(env->files.n, 1);
    assert_int_equal(again.view.conversation.message_count, 4);
    assert_int_equal(atomic_load(&env->model->by[ASKED_REPLY]->nrequests), 1);
    assert_recounts(env, id);
}

/* ---- judging what is stored ---- */

static struct str brought(struct care_env *env, int users)
{
    struct message messages[STORE_APPEND];
    struct store_append append = {.conversation = {.id = care_object_id(env->env.a),
                                                   .space = STR(CARE_SPACE),
                                                   .owner = OWNER,
                                                   .title = STR("Brought"),
                                                   .status = STR("active")},
                                  .messages = messages,
                                  .n = (size_t)users * 2};
    struct store_appended done;
    for (size_t i = 0; i < append.n; i++)
        messages[i] = (struct message){.role = i % 2 ? STR("assistant") : STR("user"),
                                       .content = i % 2 ? STR("Yes") : STR("Thank you, this is great")};
    assert_ok(&env->env, store_conversation_create(env->env.st, env->env.a, &append, &done, &env->env.e));
    return done.conversation.id;
}

static void what_nobody_judged_is_judged_when_asked_for(struct care_env *env)
{
    struct str id = brought(env, 12);
    struct care_view view = view_of(env, id);
    assert_int_equal(view.figures.judged, 0);
    if (env->model)
        scripted_set(env->model->by[ASKED_SENTIMENT], urgent);
    assert_ok(&env->env, care_get(env->care, OWNER, id, STORE_ALL, true, env->env.a, &view, &env->env.e));
    assert_int_equal(view.figures.judged, 12);
    assert_int_equal(view.figures.sentiment, env->model ? SENTIMENT_URGENT : SENTIMENT_POSITIVE);
    assert_int_equal(facts_of(env, &view.conversation.messages[0]).sentiment, SENTIMENT_POSITIVE);
    if (env->model)
        assert_int_equal(atomic_load(&env->model->by[ASKED_SENTIMENT]->nrequests), 1);
    assert_recounts(env, id);
}

static void reanalysing(struct care_env *env)
{
    struct str id = brought(env, 3), other = call(env);
    int64_t total, updated;
    say_in(env, other, "hello");
    call(env);
    if (env->model)
        for (size_t k = 0; k < SCRIPTED_MAX; k++)
            env->model->by[ASKED_SENTIMENT]->scripts[k] = urgent;
    assert_ok(&env->env, care_reanalyse(env->care, OWNER, &total, &updated, &env->env.e));
    assert_int_equal(total, 3);
    assert_int_equal(updated, 2);
    assert_int_equal(view_of(env, id).figures.sentiment, env->model ? SENTIMENT_URGENT : SENTIMENT_POSITIVE);
    assert_int_equal(view_of(env, id).figures.judged, 3);
    assert_recounts(env, id);
    assert_recounts(env, other);
    assert_ok(&env->env, care_reanalyse(env->care, OTHER, &total, &updated, &env->env.e));
    assert_int_equal(total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CARE_TEST(replies_are_asked_for_as_documented),
        CARE_TEST(live_conversations_are_sent_whole),
        CARE_TEST(an_agent_answers_in_its_own_way),
        CARE_TEST(the_company_that_is_named_is_kept),
        CARE_TEST(the_model_judges_the_users_words),
        CARE_TEST(urgency_raises_the_priority_once),
        CARE_TEST(without_a_usable_answer_the_lexicon_judges),
        CARE_OFFLINE(offline_the_lexicon_judges),
        CARE_OFFLINE(an_offline_turn_writes_four_times),
        CARE_TEST(titles_come_with_the_first_and_every_third),
        CARE_TEST(a_title_of_the_users_own_stays),
        CARE_TEST(what_is_no_title_is_not_taken),
        CARE_TEST(replies_are_spoken),
        CARE_LOOPS(replies_are_spoken),
        CARE_TEST(long_replies_are_spoken_in_pieces),
        CARE_TEST(a_repeated_message_gets_the_first_reply),
        CARE_LOOPS(a_repeated_message_gets_the_first_reply),
        CARE_TEST(what_nobody_judged_is_judged_when_asked_for),
        CARE_OFFLINE(what_nobody_judged_is_judged_when_asked_for),
        CARE_TEST(reanalysing),
        CARE_OFFLINE(reanalysing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
