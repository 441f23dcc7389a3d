#include "wire/engineio.h"

#include "base/json.h"
#include "base/utf8.h"
#include "wire/base64.h"

#define SEPARATOR     '\x1e'
#define LENGTH_END    '\xff'
#define LENGTH_DIGITS 20 /* of any length that fits 64 bits */

static int bad(struct err *e, const char *why)
{
    return err_set(e, ERR_INVALID_REQUEST, "%s", why);
}

/* Line by line: the Java client wraps it. Only the last line may end inside a group of four characters. */
static int take_base64(struct str text, struct buf *scratch, struct eio_packet *out, struct err *e)
{
    struct str line;
    bool ended = false;
    buf_clear(scratch);
    while (str_split(&text, '\n', &line)) {
        line.n -= line.n && line.p[line.n - 1] == '\r';
        if (line.n == 0)
            continue;
        if (base64_decoded_len(line) > scratch->max - scratch->len)
            return err_set(e, ERR_BODY_TOO_LARGE, NULL);
        if (ended || base64_decode(scratch, line) < 0)
            return bad(e, "Binary packet is no base64");
        ended = line.n % 4 || line.p[line.n - 1] == '=';
    }
    *out = (struct eio_packet){EIO_MESSAGE, true, buf_str(scratch)};
    return 0;
}

int eio_text(enum eio_version version, struct str text, struct buf *scratch, struct eio_packet *out, struct err *e)
{
    if (text.n == 0)
        return bad(e, "Empty packet");
    char type = text.p[0];
    if (type >= '0' && type <= '6') {
        *out = (struct eio_packet){(enum eio_type)(type - '0'), false, str_from(text, 1)};
        return 0;
    }
    if (type != 'b')
        return bad(e, "Unknown packet type");
    if (version == EIO_V4)
        return take_base64(str_from(text, 1), scratch, out, e);
    if (text.n < 2 || text.p[1] != '4')
        return bad(e, "Binary packet is no message");
    return take_base64(str_from(text, 2), scratch, out, e);
}

int eio_binary(enum eio_version version, struct str frame, struct eio_packet *out, struct err *e)
{
    if (version == EIO_V3 && (frame.n == 0 || frame.p[0] != EIO_MESSAGE))
        return bad(e, frame.n ? "Binary packet is no message" : "Empty packet");
    *out = (struct eio_packet){EIO_MESSAGE, true, str_from(frame, version == EIO_V3)};
    return 0;
}

int eio_payload_begin(struct eio_payload *it, enum eio_form form, struct str body, struct err *e)
{
    if (body.n == 0)
        return bad(e, "Empty payload");
    if (form != EIO_FORM_V3_B2 && !utf8_valid(body))
        return bad(e, "Payload is no UTF-8");
    *it = (struct eio_payload){.rest = body, .form = form};
    return 0;
}

static int next_separated(struct eio_payload *it, struct buf *scratch, struct eio_packet *out, struct err *e)
{
    ptrdiff_t end = str_find_char(it->rest, SEPARATOR);
    struct str text = {it->rest.p, end < 0 ? it->rest.n : (size_t)end};
    it->done = end < 0;
    it->rest = str_from(it->rest, text.n + 1);
    return eio_text(EIO_V4, text, scratch, out, e) < 0 ? -1 : 1;
}

/* The packet behind a length in UTF-16 units, which has to end with a character. */
static int next_counted(struct eio_payload *it, struct buf *scratch, struct eio_packet *out, struct err *e)
{
    struct str digits = {it->rest.p, MIN(it->rest.n, LENGTH_DIGITS + 1)};
    ptrdiff_t colon = str_find_char(digits, ':');
    uint64_t units;
    if (colon < 0 || str_u64(str_n(digits.p, (size_t)colon), &units) < 0)
        return bad(e, "Packet without a length");
    it->rest = str_from(it->rest, (size_t)colon + 1);
    struct str text = utf8_utf16_prefix(it->rest, units);
    if (utf8_utf16_len(text) != units)
        return bad(e, "Packet is not as long as it says");
    it->rest = str_from(it->rest, text.n);
    it->done = it->rest.n == 0;
    return eio_text(EIO_V3, text, scratch, out, e) < 0 ? -1 : 1;
}

/* Takes `digits 0xFF` off *rest, a digit being a byte of 0 to 9. */
static int take_length(struct str *rest, uint64_t *length)
{
    char digits[LENGTH_DIGITS];
    ptrdiff_t end = str_find_char(str_n(rest->p, MIN(rest->n, LENGTH_DIGITS + 1)), LENGTH_END);
    for (ptrdiff_t i = 0; i < end; i++)
        digits[i] = (char)((unsigned char)rest->p[i] > 9 ? 'x' : '0' + rest->p[i]);
    if (end < 0 || str_u64(str_n(digits, (size_t)end), length) < 0)
        return -1;
    *rest = str_from(*rest, (size_t)end + 1);
    return 0;
}

