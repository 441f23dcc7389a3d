/* The whole turn with nothing scripted: flite speaks for the user, pocketsphinx listens, the embedded responder
 * answers, flite speaks again. */
#include "unit/support/voice_env.h"

#include "llm/demo/demo.h"
#include "unit/speech/local_env.h"

struct local {
    struct voice_call s;
    struct tts *tts;
    struct stt *stt;
    struct llm *demo;
    struct buf pcm;
};

static void open_local(struct local *l, struct env *env)
{
    l->tts = tts_local_new(NULL);
    l->stt = stt_local_new(NULL);
    l->demo = llm_demo_new(NULL);
    l->pcm = (struct buf)BUF_INIT(MIB(16));
    env->chat->config.llm = l->demo;
    session_init(&l->s, env);
    l->s.policy.tts = l->tts;
    l->s.policy.stt = l->stt;
    l->s.policy.silence_ms = 500;
    l->s.policy.max_silence_ms = 1500;
    l->s.settings = VOICE_DEFAULTS;
    session_start(&l->s);
}

static void close_local(struct local *l, struct env *env)
{
    session_end(&l->s);
    buf_free(&l->pcm);
    while (task_count() > 1) /* drivers are freed once no task uses them */
        task_sleep(1, NULL);
    env->chat->config.llm = NULL;
    llm_free(l->demo);
    tts_free(l->tts);
    stt_free(l->stt);
}

static void user_says(struct local *l, const char *text)
{
    struct env *env = l->s.env;
    struct tts_request rq = {.text = str_c(text), .voice = STR("rms"), .format = SPEECH_PCM, .rate = 24000};
    buf_clear(&l->pcm);
    fake_silence(&l->pcm, 24000, 600);
    assert_ok(env, say(l->tts, &rq, &l->pcm, &env->e));
    fake_silence(&l->pcm, 24000, 2000);
    for (struct str rest = buf_str(&l->pcm); rest.n; rest = str_from(rest, 960)) {
        assert_ok(env, voice_append(l->s.v, str_n(rest.p, MIN(rest.n, (size_t)960)), &env->e));
        task_yield(NULL);
    }
}

static void a_question_is_heard_and_answered(struct env *env)
{
    struct local l;
    open_local(&l, env);
    user_says(&l, "hello how are you today");
    await(&l.s, "completed");
    const struct voice_item *heard = voice_find(l.s.v, str_c(l.s.user));
    char *text = str_dup(heard->text);
    assert_true(word_errors("hello how are you today", text) <= 1);
    free(text);
    assert_true(heard->transcribed && heard->status == VOICE_COMPLETED);
    assert_string_equal(l.s.text,
                        "I am well, thank you: every word you read was made on this machine. How can I help?");
    assert_str(buf_str(&l.s.said), l.s.text);
    /* Some five seconds that can be heard. */
    assert_in_range(l.s.audio.len, 24000 * 2 * 3, 24000 * 2 * 12);
    assert_true(loudness(buf_str(&l.s.audio)) > 500);
    /* And understood. */
    struct heard again;
    struct stt_request rq = {.rate = 24000};
    assert_ok(env, understand(l.stt, &rq, buf_str(&l.s.audio), &again, &env->e));
    assert_true(word_errors("i am well thank you every word you read was made on this machine how can i help",
                            again.text) <= 6);
    close_local(&l, env);
}

static void an_interruption_is_heard(struct env *env)
{
    struct local l;
    open_local(&l, env);
    struct buf long_story = BUF_INIT(KIB(64)); /* minutes: it is still told when the user speaks, however slow all is */
    buf_lit(&long_story, "say");
    for (unsigned i = 0; i < 60; i++)
        buf_lit(&long_story, " The wolf ran through the forest and was hungry.");
    ask_text(&l.s, buf_cstr(&long_story));
    buf_free(&long_story);
    await(&l.s, "audio");
    user_says(&l, "i want to buy a new computer");
    await(&l.s, "heard:");
    while (count_words_of(&l.s, "reply") < 2 || l.s.v->reply)
        waitlist_wait(&l.s.changed, NULL);
    char *text = str_dup(voice_find(l.s.v, str_c(l.s.user))->text);
    assert_true(word_errors("i want to buy a new computer", text) <= 2);
    free(text);
    assert_int_equal(count_words_of(&l.s, "cancelled:turn_detected"), 1);
    assert_int_equal(count_words_of(&l.s, "completed"), 1);
    /* It had said some of what it wanted to say. */
    const struct item *first = container_of(l.s.v->items.next->next, struct item, link);
    assert_int_equal(first->shown.kind, VOICE_ITEM_ASSISTANT);
    assert_int_equal(first->shown.status, VOICE_INCOMPLETE);
    assert_true(first->shown.text.n < first->text.len);
    close_local(&l, env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(a_question_is_heard_and_answered),
        ENV_TEST(an_interruption_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
