#include "speech/local/text.h"

#include <ctype.h>

/* Letters of Latin scripts without their marks; '?': see `words`. */
static const char latin[] = "AAAAAA?CEEEEIIII?NOOOOO??UUUUY??aaaaaa?ceeeeiiii?nooooo??uuuuy?y"             /* U+00C0 */
                            "AaAaAaCcCcCcCcDd??EeEeEeEeEeGgGgGgGgHh??IiIiIiIiI?IiJjKk?LlLlLlLl??NnNnNnn??" /* U+0100 */
                            "OoOoOo??RrRrRrSsSsSsSsTtTt??UuUuUuUuUuUuWwYyYZzZzZzs";
static const char latin_more[] = "AaBbBbBbCcDdDdDdDdDdEeEeEeEeEeFfGgHhHhHhHhHhIiIiKkKkKkLlLlLlLlMmMmMm" /* U+1E00 */
                                 "NnNnNnNnOoOoOoOoPpPpRrRrRrRrSsSsSsSsSsTtTtTtTtUuUuUuUuUuVvVvWwWwWwWwWw"
                                 "XxXxYyZzZzZzhtwyasss??AaAaAaAaAaAaAaAaAaAaAaAaEeEeEeEeEeEeEeEeIiIiOoOo"
                                 "OoOoOoOoOoOoOoOoOoOoUuUuUuUuUuUuUuYyYyYyYy??????";
static const char *const greek[] = {"a", "v", "g", "d", "e", "z", "i", "th", "i", "k", "l",  "m", "n",
                                    "x", "o", "p", "r", "s", "s", "t", "y",  "f", "h", "ps", "o"}; /* U+0391, U+03B1 */
static const char *const cyrillic[] = {"a",  "b",  "v",  "g",    "d", "e", "zh", "z", "i",  "y", "k",
                                       "l",  "m",  "n",  "o",    "p", "r", "s",  "t", "u",  "f", "kh",
                                       "ts", "ch", "sh", "shch", "",  "y", "",   "e", "yu", "ya"}; /* U+0410, U+0430 */

/* What does not follow a rule, ascending. */
static const struct {
    uint32_t point;
    const char *text;
} words[] = {
    {0xA2, " cents "},
    {0xA3, " pounds "},
    {0xA5, " yen "},
    {0xA7, " section "},
    {0xAA, "a"},
    {0xAB, "\""},
    {0xB0, " degrees "},
    {0xB1, " plus or minus "},
    {0xB2, " squared "},
    {0xB3, " cubed "},
    {0xB4, "'"},
    {0xB5, " micro "},
    {0xB9, "1"},
    {0xBA, "o"},
    {0xBB, "\""},
    {0xBC, " one quarter "},
    {0xBD, " one half "},
    {0xBE, " three quarters "},
    {0xC6, "Ae"},
    {0xD0, "D"},
    {0xD7, " times "},
    {0xD8, "O"},
    {0xDE, "Th"},
    {0xDF, "ss"},
    {0xE6, "ae"},
    {0xF0, "d"},
    {0xF7, " divided by "},
    {0xF8, "o"},
    {0xFE, "th"},
    {0x110, "D"},
    {0x111, "d"},
    {0x126, "H"},
    {0x127, "h"},
    {0x131, "i"},
    {0x138, "k"},
    {0x141, "L"},
    {0x142, "l"},
    {0x14A, "Ng"},
    {0x14B, "ng"},
    {0x152, "Oe"},
    {0x153, "oe"},
    {0x166, "T"},
    {0x167, "t"},
    {0x386, "a"},
    {0x388, "e"},
    {0x389, "i"},
    {0x38A, "i"},
    {0x38C, "o"},
    {0x38E, "y"},
    {0x38F, "o"},
    {0x390, "i"},
    {0x3AC, "a"},
    {0x3AD, "e"},
    {0x3AE, "i"},
    {0x3AF, "i"},
    {0x3B0, "y"},
    {0x3CA, "i"},
    {0x3CB, "y"},
    {0x3CC, "o"},
    {0x3CD, "y"},
    {0x3CE, "o"},
    {0x401, "yo"},
    {0x404, "ye"},
    {0x406, "i"},
    {0x407, "yi"},
    {0x451, "yo"},
    {0x454, "ye"},
    {0x456, "i"},
    {0x457, "yi"},
    {0x490, "g"},
    {0x491, "g"},
    {0x1E9E, "ss"},
    {0x2010, "-"},
    {0x2011, "-"},
    {0x2012, "-"},
    {0x2013, ", "},
    {0x2014, ", "},
    {0x2015, ", "},
    {0x2018, "'"},
    {0x2019, "'"},
    {0x201A, "'"},
    {0x201B, "'"},
    {0x201C, "\""},
    {0x201D, "\""},
    {0x201E, "\""},
    {0x201F, "\""},
    {0x2026, "... "},
    {0x2032, "'"},
    {0x2033, "\""},
    {0x20AC, " euros "},
    {0x20B9, " rupees "},
    {0x2190, ", "},
    {0x2191, ", "},
    {0x2192, ", "},
    {0x2193, ", "},
    {0x2212, "-"},
    {0x2248, " about "},
    {0x2260, " is not "},
    {0x2264, " at most "},
    {0x2265, " at least "},
    {0x3001, ", "},
    {0x3002, ". "},
};

