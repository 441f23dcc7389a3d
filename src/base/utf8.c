#include "base/utf8.h"

/* The state is how many continuation bytes are still due (low 2 bits) and the range the next one must lie in
 * (bits 8-15 lowest, 16-23 highest): only the first continuation byte has a narrower range than 80..BF. */
static uint32_t lead_state(unsigned char c)
{
    if (c < 0xC2 || c > 0xF4)
        return UINT32_MAX;
    uint32_t due = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    uint32_t low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    uint32_t high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    return due | low << 8 | high << 16;
}

static const char *skip_ascii(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        if (word & UINT64_C(0x8080808080808080))
            break;
        p += 8;
    }
    return p;
}

bool utf8_feed(struct utf8_check *check, struct str piece)
{
    uint32_t state = check->state;
    if (state == UINT32_MAX)
        return false;
    if (!piece.n)
        return true;
    check->state = UINT32_MAX; /* until the piece proves good */
    const char *p = piece.p, *end = piece.p + piece.n;
    while (p < end) {
        if (state == 0) {
            p = skip_ascii(p, end);
            if (p == end)
                break;
        }
        unsigned char c = (unsigned char)*p++;
        if (state == 0) {
            if (c >= 0x80 && (state = lead_state(c)) == UINT32_MAX)
                return false;
            continue;
        }
        if (c < (state >> 8 & 0xFF) || c > (state >> 16 & 0xFF))
            return false;
        uint32_t due = (state & 3) - 1;
        state = due ? (due | 0x80U << 8 | 0xBFU << 16) : 0;
    }
    check->state = state;
    return true;
}

bool utf8_complete(const struct utf8_check *check)
{
    return check->state == 0;
}

bool utf8_valid(struct str s)
{
    struct utf8_check check = {0};
    return utf8_feed(&check, s) && check.state == 0;
}

size_t utf8_floor(const char *p, size_t n)
{
    while (n && ((unsigned char)p[n] & 0xC0) == 0x80)
        n--;
    return n;
}

size_t utf8_whole(const char *p, size_t n)
{
    if (n == 0)
        return 0;
    size_t lead = utf8_floor(p, n - 1);
    uint32_t state = (unsigned char)p[lead] < 0x80 ? 0 : lead_state((unsigned char)p[lead]);
    return state != UINT32_MAX && n - lead < 1 + (state & 3) ? lead : n;
}

/* UTF-16 units of the character that the byte leads; continuation bytes count nothing. */
static size_t units_of(unsigned char c)
{
    return (c & 0xC0) == 0x80 ? 0 : c >= 0xF0 ? 2 : 1;
}

size_t utf8_utf16_len(struct str s)
{
    size_t units = 0;
    for (size_t i = 0; i < s.n; i++)
        units += units_of((unsigned char)s.p[i]);
    return units;
}

struct str utf8_utf16_prefix(struct str s, size_t units)
{
    size_t used = 0;
    for (size_t i = 0; i < s.n; i++) {
        used += units_of((unsigned char)s.p[i]);
        if (used > units)
            return (struct str){s.p, i};
    }
    return s;
}

size_t utf8_put(char out[4], uint32_t code_point)
{
    uint32_t c = code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000) ? 0xFFFD : code_point;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}
