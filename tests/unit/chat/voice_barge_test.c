/* Speech of the user while a reply is thought or heard. */
#include "unit/support/voice_env.h"

static const struct step story[] = {SAY("It was a dark night. A wolf came. He"), HOLD, SAY(" was hungry."),
                                    FINISH("stop"), DONE};
static const struct step whole_story[] = {SAY("It was a dark night. A wolf came. He was hungry."), FINISH("stop"),
                                          DONE};
static const struct step answer[] = {SAY("Fine."), FINISH("stop"), DONE};
/* As long as people take for the three sentences, and for whatever else. */
static const struct fake_said at_ease[] = {{.ms = 1400}, {.ms = 800}, {.ms = 900}, {.ms = 300}};
static const struct fake_heard words_at_last[] = {{.final = "stop", .held = true}};
static const struct fake_heard no_words[] = {{.final = "", .held = true}};
static const struct fake_heard a_word_early[] = {{.partials = {"stop"}, .partial_ms = 100, .final = "stop it"}};

#define MS(n) ((size_t)24000 * 2 * (n) / 1000)

static void await_audio(struct voice_call *s, size_t bytes)
{
    while (s->audio.len < bytes)
        assert_int_equal(waitlist_wait(&s->changed, NULL), 0);
}

static void begin(struct voice_call *s, struct env *env, const struct fake_heard *heard, const struct step *reply)
{
    session_init(s, env);
    scripted_set(env->llm, reply, answer);
    fake_stt_init(&s->stt, heard, 1);
    fake_tts_init(&s->tts, at_ease, COUNT(at_ease));
}

/* The reply was heard up to here, whatever the clock says. */
static void heard_up_to(struct voice_call *s, uint64_t ms)
{
    assert_ok(s->env, voice_truncate(s->v, str_c(s->spoken), ms, &s->env->e));
    await(s, "cut");
    forget_log(s);
}

static void interrupt_here(struct voice_call *s)
{
    hush(s);
    speak_ms(s, 500);
    await(s, "started");
}

static void words_interrupt_what_is_heard(struct env *env)
{
    struct voice_call s;
    begin(&s, env, words_at_last, story);
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    expect(&s, "item+:user item.:user reply output+ item+:assistant text:It was a dark night.  audio "
               "text:A wolf came.  audio");
    interrupt_here(&s);
    expect(&s, "started");
    heard_up_to(&s, 1850); /* the client says what it played */
    scripted_release(env->llm);
    hush(&s);
    await(&s, "item.:user");
    expect(&s, "stopped committed item+:user item.:user");
    assert_int_equal(s.audio.len, MS(2200)); /* held back */
    fake_stt_release(&s.stt);
    await(&s, "completed");
    expect(&s, "heard:stop output. item.:assistant cancelled:turn_detected reply output+ item+:assistant text:Fine. "
               "audio output. item.:assistant completed");
    assert_str(asked(&s, 1), "user:a story assistant:It was a dark night. A wolf user:stop");
    session_end(&s);
}

static void a_partial_is_enough(struct env *env)
{
    struct voice_call s;
    begin(&s, env, a_word_early, story);
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    forget_log(&s);
    interrupt_here(&s);
    await(&s, "cancelled");
    assert_true(str_starts(buf_str(&s.log), STR("started ")));
    assert_true(str_find(buf_str(&s.log), STR("output. item.:assistant cancelled:turn_detected")) > 0);
    assert_true(str_find(buf_str(&s.log), STR("stopped")) < 0);
    hush(&s);
    await(&s, "completed");
    session_end(&s);
}

static void long_speech_interrupts_without_words(struct env *env)
{
    struct voice_call s;
    begin(&s, env, no_words, story);
    s.policy.interrupt_min_ms = 400;
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    forget_log(&s);
    hush(&s);
    speak_ms(&s, 900);
    await(&s, "cancelled");
    expect(&s, "started output. item.:assistant cancelled:turn_detected");
    hush(&s);
    await(&s, "item.:user");
    fake_stt_release(&s.stt);
    await(&s, "heard");
    let_pass();
    assert_int_equal(atomic_load(&env->llm->nrequests), 1); /* no words: no answer */
    session_end(&s);
}

