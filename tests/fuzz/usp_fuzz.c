/* Messages of Azure Speech's WebSockets: what is read lies inside of the input, has a path, and is the same when it is
 * written and read again; what is made of it as part of a turn stays bounded. Input: messages, each with its length in
 * two bytes and its kind in the lowest bit of a third. */
#include "fuzz.h"

#include "base/macros.h"
#include "base/utf8.h"
#include "speech/azure_speech/transcript.h"

static void check_inside(struct str value, struct str data)
{
    CHECK(value.n <= data.n);
    for (size_t i = 0; i < value.n; i++)
        CHECK(value.p[i] != '\r' && value.p[i] != '\n');
}

static bool same(const struct usp_message *a, const struct usp_message *b)
{
    return a->binary == b->binary && str_eq(a->path, b->path) && str_eq(a->request_id, b->request_id) &&
           str_eq(a->timestamp, b->timestamp) && str_eq(a->content_type, b->content_type) &&
           str_eq(a->stream_id, b->stream_id) && str_eq(a->body, b->body);
}

static void check_message(const struct usp_message *m, struct str data)
{
    struct buf out = BUF_INIT(MIB(1));
    struct usp_message again;
    struct err e;
    CHECK(m->path.n > 0 && m->body.n <= data.n);
    check_inside(m->path, data);
    check_inside(m->request_id, data);
    check_inside(m->timestamp, data);
    check_inside(m->content_type, data);
    check_inside(m->stream_id, data);
    if (usp_put(&out, m) == 0) {
        CHECK(usp_read(&again, m->binary, buf_str(&out), &e) == 0);
        CHECK(same(m, &again));
    } else {
        CHECK(data.n > USP_HEADERS_MAX / 2); /* the spaces and line ends that were left out made it too long */
    }
    buf_free(&out);
}

static void check_transcript(struct transcript *t, const struct usp_message *m)
{
    struct err e = {0};
    int news = transcript_take(t, m, &e);
    CHECK(news >= 0 || (e.code == ERR_UPSTREAM && e.text[0] && e.status >= 400));
    CHECK(utf8_valid(buf_str(&t->phrases)) && t->phrases.len <= KIB(128) && t->text.len <= KIB(256));
    CHECK(transcript_confidence(t) <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_n(data, size);
    struct transcript t;
    struct err e;
    transcript_init(&t);
    while (rest.n >= 3) {
        const unsigned char *head = (const unsigned char *)rest.p;
        size_t n = (size_t)head[0] << 8 | head[1];
        bool binary = head[2] & 1;
        rest = str_from(rest, 3);
        struct usp_message m;
        struct str message = fuzz_piece(&rest, n);
        if (usp_read(&m, binary, message, &e) == 0) {
            check_message(&m, message);
            check_transcript(&t, &m);
        } else {
            CHECK(e.code == ERR_UPSTREAM);
        }
        fuzz_piece_free(message);
    }
    transcript_free(&t);
    return 0;
}
