/* WebSocket frames: any split gives the same events, nothing exceeds the ceilings, what was read can be written and
 * read again, and frames passed on one by one make the same messages. The first byte picks role, compression and the
 * size of the pieces. */
#include "fuzz.h"

#include "base/macros.h"
#include "wire/ws.h"

#define MAX_SIZE    40000 /* frames longer than WS_FRAME_WHOLE pass in pieces */
#define MAX_MESSAGE 30000

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

/* What collecting the passed frames gives: the same events as reading whole messages does, as far as those come. */
struct passing {
    struct result result;
    struct buf message;
    enum ws_opcode opcode;
};

static void pass(struct passing *p, const struct ws_event *event)
{
    CHECK(event->opcode < WS_CLOSE || event->fin);
    if (event->opcode >= WS_CLOSE) {
        note(&p->result, event);
        return;
    }
    CHECK((event->opcode == WS_CONTINUATION) == (p->opcode != 0));
    if (event->opcode != WS_CONTINUATION)
        p->opcode = event->opcode;
    CHECK(buf_str_add(&p->message, event->data) == 0);
    if (!event->fin)
        return;
    note(&p->result, &(struct ws_event){.opcode = p->opcode, .fin = true, .data = buf_str(&p->message)});
    buf_clear(&p->message);
    p->opcode = WS_CONTINUATION;
}

static struct result pass_all(struct str text, size_t step, bool server)
{
    struct passing p = {.result.events = BUF_INIT(MIB(64)), .message = BUF_INIT(MAX_MESSAGE)};
    struct ws_reader r;
    struct str kept = STR("");
    int got = 0;
    ws_reader_init(&r, server, MAX_MESSAGE);
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
        while ((got = ws_next_frame(&r, &in, &event, &e)) == 1)
            pass(&p, &event);
        CHECK(got < 0 || in.n <= WS_HEADER_MAX + WS_FRAME_WHOLE);
        CHECK(!r.message.data);
        kept = in.n ? fuzz_piece(&in, in.n) : STR("");
        buf_free(&chunk);
    }
    if (kept.n)
        fuzz_piece_free(kept);
    p.result.error = got < 0 ? r.error : 0;
    CHECK((got < 0) == (p.result.error != 0));
    ws_reader_free(&r);
    buf_free(&p.message);
    return p.result;
}

/* Frames are waited for, so what is wrong inside of one that never came whole is not seen. */
static void check_passing(struct str text, size_t step, bool server, const struct result *messages)
{
    struct result whole = pass_all(text, text.n, server), split = pass_all(text, step, server);
    CHECK(whole.error == split.error && str_eq(buf_str(&whole.events), buf_str(&split.events)));
    CHECK(str_eq(buf_str(&whole.events), buf_str(&messages->events)));
    CHECK(whole.error == messages->error || whole.error == 0);
    buf_free(&whole.events);
    buf_free(&split.events);
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
    if (!compress)
        check_passing(text, 1 + (data[0] >> 2), server, &whole);
    buf_free(&whole.events);
    buf_free(&split.events);
    return 0;
}
