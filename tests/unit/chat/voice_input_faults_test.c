/* Recognizers that fail, stall or are busy; speakers and callers that go away. */
#include "unit/chat/voice_input_env.h"

/* ---- failures ---- */

static const struct {
    struct fake_heard script;
    const char *log;
} failing[] = {
    {{.refuse = ERR_OVERLOADED}, "started 1|stopped 1|failed 1 OVERLOADED"},
    {{.refuse = ERR_NOT_CONFIGURED}, "started 1|stopped 1|failed 1 NOT_CONFIGURED"},
    {{.refuse = ERR_UNAUTHORIZED}, "started 1|stopped 1|failed 1 UPSTREAM"},
    {{.fail = ERR_UPSTREAM}, "started 1|stopped 1|failed 1 UPSTREAM"},
    {{.fail = ERR_UPSTREAM, .fail_ms = 400}, "started 1|stopped 1|failed 1 UPSTREAM"},
    {{.fail = ERR_STORE_UNAVAILABLE, .fail_ms = 1}, "started 1|stopped 1|failed 1 UPSTREAM"},
    {{.write_fail = ERR_BODY_TOO_LARGE, .fail_ms = 300}, "started 1|stopped 1|failed 1 BODY_TOO_LARGE"},
};

static void failures(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < COUNT(failing); i++) {
        struct fake_heard scripts[] = {failing[i].script, {.final = "better"}};
        struct ear ear;
        ear_open(&ear, &listening, scripts, 2);
        for (unsigned k = 1; k <= 2; k++) {
            ear_sound(&ear, VOICE, 800);
            assert_int_equal(utterances_waiting(ear.in), 0); /* nobody needs what comes behind a failure */
            ear_sound(&ear, SILENCE, 500);
            ear_await_outcomes(&ear, k);
            ear_expect(&ear, k == 1 ? failing[i].log : "started 2|stopped 2|final 2 better");
        }
        assert_int_equal(voice_input_busy(ear.in), 0);
        ear_close(&ear);
    }
}

static void test_failures_are_told_in_own_words(void **state)
{
    (void)state;
    run_task(failures, NULL);
}

static void without(void *arg)
{
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    ear_open(&ear, &how, NULL, 0);
    ear_sound(&ear, VOICE, 800);
    ear_sound(&ear, SILENCE, 500);
    ear_await_outcomes(&ear, 1);
    ear_expect(&ear, "started 1|stopped 1|failed 1 NOT_CONFIGURED");
    how.detect = false;
    voice_input_configure(ear.in, &how);
    ear_sound(&ear, VOICE, 800);
    assert_int_equal(voice_input_commit(ear.in), 2);
    ear_await_outcomes(&ear, 2);
    ear_expect(&ear, "failed 2 NOT_CONFIGURED");
    ear_close(&ear);
}

static void test_without_a_recognizer(void **state)
{
    (void)state;
    run_task(without, NULL);
}

static void stalls(void *arg)
{
    static const struct fake_heard scripts[][2] = {{{.stalled = true}, {.final = "better"}},
                                                   {{.full = true}, {.final = "better"}},
                                                   {{.open_held = true}, {.final = "better"}},
                                                   {{.held = true}, {.final = "better"}}};
    struct voice_listening how = listening;
    (void)arg;
    how.stall_timeout_ms = 50;
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct ear ear;
        ear_open(&ear, &how, scripts[i], 2);
        ear_sound(&ear, VOICE, 800);
        assert_int_equal(voice_input_commit(ear.in), 1);
        ear_await_outcomes(&ear, 1);
        ear_expect(&ear, "started 1|stopped 1|failed 1 TIMEOUT");
        ear_close(&ear);
    }
}

static void test_a_recognizer_that_stalls(void **state)
{
    (void)state;
    run_task(stalls, NULL);
}

/* Who speaks for longer than the timeout is not cut off, whatever the recognizer does. */
static void patience(void *arg)
{
    static const struct fake_heard script[] = {{.held = true, .final = "at last"}};
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    how.stall_timeout_ms = 30;
    ear_open(&ear, &how, script, 1);
    ear_sound(&ear, VOICE, 800);
    task_sleep(100, NULL);
    ear_expect(&ear, "started 1");
    how.stall_timeout_ms = 600000;
    voice_input_configure(ear.in, &how);
    ear_close(&ear);
}

