#include "contract/speech/suite.h"

#define TEXT "Please help me with my account."

static struct tts_request request(const char *text, enum speech_format format)
{
    return (struct tts_request){.text = str_c(text), .voice = STR("alloy"), .format = format};
}

static void pcm_at_any_rate(struct fixture *f)
{
    static const unsigned rates[] = {0, 8000, 16000, 24000, 48000};
    double seconds = 0;
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct buf pcm = BUF_INIT(MIB(4));
        struct tts_request rq = request(TEXT, SPEECH_PCM);
        rq.rate = rates[i];
        CHECK(f, say(f->tts, &rq, &pcm, &f->e) == 0);
        double length = (double)pcm.len / 2 / (rates[i] ? rates[i] : 24000), loud = loudness(buf_str(&pcm));
        bool whole = pcm.len % 2 == 0;
        buf_free(&pcm);
        CHECK(f, whole && loud > 300);
        CHECK(f, length > 1 && length < 5);
        CHECK(f, i == 0 || (length > 0.9 * seconds && length < 1.1 * seconds));
        seconds = length;
    }
}

static void every_format(struct fixture *f)
{
    for (int format = 0; format < SPEECH_FORMATS; format++) {
        struct buf audio = BUF_INIT(MIB(4)), pcm = BUF_INIT(MIB(4));
        struct tts_request rq = request(TEXT, (enum speech_format)format);
        struct media_decode how = {.rate = 16000, .pcm_rate = format == SPEECH_PCM ? 24000 : 0};
        CHECK(f, say(f->tts, &rq, &audio, &f->e) == 0);
        CHECK(f, media_decode_all(f->media, &how, buf_str(&audio), &pcm, &f->e) == 0);
        double length = (double)pcm.len / 2 / 16000, loud = loudness(buf_str(&pcm));
        buf_free(&audio);
        buf_free(&pcm);
        CHECK(f, length > 1 && length < 5 && loud > 300);
    }
}

static void voices_of_both_clouds(struct fixture *f)
{
    static const char *const voices[] = {"",
                                         "alloy",
                                         "ash",
                                         "ballad",
                                         "coral",
                                         "echo",
                                         "fable",
                                         "onyx",
                                         "nova",
                                         "sage",
                                         "verse",
                                         "marin",
                                         "shimmer",
                                         "cedar",
                                         "en-US-JennyNeural",
                                         "en-US-GuyNeural"};
    for (size_t i = 0; i < COUNT(voices); i++) {
        struct buf pcm = BUF_INIT(MIB(4));
        struct tts_request rq = request("Hello.", SPEECH_PCM);
        rq.voice = str_c(voices[i]);
        CHECK(f, say(f->tts, &rq, &pcm, &f->e) == 0);
        double loud = loudness(buf_str(&pcm));
        buf_free(&pcm);
        CHECK(f, loud > 300);
    }
}

static void speed(struct fixture *f)
{
    static const double speeds[] = {0.5, 1, 2};
    double before = 0;
    for (size_t i = 0; i < COUNT(speeds); i++) {
        struct buf pcm = BUF_INIT(MIB(4));
        struct tts_request rq = request(TEXT, SPEECH_PCM);
        rq.speed = speeds[i];
        CHECK(f, say(f->tts, &rq, &pcm, &f->e) == 0);
        double length = (double)pcm.len;
        buf_free(&pcm);
        CHECK(f, i == 0 || (before / length > 1.6 && before / length < 2.4));
        before = length;
    }
}

static void requests_are_checked(struct fixture *f)
{
    struct tts_request empty = request("", SPEECH_PCM), broken = request("a\xFF", SPEECH_PCM),
                       fast = request(TEXT, SPEECH_PCM), fine = request(TEXT, SPEECH_PCM);
    fast.speed = 5;
    fine.rate = 96000;
    CHECK_REFUSED(f, tts_open(f->tts, &empty, f->a, &f->e), ERR_INVALID_REQUEST);
    CHECK_REFUSED(f, tts_open(f->tts, &broken, f->a, &f->e), ERR_INVALID_REQUEST);
    CHECK_REFUSED(f, tts_open(f->tts, &fast, f->a, &f->e), ERR_INVALID_REQUEST);
    CHECK_REFUSED(f, tts_open(f->tts, &fine, f->a, &f->e), ERR_INVALID_REQUEST);
}

