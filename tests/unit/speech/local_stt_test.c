#include "unit/speech/local_env.h"

/* What is to be recognized is spoken first, in tasks as well. */
static int speak(const char *voice, const char *text, unsigned rate, struct buf *pcm, struct err *e)
{
    struct tts *tts = tts_local_new(NULL);
    struct tts_request rq = {.text = str_c(text), .voice = str_c(voice), .format = SPEECH_PCM, .rate = rate};
    int result = say(tts, &rq, pcm, e);
    tts_free(tts);
    return result;
}

static void add_silence(struct buf *pcm, unsigned rate, unsigned ms)
{
    size_t n = (size_t)rate * ms / 1000 * 2;
    memset(buf_reserve(pcm, n), 0, n);
    buf_commit(pcm, n);
}

/* One utterance with a recognizer of its own, all in one task. */
struct utterance {
    struct speech_local_config config;
    struct stt_request rq;
    struct buf pcm;
    struct heard heard;
    struct err e;
    int result;
};

static void recognize(void *arg)
{
    struct utterance *u = arg;
    struct stt *stt = stt_local_new(&u->config);
    u->result = understand(stt, &u->rq, buf_str(&u->pcm), &u->heard, &u->e);
    stt_free(stt);
}

/* ---- nothing was said ---- */

struct sounds {
    struct stt *stt;
    char heard[1200]; /* what should not have been */
    struct err e;
};

static double random_sample(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(int32_t)(*seed >> 32) / 2147483648.0;
}

static void make_noise(struct buf *pcm, int kind, double level)
{
    uint64_t seed = 7;
    double slow[3] = {0};
    for (int i = 0; i < 4 * 16000; i++) {
        double t = i / 16000.0, x = random_sample(&seed), y = 0;
        slow[0] = 0.99765 * slow[0] + x * 0.0990460;
        slow[1] = 0.96300 * slow[1] + x * 0.2965164;
        slow[2] = 0.57000 * slow[2] + x * 1.0526913;
        if (kind == 1)
            y = x;
        if (kind == 2)
            y = (slow[0] + slow[1] + slow[2] + x * 0.1848) / 1.4;
        if (kind == 3)
            y = x * __builtin_exp(-__builtin_fmod(t, 0.9) * 60);
        int16_t sample = (int16_t)(y * level);
        buf_add(pcm, &sample, sizeof sample);
    }
}

static void hear_noises(void *arg)
{
    struct sounds *t = arg;
    struct stt_request rq = {.rate = 16000, .partial = true};
    t->stt = stt_local_new(NULL);
    for (int kind = 0; kind < 4 && t->e.code == ERR_NONE; kind++)
        for (double level = 30; level < 10000 && t->e.code == ERR_NONE; level *= kind ? 10 : 1000) {
            struct buf pcm = BUF_INIT(MIB(1));
            struct heard heard;
            make_noise(&pcm, kind, level);
            if (understand(t->stt, &rq, buf_str(&pcm), &heard, &t->e) == 0 &&
                (heard.text[0] || heard.confidence >= 0 || heard.audio_ms != 4000))
                snprintf(t->heard, sizeof t->heard, "sound %d at %.0f: \"%s\" %.2f %u", kind, level, heard.text,
                         heard.confidence, (unsigned)heard.audio_ms);
            buf_free(&pcm);
        }
    stt_free(t->stt);
}

static void test_noise_is_no_text(void **state)
{
    (void)state;
    struct sounds t = {0};
    run_task(hear_noises, &t);
    assert_string_equal(t.e.text, "");
    assert_string_equal(t.heard, "");
}

static void test_no_audio_is_no_text(void **state)
{
    (void)state;
    struct utterance u = {.rq = {.rate = 24000}, .pcm = BUF_INIT(KIB(1))};
    run_task(recognize, &u);
    assert_string_equal(u.e.text, "");
    assert_string_equal(u.heard.text, "");
    assert_int_equal(u.heard.partials, 0);
    assert_int_equal(u.heard.audio_ms, 0);
    assert_true(u.heard.confidence < 0);
}

/* ---- what was said ---- */

struct conversation {
    struct utterance u;
    char meant[1024];
    unsigned pause_ms;
};

static void recognize_conversation(void *arg)
{
    struct conversation *c = arg;
    for (size_t i = 0; i < 6; i++) {
        if (speak(i % 2 ? "rms" : "kal16", sentences[i], c->u.rq.rate, &c->u.pcm, &c->u.e) < 0)
            return;
        add_silence(&c->u.pcm, c->u.rq.rate, c->pause_ms);
        size_t n = strlen(c->meant);
        snprintf(c->meant + n, sizeof c->meant - n, "%s%s", n ? " " : "", sentences[i]);
    }
    recognize(&c->u);
}

