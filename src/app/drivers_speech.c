/* Who speaks and who listens. */
#include "app/drivers.h"

#include "speech/azure_speech/azure_speech.h"
#include "speech/local/local.h"
#include "speech/openai/openai.h"

static bool has_azure_openai(const struct config *cfg)
{
    return cfg->azure_openai_endpoint && cfg->azure_openai_api_key;
}

static enum config_speech who_speaks(const struct config *cfg)
{
    if (cfg->tts_provider != SPEECH_BY_AUTO)
        return cfg->tts_provider;
    if (cfg->openai_api_key)
        return SPEECH_BY_OPENAI;
    if (has_azure_openai(cfg))
        return SPEECH_BY_AZURE_OPENAI;
    return cfg->azure_speech_key ? SPEECH_BY_AZURE_SPEECH : SPEECH_BY_LOCAL;
}

static enum config_speech who_listens(const struct config *cfg)
{
    if (cfg->stt_provider != SPEECH_BY_AUTO)
        return cfg->stt_provider;
    if (cfg->azure_speech_key)
        return SPEECH_BY_AZURE_SPEECH;
    if (cfg->openai_api_key)
        return SPEECH_BY_OPENAI;
    return has_azure_openai(cfg) && cfg->azure_openai_stt_deployment ? SPEECH_BY_AZURE_OPENAI : SPEECH_BY_LOCAL;
}

static struct speech_openai_config openai_config(const struct config *cfg, const struct upstream_config *upstream)
{
    return (struct speech_openai_config){
        .base_url = cfg->openai_base_url,
        .api_key = cfg->openai_api_key,
        .organization = cfg->openai_organization,
        .project = cfg->openai_project,
        .tts_model = cfg->openai_tts_model,
        .stt_model = cfg->openai_stt_model,
        .upstream = upstream,
    };
}

static struct speech_openai_config azure_openai_config(const struct config *cfg, const struct upstream_config *upstream)
{
    return (struct speech_openai_config){
        .base_url = cfg->azure_openai_endpoint,
        .api_key = cfg->azure_openai_api_key,
        .azure = true,
        .tts_deployment = cfg->azure_openai_tts_deployment,
        .stt_deployment = cfg->azure_openai_stt_deployment,
        .tts_api_version = cfg->azure_openai_tts_api_version,
        .stt_api_version = cfg->azure_openai_stt_api_version,
        .upstream = upstream,
    };
}

static struct speech_azure_config azure_speech_config(const struct config *cfg, struct media *media,
                                                      const struct upstream_config *upstream)
{
    return (struct speech_azure_config){
        .region = cfg->azure_speech_region,
        .tts_url = cfg->azure_speech_tts_url,
        .stt_url = cfg->azure_speech_stt_url,
        .api_key = cfg->azure_speech_key,
        .media = media,
        .upstream = upstream,
    };
}

static struct speech_local_config local_config(const struct config *cfg, struct media *media)
{
    return (struct speech_local_config){
        .voice = cfg->speech_voice, .media = media, .recognizers = (unsigned)cfg->speech_recognizers};
}

/* The configuration of whoever it is; the others' is not looked at. `url`: where Azure Speech is, unless in its region.
 */
struct service {
    enum config_speech who;
    struct upstream_config upstream;
    struct speech_openai_config openai;
    struct speech_azure_config azure;
    struct speech_local_config local;
};

static void describe(struct service *s, const struct config *cfg, struct media *media, const char *url)
{
    const char *to = s->who == SPEECH_BY_OPENAI         ? cfg->openai_base_url
                     : s->who == SPEECH_BY_AZURE_OPENAI ? cfg->azure_openai_endpoint
                     : url                              ? url
                                                        : "https:";
    s->upstream = drivers_upstream(cfg, to);
    s->openai = s->who == SPEECH_BY_OPENAI ? openai_config(cfg, &s->upstream) : azure_openai_config(cfg, &s->upstream);
    s->azure = azure_speech_config(cfg, media, &s->upstream);
    s->local = local_config(cfg, media);
}

static int open_tts(const struct config *cfg, struct media *media, struct tts **tts, struct err *e)
{
    struct service s = {.who = who_speaks(cfg)};
    describe(&s, cfg, media, cfg->azure_speech_tts_url);
    switch (s.who) {
    case SPEECH_BY_OPENAI:
    case SPEECH_BY_AZURE_OPENAI:
        *tts = tts_openai_new(&s.openai, e);
        break;
    case SPEECH_BY_AZURE_SPEECH:
        *tts = tts_azure_speech_new(&s.azure, e);
        break;
    case SPEECH_BY_NONE:
        return 0;
    case SPEECH_BY_AUTO:
    case SPEECH_BY_LOCAL:
        *tts = tts_local_new(&s.local);
        break;
    }
    return *tts ? 0 : -1;
}

static int open_stt(const struct config *cfg, struct media *media, struct stt **stt, struct err *e)
{
    struct service s = {.who = who_listens(cfg)};
    describe(&s, cfg, media, cfg->azure_speech_stt_url);
    switch (s.who) {
    case SPEECH_BY_OPENAI:
    case SPEECH_BY_AZURE_OPENAI:
        *stt = stt_openai_new(&s.openai, e);
        break;
    case SPEECH_BY_AZURE_SPEECH:
        *stt = stt_azure_speech_new(&s.azure, e);
        break;
    case SPEECH_BY_NONE:
        return 0;
    case SPEECH_BY_AUTO:
    case SPEECH_BY_LOCAL:
        *stt = stt_local_new(&s.local);
        break;
    }
    return *stt ? 0 : -1;
}

int drivers_open_speech(const struct config *cfg, struct media *media, struct tts **tts, struct stt **stt,
                        struct err *e)
{
    *tts = NULL;
    *stt = NULL;
    return open_tts(cfg, media, tts, e) < 0 || open_stt(cfg, media, stt, e) < 0 ? -1 : 0;
}
