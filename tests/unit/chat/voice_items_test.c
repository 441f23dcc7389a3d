/* The items of a session: their places, their ends, and what remains of those that were cut. */
#include "unit/support/voice_env.h"

static int add(struct voice_call *s, const char *id, const char *after, const char *text)
{
    struct voice_new_item item = {.id = str_c(id), .after = str_c(after), .kind = VOICE_ITEM_USER, .text = str_c(text)};
    s->in_call = true;
    int result = voice_add_item(s->v, &item, &s->env->e);
    s->in_call = false;
    return result;
}

static struct str ids(struct voice_call *s)
{
    struct buf all = BUF_INIT(MIB(1));
    list_each(at, &s->v->items)
        buf_addf(&all, "%s%s", all.len ? " " : "", container_of(at, struct item, link)->shown.id);
    struct str kept = arena_str(s->env->a, buf_str(&all));
    buf_free(&all);
    return kept;
}

static void items_have_places(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    session_start(&s);
    assert_ok(env, add(&s, "b", "", "two"));
    await(&s, "item.:user");
    assert_string_equal(s.previous, "none");
    assert_ok(env, add(&s, "d", "", "four"));
    assert_ok(env, add(&s, "a", "root", "one"));
    assert_ok(env, add(&s, "c", "b", "three"));
    await_times(&s, "item.:user", 4);
    assert_string_equal(s.previous, "b");
    assert_str(ids(&s), "a b c d");
    assert_refused(env, add(&s, "c", "", "again"), ERR_INVALID_REQUEST);
    assert_refused(env, add(&s, "root", "", "a name"), ERR_INVALID_REQUEST);
    assert_refused(env, add(&s, "e", "nobody", "behind"), ERR_INVALID_REQUEST);
    assert_refused(env, add(&s, "0123456789012345678901234567890123456789", "", "long id"), ERR_INVALID_REQUEST);
    assert_refused(env, add(&s, "e", "", "\xff\xfe"), ERR_INVALID_REQUEST);
    respond(&s);
    await(&s, "completed");
    assert_str(asked(&s, 0), "user:one user:two user:three user:four");
    session_end(&s);
}

static void items_too_long_are_refused(struct env *env)
{
    struct voice_call s;
    char *text = mem_alloc(VOICE_ITEM_TEXT + 2);
    memset(text, 'a', VOICE_ITEM_TEXT + 1);
    text[VOICE_ITEM_TEXT + 1] = 0;
    session_init(&s, env);
    session_start(&s);
    assert_refused(env, add(&s, "", "", text), ERR_INVALID_REQUEST);
    text[VOICE_ITEM_TEXT] = 0;
    for (size_t i = 0; i < 8; i++)
        assert_ok(env, add(&s, "", "", text));
    assert_int_equal(s.v->nitems, VOICE_ITEMS_TEXT / VOICE_ITEM_TEXT); /* the oldest are forgotten */
    session_end(&s);
    free(text);
}

static void the_oldest_are_forgotten(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    s.policy.max_items = 3;
    session_start(&s);
    assert_ok(env, add(&s, "a", "", "one"));
    assert_ok(env, add(&s, "b", "", "two"));
    assert_ok(env, add(&s, "c", "", "three"));
    assert_ok(env, add(&s, "d", "", "four"));
    assert_str(ids(&s), "b c d");
    assert_ok(env, add(&s, "e", "root", "five"));
    assert_str(ids(&s), "e c d");
    assert_null(voice_find(s.v, STR("a")));
    session_end(&s);
}

