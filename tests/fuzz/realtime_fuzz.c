/* Events of a realtime service, looked at on their way: the name found is what a full parser finds, nothing behind the
 * text is read, and how a message was cut into frames changes nothing. Input: a byte for the size of the frames, text.
 */
#include "fuzz.h"

#include "api/realtime_relay_impl.h"

/* What a parser that reads everything says: 1 and *type, else -1; 0 when it cannot be compared. */
static int parsed_type(struct str text, struct str *type)
{
    struct json_want want = {.path = "type"};
    enum json_type root;
    if (str_find(text, STR("\\u")) >= 0 || json_scan(text, &want, 1, &root, NULL) < 0)
        return 0;
    if (root != JSON_OBJECT || want.value.type != JSON_STRING)
        return -1;
    *type = want.value.raw;
    return 1;
}

static void put_beside(const struct realtime_look *look, struct str text, struct buf *out)
{
    struct str parts[3];
    size_t n = text.n ? realtime_beside(look, text, parts) : 0;
    for (size_t i = 0; i < n; i++)
        buf_str_add(out, parts[i]);
}

/* What is sent beside the message when it comes in frames of that size. */
static enum realtime_kind look_in_frames(struct str text, size_t size, struct buf *out)
{
    struct realtime_look look = {.beta = true};
    bool first = true;
    do {
        struct str piece = str_n(text.p, MIN(size, text.n));
        text = str_n(text.p + piece.n, text.n - piece.n);
        put_beside(&look, realtime_look_at(&look, first ? WS_TEXT : WS_CONTINUATION, text.n == 0, piece), out);
        first = false;
    } while (text.n);
    realtime_look_end(&look);
    return look.kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = BUF_INIT(MIB(1)), cut = BUF_INIT(MIB(1));
    struct str text, type, expected;
    if (size < 2)
        return 0;
    text = str_n(data + 1, size - 1);
    int found = realtime_event_type(text, &type), parsed = parsed_type(text, &expected);
    CHECK(parsed == 0 || found == parsed);
    CHECK(parsed != 1 || (str_eq(type, expected) && type.p == expected.p));
    enum realtime_kind kind = look_in_frames(text, text.n, &whole);
    CHECK(look_in_frames(text, 1 + data[0], &cut) == kind);
    CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
    buf_free(&whole);
    buf_free(&cut);
    return 0;
}
