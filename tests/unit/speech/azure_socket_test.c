/* Recognition over Azure Speech's WebSocket: its messages, what is made of them, the driver against a stand-in. */
#include "unit/speech/azure_env.h"
#include "unit/speech/cloud_env.h"

#include "base/clock.h"
#include "speech/azure_speech/azure_speech.h"
#include "speech/azure_speech/transcript.h"

/* ---- messages ---- */

static struct usp_message read_message(bool binary, struct str data)
{
    struct usp_message m;
    struct err e = {0};
    if (usp_read(&m, binary, data, &e) < 0)
        fail_msg("%s", e.text);
    return m;
}

static void text_messages_are_read(void **state)
{
    struct usp_message m;
    (void)state;
    m = read_message(false,
                     STR("Path:turn.start\r\nx-requestid:  AB \r\nX-Other: 1\r\npath: no\r\n\r\n{\"a\":\r\n\r\n1}"));
    assert_str(m.path, "turn.start");
    assert_str(m.request_id, "AB");
    assert_str(m.body, "{\"a\":\r\n\r\n1}");
    assert_str(m.content_type, "");
    m = read_message(false, STR("PATH: turn.end"));
    assert_str(m.path, "turn.end");
    assert_str(m.body, "");
    m = read_message(false, STR("Content-Type:\r\nPath:x\r\n\r\n"));
    assert_str(m.content_type, "");
}

static void binary_messages_are_read(void **state)
{
    struct usp_message m = {.binary = true, .path = STR("audio"), .stream_id = STR("7")}, back;
    struct buf out = BUF_INIT(KIB(64));
    char id[201] = {0};
    (void)state;
    memset(id, 'x', 200); /* a length that does not fit into one byte */
    m.request_id = str_c(id);
    m.body = str_n("\0\r\n\xff", 4);
    assert_int_equal(usp_put(&out, &m), 0);
    assert_int_equal((unsigned char)out.data[0], 0);
    assert_int_equal((unsigned char)out.data[1], strlen("Path: audio\r\nX-RequestId: \r\nX-StreamId: 7\r\n") + 200);
    back = read_message(true, buf_str(&out));
    assert_str(back.path, "audio");
    assert_str(back.request_id, id);
    assert_str(back.stream_id, "7");
    assert_int_equal(back.body.n, 4);
    memset(id, 'x', 200);
    buf_clear(&out);
    m.timestamp = m.content_type = m.request_id;
    assert_int_equal(usp_put(&out, &m), 0);
    assert_int_equal((unsigned char)out.data[0], 2); /* big endian */
    buf_free(&out);
}

static void what_is_no_message_is_refused(void **state)
{
    static const struct {
        bool binary;
        struct str data;
    } cases[] = {{false, {"", 0}},
                 {false, {"\r\n\r\n{}", 6}},
                 {false, {"Path\r\n\r\n", 8}},
                 {false, {": x\r\n\r\n", 7}},
                 {false, {"X-RequestId: 1\r\n\r\n{}", 20}},
                 {false, {"Path: a\x01\r\n\r\n", 13}},
                 {false, {"Path: \r\n\r\n", 10}},
                 {true, {"", 0}},
                 {true, {"\0", 1}},
                 {true, {"\0\0", 2}},
                 {true, {"\0\x09Path:x\r\n", 10}},
                 {true, {"\xff\xffPath:x\r\n", 10}},
                 {true, {"\0\x04Path:x\r\n", 10}}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct usp_message m;
        struct err e = {0};
        if (usp_read(&m, cases[i].binary, cases[i].data, &e) == 0)
            fail_msg("case %zu was read", i);
        assert_int_equal(e.code, ERR_UPSTREAM);
    }
}

