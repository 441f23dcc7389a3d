/* The openai driver listens: forms, transcripts, and whole conversations with a server that plays bytes. */
#include "speech/openai/form.h"
#include "speech/openai/openai.h"
#include "speech/wav.h"
#include "unit/speech/cloud_env.h"

static const struct stt_request english = {.rate = 16000, .language = {"en-US", 5}};
static const struct stt_request live = {.rate = 16000, .partial = true};

static void make_whisper(struct cloud *t)
{
    struct speech_openai_config config = {.base_url = t->server.url, .api_key = KEY, .upstream = &cloud_upstream};
    t->stt = stt_openai_new(&config, NULL);
    assert_non_null(t->stt);
}

static void make_streaming(struct cloud *t)
{
    struct speech_openai_config config = {
        .base_url = t->server.url, .api_key = KEY, .upstream = &cloud_upstream, .stt_model = "gpt-4o-transcribe"};
    t->stt = stt_openai_new(&config, NULL);
}

static void make_azure(struct cloud *t)
{
    struct speech_openai_config config = {.base_url = t->server.url,
                                          .api_key = KEY,
                                          .upstream = &cloud_upstream,
                                          .azure = true,
                                          .stt_deployment = "hear",
                                          .stt_api_version = "2025-03-01-preview"};
    t->stt = stt_openai_new(&config, NULL);
}

/* ---- forms ---- */

static void form_bytes_are_exact(void **state)
{
    struct form f;
    struct buf want = BUF_INIT(KIB(4));
    (void)state;
    form_begin(&f);
    form_field(&f, "model", STR("m"));
    form_field(&f, "prompt", STR("a\r\nb"));
    form_file(&f, "file", "audio.wav", "audio/wav");
    buf_add(&f.body, "\0\r\n--\xff", 6);
    assert_int_equal(form_file_size(&f), 6);
    form_end(&f);
    buf_addf(&want, "--%s\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n", f.boundary);
    buf_addf(&want, "--%s\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na\r\nb\r\n", f.boundary);
    buf_addf(&want,
             "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"audio.wav\"\r\n"
             "Content-Type: audio/wav\r\n\r\n",
             f.boundary);
    buf_add(&want, "\0\r\n--\xff", 6);
    buf_addf(&want, "\r\n--%s--\r\n", f.boundary);
    assert_int_equal(f.body.len, want.len);
    assert_memory_equal(buf_str(&f.body).p, buf_str(&want).p, want.len);
    form_free(&f);
    buf_free(&want);
}

/* The data is made of the boundary that was chosen first: in the file, in a field, cut short, and overlapping itself.
 */
static void the_boundary_is_never_in_the_data(void **state)
{
    char first[FORM_BOUNDARY + 1];
    struct form f;
    (void)state;
    form_begin(&f);
    memcpy(first, f.boundary, sizeof first);
    struct buf file = BUF_INIT(KIB(4));
    buf_addf(&file, "x\r\n--%s\r\n--%s--%.20s", first, first, first);
    form_field(&f, "prompt", str_c(first));
    form_file(&f, "file", "a.wav", "audio/wav");
    buf_str_add(&f.body, buf_str(&file));
    form_end(&f);
    assert_string_not_equal(f.boundary, first);
    assert_int_equal(strlen(f.boundary), FORM_BOUNDARY);
    assert_memory_equal(f.body.data + f.body.head + f.file_at, buf_str(&file).p, file.len);
    size_t found = 0;
    struct str rest = buf_str(&f.body);
    for (ptrdiff_t at; (at = str_find(rest, str_c(f.boundary))) >= 0; found++) {
        assert_memory_equal(rest.p + at - 2, "--", 2);
        rest = str_from(rest, (size_t)at + 1);
    }
    assert_int_equal(found, 3);
    form_free(&f);
    buf_free(&file);
}

/* ---- what is asked ---- */

