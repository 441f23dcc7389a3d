/* Forms: the first line is the Content-Type, the rest the body. Parts lie inside the body, one behind the other, and
 * none holds a delimiter; a form made of the parts that were read gives the same parts. */
#include "fuzz.h"

#include "wire/multipart.h"

static void check_part(const struct multipart *m, struct str body, const struct multipart_part *part,
                       const char *behind)
{
    CHECK(part->body.p >= behind && part->body.p + part->body.n <= body.p + body.n);
    CHECK(part->name.n <= MULTIPART_NAME && part->filename.n <= MULTIPART_FILENAME);
    /* A delimiter is one only with the end of its line. */
    char whole[sizeof m->delimiter + 2];
    memcpy(whole, m->delimiter, m->ndelimiter);
    memcpy(whole + m->ndelimiter, "\r\n", 2);
    CHECK(str_find(part->body, str_n(whole, m->ndelimiter + 2)) < 0);
}

/* One part with a delimiter of its own, which the body does not hold. */
static void check_again(struct str body)
{
    static const char boundary[] = "----------------------------0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    struct multipart m;
    struct multipart_part part;
    struct buf form = BUF_INIT(SIZE_MAX);
    if (str_find(body, STR("0f1e2d3c")) >= 0)
        return;
    buf_addf(&form, "--%s\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n", boundary);
    buf_str_add(&form, body);
    buf_addf(&form, "\r\n--%s--\r\n", boundary);
    CHECK(multipart_init(&m,
                         STR("multipart/form-data; boundary="
                             "----------------------------0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
                         buf_str(&form), NULL) == 0);
    CHECK(multipart_next(&m, &part, NULL) == 1 && str_eq(part.body, body));
    CHECK(multipart_next(&m, &part, NULL) == 0);
    buf_free(&form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct multipart m;
    struct multipart_part part;
    struct err e;
    struct str rest = str_n(data, size), first;
    if (size == 0 || !str_split(&rest, '\n', &first))
        return 0;
    rest = rest.p ? rest : STR("");
    struct str all = rest, type = fuzz_piece(&first, first.n), body = fuzz_piece(&rest, rest.n);
    int got = multipart_init(&m, type, body, &e);
    const char *behind = body.p;
    unsigned parts = 0;
    while (got >= 0 && (got = multipart_next(&m, &part, &e)) == 1) {
        check_part(&m, body, &part, behind);
        behind = part.body.p + part.body.n;
        CHECK(++parts <= MULTIPART_PARTS);
    }
    if (got < 0)
        CHECK(e.code == ERR_INVALID_REQUEST);
    check_again(all);
    fuzz_piece_free(type);
    fuzz_piece_free(body);
    return 0;
}
