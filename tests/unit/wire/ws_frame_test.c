/* ws_next_frame: messages frame by frame, for those who pass them on. */
#include "unit/support/unit.h"

#include "base/mem.h"
#include "base/rand.h"
#include "wire/ws.h"

#define MAX_MESSAGE 100000

static void put_raw(struct buf *out, uint8_t first, struct str payload, bool mask)
{
    uint8_t header[WS_HEADER_MAX], key[4];
    rand_bytes(key, sizeof key);
    size_t n = ws_header(header, WS_TEXT, true, false, payload.n, mask ? key : NULL);
    header[0] = first;
    buf_add(out, header, n);
    size_t at = out->len;
    buf_str_add(out, payload);
    if (mask)
        ws_mask((uint8_t *)out->data + out->head + at, payload.n, key, 0);
}

/* What one run gave. Events as "T5:hello " with a '+' behind the letter when more of the message follows; big ones
 * without their bytes. */
struct run {
    struct buf log, passed; /* passed: each event written as an unmasked frame */
    uint16_t error;
};

static void log_event(struct run *run, const struct ws_event *event)
{
    static const char kinds[] = {[WS_CONTINUATION] = '-', [WS_TEXT] = 'T', [WS_BINARY] = 'B',
                                 [WS_CLOSE] = 'C',        [WS_PING] = 'P', [WS_PONG] = 'O'};
    uint8_t header[WS_HEADER_MAX];
    buf_add(&run->passed, header, ws_header(header, event->opcode, event->fin, false, event->data.n, NULL));
    buf_str_add(&run->passed, event->data);
    buf_addf(&run->log, "%c%s%zu:", kinds[event->opcode], event->fin ? "" : "+", event->data.n);
    if (event->data.n < 100)
        buf_str_add(&run->log, event->data);
    buf_byte(&run->log, ' ');
}

/* Feeds bytes in pieces of `step`; what is left is kept in front of the next piece, as a connection does. */
static void feed(struct run *run, struct str bytes, size_t step, bool server, size_t max)
{
    struct ws_reader r;
    struct err e = {0};
    struct buf kept = BUF_INIT(MIB(1));
    int got = 0;
    *run = (struct run){.log = BUF_INIT(MIB(4)), .passed = BUF_INIT(MIB(4))};
    ws_reader_init(&r, server, max);
    while (bytes.n && got == 0) {
        size_t n = MIN(step, bytes.n);
        buf_str_add(&kept, (struct str){bytes.p, n});
        bytes = str_from(bytes, n);
        char *chunk = mem_alloc(kept.len);
        memcpy(chunk, buf_str(&kept).p, kept.len);
        struct str in = {chunk, kept.len};
        struct ws_event event = {0};
        while ((got = ws_next_frame(&r, &in, &event, &e)) == 1)
            log_event(run, &event);
        assert_null(r.message.data);
        if (got == 0)
            assert_in_range(in.n, 0, WS_HEADER_MAX + WS_FRAME_WHOLE);
        buf_clear(&kept);
        buf_str_add(&kept, in);
        free(chunk);
    }
    if (got < 0)
        assert_true(r.error != 0 && e.text[0] != 0);
    else
        assert_int_equal(kept.len, 0);
    run->error = got < 0 ? r.error : 0;
    buf_free(&kept);
    ws_reader_free(&r);
}

static void run_free(struct run *run)
{
    buf_free(&run->log);
    buf_free(&run->passed);
}

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
        for (size_t step = 1; step <= b.len; step++) {
            struct run run;
            feed(&run, buf_str(&b), step, server, MAX_MESSAGE);
            assert_string_equal(buf_cstr(&run.log), want);
            assert_int_equal(run.error, error);
            run_free(&run);
        }
        buf_free(&b);
    }
}

#define FRAMES(want, error, ...)                                                                                       \
    do {                                                                                                               \
        const struct raw frames_[] = {__VA_ARGS__};                                                                    \
        assert_frames(frames_, COUNT(frames_), want, error);                                                           \
    } while (0)