static const char *word_of(uint32_t point)
{
    size_t low = 0, high = COUNT(words);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (words[middle].point == point)
            return words[middle].text;
        if (words[middle].point < point)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* The code point at text[*at], valid UTF-8, and moves *at behind it. */
static uint32_t take_point(struct str text, size_t *at)
{
    unsigned char first = (unsigned char)text.p[(*at)++];
    if (first < 0x80)
        return first;
    uint32_t point = first & (first < 0xE0 ? 0x1F : first < 0xF0 ? 0x0F : 0x07);
    while (*at < text.n && ((unsigned char)text.p[*at] & 0xC0) == 0x80)
        point = point << 6 | ((unsigned char)text.p[(*at)++] & 0x3F);
    return point;
}

/* Appends without doubling spaces. */
static int put(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        struct str have = buf_str(out);
        if (s.p[i] == ' ' && (have.n == 0 || have.p[have.n - 1] == ' '))
            continue;
        if (buf_byte(out, s.p[i]) < 0)
            return -1;
    }
    return 0;
}

static int put_ascii(char c, char next, struct buf *out)
{
    if (c == '#' && isdigit((unsigned char)next))
        return put(out, STR(" number "));
    bool silent = c < ' ' || c == 0x7F || memchr("*_~`|^\\{}[]<>#", c, 14);
    return put(out, silent ? STR(" ") : str_n(&c, 1));
}

/* A line ends: the sentence does, too, when the next line is empty, an item of a list, or begins with a capital. */
static int put_line_end(struct str rest, struct buf *out)
{
    size_t i = 0;
    while (i < rest.n && (rest.p[i] == ' ' || rest.p[i] == '\t' || rest.p[i] == '\r'))
        i++;
    struct str have = str_trim(buf_str(out));
    bool ends = i == rest.n || memchr("\n-*+#>", rest.p[i], 6) || isdigit((unsigned char)rest.p[i]) ||
                isupper((unsigned char)rest.p[i]) || (unsigned char)rest.p[i] >= 0x80;
    bool open = have.n && isalnum((unsigned char)have.p[have.n - 1]);
    return put(out, ends && open ? STR(". ") : STR(" "));
}

/* "€5.20" is read "5.20 euros". Moves *at behind the amount. */
static int put_amount(struct str text, size_t *at, const char *currency, struct buf *out)
{
    size_t end = *at;
    while (end < text.n && (isdigit((unsigned char)text.p[end]) || memchr(".,", text.p[end], 2)))
        end++;
    while (end > *at && !isdigit((unsigned char)text.p[end - 1]))
        end--;
    struct str amount = str_n(text.p + *at, end - *at);
    *at = end;
    return put(out, amount) < 0 ? -1 : put(out, str_c(currency));
}

/* The character that a single one stands for; NUL when there is no such. */
static char plain_of(uint32_t point)
{
    char c = '?';
    if (point >= 0xC0 && point - 0xC0 < sizeof latin - 1)
        c = latin[point - 0xC0];
    if (point >= 0x1E00 && point - 0x1E00 < sizeof latin_more - 1)
        c = latin_more[point - 0x1E00];
    if (point >= 0xFF01 && point <= 0xFF5E) /* full width */
        return (char)(point - 0xFEE0);
    return c == '?' ? 0 : c;
}

