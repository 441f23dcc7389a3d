/* SSML: whatever the text, the document is well-formed, has the elements it should have and no other, and says the text
 * without what XML has no place for. Input: voice, language, a byte for the speed, text; with NULs between them. */
#include "fuzz.h"

#include "base/macros.h"
#include "base/utf8.h"
#include "speech/ssml.h"

#define MAX_SIZE 4096

static struct str take(struct str *rest, struct str literal)
{
    CHECK(str_starts(*rest, literal));
    *rest = str_from(*rest, literal.n);
    return *rest;
}

/* An attribute's value, up to the quote that ends it: nothing in it needs an escape. */
static struct str take_value(struct str *rest)
{
    struct str value;
    CHECK(str_find_char(*rest, '\'') > 0);
    CHECK(str_split(rest, '\'', &value));
    for (size_t i = 0; i < value.n; i++)
        CHECK(!strchr("<>&\"", value.p[i]) && (unsigned char)value.p[i] >= 0x20 && (unsigned char)value.p[i] < 0x7f);
    return value;
}

/* The text up to the next tag, unescaped. */
static void take_text(struct str *rest, struct buf *out)
{
    static const struct {
        struct str entity;
        char c;
    } entities[] = {
        {{"&amp;", 5}, '&'}, {{"&lt;", 4}, '<'}, {{"&gt;", 4}, '>'}, {{"&quot;", 6}, '"'}, {{"&apos;", 6}, '\''}};
    while (rest->n > 0 && rest->p[0] != '<') {
        size_t i = 0;
        while (i < COUNT(entities) && !str_starts(*rest, entities[i].entity))
            i++;
        CHECK(i < COUNT(entities) || rest->p[0] != '&');
        buf_byte(out, i < COUNT(entities) ? entities[i].c : rest->p[0]);
        *rest = str_from(*rest, i < COUNT(entities) ? entities[i].entity.n : 1);
    }
}

/* Characters of XML 1.0 only. */
static void check_characters(struct str text)
{
    CHECK(utf8_valid(text));
    for (size_t i = 0; i < text.n; i++) {
        CHECK((unsigned char)text.p[i] >= 0x20 || strchr("\t\n\r", text.p[i]));
        struct str rest = str_from(text, i);
        CHECK(!str_starts(rest, STR("\xef\xbf\xbe")) && !str_starts(rest, STR("\xef\xbf\xbf")));
    }
}

/* The input without what is left out, done another way: character by character. */
static void put_expected(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        bool control = n == 1 && c < 0x20 && c != 9 && c != 10 && c != 13;
        bool nonchar =
            n == 3 && c == 0xef && (unsigned char)text.p[i + 1] == 0xbf && (unsigned char)text.p[i + 2] >= 0xbe;
        if (!control && !nonchar)
            buf_add(out, text.p + i, n);
        i += n;
    }
}

static void check_document(struct str document, const struct ssml *ssml)
{
    struct buf text = BUF_INIT(SIZE_MAX), want = BUF_INIT(SIZE_MAX);
    check_characters(document);
    take(&document, STR("<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang='"));
    struct str language = take_value(&document);
    CHECK(ssml->language.n == 0 || str_eq(language, ssml->language));
    take(&document, STR("><voice name='"));
    CHECK(str_eq(take_value(&document), ssml->voice));
    take(&document, STR(">"));
    bool prosody = str_starts(document, STR("<prosody rate='"));
    if (prosody) {
        take(&document, STR("<prosody rate='"));
        take_value(&document);
        take(&document, STR(">"));
    }
    take_text(&document, &text);
    if (prosody)
        take(&document, STR("</prosody>"));
    take(&document, STR("</voice></speak>"));
    CHECK(document.n == 0);
    put_expected(&want, ssml->text);
    CHECK(str_eq(buf_str(&text), buf_str(&want)));
    buf_free(&text);
    buf_free(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_n(data, size), speed;
    struct ssml ssml = {0};
    if (size > MAX_SIZE || !str_split(&rest, 0, &ssml.voice) || !str_split(&rest, 0, &ssml.language) ||
        !str_split(&rest, 0, &speed))
        return 0;
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e;
    struct str text = rest.p ? rest : STR(""), copy = fuzz_piece(&text, text.n);
    ssml.text = copy;
    ssml.speed = speed.n ? (unsigned char)speed.p[0] / 64.0 : 1;
    if (ssml_put(&out, &ssml, &e) == 0)
        check_document(buf_str(&out), &ssml);
    else
        CHECK(e.code == ERR_INVALID_REQUEST);
    buf_free(&out);
    fuzz_piece_free(copy);
    return 0;
}
