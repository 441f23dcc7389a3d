/* Text for the local voices: whatever valid UTF-8 comes, plain ASCII comes out, and its pieces are all of it. The first
 * byte is how long they may be. */
#include "fuzz.h"

#include "base/utf8.h"
#include "speech/local/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, first;
    if (size < 1 || !utf8_valid(str_from(text, 1)))
        return 0;
    size_t max = 1 + data[0];
    first = fuzz_piece(&text, 1);
    free((void *)(uintptr_t)first.p);
    struct buf out = BUF_INIT(SIZE_MAX);
    CHECK(text_plain(text, &out) == 0);
    CHECK(out.len <= 20 * text.n);
    struct str plain = buf_str(&out), rest = plain;
    for (size_t i = 0; i < plain.n; i++)
        CHECK(plain.p[i] >= ' ' && plain.p[i] <= '~');
    for (size_t n; rest.n; rest = str_from(rest, n)) {
        n = text_piece(rest, max);
        CHECK(n >= 1 && n <= rest.n);
    }
    text_speakable(plain);
    buf_free(&out);
    return 0;
}
