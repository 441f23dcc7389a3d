/* The pure parts of the realtime relay: what an event is, what is sent beside it, raw audio as text, why a session
 * failed. */
#include "api/realtime_relay_impl.h"
#include "base/mem.h"
#include "unit/support/unit.h"
#include "wire/base64.h"

#include <stdlib.h>

static void check_type(const char *text, int result, const char *type)
{
    struct str got = STR_NONE;
    size_t n = strlen(text);
    char *exact = mem_alloc(n + 1); /* so that a byte too far is seen */
    memcpy(exact, text, n);
    assert_int_equal(realtime_event_type(str_n(exact, n), &got), result);
    if (type)
        assert_str(got, type);
    free(exact);
}

static void type_of_events(void **state)
{
    (void)state;
    check_type("{\"type\":\"a.b\",\"x\":1}", 1, "a.b");
    check_type(" \r\n{ \t\"type\" : \"a.b\" }", 1, "a.b");
    check_type("{\"event_id\":\"e\",\"type\":\"a\"}", 1, "a");
    check_type("{\"a\":{\"type\":\"no\"},\"b\":[{\"type\":\"no\"}],\"type\":\"yes\"}", 1, "yes");
    check_type("{\"a\":\"\\\"type\\\":\\\"no\\\"\",\"type\":\"yes\"}", 1, "yes");
    check_type("{\"a\":\"x\\\\\",\"type\":\"yes\"}", 1, "yes");
    check_type("{\"a\":-1.5e3,\"b\":null,\"c\":true,\"type\":\"yes\"}", 1, "yes");
    check_type("{\"delta\":\"}],{[\",\"type\":\"yes\"}", 1, "yes");
    check_type("{\"types\":\"no\",\"typ\":\"no\",\"type\":\"\"}", 1, "");
    check_type("{\"type\":7}", -1, NULL);
    check_type("{}", -1, NULL);
    check_type("{\"a\":1}", -1, NULL);
    check_type("[\"type\",\"x\"]", -1, NULL);
    check_type("{,\"type\":\"x\"}", -1, NULL);
    check_type("hello", -1, NULL);
    check_type("", 0, NULL);
}