static void headers_are_bounded(void **state)
{
    struct buf data = BUF_INIT(MIB(1));
    struct usp_message m;
    struct err e;
    (void)state;
    buf_lit(&data, "Path: x\r\nX-Other: ");
    while (data.len < USP_HEADERS_MAX - 1)
        buf_byte(&data, 'y');
    buf_lit(&data, "y");
    assert_int_equal(usp_read(&m, false, buf_str(&data), &e), 0);
    buf_lit(&data, "y\r\n\r\n");
    assert_int_equal(usp_read(&m, false, buf_str(&data), &e), -1);
    m = (struct usp_message){.path = buf_str(&data)};
    struct buf out = BUF_INIT(MIB(1)), small = BUF_INIT(10);
    assert_int_equal(usp_put(&out, &m), -1);
    m.path = STR("a\r\nX-StreamId: 7");
    assert_int_equal(usp_put(&out, &m), -1);
    m.path = STR("speech.config");
    assert_int_equal(usp_put(&small, &m), -1);
    buf_free(&data);
    buf_free(&out);
    buf_free(&small);
}

/* ---- transcripts ---- */

static int take(struct transcript *t, const char *path, const char *body)
{
    struct usp_message m = {.path = str_c(path), .body = str_c(body)};
    struct err e = {0};
    int news = transcript_take(t, &m, &e);
    if (news < 0)
        assert_int_equal(e.code, ERR_UPSTREAM);
    return news < 0 ? -e.status : news;
}

#define PHRASE(text, confidence)                                                                                       \
    "{\"RecognitionStatus\":\"Success\",\"Offset\":0,\"Duration\":10000000,\"NBest\":[{\"Confidence\":" confidence     \
    ",\"Display\":\"" text "\"}]}"

static void phrases_are_joined(void **state)
{
    struct transcript t;
    (void)state;
    transcript_init(&t);
    assert_true(transcript_confidence(&t) < 0);
    assert_int_equal(take(&t, "turn.start", "{}"), TRANSCRIPT_NOTHING);
    assert_int_equal(take(&t, "Speech.Hypothesis", "{\"Text\":\"is the\",\"Offset\":\"0\",\"Duration\":\"5000000\"}"),
                     TRANSCRIPT_TEXT);
    assert_str(buf_str(&t.text), "is the");
    assert_str(buf_str(&t.phrases), "");
    assert_int_equal(t.audio_ms, 500);
    assert_int_equal(take(&t, "speech.phrase", PHRASE("One.", "0.5")), TRANSCRIPT_TEXT);
    assert_int_equal(take(&t, "speech.fragment", "{\"Text\":\"two \\u00e9\"}"), TRANSCRIPT_TEXT);
    assert_str(buf_str(&t.text), "One. two \xc3\xa9");
    t.offset_ms = 2000;
    assert_int_equal(take(&t, "speech.phrase", "{\"RecognitionStatus\":\"NoMatch\"}"), TRANSCRIPT_TEXT);
    assert_int_equal(take(&t, "speech.phrase", PHRASE("Two, longer.", "0.9")), TRANSCRIPT_TEXT);
    assert_int_equal(take(&t, "speech.phrase", "{\"RecognitionStatus\":\"EndOfDictation\"}"), TRANSCRIPT_TEXT);
    assert_str(buf_str(&t.phrases), "One. Two, longer.");
    assert_int_equal(t.audio_ms, 3000);
    assert_int_equal((int)(transcript_confidence(&t) * 100 + 0.5), 80);
    assert_int_equal(take(&t, "turn.end", ""), TRANSCRIPT_END);
    transcript_free(&t);
}

static void scripts_without_spaces_get_none(void **state)
{
    struct transcript t;
    (void)state;
    transcript_init(&t);
    take(&t, "speech.phrase", PHRASE("\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82", "1"));
    take(&t, "speech.phrase", PHRASE("\xe5\xa5\xbd\xef\xbc\x9f", "1"));
    take(&t, "speech.phrase", PHRASE("OK.", "1"));
    take(&t, "speech.phrase", PHRASE("Yes.", "1"));
    assert_str(buf_str(&t.phrases), "\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82\xe5\xa5\xbd\xef\xbc\x9fOK. Yes.");
    transcript_free(&t);
}

