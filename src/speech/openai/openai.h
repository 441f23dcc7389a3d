/* Speech by OpenAI's /audio/speech and /audio/transcriptions: any compatible base URL, and Azure OpenAI in its dated
 * and its v1 form. */
#ifndef SPEECH_OPENAI_OPENAI_H
#define SPEECH_OPENAI_OPENAI_H

#include "client/upstream.h"
#include "speech/speech.h"

/* Strings are copied; NULL or "" means unset. */
struct speech_openai_config {
    const char *base_url; /* "https://api.openai.com/v1"; Azure: the resource's endpoint; trailing slashes are fine */
    const char *api_key;  /* unset: no key is sent (local servers) */
    const char *organization, *project; /* sent as OpenAI-Organization and OpenAI-Project */
    bool azure;
    const char *tts_model, *stt_model;           /* unset: tts-1, whisper-1 */
    const char *tts_deployment, *stt_deployment; /* Azure: instead of the models, when set */
    const char *tts_api_version,
        *stt_api_version;                   /* Azure: dated ones use deployment paths, "v1" or unset the v1 form */
    const char *voice;                      /* for requests without; unset: alloy */
    const struct upstream_config *upstream; /* timeouts, limits, proxy, CA; its name and base_url are not looked at
                                             * unless `name` is set: then it is the name in metrics and errors */
};

/* NULL with *e (NOT_CONFIGURED, naming what is wrong) when base_url is unusable or Azure lacks a deployment in its
 * dated form. Opens no connection. Used by all loops; free it after they ended.
 *
 * Speech: Azure's voices are spoken by what resembles them; names that are neither OpenAI's nor Azure's go to the
 * service as they are. PCM and WAV come at every rate. Instructions reach models that follow them (not tts-1). */
struct tts *tts_openai_new(const struct speech_openai_config *config, struct err *e);
/* Transcription: one request per utterance, sent when the audio is complete; at most 25 MiB of it (BODY_TOO_LARGE).
 * Partial results come from gpt-4o-transcribe and its kin, once the service reads; whisper-1 gives the final one only.
 */
struct stt *stt_openai_new(const struct speech_openai_config *config, struct err *e);

#endif
