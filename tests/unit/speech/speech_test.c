/* What the contract checks before a driver hears of it. */
#include "unit/support/unit.h"

#include "base/buf.h"
#include "base/macros.h"
#include "speech/speech_driver.h"
#include "speech/wav.h"

#include <math.h>

/* A driver that keeps what it was asked. */
struct fake_tts {
    struct tts base;
    struct tts_stream stream;
    const struct tts_request *asked;
    unsigned opened, closed, freed;
};

static struct tts_stream *fake_open(struct tts *base, const struct tts_request *rq, struct arena *arena, struct err *e)
{
    struct fake_tts *tts = (struct fake_tts *)base;
    (void)arena;
    (void)e;
    tts->opened++;
    tts->asked = rq;
    return &tts->stream;
}

static int fake_next(struct tts_stream *s, struct str *audio, struct err *e)
{
    (void)s;
    (void)e;
    assert_str(*audio, "");
    return 0;
}

static void fake_close(struct tts_stream *s)
{
    container_of(s, struct fake_tts, stream)->closed++;
}

static void fake_free(struct tts *base)
{
    ((struct fake_tts *)base)->freed++;
}

static const struct tts_ops tts_ops = {
    .name = "fake", .open = fake_open, .next = fake_next, .close = fake_close, .free = fake_free};

struct fake_stt {
    struct stt base;
    struct stt_stream stream;
    const struct stt_request *asked;
    unsigned opened, written, closed, freed;
};

static struct stt_stream *fake_listen(struct stt *base, const struct stt_request *rq, struct arena *arena,
                                      struct err *e)
{
    struct fake_stt *stt = (struct fake_stt *)base;
    (void)arena;
    (void)e;
    stt->opened++;
    stt->asked = rq;
    return &stt->stream;
}

static int fake_write(struct stt_stream *s, struct str pcm, struct err *e)
{
    (void)e;
    container_of(s, struct fake_stt, stream)->written += (unsigned)pcm.n;
    return 0;
}

static int fake_finish(struct stt_stream *s, struct err *e)
{
    (void)s;
    return err_set(e, ERR_UPSTREAM, "finish");
}

static int fake_event(struct stt_stream *s, struct stt_event *event, struct err *e)
{
    (void)s;
    (void)e;
    assert_str(event->text, "");
    assert_true(event->confidence < 0);
    return 1;
}

static void fake_stop(struct stt_stream *s)
{
    container_of(s, struct fake_stt, stream)->closed++;
}

static void fake_end(struct stt *base)
{
    ((struct fake_stt *)base)->freed++;
}

static const struct stt_ops stt_ops = {.name = "fake",
                                       .open = fake_listen,
                                       .write = fake_write,
                                       .finish = fake_finish,
                                       .next = fake_event,
                                       .close = fake_stop,
                                       .free = fake_end};

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        enum speech_format format;
        const char *name, *type;
    } rows[] = {
        {SPEECH_MP3, "mp3", "audio/mpeg"},   {SPEECH_OPUS, "opus", "audio/ogg"}, {SPEECH_AAC, "aac", "audio/aac"},
        {SPEECH_FLAC, "flac", "audio/flac"}, {SPEECH_WAV, "wav", "audio/wav"},   {SPEECH_PCM, "pcm", "audio/pcm"},
    };
    assert_int_equal(COUNT(rows), SPEECH_FORMATS);
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_string_equal(speech_format_name(rows[i].format), rows[i].name);
        assert_string_equal(speech_format_type(rows[i].format), rows[i].type);
        assert_int_equal(speech_format_find(str_c(rows[i].name)), rows[i].format);
    }
    assert_int_equal(speech_format_find(STR("ogg")), SPEECH_FORMATS);
    assert_int_equal(speech_format_find(STR("")), SPEECH_FORMATS);
    assert_int_equal(speech_format_find(STR("MP3")), SPEECH_FORMATS);
}

static void test_defaults(void **state)
{
    (void)state;
    struct fake_tts tts = {.base.ops = &tts_ops, .stream.ops = &tts_ops};
    struct arena *arena = arena_new("test");
    struct err e = {0};
    struct str audio = STR("old");
    struct tts_request rq = {.text = STR("hi"), .format = SPEECH_PCM};
    struct tts_stream *s = tts_open(&tts.base, &rq, arena, &e);
    assert_ptr_equal(s, &tts.stream);
    assert_int_equal(tts.asked->rate, 24000);
    assert_true(tts.asked->speed > 0.99 && tts.asked->speed < 1.01);
    assert_str(tts.asked->text, "hi");
    assert_int_equal(tts_next(s, &audio, &e), 0);
    assert_null(tts_close(s));
    assert_null(tts_close(NULL));
    assert_string_equal(tts_name(&tts.base), "fake");
    assert_null(tts_free(&tts.base));
    assert_null(tts_free(NULL));
    assert_int_equal(tts.closed, 1);
    assert_int_equal(tts.freed, 1);
    arena_free(arena);
}