static int put_point(uint32_t point, struct buf *out)
{
    const char *word = word_of(point);
    char plain = plain_of(point);
    if (word)
        return put(out, str_c(word));
    if (plain)
        return put_ascii(plain, 0, out);
    if ((point >= 0x391 && point <= 0x3A9) || (point >= 0x3B1 && point <= 0x3C9))
        return put(out, str_c(greek[(point - 0x391) % 32]));
    if (point >= 0x410 && point <= 0x44F)
        return put(out, str_c(cyrillic[(point - 0x410) % 32]));
    /* Marks behind their letter, soft hyphens, widths of nothing. */
    bool nothing = (point >= 0x300 && point <= 0x36F) || point == 0xAD || (point >= 0x200B && point <= 0x200F);
    return nothing ? 0 : put(out, STR(" "));
}

int text_plain(struct str text, struct buf *out)
{
    for (size_t at = 0; at < text.n;) {
        uint32_t point = take_point(text, &at);
        int result;
        if (point == '\n')
            result = put_line_end(str_from(text, at), out);
        else if (point < 0x80)
            result = put_ascii((char)point, at < text.n ? text.p[at] : 0, out);
        else if (point == 0xA3 || point == 0xA5 || point == 0x20AC || point == 0x20B9)
            result = put_amount(text, &at, word_of(point), out);
        else
            result = put_point(point, out);
        if (result < 0)
            return -1;
    }
    return 0;
}

bool text_speakable(struct str plain)
{
    for (size_t i = 0; i < plain.n; i++)
        if (isalnum((unsigned char)plain.p[i]) || memchr("$%&+=@", plain.p[i], 6))
            return true;
    return false;
}

/* Whether the full stop behind these bytes belongs to the word rather than the sentence. */
static bool abbreviated(struct str before)
{
    static const char *const known[] = {"mr", "mrs", "ms", "dr",  "st",  "prof", "sr",  "jr",
                                        "vs", "etc", "no", "inc", "ltd", "co",   "e.g", "i.e"};
    size_t from = before.n;
    while (from > 0 && before.p[from - 1] != ' ')
        from--;
    struct str word = str_from(before, from);
    if (word.n == 1 && isalpha((unsigned char)word.p[0]) && word.p[0] != 'I')
        return true;
    for (size_t i = 0; i < COUNT(known); i++)
        if (str_ieq(word, str_c(known[i])))
            return true;
    return false;
}

/* Whether a sentence ends with the byte at `at`. */
static bool sentence_ends(struct str plain, size_t at)
{
    size_t next = at + 1;
    if (!memchr(".!?", plain.p[at], 3))
        return false;
    while (next < plain.n && memchr("\"')", plain.p[next], 3))
        next++;
    if (next == plain.n)
        return true;
    if (plain.p[next] != ' ')
        return false;
    while (next < plain.n && memchr(" \"'(", plain.p[next], 4))
        next++;
    if (plain.p[at] != '.' || next == plain.n)
        return true;
    return !islower((unsigned char)plain.p[next]) && !abbreviated(str_n(plain.p, at));
}

/* How long a character takes to say, in letters of ordinary words: figures and signs are read out. */
static size_t weight(char c)
{
    return isalpha((unsigned char)c) || memchr(" .,;:!?'\"()-", c, 12) ? 1 : 4;
}

size_t text_piece(struct str plain, size_t max)
{
    size_t i, comma = 0, space = 0, weighed = 0;
    for (i = 0; i < plain.n; i++) {
        weighed += weight(plain.p[i]);
        if (weighed > max && i > 0)
            return comma > i / 3 ? comma : space > 0 ? space : i;
        if (sentence_ends(plain, i)) {
            while (++i < plain.n && plain.p[i] != ' ')
                ; /* closing quotes */
            return i;
        }
        if (memchr(",;:", plain.p[i], 3) && i + 1 < plain.n && plain.p[i + 1] == ' ')
            comma = i + 1;
        if (plain.p[i] == ' ')
            space = i + 1;
    }
    return plain.n;
}
