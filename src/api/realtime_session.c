/* What a realtime session is set to, and what the engine is told of it. */
#include "api/realtime_impl.h"

#include "base/clock.h"

/* How a session of dialect 001 begins, and any other whose client says nothing. */
#define PERSONA                                                                                                        \
    "You are a helpful, friendly assistant. What you say is spoken aloud: be brief, and use plain sentences without "  \
    "lists or markup."

/* A realtime model's name means nothing to the models that answer here: then it is the configured one. */
static struct str chat_model(struct str model)
{
    return str_find(model, STR("realtime")) >= 0 ? STR("") : model;
}

static unsigned eager_silence(const struct realtime_session *s)
{
    if (s->detection != VOICE_DETECT_SEMANTIC)
        return 0;
    return strcmp(s->eagerness, "low") == 0 ? 8000 : strcmp(s->eagerness, "high") == 0 ? 2000 : 4000;
}

struct voice_settings realtime_voice_settings(const struct realtime *rt, const struct realtime_session *s)
{
    struct voice_settings out = VOICE_DEFAULTS;
    out.model = chat_model(s->model);
    out.instructions = s->instructions;
    out.audio = s->audio && !s->transcription;
    out.voice = s->voice;
    out.speed = s->speed;
    out.temperature = rt->beta ? s->temperature : -1;
    out.max_tokens = s->max_tokens;
    out.language = s->language;
    out.prompt = s->prompt;
    out.transcripts = s->transcribe;
    out.detection = s->detection;
    out.threshold = s->threshold;
    out.clean = s->clean;
    out.prefix_ms = s->prefix_ms;
    out.silence_ms = s->silence_ms;
    out.max_silence_ms = eager_silence(s);
    out.idle_timeout_ms = s->transcription ? 0 : s->idle_timeout_ms;
    out.create_response = s->create_response && !s->transcription;
    out.interrupt_response = s->interrupt_response;
    return out;
}

static void keep(struct arena *arena, struct str *s)
{
    *s = arena_str(arena, s->p ? *s : STR(""));
}

static void keep_strings(struct realtime_session *s)
{
    s->arena = arena_new("realtime_session");
    keep(s->arena, &s->model);
    keep(s->arena, &s->instructions);
    keep(s->arena, &s->voice);
    keep(s->arena, &s->stt_model);
    keep(s->arena, &s->language);
    keep(s->arena, &s->prompt);
}

struct str realtime_default_model(const struct api *api)
{
    const struct llm *answerer = chat_answerer(api->chat);
    const char *name = api->config.realtime.model;
    if ((!name || !name[0]) && answerer)
        name = llm_default_model(answerer);
    return name && name[0] ? str_c(name) : STR("parley");
}

void realtime_session_init(struct realtime *rt, struct str model, bool transcription)
{
    const struct voice_settings defaults = VOICE_DEFAULTS;
    rt->session = (struct realtime_session){
        .transcription = transcription,
        .audio = true,
        .transcribe = transcription || rt->front_end,
        .model = model,
        .instructions = STR(PERSONA),
        .voice = STR("alloy"),
        .stt_model = str_c(rt->api->config.stt ? stt_name(rt->api->config.stt) : ""),
        .speed = 1,
        .temperature = 0.8,
        .clean = rt->api->config.voice.clean,
        .detection = defaults.detection,
        .threshold = defaults.threshold,
        .prefix_ms = defaults.prefix_ms,
        .eagerness = "auto",
        .create_response = true,
        .interrupt_response = true,
    };
    keep_strings(&rt->session);
}

void realtime_session_free(struct realtime_session *s)
{
    s->arena = arena_free(s->arena);
}

void realtime_session_adopt(struct realtime *rt, const struct realtime_session *changed)
{
    struct arena *old = rt->session.arena;
    if (changed->input != rt->session.input)
        realtime_audio_clear(rt);
    rt->session = *changed;
    keep_strings(&rt->session);
    arena_free(old);
}