/* The value of a field of the nth request's form; STR_NONE without. */
static struct str field(struct cloud *t, size_t n, const char *name)
{
    char head[128];
    snprintf(head, sizeof head, "; name=\"%s\"", name);
    struct str body = cloud_sent(t, n);
    ptrdiff_t at = str_find(body, str_c(head));
    if (at < 0)
        return STR_NONE;
    body = str_from(body, (size_t)at);
    body = str_from(body, (size_t)str_find(body, STR("\r\n\r\n")) + 4);
    return str_n(body.p, (size_t)str_find(body, STR("\r\n--------")));
}

static void field_is(struct cloud *t, size_t n, const char *name, const char *value)
{
    if (!value)
        assert_null(field(t, n, name).p);
    else
        assert_str(field(t, n, name), value);
}

/* The file of the nth request is a WAV of the samples that cloud_utter writes. */
static void file_is(struct cloud *t, size_t n, unsigned rate, size_t samples)
{
    char head[WAV_HEAD];
    struct str wav = field(t, n, "file");
    wav_head(head, rate);
    wav_set_length(head, samples * 2);
    assert_int_equal(wav.n, WAV_HEAD + samples * 2);
    assert_memory_equal(wav.p, head, WAV_HEAD);
    for (size_t i = 0; i < samples; i++) {
        int16_t sample;
        memcpy(&sample, wav.p + WAV_HEAD + 2 * i, sizeof sample);
        if (sample != (int16_t)(i & 0x7fff))
            fail_msg("sample %zu is %d", i, sample);
    }
}

static void whisper_body(struct cloud *t)
{
    struct stt_request rq = english;
    rq.prompt = STR("parley, Debian");
    struct stt_stream *s = cloud_utter(t, &rq, 16000);
    cloud_hears(t, s, STT_FINAL, "Is the \"oven\" on?");
    cloud_ends(t, s);
    cloud_head_has(t, 0, "POST /audio/transcriptions HTTP/1.1\r\n");
    cloud_head_has(t, 0, "\r\nAuthorization: Bearer " KEY "\r\n");
    cloud_head_has(t, 0, "\r\nContent-Type: multipart/form-data; boundary=--------");
    field_is(t, 0, "model", "whisper-1");
    field_is(t, 0, "response_format", "json");
    field_is(t, 0, "language", "en");
    field_is(t, 0, "prompt", "parley, Debian");
    field_is(t, 0, "stream", NULL);
    file_is(t, 0, 16000, 16000);
    assert_string_equal(stt_name(t->stt), "openai");
}

#define OVEN                                                                                                           \
    "{\"text\":\" Is the \\\"oven\\\" on? \",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,"                      \
    "\"output_tokens\":45,\"total_tokens\":59}}"

static void an_utterance_is_uploaded_as_wav(void **state)
{
    (void)state;
    CLOUD_PLAY(make_whisper, whisper_body, NULL, {.bytes = JSON_HEAD OVEN, .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make_whisper, whisper_body, NULL, {.bytes = JSON_HEAD OVEN, .split = 1, .after = SCRIPT_CLOSE});
}

static void azure_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 24000, .language = STR("fil-PH"), .partial = true};
    struct stt_stream *s = cloud_utter(t, &rq, 24000);
    cloud_hears(t, s, STT_FINAL, "Yes");
    cloud_ends(t, s);
    cloud_head_has(t, 0,
                   "POST /openai/deployments/hear/audio/transcriptions?api-version=2025-03-01-preview HTTP/1.1\r\n");
    cloud_head_has(t, 0, "\r\napi-key: " KEY "\r\n");
    field_is(t, 0, "model", "hear");
    field_is(t, 0, "language", NULL);
    field_is(t, 0, "prompt", NULL);
    field_is(t, 0, "stream", NULL);
    file_is(t, 0, 24000, 24000);
    assert_string_equal(stt_name(t->stt), "azure_openai");
}

static void azure_has_paths_of_its_own(void **state)
{
    (void)state;
    CLOUD_PLAY(make_azure, azure_body, NULL, {.bytes = JSON_HEAD "{\"text\":\"Yes\"}", .after = SCRIPT_CLOSE});
}

static void big_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 48000};
    size_t n = MIB(4);
    struct stt_stream *s = cloud_utter(t, &rq, n);
    cloud_hears(t, s, STT_FINAL, "Long");
    cloud_ends(t, s);
    file_is(t, 0, 48000, n);
}

