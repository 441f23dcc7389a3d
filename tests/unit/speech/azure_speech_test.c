/* The azure_speech driver: SSML, results, and both directions against a server that plays bytes. */
#include "speech/azure_speech/azure_speech.h"
#include "speech/azure_speech/result.h"
#include "speech/ssml.h"
#include "speech/wav.h"
#include "unit/speech/cloud_env.h"

static void make(struct cloud *t)
{
    struct speech_azure_config config = {
        .tts_url = t->server.url, .stt_url = t->server.url, .api_key = KEY, .rest = true, .upstream = &cloud_upstream};
    t->tts = tts_azure_speech_new(&config, NULL);
    t->stt = stt_azure_speech_new(&config, NULL);
    assert_non_null(t->tts);
    assert_non_null(t->stt);
    assert_string_equal(tts_name(t->tts), "azure_speech");
    assert_string_equal(stt_name(t->stt), "azure_speech");
}

static void what_cannot_work_is_named(void **state)
{
    static const struct {
        struct speech_azure_config config;
        const char *text;
    } cases[] = {{{.region = "eastus2"}, "key"},
                 {{.api_key = KEY}, "region"},
                 {{.api_key = KEY, .region = "evil.example/"}, "region"},
                 {{.api_key = KEY, .region = "EASTUS2"}, "region"},
                 {{.api_key = KEY, .tts_url = "ftp://x"}, "URL"}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        assert_null(tts_azure_speech_new(&cases[i].config, &e));
        assert_int_equal(e.code, ERR_NOT_CONFIGURED);
        assert_non_null(strstr(e.text, cases[i].text));
    }
    struct speech_azure_config config = {.api_key = KEY, .region = "eastus2"};
    tts_free(tts_azure_speech_new(&config, NULL));
    struct stt *stt = stt_azure_speech_new(&config, NULL);
    assert_non_null(stt);
    stt_free(stt);
}

/* ---- SSML ---- */

#define SPEAK(language, inner)                                                                                         \
    "<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang='" language "'>" inner "</speak>"

static void ssml_is(const struct ssml *ssml, const char *want)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    assert_int_equal(ssml_put(&out, ssml, NULL), 0);
    assert_str(buf_str(&out), want);
    buf_free(&out);
}

static void text_cannot_leave_its_element(void **state)
{
    (void)state;
    ssml_is(
        &(struct ssml){.text = STR("</voice>&<break/> \"it's\" ]]>"), .voice = STR("en-US-JennyNeural"), .speed = 1},
        SPEAK("en-US", "<voice name='en-US-JennyNeural'>&lt;/voice&gt;&amp;&lt;break/&gt; &quot;it&apos;s&quot; "
                       "]]&gt;</voice>"));
    ssml_is(&(struct ssml){.text = STR("a\0b\x01\t\n\x1f\x7f\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd"
                                       "c"),
                           .voice = STR("sr-Latn-RS-SophieNeural"),
                           .speed = 1},
            SPEAK("sr-Latn", "<voice name='sr-Latn-RS-SophieNeural'>ab\t\n\x7f\xef\xbf\xbd"
                             "c</voice>"));
}

static void speed_is_a_rate(void **state)
{
    struct ssml ssml = {.text = STR("x"), .voice = STR("de-DE-KatjaNeural"), .language = STR("de-AT"), .speed = 1.25};
    (void)state;
    ssml_is(&ssml, SPEAK("de-AT", "<voice name='de-DE-KatjaNeural'><prosody rate='+25%'>x</prosody></voice>"));
    ssml.speed = 0.25;
    ssml_is(&ssml, SPEAK("de-AT", "<voice name='de-DE-KatjaNeural'><prosody rate='-50%'>x</prosody></voice>"));
    ssml.speed = 4;
    ssml_is(&ssml, SPEAK("de-AT", "<voice name='de-DE-KatjaNeural'><prosody rate='+100%'>x</prosody></voice>"));
}

