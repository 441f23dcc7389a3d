/* The openai driver speaks: against a server that plays bytes. */
#include "base/json.h"
#include "speech/openai/openai.h"
#include "speech/voices.h"
#include "speech/wav.h"
#include "unit/speech/cloud_env.h"

static const struct tts_request hello = {.text = {"Hello & \"you\"", 13}, .voice = {"nova", 4}};

static void make_openai(struct cloud *t)
{
    const struct speech_openai_config *given = t->arg;
    struct speech_openai_config config = given ? *given : (struct speech_openai_config){0};
    config.base_url = t->server.url;
    config.api_key = KEY;
    config.upstream = &cloud_upstream;
    t->tts = tts_openai_new(&config, NULL);
    assert_non_null(t->tts);
}

/* ---- what is asked ---- */

static void body_is(struct cloud *t, const struct tts_request *rq, const char *json)
{
    size_t n = script_count(&t->server, &t->server.nrequests);
    tts_close(cloud_speak(t, rq));
    assert_str(cloud_sent(t, n), json);
}

static void request_body(struct cloud *t)
{
    struct tts_request rq = hello;
    body_is(t, &rq,
            "{\"model\":\"tts-1\",\"input\":\"Hello & \\\"you\\\"\",\"voice\":\"nova\",\"response_format\":\"mp3\"}");
    cloud_head_has(t, 0, "POST /audio/speech HTTP/1.1\r\n");
    cloud_head_has(t, 0, "\r\nAuthorization: Bearer " KEY "\r\n");
    cloud_head_has(t, 0, "\r\nContent-Type: application/json\r\n");
    rq = (struct tts_request){.text = STR("x"), .speed = 1.5, .format = SPEECH_OPUS, .instructions = STR("Whisper")};
    body_is(t, &rq,
            "{\"model\":\"tts-1\",\"input\":\"x\",\"voice\":\"alloy\",\"response_format\":\"opus\",\"speed\":1.5}");
    rq = (struct tts_request){.text = STR("x"), .voice = STR("en-US-GuyNeural"), .format = SPEECH_WAV};
    body_is(t, &rq, "{\"model\":\"tts-1\",\"input\":\"x\",\"voice\":\"onyx\",\"response_format\":\"pcm\"}");
    rq.voice = STR("voice_1a2b");
    body_is(t, &rq,
            "{\"model\":\"tts-1\",\"input\":\"x\",\"voice\":{\"id\":\"voice_1a2b\"},\"response_format\":\"pcm\"}");
    rq.voice = STR("af_bella+af_sky");
    body_is(t, &rq, "{\"model\":\"tts-1\",\"input\":\"x\",\"voice\":\"af_bella+af_sky\",\"response_format\":\"pcm\"}");
}

static void requests_say_what_is_wanted(void **state)
{
    (void)state;
    CLOUD_PLAY(make_openai, request_body, NULL, {.bytes = MP3_HEAD "ID3", .after = SCRIPT_CLOSE});
}

static void instructed_body(struct cloud *t)
{
    struct tts_request rq = {.text = STR("x"), .voice = STR("Verse"), .instructions = STR("Whisper")};
    body_is(t, &rq,
            "{\"model\":\"gpt-4o-mini-tts\",\"input\":\"x\",\"voice\":\"verse\",\"instructions\":\"Whisper\","
            "\"response_format\":\"mp3\"}");
    rq.voice = STR("");
    body_is(t, &rq,
            "{\"model\":\"gpt-4o-mini-tts\",\"input\":\"x\",\"voice\":\"sage\",\"instructions\":\"Whisper\","
            "\"response_format\":\"mp3\"}");
    assert_string_equal(tts_name(t->tts), "openai");
}

static void instructions_reach_models_that_follow_them(void **state)
{
    static const struct speech_openai_config config = {.tts_model = "gpt-4o-mini-tts", .voice = "sage"};
    (void)state;
    CLOUD_PLAY(make_openai, instructed_body, &config, {.bytes = MP3_HEAD "ID3", .after = SCRIPT_CLOSE});
}

static void dated_body(struct cloud *t)
{
    struct tts_request rq = {.text = STR("x"), .voice = STR("coral")};
    body_is(t, &rq, "{\"model\":\"tts hd\",\"input\":\"x\",\"voice\":\"nova\",\"response_format\":\"mp3\"}");
    cloud_head_has(t, 0, "POST /openai/deployments/tts%20hd/audio/speech?api-version=2025-03-01-preview HTTP/1.1\r\n");
    cloud_head_has(t, 0, "\r\napi-key: " KEY "\r\n");
    assert_string_equal(tts_name(t->tts), "azure_openai");
}