static void long_audio_arrives_whole(void **state)
{
    (void)state;
    CLOUD_PLAY(make_whisper, big_body, NULL, {.bytes = JSON_HEAD "{\"text\":\"Long\"}", .after = SCRIPT_CLOSE});
}

static void limit_body(struct cloud *t)
{
    struct stt_stream *s = stt_open(t->stt, &english, t->arena, &t->e);
    char *silence = calloc(1, MIB(1));
    for (int i = 0; i < 24; i++)
        assert_int_equal(stt_write(s, str_n(silence, MIB(1)), &t->e), 0);
    assert_int_equal(stt_write(s, str_n(silence, MIB(1) - WAV_HEAD), &t->e), 0);
    assert_int_equal(stt_write(s, str_n(silence, 2), &t->e), -1);
    assert_int_equal(t->e.code, ERR_BODY_TOO_LARGE);
    free(silence);
    assert_null(stt_close(s));
    s = cloud_utter(t, &english, 1600);
    assert_int_equal(stt_write(s, STR("ab"), &t->e), -1);
    assert_int_equal(t->e.code, ERR_INVALID_REQUEST);
    assert_int_equal(stt_write(s, STR("a"), &t->e), -1);
    assert_int_equal(stt_finish(s, &t->e), 0);
    stt_close(s);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 0);
}

static void audio_has_a_limit(void **state)
{
    (void)state;
    CLOUD_PLAY(make_whisper, limit_body, NULL, {.bytes = ""});
}

static void nothing_body(struct cloud *t)
{
    struct stt_stream *s = stt_open(t->stt, &english, t->arena, &t->e);
    assert_int_equal(stt_finish(s, &t->e), 0);
    cloud_hears(t, s, STT_FINAL, "");
    cloud_ends(t, s);
    s = cloud_utter(t, &live, 1599);
    cloud_hears(t, s, STT_FINAL, "");
    cloud_ends(t, s);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 0);
}

static void too_little_to_hold_a_word_is_not_sent(void **state)
{
    (void)state;
    CLOUD_PLAY(make_streaming, nothing_body, NULL, {.bytes = ""});
}

/* ---- partial results ---- */

#define DELTA(text) DATA("{\"type\":\"transcript.text.delta\",\"delta\":\"" text "\"}")
#define DONE(text)  DATA("{\"type\":\"transcript.text.done\",\"text\":\"" text "\",\"usage\":{\"type\":\"tokens\"}}")

static void partial_body(struct cloud *t)
{
    struct stt_stream *s = cloud_utter(t, &live, 1600);
    cloud_hears(t, s, STT_PARTIAL, "Hel");
    cloud_hears(t, s, STT_PARTIAL, "Hell\xc3\xb6");
    cloud_hears(t, s, STT_FINAL, "Hell\xc3\xb6.");
    cloud_ends(t, s);
    field_is(t, 0, "stream", "true");
    field_is(t, 0, "model", "gpt-4o-transcribe");
    s = cloud_utter(t, &live, 1600);
    struct stt_event event;
    assert_int_equal(stt_next(s, &event, &t->e), 1);
    assert_int_equal(event.audio_ms, 100);
    assert_true(event.confidence < 0);
    stt_close(s);
}

#define HELLO                                                                                                          \
    SSE_HEAD ": hi\n\n" DELTA("Hel") DATA("{\"type\":\"transcript.text.segment\",\"text\":\"x\"}") DELTA("l\\u00f6")   \
        DONE("Hell\\u00f6.") DATA("[DONE]")

