#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/ws.h"

#include <stdlib.h>

#define MAX_MESSAGE 100000

/* A raw frame as a client sends it. */
static void put_raw(struct buf *out, uint8_t first, struct str payload, bool mask)
{
    uint8_t header[WS_HEADER_MAX], key[4] = {0x11, 0x82, 0x43, 0xF4};
    size_t n = ws_header(header, WS_TEXT, true, false, payload.n, mask ? key : NULL);
    header[0] = first;
    buf_add(out, header, n);
    size_t at = out->len;
    buf_str_add(out, payload);
    if (mask)
        ws_mask((uint8_t *)out->data + out->head + at, payload.n, key, 0);
}

/* What one run over the bytes gave: "T5:hello B0: C1000:bye P:.. O:.." and the close code to send, if it failed. */
struct run {
    struct buf log;
    uint16_t error;
    size_t left;
};

static void log_event(struct run *run, const struct ws_event *event)
{
    char kind = event->opcode == WS_TEXT     ? 'T'
                : event->opcode == WS_BINARY ? 'B'
                : event->opcode == WS_CLOSE  ? 'C'
                : event->opcode == WS_PING   ? 'P'
                                             : 'O';
    if (event->opcode == WS_CLOSE)
        buf_addf(&run->log, "C%u:", event->close_code);
    else
        buf_addf(&run->log, "%c%zu:", kind, event->data.n);
    buf_str_add(&run->log, event->data);
    buf_byte(&run->log, ' ');
}

/* Feeds bytes in pieces of `step`, as a connection would: what ws_next leaves is kept in front of the next piece. */
static void feed(struct run *run, struct str bytes, size_t step, bool server, size_t max)
{
    struct ws_reader r;
    struct err e = {0};
    char *kept = mem_alloc(bytes.n + 1);
    size_t nkept = 0;
    int got = 0;
    run->error = 0;
    buf_init(&run->log, MAX_MESSAGE * 4);
    ws_reader_init(&r, server, max);
    while (bytes.n && got == 0) {
        size_t n = MIN(step, bytes.n);
        char *chunk = mem_alloc(nkept + n);
        memcpy(chunk, kept, nkept);
        memcpy(chunk + nkept, bytes.p, n);
        struct str in = {chunk, nkept + n};
        struct ws_event event = {0};
        bytes = str_from(bytes, n);
        while ((got = ws_next(&r, &in, &event, &e)) == 1)
            log_event(run, &event);
        if (got == 0) {
            assert_in_range(in.n, 0, 14 + 125);
            if (in.n)
                memcpy(kept, in.p, in.n);
            nkept = in.n;
            assert_true(r.opcode || !r.message.data);
        }
        free(chunk);
    }
    if (got < 0) {
        run->error = r.error;
        assert_true(r.error != 0 && e.text[0] != 0);
    }
    run->left = nkept;
    free(kept);
    ws_reader_free(&r);
}

static void assert_run(const struct buf *bytes, bool server, size_t max, const char *want, uint16_t error)
{
    for (size_t step = 1; step <= bytes->len; step += bytes->len > 1000 ? 997 : 1) {
        struct run run;
        feed(&run, buf_str(bytes), step, server, max);
        assert_string_equal(buf_cstr(&run.log), want);
        assert_int_equal(run.error, error);
        if (!error)
            assert_int_equal(run.left, 0);
        buf_free(&run.log);
    }
}

/* Frames given as first byte and payload, then the expected log and error; both roles. */
struct raw {
    uint8_t first;
    const char *payload;
    size_t n;
};
#define RAW(first, literal)                                                                                            \
    {                                                                                                                  \
        first, literal, sizeof(literal) - 1                                                                            \
    }

static void assert_frames(const struct raw *frames, size_t n, const char *want, uint16_t error)
{
    for (int server = 0; server < 2; server++) {
        struct buf b = BUF_INIT(MIB(1));
        for (size_t i = 0; i < n; i++)
            put_raw(&b, frames[i].first, str_n(frames[i].payload, frames[i].n), server);
        assert_run(&b, server, MAX_MESSAGE, want, error);
        buf_free(&b);
    }
}