static void v1_body(struct cloud *t)
{
    struct tts_request rq = {.text = STR("x"), .voice = STR("coral")};
    body_is(t, &rq, "{\"model\":\"gpt-4o-mini-tts\",\"input\":\"x\",\"voice\":\"coral\",\"response_format\":\"mp3\"}");
    cloud_head_has(t, 0, "POST /openai/v1/audio/speech?api-version=preview HTTP/1.1\r\n");
    cloud_head_has(t, 0, "\r\napi-key: " KEY "\r\n");
}

static void azure_has_paths_of_its_own(void **state)
{
    static const struct speech_openai_config dated = {
        .azure = true, .tts_deployment = "tts hd", .tts_api_version = "2025-03-01-preview"};
    static const struct speech_openai_config v1 = {
        .azure = true, .tts_deployment = "gpt-4o-mini-tts", .tts_api_version = "preview"};
    (void)state;
    CLOUD_PLAY(make_openai, dated_body, &dated, {.bytes = MP3_HEAD "ID3", .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make_openai, v1_body, &v1, {.bytes = MP3_HEAD "ID3", .after = SCRIPT_CLOSE});
}

static void what_cannot_work_is_named(void **state)
{
    struct err e = {0};
    (void)state;
    assert_null(tts_openai_new(&(struct speech_openai_config){.base_url = "api.openai.com"}, &e));
    assert_int_equal(e.code, ERR_NOT_CONFIGURED);
    struct speech_openai_config azure = {
        .base_url = "https://x", .azure = true, .tts_api_version = "2025-03-01-preview"};
    assert_null(tts_openai_new(&azure, &e));
    assert_non_null(strstr(e.text, "deployment"));
}

/* ---- limits ---- */

static struct str repeat(struct arena *a, struct str piece, size_t n)
{
    char *text = arena_alloc(a, piece.n * n);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * piece.n, piece.p, piece.n);
    return str_n(text, piece.n * n);
}

static void limits_body(struct cloud *t)
{
    struct str emoji = STR("\xf0\x9f\x8c\x8d");
    struct tts_request rq = {.text = repeat(t->arena, emoji, 4097)};
    cloud_refused(t, &rq, ERR_INVALID_REQUEST);
    rq = (struct tts_request){.text = STR("x"), .speed = 4.01};
    cloud_refused(t, &rq, ERR_INVALID_REQUEST);
    rq.speed = 0.24;
    cloud_refused(t, &rq, ERR_INVALID_REQUEST);
    rq = (struct tts_request){.text = STR("x"), .voice = STR("no\"va")};
    cloud_refused(t, &rq, ERR_INVALID_REQUEST);
    rq = (struct tts_request){.text = STR("x"), .instructions = repeat(t->arena, STR("y"), 4097)};
    cloud_refused(t, &rq, ERR_INVALID_REQUEST);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 0);
    rq = (struct tts_request){.text = repeat(t->arena, emoji, 4096)};
    tts_close(cloud_speak(t, &rq));
    assert_true(cloud_sent(t, 0).n > 4 * 4096);
}

static void limits_are_checked_before_anything_is_sent(void **state)
{
    (void)state;
    CLOUD_PLAY(make_openai, limits_body, NULL, {.bytes = MP3_HEAD "ID3", .after = SCRIPT_CLOSE});
}

static void voices_have_their_like(void **state)
{
    static const struct {
        const char *name;
        enum openai_voices set;
        const char *voice;
    } cases[] = {{"Alloy", OPENAI_VOICES_ALL, "alloy"},
                 {"cedar", OPENAI_VOICES_ALL, "cedar"},
                 {"cedar", OPENAI_VOICES_TTS_1, "onyx"},
                 {"sage", OPENAI_VOICES_TTS_1, "sage"},
                 {"sage", OPENAI_VOICES_CLASSIC, "shimmer"},
                 {"en-US-JennyNeural", OPENAI_VOICES_ALL, "nova"},
                 {"en-US-BrianMultilingualNeural", OPENAI_VOICES_ALL, "onyx"},
                 {"en-US-Andrew:DragonHDLatestNeural", OPENAI_VOICES_ALL, "onyx"},
                 {"en-US-AlloyTurboMultilingualNeural", OPENAI_VOICES_ALL, "alloy"},
                 {"slt", OPENAI_VOICES_ALL, NULL},
                 {"en-US-Jenny<Neural", OPENAI_VOICES_ALL, NULL},
                 {"", OPENAI_VOICES_ALL, NULL}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *voice = voice_openai(str_c(cases[i].name), cases[i].set);
        if (cases[i].voice)
            assert_string_equal(voice, cases[i].voice);
        else
            assert_null(voice);
    }
    assert_str(voice_azure(STR("onyx")), "en-US-ChristopherNeural");
    assert_str(voice_azure(STR("de-DE-KatjaNeural")), "de-DE-KatjaNeural");
    assert_null(voice_azure(STR("Katja")).p);
    assert_null(voice_azure(STR("en-US-'/><x a='Neural")).p);
}