static void what_is_understood_comes_bit_by_bit(void **state)
{
    (void)state;
    CLOUD_PLAY(make_streaming, partial_body, NULL, {.bytes = HELLO, .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make_streaming, partial_body, NULL, {.bytes = HELLO, .split = 1, .after = SCRIPT_CLOSE});
}

static void early_body(struct cloud *t)
{
    struct stt_stream *s = cloud_utter(t, &live, 1600);
    cloud_hears(t, s, STT_PARTIAL, "Hel");
    script_release(&t->server);
    cloud_hears(t, s, STT_FINAL, "Hello");
    cloud_ends(t, s);
}

static void a_partial_result_does_not_wait_for_the_next(void **state)
{
    (void)state;
    CLOUD_PLAY(make_streaming, early_body, NULL,
               {.bytes = SSE_HEAD DELTA("Hel"), .late = DONE("Hello"), .after = SCRIPT_CLOSE});
}

static void unstreamed_body(struct cloud *t)
{
    struct stt_stream *s = cloud_utter(t, &live, 1600);
    cloud_hears(t, s, STT_FINAL, "All at once");
    cloud_ends(t, s);
}

static void a_service_may_not_stream(void **state)
{
    (void)state;
    CLOUD_PLAY(make_streaming, unstreamed_body, NULL,
               {.bytes = JSON_HEAD "{\"text\":\"All at once\"}", .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make_streaming, unstreamed_body, NULL,
               {.bytes = SSE_HEAD DATA("{\"type\":\"transcript.text.done\",\"text\":\"All at once\"}"),
                .after = SCRIPT_CLOSE});
}

static void whole_body(struct cloud *t)
{
    struct stt_stream *s = cloud_utter(t, &english, 1600);
    cloud_hears(t, s, STT_FINAL, "Whole");
    cloud_ends(t, s);
    field_is(t, 0, "stream", NULL);
}

static void who_wants_no_partial_results_gets_none(void **state)
{
    (void)state;
    CLOUD_PLAY(make_streaming, whole_body, NULL, {.bytes = JSON_HEAD "{\"text\":\"Whole\"}", .after = SCRIPT_CLOSE});
}

/* ---- failures ---- */

struct failure {
    const char *reply;
    int status;
    const char *text; /* in the error's */
};

static void failure_body(struct cloud *t)
{
    const struct failure *want = t->arg;
    struct stt_stream *s = cloud_utter(t, &live, 1600);
    struct stt_event event;
    int got;
    while ((got = stt_next(s, &event, &t->e)) > 0)
        assert_int_equal(event.type, STT_PARTIAL);
    assert_int_equal(got, -1);
    assert_int_equal(t->e.code, ERR_UPSTREAM);
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
        {"HTTP/1.1 401 No\r\nConnection: close\r\n\r\n{\"error\":{\"message\":\"Wrong key " KEY "\"}}", 401,
         "Wrong key ***"},
        {"HTTP/1.1 429 No\r\nRetry-After: 1\r\nConnection: close\r\n\r\n", 429, "status 429"},
        {"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n<html>", 500, "status 500"},
        {JSON_HEAD "{\"words\":[]}", 502, "no transcript"},
        {JSON_HEAD "{\"text\":", 502, "no transcript"},
        {JSON_HEAD "{\"text\":7}", 502, "no transcript"},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nHello", 502, "no transcript"},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{", 502, "broke off"},
        {SSE_HEAD DELTA("Hel"), 502, "broke off"},
        {SSE_HEAD DELTA("Hel") DATA("[DONE]"), 502, "broke off"},
        {SSE_HEAD DELTA("Hel") DATA("{\"error\":{\"message\":\"Lost " KEY "\"}}"), 502, "Lost ***"},
        {SSE_HEAD DATA("{\"type\":\"error\",\"message\":\"Lost it\"}"), 502, "Lost it"},
        {SSE_HEAD DATA("{\"type\":"), 502, "no JSON object"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script_step step = {.bytes = cases[i].reply, .after = SCRIPT_CLOSE};
        cloud_play(&step, 1, make_streaming, failure_body, &cases[i]);
    }
}

static void lost_body(struct cloud *t)
{
    struct stt_stream *s = cloud_utter(t, &live, 1600);
    cloud_fails(t, s, ERR_UPSTREAM_UNREACHABLE);
    cloud_fails(t, s, ERR_UPSTREAM);
    stt_close(s);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 1);
}

static void what_failed_is_not_sent_again(void **state)
{
    (void)state;
    CLOUD_PLAY(make_streaming, lost_body, NULL, {.bytes = "", .after = SCRIPT_RESET});
}

static void flood_body(struct cloud *t)
{
    struct stt_stream *s = cloud_utter(t, &live, 1600);
    cloud_fails(t, s, ERR_UPSTREAM);
    stt_close(s);
}

