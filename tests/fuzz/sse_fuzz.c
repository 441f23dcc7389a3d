/* Server-sent events: any split gives the same events or the same failure, and what was read can be written and read
 * again. The first byte picks the size of the pieces. */
#include "fuzz.h"

#include "base/macros.h"
#include "wire/sse.h"

#define MAX_SIZE  4096
#define MAX_EVENT 200

struct result {
    struct buf events;
    bool failed;
};

static bool one_line(struct str s)
{
    return str_find_char(s, '\n') < 0 && str_find_char(s, '\r') < 0;
}

static void check_written(const struct sse_event *event)
{
    struct buf out = BUF_INIT(KIB(64));
    struct sse_reader r;
    struct sse_event back;
    struct err e;
    /* A NUL in an id is skipped with the id, in the name it ends what the writer takes. */
    if (str_find_char(event->event, 0) >= 0)
        return;
    CHECK(sse_put(&out, event->id, event->event, event->data) == 0);
    sse_reader_init(&r, KIB(4));
    struct str in = buf_str(&out);
    CHECK(sse_next(&r, &in, &back, &e) == 1 && in.n == 0);
    CHECK(str_eq(back.data, event->data) && str_eq(back.id, event->id) && str_eq(back.event, event->event));
    sse_reader_free(&r);
    buf_free(&out);
}

static void note(struct result *result, const struct sse_event *event)
{
    CHECK(event->data.n <= MAX_EVENT && event->event.n <= MAX_EVENT && event->id.n <= MAX_EVENT);
    CHECK(one_line(event->event) && one_line(event->id) && str_find_char(event->data, '\r') < 0);
    buf_addf(&result->events, "%zu %zu %zu ", event->data.n, event->event.n, event->id.n);
    buf_str_add(&result->events, event->data);
    buf_str_add(&result->events, event->event);
    buf_str_add(&result->events, event->id);
    check_written(event);
}

static struct result read_all(struct str text, size_t step)
{
    struct result result = {.events = BUF_INIT(MIB(16))};
    struct sse_reader r;
    struct sse_event event;
    struct err e;
    int got = 0;
    sse_reader_init(&r, MAX_EVENT);
    while (text.n && got == 0) {
        struct str piece = fuzz_piece(&text, step), in = piece;
        while ((got = sse_next(&r, &in, &event, &e)) == 1)
            note(&result, &event);
        CHECK(got < 0 || in.n == 0);
        fuzz_piece_free(piece);
    }
    result.failed = got < 0;
    if (!result.failed && sse_end(&r, &event))
        note(&result, &event);
    sse_reader_free(&r);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > MAX_SIZE)
        return 0;
    struct str text = str_n(data + 1, size - 1);
    struct result whole = read_all(text, text.n), split = read_all(text, 1 + data[0] % 32);
    CHECK(whole.failed == split.failed && str_eq(buf_str(&whole.events), buf_str(&split.events)));
    buf_free(&whole.events);
    buf_free(&split.events);
    return 0;
}
