#include "unit/support/voice_env.h"

#include "base/clock.h"

static void a_spoken_turn(struct env *env)
{
    static const struct step reply[] = {SAY("Good morning. "), SAY("How are"), SAY(" you?"),
                                        FINISH("stop"),        USAGE(11, 7),   DONE};
    struct voice_call s;
    session_init(&s, env);
    scripted_set(env->llm, reply);
    session_start(&s);
    utter(&s);
    await(&s, "completed");
    expect(&s, "started stopped committed item+:user item.:user heard:hello reply output+ item+:assistant "
               "text:Good morning.  audio text:How are you? audio output. item.:assistant completed");
    assert_str(asked(&s, 0), "user:hello");
    assert_string_equal(s.text, "Good morning. How are you?");
    assert_int_equal(s.done.usage.prompt_tokens, 11);
    assert_int_equal(s.done.usage.completion_tokens, 7);
    assert_true(s.done.audio);
    /* 20 ms for each byte that is spoken */
    assert_in_range(s.audio.len, 24000 * 2 * 20 * 24 / 1000, 24000 * 2 * 20 * 28 / 1000);
    assert_string_equal(voice_find(s.v, str_c(s.user))->id, s.user);
    assert_str(voice_find(s.v, str_c(s.user))->text, "hello");
    session_end(&s);
}

static void text_streams_as_it_comes(struct env *env)
{
    static const struct step reply[] = {SAY("One "), HOLD, SAY("two"), FINISH("stop"), DONE};
    struct voice_call s;
    session_init(&s, env);
    scripted_set(env->llm, reply);
    s.settings.audio = false;
    session_start(&s);
    ask_text(&s, "count");
    await(&s, "text:One");
    scripted_release(env->llm);
    await(&s, "completed");
    expect(&s, "item+:user item.:user reply output+ item+:assistant text:One  text:two output. item.:assistant "
               "completed");
    assert_int_equal(s.done.usage.prompt_tokens, -1);
    assert_int_equal(atomic_load(&s.tts.opened), 0);
    session_end(&s);
}

static void without_a_synthesizer_replies_are_text(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    s.policy.tts = NULL;
    session_start(&s);
    ask_text(&s, "hi");
    await(&s, "completed");
    expect(&s, "item+:user item.:user reply output+ item+:assistant text:ok output. item.:assistant completed");
    assert_false(s.done.audio);
    session_end(&s);
}

static void without_detection_the_client_commits(struct env *env)
{
    struct voice_call s;
    uint64_t found;
    session_init(&s, env);
    s.settings.detection = VOICE_DETECT_NONE;
    session_start(&s);
    assert_refused(env, voice_commit(s.v, &found, &env->e), ERR_INVALID_REQUEST);
    assert_int_equal(found, 0);
    speak_ms(&s, 50);
    assert_refused(env, voice_commit(s.v, &found, &env->e), ERR_INVALID_REQUEST);
    assert_int_equal(found, 50);
    speak_ms(&s, 500);
    assert_ok(env, voice_commit(s.v, &found, &env->e));
    respond(&s); /* and waits for what was said */
    await(&s, "completed");
    expect(&s, "committed item+:user item.:user reply heard:hello output+ item+:assistant text:ok audio output. "
               "item.:assistant completed");
    assert_str(asked(&s, 0), "user:hello");
    session_end(&s);
}

static void one_response_at_a_time(struct env *env)
{
    static const struct step reply[] = {HOLD, SAY("Yes."), DONE};
    struct voice_ask ask = {.in_conversation = true};
    struct voice_call s;
    char first[VOICE_ID];
    session_init(&s, env);
    scripted_set(env->llm, reply);
    session_start(&s);
    ask_text(&s, "really");
    await(&s, "reply");
    memcpy(first, s.response, VOICE_ID);
    s.response[0] = 0;
    assert_refused(env, respond_as(&s, &ask), ERR_INVALID_REQUEST);
    assert_string_equal(s.response, first);
    scripted_release(env->llm);
    await(&s, "completed");
    respond(&s);
    scripted_release(env->llm);
    await_times(&s, "completed", 2);
    session_end(&s);
}