static void failures_have_a_status(void **state)
{
    struct transcript t;
    (void)state;
    transcript_init(&t);
    assert_int_equal(take(&t, "speech.phrase", "{\"RecognitionStatus\":\"BadRequest\"}"), -400);
    assert_int_equal(take(&t, "speech.phrase", "{\"RecognitionStatus\":\"Forbidden\"}"), -403);
    assert_int_equal(take(&t, "speech.phrase", "{\"RecognitionStatus\":\"TooManyRequests\"}"), -429);
    assert_int_equal(take(&t, "speech.phrase", "{\"RecognitionStatus\":\"Error\"}"), -502);
    assert_int_equal(take(&t, "speech.phrase", "{"), -502);
    assert_int_equal(take(&t, "speech.hypothesis", "{}"), -502);
    assert_int_equal(take(&t, "speech.hypothesis", "[]"), -502);
    transcript_free(&t);
}

static void text_is_bounded(void **state)
{
    struct transcript t;
    struct buf body = BUF_INIT(MIB(1));
    int news = 0;
    (void)state;
    transcript_init(&t);
    buf_lit(&body, "{\"RecognitionStatus\":\"Success\",\"DisplayText\":\"");
    while (body.len < KIB(50))
        buf_byte(&body, 'x');
    buf_lit(&body, "\"}");
    for (int i = 0; i < 3; i++)
        news = take(&t, "speech.phrase", buf_cstr(&body));
    assert_int_equal(news, -502);
    assert_true(t.phrases.len <= KIB(128));
    transcript_free(&t);
    buf_free(&body);
}

/* ---- the driver ---- */

static struct azure_env env;

struct play {
    const struct azure_step *steps;
    size_t n;
    int refuse;
    const char *refusal;
    struct upstream_config upstream; /* what is not zero */
    void (*body)(struct cloud *t);
    const void *arg;
};

static void play(const struct play *p)
{
    struct cloud t = {.arg = p->arg, .body = p->body};
    struct upstream_config upstream = p->upstream;
    azure_start(&env, p->steps, p->n);
    env.refuse = p->refuse;
    env.refusal = p->refusal;
    upstream.connect_timeout = 5000;
    upstream.first_byte_timeout = upstream.first_byte_timeout ? upstream.first_byte_timeout : 60000;
    struct speech_azure_config config = {.stt_url = env.url, .api_key = KEY, .upstream = &upstream};
    t.stt = stt_azure_speech_new(&config, NULL);
    run_client(cloud_run, &t);
    stt_free(t.stt);
    azure_stop(&env);
}

#define PLAY(function, ...)                                                                                            \
    do {                                                                                                               \
        static const struct azure_step script[] = {__VA_ARGS__};                                                       \
        play(&(struct play){.steps = script, .n = COUNT(script), .body = (function)});                                 \
    } while (0)

#define SAYS(path, body)    "Path:" path "\r\nX-RequestId:@\r\nContent-Type:application/json\r\n\r\n" body
#define HYPOTHESIS(text)    SAYS("speech.hypothesis", "{\"Text\":\"" text "\",\"Offset\":\"0\",\"Duration\":\"2000000\"}")
#define SAYS_PHRASE(text)   SAYS("speech.phrase", PHRASE(text, "\"0.9\""))
#define SAYS_STATUS(status) SAYS("speech.phrase", "{\"RecognitionStatus\":\"" status "\",\"Offset\":0,\"Duration\":0}")
#define TURN_END            SAYS("turn.end", "{}")
#define STALE               "Path:turn.end\r\nX-RequestId:0123456789abcdef0123456789abcdef\r\n\r\n{}"

