/* Reply heads and URLs: no byte is read beyond the input, a longer input gives the same head, and what is taken holds
 * nothing that could be put into a request's line. */
#include "fuzz.h"

#include "wire/http.h"
#include "wire/url.h"

static bool inside(struct str part, struct str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        CHECK((unsigned char)s.p[i] > 0x20 && (unsigned char)s.p[i] < 0x7f);
}

static void try_url(struct str text)
{
    struct url u;
    struct buf out = BUF_INIT(KIB(64));
    if (url_split(&u, text) == 0) {
        CHECK(u.host.n > 0 && inside(u.host, text) && inside(u.user, text) && inside(u.target, text));
        check_plain(u.host);
        check_plain(u.target);
        if (u.user.p && url_basic_auth(&out, u.user) == 0)
            CHECK(str_starts(buf_str(&out), STR("Basic ")));
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_reply_head head, again;
    struct str text = str_n(data, size), rest = text;
    if (size > 2 * LIMIT_HTTP_HEAD)
        return 0;
    try_url(text);
    ptrdiff_t got = http_reply_head_parse(&head, text, NULL);
    if (got <= 0)
        return 0;
    CHECK((size_t)got <= size && head.status >= 100 && head.status <= 999 && head.nheaders <= LIMIT_HTTP_HEADERS);
    for (size_t i = 0; i < head.nheaders; i++)
        CHECK(inside(head.headers[i].name, text) && inside(head.headers[i].value, text));
    struct str piece = fuzz_piece(&rest, (size_t)got);
    CHECK(http_reply_head_parse(&again, piece, NULL) == got);
    CHECK(again.status == head.status && again.nheaders == head.nheaders && again.body == head.body);
    piece.n--;
    CHECK(http_reply_head_parse(&again, piece, NULL) == 0);
    fuzz_piece_free(piece);
    return 0;
}