static void nothing_said_makes_no_answer(struct env *env)
{
    static const struct fake_heard nothing[] = {{.final = ""}};
    struct voice_call s;
    session_init(&s, env);
    fake_stt_init(&s.stt, nothing, 1);
    session_start(&s);
    utter(&s);
    await(&s, "heard");
    let_pass();
    expect(&s, "started stopped committed item+:user item.:user heard");
    assert_true(voice_find(s.v, str_c(s.user))->transcribed);
    assert_int_equal(atomic_load(&env->llm->nrequests), 0);
    session_end(&s);
}

static void answers_only_when_asked_to(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    s.settings.create_response = false;
    session_start(&s);
    utter(&s);
    await(&s, "heard:hello");
    let_pass();
    assert_int_equal(atomic_load(&env->llm->nrequests), 0);
    respond(&s);
    await(&s, "completed");
    session_end(&s);
}

static void what_was_not_understood_is_told(struct env *env)
{
    static const struct fake_heard failing[] = {{.fail = ERR_UPSTREAM}};
    struct voice_call s;
    session_init(&s, env);
    fake_stt_init(&s.stt, failing, 1);
    session_start(&s);
    utter(&s);
    await(&s, "unheard");
    let_pass();
    expect(&s, "started stopped committed item+:user item.:user unheard:UPSTREAM");
    assert_null(strstr(s.error.text, FAKE_SECRET));
    respond(&s);
    await(&s, "failed");
    expect(&s, "reply failed:UPSTREAM");
    assert_int_equal(atomic_load(&env->llm->nrequests), 0);
    text_item(&s, "in writing then");
    respond(&s);
    await(&s, "completed");
    session_end(&s);
}

static void partial_transcripts_continue(struct env *env)
{
    static const struct fake_heard wavering[] = {
        {.partials = {"i", "i am", "eye", "i am here"}, .partial_ms = 1000, .final = "i am here"}};
    struct voice_call s;
    session_init(&s, env);
    fake_stt_init(&s.stt, wavering, 1);
    s.settings.create_response = false;
    session_start(&s);
    hush(&s);
    speak_ms(&s, 1000);
    await(&s, "delta:i");
    speak_ms(&s, 1000);
    await(&s, "delta: am");
    speak_ms(&s, 2000); /* it changes its mind, and again */
    await(&s, "delta: here");
    hush(&s);
    await(&s, "heard");
    expect(&s, "started delta:i delta: am delta: here stopped committed item+:user item.:user heard:i am here");
    session_end(&s);
}

/* ---- what fails ---- */

static void expect_failure(struct env *env, const struct step *script, const char *want)
{
    struct voice_call s;
    session_init(&s, env);
    env->llm->scripts[MIN(atomic_load(&env->llm->nrequests), SCRIPTED_MAX - 1)] = script;
    env->llm->nscripts = atomic_load(&env->llm->nrequests) + 1;
    session_start(&s);
    ask_text(&s, "well");
    await(&s, "reply");
    while (s.done.outcome == VOICE_RESPONSE_RUNNING)
        waitlist_wait(&s.changed, NULL);
    expect(&s, want);
    assert_null(strstr(s.error.text, "script"));
    for (size_t i = 0; i < atomic_load(&s.tts.opened); i++)
        assert_null(strstr(s.tts.texts[i], "script"));
    session_end(&s);
}

