#include "chat/word.h"

#include "base/macros.h"

uint32_t word_char_next(struct str *rest)
{
    const unsigned char *p = (const unsigned char *)rest->p;
    uint32_t c = p[0];
    size_t more = c < 0xC2 || c > 0xF4 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    size_t n = 1;
    if (more && more < rest->n) {
        uint32_t whole = c & (0x3FU >> more);
        while (n <= more && (p[n] & 0xC0) == 0x80)
            whole = whole << 6 | (p[n++] & 0x3FU);
        c = n > more ? whole : c;
        n = n > more ? n : 1;
    }
    *rest = str_from(*rest, n);
    return c;
}

bool word_char(uint32_t c)
{
    /* Latin punctuation, general punctuation and symbols, CJK punctuation, variation selectors, full-width forms of
     * ASCII punctuation, pictographs. */
    static const struct {
        uint32_t first, last;
    } outside[] = {{0xA0, 0xA9},     {0xAB, 0xB1},     {0xB4, 0xB4},     {0xB6, 0xB8},       {0xBB, 0xBB},
                   {0xBF, 0xBF},     {0xD7, 0xD7},     {0xF7, 0xF7},     {0x2000, 0x206F},   {0x20A0, 0x20CF},
                   {0x2190, 0x2BFF}, {0x2E00, 0x2E7F}, {0x3000, 0x3004}, {0x3008, 0x3020},   {0xFE00, 0xFE1F},
                   {0xFE30, 0xFE6F}, {0xFF00, 0xFF0F}, {0xFF1A, 0xFF20}, {0x1F000, 0x1FAFF}, {0xE0000, 0xE007F}};
    if (c < 0x80)
        return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
    for (size_t i = 0; i < COUNT(outside) && c >= outside[i].first; i++)
        if (c <= outside[i].last)
            return false;
    return true;
}

bool word_take(struct str *rest, struct str *word)
{
    const char *begin = NULL;
    while (rest->n) {
        struct str before = *rest;
        bool inside = word_char(word_char_next(rest));
        if (inside && !begin)
            begin = before.p;
        if (!inside && begin) {
            *word = (struct str){begin, (size_t)(before.p - begin)};
            return true;
        }
    }
    if (!begin)
        return false;
    *word = (struct str){begin, (size_t)(rest->p - begin)};
    return true;
}

bool word_ends(struct str rest)
{
    return rest.n == 0 || !word_char(word_char_next(&rest));
}
