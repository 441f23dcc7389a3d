/* Speech without an account, a key or another server: flite speaks, pocketsphinx listens. English only. Both are loaded
 * when they are first needed; a missing one is an error (NOT_CONFIGURED) that names its Debian package. */
#ifndef SPEECH_LOCAL_LOCAL_H
#define SPEECH_LOCAL_LOCAL_H

#include "speech/media.h"
#include "speech/speech.h"

struct speech_local_config {
    const char *libraries;  /* folder of the shared libraries; NULL: where the system has them */
    const char *model;      /* folder of pocketsphinx's model; NULL: /usr/share/pocketsphinx/model/en-us */
    const char *voice;      /* for requests without: slt, rms, awb, kal16, or a name that stands for one; NULL: slt */
    struct media *media;    /* makes MP3, Opus, AAC and FLAC; NULL: these are NOT_CONFIGURED */
    unsigned recognizers;   /* utterances at a time, 90 MiB each once used; 0: 2 */
    unsigned queue_timeout; /* ms an utterance waits for a recognizer before it is OVERLOADED; 0: 5000 */
};

/* Cannot fail; used by all loops. Strings and media must stay valid until the driver is freed. config NULL: defaults.
 */
struct tts *tts_local_new(const struct speech_local_config *config);
struct stt *stt_local_new(const struct speech_local_config *config);

#endif
