#include "unit/speech/local_env.h"

#include "speech/media.h"

#include <time.h>

/* One thing to say and what came of it; said in a task of a fresh loop. */
struct saying {
    struct speech_local_config config;
    struct tts_request rq;
    struct buf audio;
    struct err e;
    int result;
};

static void say_task(void *arg)
{
    struct saying *s = arg;
    struct tts *tts = tts_local_new(&s->config);
    s->result = say(tts, &s->rq, &s->audio, &s->e);
    tts_free(tts);
}

static struct saying said(struct speech_local_config config, struct tts_request rq)
{
    struct saying s = {.config = config, .rq = rq, .audio = BUF_INIT(MIB(64))};
    run_task(say_task, &s);
    return s;
}

static struct saying said_well(struct tts_request rq)
{
    struct saying s = said((struct speech_local_config){0}, rq);
    if (s.result < 0)
        fail_msg("%s", s.e.text);
    return s;
}

#define PCM(words, by, hz)                                                                                             \
    ((struct tts_request){.text = STR(words), .voice = STR(by), .format = SPEECH_PCM, .rate = (hz)})

static double seconds(const struct saying *s)
{
    return (double)s->audio.len / 2 / s->rq.rate;
}

static void test_every_voice_is_heard(void **state)
{
    (void)state;
    static const char *const voices[] = {"slt", "rms", "awb", "kal16", "alloy", "fable", "en-US-GuyNeural", ""};
    for (size_t i = 0; i < COUNT(voices); i++) {
        struct tts_request rq = PCM("Thank you for your help.", "", 16000);
        rq.voice = str_c(voices[i]);
        struct saying s = said_well(rq);
        assert_true(seconds(&s) > 1 && seconds(&s) < 3);
        assert_true(loudness(buf_str(&s.audio)) > 1000);
        buf_free(&s.audio);
    }
}

static void test_default_voice(void **state)
{
    (void)state;
    struct tts_request rq = PCM("One two three four five.", "", 16000), slt = rq, rms = rq;
    slt.voice = STR("slt");
    rms.voice = STR("rms");
    struct saying woman = said_well(slt), man = said_well(rms), usual = said_well(rq);
    struct saying wanted = said((struct speech_local_config){.voice = "onyx"}, rq);
    struct saying mistaken = said((struct speech_local_config){.voice = "nobody"}, rq);
    assert_int_equal(usual.audio.len, woman.audio.len);
    assert_int_equal(wanted.audio.len, man.audio.len);
    assert_int_equal(mistaken.audio.len, woman.audio.len);
    assert_int_not_equal(woman.audio.len, man.audio.len);
    struct saying *all[] = {&woman, &man, &usual, &wanted, &mistaken};
    for (size_t i = 0; i < COUNT(all); i++)
        buf_free(&all[i]->audio);
}

static void test_rates(void **state)
{
    (void)state;
    static const unsigned rates[] = {8000, 22050, 24000, 44100, 48000};
    struct saying reference = said_well(PCM("Please call me back. In ten minutes!", "kal16", 16000));
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct saying s = said_well(PCM("Please call me back. In ten minutes!", "kal16", rates[i]));
        size_t want = (reference.audio.len / 2 * rates[i] + 15999) / 16000;
        assert_int_equal(s.audio.len / 2, want);
        double ratio = loudness(buf_str(&s.audio)) / loudness(buf_str(&reference.audio));
        assert_true(ratio > 0.9 && ratio < 1.1);
        buf_free(&s.audio);
    }
    buf_free(&reference.audio);
}

static void test_speed(void **state)
{
    (void)state;
    static const char *const voices[] = {"slt", "kal16"};
    static const double speeds[] = {0.25, 0.5, 2, 4};
    for (size_t v = 0; v < COUNT(voices); v++) {
        struct tts_request rq = PCM("can you tell me where the station is", "", 16000);
        rq.voice = str_c(voices[v]);
        struct saying usual = said_well(rq);
        for (size_t i = 0; i < COUNT(speeds); i++) {
            rq.speed = speeds[i];
            struct saying s = said_well(rq);
            double ratio = seconds(&usual) / seconds(&s) / speeds[i];
            if (ratio < 0.75 || ratio > 1.2)
                fail_msg("%s: %.2f s at the speed of %.2f, %.2f s usually", voices[v], seconds(&s), speeds[i],
                         seconds(&usual));
            buf_free(&s.audio);
        }
        buf_free(&usual.audio);
    }
}

static void test_wav(void **state)
{
    (void)state;
    struct tts_request rq = PCM("One. Two. Three.", "kal16", 24000);
    struct saying pcm = said_well(rq);
    rq.format = SPEECH_WAV;
    struct saying wav = said_well(rq);
    struct str bytes = buf_str(&wav.audio);
    assert_int_equal(wav.audio.len, pcm.audio.len + 44);
    assert_memory_equal(bytes.p, "RIFF\xff\xff\xff\xffWAVEfmt ", 16);
    assert_memory_equal(bytes.p + 24, "\xc0\x5d\0\0", 4);
    assert_memory_equal(bytes.p + 44, buf_str(&pcm.audio).p, pcm.audio.len);
    buf_free(&pcm.audio);
    buf_free(&wav.audio);
}