static void attributes_are_names(void **state)
{
    static const struct ssml cases[] = {
        {.text = {"x", 1}, .voice = {"Jenny", 5}, .speed = 1},
        {.text = {"x", 1}, .voice = {"en-US-'><x/>Neural", 18}, .speed = 1},
        {.text = {"x", 1}, .voice = {"en-US-JennyNeural", 17}, .language = {"en'", 3}, .speed = 1},
        {.text = {"\xff", 1}, .voice = {"en-US-JennyNeural", 17}, .speed = 1}};
    struct buf out = BUF_INIT(SIZE_MAX);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        assert_int_equal(ssml_put(&out, &cases[i], &e), -1);
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
    }
    buf_free(&out);
}

/* ---- speech ---- */

static void speak_body(struct cloud *t)
{
    static const struct {
        enum speech_format format;
        unsigned rate;
        const char *name;
    } cases[] = {{SPEECH_MP3, 0, "audio-24khz-96kbitrate-mono-mp3"}, {SPEECH_OPUS, 0, "ogg-24khz-16bit-mono-opus"},
                 {SPEECH_PCM, 0, "raw-24khz-16bit-mono-pcm"},        {SPEECH_PCM, 8000, "raw-8khz-16bit-mono-pcm"},
                 {SPEECH_WAV, 44100, "raw-44100hz-16bit-mono-pcm"},  {SPEECH_WAV, 32000, "raw-44100hz-16bit-mono-pcm"},
                 {SPEECH_PCM, 48000, "raw-48khz-16bit-mono-pcm"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[128];
        struct tts_request rq = {
            .text = STR("Fish & chips"), .voice = STR("nova"), .format = cases[i].format, .rate = cases[i].rate};
        struct buf audio = BUF_INIT(KIB(64));
        struct tts_stream *s = cloud_speak(t, &rq);
        assert_int_equal(cloud_listen(t, s, &audio, NULL), 0);
        tts_close(s);
        assert_true(audio.len >= 4);
        snprintf(line, sizeof line, "\r\nX-Microsoft-OutputFormat: %s\r\n", cases[i].name);
        cloud_head_has(t, i, line);
        assert_str(cloud_sent(t, i), SPEAK("en-US", "<voice name='en-US-AriaNeural'>Fish &amp; chips</voice>"));
        buf_free(&audio);
    }
    cloud_head_has(t, 0, "POST /cognitiveservices/v1 HTTP/1.1\r\n");
    cloud_head_has(t, 0, "\r\nOcp-Apim-Subscription-Key: " KEY "\r\n");
    cloud_head_has(t, 0, "\r\nContent-Type: application/ssml+xml\r\n");
    cloud_head_has(t, 0, "\r\nUser-Agent: parley\r\n");
}

static void requests_say_what_is_wanted(void **state)
{
    (void)state;
    CLOUD_PLAY(make, speak_body, NULL, {.bytes = MP3_HEAD "ID3four!", .split = 1, .after = SCRIPT_CLOSE});
}

static void refused_body(struct cloud *t)
{
    struct tts_request rq = {.text = STR("x"), .format = SPEECH_FLAC};
    cloud_refused(t, &rq, ERR_NOT_CONFIGURED);
    assert_string_equal(t->e.text, "azure_speech makes no flac");
    rq.format = SPEECH_AAC;
    cloud_refused(t, &rq, ERR_NOT_CONFIGURED);
    rq = (struct tts_request){.text = STR("x"), .voice = STR("slt")};
    cloud_refused(t, &rq, ERR_INVALID_REQUEST);
    rq = (struct tts_request){.text = STR("x"), .language = STR("e n")};
    cloud_refused(t, &rq, ERR_INVALID_REQUEST);
    struct stt_request hear = {.rate = 16000, .language = STR("en&x=y")};
    assert_null(stt_open(t->stt, &hear, t->arena, &t->e));
    assert_int_equal(t->e.code, ERR_INVALID_REQUEST);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 0);
}

static void what_it_cannot_do_is_not_sent(void **state)
{
    (void)state;
    CLOUD_PLAY(make, refused_body, NULL, {.bytes = ""});
}