static void short_speech_does_not(struct env *env)
{
    struct voice_call s;
    begin(&s, env, no_words, story);
    s.policy.interrupt_min_ms = 400;
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    forget_log(&s);
    hush(&s);
    speak_ms(&s, 240);
    await(&s, "started");
    task_sleep(500, NULL); /* the speaker's silence is no speech, however long it lasts */
    expect(&s, "started");
    assert_in_range(voice_input_voiced_ms(s.v->input), 1, 399);
    session_end(&s);
}

static void without_resume_speech_interrupts_at_once(struct env *env)
{
    struct voice_call s;
    begin(&s, env, no_words, story);
    s.policy.resume = false;
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    forget_log(&s);
    hush(&s);
    speak_ms(&s, 500);
    await(&s, "cancelled");
    expect(&s, "started output. item.:assistant cancelled:turn_detected");
    session_end(&s);
}

static void a_false_interruption_is_resumed(struct env *env)
{
    struct voice_call s;
    begin(&s, env, no_words, story);
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    interrupt_here(&s);
    heard_up_to(&s, 1600); /* in the second sentence */
    hush(&s);
    await(&s, "item.:user");
    forget_log(&s);
    fake_stt_release(&s.stt);
    await_audio(&s, MS(2200 + 900)); /* the second sentence again: the third script */
    assert_string_equal(s.tts.texts[2], "A wolf came.");
    scripted_release(env->llm);
    await(&s, "completed");
    expect(&s, "heard audio text:He was hungry. audio output. item.:assistant completed");
    assert_string_equal(s.text, "It was a dark night. A wolf came. He was hungry.");
    assert_str(buf_str(&s.said), "It was a dark night. A wolf came. He was hungry.");
    assert_int_equal(atomic_load(&env->llm->nrequests), 1);
    /* What was not heard the first time does not count: 1600 ms, and 900 of the sentence again. */
    struct item *item = voice_item_find(s.v, str_c(s.spoken));
    assert_int_equal(voice_item_fits(item, 1400), strlen("It was a dark night."));
    assert_int_equal(voice_item_fits(item, 2500), strlen("It was a dark night. A wolf came."));
    session_end(&s);
}

static void nothing_is_said_again_that_was_heard(struct env *env)
{
    struct voice_call s;
    begin(&s, env, no_words, story);
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    interrupt_here(&s);
    heard_up_to(&s, 2200);
    hush(&s);
    await(&s, "item.:user");
    forget_log(&s);
    fake_stt_release(&s.stt);
    await(&s, "heard");
    scripted_release(env->llm);
    await(&s, "completed");
    assert_int_equal(atomic_load(&s.tts.opened), 3);
    assert_int_equal(s.audio.len, MS(2200 + 900));
    session_end(&s);
}

/* The client has all of the reply, and is still playing it. */
static void begin_heard_in(struct voice_call *s)
{
    session_start(s);
    ask_text(s, "a story");
    await(s, "completed");
    forget_log(s);
    s->v->playback.heard_ms = 0; /* however long that took */
    s->v->playback.since_ms = loop_now_ms(s->v->loop);
    interrupt_here(s);
}

static void begin_heard(struct voice_call *s, struct env *env, const struct fake_heard *heard)
{
    begin(s, env, heard, whole_story);
    begin_heard_in(s);
}

static void a_reply_that_was_sent_is_cut(struct env *env)
{
    struct voice_call s;
    begin_heard(&s, env, words_at_last);
    heard_up_to(&s, 1600);
    hush(&s);
    await(&s, "item.:user");
    fake_stt_release(&s.stt);
    await(&s, "completed");
    expect(&s, "stopped committed item+:user item.:user heard:stop cut reply output+ item+:assistant text:Fine. audio "
               "output. item.:assistant completed");
    assert_str(asked(&s, 1), "user:a story assistant:It was a dark night. A user:stop");
    session_end(&s);
}

