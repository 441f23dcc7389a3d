/* Events of realtime clients: one table, one function each. What cannot be done is answered with an error event that
 * names the event it is about. */
#include "api/realtime_impl.h"

struct realtime_message {
    struct realtime *rt;
    struct arena *arena;
    struct realtime_reader event; /* the whole event */
    struct realtime_error *error;
};

/* ---- session ---- */

/* Which shape the first update has decides for those who did not say it when they came. */
static void guess_dialect(struct realtime *rt, const cJSON *session, bool beta_only)
{
    if (!rt->updated && !rt->beta)
        rt->beta = beta_only || (!json_get(session, "type") && realtime_is_beta_session(session));
}

static int configure(struct realtime_message *m, const struct realtime_session *changed)
{
    struct realtime *rt = m->rt;
    struct err e;
    struct voice_settings settings = realtime_voice_settings(rt, changed);
    if (voice_configure(rt->voice, &settings, &e) == 0)
        return 0;
    if (!str_eq(changed->voice, rt->session.voice))
        return realtime_refuse(m->error, "cannot_update_voice", "session.voice",
                               "Cannot update a conversation's voice if assistant audio is present.");
    return realtime_refuse_err(m->error, "invalid_value", "session", &e);
}

static int update_session(struct realtime_message *m, bool transcription_event)
{
    struct realtime *rt = m->rt;
    struct realtime_session changed = rt->session;
    struct realtime_reader session;
    char path[64];
    if (realtime_read_obj(&m->event, "session", path, &session) < 0)
        return -1;
    if (!session.obj)
        return realtime_missing(&m->event, "session");
    guess_dialect(rt, session.obj, transcription_event);
    if (transcription_event && !(rt->beta && rt->session.transcription))
        return realtime_refuse(m->error, "invalid_value", "type",
                               "transcription_session.update belongs to the preview's transcription sessions.");
    if ((rt->beta ? realtime_session_read_beta(&changed, &session) : realtime_session_read(&changed, &session)) < 0 ||
        configure(m, &changed) < 0)
        return -1;
    realtime_session_adopt(rt, &changed);
    rt->updated = true;
    realtime_send_session(rt, false);
    return 0;
}

static int on_session_update(struct realtime_message *m)
{
    return update_session(m, false);
}

static int on_transcription_session_update(struct realtime_message *m)
{
    return update_session(m, true);
}

/* ---- audio buffer ---- */

static int on_commit(struct realtime_message *m)
{
    uint64_t found_ms = 0;
    struct err e;
    realtime_audio_settle(m->rt);
    if (voice_commit(m->rt->voice, &found_ms, &e) == 0)
        return 0;
    return realtime_refuse(
        m->error, "input_audio_buffer_commit_empty", NULL,
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but "
        "buffer only has %.2fms of audio.",
        (double)found_ms);
}

static int on_clear(struct realtime_message *m)
{
    realtime_audio_clear(m->rt);
    voice_clear(m->rt->voice);
    return 0;
}

static int on_output_clear(struct realtime_message *m)
{
    return realtime_refuse(m->error, "invalid_value", "type",
                           "output_audio_buffer.clear is for WebRTC and SIP sessions only.");
}

/* ---- items ---- */

static int add_audio(struct realtime_message *m, struct realtime_item *item)
{
    struct buf pcm = BUF_INIT(REALTIME_AUDIO_MAX);
    struct err e;
    int result = realtime_audio_decode(&item->audio, m->error);
    if (result == 0)
        result = realtime_audio_convert(m->rt, item->audio, &pcm, m->error);
    if (result == 0 && voice_add_audio(m->rt->voice, item->text.id, item->text.after, buf_str(&pcm), &e) < 0)
        result = realtime_refuse_err(m->error, "invalid_value", "item", &e);
    buf_free(&pcm);
    return result;
}

static int on_item_create(struct realtime_message *m)
{
    struct realtime_reader reader;
    struct realtime_item item;
    struct str after = STR("");
    struct err e;
    char path[64];
    if (realtime_read_obj(&m->event, "item", path, &reader) < 0 ||
        realtime_read_str(&m->event, "previous_item_id", REALTIME_STRING_MAX, &after) < 0)
        return -1;
    if (!reader.obj)
        return realtime_missing(&m->event, "item");
    if (realtime_item_read(m->rt, &reader, m->arena, &item) < 0)
        return -1;
    if (after.n && !str_eqc(after, "root") && !voice_find(m->rt->voice, after))
        return realtime_refuse(m->error, "item_create_invalid_previous_item_id", "previous_item_id",
                               "Error adding item: the previous item with id '%.60s' does not exist.", after.p);
    item.text.after = after;
    if (item.is_audio)
        return add_audio(m, &item);
    if (voice_add_item(m->rt->voice, &item.text, &e) < 0)
        return realtime_refuse_err(m->error, "invalid_value", "item", &e);
    return 0;
}

