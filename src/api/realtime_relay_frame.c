#include "api/realtime_relay_impl.h"

#include "wire/base64.h"

struct kept_head {
    uint32_t size;
    uint8_t opcode;
    bool fin;
};

void realtime_keep(struct buf *frames, enum ws_opcode opcode, bool fin, struct str data)
{
    struct kept_head head = {(uint32_t)data.n, (uint8_t)opcode, fin};
    buf_add(frames, &head, sizeof head);
    buf_str_add(frames, data);
}

bool realtime_kept(struct str *rest, enum ws_opcode *opcode, bool *fin, struct str *data)
{
    struct kept_head head;
    if (rest->n < sizeof head)
        return false;
    memcpy(&head, rest->p, sizeof head);
    *opcode = (enum ws_opcode)head.opcode;
    *fin = head.fin;
    *data = str_n(rest->p + sizeof head, head.size);
    *rest = str_from(*rest, sizeof head + head.size);
    return true;
}

/* Three bytes are four characters: what is over waits for the next frame. */
static void put_audio(struct realtime_audio *audio, struct str data, struct buf *out)
{
    while (data.n && audio->carried && audio->carried < 3) {
        audio->carry[audio->carried++] = data.p[0];
        data = str_from(data, 1);
    }
    if (audio->carried == 3) {
        base64_put(out, str_n(audio->carry, 3), false);
        audio->carried = 0;
    }
    size_t over = data.n % 3;
    base64_put(out, str_n(data.p, data.n - over), false);
    for (size_t i = data.n - over; i < data.n; i++)
        audio->carry[audio->carried++] = data.p[i];
}

void realtime_audio_text(struct realtime_audio *audio, bool begins, bool fin, struct str data, struct buf *out)
{
    buf_reserve(out, data.n / 3 * 4 + 64);
    if (begins) {
        audio->carried = 0;
        buf_lit(out, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"");
    }
    put_audio(audio, data, out);
    if (fin) {
        base64_put(out, str_n(audio->carry, audio->carried), false);
        audio->carried = 0;
        buf_lit(out, "\"}");
    }
    audio->under_way = !fin;
}
