/* The session object of session.created and session.updated. */
#include "api/realtime_impl.h"

const char *realtime_format_name(enum realtime_format format, bool beta)
{
    static const char *const names[REALTIME_FORMATS] = {"audio/pcm", "audio/pcmu", "audio/pcma"};
    static const char *const beta_names[REALTIME_FORMATS] = {"pcm16", "g711_ulaw", "g711_alaw"};
    return beta ? beta_names[format] : names[format];
}

void realtime_put_format(struct jw *w, const char *key, enum realtime_format format)
{
    jw_key(w, key);
    jw_obj(w);
    jw_kstr(w, "type", str_c(realtime_format_name(format, false)));
    if (format == REALTIME_PCM)
        jw_kint(w, "rate", REALTIME_RATE);
    jw_end_obj(w);
}

static void put_or_null(struct jw *w, const char *key, struct str s)
{
    if (s.n)
        jw_kstr(w, key, s);
    else
        jw_knull(w, key);
}

static void put_transcription(struct jw *w, const char *key, const struct realtime_session *s)
{
    if (!s->transcribe) {
        jw_knull(w, key);
        return;
    }
    jw_key(w, key);
    jw_obj(w);
    put_or_null(w, "model", s->stt_model);
    put_or_null(w, "language", s->language);
    put_or_null(w, "prompt", s->prompt);
    jw_end_obj(w);
}

static void put_energy(struct jw *w, const struct realtime *rt)
{
    const struct realtime_session *s = &rt->session;
    unsigned silence = rt->api->config.voice.silence_ms;
    jw_knum(w, "threshold", s->threshold);
    jw_kint(w, "prefix_padding_ms", s->prefix_ms);
    jw_kint(w, "silence_duration_ms", s->silence_ms ? s->silence_ms : silence);
    if (s->idle_timeout_ms)
        jw_kint(w, "idle_timeout_ms", s->idle_timeout_ms);
    else
        jw_knull(w, "idle_timeout_ms");
}

static void put_detection(struct jw *w, const struct realtime *rt)
{
    const struct realtime_session *s = &rt->session;
    bool semantic = s->detection == VOICE_DETECT_SEMANTIC;
    if (s->detection == VOICE_DETECT_NONE) {
        jw_knull(w, "turn_detection");
        return;
    }
    jw_key(w, "turn_detection");
    jw_obj(w);
    jw_kstr(w, "type", semantic ? STR("semantic_vad") : STR("server_vad"));
    if (semantic)
        jw_kstr(w, "eagerness", str_c(s->eagerness));
    else
        put_energy(w, rt);
    jw_kbool(w, "create_response", s->create_response);
    jw_kbool(w, "interrupt_response", s->interrupt_response);
    jw_end_obj(w);
}

static void put_limit(struct jw *w, const char *key, int max_tokens)
{
    if (max_tokens)
        jw_kint(w, key, max_tokens);
    else
        jw_kstr(w, key, STR("inf"));
}

static void put_noise_reduction(struct jw *w, const char *key, enum clean_strength clean)
{
    if (clean == CLEAN_NONE) {
        jw_knull(w, key);
        return;
    }
    jw_key(w, key);
    jw_obj(w);
    jw_kstr(w, "type", clean == CLEAN_FAR ? STR("far_field") : STR("near_field"));
    jw_end_obj(w);
}

static void put_audio(struct jw *w, const struct realtime *rt)
{
    const struct realtime_session *s = &rt->session;
    jw_key(w, "audio");
    jw_obj(w);
    jw_key(w, "input");
    jw_obj(w);
    realtime_put_format(w, "format", s->input);
    put_transcription(w, "transcription", s);
    put_noise_reduction(w, "noise_reduction", s->clean);
    put_detection(w, rt);
    jw_end_obj(w);
    if (!s->transcription) {
        jw_key(w, "output");
        jw_obj(w);
        realtime_put_format(w, "format", s->output);
        jw_kstr(w, "voice", s->voice);
        jw_knum(w, "speed", s->speed);
        jw_end_obj(w);
    }
    jw_end_obj(w);
}

static void put_tools(struct jw *w)
{
    jw_key(w, "tools");
    jw_arr(w);
    jw_end_arr(w);
    jw_kstr(w, "tool_choice", STR("auto"));
}

static void put_spoken(struct jw *w, const struct realtime_session *s)
{
    jw_kstr(w, "model", s->model);
    jw_key(w, "output_modalities");
    jw_arr(w);
    jw_str(w, s->audio ? STR("audio") : STR("text"));
    jw_end_arr(w);
    jw_kstr(w, "instructions", s->instructions);
    put_tools(w);
    put_limit(w, "max_output_tokens", s->max_tokens);
    jw_knull(w, "tracing");
    jw_kstr(w, "truncation", STR("auto"));
    jw_knull(w, "prompt");
}

static void put_spoken_beta(struct jw *w, const struct realtime_session *s)
{
    jw_kstr(w, "model", s->model);
    jw_key(w, "modalities");
    jw_arr(w);
    if (s->audio)
        jw_str(w, STR("audio"));
    jw_str(w, STR("text"));
    jw_end_arr(w);
    jw_kstr(w, "instructions", s->instructions);
    jw_kstr(w, "voice", s->voice);
    jw_kstr(w, "output_audio_format", str_c(realtime_format_name(s->output, true)));
    put_tools(w);
    jw_knum(w, "temperature", s->temperature);
    put_limit(w, "max_response_output_tokens", s->max_tokens);
    jw_knum(w, "speed", s->speed);
    jw_knull(w, "tracing");
}

void realtime_session_put(struct jw *w, const struct realtime *rt)
{
    const struct realtime_session *s = &rt->session;
    jw_obj(w);
    if (!rt->beta)
        jw_kstr(w, "type", s->transcription ? STR("transcription") : STR("realtime"));
    jw_kstr(w, "object", s->transcription ? STR("realtime.transcription_session") : STR("realtime.session"));
    jw_kstr(w, "id", str_c(rt->id));
    if (!s->transcription && rt->beta)
        put_spoken_beta(w, s);
    else if (!s->transcription)
        put_spoken(w, s);
    if (rt->beta) {
        jw_kstr(w, "input_audio_format", str_c(realtime_format_name(s->input, true)));
        put_transcription(w, "input_audio_transcription", s);
        put_noise_reduction(w, "input_audio_noise_reduction", s->clean);
        put_detection(w, rt);
        jw_knull(w, "client_secret");
    } else {
        put_audio(w, rt);
    }
    jw_knull(w, "include");
    jw_kint(w, "expires_at", rt->expires_at);
    jw_end_obj(w);
}

void realtime_send_session(struct realtime *rt, bool created)
{
    struct buf out;
    bool transcription = rt->beta && rt->session.transcription;
    const char *type = transcription ? (created ? "transcription_session.created" : "transcription_session.updated")
                       : created     ? "session.created"
                                     : "session.updated";
    struct jw w = realtime_event(&out, type);
    jw_key(&w, "session");
    realtime_session_put(&w, rt);
    realtime_send(rt, &w);
}
