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

static int open_tts(const struct config *cfg, struct media *media, struct tts **tts, struct err *e)
{
    struct upstream_config upstream;
    struct speech_openai_config openai;
    struct speech_azure_config azure;
    struct speech_local_config local;
    switch (who_speaks(cfg)) {
    case SPEECH_BY_OPENAI:
        upstream = drivers_upstream(cfg, cfg->openai_base_url);
        openai = openai_config(cfg, &upstream);
        *tts = tts_openai_new(&openai, e);
        break;
    case SPEECH_BY_AZURE_OPENAI:
        upstream = drivers_upstream(cfg, cfg->azure_openai_endpoint);
        openai = azure_openai_config(cfg, &upstream);
        *tts = tts_openai_new(&openai, e);
        break;
    case SPEECH_BY_AZURE_SPEECH:
        upstream = drivers_upstream(cfg, cfg->azure_speech_tts_url ? cfg->azure_speech_tts_url : "https:");
        azure = azure_speech_config(cfg, media, &upstream);
        *tts = tts_azure_speech_new(&azure, e);
        break;
    case SPEECH_BY_NONE:
        return 0;
    case SPEECH_BY_AUTO:
    case SPEECH_BY_LOCAL:
        local = local_config(cfg, media);
        *tts = tts_local_new(&local);
        break;
    }
    return *tts ? 0 : -1;
}

static int open_stt(const struct config *cfg, struct media *media, struct stt **stt, struct err *e)
{
    struct upstream_config upstream;
    struct speech_openai_config openai;
    struct speech_azure_config azure;
    struct speech_local_config local;
    switch (who_listens(cfg)) {
    case SPEECH_BY_OPENAI:
        upstream = drivers_upstream(cfg, cfg->openai_base_url);
        openai = openai_config(cfg, &upstream);
        *stt = stt_openai_new(&openai, e);
        break;
    case SPEECH_BY_AZURE_OPENAI:
        upstream = drivers_upstream(cfg, cfg->azure_openai_endpoint);
        openai = azure_openai_config(cfg, &upstream);
        *stt = stt_openai_new(&openai, e);
        break;
    case SPEECH_BY_AZURE_SPEECH:
        upstream = drivers_upstream(cfg, cfg->azure_speech_stt_url ? cfg->azure_speech_stt_url : "https:");
        azure = azure_speech_config(cfg, media, &upstream);
        *stt = stt_azure_speech_new(&azure, e);
        break;
    case SPEECH_BY_NONE:
        return 0;
    case SPEECH_BY_AUTO:
    case SPEECH_BY_LOCAL:
        local = local_config(cfg, media);
        *stt = stt_local_new(&local);
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
