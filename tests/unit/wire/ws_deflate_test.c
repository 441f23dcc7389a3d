#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "wire/ws.h"

#include <pthread.h>
#include <zlib.h>

#define MAX_MESSAGE 200000

/* Frames compressed bytes in `parts` unmasked fragments, as a server sends them. */
static void put_fragments(struct buf *out, enum ws_opcode opcode, struct str bytes, size_t parts)
{
    size_t each = (bytes.n + parts - 1) / parts;
    for (size_t i = 0; i < parts; i++) {
        uint8_t header[WS_HEADER_MAX];
        struct str piece = str_n(bytes.p, MIN(each, bytes.n));
        bytes = str_from(bytes, piece.n);
        size_t n = ws_header(header, i ? WS_CONTINUATION : opcode, i + 1 == parts, i == 0, piece.n, NULL);
        buf_add(out, header, n);
        buf_str_add(out, piece);
    }
}

/* Reads the message in `in` with a client's reader in pieces of step; asserts that it is `want`. */
static void assert_reads(struct ws_deflate *d, struct str in, size_t step, struct str want)
{
    struct ws_reader r;
    struct ws_event event;
    struct err e;
    struct buf kept = BUF_INIT(MIB(1));
    int got = 0;
    ws_reader_init(&r, false, MAX_MESSAGE);
    r.deflate = d;
    while (in.n && got == 0) {
        struct str piece = {in.p, MIN(step, in.n)};
        in = str_from(in, piece.n);
        buf_str_add(&kept, piece);
        struct str rest = buf_str(&kept);
        got = ws_next(&r, &rest, &event, &e);
        if (got == 0)
            buf_consume(&kept, kept.len - rest.n);
    }
    assert_int_equal(got, 1);
    assert_int_equal(in.n, 0);
    assert_true(str_eq(event.data, want));
    struct str none = STR_NONE;
    assert_int_equal(ws_next(&r, &none, &event, &e), 0);
    assert_null(r.message.data);
    ws_reader_free(&r);
    buf_free(&kept);
}

static struct str sample(size_t i)
{
    static char noise[70000], text[150000];
    if (!noise[0] && !noise[1]) {
        rand_bytes(noise, sizeof noise);
        for (size_t n = 0; n < sizeof text; n++)
            text[n] = "{\"type\":\"delta\",\"content\":\"word \"}"[n % 34];
    }
    struct str samples[] = {STR(""),
                            STR("a"),
                            STR("{\"type\":\"ping\"}"),
                            str_n(text, 1000),
                            str_n(text, sizeof text),
                            str_n(noise, 100),
                            str_n(noise, sizeof noise)};
    return i < COUNT(samples) ? samples[i] : STR_NONE;
}

static void messages_come_back(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        struct ws_deflate_params p = {.server_no_context_takeover = variant & 1,
                                      .client_no_context_takeover = variant & 2,
                                      .server_max_window_bits = variant & 4 ? 9 : 15,
                                      .client_max_window_bits = 15};
        struct ws_deflate *server = ws_deflate_new(&p, true), *client = ws_deflate_new(&p, false);
        for (int round = 0; round < 3; round++)
            for (size_t i = 0; sample(i).p; i++) {
                struct buf packed = BUF_INIT(MIB(1)), frames = BUF_INIT(MIB(1));
                assert_int_equal(ws_deflate_message(server, sample(i), &packed), 0);
                put_fragments(&frames, WS_BINARY, buf_str(&packed), 1 + (size_t)round);
                assert_reads(client, buf_str(&frames), round == 1 ? 7 : MIB(1), sample(i));
                buf_free(&packed);
                buf_free(&frames);
            }
        ws_deflate_free(server);
        ws_deflate_free(client);
    }
}