/* Open, a little read, closed: in each format. */
static void unfinished_streams(struct fixture *f)
{
    for (int format = 0; format < SPEECH_FORMATS; format++)
        for (int reads = 0; reads < 3; reads++) {
            struct tts_request rq = request("One. Two. Three. Four. Five. Six. Seven.", (enum speech_format)format);
            struct str audio;
            int got = 1;
            struct tts_stream *s = tts_open(f->tts, &rq, f->a, &f->e);
            CHECK(f, s);
            for (int i = 0; i < reads && got > 0; i++)
                got = tts_next(s, &audio, &f->e);
            CHECK(f, !tts_close(s));
            CHECK(f, got >= 0);
        }
}

static void end_is_the_end(struct fixture *f)
{
    struct tts_request rq = request("Hi.", SPEECH_WAV);
    struct str audio;
    struct tts_stream *s = tts_open(f->tts, &rq, f->a, &f->e);
    int got;
    CHECK(f, s);
    while ((got = tts_next(s, &audio, &f->e)) > 0)
        if (audio.n == 0)
            break;
    int again = tts_next(s, &audio, &f->e);
    tts_close(s);
    CHECK(f, got == 0 && again == 0);
}

struct reader {
    struct fixture *f;
    enum speech_format format;
    struct waitlist *opened;
    int got;
    struct err e;
};

static void read_all(void *arg)
{
    struct reader *r = arg;
    struct tts_request rq = request("One. Two. Three. Four. Five. Six. Seven. Eight. Nine. Ten.", r->format);
    struct str audio;
    struct tts_stream *s = tts_open(r->f->tts, &rq, r->f->a, &r->e);
    r->got = s ? 1 : -1;
    waitlist_wake_all(r->opened);
    while (r->got > 0)
        r->got = tts_next(s, &audio, &r->e);
    tts_close(s);
}

static void cancelled(struct fixture *f)
{
    static const enum speech_format formats[] = {SPEECH_PCM, SPEECH_MP3};
    for (size_t i = 0; i < COUNT(formats); i++) {
        struct crowd crowd;
        struct waitlist opened;
        struct reader reader = {.f = f, .format = formats[i], .opened = &opened};
        waitlist_init(&opened);
        crowd_begin(&crowd);
        struct task *task = crowd_add(&crowd, read_all, &reader);
        CHECK(f, task);
        task_cancel(task);
        crowd_end(&crowd);
        CHECK(f, reader.got == -1 && reader.e.code == ERR_CANCELLED);
    }
}

static void many_at_once(struct fixture *f)
{
    struct crowd crowd;
    struct waitlist opened;
    struct reader readers[20];
    waitlist_init(&opened);
    crowd_begin(&crowd);
    for (size_t i = 0; i < COUNT(readers); i++) {
        readers[i] = (struct reader){.f = f, .format = i % 2 ? SPEECH_WAV : SPEECH_PCM, .opened = &opened};
        crowd_add(&crowd, read_all, &readers[i]);
    }
    crowd_end(&crowd);
    for (size_t i = 0; i < COUNT(readers); i++) {
        f->e = readers[i].e;
        CHECK(f, readers[i].got == 0);
    }
}

const struct suite_test tts_tests[] = {
    {"PCM at any rate", pcm_at_any_rate},
    {"every format", every_format},
    {"voices of both clouds", voices_of_both_clouds},
    {"speed", speed},
    {"requests are checked", requests_are_checked},
    {"unfinished streams", unfinished_streams},
    {"the end is the end", end_is_the_end},
    {"cancelled", cancelled},
    {"many at once", many_at_once},
    {NULL, NULL},
};