static int next_octets(struct eio_payload *it, struct buf *scratch, struct eio_packet *out, struct err *e)
{
    char kind = it->rest.p[0];
    uint64_t length;
    if (kind != 0 && kind != 1)
        return bad(e, "Packet is neither text nor binary");
    it->rest = str_from(it->rest, 1);
    if (take_length(&it->rest, &length) < 0)
        return bad(e, "Packet without a length");
    if (length > it->rest.n)
        return bad(e, "Packet is not as long as it says");
    struct str packet = {it->rest.p, length};
    it->rest = str_from(it->rest, length);
    it->done = it->rest.n == 0;
    if (kind == 1)
        return eio_binary(EIO_V3, packet, out, e) < 0 ? -1 : 1;
    if (!utf8_valid(packet))
        return bad(e, "Packet is no UTF-8");
    return eio_text(EIO_V3, packet, scratch, out, e) < 0 ? -1 : 1;
}

int eio_payload_next(struct eio_payload *it, struct buf *scratch, struct eio_packet *out, struct err *e)
{
    int got = -1;
    if (it->done)
        return 0;
    switch (it->form) {
    case EIO_FORM_V4:
        got = next_separated(it, scratch, out, e);
        break;
    case EIO_FORM_V3:
        got = next_counted(it, scratch, out, e);
        break;
    case EIO_FORM_V3_B2:
        got = next_octets(it, scratch, out, e);
        break;
    }
    it->done |= got < 0;
    return got;
}

/* Keeps the promise that a writer adds all or nothing. */
static int all_or_nothing(struct buf *out, size_t before, bool fits)
{
    if (fits)
        return 0;
    out->len = before;
    return -1;
}

static bool put_text(struct buf *out, enum eio_type type, struct str data)
{
    return buf_byte(out, (char)('0' + (int)type)) == 0 && buf_str_add(out, data) == 0;
}

int eio_text_put(struct buf *out, enum eio_type type, struct str data)
{
    size_t before = out->len;
    return all_or_nothing(out, before, put_text(out, type, data));
}

int eio_binary_put(struct buf *out, enum eio_version version, struct str data)
{
    size_t before = out->len;
    return all_or_nothing(out, before,
                          (version == EIO_V4 || buf_byte(out, EIO_MESSAGE) == 0) && buf_str_add(out, data) == 0);
}

static bool put_separated(struct buf *out, const struct eio_packet *packet)
{
    if (out->len && buf_byte(out, SEPARATOR) < 0)
        return false;
    if (packet->binary)
        return buf_byte(out, 'b') == 0 && base64_put(out, packet->data, false) == 0;
    return str_find_char(packet->data, SEPARATOR) < 0 && put_text(out, packet->type, packet->data);
}

static bool put_counted(struct buf *out, const struct eio_packet *packet)
{
    struct str data = packet->data;
    uint64_t units = packet->binary ? 2 + (data.n + 2) / 3 * 4 : 1 + utf8_utf16_len(data);
    if (buf_add_u64(out, units) < 0 || buf_byte(out, ':') < 0)
        return false;
    if (packet->binary)
        return buf_lit(out, "b4") == 0 && base64_put(out, data, false) == 0;
    return put_text(out, packet->type, data);
}

static bool put_octets(struct buf *out, const struct eio_packet *packet)
{
    size_t before = out->len;
    if (buf_byte(out, packet->binary) < 0 || buf_add_u64(out, 1 + packet->data.n) < 0)
        return false;
    for (char *digit = out->data + out->head + before + 1; digit < out->data + out->head + out->len; digit++)
        *digit = (char)(*digit - '0');
    if (buf_byte(out, LENGTH_END) < 0)
        return false;
    if (packet->binary)
        return eio_binary_put(out, EIO_V3, packet->data) == 0;
    return put_text(out, packet->type, packet->data);
}

int eio_payload_put(struct buf *out, enum eio_form form, const struct eio_packet *packet)
{
    size_t before = out->len;
    bool fits = false;
    switch (form) {
    case EIO_FORM_V4:
        fits = put_separated(out, packet);
        break;
    case EIO_FORM_V3:
        fits = put_counted(out, packet);
        break;
    case EIO_FORM_V3_B2:
        fits = put_octets(out, packet);
        break;
    }
    return all_or_nothing(out, before, fits);
}

int eio_open_put(struct buf *out, const struct eio_open *open)
{
    size_t before = out->len;
    bool fits = buf_lit(out, "0{\"sid\":") == 0 && json_put_str(out, open->sid) == 0 &&
                buf_lit(out, ",\"upgrades\":[") == 0 && (!open->upgrade || buf_lit(out, "\"websocket\"") == 0) &&
                buf_lit(out, "],\"pingInterval\":") == 0 && buf_add_u64(out, open->ping_interval_ms) == 0 &&
                buf_lit(out, ",\"pingTimeout\":") == 0 && buf_add_u64(out, open->ping_timeout_ms) == 0 &&
                buf_lit(out, ",\"maxPayload\":") == 0 && buf_add_u64(out, open->max_payload) == 0 &&
                buf_byte(out, '}') == 0;
    return all_or_nothing(out, before, fits);
}
