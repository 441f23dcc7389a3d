/* session.update: GA's members, and those of the preview. A member that is absent stays as it was. */
#include "api/realtime_impl.h"

#include <stdio.h>

/* PCM has one rate; the others' is in their name. */
static int check_rate(const struct realtime_reader *format, bool pcm)
{
    unsigned rate = pcm ? REALTIME_RATE : 8000, wanted = rate;
    char param[128];
    if (realtime_read_uint(format, "rate", 0, 1000000, &wanted) < 0)
        return -1;
    snprintf(param, sizeof param, "%s.rate", format->path);
    if (wanted == rate)
        return 0;
    return realtime_refuse(format->error, "invalid_value", param, "Invalid value: %u. The rate of this format is %u.",
                           wanted, rate);
}

int realtime_read_format(const struct realtime_reader *r, const char *key, enum realtime_format *out)
{
    static const char *const names[REALTIME_FORMATS] = {"audio/pcm", "audio/pcmu", "audio/pcma"};
    static const char *const known[] = {"type", "rate"};
    struct realtime_reader format;
    char path[64];
    size_t found = *out;
    if (realtime_read_obj(r, key, path, &format) < 0)
        return -1;
    if (!format.obj)
        return 0;
    if (!realtime_has(&format, "type"))
        return realtime_missing(&format, "type");
    if (realtime_known(&format, known, COUNT(known)) < 0 ||
        realtime_read_name(&format, "type", names, COUNT(names), &found) < 0 ||
        check_rate(&format, found == REALTIME_PCM) < 0)
        return -1;
    *out = (enum realtime_format)found;
    return 0;
}

int realtime_read_format_beta(const struct realtime_reader *r, const char *key, enum realtime_format *out)
{
    static const char *const names[REALTIME_FORMATS] = {"pcm16", "g711_ulaw", "g711_alaw"};
    size_t found = *out;
    if (realtime_read_name(r, key, names, COUNT(names), &found) < 0)
        return -1;
    *out = (enum realtime_format)found;
    return 0;
}

int realtime_read_transcription(const struct realtime_reader *r, const char *key, struct realtime_session *s)
{
    static const char *const known[] = {"model", "language", "prompt", "delay"};
    struct realtime_reader transcription;
    char path[64];
    if (cJSON_IsNull(json_get(r->obj, key)) && !s->transcription)
        s->transcribe = false;
    if (realtime_read_obj(r, key, path, &transcription) < 0)
        return -1;
    if (!transcription.obj)
        return 0;
    s->transcribe = true;
    return realtime_known(&transcription, known, COUNT(known)) < 0 ||
                   realtime_read_str(&transcription, "model", REALTIME_STRING_MAX, &s->stt_model) < 0 ||
                   realtime_read_str(&transcription, "language", 64, &s->language) < 0 ||
                   realtime_read_str(&transcription, "prompt", REALTIME_STRING_MAX, &s->prompt) < 0 ||
                   realtime_unserved(&transcription, "delay") < 0
               ? -1
               : 0;
}

static int read_energy(const struct realtime_reader *r, struct realtime_session *s)
{
    static const char *const known[] = {"type",
                                        "threshold",
                                        "prefix_padding_ms",
                                        "silence_duration_ms",
                                        "create_response",
                                        "interrupt_response",
                                        "idle_timeout_ms"};
    return realtime_known(r, known, COUNT(known)) < 0 || realtime_read_num(r, "threshold", 0, 1, &s->threshold) < 0 ||
                   realtime_read_uint(r, "prefix_padding_ms", 0, 10000, &s->prefix_ms) < 0 ||
                   realtime_read_uint(r, "silence_duration_ms", 10, 10000, &s->silence_ms) < 0 ||
                   realtime_read_uint(r, "idle_timeout_ms", 5000, 30000, &s->idle_timeout_ms) < 0
               ? -1
               : 0;
}

static int read_semantic(const struct realtime_reader *r, struct realtime_session *s)
{
    static const char *const known[] = {"type", "eagerness", "create_response", "interrupt_response"};
    static const char *const names[] = {"auto", "low", "medium", "high"};
    size_t found = 0;
    if (realtime_known(r, known, COUNT(known)) < 0 ||
        realtime_read_name(r, "eagerness", names, COUNT(names), &found) < 0)
        return -1;
    s->eagerness = names[found];
    return 0;
}

