#include "wire/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Value + 1 of a character of either alphabet, 0 for others. */
/* clang-format off */
static const uint8_t values[256] = {
    ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10,
    ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19,
    ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26,
    ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
    ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44,
    ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52,
    ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61,
    ['9'] = 62, ['+'] = 63, ['-'] = 63, ['/'] = 64, ['_'] = 64,
};
/* clang-format on */

int base64_put(struct buf *out, struct str bytes, bool url)
{
    const char *alphabet = url ? url_safe : standard;
    const uint8_t *in = (const uint8_t *)bytes.p;
    size_t left = bytes.n, room = bytes.n / 3 * 4 + (bytes.n % 3 ? 4 : 0);
    if (bytes.n == 0)
        return 0;
    char *start = buf_reserve(out, room), *to = start;
    if (!start)
        return -1;
    for (; left >= 3; left -= 3, in += 3) {
        uint32_t group = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        *to++ = alphabet[group >> 6 & 63];
        *to++ = alphabet[group & 63];
    }
    if (left) {
        uint32_t group = (uint32_t)in[0] << 16 | (left == 2 ? (uint32_t)in[1] << 8 : 0);
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        if (left == 2)
            *to++ = alphabet[group >> 6 & 63];
        for (size_t pad = left; pad < 3 && !url; pad++)
            *to++ = '=';
    }
    buf_commit(out, (size_t)(to - start));
    return 0;
}

/* Without padding. Padding has to fill up a group of four. */
static struct str unpadded(struct str text)
{
    if (text.n % 4 == 0 && text.n && text.p[text.n - 1] == '=')
        text.n -= text.p[text.n - 2] == '=' ? 2 : 1;
    return text;
}

size_t base64_decoded_len(struct str text)
{
    return unpadded(text).n * 3 / 4;
}

int base64_decode(struct buf *out, struct str text)
{
    struct str s = unpadded(text);
    size_t size = s.n / 4 * 3 + (s.n % 4 ? s.n % 4 - 1 : 0);
    if (s.n % 4 == 1)
        return -1;
    if (s.n == 0)
        return 0;
    char *to = buf_reserve(out, size);
    if (!to)
        return -1;
    const uint8_t *in = (const uint8_t *)s.p;
    for (; s.n >= 4; s.n -= 4, in += 4) {
        uint8_t a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];
        if (!a || !b || !c || !d)
            return -1;
        uint32_t group = (uint32_t)(a - 1) << 18 | (uint32_t)(b - 1) << 12 | (uint32_t)(c - 1) << 6 | (uint32_t)(d - 1);
        *to++ = (char)(group >> 16);
        *to++ = (char)(group >> 8 & 0xFF);
        *to++ = (char)(group & 0xFF);
    }
    if (s.n) {
        uint8_t a = values[in[0]], b = values[in[1]], c = s.n == 3 ? values[in[2]] : 1;
        if (!a || !b || !c)
            return -1;
        uint32_t group = (uint32_t)(a - 1) << 18 | (uint32_t)(b - 1) << 12 | (uint32_t)(c - 1) << 6;
        *to++ = (char)(group >> 16);
        if (s.n == 3)
            *to++ = (char)(group >> 8 & 0xFF);
    }
    buf_commit(out, size);
    return 0;
}