static void context_is_kept_only_when_agreed(void **state)
{
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        struct ws_deflate_params p = {!keep, !keep, 15, 15};
        struct ws_deflate *d = ws_deflate_new(&p, true);
        struct buf first = BUF_INIT(1000), second = BUF_INIT(1000);
        struct str text = STR("no two phrases of this sentence repeat, so only a context makes it small");
        assert_int_equal(ws_deflate_message(d, text, &first), 0);
        assert_int_equal(ws_deflate_message(d, text, &second), 0);
        if (keep)
            assert_true(second.len < first.len / 3);
        else
            assert_true(str_eq(buf_str(&first), buf_str(&second)));
        buf_free(&first);
        buf_free(&second);
        ws_deflate_free(d);
    }
}

/* A decompressor with the window that was agreed must do: zlib refuses distances past it. */
static void window_bits_are_obeyed(void **state)
{
    (void)state;
    static char text[8000], back[8000];
    rand_bytes(text, 700);
    for (size_t i = 700; i < sizeof text; i++)
        text[i] = text[i - 700];
    for (int keep = 0; keep < 2; keep++) {
        struct ws_deflate_params p = {!keep, !keep, 9, 15};
        struct ws_deflate *d = ws_deflate_new(&p, true);
        struct buf packed = BUF_INIT(20000);
        assert_int_equal(ws_deflate_message(d, str_n(text, sizeof text), &packed), 0);
        z_stream z = {0};
        assert_int_equal(inflateInit2(&z, -9), Z_OK);
        z.next_in = (Bytef *)packed.data;
        z.avail_in = (uInt)packed.len;
        z.next_out = (Bytef *)back;
        z.avail_out = sizeof back;
        inflate(&z, Z_SYNC_FLUSH);
        assert_int_equal(z.avail_out, 0);
        assert_memory_equal(back, text, sizeof text);
        inflateEnd(&z);
        buf_free(&packed);
        ws_deflate_free(d);
    }
}

static int read_one(struct ws_deflate *d, struct str packed, enum ws_opcode opcode, size_t max, uint16_t *code)
{
    struct ws_reader r;
    struct ws_event event;
    struct err e;
    struct buf frames = BUF_INIT(MIB(1));
    put_fragments(&frames, opcode, packed, 1);
    ws_reader_init(&r, false, max);
    r.deflate = d;
    struct str in = buf_str(&frames);
    int got = ws_next(&r, &in, &event, &e);
    *code = r.error;
    if (got == 1)
        assert_true(event.data.n <= max);
    /* Memory stays near the ceiling whatever the message claims to be. */
    assert_true(r.message.cap <= 4 * max + 8192);
    ws_reader_free(&r);
    buf_free(&frames);
    return got;
}

static void a_bomb_is_stopped_at_the_ceiling(void **state)
{
    (void)state;
    static char zeros[MIB(1)];
    struct ws_deflate_params p = {true, true, 15, 15};
    struct ws_deflate *d = ws_deflate_new(&p, false);
    struct buf packed = BUF_INIT(MIB(1));
    uint16_t code;
    assert_int_equal(ws_deflate_message(d, str_n(zeros, sizeof zeros), &packed), 0);
    assert_true(packed.len < 10000);
    assert_int_equal(read_one(d, buf_str(&packed), WS_BINARY, 10000, &code), -1);
    assert_int_equal(code, WS_TOO_BIG);
    assert_int_equal(read_one(d, buf_str(&packed), WS_BINARY, sizeof zeros - 1, &code), -1);
    assert_int_equal(code, WS_TOO_BIG);
    assert_int_equal(read_one(d, buf_str(&packed), WS_BINARY, sizeof zeros, &code), 1);
    buf_free(&packed);
    ws_deflate_free(d);
}