static void hear_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000, .partial = true};
    struct stt_stream *s = stt_open(t->stt, &rq, t->arena, &t->e);
    struct stt_event event;
    static char audio[9600];
    assert_int_equal(stt_write(s, str_n(audio, sizeof audio), &t->e), 0);
    cloud_hears(t, s, STT_PARTIAL, "is the");
    for (int i = 0; i < 2; i++)
        assert_int_equal(stt_write(s, str_n(audio, 3200), &t->e), 0);
    cloud_hears(t, s, STT_PARTIAL, "is the oven");
    assert_int_equal(stt_write(s, str_n(audio, 100), &t->e), 0);
    assert_int_equal(stt_finish(s, &t->e), 0);
    assert_int_equal(stt_finish(s, &t->e), 0);
    assert_int_equal(stt_write(s, str_n(audio, 100), &t->e), -1);
    do
        assert_int_equal(stt_next(s, &event, &t->e), 1);
    while (event.type == STT_PARTIAL);
    assert_str(event.text, "Is the oven on? It is.");
    assert_int_equal((int)(event.confidence * 100 + 0.5), 90);
    assert_int_equal(event.audio_ms, 1000);
    cloud_ends(t, s);
    azure_await(&env.closed, 1);
    assert_int_equal(env.close_code, WS_NORMAL);
    assert_int_equal(env.audio.len, 9600 + 6400 + 100);
    assert_string_equal(env.key, KEY);
    assert_int_equal(strspn(env.connection, "0123456789abcdef"), 32);
    assert_string_equal(env.query, "format=detailed&language=en-US");
    assert_non_null(strstr(buf_cstr(&env.context), "\"language\":\"en-US\""));
    assert_non_null(strstr(buf_cstr(&env.config), "\"samplerate\":16000"));
}

static void an_utterance_is_heard_while_it_is_spoken(void **state)
{
    (void)state;
    PLAY(hear_body, {.after = 1, .text = SAYS("turn.start", "{}")}, {.after = 1, .text = STALE},
         {.after = 1, .text = SAYS("speech.startDetected", "{\"Offset\":0}")},
         {.after = 2, .text = HYPOTHESIS("is the")}, {.after = 5, .text = HYPOTHESIS("is the oven")},
         {.after = AT_END, .text = SAYS_PHRASE("Is the oven on?")}, {.after = AT_END, .text = SAYS_PHRASE("It is.")},
         {.after = AT_END, .text = TURN_END});
}

static void resampled_body(struct cloud *t)
{
    static const unsigned rates[] = {8000, 24000, 44100, 48000};
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct stt_request rq = {.rate = rates[i], .language = STR("de-DE")};
        buf_clear(&env.audio);
        struct stt_stream *s = cloud_utter(t, &rq, rates[i] / 2);
        cloud_hears(t, s, STT_FINAL, "Hallo.");
        cloud_ends(t, s);
        assert_int_equal(env.audio.len, 16000);
    }
    assert_string_equal(env.query, "format=detailed&language=de-DE");
}

static void other_rates_are_resampled(void **state)
{
    (void)state;
    PLAY(resampled_body, {.after = 2, .text = HYPOTHESIS("not wanted")},
         {.after = AT_END, .text = SAYS_PHRASE("Hallo.")}, {.after = AT_END, .text = TURN_END});
}

static void nothing_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct stt_stream *s = cloud_utter(t, &rq, 16000);
    struct stt_event event;
    cloud_hears(t, s, STT_FINAL, "");
    cloud_ends(t, s);
    assert_int_equal(atomic_load(&env.sockets), 1);
    s = cloud_utter(t, &rq, 1000); /* nobody is asked about less than 0.1 s */
    assert_int_equal(stt_next(s, &event, &t->e), 1);
    assert_int_equal(event.type, STT_FINAL);
    assert_int_equal(event.audio_ms, 62);
    cloud_ends(t, s);
    s = cloud_utter(t, &rq, 0);
    cloud_hears(t, s, STT_FINAL, "");
    cloud_ends(t, s);
    assert_int_equal(atomic_load(&env.sockets), 1);
}

static void nothing_understood_is_an_empty_text(void **state)
{
    (void)state;
    PLAY(nothing_body, {.after = AT_END, .text = SAYS_STATUS("NoMatch")}, {.after = AT_END, .text = TURN_END});
    PLAY(nothing_body, {.after = 3, .text = SAYS_STATUS("InitialSilenceTimeout")},
         {.after = AT_END, .text = SAYS_STATUS("EndOfDictation")}, {.after = AT_END, .text = TURN_END});
    PLAY(nothing_body, {.after = AT_END, .text = TURN_END}, {.after = AT_END, .text = "", .close = WS_NORMAL});
}

static void turns_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct stt_stream *s = stt_open(t->stt, &rq, t->arena, &t->e);
    static char audio[6400];
    for (int turn = 1; turn <= 3; turn++) {
        assert_int_equal(stt_write(s, str_n(audio, sizeof audio), &t->e), 0);
        azure_await(&env.closed, turn); /* behind the end of the turn */
    }
    assert_int_equal(stt_finish(s, &t->e), 0);
    cloud_hears(t, s, STT_FINAL, "One. One. One.");
    cloud_ends(t, s);
}

