#include "api/aimcs_voice.h"

#include "api/aimcs_audio.h"
#include "base/mem.h"

#include <stdlib.h>

#define LAST_SLICE_MS 250   /* between stop_audio and the slice that may follow it */
#define GONE_MS       60000 /* without audio: the recording is over */

struct aimcs_voice *aimcs_voice_ref(struct aimcs_voice *v)
{
    v->refs++;
    return v;
}

struct aimcs_voice *aimcs_voice_unref(struct aimcs_voice *v)
{
    if (--v->refs == 0) {
        websocket_unref(v->ws);
        free(v);
    }
    return NULL;
}

void aimcs_voice_ref_owner(void *owner)
{
    aimcs_voice_ref(owner);
}

void aimcs_voice_unref_owner(void *owner)
{
    aimcs_voice_unref(owner);
}

const char *aimcs_voice_log_id(void *owner)
{
    return websocket_id(((struct aimcs_voice *)owner)->ws);
}

void aimcs_voice_hold(struct aimcs_voice *v, enum aimcs_hold why, bool hold)
{
    bool was = v->holds;
    v->holds = hold ? v->holds | why : v->holds & ~(unsigned)why;
    if (was != (v->holds != 0))
        websocket_pause(v->ws, hold);
}

static void end_recording(struct aimcs_voice *v, bool answer)
{
    timer_stop(loop_self(), &v->quiet);
    v->stopping = false;
    aimcs_stream_end(v, answer);
}

/* The last slice is not coming, or none has for long: nobody who says nothing any more keeps a decoder. */
static void on_quiet(struct timer *timer)
{
    struct aimcs_voice *v = container_of(timer, struct aimcs_voice, quiet);
    if (v->slices && !v->stopping) /* the client is held up by us */
        timer_start(loop_self(), timer, GONE_MS);
    else
        end_recording(v, false);
}

static struct aimcs_voice *aimcs_voice_new(struct websocket *ws)
{
    struct api *api = socket_api(ws);
    const struct voice_policy *policy = &api->config.voice;
    struct voice_listening how = {.rate = AIMCS_RATE,
                                  .partials = true,
                                  .detect = true,
                                  .prefix_ms = 300,
                                  .silence_ms = policy->silence_ms,
                                  .max_silence_ms = policy->max_silence_ms,
                                  .max_utterance_ms = policy->max_utterance_ms,
                                  .clean = policy->clean};
    struct aimcs_voice *v = mem_zalloc(sizeof *v);
    v->refs = 1;
    v->ws = websocket_ref(ws);
    v->api = api;
    v->quiet.fn = on_quiet;
    list_init(&v->outcomes);
    v->input = voice_input_new(api->config.stt, &how, aimcs_heard, v);
    return v;
}

static void take(struct aimcs_voice *v, const struct json_value *data, unsigned pcm_rate)
{
    struct audio_text text;
    struct str bytes;
    struct err e;
    int got;
    bool first = true;
    audio_text_init(&text, data);
    for (; (got = audio_text_next(&text, &bytes)) > 0; first = false) {
        if (first && v->stopping && !pcm_rate && audio_begins(bytes))
            end_recording(v, false);
        v->received += bytes.n;
        aimcs_stream_slice(v, bytes, pcm_rate, first);
    }
    audio_text_free(&text);
    if (got == 0)
        return;
    err_set(&e, ERR_INVALID_REQUEST, "Audio data is not valid base64");
    aimcs_audio_error(v, &e);
}

void aimcs_voice_audio(struct websocket *ws, const struct json_value *data, struct str format, bool chunk, bool final)
{
    struct aimcs_socket *socket = websocket_user(ws);
    if (!socket->voice)
        socket->voice = aimcs_voice_new(ws);
    struct aimcs_voice *v = socket->voice;
    v->chunked = chunk;
    take(v, data, audio_pcm_rate(format));
    if (v->stopping || final)
        end_recording(v, final);
    else
        timer_start(loop_self(), &v->quiet, GONE_MS);
}

void aimcs_voice_stop(struct websocket *ws, bool now)
{
    struct aimcs_voice *v = ((struct aimcs_socket *)websocket_user(ws))->voice;
    if (!v)
        return;
    v->stopping = !now;
    if (now)
        end_recording(v, true);
    else
        timer_start(loop_self(), &v->quiet, LAST_SLICE_MS);
}

void aimcs_voice_closed(struct websocket *ws)
{
    struct aimcs_socket *socket = websocket_user(ws);
    struct aimcs_voice *v = socket->voice;
    aimcs_socket_hush(ws, true);
    socket->voice = NULL;
    if (!v)
        return;
    timer_stop(loop_self(), &v->quiet);
    v->input = voice_input_free(v->input);
    serial_stop(&v->slices);
    serial_stop(&v->turns);
    aimcs_stream_abort(v);
    aimcs_turn_abort(v);
    aimcs_voice_unref(v);
}
