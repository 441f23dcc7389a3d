/* The engine's events as the realtime protocol's, in its names and order. */
#include "api/realtime_impl.h"

/* The preview's names of what GA renamed. */
static const char *either(const struct realtime *rt, const char *ga, const char *beta)
{
    return rt->beta ? beta : ga;
}

static void put_id_or_null(struct jw *w, const char *key, const char *id)
{
    if (id && id[0])
        jw_kstr(w, key, str_c(id));
    else
        jw_knull(w, key);
}

/* ---- what the user says ---- */

static void send_buffer_event(struct realtime *rt, const char *type, const struct voice_event *event,
                              const char *from_key, const char *at_key)
{
    struct buf out;
    struct jw w = realtime_event(&out, type);
    if (from_key)
        jw_kint(&w, from_key, (int64_t)event->from_ms);
    if (at_key)
        jw_kint(&w, at_key, (int64_t)event->at_ms);
    jw_kstr(&w, "item_id", str_c(event->item->id));
    realtime_send(rt, &w);
}

static void send_committed(struct realtime *rt, const struct voice_event *event)
{
    struct buf out;
    struct jw w = realtime_event(&out, "input_audio_buffer.committed");
    put_id_or_null(&w, "previous_item_id", event->previous);
    jw_kstr(&w, "item_id", str_c(event->item->id));
    realtime_send(rt, &w);
}

static void send_cleared(struct realtime *rt)
{
    struct buf out;
    struct jw w = realtime_event(&out, "input_audio_buffer.cleared");
    realtime_send(rt, &w);
}

static struct jw transcript_event(struct buf *out, const char *type, const struct voice_event *event)
{
    struct jw w = realtime_event(out, type);
    jw_kstr(&w, "item_id", str_c(event->item->id));
    jw_kint(&w, "content_index", 0);
    return w;
}

static void send_transcript(struct realtime *rt, const char *type, const struct voice_event *event)
{
    struct buf out;
    struct jw w = transcript_event(&out, type, event);
    jw_kstr(&w, "delta", event->text);
    realtime_send(rt, &w);
}

static void send_transcribed(struct realtime *rt, const struct voice_event *event)
{
    struct buf out;
    struct jw w = transcript_event(&out, "conversation.item.input_audio_transcription.completed", event);
    jw_kstr(&w, "transcript", event->text);
    jw_key(&w, "usage");
    jw_obj(&w);
    jw_kstr(&w, "type", STR("duration"));
    jw_knum(&w, "seconds", (double)event->at_ms / 1000);
    jw_end_obj(&w);
    realtime_send(rt, &w);
}

/* A client that asked for no transcripts has to know too why nobody answers. */
static void send_unheard(struct realtime *rt, const struct err *why)
{
    struct realtime_error e;
    realtime_refuse(&e, "input_audio_transcription_failed", NULL, "What was said could not be recognized: %s",
                    why->text);
    e.type = "server_error";
    realtime_send_error(rt, &e, STR(""));
}

static void send_untranscribed(struct realtime *rt, const struct voice_event *event)
{
    struct buf out;
    struct jw w = transcript_event(&out, "conversation.item.input_audio_transcription.failed", event);
    jw_key(&w, "error");
    realtime_put_failure(&w, event->error);
    realtime_send(rt, &w);
}

/* Dialect 001 shows what its own spelling of the delta brings: the text as it was finally understood, once. */
static void transcript_done(struct realtime *rt, const struct voice_event *event)
{
    if (rt->front_end && event->text.n)
        send_transcript(rt, "conversation.item.input_audio_transcript.delta", event);
    if (rt->session.transcribe)
        send_transcribed(rt, event);
}

/* ---- items ---- */

static void send_item(struct realtime *rt, const char *type, const struct voice_event *event)
{
    struct buf out;
    struct jw w = realtime_event(&out, type);
    put_id_or_null(&w, "previous_item_id", event->previous);
    jw_key(&w, "item");
    realtime_put_item(&w, rt, event->item);
    realtime_send(rt, &w);
}