static void refused(const struct tts_request *rq, const char *why)
{
    struct fake_tts tts = {.base.ops = &tts_ops, .stream.ops = &tts_ops};
    struct arena *arena = arena_new("test");
    struct err e = {0};
    struct tts_stream *s = tts_open(&tts.base, rq, arena, &e);
    if (why) {
        assert_null(s);
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
        assert_string_equal(e.text, why);
    } else if (!s) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(tts.opened, why ? 0 : 1);
    arena_free(arena);
}

static void test_tts_refusals(void **state)
{
    (void)state;
    struct tts_request good = {.text = STR("hi"), .speed = 1, .format = SPEECH_MP3, .rate = 16000}, rq;
    char many[3 * SPEECH_TEXT_MAX + 4];
    refused(&good, NULL);

    rq = good, rq.text = STR("");
    refused(&rq, "There is no text to speak");
    rq = good, rq.text = STR(" \n\t ");
    refused(&rq, "There is no text to speak");
    rq = good, rq.text = STR("a\xFFz");
    refused(&rq, "The text is not valid UTF-8");
    for (size_t i = 0; i < sizeof many; i += 3)
        memcpy(many + i, "\xE2\x82\xAC", MIN((size_t)3, sizeof many - i)); /* characters count, not bytes */
    rq = good, rq.text = str_n(many, 3 * SPEECH_TEXT_MAX);
    refused(&rq, NULL);
    rq.text = str_n(many, 3 * SPEECH_TEXT_MAX + 3);
    refused(&rq, "The text to speak has more than 4096 characters");

    static const double slow_or_fast[] = {0.24, 4.01, -1, INFINITY, NAN}, fine[] = {0.25, 4, 0};
    for (size_t i = 0; i < COUNT(slow_or_fast); i++) {
        rq = good, rq.speed = slow_or_fast[i];
        refused(&rq, "The speed must be 0.25 to 4");
    }
    for (size_t i = 0; i < COUNT(fine); i++) {
        rq = good, rq.speed = fine[i];
        refused(&rq, NULL);
    }
    static const unsigned no_rate[] = {1, 7999, 48001, 0xFFFFFFFF}, a_rate[] = {0, 8000, 22050, 48000};
    for (size_t i = 0; i < COUNT(no_rate); i++) {
        rq = good, rq.rate = no_rate[i];
        refused(&rq, "The sample rate must be 8000 to 48000 Hz");
    }
    for (size_t i = 0; i < COUNT(a_rate); i++) {
        rq = good, rq.rate = a_rate[i];
        refused(&rq, NULL);
    }
    rq = good, rq.format = SPEECH_FORMATS;
    refused(&rq, "There is no such audio format");
}

static void test_stt(void **state)
{
    (void)state;
    struct fake_stt stt = {.base.ops = &stt_ops, .stream.ops = &stt_ops};
    struct arena *arena = arena_new("test");
    struct err e = {0};
    struct stt_event event;
    static const unsigned no_rate[] = {0, 7999, 48001};
    for (size_t i = 0; i < COUNT(no_rate); i++) {
        assert_null(stt_open(&stt.base, &(struct stt_request){.rate = no_rate[i]}, arena, &e));
        assert_string_equal(e.text, "The sample rate must be 8000 to 48000 Hz");
    }
    assert_int_equal(stt.opened, 0);
    struct stt_stream *s = stt_open(&stt.base, &(struct stt_request){.rate = 8000, .partial = true}, arena, &e);
    assert_ptr_equal(s, &stt.stream);
    assert_true(stt.asked->partial);
    assert_int_equal(stt_write(s, STR("abcd"), &e), 0);
    assert_int_equal(stt_write(s, STR(""), &e), 0);
    assert_int_equal(stt.written, 4);
    assert_int_equal(stt_write(s, STR("abc"), &e), -1);
    assert_string_equal(e.text, "The audio ends within a sample");
    assert_int_equal(stt_finish(s, &e), -1);
    assert_string_equal(e.text, "finish");
    event.text = STR("old");
    assert_int_equal(stt_next(s, &event, &e), 1);
    assert_null(stt_close(s));
    assert_null(stt_close(NULL));
    assert_string_equal(stt_name(&stt.base), "fake");
    assert_null(stt_free(&stt.base));
    assert_null(stt_free(NULL));
    assert_int_equal(stt.closed, 1);
    assert_int_equal(stt.freed, 1);
    arena_free(arena);
}

static void test_wav_head(void **state)
{
    (void)state;
    static const char want[] = "RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\xc0\x5d\0\0\x80\xbb\0\0\x02\0\x10\0"
                               "data\xff\xff\xff\xff";
    char head[WAV_HEAD];
    wav_head(head, 24000);
    assert_memory_equal(head, want, WAV_HEAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats), cmocka_unit_test(test_defaults), cmocka_unit_test(test_tts_refusals),
        cmocka_unit_test(test_stt),     cmocka_unit_test(test_wav_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