static void test_the_timeout_begins_with_the_end(void **state)
{
    (void)state;
    run_task(patience, NULL);
}

static void behind(void *arg)
{
    static const struct fake_heard full[] = {{.full = true}};
    struct voice_listening how = listening;
    struct buf pcm = BUF_INIT(MIB(4));
    struct err e = {0};
    struct ear ear;
    (void)arg;
    how.detect = false;
    how.rate = 8000;
    ear_open(&ear, &how, full, 1);
    fake_noise(&pcm, 8000, 10000);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(ear_write(&ear, buf_str(&pcm), &e), 0);
        assert_true(voice_input_commit(ear.in) > 0);
        settle();
    }
    assert_int_equal(ear_write(&ear, buf_str(&pcm), &e), -1);
    assert_int_equal(e.code, ERR_OVERLOADED);
    assert_int_equal(voice_input_busy(ear.in), 6);
    assert_int_equal(voice_input_pending_ms(ear.in), 0);
    assert_int_equal(atomic_load(&ear.stt.most_open), 2);
    ear_expect(&ear, "");
    buf_free(&pcm);
    ear_close(&ear);
}

static void test_so_much_audio_waits(void **state)
{
    (void)state;
    run_task(behind, NULL);
}

/* ---- without detection, recognition is begun anew by the commit ---- */

static void second_chance(void *arg)
{
    static const struct fake_heard first[] = {
        {.refuse = ERR_OVERLOADED}, {.fail = ERR_UPSTREAM, .fail_ms = 300}, {.write_fail = ERR_UPSTREAM}};
    struct voice_listening how = listening;
    (void)arg;
    how.detect = false;
    for (size_t i = 0; i < COUNT(first); i++) {
        struct fake_heard scripts[] = {first[i], {.final = "all of it"}, {.refuse = ERR_OVERLOADED}};
        struct ear ear;
        ear_open(&ear, &how, scripts, 3);
        ear_sound(&ear, VOICE, 1000);
        settle();
        assert_int_equal(atomic_load(&ear.stt.opened), 1);
        assert_int_equal(atomic_load(&ear.stt.open), 0);
        assert_int_equal(voice_input_commit(ear.in), 1);
        ear_await_outcomes(&ear, 1);
        ear_expect(&ear, "final 1 all of it");
        assert_int_equal(ear.stt.last_bytes, RATE * 2);
        ear_sound(&ear, VOICE, 500);
        assert_int_equal(voice_input_commit(ear.in), 2); /* fails twice */
        ear_await_outcomes(&ear, 2);
        ear_expect(&ear, "failed 2 OVERLOADED");
        assert_int_equal(ear.last.audio_ms, 500);
        ear_close(&ear);
    }
}

static void test_a_commit_tries_again(void **state)
{
    (void)state;
    run_task(second_chance, NULL);
}

/* As if nothing had been written for a long time. */
static void starve(struct ear *ear)
{
    ear->in->written_ms -= MIN(ear->in->written_ms, 3600000u);
    timer_stop(ear->in->loop, &ear->in->starved);
    ear->in->starved.fn(&ear->in->starved);
    settle();
}

static void starving(void *arg)
{
    static const struct fake_heard script[] = {{.final = "so far"}};
    struct voice_listening how = listening;
    struct ear ear;
    (void)arg;
    ear_open(&ear, &how, script, 1);
    task_sleep(2, NULL);
    ear_sound(&ear, VOICE, 800);
    ear.in->starved.fn(&ear.in->starved); /* too soon */
    assert_true(voice_input_speaking(ear.in));
    assert_true(timer_running(&ear.in->starved));
    starve(&ear);
    ear_await_outcomes(&ear, 1);
    ear_expect(&ear, "started 1|stopped 1|final 1 so far");
    how.detect = false;
    voice_input_configure(ear.in, &how);
    ear_sound(&ear, VOICE, 500);
    assert_int_equal(atomic_load(&ear.stt.open), 1);
    starve(&ear);
    assert_int_equal(atomic_load(&ear.stt.open), 0); /* the recognizer is for others */
    ear_sound(&ear, VOICE, 500);
    assert_int_equal(voice_input_commit(ear.in), 2);
    ear_await_outcomes(&ear, 2);
    ear_expect(&ear, "final 2 so far");
    assert_int_equal(ear.stt.last_bytes, RATE * 2);
    ear_close(&ear);
}