static void replies_are_bounded(void **state)
{
    (void)state;
    CLOUD_PLAY(make_streaming, flood_body, NULL,
               {.bytes = JSON_HEAD "{\"text\":\"", .flood = MIB(20), .after = SCRIPT_CLOSE});
    CLOUD_PLAY(make_streaming, flood_body, NULL, {.bytes = SSE_HEAD "data: ", .flood = MIB(20), .after = SCRIPT_CLOSE});
}

/* ---- two tasks, and cancellation ---- */

static void waiting_body(struct cloud *t)
{
    struct cloud_waiter w = {.t = t, .stt = stt_open(t->stt, &english, t->arena, &t->e)};
    cloud_waiter_start(&w);
    char audio[3200] = {0};
    assert_int_equal(stt_write(w.stt, str_n(audio, sizeof audio), &t->e), 0);
    assert_false(w.ended);
    assert_int_equal(stt_finish(w.stt, &t->e), 0);
    cloud_waiter_join(&w);
    assert_int_equal(w.result, 1);
    assert_string_equal(w.text, "Hi");
    cloud_ends(t, w.stt);
}

static void one_task_writes_while_another_waits(void **state)
{
    (void)state;
    CLOUD_PLAY(make_whisper, waiting_body, NULL, {.bytes = JSON_HEAD "{\"text\":\"Hi\"}", .after = SCRIPT_CLOSE});
}

static void cancel_early_body(struct cloud *t)
{
    struct cloud_waiter w = {.t = t, .stt = stt_open(t->stt, &english, t->arena, &t->e)};
    task_cancel(cloud_waiter_start(&w));
    cloud_waiter_join(&w);
    assert_int_equal(w.e.code, ERR_CANCELLED);
    stt_close(w.stt);
    assert_int_equal(script_count(&t->server, &t->server.nrequests), 0);
}

static void cancel_late_body(struct cloud *t)
{
    struct cloud_waiter w = {.t = t, .stt = cloud_utter(t, &live, 1600)};
    struct task *task = cloud_waiter_start(&w);
    script_await(&t->server, &t->server.nrequests, 1);
    task_cancel(task);
    cloud_waiter_join(&w);
    assert_int_equal(w.e.code, ERR_CANCELLED);
    stt_close(w.stt);
    script_await(&t->server, &t->server.eofs, 1);
}

static void close_body(struct cloud *t)
{
    struct stt_stream *s = cloud_utter(t, &live, 1600);
    cloud_hears(t, s, STT_PARTIAL, "Hel");
    stt_close(s);
    script_await(&t->server, &t->server.eofs, 1);
}

static void who_leaves_ends_the_request(void **state)
{
    (void)state;
    CLOUD_PLAY(make_whisper, cancel_early_body, NULL, {.bytes = ""});
    CLOUD_PLAY(make_streaming, cancel_late_body, NULL, {.bytes = "", .after = SCRIPT_HANG});
    CLOUD_PLAY(make_streaming, close_body, NULL, {.bytes = SSE_HEAD DELTA("Hel"), .after = SCRIPT_HANG});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_bytes_are_exact),
        cmocka_unit_test(the_boundary_is_never_in_the_data),
        cmocka_unit_test(an_utterance_is_uploaded_as_wav),
        cmocka_unit_test(azure_has_paths_of_its_own),
        cmocka_unit_test(long_audio_arrives_whole),
        cmocka_unit_test(audio_has_a_limit),
        cmocka_unit_test(too_little_to_hold_a_word_is_not_sent),
        cmocka_unit_test(what_is_understood_comes_bit_by_bit),
        cmocka_unit_test(a_partial_result_does_not_wait_for_the_next),
        cmocka_unit_test(a_service_may_not_stream),
        cmocka_unit_test(who_wants_no_partial_results_gets_none),
        cmocka_unit_test(failures_say_why),
        cmocka_unit_test(what_failed_is_not_sent_again),
        cmocka_unit_test(replies_are_bounded),
        cmocka_unit_test(one_task_writes_while_another_waits),
        cmocka_unit_test(who_leaves_ends_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