#define FRAMES(want, error, ...)                                                                                       \
    do {                                                                                                               \
        const struct raw frames_[] = {__VA_ARGS__};                                                                    \
        assert_frames(frames_, COUNT(frames_), want, error);                                                           \
    } while (0)

static void whole_messages(void **state)
{
    (void)state;
    FRAMES("T5:hello ", 0, RAW(0x81, "hello"));
    FRAMES("T0: B0: ", 0, RAW(0x81, ""), RAW(0x82, ""));
    FRAMES("B3:\xFF\xFE\xFD T6:\xE2\x82\xAC\xC3\xA9x ", 0, RAW(0x82, "\xFF\xFE\xFD"),
           RAW(0x81, "\xE2\x82\xAC\xC3\xA9x"));
}

static void fragments_and_control_frames_between(void **state)
{
    (void)state;
    FRAMES("T11:hello world ", 0, RAW(0x01, "hel"), RAW(0x00, "lo "), RAW(0x80, "world"));
    FRAMES("P4:ping O0: T6:foobar P0: ", 0, RAW(0x01, "foo"), RAW(0x89, "ping"), RAW(0x8A, ""), RAW(0x80, "bar"),
           RAW(0x89, ""));
    FRAMES("T0: ", 0, RAW(0x01, ""), RAW(0x00, ""), RAW(0x80, ""));
    FRAMES("B4:abcd T1:e ", 0, RAW(0x02, "a"), RAW(0x00, "bc"), RAW(0x80, "d"), RAW(0x81, "e"));
    FRAMES("T3:\xE2\x82\xAC ", 0, RAW(0x01, "\xE2"), RAW(0x00, "\x82"), RAW(0x80, "\xAC"));
    FRAMES("C1000: ", 0, RAW(0x01, "half"), RAW(0x88, "\x03\xE8"));
}

static void reserved_bits_and_opcodes(void **state)
{
    (void)state;
    static const uint8_t wrong[] = {0xC1, 0xA1, 0x91, 0xF2, 0xC9, 0xA8, 0x83, 0x84, 0x85,
                                    0x86, 0x87, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x03, 0x0B};
    for (size_t i = 0; i < sizeof wrong; i++)
        FRAMES("T1:a ", WS_PROTOCOL_ERROR, RAW(0x81, "a"), {wrong[i], "x", 1});
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x01, "a"), RAW(0xC0, "b"));
}

static void continuation_rules(void **state)
{
    (void)state;
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x80, "x"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x00, "x"));
    FRAMES("T1:a ", WS_PROTOCOL_ERROR, RAW(0x81, "a"), RAW(0x80, "x"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x01, "a"), RAW(0x81, "x"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x01, "a"), RAW(0x02, "x"));
    FRAMES("T2:ab ", WS_PROTOCOL_ERROR, RAW(0x01, "a"), RAW(0x80, "b"), RAW(0x00, "x"));
}

static void control_frame_rules(void **state)
{
    (void)state;
    char payload[126];
    memset(payload, 'p', sizeof payload);
    struct buf want = BUF_INIT(200);
    buf_addf(&want, "P125:%.125s ", payload);
    FRAMES(buf_cstr(&want), 0, {0x89, payload, 125});
    buf_free(&want);
    FRAMES("", WS_PROTOCOL_ERROR, {0x89, payload, 126});
    FRAMES("", WS_PROTOCOL_ERROR, {0x8A, payload, 126});
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x09, "x"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x0A, "x"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x08, ""));
}