static void turns_many_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct stt_event event;
    struct stt_stream *s = cloud_utter(t, &rq, 16000);
    assert_int_equal(stt_next(s, &event, &t->e), 1);
    assert_true(str_starts(event.text, STR("One.")));
    cloud_ends(t, s);
    assert_true(env.audio.len <= 32000);
}

/* Whatever was under way when it ended is lost, what is written later is not. */
static void turns_that_end_early_are_followed_by_others(void **state)
{
    (void)state;
    PLAY(turns_many_body, {.after = 2, .text = SAYS_PHRASE("One.")}, {.after = 2, .text = TURN_END},
         {.after = AT_END, .text = TURN_END});
    PLAY(turns_body, {.after = 2, .text = SAYS_PHRASE("One.")}, {.after = 2, .text = TURN_END},
         {.after = 2, .text = "", .close = WS_NORMAL}, {.after = AT_END, .text = TURN_END});
}

/* ---- failures ---- */

struct failure {
    int status;
    const char *text;
};

static void failure_body(struct cloud *t)
{
    const struct failure *want = t->arg;
    struct stt_request rq = {.rate = 16000};
    struct stt_stream *s = stt_open(t->stt, &rq, t->arena, &t->e);
    static char audio[32000];
    assert_int_equal(stt_write(s, str_n(audio, sizeof audio), &t->e), 0);
    stt_finish(s, &t->e);
    for (int i = 0; i < 2; i++) {
        cloud_fails(t, s, ERR_UPSTREAM);
        assert_int_equal(t->e.status, want->status);
        if (!strstr(t->e.text, want->text))
            fail_msg("%s", t->e.text);
        assert_null(strstr(t->e.text, KEY));
    }
    assert_int_equal(stt_write(s, str_n(audio, 2), &t->e), -1);
    stt_close(s);
    assert_int_equal(atomic_load(&env.posts), 0);
}

static void failures_say_why(void **state)
{
    static const struct {
        struct azure_step step;
        struct failure want;
    } cases[] = {
        {{.after = AT_END, .text = SAYS_STATUS("BadRequest")}, {400, "cannot use"}},
        {{.after = 2, .text = SAYS_STATUS("Forbidden")}, {403, "refuses"}},
        {{.after = AT_END, .text = SAYS_STATUS("TooManyRequests")}, {429, "too much"}},
        {{.after = AT_END, .text = SAYS_STATUS("Error")}, {502, "could not recognize"}},
        {{.after = AT_END, .text = SAYS("speech.phrase", "<html>")}, {502, "no recognition result"}},
        {{.after = 1, .text = "hello"}, {502, "cannot be read"}},
        {{.after = 1, .text = "\xff\xfeX", .binary = true}, {502, "cannot be read"}},
        {{.after = AT_END, .text = "Quota of " KEY " is used up", .close = 1011}, {502, "Quota of *** is used up"}},
        {{.after = 2, .text = "Unknown language", .close = 1007}, {400, "(1007): Unknown language"}},
        {{.after = AT_END, .text = "", .close = 4429}, {429, "closed the connection (4429)"}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        play(&(struct play){.steps = &cases[i].step, .n = 1, .body = failure_body, .arg = &cases[i].want});
}

static void refusals_of_the_handshake(void **state)
{
    static const struct failure key = {401, "401"}, busy = {429, "429"};
    static const struct azure_step none = {.after = AT_END, .text = TURN_END};
    (void)state;
    play(&(struct play){.steps = &none, .n = 1, .refuse = 401, .body = failure_body, .arg = &key});
    play(
        &(struct play){.steps = &none, .n = 1, .refuse = 429, .refusal = "<html>", .body = failure_body, .arg = &busy});
}

static void late_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct stt_stream *s = cloud_utter(t, &rq, 3200);
    cloud_fails(t, s, ERR_TIMEOUT);
    stt_close(s);
    azure_await(&env.closed, 1);
}

static void turns_that_do_not_end_are_given_up(void **state)
{
    static const struct azure_step step = {.after = AT_END, .text = HYPOTHESIS("is")};
    (void)state;
    play(&(struct play){.steps = &step, .n = 1, .body = late_body, .upstream.first_byte_timeout = 300});
    play(&(struct play){.steps = &step, .n = 1, .body = late_body, .upstream.total_timeout = 300});
}

static void unreachable_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct upstream_config upstream = {.connect_timeout = 5000, .first_byte_timeout = 20000};
    struct speech_azure_config config = {.stt_url = "http://127.0.0.1:1", .api_key = KEY, .upstream = &upstream};
    struct stt *own = t->stt;
    t->stt = stt_azure_speech_new(&config, NULL);
    struct stt_stream *s = cloud_utter(t, &rq, 16000);
    cloud_fails(t, s, ERR_UPSTREAM_UNREACHABLE);
    stt_close(s);
    stt_free(t->stt);
    t->stt = own;
}