static void test_speakers_who_went_away(void **state)
{
    (void)state;
    run_task(starving, NULL);
}

/* ---- given up at any time ---- */

static const struct fake_heard states[] = {{.partials = {"a", "b", "c"}, .partial_ms = 200, .final = "c"},
                                           {.open_held = true},
                                           {.full = true},
                                           {.held = true},
                                           {.stalled = true},
                                           {.refuse = ERR_OVERLOADED},
                                           {.fail = ERR_UPSTREAM, .fail_ms = 300}};

/* 500 ms of voice, then silence, in frames; `frames` of them. */
static void speak_some(struct ear *ear, unsigned frames)
{
    struct buf pcm = BUF_INIT(MIB(1));
    fake_voice(&pcm, RATE, 500);
    fake_silence(&pcm, RATE, 500);
    pcm.len = MIN(pcm.len, frames * RATE / 50 * 2);
    ear_feed(ear, &pcm);
}

static void given_up(void *arg)
{
    struct voice_listening how = listening;
    (void)arg;
    for (size_t i = 0; i < 2 * COUNT(states); i++) {
        how.detect = i % 2 == 0;
        for (unsigned frames = 0; frames <= 50; frames += 3) {
            struct ear ear;
            ear_open(&ear, &how, &states[i / 2], 1);
            speak_some(&ear, frames);
            if (frames > 40)
                voice_input_commit(ear.in);
            ear_close(&ear);
        }
    }
    assert_null(voice_input_free(NULL));
}

static void test_freed_at_any_time(void **state)
{
    (void)state;
    run_task(given_up, NULL);
}

static void from_inside(void *arg)
{
    (void)arg;
    for (unsigned event = 1; event <= 6; event++) {
        struct ear ear;
        ear_open(&ear, &listening, states, 1);
        ear.free_at = event;
        speak_some(&ear, 50);
        while (ear.in)
            waitlist_wait(&ear.changed, NULL);
        assert_int_equal(ear.events, event);
        ear_close(&ear);
    }
}

static void test_freed_from_inside_an_event(void **state)
{
    (void)state;
    run_task(from_inside, NULL);
}

static void cleared(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < COUNT(states); i++) {
        for (unsigned frames = 0; frames <= 50; frames += 3) {
            struct fake_heard scripts[] = {states[i], {.final = "better"}};
            struct ear ear;
            ear_open(&ear, &listening, scripts, 2);
            speak_some(&ear, frames);
            uint64_t under_way = voice_input_clear(ear.in);
            assert_true((under_way == 1) == (str_find(buf_str(&ear.log), STR("started")) == 0 &&
                                             str_find(buf_str(&ear.log), STR("stopped")) < 0));
            size_t busy = voice_input_busy(ear.in);
            if (under_way) {
                assert_int_equal(busy, 0);
                buf_clear(&ear.log);
                settle();
                ear_expect(&ear, "");
                ear_sound(&ear, SILENCE, 500);
                ear_sound(&ear, VOICE, 800);
                ear_sound(&ear, SILENCE, 500);
                ear_await_log(&ear, "started 2|stopped 2");
            }
            ear_close(&ear);
        }
    }
}

static void test_cleared_at_any_time(void **state)
{
    (void)state;
    run_task(cleared, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures_are_told_in_own_words),
        cmocka_unit_test(test_without_a_recognizer),
        cmocka_unit_test(test_a_recognizer_that_stalls),
        cmocka_unit_test(test_the_timeout_begins_with_the_end),
        cmocka_unit_test(test_so_much_audio_waits),
        cmocka_unit_test(test_a_commit_tries_again),
        cmocka_unit_test(test_speakers_who_went_away),
        cmocka_unit_test(test_freed_at_any_time),
        cmocka_unit_test(test_freed_from_inside_an_event),
        cmocka_unit_test(test_cleared_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