static void frames_stay_as_they_are(void **state)
{
    (void)state;
    FRAMES("T5:hello ", 0, RAW(0x81, "hello"));
    FRAMES("T0: B0: ", 0, RAW(0x81, ""), RAW(0x82, ""));
    FRAMES("T+3:hel -+3:lo  -5:world ", 0, RAW(0x01, "hel"), RAW(0x00, "lo "), RAW(0x80, "world"));
    FRAMES("T+0: -+0: -0: ", 0, RAW(0x01, ""), RAW(0x00, ""), RAW(0x80, ""));
    FRAMES("B+1:\xFF -1:\xFE B1:x ", 0, RAW(0x02, "\xFF"), RAW(0x80, "\xFE"), RAW(0x82, "x"));
}

static void control_frames_come_in_between(void **state)
{
    (void)state;
    FRAMES("T+3:foo P4:ping O0: -3:bar C0: ", 0, RAW(0x01, "foo"), RAW(0x89, "ping"), RAW(0x8A, ""), RAW(0x80, "bar"),
           RAW(0x88, ""));
    FRAMES("T+4:half C3:bye ", 0, RAW(0x01, "half"),
           RAW(0x88, "\x03\xE8"
                     "bye"));
}

static void text_is_checked_over_the_message(void **state)
{
    (void)state;
    FRAMES("T+1:\xE2 -+1:\x82 -1:\xAC ", 0, RAW(0x01, "\xE2"), RAW(0x00, "\x82"), RAW(0x80, "\xAC"));
    FRAMES("T+1:\xE2 ", WS_BAD_DATA, RAW(0x01, "\xE2"), RAW(0x80, "x"));
    FRAMES("T+1:\xE2 ", WS_BAD_DATA, RAW(0x01, "\xE2"), RAW(0x80, ""));
    FRAMES("", WS_BAD_DATA, RAW(0x81, "\xE2"));
    FRAMES("T1:a ", WS_BAD_DATA, RAW(0x81, "a"), RAW(0x81, "\xFF"));
    FRAMES("B1:\xFF ", 0, RAW(0x82, "\xFF"));
}

static void the_rules_are_held(void **state)
{
    (void)state;
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x80, "x"));
    FRAMES("T+1:a ", WS_PROTOCOL_ERROR, RAW(0x01, "a"), RAW(0x81, "b"));
    FRAMES("T1:a ", WS_PROTOCOL_ERROR, RAW(0x81, "a"), RAW(0x80, "b"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0xC1, "x"));
    FRAMES("", WS_PROTOCOL_ERROR, RAW(0x83, "x"));
    FRAMES("T+1:a ", WS_PROTOCOL_ERROR, RAW(0x01, "a"), RAW(0x09, ""));
}

static void wrong_masking_is_refused(void **state)
{
    (void)state;
    for (int server = 0; server < 2; server++) {
        struct buf b = BUF_INIT(100);
        struct run run;
        put_raw(&b, 0x81, STR("hello"), !server);
        feed(&run, buf_str(&b), 1, server, MAX_MESSAGE);
        assert_int_equal(run.error, WS_PROTOCOL_ERROR);
        assert_int_equal(run.log.len, 0);
        run_free(&run);
        buf_free(&b);
    }
}

/* Reads frames back as whole messages. */
static void assert_message(struct str frames, enum ws_opcode opcode, struct str want)
{
    struct ws_reader r;
    struct ws_event event;
    char *copy = str_dup(frames);
    struct str in = {copy, frames.n};
    ws_reader_init(&r, false, MAX_MESSAGE);
    assert_int_equal(ws_next(&r, &in, &event, NULL), 1);
    assert_int_equal(event.opcode, opcode);
    assert_true(event.fin);
    assert_true(str_eq(event.data, want));
    assert_int_equal(in.n, 0);
    ws_reader_free(&r);
    free(copy);
}

