/* What the local voice says is heard: found in the stream of audio, and understood. */
#include "unit/speech/local_env.h"

#include "chat/voice_input.h"

#define RATE 24000

struct listener {
    struct tts *tts;
    struct stt *stt;
    struct buf log;
    unsigned started, partials, outcomes;
    size_t errors, words;
    struct waitlist changed;
};

static void hears(void *arg, const struct voice_heard *heard)
{
    struct listener *l = arg;
    l->started += heard->type == VOICE_HEARD_STARTED;
    l->partials += heard->type == VOICE_HEARD_PARTIAL;
    assert_int_not_equal(heard->type, VOICE_HEARD_FAILED);
    if (heard->type == VOICE_HEARD_FINAL) {
        char *text = str_dup(heard->text);
        print_message("\"%s\" in %u ms\n", text, (unsigned)heard->audio_ms);
        assert_in_range(heard->utterance, 1, COUNT(sentences));
        l->words += count_words(sentences[heard->utterance - 1]);
        l->errors += word_errors(sentences[heard->utterance - 1], text);
        l->outcomes++;
        assert_in_range(heard->audio_ms, 1000, 5000);
        free(text);
    }
    waitlist_wake_all(&l->changed);
}

static void add_silence(struct buf *pcm, unsigned ms)
{
    size_t n = RATE * ms / 1000 * sizeof(int16_t);
    memset(buf_reserve(pcm, n), 0, n);
    buf_commit(pcm, n);
}

static void listen_to(struct listener *l, struct voice_input *in, size_t n)
{
    struct buf pcm = BUF_INIT(MIB(16));
    struct err e = {0};
    for (size_t i = 0; i < n; i++) {
        struct tts_request rq = {.text = str_c(sentences[i]), .format = SPEECH_PCM, .rate = RATE};
        add_silence(&pcm, 500);
        assert_int_equal(say(l->tts, &rq, &pcm, &e), 0);
        add_silence(&pcm, 1000);
    }
    for (struct str rest = buf_str(&pcm); rest.n; rest = str_from(rest, RATE / 50 * 2)) {
        assert_int_equal(voice_input_write(in, str_n(rest.p, MIN(rest.n, RATE / 50 * 2)), &e), 0);
        task_yield(NULL);
    }
    buf_free(&pcm);
    while (l->outcomes < n)
        waitlist_wait(&l->changed, NULL);
}

static void converse(void *arg)
{
    struct listener *l = arg;
    struct voice_listening how = {.rate = RATE,
                                  .language = STR("en-US"),
                                  .partials = true,
                                  .detect = true,
                                  .prefix_ms = 300,
                                  .silence_ms = 500,
                                  .max_silence_ms = 900};
    waitlist_init(&l->changed);
    struct voice_input *in = voice_input_new(l->stt, &how, hears, l);
    listen_to(l, in, 5);
    voice_input_free(in);
}

static void test_words(void **state)
{
    struct speech_local_config config = {.queue_timeout = 600000};
    struct listener l = {.tts = tts_local_new(&config), .stt = stt_local_new(&config)};
    (void)state;
    run_task(converse, &l);
    assert_int_equal(l.started, 5);
    assert_int_equal(l.outcomes, 5);
    assert_true(l.partials > 0);
    print_message("%zu of %zu words wrong\n", l.errors, l.words);
    assert_true(l.errors * 5 <= l.words);
    tts_free(l.tts);
    stt_free(l.stt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