static void deleted_items_are_gone(struct env *env)
{
    static const struct step slow[] = {SAY("One."), HOLD, SAY(" Two."), DONE};
    struct voice_call s;
    session_init(&s, env);
    scripted_set(env->llm, slow);
    s.settings.audio = false;
    session_start(&s);
    assert_ok(env, add(&s, "a", "", "one"));
    assert_ok(env, add(&s, "b", "", "two"));
    assert_refused(env, voice_delete(s.v, STR("x"), &env->e), ERR_NOT_FOUND);
    s.in_call = true;
    assert_ok(env, voice_delete(s.v, STR("a"), &env->e));
    s.in_call = false;
    assert_refused(env, voice_delete(s.v, STR("a"), &env->e), ERR_NOT_FOUND);
    await(&s, "deleted");
    assert_string_equal(s.item, "a");
    respond(&s);
    await(&s, "text:One.");
    assert_str(asked(&s, 0), "user:two");
    assert_refused(env, voice_delete(s.v, str_c(s.spoken), &env->e), ERR_INVALID_REQUEST);
    scripted_release(env->llm);
    await(&s, "completed");
    assert_ok(env, voice_delete(s.v, str_c(s.spoken), &env->e));
    session_end(&s);
}

/* A reply waits for the recognition of an item that goes away. */
static void deleting_ends_the_wait(struct env *env)
{
    static const struct fake_heard never[] = {{.stalled = true}};
    struct voice_call s;
    session_init(&s, env);
    fake_stt_init(&s.stt, never, 1);
    session_start(&s);
    assert_ok(env, add(&s, "a", "", "one"));
    utter(&s);
    await(&s, "item.:user started stopped committed item+:user item.:user");
    respond(&s);
    await(&s, "reply");
    task_sleep(5, NULL);
    assert_int_equal(atomic_load(&env->llm->nrequests), 0);
    assert_ok(env, voice_delete(s.v, str_c(s.user), &env->e));
    await(&s, "completed");
    assert_str(asked(&s, 0), "user:one");
    session_end(&s);
}

static void truncated_items_keep_what_was_heard(struct env *env)
{
    static const struct step reply[] = {SAY("It was a dark night. A wolf came by."), FINISH("stop"), DONE};
    static const struct fake_said at_ease[] = {{.ms = 1400}, {.ms = 1000}};
    static const struct {
        uint64_t ms;
        const char *text;
    } cuts[] = {{99999, "It was a dark night. A wolf came by."},
                {2400, "It was a dark night. A wolf came by."},
                {2399, "It was a dark night. A wolf came"},
                {1950, "It was a dark night. A wolf"},
                {1400, "It was a dark night."},
                {1399, "It was a dark night."},
                {700, "It was a"},
                {20, ""},
                {0, ""}};
    struct voice_call s;
    session_init(&s, env);
    scripted_set(env->llm, reply);
    fake_tts_init(&s.tts, at_ease, 2);
    session_start(&s);
    ask_text(&s, "a story");
    await(&s, "completed");
    for (size_t i = 0; i < COUNT(cuts); i++) {
        forget_log(&s);
        assert_ok(env, voice_truncate(s.v, str_c(s.spoken), cuts[i].ms, &env->e));
        assert_str(voice_find(s.v, str_c(s.spoken))->text, cuts[i].text);
        await(&s, "cut");
        assert_int_equal(s.at_ms, cuts[i].ms);
    }
    assert_int_equal(voice_find(s.v, str_c(s.spoken))->status, VOICE_INCOMPLETE);
    assert_ok(env, voice_truncate(s.v, str_c(s.spoken), 1400, &env->e));
    respond(&s);
    await(&s, "completed");
    assert_str(asked(&s, 1), "user:a story assistant:It was a dark night.");
    assert_refused(env, voice_truncate(s.v, str_c(s.user), 10, &env->e), ERR_INVALID_REQUEST);
    assert_refused(env, voice_truncate(s.v, STR("nobody"), 10, &env->e), ERR_NOT_FOUND);
    session_end(&s);
}

static void cuts_keep_characters_whole(struct env *env)
{
    static const struct step reply[] = {SAY("\xe6\x98\x94\xe6\x98\x94\xe6\x98\x94\xe6\x98\x94\xe3\x80\x82"),
                                        FINISH("stop"), DONE};
    static const struct fake_said at_ease[] = {{.ms = 1500}};
    struct voice_call s;
    session_init(&s, env);
    scripted_set(env->llm, reply);
    fake_tts_init(&s.tts, at_ease, 1);
    session_start(&s);
    ask_text(&s, "a story");
    await(&s, "completed");
    for (uint64_t ms = 0; ms <= 1500; ms += 50) {
        assert_ok(env, voice_truncate(s.v, str_c(s.spoken), ms, &env->e));
        struct str text = voice_find(s.v, str_c(s.spoken))->text;
        assert_int_equal(text.n % 3, 0);
        assert_in_range(text.n, ms >= 400 ? 3 : 0, ms / 100 + 1);
    }
    session_end(&s);
}

