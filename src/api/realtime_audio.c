/* Audio of realtime sessions: what the client sends becomes PCM at the engine's rate, what the engine says becomes
 * deltas in the client's format. The engine always works at 24 kHz; G.711 is resampled here, so a session may change
 * its formats at any time. */
#include "api/realtime_impl.h"

#include "speech/g711.h"
#include "wire/base64.h"

#define DELTA_MS 200
#define SLICE    KIB(32) /* of G.711 that is resampled at a time: it becomes six times as much */

static enum g711 law_of(enum realtime_format format)
{
    return format == REALTIME_PCMU ? G711_ULAW : G711_ALAW;
}

/* ---- in ---- */

static int bad_audio(struct realtime_error *e)
{
    return realtime_refuse(
        e, "invalid_value", "audio",
        "Invalid 'audio'. Expected base64-encoded audio bytes (mono PCM16 at 24kHz, or G.711) but the "
        "audio bytes were invalid.");
}

static int upsample(struct resampler *r, struct str bytes, enum realtime_format format, struct buf *out)
{
    struct buf pcm = BUF_INIT(SLICE * 2);
    int result = g711_decode(&pcm, bytes, law_of(format));
    if (result == 0)
        result = resampler_push(r, buf_str(&pcm), out);
    buf_free(&pcm);
    return result;
}

/* Says it once while it lasts: clients send 25 pieces in a second. */
static int dropped(struct realtime *rt, const struct err *why, struct realtime_error *e)
{
    bool told = rt->deaf;
    rt->deaf = true;
    realtime_refuse_err(e, "input_audio_buffer_overloaded", NULL, why);
    return told ? 0 : -1;
}

static int hand_over(struct realtime *rt, struct str pcm, struct realtime_error *e)
{
    struct err why;
    if (voice_append(rt->voice, pcm, &why) < 0)
        return dropped(rt, &why, e);
    rt->deaf = false;
    return 0;
}

static int too_long(struct realtime_error *e)
{
    return realtime_refuse(e, "string_above_max_length", "audio",
                           "Invalid 'audio': one event holds at most %zu bytes of audio.", REALTIME_AUDIO_MAX);
}

static int append_g711(struct realtime *rt, struct str slice, struct realtime_error *e)
{
    struct buf pcm = BUF_INIT(SLICE * 7);
    if (!rt->in)
        rt->in = resampler_new(G711_RATE, REALTIME_RATE);
    int result = upsample(rt->in, slice, rt->session.input, &pcm) < 0 ? bad_audio(e) : hand_over(rt, buf_str(&pcm), e);
    buf_free(&pcm);
    return result;
}

int realtime_audio_append(struct realtime *rt, struct str bytes, struct realtime_error *e)
{
    if (bytes.n > REALTIME_AUDIO_MAX)
        return too_long(e);
    if (rt->session.input == REALTIME_PCM)
        return bytes.n % 2 ? bad_audio(e) : hand_over(rt, bytes, e);
    int result = 0;
    for (size_t n; result == 0 && bytes.n; bytes = str_from(bytes, n)) {
        n = MIN(bytes.n, SLICE);
        result = append_g711(rt, str_n(bytes.p, n), e);
    }
    return result;
}

int realtime_audio_decode(struct str *text, struct realtime_error *e)
{
    /* In place: three bytes never lie further back than the four characters that they come from. */
    struct buf bytes = {.data = (char *)(uintptr_t)text->p, .cap = text->n, .max = text->n};
    if (base64_decode(&bytes, *text) < 0)
        return bad_audio(e);
    *text = buf_str(&bytes);
    return 0;
}

void realtime_audio_settle(struct realtime *rt)
{
    struct realtime_error unused;
    struct buf rest = BUF_INIT(KIB(64));
    if (rt->in && resampler_finish(rt->in, &rest) == 0 && rest.len)
        hand_over(rt, buf_str(&rest), &unused);
    buf_free(&rest);
    rt->in = resampler_free(rt->in);
}

void realtime_audio_clear(struct realtime *rt)
{
    rt->in = resampler_free(rt->in);
}

