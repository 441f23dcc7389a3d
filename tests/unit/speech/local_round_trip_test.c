/* What the local voices say, the local recognizer understands. */
#include "unit/speech/local_env.h"

struct round_trip {
    struct tts *tts;
    struct stt *stt;
    const char *voice;
    unsigned rate[COUNT(sentences)]; /* 0: not this sentence */
    struct str prompt;
    size_t words, errors;
    double confidence;
    char mistakes[2048];
    struct err e;
};

static void one_sentence(struct round_trip *t, size_t i)
{
    struct buf pcm = BUF_INIT(MIB(4));
    struct heard heard;
    struct tts_request speak = {
        .text = str_c(sentences[i]), .voice = str_c(t->voice), .format = SPEECH_PCM, .rate = t->rate[i]};
    struct stt_request listen = {.rate = t->rate[i], .language = STR("en-US"), .partial = i % 2 == 0};
    if (say(t->tts, &speak, &pcm, &t->e) < 0 || understand(t->stt, &listen, buf_str(&pcm), &heard, &t->e) < 0)
        return;
    size_t errors = word_errors(sentences[i], heard.text), used = strlen(t->mistakes);
    t->words += count_words(sentences[i]);
    t->errors += errors;
    t->confidence += heard.confidence;
    if (errors)
        snprintf(t->mistakes + used, sizeof t->mistakes - used, "\n    %s => %s (%.2f)", sentences[i], heard.text,
                 heard.confidence);
    buf_free(&pcm);
}

static void round_trip(void *arg)
{
    struct round_trip *t = arg;
    for (size_t i = 0; i < COUNT(sentences) && t->e.code == ERR_NONE; i++)
        if (t->rate[i])
            one_sentence(t, i);
}

struct trips {
    struct round_trip all[5];
};

static void run_all(void *arg)
{
    struct trips *trips = arg;
    struct crowd crowd;
    crowd_begin(&crowd);
    for (size_t i = 0; i < COUNT(trips->all); i++)
        crowd_add(&crowd, round_trip, &trips->all[i]);
    crowd_end(&crowd);
}

static void test_words(void **state)
{
    (void)state;
    struct speech_local_config config = {.queue_timeout = 600000};
    struct tts *tts = tts_local_new(&config);
    struct stt *stt = stt_local_new(&config);
    struct trips trips = {
        .all = {{.voice = "slt"}, {.voice = "slt"}, {.voice = "rms"}, {.voice = "awb"}, {.voice = "kal16"}}};
    for (size_t i = 0; i < COUNT(trips.all); i++) {
        trips.all[i].tts = tts;
        trips.all[i].stt = stt;
        for (size_t k = 0; k < COUNT(sentences); k++)
            trips.all[i].rate[k] = i == 0 ? 16000 : i == 1 ? 24000 : k % 2 != i % 2 ? 0 : k / 2 % 2 ? 16000 : 24000;
    }
    run_task(run_all, &trips);
    for (size_t i = 0; i < COUNT(trips.all); i++) {
        const struct round_trip *t = &trips.all[i];
        print_message("%s: %zu of %zu words wrong%s\n", t->voice, t->errors, t->words, t->mistakes);
        assert_string_equal(t->e.text, "");
        assert_in_range(t->words, 30, 67);
        assert_true(t->errors * 5 <= t->words);
    }
    stt_free(stt);
    tts_free(tts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