static void items_of_audio_are_recognized(struct env *env)
{
    struct voice_call s;
    struct buf pcm = BUF_INIT(MIB(1));
    session_init(&s, env);
    session_start(&s);
    fake_voice(&pcm, RATE, 600);
    assert_refused(env, voice_add_audio(s.v, STR("a"), STR(""), str_n(pcm.data, 100), &env->e), ERR_INVALID_REQUEST);
    assert_null(voice_find(s.v, STR("a")));
    s.in_call = true;
    assert_ok(env, voice_add_audio(s.v, STR("a"), STR(""), buf_str(&pcm), &env->e));
    s.in_call = false;
    respond(&s); /* and waits for it */
    await(&s, "completed");
    expect(&s, "item+:user item.:user reply heard:hello output+ item+:assistant text:ok audio output. item.:assistant "
               "completed");
    assert_str(asked(&s, 0), "user:hello");
    assert_true(voice_find(s.v, STR("a"))->audio);
    assert_int_equal(s.v->added, 0);
    /* Too many at a time; and some are not recognized when the session ends. */
    for (size_t i = 0; i < VOICE_ADDED_AUDIO; i++)
        assert_ok(env, voice_add_audio(s.v, STR(""), STR(""), buf_str(&pcm), &env->e));
    assert_refused(env, voice_add_audio(s.v, STR(""), STR(""), buf_str(&pcm), &env->e), ERR_OVERLOADED);
    session_end(&s);
    buf_free(&pcm);
}

static void the_model_sees_what_fits(struct env *env)
{
    struct voice_call s;
    session_init(&s, env);
    env->chat->config.history_tokens = 30;
    s.settings.instructions = STR("Brief.");
    s.settings.audio = false;
    session_start(&s);
    struct voice_new_item system = {.kind = VOICE_ITEM_SYSTEM, .text = STR("The shop is closed.")};
    struct voice_new_item said = {.kind = VOICE_ITEM_ASSISTANT, .text = STR("Hello, may I help you with something?")};
    assert_ok(env,
              add(&s, "", "", "This is a text that is much too long for the budget when all the others are there"));
    assert_ok(env, voice_add_item(s.v, &system, &env->e));
    assert_ok(env, voice_add_item(s.v, &said, &env->e));
    assert_ok(env, add(&s, "", "", "Open?"));
    respond(&s);
    await(&s, "completed");
    assert_str(asked(&s, 0),
               "system:Brief. system:The shop is closed. assistant:Hello, may I help you with something? user:Open?");
    session_end(&s);
}

static void the_answer_follows_what_it_answers(struct env *env)
{
    static const struct step slow[] = {HOLD, SAY("Yes."), DONE};
    struct voice_call s;
    session_init(&s, env);
    scripted_set(env->llm, slow);
    session_start(&s);
    assert_ok(env, add(&s, "a", "", "Is it?"));
    respond(&s);
    scripted_await_hold(env->llm);
    assert_ok(env, add(&s, "b", "", "And is it so?"));
    scripted_release(env->llm);
    await(&s, "item+:assistant");
    assert_string_equal(s.previous, "a");
    await(&s, "completed");
    session_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(items_have_places),          ENV_TEST(items_too_long_are_refused),
        ENV_TEST(the_oldest_are_forgotten),   ENV_TEST(deleted_items_are_gone),
        ENV_TEST(deleting_ends_the_wait),     ENV_TEST(truncated_items_keep_what_was_heard),
        ENV_TEST(cuts_keep_characters_whole), ENV_TEST(items_of_audio_are_recognized),
        ENV_TEST(the_model_sees_what_fits),   ENV_TEST(the_answer_follows_what_it_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