int realtime_audio_convert(const struct realtime *rt, struct str bytes, struct buf *out, struct realtime_error *e)
{
    if (bytes.n == 0 || (rt->session.input == REALTIME_PCM && bytes.n % 2))
        return bad_audio(e);
    if (rt->session.input == REALTIME_PCM)
        return buf_str_add(out, bytes) < 0 ? too_long(e) : 0;
    struct resampler *r = resampler_new(G711_RATE, REALTIME_RATE);
    int result = 0;
    for (size_t n; result == 0 && bytes.n; bytes = str_from(bytes, n)) {
        n = MIN(bytes.n, SLICE);
        result = upsample(r, str_n(bytes.p, n), rt->session.input, out);
    }
    if (result == 0)
        result = resampler_finish(r, out);
    resampler_free(r);
    return result < 0 ? too_long(e) : 0;
}

/* ---- out ---- */

struct jw realtime_output_event(struct buf *out, const char *type, const char *response_id, const char *item_id)
{
    struct jw w = realtime_event(out, type);
    jw_kstr(&w, "response_id", str_c(response_id));
    jw_kstr(&w, "item_id", str_c(item_id));
    jw_kint(&w, "output_index", 0);
    jw_kint(&w, "content_index", 0);
    return w;
}

static void send_delta(struct realtime *rt, const struct voice_event *event, struct str bytes)
{
    struct buf out;
    const char *type = rt->beta ? "response.audio.delta" : "response.output_audio.delta";
    struct jw w = realtime_output_event(&out, type, event->response->id, event->item->id);
    jw_key(&w, "delta");
    buf_byte(&out, '"');
    w.failed |= base64_put(&out, bytes, false) < 0;
    buf_byte(&out, '"');
    w.comma = true;
    realtime_send(rt, &w);
}

/* In parts of about the same length, each but the last of whole groups of base64 and whole samples. */
static void send_deltas(struct realtime *rt, const struct voice_event *event, struct str bytes, size_t most)
{
    size_t parts = (bytes.n + most - 1) / most, each = parts ? bytes.n / parts / 6 * 6 + 6 : 0;
    while (bytes.n) {
        struct str piece = {bytes.p, MIN(bytes.n, each)};
        send_delta(rt, event, piece);
        bytes = str_from(bytes, piece.n);
    }
}

static void send_g711(struct realtime *rt, const struct voice_event *event, struct str pcm)
{
    struct buf coded = BUF_INIT(pcm.n);
    if (g711_encode(&coded, pcm, law_of(rt->session.output)) == 0)
        send_deltas(rt, event, buf_str(&coded), G711_RATE / 1000 * DELTA_MS);
    buf_free(&coded);
}

/* Each item is a stream of its own. */
static void begin_item(struct realtime *rt, const char *id)
{
    if (rt->out && strcmp(rt->out_item, id) == 0)
        return;
    resampler_free(rt->out);
    rt->out = resampler_new(REALTIME_RATE, G711_RATE);
    str_copy(rt->out_item, sizeof rt->out_item, str_c(id));
}

void realtime_audio_delta(struct realtime *rt, const struct voice_event *event)
{
    if (rt->session.output == REALTIME_PCM) {
        send_deltas(rt, event, event->audio, (size_t)REALTIME_RATE / 1000 * DELTA_MS * 2);
        return;
    }
    struct buf narrow = BUF_INIT(event->audio.n + KIB(4));
    begin_item(rt, event->item->id);
    if (resampler_push(rt->out, event->audio, &narrow) == 0)
        send_g711(rt, event, buf_str(&narrow));
    buf_free(&narrow);
}

void realtime_audio_done(struct realtime *rt, const struct voice_event *event)
{
    struct buf rest = BUF_INIT(KIB(64));
    if (rt->out && strcmp(rt->out_item, event->item->id) == 0 && rt->session.output != REALTIME_PCM &&
        resampler_finish(rt->out, &rest) == 0)
        send_g711(rt, event, buf_str(&rest));
    buf_free(&rest);
    rt->out = resampler_free(rt->out);
}
