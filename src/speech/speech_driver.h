/* What a speech driver implements; included by drivers only. A driver embeds the base as the first member of its own
 * structs. The calls mean what their namesakes in speech/speech.h say; requests were checked already. */
#ifndef SPEECH_SPEECH_DRIVER_H
#define SPEECH_SPEECH_DRIVER_H

#include "speech/speech.h"

struct tts_ops {
    const char *name;
    struct tts_stream *(*open)(struct tts *tts, const struct tts_request *rq, struct arena *arena, struct err *e);
    int (*next)(struct tts_stream *s, struct str *audio, struct err *e);
    void (*close)(struct tts_stream *s);
    void (*free)(struct tts *tts);
};
struct tts {
    const struct tts_ops *ops;
};
struct tts_stream {
    const struct tts_ops *ops;
};

struct stt_ops {
    const char *name;
    struct stt_stream *(*open)(struct stt *stt, const struct stt_request *rq, struct arena *arena, struct err *e);
    int (*write)(struct stt_stream *s, struct str pcm, struct err *e);
    int (*finish)(struct stt_stream *s, struct err *e);
    int (*next)(struct stt_stream *s, struct stt_event *event, struct err *e);
    void (*close)(struct stt_stream *s);
    void (*free)(struct stt *stt);
};
struct stt {
    const struct stt_ops *ops;
};
struct stt_stream {
    const struct stt_ops *ops;
};

#endif