struct failure {
    const char *reply;
    int status;
    const char *text; /* in the error's */
};

static void speak_failure_body(struct cloud *t)
{
    const struct failure *want = t->arg;
    struct tts_request rq = {.text = STR("x")};
    cloud_refused(t, &rq, ERR_UPSTREAM);
    assert_int_equal(t->e.status, want->status);
    if (!strstr(t->e.text, want->text))
        fail_msg("%s", t->e.text);
    assert_null(strstr(t->e.text, KEY));
}

static void failures_never_come_out_as_audio(void **state)
{
    static const struct failure cases[] = {
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", 401, "status 401"},
        {"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", 400, "status 400"},
        {"HTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", 429, "status 429"},
        {"HTTP/1.1 403 No\r\nConnection: close\r\n\r\n{\"error\":{\"code\":\"403\",\"message\":\"Not " KEY "\"}}", 403,
         "Not ***"},
        {"HTTP/1.1 503 No\r\nConnection: close\r\n\r\n<html>", 503, "status 503"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 502, "no audio"},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>", 502, "an error"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script_step step = {.bytes = cases[i].reply, .after = SCRIPT_CLOSE};
        cloud_play(&step, 1, make, speak_failure_body, &cases[i]);
    }
}

static void speak_cut_body(struct cloud *t)
{
    struct tts_request rq = {.text = STR("x")};
    struct buf audio = BUF_INIT(KIB(64));
    struct tts_stream *s = cloud_speak(t, &rq);
    assert_int_equal(cloud_listen(t, s, &audio, NULL), -1);
    assert_int_equal(t->e.code, ERR_UPSTREAM);
    assert_str(buf_str(&audio), "ID3half");
    tts_close(s);
    buf_free(&audio);
}

static void speak_leave_body(struct cloud *t)
{
    struct tts_request rq = {.text = STR("x")};
    tts_close(cloud_speak(t, &rq));
    script_await(&t->server, &t->server.eofs, 1);
}

