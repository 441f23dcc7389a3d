#include "api/realtime_relay_impl.h"

/* Events that are sent under another name too: what dialect 001's front end listens for, and the names of today for
 * what the preview form calls otherwise. */
static const struct other_name {
    const char *name, *other;
    bool beta; /* of the preview form only */
} other_names[] = {
    {"conversation.item.input_audio_transcription.delta", "conversation.item.input_audio_transcript.delta", false},
    {"response.audio.delta", "response.output_audio.delta", true},
    {"response.audio.done", "response.output_audio.done", true},
    {"response.audio_transcript.delta", "response.output_audio_transcript.delta", true},
    {"response.audio_transcript.done", "response.output_audio_transcript.done", true},
    {"response.text.delta", "response.output_text.delta", true},
    {"response.text.done", "response.output_text.done", true},
};

/* ---- The name of an event, without reading more than is in front of it ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_space(struct str s, size_t at)
{
    while (at < s.n && is_space(s.p[at]))
        at++;
    return at;
}

/* The closing quote of the string that begins at `at`, behind its opening one; s.n when it has not come. */
static size_t string_end(struct str s, size_t at)
{
    for (size_t from = at; from < s.n; from++) {
        const char *quote = memchr(s.p + from, '"', s.n - from);
        if (!quote)
            return s.n;
        size_t end = (size_t)(quote - s.p), slashes = 0;
        while (end - slashes > at && s.p[end - slashes - 1] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return end;
        from = end;
    }
    return s.n;
}

/* Where the value that begins at `at` is over: at the comma or brace behind it; s.n when that has not come. */
static size_t value_end(struct str s, size_t at)
{
    for (size_t depth = 0; at < s.n; at++) {
        char c = s.p[at];
        if (c == '"')
            at = string_end(s, at + 1);
        else if (c == '{' || c == '[')
            depth++;
        else if (depth == 0 && (c == ',' || c == '}'))
            return at;
        else if (c == '}' || c == ']')
            depth -= depth > 0;
    }
    return s.n;
}

/* 1 when the member at `at` is the one, -1 when it is none or not a string; else 0, with *next where the one behind it
 * begins, or s.n. */
static int look_at_member(struct str s, size_t at, size_t *next, struct str *type)
{
    *next = s.n;
    if (at >= s.n)
        return 0;
    if (s.p[at] != '"')
        return -1;
    size_t end = string_end(s, at + 1), value = skip_space(s, end + 1);
    if (value >= s.n)
        return 0;
    bool found = str_eq(str_n(s.p + at + 1, end - at - 1), STR("type"));
    value = skip_space(s, value + 1);
    if (!found) {
        at = value_end(s, value);
        *next = at < s.n && s.p[at] == ',' ? skip_space(s, at + 1) : at;
        return 0;
    }
    if (value >= s.n)
        return 0;
    if (s.p[value] != '"')
        return -1;
    end = string_end(s, value + 1);
    *type = str_n(s.p + value + 1, end - value - 1);
    return end < s.n;
}

int realtime_event_type(struct str text, struct str *type)
{
    size_t at = skip_space(text, 0);
    if (at >= text.n)
        return 0;
    if (text.p[at] != '{')
        return -1;
    at = skip_space(text, at + 1);
    while (at < text.n) {
        size_t next;
        int found = look_at_member(text, at, &next, type);
        if (found)
            return found;
        at = next;
    }
    return 0;
}

static const struct other_name *other_name_of(struct str type, bool beta)
{
    for (size_t i = 0; i < COUNT(other_names); i++)
        if ((beta || !other_names[i].beta) && str_eqc(type, other_names[i].name))
            return &other_names[i];
    return NULL;
}

static enum realtime_kind kind_of(struct str text, bool whole, bool beta)
{
    struct str type;
    int found = realtime_event_type(text, &type);
    if (found == 0 && !whole)
        return REALTIME_UNDECIDED;
    if (found != 1)
        return REALTIME_PLAIN;
    if (str_eq(type, STR("error")))
        return REALTIME_ERROR;
    if (str_eq(type, STR("response.done")))
        return REALTIME_DONE;
    return other_name_of(type, beta) ? REALTIME_RENAMED : REALTIME_PLAIN;
}

/* ---- Messages, frame by frame ---- */

static struct str plain(struct realtime_look *look)
{
    look->kind = REALTIME_PLAIN;
    buf_free(&look->text);
    return STR_NONE;
}

static void begin(struct realtime_look *look, enum ws_opcode opcode)
{
    buf_free(&look->text);
    look->text.max = REALTIME_LOOK_MAX;
    look->again_at = 0;
    look->kind = opcode == WS_TEXT ? REALTIME_UNDECIDED : REALTIME_PLAIN;
}

struct str realtime_look_at(struct realtime_look *look, enum ws_opcode opcode, bool fin, struct str data)
{
    bool first = opcode != WS_CONTINUATION;
    struct str text = data;
    if (first)
        begin(look, opcode);
    if (look->kind == REALTIME_PLAIN)
        return STR_NONE;
    if (!first) {
        if (buf_str_add(&look->text, data) < 0)
            return plain(look);
        text = buf_str(&look->text);
    }
    /* Twice as much each time, so that a message in many frames is not read many times. */
    if (look->kind == REALTIME_UNDECIDED && (fin || text.n >= look->again_at)) {
        look->kind = kind_of(text, fin, look->beta);
        look->again_at = 2 * text.n;
    }
    if (look->kind == REALTIME_PLAIN)
        return plain(look);
    if (fin)
        return text;
    if (first && buf_str_add(&look->text, data) < 0)
        return plain(look);
    return STR_NONE;
}

void realtime_look_end(struct realtime_look *look)
{
    buf_free(&look->text);
}

/* ---- What is sent beside them ---- */

static bool is_cancelled(struct str text)
{
    struct json_want status = {.path = "response.status"};
    return json_scan(text, &status, 1, NULL, NULL) == 0 && status.value.type == JSON_STRING &&
           str_eq(status.value.raw, STR("cancelled"));
}

size_t realtime_beside(const struct realtime_look *look, struct str text, struct str parts[3])
{
    struct str type;
    const char *other = NULL;
    if (realtime_event_type(text, &type) != 1)
        return 0;
    if (look->kind == REALTIME_DONE && is_cancelled(text))
        other = "response.cancelled";
    else if (look->kind == REALTIME_RENAMED)
        other = other_name_of(type, look->beta)->other;
    if (!other)
        return 0;
    size_t before = (size_t)(type.p - text.p);
    parts[0] = str_n(text.p, before);
    parts[1] = str_c(other);
    parts[2] = str_from(text, before + type.n);
    return 3;
}