/* ---- audio ---- */

static void first_bytes_body(struct cloud *t)
{
    struct buf rest = BUF_INIT(KIB(64));
    struct str piece;
    struct tts_stream *s = cloud_speak(t, &hello);
    assert_int_equal(tts_next(s, &piece, &t->e), 1);
    assert_str(piece, "ID3one");
    script_release(&t->server);
    assert_int_equal(cloud_listen(t, s, &rest, NULL), 0);
    assert_str(buf_str(&rest), "two");
    assert_int_equal(tts_next(s, &piece, &t->e), 0);
    assert_null(tts_close(s));
    buf_free(&rest);
}

static void audio_comes_as_it_is_made(void **state)
{
    (void)state;
    CLOUD_PLAY(make_openai, first_bytes_body, NULL, {.bytes = MP3_HEAD "ID3one", .late = "two", .after = SCRIPT_CLOSE});
}

#define SAMPLES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static void split_body(struct cloud *t)
{
    static const enum speech_format formats[] = {SPEECH_MP3, SPEECH_PCM, SPEECH_WAV};
    char head[WAV_HEAD];
    wav_head(head, 24000);
    for (size_t i = 0; i < COUNT(formats); i++) {
        struct buf audio = BUF_INIT(KIB(64));
        struct tts_request rq = hello;
        rq.format = formats[i];
        struct tts_stream *s = cloud_speak(t, &rq);
        struct str piece;
        int more;
        while ((more = tts_next(s, &piece, &t->e)) > 0) {
            assert_true(rq.format == SPEECH_MP3 || piece.n % 2 == 0);
            buf_str_add(&audio, piece);
        }
        assert_int_equal(more, 0);
        tts_close(s);
        if (rq.format == SPEECH_WAV) {
            assert_memory_equal(buf_str(&audio).p, head, WAV_HEAD);
            buf_consume(&audio, WAV_HEAD);
        }
        assert_str(buf_str(&audio), SAMPLES);
        buf_free(&audio);
    }
}

