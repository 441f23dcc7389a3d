#include "speech/ssml.h"

#include "base/utf8.h"
#include "speech/voices.h"

#include <math.h>

#define LANGUAGE_MAX 35
#define SPEED_MIN    0.5
#define SPEED_MAX    2.0

bool ssml_language_valid(struct str language)
{
    for (size_t i = 0; i < language.n; i++) {
        char c = language.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return language.n >= 2 && language.n <= LANGUAGE_MAX;
}

/* The locale that an Azure voice's name begins with. */
static struct str locale_of(struct str voice)
{
    struct str rest = voice, language, region;
    str_split(&rest, '-', &language);
    str_split(&rest, '-', &region);
    return str_n(voice.p, language.n + 1 + region.n);
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&apos;";
    default:
        return NULL;
    }
}

/* How many bytes at the start of `rest` no XML document may hold. */
static size_t forbidden(struct str rest)
{
    unsigned char c = (unsigned char)rest.p[0];
    if (c < 0x20)
        return c != '\t' && c != '\n' && c != '\r';
    return str_starts(rest, STR("\xef\xbf\xbe")) || str_starts(rest, STR("\xef\xbf\xbf")) ? 3 : 0;
}

static void put_text(struct buf *out, struct str text)
{
    while (text.n > 0) {
        size_t skip = forbidden(text);
        const char *escaped = entity(text.p[0]);
        if (skip == 0 && escaped)
            buf_str_add(out, str_c(escaped));
        else if (skip == 0)
            buf_byte(out, text.p[0]);
        text = str_from(text, skip ? skip : 1);
    }
}

int ssml_put(struct buf *out, const struct ssml *ssml, struct err *e)
{
    if (voice_azure_name(ssml->voice).n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "There is no voice of this name");
    struct str language = ssml->language.n > 0 ? ssml->language : locale_of(ssml->voice);
    if (!ssml_language_valid(language))
        return err_set(e, ERR_INVALID_REQUEST, "There is no language of this name");
    if (!utf8_valid(ssml->text))
        return err_set(e, ERR_INVALID_REQUEST, "The text is not valid UTF-8");
    double speed = ssml->speed > SPEED_MIN ? MIN(ssml->speed, SPEED_MAX) : SPEED_MIN;
    long percent = lround((speed - 1) * 100);
    buf_lit(out, "<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang='");
    buf_str_add(out, language);
    buf_lit(out, "'><voice name='");
    buf_str_add(out, ssml->voice);
    buf_lit(out, "'>");
    if (percent)
        buf_addf(out, "<prosody rate='%+ld%%'>", percent);
    put_text(out, ssml->text);
    if (percent)
        buf_lit(out, "</prosody>");
    buf_lit(out, "</voice></speak>");
    return 0;
}