static void close_frames(void **state)
{
    (void)state;
    FRAMES("C1005: ", 0, RAW(0x88, ""));
    FRAMES("C1000:bye ", 0,
           RAW(0x88, "\x03\xE8"
                     "bye"));
    FRAMES("C4999:\xC3\xA9 ", 0, RAW(0x88, "\x13\x87\xC3\xA9"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x88, "\x03"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x88, "\x03\xED")); /* 1005 */
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x88, "\x03\xEE")); /* 1006 */
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x88, "\x00\x00"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x88, "\x13\x88")); /* 5000 */
    FRAMES("", WS_BAD_DATA, RAW(0x88, "\x03\xE8\xC3\x28"));
    FRAMES("", WS_BAD_DATA, RAW(0x88, "\x03\xE8\xC3"));
}

static void text_must_be_utf8(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\xC3\x28", "a\x80",        "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                        "\xC0\xAF", "\xE0\x80\xAF", "\xFF",         "cut \xE2\x82"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        FRAMES("", WS_BAD_DATA, {0x81, wrong[i], strlen(wrong[i])});
        FRAMES("", WS_BAD_DATA, RAW(0x01, "ok"), {0x80, wrong[i], strlen(wrong[i])});
    }
    /* Binary is not looked at, and a new message begins a new check. */
    FRAMES("B1:\x80 T1:a ", 0, RAW(0x82, "\x80"), RAW(0x81, "a"));
}

static void text_fails_fast(void **state)
{
    (void)state;
    struct ws_reader r;
    struct ws_event event;
    struct err e;
    /* A frame of 1000 bytes of which five are there: the fourth is wrong. */
    char bytes[] = {(char)0x01, 126, 0x03, (char)0xE8, 'a', 'b', 'c', (char)0xFF, 'd'};
    struct str in = {bytes, sizeof bytes};
    ws_reader_init(&r, false, MAX_MESSAGE);
    assert_int_equal(ws_next(&r, &in, &event, &e), -1);
    assert_int_equal(r.error, WS_BAD_DATA);
    ws_reader_free(&r);
}

static void masking_is_required_by_role(void **state)
{
    (void)state;
    for (int server = 0; server < 2; server++) {
        struct buf b = BUF_INIT(100);
        put_raw(&b, 0x81, STR("x"), !server);
        assert_run(&b, server, MAX_MESSAGE, "", WS_PROTOCOL_ERROR);
        buf_clear(&b);
        put_raw(&b, 0x89, STR(""), !server);
        assert_run(&b, server, MAX_MESSAGE, "", WS_PROTOCOL_ERROR);
        buf_free(&b);
    }
}

static void lengths_take_the_fewest_bytes(void **state)
{
    (void)state;
    static const uint8_t wrong[][10] = {{0x82, 126, 0, 125},
                                        {0x82, 126, 0, 0},
                                        {0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF},
                                        {0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct buf b = BUF_INIT(100);
        buf_add(&b, wrong[i], sizeof wrong[i]);
        assert_run(&b, false, MAX_MESSAGE, "", WS_PROTOCOL_ERROR);
        buf_free(&b);
    }
}

static void large_messages(void **state)
{
    (void)state;
    static const size_t sizes[] = {125, 126, 127, 65535, 65536, MAX_MESSAGE};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct buf payload = BUF_INIT(MAX_MESSAGE), want = BUF_INIT(MAX_MESSAGE + 10), b = BUF_INIT(MIB(1));
        for (size_t n = 0; n < sizes[i]; n++)
            buf_byte(&payload, (char)('a' + n % 26));
        buf_addf(&want, "T%zu:", sizes[i]);
        buf_str_add(&want, buf_str(&payload));
        buf_byte(&want, ' ');
        put_raw(&b, 0x81, buf_str(&payload), true);
        assert_run(&b, true, MAX_MESSAGE, buf_cstr(&want), 0);
        buf_free(&payload);
        buf_free(&want);
        buf_free(&b);
    }
}

