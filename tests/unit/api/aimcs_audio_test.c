/* Audio inside JSON, and how recordings begin. */
#include "unit/support/unit.h"

#include "api/aimcs_audio.h"
#include "base/mem.h"
#include "wire/base64.h"

/* Scans {"data":text} and reads the member to its end. -1 when it is refused. */
static int read_json(const char *json, struct buf *out)
{
    struct json_want want = {.path = "data"};
    struct audio_text text;
    struct str bytes;
    int got;
    assert_int_equal(json_scan(str_c(json), &want, 1, NULL, NULL), 0);
    audio_text_init(&text, &want.value);
    while ((got = audio_text_next(&text, &bytes)) > 0) {
        assert_true(bytes.n > 0 && bytes.n <= AUDIO_PIECE);
        buf_str_add(out, bytes);
    }
    audio_text_free(&text);
    return got;
}

static void check(const char *json, const char *want)
{
    struct buf out = BUF_INIT(KIB(1));
    assert_int_equal(read_json(json, &out), want ? 0 : -1);
    if (want)
        assert_str(buf_str(&out), want);
    buf_free(&out);
}

static void test_small_texts(void **state)
{
    (void)state;
    check("{\"data\":\"aGVsbG8=\"}", "hello");
    check("{\"data\":\"aGVsbG8\"}", "hello");
    check("{\"data\":\" aGVs\\nbG8=\\r\\n\"}", "hello");
    check("{\"data\":\"data:audio/webm;codecs=opus;base64,aGVsbG8=\"}", "hello");
    check("{\"data\":\"data:audio\\/webm;base64,aGVsbG8=\"}", "hello");
    check("{\"data\":\"Pz8\\/Pz4\\u002B\"}", "\x3f\x3f\x3f\x3f>>");
    check("{\"data\":\"  \"}", "");
    check("{\"data\":\"data:,\"}", "");
    check("{\"data\":\"a\"}", NULL);
    check("{\"data\":\"!!!!\"}", NULL);
    check("{\"data\":\"data:no comma\"}", NULL);
    check("{\"data\":\"aGVs\\\\bG8=\"}", NULL);
}

/* Writes the text with every nth character as an escape. */
static char *as_json(struct str text, size_t every)
{
    struct buf json = BUF_INIT(SIZE_MAX);
    buf_lit(&json, "{\"data\":\"");
    for (size_t i = 0; i < text.n; i++) {
        if (every && i % every == 0)
            buf_addf(&json, "\\u%04x", (unsigned)text.p[i]);
        else
            buf_byte(&json, text.p[i]);
    }
    buf_lit(&json, "\"}");
    char *copy = str_dup(buf_str(&json));
    buf_free(&json);
    return copy;
}

static void test_large_texts(void **state)
{
    (void)state;
    for (size_t n = 3 * AUDIO_PIECE - 4; n < 3 * AUDIO_PIECE + 4; n++) {
        struct buf text = BUF_INIT(SIZE_MAX);
        char *bytes = mem_alloc(n);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(i * 31 + i / 251);
        base64_put(&text, str_n(bytes, n), false);
        for (size_t every = 0; every < 8; every += 7) {
            struct buf out = BUF_INIT(n);
            char *json = as_json(buf_str(&text), every);
            assert_int_equal(read_json(json, &out), 0);
            assert_int_equal(out.len, n);
            assert_memory_equal(buf_str(&out).p, bytes, n);
            free(json);
            buf_free(&out);
        }
        free(bytes);
        buf_free(&text);
    }
}

static void test_beginnings(void **state)
{
    (void)state;
    assert_true(audio_begins(STR("\x1a\x45\xdf\xa3\x9f")));
    assert_true(audio_begins(STR("OggS\0\2")));
    assert_false(audio_begins(STR("OggS\0\0")));
    assert_false(audio_begins(STR("OggS\0")));
    assert_true(audio_begins(STR("RIFF")));
    assert_true(audio_begins(STR("fLaC")));
    assert_true(audio_begins(STR("ID3\4")));
    assert_true(audio_begins(STR("\0\0\0\x1c"
                                 "ftypiso5")));
    assert_false(audio_begins(STR("\0\0\0\x1c"
                                  "moof")));
    assert_false(audio_begins(STR("\x1a\x45\xdf")));
    assert_false(audio_begins(STR("")));
    assert_false(audio_begins(STR("\xff\xfb\x90")));
    assert_true(audio_may_begin(STR("\xff\xfb\x90")));
    assert_true(audio_may_begin(STR("\xff\xf1")));
    assert_true(audio_may_begin(STR("RIFF")));
    assert_false(audio_may_begin(STR("\xff")));
    assert_false(audio_may_begin(STR("\xa3\x40\x81")));
}

static void test_names_of_pcm(void **state)
{
    (void)state;
    assert_int_equal(audio_pcm_rate(STR("audio/pcm;rate=24000")), 24000);
    assert_int_equal(audio_pcm_rate(STR("audio/L16; rate=8000; channels=1")), 8000);
    assert_int_equal(audio_pcm_rate(STR("AUDIO/PCM ; samplerate=48000")), 48000);
    assert_int_equal(audio_pcm_rate(STR("pcm16")), 16000);
    assert_int_equal(audio_pcm_rate(STR("raw;rate")), 16000);
    assert_int_equal(audio_pcm_rate(STR("pcm;rate=")), 16000);
    assert_int_equal(audio_pcm_rate(STR("pcm;rate=7999")), 16000);
    assert_int_equal(audio_pcm_rate(STR("pcm;rate=99999999999999999999")), 16000);
    assert_int_equal(audio_pcm_rate(STR("audio/webm;codecs=pcm")), 0);
    assert_int_equal(audio_pcm_rate(STR("")), 0);
    assert_int_equal(audio_pcm_rate(STR_NONE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_texts),
        cmocka_unit_test(test_large_texts),
        cmocka_unit_test(test_beginnings),
        cmocka_unit_test(test_names_of_pcm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