static void nobody_there_is_said(void **state)
{
    (void)state;
    PLAY(unreachable_body, {.after = 1, .text = TURN_END});
}

/* ---- without WebSockets ---- */

static void rest_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 24000};
    char *second = calloc(1, 48000);
    struct stt_stream *s = cloud_utter(t, &rq, 24000);
    cloud_hears(t, s, STT_FINAL, "");
    cloud_ends(t, s);
    assert_int_equal(atomic_load(&env.posts), 1);
    /* written and finished while and after it is found out */
    s = stt_open(t->stt, &rq, t->arena, &t->e);
    assert_int_equal(stt_write(s, str_n(second, 48000), &t->e), 0);
    azure_await(&env.sockets, 2);
    assert_int_equal(stt_write(s, str_n(second, 48000), &t->e), 0);
    assert_int_equal(stt_finish(s, &t->e), 0);
    cloud_hears(t, s, STT_FINAL, "");
    cloud_ends(t, s);
    assert_int_equal(atomic_load(&env.posts), 2);
    /* a minute is the most */
    int written = 0;
    s = stt_open(t->stt, &rq, t->arena, &t->e);
    for (int i = 0; i < 61 && written == 0; i++)
        written = stt_write(s, str_n(second, 48000), &t->e);
    stt_close(s);
    assert_int_equal(written, -1);
    assert_int_equal(t->e.code, ERR_INVALID_REQUEST);
    free(second);
}

static void where_no_socket_comes_through_a_request_does(void **state)
{
    (void)state;
    play(&(struct play){.refuse = 403, .refusal = "<html>No upgrades here", .body = rest_body});
    play(&(struct play){.refuse = 404, .body = rest_body});
}

/* ---- pace ---- */

static void pace_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000, .partial = true};
    char *second = calloc(1, 32000);
    uint64_t before = clock_mono_ms();
    struct stt_stream *s = stt_open(t->stt, &rq, t->arena, &t->e);
    for (int i = 0; i < 7; i++)
        assert_int_equal(stt_write(s, str_n(second, 32000), &t->e), 0);
    assert_int_equal(stt_finish(s, &t->e), 0);
    cloud_hears(t, s, STT_FINAL, "x");
    assert_true(clock_mono_ms() - before >= 1000);
    assert_int_equal(env.audio.len, 7 * 32000);
    cloud_ends(t, s);
    free(second);
}

static void the_service_is_not_flooded(void **state)
{
    (void)state;
    PLAY(pace_body, {.after = AT_END, .text = SAYS_PHRASE("x")}, {.after = AT_END, .text = TURN_END});
}

static void recording_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct stt_stream *s = cloud_utter(t, &rq, 16000 * 6);
    struct stt_event event;
    assert_int_equal(stt_next(s, &event, &t->e), 1);
    cloud_ends(t, s);
    assert_int_equal(atomic_load(&env.posts), 1);
    assert_int_equal(atomic_load(&env.sockets), 0);
    /* more than a request may have */
    s = stt_open(t->stt, &rq, t->arena, &t->e);
    char *minute = calloc(61, 32000);
    assert_int_equal(stt_write(s, str_n(minute, 61 * 32000), &t->e), 0);
    assert_int_equal(stt_finish(s, &t->e), 0);
    azure_await(&env.audios, 50);
    stt_close(s);
    assert_int_equal(atomic_load(&env.posts), 1);
    free(minute);
}