static void audio_may_break_off_and_listeners_leave(void **state)
{
    (void)state;
    CLOUD_PLAY(make, speak_cut_body, NULL,
               {.bytes = "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 99\r\n\r\nID3half",
                .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make, speak_leave_body, NULL, {.bytes = MP3_HEAD "ID3", .after = SCRIPT_HANG});
}

/* ---- formats that are made here ---- */

static struct media *media;

static void make_encoding(struct cloud *t)
{
    struct speech_azure_config config = {
        .tts_url = t->server.url, .api_key = KEY, .media = media, .upstream = &cloud_upstream};
    t->tts = tts_azure_speech_new(&config, NULL);
}

static void encoded_body(struct cloud *t)
{
    static const struct {
        enum speech_format format;
        const char *head;
    } cases[] = {{SPEECH_FLAC, "fLaC"}, {SPEECH_AAC, "\xff\xf1"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tts_request rq = {.text = STR("x"), .format = cases[i].format};
        struct buf audio = BUF_INIT(MIB(4)), pcm = BUF_INIT(MIB(4));
        struct media_decode how = {.rate = 24000};
        struct tts_stream *s = cloud_speak(t, &rq);
        assert_int_equal(cloud_listen(t, s, &audio, NULL), 0);
        tts_close(s);
        cloud_head_has(t, i, "\r\nX-Microsoft-OutputFormat: raw-24khz-16bit-mono-pcm\r\n");
        assert_true(str_starts(buf_str(&audio), str_c(cases[i].head)));
        assert_int_equal(media_decode_all(media, &how, buf_str(&audio), &pcm, &t->e), 0);
        assert_in_range(pcm.len, 48000, 60000);
        buf_free(&audio);
        buf_free(&pcm);
    }
}

static void encoded_cut_body(struct cloud *t)
{
    struct tts_request rq = {.text = STR("x"), .format = SPEECH_FLAC};
    struct buf audio = BUF_INIT(MIB(4));
    struct tts_stream *s = cloud_speak(t, &rq);
    assert_int_equal(cloud_listen(t, s, &audio, NULL), -1);
    assert_int_equal(t->e.code, ERR_UPSTREAM);
    assert_non_null(strstr(t->e.text, "broke off"));
    tts_close(s);
    buf_free(&audio);
}

static void encoded_leave_body(struct cloud *t)
{
    struct tts_request rq = {.text = STR("x"), .format = SPEECH_FLAC};
    tts_close(cloud_speak(t, &rq));
    script_await(&t->server, &t->server.eofs, 1);
}

static void what_the_service_does_not_make_is_encoded_here(void **state)
{
    (void)state;
    media = media_new(&(struct media_config){0});
    CLOUD_PLAY(make_encoding, encoded_body, NULL, {.bytes = PCM_HEAD, .flood = 48000, .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make_encoding, encoded_cut_body, NULL,
               {.bytes = "HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nContent-Length: 99999\r\n\r\n",
                .flood = 48000,
                .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make_encoding, encoded_leave_body, NULL, {.bytes = PCM_HEAD, .flood = 48000, .after = SCRIPT_HANG});
    media = media_free(media);
}

/* ---- results ---- */

static void result_is(const char *json, const char *text, double confidence, int64_t audio_ms)
{
    struct result result;
    struct buf scratch = BUF_INIT(KIB(4));
    struct err e = {0};
    if (result_read(&result, str_c(json), &scratch, &e) < 0)
        fail_msg("%s: %s", json, e.text);
    assert_str(result.text, text);
    assert_int_equal((int)(result.confidence * 100), (int)(confidence * 100));
    assert_int_equal(result.audio_ms, audio_ms);
    buf_free(&scratch);
}

static void results_come_in_many_forms(void **state)
{
    (void)state;
    result_is("{\"RecognitionStatus\":\"Success\",\"DisplayText\":\"Where?\",\"Offset\":1800000,\"Duration\":21000000}",
              "Where?", -1, 2280);
    result_is(
        "{\"RecognitionStatus\":\"Success\",\"DisplayText\":\"top\",\"Offset\":\"1800000\",\"Duration\":\"200000\","
        "\"NBest\":[{\"Confidence\":\"0.93\",\"Lexical\":\"l\",\"Display\":\"Caf\\u00e9.\"},{\"Display\":\"no\"}]}",
        "Caf\xc3\xa9.", 0.93, 200);
    result_is("{\"RecognitionStatus\":\"Success\",\"NBest\":[{\"Confidence\":0.5,\"Display\":\"x\"}]}", "x", 0.5, -1);
    result_is("{\"RecognitionStatus\":\"Success\",\"NBest\":[{\"Confidence\":7,\"Display\":\"x\"}],\"Offset\":\"7x\","
              "\"Duration\":\"\"}",
              "x", -1, -1);
    result_is("{\"RecognitionStatus\":\"NoMatch\",\"Offset\":0,\"Duration\":10000000}", "", -1, 1000);
    result_is("{\"RecognitionStatus\":\"InitialSilenceTimeout\",\"Offset\":-5,\"Duration\":0}", "", -1, -1);
    result_is("{\"RecognitionStatus\":\"BabbleTimeout\",\"DisplayText\":\"no\",\"Offset\":1e300,\"Duration\":1}", "",
              -1, -1);
}

static void what_is_no_result_is_an_error(void **state)
{
    static const char *const cases[] = {"",
                                        "<html>",
                                        "[]",
                                        "{}",
                                        "{\"RecognitionStatus\":7}",
                                        "{\"RecognitionStatus\":\"Error\"}",
                                        "{\"RecognitionStatus\":\"Strange\",\"DisplayText\":\"x\"}",
                                        "{\"RecognitionStatus\":\"Success\"}",
                                        "{\"RecognitionStatus\":\"Success\",\"NBest\":[]}"};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct result result;
        struct buf scratch = BUF_INIT(KIB(4));
        struct err e = {0};
        assert_int_equal(result_read(&result, str_c(cases[i]), &scratch, &e), -1);
        assert_int_equal(e.code, ERR_UPSTREAM);
        buf_free(&scratch);
    }
}

/* ---- recognition ---- */

#define SUCCESS                                                                                                        \
    "{\"RecognitionStatus\":\"Success\",\"Offset\":\"0\",\"Duration\":\"5000000\",\"NBest\":[{\"Confidence\":0.9,"     \
    "\"Display\":\"Where is my order?\"}]}"

static void wav_is(struct cloud *t, size_t n, size_t samples)
{
    char head[WAV_HEAD];
    struct str wav = cloud_sent(t, n);
    wav_head(head, 16000);
    wav_set_length(head, samples * 2);
    assert_int_equal(wav.n, WAV_HEAD + samples * 2);
    assert_memory_equal(wav.p, head, WAV_HEAD);
}

static void hear_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000, .partial = true};
    struct stt_event event;
    struct stt_stream *s = cloud_utter(t, &rq, 16000);
    assert_int_equal(stt_next(s, &event, &t->e), 1);
    assert_int_equal(event.type, STT_FINAL);
    assert_str(event.text, "Where is my order?");
    assert_int_equal((int)(event.confidence * 10), 9);
    assert_int_equal(event.audio_ms, 500);
    cloud_ends(t, s);
    cloud_head_has(
        t, 0, "POST /speech/recognition/conversation/cognitiveservices/v1?format=detailed&language=en-US HTTP/1.1\r\n");
    cloud_head_has(t, 0, "\r\nOcp-Apim-Subscription-Key: " KEY "\r\n");
    cloud_head_has(t, 0, "\r\nContent-Type: audio/wav; codecs=audio/pcm; samplerate=16000\r\n");
    wav_is(t, 0, 16000);
    rq = (struct stt_request){.rate = 48000, .language = STR("de-DE")};
    s = cloud_utter(t, &rq, 30000);
    cloud_hears(t, s, STT_FINAL, "Where is my order?");
    cloud_ends(t, s);
    cloud_head_has(t, 1, "&language=de-DE HTTP/1.1\r\n");
    wav_is(t, 1, 10000);
}

static void an_utterance_is_uploaded_at_16_khz(void **state)
{
    (void)state;
    CLOUD_PLAY(make, hear_body, NULL, {.bytes = JSON_HEAD SUCCESS, .split = 1, .after = SCRIPT_CLOSE});
}

static void minute_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    char *second = calloc(1, 32000);
    struct stt_stream *s = stt_open(t->stt, &rq, t->arena, &t->e);
    for (int i = 0; i < 60; i++)
        assert_int_equal(stt_write(s, str_n(second, 32000), &t->e), 0);
    assert_int_equal(stt_write(s, str_n(second, 2), &t->e), -1);
    assert_int_equal(t->e.code, ERR_INVALID_REQUEST);
    assert_non_null(strstr(t->e.text, "60 seconds"));
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 0);
    /* what was taken is of use all the same */
    assert_int_equal(stt_finish(s, &t->e), 0);
    cloud_hears(t, s, STT_FINAL, "Where is my order?");
    cloud_ends(t, s);
    wav_is(t, 0, (size_t)60 * 16000);
    free(second);
}