static void failures_are_told_and_never_spoken(struct env *env)
{
    static const struct step refused[] = {REFUSE(ERR_UPSTREAM, "a secret")}, late[] = {FAIL(ERR_TIMEOUT)},
                             busy[] = {REFUSE(ERR_OVERLOADED, NULL)}, silent[] = {FINISH("stop"), DONE},
                             blank[] = {SAY("  \n"), FINISH("stop"), DONE},
                             filtered[] = {FINISH("content_filter"), DONE},
                             cut[] = {SAY("Only so"), FINISH("length"), DONE};
    expect_failure(env, refused, "item+:user item.:user reply failed:UPSTREAM");
    expect_failure(env, late, "item+:user item.:user reply failed:TIMEOUT");
    expect_failure(env, busy, "item+:user item.:user reply failed:OVERLOADED");
    expect_failure(env, silent, "item+:user item.:user reply failed:UPSTREAM");
    expect_failure(env, blank, "item+:user item.:user reply failed:UPSTREAM");
    expect_failure(env, filtered, "item+:user item.:user reply incomplete:content_filter");
    expect_failure(env, cut,
                   "item+:user item.:user reply output+ item+:assistant text:Only so audio output. item.:assistant "
                   "incomplete:max_output_tokens");
}

static void a_model_that_breaks_off(struct env *env)
{
    static const struct step reply[] = {SAY("It was a dark night. And"), HOLD, FAIL(ERR_UPSTREAM)};
    static const struct fake_said at_ease[] = {{.ms = 1400}};
    struct voice_call s;
    session_init(&s, env);
    fake_tts_init(&s.tts, at_ease, 1);
    scripted_set(env->llm, reply);
    session_start(&s);
    ask_text(&s, "a story");
    await(&s, "audio");
    while (s.audio.len < 24000 * 2 * 1400 / 1000)
        waitlist_wait(&s.changed, NULL);
    scripted_release(env->llm);
    await(&s, "failed");
    expect(&s, "item+:user item.:user reply output+ item+:assistant text:It was a dark night.  audio output. "
               "item.:assistant failed:UPSTREAM");
    assert_string_equal(s.text, "It was a dark night.");
    assert_int_equal(voice_find(s.v, str_c(s.item))->status, VOICE_INCOMPLETE);
    session_end(&s);
}

static void synthesis_that_fails(struct env *env)
{
    static const struct fake_said refused[] = {{.refuse = ERR_UPSTREAM}},
                                  broken[] = {{.ms = 1400}, {.fail = ERR_UPSTREAM}};
    static const struct step reply[] = {SAY("It was a dark night. And then came a very long day."), DONE};
    struct voice_call s;
    session_init(&s, env);
    fake_tts_init(&s.tts, refused, 1);
    session_start(&s);
    ask_text(&s, "hi");
    await(&s, "failed");
    expect(&s, "item+:user item.:user reply failed:UPSTREAM");
    assert_null(strstr(s.error.text, FAKE_SECRET));
    session_end(&s);

    session_init(&s, env);
    scripted_set(env->llm, reply);
    fake_tts_init(&s.tts, broken, 2);
    session_start(&s);
    ask_text(&s, "hi");
    await(&s, "failed");
    assert_string_equal(s.text, "It was a dark night."); /* 100 ms are none of its words */
    assert_int_equal(s.audio.len, 24000 * 2 * 1500 / 1000);
    session_end(&s);
}

static void a_reply_that_stalls_fails(struct env *env)
{
    static const struct step silent[] = {SAY("Well. "), HANG}, reply[] = {SAY("One two three."), DONE};
    static const struct fake_said stalled[] = {{.stalled = true}};
    struct voice_call s;
    session_init(&s, env);
    scripted_set(env->llm, silent, reply);
    s.policy.stall_timeout_ms = 50;
    session_start(&s);
    ask_text(&s, "hi");
    await(&s, "failed");
    assert_string_equal(err_name(s.error.code), "TIMEOUT");
    forget_log(&s);
    fake_tts_init(&s.tts, stalled, 1);
    respond(&s);
    await(&s, "failed:TIMEOUT");
    session_end(&s);
    let_pass();
    assert_int_equal(atomic_load(&env->llm->open), 0);
    assert_int_equal(atomic_load(&s.tts.open), 0);
}

static void nobody_answers(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    env->chat->config.llm = env->chat->config.responder = NULL;
    session_start(&s);
    ask_text(&s, "hi");
    await(&s, "failed:NOT_CONFIGURED");
    session_end(&s);
}

/* ---- the client's side ---- */