/* The item that the event names; NULL with the error that it is not there: verb "Error deleting item". */
static const struct voice_item *named_item(struct realtime_message *m, const char *code, const char *verb,
                                           struct str *id)
{
    *id = STR_NONE;
    if (realtime_read_str(&m->event, "item_id", REALTIME_STRING_MAX, id) < 0)
        return NULL;
    if (!id->p) {
        realtime_missing(&m->event, "item_id");
        return NULL;
    }
    const struct voice_item *item = voice_find(m->rt->voice, *id);
    if (!item)
        realtime_refuse(m->error, code, "item_id", "%s: the item with id '%.60s' does not exist.", verb, id->p);
    return item;
}

static int on_item_retrieve(struct realtime_message *m)
{
    struct str id;
    struct buf out;
    const struct voice_item *item = named_item(m, "item_retrieve_invalid_item_id", "Error retrieving item", &id);
    if (!item)
        return -1;
    struct jw w = realtime_event(&out, "conversation.item.retrieved");
    jw_key(&w, "item");
    realtime_put_item(&w, m->rt, item);
    realtime_send(m->rt, &w);
    return 0;
}

static int on_item_delete(struct realtime_message *m)
{
    struct str id;
    struct err e;
    if (!named_item(m, "item_delete_invalid_item_id", "Error deleting item", &id))
        return -1;
    return voice_delete(m->rt->voice, id, &e) < 0 ? realtime_refuse_err(m->error, "invalid_value", "item_id", &e) : 0;
}

static int on_item_truncate(struct realtime_message *m)
{
    struct str id;
    struct err e;
    unsigned at = 0, content = 0;
    if (!named_item(m, "item_truncate_invalid_item_id", "Error truncating item", &id))
        return -1;
    if (!realtime_has(&m->event, "content_index"))
        return realtime_missing(&m->event, "content_index");
    if (!realtime_has(&m->event, "audio_end_ms"))
        return realtime_missing(&m->event, "audio_end_ms");
    if (realtime_read_uint(&m->event, "content_index", 0, 0, &content) < 0 ||
        realtime_read_uint(&m->event, "audio_end_ms", 0, UINT32_MAX, &at) < 0)
        return -1;
    return voice_truncate(m->rt->voice, id, at, &e) < 0
               ? realtime_refuse_err(m->error, "invalid_value", "audio_end_ms", &e)
               : 0;
}

/* ---- responses ---- */

static int on_response_create(struct realtime_message *m)
{
    struct realtime_reader response;
    struct voice_ask ask;
    struct err e;
    char path[64], running[VOICE_ID] = "";
    if (m->rt->session.transcription)
        return realtime_refuse(m->error, "invalid_value", "type", "Transcription sessions have no responses.");
    if (realtime_read_obj(&m->event, "response", path, &response) < 0 ||
        realtime_ask_read(m->rt, &response, m->arena, &ask) < 0)
        return -1;
    if (voice_respond(m->rt->voice, &ask, running, &e) == 0)
        return 0;
    if (!running[0])
        return realtime_refuse_err(m->error, "invalid_value", "response", &e);
    return realtime_refuse(m->error, "conversation_already_has_active_response", NULL,
                           "Conversation already has an active response in progress: %s. Wait until the response is "
                           "finished before creating a new one.",
                           running);
}

static int on_response_cancel(struct realtime_message *m)
{
    struct str id = STR("");
    struct err e;
    if (realtime_read_str(&m->event, "response_id", REALTIME_STRING_MAX, &id) < 0)
        return -1;
    if (voice_cancel(m->rt->voice, id, &e) == 0)
        return 0;
    return realtime_refuse(m->error, "response_cancel_not_active", id.n ? "response_id" : NULL,
                           "Cancellation failed: no active response found");
}

/* ---- one message ---- */

static const struct command {
    const char *type;
    int (*handle)(struct realtime_message *m);
} commands[] = {
    {"session.update", on_session_update},
    {"transcription_session.update", on_transcription_session_update},
    {"input_audio_buffer.commit", on_commit},
    {"input_audio_buffer.clear", on_clear},
    {"output_audio_buffer.clear", on_output_clear},
    {"conversation.item.create", on_item_create},
    {"conversation.item.retrieve", on_item_retrieve},
    {"conversation.item.delete", on_item_delete},
    {"conversation.item.truncate", on_item_truncate},
    {"response.create", on_response_create},
    {"response.cancel", on_response_cancel},
};

