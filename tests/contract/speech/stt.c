#include "contract/speech/suite.h"

static bool speak(struct fixture *f, const char *text, unsigned rate, struct buf *pcm)
{
    struct tts_request rq = {.text = str_c(text), .voice = STR("kal16"), .format = SPEECH_PCM, .rate = rate};
    return say(f->voice, &rq, pcm, &f->e) == 0;
}

static void words_at_any_rate(struct fixture *f)
{
    static const unsigned rates[] = {16000, 24000, 44100, 48000};
    size_t words = 0, errors = 0;
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct buf pcm = BUF_INIT(MIB(4));
        struct heard heard;
        struct stt_request rq = {.rate = rates[i], .language = STR("en-US"), .partial = i % 2};
        CHECK(f, speak(f, sentences[i], rates[i], &pcm));
        CHECK(f, understand(f->stt, &rq, buf_str(&pcm), &heard, &f->e) == 0);
        words += count_words(sentences[i]);
        errors += word_errors(sentences[i], heard.text);
        uint64_t ms = pcm.len / 2 * 1000 / rates[i];
        buf_free(&pcm);
        CHECK(f, heard.confidence <= 1);
        CHECK(f, heard.audio_ms >= ms - 1 && heard.audio_ms <= ms + 1);
        CHECK(f, rq.partial || heard.partials == 0);
    }
    CHECK(f, errors * 5 <= words);
}

static void a_low_rate_works(struct fixture *f)
{
    struct buf pcm = BUF_INIT(MIB(1));
    struct heard heard;
    struct stt_request rq = {.rate = 8000};
    CHECK(f, speak(f, sentences[0], 8000, &pcm));
    int result = understand(f->stt, &rq, buf_str(&pcm), &heard, &f->e);
    buf_free(&pcm);
    CHECK(f, result == 0);
}

static void silence_is_an_empty_text(struct fixture *f)
{
    struct buf pcm = BUF_INIT(MIB(1));
    struct heard heard;
    struct stt_request rq = {.rate = 16000, .partial = true};
    memset(buf_reserve(&pcm, 64000), 0, 64000);
    buf_commit(&pcm, 64000);
    int result = understand(f->stt, &rq, buf_str(&pcm), &heard, &f->e);
    buf_free(&pcm);
    CHECK(f, result == 0 && heard.text[0] == 0);
    CHECK(f, understand(f->stt, &rq, STR(""), &heard, &f->e) == 0);
    CHECK(f, heard.text[0] == 0 && heard.audio_ms == 0);
}

static void requests_are_checked(struct fixture *f)
{
    struct stt_request slow = {.rate = 4000}, fine = {.rate = 16000};
    CHECK_REFUSED(f, stt_open(f->stt, &slow, f->a, &f->e), ERR_INVALID_REQUEST);
    struct stt_stream *s = stt_open(f->stt, &fine, f->a, &f->e);
    CHECK(f, s);
    int half = stt_write(s, STR("abc"), &f->e);
    stt_close(s);
    CHECK(f, half == -1 && f->e.code == ERR_INVALID_REQUEST);
}

static void unfinished_streams(struct fixture *f)
{
    struct buf pcm = BUF_INIT(MIB(1));
    struct stt_request rq = {.rate = 16000, .partial = true};
    CHECK(f, speak(f, sentences[2], 16000, &pcm));
    for (int stage = 0; stage < 4; stage++) {
        struct stt_event event;
        int result = 0;
        struct stt_stream *s = stt_open(f->stt, &rq, f->a, &f->e);
        CHECK(f, s);
        if (stage > 0)
            result |= stt_write(s, buf_str(&pcm), &f->e);
        if (stage > 1)
            result |= stt_finish(s, &f->e);
        if (stage > 2)
            result |= stt_next(s, &event, &f->e) < 0;
        stt_close(s);
        CHECK(f, result == 0);
    }
    buf_free(&pcm);
}

struct listener {
    struct fixture *f;
    struct str pcm;
    int got;
    struct heard heard;
    struct err e;
};

static void listen_for_ever(void *arg)
{
    struct listener *l = arg;
    struct stt_request rq = {.rate = 16000};
    struct stt_event event;
    struct stt_stream *s = stt_open(l->f->stt, &rq, l->f->a, &l->e);
    l->got = s ? 1 : -1;
    while (l->got > 0)
        l->got = stt_next(s, &event, &l->e);
    stt_close(s);
}

/* A reader of an utterance that does not end waits until it is cancelled. */
static void cancelled(struct fixture *f)
{
    struct crowd crowd;
    struct listener l = {.f = f};
    crowd_begin(&crowd);
    struct task *task = crowd_add(&crowd, listen_for_ever, &l);
    CHECK(f, task);
    for (int i = 0; i < 20; i++)
        task_yield(NULL);
    task_cancel(task);
    crowd_end(&crowd);
    CHECK(f, l.got == -1 && l.e.code == ERR_CANCELLED);
}

static void one_of_several(void *arg)
{
    struct listener *l = arg;
    struct stt_request rq = {.rate = 16000};
    l->got = understand(l->f->stt, &rq, l->pcm, &l->heard, &l->e);
}

static void several_at_once(struct fixture *f)
{
    struct crowd crowd;
    struct buf pcm = BUF_INIT(MIB(1));
    struct listener all[4];
    CHECK(f, speak(f, sentences[7], 16000, &pcm));
    crowd_begin(&crowd);
    for (size_t i = 0; i < COUNT(all); i++) {
        all[i] = (struct listener){.f = f, .pcm = buf_str(&pcm)};
        crowd_add(&crowd, one_of_several, &all[i]);
    }
    crowd_end(&crowd);
    buf_free(&pcm);
    for (size_t i = 0; i < COUNT(all); i++) {
        f->e = all[i].e;
        CHECK(f, all[i].got == 0);
        CHECK(f, word_errors(sentences[7], all[i].heard.text) <= 1);
    }
}

const struct suite_test stt_tests[] = {
    {"words at any rate", words_at_any_rate},
    {"a low rate works", a_low_rate_works},
    {"silence is an empty text", silence_is_an_empty_text},
    {"requests are checked", requests_are_checked},
    {"unfinished streams", unfinished_streams},
    {"cancelled", cancelled},
    {"several at once", several_at_once},
    {NULL, NULL},
};