static void audio_survives_any_split(void **state)
{
    (void)state;
    CLOUD_PLAY(make_openai, split_body, NULL, {.bytes = PCM_HEAD SAMPLES, .split = 1, .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make_openai, split_body, NULL, {.bytes = MP3_HEAD SAMPLES, .split = 3, .after = SCRIPT_CLOSE});
}

static void rates_body(struct cloud *t)
{
    struct tts_request rq = hello;
    struct buf audio = BUF_INIT(MIB(4));
    char head[WAV_HEAD];
    rq.format = SPEECH_WAV;
    rq.rate = 8000;
    wav_head(head, 8000);
    struct tts_stream *s = cloud_speak(t, &rq);
    assert_int_equal(cloud_listen(t, s, &audio, NULL), 0);
    tts_close(s);
    assert_memory_equal(buf_str(&audio).p, head, WAV_HEAD);
    assert_int_equal(audio.len - WAV_HEAD, 48000 / 3);
    buf_clear(&audio);
    rq.format = SPEECH_PCM;
    rq.rate = 48000;
    s = cloud_speak(t, &rq);
    assert_int_equal(cloud_listen(t, s, &audio, NULL), 0);
    tts_close(s);
    assert_int_equal(audio.len, 48000 * 2);
    buf_free(&audio);
}

static void pcm_comes_at_every_rate(void **state)
{
    (void)state;
    CLOUD_PLAY(make_openai, rates_body, NULL, {.bytes = PCM_HEAD, .flood = 48000, .after = SCRIPT_CLOSE});
}

static void long_body(struct cloud *t)
{
    struct tts_stream *s = cloud_speak(t, &hello);
    struct buf audio = BUF_INIT(MIB(16));
    size_t pieces;
    assert_int_equal(cloud_listen(t, s, &audio, &pieces), 0);
    assert_int_equal(audio.len, MIB(8) + 3);
    assert_true(pieces > 1);
    tts_close(s);
    buf_free(&audio);
}

static void long_audio_is_not_collected(void **state)
{
    (void)state;
    CLOUD_PLAY(make_openai, long_body, NULL, {.bytes = MP3_HEAD "ID3", .flood = MIB(8), .after = SCRIPT_CLOSE});
}

static void endless_body(struct cloud *t)
{
    struct str piece;
    struct tts_stream *s = cloud_speak(t, &hello);
    while (tts_next(s, &piece, &t->e) > 0)
        ;
    assert_int_equal(t->e.code, ERR_UPSTREAM);
    assert_non_null(strstr(t->e.text, "more audio"));
    tts_close(s);
}

static void endless_audio_is_an_error(void **state)
{
    (void)state;
    CLOUD_PLAY(make_openai, endless_body, NULL, {.bytes = MP3_HEAD "ID3", .flood = MIB(80), .after = SCRIPT_CLOSE});
}

/* ---- failures ---- */

#define ERROR_JSON(message) "{\"error\":{\"message\":\"" message "\",\"type\":\"x\",\"code\":null}}"
#define CUT_HEAD            "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 1000\r\n\r\n"

struct failure {
    enum speech_format format;
    int status;
    const char *text; /* in the error's */
};

static void failure_body(struct cloud *t)
{
    const struct failure *want = t->arg;
    struct tts_request rq = hello;
    rq.format = want->format;
    cloud_refused(t, &rq, ERR_UPSTREAM);
    assert_int_equal(t->e.status, want->status);
    if (!strstr(t->e.text, want->text))
        fail_msg("%s", t->e.text);
    assert_null(strstr(t->e.text, KEY));
}

static void make_plain(struct cloud *t)
{
    struct speech_openai_config config = {.base_url = t->server.url, .api_key = KEY, .upstream = &cloud_upstream};
    t->tts = tts_openai_new(&config, NULL);
}

static void failures_never_come_out_as_audio(void **state)
{
    static const struct {
        struct failure want;
        const char *reply;
    } cases[] = {
        {{SPEECH_MP3, 401, "Wrong key ***"},
         "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" ERROR_JSON(
             "Wrong key " KEY)},
        {{SPEECH_MP3, 429, "Slow down"},
         "HTTP/1.1 429 Too Many\r\nRetry-After: 2\r\nConnection: close\r\n\r\n" ERROR_JSON("Slow down")},
        {{SPEECH_MP3, 500, "status 500"}, "HTTP/1.1 500 No\r\nConnection: close\r\n\r\n<html>no</html>"},
        {{SPEECH_MP3, 404, "does not exist"},
         "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n{\"error\":{\"code\":\"DeploymentNotFound\",\"message\":"
         "\"It does not exist\"}}"},
        {{SPEECH_MP3, 502, "status 502"}, "HTTP/1.1 302 Elsewhere\r\nLocation: /x\r\nConnection: close\r\n\r\n"},
        {{SPEECH_MP3, 502, "Oh no"}, JSON_HEAD ERROR_JSON("Oh no")},
        {{SPEECH_PCM, 502, "Oh no"}, JSON_HEAD ERROR_JSON("Oh no")},
        {{SPEECH_MP3, 502, "Oh no"}, MP3_HEAD ERROR_JSON("Oh no")},
        {{SPEECH_WAV, 502, "Oh no"}, PCM_HEAD ERROR_JSON("Oh no")},
        {{SPEECH_MP3, 502, "an error"},
         "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>"},
        {{SPEECH_MP3, 502, "no audio"}, MP3_HEAD},
        {{SPEECH_PCM, 502, "no audio"}, PCM_HEAD},
        {{SPEECH_OPUS, 502, "no audio"}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {{SPEECH_MP3, 502, "broke off"}, CUT_HEAD},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script_step step = {.bytes = cases[i].reply, .after = SCRIPT_CLOSE};
        cloud_play(&step, 1, make_plain, failure_body, &cases[i].want);
    }
}

static void retry_after_body(struct cloud *t)
{
    cloud_refused(t, &hello, ERR_UPSTREAM);
    assert_int_equal(t->e.status, 429);
    assert_int_equal(t->e.retry_after_ms, 2000);
}

static void how_long_to_wait_is_passed_on(void **state)
{
    (void)state;
    CLOUD_PLAY(make_plain, retry_after_body, NULL,
               {.bytes = "HTTP/1.1 429 Too Many\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"});
}

static void unreachable_body(struct cloud *t)
{
    cloud_refused(t, &hello, ERR_UPSTREAM_UNREACHABLE);
}

static void a_service_that_hangs_up_is_unreachable(void **state)
{
    (void)state;
    CLOUD_PLAY(make_plain, unreachable_body, NULL, {.bytes = "", .after = SCRIPT_RESET});
}

static void cut_body(struct cloud *t)
{
    struct buf audio = BUF_INIT(KIB(64));
    struct tts_stream *s = cloud_speak(t, &hello);
    assert_int_equal(cloud_listen(t, s, &audio, NULL), -1);
    assert_int_equal(t->e.code, ERR_UPSTREAM);
    assert_str(buf_str(&audio), "ID3half");
    tts_close(s);
    buf_free(&audio);
}

static void audio_that_breaks_off_is_an_error(void **state)
{
    (void)state;
    CLOUD_PLAY(make_plain, cut_body, NULL, {.bytes = CUT_HEAD "ID3half", .after = SCRIPT_CLOSE});
}

static void one_byte_body(struct cloud *t)
{
    struct tts_request rq = hello;
    struct str piece;
    rq.format = SPEECH_PCM;
    struct tts_stream *s = cloud_speak(t, &rq);
    assert_int_equal(tts_next(s, &piece, &t->e), -1);
    assert_int_equal(t->e.code, ERR_UPSTREAM);
    tts_close(s);
}

static void less_than_a_sample_is_no_audio(void **state)
{
    (void)state;
    CLOUD_PLAY(make_plain, one_byte_body, NULL, {.bytes = PCM_HEAD "x", .after = SCRIPT_CLOSE});
}

static void make_impatient(struct cloud *t)
{
    static const struct upstream_config impatient = {.connect_timeout = 5000, .first_byte_timeout = 100};
    struct speech_openai_config config = {.base_url = t->server.url, .upstream = &impatient};
    t->tts = tts_openai_new(&config, NULL);
}

static void stalled_body(struct cloud *t)
{
    struct buf audio = BUF_INIT(KIB(64));
    struct tts_stream *s = cloud_speak(t, &hello);
    assert_int_equal(cloud_listen(t, s, &audio, NULL), -1);
    assert_int_equal(t->e.code, ERR_TIMEOUT);
    assert_str(buf_str(&audio), "ID3half");
    tts_close(s);
    script_await(&t->server, &t->server.eofs, 1);
    assert_null(strstr(t->server.requests[0], "Authorization"));
    buf_free(&audio);
}

static void a_service_that_falls_silent_is_left(void **state)
{
    (void)state;
    CLOUD_PLAY(make_impatient, stalled_body, NULL, {.bytes = MP3_HEAD "ID3half", .after = SCRIPT_HANG});
}

/* ---- cancellation ---- */

static void close_body(struct cloud *t)
{
    struct tts_stream *s = cloud_speak(t, &hello);
    tts_close(s);
    script_await(&t->server, &t->server.eofs, 1);
}

static void cancel_body(struct cloud *t)
{
    struct str piece;
    struct cloud_waiter w = {.t = t, .tts = cloud_speak(t, &hello)};
    assert_int_equal(tts_next(w.tts, &piece, &t->e), 1);
    task_cancel(cloud_waiter_start(&w));
    cloud_waiter_join(&w);
    assert_int_equal(w.result, -1);
    assert_int_equal(w.e.code, ERR_CANCELLED);
    tts_close(w.tts);
    script_await(&t->server, &t->server.eofs, 1);
}

static void who_leaves_ends_the_request(void **state)
{
    (void)state;
    CLOUD_PLAY(make_plain, close_body, NULL, {.bytes = MP3_HEAD "ID3", .after = SCRIPT_HANG});
    CLOUD_PLAY(make_plain, cancel_body, NULL, {.bytes = MP3_HEAD "ID3", .after = SCRIPT_HANG});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_say_what_is_wanted),
        cmocka_unit_test(instructions_reach_models_that_follow_them),
        cmocka_unit_test(azure_has_paths_of_its_own),
        cmocka_unit_test(what_cannot_work_is_named),
        cmocka_unit_test(limits_are_checked_before_anything_is_sent),
        cmocka_unit_test(voices_have_their_like),
        cmocka_unit_test(audio_comes_as_it_is_made),
        cmocka_unit_test(audio_survives_any_split),
        cmocka_unit_test(pcm_comes_at_every_rate),
        cmocka_unit_test(long_audio_is_not_collected),
        cmocka_unit_test(endless_audio_is_an_error),
        cmocka_unit_test(failures_never_come_out_as_audio),
        cmocka_unit_test(how_long_to_wait_is_passed_on),
        cmocka_unit_test(a_service_that_hangs_up_is_unreachable),
        cmocka_unit_test(audio_that_breaks_off_is_an_error),
        cmocka_unit_test(less_than_a_sample_is_no_audio),
        cmocka_unit_test(a_service_that_falls_silent_is_left),
        cmocka_unit_test(who_leaves_ends_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