static const struct command *find_command(struct str type)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (str_eqc(type, commands[i].type))
            return &commands[i];
    return NULL;
}

static int unknown_type(const struct json_value *type, struct realtime_error *e)
{
    if (type->type == JSON_NONE || type->type == JSON_NULL)
        return realtime_refuse(e, "missing_required_parameter", "type", "Missing required parameter: 'type'.");
    if (type->type != JSON_STRING)
        return realtime_refuse(e, "invalid_type", "type", "Invalid type for 'type': expected a string.");
    size_t shown = utf8_whole(type->raw.p, MIN(type->raw.n, (size_t)60));
    return realtime_refuse(e, "invalid_value", "type",
                           "Invalid value: '%.*s'. It is none of the events that clients send.", (int)shown,
                           type->raw.p);
}

static int run_command(struct realtime *rt, const struct command *command, struct str text, struct realtime_error *e)
{
    struct arena *arena = arena_new("realtime_message");
    struct err why;
    cJSON *tree = json_parse(arena, text, &why);
    struct realtime_message m = {rt, arena, {tree, "", e}, e};
    int result = tree ? command->handle(&m) : realtime_refuse_err(e, "invalid_json", NULL, &why);
    arena_free(arena);
    return result;
}

/* The event that comes most often, without a tree and without a copy of the audio. */
static int append(struct realtime *rt, const struct json_value *audio, struct realtime_error *e)
{
    struct str text = audio->raw;
    struct buf scratch = BUF_INIT(REALTIME_MESSAGE_MAX);
    if (audio->type == JSON_NONE || audio->type == JSON_NULL)
        return realtime_refuse(e, "missing_required_parameter", "audio", "Missing required parameter: 'audio'.");
    if (audio->type != JSON_STRING)
        return realtime_refuse(e, "invalid_type", "audio", "Invalid type for 'audio': expected a string.");
    if (audio->escaped)
        text = json_text(audio, &scratch);
    int result = realtime_audio_decode(&text, e);
    if (result == 0)
        result = realtime_audio_append(rt, text, e);
    buf_free(&scratch);
    return result;
}

enum { IN_TYPE, IN_EVENT_ID, IN_AUDIO, IN_COUNT };

static int take(struct realtime *rt, struct str data, const struct json_want *wants, struct realtime_error *e)
{
    const struct json_value *type = &wants[IN_TYPE].value;
    if (type->type == JSON_STRING && str_eqc(type->raw, "input_audio_buffer.append"))
        return append(rt, &wants[IN_AUDIO].value, e);
    const struct command *command = type->type == JSON_STRING ? find_command(type->raw) : NULL;
    return command ? run_command(rt, command, data, e) : unknown_type(type, e);
}

/* As JSON, quotes and all; one that is too long to be anybody's is not repeated. */
static struct str quoted_id(const struct json_value *id)
{
    return id->type == JSON_STRING && id->raw.n <= 512 ? str_n(id->raw.p - 1, id->raw.n + 2) : STR("");
}

static void on_text(struct realtime *rt, struct str data)
{
    struct json_want wants[IN_COUNT] = {{.path = "type"}, {.path = "event_id"}, {.path = "audio"}};
    enum json_type root;
    struct realtime_error e;
    struct err why;
    int result;
    if (json_scan(data, wants, COUNT(wants), &root, &why) < 0) {
        realtime_refuse(&e, "invalid_json", NULL, "Could not parse the event: %s", why.text);
        realtime_send_error(rt, &e, STR(""));
        return;
    }
    if (root != JSON_OBJECT)
        result = realtime_refuse(&e, "invalid_json", NULL, "Could not parse the event: expected a JSON object.");
    else
        result = take(rt, data, wants, &e);
    if (result < 0)
        realtime_send_error(rt, &e, quoted_id(&wants[IN_EVENT_ID].value));
}

/* Dialect 001 sends audio as it is, too. */
static void on_binary(struct realtime *rt, struct str data)
{
    struct realtime_error e;
    int result = rt->front_end ? realtime_audio_append(rt, data, &e)
                               : realtime_refuse(&e, "invalid_event", NULL,
                                                 "Events are text messages: a binary message was received.");
    if (result < 0)
        realtime_send_error(rt, &e, STR(""));
}

void realtime_on_message(struct realtime *rt, enum ws_opcode opcode, struct str data)
{
    if (!rt->voice)
        return;
    if (opcode == WS_BINARY)
        on_binary(rt, data);
    else
        on_text(rt, data);
}