/* Long, with pauses: it is understood in segments, and told as it goes. */
static void test_long_utterance(void **state)
{
    (void)state;
    struct conversation c = {.u = {.rq = {.rate = 48000, .partial = true}, .pcm = BUF_INIT(MIB(8))}, .pause_ms = 900};
    run_task(recognize_conversation, &c);
    assert_string_equal(c.u.e.text, "");
    size_t errors = word_errors(c.meant, c.u.heard.text);
    if (errors * 5 > count_words(c.meant))
        fail_msg("%s", c.u.heard.text);
    assert_in_range(c.u.heard.partials, 8, 200);
    assert_true(strlen(c.u.heard.partial) < 40);
    assert_true(c.u.heard.confidence > 0.5 && c.u.heard.confidence <= 1);
    assert_in_range(c.u.heard.audio_ms, c.u.pcm.len / 96 - 1, c.u.pcm.len / 96);
    buf_free(&c.u.pcm);
}

struct again {
    struct buf pcm;
    struct heard first, other, second;
    struct err e;
};

static void recognize_again(void *arg)
{
    struct again *t = arg;
    struct speech_local_config config = {.recognizers = 1};
    struct stt *stt = stt_local_new(&config);
    struct stt_request rq = {.rate = 16000};
    struct buf noise = BUF_INIT(MIB(1));
    make_noise(&noise, 2, 9000);
    if (speak("kal16", sentences[3], 16000, &t->pcm, &t->e) == 0 &&
        understand(stt, &rq, buf_str(&t->pcm), &t->first, &t->e) == 0 &&
        understand(stt, &rq, buf_str(&noise), &t->other, &t->e) == 0)
        understand(stt, &rq, buf_str(&t->pcm), &t->second, &t->e);
    buf_free(&noise);
    stt_free(stt);
}

/* A recognizer takes nothing over from the utterance before, not even how it sounded. */
static void test_same_again(void **state)
{
    (void)state;
    struct again t = {.pcm = BUF_INIT(MIB(1))};
    run_task(recognize_again, &t);
    assert_string_equal(t.e.text, "");
    assert_string_equal(t.first.text, sentences[3]);
    assert_string_equal(t.second.text, t.first.text);
    assert_memory_equal(&t.second.confidence, &t.first.confidence, sizeof t.first.confidence);
    buf_free(&t.pcm);
}

/* ---- many, and too many ---- */

#define CROWD 20

struct crowd_test {
    struct stt *stt;
    struct buf pcm;
    struct speaker {
        struct crowd_test *all;
        struct heard heard;
        struct err e;
    } speakers[CROWD];
};

static void one_of_many(void *arg)
{
    struct speaker *speaker = arg;
    struct stt_request rq = {.rate = 16000, .partial = true};
    understand(speaker->all->stt, &rq, buf_str(&speaker->all->pcm), &speaker->heard, &speaker->e);
}

static void twenty_at_once(void *arg)
{
    struct crowd_test *t = arg;
    struct crowd crowd;
    crowd_begin(&crowd);
    t->stt = stt_local_new(&(struct speech_local_config){.recognizers = 2, .queue_timeout = 600000});
    if (speak("kal16", "thank you", 16000, &t->pcm, &t->speakers[0].e) == 0)
        for (size_t i = 0; i < CROWD; i++) {
            t->speakers[i].all = t;
            crowd_add(&crowd, one_of_many, &t->speakers[i]);
        }
    crowd_end(&crowd);
    stt_free(t->stt);
}

static void test_twenty_with_two_recognizers(void **state)
{
    (void)state;
    struct crowd_test t = {.pcm = BUF_INIT(MIB(1))};
    run_task(twenty_at_once, &t);
    for (size_t i = 0; i < CROWD; i++) {
        assert_string_equal(t.speakers[i].e.text, "");
        assert_string_equal(t.speakers[i].heard.text, "thank you");
    }
    buf_free(&t.pcm);
}

struct busy {
    struct err refused;
    struct heard after;
    struct err e;
};

static void one_too_many(void *arg)
{
    struct busy *t = arg;
    struct arena *arena = arena_new("test");
    struct stt *stt = stt_local_new(&(struct speech_local_config){.recognizers = 1, .queue_timeout = 20});
    struct stt_request rq = {.rate = 16000};
    struct stt_stream *first = stt_open(stt, &rq, arena, &t->e), *second = NULL;
    if (first)
        second = stt_open(stt, &rq, arena, &t->refused);
    stt_close(second);
    stt_close(first);
    understand(stt, &rq, STR(""), &t->after, &t->e);
    stt_free(stt);
    arena_free(arena);
}

static void test_all_busy(void **state)
{
    (void)state;
    struct busy t = {0};
    run_task(one_too_many, &t);
    assert_int_equal(t.refused.code, ERR_OVERLOADED);
    assert_string_equal(t.refused.text, "All recognizers are busy");
    assert_string_equal(t.e.text, "");
}

/* ---- how a stream goes ---- */

struct flow {
    struct stt *stt;
    struct stt_stream *s;
    size_t written; /* bytes that stt_write took */
    bool parked;    /* it had to wait */
    int result;
    struct err e;
    struct waitlist started;
};

static void write_much(void *arg)
{
    struct flow *t = arg;
    struct buf pcm = BUF_INIT(MIB(4));
    add_silence(&pcm, 16000, 30000);
    waitlist_wake_all(&t->started);
    t->result = stt_write(t->s, buf_str(&pcm), &t->e);
    t->written = t->result == 0 ? pcm.len : 0;
    buf_free(&pcm);
}

