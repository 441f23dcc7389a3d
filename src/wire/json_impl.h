/* Between the files of the JSON scanner: inside wire/ only. */
#ifndef WIRE_JSON_IMPL_H
#define WIRE_JSON_IMPL_H

#include "wire/json.h"

static inline bool json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* First byte of a string's inside that is not plain ASCII: quote, backslash, control or a byte from 0x80 on; end when
 * there is none. Eight bytes at a time: the lowest marked byte of a word is exact, borrows only spoil those above. */
static inline const char *json_plain_end(const char *p, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    while (end - p >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
        uint64_t hit = ((w - ones * 0x20) | (quote - ones) | (slash - ones) | w) & highs;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        if (hit)
            return p + (__builtin_ctzll(hit) >> 3);
#else
        if (hit)
            break;
#endif
        p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* Four hex digits: their value, -1 when they are not. */
static inline int json_hex4(const char *p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i], lower = (char)(c | 0x20);
        int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* The type of the value that begins with this byte; JSON_NUMBER for all that begins nothing else. */
static inline enum json_type json_type_of(char first)
{
    switch (first) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

/* Takes one character of a validated string's inside off *s as UTF-8 into out, unescaped; returns its bytes (<= 4). */
size_t json_take_char(struct str *s, char out[4]);

#endif