/* An object replaces the one before: what it does not name is the default again. */
int realtime_read_detection(const struct realtime_reader *r, const char *key, struct realtime_session *s)
{
    static const char *const types[] = {"server_vad", "semantic_vad"};
    const struct voice_settings defaults = VOICE_DEFAULTS;
    struct realtime_reader detection;
    char path[64];
    size_t type = 0;
    if (cJSON_IsNull(json_get(r->obj, key)))
        s->detection = VOICE_DETECT_NONE;
    if (realtime_read_obj(r, key, path, &detection) < 0)
        return -1;
    if (!detection.obj)
        return 0;
    if (realtime_read_name(&detection, "type", types, COUNT(types), &type) < 0)
        return -1;
    s->detection = type ? VOICE_DETECT_SEMANTIC : VOICE_DETECT_ENERGY;
    s->threshold = defaults.threshold;
    s->prefix_ms = defaults.prefix_ms;
    s->silence_ms = s->idle_timeout_ms = 0;
    s->eagerness = "auto";
    s->create_response = s->interrupt_response = true;
    return realtime_read_bool(&detection, "create_response", &s->create_response) < 0 ||
                   realtime_read_bool(&detection, "interrupt_response", &s->interrupt_response) < 0
               ? -1
           : type ? read_semantic(&detection, s)
                  : read_energy(&detection, s);
}

/* null: nothing is reduced; absent: as it was. */
static int read_noise_reduction(const struct realtime_reader *r, const char *key, struct realtime_session *s)
{
    static const char *const known[] = {"type"}, *const types[] = {"near_field", "far_field"};
    struct realtime_reader reduction;
    char path[64];
    size_t type = COUNT(types);
    if (cJSON_IsNull(json_get(r->obj, key)))
        s->clean = CLEAN_NONE;
    if (realtime_read_obj(r, key, path, &reduction) < 0 || realtime_known(&reduction, known, COUNT(known)) < 0 ||
        (reduction.obj && realtime_read_name(&reduction, "type", types, COUNT(types), &type) < 0))
        return -1;
    if (type < COUNT(types))
        s->clean = type ? CLEAN_FAR : CLEAN_NEAR;
    return 0;
}

static int read_input(const struct realtime_reader *audio, struct realtime_session *s)
{
    static const char *const known[] = {"format", "transcription", "noise_reduction", "turn_detection"};
    struct realtime_reader input;
    char path[64];
    return realtime_read_obj(audio, "input", path, &input) < 0 || realtime_known(&input, known, COUNT(known)) < 0 ||
                   realtime_read_format(&input, "format", &s->input) < 0 ||
                   realtime_read_transcription(&input, "transcription", s) < 0 ||
                   read_noise_reduction(&input, "noise_reduction", s) < 0 ||
                   realtime_read_detection(&input, "turn_detection", s) < 0
               ? -1
               : 0;
}

static int read_output(const struct realtime_reader *audio, struct realtime_session *s)
{
    static const char *const known[] = {"format", "voice", "speed"};
    struct realtime_reader output;
    char path[64];
    return realtime_read_obj(audio, "output", path, &output) < 0 || realtime_known(&output, known, COUNT(known)) < 0 ||
                   realtime_read_format(&output, "format", &s->output) < 0 ||
                   realtime_read_str(&output, "voice", 256, &s->voice) < 0 ||
                   realtime_read_num(&output, "speed", 0.25, 1.5, &s->speed) < 0
               ? -1
               : 0;
}

static int read_audio(const struct realtime_reader *r, struct realtime_session *s)
{
    static const char *const known[] = {"input", "output"};
    struct realtime_reader audio;
    char path[64];
    return realtime_read_obj(r, "audio", path, &audio) < 0 ||
                   realtime_known(&audio, known, s->transcription ? 1 : COUNT(known)) < 0 ||
                   read_input(&audio, s) < 0 || read_output(&audio, s) < 0
               ? -1
               : 0;
}

/* A session keeps its model, and its kind. */
static int check_fixed(const struct realtime_reader *r, struct realtime_session *s)
{
    struct str model = s->model;
    if (realtime_read_str(r, "model", REALTIME_STRING_MAX, &model) < 0)
        return -1;
    if (!str_eq(model, s->model))
        return realtime_refuse(r->error, "invalid_value", "session.model",
                               "A session's model cannot change after it began.");
    return 0;
}