static void test_text_of_all_sorts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool audible;
    } rows[] = {
        {"\xF0\x9F\x98\x80", false},
        {"\xF0\x9F\x98\x80 \xE2\x9D\xA4", false},
        {"你好", false},
        {"...", false},
        {"?!", false},
        {"é", true},
        {"Привет", true},
        {"5", true},
        {"€5", true},
        {"a", true},
        {"**hello**", true},
        {"hi \xF0\x9F\x98\x80", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tts_request rq = PCM("", "slt", 16000);
        rq.text = str_c(rows[i].text);
        struct saying s = said_well(rq);
        if (s.audio.len == 0 || (loudness(buf_str(&s.audio)) > 100) != rows[i].audible)
            fail_msg("%s: %.2f s, loudness %.0f", rows[i].text, seconds(&s), loudness(buf_str(&s.audio)));
        buf_free(&s.audio);
    }
}

/* Text that comes to the ends of everything: no voice may crash or go silent over it. */
static void test_hostile_text(void **state)
{
    (void)state;
    static const char parts[] = "St. IV $1.2 10:30 1,234's 99999999999999999999999 a@b.c / ' \" -- ;;; %% && \\ xq7Zz ";
    char text[1200];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = parts[i % (sizeof parts - 1)];
    struct tts_request rq = PCM("", "slt", 16000);
    rq.text = str_n(text, sizeof text);
    rq.speed = 4;
    struct saying s = said_well(rq);
    assert_true(loudness(buf_str(&s.audio)) > 500);
    buf_free(&s.audio);
    memset(text, 'a', sizeof text);
    rq.text.n = 500;
    s = said_well(rq);
    assert_true(loudness(buf_str(&s.audio)) > 500);
    buf_free(&s.audio);
}

static void test_refusals(void **state)
{
    (void)state;
    struct tts_request rq = PCM("hello", "nobody", 16000);
    struct speech_local_config config = {0};
    struct saying s = said(config, rq);
    assert_int_equal(s.e.code, ERR_INVALID_REQUEST);
    assert_string_equal(s.e.text, "There is no voice of this name");

    rq.voice = STR("slt");
    rq.format = SPEECH_MP3;
    s = said(config, rq);
    assert_int_equal(s.e.code, ERR_NOT_CONFIGURED);
    assert_string_equal(s.e.text, "local makes no mp3");

    rq.format = SPEECH_PCM;
    config.libraries = "/nonexistent";
    s = said(config, rq);
    assert_int_equal(s.e.code, ERR_NOT_CONFIGURED);
    assert_string_equal(s.e.text, "libflite.so.1 cannot be loaded (Debian: apt install libflite1)");
}

/* ---- how a stream goes ---- */

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct long_text {
    char text[1500];
    uint64_t first, rest;
    size_t total;
    struct err e;
};

static void listen_to_long_text(void *arg)
{
    struct long_text *t = arg;
    struct tts *tts = tts_local_new(NULL);
    struct arena *arena = arena_new("test");
    struct tts_request rq = {.text = str_c(t->text), .format = SPEECH_PCM, .rate = 16000};
    struct str audio;
    uint64_t begin = cpu_ns();
    struct tts_stream *s = tts_open(tts, &rq, arena, &t->e);
    if (s && tts_next(s, &audio, &t->e) > 0) {
        t->first = cpu_ns() - begin;
        for (begin = cpu_ns(); tts_next(s, &audio, &t->e) > 0;)
            t->total += audio.n;
        t->rest = cpu_ns() - begin;
    }
    tts_close(s);
    arena_free(arena);
    tts_free(tts);
}

static void test_first_audio_before_the_rest(void **state)
{
    (void)state;
    struct long_text t = {0};
    for (size_t n = 0; n + 50 < sizeof t.text;)
        n += (size_t)snprintf(t.text + n, sizeof t.text - n, "This is sentence number %zu of the text. ", n);
    run_task(listen_to_long_text, &t);
    assert_string_equal(t.e.text, "");
    assert_true(t.total > 16000 * 2 * 60);
    assert_true(t.first * 4 < t.rest);
}

struct cancelled {
    struct tts *tts;
    struct waitlist opened;
    int result;
    bool open, closed;
    struct err e;
};

static void cancelled_task(void *arg)
{
    struct cancelled *c = arg;
    struct arena *arena = arena_new("test");
    struct tts_request rq = PCM("One. Two. Three. Four. Five. Six. Seven. Eight.", "slt", 16000);
    struct str audio;
    struct tts_stream *s = tts_open(c->tts, &rq, arena, &c->e);
    c->open = s;
    waitlist_wake_all(&c->opened);
    while (s && (c->result = tts_next(s, &audio, &c->e)) > 0)
        task_yield(NULL);
    tts_close(s);
    c->closed = true;
    arena_free(arena);
}

static void cancel_it(void *arg)
{
    struct cancelled *c = arg;
    struct crowd crowd;
    crowd_begin(&crowd);
    waitlist_init(&c->opened);
    c->tts = tts_local_new(NULL);
    struct task *task = crowd_add(&crowd, cancelled_task, c);
    waitlist_wait(&c->opened, NULL);
    task_cancel(task);
    crowd_end(&crowd);
    tts_free(c->tts);
}