static void recordings_are_not_held_up(void **state)
{
    (void)state;
    play(&(struct play){.body = recording_body});
}

/* ---- leaving ---- */

static void leave_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 48000, .partial = true};
    static char audio[96000];
    for (int stage = 0; stage < 5; stage++) {
        int sockets = atomic_load(&env.sockets), closed = atomic_load(&env.closed);
        struct stt_stream *s = stt_open(t->stt, &rq, t->arena, &t->e);
        if (stage > 0)
            assert_int_equal(stt_write(s, str_n(audio, sizeof audio), &t->e), 0);
        if (stage > 1)
            azure_await(&env.sockets, sockets + 1);
        if (stage > 2)
            cloud_hears(t, s, STT_PARTIAL, "is");
        if (stage > 3)
            assert_int_equal(stt_finish(s, &t->e), 0);
        stt_close(s);
        if (stage > 2)
            azure_await(&env.closed, closed + 1);
    }
}

static void cancelled_body(struct cloud *t)
{
    struct stt_request rq = {.rate = 16000};
    struct cloud_waiter w = {.t = t, .stt = cloud_utter(t, &rq, 16000)};
    struct task *task = cloud_waiter_start(&w);
    azure_await(&env.ends, 1);
    task_cancel(task);
    cloud_waiter_join(&w);
    assert_int_equal(w.result, -1);
    assert_int_equal(w.e.code, ERR_CANCELLED);
    stt_close(w.stt);
    azure_await(&env.closed, 1);
}

static void it_can_be_left_at_any_time(void **state)
{
    (void)state;
    PLAY(leave_body, {.after = 2, .text = HYPOTHESIS("is")});
    PLAY(cancelled_body, {.after = 2, .text = HYPOTHESIS("is")});
}

static void language_body(struct cloud *t)
{
    static const char *const wanted[] = {"", "en", "EN", "en-GB", "fr"}, *const asked[] = {"en-US", "en-US", "en-US",
                                                                                           "en-GB", "fr"};
    for (size_t i = 0; i < COUNT(wanted); i++) {
        struct stt_request some = {.rate = 16000, .language = str_c(wanted[i])};
        struct stt_stream *s = cloud_utter(t, &some, 3200);
        cloud_hears(t, s, STT_FINAL, "");
        cloud_ends(t, s);
        assert_string_equal(strstr(env.query, "language=") + 9, asked[i]);
    }
    struct stt_request rq = {.rate = 16000, .language = STR("en\"US")};
    assert_null(stt_open(t->stt, &rq, t->arena, &t->e));
    assert_int_equal(t->e.code, ERR_INVALID_REQUEST);
}

static void languages_are_names(void **state)
{
    (void)state;
    PLAY(language_body, {.after = AT_END, .text = TURN_END});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_messages_are_read),
        cmocka_unit_test(binary_messages_are_read),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(headers_are_bounded),
        cmocka_unit_test(phrases_are_joined),
        cmocka_unit_test(scripts_without_spaces_get_none),
        cmocka_unit_test(failures_have_a_status),
        cmocka_unit_test(text_is_bounded),
        cmocka_unit_test(an_utterance_is_heard_while_it_is_spoken),
        cmocka_unit_test(other_rates_are_resampled),
        cmocka_unit_test(nothing_understood_is_an_empty_text),
        cmocka_unit_test(turns_that_end_early_are_followed_by_others),
        cmocka_unit_test(failures_say_why),
        cmocka_unit_test(refusals_of_the_handshake),
        cmocka_unit_test(turns_that_do_not_end_are_given_up),
        cmocka_unit_test(nobody_there_is_said),
        cmocka_unit_test(where_no_socket_comes_through_a_request_does),
        cmocka_unit_test(the_service_is_not_flooded),
        cmocka_unit_test(recordings_are_not_held_up),
        cmocka_unit_test(it_can_be_left_at_any_time),
        cmocka_unit_test(languages_are_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
