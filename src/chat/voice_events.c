/* The way out: events wait as copies until the loop comes by, outside of any task; output of replies follows them. */
#include "base/mem.h"
#include "chat/voice_impl.h"

#include <stdlib.h>

struct note {
    struct note *next;
    struct voice_event event;
    struct voice_item item;
    struct voice_response response;
    struct err error;
    char previous[VOICE_ID];
    char bytes[];
};

static struct str keep(char **at, struct str s)
{
    if (s.n)
        memcpy(*at, s.p, s.n);
    struct str kept = {*at, s.n};
    *at += s.n;
    return kept;
}

static void keep_response(struct note *note, const struct voice_response *response, char **at)
{
    note->response = *response;
    note->response.voice = keep(at, response->voice);
    note->response.metadata = keep(at, response->metadata);
    note->response.item = response->item ? &note->item : NULL;
    if (response->error) {
        note->error = *response->error;
        note->response.error = &note->error;
    }
    note->event.response = &note->response;
}

void voice_note(struct voice *v, const struct voice_event *event)
{
    const struct voice_response *response = event->response;
    const struct voice_item *item = event->item ? event->item : response ? response->item : NULL;
    size_t bytes =
        event->text.n + (item ? item->text.n : 0) + (response ? response->voice.n + response->metadata.n : 0);
    struct note *note = mem_zalloc(sizeof *note + bytes);
    char *at = note->bytes;
    note->event = *event;
    note->event.text = keep(&at, event->text);
    if (item) {
        note->item = *item;
        note->item.text = keep(&at, item->text);
        note->event.item = event->item ? &note->item : NULL;
    }
    if (event->previous) {
        str_copy(note->previous, sizeof note->previous, str_c(event->previous));
        note->event.previous = note->previous;
    }
    if (event->error) {
        note->error = *event->error;
        note->event.error = &note->error;
    }
    if (response)
        keep_response(note, response, &at);
    *v->last_note = note;
    v->last_note = &note->next;
    voice_stir(v);
}

void voice_note_item(struct voice *v, enum voice_event_type type, const struct item *item, uint64_t at_ms)
{
    struct voice_event event = {
        .type = type, .item = &item->shown, .previous = voice_item_previous(v, item), .at_ms = at_ms};
    voice_note(v, &event);
}

void voice_note_response(struct voice *v, enum voice_event_type type, const struct voice_reply *r)
{
    struct voice_response shown = r->shown;
    shown.item = r->begun ? &r->item->shown : NULL;
    bool about_item = type == VOICE_OUTPUT_ADDED || type == VOICE_OUTPUT_DONE;
    struct voice_event event = {.type = type, .response = &shown, .item = about_item ? &r->item->shown : NULL};
    voice_note(v, &event);
}

void voice_emit(struct voice *v, const struct voice_event *event)
{
    if (!v->closed)
        v->ops->event(v->arg, event);
}

static bool send_notes(struct voice *v)
{
    struct note *note;
    bool any = false;
    while ((note = v->first_note)) {
        v->first_note = note->next;
        if (!v->first_note)
            v->last_note = &v->first_note;
        voice_emit(v, &note->event);
        free(note);
        any = true;
    }
    return any;
}

static void dispatch(struct loop_end *end)
{
    struct voice *v = container_of(end, struct voice, end);
    v->dispatching = true;
    for (bool any = true; any && !v->closed;) {
        any = send_notes(v);
        any = (!v->closed && voice_replies_pump(v)) || any;
    }
    v->dispatching = false;
    if (v->closed) {
        voice_events_free(v);
        free(v);
    }
}

void voice_stir(struct voice *v)
{
    if (!v->closed && !v->dispatching)
        loop_at_end(v->loop, &v->end);
}

void voice_events_init(struct voice *v)
{
    v->last_note = &v->first_note;
    v->end.fn = dispatch;
}

void voice_events_free(struct voice *v)
{
    struct note *note;
    while ((note = v->first_note)) {
        v->first_note = note->next;
        free(note);
    }
    v->last_note = &v->first_note;
}