static void a_paused_client_gets_no_output(struct env *env)
{
    static const struct step reply[] = {SAY("One two three. Four five six."), DONE};
    struct voice_call s;
    session_init(&s, env);
    scripted_set(env->llm, reply);
    s.pause_at = VOICE_AUDIO + 1;
    session_start(&s);
    ask_text(&s, "count");
    await(&s, "audio");
    size_t got = s.audio.len;
    timer_start(s.v->loop, &s.v->reply->stall, 1); /* as if it had been so for long */
    task_sleep(20, NULL);
    assert_true(timer_running(&s.v->reply->stall));
    assert_int_equal(s.audio.len, got);
    text_item(&s, "other events come");
    await_times(&s, "item+:user", 2);
    voice_pause(s.v, false);
    await(&s, "completed");
    assert_str(buf_str(&s.said), "One two three. Four five six.");
    session_end(&s);
}

static void audio_goes_no_further_than_it_can_be_heard(struct env *env)
{
    static const struct fake_said long_speech[] = {{.ms = 40000}};
    struct voice_call s;
    session_init(&s, env);
    fake_tts_init(&s.tts, long_speech, 1);
    session_start(&s);
    uint64_t began = clock_mono_ms();
    ask_text(&s, "sing");
    await(&s, "audio");
    while (s.audio.len < 24000 * 2 * 20)
        waitlist_wait(&s.changed, NULL);
    task_sleep(50, NULL);
    uint64_t most = VOICE_AHEAD_MS + 2 * VOICE_SLICE_MS + (clock_mono_ms() - began);
    assert_in_range(s.audio.len / 48, VOICE_AHEAD_MS, most);
    assert_in_range(atomic_load(&s.tts.made_ms), VOICE_AHEAD_MS, most + VOICE_MADE_MS + 2 * VOICE_WAITING_MS);
    assert_ok(env, voice_cancel(s.v, STR(""), &env->e));
    await(&s, "cancelled:client_cancelled");
    assert_refused(env, voice_cancel(s.v, STR(""), &env->e), ERR_NOT_FOUND);
    session_end(&s);
}

static void a_response_beside_the_conversation(struct env *env)
{
    static const struct step slow[] = {HOLD, SAY("Slow."), DONE}, other[] = {SAY("Aside."), DONE};
    static const struct voice_new_item input[] = {{.kind = VOICE_ITEM_USER, .text = {"and you", 7}}};
    static const bool text_only = false;
    struct voice_ask ask = {.audio = &text_only,
                            .instructions = STR("Be odd."),
                            .voice = STR("echo"),
                            .max_tokens = 9,
                            .metadata = STR("{\"a\":\"b\"}"),
                            .input = input,
                            .ninput = 1};
    struct voice_call s;
    session_init(&s, env);
    scripted_set(env->llm, slow, other);
    session_start(&s);
    ask_text(&s, "hi");
    await(&s, "reply");
    assert_ok(env, respond_as(&s, &ask));
    await(&s, "completed");
    expect(&s, "item+:user item.:user reply reply output+ text:Aside. output. completed");
    assert_str(asked(&s, 1), "system:Be odd. user:and you");
    assert_int_equal(env->llm->requests[1].max_tokens, 9);
    assert_string_equal(s.metadata, "{\"a\":\"b\"}");
    assert_string_equal(s.voice, "echo");
    assert_false(s.done.in_conversation);
    assert_null(voice_find(s.v, str_c(s.item)));
    scripted_release(env->llm);
    await(&s, "completed");
    assert_str(asked(&s, 0), "user:hi");
    session_end(&s);
}