static void a_reply_that_was_sent_goes_on(struct env *env)
{
    struct voice_call s;
    char first[VOICE_ID];
    begin_heard(&s, env, no_words);
    heard_up_to(&s, 1600);
    memcpy(first, s.spoken, VOICE_ID);
    hush(&s);
    await(&s, "item.:user");
    fake_stt_release(&s.stt);
    await(&s, "completed");
    expect(&s,
           "stopped committed item+:user item.:user heard cut reply output+ item+:assistant text:A wolf came.  audio "
           "text:He was hungry. audio output. item.:assistant completed");
    assert_int_equal(atomic_load(&env->llm->nrequests), 1);
    assert_str(voice_find(s.v, str_c(first))->text, "It was a dark night.");
    session_end(&s);
}

static void a_reply_that_was_sent_is_cut_at_once(struct env *env)
{
    struct voice_call s;
    begin(&s, env, no_words, whole_story);
    s.policy.resume = false;
    begin_heard_in(&s);
    expect(&s, "started cut");
    assert_int_equal(voice_find(s.v, str_c(s.spoken))->status, VOICE_INCOMPLETE);
    session_end(&s);
}

static void interruption_that_is_switched_off(struct env *env)
{
    struct voice_call s;
    begin(&s, env, words_at_last, story);
    s.settings.interrupt_response = false;
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    forget_log(&s);
    interrupt_here(&s);
    hush(&s);
    await(&s, "item.:user");
    fake_stt_release(&s.stt);
    await(&s, "heard:stop");
    expect(&s, "started stopped committed item+:user item.:user heard:stop");
    scripted_release(env->llm);
    await_times(&s, "completed", 2);
    expect(&s, "text:He was hungry. audio output. item.:assistant completed reply output+ item+:assistant text:Fine. "
               "audio output. item.:assistant completed");
    assert_string_equal(s.text, "Fine.");
    session_end(&s);
}

/* Another utterance begins before it is known what the first one was. */
static void every_utterance_must_come_to_nothing(struct env *env)
{
    struct voice_call s;
    begin(&s, env, no_words, story);
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    interrupt_here(&s);
    heard_up_to(&s, 2200);
    hush(&s);
    await(&s, "item.:user");
    speak_ms(&s, 500);
    await(&s, "started");
    fake_stt_release(&s.stt);
    scripted_release(env->llm);
    await(&s, "heard");
    task_sleep(20, NULL);
    expect(&s, "stopped committed item+:user item.:user started heard");
    hush(&s);
    await(&s, "item.:user");
    fake_stt_release(&s.stt);
    await(&s, "completed");
    expect(&s, "stopped committed item+:user item.:user heard text:He was hungry. audio output. item.:assistant "
               "completed");
    session_end(&s);
}

static void what_is_not_understood_interrupts_nothing(struct env *env)
{
    static const struct fake_heard failing[] = {{.fail = ERR_UPSTREAM}};
    struct voice_call s;
    begin(&s, env, failing, story);
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    interrupt_here(&s);
    heard_up_to(&s, 2200);
    hush(&s);
    await(&s, "unheard:UPSTREAM");
    scripted_release(env->llm);
    await(&s, "completed");
    assert_int_equal(atomic_load(&env->llm->nrequests), 1);
    session_end(&s);
}

/* The client stops playing without anybody having spoken; the reply goes on behind that. */
static void truncating_what_is_spoken(struct env *env)
{
    struct voice_call s;
    begin(&s, env, no_words, story);
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    heard_up_to(&s, 1400);
    scripted_release(env->llm);
    await(&s, "completed");
    const struct item *item = voice_item_find(s.v, str_c(s.spoken));
    assert_int_equal(voice_item_fits(item, 1400), strlen("It was a dark night."));
    assert_int_equal(voice_item_fits(item, 1400 + 900), item->text.len);
    assert_int_equal(s.audio.len, MS(2200 + 900));
    session_end(&s);
}

