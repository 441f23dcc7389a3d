/* Engine.IO: what a payload or frame is taken for can be written and is then read as the same, in every form that can
 * carry it. The first byte picks protocol, form and the ceiling for base64. */
#include "fuzz.h"

#include "base/macros.h"
#include "base/utf8.h"
#include "wire/engineio.h"

#define MAX_SIZE    8192
#define MAX_WRITTEN KIB(64)

static bool same(const struct eio_packet *a, const struct eio_packet *b)
{
    return a->type == b->type && a->binary == b->binary && str_eq(a->data, b->data);
}

static enum eio_version version_of(enum eio_form form)
{
    return form == EIO_FORM_V4 ? EIO_V4 : EIO_V3;
}

static void check_packet(const struct eio_packet *packet, struct str within, const struct buf *scratch)
{
    CHECK(packet->type <= EIO_NOOP && (!packet->binary || packet->type == EIO_MESSAGE));
    CHECK(packet->binary || utf8_valid(packet->data));
    CHECK(scratch->len <= scratch->max);
    bool inside = packet->data.p >= within.p && packet->data.p + packet->data.n <= within.p + within.n;
    CHECK(inside || (packet->binary && str_eq(packet->data, buf_str(scratch))));
}

/* As a WebSocket frame. */
static void check_frame(const struct eio_packet *packet, enum eio_version version)
{
    struct buf out = BUF_INIT(MAX_WRITTEN), none = BUF_INIT(0);
    struct eio_packet back;
    if (packet->binary) {
        CHECK(eio_binary_put(&out, version, packet->data) == 0);
        CHECK(eio_binary(version, buf_str(&out), &back, NULL) == 0);
    } else {
        CHECK(eio_text_put(&out, packet->type, packet->data) == 0);
        CHECK(eio_text(version, buf_str(&out), &none, &back, NULL) == 0);
    }
    CHECK(same(packet, &back));
    buf_free(&out);
}

/* A body of one form, with what was read from it written in the form `to`, and that read again. */
static void check_payload(struct str body, enum eio_form form, enum eio_form to, size_t max)
{
    struct buf scratch = BUF_INIT(max), again = BUF_INIT(MAX_SIZE), out = BUF_INIT(MAX_WRITTEN);
    struct eio_payload it, walk;
    struct eio_packet packet, back;
    struct err e;
    size_t count = 0, lost = 0;
    int got = eio_payload_begin(&it, form, body, &e);
    while (got == 0 && eio_payload_next(&it, &scratch, &packet, &e) == 1) {
        check_packet(&packet, body, &scratch);
        check_frame(&packet, version_of(to));
        if (eio_payload_put(&out, to, &packet) == 0)
            count++;
        else
            CHECK(to == EIO_FORM_V4 && str_find_char(packet.data, 0x1E) >= 0 && ++lost);
    }
    CHECK(got < 0 || (it.done && eio_payload_next(&it, &scratch, &packet, &e) == 0));
    if (count) {
        CHECK(eio_payload_begin(&it, form, body, NULL) == 0 && eio_payload_begin(&walk, to, buf_str(&out), NULL) == 0);
        while (eio_payload_next(&walk, &again, &back, NULL) == 1) {
            do {
                CHECK(eio_payload_next(&it, &scratch, &packet, NULL) == 1);
            } while (lost && !same(&packet, &back) && lost--);
            CHECK(same(&packet, &back));
            count--;
        }
        CHECK(count == 0);
    }
    buf_free(&scratch);
    buf_free(&again);
    buf_free(&out);
}

static void check_frames(struct str frame, enum eio_version version, size_t max)
{
    struct buf scratch = BUF_INIT(max);
    struct eio_packet packet;
    struct err e;
    if (utf8_valid(frame) && eio_text(version, frame, &scratch, &packet, &e) == 0) {
        check_packet(&packet, frame, &scratch);
        check_frame(&packet, version);
    }
    if (eio_binary(version, frame, &packet, &e) == 0) {
        CHECK(packet.data.n == frame.n - (version == EIO_V3));
        check_frame(&packet, version);
    }
    buf_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > MAX_SIZE)
        return 0;
    enum eio_form form = (enum eio_form)(data[0] % 3), to = (enum eio_form)(data[0] / 3 % 3);
    size_t max = data[0] & 0x80 ? 8 : MAX_SIZE;
    struct str rest = str_n(data + 1, size - 1), body = fuzz_piece(&rest, rest.n);
    check_payload(body, form, to, max);
    check_frames(body, version_of(form), max);
    fuzz_piece_free(body);
    return 0;
}