static void settings_reach_everybody(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    s.settings.model = STR("big");
    s.settings.instructions = STR("Be brief.");
    s.settings.voice = STR("coral");
    s.settings.speed = 1.25;
    s.settings.temperature = 0.5;
    s.settings.max_tokens = 77;
    s.settings.language = STR("en-GB");
    s.settings.prompt = STR("parley");
    session_start(&s);
    utter(&s);
    await(&s, "completed");
    const struct scripted_request *rq = &env->llm->requests[0];
    assert_str(rq->model, "big");
    assert_int_equal(rq->max_tokens, 77);
    assert_true(rq->temperature > 0.4 && rq->temperature < 0.6 && rq->stream);
    assert_str(asked(&s, 0), "system:Be brief. user:hello");
    assert_string_equal(s.tts.voice, "coral");
    assert_true(s.tts.speed > 1.2);
    assert_string_equal(s.stt.language, "en-GB");
    assert_string_equal(s.stt.prompt, "parley");
    assert_int_equal(s.stt.rate, RATE);
    session_end(&s);
}

static void some_settings_stay(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    session_start(&s);
    struct voice_settings other = *voice_settings(s.v);
    other.input_rate = 24000;
    assert_refused(env, voice_configure(s.v, &other, &env->e), ERR_INVALID_REQUEST);
    other = *voice_settings(s.v);
    other.voice = STR("echo");
    assert_ok(env, voice_configure(s.v, &other, &env->e));
    ask_text(&s, "hi");
    await(&s, "completed");
    assert_string_equal(s.tts.voice, "echo");
    other.instructions = STR("Shout.");
    assert_ok(env, voice_configure(s.v, &other, &env->e));
    assert_str(voice_settings(s.v)->instructions, "Shout.");
    other.voice = STR("sage");
    assert_refused(env, voice_configure(s.v, &other, &env->e), ERR_INVALID_REQUEST);
    session_end(&s);
}

static void a_silent_user_is_asked(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    s.settings.idle_timeout_ms = 30;
    session_start(&s);
    utter(&s);
    await(&s, "idle");
    await_times(&s, "completed", 2);
    s.settings.idle_timeout_ms = 0;
    assert_ok(env, voice_configure(s.v, &s.settings, &env->e));
    const char *after = strstr(buf_cstr(&s.log), "idle");
    assert_non_null(after);
    assert_true(str_starts(str_c(after), STR("idle committed item+:user item.:user reply output+ ")));
    assert_str(asked(&s, 1), "user:hello assistant:ok user:(silence)");
    session_end(&s);
}

static void who_speaks_is_not_idle(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    s.settings.idle_timeout_ms = 60000;
    session_start(&s);
    assert_false(timer_running(&s.v->idle));
    ask_text(&s, "hi");
    await(&s, "completed");
    assert_true(timer_running(&s.v->idle));
    hush(&s);
    speak_ms(&s, 600);
    await(&s, "started");
    assert_false(timer_running(&s.v->idle));
    hush(&s);
    await_times(&s, "completed", 2);
    assert_true(timer_running(&s.v->idle));
    session_end(&s);
}

static void what_is_cleared_is_not_heard(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    session_start(&s);
    hush(&s);
    speak_ms(&s, 600);
    await(&s, "started");
    s.in_call = true;
    voice_clear(s.v);
    s.in_call = false;
    await(&s, "cleared");
    task_sleep(20, NULL);
    expect(&s, "started cleared");
    assert_int_equal(atomic_load(&s.stt.open), 0);
    session_end(&s);
}

/* ---- the end ---- */

static void close_in_state(struct env *env, const char *word, const struct step *script)
{
    struct voice_call s;
    session_init(&s, env);
    env->llm->scripts[0] = script;
    env->llm->nscripts = 1;
    session_start(&s);
    utter(&s);
    if (*word)
        await(&s, word);
    session_end(&s);
    task_sleep(5, NULL);
    assert_int_equal(s.log.len, 0);
    assert_int_equal(atomic_load(&env->llm->open), 0);
    assert_int_equal(atomic_load(&s.tts.open), 0);
    assert_int_equal(atomic_load(&s.stt.open), 0);
}