static void too_large(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    put_raw(&b, 0x81, STR("12345"), true);
    assert_run(&b, true, 5, "T5:12345 ", 0);
    assert_run(&b, true, 4, "", WS_TOO_BIG);
    buf_clear(&b);
    put_raw(&b, 0x01, STR("123"), true);
    put_raw(&b, 0x89, STR("x"), true);
    put_raw(&b, 0x80, STR("45"), true);
    assert_run(&b, true, 5, "P1:x T5:12345 ", 0);
    assert_run(&b, true, 4, "P1:x ", WS_TOO_BIG);
    buf_free(&b);
    /* The header is enough, and nothing was allocated for it. */
    struct ws_reader r;
    struct ws_event event;
    struct err e;
    char huge[] = {(char)0x82, 127, 0x7F, (char)0xFF, (char)0xFF, (char)0xFF, (char)0xFF, (char)0xFF, (char)0xFF, 0};
    struct str in = {huge, sizeof huge};
    ws_reader_init(&r, false, MAX_MESSAGE);
    assert_int_equal(ws_next(&r, &in, &event, &e), -1);
    assert_int_equal(r.error, WS_TOO_BIG);
    assert_null(r.message.data);
    ws_reader_free(&r);
}

static void a_claimed_length_allocates_nothing(void **state)
{
    (void)state;
    struct ws_reader r;
    struct ws_event event;
    struct err e;
    char bytes[] = {(char)0x82, 127, 0, 0, 0, 0, 0, 1, 0x01, 0, 'a', 'b'};
    struct str in = {bytes, sizeof bytes};
    ws_reader_init(&r, false, MAX_MESSAGE);
    assert_int_equal(ws_next(&r, &in, &event, &e), 0);
    assert_int_equal(in.n, 0);
    assert_in_range(r.message.cap, 2, 4096);
    ws_reader_free(&r);
}

static void one_frame_messages_are_not_copied(void **state)
{
    (void)state;
    struct ws_reader r;
    struct ws_event event;
    struct err e;
    struct buf b = BUF_INIT(100);
    put_raw(&b, 0x81, STR("hello"), true);
    put_raw(&b, 0x82, STR("again"), true);
    struct str in = buf_str(&b);
    ws_reader_init(&r, true, MAX_MESSAGE);
    assert_int_equal(ws_next(&r, &in, &event, &e), 1);
    assert_ptr_equal(event.data.p, b.data + 6);
    assert_int_equal(ws_next(&r, &in, &event, &e), 1);
    assert_ptr_equal(event.data.p, b.data + 17);
    assert_int_equal(ws_next(&r, &in, &event, &e), 0);
    assert_null(r.message.data);
    ws_reader_free(&r);
    buf_free(&b);
}

static void memory_goes_after_delivery(void **state)
{
    (void)state;
    struct ws_reader r;
    struct ws_event event;
    struct err e;
    struct buf b = BUF_INIT(100);
    put_raw(&b, 0x01, STR("hel"), true);
    put_raw(&b, 0x80, STR("lo"), true);
    struct str in = buf_str(&b);
    ws_reader_init(&r, true, MAX_MESSAGE);
    assert_int_equal(ws_next(&r, &in, &event, &e), 1);
    assert_true(str_eqc(event.data, "hello"));
    assert_int_equal(ws_next(&r, &in, &event, &e), 0);
    assert_null(r.message.data);
    ws_reader_free(&r);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_messages),
        cmocka_unit_test(fragments_and_control_frames_between),
        cmocka_unit_test(reserved_bits_and_opcodes),
        cmocka_unit_test(continuation_rules),
        cmocka_unit_test(control_frame_rules),
        cmocka_unit_test(close_frames),
        cmocka_unit_test(text_must_be_utf8),
        cmocka_unit_test(text_fails_fast),
        cmocka_unit_test(masking_is_required_by_role),
        cmocka_unit_test(lengths_take_the_fewest_bytes),
        cmocka_unit_test(large_messages),
        cmocka_unit_test(too_large),
        cmocka_unit_test(a_claimed_length_allocates_nothing),
        cmocka_unit_test(one_frame_messages_are_not_copied),
        cmocka_unit_test(memory_goes_after_delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