static void flow_with(struct flow *t, bool cancel)
{
    struct arena *arena = arena_new("test");
    struct crowd crowd;
    struct stt_event event;
    struct err e;
    crowd_begin(&crowd);
    waitlist_init(&t->started);
    t->stt = stt_local_new(NULL);
    t->s = stt_open(t->stt, &(struct stt_request){.rate = 16000}, arena, &t->e);
    if (t->s) {
        struct task *writer = crowd_add(&crowd, write_much, t);
        t->parked = writer && t->written == 0;
        if (cancel && writer)
            task_cancel(writer);
        crowd_end(&crowd);
        if (!cancel && stt_finish(t->s, &e) == 0)
            while (stt_next(t->s, &event, &e) > 0)
                t->written += event.type == STT_FINAL;
    }
    stt_close(t->s);
    stt_free(t->stt);
    arena_free(arena);
}

static void flow_task(void *arg)
{
    flow_with(arg, false);
}

static void flow_cancel_task(void *arg)
{
    flow_with(arg, true);
}

/* The writer waits for the recognizer, and is told that it is cancelled. */
static void test_back_pressure(void **state)
{
    (void)state;
    struct flow t = {0};
    run_task(flow_task, &t);
    assert_true(t.parked);
    assert_int_equal(t.result, 0);
    assert_int_equal(t.written, 30 * 32000 + 1);
    struct flow cancelled = {0};
    run_task(flow_cancel_task, &cancelled);
    assert_true(cancelled.parked);
    assert_int_equal(cancelled.result, -1);
    assert_int_equal(cancelled.e.code, ERR_CANCELLED);
}

struct closed {
    struct buf pcm;
    unsigned opened, refused;
    struct heard heard;
    struct err e;
};

/* Streams closed at every stage leave the one recognizer to the next. */
static void close_early(void *arg)
{
    struct closed *t = arg;
    struct stt *stt = stt_local_new(&(struct speech_local_config){.recognizers = 1, .queue_timeout = 1});
    struct stt_request rq = {.rate = 16000, .partial = true};
    if (speak("kal16", sentences[7], 16000, &t->pcm, &t->e) < 0)
        return;
    for (unsigned stage = 0; stage < 6; stage++) {
        struct arena *arena = arena_new("test");
        struct stt_event event;
        struct stt_stream *s = stt_open(stt, &rq, arena, &t->e);
        t->opened += s != NULL;
        if (s && stage > 0)
            stt_write(s, buf_str(&t->pcm), &t->e);
        if (s && stage > 1)
            task_sleep(20 * stage, NULL);
        if (s && stage > 2)
            stt_finish(s, &t->e);
        if (s && stage > 3)
            stt_next(s, &event, &t->e);
        if (s && stage > 4)
            t->refused += stt_write(s, STR("ab"), &t->e) < 0;
        stt_close(s);
        arena_free(arena);
    }
    t->e.text[0] = 0;
    understand(stt, &rq, buf_str(&t->pcm), &t->heard, &t->e);
    stt_free(stt);
}

static void test_closed_early(void **state)
{
    (void)state;
    struct closed t = {.pcm = BUF_INIT(MIB(1))};
    run_task(close_early, &t);
    assert_int_equal(t.opened, 6);
    assert_int_equal(t.refused, 1);
    assert_string_equal(t.e.text, "");
    assert_true(word_errors(sentences[7], t.heard.text) <= 1);
    buf_free(&t.pcm);
}

/* ---- refusals ---- */

static struct err refusal(struct speech_local_config config, struct stt_request rq)
{
    struct utterance u = {.config = config, .rq = rq, .pcm = BUF_INIT(KIB(1))};
    run_task(recognize, &u);
    assert_int_equal(u.result, -1);
    return u.e;
}

static void test_refusals(void **state)
{
    (void)state;
    struct stt_request rq = {.rate = 16000};
    struct err e = refusal((struct speech_local_config){.libraries = "/nonexistent"}, rq);
    assert_int_equal(e.code, ERR_NOT_CONFIGURED);
    assert_string_equal(e.text, "libsphinxbase.so.3 cannot be loaded (Debian: apt install libpocketsphinx3)");
    e = refusal((struct speech_local_config){.model = "/nonexistent"}, rq);
    assert_int_equal(e.code, ERR_NOT_CONFIGURED);
    assert_string_equal(e.text, "The model of the recognizer is missing (Debian: apt install pocketsphinx-en-us)");
    rq.language = STR("de-DE");
    e = refusal((struct speech_local_config){0}, rq);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_string_equal(e.text, "Only English can be recognized");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise_is_no_text),
        cmocka_unit_test(test_no_audio_is_no_text),
        cmocka_unit_test(test_long_utterance),
        cmocka_unit_test(test_same_again),
        cmocka_unit_test(test_twenty_with_two_recognizers),
        cmocka_unit_test(test_all_busy),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_closed_early),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