static void test_cancelled(void **state)
{
    (void)state;
    struct cancelled c = {0};
    run_task(cancel_it, &c);
    assert_true(c.open);
    assert_int_equal(c.result, -1);
    assert_int_equal(c.e.code, ERR_CANCELLED);
    assert_true(c.closed);
}

#define CROWD 20

struct at_once {
    struct tts *tts;
    struct speaker {
        struct at_once *all;
        struct saying saying;
    } speakers[CROWD];
};

static void say_at_once(void *arg)
{
    struct speaker *speaker = arg;
    struct saying *s = &speaker->saying;
    s->result = say(speaker->all->tts, &s->rq, &s->audio, &s->e);
}

static void all_at_once(void *arg)
{
    struct at_once *all = arg;
    struct crowd crowd;
    crowd_begin(&crowd);
    all->tts = tts_local_new(NULL);
    for (size_t i = 0; i < CROWD; i++)
        crowd_add(&crowd, say_at_once, &all->speakers[i]);
    crowd_end(&crowd);
    tts_free(all->tts);
}

/* Twenty at a time with one voice sound like one alone. */
static void test_many_at_once(void **state)
{
    (void)state;
    struct at_once all = {0};
    struct saying alone = said_well(PCM("The quick brown fox. Jumps over 12 lazy dogs, I.e. $5.", "kal16", 16000));
    for (size_t i = 0; i < CROWD; i++)
        all.speakers[i] = (struct speaker){&all, {.rq = alone.rq, .audio = BUF_INIT(MIB(4))}};
    run_task(all_at_once, &all);
    for (size_t i = 0; i < CROWD; i++) {
        struct saying *s = &all.speakers[i].saying;
        assert_int_equal(s->result, 0);
        assert_int_equal(s->audio.len, alone.audio.len);
        assert_memory_equal(buf_str(&s->audio).p, buf_str(&alone.audio).p, alone.audio.len);
        buf_free(&s->audio);
    }
    buf_free(&alone.audio);
}

/* ---- formats that need an encoder ---- */

struct encoded {
    struct saying saying;
    struct buf pcm;
    bool cut; /* closed before its end */
};

static void encode_and_decode(void *arg)
{
    struct encoded *t = arg;
    struct saying *s = &t->saying;
    struct media *media = media_new(&(struct media_config){0});
    struct media_decode how = {.rate = 16000};
    s->config.media = media;
    struct tts *tts = tts_local_new(&s->config);
    if (t->cut) {
        struct arena *arena = arena_new("test");
        struct tts_stream *stream = tts_open(tts, &s->rq, arena, &s->e);
        struct str audio;
        s->result = stream ? tts_next(stream, &audio, &s->e) : -1;
        tts_close(stream);
        arena_free(arena);
    } else {
        s->result = say(tts, &s->rq, &s->audio, &s->e);
        if (s->result == 0)
            s->result = media_decode_all(media, &how, buf_str(&s->audio), &t->pcm, &s->e);
    }
    tts_free(tts);
    media_free(media);
}

static void test_encoded(void **state)
{
    (void)state;
    static const enum speech_format formats[] = {SPEECH_MP3, SPEECH_OPUS, SPEECH_AAC, SPEECH_FLAC};
    struct saying pcm = said_well(PCM("One, two, three. Four, five, six.", "kal16", 16000));
    for (size_t i = 0; i < COUNT(formats); i++) {
        struct encoded t = {.saying = {.rq = pcm.rq, .audio = BUF_INIT(MIB(4))}, .pcm = BUF_INIT(MIB(4))};
        t.saying.rq.format = formats[i];
        run_task(encode_and_decode, &t);
        assert_string_equal(t.saying.e.text, "");
        double length = (double)t.pcm.len / (double)pcm.audio.len;
        if (length < 0.97 || length > 1.1 || loudness(buf_str(&t.pcm)) < 0.8 * loudness(buf_str(&pcm.audio)))
            fail_msg("%s: %.2f of the length", speech_format_name(formats[i]), length);
        buf_free(&t.saying.audio);
        buf_free(&t.pcm);
    }
    buf_free(&pcm.audio);
}

static void test_encoded_and_closed(void **state)
{
    (void)state;
    struct encoded t = {.cut = true, .saying.rq = PCM("One. Two. Three. Four. Five. Six. Seven.", "slt", 16000)};
    t.saying.rq.format = SPEECH_MP3;
    run_task(encode_and_decode, &t);
    assert_string_equal(t.saying.e.text, "");
    assert_int_equal(t.saying.result, 1);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "media") == 0) /* this program is its own media process */
        return media_worker(MEDIA_WORKER_FD);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_voice_is_heard),
        cmocka_unit_test(test_default_voice),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_speed),
        cmocka_unit_test(test_wav),
        cmocka_unit_test(test_text_of_all_sorts),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_first_audio_before_the_rest),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_encoded),
        cmocka_unit_test(test_encoded_and_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