static void closed_in_every_state(struct env *env)
{
    static const struct step hanging[] = {HANG}, going_on[] = {SAY("One. Two. "), HANG}, whole[] = {SAY("One."), DONE};
    static const char *const words[] = {"", "started", "stopped", "committed", "heard", "reply", "audio", "completed"};
    for (size_t i = 0; i < 6; i++)
        close_in_state(env, words[i], hanging);
    close_in_state(env, "audio", going_on);
    for (size_t i = 0; i < COUNT(words); i++)
        close_in_state(env, words[i], whole);
    assert_null(voice_close(NULL));
}

static void closed_before_anything(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    session_start(&s);
    session_end(&s);
}

static void closed_from_inside_of_an_event(struct env *env)
{
    static const struct step reply[] = {SAY("One two three. Four."), DONE};
    static const int types[] = {
        VOICE_SPEECH_STARTED, VOICE_SPEECH_STOPPED,  VOICE_COMMITTED,        VOICE_ITEM_ADDED,
        VOICE_ITEM_DONE,      VOICE_TRANSCRIPT_DONE, VOICE_RESPONSE_CREATED, VOICE_OUTPUT_ADDED,
        VOICE_TEXT,           VOICE_AUDIO,           VOICE_OUTPUT_DONE,      VOICE_RESPONSE_DONE};
    for (size_t i = 0; i < COUNT(types); i++) {
        struct voice_call s;
        session_init(&s, env);
        scripted_set(env->llm, reply);
        s.close_at = types[i] + 1;
        session_start(&s);
        utter(&s);
        while (s.v)
            waitlist_wait(&s.changed, NULL);
        size_t length = s.log.len;
        task_sleep(5, NULL);
        assert_int_equal(s.log.len, length);
        assert_int_equal(atomic_load(&s.tts.open), 0);
        session_end(&s);
    }
}

static void many_at_once(struct env *env)
{
    enum { MANY = 60 };
    struct voice_call *all = mem_array(MANY, sizeof *all);
    for (size_t i = 0; i < MANY; i++) {
        session_init(&all[i], env);
        all[i].settings.audio = i % 3 != 0;
        session_start(&all[i]);
        utter(&all[i]);
    }
    for (size_t i = 0; i < MANY; i++) {
        await(&all[i], "completed");
        assert_string_equal(all[i].text, "ok");
        assert_int_equal(all[i].audio.len, i % 3 ? 24000 * 2 * 40 / 1000 : 0);
        session_end(&all[i]);
    }
    free(all);
}

static void an_idle_session_owns_no_task(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    session_start(&s);
    unsigned tasks = task_count();
    hush(&s);
    hush(&s);
    task_sleep(5, NULL);
    assert_int_equal(task_count(), tasks);
    assert_int_equal(s.log.len, 0);
    session_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(a_spoken_turn),
        ENV_TEST(text_streams_as_it_comes),
        ENV_TEST(without_a_synthesizer_replies_are_text),
        ENV_TEST(without_detection_the_client_commits),
        ENV_TEST(one_response_at_a_time),
        ENV_TEST(nothing_said_makes_no_answer),
        ENV_TEST(answers_only_when_asked_to),
        ENV_TEST(what_was_not_understood_is_told),
        ENV_TEST(partial_transcripts_continue),
        ENV_TEST(failures_are_told_and_never_spoken),
        ENV_TEST(a_model_that_breaks_off),
        ENV_TEST(synthesis_that_fails),
        ENV_TEST(a_reply_that_stalls_fails),
        ENV_TEST(nobody_answers),
        ENV_TEST(a_paused_client_gets_no_output),
        ENV_TEST(audio_goes_no_further_than_it_can_be_heard),
        ENV_TEST(a_response_beside_the_conversation),
        ENV_TEST(settings_reach_everybody),
        ENV_TEST(some_settings_stay),
        ENV_TEST(a_silent_user_is_asked),
        ENV_TEST(who_speaks_is_not_idle),
        ENV_TEST(what_is_cleared_is_not_heard),
        ENV_TEST(closed_in_every_state),
        ENV_TEST(closed_before_anything),
        ENV_TEST(closed_from_inside_of_an_event),
        ENV_TEST(many_at_once),
        ENV_TEST(an_idle_session_owns_no_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