/* Whatever was cut off, nothing is read behind it, and the answer never changes to another name. */
static void type_of_beginnings(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[\"\\\\\\\"\",{\"b\":\"type\"}],\"c\":{\"type\":\"no\"},\"type\":\"yes\",\"d\":1}";
    const size_t known = (size_t)(strstr(text, "yes\"") - text) + 4;
    for (size_t n = 0; n < sizeof text; n++) {
        char cut[sizeof text];
        memcpy(cut, text, n);
        cut[n] = 0;
        check_type(cut, n >= known, n >= known ? "yes" : NULL);
    }
}

/* What is sent beside a message whose frames are `size` bytes long, "" for nothing. */
static char *beside(const char *text, size_t size, bool beta)
{
    struct realtime_look look = {.beta = beta};
    struct buf out = BUF_INIT(MIB(1));
    struct str rest = str_c(text), parts[3];
    for (bool first = true; rest.n; first = false) {
        struct str piece = str_n(rest.p, MIN(size, rest.n));
        rest = str_n(rest.p + piece.n, rest.n - piece.n);
        struct str whole = realtime_look_at(&look, first ? WS_TEXT : WS_CONTINUATION, rest.n == 0, piece);
        size_t n = whole.n ? realtime_beside(&look, whole, parts) : 0;
        for (size_t i = 0; i < n; i++)
            buf_str_add(&out, parts[i]);
    }
    realtime_look_end(&look);
    char *result = str_dup(buf_str(&out));
    buf_free(&out);
    return result;
}

static void check_beside(const char *text, bool beta, const char *expected)
{
    for (size_t size = 1; size <= strlen(text); size++) {
        char *got = beside(text, size, beta);
        assert_string_equal(got, expected);
        free(got);
    }
}

static void events_beside(void **state)
{
    (void)state;
    check_beside("{\"type\":\"conversation.item.input_audio_transcription.delta\",\"delta\":\"oven\"}", false,
                 "{\"type\":\"conversation.item.input_audio_transcript.delta\",\"delta\":\"oven\"}");
    check_beside("{\"delta\":\"on\",\"type\":\"conversation.item.input_audio_transcription.delta\"}", false,
                 "{\"delta\":\"on\",\"type\":\"conversation.item.input_audio_transcript.delta\"}");
    check_beside("{\"type\":\"response.done\",\"response\":{\"status\":\"cancelled\"}}", false,
                 "{\"type\":\"response.cancelled\",\"response\":{\"status\":\"cancelled\"}}");
    check_beside("{\"type\":\"response.done\",\"response\":{\"status\":\"completed\"}}", false, "");
    check_beside("{\"type\":\"response.done\",\"response\":{\"status\":", false, "");
    check_beside("{\"type\":\"response.audio.delta\",\"delta\":\"AAAA\"}", false, "");
    check_beside("{\"type\":\"response.audio.delta\",\"delta\":\"AAAA\"}", true,
                 "{\"type\":\"response.output_audio.delta\",\"delta\":\"AAAA\"}");
    check_beside("{\"type\":\"error\",\"error\":{}}", false, "");
    check_beside("{\"type\":\"session.created\"}", true, "");
}

/* A long message is let go: what is kept of it stays bounded, and the next one is looked at again. */
static void long_messages(void **state)
{
    (void)state;
    struct realtime_look look = {0};
    static char chunk[KIB(16)];
    memset(chunk, 'x', sizeof chunk);
    struct str delta = STR("{\"type\":\"conversation.item.input_audio_transcription.delta\",\"delta\":\"");
    for (int round = 0; round < 2; round++) {
        struct str begin = round ? STR("{\"delta\":\"") : delta;
        realtime_look_at(&look, WS_TEXT, false, begin);
        for (size_t i = 0; i < 1000; i++) {
            realtime_look_at(&look, WS_CONTINUATION, false, str_n(chunk, sizeof chunk));
            assert_true(look.text.cap <= 2 * REALTIME_LOOK_MAX);
        }
        assert_int_equal(realtime_look_at(&look, WS_CONTINUATION, true, STR("\"}")).n, 0);
        assert_int_equal(look.kind, REALTIME_PLAIN);
        assert_null(look.text.data);
    }
    assert_int_equal(realtime_look_at(&look, WS_BINARY, true, STR("{\"type\":\"error\"}")).n, 0);
    assert_int_equal(realtime_look_at(&look, WS_TEXT, true, STR("{\"type\":\"error\"}")).n, 16);
    assert_int_equal(look.kind, REALTIME_ERROR);
    realtime_look_end(&look);
}

static void kept_frames(void **state)
{
    (void)state;
    struct buf frames = BUF_INIT(KIB(4));
    realtime_keep(&frames, WS_TEXT, false, STR("one"));
    realtime_keep(&frames, WS_CONTINUATION, true, STR(""));
    realtime_keep(&frames, WS_BINARY, true, STR("two"));
    struct str rest = buf_str(&frames), data;
    enum ws_opcode opcode;
    bool fin;
    assert_true(realtime_kept(&rest, &opcode, &fin, &data));
    assert_true(opcode == WS_TEXT && !fin);
    assert_str(data, "one");
    assert_true(realtime_kept(&rest, &opcode, &fin, &data));
    assert_true(opcode == WS_CONTINUATION && fin && data.n == 0);
    assert_true(realtime_kept(&rest, &opcode, &fin, &data));
    assert_true(opcode == WS_BINARY && fin);
    assert_str(data, "two");
    assert_false(realtime_kept(&rest, &opcode, &fin, &data));
    buf_free(&frames);
}

/* However the audio is cut into frames, the text is the same. */
static void audio_in_pieces(void **state)
{
    (void)state;
    static const char head[] = "{\"type\":\"input_audio_buffer.append\",\"audio\":\"";
    char sound[23];
    for (size_t i = 0; i < sizeof sound; i++)
        sound[i] = (char)(i * 37);
    for (size_t n = 0; n <= sizeof sound; n++) {
        for (size_t size = 1; size <= n + 1; size++) {
            struct realtime_audio audio = {0};
            struct buf out = BUF_INIT(KIB(4)), expected = BUF_INIT(KIB(4));
            bool fin = false;
            for (size_t at = 0; !fin; at += size) {
                fin = at + size >= n;
                realtime_audio_text(&audio, at == 0, fin, str_n(sound + at, MIN(size, n - at)), &out);
                assert_int_equal(audio.under_way, !fin);
            }
            buf_lit(&expected, "");
            buf_add(&expected, head, sizeof head - 1);
            base64_put(&expected, str_n(sound, n), false);
            buf_lit(&expected, "\"}");
            assert_true(str_eq(buf_str(&out), buf_str(&expected)));
            buf_free(&out);
            buf_free(&expected);
        }
    }
}

static void check_close(uint16_t code, const char *reason, uint16_t told, const char *type, const char *name)
{
    struct realtime_refusal refusal;
    realtime_refusal_close(&refusal, code, str_c(reason));
    assert_int_equal(refusal.close_code, told);
    assert_string_equal(refusal.type, type);
    assert_string_equal(refusal.code, name);
    assert_true(strlen(refusal.text) > 0 && strlen(refusal.text) <= 123);
}

static void refusals(void **state)
{
    (void)state;
    struct realtime_refusal refusal;
    check_close(1000, "", 1000, "server_error", "upstream_closed");
    check_close(1001, "Your session hit the maximum duration of 60 minutes.", 1001, "server_error", "upstream_closed");
    check_close(WS_NO_STATUS, "", 1011, "server_error", "upstream_closed");
    check_close(WS_ABNORMAL, "", 1011, "server_error", "upstream_closed");
    check_close(1015, "", 1011, "server_error", "upstream_closed");
    check_close(3000, "invalid_request_error.invalid_api_key", 1011, "invalid_request_error", "invalid_api_key");
    check_close(4000, "a.b.c", 1011, "server_error", "upstream_closed");
    check_close(4004, "invalid_request_error.sk-secret", 1011, "server_error", "upstream_closed");
    check_close(4999, ".", 1011, "server_error", "upstream_closed");
    realtime_refusal_event(&refusal, STR("{\"type\":\"error\",\"error\":{\"type\":\"t\",\"code\":\"c\"}}"));
    assert_string_equal(refusal.type, "t");
    assert_string_equal(refusal.code, "c");
    static const char *const odd[] = {"",
                                      "{",
                                      "[]",
                                      "{\"error\":\"x\"}",
                                      "{\"error\":{\"code\":7,\"type\":null}}",
                                      "{\"error\":{\"code\":\"Bearer x\",\"type\":\"sk-1\"}}"};
    for (size_t i = 0; i < COUNT(odd); i++) {
        realtime_refusal_event(&refusal, str_c(odd[i]));
        assert_string_equal(refusal.type, "server_error");
        assert_string_equal(refusal.code, "upstream_refused");
    }
}

static void refused_openings(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        int status;
        const char *name;
    } cases[] = {
        {ERR_UPSTREAM, 401, "invalid_api_key"},
        {ERR_UPSTREAM, 403, "invalid_api_key"},
        {ERR_UPSTREAM, 404, "model_not_found"},
        {ERR_UPSTREAM, 429, "rate_limit_exceeded"},
        {ERR_UPSTREAM, 400, "upstream_refused"},
        {ERR_UPSTREAM, 503, "upstream_failed"},
        {ERR_UPSTREAM_UNREACHABLE, 0, "upstream_unreachable"},
        {ERR_TIMEOUT, 0, "upstream_timeout"},
        {ERR_OVERLOADED, 0, "overloaded"},
        {ERR_NOT_CONFIGURED, 0, "not_configured"},
        {ERR_INTERNAL_ERROR, 0, "upstream_failed"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct realtime_refusal refusal;
        struct err e;
        err_set(&e, cases[i].code, "sk-secret said something");
        if (cases[i].status)
            e.status = cases[i].status;
        realtime_refusal_of(&refusal, &e);
        assert_string_equal(refusal.code, cases[i].name);
        assert_null(strstr(refusal.text, "secret"));
        assert_int_equal(refusal.close_code, cases[i].code == ERR_OVERLOADED ? WS_TRY_LATER : WS_INTERNAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(type_of_events), cmocka_unit_test(type_of_beginnings), cmocka_unit_test(events_beside),
        cmocka_unit_test(long_messages),  cmocka_unit_test(kept_frames),        cmocka_unit_test(audio_in_pieces),
        cmocka_unit_test(refusals),       cmocka_unit_test(refused_openings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