static void ceilings_of_the_output(void **state)
{
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        struct ws_deflate_params p = {!keep, !keep, 15, 15};
        struct ws_deflate *server = ws_deflate_new(&p, true), *client = ws_deflate_new(&p, false);
        struct str noise = sample(5);
        size_t fits = 0;
        for (size_t max = 0; max < 150; max++) {
            struct buf out = BUF_INIT(max);
            if (ws_deflate_message(server, noise, &out) == 0) {
                struct buf frames = BUF_INIT(1000);
                fits++;
                assert_true(out.len <= max);
                put_fragments(&frames, WS_BINARY, buf_str(&out), 1);
                assert_reads(client, buf_str(&frames), 1000, noise);
                buf_free(&frames);
            } else {
                assert_int_equal(out.len, 0);
            }
            buf_free(&out);
        }
        assert_in_range(fits, 30, 149);
        ws_deflate_free(server);
        ws_deflate_free(client);
    }
}

static void broken_data(void **state)
{
    (void)state;
    struct ws_deflate_params p = {true, true, 15, 15};
    struct ws_deflate *d = ws_deflate_new(&p, false);
    uint16_t code;
    struct buf packed = BUF_INIT(1000);
    assert_int_equal(read_one(d, STR("\xFF\xFF\xFF"), WS_BINARY, 1000, &code), -1);
    assert_int_equal(code, WS_BAD_DATA);
    assert_int_equal(ws_deflate_message(d, STR("not \xFF UTF-8"), &packed), 0);
    assert_int_equal(read_one(d, buf_str(&packed), WS_BINARY, 1000, &code), 1);
    assert_int_equal(read_one(d, buf_str(&packed), WS_TEXT, 1000, &code), -1);
    assert_int_equal(code, WS_BAD_DATA);
    /* Cut short anywhere, and empty. */
    for (size_t n = 0; n + 1 < packed.len; n++)
        assert_int_equal(read_one(d, str_n(packed.data, n), WS_BINARY, 1000, &code), n ? -1 : 1);
    buf_free(&packed);
    ws_deflate_free(d);
}

/* RFC 7692 7.2.3: the examples, among them one block marked final and one of two blocks. */
static void rfc_7692_examples(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } examples[] = {
        {"\xF2\x48\xCD\xC9\xC9\x07\x00", 7},
        {"\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00", 11},
        {"\xF3\x48\xCD\xC9\xC9\x07\x00\x00", 8},
        {"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00", 13},
    };
    struct ws_deflate_params p = {true, true, 15, 15};
    struct ws_deflate *d = ws_deflate_new(&p, false);
    for (size_t i = 0; i < COUNT(examples); i++) {
        struct buf frames = BUF_INIT(1000);
        put_fragments(&frames, WS_TEXT, str_n(examples[i].bytes, examples[i].n), 1);
        assert_reads(d, buf_str(&frames), 1, STR("Hello"));
        buf_free(&frames);
    }
    ws_deflate_free(d);
}

static void compressed_only_when_negotiated(void **state)
{
    (void)state;
    uint16_t code;
    assert_int_equal(read_one(NULL, STR("\xF2\x48\xCD\xC9\xC9\x07\x00"), WS_TEXT, 100, &code), -1);
    assert_int_equal(code, WS_PROTOCOL_ERROR);
}

static void *compress_in_thread(void *arg)
{
    struct ws_deflate_params p = {true, true, 15, 15};
    struct ws_deflate *d = ws_deflate_new(&p, true);
    (void)ws_deflate_message(d, STR("the pool of this thread goes with it"), arg);
    ws_deflate_free(d);
    return NULL;
}

/* The leak checker of the sanitizer build watches this. */
static void a_thread_takes_its_pool_with_it(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(1000);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, compress_in_thread, &out), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(out.len > 0);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_back),
        cmocka_unit_test(context_is_kept_only_when_agreed),
        cmocka_unit_test(window_bits_are_obeyed),
        cmocka_unit_test(a_bomb_is_stopped_at_the_ceiling),
        cmocka_unit_test(ceilings_of_the_output),
        cmocka_unit_test(broken_data),
        cmocka_unit_test(rfc_7692_examples),
        cmocka_unit_test(compressed_only_when_negotiated),
        cmocka_unit_test(a_thread_takes_its_pool_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