static void send_deleted(struct realtime *rt, const struct voice_event *event)
{
    struct buf out;
    struct jw w = realtime_event(&out, "conversation.item.deleted");
    jw_kstr(&w, "item_id", str_c(event->item->id));
    realtime_send(rt, &w);
}

static void send_truncated(struct realtime *rt, const struct voice_event *event)
{
    struct buf out;
    struct jw w = transcript_event(&out, "conversation.item.truncated", event);
    jw_kint(&w, "audio_end_ms", (int64_t)event->at_ms);
    realtime_send(rt, &w);
}

/* ---- responses ---- */

static void send_response(struct realtime *rt, const char *type, const struct voice_response *response)
{
    struct buf out;
    struct jw w = realtime_event(&out, type);
    jw_key(&w, "response");
    realtime_put_response(&w, rt, response);
    realtime_send(rt, &w);
}

static void send_output_item(struct realtime *rt, const char *type, const char *response_id,
                             const struct voice_item *item)
{
    struct buf out;
    struct jw w = realtime_event(&out, type);
    jw_kstr(&w, "response_id", str_c(response_id));
    jw_kint(&w, "output_index", 0);
    jw_key(&w, "item");
    realtime_put_item(&w, rt, item);
    realtime_send(rt, &w);
}

static void send_part(struct realtime *rt, const char *type, const char *response_id, const struct voice_item *item,
                      bool empty)
{
    struct buf out;
    struct jw w = realtime_output_event(&out, type, response_id, item->id);
    realtime_put_part(&w, item, empty);
    realtime_send(rt, &w);
}

/* An item of the conversation is announced there between its response.output_item.added and its content part, and is
 * done there before its response.output_item.done: what waits for that is remembered. */
static bool take_due(char due[VOICE_ID], const struct voice_item *item)
{
    if (!item || !due[0] || strcmp(due, item->id) != 0)
        return false;
    due[0] = 0;
    return true;
}

static void set_due(struct realtime *rt, char due[VOICE_ID], const struct voice_event *event)
{
    str_copy(due, VOICE_ID, str_c(event->item->id));
    str_copy(rt->due_response, VOICE_ID, str_c(event->response->id));
}

static void part_if_due(struct realtime *rt, const struct voice_item *item)
{
    if (take_due(rt->part_due, item))
        send_part(rt, "response.content_part.added", rt->due_response, item, true);
}

static void output_added(struct realtime *rt, const struct voice_event *event)
{
    send_output_item(rt, "response.output_item.added", event->response->id, event->item);
    set_due(rt, rt->part_due, event);
    if (!event->response->in_conversation)
        part_if_due(rt, event->item);
}

static void send_text(struct realtime *rt, const struct voice_event *event)
{
    struct buf out;
    const char *type = event->item->audio
                           ? either(rt, "response.output_audio_transcript.delta", "response.audio_transcript.delta")
                           : either(rt, "response.output_text.delta", "response.text.delta");
    part_if_due(rt, event->item);
    struct jw w = realtime_output_event(&out, type, event->response->id, event->item->id);
    jw_kstr(&w, "delta", event->text);
    realtime_send(rt, &w);
}

static void send_content_done(struct realtime *rt, const char *type, const char *key, const struct voice_event *event)
{
    struct buf out;
    struct jw w = realtime_output_event(&out, type, event->response->id, event->item->id);
    if (key)
        jw_kstr(&w, key, event->item->text);
    realtime_send(rt, &w);
}

static void output_done(struct realtime *rt, const struct voice_event *event)
{
    part_if_due(rt, event->item);
    if (event->item->audio) {
        realtime_audio_done(rt, event);
        send_content_done(rt, either(rt, "response.output_audio.done", "response.audio.done"), NULL, event);
        send_content_done(rt, either(rt, "response.output_audio_transcript.done", "response.audio_transcript.done"),
                          "transcript", event);
    } else {
        send_content_done(rt, either(rt, "response.output_text.done", "response.text.done"), "text", event);
    }
    send_part(rt, "response.content_part.done", event->response->id, event->item, false);
    if (event->response->in_conversation)
        set_due(rt, rt->done_due, event);
    else
        send_output_item(rt, "response.output_item.done", event->response->id, event->item);
}

