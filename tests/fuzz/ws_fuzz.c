/* WebSocket frames: any split gives the same events, nothing exceeds the ceilings, and what was read can be written and
 * read again. The first byte picks role, compression and the size of the pieces. */
#include "fuzz.h"

#include "base/macros.h"
#include "wire/ws.h"

#define MAX_SIZE    8192
#define MAX_MESSAGE 5000

struct result {
    struct buf events; /* opcode, close code, length and bytes of each */
    uint16_t error;
};

static void note(struct result *r, const struct ws_event *event)
{
    CHECK(event->data.n <= MAX_MESSAGE);
    CHECK(event->opcode != WS_TEXT || utf8_valid(event->data));
    CHECK(event->opcode < WS_CLOSE || event->data.n <= 125);
    buf_addf(&r->events, "%d %u %zu ", event->opcode, event->opcode == WS_CLOSE ? event->close_code : 0U,
             event->data.n);
    buf_str_add(&r->events, event->data);
}

static void check_written(const struct ws_event *event)
{
    struct buf out = BUF_INIT(MAX_MESSAGE + 200);
    struct ws_reader r;
    struct ws_event back;
    int put = event->opcode == WS_CLOSE
                  ? ws_close_put(&out, event->close_code == WS_NO_STATUS ? 0 : event->close_code, event->data, true)
                  : ws_frame_put(&out, event->opcode, event->data, true);
    CHECK(put == 0);
    ws_reader_init(&r, true, MAX_MESSAGE);
    struct str in = buf_str(&out);
    CHECK(ws_next(&r, &in, &back, NULL) == 1 && in.n == 0);
    CHECK(back.opcode == event->opcode && str_eq(back.data, event->data));
    ws_reader_free(&r);
    buf_free(&out);
}

static struct result read_all(struct str text, size_t step, bool server, bool compress)
{
    struct result result = {.events = BUF_INIT(MIB(64))};
    struct ws_deflate_params params = {true, true, 15, 15};
    struct ws_deflate *d = compress ? ws_deflate_new(&params, server) : NULL;
    struct ws_reader r;
    struct str kept = STR("");
    int got = 0;
    ws_reader_init(&r, server, MAX_MESSAGE);
    r.deflate = d;
    while (text.n && got == 0) {
        struct buf chunk = BUF_INIT(MAX_SIZE);
        struct str piece = fuzz_piece(&text, step);
        buf_str_add(&chunk, kept);
        buf_str_add(&chunk, piece);
        fuzz_piece_free(piece);
        if (kept.n)
            fuzz_piece_free(kept);
        struct str in = buf_str(&chunk);
        struct ws_event event;
        struct err e;
        while ((got = ws_next(&r, &in, &event, &e)) == 1) {
            note(&result, &event);
            check_written(&event);
        }
        CHECK(got < 0 || in.n <= WS_HEADER_MAX + 125);
        CHECK(r.message.cap <= 4 * MAX_MESSAGE);
        CHECK(got < 0 || r.opcode || !r.message.data);
        kept = in.n ? fuzz_piece(&in, in.n) : STR("");
        buf_free(&chunk);
    }
    if (kept.n)
        fuzz_piece_free(kept);
    result.error = got < 0 ? r.error : 0;
    CHECK((got < 0) == (result.error != 0));
    ws_reader_free(&r);
    ws_deflate_free(d);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > MAX_SIZE)
        return 0;
    struct str text = str_n(data + 1, size - 1);
    bool server = data[0] & 1, compress = data[0] & 2;
    struct result whole = read_all(text, text.n, server, compress);
    struct result split = read_all(text, 1 + (data[0] >> 2), server, compress);
    CHECK(whole.error == split.error && str_eq(buf_str(&whole.events), buf_str(&split.events)));
    buf_free(&whole.events);
    buf_free(&split.events);
    return 0;
}
