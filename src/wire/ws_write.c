#include "wire/ws_impl.h"

#include "base/rand.h"

void ws_mask_copy(uint8_t *to, const void *from, size_t n, const uint8_t key[4], size_t at)
{
    const uint8_t *bytes = from;
    uint8_t turned[8];
    for (size_t i = 0; i < 8; i++)
        turned[i] = key[(at + i) & 3];
    uint64_t wide, word;
    memcpy(&wide, turned, 8);
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        memcpy(&word, bytes + i, 8);
        word ^= wide;
        memcpy(to + i, &word, 8);
    }
    for (; i < n; i++)
        to[i] = bytes[i] ^ turned[i & 7];
}

void ws_mask(uint8_t *data, size_t n, const uint8_t key[4], size_t at)
{
    ws_mask_copy(data, data, n, key, at);
}

size_t ws_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, bool fin, bool compressed, uint64_t length,
                 const uint8_t *mask_key)
{
    unsigned bytes = length > 0xFFFF ? 8 : length > WS_CONTROL_MAX ? 2 : 0;
    unsigned first = (unsigned)opcode | (fin ? WS_FIN : 0) | (compressed ? WS_RSV1 : 0);
    unsigned second = bytes == 8 ? 127 : bytes == 2 ? 126 : (unsigned)length;
    out[0] = (uint8_t)first;
    out[1] = (uint8_t)(second | (mask_key ? WS_MASKED : 0));
    for (unsigned i = 0; i < bytes; i++)
        out[2 + i] = (uint8_t)(length >> 8 * (bytes - 1 - i));
    if (!mask_key)
        return 2 + bytes;
    memcpy(out + 2 + bytes, mask_key, 4);
    return 6 + bytes;
}

int ws_frame_put(struct buf *out, enum ws_opcode opcode, struct str payload, bool mask)
{
    uint8_t header[WS_HEADER_MAX], key[4];
    if (mask)
        rand_bytes(key, sizeof key);
    size_t size = ws_header(header, opcode, true, false, payload.n, mask ? key : NULL);
    char *to = buf_reserve(out, size + payload.n);
    if (!to)
        return -1;
    memcpy(to, header, size);
    if (mask)
        ws_mask_copy((uint8_t *)to + size, payload.p, payload.n, key, 0);
    else if (payload.n)
        memcpy(to + size, payload.p, payload.n);
    buf_commit(out, size + payload.n);
    return 0;
}

int ws_close_put(struct buf *out, uint16_t code, struct str reason, bool mask)
{
    char payload[WS_CONTROL_MAX];
    if (code == 0)
        return ws_frame_put(out, WS_CLOSE, STR(""), mask);
    size_t n = reason.n > WS_CONTROL_MAX - 2 ? utf8_floor(reason.p, WS_CONTROL_MAX - 2) : reason.n;
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xFF);
    if (n)
        memcpy(payload + 2, reason.p, n);
    return ws_frame_put(out, WS_CLOSE, str_n(payload, n + 2), mask);
}

bool ws_close_code_ok(uint16_t code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}