/* Written again as they came, the pieces make the same message, whatever the split. */
static void long_frames_pass_in_pieces(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(MAX_MESSAGE), frames = BUF_INIT(MIB(1));
    while (text.len + 6 <= 90000)
        buf_lit(&text, "a\xE2\x82\xACz ");
    for (int server = 0; server < 2; server++) {
        buf_clear(&frames);
        put_raw(&frames, 0x01, (struct str){buf_str(&text).p, 50000}, server);
        put_raw(&frames, 0x00, (struct str){buf_str(&text).p + 50000, WS_FRAME_WHOLE}, server);
        put_raw(&frames, 0x80, str_from(buf_str(&text), 50000 + WS_FRAME_WHOLE), server);
        for (size_t step = 1; step <= frames.len; step = step * 2 + 1) {
            struct run run;
            feed(&run, buf_str(&frames), step, server, MAX_MESSAGE);
            assert_int_equal(run.error, 0);
            assert_message(buf_str(&run.passed), WS_TEXT, buf_str(&text));
            /* A frame that may come whole does. */
            assert_non_null(strstr(buf_cstr(&run.log), " -+16384: "));
            run_free(&run);
        }
    }
    struct run run;
    feed(&run, buf_str(&frames), SIZE_MAX, true, MAX_MESSAGE);
    assert_string_equal(buf_cstr(&run.log), "T+50000: -+16384: -23616: ");
    run_free(&run);
    buf_free(&text);
    buf_free(&frames);
}

static void messages_have_a_ceiling(void **state)
{
    static const char zeros[40000];
    (void)state;
    struct buf b = BUF_INIT(MIB(1));
    struct run run;
    put_raw(&b, 0x02, str_n(zeros, 40000), true);
    put_raw(&b, 0x00, str_n(zeros, 10000), true);
    size_t fits = b.len;
    put_raw(&b, 0x00, STR(""), true);
    put_raw(&b, 0x80, STR(""), true);
    put_raw(&b, 0x82, str_n(zeros, 40000), true);
    feed(&run, buf_str(&b), SIZE_MAX, true, 50000);
    assert_int_equal(run.error, 0);
    run_free(&run);
    /* One byte too many is seen on the header, before a byte of it is there. */
    b.len = fits;
    put_raw(&b, 0x80, STR("x"), true);
    feed(&run, buf_str(&b), SIZE_MAX, true, 50000);
    assert_int_equal(run.error, WS_TOO_BIG);
    assert_string_equal(buf_cstr(&run.log), "B+40000: -+10000: ");
    run_free(&run);
    b.len = fits;
    put_raw(&b, 0x80, str_n(zeros, 40000), true);
    b.len -= 40000;
    feed(&run, buf_str(&b), SIZE_MAX, true, 50000);
    assert_int_equal(run.error, WS_TOO_BIG);
    run_free(&run);
    buf_free(&b);
}

static void masking_while_copying_is_masking(void **state)
{
    static const uint8_t key[4] = {1, 2, 3, 0x80};
    uint8_t from[64], to[64], same[64];
    (void)state;
    rand_bytes(from, sizeof from);
    for (size_t at = 0; at < 5; at++) {
        for (size_t n = 0; n <= sizeof from; n++) {
            memcpy(same, from, n);
            ws_mask(same, n, key, at);
            ws_mask_copy(to, from, n, key, at);
            assert_memory_equal(to, same, n);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(to[i], from[i] ^ key[(at + i) & 3]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_stay_as_they_are),          cmocka_unit_test(control_frames_come_in_between),
        cmocka_unit_test(text_is_checked_over_the_message), cmocka_unit_test(the_rules_are_held),
        cmocka_unit_test(wrong_masking_is_refused),         cmocka_unit_test(long_frames_pass_in_pieces),
        cmocka_unit_test(messages_have_a_ceiling),          cmocka_unit_test(masking_while_copying_is_masking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
