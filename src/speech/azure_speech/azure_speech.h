/* Azure AI Speech: SSML to audio over REST, recognition over WebSocket, or over REST. */
#ifndef SPEECH_AZURE_SPEECH_AZURE_SPEECH_H
#define SPEECH_AZURE_SPEECH_AZURE_SPEECH_H

#include "client/upstream.h"
#include "speech/media.h"
#include "speech/speech.h"

/* Strings are copied; NULL or "" means unset. */
struct speech_azure_config {
    const char *region;            /* "eastus2" */
    const char *tts_url, *stt_url; /* instead of https://{region}.tts.speech.microsoft.com, and .stt. */
    const char *api_key;           /* of the region's resource */
    const char *voice;             /* for requests without; unset: en-US-JennyNeural */
    const char *language;          /* of speech that is heard; unset: en-US */
    bool rest;                     /* recognition over REST, although its WebSocket does more */
    struct media *media;           /* makes AAC and FLAC, which the service does not; NULL: these are NOT_CONFIGURED */
    const struct upstream_config *upstream; /* timeouts, limits, proxy, CA; its name and base_url are not looked at
                                             * unless `name` is set: then it is the name in metrics and errors */
};

/* NULL with *e (NOT_CONFIGURED, naming what is wrong) without a key, or with neither a region nor a URL. Opens no
 * connection. Used by all loops; free it after they ended.
 *
 * Speech: OpenAI's voices are spoken by what resembles them. Speeds below 0.5 and above 2 are spoken at these.
 */
struct tts *tts_azure_speech_new(const struct speech_azure_config *config, struct err *e);
/* Recognition: one WebSocket per utterance, with partial results, however long it is. Audio is sent as it is written:
 * its first 5 s at once, the rest at twice its speed at most; writing then waits. Where no WebSocket comes through, and
 * with `rest`: one request per utterance, sent when the audio is complete; at most 60 s of it (INVALID_REQUEST); the
 * final result only. So goes, too, what was written and finished at once without a wish for partial results, if the
 * pace would hold it up. */
struct stt *stt_azure_speech_new(const struct speech_azure_config *config, struct err *e);

#endif
