/* response.create, and the response object of response.created and response.done. */
#include "api/realtime_impl.h"

/* ---- reading ---- */

#define INPUT_MAX 100 /* items that a response is asked about in place of the conversation */

static int read_input(struct realtime *rt, const struct realtime_reader *r, struct arena *arena, struct voice_ask *ask)
{
    const cJSON *list = json_get(r->obj, "input");
    int n = cJSON_GetArraySize(list);
    if (!list || cJSON_IsNull(list))
        return 0;
    if (!cJSON_IsArray(list))
        return realtime_wrong_type(r, "input", "an array of objects");
    if (n > INPUT_MAX)
        return realtime_refuse(r->error, "array_above_max_length", "response.input",
                               "Invalid 'response.input': array too long. Expected an array with maximum length %d.",
                               INPUT_MAX);
    struct voice_new_item *items = arena_zalloc(arena, sizeof *items * (size_t)(n + 1));
    size_t i = 0;
    for (const cJSON *entry = list->child; entry; entry = entry->next) {
        struct realtime_item item;
        if (!cJSON_IsObject(entry))
            return realtime_wrong_type(r, "input", "an array of objects");
        if (realtime_item_read(rt, &(struct realtime_reader){entry, "response.input", r->error}, arena, &item) < 0)
            return -1;
        if (item.is_audio)
            return realtime_refuse(r->error, "unsupported_parameter", "response.input",
                                   "Audio belongs into the conversation: a response's own input is text here.");
        items[i++] = item.text;
    }
    ask->input = items;
    ask->ninput = i;
    return 0;
}

/* Goes through as JSON; OpenAI's bounds, so that it stays small. */
static int read_metadata(const struct realtime_reader *r, struct arena *arena, struct voice_ask *ask)
{
    struct realtime_reader metadata;
    struct buf text = BUF_INIT(KIB(16));
    char path[64];
    if (realtime_read_obj(r, "metadata", path, &metadata) < 0)
        return -1;
    if (!metadata.obj)
        return 0;
    if (cJSON_GetArraySize(metadata.obj) > 16)
        return realtime_refuse(r->error, "object_above_max_properties", path, "Invalid '%s': too many properties.",
                               path);
    for (const cJSON *item = metadata.obj->child; item; item = item->next)
        if (!cJSON_IsString(item) || strlen(item->string) > 64 || strlen(item->valuestring) > 512)
            return realtime_refuse(r->error, "invalid_value", path,
                                   "Invalid '%s': keys of at most 64 characters, and strings of at most 512.", path);
    if (json_print(&text, metadata.obj) == 0)
        ask->metadata = arena_str(arena, buf_str(&text));
    buf_free(&text);
    return 0;
}

static int same_format(const struct realtime_reader *r, enum realtime_format asked, enum realtime_format session)
{
    if (asked == session)
        return 0;
    return realtime_refuse(r->error, "unsupported_parameter", r->path,
                           "The format of audio that is sent is the session's: change it with session.update.");
}

static int read_audio(const struct realtime *rt, const struct realtime_reader *r, struct voice_ask *ask)
{
    static const char *const audio_known[] = {"output"}, *const known[] = {"format", "voice"};
    struct realtime_reader audio, output;
    char path[64], output_path[64];
    enum realtime_format format = rt->session.output;
    return realtime_read_obj(r, "audio", path, &audio) < 0 ||
                   realtime_known(&audio, audio_known, COUNT(audio_known)) < 0 ||
                   realtime_read_obj(&audio, "output", output_path, &output) < 0 ||
                   realtime_known(&output, known, COUNT(known)) < 0 ||
                   realtime_read_format(&output, "format", &format) < 0 ||
                   realtime_read_str(&output, "voice", 256, &ask->voice) < 0 ||
                   same_format(r, format, rt->session.output) < 0
               ? -1
               : 0;
}

static int read_beta(const struct realtime *rt, const struct realtime_reader *r, struct voice_ask *ask)
{
    enum realtime_format format = rt->session.output;
    double temperature = rt->session.temperature;
    if (realtime_read_format_beta(r, "output_audio_format", &format) < 0 ||
        realtime_read_str(r, "voice", 256, &ask->voice) < 0 ||
        realtime_read_limit(r, "max_response_output_tokens", &ask->max_tokens) < 0 ||
        realtime_read_num(r, "temperature", 0, 2, &temperature) < 0 || same_format(r, format, rt->session.output) < 0)
        return -1;
    if (temperature < rt->session.temperature || temperature > rt->session.temperature)
        return realtime_refuse(r->error, "unsupported_parameter", "response.temperature",
                               "The temperature is the session's: change it with session.update.");
    return 0;
}

static int read_conversation(const struct realtime_reader *r, struct voice_ask *ask)
{
    static const char *const names[] = {"auto", "none"};
    size_t which = 0;
    if (realtime_read_name(r, "conversation", names, COUNT(names), &which) < 0)
        return -1;
    ask->in_conversation = which == 0;
    return 0;
}

static int check_members(const struct realtime *rt, const struct realtime_reader *r)
{
    static const char *const known[] = {
        "conversation", "instructions",     "input",  "metadata",  "max_output_tokens",
        "tools",        "tool_choice",      "prompt", "reasoning", "parallel_tool_calls",
        "audio",        "output_modalities"};
    static const char *const beta_known[] = {
        "conversation",       "instructions", "input",      "metadata", "max_output_tokens",          "tools",
        "tool_choice",        "prompt",       "modalities", "voice",    "max_response_output_tokens", "temperature",
        "output_audio_format"};
    return rt->beta ? realtime_known(r, beta_known, COUNT(beta_known)) : realtime_known(r, known, COUNT(known));
}