static void a_minute_is_the_most(void **state)
{
    (void)state;
    CLOUD_PLAY(make, minute_body, NULL, {.bytes = JSON_HEAD SUCCESS, .after = SCRIPT_CLOSE});
}

static void silence_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct stt_stream *s = cloud_utter(t, &rq, 16000);
    cloud_hears(t, s, STT_FINAL, "");
    cloud_ends(t, s);
    s = cloud_utter(t, &rq, 0);
    cloud_hears(t, s, STT_FINAL, "");
    cloud_ends(t, s);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 1);
}

static void nothing_understood_is_an_empty_text(void **state)
{
    (void)state;
    CLOUD_PLAY(
        make, silence_body, NULL,
        {.bytes = JSON_HEAD "{\"RecognitionStatus\":\"NoMatch\",\"Offset\":0,\"Duration\":0}", .after = SCRIPT_CLOSE});
}

static void hear_failure_body(struct cloud *t)
{
    const struct failure *want = t->arg;
    struct stt_request rq = {.rate = 16000};
    struct stt_stream *s = cloud_utter(t, &rq, 16000);
    cloud_fails(t, s, ERR_UPSTREAM);
    assert_int_equal(t->e.status, want->status);
    if (!strstr(t->e.text, want->text))
        fail_msg("%s", t->e.text);
    assert_null(strstr(t->e.text, KEY));
    cloud_fails(t, s, ERR_UPSTREAM);
    stt_close(s);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 1);
}

