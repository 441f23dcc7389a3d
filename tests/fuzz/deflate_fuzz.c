/* permessage-deflate: what one side compresses the other reads; arbitrary bytes never exceed the ceiling, and zlib in
 * one shot gives the same plain text; negotiation never agrees to what it cannot obey. The first byte picks the case.
 */
#include "fuzz.h"

#include "base/macros.h"
#include "wire/ws.h"

#include <zlib.h>

#define MAX_SIZE    4096
#define MAX_MESSAGE 6000

static void put_frame(struct buf *out, struct str bytes)
{
    uint8_t header[WS_HEADER_MAX];
    size_t n = ws_header(header, WS_BINARY, true, true, bytes.n, NULL);
    buf_add(out, header, n);
    buf_str_add(out, bytes);
}

/* Reads one compressed message as a client: as ws_next; *plain gets a copy. */
static int read_message(struct ws_deflate *d, struct str compressed, struct buf *plain, uint16_t *code)
{
    struct buf frame = BUF_INIT(MIB(1));
    struct ws_reader r;
    struct ws_event event;
    put_frame(&frame, compressed);
    ws_reader_init(&r, false, MAX_MESSAGE);
    r.deflate = d;
    struct str in = buf_str(&frame);
    int got = ws_next(&r, &in, &event, NULL);
    CHECK(got != 0 && r.message.cap <= 4 * MAX_MESSAGE);
    *code = r.error;
    if (got == 1)
        CHECK(event.data.n <= MAX_MESSAGE && buf_str_add(plain, event.data) == 0);
    ws_reader_free(&r);
    buf_free(&frame);
    return got;
}

/* The text as two messages, there and back. */
static void round_trip(struct str text, bool context, int bits)
{
    struct ws_deflate_params p = {!context, !context, bits, 15};
    struct ws_deflate *server = ws_deflate_new(&p, true), *client = ws_deflate_new(&p, false);
    struct str parts[] = {str_n(text.p, text.n / 3), str_from(text, text.n / 3)};
    for (size_t i = 0; i < COUNT(parts); i++) {
        struct buf packed = BUF_INIT(MAX_SIZE * 2), plain = BUF_INIT(MAX_MESSAGE);
        uint16_t code;
        CHECK(ws_deflate_message(server, parts[i], &packed) == 0);
        CHECK(read_message(client, buf_str(&packed), &plain, &code) == 1);
        CHECK(str_eq(buf_str(&plain), parts[i]));
        buf_free(&packed);
        buf_free(&plain);
    }
    ws_deflate_free(server);
    ws_deflate_free(client);
}

/* zlib alone, with room to spare: the length of the plain text, or -1. Blocks marked final are left to ours. */
static ptrdiff_t reference(struct str compressed, char *out, size_t room)
{
    z_stream z = {0};
    CHECK(inflateInit2(&z, -15) == Z_OK);
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)room;
    z.next_in = (Bytef *)(uintptr_t)compressed.p;
    z.avail_in = (uInt)compressed.n;
    int got = inflate(&z, Z_SYNC_FLUSH);
    size_t n = room - z.avail_out;
    inflateEnd(&z);
    return got == Z_OK ? (ptrdiff_t)n : -1;
}

static void arbitrary(struct str bytes)
{
    static char wide[MAX_MESSAGE + 1];
    struct ws_deflate_params p = {true, true, 15, 15};
    struct ws_deflate *client = ws_deflate_new(&p, false);
    struct buf plain = BUF_INIT(MAX_MESSAGE);
    uint16_t code = 0;
    int got = read_message(client, bytes, &plain, &code);
    ptrdiff_t n = reference(bytes, wide, sizeof wide);
    CHECK(got == 1 || code == WS_BAD_DATA || code == WS_TOO_BIG);
    if (got == 1 && n >= 0)
        CHECK(str_eq(buf_str(&plain), str_n(wide, (size_t)n)));
    if (n > MAX_MESSAGE)
        CHECK(code == WS_TOO_BIG);
    buf_free(&plain);
    ws_deflate_free(client);
}

static void negotiate(struct str text, bool context)
{
    struct ws_deflate_params p = {0}, q = {0};
    struct buf out = BUF_INIT(200);
    if (ws_deflate_accept(text, context, &p, &out)) {
        CHECK(ws_deflate_answer(buf_str(&out), &q) == 0);
        CHECK(p.server_max_window_bits == q.server_max_window_bits && p.server_max_window_bits >= 9);
        CHECK(p.server_no_context_takeover == q.server_no_context_takeover);
        CHECK(p.client_no_context_takeover == q.client_no_context_takeover);
        CHECK(context || p.server_no_context_takeover);
    } else {
        CHECK(out.len == 0);
    }
    if (ws_deflate_answer(text, &q) == 0)
        CHECK(q.client_max_window_bits >= 9 && q.client_max_window_bits <= 15);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > MAX_SIZE)
        return 0;
    struct str text = str_n(data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        round_trip(text, data[0] & 0x40, 9 + data[0] / 3 % 7);
        break;
    case 1:
        arbitrary(text);
        break;
    default:
        negotiate(text, data[0] & 0x40);
    }
    return 0;
}