static int check_type(const struct realtime_reader *r, const struct realtime_session *s)
{
    static const char *const types[] = {"realtime", "transcription"};
    size_t type;
    if (!realtime_has(r, "type"))
        return realtime_missing(r, "type");
    if (realtime_read_name(r, "type", types, COUNT(types), &type) < 0)
        return -1;
    if ((type == 1) != s->transcription)
        return realtime_refuse(r->error, "invalid_value", "session.type",
                               "Passing a %s session update to a %s session is not allowed.", types[type],
                               types[s->transcription]);
    return 0;
}

/* "auto" is what is done anyway: the oldest items are forgotten. */
static int read_policies(const struct realtime_reader *r)
{
    static const char *const truncations[] = {"auto"};
    size_t truncation;
    return realtime_unserved(r, "include") < 0 || realtime_unserved(r, "prompt") < 0 || realtime_read_tools(r) < 0 ||
                   realtime_read_name(r, "truncation", truncations, COUNT(truncations), &truncation) < 0
               ? -1
               : 0;
}

int realtime_session_read(struct realtime_session *s, const struct realtime_reader *r)
{
    static const char *const known[] = {
        "type",
        "include",
        "audio",
        "model",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "output_modalities",
        "tracing",
        "prompt",
        "truncation",
        "max_output_tokens",
        "reasoning",
    };
    return check_type(r, s) < 0 || realtime_known(r, known, s->transcription ? 3 : COUNT(known)) < 0 ||
                   check_fixed(r, s) < 0 || read_audio(r, s) < 0 || read_policies(r) < 0 ||
                   realtime_read_str(r, "instructions", LIMIT_MESSAGE_TEXT, &s->instructions) < 0 ||
                   realtime_read_modalities(r, "output_modalities", false, &s->audio) < 0 ||
                   realtime_read_limit(r, "max_output_tokens", &s->max_tokens) < 0
               ? -1
               : 0;
}

static const char *const beta_only[] = {
    "modalities",     "voice",         "input_audio_format",          "output_audio_format",
    "turn_detection", "temperature",   "max_response_output_tokens",  "input_audio_transcription",
    "speed",          "client_secret", "input_audio_noise_reduction",
};

bool realtime_is_beta_session(const cJSON *session)
{
    for (size_t i = 0; i < COUNT(beta_only); i++)
        if (json_get(session, beta_only[i]))
            return true;
    return false;
}

static int read_spoken_beta(struct realtime_session *s, const struct realtime_reader *r)
{
    return realtime_read_str(r, "instructions", LIMIT_MESSAGE_TEXT, &s->instructions) < 0 ||
                   realtime_read_str(r, "voice", 256, &s->voice) < 0 ||
                   realtime_read_num(r, "speed", 0.25, 1.5, &s->speed) < 0 ||
                   realtime_read_num(r, "temperature", 0, 2, &s->temperature) < 0 ||
                   realtime_read_modalities(r, "modalities", true, &s->audio) < 0 ||
                   realtime_read_format_beta(r, "output_audio_format", &s->output) < 0 ||
                   realtime_read_limit(r, "max_response_output_tokens", &s->max_tokens) < 0
               ? -1
               : 0;
}

int realtime_session_read_beta(struct realtime_session *s, const struct realtime_reader *r)
{
    static const char *const known[] = {
        "modalities",
        "voice",
        "input_audio_format",
        "output_audio_format",
        "turn_detection",
        "temperature",
        "max_response_output_tokens",
        "input_audio_transcription",
        "speed",
        "client_secret",
        "input_audio_noise_reduction",
        "include",
        "model",
        "instructions",
        "tools",
        "tool_choice",
        "tracing",
        "type",
    };
    return realtime_known(r, known, COUNT(known)) < 0 || check_fixed(r, s) < 0 || read_policies(r) < 0 ||
                   realtime_unserved(r, "client_secret") < 0 || read_spoken_beta(s, r) < 0 ||
                   realtime_read_format_beta(r, "input_audio_format", &s->input) < 0 ||
                   realtime_read_transcription(r, "input_audio_transcription", s) < 0 ||
                   read_noise_reduction(r, "input_audio_noise_reduction", s) < 0 ||
                   realtime_read_detection(r, "turn_detection", s) < 0
               ? -1
               : 0;
}