/* ---- while it thinks ---- */

static const struct step thinking[] = {HOLD, SAY("Sunny."), FINISH("stop"), DONE};
static const struct fake_heard two_parts[] = {{.final = "the weather"}, {.final = "in paris", .held = true}};
static const struct fake_heard part_and_cough[] = {{.final = "the weather"}, {.final = "", .held = true}};

static void words_go_to_the_same_answer(struct env *env)
{
    struct voice_call s;
    begin(&s, env, two_parts, thinking);
    fake_stt_init(&s.stt, two_parts, 2);
    session_start(&s);
    utter(&s);
    scripted_await_hold(env->llm);
    await(&s, "reply");
    forget_log(&s);
    utter(&s);
    await(&s, "item.:user");
    fake_stt_release(&s.stt);
    await(&s, "completed");
    expect(&s, "started stopped committed item+:user item.:user heard:in paris cancelled:turn_detected reply output+ "
               "item+:assistant text:Fine. audio output. item.:assistant completed");
    assert_str(asked(&s, 1), "user:the weather user:in paris");
    session_end(&s);
}

static void a_cough_only_delays_the_answer(struct env *env)
{
    struct voice_call s;
    begin(&s, env, part_and_cough, thinking);
    fake_stt_init(&s.stt, part_and_cough, 2);
    session_start(&s);
    utter(&s);
    scripted_await_hold(env->llm);
    await(&s, "reply");
    forget_log(&s);
    utter(&s);
    await(&s, "item.:user");
    scripted_release(env->llm);
    task_sleep(20, NULL);
    expect(&s, "started stopped committed item+:user item.:user"); /* held back */
    fake_stt_release(&s.stt);
    await(&s, "completed");
    expect(&s, "heard output+ item+:assistant text:Sunny. audio output. item.:assistant completed");
    session_end(&s);
}

/* Whatever interrupted it, the question is still there. */
static void the_question_is_answered_in_any_case(struct env *env)
{
    struct voice_call s;
    begin(&s, env, part_and_cough, thinking);
    fake_stt_init(&s.stt, part_and_cough, 2);
    s.policy.interrupt_min_ms = 0;
    session_start(&s);
    utter(&s);
    scripted_await_hold(env->llm);
    await(&s, "reply");
    forget_log(&s);
    utter(&s);
    await(&s, "item.:user");
    fake_stt_release(&s.stt);
    await(&s, "completed");
    assert_true(str_starts(buf_str(&s.log), STR("started cancelled:turn_detected stopped committed")));
    assert_string_equal(s.text, "Fine.");
    session_end(&s);
}

static void thinking_that_is_not_to_be_interrupted(struct env *env)
{
    struct voice_call s;
    begin(&s, env, two_parts, thinking);
    fake_stt_init(&s.stt, two_parts, 2);
    s.policy.interrupt_thinking = false;
    session_start(&s);
    utter(&s);
    scripted_await_hold(env->llm);
    await(&s, "reply");
    forget_log(&s);
    utter(&s);
    await(&s, "item.:user");
    scripted_release(env->llm);
    await(&s, "completed");
    expect(&s, "started stopped committed item+:user item.:user output+ item+:assistant text:Sunny. audio output. "
               "item.:assistant completed");
    fake_stt_release(&s.stt);
    await(&s, "completed");
    expect(&s, "heard:in paris reply output+ item+:assistant text:Fine. audio output. item.:assistant completed");
    /* the answer stands where its question is */
    assert_str(asked(&s, 1), "user:the weather assistant:Sunny. user:in paris");
    session_end(&s);
}

static const struct fake_heard first_part_held[] = {{.final = "the weather", .held = true}, {.final = "in paris"}};

