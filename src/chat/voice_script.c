#include "chat/voice_script_impl.h"

#include <ctype.h>

/* The code point at text[at], valid UTF-8; *n: its bytes. */
static uint32_t point_at(struct str text, size_t at, size_t *n)
{
    unsigned char first = (unsigned char)text.p[at];
    *n = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    *n = MIN(*n, text.n - at);
    uint32_t point = first < 0x80 ? first : first & (first < 0xE0 ? 0x1F : first < 0xF0 ? 0x0F : 0x07);
    for (size_t i = 1; i < *n; i++)
        point = point << 6 | ((unsigned char)text.p[at + i] & 0x3F);
    return point;
}

/* Pictures, and what only joins or colours them. */
static bool is_picture(uint32_t point)
{
    static const struct {
        uint32_t from, to;
    } ranges[] = {{0x200D, 0x200D}, {0x20D0, 0x20FF}, {0x231A, 0x231B}, {0x23E9, 0x23FA},   {0x25A0, 0x27BF},
                  {0x2B00, 0x2BFF}, {0xFE00, 0xFE0F}, {0xE000, 0xF8FF}, {0x1F000, 0x1FAFF}, {0xE0000, 0x10FFFF}};
    for (size_t i = 0; i < COUNT(ranges); i++)
        if (point >= ranges[i].from && point <= ranges[i].to)
            return true;
    return false;
}

static bool is_word(struct str text, size_t at)
{
    return at < text.n && (isalnum((unsigned char)text.p[at]) || (unsigned char)text.p[at] >= 0x80);
}

static bool is_figure(struct str text, size_t at)
{
    return at < text.n && isdigit((unsigned char)text.p[at]);
}

static bool is_space_or_end(struct str text, size_t at)
{
    return at >= text.n || isspace((unsigned char)text.p[at]);
}

/* Appends without doubling spaces. */
static void put(struct buf *out, struct str s)
{
    struct str have = buf_str(out);
    if (s.n == 1 && isspace((unsigned char)s.p[0])) {
        if (have.n && have.p[have.n - 1] != ' ')
            buf_byte(out, ' ');
        return;
    }
    buf_str_add(out, s);
}

/* Behind the rest of a link, of which the text may hold a part only. */
static size_t skip_address(struct voice_script *script, struct str text, size_t at)
{
    while (at < text.n && text.p[at] != ')' && text.p[at] != '\n')
        at++;
    script->in_address = at == text.n && !is_space_or_end(text, at - 1);
    return at < text.n && text.p[at] == ')' ? at + 1 : at;
}

/* "https://…" as it stands in the text: the full stop or comma behind it is the sentence's. */
static size_t skip_url(struct str text, size_t at)
{
    size_t from = at;
    while (at < text.n && !isspace((unsigned char)text.p[at]) && !memchr(")>\"", text.p[at], 3))
        at++;
    while (at > from && memchr(".,;:!?*_", text.p[at - 1], 8))
        at--;
    return at;
}

static bool is_url(struct str rest)
{
    return str_starts(rest, STR("https://")) || str_starts(rest, STR("http://")) || str_starts(rest, STR("www."));
}

/* "<br>", "</b>", "<https://…>": behind it; `at` when it is none. */
static size_t skip_tag(struct str text, size_t at)
{
    size_t next = at + 1;
    if (next >= text.n || !(isalpha((unsigned char)text.p[next]) || text.p[next] == '/'))
        return at;
    ptrdiff_t end = str_find_char(str_from(text, at), '>');
    return end < 0 ? at : at + (size_t)end + 1;
}

/* Signs that begin a line: of headings, quotes, items. */
static size_t skip_line_signs(struct str text)
{
    size_t at = 0, before;
    do {
        before = at;
        while (at < text.n && isspace((unsigned char)text.p[at]))
            at++;
        size_t signs = at;
        while (signs < text.n && memchr("#>", text.p[signs], 2))
            signs++;
        if (signs == at && at < text.n && memchr("-*+", text.p[at], 3))
            signs++;
        if (signs > at && is_space_or_end(text, signs))
            at = signs;
    } while (at > before);
    return at;
}

/* Whether an ASCII sign is Markdown's at this place. */
static bool is_markup(struct str text, size_t at)
{
    bool before = at > 0 && !is_space_or_end(text, at - 1), after = !is_space_or_end(text, at + 1);
    switch (text.p[at]) {
    case '`':
    case '\\':
        return true;
    case '*':
        return (before || after) && !(is_figure(text, at - 1) && is_figure(text, at + 1));
    case '~':
        return str_starts(str_from(text, at), STR("~~")) || (before && text.p[at - 1] == '~');
    case '_':
        return !(at > 0 && is_word(text, at - 1) && is_word(text, at + 1));
    default:
        return false;
    }
}

/* Handles what is at `at` and returns what is behind it. */
static size_t step(struct voice_script *script, struct str text, size_t at, struct buf *out)
{
    struct str rest = str_from(text, at);
    size_t n;
    uint32_t point = point_at(text, at, &n);
    if (point >= 0x80) {
        put(out, is_picture(point) ? STR(" ") : str_n(rest.p, n));
        return at + n;
    }
    if (is_url(rest) && !(at > 0 && is_word(text, at - 1)))
        return skip_url(text, at);
    if (rest.p[0] == '<' && skip_tag(text, at) > at) {
        put(out, STR(" "));
        return skip_tag(text, at);
    }
    if (str_starts(rest, STR("](")))
        return skip_address(script, text, at + 2);
    if (str_starts(rest, STR("![")))
        return at + 2;
    if (rest.p[0] == '\\' && rest.n > 1 && ispunct((unsigned char)rest.p[1])) {
        put(out, str_n(rest.p + 1, 1));
        return at + 2;
    }
    if (rest.p[0] == '|')
        put(out, STR(" "));
    else if (rest.p[0] == '_' && !is_markup(text, at))
        put(out, STR(" "));
    else if (!is_markup(text, at) && !memchr("[]", rest.p[0], 2))
        put(out, str_n(rest.p, 1));
    return at + 1;
}

/* Whether somebody could say it: a letter or a figure of any script. */
static bool can_be_said(struct str text)
{
    for (size_t at = 0, n; at < text.n; at += n) {
        uint32_t point = point_at(text, at, &n);
        bool sign = point < 0x80 ? !isalnum((int)point)
                                 : point < 0xC0 || (point >= 0x2000 && point <= 0x2BFF) ||
                                       (point >= 0x3000 && point <= 0x303F) || (point >= 0xFF00 && point <= 0xFF0F);
        if (!sign || memchr("$%&+=@", (int)MIN(point, 0x7Fu), 6))
            return true;
    }
    return false;
}

bool voice_script_add(struct voice_script *script, struct str sentence, struct buf *out)
{
    struct str line = str_trim(sentence);
    if (str_starts(line, STR("```")) || str_starts(line, STR("~~~"))) {
        bool whole = line.n > 3 && str_find(str_from(line, 3), str_n(line.p, 3)) >= 0; /* opened and closed in it */
        script->in_code = whole ? script->in_code : !script->in_code;
        return false;
    }
    if (script->in_code)
        return false;
    struct buf said = BUF_INIT(SIZE_MAX);
    size_t at = script->in_address ? skip_address(script, sentence, 0) : skip_line_signs(sentence);
    while (at < sentence.n)
        at = step(script, sentence, at, &said);
    struct str text = str_trim(buf_str(&said));
    bool speakable = can_be_said(text);
    if (speakable)
        buf_str_add(out, text);
    buf_free(&said);
    return speakable;
}