int realtime_ask_read(struct realtime *rt, const struct realtime_reader *r, struct arena *arena, struct voice_ask *ask)
{
    bool *audio = arena_zalloc(arena, sizeof *audio);
    const char *modalities = rt->beta ? "modalities" : "output_modalities";
    *ask = (struct voice_ask){.in_conversation = true, .instructions = STR(""), .voice = STR(""), .metadata = STR("")};
    if (!r->obj)
        return 0;
    *audio = rt->session.audio;
    if (check_members(rt, r) < 0 || read_conversation(r, ask) < 0 || realtime_read_tools(r) < 0 ||
        realtime_unserved(r, "prompt") < 0 || realtime_read_modalities(r, modalities, rt->beta, audio) < 0 ||
        realtime_read_str(r, "instructions", LIMIT_MESSAGE_TEXT, &ask->instructions) < 0 ||
        realtime_read_limit(r, "max_output_tokens", &ask->max_tokens) < 0 || read_metadata(r, arena, ask) < 0 ||
        (rt->beta ? read_beta(rt, r, ask) : read_audio(rt, r, ask)) < 0 || read_input(rt, r, arena, ask) < 0)
        return -1;
    if (realtime_has(r, modalities))
        ask->audio = audio;
    return 0;
}

/* ---- writing ---- */

static const char *const outcomes[] = {"in_progress", "completed", "cancelled", "failed", "incomplete"};

static void put_details(struct jw *w, const struct voice_response *response)
{
    if (response->outcome == VOICE_RESPONSE_RUNNING || response->outcome == VOICE_RESPONSE_COMPLETED) {
        jw_knull(w, "status_details");
        return;
    }
    jw_key(w, "status_details");
    jw_obj(w);
    jw_kstr(w, "type", str_c(outcomes[response->outcome]));
    if (response->reason)
        jw_kstr(w, "reason", str_c(response->reason));
    if (response->error) {
        jw_key(w, "error");
        realtime_put_failure(w, response->error);
    }
    jw_end_obj(w);
}

static void put_tokens(struct jw *w, const char *key, int64_t text_tokens)
{
    jw_key(w, key);
    jw_obj(w);
    jw_kint(w, "text_tokens", text_tokens);
    jw_kint(w, "audio_tokens", 0);
    if (key[0] == 'i') {
        jw_kint(w, "image_tokens", 0);
        jw_kint(w, "cached_tokens", 0);
    }
    jw_end_obj(w);
}

/* What is not known counts as nothing: clients read the members without asking whether they are there. */
static void put_realtime_usage(struct jw *w, const struct voice_response *response)
{
    if (response->outcome == VOICE_RESPONSE_RUNNING) {
        jw_knull(w, "usage");
        return;
    }
    int64_t in = MAX(response->usage.prompt_tokens, 0), out = MAX(response->usage.completion_tokens, 0);
    jw_key(w, "usage");
    jw_obj(w);
    jw_kint(w, "total_tokens", in + out);
    jw_kint(w, "input_tokens", in);
    jw_kint(w, "output_tokens", out);
    put_tokens(w, "input_token_details", in);
    put_tokens(w, "output_token_details", out);
    jw_end_obj(w);
}

static void put_modalities(struct jw *w, const struct realtime *rt, const struct voice_response *response)
{
    jw_key(w, rt->beta ? "modalities" : "output_modalities");
    jw_arr(w);
    if (response->audio)
        jw_str(w, STR("audio"));
    if (rt->beta || !response->audio)
        jw_str(w, STR("text"));
    jw_end_arr(w);
}

static void put_voice(struct jw *w, const struct realtime *rt, const struct voice_response *response)
{
    struct str voice = response->voice.n ? response->voice : rt->session.voice;
    if (rt->beta) {
        jw_kstr(w, "voice", voice);
        jw_kstr(w, "output_audio_format", str_c(realtime_format_name(rt->session.output, true)));
        jw_knum(w, "temperature", rt->session.temperature);
        return;
    }
    jw_key(w, "audio");
    jw_obj(w);
    jw_key(w, "output");
    jw_obj(w);
    realtime_put_format(w, "format", rt->session.output);
    jw_kstr(w, "voice", voice);
    jw_end_obj(w);
    jw_end_obj(w);
}

void realtime_put_response(struct jw *w, const struct realtime *rt, const struct voice_response *response)
{
    jw_obj(w);
    jw_kstr(w, "object", STR("realtime.response"));
    jw_kstr(w, "id", str_c(response->id));
    jw_kstr(w, "status", str_c(outcomes[response->outcome]));
    put_details(w, response);
    jw_key(w, "output");
    jw_arr(w);
    if (response->item && response->outcome != VOICE_RESPONSE_RUNNING)
        realtime_put_item(w, rt, response->item);
    jw_end_arr(w);
    if (response->in_conversation)
        jw_kstr(w, "conversation_id", str_c(rt->conversation));
    else
        jw_knull(w, "conversation_id");
    put_modalities(w, rt, response);
    put_voice(w, rt, response);
    put_realtime_usage(w, response);
    if (response->metadata.n)
        jw_kraw(w, "metadata", response->metadata);
    else
        jw_knull(w, "metadata");
    jw_end_obj(w);
}