static void who_goes_on_speaking_is_waited_for(struct env *env)
{
    struct voice_call s;
    begin(&s, env, first_part_held, answer);
    fake_stt_init(&s.stt, first_part_held, 2);
    session_start(&s);
    utter(&s);
    await(&s, "item.:user");
    speak_ms(&s, 600);
    await_times(&s, "started", 2);
    fake_stt_release(&s.stt);
    await(&s, "heard:the weather");
    task_sleep(20, NULL);
    assert_int_equal(atomic_load(&env->llm->nrequests), 0);
    hush(&s);
    await(&s, "completed");
    assert_str(asked(&s, 0), "user:the weather user:in paris");
    assert_int_equal(count_words_of(&s, "reply"), 1);
    session_end(&s);
}

/* What an official client does by itself when somebody speaks. */
static void a_client_that_cancels_and_truncates(struct env *env)
{
    struct voice_call s;
    begin(&s, env, words_at_last, story);
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    forget_log(&s);
    interrupt_here(&s);
    s.in_call = true;
    assert_ok(env, voice_cancel(s.v, STR(""), &env->e));
    assert_ok(env, voice_truncate(s.v, str_c(s.spoken), 1400, &env->e));
    s.in_call = false;
    await(&s, "cut");
    expect(&s, "started output. item.:assistant cancelled:client_cancelled cut");
    assert_str(voice_find(s.v, str_c(s.spoken))->text, "It was a dark night.");
    hush(&s);
    await(&s, "item.:user");
    fake_stt_release(&s.stt);
    await(&s, "completed");
    assert_str(asked(&s, 1), "user:a story assistant:It was a dark night. user:stop");
    session_end(&s);
}

static void a_text_reply_is_interrupted_too(struct env *env)
{
    struct voice_call s;
    begin(&s, env, words_at_last, story);
    s.settings.audio = false;
    session_start(&s);
    ask_text(&s, "a story");
    await(&s, "text:It");
    forget_log(&s);
    interrupt_here(&s);
    scripted_release(env->llm);
    hush(&s);
    await(&s, "item.:user");
    fake_stt_release(&s.stt);
    await(&s, "completed");
    expect(&s, "started stopped committed item+:user item.:user heard:stop output. item.:assistant "
               "cancelled:turn_detected reply output+ item+:assistant text:Fine. output. item.:assistant completed");
    session_end(&s);
}

static void what_is_cleared_interrupts_nothing(struct env *env)
{
    struct voice_call s;
    begin(&s, env, words_at_last, story);
    session_start(&s);
    ask_text(&s, "a story");
    await_audio(&s, MS(2200));
    interrupt_here(&s);
    heard_up_to(&s, 2200);
    voice_clear(s.v);
    scripted_release(env->llm);
    await(&s, "completed");
    expect(&s, "cleared text:He was hungry. audio output. item.:assistant completed");
    session_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(words_interrupt_what_is_heard),
        ENV_TEST(a_partial_is_enough),
        ENV_TEST(long_speech_interrupts_without_words),
        ENV_TEST(short_speech_does_not),
        ENV_TEST(without_resume_speech_interrupts_at_once),
        ENV_TEST(a_false_interruption_is_resumed),
        ENV_TEST(nothing_is_said_again_that_was_heard),
        ENV_TEST(a_reply_that_was_sent_is_cut),
        ENV_TEST(a_reply_that_was_sent_goes_on),
        ENV_TEST(a_reply_that_was_sent_is_cut_at_once),
        ENV_TEST(interruption_that_is_switched_off),
        ENV_TEST(every_utterance_must_come_to_nothing),
        ENV_TEST(what_is_not_understood_interrupts_nothing),
        ENV_TEST(truncating_what_is_spoken),
        ENV_TEST(words_go_to_the_same_answer),
        ENV_TEST(a_cough_only_delays_the_answer),
        ENV_TEST(the_question_is_answered_in_any_case),
        ENV_TEST(thinking_that_is_not_to_be_interrupted),
        ENV_TEST(who_goes_on_speaking_is_waited_for),
        ENV_TEST(a_client_that_cancels_and_truncates),
        ENV_TEST(a_text_reply_is_interrupted_too),
        ENV_TEST(what_is_cleared_interrupts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
