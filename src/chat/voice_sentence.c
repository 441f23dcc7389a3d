#include "chat/voice_output.h"

#include "base/macros.h"
#include "base/utf8.h"

#include <ctype.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One of these begins the text: its length, 0: none does. */
static size_t begins_with(struct str text, const char *const *signs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts(text, str_c(signs[i])))
            return strlen(signs[i]);
    return 0;
}

/* Signs that end a sentence wherever they stand: full width and half width. */
static size_t wide_stop(struct str text)
{
    static const char *const stops[] = {"\xE3\x80\x82", "\xEF\xBC\x81", "\xEF\xBC\x9F", "\xEF\xBD\xA1",
                                        "\xE0\xA5\xA4"}; /* 。！？｡ and the danda */
    return begins_with(text, stops, COUNT(stops));
}

/* What closes around a sentence belongs to it: quotes, brackets, emphasis. */
static size_t closer(struct str text)
{
    static const char *const closers[] = {
        "\"",           "'",           ")", "]", "*", "_", "\xE2\x80\x9D", "\xE2\x80\x99", "\xC2\xBB", "\xE3\x80\x8D",
        "\xE3\x80\x8F", "\xEF\xBC\x89"}; /* ” ’ » 」 』 ） */
    return begins_with(text, closers, COUNT(closers));
}

/* Letters with a full stop between each two: "U.S", "e.g"; or a single one: an initial. */
static bool initials(struct str word)
{
    for (size_t i = 0; i < word.n; i++)
        if (i % 2 ? word.p[i] != '.' : !isalpha((unsigned char)word.p[i]))
            return false;
    return word.n % 2 == 1 && !str_eq(word, STR("I"));
}

/* Whether the full stop behind these bytes belongs to the word: an abbreviation, or the number of an item. */
static bool belongs_to_word(struct str before)
{
    static const char *const known[] = {"mr",  "mrs", "ms",  "dr",   "st",  "prof", "sr",  "jr",     "vs",   "etc",
                                        "no",  "inc", "ltd", "co",   "mt",  "rev",  "gen", "approx", "dept", "fig",
                                        "bzw", "usw", "ca",  "evtl", "vgl", "nr",   "str", "sra",    "avda", "mme"};
    size_t from = before.n;
    while (from > 0 && !is_space(before.p[from - 1]) && !memchr("(\"'[*", before.p[from - 1], 5))
        from--;
    struct str word = str_from(before, from);
    if (initials(word))
        return true;
    uint64_t number;
    if (str_u64(word, &number) == 0)
        return str_trim(str_n(before.p, from)).n == 0;
    for (size_t i = 0; i < COUNT(known); i++)
        if (str_ieq(word, str_c(known[i])))
            return true;
    return false;
}

/* What of a stop at text[at], `n` bytes long, is known. */
enum stop { NO_STOP, STOP, UNKNOWN };

static enum stop judge(struct str text, size_t at, size_t *behind, bool last)
{
    size_t next = *behind;
    while (next < text.n && closer(str_from(text, next)))
        next += closer(str_from(text, next));
    *behind = next;
    bool wide = !memchr(".!?", text.p[at], 3);
    if (next == text.n)
        return last ? STOP : UNKNOWN;
    if (wide)
        return STOP;
    if (!is_space(text.p[next]))
        return NO_STOP;
    if (text.p[at] != '.')
        return STOP;
    if (belongs_to_word(str_n(text.p, at)))
        return NO_STOP;
    while (next < text.n && is_space(text.p[next]) && text.p[next] != '\n')
        next++;
    if (next == text.n)
        return last ? STOP : UNKNOWN;
    return islower((unsigned char)text.p[next]) ? NO_STOP : STOP;
}

/* Longer than it may be: where to cut. */
static size_t cut(struct str text, size_t most)
{
    size_t comma = 0, space = 0;
    for (size_t i = 0; i < most; i++) {
        if (is_space(text.p[i]))
            space = i + 1;
        if (is_space(text.p[i]) && i > 0 && memchr(",;:", text.p[i - 1], 3))
            comma = i + 1;
        if (most - i >= 3 && (str_starts(str_from(text, i), STR("\xE3\x80\x81")) ||
                              str_starts(str_from(text, i), STR("\xEF\xBC\x8C")))) /* 、， */
            comma = i + 3;
    }
    if (comma > most / 3)
        return comma;
    if (space > 0)
        return space;
    size_t n = utf8_floor(text.p, most);
    return n ? n : most;
}

static size_t with_space(struct str text, size_t n)
{
    while (n < text.n && is_space(text.p[n]))
        n++;
    return n;
}

size_t voice_sentence(struct str text, size_t most, bool last)
{
    size_t begin = with_space(text, 0);
    for (size_t i = begin; i < text.n && i < most;) {
        size_t wide = wide_stop(str_from(text, i)), behind = i + MAX(wide, (size_t)1);
        if (text.p[i] == '\n')
            return with_space(text, i);
        if (wide || memchr(".!?", text.p[i], 3)) {
            enum stop stop = judge(text, i, &behind, last);
            if (stop == STOP)
                return with_space(text, behind);
            if (stop == UNKNOWN)
                return text.n > most ? cut(text, most) : 0;
        }
        i = behind;
    }
    if (text.n > most)
        return cut(text, most);
    return last ? text.n : 0;
}