static void failures_say_why(void **state)
{
    static const struct failure cases[] = {
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", 401, "status 401"},
        {"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n", 429, "status 429"},
        {"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n{\"error\":{\"message\":\"Bad " KEY "\"}}", 500, "Bad ***"},
        {JSON_HEAD "{\"RecognitionStatus\":\"Error\"}", 502, "could not recognize"},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>", 502, "no recognition result"},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{", 502, "broke off"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script_step step = {.bytes = cases[i].reply, .after = SCRIPT_CLOSE};
        cloud_play(&step, 1, make, hear_failure_body, &cases[i]);
    }
}

static void flood_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct stt_stream *s = cloud_utter(t, &rq, 16000);
    cloud_fails(t, s, ERR_UPSTREAM);
    stt_close(s);
}

static void replies_are_bounded(void **state)
{
    (void)state;
    CLOUD_PLAY(make, flood_body, NULL, {.bytes = JSON_HEAD "{\"x\":\"", .flood = MIB(4), .after = SCRIPT_CLOSE});
}

static void cancel_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct cloud_waiter w = {.t = t, .stt = cloud_utter(t, &rq, 16000)};
    struct task *task = cloud_waiter_start(&w);
    script_await(&t->server, &t->server.nrequests, 1);
    task_cancel(task);
    cloud_waiter_join(&w);
    assert_int_equal(w.e.code, ERR_CANCELLED);
    stt_close(w.stt);
    script_await(&t->server, &t->server.eofs, 1);
}

static void waiting_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 24000};
    struct cloud_waiter w = {.t = t, .stt = stt_open(t->stt, &rq, t->arena, &t->e)};
    char audio[9600] = {0};
    cloud_waiter_start(&w);
    assert_int_equal(stt_write(w.stt, str_n(audio, sizeof audio), &t->e), 0);
    assert_false(w.ended);
    assert_int_equal(stt_finish(w.stt, &t->e), 0);
    cloud_waiter_join(&w);
    assert_string_equal(w.text, "Where is my order?");
    cloud_ends(t, w.stt);
}

static void another_task_may_wait_and_leave(void **state)
{
    (void)state;
    CLOUD_PLAY(make, waiting_body, NULL, {.bytes = JSON_HEAD SUCCESS, .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make, cancel_body, NULL, {.bytes = "", .after = SCRIPT_HANG});
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "media") == 0) /* this program is its own media process */
        return media_worker(MEDIA_WORKER_FD);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_work_is_named),
        cmocka_unit_test(text_cannot_leave_its_element),
        cmocka_unit_test(speed_is_a_rate),
        cmocka_unit_test(attributes_are_names),
        cmocka_unit_test(requests_say_what_is_wanted),
        cmocka_unit_test(what_it_cannot_do_is_not_sent),
        cmocka_unit_test(failures_never_come_out_as_audio),
        cmocka_unit_test(audio_may_break_off_and_listeners_leave),
        cmocka_unit_test(what_the_service_does_not_make_is_encoded_here),
        cmocka_unit_test(results_come_in_many_forms),
        cmocka_unit_test(what_is_no_result_is_an_error),
        cmocka_unit_test(an_utterance_is_uploaded_at_16_khz),
        cmocka_unit_test(a_minute_is_the_most),
        cmocka_unit_test(nothing_understood_is_an_empty_text),
        cmocka_unit_test(failures_say_why),
        cmocka_unit_test(replies_are_bounded),
        cmocka_unit_test(another_task_may_wait_and_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