static void response_done(struct realtime *rt, const struct voice_response *response)
{
    rt->part_due[0] = rt->done_due[0] = 0;
    if (rt->front_end && response->outcome == VOICE_RESPONSE_CANCELLED)
        send_response(rt, "response.cancelled", response);
    send_response(rt, "response.done", response);
}

static void item_added(struct realtime *rt, const struct voice_event *event)
{
    send_item(rt, either(rt, "conversation.item.added", "conversation.item.created"), event);
    part_if_due(rt, event->item);
}

static void item_done(struct realtime *rt, const struct voice_event *event)
{
    if (!rt->beta)
        send_item(rt, "conversation.item.done", event);
    if (take_due(rt->done_due, event->item))
        send_output_item(rt, "response.output_item.done", rt->due_response, event->item);
}

static void ended(struct realtime *rt, const struct voice_event *event)
{
    struct realtime_error e;
    realtime_refuse_err(&e, err_name(event->error->code), NULL, event->error);
    realtime_end(rt, &e, WS_INTERNAL, e.text);
}

static void input_event(struct realtime *rt, const struct voice_event *event)
{
    switch ((int)event->type) {
    case VOICE_SPEECH_STARTED:
        send_buffer_event(rt, "input_audio_buffer.speech_started", event, NULL, "audio_start_ms");
        break;
    case VOICE_SPEECH_STOPPED:
        send_buffer_event(rt, "input_audio_buffer.speech_stopped", event, NULL, "audio_end_ms");
        break;
    case VOICE_IDLE:
        send_buffer_event(rt, "input_audio_buffer.timeout_triggered", event, "audio_start_ms", "audio_end_ms");
        break;
    case VOICE_TRANSCRIPT_DELTA:
        if (rt->session.transcribe)
            send_transcript(rt, "conversation.item.input_audio_transcription.delta", event);
        break;
    case VOICE_TRANSCRIPT_DONE:
        transcript_done(rt, event);
        break;
    case VOICE_TRANSCRIPT_FAILED:
        if (rt->session.transcribe)
            send_untranscribed(rt, event);
        else
            send_unheard(rt, event->error);
        break;
    default:
        break;
    }
}

void realtime_voice_event(void *arg, const struct voice_event *event)
{
    struct realtime *rt = arg;
    if (!websocket_is_open(rt->ws))
        return;
    switch (event->type) {
    case VOICE_SPEECH_STARTED:
    case VOICE_SPEECH_STOPPED:
    case VOICE_IDLE:
    case VOICE_TRANSCRIPT_DELTA:
    case VOICE_TRANSCRIPT_DONE:
    case VOICE_TRANSCRIPT_FAILED:
        input_event(rt, event);
        break;
    case VOICE_COMMITTED:
        send_committed(rt, event);
        break;
    case VOICE_CLEARED:
        send_cleared(rt);
        break;
    case VOICE_ITEM_ADDED:
        item_added(rt, event);
        break;
    case VOICE_ITEM_DONE:
        item_done(rt, event);
        break;
    case VOICE_ITEM_DELETED:
        send_deleted(rt, event);
        break;
    case VOICE_ITEM_TRUNCATED:
        send_truncated(rt, event);
        break;
    case VOICE_RESPONSE_CREATED:
        send_response(rt, "response.created", event->response);
        break;
    case VOICE_OUTPUT_ADDED:
        output_added(rt, event);
        break;
    case VOICE_TEXT:
        send_text(rt, event);
        break;
    case VOICE_AUDIO:
        part_if_due(rt, event->item);
        realtime_audio_delta(rt, event);
        break;
    case VOICE_OUTPUT_DONE:
        output_done(rt, event);
        break;
    case VOICE_RESPONSE_DONE:
        response_done(rt, event->response);
        break;
    case VOICE_ENDED:
        ended(rt, event);
        break;
    }
}
